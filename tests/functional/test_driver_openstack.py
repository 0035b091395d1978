"""The driver openstack against a strict fake of the five services: what it asks, what it makes and removes."""

import base64
import json
import subprocess
import time

import pytest

from driverclient import DriverError
from fakes.httpfake import RECEIVED, Instead, Refuse
from fakes.openstack_api import CREDENTIAL, OUTSIDE, PASSWORD, PROJECT, TOKEN
from openstackdriver import BASIC, FULL, ID, LOGIN, cloud, counts, fake, host, made, make_host, settle


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


@pytest.mark.parametrize('flags, form', [
    ({'openstack-user-id': 'id', 'openstack-password': PASSWORD, 'openstack-tenant-id': PROJECT},
     {'methods': ['password'], 'password': {'user': {'id': 'id', 'password': PASSWORD}}}),
    ({**LOGIN, 'openstack-domain-name': 'd', 'openstack-user-domain-id': 'ud'},
     {'methods': ['password'], 'password': {'user': {'name': 'u', 'domain': {'id': 'ud'}, 'password': PASSWORD}}}),
    ({'openstack-token': TOKEN, 'openstack-tenant-name': 'p'}, {'methods': ['token'], 'token': {'id': TOKEN}}),
    ({'openstack-application-credential-id': 'c', 'openstack-application-credential-secret': CREDENTIAL['secret']},
     {'methods': ['application_credential'],
      'application_credential': {'id': 'c', 'secret': CREDENTIAL['secret']}}),
    ({'openstack-application-credential-name': 'c', 'openstack-application-credential-secret': CREDENTIAL['secret'],
      'openstack-username': 'u'},
     {'methods': ['application_credential'], 'application_credential': {
         'name': 'c', 'secret': CREDENTIAL['secret'], 'user': {'name': 'u', 'domain': {'id': 'default'}}}}),
])
def test_ways_to_log_in(host, fake, flags, form):
    host.configure({**flags, 'openstack-flavor-id': 'flavor-tiny', 'openstack-image-id': 'image-debian',
                    'openstack-region': 'one'})
    host.driver.call('preCreateCheck', machine=host.machine())
    auth = json.loads(fake.log.of('POST identity/auth/tokens')[0].body)['auth']
    assert auth['identity'] == form
    project = {'id': PROJECT} if 'openstack-tenant-id' in flags else {
        'name': 'p', 'domain': {'name': 'd'} if 'openstack-domain-name' in flags else {'id': 'default'}}
    assert auth.get('scope') == (None if 'application_credential' in form else {'project': project})


def test_versions_are_asked_for(host, cloud, fake):
    cloud.versions = OUTSIDE
    host.configure({**BASIC, 'openstack-auth-url': f'{fake.url}/identity'})
    host.driver.call('preCreateCheck', machine=host.machine())
    assert fake.log.actions()[:2] == ['GET versions/identity/', 'POST identity/auth/tokens']


@pytest.mark.parametrize('status', [404, 410])
def test_versions_at_the_root(host, cloud, fake, status):
    """Where Docker Machine asks for them, whatever path is given."""
    cloud.versions = fake.url
    host.configure({**BASIC, 'openstack-auth-url': f'{fake.url}/identity'})
    fake.faults.add('GET versions/identity/', Refuse(status, 'error', 'nothing here'), times=None)
    host.driver.call('preCreateCheck', machine=host.machine())
    assert fake.log.actions()[:3] == ['GET versions/identity/', 'GET versions/', 'POST identity/auth/tokens']
    fake.faults.add('GET versions/', Refuse(status, 'error', 'nothing here'))
    host.revive()
    with pytest.raises(DriverError, match=f'{status} .*--openstack-auth-url') as caught:
        host.driver.call('preCreateCheck', machine=host.machine())
    assert caught.value.kind == 'user'


