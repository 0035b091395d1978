"""ssh as it is typed: what goes on to the client, what comes back, the built-in one, whom it refuses."""

import os
import pathlib
import select
import shutil
import signal
import subprocess

import pytest

from sshd import USER, Net, Sshd, keygen, make_machine, wait_for

SHARED = {'net': ('none', '')}
NATIVE = ['--native-ssh', 'ssh']


@pytest.fixture(scope='module')
def net(new_cli, tmp_path_factory):
    n = Net(new_cli(), tmp_path_factory.mktemp('net'))
    yield n
    n.server.stop()


@pytest.fixture
def without_ssh(net, tmp_path):
    """An environment with no ssh executable on the PATH."""
    for name in 'env', 'python3':
        (tmp_path / name).symlink_to(shutil.which(name))
    return {'PATH': str(tmp_path)}


@pytest.fixture
def client(net, tmp_path):
    """Gives the words that a client is told, instead of running it."""
    path = tmp_path / 'ssh'
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/words\nexit "${{STATUS:-0}}"\n')
    path.chmod(0o755)

    def told(*words, **kwargs):
        net.cli.run('ssh', *words, env={'PATH': f'{tmp_path}:{net.cli.env["PATH"]}'}, **kwargs)
        return (tmp_path / 'words').read_text().splitlines()
    return told


@pytest.mark.parametrize('words', [
    [], ['ls'], ['-L', '80:localhost:80', 'cmd'], ['-C', 'echo', 'foo'], ['--', 'ls', '-lah', '/'],
    ['-h'], ['--debug'], ['-D', '1080'], ['a b', '', '$HOME']])
def test_words_go_on_to_the_client(net, client, words):
    """After the place and the key, whatever they look like."""
    place, key = f'{USER}@127.0.0.1', ['-o', 'IdentitiesOnly=yes', '-i', str(net.key), '-p', str(net.server.port)]
    told = client('web1', *words)
    assert told[:2] == ['-F', '/dev/null']
    assert told[told.index(place) + 1:] == key + words
    options = dict(o.split('=', 1) for a, o in zip(told, told[1:told.index(place)]) if a == '-o')
    assert options.items() >= {
        'ConnectionAttempts': '3', 'ConnectTimeout': '10', 'ControlMaster': 'no', 'ControlPath': 'none',
        'PasswordAuthentication': 'no', 'ServerAliveInterval': '60', 'HostKeyAlias': '"web1"',
        'UserKnownHostsFile': f'"{net.known_hosts()}"'}.items()
    assert options['StrictHostKeyChecking'] in ('"accept-new"', '"yes"')


def test_default_machine(net, client):
    assert f'UserKnownHostsFile="{net.known_hosts("default")}"' in client()


def test_words_are_joined_by_blanks(net):
    """The shell over there expands them, and both streams come back as they are."""
    result = net.cli.ok('ssh', 'web1', 'echo', '$((1 + 2))', '"a  b";', 'echo', 'err', '>&2')
    assert (result.out, result.err) == ('3 a  b\n', 'err\n')
    assert net.cli.ok('ssh', 'web1', 'cat', stdin='typed').out == 'typed'


@pytest.mark.parametrize('status', [1, 3, 255])
def test_status(net, status):
    """Any failure is 1, and the text says which."""
    result = net.cli.fails('ssh', 'web1', f'echo out; exit {status}')
    assert (result.out, result.err) == ('out\n', f'exit status {status}\n')
    result = net.cli.fails(*NATIVE, 'web1', f'exit {status}')
    assert result.err == f'Process exited with status {status}\n'


@pytest.mark.parametrize('command, env', [(NATIVE, {}), (['ssh'], {'MACHINE_NATIVE_SSH': 'true'})])
def test_native(net, command, env):
    """A terminal, always: lines end as there, and standard error is part of it."""
    result = net.cli.ok(*command, 'web1', 'echo', 'one;', 'echo', 'two', '>&2;', 'echo', '$TERM;', 'stty', 'size',
                        env=env)
    assert (result.out, result.err) == ('one\r\ntwo\r\nxterm\r\n24 80\r\n', '')


