"""The real OpenStack that tests of the driver use does what they rely on, as Debian's own client and plain calls see it.

Once: the root, 1.3 GB on disk, and its databases, 6 MB, some 20 commands and 60 calls. Each run: the six services take 35 s of
processor time until they answer, and 800 MB of memory; hence `long`.
"""

import os
import subprocess
import time

import pytest

import cli as cli_module
import openstack_cloud
from sshd import Sshd, keygen

pytestmark = pytest.mark.long

SECONDS = 300 # enough on a machine that has other things to do


@pytest.fixture
def user(openstack):
    return openstack.api(openstack.user)


@pytest.fixture(scope='module', autouse=True)
def nothing_left(openstack):
    """Holds for each test; the names tell which one it was."""
    yield
    assert openstack.leaks() == []


def body_of(cloud, name, network='private', flavor='small', **more):
    return {'server': {'name': name, 'flavorRef': cloud.flavors[flavor], 'imageRef': cloud.images['ubuntu'],
                       'networks': [{'uuid': cloud.networks[network]['id']}], **more}}


def until(api, server, status):
    end = time.monotonic() + SECONDS
    while True:
        shown = api.ok('compute', f'/v2.1/servers/{server}')['server']
        if shown['status'] == status and not shown['OS-EXT-STS:task_state']:
            return shown
        assert shown['status'] != 'ERROR' and time.monotonic() < end, shown
        time.sleep(0.1)


@pytest.fixture
def server(openstack, user):
    made = user.ok('compute', '/v2.1/servers', body_of(openstack, 'web1'))['server']['id']
    yield until(user, made, 'ACTIVE')
    user.ok('compute', f'/v2.1/servers/{made}', method='DELETE')


def port_of(api, server):
    return api.ok('network', f'/v2.0/ports?device_id={server["id"]}')['ports'][0]['id']


@pytest.mark.parametrize('way', ['password', 'application credential', 'token', 'guest'])
def test_tokens_for_the_client(openstack, way):
    token = openstack.client('token', 'issue', way=way)
    who = openstack.guest if way == 'guest' else openstack.user
    assert (token['user_id'], token['project_id']) == (who['user_id'], who['project_id'])


def test_refused(openstack, user):
    wrong = {'methods': ['password'], 'password': {'user': {'id': openstack.user['user_id'], 'password': 'wrong'}}}
    assert user.login(wrong).status == 401
    robot = {'id': openstack.application_credential['id'], 'secret': openstack.application_credential['secret']}
    identity = {'methods': ['application_credential'], 'application_credential': robot}
    assert user.login(identity, scoped=False).status == 201
    assert user.login(identity).status == 401 # it has its scope already
    robot['secret'] = 'wrong'
    assert user.login(identity, scoped=False).status == 401
    for service, path in ('compute', '/v2.1/servers'), ('network', '/v2.0/networks'), ('image', '/v2/images'), \
            ('volume', f'/v3/{openstack.user["project_id"]}/volumes'):
        assert user.call(service, path).status == 401, service
    assert user.ask('compute', '/v2.1/servers', body_of(openstack, 'red', colour='red')).status == 400 # schemas are strict


def test_revoked_tokens(openstack):
    user = openstack.api(openstack.user)
    assert user.ask('compute', '/v2.1/servers').status == 200
    openstack.revoke_tokens()
    assert user.ask('compute', '/v2.1/servers').status == 401
    assert openstack.api(openstack.user).ask('compute', '/v2.1/servers').status == 200


def test_names_and_pages(openstack, user):
    for kind, there in ('flavor', openstack.flavors), ('image', openstack.images):
        assert openstack.client(kind, 'show', list(there)[-1])['id'] == list(there.values())[-1]
    assert openstack.client('network', 'show', 'private')['id'] == openstack.networks['private']['id']
    for service, path, kind in ('compute', '/v2.1/flavors/detail', 'flavors'), ('image', '/v2/images', 'images'), \
            ('network', '/v2.0/networks', 'networks'):
        first = user.ok(service, path)
        assert len(first[kind]) == 3 and (f'{kind}_links' in first or 'next' in first), first
        rows = user.all(service, path, kind)
        assert len({row['id'] for row in rows}) == len(rows) > 3
    pool = user.ok('network', '/v2.0/networks?name=public&router:external=true')['networks']
    assert [row['id'] for row in pool] == [openstack.pool['id']]


