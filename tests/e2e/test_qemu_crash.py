"""Virtual machines whose create ended in the middle, with QEMU itself and a disk on which nothing boots: `rm`
finds and removes what is there, `create --resume` goes on with it."""

import contextlib
import os
import signal
import time

import pytest

import cli as cli_module
import images

pytestmark = pytest.mark.long

PATIENCE = 60
# what is there at the moment; a process is meant where it is no file
MOMENTS = ['qemu.lock', 'id_ed25519', 'disk.qcow2', 'seed.iso', 'qemu.log', 'process', 'monitor', 'qemu.pid', 'waits']


@pytest.fixture
def local(tmp_path):
    """The program, with a disk as its only image; no process of its store outlives the test."""
    cli = cli_module.Cli(tmp_path)
    images.qcow2_disk(tmp_path / 'nothing.qcow2')
    yield cli
    left = cli_module.local_hosts(cli.store)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left


def machine_folder(cli):
    return cli.store / 'machines' / 'v1'


def create(cli):
    return cli.start('create', '-d', 'qemu', '--qemu-image', cli.folder / 'nothing.qcow2', '--qemu-accel', 'tcg',
                     '--qemu-memory', '256', '--qemu-disk-size', '100', 'v1')


def until(running, what):
    """Polls without a pause: moments are short."""
    end = time.monotonic() + PATIENCE
    while not what():
        if running.process.poll() is not None or time.monotonic() > end:
            kill(running.process.pid)
            pytest.fail(f'it did not come to that: {running.finish()}')


def has_port(cli):
    """The state after the start is stored; now the guest is waited for."""
    try:
        return bool(cli.config('v1')['Driver'].get('SSHPort'))
    except FileNotFoundError:
        return False


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def killed_at(cli, moment):
    """Program and driver end together, and what the driver was running."""
    running = create(cli)
    seen = {'process': lambda: cli_module.local_hosts(cli.store),
            'waits': lambda: has_port(cli)}
    until(running, seen.get(moment, (machine_folder(cli) / moment).exists))
    os.kill(running.process.pid, signal.SIGSTOP) # so that it starts no other
    for pid in cli_module.descendants(running.process.pid):
        kill(pid)
    kill(running.process.pid)
    assert running.finish().status == -signal.SIGKILL


@pytest.mark.parametrize('moment', MOMENTS)
def test_removed(local, moment):
    killed_at(local, moment)
    folder = machine_folder(local)
    if moment in MOMENTS[MOMENTS.index('process'):]:
        assert len(cli_module.local_hosts(folder)) == 1
    local.ok('rm', '-y', 'v1')
    assert not folder.exists() and not cli_module.local_hosts(local.store)


@pytest.mark.parametrize('moment', MOMENTS)
def test_resumed(local, moment):
    """One machine comes out of it, and the process that was there is kept."""
    killed_at(local, moment)
    before = cli_module.local_hosts(local.store)
    running = local.start('create', '--resume', 'v1')
    until(running, lambda: has_port(local) and cli_module.local_hosts(local.store))
    kill(running.process.pid)
    running.finish()
    after = cli_module.local_hosts(local.store)
    assert len(after) == 1 and before in ([], after)
    local.ok('rm', '-y', 'v1')


def test_the_driver_alone_is_killed(local):
    """The program goes on with another one, and there is still one machine."""
    running = create(local)
    until(running, lambda: cli_module.local_hosts(local.store))
    (pid,) = cli_module.local_hosts(local.store)
    (driver,) = (p for p in cli_module.descendants(running.process.pid) if p != pid)
    kill(driver)
    until(running, lambda: has_port(local))
    assert cli_module.local_hosts(local.store) == [pid]
    kill(running.process.pid)
    running.finish()
    local.ok('rm', '-y', 'v1')
