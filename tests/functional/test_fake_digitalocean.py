"""The fake of DigitalOcean's API: clients of others work with it, and wrong requests do not."""

import concurrent.futures
import http.client
import json
import pathlib
import subprocess
import time

import pytest
from libcloud.common.digitalocean import DigitalOcean_v2_Connection
from libcloud.common.types import InvalidCredsError
from libcloud.compute.base import NodeImage
from libcloud.compute.drivers.digitalocean import DigitalOcean_v2_NodeDriver, DigitalOceanNodeDriver

from fakes import httpfake
from fakes.digitalocean import Absent, DigitalOcean, TooMany, api, operations, spec
from fakes.digitalocean import account as account_module

# Debian 13 has only libcloud
DEBIAN_12 = 'VERSION_ID="12"' in pathlib.Path('/etc/os-release').read_text(encoding='utf-8')
if DEBIAN_12:
    import digitalocean as client
in_debian_12 = pytest.mark.skipif(not DEBIAN_12, reason='python3-digitalocean is a package of Debian 12')

# what python3-digitalocean does and the real service takes, unlike what our driver shall do
CLIENT_ALLOWED = {
    'accept': 'Accept is */*',
    'slash': 'paths of collections end with a slash',
    'query:per_page': 'also where there are no pages',
    'body': 'DELETE carries {}',
    'deprecated:/private_networking': 'always there',
    'schema:/vpc_uuid': 'null where there is none',
}
LIBCLOUD_ALLOWED = {'accept', 'query:per_page'}
DROPLET = {'name': 'm1', 'region': 'nyc3', 'size': 's-1vcpu-1gb', 'image': 'ubuntu-24-04-x64',
           'backups': False, 'ipv6': False, 'monitoring': False, 'tags': ['docker', 'swarm']}
FINGERPRINT = '3b:16:e4:bf:8b:00:8b:b8:59:8c:a9:d3:f0:19:fa:45'


def make_key(folder, name, *words):
    subprocess.run(['ssh-keygen', '-q', '-N', '', '-C', name, '-f', folder / name, *words], check=True)
    return (folder / f'{name}.pub').read_text()


@pytest.fixture(scope='session')
def public_keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp('keys')
    return {'ed25519': make_key(folder, 'ed25519', '-t', 'ed25519'),
            'rsa': make_key(folder, 'rsa', '-t', 'rsa', '-b', '2048'),
            'short': make_key(folder, 'short', '-t', 'rsa', '-b', '1024'),
            'ecdsa': make_key(folder, 'ecdsa', '-t', 'ecdsa')}


@pytest.fixture
def cloud():
    with DigitalOcean() as fake:
        yield fake


class Caller:
    """Sends requests as they have to be, unless told otherwise."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.wire = http.client.HTTPConnection(cloud.address, timeout=20)

    def __call__(self, method, path, body=None, head=(), data=None):
        headers = {'Authorization': f'Bearer {self.cloud.token}', 'Accept': 'application/json'}
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            headers['Content-Type'] = 'application/json'
        headers.update(head)
        self.wire.request(method, path, data, {name: value for name, value in headers.items() if value})
        answer = self.wire.getresponse()
        text = answer.read()
        self.headers = dict(answer.getheaders())
        return answer.status, json.loads(text) if text else None

    def good(self, *args, **kwargs):
        status, value = self(*args, **kwargs)
        assert status < 300, value
        return value


@pytest.fixture
def call(cloud):
    caller = Caller(cloud)
    yield caller
    caller.wire.close()


@pytest.fixture
def key(call, public_keys):
    """A key of the client's; deleted in the end, unless the test did."""
    made = call.good('POST', '/v2/account/keys', {'name': 'm1', 'public_key': public_keys['rsa']})['ssh_key']
    yield made
    if made['id'] in call.cloud.account.keys:
        call.good('DELETE', f'/v2/account/keys/{made["id"]}')


@pytest.fixture
def droplet(cloud, call, key):
    made = call.good('POST', '/v2/droplets', {**DROPLET, 'ssh_keys': [key['id']]})['droplet']['id']
    yield cloud.account.settle(cloud.account.droplets[made])
    if made in cloud.account.droplets:
        call.good('DELETE', f'/v2/droplets/{made}')


# a client of others

@pytest.fixture
def client_cloud(monkeypatch):
    """The client is pointed here by its variable of the environment."""
    with DigitalOcean(allow=CLIENT_ALLOWED) as fake:
        monkeypatch.setenv('DIGITALOCEAN_END_POINT', fake.url + '/v2/')
        monkeypatch.setenv('DIGITALOCEAN_ACCESS_TOKEN', fake.token)
        monkeypatch.setenv('PYTHON_DIGITALOCEAN_REQUEST_TIMEOUT_SEC', '20')
        monkeypatch.setenv('NO_PROXY', '127.0.0.1')
        yield fake


