"""The driver digitalocean against the fake of its API: flags, what is stored and sent, the whole life."""

import json
import stat

import pytest

from dodriver import ( # noqa: F401
    CREATE, FINGERPRINT, ID, TAG, Machine, body_of, cloud, driver, machine, own_key)
from driverclient import DriverError, reference
from fakes.digitalocean import Absent, DigitalOcean

VPC = '760e09ef-dc84-11e8-981e-3cfdfeaae000'
FLAGS = {
    'access-token': ('string', 'ACCESS_TOKEN', ''),
    'api-url': ('string', 'API_URL', ''),
    'backups': ('bool', 'BACKUPS', False),
    'image': ('string', 'IMAGE', 'ubuntu-24-04-x64'),
    'ipv6': ('bool', 'IPV6', False),
    'monitoring': ('bool', 'MONITORING', False),
    'private-networking': ('bool', 'PRIVATE_NETWORKING', False),
    'region': ('string', 'REGION', 'nyc3'),
    'size': ('string', 'SIZE', 's-1vcpu-1gb'),
    'ssh-key-fingerprint': ('string', 'SSH_KEY_FINGERPRINT', ''),
    'ssh-key-path': ('string', 'SSH_KEY_PATH', ''),
    'ssh-port': ('int', 'SSH_PORT', 22),
    'ssh-user': ('string', 'SSH_USER', 'root'),
    'tags': ('string', 'TAGS', ''),
    'userdata': ('string', 'USERDATA', ''),
    'vpc-uuid': ('string', 'VPC_UUID', ''),
}
ORIGINAL = ['IPAddress', 'MachineName', 'SSHUser', 'SSHPort', 'SSHKeyPath', 'StorePath', 'SwarmMaster', 'SwarmHost',
            'SwarmDiscovery', 'AccessToken', 'DropletID', 'DropletName', 'Image', 'Region', 'SSHKeyID',
            'SSHKeyFingerprint', 'SSHKey', 'Size', 'IPv6', 'Backups', 'PrivateNetworking', 'UserDataFile',
            'Monitoring', 'Tags']


# flags and what is stored

def test_flags(driver):
    assert {f['name']: (f['type'], f['env'], f.get('default', False)) for f in driver.info['flags']} == {
        f'digitalocean-{name}': (kind, f'DIGITALOCEAN_{variable}', default)
        for name, (kind, variable, default) in FLAGS.items()}
    assert [f['name'] for f in driver.info['flags'] if f.get('secret')] == ['digitalocean-access-token']
    assert driver.info['capabilities']['groupBy'] == ['AccessToken', 'APIURL']


def test_state_is_the_originals(driver):
    state = driver.configure({'digitalocean-access-token': 't'})
    assert list(state)[:len(ORIGINAL)] == ORIGINAL
    assert {name: state[name] for name in ORIGINAL} == {
        'IPAddress': '', 'MachineName': 'web1', 'SSHUser': 'root', 'SSHPort': 22, 'SSHKeyPath': '',
        'StorePath': '/nonexistent/store', 'SwarmMaster': False, 'SwarmHost': '', 'SwarmDiscovery': '',
        'AccessToken': 't', 'DropletID': 0, 'DropletName': '', 'Image': 'ubuntu-24-04-x64', 'Region': 'nyc3',
        'SSHKeyID': 0, 'SSHKeyFingerprint': '', 'SSHKey': '', 'Size': 's-1vcpu-1gb', 'IPv6': False,
        'Backups': False, 'PrivateNetworking': False, 'UserDataFile': '', 'Monitoring': False, 'Tags': ''}
    assert all(type(value) in (str, int, bool) for value in state.values())


def test_every_flag_is_stored(driver):
    given = {'access-token': 'token-1', 'api-url': 'https://api.example.com/', 'backups': True, 'image': '7555620',
             'ipv6': True, 'monitoring': True, 'private-networking': True, 'region': 'fra1',
             'size': 's-2vcpu-4gb', 'ssh-key-fingerprint': FINGERPRINT, 'ssh-key-path': '/keys/k',
             'ssh-port': 2222, 'ssh-user': 'core', 'tags': ' a, b', 'userdata': '/data', 'vpc-uuid': VPC}
    assert set(given) == set(FLAGS)
    state = driver.configure({f'digitalocean-{name}': value for name, value in given.items()})
    stored = {'AccessToken': 'token-1', 'APIURL': 'https://api.example.com', 'Backups': True, 'Image': '7555620',
              'IPv6': True, 'Monitoring': True, 'PrivateNetworking': True, 'Region': 'fra1',
              'Size': 's-2vcpu-4gb', 'SSHKeyFingerprint': FINGERPRINT, 'SSHKey': '/keys/k', 'SSHPort': 2222,
              'SSHUser': 'core', 'Tags': ' a, b', 'UserDataFile': '/data', 'VPCUUID': VPC}
    assert {name: state[name] for name in stored} == stored
    (note,) = [note['params'] for note in driver.notifications]
    assert note['level'] == 'warn' and '--digitalocean-private-networking does nothing' in note['message']


