"""The driver openstack against a strict fake of the five services: what it makes, tells the state of, and removes."""

import base64
import json
import time

import pytest

from driverclient import DriverError
from fakes.httpfake import RECEIVED, Instead, Refuse
from openstackdriver import BASIC, FULL, ID, cloud, counts, fake, host, made, make_host, settle # noqa: F401


def test_life(host, cloud, fake):
    host.configure(BASIC)
    host.driver.call('preCreateCheck', machine=host.machine())
    assert not cloud.created and host.report()['state'] == 'Error'
    host.call('create')
    assert counts(cloud) == {'keypairs': 1, 'servers': 1}
    assert fake.log.actions().count('POST identity/auth/tokens') == 1
    asked = made(cloud)
    data = base64.b64decode(asked['server'].pop('user_data')).decode()
    assert asked == {'server': {
        'name': 'web1', 'flavorRef': 'flavor-large', 'imageRef': 'image-ubuntu', 'key_name': f'web1-{ID}',
        'metadata': {'docker-machine-id': ID}}}
    assert data.startswith('#cloud-config') and 'ssh_keys' in data and 'PRIVATE KEY' in data
    report = host.report()
    assert report['state'] == 'Running' and report['ip'] == cloud.servers[0]['_address']
    assert report['ssh']['hostKeys'] == [host.state['HostKey']] and report['ssh']['user'] == 'root'
    assert not (host.folder / 'ssh_host_ed25519_key').exists()
    fake.log.clear()
    host.call('create')
    assert not fake.log.actions()
    for method, state in [('start', 'Running'), ('stop', 'Stopped'), ('stop', 'Stopped'), ('kill', 'Stopped'),
                          ('start', 'Running'), ('restart', 'Starting')]:
        host.call(method)
        assert host.report()['state'] in (state, 'Running')
    host.call('remove')
    host.call('remove')
    assert cloud.servers[0]['OS-EXT-STS:task_state'] == 'deleting'
    assert host.report()['state'] == 'Error' and 'does not exist' in host.report()['message']
    settle(cloud)
    assert host.report()['state'] == 'Error' and not cloud.left()


def test_everything(host, cloud, fake):
    data = '#!/bin/sh\necho hello\n'
    (host.store / 'data').write_text(data)
    host.configure({**FULL, 'openstack-user-data-file': str(host.store / 'data')})
    assert base64.b64decode(host.state['UserData']).decode() == data
    assert host.state['SecurityGroups'] == ['default', 'web'] and host.state['Metadata'] == {'k': 'v', 'empty': ''}
    host.driver.call('preCreateCheck', machine=host.machine())
    host.call('create')
    assert counts(cloud) == {key: 1 for key in ('keypairs', 'servers', 'volumes', 'floatingips', 'security_groups')}
    asked = made(cloud)
    assert 'echo hello' in base64.b64decode(asked['server']['user_data']).decode()
    assert asked['os:scheduler_hints'] == {'group': 'group-1'}
    assert asked['server']['networks'] == [{'uuid': 'net-a'}] and asked['server']['config_drive'] is True
    assert asked['server']['security_groups'] == [
        {'name': 'default'}, {'name': 'web'}, {'name': cloud.security_groups[-1]['id']}]
    assert asked['server']['metadata'] == {'k': 'v', 'empty': '', 'docker-machine-id': ID}
    assert sorted(rule['port_range_min'] for rule in cloud.rules) == [22, 2376]
    assert cloud.volumes[0] | {'id': 0, '_looks': 0} == {
        'name': 'web1-data', 'size': 3, 'availability_zone': 'nova', 'metadata': {'docker-machine-id': ID},
        'status': 'in-use', 'id': 0, '_looks': 0}
    assert host.report()['ip'] == cloud.floatingips[0]['floating_ip_address']
    host.call('remove')
    assert not cloud.left()
    order = [action for action in fake.log.actions() if action.startswith('DELETE')]
    kinds = ['floatingips', 'servers', 'volumes', 'os-keypairs', 'security-groups']
    assert [kind for kind in kinds for action in order if kind in action] == [
        kind for action in order for kind in kinds if kind in action]


