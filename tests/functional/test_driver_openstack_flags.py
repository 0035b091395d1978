"""What flags of the driver openstack ask for: addresses, volumes, keys; what is not there, and what is refused."""

import subprocess

import pytest

from driverclient import DriverError
from fakes.httpfake import RECEIVED
from openstackdriver import BASIC, cloud, counts, fake, host, made, make_host, settle # noqa: F401


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


@pytest.mark.parametrize('user, warned', [('root', True), ('ubuntu', False)])
def test_login_that_images_refuse(host, user, warned):
    host.configure({**BASIC, 'openstack-ssh-user': user})
    assert warned == any('--openstack-ssh-user' in str(note) for note in host.driver.notifications)