@pytest.mark.parametrize('flag, value, texts', [
    ('access-token', '', ['--digitalocean-access-token', 'DIGITALOCEAN_ACCESS_TOKEN']),
    ('ssh-port', 0, ['--digitalocean-ssh-port 0']),
    ('ssh-port', 65536, ['--digitalocean-ssh-port 65536']),
    ('api-url', 'http://api.example.com', ['--digitalocean-api-url', 'https://']),
    ('api-url', 'ftp://127.0.0.1', ['--digitalocean-api-url']),
    ('ssh-key-fingerprint', '../droplets/1', ['--digitalocean-ssh-key-fingerprint', 'MD5']),
    ('ssh-key-fingerprint', FINGERPRINT + ':00', ['--digitalocean-ssh-key-fingerprint', 'MD5']),
    ('ssh-key-fingerprint', FINGERPRINT[:-1], ['--digitalocean-ssh-key-fingerprint', 'MD5']),
    ('ssh-key-fingerprint', 'SHA256:abc', ['--digitalocean-ssh-key-fingerprint', 'ssh-keygen -l -E md5']),
])
def test_wrong_flags(driver, flag, value, texts):
    with pytest.raises(DriverError) as caught:
        driver.configure({'digitalocean-access-token': 't', f'digitalocean-{flag}': value})
    assert caught.value.kind == 'user' and all(text in caught.value.message for text in texts)


@pytest.mark.parametrize('given', [FINGERPRINT.upper(), 'MD5:' + FINGERPRINT])
def test_fingerprint_as_the_api_has_it(driver, given):
    state = driver.configure({'digitalocean-access-token': 't', 'digitalocean-ssh-key-fingerprint': given})
    assert state['SSHKeyFingerprint'] == FINGERPRINT


# before anything is made

def test_check_is_good_on_the_second_page(cloud, driver, machine):
    machine.configure(driver, region='tor1')
    assert driver.call('preCreateCheck', machine=machine.reference()) == {}
    assert [request.target for request in cloud.log.requests] == \
        ['/v2/regions?per_page=200&page=1', '/v2/regions?per_page=200&page=2']
    assert not list(machine.folder.iterdir())


def test_links_of_others_are_not_followed(cloud, driver, machine):
    cloud.api.links = 'http://203.0.113.99:1'
    machine.configure(driver, region='tor1')
    assert driver.call('preCreateCheck', machine=machine.reference()) == {}
    assert cloud.log.actions() == ['list_regions', 'list_regions']


def test_sizes_that_a_token_may_not_see(cloud, driver, machine):
    cloud.account.sizes_seen = False
    machine.configure(driver, size='anything')
    assert driver.call('preCreateCheck', machine=machine.reference()) == {}


@pytest.mark.parametrize('flags, texts', [
    ({'region': 'xyz1'}, ['--digitalocean-region xyz1', 'no such region']),
    ({'region': 'lon1'}, ['--digitalocean-region lon1', 'no new droplets']),
    ({'region': 'sfo3', 'size': 's-2vcpu-4gb'}, ['--digitalocean-size s-2vcpu-4gb', 'sfo3']),
    ({'size': 'huge'}, ['--digitalocean-size huge']),
    ({'ssh_key_path': '/nonexistent/key'}, ['--digitalocean-ssh-key-path', '--digitalocean-ssh-key-fingerprint']),
    ({'ssh_key_path': '/nonexistent/key', 'ssh_key_fingerprint': FINGERPRINT},
     ['--digitalocean-ssh-key-path /nonexistent/key']),
    ({'userdata': '/nonexistent/data'}, ['--digitalocean-userdata', '/nonexistent/data']),
    ({'userdata': '/'}, ['--digitalocean-userdata', 'regular file']),
])
def test_check_fails(driver, machine, flags, texts):
    machine.configure(driver, **flags)
    with pytest.raises(DriverError) as caught:
        driver.call('preCreateCheck', machine=machine.reference())
    assert all(text in caught.value.message for text in texts), caught.value.message
    assert not list(machine.folder.iterdir())


