"""The TLS session with a machine's engine: kept in its folder, resumed by the next command, and never the cause of
another result."""

import errno
import json
import os
import stat

import pytest

from cli import build_dir
from engine import Engine
from hosts import wait_for

ASKING = {'env': ['env', 'web'], 'config': ['config', 'web'], 'version': ['version', 'web'],
          'ls': ['ls', '--format', '{{.Name}} {{.DockerVersion}} {{.Error}}'],
          'ls-json': ['ls', '--format', 'json']}
LIBRARY = build_dir(fault=True) / 'tests' / 'functional' / 'libfailfs.so'
CALLS_MAX = 100


class Machine:
    """The machine web, whose engine tells of each handshake whether a session was resumed."""

    def __init__(self, cli, folder):
        self.cli, self.engine = cli, Engine(cli.store / 'certs', folder)
        cli.create_none('web', self.engine.url)
        self.folder = cli.store / 'machines' / 'web'
        self.file = self.folder / '.tls-session'

    def handshakes(self, *argv, **kwargs):
        """The command's result, and what its handshakes were."""
        resumed = self.engine.server.resumed
        before = len(resumed)
        result = self.cli.ok(*argv, **kwargs)
        wait_for('handshake', lambda: len(resumed) > before, 10)
        return result.out, ['resumed' if r else 'whole' for r in resumed[before:]]

    def asks(self, *kinds, argv=('env', 'web')):
        for kind in kinds:
            assert self.handshakes(*argv)[1] == [kind]


@pytest.fixture
def machine(cli, tmp_path):
    made = Machine(cli, tmp_path)
    yield made
    made.engine.close()


@pytest.mark.parametrize('name', ASKING)
def test_resumed(machine, name):
    """The same answer, and from the second time on without the handshake's work."""
    argv = ASKING[name]
    machine.file.unlink(missing_ok=True)
    first, kinds = machine.handshakes(*argv)
    assert kinds == ['whole']
    text = machine.file.read_bytes()
    for _ in range(2):
        again, kinds = machine.handshakes(*argv)
        assert kinds == ['resumed']
        if name != 'ls-json': # which tells the time that it took
            assert again == first
    assert machine.file.read_bytes() == text


def test_shared_by_commands(machine):
    machine.asks('whole')
    for argv in ASKING.values():
        machine.asks('resumed', argv=argv)


def test_a_file_for_its_owner_alone(machine):
    machine.file.unlink(missing_ok=True)
    os.umask(0) # of this process and what it starts
    try:
        machine.asks('whole')
    finally:
        os.umask(0o022)
    state = machine.file.lstat()
    assert stat.S_ISREG(state.st_mode) and stat.S_IMODE(state.st_mode) == 0o600
    left = {p.name for p in machine.folder.iterdir()}
    assert left == {'.tls-session', 'ca.pem', 'cert.pem', 'key.pem', 'config.json'}


def test_says_so_when_asked(machine):
    """With --debug, and without a word of what is kept."""
    for kind in 'made', 'resumed':
        result = machine.cli.ok('-D', 'env', 'web')
        assert f'{machine.engine.address}: TLS session {kind}' in result.err
    assert 'session' not in machine.cli.ok('env', 'web').text