def client_droplet(cloud, key, **fields):
    made = client.Droplet(token=cloud.token, **{
        'name': 'm1', 'region': 'nyc3', 'size_slug': 's-1vcpu-1gb', 'image': 'ubuntu-24-04-x64',
        'ssh_keys': [key], 'tags': ['docker'], 'user_data': '#cloud-config\n', **fields})
    made.create()
    return made


@in_debian_12
def test_client_from_region_to_deletion(client_cloud, public_keys):
    manager = client.Manager(token=client_cloud.token)
    assert [region.slug for region in manager.get_all_regions()] == list(account_module.REGIONS)
    assert client_cloud.log.count('list_regions') == 2
    assert [size.slug for size in manager.get_all_sizes()] == list(account_module.SIZES)

    key = client.SSHKey(token=client_cloud.token, name='m1', public_key=public_keys['ed25519'])
    key.create()
    key.load()
    by_fingerprint = client.SSHKey(token=client_cloud.token, fingerprint=key.fingerprint)
    by_fingerprint.load()
    assert by_fingerprint.id == key.id > 1 << 32

    client_cloud.api.want = {'user_data': '#cloud-config\n', 'tags': ['docker'], 'ipv6': True}
    droplet = client_droplet(client_cloud, key, ipv6=True)
    create = droplet.get_action(droplet.action_ids[0])
    assert create.type == 'create' and create.wait(update_every_seconds=0)
    droplet.load()
    assert (droplet.status, droplet.private_ip_address, droplet.ip_address, droplet.ip_v6_address) == \
        ('active', '10.128.0.4', '203.0.113.4', '2001:db8::12')
    assert droplet.vpc_uuid == client_cloud.account.vpcs['nyc3']

    for action, status in (('shutdown', 'off'), ('power_on', 'active'), ('reboot', 'active'),
                           ('power_off', 'off')):
        done = getattr(droplet, action)(return_dict=False)
        assert done.status == 'in-progress' and done.wait(update_every_seconds=0), action
        droplet.load()
        assert droplet.status == status, action
    assert [done.type for done in droplet.get_actions()] == \
        ['power_off', 'reboot', 'power_on', 'shutdown', 'create']

    assert droplet.destroy() is True and key.destroy() is True
    for thing in droplet, key:
        with pytest.raises(client.NotFoundError):
            thing.destroy()


@in_debian_12
def test_client_pages_and_tags(client_cloud, public_keys):
    key = client.SSHKey(token=client_cloud.token, name='m1', public_key=public_keys['rsa'])
    key.create()
    droplets = [client_droplet(client_cloud, key, name=f'm{number}', tags=['odd'] * (number % 2))
                for number in range(5)]
    client_cloud.api.pages['droplets'] = 2
    manager = client.Manager(token=client_cloud.token)
    for expected in 'new', 'active', 'active':
        listed = manager.get_all_droplets()
        assert [(each.name, each.status) for each in listed] == [(f'm{n}', expected) for n in range(5)]
    assert client_cloud.log.count('list_droplets') == 3 * 3
    assert [each.ip_address for each in listed] == \
        [each.address.public for each in client_cloud.account.droplets.values()]
    assert [each.name for each in manager.get_all_droplets(tag_name='odd')] == ['m1', 'm3']
    assert manager.get_all_droplets(tag_name='none') == []

    tag = client.Tag(token=client_cloud.token, name='batch')
    tag.create()
    tag.add_droplets(droplets[:2])
    assert [each.name for each in manager.get_all_droplets(tag_name='batch')] == ['m0', 'm1']
    tag.remove_droplets(droplets[:1])
    tag.load()
    assert tag.resources['droplets']['count'] == 1
    assert [each.name for each in manager.get_all_tags()] == ['odd', 'batch']
    tag.delete()
    assert manager.get_all_droplets(tag_name='batch') == []
    for thing in *droplets, key:
        thing.destroy()


@in_debian_12
def test_client_understands_errors(client_cloud, public_keys):
    manager = client.Manager(token='another')
    with pytest.raises(client.DataReadError, match='authorization'):
        manager.get_all_regions()
    client_cloud.forgive('authorization: ')
    key = client.SSHKey(token=client_cloud.token, name='m1', public_key=public_keys['rsa'])
    key.create()
    with pytest.raises(client.DataReadError, match='already in use'):
        client.SSHKey(token=client_cloud.token, name='m2', public_key=public_keys['rsa']).create()
    with pytest.raises(client.DataReadError, match='invalid size'):
        client_droplet(client_cloud, key, size_slug='huge')
    client_cloud.forgive('size: ')
    client_cloud.faults.add('get_key', TooMany(retry_after=1))
    with pytest.raises(client.DataReadError, match='rate limit'):
        key.load()
    key.destroy()