def test_a_life_by_the_client(openstack, tmp_path):
    client, run = openstack.client, openstack.run_client
    public = keygen(tmp_path / 'key').with_suffix('.pub').read_text().strip()
    run('keypair', 'create', '--public-key', '/dev/stdin', 'k1', stdin=public)
    run('server', 'create', '--flavor', 'small', '--image', 'ubuntu', '--network', 'private', '--key-name', 'k1', '--wait', 'web1')
    shown = client('server', 'show', 'web1')
    assert shown['status'] == 'ACTIVE' and shown['key_name'] == 'k1'
    assert openstack.addresses(shown['id'])['fixed'][0].startswith('127.66.0.')
    floating = client('floating', 'ip', 'create', 'public')['floating_ip_address']
    assert floating.startswith('127.77.0.')
    run('server', 'add', 'floating', 'ip', 'web1', floating)
    assert client('floating', 'ip', 'show', floating)['port_id']
    assert any(leak.startswith('servers web1 ') for leak in openstack.leaks(seconds=0))
    run('server', 'delete', '--wait', 'web1')
    run('floating', 'ip', 'delete', floating)
    run('keypair', 'delete', 'k1')


def test_power(user, server):
    path = f'/v2.1/servers/{server["id"]}/action'
    for action, status in (({'os-stop': None}, 'SHUTOFF'), ({'os-start': None}, 'ACTIVE'),
                           ({'reboot': {'type': 'SOFT'}}, 'ACTIVE'), ({'pause': None}, 'PAUSED'),
                           ({'unpause': None}, 'ACTIVE')):
        assert user.ask('compute', path, action).status == 202, action
        until(user, server['id'], status)
    user.ok('compute', path, {'os-stop': None})
    until(user, server['id'], 'SHUTOFF')
    assert user.ask('compute', path, {'os-stop': None}).status == 409


def test_floating_addresses(openstack, user, server):
    port = port_of(user, server)
    made = user.ok('network', '/v2.0/floatingips', {'floatingip': {
        'floating_network_id': openstack.pool['id'], 'port_id': port}})['floatingip']
    address, path = made['floating_ip_address'], f'/v2.0/floatingips/{made["id"]}'
    end = time.monotonic() + SECONDS
    while openstack.addresses(server['id'])['floating'] != [address]: # nova hears of it from neutron
        assert time.monotonic() < end, openstack.addresses(server['id'])
        time.sleep(0.1)
    user.ok('network', path, {'floatingip': {'port_id': None}}, 'PUT')
    assert not user.ok('network', path)['floatingip']['port_id']
    user.ok('network', path, {'floatingip': {'port_id': port}}, 'PUT')
    user.ok('network', path, method='DELETE')
    assert user.ask('network', path).status == 404


def test_a_network_without_router(openstack, user):
    made = user.ok('compute', '/v2.1/servers', body_of(openstack, 'lost', network='lonely'))['server']
    until(user, made['id'], 'ACTIVE')
    answer = user.ask('network', '/v2.0/floatingips', {'floatingip': {
        'floating_network_id': openstack.pool['id'], 'port_id': port_of(user, made)}})
    assert answer.status == 404 and 'External network' in answer.text, answer
    user.ok('compute', f'/v2.1/servers/{made["id"]}', method='DELETE')


def test_security_groups(openstack, user):
    group = user.ok('network', '/v2.0/security-groups', {'security_group': {'name': 'web'}})['security_group']
    user.ok('network', '/v2.0/security-group-rules', {'security_group_rule': {
        'security_group_id': group['id'], 'direction': 'ingress', 'protocol': 'tcp', 'port_range_min': 2376,
        'port_range_max': 2376, 'ethertype': 'IPv4'}})
    body = body_of(openstack, 'grouped', security_groups=[{'name': 'web'}])
    made = user.ok('compute', '/v2.1/servers', body)['server']['id']
    assert until(user, made, 'ACTIVE')['security_groups'] == [{'name': 'web'}]
    path = f'/v2.0/security-groups/{group["id"]}'
    assert user.ask('network', path, method='DELETE').status == 409
    user.ok('compute', f'/v2.1/servers/{made}', method='DELETE')
    end = time.monotonic() + SECONDS
    while (answer := user.ask('network', path, method='DELETE')).status != 204:
        assert answer.status == 409 and time.monotonic() < end, answer
        time.sleep(0.1)


def test_quotas(openstack, user):
    before = openstack.set_quota('compute', instances=0)
    answer = user.ask('compute', '/v2.1/servers', body_of(openstack, 'one-too-many'))
    assert answer.status == 403 and 'Quota' in answer.text, answer
    openstack.set_quota('compute', **before)
    before = openstack.set_quota('network', floatingip=0)
    answer = user.ask('network', '/v2.0/floatingips', {'floatingip': {'floating_network_id': openstack.pool['id']}})
    assert answer.status == 409 and 'OverQuota' in answer.text, answer
    openstack.set_quota('network', **before)
    before = openstack.set_quota('volume', volumes=0)
    assert user.ask('volume', '/v3/{project_id}/volumes', {'volume': {'size': 1}}).status == 413
    openstack.set_quota('volume', **before)


