"""What the driver amazonec2 finds out before it launches, and what it launches."""

import gzip

import pytest

from driverclient import DriverError
from ec2driver import (LOOK_UPS, Machine, driver, ec2, groups_once, host_key_sent, machine, only_groups, running,
                       start, warnings)
from fakes.ec2 import APPLIED, Ec2


def launch(ec2):
    """The parameters of the launch."""
    (request,) = ec2.log.of('RunInstances')
    return request.params


# networks

def test_no_default_vpc(driver, tmp_path):
    with Ec2(default_vpc=False) as ec2:
        machine = Machine(ec2, tmp_path)
        machine.configure(driver)
        machine.fails(driver, 'preCreateCheck', 'user', 'no default VPC', '--amazonec2-subnet-id', '--amazonec2-vpc-id')
        subnet = ec2.account.all('subnet')[0]
        for flags in {'vpc_id': subnet['VpcId']}, {'subnet_id': subnet['SubnetId']}:
            machine.configure(driver, **flags).check(driver)
        machine.finish(driver, 'create')
        assert launch(ec2)['NetworkInterfaces'][0]['SubnetId'] == subnet['SubnetId']
        (group,) = [one for one in ec2.account.all('security-group') if one['GroupName'] == 'docker-machine']
        assert group['VpcId'] == subnet['VpcId']


def test_default_vpc_cannot_be_looked_up(ec2, driver, machine):
    ec2.account.denied.add('DescribeAccountAttributes')
    machine.configure(driver)
    machine.fails(driver, 'preCreateCheck', 'auth', 'UnauthorizedOperation')
    machine.configure(driver, subnet_id=ec2.subnet('b')).check(driver)
    assert warnings(driver) == [] # a subnet tells its VPC


@pytest.mark.parametrize('zone', ['a', 'c'])
def test_subnet_of_the_zone(ec2, driver, machine, zone):
    # one that was there before the zone's own
    extra = ec2.account.add_subnet(ec2.default_vpc(), f'us-east-1{zone}', '172.31.99.0/24')
    subnets = ec2.account.things['subnet']
    ec2.account.things['subnet'] = {extra: subnets.pop(extra), **subnets}
    ec2.account.initial['subnet'].add(extra)
    machine.create(driver, zone=f'us-east-1{zone}')
    params = launch(ec2)
    assert params['NetworkInterfaces'][0]['SubnetId'] == ec2.subnet(zone)
    assert params['Placement']['AvailabilityZone'] == f'us-east-1{zone}'


def test_subnet_that_is_given(ec2, driver, machine):
    """Its own zone counts, not the flag's."""
    machine.create(driver, subnet_id=ec2.subnet('b'))
    assert launch(ec2)['Placement']['AvailabilityZone'] == 'us-east-1b'
    assert (machine.state['VpcId'], machine.state['AvailabilityZone']) == (ec2.default_vpc(), 'us-east-1b')


def test_wrong_networks(ec2, driver, machine):
    other = next(one for one in ec2.account.all('vpc') if not one['IsDefault'])['VpcId']
    table = [({'subnet_id': 'subnet-00000000'}, ['--amazonec2-subnet-id subnet-00000000', 'us-east-1']),
             ({'subnet_id': ec2.subnet(), 'vpc_id': other}, [ec2.subnet(), other]),
             ({'zone': 'us-east-1z'}, ['us-east-1z', ec2.default_vpc(), '--amazonec2-zone']),
             ({'zone': 'us-east-1b', 'vpc_id': other}, ['us-east-1b', other])]
    for flags, texts in table:
        machine.configure(driver, **flags)
        machine.fails(driver, 'preCreateCheck', 'user', *texts)
        machine.fails(driver, 'create', 'user', *texts)
    assert ec2.leaks() == []


def test_subnet_outside_the_default_vpc(ec2, driver, machine):
    """It is given without its VPC, which is not the default one: that is no contradiction."""
    subnet = ec2.subnet('a', default=False)
    machine.configure(driver, subnet_id=subnet).check(driver).finish(driver, 'create')
    assert launch(ec2)['NetworkInterfaces'][0]['SubnetId'] == subnet