def garble(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def in_its_place(make):
    def put(file):
        file.unlink()
        make(file)
    return put


DAMAGE = {
    'garbled': garble,
    'half': lambda f: os.truncate(f, f.stat().st_size // 2),
    'empty': lambda f: os.truncate(f, 0),
    'huge': lambda f: os.truncate(f, 1 << 40),
    'gone': lambda f: f.unlink(),
    'link to nothing': in_its_place(lambda f: f.symlink_to('/nowhere/at/all')),
    'link to another': in_its_place(lambda f: f.symlink_to(f.parent / 'config.json')),
    'fifo': in_its_place(os.mkfifo),
}


@pytest.mark.parametrize('name', DAMAGE)
def test_damaged(machine, name):
    machine.asks('whole', 'resumed')
    config = (machine.folder / 'config.json').read_bytes()
    DAMAGE[name](machine.file)
    machine.asks('whole', 'resumed')
    assert machine.file.is_file() and not machine.file.is_symlink()
    assert (machine.folder / 'config.json').read_bytes() == config


def test_folder_in_its_place(machine):
    machine.file.unlink(missing_ok=True)
    machine.file.mkdir()
    (machine.file / 'mine').write_text('x')
    machine.asks('whole', 'whole')
    assert (machine.file / 'mine').read_text() == 'x'
    assert not list(machine.folder.glob('.*tmp*'))


def test_another_machines(machine, tmp_path):
    """A session of one machine's engine is of no use for another's, even if that would resume it."""
    machine.asks('whole')
    other = Engine(machine.cli.store / 'certs', tmp_path)
    other.server.context = machine.engine.server.context
    try:
        machine.cli.create_none('db', other.url)
        copy = machine.cli.store / 'machines' / 'db' / '.tls-session'
        copy.write_bytes(machine.file.read_bytes())
        machine.cli.ok('env', 'db')
        wait_for('handshake', lambda: other.server.resumed, 10)
        assert other.server.resumed == [False]
    finally:
        other.close()


def test_another_ca(machine, tmp_path_factory):
    """The engine is not trusted any more, though it would resume."""
    machine.asks('whole', 'resumed')
    other = type(machine.cli)(tmp_path_factory.mktemp('other'))
    other.create_none('any')
    (machine.cli.store / 'certs' / 'ca.pem').write_bytes((other.store / 'certs' / 'ca.pem').read_bytes())
    result = machine.cli.fails('env', 'web')
    assert 'x509: certificate signed by unknown authority' in result.err and not result.out


def test_removed_with_the_machine(machine):
    machine.asks('whole')
    machine.cli.ok('rm', '-y', 'web')
    assert not machine.folder.exists()


def test_kept_apart(machine):
    """It is none of a machine's data: inspect knows nothing of it, config.json stays as it is."""
    before = machine.cli.ok('inspect', 'web').out, (machine.folder / 'config.json').read_bytes()
    machine.asks('whole', 'resumed')
    assert (machine.cli.ok('inspect', 'web').out, (machine.folder / 'config.json').read_bytes()) == before
    assert json.loads(before[0])['Name'] == 'web'


@pytest.mark.parametrize('sticky', [False, True], ids=['once', 'full'])
@pytest.mark.parametrize('there', [False, True], ids=['first', 'again'])
def test_nothing_can_be_written(fault_cli, tmp_path, there, sticky):
    """Each call that changes something below the store fails, once or from then on: env does not mind."""
    machine, log = Machine(fault_cli, tmp_path), tmp_path / 'failures'
    env = {'LD_PRELOAD': str(LIBRARY), 'FAILFS_ROOT': str(fault_cli.store), 'FAILFS_ERRNO': str(errno.EROFS),
           'FAILFS_LOG': str(log),
           'ASAN_OPTIONS': f'{fault_cli.env["ASAN_OPTIONS"]}:verify_asan_link_order=0'}
    if sticky:
        env['FAILFS_STICKY'] = '1'
    try:
        machine.file.unlink(missing_ok=True)
        expected = machine.handshakes('env', 'web')[0]
        for number in range(1, CALLS_MAX):
            log.unlink(missing_ok=True)
            machine.file.unlink(missing_ok=True)
            if there:
                machine.file.write_text('of no use')
            out, kinds = machine.handshakes('env', 'web', env={**env, 'FAILFS_AT': str(number)})
            assert out == expected and kinds == ['whole']
            if not log.exists():
                break
        else:
            raise AssertionError(f'more than {CALLS_MAX} calls')
        assert number > 2
        machine.asks('resumed')
        machine.cli.assert_whole()
    finally:
        machine.engine.close()


@pytest.mark.parametrize('point', ['store.write.created', 'store.write.before-rename', 'store.write.renamed'])
def test_killed_while_it_is_written(fault_cli, tmp_path, point):
    machine = Machine(fault_cli, tmp_path)
    try:
        machine.file.unlink(missing_ok=True)
        assert machine.cli.run('env', 'web', env={'MACHINE_TEST_FAULT': point}).status == -9
        machine.cli.assert_whole()
        machine.asks('resumed' if point.endswith('renamed') else 'whole', 'resumed')
        machine.cli.ok('rm', '-y', 'web')
        assert not machine.folder.exists()
    finally:
        machine.engine.close()
