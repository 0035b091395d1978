"""The driver qemu, spoken to directly, with a stand-in for QEMU: lives, races and crashes, old machines."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import time

import pytest

from driverclient import Driver, DriverError
from qemumachine import MIB, PATIENCE, QEMU, image, new, option, wait_for # noqa: F401


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
                             'keyPath': f'{m.folder}/id_ed25519', 'hostKeys': [m.state['HostKey']]}
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
        assert not {'Restarting', 'StopSince', 'StopPressed'} & set(m.state) and ('Booting' not in m.state or running)
    assert m.pids() != [pid]
    for _ in range(2):
        m.finish('remove')
        assert not m.pids() and m.report()['state'] == 'Error'
    assert {p.name for p in m.folder.iterdir()} <= {'id_ed25519', 'id_ed25519.pub', 'id_rsa', 'id_rsa.pub'}


def test_arguments(new, tmp_path):
    share = tmp_path / 'a,b'
    share.mkdir()
    m = new(qemu_share=[f'{share}:/mnt/x:ro'], qemu_append='quiet panic=1', qemu_cpu_count=3, qemu_memory=700, qemu_cache_mode='unsafe',
            qemu_publish=['8080:80', '0.0.0.0:53:5353/udp'])
    m.create()
    (argv,) = m.argvs()
    assert option(argv, '-uuid') == [m.uuid] and option(argv, '-smp') == ['3'] and option(argv, '-m') == ['700']
    assert option(argv, '-append') == ['root=LABEL=root ro quiet panic=1']
    assert option(argv, '-kernel') == [f'{m.folder}/image/vmlinuz']
    assert option(argv, '-virtfs') == [f'local,path={tmp_path}/a,,b,mount_tag=share0,security_model=none,multidevs=remap,readonly=on']
    assert option(argv, '-netdev')[0].endswith(',hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:0.0.0.0:53-:5353')
    assert option(argv, '-name') == ['guest=w1'] and option(argv, '-accel') == ['tcg,thread=multi']
    assert any('cache=unsafe' in o for o in option(argv, '-drive'))
    info = json.loads(subprocess.check_output(['qemu-img', 'info', '-U', '--output=json', m.folder / 'disk.qcow2']))
    assert info['virtual-size'] == 100 * MIB and info['backing-filename'] == 'image/root.qcow2'


def test_seed(new):
    m = new()
    m.configure()
    assert m.call('create')['status'] == 'wait'
    seed = m.folder / 'seed.iso'
    assert b'CIDATA' in subprocess.check_output(['isoinfo', '-d', '-i', seed])

    def read(name):
        return subprocess.check_output(['isoinfo', '-J', '-x', f'/{name}', '-i', seed])
    head, _, body = read('user-data').partition(b'\n')
    config = json.loads(body)
    assert head == b'#cloud-config' and json.loads(read('meta-data'))['instance-id'] == m.uuid
    assert config['users'][0]['ssh_authorized_keys'] == [(m.folder / 'id_ed25519.pub').read_text().strip()]
    assert config['ssh_keys']['ed25519_private'] == (m.folder / 'ssh_host_ed25519_key').read_text()
    assert config['ssh_keys']['ed25519_public'] == m.state['HostKey']
    assert config['growpart'] == {'mode': 'auto', 'devices': ['/']} and config['disable_root'] is True
    assert (config['package_update'], config['ssh_pwauth'], config['ssh_deletekeys']) == (False, False, True)
    assert json.loads(read('network-config'))['ethernets']['machine0'] == {
        'match': {'macaddress': m.state['MACAddress']}, 'dhcp4': True, 'dhcp-identifier': 'mac'}

    # after the first login
    inode = seed.stat().st_ino
    assert m.call('create')['status'] == 'run' and seed.stat().st_ino == inode
    assert m.call('create')['status'] == 'done' and stat.S_IMODE(seed.stat().st_mode) == 0o600
    later = json.loads(read('user-data').partition(b'\n')[2])
    assert 'ssh_keys' not in later and later['ssh_deletekeys'] is False and b'PRIVATE KEY' not in seed.read_bytes()
    assert later['users'] == config['users'] and json.loads(read('meta-data'))['instance-id'] == m.uuid
    assert not (m.folder / 'seed-later.iso').exists() and m.call('create')['status'] == 'done'


@pytest.mark.parametrize('text', [
    '#cloud-config\npackages: [vim]\n', '#cloud-config\n[1]\n', '#cloud-config-archive\n{"a": 1}\n',
    '#cloud-config-jsonp\n{"a": 1}\n', '#cloud-config', 'text\n'],
    ids=['YAML', 'array', 'archive', 'jsonp', 'nothing', 'text'])
def test_user_data_of_the_lean_reader(new, tmp_path, text):
    """What it does not know is refused, before anything starts."""
    file = tmp_path / 'user-data'
    file.write_text(text)
    m = new(qemu_userdata=str(file))
    m.configure()
    with pytest.raises(DriverError) as caught:
        m.call('create')
    assert caught.value.kind == 'user' and '--cloud-init' in caught.value.message and not m.pids()
    file.write_text('#!/bin/sh\n' if text == 'text\n' else '#cloud-config \t\n{"hostname": "w1"}\n')
    m.create()


def test_disk_is_never_smaller_than_the_image(new):
    m = new(qemu_disk_size=1)
    m.create()
    info = json.loads(subprocess.check_output(['qemu-img', 'info', '-U', '--output=json', m.folder / 'disk.qcow2']))
    assert info['virtual-size'] == 64 * MIB and m.state['DiskSize'] == 64


def test_patience_with_an_emulated_boot(new):
    """Who hangs up early makes a slow machine start a server's process for nothing, again and again."""
    m = new()
    m.configure()
    for status, patience in ('wait', 30000), ('run', 5000):
        assert m.call('create')['status'] == status
        assert m.report()['probe']['timeoutMs'] == patience