def test_pages(ec2, driver, machine):
    ec2.account.page_size = 1
    for number in range(3):
        extra = ec2.account.add_subnet(ec2.default_vpc(), 'us-east-1a', f'172.31.{90 + number}.0/24')
        subnets = ec2.account.things['subnet']
        ec2.account.things['subnet'] = {extra: subnets.pop(extra), **subnets}
        ec2.account.initial['subnet'].add(extra)
    ec2.account.add_group('second', 'x', ec2.default_vpc())
    machine.create(driver, security_group=['docker-machine', 'second'])
    assert ec2.log.count('DescribeSubnets') == 4 and launch(ec2)['ImageId'] == ec2.image()
    assert machine.state['SubnetId'] == ec2.subnet()
    ec2.log.clear()
    other = Machine(ec2, machine.store.parent / 'other', 'm2', 'b' * 32)
    other.create(driver, security_group=['docker-machine', 'second'])
    assert ec2.log.count('DescribeSecurityGroups') == 2 and groups_once(ec2) == 1
    assert other.state['SecurityGroupIds'] == machine.state['SecurityGroupIds']


def test_pages_without_end(ec2, driver, machine):
    """Each has a token for the next."""
    ec2.service.model.render_ = ec2.service.model.render

    def render(action, values, request_id):
        if action == 'DescribeSubnets':
            values = {**values, 'NextToken': 'again'}
            ec2.account.pages['again'] = (set(), None)
        return ec2.service.model.render_(action, values, request_id)

    ec2.service.model.render = render
    real = ec2.account.pages
    machine.configure(driver)
    try:
        ec2.account.pages = Always(real)
        machine.fails(driver, 'preCreateCheck', 'internal', 'pages')
    finally:
        ec2.service.model.render = ec2.service.model.render_


class Always(dict):
    """Every token is good, whatever is asked."""

    def __contains__(self, _):
        return True

    def __getitem__(self, _):
        class Any(dict):
            def __eq__(self, _):
                return True

            def __ne__(self, _):
                return False
        return set(), Any()


# images

@pytest.mark.parametrize('kind, name', [
    ('t3.micro', 'amd64'), ('g4dn.xlarge', 'amd64'), ('m7i.large', 'amd64'), ('u-6tb1.metal', 'amd64'),
    ('t4g.micro', 'arm64'), ('m6gd.large', 'arm64'), ('c7gn.large', 'arm64'), ('im4gn.large', 'arm64'),
    ('g5g.xlarge', 'arm64'), ('a1.medium', 'arm64')])
def test_default_image(ec2, driver, machine, kind, name):
    machine.configure(driver, instance_type=kind).check(driver)
    asked = ec2.log.of('DescribeImages')[-1].params
    filters = {one['Name']: one['Values'] for one in asked['Filters']}
    assert asked['Owners'] == ['099720109477'] and filters['state'] == ['available']
    assert filters['name'] == [f'ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{name}-server-*']
    assert filters['architecture'] == [{'amd64': 'x86_64', 'arm64': 'arm64'}[name]]


def test_newest_image(ec2, driver, machine):
    machine.create(driver)
    assert machine.state['AMI'] == ec2.image() and machine.state['DeviceName'] == '/dev/sda1'


def test_image_for_arm(ec2, driver, machine):
    machine.create(driver, instance_type='t4g.micro')
    assert launch(ec2)['ImageId'] == ec2.image('arm64-server-20261001')


@pytest.mark.parametrize('device', ['', '/dev/xvdb'])
def test_image_that_is_given(ec2, driver, machine, device):
    image = ec2.image('flatcar')
    machine.create(driver, ami=image, device_name=device, root_size=33, volume_type='gp2')
    assert ec2.log.count('DescribeImages') == (not device)
    params = launch(ec2)
    (disk,) = params['BlockDeviceMappings']
    assert params['ImageId'] == image and disk['DeviceName'] == (device or '/dev/xvda')
    assert disk['Ebs'] == {'VolumeSize': 33, 'VolumeType': 'gp2', 'DeleteOnTermination': True}


def test_images_that_are_not_there(ec2, driver, machine):
    for device in '', '/dev/xvda':
        machine.configure(driver, ami='ami-00000000', device_name=device)
        machine.fails(driver, 'preCreateCheck', 'user', 'ami-00000000', '--amazonec2-ami')
    ec2.account.things['image'].clear()
    machine.configure(driver)
    machine.fails(driver, 'preCreateCheck', 'user', 'Ubuntu', '--amazonec2-ami')


