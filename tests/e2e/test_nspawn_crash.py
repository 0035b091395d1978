"""The driver nspawn killed at any system call that matters, in each of its processes: `remove` leaves
nothing. Most of it speaks to the driver itself, as a whole create takes longer."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess

import pytest

import cli as cli_module
from driverclient import Driver, DriverError, ProtocolError, reference
from hosts import wait_for
from nspawn_traces import REGISTRY, Numbers

pytestmark = pytest.mark.long

CALLS_MAX = 2000
SECONDS = 60
LIBRARY = cli_module.build_dir() / 'tests/functional/libkillat.so'


def killed_at(role, number):
    return {**os.environ, 'LD_PRELOAD': str(LIBRARY), 'KILLAT_ROLE': role, 'KILLAT_AT': str(number)}


class Machine:
    """A machine as the host knows it: what a driver has checkpointed is what the next one is told."""

    def __init__(self, cli):
        self.cli, self.folder = cli, cli.store / 'machines/crash'
        self.driver = cli.build / 'drivers/machine-driver-nspawn'
        self.numbers, self.state = Numbers(cli.store), {}

    def reference(self):
        return reference('crash', self.state, self.folder, self.cli.store)

    def keep(self, state):
        self.state = state
        self.numbers.note()

    def begin(self):
        self.folder.mkdir(parents=True, mode=0o700)
        with Driver(self.driver) as driver:
            self.state = driver.configure({}, self.reference())

    def call(self, method, env=None):
        """False: the driver was killed."""
        try:
            with Driver(self.driver, env=env) as driver:
                result = driver.call(method, SECONDS, self.keep, machine=self.reference())
                self.keep(result.get('state', self.state))
        except (ProtocolError, BrokenPipeError):
            return False
        finally:
            self.numbers.note()
        return True

    def comes_up(self, env):
        """Does create's answer come, and do all of the host's processes?"""
        try:
            if not self.call('create', env):
                return False
            wait_for('processes', lambda: chain_of(self.folder), 2)
        except (DriverError, TimeoutError):
            return False
        return True

    def remove(self, where):
        assert self.call('remove'), where
        shutil.rmtree(self.folder) # which the host does
        assert self.numbers.traces() == [], where


@pytest.fixture
def machine(local_cli):
    made = Machine(local_cli)
    yield made
    if made.folder.exists():
        with contextlib.suppress(DriverError):
            made.call('remove')
        shutil.rmtree(made.folder)


def sweep(attempt):
    """attempt(number) says whether something was killed, and has cleaned up. Every number up to the
    first that does not come."""
    numbers = range(1, CALLS_MAX)
    total = sum(1 for _ in itertools.takewhile(attempt, numbers))
    assert 2 < total < len(numbers)
    print(f'killed at {total} places')


@pytest.mark.parametrize('role', ['driver', 'supervisor', 'child'])
def test_create_killed_anywhere(machine, role):
    def attempt(number):
        machine.begin()
        killed = not machine.comes_up(killed_at(role, number))
        machine.remove(f'create, {role} before its call {number}')
        return killed
    sweep(attempt)


def test_create_killed_and_continued(machine):
    """What a killed create left, the next one goes on with."""
    def attempt(number):
        machine.begin()
        killed = not machine.call('create', killed_at('driver', number))
        assert machine.call('create'), number
        assert set(os.listdir(machine.folder / 'nspawn')) >= {'id', 'upper', 'plan.json', 'network'}
        machine.remove(f'continued after call {number}')
        return killed
    sweep(attempt)


@pytest.mark.parametrize('method', ['stop', 'kill', 'remove'])
def test_end_killed_anywhere(machine, method):
    def attempt(number):
        machine.begin()
        assert machine.call('create')
        killed = not machine.call(method, killed_at('driver', number))
        machine.remove(f'{method}, before call {number}')
        return killed
    sweep(attempt)


@pytest.mark.parametrize('victim', range(4), ids=['supervisor', 'child', 'nspawn', 'systemd'])
def test_host_killed_while_it_stops(machine, victim):
    machine.begin()
    assert machine.call('create')
    chain = wait_for('processes', lambda: chain_of(machine.folder), 20)
    assert machine.call('stop')
    os.kill(chain[victim], signal.SIGKILL)
    machine.remove(f'stop, victim {victim}')
    assert not [pid for pid in chain if cli_module.process_state(pid)]


def chain_of(folder):
    """Supervisor, its child, systemd-nspawn, the host's first process; None: not all are there."""
    chain = [pid for pid in cli_module.local_hosts(folder)
             if cli_module._stat(pid) and cli_module._stat(pid)[1] not in cli_module.local_hosts(folder)]
    while 0 < len(chain) < 4:
        found = subprocess.run(['pgrep', '-P', str(chain[-1])], capture_output=True, text=True).stdout
        if not found:
            return None
        chain.append(int(found.split()[0]))
    return chain or None


