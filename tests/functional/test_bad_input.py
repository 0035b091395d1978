"""Machines whose record is no record: every command says which file, what is wrong, and loses nothing."""

import os
import pathlib
import stat

import pytest

MISSING = 'Docker machine "{name}" does not exist. Use "docker-machine ls" to list machines.'
MIGRATE = 'Error getting migrated host: {path}: '
# how to break a config.json -> the error
BROKEN = {
    'no-folder': MISSING,
    'no-file': 'open {path}: no such file or directory',
    'empty': MIGRATE + 'JSON: parse error: premature EOF at byte 0',
    'random': MIGRATE + 'JSON: ',
    'half': MIGRATE + 'JSON: parse error: premature EOF at byte 700',
    'twice': MIGRATE + 'JSON: ',
    'future': MIGRATE + 'config version is from the future -- you should upgrade your Docker Machine client',
    'array': MIGRATE + 'expected an object',
    'types': MIGRATE + 'DriverName: expected a string',
    'inner-types': MIGRATE + 'HostOptions',
    'deep': MIGRATE + 'JSON: nested too deeply',
    'folder': '{path}: not a regular file',
    'fifo': '{path}: not a regular file',
    'loop': 'open {path}: too many levels of symbolic links',
    'large': '{path}: larger than 8388608 bytes',
    'unreadable': 'open {path}: permission denied',
    'locked-folder': 'open {path}: permission denied',
}
COMMANDS = ['config {}', 'env {}', 'inspect {}', 'ip {}', 'kill {}', 'mount {}:/tmp there', 'mount -u {}:/tmp there',
            'provision {}', 'regenerate-certs -f {}', 'restart {}', 'rm -y {}', 'scp {}:/etc/hosts there',
            'scp here {}:/tmp', 'ssh {}', 'ssh {} true', 'start {}', 'status {}', 'stop {}', 'upgrade {}', 'url {}',
            'version {}', 'context {}', 'status --json {}', 'ip --json {}', 'create --resume {}']
# root, too, is to be denied what the modes deny
NO_OVERRIDE = ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] if os.geteuid() == 0 else []


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def become_large(path):
    with path.open('r+') as file:
        file.truncate(3 << 30)


BREAK = {
    'no-folder': lambda p: (p.unlink(), p.parent.rename(p.parent.with_name('.gone'))),
    'no-file': lambda p: p.unlink(),
    'empty': lambda p: p.write_text(''),
    'random': lambda p: p.write_bytes(bytes(range(255, 0, -1)) * 10),
    'half': lambda p: p.write_bytes(p.read_bytes()[:700]),
    'twice': lambda p: p.write_bytes(p.read_bytes() * 2),
    'future': lambda p: replace(p, '"ConfigVersion": 3', '"ConfigVersion": 4'),
    'array': lambda p: p.write_text('[]'),
    'types': lambda p: replace(p, '"DriverName": "none"', '"DriverName": 7'),
    'inner-types': lambda p: replace(p, '"TlsVerify": true', '"TlsVerify": "yes"'),
    'deep': lambda p: p.write_text('[' * 100000),
    'folder': lambda p: (p.unlink(), p.mkdir()),
    'fifo': lambda p: (p.unlink(), os.mkfifo(p, 0o600)),
    'loop': lambda p: (p.unlink(), p.symlink_to(p.name)),
    'large': become_large,
    'unreadable': lambda p: p.chmod(0),
    'locked-folder': lambda p: p.parent.chmod(0),
}


@pytest.fixture(scope='module')
def store(new_cli):
    cli = new_cli()
    cli.prefix = NO_OVERRIDE
    (cli.folder / 'here').write_text('text\n')
    for name in ['good', *BROKEN]:
        cli.create_none(name)
    for name in BROKEN:
        BREAK[name](cli.store / 'machines' / name / 'config.json')
    yield cli
    (cli.store / 'machines' / 'locked-folder').chmod(0o700)


def snapshot(folder):
    """Whatever is below: kinds, modes, sizes, times of change."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob('*')):
        info = path.lstat()
        when = 0 if stat.S_ISDIR(info.st_mode) else info.st_mtime_ns # temporary files come and go
        found[str(path)] = info.st_mode, info.st_size, when
    return found


def without_locks(files):
    return {path: what for path, what in files.items() if not path.endswith('.lock')}


@pytest.mark.parametrize('command', COMMANDS)
def test_each_command(store, command):
    before = snapshot(store.store)
    for name, error in BROKEN.items():
        result = store.run(*command.format(name).split())
        path = store.store / 'machines' / name / 'config.json'
        assert result.status == 1, result
        assert error.format(name=name, path=path) in result.err, result
    assert without_locks(snapshot(store.store)) == without_locks(before)


@pytest.mark.parametrize('command', ['config', 'env', 'inspect', 'ip', 'status', 'stop', 'url', 'version'])
@pytest.mark.parametrize('name', ['no-file', 'array', 'folder'])
def test_it_is_told_as_it_is(store, command, name):
    """It has nothing to do with certificates or a connection."""
    path = store.store / 'machines' / name / 'config.json'
    result = store.fails(command, name)
    assert (result.out, result.err) == ('', BROKEN[name].format(name=name, path=path) + '\n')


def test_a_folder_of_machines_that_cannot_be_read(store):
    """Whether a machine is there cannot be told then, so nobody may say that it is not."""
    machines = store.store / 'machines'
    machines.chmod(0)
    try:
        for command in [*COMMANDS, 'update-labels --label a=b {}', 'ls', 'rm -f {}']:
            result = store.run(*command.format('good').split())
            assert result.status == (0 if command == 'rm -f {}' else 1), result
            assert 'permission denied' in result.err.lower() and 'does not exist' not in result.err, result
    finally:
        machines.chmod(0o700)
    assert store.config('good')


def test_the_list_shows_them_all(store):
    result = store.ok('ls')
    rows = {line.split()[0]: line for line in result.out.splitlines()[1:]}
    assert set(rows) == {'good', *BROKEN} - {'no-folder'}
    for name, row in rows.items():
        path = store.store / 'machines' / name / 'config.json'
        assert name == 'good' or BROKEN[name].format(name=name, path=path) in row, row
    assert store.ok('ls', '-q').out == 'good\n'


ODD = ['', '..', 'a/b', '../good', 'good/', '/etc', 'x' * 300, '$(id)', '%s%n', '\x1b[31m']


@pytest.mark.parametrize('command', COMMANDS)
def test_odd_names(store, command):
    before = snapshot(store.store)
    for name in ODD:
        result = store.run(*[word.format(name) for word in command.split()])
        assert result.status in (1, 2) and result.err, result
        assert '\x1b' not in result.text, result
    assert without_locks(snapshot(store.store)) == without_locks(before)
