"""The fake of DigitalOcean's API: clients of others work with it."""

import pathlib

import pytest
from libcloud.common.digitalocean import DigitalOcean_v2_Connection
from libcloud.common.types import InvalidCredsError
from libcloud.compute.base import NodeImage
from libcloud.compute.drivers.digitalocean import DigitalOcean_v2_NodeDriver, DigitalOceanNodeDriver

from docaller import public_keys # noqa: F401
from fakes.digitalocean import DigitalOcean, TooMany
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