@in_debian_12
@pytest.mark.parametrize('rule', CLIENT_ALLOWED)
def test_client_needs_what_it_is_allowed(client_cloud, public_keys, rule):
    """No rule is relaxed in vain: without it the client is refused, or noticed."""
    client_cloud.api.allow = set(CLIENT_ALLOWED) - {rule}
    client_cloud.may_leave = True
    try:
        key = client.SSHKey(token=client_cloud.token, name='m1', public_key=public_keys['rsa'])
        key.create()
        key.load()
        client_droplet(client_cloud, key)
        key.destroy()
    except client.Error:
        pass
    client_cloud.forgive(f'{rule}: ')


@pytest.fixture
def libcloud_of(monkeypatch):
    """Its drivers drop the host that they are given; connections do not."""
    def make(cloud, token=None):
        class Connection(DigitalOcean_v2_Connection):
            def __init__(self, key, *_args, **_kwargs):
                super().__init__(key, secure=False, host='127.0.0.1', port=cloud.server.server_port, timeout=20)

        monkeypatch.setattr(DigitalOcean_v2_NodeDriver, 'connectionCls', Connection)
        driver = DigitalOceanNodeDriver(token or cloud.token)
        assert driver.connection.connection.host == cloud.url
        return driver
    return make


def test_libcloud_from_region_to_deletion(libcloud_of, public_keys):
    with DigitalOcean(allow=LIBCLOUD_ALLOWED) as cloud:
        driver = libcloud_of(cloud)
        regions = driver.list_locations(ex_available=False)
        assert [region.id for region in regions] == list(account_module.REGIONS)
        region = next(region for region in regions if region.id == 'nyc3')
        size = driver.list_sizes(region)[0]
        key = driver.create_key_pair('m1', public_keys['ed25519'])
        key_id = key.extra['id']
        assert driver.list_key_pairs()[0].fingerprint == key.fingerprint
        image = NodeImage('ubuntu-24-04-x64', 'ubuntu-24-04-x64', driver)
        cloud.api.want = {'user_data': '#cloud-config\n', 'ipv6': True}
        node = driver.create_node('m1', size, image, region, ex_user_data='#cloud-config\n',
                                  ex_create_attr={'ssh_keys': [key_id], 'ipv6': True})
        states = [driver.ex_get_node_details(node.id) for _ in range(2)]
        assert [state.public_ips for state in states] == [[], ['203.0.113.4']]
        assert states[1].private_ips == ['10.128.0.4'] and states[1].state == 'running'
        for act, state in ((driver.ex_shutdown_node, 'stopped'), (driver.ex_power_on_node, 'running'),
                           (driver.reboot_node, 'running')):
            act(node)
            assert [driver.list_nodes()[0].state for _ in range(2)][1] == state
        driver.destroy_node(node)
        driver.delete_key_pair(key)
        assert driver.list_nodes() == []
        with pytest.raises(InvalidCredsError):
            libcloud_of(cloud, 'another').list_sizes()
        cloud.forgive('authorization: ')


# requests as they have to be