def test_shutdown_that_is_ignored_twice(new):
    m = new()
    m.plan(ignores=2)
    m.create()
    for presses in 1, 2:
        assert m.call('stop')['status'] == m.call('stop')['status'] == 'wait'
        assert m.commands().count('system_powerdown') == presses
        m.boot_time_passes(10000, 'StopPressed')
    m.finish('stop')
    assert m.commands().count('system_powerdown') == 3 and not m.pids()


@pytest.mark.parametrize('accel, seconds', [('tcg', 480), ('kvm', 120)])
def test_shutdown_that_never_comes(new, accel, seconds):
    m = new(qemu_accel=accel)
    m.plan(ignores=99, kvm='works')
    m.create()
    out = m.call('stop')
    assert out['status'] == 'wait' and out['retryAfterMs'] == 1000
    m.boot_time_passes(seconds * 1000 - 5000, 'StopSince')
    assert m.call('stop')['status'] == 'wait'
    m.boot_time_passes(5001, 'StopSince')
    with pytest.raises(DriverError) as caught:
        m.call('stop')
    assert caught.value.kind == 'timeout' and f'{seconds} s' in caught.value.message and 'machine kill w1' in caught.value.message
    m.state = m.driver.checkpoints[-1]
    assert m.call('stop')['status'] == 'wait' # a new one
    m.finish('kill')
    assert not m.pids() and 'StopSince' not in m.state


def test_a_stop_that_was_given_up_is_begun_anew(new):
    m = new()
    m.plan(ignores=99)
    m.create()
    m.call('stop')
    m.boot_time_passes(10**6, 'StopSince', 'StopPressed')
    assert m.call('stop')['status'] == 'wait' and m.commands().count('system_powerdown') == 2


@pytest.mark.parametrize('status, command', [('paused', 'cont'), ('suspended', 'system_wakeup')])
def test_paused(new, status, command):
    m = new()
    m.plan(status=status)
    m.create()
    (pid,) = m.pids()
    assert m.report()['state'] == 'Paused'
    m.finish('start')
    assert m.pids() == [pid] and m.report()['state'] == '' and command in m.commands()


def test_stop_of_the_paused(new):
    m = new()
    m.plan(status='paused')
    m.create()
    m.finish('stop')
    assert m.commands()[-1] == 'system_powerdown' and 'cont' in m.commands() and not m.pids()


@pytest.mark.parametrize('status, state', [
    ('io-error', 'Error'), ('internal-error', 'Error'), ('guest-panicked', 'Error'), ('watchdog', 'Error'), ('paused', 'Paused'),
    ('suspended', 'Paused'), ('prelaunch', 'Starting'), ('inmigrate', 'Starting'), ('restore-vm', 'Starting'), ('shutdown', 'Stopping'),
    ('save-vm', 'Saved'), ('finish-migrate', 'Saved'), ('postmigrate', 'Saved'), ('running', '')])
def test_states(new, status, state):
    m = new()
    m.plan(status=status)
    m.create()
    assert m.report()['state'] == state


def test_no_ssh_for_too_long(new):
    """The host learns it from the report, with the console's last lines; it is no error of a machine that was up."""
    m = new()
    m.configure()
    m.call('create')
    (m.folder / 'console.log').write_text(''.join(f'line {i}\r\n' for i in range(50)) + '\x1b[0mKernel panic\n')
    m.boot_time_passes(899000, 'Booting')
    assert m.report()['probe']['closed'] == 'Starting'
    m.boot_time_passes(2000, 'Booting')
    report = m.report()
    assert (report['probe']['open'], report['probe']['closed']) == ('Running', 'Error')
    *lines, last = report['message'].split('\n')[1:]
    assert '900 s' in report['message'] and last == '?[0mKernel panic' and lines == [f'line {i}' for i in range(31, 50)]
    m.finish('create')
    assert m.report()['probe']['closed'] == 'Starting' and 'message' not in m.report()