@pytest.mark.parametrize('name, good', [
    ('m1', True), ('a.b-c', True), ('A', True), ('x' * 255, True), ('x' * 256, False), ('m1-', False),
    ('m1.', False), ('m_1', False), ('m 1', False)])
def test_names(cloud, driver, tmp_path, name, good):
    machine = Machine(cloud, tmp_path, name)
    machine.state = driver.configure(machine.flags(), machine.reference())
    if good:
        assert driver.call('preCreateCheck', machine=machine.reference()) == {}
        return
    with pytest.raises(DriverError, match='is no name for a droplet') as caught:
        driver.call('preCreateCheck', machine=machine.reference())
    assert caught.value.kind == 'user' and not cloud.log.requests


@pytest.mark.parametrize('data, text', [
    (b'#cloud-config\n' + b'#' * (64 << 10), '65536 bytes'), (b'\x1f\x8b\x08\x00zipped', 'not text'),
    (b'caf\xe9', 'not text')])
def test_user_data_that_cannot_be_sent(driver, machine, tmp_path, data, text):
    (tmp_path / 'data').write_bytes(data)
    machine.configure(driver, userdata=str(tmp_path / 'data'))
    with pytest.raises(DriverError, match=text) as caught:
        driver.call('preCreateCheck', machine=machine.reference())
    assert caught.value.kind == 'user' and '--digitalocean-userdata' in caught.value.message


# the whole life

def test_life_of_a_machine(cloud, driver, machine):
    cloud.api.polls_per_second = None
    cloud.api.want = {
        'name': 'm1', 'region': 'nyc3', 'size': 's-1vcpu-1gb', 'image': 'ubuntu-24-04-x64', 'backups': False,
        'ipv6': False, 'monitoring': False, 'tags': [TAG], 'private_networking': Absent, 'vpc_uuid': Absent}
    machine.configure(driver).finish(driver, 'create')
    assert cloud.log.actions() == CREATE
    assert [list(json.loads(request.body)) for request in cloud.log.requests if request.body] == [
        ['name', 'public_key'],
        ['name', 'region', 'size', 'backups', 'ipv6', 'monitoring', 'image', 'ssh_keys', 'tags', 'user_data']]
    droplet, key = machine.droplet, next(iter(cloud.account.keys.values()))
    assert key.name == 'm1' and key.public_key.startswith('ssh-ed25519 ')
    assert key.public_key == (machine.folder / 'id_ed25519.pub').read_text().strip()
    state = machine.state
    assert (state['IPAddress'], state['DropletID'], state['SSHKeyID'], state['OwnKeyFingerprint']) == \
        (droplet.address.public, droplet.id, key.id, key.fingerprint)
    assert state['SSHKeyPath'] == str(machine.folder / 'id_ed25519') and state['MachineTag'] == TAG
    assert stat.S_IMODE((machine.folder / 'id_ed25519').stat().st_mode) == 0o600
    assert not (machine.folder / 'ssh_host_ed25519_key').exists()

    cloud.log.clear()
    assert machine.once(driver, 'create')['status'] == 'done' and not cloud.log.requests
    assert machine.report(driver) == {
        'state': 'Running', 'ip': droplet.address.public, 'url': f'tcp://{droplet.address.public}:2376',
        'ssh': {'host': droplet.address.public, 'port': 22, 'user': 'root', 'keyPath': state['SSHKeyPath'],
                'hostKeys': [state['HostKey']]}}

    for method, actions, status in [
            ('start', [], 'active'), ('stop', ['shutdown'], 'off'), ('stop', [], 'off'), ('kill', [], 'off'),
            ('start', ['power_on'], 'active'), ('kill', ['power_off'], 'off'), ('start', ['power_on'], 'active'),
            ('restart', ['reboot'], 'active')]:
        cloud.log.clear()
        machine.finish(driver, method)
        assert [json.loads(r.body)['type'] for r in cloud.log.of('create_action')] == actions, method
        assert cloud.account.settle(droplet).status == status, method
    cloud.log.clear()
    machine.finish(driver, 'remove')
    assert cloud.log.actions() == ['delete_key', 'delete_droplet', 'delete_tag']
    assert not cloud.account.keys and not cloud.account.droplets and not cloud.account.tags
    report = machine.report(driver)
    assert report['state'] == 'Error' and f'{droplet.id} does not exist' in report['message']
    machine.finish(driver, 'remove')
    assert driver.end() == 0


