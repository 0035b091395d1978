"""The driver qemu with QEMU itself (emulation, and nothing to boot), and under the conformance kit."""

import contextlib
import json
import socket
import subprocess

import pytest

import cli as cli_module
from driverclient import DriverError
from qemumachine import PATIENCE, QEMU, image, new, wait_for # noqa: F401


@contextlib.contextmanager
def monitor(m):
    """A function that asks QEMU's monitor itself."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as s:
        s.settimeout(PATIENCE)
        s.connect(str(m.folder / 'monitor'))
        with s.makefile('rw') as f: # the connection is closed only when both are
            f.readline()

            def ask(command):
                f.write(json.dumps({'execute': command, 'id': command}))
                f.flush()
                while (answer := json.loads(f.readline())).get('id') != command:
                    pass
                return answer['return']
            ask('qmp_capabilities')
            yield ask


def test_real_qemu_is_running_outside(new):
    """Somebody has started a QEMU of his own on the machine's disk."""
    m = new(fake=False, qemu_firmware='bios')
    m.create()
    m.finish('kill')
    other = subprocess.Popen(['qemu-system-x86_64', '-S', '-display', 'none', '-drive', f'file={m.folder}/disk.qcow2,if=virtio',
                              '-qmp', f'unix:{m.folder}/other,server=on,wait=off'])
    try:
        wait_for((m.folder / 'other').exists)
        wait_for(lambda: 'write' in subprocess.run(['qemu-io', '-c', 'read 0 512', m.folder / 'disk.qcow2'], text=True,
                                                   capture_output=True).stderr)
        with pytest.raises(DriverError) as caught:
            m.call('start')
        assert caught.value.kind == 'exists' and 'already running outside' in caught.value.message, caught.value
        assert not m.pids()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    m.finish('start')
    assert len(m.pids()) == 1


def test_real_qemu_states(new):
    m = new(fake=False, qemu_firmware='bios', qemu_extra_arg=['-device', 'virtio-balloon-pci'])
    m.create()
    with monitor(m) as ask:
        ask('stop')
        assert ask('query-status')['status'] == 'paused'
    assert m.report()['state'] == 'Paused'
    (pid,) = m.pids()
    m.finish('start')
    assert m.pids() == [pid] and m.report()['state'] == ''
    with monitor(m) as ask:
        assert ask('query-status')['status'] == 'running' and ask('query-kvm')['enabled'] is False
        assert ask('query-uuid')['UUID'] == m.uuid and ask('query-name')['name'] == 'w1'
        ask('stop')
    assert m.call('stop')['status'] == 'wait'
    assert m.report()['state'] == '' # it was woken, to hear the button

@pytest.mark.parametrize('firmware', ['bios', 'uefi', ''])
def test_real_qemu(new, firmware):
    """Emulation, with a disk that holds nothing, and a kernel that does nothing."""
    m = new(fake=False, qemu_firmware=firmware)
    m.store = m.store / 'a, b%d'
    m.folder = m.store / 'machines' / 'w1'
    m.folder.mkdir(parents=True)
    m.create()
    (pid,) = m.pids()
    report = m.report()
    assert report['probe']['closed'] == 'Starting' and m.state['Accel'] == 'tcg'
    with socket.create_connection(('127.0.0.1', m.state['SSHPort']), 5):
        pass # QEMU accepts although nobody is there
    ports = m.state['SSHPort'], m.state['EnginePort']
    assert m.call('stop')['status'] == 'wait' # nobody hears the button
    with monitor(m) as ask:
        chardevs = ask('query-chardev')
    assert {c['filename'] for c in chardevs if c['label'] == 'serial0'} == {'ringbuf'}
    assert m.pids() == [pid]
    m.finish('kill')
    assert not m.pids() and not (m.folder / 'monitor').exists()
    (m.folder / 'monitor').write_text('stale')
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
