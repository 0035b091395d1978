"""The driver qemu, spoken to directly: with a stand-in for QEMU, and with QEMU itself (emulation, nothing
to boot)."""

import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import time
import uuid

import pytest

import cli as cli_module
from driverclient import Driver, DriverError, driver_file, reference

QEMU = driver_file('qemu')
FAKE = cli_module.FAKES / 'fake-qemu'
MIB = 1 << 20
PATIENCE = 60


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope='session')
def image(tmp_path_factory):
    """A folder as build-image makes it, with nothing in it that could boot."""
    folder = tmp_path_factory.mktemp('image')
    for name in 'root.qcow2', 'disk.qcow2':
        subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', folder / name, str(64 * MIB)], check=True)
    (folder / 'vmlinuz').write_bytes(b'no kernel')
    (folder / 'initrd.img').write_bytes(b'no initrd')
    files = {role: {'name': name, 'size': (folder / name).stat().st_size, 'sha256': sha256(folder / name)}
             for role, name in [('root', 'root.qcow2'), ('kernel', 'vmlinuz'), ('initrd', 'initrd.img'), ('disk', 'disk.qcow2')]}
    files['root']['virtualSize'] = files['disk']['virtualSize'] = 64 * MIB
    (folder / 'image.json').write_text(json.dumps({
        'format': 1, 'name': 'debian-12', 'created': '2026-11-25T04:00:00Z', 'architecture': 'amd64', 'os': 'none',
        'engine': '', 'seed': 'lean', 'cmdline': 'root=LABEL=root ro', 'source': {}, 'files': files}))
    (folder / 'SHA256SUMS').write_text(''.join(f'{f["sha256"]}  {f["name"]}\n' for f in files.values()))
    return folder


def of_uuid(ident):
    """The processes that carry a machine's UUID."""
    found = []
    for entry in pathlib.Path('/proc').iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and ident.encode() in (entry / 'cmdline').read_bytes().split(b'\0'):
                found.append(int(entry.name))
    return found


class Machine:
    """A driver, and one machine of it."""

    def __init__(self, tmp_path, image, fake, **flags):
        self.id = uuid.uuid4().hex
        self.uuid = str(uuid.UUID(self.id))
        self.store = tmp_path / 's'
        self.folder = self.store / 'machines' / 'w1'
        self.folder.mkdir(parents=True, exist_ok=True)
        self.plan_file = tmp_path / 'bin' / 'plan'
        self.plan_file.parent.mkdir(exist_ok=True)
        self.plan()
        self.state = {}
        self.env = {**os.environ, 'MACHINE_KVM_DEVICE': '/dev/null'}
        self.fake = fake
        self.flags = {'qemu-image': str(image), 'qemu-disk-size': 100, 'qemu-memory': 256, 'qemu-cpu-count': 1, 'qemu-accel': 'tcg'}
        if fake:
            program = tmp_path / 'bin' / 'qemu-system-x86_64'
            if not program.exists():
                program.symlink_to(FAKE)
            self.flags['qemu-program'] = str(program)
        self.flags.update({k.replace('_', '-'): v for k, v in flags.items()})
        self.driver = None
        self.restart_driver()

    def plan(self, **plan):
        self.plan_file.write_text(json.dumps(plan))

    def restart_driver(self):
        if self.driver:
            self.driver.process.kill()
            self.driver.__exit__(None)
        self.driver = Driver(QEMU, env=self.env)

    def ref(self, state=None, ident=None):
        return reference('w1', self.state if state is None else state, self.folder, self.store, ident or self.id)

    def configure(self, **flags):
        values = {f['name']: f.get('default') if f.get('default') is not None else {'list': [], 'bool': False}.get(f['type'], '')
                  for f in self.driver.info['flags']}
        values.update(self.flags)
        values.update({k.replace('_', '-'): v for k, v in flags.items()})
        self.state = self.driver.configure(values, self.ref({}))
        return self.state

    def call(self, method, **kwargs):
        out = self.driver.call(method, timeout=PATIENCE, machine=self.ref(), **kwargs)
        self.state = out.get('state', self.state)
        return out

    def finish(self, method):
        """Does the host's waiting, but for the greeting of SSH."""
        end = time.monotonic() + PATIENCE
        while (out := self.call(method))['status'] == 'wait':
            assert time.monotonic() < end
            time.sleep(0.05)
        assert out['status'] == 'done'

    def create(self):
        self.configure()
        self.driver.call('preCreateCheck', machine=self.ref())
        out = self.call('create')
        assert (out['status'], out['waitFor']) == ('wait', 'Running')
        assert self.call('create')['status'] == 'done'

    def report(self):
        return self.driver.report(self.ref())

    def argvs(self):
        """What QEMU was started with, without trials."""
        log = pathlib.Path(f'{self.plan_file}.log')
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [line for line in lines if '-uuid' in line]

    def commands(self):
        return [c[0] for c in map(json.loads, pathlib.Path(f'{self.plan_file}.log').read_text().splitlines()) if len(c) == 1]

    def pids(self):
        return of_uuid(self.uuid)

    def close(self):
        self.driver.process.kill()
        self.driver.__exit__(None)
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not self.pids())


