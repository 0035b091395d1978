"""Many processes on one store at the same time."""

import contextlib
import os
import signal
import subprocess

import pytest

from cli import flaky_create, process_state
from faults import QUICK
from hosts import wait_for

CREATES = 100


def test_creates_on_an_empty_store(empty_cli):
    cli = empty_cli
    names = [f'm{i:03}' for i in range(CREATES)]
    running = [cli.start('create', '-d', 'none', '--url', 'tcp://127.0.0.1:1', name)
               for name in names]
    for process in running:
        process.process.wait(300)
    results = [process.finish() for process in running]
    failed = [r for r in results if r.status]
    assert not failed, f'{len(failed)} of {CREATES} failed, the first:\n{failed[0]!r}'
    assert sum('Creating CA: ' in r.out for r in results) == 1
    assert sum('Creating client certificate: ' in r.out for r in results) == 1
    assert cli.names() == names
    cli.assert_whole()
    verify_certificates(cli, names)


def verify_certificates(cli, names):
    ca = cli.store / 'certs' / 'ca.pem'
    pairs = [cli.store / 'certs', *(cli.store / 'machines' / n for n in names)]
    certs = [folder / 'cert.pem' for folder in pairs]
    done = subprocess.run(['openssl', 'verify', '-CAfile', ca, *certs], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(': OK') == len(certs)
    authority = ca.read_bytes()
    for folder in pairs:
        assert (folder / 'ca.pem').read_bytes() == authority
        assert key_of(folder / 'cert.pem', 'x509') == key_of(folder / 'key.pem', 'pkey')
        assert (folder / 'key.pem').stat().st_mode & 0o777 == 0o600


def key_of(path, kind):
    argv = ['openssl', 'x509', '-noout', '-pubkey', '-in', path]
    if kind == 'pkey':
        argv = ['openssl', 'pkey', '-pubout', '-in', path]
    return subprocess.run(argv, capture_output=True, check=True).stdout


def test_same_name_at_once(cli):
    """One wins, the others are told, the machine is whole."""
    running = [cli.start('create', '-d', 'none', '--url', f'tcp://127.0.0.1:{i + 1}', 'web')
               for i in range(10)]
    for process in running:
        process.process.wait(120)
    results = [process.finish() for process in running]
    assert sorted(r.status for r in results) == [0] + [1] * 9, results
    losers = [r.err for r in results if r.status]
    assert all('Docker machine "web" already exists' in e for e in losers), losers
    cli.assert_whole()
    assert cli.ok('url', 'web').out.startswith('tcp://127.0.0.1:')


def test_list_and_change_at_once(cli):
    """ls never sees anything half-made while machines come and go."""
    cli.create_none('stays')
    running = []
    for i in range(10):
        running.append(cli.start(*flaky_create(f'm{i}', {'create': ['checkpoint:5', 'ok']}),
                                 env=QUICK))
        running.append(cli.start('ls'))
    for process in running:
        process.process.wait(120)
    for process in running:
        result = process.finish()
        assert result.status == 0, result
        assert 'config.json' not in result.out, result
    changes = [cli.start('rm', '-y', f'm{i}') for i in range(10)]
    looks = [cli.start('ls', '-q') for _ in range(5)]
    for process in [*changes, *looks]:
        process.process.wait(120)
    for process in [*changes, *looks]:
        result = process.finish()
        assert result.status == 0, result
    assert cli.names() == ['stays']


def test_starts_and_removals_of_one_machine(cli):
    """They take turns; none breaks the record."""
    cli.create_flaky('web')
    running = [cli.start(command, 'web', env=QUICK) for command in
               ('stop', 'start', 'restart', 'kill', 'start', 'stop')]
    for process in running:
        process.process.wait(120)
    assert all(process.finish().status in (0, 1) for process in running)
    cli.assert_whole()


@contextlib.contextmanager
def stopped_at(point, cli, *args):
    """A command that stands still at a fault point; it goes on when the block ends."""
    running = cli.start(*args, env={**QUICK, 'MACHINE_TEST_STOP': point})
    pid = running.process.pid
    try:
        wait_for(point, lambda: process_state(pid) in ('T', None), 30)
        assert process_state(pid) == 'T', running.finish()
        yield running
    finally:
        if running.process.poll() is None:
            os.kill(pid, signal.SIGCONT)


def test_removed_between_claim_and_lock(fault_cli):
    """What was removed meanwhile is not made: nobody would know of it."""
    cli = fault_cli
    with stopped_at('create.claimed', cli, *flaky_create('web')) as create:
        cli.ok('rm', '-y', 'web')
    result = create.finish()
    assert result.status == 1, result
    assert 'Docker machine "web" does not exist' in result.err
    assert not cli.calls('create', 'web')
    assert cli.names() == []


def test_replaced_between_claim_and_lock(fault_cli):
    """The same name, but somebody else's machine."""
    cli = fault_cli
    with stopped_at('create.claimed', cli, *flaky_create('web')) as create:
        cli.ok('rm', '-y', 'web')
        cli.fails(*flaky_create('web', {'create': ['error:quota', 'checkpoint:4']}))
    result = create.finish()
    assert result.status == 1, result
    assert '"web" was resumed or replaced by another process' in result.err
    assert len(cli.calls('create', 'web')) == 1
    cli.ok('create', '--resume', 'web')
    assert cli.config('web')['Driver']['Checkpoint'] == 4


def test_resumed_between_claim_and_lock(fault_cli):
    cli = fault_cli
    with stopped_at('create.claimed', cli, *flaky_create('web', {'create': 'checkpoint:2'})) as create:
        cli.ok('create', '--resume', 'web')
    result = create.finish()
    assert result.status == 1, result
    assert '"web" was resumed or replaced by another process' in result.err
    assert len(cli.calls('create', 'web')) == 1
    assert cli.config('web')['Driver']['Checkpoint'] == 2
    assert cli.ok('status', 'web').out == 'Running\n'


@pytest.mark.parametrize('command, says', [
    (['create', '--resume', 'web'], 'is complete: there is nothing to resume'),
    (['rm', '-y', 'web'], None),
    (['stop', 'web'], None),
], ids=lambda v: v[0] if isinstance(v, list) else '')
def test_waits_for_a_create(fault_cli, command, says):
    """Whoever comes during a create works with what the create left, not with what it began with."""
    cli = fault_cli
    with stopped_at('create.create.begin', cli, *flaky_create('web', {'create': 'checkpoint:3'})) as create:
        other = cli.start(*command, env=QUICK)
        wait_for('the wait', lambda: 'in use by process' in other.output(), 30)
    other.process.wait(60) # before anybody looks for what is left running
    assert create.finish().status == 0
    result = other.finish()
    assert result.status == (1 if says else 0), result
    assert not says or says in result.err
    assert len(cli.calls('create', 'web')) == 1
    if command[0] == 'rm':
        assert cli.names() == []
    else:
        assert cli.config('web')['Driver']['Checkpoint'] == 3


@pytest.mark.parametrize('point', ['remove.driver', 'store.remove.before-rename'])
@pytest.mark.parametrize('command', ['start', 'create', 'rm'])
def test_waits_for_a_removal(fault_cli, point, command):
    """Nothing works on a machine that was removed while it waited."""
    cli = fault_cli
    cli.fails(*flaky_create('web', {'create': 'error:quota'}))
    argv = {'start': ['start', 'web'], 'rm': ['rm', '-y', 'web'],
            'create': ['create', '--resume', 'web']}[command]
    with stopped_at(point, cli, 'rm', '-y', 'web') as removal:
        other = cli.start(*argv, env=QUICK)
        wait_for('the wait', lambda: 'in use by process' in other.output(), 30)
    other.process.wait(60)
    assert removal.finish().status == 0
    result = other.finish()
    assert result.status == 1, result
    assert 'Docker machine "web" does not exist' in result.err
    assert len(cli.calls('create', 'web')) == 1
    assert not cli.calls('start', 'web')
    assert cli.names() == []
