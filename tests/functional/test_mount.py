"""mount: what sshfs is told, and with FUSE the real thing."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess

import pytest

from sshd import USER, Net, Sshd, keygen, make_machine, wait_for

SFTP = 'Subsystem sftp internal-sftp'
USAGE = ('Usage: docker-machine mount [OPTIONS] [arg...]\n\n'
         'Mount or unmount a directory from a machine with SSHFS.\n')
SHARED = {'net': ('none', '')}


def has_fuse():
    return os.access('/dev/fuse', os.R_OK | os.W_OK) and shutil.which('sshfs')


fuse = pytest.mark.skipif(not has_fuse(), reason='no FUSE here: /dev/fuse or sshfs is missing')


@pytest.fixture(scope='module')
def net(new_cli, tmp_path_factory):
    n = Net(new_cli(), tmp_path_factory.mktemp('net'), extra=f'{SFTP}\nListenAddress ::1')
    yield n
    n.server.stop()


@pytest.fixture
def here(net, tmp_path):
    net.cli.folder, before = tmp_path, net.cli.folder
    yield tmp_path
    net.cli.folder = before


def is_mounted(path):
    return any(line.split()[4] == str(path).replace(' ', '\\040')
               for line in open('/proc/self/mountinfo'))


@pytest.fixture
def mount(here):
    """Runs the program so that sshfs may stay; what is mounted below the test's folder goes in the
    end."""
    def run(net, *words, env=None):
        done = subprocess.run([net.cli.program, 'mount', *words], env={**net.cli.env, **(env or {})},
                              cwd=here, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60)
        assert 'Sanitizer' not in done.stderr
        return done
    yield run
    points = [line.split()[4].replace('\\040', ' ') for line in open('/proc/self/mountinfo')]
    for point in points:
        if point.startswith(f'{here}/'):
            subprocess.run(['fusermount', '-u', '-z', point], check=False)


def shim(folder, name):
    """A program that writes down its arguments."""
    (folder / 'bin').mkdir(exist_ok=True)
    path = folder / 'bin' / name
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@" >{folder}/{name}.words\nexit "${{STATUS:-0}}"\n')
    path.chmod(0o755)


def told(folder, name):
    return (folder / f'{name}.words').read_text().splitlines()


# what is typed -> the last two words for sshfs
PLACES = {
    'web1:/srv mnt': ('USER@127.0.0.1:/srv', 'mnt'),
    'web1:/srv': ('USER@127.0.0.1:/srv', '/srv'),
    'other@web1: mnt': ('other@127.0.0.1:', 'mnt'),
    'web1:a:b mnt': ('USER@127.0.0.1:a:b', 'mnt'),
    'web1:x -- -m': ('USER@127.0.0.1:x', './-m'),
    '/srv mnt': ('USER@127.0.0.1:/srv', 'mnt'), # the machine "default"
    'dir': ('USER@127.0.0.1:dir', 'dir'),
}


@pytest.mark.parametrize('line', PLACES)
def test_what_sshfs_is_told(net, here, line):
    shim(here, 'sshfs')
    name = 'web1' if 'web1' in line else 'default'
    net.known_hosts(name).unlink(missing_ok=True)
    words = [w for w in line.split() if w != '--']
    words = ['--', *words] if '--' in line else words
    net.cli.ok('mount', *words, env={'PATH': f'{here}/bin:{net.cli.env["PATH"]}'})
    got = told(here, 'sshfs')
    assert tuple(w.replace(f'{USER}@', 'USER@') for w in got[-2:]) == PLACES[line]
    options = [b for a, b in zip(got, got[1:]) if a == '-o']
    assert 'StrictHostKeyChecking="accept-new"' in options
    assert f'UserKnownHostsFile="{net.known_hosts(name)}"' in options
    assert f'HostKeyAlias="{name}"' in options
    assert options[-3:] == ['IdentitiesOnly=yes', f'Port={net.server.port}',
                            f'IdentityFile={net.key}']
    assert not [o for o in options if o.endswith('=no') and o.startswith('Strict')]


def test_pinned(net, here):
    shim(here, 'sshfs')
    net.cli.ok('ssh', 'web1', 'true')
    net.cli.ok('mount', 'web1:/srv', 'mnt', env={'PATH': f'{here}/bin:{net.cli.env["PATH"]}'})
    assert 'StrictHostKeyChecking="yes"' in told(here, 'sshfs')


@pytest.mark.parametrize('programs, used', [
    (['fusermount'], 'fusermount'), (['fusermount3'], 'fusermount3'),
    (['fusermount', 'fusermount3'], 'fusermount')])
@pytest.mark.parametrize('words', [['web1:/srv', 'mnt'], ['web1:mnt'], ['mnt']])
def test_unmount(net, here, programs, used, words):
    """The machine is known, and not asked: it may be down."""
    for program in programs:
        shim(here, program)
    net.cli.ok('mount', '-u', *words, env={'PATH': f'{here}/bin', 'MACHINE_DRIVER_PATH': '/nowhere'})
    assert told(here, used) == [used, '-u', 'mnt']


def test_status(net, here):
    for program in 'sshfs', 'fusermount':
        shim(here, program)
    env = {'PATH': f'{here}/bin:{net.cli.env["PATH"]}', 'STATUS': '3'}
    for words in ['web1:/srv', 'mnt'], ['-u', 'web1:/srv', 'mnt']:
        assert net.cli.fails('mount', *words, env=env).err == 'exit status 3\n'


@pytest.mark.parametrize('words, text', [
    (['web1:/srv', 'mnt'],
     'You must have a copy of the sshfs binary locally to use the mount feature\n'),
    (['-u', 'web1:/srv', 'mnt'],
     'You must have a copy of the fusermount binary locally to use the unmount option\n')])
def test_missing_programs(net, here, words, text):
    result = net.cli.fails('mount', *words, env={'PATH': str(here)})
    assert (result.out, result.err) == ('', text)


@pytest.mark.parametrize('words', [[], ['x', 'y', 'z'], ['-u']])
def test_usage(net, words):
    result = net.cli.fails('mount', *words)
    assert result.out.startswith(USAGE) and result.err == 'Improper number of arguments\n'
    assert '   --unmount, -u\tUnmount instead of mount\n' in result.out


@pytest.mark.parametrize('words', [['nope:/srv', 'mnt'], ['-u', 'nope:/srv', 'mnt'],
                                   ['localhost:/srv', 'mnt']])
def test_unknown_machine(net, here, words):
    for program in 'sshfs', 'fusermount':
        shim(here, program)
    result = net.cli.fails('mount', *words, env={'PATH': f'{here}/bin:{net.cli.env["PATH"]}'})
    name = words[-2].split(':')[0]
    assert result.err == (
        f'Error loading host: Error loading host: Docker machine "{name}" does not exist. Use "docker-machine ls" to '
        'list machines. Use "docker-machine create" to add a new one.\n')
    assert not result.out
    assert not list(here.glob('*.words'))


def test_no_default_machine(empty_cli):
    shim(empty_cli.folder, 'sshfs')
    env = {'PATH': f'{empty_cli.folder}/bin:{empty_cli.env["PATH"]}'}
    result = empty_cli.fails('mount', '/srv', 'mnt', env=env)
    assert result.err.startswith('Error loading host: Error loading host: Docker machine "default" does not exist. ')


def test_interrupted_while_it_explains(net, here):
    """After sshfs has failed, a connection of our own finds out why; Ctrl-C ends that as anything else."""
    shim(here, 'sshfs')
    with socket.create_server(('127.0.0.1', 0)) as silent:
        make_machine(net.cli, 'silent', net.server, net.key, SSHPort=silent.getsockname()[1])
        running = net.cli.start('mount', 'silent:/srv', 'mnt',
                                env={'PATH': f'{here}/bin:{net.cli.env["PATH"]}', 'STATUS': '1'})
        wait_for((here / 'sshfs.words').exists, 'sshfs')
        silent.settimeout(20)
        kept = []
        while not kept or not stays(kept[-1]): # those before only ask whether somebody listens
            kept.append(silent.accept()[0])
        running.process.send_signal(signal.SIGINT)
        result = running.finish(30)
        for connection in kept:
            connection.close()
    assert (result.status, result.leftovers) == (-signal.SIGINT, []), result


def stays(connection):
    """Does the other side want an answer?"""
    connection.settimeout(20)
    return connection.recv(1) != b''


def test_machine_that_is_off(net, here, tmp_path):
    shim(here, 'sshfs')
    server = Sshd(tmp_path / 'off')
    make_machine(net.cli, 'off', server, net.key)
    server.stop()
    result = net.cli.fails('mount', 'off:/srv', 'mnt',
                           env={'PATH': f'{here}/bin:{net.cli.env["PATH"]}'})
    assert result.err == 'Error: Host "off" is not running\n'


def check_mounted(net, mount, here, source, target, name='web1'):
    """Read, write, unmount; the mount outlives the program."""
    source.mkdir()
    target.mkdir()
    (source / 'there').write_text('from there')
    done = mount(net, f'{name}:{source}', str(target))
    assert (done.returncode, done.stdout, done.stderr) == (0, '', ''), done
    assert is_mounted(target)
    assert (target / 'there').read_text() == 'from there'
    (target / 'here').write_text('from here')
    assert (source / 'here').read_text() == 'from here'
    done = mount(net, '-u', f'{name}:{source}', str(target))
    assert done.returncode == 0 and not is_mounted(target), done
    assert not list(target.iterdir())


@fuse
@pytest.mark.parametrize('folder', ['plain', 'a b', "it's", 'x,y', 'a"b'])
def test_mount(net, mount, here, folder, certs):
    """Also with such a path of the store and the key, which goes through FUSE's options."""
    from cli import Cli
    odd = here / folder
    odd.mkdir()
    shutil.copy(net.key, odd / 'key')
    (odd / 'key').chmod(0o600)
    own = Net.__new__(Net)
    own.cli = Cli(odd).take_certs(certs)
    make_machine(own.cli, 'web1', net.server, odd / 'key')
    check_mounted(own, mount, here, here / f'src {folder}', here / f'mnt {folder}')
    assert own.known_hosts().read_text().startswith('web1 ssh-ed25519 ')