def test_worked_examples(cloud, call, public_keys):
    cloud.api.want['tags'] = ['docker', 'swarm']
    cloud.api.want['private_networking'] = cloud.api.want['user_data'] = Absent
    first = call.good('GET', '/v2/regions?per_page=200')
    assert first['meta'] == {'total': 6} and len(first['regions']) == 3
    assert first['links']['pages']['next'] == cloud.url + '/v2/regions?per_page=200&page=2'
    second = call.good('GET', '/v2/regions?per_page=200&page=2')
    assert set(second['links']['pages']) == {'first', 'prev'}
    made = call.good('POST', '/v2/account/keys', {'name': 'm1', 'public_key': public_keys['rsa']})
    key = made['ssh_key']
    assert key['public_key'] + '\n' == public_keys['rsa']
    told = subprocess.run(['ssh-keygen', '-l', '-E', 'md5', '-f', '-'], input=public_keys['rsa'],
                          capture_output=True, text=True, check=True).stdout
    assert told.split()[1] == 'MD5:' + key['fingerprint']
    assert call.good('GET', f'/v2/account/keys/{key["fingerprint"]}') == made
    assert call('GET', f'/v2/account/keys/{FINGERPRINT}')[0] == 404
    answer = call.good('POST', '/v2/droplets', {**DROPLET, 'ssh_keys': [key['id']]})
    droplet = answer['droplet']
    assert droplet['status'] == 'new' and droplet['networks'] == {'v4': [], 'v6': []}
    assert answer['links']['actions'][0]['rel'] == 'create'
    path = f'/v2/droplets/{droplet["id"]}'
    kinds = []
    for _ in range(3):
        seen = call.good('GET', path)['droplet']
        kinds.append((seen['status'], [net['type'] for net in seen['networks']['v4']]))
    assert kinds == [('new', ['private']), ('active', ['private', 'public']), ('active', ['private', 'public'])]
    action = call.good('POST', path + '/actions', {'type': 'power_off'})['action']
    assert (action['status'], action['resource_id']) == ('in-progress', droplet['id'])
    states = [call.good('GET', f'{path}/actions/{action["id"]}')['action']['status'] for _ in range(2)]
    assert states == ['in-progress', 'completed']
    assert call.good('GET', path)['droplet']['status'] == 'off'
    assert call.headers['ratelimit-limit'] == '5000' and int(call.headers['ratelimit-remaining']) < 5000
    for path in path, f'/v2/account/keys/{key["id"]}':
        assert [call('DELETE', path)[0] for _ in range(2)] == [204, 404]
        assert call('GET', path)[0] == 404
    assert cloud.log.connections() == 1 # kept alive


def test_real_host_answers_for_a_droplet(public_keys):
    """Addresses of the test's, one droplet each; what happens to it is told."""
    events = []

    def heard(what, droplet):
        events.append((what, droplet.address.public))

    with DigitalOcean(addresses=['127.0.0.5'], on_event=heard) as cloud:
        call = Caller(cloud)
        key = call.good('POST', '/v2/account/keys', {'name': 'm1', 'public_key': public_keys['ed25519']})
        key = key['ssh_key']
        body = {**DROPLET, 'ssh_keys': [key['id']]}
        cloud.account.boot = account_module.Boot(private=1, public=3, active=2)
        made = call.good('POST', '/v2/droplets', body)['droplet']['id']
        status, refused = call('POST', '/v2/droplets', body)
        assert status == 422 and 'droplet limit' in refused['message']
        seen = [call.good('GET', f'/v2/droplets/{made}')['droplet'] for _ in range(4)]
        assert [one['status'] for one in seen] == ['new', 'new', 'active', 'active']
        assert [[net['ip_address'] for net in one['networks']['v4']] for one in seen] == \
            [[], ['10.128.0.3'], ['10.128.0.3'], ['10.128.0.3', '127.0.0.5']]
        for action in 'power_off', 'power_on', 'reboot':
            call.good('POST', f'/v2/droplets/{made}/actions', {'type': action})
            cloud.account.settle(cloud.account.droplets[made])
        call.good('DELETE', f'/v2/droplets/{made}')
        again = call.good('POST', '/v2/droplets', body)['droplet']['id']
        for path in f'/v2/droplets/{again}', f'/v2/account/keys/{key["id"]}':
            call.good('DELETE', path)
        call.wire.close()
    assert events == [(what, '127.0.0.5') for what in (
        'created', 'active', 'off', 'active', 'rebooted', 'deleted', 'created', 'deleted')]


def test_actions_that_are_not_possible(cloud, call, droplet):
    path = f'/v2/droplets/{droplet.id}/actions'

    def act(kind):
        status, value = call('POST', path, {'type': kind})
        return value['message'] if status == 422 else status

    assert 'Droplet is active' in act('power_on')
    assert act('power_off') == 201
    assert 'pending event' in act('power_on')
    cloud.account.settle(droplet)
    for kind in 'power_off', 'shutdown', 'reboot':
        assert 'Droplet is off' in act(kind)
    cloud.account.failing.add('power_on')
    assert act('power_on') == 201
    for _ in range(2):
        state = call.good('GET', f'{path}/{droplet.actions[-1].id}')['action']['status']
    assert state == 'errored' and droplet.status == 'off'
    cloud.account.failing.clear()
    assert act('power_on') == 201
    cloud.account.settle(droplet)
    droplet.deaf = True
    assert act('shutdown') == 201
    cloud.account.settle(droplet)
    assert droplet.status == 'active' and droplet.actions[-1].status == 'completed'


