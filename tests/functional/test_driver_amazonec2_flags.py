"""The flags of the driver amazonec2, what of them is wrong, and what is stored."""

import pytest

from driverclient import DriverError, reference
from ec2driver import Machine, defaults, driver, start, warnings
from fakes.ec2 import ACCESS_KEY, SECRET_KEY, Ec2

# name: (type, variable, default)
FLAGS = {
    'access-key': ('string', 'AWS_ACCESS_KEY_ID', ''), 'secret-key': ('string', 'AWS_SECRET_ACCESS_KEY', ''),
    'session-token': ('string', 'AWS_SESSION_TOKEN', ''), 'ami': ('string', 'AWS_AMI', ''),
    'region': ('string', 'AWS_DEFAULT_REGION', 'us-east-1'), 'vpc-id': ('string', 'AWS_VPC_ID', ''),
    'zone': ('string', 'AWS_ZONE', 'a'), 'subnet-id': ('string', 'AWS_SUBNET_ID', ''),
    'security-group-readonly': ('bool', 'AWS_SECURITY_GROUP_READONLY', False),
    'security-group': ('list', 'AWS_SECURITY_GROUP', ['docker-machine']), 'open-port': ('list', '', []),
    'tags': ('string', 'AWS_TAGS', ''), 'instance-type': ('string', 'AWS_INSTANCE_TYPE', 't3.micro'),
    'device-name': ('string', 'AWS_DEVICE_NAME', ''), 'root-size': ('int', 'AWS_ROOT_SIZE', 16),
    'volume-type': ('string', 'AWS_VOLUME_TYPE', 'gp3'),
    'iam-instance-profile': ('string', 'AWS_INSTANCE_PROFILE', ''), 'ssh-port': ('int', 'AWS_SSH_PORT', 22),
    'ssh-user': ('string', 'AWS_SSH_USER', 'ubuntu'), 'request-spot-instance': ('bool', '', False),
    'spot-price': ('string', '', '0.50'), 'block-duration-minutes': ('int', '', 0),
    'private-address-only': ('bool', '', False), 'use-private-address': ('bool', '', False),
    'monitoring': ('bool', '', False), 'use-ebs-optimized-instance': ('bool', '', False),
    'ssh-keypath': ('string', 'AWS_SSH_KEYPATH', ''), 'keypair-name': ('string', 'AWS_KEYPAIR_NAME', ''),
    'retries': ('int', '', 5), 'endpoint': ('string', 'AWS_ENDPOINT', ''),
    'insecure-transport': ('bool', 'AWS_INSECURE_TRANSPORT', False), 'userdata': ('string', 'AWS_USERDATA', ''),
    'ipv6-address-count': ('int', 'AWS_IPV6_ADDRESS_COUNT', 0),
    'ipv6-address-only': ('bool', 'AWS_IPV6_ADDRESS_ONLY', False),
    'enable-primary-ipv6': ('bool', 'AWS_ENABLE_PRIMARY_IPV6', False),
    'http-protocol-ipv6': ('string', 'AWS_HTTP_PROTOCOL_IPV6', 'disabled'),
}

# what Docker Machine stores, in its order
BASE = ['IPAddress', 'MachineName', 'SSHUser', 'SSHPort', 'SSHKeyPath', 'StorePath', 'SwarmMaster', 'SwarmHost',
        'SwarmDiscovery']