@pytest.mark.parametrize('region, owner', [('cn-north-1', '837727238323'), ('us-gov-west-1', '513442679011'),
                                           ('eu-west-3', '099720109477')])
def test_owner_of_images(driver, tmp_path, region, owner):
    with Ec2(region=region) as ec2:
        machine = Machine(ec2, tmp_path)
        machine.configure(driver, region=region, zone=f'{region}a')
        with pytest.raises(DriverError) if owner != '099720109477' else nothing():
            machine.check(driver)
        assert ec2.log.of('DescribeImages')[-1].params['Owners'] == [owner]


class nothing: # pylint: disable=invalid-name
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


# groups

def rules(ec2, name='docker-machine'):
    return sorted((one['IpProtocol'], one['FromPort'], one['ToPort'], block['CidrIp'])
                  for group in ec2.account.all('security-group') if group['GroupName'] == name
                  for one in group['IpPermissions'] for block in one['IpRanges'])


def opened(*ports):
    return sorted((protocol, port, port, '0.0.0.0/0') for protocol, port in ports)


def test_open_ports(ec2, driver, machine):
    machine.create(driver, open_port=['80', '80/tcp', '53/udp', '22', '2376/tcp', '443/'], ssh_port=2222)
    wanted = opened(('tcp', 2222), ('tcp', 2376), ('tcp', 80), ('udp', 53), ('tcp', 22), ('tcp', 443))
    assert rules(ec2) == wanted and ec2.log.count('AuthorizeSecurityGroupIngress') == 1
    other = Machine(ec2, machine.store.parent / 'other', 'm2', 'b' * 32)
    other.create(driver, open_port=['8080', '80'])
    assert rules(ec2) == sorted(wanted + opened(('tcp', 8080)))
    assert len(ec2.log.of('AuthorizeSecurityGroupIngress')[-1].params['IpPermissions']) == 1


def test_groups_that_are_read_only(ec2, driver, machine):
    group = ec2.account.add_group('mine', 'x', ec2.default_vpc())
    machine.create(driver, security_group=['mine'], security_group_readonly=True, open_port=['80'])
    assert machine.state['SecurityGroupIds'] == [group] and rules(ec2, 'mine') == []
    assert launch(ec2)['NetworkInterfaces'][0]['Groups'] == [group]


def test_several_groups(ec2, driver, machine):
    elsewhere = next(one for one in ec2.account.all('vpc') if not one['IsDefault'])['VpcId']
    ec2.account.add_group('two', 'of another VPC', elsewhere)
    two = ec2.account.add_group('two', 'x', ec2.default_vpc())
    machine.create(driver, security_group=['one', 'two', 'one', 'three'])
    first, second, third = machine.state['SecurityGroupIds']
    assert second == two and launch(ec2)['NetworkInterfaces'][0]['Groups'] == [first, two, third]
    assert rules(ec2, 'one') == opened(('tcp', 22), ('tcp', 2376)) == rules(ec2, 'three')
    assert ec2.log.count('CreateSecurityGroup') == 2 and len(running(ec2)) == 1


def test_group_that_somebody_else_makes(ec2, driver, machine):
    """Between the look and the making."""
    ec2.faults.hook('DescribeSecurityGroups', APPLIED,
                    lambda request: ec2.account.add_group('docker-machine', 'x', ec2.default_vpc()))
    machine.create(driver)
    assert groups_once(ec2) == 1 and rules(ec2) == opened(('tcp', 22), ('tcp', 2376))
    assert ec2.log.of('CreateSecurityGroup')[0].status == 400


def test_rule_that_somebody_else_adds(ec2, driver, machine):
    """One of them is there meanwhile, so that none is taken; the others have to be there nevertheless."""
    def add(_request):
        group = next(one for one in ec2.account.all('security-group') if one['GroupName'] == 'docker-machine')
        group['IpPermissions'].append({'IpProtocol': 'tcp', 'FromPort': 2376, 'ToPort': 2376,
                                       'IpRanges': [{'CidrIp': '0.0.0.0/0'}]})

    ec2.faults.hook('CreateSecurityGroup', APPLIED, lambda request: ec2.faults.hook(
        'DescribeSecurityGroups', APPLIED, add))
    machine.create(driver, open_port=['80'])
    assert rules(ec2) == opened(('tcp', 22), ('tcp', 2376), ('tcp', 80))