@fuse
def test_mount_of_ipv6(net, mount, here):
    make_machine(net.cli, 'six', net.server, net.key, IPAddress='::1')
    check_mounted(net, mount, here, here / 'src', here / 'mnt', 'six')


@fuse
def test_sshfs_ends_with_the_mount(net, mount, here):
    (here / 'src').mkdir()
    (here / 'mnt').mkdir()
    mount(net, f'web1:{here}/src', 'mnt')
    running = [p for p in pathlib.Path('/proc').glob('[0-9]*/cmdline')
               if f'127.0.0.1:{here}/src'.encode() in read(p)]
    assert len(running) == 1
    mount(net, '-u', f'web1:{here}/src', 'mnt')
    wait_for(lambda: not read(running[0]), 'the end of sshfs')


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b''


@fuse
def test_another_host_key_is_refused(net, mount, here, tmp_path):
    other = pathlib.Path(f'{keygen(tmp_path / "other")}.pub').read_text().split()[:2]
    net.known_hosts().write_text(f'web1 {" ".join(other)}\n')
    (here / 'mnt').mkdir()
    done = mount(net, f'web1:{here}', 'mnt')
    net.known_hosts().unlink()
    assert done.returncode == 1 and not is_mounted(here / 'mnt'), done
    assert 'exit status 1: the host key of "web1" has changed' in done.stderr
    assert str(net.known_hosts()) in done.stderr