STORED = {
    'Id': '', 'AccessKey': ACCESS_KEY, 'SecretKey': SECRET_KEY, 'SessionToken': '', 'Region': 'us-east-1', 'AMI': '',
    'SSHKeyID': 0, 'ExistingKey': False, 'KeyName': '', 'InstanceId': '', 'InstanceType': 't3.micro',
    'PrivateIPAddress': '', 'SecurityGroupId': '', 'SecurityGroupIds': None, 'SecurityGroupName': '',
    'SecurityGroupNames': ['docker-machine'], 'SecurityGroupReadOnly': False, 'OpenPorts': None, 'Tags': '',
    'ReservationId': '', 'DeviceName': '', 'RootSize': 16, 'VolumeType': 'gp3', 'IamInstanceProfile': '',
    'VpcId': '', 'SubnetId': '', 'Zone': 'a', 'RequestSpotInstance': False, 'SpotPrice': '0.50',
    'BlockDurationMinutes': 0, 'PrivateIPOnly': False, 'UsePrivateIP': False, 'UseEbsOptimizedInstance': False,
    'Monitoring': False, 'SSHPrivateKeyPath': '', 'RetryCount': 5, 'Endpoint': '', 'DisableSSL': False,
    'UserDataFile': '',
}
OWN = {'HttpProtocolIpv6': 'disabled', 'EnablePrimaryIpv6': False, 'Ipv6AddressCount': 0, 'Ipv6AddressOnly': False,
       'IPv6Address': '', 'SpotInstanceRequestId': '', 'AvailabilityZone': '', 'KeyPairId': '', 'RsaKey': False, 'HostKey': '', 'Unseen': 0,
       'OrderedAt': 0, 'LaunchedAt': 0}


def flags(driver, **more):
    given = {'access-key': ACCESS_KEY, 'secret-key': SECRET_KEY, **more}
    given = {f'amazonec2-{name.replace("_", "-")}': value for name, value in given.items()}
    known = defaults(driver.info)
    assert not set(given) - set(known)
    return {**known, **given}


def test_flags(driver):
    found = {flag['name']: (flag['type'], flag.get('env', ''), flag.get('default')) for flag in driver.info['flags']}
    assert found == {f'amazonec2-{name}': value for name, value in FLAGS.items()}
    secret = {flag['name'] for flag in driver.info['flags'] if flag.get('secret')}
    assert secret == {f'amazonec2-{name}' for name in ('access-key', 'secret-key', 'session-token')}


def test_what_is_stored(driver):
    state = driver.configure(flags(driver))
    assert list(state) == BASE + list(STORED) + list(OWN)
    assert {name: state[name] for name in STORED} == STORED
    assert (state['SSHUser'], state['SSHPort']) == ('ubuntu', 22) and {name: state[name] for name in OWN} == OWN


def test_each_flag_is_stored(driver, tmp_path):
    (tmp_path / 'key').write_text('x')
    given = {
        'session-token': ('SessionToken', 't'), 'ami': ('AMI', 'ami-1'), 'region': ('Region', 'eu-west-3'),
        'vpc-id': ('VpcId', 'vpc-1'), 'zone': ('Zone', 'c'), 'subnet-id': ('SubnetId', 'subnet-1'),
        'security-group-readonly': ('SecurityGroupReadOnly', True),
        'security-group': ('SecurityGroupNames', ['a', 'b']), 'open-port': ('OpenPorts', ['80', '53/udp']),
        'tags': ('Tags', 'a,b'), 'instance-type': ('InstanceType', 'm7i.large'),
        'device-name': ('DeviceName', '/dev/xvda'), 'root-size': ('RootSize', 33), 'volume-type': ('VolumeType', 'io2'),
        'iam-instance-profile': ('IamInstanceProfile', 'p'), 'ssh-port': ('SSHPort', 2222),
        'ssh-user': ('SSHUser', 'admin'), 'request-spot-instance': ('RequestSpotInstance', True),
        'spot-price': ('SpotPrice', '0.1'), 'private-address-only': ('PrivateIPOnly', True),
        'use-private-address': ('UsePrivateIP', True), 'monitoring': ('Monitoring', True),
        'use-ebs-optimized-instance': ('UseEbsOptimizedInstance', True),
        'ssh-keypath': ('SSHPrivateKeyPath', str(tmp_path / 'key')), 'keypair-name': ('KeyName', 'k'),
        'retries': ('RetryCount', -1), 'endpoint': ('Endpoint', 'http://x'),
        'insecure-transport': ('DisableSSL', True), 'userdata': ('UserDataFile', str(tmp_path / 'data')),
        'block-duration-minutes': ('BlockDurationMinutes', 60), 'ipv6-address-count': ('Ipv6AddressCount', 2),
        'ipv6-address-only': ('Ipv6AddressOnly', True), 'enable-primary-ipv6': ('EnablePrimaryIpv6', True),
        'http-protocol-ipv6': ('HttpProtocolIpv6', 'enabled'),
    }
    state = driver.configure(flags(driver, **{name: value for name, (_, value) in given.items()}))
    assert {member: state[member] for member, _ in given.values()} == dict(given.values())
    assert state['ExistingKey'] is True
    assert set(given) | {'access-key', 'secret-key'} == set(FLAGS)


