"""The SSH layer against a real sshd, with both backends."""

import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import pytest

import cli as cli_module
from sshd import USER, Sshd, free_port, keygen, wait_for

PROBE = cli_module.build_dir() / 'tests' / 'functional' / 'ssh_probe'
BACKENDS = ['libssh2', 'ssh']
MAX_OUTPUT = 4 << 20
ENDLESS = 'while echo .; do sleep 0.1; done 2>/dev/null' # until nobody listens
MARK = b'\n[output cut after 4194304 bytes]\n'


@pytest.fixture(scope='module')
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp('keys')
    made = {kind: keygen(folder / kind, kind) for kind in ('ed25519', 'ecdsa', 'rsa')}
    made['stranger'] = keygen(folder / 'stranger')
    made['stranger-rsa'] = keygen(folder / 'stranger-rsa', 'rsa')
    return made


@pytest.fixture
def server(tmp_path, keys):
    servers = []

    def make(**options):
        s = Sshd(tmp_path / f'sshd{len(servers)}', **options)
        for kind in 'ed25519', 'ecdsa', 'rsa':
            s.authorize(keys[kind])
        servers.append(s)
        return s

    yield make
    for s in servers:
        s.stop()


@pytest.fixture
def sshd(server):
    return server()


class Probe:
    """Runs ssh_probe, with a private place for sockets that must be empty in the end."""

    def __init__(self, folder, keys):
        self.keys = keys
        self.run_dir = pathlib.Path(tempfile.mkdtemp(prefix='probe.', dir='/tmp')) # short enough
        self.known_hosts = folder / 'store' / 'known_hosts'
        self.known_hosts.parent.mkdir()
        self.env = {**os.environ, 'XDG_RUNTIME_DIR': str(self.run_dir), 'PROBE_DEBUG': '1',
                    'UBSAN_OPTIONS': 'halt_on_error=1'}
        self.env.pop('SSH_AUTH_SOCK', None)
        # libssh2 1.10 leaks numbers of an ECDSA key
        known = folder / 'lsan'
        known.write_text('leak:libssh2_userauth_publickey_fromfile_ex\n')
        self.env['LSAN_OPTIONS'] = f'suppressions={known}:print_suppressions=0'
        self.env['ASAN_OPTIONS'] = ':'.join([os.environ.get('ASAN_OPTIONS', ''),
                                             'fast_unwind_on_malloc=0'])

    def key(self, backend):
        return self.keys['ed25519' if backend == 'libssh2' else 'rsa']

    def argv(self, port, backend, *commands, options=(), key=None, user=USER, known=None):
        return [PROBE, *options, '127.0.0.1', str(port), user, str(key or self.key(backend)),
                str(known or self.known_hosts), *commands]

    def start(self, *args, **options):
        return subprocess.Popen(self.argv(*args, **options), env=self.env, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def finish(self, process, timeout=60):
        out, self.debug = process.communicate(timeout=timeout)
        assert process.returncode == 0, self.debug
        assert 'ERROR: ' not in self.debug, self.debug
        self.assert_clean()
        return [line.split(' ', 1) for line in out.splitlines()]

    def run(self, *args, **options):
        return self.finish(self.start(*args, **options))

    def left(self):
        mine = [cli_module.command_line(p) for p in cli_module.descendants(os.getpid())]
        return [line for line in mine if str(self.run_dir) in line]

    def assert_clean(self):
        assert not self.left()
        assert not list(self.run_dir.iterdir())


@pytest.fixture
def probe(tmp_path, keys):
    p = Probe(tmp_path, keys)
    yield p
    shutil.rmtree(p.run_dir)


def unhex(text):
    return b'' if text == '-' else bytes.fromhex(text)


def results(lines):
    """[(status, signal, cut, out, err)]"""
    found = []
    for word, rest in lines:
        if word == 'exit':
            status, name, cut, out, err = rest.split(' ')
            found.append((int(status), name, cut == '1', unhex(out), unhex(err)))
    return found


def error(lines):
    assert lines[-1][0] == 'error', lines
    code, text = lines[-1][1].split(' ', 1)
    return code, text


@pytest.mark.parametrize('backend', BACKENDS)
def test_exec(probe, sshd, backend):
    lines = probe.run(sshd.port, backend, 'echo out; echo err >&2; exit 7', 'exit 255', 'true',
                      'kill -KILL $$', 'echo "$HOME"; echo \'a b\'')
    assert lines[0] == ['backend', backend]
    first, honest, quiet, killed, last = results(lines)
    assert first == (7, '-', False, b'out\n', b'err\n')
    assert honest == (255, '-', False, b'', b'')
    assert quiet == (0, '-', False, b'', b'')
    assert killed[0] == -1
    assert killed[1] == ('KILL' if backend == 'libssh2' else '-')
    assert last[3] == os.path.expanduser('~').encode() + b'\na b\n'
    assert sshd.connections() == 1


@pytest.mark.parametrize('kind,backend', [('ed25519', 'libssh2'), ('ecdsa', 'libssh2')])
def test_key_types(probe, sshd, kind, backend):
    lines = probe.run(sshd.port, backend, 'echo hi', key=probe.keys[kind])
    assert lines[0] == ['backend', backend]
    assert results(lines)[0][3] == b'hi\n'


def test_without_public_key_file(probe, sshd, tmp_path):
    for kind in 'ed25519', 'ecdsa', 'rsa':
        key = tmp_path / f'alone_{kind}'
        key.write_bytes(probe.keys[kind].read_bytes())
        key.chmod(0o600)
        assert results(probe.run(sshd.port, '', 'true', key=key))[0][0] == 0


def test_rsa_key_chooses_the_client(probe, sshd):
    probe.run(sshd.port, 'ssh', 'true')
    assert "using the system's ssh: the key is RSA" in probe.debug


def test_native_is_forced(probe, sshd):
    lines = probe.run(sshd.port, 'ssh', 'true', options=['--native'])
    assert error(lines)[0] == 'AUTH' # SHA-1
    lines = probe.run(sshd.port, 'ssh', 'true', options=['--native'], key='-')
    assert error(lines)[0] == 'USER'


def test_agent(probe, sshd, tmp_path):
    out = subprocess.run(['ssh-agent', '-a', tmp_path / 'agent'], capture_output=True, text=True,
                         check=True).stdout
    agent = int(re.search(r'SSH_AGENT_PID=(\d+)', out)[1])
    try:
        probe.env['SSH_AUTH_SOCK'] = str(tmp_path / 'agent')
        subprocess.run(['ssh-add', '-q', probe.keys['ed25519']], env=probe.env, check=True)
        lines = probe.run(sshd.port, '', 'echo hi', key='-')
        assert lines[0] == ['backend', 'ssh']
        assert results(lines)[0][3] == b'hi\n'
        locked = keygen(tmp_path / 'locked', passphrase='secret')
        sshd.authorize(locked)
        assert error(probe.run(sshd.port, '', 'true', key=locked))[0] == 'AUTH'
    finally:
        os.kill(agent, signal.SIGTERM)


@pytest.mark.parametrize('backend', BACKENDS)
def test_input_comes_back(probe, sshd, tmp_path, backend):
    data = os.urandom(1 << 20)
    (tmp_path / 'data').write_bytes(data)
    options = ['--input', tmp_path / 'data']
    lines = probe.run(sshd.port, backend, 'cat', 'sha256sum', options=options)
    there_and_back, digest = results(lines)
    assert there_and_back == (0, '-', False, data, b'')
    want = subprocess.run(['sha256sum'], input=data, capture_output=True).stdout
    assert digest[3] == want


@pytest.mark.parametrize('backend', BACKENDS)
def test_unwanted_input(probe, sshd, tmp_path, backend):
    (tmp_path / 'data').write_bytes(os.urandom(6 << 20))
    lines = probe.run(sshd.port, backend, 'true', 'head -c 3 | wc -c', 'exec <&-; echo on',
                      'exit 4', options=['--input', tmp_path / 'data'])
    assert [r[0] for r in results(lines)] == [0, 0, 0, 4]
    assert [r[3] for r in results(lines)] == [b'', b'3\n', b'on\n', b'']


@pytest.mark.parametrize('backend', BACKENDS)
def test_input_after_the_end_of_output(probe, sshd, tmp_path, backend):
    """A command that closes its output still gets all of its input, and its status counts."""
    data = os.urandom(5 << 20)
    (tmp_path / 'data').write_bytes(data)
    there = tmp_path / 'there'
    lines = probe.run(sshd.port, backend, f'exec >&- 2>&-; cat >{there}; exit 6',
                      'exec >&- 2>&-; head -c 9 >/dev/null; exit 5', 'echo on',
                      options=['--input', tmp_path / 'data', '--deadline', '20000'])
    assert [r[0] for r in results(lines)] == [6, 5, 0]
    assert there.read_bytes() == data


@pytest.mark.parametrize('backend', BACKENDS)
def test_output_is_cut(probe, sshd, backend):
    lines = probe.run(sshd.port, backend, 'yes | head -c 5000000; yes no | head -c 5000000 >&2',
                      'echo fine')
    big, fine = results(lines)
    assert big[:3] == (0, '-', True)
    assert big[3] == b'y\n' * (MAX_OUTPUT // 2) + MARK
    assert big[4][:6] == b'no\nno\n' and len(big[4]) == MAX_OUTPUT + len(MARK)
    assert fine == (0, '-', False, b'fine\n', b'')


@pytest.mark.parametrize('backend', BACKENDS)
def test_input_and_output_beyond_all_buffers(probe, sshd, tmp_path, backend):
    (tmp_path / 'data').write_bytes(os.urandom(12 << 20))
    lines = probe.run(sshd.port, backend, 'tee /dev/stderr', options=[
        '--input', tmp_path / 'data'])
    assert results(lines)[0][:3] == (0, '-', True)


@pytest.mark.parametrize('backend', BACKENDS)
def test_many_commands_one_connection(probe, sshd, backend):
    commands = [f'echo {i}' for i in range(40)]
    lines = probe.run(sshd.port, backend, *commands)
    assert [r[3] for r in results(lines)] == [f'{i}\n'.encode() for i in range(40)]
    assert sshd.connections() == 1


@pytest.mark.parametrize('backend', BACKENDS)
def test_lines(probe, sshd, backend):
    command = r"printf 'a\r\nb\n\nlong'; sleep 0.1; printf ' tail'"
    lines = probe.run(sshd.port, backend, command, options=['--lines'])
    assert [line[1] if len(line) > 1 else '' for line in lines if line[0] == 'line'] == [
        'a', 'b', '', 'long tail']
    lines = probe.run(sshd.port, backend, "head -c 10000 /dev/zero | tr '\\0' x",
                      options=['--lines'])
    assert [len(line[1]) for line in lines if line[0] == 'line'] == [4096, 4096, 1808]


@pytest.mark.parametrize('backend', BACKENDS)
def test_wrong_key(probe, sshd, backend):
    key = probe.keys['stranger' if backend == 'libssh2' else 'stranger-rsa']
    code, text = error(probe.run(sshd.port, backend, 'true', key=key))
    assert code == 'AUTH'
    assert 'permission denied' in text and str(key) in text
    assert not probe.known_hosts.exists() # learned only from a host that let us in


@pytest.mark.parametrize('backend', BACKENDS)
def test_nothing_listens(probe, backend):
    code, text = error(probe.run(free_port(), backend, 'true'))
    assert code == 'UNAVAILABLE'
    assert 'onnection refused' in text


def listener():
    s = socket.create_server(('127.0.0.1', 0))
    return s, s.getsockname()[1]


@pytest.mark.parametrize('backend', BACKENDS)
def test_host_that_never_speaks(probe, backend):
    s, port = listener()
    with s:
        began = time.monotonic()
        code, _ = error(probe.run(port, backend, 'true', options=['--deadline', '700']))
        assert code == 'TIMEOUT'
        assert time.monotonic() - began < 5


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('speech', [b'', b'Exceeded MaxStartups\r\n', b'HTTP/1.1 400 no\r\n\r\n',
                                    b'SSH-2.0-x\r\n' + bytes(100), b'SSH-2.0-x\r\n' + b'\xff' * 99])
@pytest.mark.sampled(2)
def test_host_that_is_no_sshd(probe, backend, speech):
    s, port = listener()
    with s:
        process = probe.start(port, backend, 'true')
        peer, _ = s.accept()
        peer.sendall(speech)
        peer.close()
        assert error(probe.finish(process))[0] == 'UNAVAILABLE'


@pytest.mark.parametrize('backend', BACKENDS)
def test_key_files(probe, sshd, backend, tmp_path):
    missing = tmp_path / 'missing'
    code, text = error(probe.run(sshd.port, backend, 'true', key=missing))
    assert (code, text) == ('USER', f'stat {missing}: no such file or directory')
    key = tmp_path / 'key'
    key.write_bytes(probe.key(backend).read_bytes())
    key.chmod(0o644)
    assert error(probe.run(sshd.port, backend, 'true', key=key)) == (
        'USER', f"permissions 0644 for '{key}' are too open")
    key.chmod(0o000)
    assert error(probe.run(sshd.port, backend, 'true', key=key)) == (
        'USER', f"'{key}' is not readable")
    assert sshd.connections() == 0


@pytest.mark.parametrize('user', ['-oProxyCommand=touch x', 'a b'])
def test_names_that_are_options(probe, user):
    assert error(probe.run(1, 'ssh', 'true', user=user))[0] == 'USER'


@pytest.mark.parametrize('then', BACKENDS)
@pytest.mark.parametrize('first', BACKENDS)
def test_first_contact_is_recorded(probe, sshd, first, then):
    probe.run(sshd.port, first, 'true')
    text = probe.known_hosts.read_text()
    kind, blob = (sshd.folder / 'host_ed25519.pub').read_text().split()[:2]
    assert text == f'web1 {kind} {blob}\n'
    assert stat.S_IMODE(probe.known_hosts.stat().st_mode) == 0o600
    assert [p.name for p in probe.known_hosts.parent.iterdir()] == ['known_hosts']
    lines = probe.run(sshd.port, then, 'true')
    assert results(lines)[0][0] == 0
    assert probe.known_hosts.read_text() == text


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('kind', ['ed25519', 'ecdsa'])
def test_changed_host_key(probe, sshd, backend, kind):
    probe.run(sshd.port, backend, 'true')
    before = probe.known_hosts.read_text()
    fingerprint = re.compile(r'SHA256:[A-Za-z0-9+/]{43}')
    sshd.new_host_key(kind)
    code, text = error(probe.run(sshd.port, backend, 'true'))
    assert code == 'USER'
    assert 'host key of "Web1" has changed' in text and str(probe.known_hosts) in text
    recorded = subprocess.run(['ssh-keygen', '-lf', probe.known_hosts], capture_output=True,
                              text=True).stdout.split()[1]
    assert recorded in text
    if backend == 'libssh2' or kind == 'ed25519':
        shown = subprocess.run(['ssh-keygen', '-lf', f'{sshd.host_keys[0]}.pub'],
                               capture_output=True, text=True).stdout.split()[1]
        assert shown in fingerprint.findall(text)
    assert probe.known_hosts.read_text() == before
    probe.known_hosts.unlink()
    assert results(probe.run(sshd.port, backend, 'true'))[0][0] == 0


@pytest.mark.parametrize('backend', BACKENDS)
def test_strict(probe, sshd, backend):
    code, text = error(probe.run(sshd.port, backend, 'true', options=['--strict']))
    assert code == 'USER' and 'is not known' in text
    probe.run(sshd.port, backend, 'true')
    lines = probe.run(sshd.port, backend, 'true', options=['--strict'])
    assert results(lines)[0][0] == 0


def public(sshd, kind):
    return (sshd.folder / f'host_{kind}.pub').read_text().strip()


def fingerprint(sshd, kind):
    return subprocess.run(['ssh-keygen', '-lf', sshd.folder / f'host_{kind}.pub'], check=True,
                          capture_output=True, text=True).stdout.split()[1]


def expecting(probe, sshd, backend, *texts, **kwargs):
    options = [word for text in texts for word in ('--host-key', text)]
    return probe.run(sshd.port, backend, 'true', options=options, **kwargs)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('kind', ['ed25519', 'ecdsa', 'rsa'])
@pytest.mark.parametrize('form', ['key', 'line', 'fingerprint'])
@pytest.mark.sampled(2)
def test_expected_host_key(probe, server, backend, kind, form):
    """Whichever of its keys is expected, the server is made to show that one, and it is recorded."""
    sshd = server(host_keys=('ed25519', 'ecdsa', 'rsa'))
    text = {'key': public(sshd, kind), 'line': f'[10.9.8.7]:22,x {public(sshd, kind)}',
            'fingerprint': fingerprint(sshd, kind)}[form]
    lines = expecting(probe, sshd, backend, text)
    if (form, kind) == ('fingerprint', 'rsa') and lines[0][0] == 'error': # libssh2 before 1.11
        assert 'An RSA key is not found by its fingerprint' in error(lines)[1]
        assert not probe.known_hosts.exists()
        return
    assert results(lines)[0][0] == 0
    name, blob = public(sshd, kind).split()[:2]
    assert probe.known_hosts.read_text() == f'web1 {name} {blob}\n'
    if form != 'fingerprint':
        assert sshd.connections() == 1
    before = sshd.connections()
    assert results(expecting(probe, sshd, backend, text))[0][0] == 0
    assert sshd.connections() == before + 1 # the recorded key serves


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('form', ['key', 'other type', 'fingerprint'])
def test_unexpected_host_key(probe, server, backend, form):
    sshd, other = server(), server(host_keys=('ed25519', 'ecdsa'))
    text = {'key': public(other, 'ed25519'), 'other type': public(other, 'ecdsa'),
            'fingerprint': fingerprint(other, 'ed25519')}[form]
    code, said = error(expecting(probe, sshd, backend, text))
    assert code == 'USER' and 'host key of "Web1" is not the expected one' in said
    assert fingerprint(other, 'ecdsa' if form == 'other type' else 'ed25519') in said
    if backend == 'libssh2' or form != 'other type': # ssh does not tell what it did not take
        assert fingerprint(sshd, 'ed25519') in said
    assert str(probe.known_hosts) in said and not probe.known_hosts.exists()
    assert 'Accepted' not in sshd.log() and 'Postponed' not in sshd.log() # no login was tried
    # the way out that it names
    scanned = subprocess.run(['ssh-keyscan', '-p', str(sshd.port), '127.0.0.1'],
                             capture_output=True, text=True, check=True).stdout
    probe.known_hosts.write_text(scanned)
    assert results(expecting(probe, sshd, backend, text))[0][0] == 0


@pytest.mark.parametrize('backend', BACKENDS)
def test_one_of_several_expected_keys(probe, server, backend):
    sshd, other = server(), server(host_keys=('ed25519', 'ecdsa'))
    lines = expecting(probe, sshd, backend, public(other, 'ed25519'), fingerprint(other, 'ecdsa'),
                      fingerprint(sshd, 'ed25519') + '=')
    assert results(lines)[0][0] == 0
    assert public(sshd, 'ed25519').split()[1] in probe.known_hosts.read_text()


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('text', ['', 'SHA256:short', 'ssh-ed25519 AAAA', 'MD5:00:11', 'x\ny'])
@pytest.mark.sampled(2)
def test_what_is_no_key_is_expected_of_nobody(probe, sshd, backend, text):
    code, said = error(expecting(probe, sshd, backend, text))
    assert code == 'OTHER' and 'is neither an SSH host key nor a fingerprint' in said
    assert sshd.connections() == 0


def test_expected_host_key_with_the_login_refused(probe, sshd):
    lines = expecting(probe, sshd, 'libssh2', public(sshd, 'ed25519'), key=probe.keys['stranger'])
    assert error(lines)[0] == 'AUTH' and not probe.known_hosts.exists()


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('pattern', ['[127.0.0.1]:22', 'host.example,10.0.0.1', '*', '|1|x|y'])
@pytest.mark.sampled(2)
def test_key_known_under_another_name(probe, server, backend, pattern):
    ours, other = server(), server()
    for s, works in (ours, True), (other, False):
        kind, blob = (ours.folder / 'host_ed25519.pub').read_text().split()[:2]
        probe.known_hosts.write_text(f'# comment\n\n{pattern} {kind} {blob}') # no newline
        lines = probe.run(s.port, backend, 'true')
        if works:
            assert results(lines)[0][0] == 0
        else:
            assert error(lines)[0] == 'USER'


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('kind', ['ecdsa', 'rsa'])
def test_algorithm_of_the_recorded_key(probe, server, backend, kind):
    s = server(host_keys=('ed25519', 'ecdsa', 'rsa'))
    name, blob = (s.folder / f'host_{kind}.pub').read_text().split()[:2]
    probe.known_hosts.write_text(f'web1 {name} {blob}\n')
    lines = probe.run(s.port, backend, 'true')
    assert results(lines)[0][0] == 0
    assert len(probe.known_hosts.read_text().splitlines()) == 1


@pytest.mark.parametrize('backend', BACKENDS)
def test_host_key_that_cannot_be_recorded(probe, sshd, backend, tmp_path):
    lines = probe.run(sshd.port, backend, 'true', known=tmp_path / 'no' / 'such' / 'folder')
    assert results(lines)[0][0] == 0
    assert 'could not be recorded' in probe.debug


@pytest.mark.parametrize('backend', BACKENDS)
def test_server_dies_during_a_command(probe, sshd, backend):
    process = probe.start(sshd.port, backend, ENDLESS, 'echo after')
    wait_for(lambda: 'sleep 0.1' in ' '.join(cli_module.command_line(p) for p in
                                             cli_module.descendants(sshd.process.pid)),
             'the command')
    began = time.monotonic()
    sshd.signal_children(signal.SIGKILL)
    lines = probe.finish(process)
    assert time.monotonic() - began < 5
    assert [line[0] for line in lines] == ['backend', 'error', 'error']
    assert [line[1].split()[0] for line in lines[1:]] == ['UNAVAILABLE'] * 2


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('option,code', [('--cancel', 'CANCELED'), ('--deadline', 'TIMEOUT')])
def test_interruption(probe, sshd, backend, option, code):
    began = time.monotonic()
    lines = probe.run(sshd.port, backend, ENDLESS, options=[option, '800'])
    assert error(lines)[0] == code
    assert time.monotonic() - began < 5
    wait_for(lambda: not sshd.children(), 'the connection to end')


def test_no_master_is_left_when_killed(probe, sshd):
    process = probe.start(sshd.port, 'ssh', 'echo here; sleep 1', ENDLESS)
    wait_for(lambda: probe.left() and 'session: command' in sshd.log(), 'the master')
    process.kill()
    process.communicate()
    wait_for(lambda: not probe.left(), 'the master to end')
    wait_for(lambda: not sshd.children(), 'the connection to end')
    (left,) = probe.run_dir.iterdir()
    for name in 'log', 'known_hosts': # what may be there at the moment of a kill
        (left / name).touch()
    in_use = probe.run_dir / 'machine-ssh.in-use'
    in_use.mkdir()
    (in_use / 's').touch()
    for path in left, in_use:
        os.utime(path, (0, 0))
    process = probe.start(sshd.port, 'ssh', 'true')
    process.communicate(timeout=30)
    assert [p.name for p in probe.run_dir.iterdir()] == [in_use.name] # sweeps
    (in_use / 's').unlink()
    in_use.rmdir()


def test_without_a_client(probe, sshd):
    probe.env['PATH'] = '/nonexistent'
    assert error(probe.run(sshd.port, 'ssh', 'true'))[0] == 'AUTH'
    assert 'there is no ssh executable' in probe.debug


def test_more_sessions_than_allowed(probe, server):
    s = server(extra='MaxSessions 1')
    lines = probe.run(s.port, 'libssh2', 'echo 1', 'echo 2')
    assert [r[3] for r in results(lines)] == [b'1\n', b'2\n']
    lines = probe.run(s.port, 'ssh', 'echo 1')
    assert error(lines)[0] == 'UNAVAILABLE' # the master's own session is the one
    assert s.connections() == 2


def client_args(probe, port, backend, **options):
    done = subprocess.run(probe.argv(port, backend, options=['--args'], **options),
                          capture_output=True, text=True, env=probe.env)
    return done.stdout.splitlines()


@pytest.mark.parametrize('odd', ['plain', 'with blank', '100%', 'q"uote', "a'b"])
def test_client_args(probe, sshd, tmp_path, odd):
    folder = tmp_path / odd
    folder.mkdir()
    key, known = folder / 'key', folder / 'known_hosts'
    key.write_bytes(probe.keys['ed25519'].read_bytes())
    key.chmod(0o600)
    argv = client_args(probe, sshd.port, 'ssh', key=key, known=known)
    assert argv[0] == 'ssh' and f'{USER}@127.0.0.1' in argv
    for _ in range(2):
        done = subprocess.run([*argv, 'echo', '$HOME'], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, '')
        assert done.stdout == os.path.expanduser('~') + '\n'
        argv = client_args(probe, sshd.port, 'ssh', key=key, known=known)
    assert 'StrictHostKeyChecking="yes"' in argv
    assert known.read_text().startswith('web1 ssh-ed25519 ')
    assert stat.S_IMODE(known.stat().st_mode) == 0o600
    sshd.new_host_key()
    done = subprocess.run([*argv, 'true'], capture_output=True, text=True)
    assert done.returncode == 255 and 'IDENTIFICATION HAS CHANGED' in done.stderr
    assert sshd.connections() == 1


def test_client_args_check_the_key(probe, sshd, tmp_path):
    assert client_args(probe, 1, 'ssh', key=tmp_path / 'none')[0].startswith('error USER stat ')


def on_terminal(probe, port, *words, feed=b'', rows=40, columns=132):
    """Runs the built-in client on a terminal; (status, output, its settings before and after)."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(probe.env)
        argv = [str(a) for a in probe.argv(port, 'libssh2', *words, options=['--terminal'])]
        command = shlex.join(argv)
        os.execvp('sh', ['sh', '-c', f'stty rows {rows} cols {columns}; stty -a; echo BEGIN; '
                         f'{command}; s=$?; echo END; stty -a; exit $s'])
    out = b''
    fed = False
    while True:
        if feed and not fed and b'READY' in out:
            os.write(fd, feed)
            fed = True
        try:
            data = os.read(fd, 4096)
        except OSError:
            break
        if not data:
            break
        out += data
    os.close(fd)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    before, rest = out.split(b'BEGIN\r\n', 1)
    middle, after = rest.rsplit(b'END\r\n', 1)
    middle = re.sub(rb'ssh: .*using libssh2.*\r\n', b'', middle)
    return status, middle, before, after


def test_terminal(probe, sshd):
    status, out, before, after = on_terminal(probe, sshd.port, 'stty', 'size;', 'echo $TERM;',
                                             'exit 5')
    assert (status, out) == (5, b'40 132\r\nxterm\r\n')
    assert before == after


def test_terminal_input(probe, sshd):
    status, out, before, after = on_terminal(
        probe, sshd.port, 'echo READY; read x; echo "got:$x"; read -n1 y; echo "then:$y"',
        feed=b'word\rZ')
    assert status == 0
    assert b'got:word\r\n' in out and b'then:Z' in out
    assert before == after


def test_terminal_interrupt_goes_to_the_other_side(probe, sshd):
    status, out, before, after = on_terminal(
        probe, sshd.port, "trap 'echo caught; exit 9' INT; echo READY; sleep 30 & wait",
        feed=b'\x03')
    assert status == 9 and b'caught' in out
    assert before == after


def test_terminal_on_a_pipe_that_does_not_block(probe, sshd):
    """As programs with an event loop give it; it may be full for a while."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = subprocess.Popen(probe.argv(sshd.port, 'libssh2', 'yes | head -c 1000000',
                                          options=['--terminal']),
                               stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.PIPE,
                               env=probe.env)
    wait_for(lambda: not select.select([], [writing], [], 0)[1], 'the pipe to be full')
    os.close(writing)
    with open(reading, 'rb') as pipe:
        text = pipe.read()
    _, complaints = process.communicate(timeout=30)
    assert process.returncode == 0, complaints
    assert text.replace(b'\r', b'') == b'y\n' * 500000


def test_terminal_without_one(probe, sshd):
    argv = probe.argv(sshd.port, 'libssh2', options=['--terminal'])
    done = subprocess.run(argv, input='echo a$((1+1))b; exit 6\n', capture_output=True, text=True,
                          env=probe.env, timeout=30)
    assert done.returncode == 6 and 'a2b' in done.stdout
    argv = probe.argv(sshd.port, 'libssh2', 'stty size; cat', options=['--terminal'])
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=probe.env, timeout=30)
    assert (done.returncode, done.stdout) == (0, '24 80\n')
