"""The driver amazonec2 and the fake of EC2: the life of machines, their states, and how they are told apart."""

import json
import subprocess

import pytest

from driverclient import DriverError
from ec2driver import (ID, LOOK_UPS, MAKING, Machine, driver, ec2, groups_once, keys, launched, logged, machine,
                       only_groups, running, start, warnings)
from fakes.ec2 import SECRET_KEY, Refuse


# life

def test_life_of_a_machine(ec2, driver, machine):
    machine.configure(driver)
    assert ec2.log.actions() == [] # it uses no network
    machine.check(driver)
    assert ec2.log.actions() == ['DescribeKeyPairs', *LOOK_UPS] and ec2.leaks() == []
    assert machine.report(driver)['state'] == 'Error' and not list(machine.folder.iterdir())
    ec2.log.clear()

    machine.finish(driver, 'create')
    assert machine.waits == ['Running']
    actions = ec2.log.actions()
    own = MAKING[len(LOOK_UPS):] # the others are known from the check
    assert actions[:len(own)] == own and set(actions[len(own):]) == {'DescribeInstances'}
    assert len(running(ec2)) == 1 and keys(ec2) == ['m1'] and groups_once(ec2) == 1
    address = machine.instance['PublicIpAddress']
    assert machine.state['IPAddress'] == address and machine.state['PrivateIPAddress'] == \
        machine.instance['PrivateIpAddress']
    ec2.log.clear()
    assert machine.once(driver, 'create')['status'] == 'done' and ec2.log.actions() == []

    report = machine.report(driver)
    assert (report['state'], report['ip'], report['url']) == ('Running', address, f'tcp://{address}:2376')
    assert report['ssh'] == {'host': address, 'port': 22, 'user': 'ubuntu',
                             'keyPath': str(machine.folder / 'id_ed25519'),
                             'hostKeys': [machine.state['HostKey']]}
    before = machine.state
    machine.finish(driver, 'remove')
    assert only_groups(ec2) and keys(ec2) == []
    report = machine.report(driver)
    assert report['state'] == 'Error' and 'was removed' in report['message'] # at once
    ec2.log.clear()
    machine.finish(driver, 'remove')
    assert ec2.log.actions() == []
    machine.state = before # the record was not stored
    assert machine.report(driver)['state'] == 'Stopping'
    for _ in range(3):
        report = machine.report(driver)
    assert report['state'] == 'Error' and 'terminated' in report['message']
    machine.finish(driver, 'remove')
    machine.state = before
    ec2.account.forget(machine.state['InstanceId'])
    report = machine.report(driver)
    assert report['state'] == 'Error' and 'does not exist' in report['message']
    machine.finish(driver, 'remove')
    assert driver.end() == 0 and driver.errors == b''


def test_power(ec2, driver, machine):
    machine.create(driver)
    addresses, seen = [machine.state['IPAddress']], []
    ec2.account.watchers.append(lambda instance, old, new: seen.append(new))
    ec2.account.public.append('127.77.77.200')
    table = [('start', [], []), ('stop', ['Stopped'], ['stopping', 'stopped']), ('stop', [], []), ('kill', [], []),
             ('start', ['Running'], ['pending', 'running']), ('restart', [], ['rebooting']),
             ('kill', ['Stopped'], ['stopping', 'stopped']), ('start', ['Running'], ['pending', 'running'])]
    for method, waits, states in table:
        seen.clear()
        machine.finish(driver, method)
        assert (machine.waits, seen) == (waits, states), method
        report = machine.report(driver)
        assert (report['state'], report.get('ip')) == (
            ('Stopped', None) if method in ('stop', 'kill') else ('Running', machine.state['IPAddress']))
        addresses.append(machine.state['IPAddress'])
    assert addresses == [addresses[0]] * 5 + ['127.77.77.200'] * 3 + [addresses[0]] # another one after a stop
    forces = [request.params['Force'] for request in ec2.log.of('StopInstances')]
    assert forces == [False, True]


def test_power_comes_at_the_wrong_moment(ec2, driver, machine):
    """What is on its way elsewhere gets there first."""
    machine.create(driver)
    ec2.account.pace['stopping'] = (6, 0.0)
    assert machine.once(driver, 'stop')['waitFor'] == 'Stopped'
    outcome = machine.once(driver, 'start') # while it stops
    assert outcome['status'] == 'wait' and 'waitFor' not in outcome
    machine.finish(driver, 'start')
    assert machine.report(driver)['state'] == 'Running'
    ec2.account.pace['pending'] = (6, 0.0)
    machine.finish(driver, 'stop')
    machine.once(driver, 'start')
    assert machine.report(driver)['state'] == 'Starting'
    machine.finish(driver, 'stop')
    assert machine.report(driver)['state'] == 'Stopped'


def test_power_of_what_is_gone(ec2, driver, machine):
    machine.create(driver)
    before, identity = machine.state, machine.state['InstanceId']
    machine.finish(driver, 'remove')
    for method in 'start', 'stop', 'kill', 'restart':
        machine.fails(driver, method, 'notFound', 'was removed')
    machine.state = before
    for _ in range(3):
        machine.report(driver)
    for method in 'start', 'stop', 'kill':
        machine.fails(driver, method, 'notRunning', identity, 'terminated')
    ec2.account.forget(identity)
    for method in 'start', 'stop', 'kill', 'restart':
        machine.fails(driver, method, 'notFound', identity)