def test_no_monitor(new):
    m = new()
    m.create()
    (m.folder / 'monitor').unlink()
    report = m.report()
    assert report['state'] == 'Error' and 'machine kill w1' in report['message']
    with pytest.raises(DriverError) as caught:
        m.call('stop')
    assert 'nobody listens' in caught.value.message and 'machine kill w1' in caught.value.message
    m.finish('kill')
    assert not m.pids() and m.report()['state'] == 'Stopped'
    m.finish('start')
    (m.folder / 'monitor').unlink()
    m.state['Booting'] = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
    assert m.report()['state'] == 'Starting'


def test_monitor_of_another_machine(new):
    m = new()
    m.create()
    m.finish('kill')
    m.plan(uuid='00000000-0000-0000-0000-000000000000')
    with pytest.raises(DriverError) as caught:
        m.call('start')
    assert 'monitor' in caught.value.message and not m.pids() and 'quit' not in m.commands()[m.commands().index('quit') + 1:]


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
    (m.folder / 'monitor').unlink()
    (pid,) = m.pids()
    with pytest.raises(DriverError) as caught:
        m.call('start')
    assert 'nobody listens' in caught.value.message and m.pids() == [pid]
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


def test_zombie(new):
    """A process that has ended, and that nobody reaps, is none."""
    m = new()
    m.create()
    m.finish('kill')
    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', '-uuid', m.uuid])
    try:
        (m.folder / 'qemu.pid').write_text(f'{child.pid}\n')
        wait_for(lambda: child.pid in m.pids())
        assert m.report()['state'] == 'Error' # it runs, and has no monitor
        child.kill()
        wait_for(lambda: not m.pids())
        assert pathlib.Path(f'/proc/{child.pid}').exists() and m.report()['state'] == 'Stopped'
        m.finish('start')
        assert len(m.pids()) == 1 and (m.folder / 'qemu.pid').read_text() == f'{m.pids()[0]}\n'
    finally:
        child.kill()
        child.wait()


# --- machines of the old plugin

def old_machine(m, **more):
    """What docker-machine-driver-qemu stores, and the process that it starts."""
    m.plan()
    disk = m.folder / 'w1.img'
    disk.write_bytes(b'')
    m.state = {
        'IPAddress': '127.0.0.1', 'MachineName': 'w1', 'SSHUser': 'docker', 'SSHPort': 40022, 'SSHKeyPath': '', 'StorePath': str(m.store),
        'SwarmMaster': False, 'SwarmHost': '', 'SwarmDiscovery': '', 'EnginePort': 42376, 'FirstQuery': False, 'Memory': 1024,
        'DiskSize': 20000, 'CPU': 1, 'Program': 'qemu-system-x86_64', 'Display': False, 'DisplayType': '', 'Nographic': False,
        'VirtioDrives': False, 'Network': 'user', 'PrivateNetwork': 'docker-machines', 'Boot2DockerURL': '', 'NetworkInterface': 'tap0',
        'NetworkAddress': '', 'NetworkBridge': 'br0', 'CaCertPath': '', 'PrivateKeyPath': '', 'DiskPath': str(disk),
        'CacheMode': 'default', 'IOMode': 'threads', 'UserDataFile': '', 'CloudConfigRoot': '', 'LocalPorts': '', **more}
    argv = ['-uuid', m.uuid, '-m', '64', '-display', 'none', '-pidfile', str(m.folder / 'qemu.pid'),
            '-qmp', f'unix:{m.folder}/monitor,server=on,wait=off', '-accel', 'tcg', '-S']
    subprocess.run(['qemu-system-x86_64', *argv, '-daemonize'], check=True)


def test_old_machine(new):
    m = new()
    old_machine(m)
    report = m.report()
    assert (report['state'], report['url'], report['ip']) == ('Starting', 'tcp://127.0.0.1:42376', '127.0.0.1')
    assert report['ssh'] == {'host': '127.0.0.1', 'port': 40022, 'user': 'docker'} and 'slow' not in report
    for method in 'start', 'restart':
        with pytest.raises(DriverError) as caught:
            m.call(method)
        assert caught.value.kind == 'notSupported' and 'docker-machine-driver-qemu' in caught.value.message
    assert len(m.pids()) == 1
    m.finish('kill')
    assert not m.pids() and m.report()['state'] == 'Stopped'
    (m.folder / 'w1.img').unlink()
    assert m.report()['state'] == 'Error'
    m.finish('remove')