@pytest.fixture
def new(tmp_path, image):
    made = []

    def make(fake=True, **flags):
        made.append(Machine(tmp_path, image, fake, **flags))
        return made[-1]
    yield make
    for m in made:
        m.close()


def option(argv, name):
    return [argv[i + 1] for i, a in enumerate(argv[:-1]) if a == name]


def logs(m, level='warn'):
    return [n['params']['message'] for n in m.driver.notifications if n['method'] == 'log' and n['params']['level'] == level]


def wait_for(what):
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


# --- flags

def test_flags(new):
    m = new()
    flags = {f['name']: f for f in m.driver.info['flags']}
    old = {'qemu-memory', 'qemu-disk-size', 'qemu-cpu-count', 'qemu-program', 'qemu-display', 'qemu-display-type',
           'qemu-nographic', 'qemu-virtio-drives', 'qemu-network', 'qemu-boot2docker-url', 'qemu-network-interface',
           'qemu-network-address', 'qemu-network-bridge', 'qemu-cache-mode', 'qemu-io-mode', 'qemu-ssh-user',
           'qemu-userdata', 'qemu-localports'}
    assert old < set(flags)
    assert all(f['env'] == name.upper().replace('-', '_') and f['usage'] for name, f in flags.items())


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
])
def test_wrong_flags(new, flag, value, text):
    m = new()
    with pytest.raises(DriverError) as caught:
        m.configure(**{flag: value})
    assert text in caught.value.message and f'--{flag}' in caught.value.message or flag == 'qemu-network' and text in caught.value.message
    assert caught.value.kind in ('user', 'notSupported')


@pytest.mark.parametrize('flags, text', [
    ({'qemu_ssh_port': 40022, 'qemu_engine_port': 40022}, 'the same port'),
    ({'qemu_network': 'tap', 'qemu_ssh_port': 40022}, '--qemu-ssh-port'),
    ({'qemu_network': 'bridge', 'qemu_publish': ['80:80']}, '--qemu-publish'),
    ({'qemu_network': 'bridge', 'qemu_network_address': '192.0.2.7/24,gw'}, 'not an IPv4 address'),
    ({'qemu_network': 'bridge', 'qemu_network_address': '1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1'}, 'not an IPv4 address'),
])
def test_flags_that_do_not_fit(new, flags, text):
    m = new()
    with pytest.raises(DriverError) as caught:
        m.configure(**flags)
    assert caught.value.kind == 'user' and text in caught.value.message


def test_address_gateway_and_name_server(new):
    m = new(qemu_network='tap', qemu_network_address='192.0.2.7/16,192.0.0.1,192.0.0.2', qemu_mac_address='52:54:00:0A:0b:0c')
    m.configure()
    assert [m.state[k] for k in ('NetworkAddress', 'NetworkGateway', 'NetworkDNS', 'MACAddress', 'IPAddress')] == [
        '192.0.2.7/16', '192.0.0.1', '192.0.0.2', '52:54:00:0A:0b:0c', '192.0.2.7']


