"""The driver qemu: its flags, what it stores of them, and what it looks at before it makes anything."""

import hashlib
import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import tempfile

import pytest

from driverclient import DriverError
from qemumachine import image, logs, new, option # noqa: F401


# name: variable (by the name: True), type, default
FLAGS = {
    'cpu-count': (True, 'int', 2), 'memory': (True, 'int', 2048), 'disk-size': (True, 'int', 20000), 'image': (True, 'string', ''),
    'image-checksum': (True, 'string', ''), 'accel': (True, 'string', 'auto'), 'cpu-type': (True, 'string', 'auto'),
    'machine-type': (False, 'string', 'q35'), 'program': (True, 'string', 'qemu-system-x86_64'), 'firmware': (True, 'string', ''),
    'network': (True, 'string', 'user'), 'network-bridge': (False, 'string', 'br0'), 'network-interface': (False, 'string', 'tap0'),
    'network-address': (False, 'string', ''), 'mac-address': (False, 'string', ''), 'ssh-user': (True, 'string', 'docker'),
    'ssh-port': (True, 'int', 0), 'engine-port': (True, 'int', 0), 'localports': (True, 'string', ''), 'publish': (False, 'list', []),
    'bind-address': (True, 'string', '127.0.0.1'), 'share': (False, 'list', []), 'share-type': (False, 'string', 'auto'),
    'userdata': (True, 'string', ''), 'boot2docker-url': (True, 'string', ''), 'cache-mode': (False, 'string', 'default'),
    'io-mode': (False, 'string', 'threads'), 'display': (False, 'bool', False), 'display-type': (False, 'string', ''),
    'nographic': (False, 'bool', False), 'virtio-drives': (False, 'bool', False), 'extra-arg': (False, 'list', []),
    'append': (True, 'string', ''),
}


def test_flags(new):
    info = new().driver.info
    assert info['capabilities']['machinesAtOnce'] == max(2, os.cpu_count())
    flags = {f['name']: f for f in info['flags']}
    assert set(flags) == {f'qemu-{name}' for name in FLAGS}
    for name, (variable, kind, default) in FLAGS.items():
        f = flags[f'qemu-{name}']
        assert (f['type'], f.get('default', False)) == (kind, default), name
        assert f.get('env', '') == (f'qemu-{name}'.upper().replace('-', '_') if variable else ''), name
        assert f['usage'] and not f['secret'] and not f['required']


BASE = ['IPAddress', 'MachineName', 'SSHUser', 'SSHPort', 'SSHKeyPath', 'StorePath', 'SwarmMaster', 'SwarmHost', 'SwarmDiscovery']
OLD_PLUGIN = ['EnginePort', 'FirstQuery', 'Memory', 'DiskSize', 'CPU', 'Program', 'Display', 'DisplayType', 'Nographic',
              'VirtioDrives', 'Network', 'PrivateNetwork', 'Boot2DockerURL', 'NetworkInterface', 'NetworkAddress', 'NetworkBridge',
              'CaCertPath', 'PrivateKeyPath', 'DiskPath', 'CacheMode', 'IOMode', 'UserDataFile', 'CloudConfigRoot', 'LocalPorts']
OURS = ['Image', 'ImageChecksum', 'BaseImagePath', 'Accel', 'CPUType', 'MachineType', 'Firmware', 'MACAddress', 'UUID',
        'BindAddress', 'Publish', 'Shares', 'HostKey', 'ExtraArgs']


def test_state(new, image): # noqa: F811
    """What is stored, in which order, of which type; a machine that was started has all of it."""
    m = new(qemu_virtio_drives=True)
    m.configure()
    assert list(m.state)[:len(BASE + OLD_PLUGIN + OURS)] == BASE + OLD_PLUGIN + OURS
    assert [m.state[k] for k in ('Publish', 'Shares', 'ExtraArgs')] == [None] * 3
    assert m.state['FirstQuery'] is False and m.state['VirtioDrives'] is True and m.state['CPU'] == 1
    m.create()
    s = m.state
    assert list(s)[:len(BASE + OLD_PLUGIN + OURS)] == BASE + OLD_PLUGIN + OURS
    assert (s['IPAddress'], s['UUID'], s['Accel'], s['CPUType']) == ('127.0.0.1', m.uuid, 'tcg', 'max,la57=off')
    assert s['SSHPort'] and s['EnginePort'] and s['SSHPort'] != s['EnginePort']
    assert s['DiskPath'] == f'{m.folder}/disk.qcow2' and s['HostKey'].startswith('ssh-ed25519 ')
    assert s['BaseImagePath'] == f'{m.store}/cache/images/{s["ImageID"]}/root.qcow2'
    mac = hashlib.sha256(f'{m.store}\nw1'.encode()).hexdigest()
    assert s['MACAddress'] == f'52:54:00:{mac[:2]}:{mac[2:4]}:{mac[4:6]}'
    files = {p.name for p in m.folder.iterdir()}
    assert files == {'disk.qcow2', 'seed.iso', 'id_ed25519', 'id_ed25519.pub', 'id_rsa', 'id_rsa.pub', 'ssh_host_ed25519_key',
                     'ssh_host_ed25519_key.pub', 'qemu.pid', 'monitor', 'qemu.log', 'qemu.lock', 'image'}