@pytest.mark.parametrize('status', [404, 410])
def test_identity_service_that_is_not_there(host, cloud, fake, status):
    """It tells nothing of the server."""
    host.configure(BASIC)
    host.call('create')
    cloud.tokens.clear()
    fake.faults.add('POST identity/auth/tokens', Refuse(status, 'error', 'nothing here'), times=None)
    assert host.report()['error']['data']['kind'] == 'user'
    host.fails('remove', str(status), '--openstack-auth-url')
    fake.faults.clear()
    host.call('remove')
    settle(cloud)
    assert not cloud.left()


def test_old_identity_service(host, fake):
    host.configure({**BASIC, 'openstack-auth-url': f'{fake.url}/identity/v2.0/'})
    host.call('create')
    assert host.report()['state'] == 'Running'
    assert fake.log.count('POST identity_old/tokens') == 1
    for flags, text in [({'openstack-domain-name': 'd'}, 'no domains'), ({
            'openstack-application-credential-id': 'c', 'openstack-application-credential-secret': 's'}, 'no application')]:
        host.configure({**BASIC, 'openstack-auth-url': f'{fake.url}/identity/v2.0', **flags})
        with pytest.raises(DriverError, match=text):
            host.driver.call('preCreateCheck', machine=host.machine())


def test_regions_and_interfaces(host, cloud, fake):
    """The first region that the catalog has is told, and kept; another interface leads elsewhere."""
    cloud.regions, cloud.home = ['two', 'one'], 'two' # the catalog has them backwards
    host.configure({**BASIC, 'openstack-region': ''})
    with pytest.raises(DriverError, match='look up the flavor'):
        host.driver.call('preCreateCheck', machine=host.machine())
    assert any('regions one, two; one is taken' in str(note) for note in host.driver.notifications)
    assert fake.log.requests[-1].path.startswith('/public-one/')
    fake.forgive('no such')
    host.configure({**BASIC, 'openstack-region': 'two', 'openstack-endpoint-type': 'internal'})
    with pytest.raises(DriverError, match='look up the flavor'):
        host.driver.call('preCreateCheck', machine=host.machine())
    assert fake.log.requests[-1].path.startswith('/internal-two/')
    fake.forgive('no such')
    cloud.regions, cloud.home = ['only'], 'only'
    host.configure({**BASIC, 'openstack-region': '', 'openstack-password': PASSWORD})
    host.revive()
    host.call('create')
    assert host.state['Region'] == 'only'


def test_services_are_of_one_region(host, cloud):
    """The servers', whichever is the first of another service."""
    cloud.home = 'two' # of servers the first, of networks the second
    host.configure({**FULL, 'openstack-region': ''})
    host.driver.call('preCreateCheck', machine=host.machine())
    host.call('create')
    assert host.state['Region'] == 'two' and host.report()['state'] == 'Running'


def test_token_that_ends(host, cloud, fake):
    """A new one is fetched once, and the request repeated."""
    host.configure(BASIC)
    host.call('create')
    cloud.tokens.clear()
    fake.log.clear()
    assert host.report()['state'] == 'Running'
    assert fake.log.actions() == ['GET compute/servers/ID', 'POST identity/auth/tokens', 'GET compute/servers/ID']
    fake.faults.add('POST identity/auth/tokens', Refuse(401, 'error', 'wrong'))
    cloud.tokens.clear()
    assert host.report()['error']['data']['kind'] == 'auth'


def test_cloud_that_repeats_the_password(host, fake):
    host.configure(BASIC)
    fake.faults.add('POST identity/auth/tokens', Refuse(401, 'error', f'the password {PASSWORD} is wrong'))
    with pytest.raises(DriverError, match=r'the password \*+ is wrong'):
        host.driver.call('preCreateCheck', machine=host.machine())


def test_many_accounts_in_one_process(host, cloud, fake):
    """More than it keeps tokens of; each asks with its own."""
    states, users = [], [f'user-{n}' for n in range(10)]
    for user in users:
        host.configure({**BASIC, 'openstack-username': user})
        states.append({**host.state, 'MachineId': 'none'})
    for _ in range(2):
        for state in states:
            host.driver.report(host.machine(state))
    asked = [cloud.users[request.header('X-Auth-Token')] for request in fake.log.of('GET compute/servers/ID')]
    assert asked == users * 2


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