def test_no_host_for_it(openstack, user):
    made = user.ok('compute', '/v2.1/servers', body_of(openstack, 'huge', flavor='impossible'))['server']['id']
    end = time.monotonic() + SECONDS
    while (shown := user.ok('compute', f'/v2.1/servers/{made}')['server'])['status'] == 'BUILD':
        assert time.monotonic() < end
        time.sleep(0.1)
    assert shown['status'] == 'ERROR' and 'No valid host' in shown['fault']['message'], shown
    user.ok('compute', f'/v2.1/servers/{made}', method='DELETE')


def volume_until(api, volume, status):
    end = time.monotonic() + SECONDS
    while (shown := api.ok('volume', f'/v3/{{project_id}}/volumes/{volume}')['volume'])['status'] != status:
        assert not shown['status'].startswith('error') and time.monotonic() < end, shown
        time.sleep(0.1)
    return shown


def test_data_volume(user, server):
    made = user.ok('volume', '/v3/{project_id}/volumes', {'volume': {'name': 'data', 'size': 1, 'volume_type': 'plain'}})
    volume = made['volume']['id']
    volume_until(user, volume, 'available')
    path = f'/v2.1/servers/{server["id"]}/os-volume_attachments'
    attached = user.ok('compute', path, {'volumeAttachment': {'volumeId': volume}})['volumeAttachment']
    assert attached['device'].startswith('/dev/')
    volume_until(user, volume, 'in-use')
    assert user.ask('volume', f'/v3/{{project_id}}/volumes/{volume}', method='DELETE').status == 400
    user.ok('compute', f'{path}/{volume}', method='DELETE')
    volume_until(user, volume, 'available')
    user.ok('volume', f'/v3/{{project_id}}/volumes/{volume}', method='DELETE')


def test_boot_from_volume(openstack, user):
    body = body_of(openstack, 'rooted')
    image = body['server'].pop('imageRef')
    body['server']['block_device_mapping_v2'] = [{
        'boot_index': 0, 'uuid': image, 'source_type': 'image', 'destination_type': 'volume', 'volume_size': 1,
        'volume_type': 'plain', 'delete_on_termination': True}]
    made = user.ok('compute', '/v2.1/servers', body, headers=[('OpenStack-API-Version', 'compute 2.67')])['server']['id']
    shown = until(user, made, 'ACTIVE')
    volume = shown['os-extended-volumes:volumes_attached'][0]['id']
    assert volume_until(user, volume, 'in-use')['bootable'] == 'true'
    user.ok('compute', f'/v2.1/servers/{made}', method='DELETE') # its volume goes with it: see nothing_left


def test_both_address_families(openstack, user):
    made = user.ok('compute', '/v2.1/servers', body_of(openstack, 'both', network='dual'))['server']['id']
    until(user, made, 'ACTIVE')
    fixed = sorted(openstack.addresses(made)['fixed'])
    assert fixed[0].startswith('127.67.0.') and fixed[1].startswith('fd66::'), fixed
    user.ok('compute', f'/v2.1/servers/{made}', method='DELETE')


def test_an_sshd_answers_for_a_server(openstack, server, tmp_path):
    address = openstack.addresses(server['id'])['fixed'][0]
    key, sshd = keygen(tmp_path / 'key'), Sshd(tmp_path / 'sshd', address=address, port=22, prefix=openstack.prefix)
    sshd.authorize(key)
    try:
        done = subprocess.run(
            [*openstack.prefix, 'ssh', '-F', 'none', '-i', key, '-o', 'StrictHostKeyChecking=no', '-o',
             f'UserKnownHostsFile={tmp_path}/known', f'root@{address}', 'echo "$SSH_CONNECTION"'],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.split()[2:] == [address, '22']
    finally:
        sshd.stop()


def test_a_second_cloud_beside_the_first(openstack, server, tmp_path):
    """Another run's cloud has the same addresses, and nothing else of this one; it leaves neither process nor mount."""
    with openstack_cloud.Cloud(tmp_path) as other:
        assert other.api(other.user).ok('compute', '/v2.1/servers')['servers'] == []
        assert openstack.api(openstack.user).ok('compute', '/v2.1/servers')['servers'][0]['id'] == server['id']
        processes = cli_module.descendants(other.sandbox.process.pid)
        assert len(processes) > len(other.ports)
    for pid in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with open('/proc/self/mountinfo', encoding='utf-8') as mounts:
        assert str(tmp_path) not in mounts.read()
    assert list((tmp_path / 'root').iterdir()) == []