@pytest.mark.parametrize('flag, value, text', [
    ('qemu-accel', 'hvf', 'none of auto, kvm, tcg'), ('qemu-memory', 255, 'from 256'), ('qemu-cpu-count', 0, 'from 1'),
    ('qemu-disk-size', 10**9, 'a number from'), ('qemu-network', 'host', 'none of user'), ('qemu-publish', ['80'], 'not of the form'),
    ('qemu-publish', ['1:2,hostfwd=tcp::3-:4'], 'not of the form'), ('qemu-share', ['/a:b c'], 'not of the form'),
    ('qemu-localports', '9-9', 'not a range'), ('qemu-bind-address', '::1', 'is not'),
    ('qemu-network-address', '192.0.2.7', 'not for user'), ('qemu-mac-address', '53:54:00:1:2:3', 'network card'),
    ('qemu-mac-address', '53:54:00:01:02:03', 'network card'), ('qemu-ssh-port', 65536, 'a number from'), ('qemu-cpu-count', -2, 'from 1'),
    ('qemu-machine-type', '', 'not a name'), ('qemu-cpu-type', '-x', 'not a name'),
    ('qemu-ssh-user', '-x', 'not a name'), ('qemu-boot2docker-url', 'http://x/b.iso', 'no longer maintained'),
    ('qemu-cache-mode', 'x', 'none of default'), ('qemu-append', 'a\nb', 'not a name'), ('qemu-program', '', 'not a name'),
    ('qemu-network-bridge', 'br0,id=x', 'not a name'), ('qemu-io-mode', 'native', 'needs --qemu-cache-mode'),
    ('qemu-cpu-count', 256, 'from 1 to 255'), ('qemu-disk-size', 0, 'a number from 1'), ('qemu-share-type', 'nfs', 'none of auto, 9p, virtiofs'),
    ('qemu-localports', '9-8', 'not a range'), ('qemu-share', ['src:/src'], '"src" is not an absolute path'),
    ('qemu-image', 'https://192.0.2.1/x.qcow2', 'needs a checksum'), ('qemu-image-checksum', 'md5:00', 'sha256'),
    ('qemu-network-bridge', 'br7', 'is for --qemu-network bridge, not for user'),
    ('qemu-network-interface', 'tap7', 'is for --qemu-network tap, not for user'),
])
def test_wrong_flags(new, flag, value, text):
    m = new()
    with pytest.raises(DriverError) as caught:
        m.configure(**{flag: value})
    assert text in caught.value.message and f'--{flag}' in caught.value.message or flag == 'qemu-network' and text in caught.value.message
    assert caught.value.kind in ('user', 'notSupported')


@pytest.mark.parametrize('flags, text', [
    ({'qemu_ssh_port': 40022, 'qemu_engine_port': 40022}, 'the same port'),
    ({'qemu_network': 'tap', 'qemu_ssh_port': 40022}, '--qemu-ssh-port is for --qemu-network user, not for tap'),
    ({'qemu_network': 'tap', 'qemu_engine_port': 40022}, '--qemu-engine-port is for --qemu-network user, not for tap'),
    ({'qemu_network': 'bridge', 'qemu_publish': ['80:80']}, '--qemu-publish is for --qemu-network user, not for bridge'),
    ({'qemu_network': 'bridge', 'qemu_localports': '1-9'}, '--qemu-localports is for --qemu-network user, not for bridge'),
    ({'qemu_network': 'bridge', 'qemu_bind_address': '0.0.0.0'}, '--qemu-bind-address is for --qemu-network user, not for bridge'),
    ({'qemu_network': 'bridge', 'qemu_network_interface': 'tap7'}, '--qemu-network-interface is for --qemu-network tap, not for bridge'),
    ({'qemu_network_address': '192.0.2.7'}, '--qemu-network-address is for --qemu-network bridge and tap, not for user'),
    ({'qemu_network': 'bridge', 'qemu_network_address': '192.0.2.7/24,gw'}, 'each an IPv4 address'),
    ({'qemu_network': 'bridge', 'qemu_network_address': '1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1'}, 'each an IPv4 address'),
])
def test_flags_that_do_not_fit(new, flags, text):
    m = new()
    with pytest.raises(DriverError) as caught:
        m.configure(**flags)
    assert caught.value.kind == 'user' and text in caught.value.message


