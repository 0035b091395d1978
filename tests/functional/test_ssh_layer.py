"""The SSH layer against a real sshd, with both backends: logins, commands with their input and output, and their ends."""

import os
import re
import signal
import socket
import subprocess
import time

import pytest

import cli as cli_module
from sshd import free_port, keygen, wait_for
from sshprobe import BACKENDS, error, keys, probe, results, server, sshd # noqa: F401

MAX_OUTPUT = 4 << 20
ENDLESS = 'while echo .; do sleep 0.1; done 2>/dev/null' # until nobody listens
MARK = b'\n[output cut after 4194304 bytes]\n'


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