def test_paths_are_made_absolute(tmp_path):
    with start(home=tmp_path) as driver:
        state = driver.configure(flags(driver, ssh_keypath='~/k', userdata='data'))
        assert state['SSHPrivateKeyPath'] == str(tmp_path / 'k') and state['UserDataFile'].startswith('/')


# in the order in which they are looked for: each is said though all that follow are wrong, too
WRONG = [
    ({'ssh_port': 70000}, ['--amazonec2-ssh-port']),
    ({'region': 'Frankfurt'}, ['--amazonec2-region Frankfurt', 'us-east-1']),
    ({'insecure_transport': True}, ['--amazonec2-insecure-transport', '--amazonec2-endpoint']),
    ({'keypair_name': 'k'}, ['--amazonec2-keypair-name', '--amazonec2-ssh-keypath']),
    ({'open_port': ['80', 'http']}, ['--amazonec2-open-port http']),
    ({'root_size': 0}, ['--amazonec2-root-size']),
    ({'http_protocol_ipv6': 'on'}, ['--amazonec2-http-protocol-ipv6 on', 'enabled']),
    ({'ipv6_address_count': -1}, ['--amazonec2-ipv6-address-count -1']),
    ({'ipv6_address_only': True}, ['--amazonec2-ipv6-address-only', '--amazonec2-ipv6-address-count']),
]


@pytest.mark.parametrize('index', range(len(WRONG)))
def test_wrong_flags_in_their_order(driver, index):
    given = {name: value for change, _ in WRONG[index:] for name, value in change.items()}
    with pytest.raises(DriverError) as caught:
        driver.configure(flags(driver, **given))
    assert caught.value.kind == 'user'
    for text in WRONG[index][1]:
        assert text in caught.value.message


@pytest.mark.parametrize('port', ['', '0', '65536', '99999', '-1', '80-90', '80 ', 'tcp/80', '123456', '/tcp', '8o', '80/TCP', '80/tcp/udp',
                                  '80/protocol', '80/t p'])
def test_wrong_ports(driver, port):
    with pytest.raises(DriverError) as caught:
        driver.configure(flags(driver, open_port=[port]))
    assert caught.value.kind == 'user' and '--amazonec2-open-port' in caught.value.message


def test_regions(driver):
    good = ['us-east-1', 'ap-southeast-2', 'us-gov-west-1', 'cn-north-1', 'eu-isoe-west-1', 'mx-central-1', 'il-central-12']
    bad = ['', 'us', 'us-east', 'us-east-', 'useast1', 'u-east-1', 'us--east-1', 'us-east-1a', 'US-EAST-1', 'us-east-1/',
           'us-east-1.evil.example', 'europe-west-1']
    for region in good:
        assert driver.configure(flags(driver, region=region))['Region'] == region
    for region in bad:
        with pytest.raises(DriverError) as caught:
            driver.configure(flags(driver, region=region))
        assert caught.value.kind == 'user' and '--amazonec2-region' in caught.value.message
    for region in 'mars', '': # of a cloud of one's own
        assert driver.configure(flags(driver, region=region, endpoint='http://x'))['Region'] == region
    with pytest.raises(DriverError) as caught:
        driver.configure(flags(driver, region='custom-endpoint', endpoint='http://x'))
    assert '--amazonec2-ami' in caught.value.message
    driver.configure(flags(driver, region='custom-endpoint', endpoint='http://x', ami='ami-1'))