def test_chosen_processor_and_arguments(new):
    m = new(qemu_cpu_count=-1, qemu_cpu_type='Nehalem,-vmx', qemu_machine_type='pc', qemu_extra_arg=['-device', 'a,b c'])
    m.configure()
    m.finish('create')
    argv = m.argvs()[-1]
    assert argv[argv.index('-cpu') + 1] == 'Nehalem,-vmx' and argv[argv.index('-smp') + 1] == str(os.cpu_count())
    assert argv[argv.index('-machine') + 1].startswith('pc,') and argv[-2:] == ['-device', 'a,b c']


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
    ({'qemu-share': ['/nonexistent/x']}, '--qemu-share'), ({'qemu-firmware': '/nonexistent/x'}, '--qemu-firmware'),
    ({'qemu-network': 'bridge', 'qemu-network-bridge': 'nobr7', 'qemu-network-address': '192.0.2.7'}, 'no bridge "nobr7"'),
    ({'qemu-network': 'tap', 'qemu-network-interface': 'notap7', 'qemu-network-address': '192.0.2.7'}, 'no tap interface'),
])
def test_pre_create_check(new, flags, text):
    m = new()
    m.configure(**flags)
    with pytest.raises(DriverError) as caught:
        m.driver.call('preCreateCheck', machine=m.ref())
    assert text in caught.value.message


def test_path_of_sockets(new):
    m = new()
    m.configure()
    m.folder = m.store / 'machines' / ('x' * 100)
    with pytest.raises(DriverError) as caught:
        m.driver.call('preCreateCheck', machine=m.ref())
    assert '107' in caught.value.message and '--storage-path' in caught.value.message


def test_kvm_device_missing(new):
    m = new(qemu_accel='kvm')
    m.env['MACHINE_KVM_DEVICE'] = '/nonexistent/kvm'
    m.restart_driver()
    m.configure()
    with pytest.raises(DriverError) as caught:
        m.driver.call('preCreateCheck', machine=m.ref())
    assert caught.value.kind == 'notSupported' and '/nonexistent/kvm' in caught.value.message and 'tcg' in caught.value.message


# --- a life

def test_life(new):
    m = new()
    m.plan(events=True, late=0.3)
    m.create()
    assert len(m.pids()) == 1
    files = {p.name: stat.S_IMODE(p.stat().st_mode) for p in m.folder.iterdir() if p.is_file()}
    for name in 'seed.iso', 'id_ed25519', 'ssh_host_ed25519_key', 'qemu.log':
        assert files[name] == 0o600, name
    report = m.report()
    assert report['enginePort'] == 2376 and report['slow'] is True
    assert report['url'] == f'tcp://127.0.0.1:{m.state["EnginePort"]}'
    assert report['ssh'] == {'host': '127.0.0.1', 'port': m.state['SSHPort'], 'user': 'docker',
                             'keyPath': f'{m.folder}/id_ed25519', 'hostKeys': [m.state['SSHHostKey']]}
    assert report['probe'] == {'tcp': f'127.0.0.1:{m.state["SSHPort"]}', 'greeting': 'SSH-', 'open': 'Running',
                               'closed': 'Starting', 'timeoutMs': 5000}
    ports = m.state['SSHPort'], m.state['EnginePort']
    (pid,) = m.pids()
    for method, running in [('start', True), ('stop', False), ('stop', False), ('start', True), ('kill', False), ('kill', False),
                            ('start', True), ('restart', True)]:
        m.finish(method)
        assert bool(m.pids()) == running, method
        assert m.report()['state'] == ('' if running else 'Stopped')
        assert (m.state['SSHPort'], m.state['EnginePort']) == ports
        assert 'Restarting' not in m.state and 'Booting' not in m.state or running
    assert m.pids() != [pid]
    for _ in range(2):
        m.finish('remove')
        assert not m.pids() and m.report()['state'] == 'Error'
    assert {p.name for p in m.folder.iterdir()} <= {'id_ed25519', 'id_ed25519.pub', 'id_rsa', 'id_rsa.pub'}