def test_everything_asked_for(cloud, driver, machine):
    cloud.account.own_vpcs[VPC] = 'fra1'
    cloud.api.want = {'region': 'fra1', 'size': 's-2vcpu-4gb', 'image': 7555620, 'backups': True, 'ipv6': True,
                      'monitoring': True, 'tags': ['docker', 'swarm', TAG], 'vpc_uuid': VPC,
                      'private_networking': Absent}
    machine.configure(driver, region='fra1', size='s-2vcpu-4gb', image='7555620', backups=True, ipv6=True,
                      monitoring=True, tags=' docker,, swarm ,', vpc_uuid=VPC, private_networking=True,
                      ssh_user='core', ssh_port=2222)
    machine.finish(driver, 'create')
    ssh = machine.report(driver)['ssh']
    assert (ssh['user'], ssh['port']) == ('core', 2222) and machine.state['Tags'] == ' docker,, swarm ,'
    machine.finish(driver, 'remove')
    assert set(cloud.account.tags) == {'docker', 'swarm'}


def test_image_names_of_digits_only_are_numbers(cloud, driver, machine):
    """But no JSON number begins with 0."""
    machine.configure(driver, image='007')
    machine.fails(driver, 'create', 'user', 'image')
    assert body_of(cloud, 'create_droplet')['image'] == '007'
    cloud.forgive('image: ')
    machine.finish(driver, 'remove')


def test_only_a_public_address_will_do(cloud, driver, machine):
    cloud.account.boot.public, cloud.account.boot.active = 4, 2
    seen = []
    machine.configure(driver)
    machine.once(driver, 'create')
    while not seen or seen[-1]['state'] != 'Running':
        seen.append(machine.report(driver))
        assert len(seen) < 10
    assert [each['state'] for each in seen] == ['Starting', 'Starting', 'Starting', 'Running']
    assert not any('ip' in each for each in seen[:-1])
    machine.finish(driver, 'create')
    assert machine.state['IPAddress'] == machine.droplet.address.public
    machine.finish(driver, 'remove')


def test_a_refused_checkpoint_creates_nothing(cloud, driver, machine):
    machine.configure(driver)
    for number, made in enumerate([(0, 0), (1, 0), (1, 0), (1, 1)]):
        seen = []

        def refuse(state, last=number, so_far=seen):
            so_far.append(state)
            if len(so_far) > last:
                raise DriverError({'code': -32000, 'message': 'disk full', 'data': {'kind': 'internal'}})

        machine.state = driver.configure(machine.flags(), machine.reference())
        with pytest.raises(DriverError):
            machine.once(driver, 'create', on_checkpoint=refuse)
        assert (len(cloud.account.keys), len(cloud.account.droplets)) == made, number
        machine.state = seen[-1] # what was tried to be stored is enough
        machine.finish(driver, 'remove')
        assert not cloud.account.left()


def test_machines_of_the_original(cloud, driver, tmp_path):
    """Without our members, and with keys in other cases."""
    path = own_key(tmp_path)
    key = cloud.account.add_key('m1', path.with_suffix('.pub').read_text())
    droplet = cloud.account.add_droplet({'name': 'm1', 'region': 'nyc3', 'size': 's-1vcpu-1gb', 'tags': [],
                                         'image': 'ubuntu-24-04-x64', 'ssh_keys': [key.id]})
    cloud.account.settle(droplet)
    machine = Machine(cloud, tmp_path)
    machine.state = {'IPAddress': '192.0.2.1', 'SSHUser': '', 'SSHPort': 0, 'SSHKeyPath': '', 'apiurl': cloud.url,
                     'accesstoken': cloud.token, 'dropletid': droplet.id, 'SSHKEYID': key.id, 'Unknown': [1]}
    report = machine.report(driver)
    assert report['state'] == 'Running' and report['ip'] == droplet.address.public
    assert report['ssh'] == {'host': report['ip'], 'port': 22, 'user': 'root', 'keyPath': str(machine.folder / 'id_rsa')}
    machine.finish(driver, 'stop')
    assert machine.state['Unknown'] == [1]
    machine.finish(driver, 'remove')
    assert cloud.log.actions()[-2:] == ['delete_key', 'delete_droplet']


@pytest.mark.parametrize('member, value', [('DropletID', '3164444'), ('DropletID', 1.5), ('AccessToken', 5), ('SSHPort', '22'),
                                           ('IPv6', 'true'), ('MachineTag', [])])