def test_a_cloud_that_knows_no_ed25519(ec2, driver, machine):
    ec2.account.only_rsa = True
    machine.configure(driver).finish(driver, 'create', timeout=120) # the key takes its time
    key = machine.folder / 'id_rsa'
    (pair,) = ec2.account.all('key-pair')
    shown = subprocess.run(['ssh-keygen', '-y', '-f', key], check=True, capture_output=True, text=True).stdout.split()
    assert shown[0] == 'ssh-rsa' and shown[:2] == pair['_public'].split()[:2] and not key.is_symlink()
    assert machine.state['SSHKeyPath'] == str(key) == machine.report(driver)['ssh']['keyPath']
    assert ec2.log.count('ImportKeyPair') == 2 and any('RSA' in text for text in logged(driver))
    machine.finish(driver, 'remove')
    assert keys(ec2) == [] and only_groups(ec2)


def test_what_machines_have_in_common(ec2, driver, machine, tmp_path):
    """It is asked for by the first of them, unless an error casts doubt on it, or it was changed."""
    own = ['DescribeKeyPairs', 'ImportKeyPair', 'RunInstances']
    anew = ['DescribeKeyPairs', *LOOK_UPS, 'ImportKeyPair', 'DescribeSecurityGroups', 'RunInstances']

    def asked(number, **flags):
        ec2.log.clear()
        one = Machine(ec2, tmp_path / f'store{number}', f'w{number}', f'{number:032x}')
        one.configure(driver, **flags).check(driver)
        one.once(driver, 'create')
        return ec2.log.actions()
    machine.configure(driver).check(driver)
    machine.once(driver, 'create')
    assert asked(2) == anew # since the group was made
    assert asked(3) == own
    assert asked(4, open_port=['80']) == [*own[:2], 'AuthorizeSecurityGroupIngress', 'RunInstances']
    assert asked(5, open_port=['80']) == anew
    assert asked(6, open_port=['80']) == own
    assert asked(7, zone='us-east-1b') == ['DescribeKeyPairs', 'DescribeSubnets', *own[1:]]
    ec2.faults.add('RunInstances', Refuse(400, 'InvalidParameterValue'))
    with pytest.raises(DriverError):
        asked(8)
    assert asked(9) == anew
    assert len(running(ec2)) == 8 and groups_once(ec2) == 1


def test_late_address(ec2, driver, machine):
    """Running is not enough: the address has to be there as well."""
    ec2.account.late_address = 3
    machine.configure(driver)
    machine.once(driver, 'create')
    states = [machine.report(driver) for _ in range(6)]
    assert [one['state'] for one in states if not one.get('ip')] == ['Starting'] * 4 # the first of them pending
    assert states[-1]['state'] == 'Running' and states[-1]['ip']
    machine.finish(driver, 'create')
    assert machine.state['IPAddress']


def test_instance_that_does_not_start(ec2, driver, machine):
    machine.configure(driver)
    machine.once(driver, 'create')
    ec2.account.instance('m1')['StateReason'] = {'Code': 'x', 'Message': 'Client.VolumeLimitExceeded: too many'}
    machine.instance.update(State={'Code': 48, 'Name': 'terminated'})
    report = machine.report(driver)
    assert report['state'] == 'Error' and 'VolumeLimitExceeded' in report['message']
    machine.fails(driver, 'create', 'unavailable', 'does not start', 'terminated', 'too many')
    machine.finish(driver, 'remove')
    assert keys(ec2) == []


def test_what_is_written_down_first(ec2, driver, machine):
    """At each checkpoint nothing is there that the state before could not find (C2)."""
    seen = []

    def look(state):
        machine.save(state)
        seen.append((state['KeyName'], state['KeyPairId'], keys(ec2), state['Id'], state['InstanceId'], running(ec2)))

    machine.configure(driver).finish(driver, 'create', on_checkpoint=look)
    assert seen[0] == ('m1', '', [], '', '', [])
    assert seen[1][1] == ec2.account.all('key-pair')[0]['KeyPairId'] and seen[1][3:] == ('', '', [])
    assert seen[-2][3:] == (ID, '', [])
    assert seen[-1][3:] == (ID, machine.state['InstanceId'], running(ec2))


def test_the_login_key(ec2, driver, machine):
    machine.create(driver)
    path = machine.folder / 'id_ed25519'
    assert machine.state['SSHKeyPath'] == str(path) and path.stat().st_mode & 0o777 == 0o600
    public = subprocess.run(['ssh-keygen', '-y', '-f', path], check=True, capture_output=True, text=True).stdout
    assert ec2.account.all('key-pair')[0]['_public'].split()[:2] == public.split()[:2]


