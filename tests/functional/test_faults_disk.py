"""Every call that changes something below the store fails once, and from then on, in each command:
the error names the file and the cause, nothing is lost, and the command can be given again."""

import errno
import os
import re
import shutil
import subprocess

import pytest

from cli import build_dir, flaky_create
from faults import QUICK

CALLS_MAX = 400
NONE = ['create', '-d', 'none', '--url', 'tcp://127.0.0.1:1', 'web']
SCRIPT = {'create': 'cloud', 'start': 'checkpoint:2', 'stop': 'checkpoint', 'remove': 'checkpoint'}
LIBRARY = build_dir(fault=True) / 'tests' / 'functional' / 'libfailfs.so'


def make_none(cli):
    cli.ok(*NONE)


def make_flaky(cli):
    cli.create_flaky('web', SCRIPT, env=QUICK)


def make_half(cli):
    cli.fails(*flaky_create('web', {**SCRIPT, 'create': ['cloud+error:quota', 'cloud']}), env=QUICK)


def make_stopped(cli):
    make_flaky(cli)
    cli.ok('stop', 'web', env=QUICK)


def make_nothing(_):
    pass


COMMANDS = {
    'create-none': (make_nothing, NONE),
    'create-flaky': (make_nothing, flaky_create('web', SCRIPT)),
    'resume': (make_half, ['create', '--resume', 'web']),
    'start': (make_stopped, ['start', 'web']),
    'stop': (make_flaky, ['stop', 'web']),
    'rm-none': (make_none, ['rm', '-y', 'web']),
    'rm-flaky': (make_flaky, ['rm', '-y', 'web']),
    'rm-force': (make_flaky, ['rm', '-f', 'web']),
    'certs': (make_none, ['regenerate-certs', '-f', '--client-certs', 'web']),
}


def pair_matches(certs):
    def key(*words):
        return subprocess.run(['openssl', *words], capture_output=True, check=True).stdout
    assert key('x509', '-noout', '-pubkey', '-in', certs / 'cert.pem') == \
        key('pkey', '-pubout', '-in', certs / 'key.pem')
    subprocess.run(['openssl', 'verify', '-CAfile', certs / 'ca.pem', certs / 'cert.pem'],
                   check=True, capture_output=True)


def check_failure(cli, result, expected):
    if result.status == expected:
        return
    if '-f' in result.argv: # what could not be done is told, and the rest done all the same
        assert 'Error removing host "web"' in result.err, result
    assert result.status == 1, result
    assert os.strerror(errno.ENOSPC) in result.text, result
    assert re.search(rf'{re.escape(str(cli.store))}[/:]', result.err), result


def put_right(cli, command):
    """What the user does next, with room on the disk again."""
    cli.assert_whole()
    there = (cli.store / 'machines' / 'web').exists()
    assert there or command == 'rm-force' or not cli.resources('web') # or nobody would know of it
    if command.startswith('create') or command == 'resume':
        complete = cli.run('create', '--resume', 'web', env=QUICK) if there else cli.ok(
            *COMMANDS['create-flaky'][1], env=QUICK)
        assert complete.status == 0 or 'complete' in complete.text, complete
        assert len(cli.resources('web')) == (command != 'create-none' or not there)
    elif command in ('start', 'stop'):
        again = cli.run(command, 'web', env=QUICK)
        assert again.status == 0 or 'is already' in again.text, again
        assert cli.config('web')['Driver']['Token']
    elif command == 'certs':
        assert there
        cli.create_none('db') # finishes a pair that was replaced by half
        cli.ok('rm', '-y', 'db')
        pair_matches(cli.store / 'certs')
    if (cli.store / 'machines' / 'web').exists():
        cli.ok('rm', '-y', 'web', env=QUICK)
    if command == 'rm-force': # it was told that the driver had failed
        for path in cli.flaky.glob('resource-*'):
            path.unlink()
    assert not cli.resources('web')


class Snapshot:
    """The store and the cloud as they are now, to begin with again and again."""

    def __init__(self, cli, folder):
        self.pairs = [(cli.store, folder / 'store'), (cli.flaky, folder / 'flaky')]
        for now, then in self.pairs:
            shutil.copytree(now, then)

    def restore(self):
        for now, then in self.pairs:
            shutil.rmtree(now)
            shutil.copytree(then, now)


# one failure in the midst of what succeeds, where a driver takes part; a full disk
CASES = [('create-none', True), ('create-flaky', True), ('resume', False), ('start', False),
         ('start', True), ('stop', True), ('rm-none', True), ('rm-flaky', False), ('rm-flaky', True),
         ('rm-force', True), ('certs', True)]


SHORT = 'start', 'stop', 'rm-none', 'rm-force' # the others take a minute each


@pytest.mark.parametrize('command, sticky', [
    pytest.param(c, sticky, id=f'{c}-{"full" if sticky else "once"}', marks=[] if c in SHORT else [pytest.mark.long])
    for c, sticky in CASES])
def test_no_space(fault_cli, tmp_path, command, sticky):
    cli, log = fault_cli, tmp_path / 'failures'
    prepare, argv = COMMANDS[command]
    expected = 1 if command == 'certs' else 0 # none's machines have no certificates of their own
    prepare(cli)
    start = Snapshot(cli, tmp_path / 'snapshot')
    env = {**QUICK, 'LD_PRELOAD': str(LIBRARY), 'FAILFS_ROOT': str(cli.store),
           'FAILFS_ERRNO': str(errno.ENOSPC), 'FAILFS_LOG': str(log),
           'ASAN_OPTIONS': f'{cli.env["ASAN_OPTIONS"]}:verify_asan_link_order=0'}
    if sticky:
        env['FAILFS_STICKY'] = '1'
    for number in range(1, CALLS_MAX):
        log.unlink(missing_ok=True)
        result = cli.run(*argv, env={**env, 'FAILFS_AT': str(number)})
        if not log.exists():
            assert result.status == expected, result
            break
        check_failure(cli, result, expected)
        assert command != 'rm-force' or not cli.resources('web') or 'Error removing' in result.err
        put_right(cli, command)
        start.restore()
    else:
        raise AssertionError(f'more than {CALLS_MAX} calls')
    assert number > 3