def test_address_gateway_and_name_server(new):
    m = new(qemu_network='tap', qemu_network_address='192.0.2.7/16,192.0.0.1,192.0.0.2', qemu_mac_address='52:54:00:0A:0b:0c')
    m.configure()
    assert [m.state[k] for k in ('NetworkAddress', 'MACAddress', 'IPAddress', 'SSHPort', 'EnginePort')] == [
        '192.0.2.7/16,192.0.0.1,192.0.0.2', '52:54:00:0A:0b:0c', '192.0.2.7', 22, 2376]
    m.finish('create')
    config = json.loads(subprocess.check_output(['isoinfo', '-J', '-x', '/network-config', '-i', m.folder / 'seed.iso']))
    assert config['ethernets']['machine0'] == {
        'match': {'macaddress': '52:54:00:0A:0b:0c'}, 'dhcp4': False, 'addresses': ['192.0.2.7/16'], 'gateway4': '192.0.0.1',
        'nameservers': {'addresses': ['192.0.0.2']}}
    assert option(m.argvs()[-1], '-netdev') == ['tap,id=n0,ifname=tap0,script=no,downscript=no']
    report = m.report()
    assert (report['ip'], report['url'], report['ssh']['port']) == ('192.0.2.7', 'tcp://192.0.2.7:2376', 22)


def test_bridge_has_no_sandbox(new):
    m = new(qemu_network='bridge', qemu_network_bridge='br7')
    m.configure()
    m.call('create')
    (argv,) = m.argvs()
    assert option(argv, '-netdev') == ['bridge,id=n0,br=br7'] and '-sandbox' not in argv
    assert m.report()['state'] == 'Starting' and 'ip' not in m.report() # nobody has given it an address


@pytest.mark.parametrize('name', ['a-', 'a..b', 'a.-b', 'x' * 65])
def test_names_that_are_no_host_names(new, name):
    m = new()
    m.name = name
    with pytest.raises(DriverError) as caught:
        m.configure()
    assert caught.value.kind == 'user' and name in caught.value.message


def test_nographic_does_nothing(new):
    m = new(qemu_display=True, qemu_display_type='vnc=none', qemu_nographic=True)
    m.create()
    argv = m.argvs()[-1]
    assert option(argv, '-display') == ['vnc=none'] and option(argv, '-vga') == ['std'] and m.state['Nographic'] is True


def test_chosen_processor_and_arguments(new):
    m = new(qemu_cpu_count=-1, qemu_cpu_type='Nehalem,-vmx', qemu_machine_type='pc', qemu_extra_arg=['-device', 'a,b c'])
    m.configure()
    m.finish('create')
    argv = m.argvs()[-1]
    assert argv[argv.index('-cpu') + 1] == 'Nehalem,-vmx' and argv[argv.index('-smp') + 1] == str(os.cpu_count())
    assert option(argv, '-machine') == ['pc'] and (m.state['CPUType'], m.state['CPUTypeWanted']) == ('Nehalem,-vmx',) * 2 and argv[-2:] == ['-device', 'a,b c']


def test_the_published_image_where_there_is_none(new):
    """It cannot be fetched here: a proxy that is not there stands in the way."""
    m = new(qemu_image='')
    m.env.update({'https_proxy': 'http://127.0.0.1:1', 'HTTPS_PROXY': 'http://127.0.0.1:1', 'no_proxy': '', 'NO_PROXY': ''})
    m.restart_driver()
    m.configure()
    with pytest.raises(DriverError) as caught:
        m.call('create')
    assert 'https://cloud.debian.org/images/cloud/bookworm/latest/' in caught.value.message and 'machine image build' in caught.value.message
    told = [n['params']['message'] for n in m.driver.notifications if n['method'] == 'progress']
    assert any('debian-12-cloud' in t and 'machine image build' in t for t in told), told


def test_virtiofs_is_not_read_only(new):
    m = new()
    with pytest.raises(DriverError) as caught:
        m.configure(qemu_share=['/tmp:/x:ro'], qemu_share_type='virtiofs')
    assert caught.value.kind == 'user' and '9p' in caught.value.message