def test_what_killed_drivers_left(machine):
    """Half-written files go with the next use, whoever's it is."""
    hosts = REGISTRY / 'hosts'
    hosts.mkdir(parents=True, exist_ok=True)
    for name in '.net.json.new', 'hosts/.10.213.0.200.new':
        (REGISTRY / name).write_text('{')
    (machine.cli.store / '.nspawn-check/w/work').mkdir(parents=True)
    machine.begin()
    assert machine.call('preCreateCheck')
    assert machine.call('create')
    machine.remove('left-overs')


def test_removed_while_a_create_goes_on(machine):
    """A driver whose program was killed may be at work still. What it waits for from its program holds
    up no other driver, either."""
    machine.begin()
    addresses = []

    def checkpoint(state):
        machine.keep(state)
        if state['IPAddress']:
            addresses.append(state['IPAddress'])
            assert machine.call('remove')
    with Driver(machine.driver) as late, pytest.raises(DriverError):
        late.call('create', SECONDS, checkpoint, machine=machine.reference())
    assert addresses
    machine.remove('removed meanwhile')


def test_half_removed(machine):
    """Nothing is reserved again for a machine whose removal has begun."""
    machine.begin()
    assert machine.call('create') and machine.call('kill')
    (machine.folder / 'nspawn/id').unlink()
    with pytest.raises(DriverError) as caught:
        machine.call('start')
    assert 'has been removed, or is half removed' in caught.value.message
    machine.remove('half removed')


@pytest.mark.parametrize('name', ['nspawn', 'nspawn/docker'])
def test_links_are_not_followed(machine, tmp_path, name):
    """Root changes no folder that a link in the store leads to."""
    machine.begin()
    (tmp_path / 'others').mkdir(mode=0o751)
    (machine.folder / name).parent.mkdir(exist_ok=True)
    (machine.folder / name).symlink_to(tmp_path / 'others')
    with pytest.raises(DriverError):
        machine.call('create')
    assert (tmp_path / 'others').stat().st_mode & 0o777 == 0o751
    assert list((tmp_path / 'others').iterdir()) == []
    machine.remove('links')


@pytest.mark.long
@pytest.mark.parametrize('call', ['fsync', 'rename', 'write'])
def test_program_killed_anywhere(local_cli, call):
    """`machine create` itself: its drivers are alone then, and end; `machine rm` comes at once."""
    cli, numbers = local_cli, Numbers(local_cli.store)
    strace = ['strace', '-o', '/dev/null', '-e']
    for number in range(1, CALLS_MAX, 3):
        running = cli.start('create', '-d', 'nspawn', 'crash',
                            prefix=[*strace, f'inject={call}:signal=SIGKILL:when={number}'])
        killed = running.process.wait(SECONDS) != 0
        numbers.note()
        left = cli.names()
        if left:
            cli.ok('rm', '-y', *left)
        result = running.finish()
        wait_for(f'end of all after {call} {number}', lambda: not numbers.traces(), 5)
        assert not result.leftovers, result
        if not killed:
            break
    else:
        raise AssertionError(f'more than {CALLS_MAX} calls of {call}')
    assert number > 4