def test_many_states_are_one_list(host, cloud, fake):
    host.configure(BASIC)
    host.call('create')
    cloud.servers += [{**cloud.servers[0], 'id': f'more-{n}', 'name': f'more{n}'} for n in range(4)]
    states = [host.state, *({**host.state, 'MachineId': f'more-{n}'} for n in range(5))]
    fake.log.clear()
    reports = host.driver.call('states', machines=[host.machine(state) for state in states])['machines']
    assert [report['state'] for report in reports] == ['Running'] * 5 + ['Error']
    assert fake.log.actions() == ['GET compute/servers/detail'] * 3 + ['GET compute/servers/ID']


@pytest.mark.parametrize('more', [0, 4])
def test_member_of_another_type(host, cloud, more):
    """It is told, not taken for one that is not there."""
    host.configure(BASIC)
    host.call('create')
    good = host.state
    host.state = {**good, 'MachineId': 5}
    reports = host.driver.call('states', machines=[host.machine(state) for state in [host.state, *[good] * more]])['machines']
    assert reports[0]['error']['data']['kind'] == 'user' and 'MachineId' in reports[0]['error']['message']
    assert [report['state'] for report in reports[1:]] == ['Running'] * more
    for method in ('create', 'start', 'stop', 'restart', 'remove'):
        host.fails(method, 'MachineId')
    assert counts(cloud) == {'keypairs': 1, 'servers': 1}


@pytest.mark.parametrize('action, body, status, text', [
    ('DELETE compute/servers/ID', b'<html>no such page</html>', 404, '404'),
    ('DELETE volume/volumes/ID', b'', 404, '404 Not Found'), ('DELETE volume/volumes/ID', b'', 410, '410 Gone'), ('DELETE network/security-groups/ID', b'', 404, '404'),
    ('GET compute/servers/detail', b'{}', 200, 'no list'), ('GET network/floatingips', b'[]', 200, 'no list')])
def test_answers_of_a_proxy(host, cloud, fake, action, body, status, text):
    """They do not tell that something is gone."""
    host.configure(FULL)
    host.call('create')
    fake.faults.add(action, Instead(body, status, applied=False))
    with pytest.raises(DriverError, match=text):
        host.call('remove')
    host.call('remove')
    assert not cloud.left()


@pytest.mark.parametrize('status, task, state', [
    ('BUILD', None, 'Starting'), ('REBOOT', None, 'Starting'), ('PAUSED', None, 'Paused'), ('SUSPENDED', None, 'Saved'),
    ('SHELVED_OFFLOADED', None, 'Saved'), ('SHUTOFF', None, 'Stopped'), ('ERROR', None, 'Error'),
    ('VERIFY_RESIZE', None, 'Running'), ('UNKNOWN', None, ''), ('ACTIVE', 'powering-off', 'Stopping'),
    ('SHUTOFF', 'powering-on', 'Starting'), ('ACTIVE', 'deleting', 'Stopping'), ('SOFT_DELETED', None, 'Error')])
def test_states(host, cloud, status, task, state):
    host.configure(BASIC)
    host.call('create')
    cloud.servers[0].update({'status': status, 'OS-EXT-STS:task_state': task, '_looks': 1})
    assert host.report()['state'] == state


@pytest.mark.parametrize('status, action', [('PAUSED', 'unpause'), ('SUSPENDED', 'resume'), ('SHELVED', 'unshelve')])
def test_starts_as_it_was_stopped(host, cloud, fake, status, action):
    host.configure(BASIC)
    host.call('create')
    cloud.servers[0]['status'] = status
    host.call('start')
    assert json.loads(fake.log.of('POST compute/servers/ID/action')[0].body) == {action: None}


def test_server_that_fails(host, cloud):
    """Its fault is told; create replaces it."""
    cloud.fault = 'No valid host was found.'
    host.configure(BASIC)
    with pytest.raises(AssertionError, match='No valid host was found'):
        host.call('create')
    cloud.fault = None
    host.call('create')
    assert [server['status'] for server in cloud.servers if server['OS-EXT-STS:task_state'] != 'deleting'] == ['ACTIVE']
    host.call('remove')
    settle(cloud)
    assert not cloud.left()


def test_volume_that_fails(host, cloud):
    """It is removed, and told; create makes another."""
    cloud.volume_fault = True
    host.configure(FULL)
    with pytest.raises(DriverError, match='volume-.* could not be made.* error'):
        host.call('create')
    assert not cloud.volumes
    cloud.volume_fault = False
    host.call('create')
    assert counts(cloud)['volumes'] == 1
    host.call('remove')
    assert not cloud.left()


