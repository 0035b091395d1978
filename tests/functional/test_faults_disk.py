"""A disk that is full at the first, second … write of a command: nothing is lost, the error names file
and cause, and once there is room the command does its work."""

import errno
import os

import pytest

from cli import flaky_create

QUICK = {'MACHINE_POLL_MS': '50'}
SCRIPT = {'create': ['cloud+wait', 'cloud']}
WRITES_MAX = 200


def made(cli):
    cli.create_flaky('web', SCRIPT, env=QUICK)


def stopped(cli):
    made(cli)
    cli.ok('stop', 'web', env=QUICK)


def half_made(cli):
    script = {**SCRIPT, 'create': ['cloud+error:quota', 'cloud+checkpoint', 'cloud']}
    cli.fails(*flaky_create('web', script), env=QUICK)


def nothing(_cli):
    pass


# name: (what is there before, the command, the names at its end, how many things in the cloud)
COMMANDS = {
    'create none': (nothing, ['create', '-d', 'none', '--url', 'tcp://127.0.0.1:1', 'web'], 1, 0),
    'create flaky': (nothing, flaky_create('web', SCRIPT), 1, 1),
    'resume': (half_made, ['create', '--resume', 'web'], 1, 1),
    'start': (stopped, ['start', 'web'], 1, 1),
    'stop': (made, ['stop', 'web'], 1, 1),
    'rm': (made, ['rm', '-y', 'web'], 0, 0),
}


def present(cli):
    """cli.names() without a process."""
    folder = cli.store / 'machines'
    there = folder.iterdir() if folder.exists() else []
    return sorted(p.name for p in there if not p.name.startswith('.'))


def full_disk(cli, number, sticky, *command):
    """Runs a command whose n-th write finds the disk full. Also the writes that failed."""
    log = cli.folder / 'failed'
    log.unlink(missing_ok=True)
    shim = cli.build / 'tests' / 'functional' / 'libfailfs.so'
    assert shim.exists()
    env = {**QUICK, 'LD_PRELOAD': str(shim), 'FAILFS_ROOT': str(cli.store),
           'FAILFS_AT': str(number), 'FAILFS_ERRNO': str(errno.ENOSPC), 'FAILFS_LOG': str(log),
           'ASAN_OPTIONS': cli.env['ASAN_OPTIONS'] + ':verify_asan_link_order=0'}
    if sticky:
        env['FAILFS_STICKY'] = '1'
    result = cli.run(*command, env=env)
    return result, log.read_text().splitlines() if log.exists() else []


def clean_up(cli):
    if present(cli):
        cli.ok('rm', '-y', 'web', env=QUICK)
    for path in cli.flaky.iterdir():
        assert not path.name.startswith('resource-'), f'{path.name} is left'
        path.unlink()


def again(cli, label, command):
    """With room on the disk, to the end."""
    if label.startswith('create') and present(cli):
        result = cli.run('create', '--resume', 'web', env=QUICK)
        assert result.status == 0 or 'is complete' in result.err, result
    elif label != 'rm' or present(cli):
        result = cli.run(*command, env=QUICK)
        # what the command did before it could not be noted counts
        assert result.status == 0 or 'already' in result.err or 'is complete' in result.err, result


@pytest.mark.parametrize('sticky', [False, True], ids=['once', 'from then on'])
@pytest.mark.parametrize('label', COMMANDS)
def test_each_write_fails(cli, label, sticky):
    before, command, names, things = COMMANDS[label]
    failures = 0
    for number in range(1, WRITES_MAX):
        before(cli)
        had = present(cli)
        result, failed = full_disk(cli, number, sticky, *command)
        assert failed or result.status == 0, result
        if result.status:
            failures += 1
            assert os.strerror(errno.ENOSPC) in result.text, (failed, result)
            assert str(cli.store) in result.text, (failed, result)
        cli.assert_whole()
        if label == 'rm':
            assert present(cli) or not cli.resources('web'), (failed, result)
        else:
            assert set(had) <= set(present(cli)), (failed, result)
            assert present(cli) or not cli.resources('web'), (failed, result)
        if result.status:
            again(cli, label, command)
        assert len(present(cli)) == names, (failed, result)
        assert len(cli.resources('web')) == things, (failed, result)
        clean_up(cli)
        if not failed:
            break
    else:
        raise AssertionError(f'more than {WRITES_MAX} writes')
    # a lifecycle command of a driver that returns no new state writes nothing that it needs
    assert failures or label in ('start', 'stop')


def test_certificates_of_a_full_disk(cli):
    """The old pair stays until the new one is there as a whole."""
    cli.create_flaky('web', SCRIPT, env=QUICK)
    certs = cli.store / 'certs'
    for number in range(1, WRITES_MAX):
        result, failed = full_disk(cli, number, False, 'regenerate-certs', '-f', '--client-certs',
                                   'web')
        assert result.status == 1 # flaky's machines are not provisioned
        if not failed:
            assert 'are not provisioned' in result.err, result
            break
        if 'are not provisioned' not in result.err:
            assert os.strerror(errno.ENOSPC) in result.err, (failed, result)
            assert str(cli.store) in result.err, (failed, result)
        for name in 'ca.pem', 'ca-key.pem', 'cert.pem', 'key.pem':
            assert (certs / name).read_text().startswith('-----BEGIN '), (name, failed)
        cli.ok('create', '-d', 'none', '--url', 'tcp://127.0.0.1:1', f'm{number}')
    else:
        raise AssertionError(f'more than {WRITES_MAX} writes')