def test_arguments(new, tmp_path):
    share = tmp_path / 'a,b'
    share.mkdir()
    m = new(qemu_share=[f'{share}:/mnt/x:ro'], qemu_append='quiet panic=1', qemu_cpu_count=3, qemu_memory=700, qemu_cache_mode='unsafe')
    m.create()
    (argv,) = m.argvs()
    assert option(argv, '-uuid') == [m.uuid] and option(argv, '-smp') == ['3'] and option(argv, '-m') == ['700']
    assert option(argv, '-append') == ['root=LABEL=root ro quiet panic=1']
    assert option(argv, '-kernel') == [f'{m.folder}/image/vmlinuz']
    assert any(',readonly=on' in o and 'a,,b' in o for o in option(argv, '-fsdev'))
    assert any('cache=unsafe' in o for o in option(argv, '-drive'))
    info = json.loads(subprocess.check_output(['qemu-img', 'info', '-U', '--output=json', m.folder / 'disk.qcow2']))
    assert info['virtual-size'] == 100 * MIB and info['backing-filename'] == 'image/root.qcow2'


def test_seed(new):
    m = new()
    m.create()
    seed = m.folder / 'seed.iso'
    assert b'CIDATA' in subprocess.check_output(['isoinfo', '-d', '-i', seed])

    def read(name):
        return subprocess.check_output(['isoinfo', '-J', '-x', f'/{name}', '-i', seed])
    head, _, body = read('user-data').partition(b'\n')
    config = json.loads(body)
    assert head == b'#cloud-config' and json.loads(read('meta-data'))['instance-id'] == m.uuid
    assert config['users'][0]['ssh_authorized_keys'] == [(m.folder / 'id_ed25519.pub').read_text().strip()]
    assert config['ssh_keys']['ed25519_private'] == (m.folder / 'ssh_host_ed25519_key').read_text()
    assert config['ssh_keys']['ed25519_public'] == m.state['SSHHostKey']
    assert json.loads(read('network-config'))['ethernets']['machine0']['match']['macaddress'] == m.state['MACAddress']


def test_user_data_of_the_lean_reader(new, tmp_path):
    file = tmp_path / 'user-data'
    file.write_text('#cloud-config\npackages: [vim]\n')
    m = new(qemu_userdata=str(file))
    m.configure()
    with pytest.raises(DriverError) as caught:
        m.call('create')
    assert caught.value.kind == 'user' and '--cloud-init' in caught.value.message and not m.pids()
    file.write_text('#!/bin/sh\n')
    m.create()


def test_disk_too_small(new):
    m = new(qemu_disk_size=64)
    m.configure()
    m.state['DiskSize'] = 32
    with pytest.raises(DriverError) as caught:
        m.call('create')
    assert caught.value.kind == 'user' and 'too small' in caught.value.message
    assert not (m.folder / 'disk.qcow2').exists() and not list(m.folder.glob('*.tmp'))


def test_patience_with_an_emulated_boot(new):
    """Who hangs up early makes a slow machine start a server's process for nothing, again and again."""
    m = new()
    m.configure()
    for status, patience in ('wait', 30000), ('done', 5000):
        assert m.call('create')['status'] == status
        assert m.report()['probe']['timeoutMs'] == patience


def test_shutdown_that_is_ignored_twice(new):
    m = new()
    m.plan(ignores=2)
    m.create()
    m.finish('stop')
    assert m.commands().count('system_powerdown') == 3


def test_paused(new):
    m = new()
    m.plan(status='paused')
    m.create()
    assert m.report()['state'] == 'Paused'
    m.finish('stop')
    assert m.commands()[-1] == 'system_powerdown' and 'cont' in m.commands()


@pytest.mark.parametrize('status, state', [('io-error', 'Error'), ('internal-error', 'Error'), ('guest-panicked', 'Error'),
                                           ('suspended', 'Saved'), ('prelaunch', 'Starting'), ('shutdown', 'Stopping')])
def test_states(new, status, state):
    m = new()
    m.plan(status=status)
    m.create()
    assert m.report()['state'] == state


def test_console_is_bounded(new):
    m = new()
    m.create()
    assert 'chardev-change' in m.commands()
    m.finish('kill')
    assert (m.folder / 'console.log').read_text() == 'last words\n'


def test_kill_of_the_deaf(new):
    m = new()
    m.plan(deaf=True)
    m.create()
    m.finish('kill')
    assert not m.pids()


# --- failures at the start