@pytest.mark.parametrize('flags, text', [
    ({'qemu-program': 'no-such-qemu'}, 'install QEMU'), ({'qemu-userdata': '/nonexistent/x'}, '--qemu-userdata'),
    ({'qemu-share': ['/nonexistent/x']}, '--qemu-share /nonexistent/x'), ({'qemu-image': 'no-such-image'}, 'no-such-image'),
    ({'qemu-image': '/nonexistent/x.img'}, '--qemu-image: open the image /nonexistent/x.img'),
    ({'qemu-firmware': '/nonexistent/x'}, '--qemu-firmware'),
    ({'qemu-network': 'bridge', 'qemu-network-bridge': 'nobr7', 'qemu-network-address': '192.0.2.7'}, 'no bridge "nobr7"'),
    ({'qemu-network': 'tap', 'qemu-network-interface': 'notap7', 'qemu-network-address': '192.0.2.7'}, 'no tap interface'),
])
def test_pre_create_check(new, flags, text):
    m = new()
    m.configure(**flags)
    with pytest.raises(DriverError) as caught:
        m.driver.call('preCreateCheck', machine=m.ref())
    assert text in caught.value.message


def test_old_qemu(new):
    for version, text in ('4.2.1', 'too old'), ('5.2.0', None), ('6.1.9', None), ('7.2.0', None):
        m = new()
        m.plan(version=f'QEMU emulator version {version}')
        m.configure()
        if text:
            with pytest.raises(DriverError) as caught:
                m.driver.call('preCreateCheck', machine=m.ref())
            assert text in caught.value.message and version in caught.value.message
        else:
            m.driver.call('preCreateCheck', machine=m.ref())
            assert bool(logs(m)) == (version < '6.2')


def test_another_qemu_img(new, tmp_path):
    """What QEMU_IMG names is asked, for the version and for the disk."""
    m = new()
    program = tmp_path / 'img'
    program.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/said\nexec qemu-img "$@"\n')
    program.chmod(0o755)
    m.env['QEMU_IMG'] = str(program)
    m.restart_driver()
    m.create()
    said = (tmp_path / 'said').read_text().split()
    assert said[0] == '--version' and said[-2:] == ['info', 'create']
    assert 'QEMU_IMG' in m.driver.info['environment']
    program.unlink()
    with pytest.raises(DriverError) as caught:
        m.driver.call('preCreateCheck', machine=m.ref())
    assert str(program) in caught.value.message and 'qemu-utils' in caught.value.message


@pytest.mark.parametrize('flag', ['qemu-ssh-port', 'qemu-engine-port', 'qemu-publish'])
def test_chosen_port_that_is_taken(new, flag):
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        m = new()
        m.configure(**{flag: [f'{port}:80'] if flag == 'qemu-publish' else port})
        with pytest.raises(DriverError) as caught:
            m.driver.call('preCreateCheck', machine=m.ref())
        assert f'--{flag}' in caught.value.message and str(port) in caught.value.message
    m.driver.call('preCreateCheck', machine=m.ref())


@pytest.fixture
def runtime():
    """Its path is short, whatever that of the test is."""
    with tempfile.TemporaryDirectory() as folder:
        yield pathlib.Path(folder)


def test_path_of_sockets(new, tmp_path, runtime):
    """A store whose path has blanks, commas, a percent sign and 150 characters."""
    deep = tmp_path / ('a, b%d ' + 'x' * 150)
    m = new()
    m.store = deep
    m.folder = deep / 'machines' / 'w1'
    m.folder.mkdir(parents=True)
    for value in 'relative', f'/{"r" * 100}':
        m.env['XDG_RUNTIME_DIR'] = value
        m.restart_driver()
        m.configure()
        if value == 'relative': # there is the usual place, or none
            continue
        with pytest.raises(DriverError) as caught:
            m.driver.call('preCreateCheck', machine=m.ref())
        assert '107' in caught.value.message and '--storage-path' in caught.value.message
    m.env['XDG_RUNTIME_DIR'] = str(runtime)
    m.restart_driver()
    m.create()
    where = pathlib.Path(m.state['SocketDir'])
    assert where.parent == runtime / 'docker-machine' and stat.S_IMODE(where.stat().st_mode) == 0o700
    assert {p.name for p in where.iterdir()} == {'monitor'} and len(m.pids()) == 1
    m.finish('stop')
    shutil.rmtree(runtime / 'docker-machine') # as when its user logs out
    m.finish('start')
    assert m.report()['state'] == '' and len(m.pids()) == 1
    m.finish('remove')
    assert not where.exists() and not m.pids()


def test_kvm_device_missing(new):
    m = new(qemu_accel='kvm')
    m.env['MACHINE_KVM_DEVICE'] = '/nonexistent/kvm'
    m.restart_driver()
    m.configure()
    with pytest.raises(DriverError) as caught:
        m.driver.call('preCreateCheck', machine=m.ref())
    assert caught.value.kind == 'notSupported' and '/nonexistent/kvm' in caught.value.message and 'tcg' in caught.value.message