def test_borrowed_floating_ip(host, cloud):
    ip = {'id': 'fip-0', 'floating_ip_address': '203.0.113.200', 'floating_network_id': 'net-ext', 'port_id': None,
          'description': '', 'revision_number': 4}
    other = {**ip, 'id': 'fip-1', 'port_id': 'port-x'}
    foreign = {**ip, 'id': 'fip-2', 'description': 'docker-machine:ffff'}
    cloud.floatingips += [other, foreign, ip]
    host.configure({**BASIC, 'openstack-floatingip-pool': 'public'})
    host.call('create')
    assert ip['port_id'] == cloud.ports[0]['id'] and host.report()['ip'] == '203.0.113.200'
    host.call('remove')
    settle(cloud)
    assert cloud.floatingips == [other, foreign, ip] and ip['port_id'] is None
    assert not cloud.servers


def test_floating_ip_that_another_takes(host, cloud, fake):
    ips = [{'id': f'fip-{n}', 'floating_ip_address': f'203.0.113.{n}', 'floating_network_id': 'net-ext', 'port_id': None,
            'revision_number': 1} for n in range(2)]
    cloud.floatingips += ips

    def take(_request):
        ips[0]['port_id'] = 'port-of-another'
    fake.faults.hook('PUT network/floatingips/ID', RECEIVED, take)
    host.configure({**BASIC, 'openstack-floatingip-pool': 'public'})
    host.call('create')
    assert host.report()['ip'] == '203.0.113.1'
    assert fake.log.of('PUT network/floatingips/ID')[0].header('If-Match') == 'revision_number=1'


def test_boot_from_a_typed_volume(host, cloud):
    host.configure({**BASIC, 'openstack-boot-from-volume': True, 'openstack-volume-size': 9, 'openstack-volume-type': 'ssd'})
    host.driver.call('preCreateCheck', machine=host.machine())
    host.call('create')
    asked = made(cloud, 'server')
    assert asked['networks'] == 'auto' and 'imageRef' not in asked and not cloud.volumes
    assert asked['block_device_mapping_v2'] == [{
        'boot_index': 0, 'uuid': 'image-ubuntu', 'source_type': 'image', 'destination_type': 'volume', 'volume_size': 9,
        'volume_type': 'ssd', 'delete_on_termination': True}]


def test_ipv6(host, cloud):
    host.configure({**BASIC, 'openstack-ip-version': 6})
    host.call('create')
    assert host.report()['url'] == f'tcp://[{cloud.servers[0]["addresses"]["private"][1]["addr"]}]:2376'


def keypair(folder, name):
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', folder / name], check=True)
    return (folder / f'{name}.pub').read_text()


def test_key_of_the_user(host, cloud):
    pub = keypair(host.store, 'mine')
    keypair(host.store, 'wrong')
    (host.store / 'mine.pub').unlink()
    cloud.keypairs.append({'name': 'mine', 'public_key': pub})
    host.configure({**BASIC, 'openstack-keypair-name': 'mine', 'openstack-private-key-file': str(host.store / 'wrong')})
    with pytest.raises(DriverError, match='not the key'):
        host.driver.call('preCreateCheck', machine=host.machine())
    host.configure({**BASIC, 'openstack-keypair-name': 'mine', 'openstack-private-key-file': str(host.store / 'mine')})
    host.call('create')
    assert host.state['ExistingKey'] and host.state['SSHKeyPath'] == str(host.folder / 'mine')
    assert (host.folder / 'mine.pub').read_text() == pub and (host.folder / 'mine').stat().st_mode & 0o777 == 0o600
    host.call('remove')
    settle(cloud)
    assert counts(cloud) == {'keypairs': 1}