def test_exit_at_once(new):
    m = new()
    m.plan(exit='qemu-system-x86_64: -m: out of luck')
    m.configure()
    with pytest.raises(DriverError) as caught:
        m.call('create')
    assert 'out of luck' in caught.value.message and not m.pids()
    m.state = m.driver.checkpoints[-1]
    report = m.report()
    assert report['state'] == 'Error' and 'out of luck' in report['message']
    m.plan()
    m.finish('start')
    m.finish('start')
    assert m.report()['state'] == ''
    m.finish('remove')


@pytest.mark.parametrize('words,text', [
    ("failed to parse default acl file `/etc/qemu/bridge.conf'\nqemu-system-x86_64: -netdev bridge,id=net,br=br0: bridge helper failed",
     '"allow BRIDGE" into /etc/qemu/bridge.conf'),
    ('qemu-system-x86_64: -netdev tap,id=net: could not open /dev/net/tun: Permission denied', 'ip tuntap add NAME mode tap user YOU'),
])
def test_network_that_may_not_be_used(new, words, text):
    """The way out is told, in front of what QEMU says."""
    m = new()
    m.plan(exit=words)
    m.configure()
    with pytest.raises(DriverError) as caught:
        m.call('create')
    assert text in caught.value.message and 'QEMU says' in caught.value.message


def test_ends_while_booting(new):
    m = new()
    m.configure()
    m.call('create')
    os.kill(m.pids()[0], signal.SIGKILL)
    wait_for(lambda: not m.pids())
    report = m.report()
    assert report['state'] == 'Error' and 'while the machine was booting' in report['message']
    m.finish('create')
    assert m.pids()


def test_port_is_taken_later(new):
    m = new()
    m.create()
    m.finish('stop')
    port = m.state['EnginePort']
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(('127.0.0.1', port))
        other.listen()
        m.finish('start')
        assert m.state['EnginePort'] not in (0, port) and m.report()['url'].endswith(str(m.state['EnginePort']))
        assert any(str(port) in text for text in logs(m))


def test_a_chosen_port_is_not_given_up(new):
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        m = new(qemu_ssh_port=other.getsockname()[1])
        m.configure()
        with pytest.raises(DriverError) as caught:
            m.call('create')
    assert 'another program' in caught.value.message and not m.pids()
    m.finish('create')
    assert m.state['SSHPort'] == m.state['SSHPortWanted'] == m.flags['qemu-ssh-port']


def test_forwarded_port_is_taken(new):
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        m = new(qemu_publish=[f'{port}:80'])
        m.configure()
        with pytest.raises(DriverError) as caught:
            m.call('create')
    assert caught.value.kind == 'user' and f':{port}-:80' in caught.value.message and len(m.argvs()) == 1 and not m.pids()


def test_range_of_ports(new):
    with socket.socket() as s: # some place where there are free ones
        s.bind(('127.0.0.1', 0))
        base = min(s.getsockname()[1], 65000)
    m = new(qemu_localports=f'{base}-{base + 200}')
    m.create()
    ports = {m.state['SSHPort'], m.state['EnginePort']}
    assert len(ports) == 2 and all(base <= p <= base + 200 for p in ports)


# --- KVM

def accel_of(m):
    return [(option(a, '-machine')[0].split('accel=')[1], option(a, '-cpu')[0]) for a in m.argvs()]


def test_kvm_works(new):
    m = new(qemu_accel='auto')
    m.plan(kvm='works')
    m.create()
    assert accel_of(m) == [('kvm', 'host')] and not logs(m) and 'slow' not in m.report()


@pytest.mark.parametrize('kvm, text', [(None, 'status 1'), ('sector', 'a kernel under KVM')])
def test_kvm_does_not_work(new, kvm, text):
    m = new(qemu_accel='auto')
    m.plan(kvm=kvm)
    m.create()
    assert accel_of(m)[0][0] == 'tcg' and m.report()['slow'] is True
    (warning,) = logs(m)
    assert text in warning and 'emulated' in warning
    cache = json.loads((m.store / 'cache' / 'qemu-accel.json').read_text())
    assert cache['works'] is False and text in cache['reason']
    trials = sum('isa-debug-exit' in line for line in pathlib.Path(f'{m.plan_file}.log').read_text().splitlines())
    m.finish('kill')
    m.finish('start') # remembered
    assert sum('isa-debug-exit' in line for line in pathlib.Path(f'{m.plan_file}.log').read_text().splitlines()) == trials
    m.plan(kvm='works', version='QEMU emulator version 99')
    m.finish('kill')
    m.finish('start') # another QEMU is asked again
    assert accel_of(m)[-1][0] == 'kvm'