def test_two_machines_share_a_group(ec2, driver, tmp_path):
    one, two = (Machine(ec2, tmp_path, name, ident * 32) for name, ident in (('m1', 'a'), ('m2', 'b')))
    one.create(driver)
    ec2.log.clear()
    two.create(driver)
    assert ec2.log.actions()[:6] == [*LOOK_UPS, 'ImportKeyPair', 'DescribeSecurityGroups', 'RunInstances']
    assert one.state['SecurityGroupIds'] == two.state['SecurityGroupIds'] and len(running(ec2)) == 2
    one.finish(driver, 'remove')
    assert running(ec2) == [two.state['InstanceId']] and keys(ec2) == ['m2']
    two.finish(driver, 'remove')
    assert only_groups(ec2)


# states of many

def many(ec2, driver, machine, count):
    """References of machines that are there, of which the account has thought up the most."""
    machine.create(driver)
    model = machine.instance
    found = [machine.reference('')]
    for number in range(1, count):
        identity = f'i-{number:017x}'
        ec2.account.things['instance'][identity] = {
            **model, 'InstanceId': identity, 'PublicIpAddress': f'127.88.{number // 250}.{number % 250}',
            'BlockDeviceMappings': [], 'NetworkInterfaces': []}
        found.append({**machine.reference(''), 'name': f'm{number}',
                      'state': {**machine.state, 'InstanceId': identity, 'IPAddress': ''}})
    return found


def test_states_in_batches(ec2, driver, machine):
    size = driver.info['capabilities']['statesBatch']
    assert size == 200
    ec2.account.instances_max = 1000
    every = many(ec2, driver, machine, 300)
    every[7]['state']['InstanceId'] = 'i-0000000000000dead'
    every[9]['state']['InstanceId'] = ''
    ec2.account.things['instance'][every[8]['state']['InstanceId']]['State'] = {'Code': 48, 'Name': 'terminated'}
    ec2.account.page_size = 150
    ec2.log.clear()
    reports = [report for first in range(0, 300, size)
               for report in driver.call('states', machines=every[first:first + size])['machines']]
    asked = [request for request in ec2.log.of('DescribeInstances') if 'NextToken' not in request.params]
    assert [len(request.params['Filters'][0]['Values']) for request in asked] == [199, 100]
    assert ec2.log.count('DescribeInstances') == 3 # a page more
    bad = {7: 'does not exist', 8: 'terminated', 9: 'has not been launched'}
    for index, report in enumerate(reports):
        if index in bad:
            assert report['state'] == 'Error' and bad[index] in report['message'], report
        else:
            address = ec2.account.things['instance'][every[index]['state']['InstanceId']]['PublicIpAddress']
            assert (report['state'], report['ip']) == ('Running', address)


def test_states_need_no_instance(ec2, driver, machine):
    """Nothing is asked about machines that were not launched."""
    machine.configure(driver)
    reports = driver.call('states', machines=[machine.reference()] * 3)['machines']
    assert [report['state'] for report in reports] == ['Error'] * 3 and ec2.log.actions() == []


@pytest.mark.parametrize('member, value', [('InstanceId', 5), ('SecurityGroupIds', 'sg-1'), ('ExistingKey', 'true')])
def test_states_that_somebody_edited(ec2, driver, machine, member, value):
    """What reads as "there is none" would be forgotten, and paid for. The others are none the worse."""
    every = many(ec2, driver, machine, 3)
    machine.state = every[0]['state'] = {**every[0]['state'], member: value}
    ec2.log.clear()
    machine.fails(driver, 'remove', 'user', f'"{member}"', str(machine.folder / 'config.json'))
    assert ec2.log.actions() == []
    first, *others = driver.call('states', machines=every)['machines']
    assert f'"{member}"' in first['error']['message'] and {each['state'] for each in others} == {'Running'}


def test_states_that_cannot_be_had(ec2, driver, machine):
    references = many(ec2, driver, machine, 3)
    ec2.account.denied.add('DescribeInstances')
    (report,) = driver.call('states', machines=references[:1])['machines']
    assert report['error']['data']['kind'] == 'auth'
    with pytest.raises(DriverError) as caught:
        driver.call('states', machines=references)
    assert caught.value.kind == 'auth' and 'UnauthorizedOperation' in caught.value.message


def test_machines_are_grouped(driver):
    """By what a call is signed with, and where it goes to."""
    assert sorted(driver.info['capabilities']['groupBy']) == sorted(
        ['AccessKey', 'SecretKey', 'SessionToken', 'Region', 'Endpoint', 'DisableSSL'])


# what is not shown

def test_debug_shows_no_secret(ec2, machine):
    with start(debug=True, AWS_SESSION_TOKEN='') as driver:
        machine.create(driver, userdata='')
        machine.finish(driver, 'remove')
        text = '\n'.join(logged(driver)) + driver.errors.decode()
        assert 'RunInstances' in text or 'launch the instance' in text
        assert 'Action=ImportKeyPair' in text # what is harmless is shown
        for secret in SECRET_KEY, 'PRIVATE KEY', 'AWS4-HMAC':
            assert secret not in text
        assert warnings(driver) == [] and SECRET_KEY not in json.dumps(driver.notifications)