def test_cloud_that_knows_no_ed25519(host, cloud, fake):
    cloud.only_rsa = True
    host.configure(BASIC)
    host.call('create')
    key = host.folder / 'id_rsa'
    assert host.state['SSHKeyPath'] == str(key) and not key.is_symlink() and key.stat().st_mode & 0o777 == 0o600
    shown = subprocess.run(['ssh-keygen', '-y', '-f', key], check=True, capture_output=True, text=True).stdout.split()
    assert shown[:2] == cloud.keypairs[0]['public_key'].split()[:2] == (host.folder / 'id_rsa.pub').read_text().split()[:2]
    assert shown[0] == 'ssh-rsa' and host.report()['ssh']['keyPath'] == str(key)
    assert sorted(path.name for path in host.folder.iterdir() if 'ssh_host' not in path.name) == ['id_rsa', 'id_rsa.pub']
    assert fake.log.count('POST compute/os-keypairs') == 2
    host.call('remove')
    settle(cloud)
    assert not cloud.left()


@pytest.mark.parametrize('flags, text', [
    ({'openstack-flavor-name': 'nope'}, 'unable to find flavor named nope'),
    ({'openstack-image-name': 'twice'}, 'image-twice, image-other'),
    ({'openstack-net-name': 'nope'}, 'unable to find network named nope'),
    ({'openstack-floatingip-pool': 'private'}, 'unable to find external network named private'),
    ({'openstack-sec-groups': 'nope'}, 'unable to find a security group named nope'),
    ({'openstack-volume-size': 1, 'openstack-volume-type': 'nope'}, 'unable to find a volume type named nope'),
    ({'openstack-boot-from-volume': True, 'openstack-volume-size': 1, 'openstack-volume-type': 'x'}, '--openstack-volume-type'),
    ({'openstack-flavor-name': '', 'openstack-flavor-id': 'nope'}, '--openstack-flavor-id nope'),
    ({'openstack-password': 'wrong-password'}, 'credentials are not accepted'),
    ({'openstack-region': 'three'}, 'no compute service in the region three'),
])
def test_what_is_not_there(host, cloud, flags, text):
    host.configure({**BASIC, **flags})
    with pytest.raises(DriverError) as caught:
        host.driver.call('preCreateCheck', machine=host.machine())
    assert text in caught.value.message and 'wrong-password' not in caught.value.message
    assert not cloud.created


def test_cloud_without_volumes(host, cloud):
    cloud.volume_services = []
    host.configure({**BASIC, 'openstack-boot-from-volume': True, 'openstack-volume-size': 1})
    host.driver.call('preCreateCheck', machine=host.machine())
    host.configure({**BASIC, 'openstack-volume-size': 1})
    with pytest.raises(DriverError, match='no volume service'):
        host.driver.call('preCreateCheck', machine=host.machine())


@pytest.mark.parametrize('flags, text', [
    ({'openstack-auth-url': ''}, 'Authentication URL'), ({'openstack-username': ''}, 'Username must'),
    ({'openstack-password': ''}, 'Password must'), ({'openstack-tenant-name': ''}, 'tenant id or name'),
    ({'openstack-flavor-name': ''}, 'Flavor name or Flavor id must be specified'),
    ({'openstack-flavor-id': 'x'}, 'either one or the other'), ({'openstack-image-name': ''}, 'Image name or Image id'),
    ({'openstack-image-id': 'x'}, 'not both'), ({'openstack-net-id': 'x', 'openstack-net-name': 'y'}, 'not both'),
    ({'openstack-endpoint-type': 'x'}, 'endpoint type must be'), ({'openstack-keypair-name': 'x'}, 'both must be specified'),
    ({'openstack-user-data-file': '/nonexistent'}, 'openstack-user-data-file'), ({'openstack-ip-version': 5}, 'ip-version'),
    ({'openstack-active-timeout': 0}, 'active-timeout'), ({'openstack-ssh-port': 0}, 'ssh-port'),
    ({'openstack-volume-size': -1}, 'volume-size'), ({'openstack-metadata': 'a,b,c'}, 'openstack-metadata'),
    ({'openstack-nova-network': True}, 'nova-network'), ({'openstack-boot-from-volume': True}, 'volume-size'),
])
def test_flags_that_are_refused(host, flags, text):
    with pytest.raises(DriverError) as caught:
        host.configure({**BASIC, **flags})
    assert text in caught.value.message and caught.value.kind in ('user', 'notSupported', 'notFound')