def test_kvm_wanted_and_not_working(new):
    m = new(qemu_accel='kvm')
    m.configure()
    with pytest.raises(DriverError) as caught:
        m.call('create')
    assert caught.value.kind == 'notSupported' and 'KVM does not work here' in caught.value.message and not m.argvs()


def test_kvm_trial_is_cancelled(new):
    m = new(qemu_accel='auto')
    m.plan(kvm='hangs')
    m.configure()
    ident = m.driver.request('create', machine=m.ref())
    wait_for(lambda: 'isa-debug-exit' in log_so_far(m))
    m.driver.notify('$/cancelRequest', id=ident)
    with pytest.raises(DriverError) as caught:
        m.driver.answer(ident)
    assert caught.value.kind == 'canceled' and not (m.store / 'cache' / 'qemu-accel.json').exists()
    assert not list((m.store / 'cache').glob('*.img'))


def log_so_far(m):
    """Grants what the driver asks meanwhile; the log of the stand-in."""
    with contextlib.suppress(TimeoutError):
        message = m.driver.receive(0.05)
        if message.get('method') == 'checkpoint':
            m.driver.send({'id': message['id'], 'result': {}})
    log = pathlib.Path(f'{m.plan_file}.log')
    return log.read_text() if log.exists() else ''


@pytest.mark.parametrize('late', [False, True])
def test_msr_is_refused(new, late):
    m = new(qemu_accel='auto')
    m.plan(kvm='works', msr='once', msr_late=late)
    m.create()
    assert accel_of(m) == [('kvm', 'host'), ('kvm', 'host,arch-capabilities=off')] and not logs(m)


def test_msr_is_refused_always(new):
    m = new(qemu_accel='auto')
    m.plan(kvm='works', msr='always')
    m.create()
    assert [a for a, _ in accel_of(m)] == ['kvm', 'kvm', 'tcg'] and 'MSR' in logs(m)[0]
    other = new(qemu_accel='kvm')
    other.plan(kvm='works', msr='always')
    other.configure()
    with pytest.raises(DriverError) as caught:
        other.call('create')
    assert 'MSR' in caught.value.message and not other.pids()


# --- races and crashes

def test_checkpoints_come_first(new):
    m = new()
    seen = []

    def look(state):
        names = {p.name for p in m.folder.iterdir()}
        seen.append((bool(state.get('UUID')), state.get('ImageID', ''), 'disk.qcow2' in names, len(m.pids())))
    m.configure()
    m.call('create', on_checkpoint=look)
    assert seen[0] == (True, '', False, 0)
    assert seen[1][1] and not seen[1][2]
    assert all(pids == 0 for *_, pids in seen[:-1]) and seen[-1][3] == 1


@pytest.mark.parametrize('step', range(5))
def test_killed_in_create(new, step):
    """Whatever was checkpointed is enough to finish, or to remove."""
    m = new()
    m.configure()
    m.driver.request('create', machine=m.ref())
    saved = []
    while len(saved) <= step:
        message = m.driver.receive(PATIENCE)
        assert 'method' in message, message
        if message.get('method') != 'checkpoint':
            continue
        saved.append(message['params']['state'])
        if len(saved) <= step:
            m.driver.send({'id': message['id'], 'result': {}})
    m.restart_driver()
    m.state = saved[step]
    m.finish('create')
    assert len(m.pids()) == 1 and m.state['SSHPort'] and m.state['EnginePort']
    m.state = saved[step]
    m.finish('remove')
    assert not m.pids()


def test_refused_checkpoint_creates_nothing(new):
    def refuse(_):
        raise DriverError({'code': -32000, 'message': 'disk full', 'data': {'kind': 'internal'}})
    m = new()
    m.configure()
    with pytest.raises(DriverError):
        m.call('create', on_checkpoint=refuse)
    assert not list(m.folder.iterdir()) and not m.argvs()