def test_many_at_once(cloud, call, key):
    body = {**DROPLET, 'ssh_keys': [key['id']]}

    def life(number):
        mine = Caller(cloud)
        made = mine.good('POST', '/v2/droplets', {**body, 'name': f'm{number}'})['droplet']['id']
        while mine.good('GET', f'/v2/droplets/{made}')['droplet']['status'] != 'active':
            pass
        mine.good('DELETE', f'/v2/droplets/{made}')
        mine.wire.close()
        return made

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(life, range(16)))) == 16
    assert not cloud.account.droplets


# requests that are wrong

def droplet_with(**changes):
    """A body for POST droplets; None takes a field away, KEY stands for the id of the key."""
    def body(key):
        whole = {**DROPLET, 'ssh_keys': [key['id']], **changes}
        return {name: value for name, value in whole.items() if value is not None}
    return 'POST', '/v2/droplets', body


def key_of(public_key, name='m2'):
    return 'POST', '/v2/account/keys', lambda _key: {'name': name, 'public_key': public_key}


RSA_BLOB = 'AAAAB3NzaC1yc2EAAAADAQAB'
REGIONS = ('GET', '/v2/regions')
UUID = '760e09ef-dc84-11e8-981e-3cfdfeaae000'
# the rule, the status, the request; what the caller does differently from a good one
WRONG = [
    ('authorization', 401, REGIONS, {'head': {'Authorization': 'Bearer other'}}),
    ('authorization', 401, REGIONS, {'head': {'Authorization': 'bearer TOKEN'}}),
    ('authorization', 401, REGIONS, {'head': {'Authorization': None}}),
    ('accept', 406, REGIONS, {'head': {'Accept': None}}),
    ('accept', 406, REGIONS, {'head': {'Accept': 'text/html'}}),
    ('host', 400, REGIONS, {'head': {'Host': 'api.digitalocean.com'}}),
    ('token-leak', 400, REGIONS, {'head': {'X-Debug': 'it is TOKEN'}}),
    ('token-leak', 400, ('GET', '/v2/regions?token=TOKEN'), {}),
    ('token-leak', 400, droplet_with(user_data='export T=TOKEN'), {}),
    ('path', 404, ('GET', '/v1/regions'), {}),
    ('path', 404, ('GET', '/v2/'), {}),
    ('path', 404, ('GET', '/v2//regions'), {}),
    ('path', 404, ('GET', '/v2/volumes'), {}),
    ('path', 404, ('GET', '/v2/droplets/1/backups'), {}),
    ('slash', 404, ('GET', '/v2/regions/'), {}),
    ('method', 405, ('PUT', '/v2/regions'), {'body': {}}),
    ('method', 405, ('DELETE', '/v2/droplets'), {}),
    ('query:per_page', 422, ('GET', '/v2/regions?per_page=201'), {}),
    ('query:per_page', 422, ('GET', '/v2/regions?per_page=0'), {}),
    ('query:per_page', 422, ('GET', '/v2/regions?per_page=all'), {}),
    ('query:per_page', 422, ('GET', '/v2/regions?per_page=5&per_page=5'), {}),
    ('query:page', 422, ('GET', '/v2/regions?page='), {}),
    ('query:name', 422, ('GET', '/v2/droplets?name=m1'), {}),
    ('query:tag_name', 422, ('GET', '/v2/droplets?tag_name=a%20b'), {}),
    ('body', 400, REGIONS, {'body': {}}),
    ('body', 400, ('DELETE', '/v2/account/keys/KEY'), {'body': {}}),
    ('body', 400, ('POST', '/v2/account/keys'), {}),
    ('content-type', 415, droplet_with(), {'head': {'Content-Type': 'application/x-www-form-urlencoded'}}),
    ('content-type', 415, droplet_with(), {'head': {'Content-Type': None}}),
    ('json', 400, ('POST', '/v2/account/keys'), {'data': b'name=m1'}),
    ('json', 400, ('POST', '/v2/account/keys'), {'data': b'{"name":"m1","public_key":"x"}}'}),
    ('repeated-key', 400, ('POST', '/v2/account/keys'), {'data': b'{"name":"m1","name":"m2","public_key":"x"}'}),
    ('json', 400, ('POST', '/v2/account/keys'), {'data': b'{"name":"m\xff","public_key":"x"}'}),
    ('json', 400, ('POST', '/v2/account/keys'), {'data': b'[' * 100000}),
    ('json', 400, ('POST', '/v2/droplets'), {'data': b'{"ssh_keys":[1.0]}'}),
    ('schema:/', 422, ('POST', '/v2/account/keys'), {'body': ['m1']}),
    ('schema:/public_key', 422, ('POST', '/v2/account/keys'), {'body': {'name': 'm1'}}),
    ('schema:/name', 422, key_of('x', name=''), {}),
    ('schema:/name', 422, droplet_with(name='with_underscore'), {}),
    ('schema:/name', 422, droplet_with(name='a' * 256), {}),
    ('schema:/region', 422, droplet_with(region=None), {}),
    ('schema:/image', 422, droplet_with(image=True), {}),
    ('schema:/ssh_keys/0', 422, droplet_with(ssh_keys=['5000000001']), {}),
    ('schema:/backups', 422, droplet_with(backups='false'), {}),
    ('schema:/ipv6', 422, droplet_with(ipv6=0), {}),
    ('schema:/monitoring', 422, droplet_with(monitoring='true'), {}),
    ('schema:/tags', 422, droplet_with(tags='docker,swarm'), {}),
    ('schema:/tags/1', 422, droplet_with(tags=['docker', 'two words']), {}),
    ('schema:/user_data', 422, droplet_with(user_data=''), {}),
    ('schema:/vpc_uuid', 422, droplet_with(vpc_uuid='default'), {}),
    ('schema:/with_something', 422, droplet_with(with_something=1), {}),
    ('deprecated:/private_networking', 422, droplet_with(private_networking=False), {}),
    ('public-key', 422, key_of('ssh-rsa AAAA\n'), {}),
    ('public-key', 422, key_of('ecdsa'), {}),
    ('public-key', 422, key_of('short'), {}),
    ('public-key', 422, key_of('ed25519 twice'), {}),
    ('public-key', 422, key_of(f'ssh-rsa {RSA_BLOB}'), {}),
    ('public-key', 422, key_of(f'ssh-ed25519 {RSA_BLOB}'), {}),
    ('fingerprint', 404, ('GET', f'/v2/account/keys/{FINGERPRINT.upper()}'), {}),
    ('fingerprint', 404, ('GET', '/v2/account/keys/SHA256:abc'), {}),
    ('id', 404, ('GET', '/v2/account/keys/0'), {}),
    ('id', 404, ('DELETE', '/v2/account/keys/705032705'), {}),
    ('id', 404, ('GET', '/v2/droplets/705032706'), {}),
    ('id', 404, ('DELETE', '/v2/droplets/KEY'), {}),
    ('id', 404, ('GET', '/v2/actions/1'), {}),
    ('ssh-keys', 422, droplet_with(ssh_keys=[]), {}),
    ('ssh-keys', 422, droplet_with(ssh_keys=None), {}),
    ('ssh-keys', 422, droplet_with(ssh_keys=[705032705]), {}),
    ('ssh-keys', 422, droplet_with(ssh_keys=[FINGERPRINT]), {}),
    ('region', 422, droplet_with(region='nyc33'), {}),
    ('region', 422, droplet_with(region='lon1'), {}),
    ('size', 422, droplet_with(size='512mb'), {}),
    ('size', 422, droplet_with(size='s-2vcpu-4gb', region='sfo3'), {}),
    ('image', 422, droplet_with(image='ubuntu-16-04-x64'), {}),
    ('image', 422, droplet_with(image='7555620'), {}),
    ('image', 422, droplet_with(image=7555621), {}),
    ('vpc', 422, droplet_with(vpc_uuid=UUID), {}),
    ('user-data', 422, droplet_with(user_data='x' * 65537), {}),
]