@pytest.mark.parametrize('deletion', ['refused', 'error_deleting', 'deleting'])
def test_failed_volume_that_is_not_deleted(host, cloud, deletion):
    """It is the machine's until it is gone. One that goes, or that somebody has deleted, is replaced."""
    cloud.volume_fault, cloud.volume_deletion = True, deletion
    host.configure(FULL)
    with pytest.raises(DriverError, match='volume-.* could not be made.* error'):
        host.call('create')
    (volume,) = cloud.volumes
    assert host.state['VolumeId'] == volume['id'] and host.state['VolumeCreated']
    cloud.volume_fault = False
    if deletion != 'deleting':
        with pytest.raises(DriverError, match='volume-.* could not be made'):
            host.call('create')
        assert cloud.volumes == [volume]
        cloud.volumes.clear()
    host.call('create')
    assert counts(cloud)['servers'] == 1 and host.state['VolumeId'] not in ('', volume['id'])
    cloud.volume_deletion = None
    host.call('remove')
    cloud.volumes = [left for left in cloud.volumes if left['status'] != 'deleting']
    assert not cloud.left()


def test_remove_with_a_volume_that_stays(host, cloud):
    """Remove ends, and says why; when it can be deleted it is."""
    cloud.volume_fault, cloud.volume_deletion = True, 'refused'
    host.configure(FULL)
    with pytest.raises(DriverError, match='could not be made'):
        host.call('create')
    outcome = host.driver.call('remove', machine=host.machine(), on_checkpoint=host.keep)
    assert outcome['status'] == 'wait' and 'the volume to be free' in outcome['message']
    host.state = {**outcome['state'], 'RemoveUntil': int(time.time()) - 1}
    host.fails('remove', 'the volume to be free', 'dependent snapshots')
    cloud.volume_deletion = None
    host.call('remove')
    assert not cloud.left()


def test_volume_of_a_refused_server_whose_deletion_fails(host, cloud):
    cloud.fault, cloud.volume_deletion = 'quota', 'error_deleting'
    host.configure({**BASIC, 'openstack-volume-size': 1})
    with pytest.raises(DriverError, match='create the server'):
        host.call('create')
    assert [volume['status'] for volume in cloud.volumes] == ['error_deleting']
    cloud.volume_deletion = None
    host.call('remove')
    assert not cloud.left()


@pytest.mark.parametrize('method, status, task', [
    ('stop', 'SHUTOFF', None), ('stop', 'ACTIVE', 'powering-off'), ('start', 'ACTIVE', None), ('start', 'SHUTOFF', 'powering-on')])
def test_somebody_else_is_faster(host, cloud, fake, method, status, task):
    """The refusal of what is done, or under way, is no error."""
    host.configure(BASIC)
    host.call('create')
    cloud.servers[0]['status'] = 'ACTIVE' if method == 'stop' else 'SHUTOFF'
    action = 'POST compute/servers/ID/action'
    fake.faults.hook(action, RECEIVED, lambda _: cloud.servers[0].update(
        {'status': status, 'OS-EXT-STS:task_state': task, '_looks': 1}))
    fake.faults.add(action, Refuse(409, 'conflictingRequest', 'Cannot do that while it is in another state'))
    host.call(method)
    assert host.report()['state'] == {'stop': 'Stopped', 'start': 'Running'}[method]


def test_refused_action(host, cloud, fake):
    host.configure(BASIC)
    host.call('create')
    fake.faults.add('POST compute/servers/ID/action', Refuse(409, 'conflictingRequest', 'it is locked'))
    host.fails('stop', 'os-stop the server', 'it is locked')


def test_start_of_what_runs_ends_the_wait_of_a_create(host, cloud):
    """Otherwise it would be late for ever."""
    host.configure(BASIC)
    host.call('create')
    host.state['WaitUntil'] = int(time.time()) - 5
    host.call('start')
    assert not host.state['WaitUntil']
    cloud.servers[0]['status'] = 'SHUTOFF'
    assert host.report()['state'] == 'Stopped'


def test_server_that_takes_too_long(host, cloud):
    cloud.build_polls = 100000
    host.configure({**BASIC, 'openstack-active-timeout': 1})
    outcome = host.driver.call('create', machine=host.machine())
    assert outcome['waitFor'] == 'Running'
    host.state = {**outcome['state'], 'WaitUntil': outcome['state']['WaitUntil'] - 5}
    assert host.report()['state'] == 'Error' and 'openstack-active-timeout' in host.report()['message']


