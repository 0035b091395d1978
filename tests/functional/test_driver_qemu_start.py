"""The driver qemu with a stand-in for QEMU: failures at the start, and whether KVM works."""

import contextlib
import json
import os
import pathlib
import signal
import socket

import pytest

from driverclient import DriverError
from qemumachine import QEMU, image, logs, new, option, wait_for # noqa: F401


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


def test_an_interrupted_wait_is_taken_up(new):
    """Who comes anew while the machine boots waits for it, too: there is no command for one without SSH."""
    m = new()
    m.configure()
    m.call('create')
    m.restart_driver()
    assert (out := m.call('create'))['status'] == 'wait' and out['waitFor'] == 'Running'
    assert m.call('create')['status'] == 'run'
    m.restart_driver()
    assert m.call('create')['status'] == 'done' # the host was told that the command is done


def test_an_interrupted_restart(new):
    """It is gone on with while the machine boots; much later the machine is restarted once more."""
    m = new()
    m.create()
    (first,) = m.pids()
    wait_for(lambda: m.call('restart').get('waitFor') == 'Running')
    (second,) = m.pids()
    interrupted = dict(m.state)
    m.finish('restart')
    assert m.pids() == [second] != [first]
    m.state = interrupted
    m.boot_time_passes(900000, 'Booting', 'Restarting')
    m.finish('restart')
    assert m.pids() != [second]


def test_off_long_after_an_interrupted_boot(new):
    m = new()
    m.configure()
    m.call('create')
    os.kill(m.pids()[0], signal.SIGKILL)
    wait_for(lambda: not m.pids())
    m.boot_time_passes(900000, 'Booting')
    assert m.report()['state'] == 'Stopped'


def test_image_that_is_not_what_it_was(new):
    """The disk is a layer on it."""
    m = new()
    m.create()
    m.finish('stop')
    base = m.folder / 'image' / m.state['BaseDisk']
    good = base.read_bytes()
    base.chmod(0o644)
    base.write_bytes(good[:-1])
    with pytest.raises(DriverError) as caught:
        m.call('start')
    assert 'layer on the image' in caught.value.message and not m.pids()
    base.write_bytes(good)
    before = m.state['BaseStamp']
    m.finish('start')
    assert m.state['BaseStamp'] != before
    m.finish('stop')
    base.unlink()
    with pytest.raises(DriverError) as caught:
        m.call('start')
    assert 'not in the cache any more' in caught.value.message


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
    port, ssh = m.state['EnginePort'], m.state['SSHPort']
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(('127.0.0.1', port))
        other.listen()
        m.finish('start')
        assert m.state['EnginePort'] not in (0, port) and m.report()['url'].endswith(str(m.state['EnginePort']))
        assert any(str(port) in text for text in logs(m))
        assert m.state['SSHPort'] == ssh and not any(str(ssh) in text for text in logs(m))


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
    return [(option(a, '-accel')[0].partition(',')[0], option(a, '-cpu')[0]) for a in m.argvs()]


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
    assert accel_of(m) == [('kvm', 'host'), ('kvm', 'host,-arch-capabilities')] and not logs(m)
    assert (m.state['Accel'], m.state['CPUType']) == ('kvm', 'host,-arch-capabilities')
    m.finish('kill')
    m.finish('start') # remembered
    assert accel_of(m)[2:] == [('kvm', 'host,-arch-capabilities')]


def test_msr_is_refused_always(new):
    m = new(qemu_accel='auto')
    m.plan(kvm='works', msr='always')
    m.create()
    assert [a for a, _ in accel_of(m)] == ['kvm', 'kvm', 'tcg'] and 'MSR' in logs(m)[0]
    assert (m.state['Accel'], m.state['CPUType'], m.state['AccelWanted']) == ('tcg', 'max,la57=off', 'auto')
    m.finish('kill')
    m.finish('start')
    assert [a for a, _ in accel_of(m)][3:] == ['tcg']
    m.state['KVMFailed'] = 'another boot of this computer'
    m.plan(kvm='works')
    m.finish('kill')
    m.finish('start')
    assert accel_of(m)[-1] == ('kvm', 'host') and m.state['Accel'] == 'kvm' and 'KVMFailed' not in m.state
    other = new(qemu_accel='kvm')
    other.plan(kvm='works', msr='always')
    other.configure()
    with pytest.raises(DriverError) as caught:
        other.call('create')
    assert 'MSR' in caught.value.message and not other.pids()


def test_kvm_is_not_used(new):
    """QEMU was told to, and goes on without."""
    m = new(qemu_accel='auto')
    m.plan(kvm='works', kvm_off=True)
    m.create()
    assert [a for a, _ in accel_of(m)] == ['kvm', 'tcg'] and 'does not use KVM' in logs(m)[0]