@pytest.mark.parametrize('rule, status, request_, other', WRONG,
                         ids=[f'{number}-{wrong[0]}' for number, wrong in enumerate(WRONG)])
def test_wrong_requests(cloud, call, key, public_keys, rule, status, request_, other):
    """Refused, noted under the rule's name alone, and nothing is done."""
    method, path, *body = request_
    other = {name: dict(value) if name == 'head' else value for name, value in other.items()}
    for name, value in other.get('head', {}).items():
        other['head'][name] = value and value.replace('TOKEN', cloud.token)
    if body:
        other['body'] = body[0](key)
        public_key = other['body'].get('public_key')
        others = {**public_keys, 'ed25519 twice': public_keys['ed25519'] * 2}
        if public_key in others:
            other['body']['public_key'] = others[public_key]
        if 'TOKEN' in other['body'].get('user_data', ''):
            other['body']['user_data'] = cloud.token
    if not other.get('head', {}).get('Content-Type', 'there') and 'body' in other:
        other['data'] = json.dumps(other.pop('body')).encode()
    path = path.replace('TOKEN', cloud.token).replace('KEY', str(key['id']))
    before = [*cloud.account.keys, *cloud.account.droplets]
    answer = call(method, path, **other)
    assert answer[0] == status and set(answer[1]) == {'id', 'message', 'request_id'}
    assert [*cloud.account.keys, *cloud.account.droplets] == before
    assert cloud.violations
    if rule != 'token-leak': # in a query it is unknown as well
        assert all(f': {rule}: ' in violation for violation in cloud.violations)
    cloud.forgive(f'{rule}: ')
    cloud.violations.clear()