# what is launched

def test_launch_in_full(ec2, driver, machine):
    machine.create(driver, monitoring=True, use_ebs_optimized_instance=True, iam_instance_profile='docker-host',
                   tags='team, a & <b>,empty,,odd')
    params = launch(ec2)
    assert (params['MinCount'], params['MaxCount'], params['ClientToken']) == (1, 1, machine.ident)
    assert params['Monitoring'] == {'Enabled': True} and params['EbsOptimized'] is True
    assert params['IamInstanceProfile'] == {'Name': 'docker-host'}
    assert params['MetadataOptions'] == {'HttpTokens': 'required', 'HttpPutResponseHopLimit': 2}
    assert 'InstanceMarketOptions' not in params
    tags = {one['ResourceType']: {tag['Key']: tag.get('Value', '') for tag in one['Tags']}
            for one in params['TagSpecifications']}
    assert set(tags) == {'instance', 'volume', 'network-interface'}
    assert all(one['Name'] == 'm1' and one['team'].strip() == 'a & <b>' and one['empty'] == '' for one in tags.values())
    machine.finish(driver, 'remove')


def test_plain_launch(ec2, driver, machine):
    machine.create(driver)
    params = launch(ec2)
    assert params['Monitoring'] == {'Enabled': False} and 'EbsOptimized' not in params
    assert 'IamInstanceProfile' not in params and params['InstanceType'] == 't3.micro'


def test_spot(ec2, driver, machine):
    machine.create(driver, request_spot_instance=True, spot_price='0.07', block_duration_minutes=60)
    params = launch(ec2)
    assert params['InstanceMarketOptions'] == {'MarketType': 'spot', 'SpotOptions': {
        'MaxPrice': '0.07', 'SpotInstanceType': 'one-time'}}
    assert 'spot-instances-request' in [one['ResourceType'] for one in params['TagSpecifications']]
    request = machine.state['SpotInstanceRequestId']
    assert request == machine.instance['SpotInstanceRequestId']
    machine.fails(driver, 'stop', 'notSupported', "can't stop the Spot Instance")
    machine.finish(driver, 'remove')
    assert ec2.log.actions()[-3:] == ['TerminateInstances', 'CancelSpotInstanceRequests', 'DeleteKeyPair']
    assert only_groups(ec2)
    other = Machine(ec2, machine.store.parent / 'other', 'm2', 'b' * 32)
    other.configure(driver, request_spot_instance=True, spot_price='0.0001')
    other.fails(driver, 'create', 'user', 'SpotMaxPriceTooLow')


@pytest.mark.parametrize('flag, public', [('private_address_only', False), ('use_private_address', True)])
def test_private_addresses(ec2, driver, machine, flag, public):
    machine.create(driver, **{flag: True})
    assert launch(ec2)['NetworkInterfaces'][0]['AssociatePublicIpAddress'] is public
    private = machine.instance['PrivateIpAddress']
    assert ('PublicIpAddress' in machine.instance) is public
    report = machine.report(driver)
    assert machine.state['IPAddress'] == report['ip'] == private and report['url'] == f'tcp://{private}:2376'
    machine.finish(driver, 'stop')
    assert machine.report(driver)['ip'] == private # which stays its own
    machine.finish(driver, 'start')
    assert machine.state['IPAddress'] == private


# user data

def test_host_key_is_given(ec2, driver, machine):
    machine.create(driver)
    data, there = host_key_sent(machine.instance)
    assert data.startswith('#cloud-config') and there and machine.state['HostKey'].split()[1] in data
    assert machine.report(driver)['ssh']['hostKeys'] == [machine.state['HostKey']]
    assert [path.name for path in machine.folder.glob('ssh_host*') if path.suffix != '.pub'] == []


@pytest.mark.parametrize('text, keeps_key', [
    ('#cloud-config\npackages: [jq]\n', True), ('#!/bin/sh\necho hello\n', True), ('{"ignition": {}}\n', False)])