def test_states_that_somebody_edited(cloud, driver, machine, tmp_path, member, value):
    """What reads as "there is none" would be forgotten, and paid for. The others are none the worse."""
    good, bad = many(cloud, driver, tmp_path, 2)
    machine.state = bad['state'] = {**bad['state'], member: value}
    for method in 'create', 'start', 'stop', 'kill', 'restart', 'remove', 'preCreateCheck':
        machine.fails(driver, method, 'user', f'"{member}"', str(machine.folder / 'config.json'))
    assert not cloud.log.requests
    first, second = driver.call('states', machines=[good, bad])['machines']
    assert first['state'] == 'Running' and f'"{member}"' in second['error']['message']


# reports

def many(cloud, driver, tmp_path, count):
    machines = []
    plain = Machine(cloud, tmp_path).configure(driver).state
    for number in range(count):
        droplet = cloud.account.add_droplet({'name': f'm{number}', 'region': 'nyc3', 'size': 's-1vcpu-1gb',
                                             'image': 'ubuntu-24-04-x64', 'tags': []}, ours=True)
        cloud.account.settle(droplet)
        machines.append(reference(f'm{number}', {**plain, 'DropletID': droplet.id}, ident=f'{number:032x}'))
    return machines


def test_many_in_two_requests(cloud, driver, tmp_path):
    machines = many(cloud, driver, tmp_path, 300)
    reports = driver.call('states', machines=machines)['machines']
    assert [each['state'] for each in reports] == ['Running'] * 300
    assert all(each['ip'].startswith('203.0.113.') for each in reports)
    assert [request.target for request in cloud.log.requests] == \
        ['/v2/droplets?per_page=200&page=1', '/v2/droplets?per_page=200&page=2']
    assert driver.info['capabilities']['statesBatch'] >= 300


def test_a_few_that_are_gone(cloud, driver, tmp_path):
    machines = many(cloud, driver, tmp_path, 10)
    lost = machines[3]['state']['DropletID']
    cloud.account.lose(cloud.account.droplets[lost])
    machines[5]['state'] = {**machines[5]['state'], 'DropletID': 0}
    reports = driver.call('states', machines=machines)['machines']
    assert [each['state'] for each in reports] == ['Error' if n in (3, 5) else 'Running' for n in range(10)]
    assert f'{lost} does not exist' in reports[3]['message'] and 'has not been created' in reports[5]['message']
    assert cloud.log.actions() == ['list_droplets', 'get_droplet']


def test_many_that_are_gone(cloud, driver, tmp_path):
    """They do not cost a request each."""
    machines = many(cloud, driver, tmp_path, 50)
    for droplet in list(cloud.account.droplets.values())[:40]:
        cloud.account.lose(droplet)
    reports = driver.call('states', machines=machines)['machines']
    assert [each['state'] for each in reports] == ['Error'] * 40 + ['Running'] * 10
    assert cloud.log.actions() == ['list_droplets', 'list_droplets']


def test_a_list_that_changes_under_way(cloud, driver, tmp_path):
    """One that is on neither page is asked for."""
    machines = many(cloud, driver, tmp_path, 9)
    cloud.api.pages['droplets'] = 4
    first = list(cloud.account.droplets.values())[0]
    cloud.faults.hook('list_droplets', 'applied', lambda request: cloud.account.lose(first))
    reports = driver.call('states', machines=machines)['machines']
    assert cloud.log.actions() == ['list_droplets'] * 2 + ['get_droplet']
    assert [each['state'] for each in reports] == ['Running'] * 9


def test_accounts_are_kept_apart(cloud, driver, tmp_path):
    """Also in one request, and when the first machine has no account at all."""
    machines = many(cloud, driver, tmp_path, 3)
    with DigitalOcean(token='another-token') as other:
        theirs = many(other, driver, tmp_path, 2)
        mixed = [reference('ghost', {}), theirs[0], *machines, theirs[1]]
        reports = driver.call('states', machines=mixed)['machines']
        assert [each['state'] for each in reports] == ['Error'] + ['Running'] * 5
        assert other.log.actions() == ['get_droplet'] * 2 and cloud.log.actions() == ['get_droplet'] * 3


def test_states_that_droplets_have(cloud, driver, tmp_path):
    machines = many(cloud, driver, tmp_path, 1)
    (droplet,) = cloud.account.droplets.values()
    for status, state in [('new', 'Starting'), ('active', 'Running'), ('off', 'Stopped'), ('archive', '')]:
        droplet.status = status
        (report,) = driver.call('states', machines=machines)['machines']
        assert report['state'] == state
    assert ID not in str(cloud.log.requests)