def test_every_rule_is_tested():
    """Those not in the table have tests of their own, below."""
    tested = {''.join(rule.partition(':')[:2]) for rule, *_ in WRONG}
    assert set(api.RULES) == tested | {'headers', 'want:', 'foreign', 'impatient', 'polling', 'answer'}


def test_header_twice(cloud, call):
    call.wire.putrequest('GET', '/v2/regions')
    for name, value in (('Accept', 'application/json'), ('Authorization', f'Bearer {cloud.token}')) * 2:
        call.wire.putheader(name, value)
    call.wire.endheaders()
    answer = call.wire.getresponse()
    answer.read()
    assert answer.status == 400
    cloud.forgive('headers: authorization twice')
    cloud.forgive('headers: accept twice')


@pytest.mark.parametrize('field, wanted, wrong', [
    ('user_data', '#cloud-config\n', '#cloud-config'), ('tags', ['a', 'b'], ['b', 'a']), ('ipv6', True, False),
    ('tags', ['a'], None), ('vpc_uuid', Absent, UUID), ('user_data', Absent, 'x')])
def test_what_the_test_wants(cloud, call, key, field, wanted, wrong):
    cloud.api.want = {field: wanted}
    method, path, body = droplet_with(**{field: wrong})
    assert call(method, path, body(key))[0] == 422
    cloud.forgive(f'want:{field}: ')
    good = droplet_with(**{field: None if wanted is Absent else wanted})[2](key)
    made = call.good(method, path, good)['droplet']['id']
    call.good('DELETE', f'/v2/droplets/{made}')


def test_what_is_not_the_clients(cloud, call, key, public_keys):
    """It is found, and used; not deleted."""
    account = cloud.account
    own = account.add_key('own', public_keys['ed25519'], ours=True)
    droplet = account.settle(account.add_droplet({**DROPLET, 'ssh_keys': [own.id]}, ours=True))
    assert call('POST', '/v2/droplets', {**DROPLET, 'ssh_keys': [own.id]})[0] == 422
    cloud.forgive('ssh-keys: nobody was told')
    assert call.good('GET', f'/v2/account/keys/{own.fingerprint}')['ssh_key']['id'] == own.id
    made = call.good('POST', '/v2/droplets', {**DROPLET, 'ssh_keys': [own.id]})['droplet']['id']
    call.good('DELETE', f'/v2/droplets/{made}')
    for path in f'account/keys/{own.id}', f'droplets/{droplet.id}':
        assert call('DELETE', f'/v2/{path}')[0] == 403
        cloud.forgive('foreign: ')
    assert call('GET', f'/v2/actions/{droplet.actions[0].id}')[0] == 200
    path = f'/v2/droplets/{droplet.id}/actions/{droplet.actions[0].id}'
    assert call('GET', path)[0] == 200 and call('GET', path[:-1] + '0')[0] == 404
    cloud.forgive('id: ')


def test_kinds_of_keys_that_a_cloud_takes(cloud, call, public_keys):
    cloud.account.key_kinds = ('ssh-rsa',)
    body = {'name': 'm1', 'public_key': public_keys['ed25519']}
    assert call('POST', '/v2/account/keys', body)[0] == 422 # not the client's fault, and so no violation


# limits, faults, and the end

@pytest.mark.parametrize('told', ['retry_after', 'reset_after'])
def test_too_many(cloud, call, told):
    for seconds in 60, 1:
        cloud.faults.add('list_regions', TooMany(**{told: seconds}))
        status, value = call(*REGIONS)
        assert (status, value['id']) == (429, 'too_many_requests')
        assert ('retry-after' in call.headers) == (told == 'retry_after')
        assert ('ratelimit-reset' in call.headers) == (told == 'reset_after')
        if seconds == 60:
            assert call('GET', '/v2/sizes')[0] == 200 # another request
            assert call(*REGIONS)[0] == 200
            cloud.forgive('impatient: ')
    reset = int(call.headers.get('ratelimit-reset', 0))
    time.sleep(max(0.0, reset - time.time()) if reset else 1.0)
    assert call(*REGIONS)[0] == 200


def test_limits_of_the_service(cloud, call):
    cloud.api.per_minute = 3
    assert [call(*REGIONS)[0] for _ in range(4)] == [200, 200, 200, 429]
    assert call.headers['retry-after'] == '60'
    cloud.api.per_minute, cloud.api.per_hour = 250, 5
    assert call('GET', '/v2/sizes')[0] == 200 and call('GET', '/v2/sizes')[0] == 429
    assert 3500 < int(call.headers['ratelimit-reset']) - time.time() < 3602
    assert 'retry-after' not in call.headers