def test_user_data(ec2, driver, machine, tmp_path, text, keeps_key):
    (tmp_path / 'data').write_text(text)
    machine.configure(driver, userdata=str(tmp_path / 'data')).check(driver).finish(driver, 'create')
    data, there = host_key_sent(machine.instance)
    assert there is keeps_key and ('hostKeys' in machine.report(driver)['ssh']) is keeps_key
    assert bool(machine.state['HostKey']) is keeps_key
    if not keeps_key:
        assert data == text
    else:
        assert 'jq' in data or 'echo hello' in data or 'base64' in data


def test_user_data_that_is_compressed(ec2, driver, machine, tmp_path):
    """It goes as it is, and nothing can be added."""
    data = gzip.compress(b'#cloud-config\npackages: [jq]\n')
    (tmp_path / 'data').write_bytes(data)
    machine.configure(driver, userdata=str(tmp_path / 'data')).check(driver).finish(driver, 'create')
    assert machine.instance['_data'] == data and machine.state['HostKey'] == ''
    assert 'hostKeys' not in machine.report(driver)['ssh']
    (said,) = warnings(driver)
    assert '--amazonec2-userdata' in said and 'trusted' in said


def test_user_data_that_is_neither(ec2, driver, machine, tmp_path):
    (tmp_path / 'data').write_bytes('#!/bin/sh\n'.encode('utf-16'))
    machine.configure(driver, userdata=str(tmp_path / 'data'))
    for method in 'preCreateCheck', 'create':
        machine.fails(driver, method, 'user', '--amazonec2-userdata', 'gzip')
    assert ec2.log.count('RunInstances') == 0


# endpoints

def test_endpoint_forms(ec2, driver, machine, tmp_path):
    address = ec2.url.partition('://')[2]
    for endpoint, plain in (ec2.url, False), (ec2.url + '/', False), (address, True), (address + '/', True):
        machine.configure(driver, endpoint=endpoint, insecure_transport=plain).check(driver)
    machine.configure(driver, endpoint=address) # https, which is not spoken there
    machine.fails(driver, 'preCreateCheck', 'unavailable')
    ec2.log.clear()
    for violation in list(ec2.violations):
        ec2.forgive(violation)
    for variable in 'AWS_ENDPOINT_URL_EC2', 'AWS_ENDPOINT_URL':
        with start(**{variable: ec2.url}) as other:
            Machine(ec2, tmp_path / variable).configure(other, endpoint='').check(other)
    assert ec2.log.actions() == ['DescribeKeyPairs', *LOOK_UPS] * 2


@pytest.mark.parametrize('variable', ['AWS_ENDPOINT_URL_EC2', 'AWS_ENDPOINT_URL'])
def test_endpoint_is_kept(ec2, machine, variable):
    """Whoever removes the machine finds it where it was made."""
    with start(**{variable: ec2.url}) as driver:
        machine.create(driver, endpoint='')
        assert machine.state['Endpoint'] == ec2.url
    with Ec2() as other:
        for env in {variable: other.url}, {}:
            with start(**env) as driver:
                assert machine.report(driver)['state'] == 'Running'
        with start() as driver:
            machine.finish(driver, 'remove')
        assert only_groups(ec2) and other.log.actions() == []


def test_endpoint_that_is_not_there(driver, machine):
    """A wrong address is told at once."""
    machine.configure(driver, endpoint='http://127.0.0.1:1')
    error = machine.fails(driver, 'preCreateCheck', 'unavailable', '127.0.0.1:1')
    assert 'look up the key pair' in error.message


@pytest.mark.parametrize('region', ['', 'custom-endpoint'])
def test_region_of_ones_own(ec2, driver, machine, region):
    """Calls are signed for us-east-1."""
    machine.create(driver, region=region, ami=ec2.image())
    assert machine.state['Region'] == region


def test_regions_without_an_address(driver, tmp_path):
    with Ec2() as ec2:
        machine = Machine(ec2, tmp_path)
        for region in 'us-iso-east-1', 'eusc-de-east-1', 'custom-endpoint':
            machine.configure(driver, region=region, endpoint='', ami='ami-1')
            machine.fails(driver, 'preCreateCheck', 'user', region, '--amazonec2-endpoint')