def test_native_whose_reader_is_stopped(net):
    """It hears signals still."""
    reading, writing = os.pipe()
    process = subprocess.Popen([net.cli.program, *NATIVE, 'web1', 'yes'], env=net.cli.env, stdin=subprocess.DEVNULL,
                               stdout=writing, stderr=subprocess.PIPE)
    try:
        wait_for(lambda: not select.select([], [writing], [], 0)[1], 'the pipe to be full')
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM
    finally:
        process.kill()
        process.communicate()
        os.close(reading)
        os.close(writing)


def test_native_without_a_client(net, without_ssh):
    result = net.cli.ok('ssh', 'web1', 'tty >/dev/null && echo terminal', env=without_ssh)
    assert (result.out, result.err) == ('terminal\r\n', '')


def new_name(net):
    return f'm{len(list((net.cli.store / "machines").iterdir()))}'


@pytest.mark.parametrize('command', [['ssh'], NATIVE])
def test_machine_that_is_off(net, tmp_path, command):
    server = Sshd(tmp_path / 'off')
    server.stop()
    name = new_name(net)
    make_machine(net.cli, name, server, net.key)
    result = net.cli.fails(*command, name, 'ls')
    assert (result.out, result.err) == ('', f'Error: Cannot run SSH command: Host "{name}" is not running\n')


@pytest.mark.parametrize('command', [['ssh'], NATIVE])
def test_machine_that_is_off_and_has_no_address(net, command):
    name = new_name(net)
    net.cli.create_flaky(name)
    (net.cli.flaky / f'state-{name}').write_text('Stopped')
    assert net.cli.fails(*command, name, 'ls').err == f'Error: Cannot run SSH command: Host "{name}" is not running\n'
    assert net.cli.fails('scp', f'{name}:x', 'y').err == f'Error: Host "{name}" is not running\n'


@pytest.mark.parametrize('name', ['nope', '--', 'u@web1'])
def test_unknown_machine(net, name):
    """The first word is a name, without a user and whatever it looks like."""
    result = net.cli.fails('ssh', name, 'web1')
    assert not result.out and result.err.startswith(f'Docker machine "{name}" does not exist. ')


@pytest.mark.parametrize('command', [['ssh'], NATIVE])
@pytest.mark.parametrize('mode, text', [(0o644, "permissions 0644 for '{}' are too open\n"),
                                        (0o200, "'{}' is not readable\n"),
                                        (None, 'stat {}: no such file or directory\n')])
def test_key_file(net, tmp_path, command, mode, text):
    key = tmp_path / 'key'
    if mode is not None:
        shutil.copy(net.key, key)
        key.chmod(mode)
    name = new_name(net)
    make_machine(net.cli, name, net.server, key)
    assert net.cli.fails(*command, name, 'ls').err == text.format(key)


@pytest.mark.parametrize('command', [['ssh'], NATIVE])
def test_another_host_key_is_refused(net, tmp_path, command):
    other = pathlib.Path(f'{keygen(tmp_path / "other")}.pub').read_text().split()[:2]
    net.known_hosts().write_text(f'web1 {" ".join(other)}\n')
    try:
        result = net.cli.fails(*command, 'web1', 'echo', 'in')
    finally:
        net.known_hosts().unlink()
    assert not result.out
    assert ('Host key verification failed.' if command == ['ssh'] else 'host key of "web1" has changed') in result.err


def test_no_driver_waits_for_the_session(net, client, tmp_path):
    (tmp_path / 'ssh').write_text(f'#!/bin/sh\ncat /proc/$PPID/task/$PPID/children >{tmp_path}/words\n'
                                  f'echo $$ >{tmp_path}/me\n')
    assert client('web1')[0].split() == (tmp_path / 'me').read_text().split()


def test_nothing_is_left_in_the_home_folder(net):
    net.cli.ok('ssh', 'web1', 'true')
    assert os.listdir(net.cli.home) == []