def test_list_of_keys_has_a_limit_of_its_own(cloud, call):
    assert [call('GET', '/v2/account/keys')[0] for _ in range(11)] == [200] * 10 + [429]
    assert call(*REGIONS)[0] == 200


def test_polls_are_counted(cloud, call, droplet, monkeypatch):
    monkeypatch.setattr(api, 'SECOND', 3600.0)
    for _ in range(3):
        call.good('GET', f'/v2/droplets/{droplet.id}')
    assert cloud.api.busiest_second(droplet.id) == 3 and cloud.log.count('get_droplet') == 3
    cloud.api.polls_per_second = 1
    call.good('GET', f'/v2/droplets/{droplet.id}')
    cloud.forgive('polling: 4 polls')


def test_lost_answer(cloud, call, key):
    """Done, and not told: a client that repeats blindly has two droplets."""
    cloud.faults.add('create_droplet', httpfake.Close(applied=True))
    body = {**DROPLET, 'ssh_keys': [key['id']]}
    with pytest.raises((http.client.HTTPException, OSError)):
        call('POST', '/v2/droplets', body)
    call.wire.close()
    call.good('POST', '/v2/droplets', body)
    assert len(cloud.account.droplets) == 2
    for made in list(cloud.account.droplets):
        call.good('DELETE', f'/v2/droplets/{made}')


def test_fault_of_the_service(cloud, call):
    cloud.faults.add('list_regions', httpfake.Refuse(503, 'service_unavailable'), nth=2)
    assert [call(*REGIONS)[0] for _ in range(3)] == [200, 503, 200]
    cloud.faults.add('get_droplet', httpfake.Close())
    with pytest.raises(AssertionError, match='never happened: .*get_droplet.*Close'):
        cloud.check()
    cloud.faults.clear()


def test_links_may_lead_elsewhere(cloud, call):
    """A client with a base of its own keeps to it."""
    with httpfake.HttpFake(cloud.api) as elsewhere:
        cloud.api.links = elsewhere.url
        assert call.good(*REGIONS)['links']['pages']['next'].startswith(elsewhere.url + '/v2/regions?')
        assert elsewhere.log.actions() == []


def test_droplet_that_is_lost(cloud, call, droplet):
    cloud.account.lose(droplet)
    path = f'/v2/droplets/{droplet.id}'
    assert [call(*request)[0] for request in (
        ('GET', path), ('DELETE', path), ('POST', path + '/actions', {'type': 'power_on'}))] == [404] * 3


def test_wrong_requests_are_noted_when_something_else_happens_to_them(cloud, call):
    cloud.faults.add('list_regions', httpfake.Refuse(503, 'service_unavailable'))
    assert call(*REGIONS, head={'Accept': '*/*'})[0] == 503
    cloud.forgive('accept: ')


def test_end_of_with_fails(public_keys):
    """For a wrong request, and for what is left."""
    with pytest.raises(AssertionError, match='wrong requests:.*\n.*path: GET /v2/volumes'):
        with DigitalOcean() as cloud:
            Caller(cloud)('GET', '/v2/volumes')
    with pytest.raises(AssertionError, match='left behind: .*Key'):
        with DigitalOcean() as cloud:
            Caller(cloud).good('POST', '/v2/account/keys', {'name': 'm1', 'public_key': public_keys['rsa']})


def test_what_is_left_is_told(cloud, call, droplet):
    with pytest.raises(AssertionError, match=rf'left behind: .*Key \d+ m1.*Droplet {droplet.id} m1'):
        cloud.check()
    cloud.may_leave = True
    cloud.check()


def test_the_fake_has_to_keep_to_the_schema_as_well(cloud, call, monkeypatch):
    monkeypatch.setitem(account_module.REGIONS, 'nyc3', ('New York 3', 'yes', []))
    assert call(*REGIONS)[0] == 200
    assert call('GET', '/v2/regions?page=2')[0] == 200
    cloud.forgive('answer: /regions/0/available type: boolean')


def test_each_operation_is_there():
    for operation in spec.OPERATIONS:
        assert callable(getattr(operations.Operations, operation.name))
    names = [operation.name for operation in spec.OPERATIONS]
    assert len(set(names)) == len(names)
    for name, schema in spec.DOCUMENT['components']['schemas'].items():
        spec.validator(schema).check_schema(schema)
        if schema.get('type') == 'object':
            assert schema.get('additionalProperties') is False, name