def test_warnings(driver):
    driver.configure(flags(driver, tags='a,b'))
    assert warnings(driver) == []
    driver.configure(flags(driver, tags='a,b,c', block_duration_minutes=60))
    tags, block = warnings(driver)
    assert '--amazonec2-tags' in tags and '"c"' in tags and '--amazonec2-block-duration-minutes' in block


@pytest.mark.parametrize('tags', [',b', 'a,b,,c', 'Name,x', 'a,b, ,c'])
def test_wrong_tags(driver, tags):
    with pytest.raises(DriverError) as caught:
        driver.configure(flags(driver, tags=tags))
    assert caught.value.kind == 'user' and '--amazonec2-tags' in caught.value.message


def test_files_are_looked_at_before(tmp_path):
    with Ec2() as ec2, start() as driver:
        machine = Machine(ec2, tmp_path)
        machine.configure(driver, ssh_keypath=str(tmp_path / 'key'))
        machine.fails(driver, 'preCreateCheck', 'notFound', '--amazonec2-ssh-keypath', 'key')
        (tmp_path / 'key').write_text('x')
        machine.fails(driver, 'preCreateCheck', 'notFound', '--amazonec2-ssh-keypath', 'key.pub')
        machine.configure(driver, userdata=str(tmp_path / 'data'))
        machine.fails(driver, 'preCreateCheck', 'notFound', '--amazonec2-userdata')
        (tmp_path / 'data').write_text('#!/bin/sh\n' + '#' * 20000)
        machine.fails(driver, 'preCreateCheck', 'user', '--amazonec2-userdata')
        assert ec2.log.actions() == []


# the configuration of another program

def original(machine, **changes):
    """As Docker Machine left it."""
    base = {'IPAddress': '', 'MachineName': machine.name, 'SSHUser': 'ubuntu', 'SSHPort': 22,
            'SSHKeyPath': str(machine.folder / 'id_rsa'), 'StorePath': str(machine.store), 'SwarmMaster': False,
            'SwarmHost': 'tcp://0.0.0.0:3376', 'SwarmDiscovery': ''}
    return {**base, **STORED, 'Zone': 'us-east-1a', 'Endpoint': machine.ec2.url, 'OpenPorts': [], **changes}


def test_machine_of_docker_machine(tmp_path):
    with Ec2() as ec2, start() as driver:
        machine = Machine(ec2, tmp_path)
        machine.create(driver)
        machine.state = original(
            machine, Id='f' * 32, KeyName='m1', InstanceId=machine.state['InstanceId'], IPAddress='127.0.0.9',
            SecurityGroupIds=machine.state['SecurityGroupIds'], AMI='ami-1', HttpTokens='optional')
        machine.ident = '' # M2
        del machine.state['SecurityGroupName'] # an older one
        report = machine.report(driver)
        assert report['state'] == 'Running' and report['ip'] == machine.instance['PublicIpAddress']
        assert report['ssh']['keyPath'].endswith('id_rsa') and 'hostKeys' not in report['ssh']
        for method in 'stop', 'start', 'restart', 'kill':
            machine.finish(driver, method)
        machine.finish(driver, 'remove')
        assert ec2.leaks(ignore=('security-group',)) == []
        assert machine.state['HttpTokens'] == 'optional' # what is not known is kept


def test_failed_create_of_docker_machine(tmp_path):
    """Its Id is no token of ours; nothing was made."""
    with Ec2() as ec2, start() as driver:
        machine = Machine(ec2, tmp_path)
        machine.folder.mkdir(parents=True)
        machine.state, machine.ident = original(machine, Id='f' * 32), ''
        machine.finish(driver, 'remove')
        assert not {'TerminateInstances', 'DeleteKeyPair'} & set(ec2.log.actions())


def test_names_without_regard_to_case(tmp_path):
    with Ec2() as ec2, start() as driver:
        machine = Machine(ec2, tmp_path)
        machine.create(driver)
        state = {name.lower(): value for name, value in machine.state.items()}
        report = driver.report(reference('m1', state, machine.folder, machine.store))
        assert report['state'] == 'Running'
