"""The SSH layer where a user is at a terminal: the arguments of the system's ssh, and the built-in client."""

import os
import pty
import re
import select
import shlex
import stat
import subprocess

import pytest

from sshd import USER, wait_for
from sshprobe import keys, probe, server, sshd # noqa: F401


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


@pytest.mark.parametrize('typed', ['', 'one\n', 'one\ntwo'])
def test_the_end_of_what_is_piped_in(probe, sshd, typed):
    """Also within a line, where a terminal's key for it has to be pressed twice."""
    argv = probe.argv(sshd.port, 'libssh2', 'stty -echo; cat; echo END', options=['--terminal'])
    done = subprocess.run(argv, input=typed, capture_output=True, text=True, env=probe.env, timeout=30)
    assert done.returncode == 0 and done.stdout.endswith(typed + 'END\n'), done