def test_lost_pid_file(new):
    m = new()
    m.create()
    (m.folder / 'qemu.pid').unlink()
    assert m.report()['state'] == ''
    (m.folder / 'qmp.sock').unlink()
    (pid,) = m.pids()
    m.finish('start')
    assert m.pids() == [pid]
    m.finish('remove')
    assert not m.pids()


def test_recycled_pid(new):
    """The number in the pid file is another process's now, as after a restart of the computer."""
    m = new()
    m.create()
    os.kill(m.pids()[0], signal.SIGKILL)
    wait_for(lambda: not m.pids())
    other = subprocess.Popen(['sleep', '600'])
    try:
        (m.folder / 'qemu.pid').write_text(f'{other.pid}\n')
        assert m.report()['state'] == 'Stopped'
        m.finish('stop')
        m.finish('kill')
        assert other.poll() is None
        (m.folder / 'qemu.pid').write_text(f'{other.pid}\n')
        m.finish('start')
        assert len(m.pids()) == 1
        m.finish('remove')
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_two_starts_at_once(new):
    m = new()
    m.plan(late=0.3)
    m.create()
    m.finish('kill')
    with Driver(QEMU, env=m.env) as second:
        with concurrent.futures.ThreadPoolExecutor() as pool: # each of them waits for answers to checkpoints
            list(pool.map(lambda d: d.call('start', timeout=PATIENCE, machine=m.ref()), [m.driver, second]))
    assert len(m.pids()) == 1


def test_image_is_gone(new):
    m = new()
    m.create()
    m.finish('kill')
    shutil.rmtree(m.store / 'cache' / 'images')
    with pytest.raises(DriverError) as caught:
        m.call('start')
    assert caught.value.kind == 'notFound' and m.state['ImageID'] in caught.value.message


def test_remove_of_what_was_never_made(new):
    m = new()
    m.configure()
    m.finish('remove')
    shutil.rmtree(m.folder)
    m.finish('remove')


# --- QEMU itself

def test_real_qemu(new):
    """Emulation, with a disk that holds nothing."""
    m = new(fake=False, qemu_firmware='bios')
    m.create()
    (pid,) = m.pids()
    report = m.report()
    assert report['probe']['closed'] == 'Starting' and m.state['Emulated'] is True
    with socket.create_connection(('127.0.0.1', m.state['SSHPort']), 5):
        pass # QEMU accepts although nobody is there
    ports = m.state['SSHPort'], m.state['EnginePort']
    assert m.call('stop')['status'] == 'wait' # nobody hears the button
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as s:
        s.settimeout(10)
        s.connect(str(m.folder / 'qmp.sock'))
        f = s.makefile('rw')
        f.readline()
        for command in {'execute': 'qmp_capabilities'}, {'execute': 'query-chardev'}:
            f.write(json.dumps(command))
            f.flush()
            answer = json.loads(f.readline())
    assert {c['filename'] for c in answer['return'] if c['label'] == 'console'} == {'ringbuf'}
    assert m.pids() == [pid]
    m.finish('kill')
    assert not m.pids() and not (m.folder / 'qmp.sock').exists()
    (m.folder / 'qmp.sock').write_text('stale')
    (m.folder / 'qemu.pid').write_text('1\n')
    m.finish('start')
    assert len(m.pids()) == 1 and (m.state['SSHPort'], m.state['EnginePort']) == ports
    m.finish('remove')
    assert not m.pids()


def test_real_qemu_refuses(new):
    m = new(fake=False, qemu_firmware='bios')
    m.configure()
    m.state['BindAddress'] = '192.0.2.77' # not an address of this computer
    with pytest.raises(DriverError) as caught:
        m.call('create')
    assert 'forwarding rule' in caught.value.message and not m.pids()


def test_conformance(new, tmp_path):
    m = new()
    machine = cli_module.build_dir() / 'machine' / 'cli' / 'machine'
    run = subprocess.run([machine, 'driver', 'test', QEMU, '--qemu-image', m.flags['qemu-image'], '--qemu-program',
                          m.flags['qemu-program'], '--qemu-accel', 'tcg', '--qemu-disk-size', '100'], text=True, capture_output=True,
                         timeout=300, env={**m.env, 'TMPDIR': '/tmp', 'MACHINE_CONFORM_SECONDS': '30'})
    assert run.returncode == 0 and 'FAIL' not in run.stdout, run.stdout + run.stderr