CLOUDS = '''
clouds:
  mine:
    profile: base
    auth: {username: u, project_name: 0123}
    region_name: two
    verify: no
  robot:
    auth_type: v3applicationcredential
    auth: {auth_url: "http://127.0.0.1/v3", application_credential_id: c, application_credential_secret: s}
'''


VERSIONED = '''
clouds:
  mine:
    identity_api_version: %s
    auth: {auth_url: "http://127.0.0.1/identity", username: u, project_name: p}
'''


def test_clouds_yaml(make_host):
    host = make_host({'OS_PROJECT_DOMAIN_NAME': 'pd', 'OS_INTERFACE': 'internal',
                      'OS_COMPUTE_ENDPOINT_OVERRIDE': 'http://127.0.0.1/c'})
    (host.store / 'clouds.yaml').write_text(CLOUDS)
    (host.store / 'secure.yaml').write_text(f'clouds: {{mine: {{auth: {{password: {PASSWORD}}}}}}}')
    (host.store / 'clouds-public.yaml').write_text('public-clouds: {base: {auth: {auth_url: "http://127.0.0.1/v3"}, region_name: x}}')
    some = {'openstack-flavor-id': 'f', 'openstack-image-id': 'i', 'openstack-auth-url': ''}
    host.configure({**some, 'openstack-cloud': 'mine', 'openstack-region': 'three'})
    wanted = {'AuthUrl': 'http://127.0.0.1/v3', 'Username': 'u', 'Password': PASSWORD, 'TenantName': '0123', 'Region': 'three',
              'Insecure': True, 'TenantDomainName': 'pd', 'EndpointType': 'internalURL', 'Cloud': 'mine',
              'Endpoints': {'compute': 'http://127.0.0.1/c'}}
    assert {key: host.state[key] for key in wanted} == wanted
    host.configure({**some, 'openstack-cloud': 'robot'})
    assert host.state['ApplicationCredentialId'] == 'c' and not host.state['Username']
    (host.store / 'clouds-public.yaml').unlink()
    for version, path in [('3', '/v3'), ('"2.0"', '/v2.0'), ('2', '/v2.0'), ('"v3"', '/v3')]:
        (host.store / 'clouds.yaml').write_text(VERSIONED % version)
        host.configure({**some, 'openstack-cloud': 'mine'})
        assert host.state['AuthUrl'] == f'http://127.0.0.1/identity{path}'
        host.configure({**some, 'openstack-cloud': 'mine', 'openstack-auth-url': 'http://127.0.0.1/v3/'})
        assert host.state['AuthUrl'] == 'http://127.0.0.1/v3/'
    (host.store / 'clouds.yaml').write_text(VERSIONED % 4)
    with pytest.raises(DriverError, match='identity_api_version 4'):
        host.configure({**some, 'openstack-cloud': 'mine'})
    (host.store / 'clouds.yaml').write_text(CLOUDS)
    for cloud, text in [('none', 'has no such cloud'), ('mine', 'YAML')]:
        with pytest.raises(DriverError, match=text):
            host.configure({**some, 'openstack-cloud': cloud})
        (host.store / 'clouds.yaml').write_text('clouds: [')


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


@pytest.mark.parametrize('user, warned', [('root', True), ('ubuntu', False)])
def test_login_that_images_refuse(host, user, warned):
    host.configure({**BASIC, 'openstack-ssh-user': user})
    assert warned == any('--openstack-ssh-user' in str(note) for note in host.driver.notifications)


def test_remove_of_nothing_asks_nobody(host, fake):
    host.configure(BASIC)
    host.call('remove')
    assert not fake.log.actions()