def test_server_that_is_stopped_while_it_is_waited_for(host, cloud):
    host.configure(BASIC)
    host.driver.call('create', machine=host.machine(), on_checkpoint=host.keep)
    cloud.servers[0].update({'status': 'SHUTOFF', 'OS-EXT-STS:task_state': None})
    host.state = host.driver.call('create', machine=host.machine())['state']
    assert host.report()['state'] == 'Stopped'
    host.state['WaitUntil'] = int(time.time()) - 5
    assert host.report()['state'] == 'Error' and 'SHUTOFF' in host.report()['message']
    host.call('start')
    assert host.report()['state'] == 'Running'
    host.call('create')
    assert host.report()['ip']


def test_address_that_takes_a_while(host, cloud):
    """A minute, whatever was left of the time for the server."""
    host.configure(BASIC)
    host.driver.call('create', machine=host.machine(), on_checkpoint=host.keep)
    cloud.servers[0].update({'status': 'ACTIVE', 'OS-EXT-STS:task_state': None})
    host.state['WaitUntil'] = int(time.time()) - 1
    outcome = host.driver.call('create', machine=host.machine())
    assert outcome['status'] == 'wait' and 'address' in outcome['message']
    host.state = {**outcome['state'], 'AddressUntil': int(time.time()) - 1}
    with pytest.raises(DriverError, match='no IP found'):
        host.driver.call('create', machine=host.machine(), on_checkpoint=host.keep)
    assert not host.state['AddressUntil']


@pytest.mark.parametrize('allowed', [True, False])
def test_cloud_that_keeps_what_is_deleted(host, cloud, allowed):
    """And the volume and the group that it holds."""
    host.configure(FULL)
    host.call('create')
    cloud.soft_delete, cloud.force_delete = True, allowed
    if allowed:
        host.call('remove')
        assert not cloud.left()
        return
    for _ in range(2):
        outcome = host.driver.call('remove', machine=host.machine(), on_checkpoint=host.keep)
        assert outcome['status'] == 'wait' and 'to be gone' in outcome['message']
    host.state = {**outcome['state'], 'RemoveUntil': int(time.time()) - 1}
    host.fails('remove', 'to be gone', 'os-deferred-delete')


def test_reason_of_what_cannot_be_removed(host, cloud):
    host.configure(FULL)
    host.call('create')
    cloud.delete_polls = 0
    cloud.servers[0]['_volumes'].clear() # the volume does not learn that it is free
    host.state['RemoveUntil'] = int(time.time()) + 100
    outcome = host.driver.call('remove', machine=host.machine())
    host.state = {**outcome['state'], 'RemoveUntil': int(time.time()) - 1}
    host.fails('remove', 'the volume to be free', 'Volume status must be available')


def test_deadline_of_an_earlier_remove(host, cloud):
    host.configure(FULL)
    host.call('create')
    host.state['RemoveUntil'] = int(time.time()) - 3600
    host.call('remove')
    assert not cloud.left()


def test_refused_server_leaves_nothing(host, cloud):
    cloud.fault = 'quota'
    host.configure({**BASIC, 'openstack-sec-group-create': True, 'openstack-volume-size': 1})
    with pytest.raises(DriverError) as caught:
        host.call('create')
    assert caught.value.kind == 'quota' and 'create the server' in caught.value.message
    assert not cloud.left()
    cloud.fault = None
    host.call('create')
    assert counts(cloud)['servers'] == 1


def test_machine_of_another_program(host, cloud):
    """Docker Machine's state has fewer members, and its fork writes one of them in other letters."""
    host.configure(BASIC)
    host.call('create')
    kept = ('IPAddress', 'AuthUrl', 'Username', 'Password', 'TenantName', 'Region', 'MachineId', 'KeyPairName', 'IpVersion')
    host.state = {**{key: host.state[key] for key in kept}, 'DomainId': 'default', 'UserData': None, 'Other': 1}
    assert host.report()['state'] == 'Running'
    host.call('stop')
    assert host.state['Other'] == 1
    host.call('remove')
    settle(cloud)
    assert not cloud.left()


def test_remove_of_nothing_asks_nobody(host, fake):
    host.configure(BASIC)
    host.call('remove')
    assert not fake.log.actions()
