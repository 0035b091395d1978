"""scp with real servers: every direction, odd names, the host key pinned, rsync."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from cli import process_state
from sshd import USER, Sshd, keygen, make_machine, wait_for

SFTP = 'Subsystem sftp internal-sftp'
NAMES = ['plain', 'a b', 'it\'s "quoted"', '-dash', '--', 'a:b', 'grün', '$HOME', 'x;y', '~']
USAGE = 'Usage: docker-machine scp [OPTIONS] [arg...]\n\nCopy files between machines\n'
SHARED = {'net': ('none', '')}


class Net:
    """Two machines, each with a port, a host key and a user key of its own."""

    def __init__(self, cli, folder):
        self.cli, self.servers, self.keys = cli, [], []
        for name in 'web1', 'web2':
            server = Sshd(folder / f'sshd-{name}', extra=SFTP)
            self.servers.append(server)
            self.keys.append(keygen(folder / f'key-{name}'))
            server.authorize(self.keys[-1])
            make_machine(cli, name, server, self.keys[-1])

    def known_hosts(self, name):
        return self.cli.store / 'machines' / name / 'known_hosts'


@pytest.fixture(scope='module')
def net(new_cli, tmp_path_factory):
    n = Net(new_cli(), tmp_path_factory.mktemp('net'))
    yield n
    for server in n.servers:
        server.stop()


@pytest.fixture
def here(net, tmp_path):
    """The folder that the command runs in, and one that stands for what is on machines."""
    net.cli.folder, before = tmp_path / 'here', net.cli.folder
    net.cli.folder.mkdir()
    (tmp_path / 'there').mkdir()
    yield net.cli.folder, tmp_path / 'there'
    net.cli.folder = before


@pytest.mark.parametrize('name', NAMES)
def test_names(net, here, name):
    """There, to the other machine, and back; what could be taken for a machine goes by way of ./"""
    local, remote = here
    typed = f'./{name}' if ':' in name else name
    (local / name).write_text(f'this is {name}\n')
    for words in ([typed, f'web1:{remote}/{name}'],
                  [f'web1:{remote}/{name}', f'web2:{remote}/{name} 2'],
                  [f'web2:{remote}/{name} 2', f'{typed} 3']):
        result = net.cli.ok('scp', '--', *words)
        assert (result.out, result.err) == ('', ''), result
    assert (local / f'{name} 3').read_text() == f'this is {name}\n'
    assert sorted(p.name for p in remote.iterdir()) == sorted([name, f'{name} 2'])


@pytest.mark.parametrize('words', [['-r'], ['--recursive'], ['-r', '-q'], ['-r', '-d', '--quiet']])
def test_folders(net, here, words):
    local, remote = here
    (local / 'tree' / 'a b').mkdir(parents=True)
    (local / 'tree' / 'a b' / 'file').write_text('deep')
    net.cli.ok('scp', *words, 'tree', f'web1:{remote}/')
    assert (remote / 'tree/a b/file').read_text() == 'deep'
    if '-d' not in words:
        net.cli.ok('scp', *words, f'web1:{remote}/tree', f'web2:{remote}/copy')
        assert (remote / 'copy/a b/file').read_text() == 'deep'
    net.cli.ok('scp', *words, f'web1:{remote}/tree', 'back')
    assert list((local / 'back').rglob('file'))


def test_folder_needs_recursive(net, here):
    local, remote = here
    (local / 'tree').mkdir()
    result = net.cli.fails('scp', 'tree', f'web1:{remote}/')
    assert 'tree' in result.err and result.err.endswith('\nexit status 1\n'), result
    assert not list(remote.iterdir())


def test_other_forms(net, here):
    """user@, a path below the home folder, this computer by name, both ends here."""
    local, remote = here
    (local / 'a:b').write_text('colon')
    net.cli.ok('scp', 'localhost:a:b', f'{USER}@web1:{remote}/x')
    net.cli.ok('scp', f'{USER}@web1:{remote}/x', f'{USER}@web2:{remote}/y')
    net.cli.ok('scp', f'web1:{remote}/x', f'web1:{remote}/z')
    net.cli.ok('scp', './a:b', 'localhost:c')
    assert {(remote / n).read_text() for n in 'xyz'} | {(local / 'c').read_text()} == {'colon'}
    name = f'machine-test-{os.getpid()}'
    try:
        net.cli.ok('scp', './a:b', f'web1:{name}')
        assert (pathlib.Path.home() / name).read_text() == 'colon'
    finally:
        (pathlib.Path.home() / name).unlink(missing_ok=True)


def test_user_of_the_command_line(net, here):
    """It is the one that logs in."""
    local, remote = here
    (local / 'x').touch()
    result = net.cli.fails('scp', 'x', f'no-such-user@web1:{remote}/x')
    assert 'no-such-user@127.0.0.1: Permission denied' in result.err
    assert 'Invalid user no-such-user' in net.servers[0].log()


def test_missing_file(net, here):
    local, remote = here
    for words in (['nothing', f'web1:{remote}/x'], [f'web1:{remote}/nothing', '.'],
                  [f'web1:{remote}/nothing', f'web2:{remote}/x']):
        result = net.cli.fails('scp', *words)
        assert 'nothing' in result.err and re.search(r'\nexit status (1|255)\n$', result.err), result
    assert not list(remote.iterdir()) and not list(local.iterdir())


def test_host_key_is_recorded_where_ssh_has_it(net, here):
    local, remote = here
    (local / 'x').touch()
    for name in 'web1', 'web2':
        net.known_hosts(name).unlink(missing_ok=True)
    net.cli.ok('scp', 'x', f'web1:{remote}/1')
    net.cli.ok('scp', f'web1:{remote}/1', f'web2:{remote}/2')
    for name, server in zip(('web1', 'web2'), net.servers):
        key = pathlib.Path(f'{server.host_keys[0]}.pub').read_text().split()[:2]
        assert net.known_hosts(name).read_text().split() == [name, *key]
        assert net.known_hosts(name).stat().st_mode & 0o777 == 0o600
        net.cli.ok('ssh', name, 'true')
    assert not (net.cli.home / '.ssh').exists()


def keys_of(folder, net):
    """known_hosts of both machines as if another key had been recorded."""
    other = pathlib.Path(f'{keygen(folder / "other")}.pub').read_text().split()[:2]
    for name in 'web1', 'web2':
        net.known_hosts(name).write_text(f'{name} {" ".join(other)}\n')


@pytest.mark.parametrize('words', [
    ['x', 'web1:THERE/1'], ['web1:THERE/0', 'y'], ['web1:THERE/0', 'web2:THERE/1'],
    ['-d', 'x', 'web1:THERE/1'], ['-d', 'web1:THERE/0', 'y'], ['-q', 'x', 'web1:THERE/1']])
def test_another_host_key_is_refused(net, here, words, tmp_path):
    local, remote = here
    (local / 'x').touch()
    (remote / '0').touch()
    keys_of(tmp_path, net)
    try:
        result = net.cli.fails('scp', *[w.replace('THERE', str(remote)) for w in words])
        assert ('Host key verification failed' in result.err) == ('-q' not in words), result
        assert result.err.splitlines()[-1].startswith('exit status ')
        assert [p.name for p in local.iterdir()] == ['x']
        assert [p.name for p in remote.iterdir()] == ['0']
    finally:
        for name in 'web1', 'web2':
            net.known_hosts(name).unlink()


def test_one_of_two_host_keys_is_another(net, here, tmp_path):
    """The second machine's, with the first one's as it was."""
    _, remote = here
    (remote / '0').touch()
    net.known_hosts('web1').unlink(missing_ok=True)
    net.cli.ok('ssh', 'web1', 'true')
    good = net.known_hosts('web1').read_text()
    keys_of(tmp_path, net)
    net.known_hosts('web1').write_text(good)
    result = net.cli.fails('scp', f'web1:{remote}/0', f'web2:{remote}/1')
    assert 'Host key verification failed' in result.err
    assert not (remote / '1').exists()
    net.known_hosts('web2').unlink()


def test_expected_host_key(net, here, tmp_path):
    """A driver that knows the key: nothing else is accepted at the first contact, either."""
    local, remote = here
    (local / 'x').touch()
    server = net.servers[0]
    keys = {'good': server.host_keys[0], 'bad': keygen(tmp_path / 'other')}
    for name, key in keys.items():
        line = pathlib.Path(f'{key}.pub').read_text().strip()
        make_machine(net.cli, name, server, net.keys[0], SSHHostKey=line)
    net.cli.ok('scp', 'x', f'good:{remote}/x')
    assert net.known_hosts('good').read_text().startswith('good ssh-ed25519 ')
    result = net.cli.fails('scp', 'x', f'bad:{remote}/y')
    assert 'host key of "bad" is not the expected one' in result.err
    assert not (remote / 'y').exists() and not net.known_hosts('bad').exists()


@pytest.mark.parametrize('folder', ['with blank', 'a"b', "it's", 'x,y', '%h', 'back\\slash', '$x'])
def test_odd_paths_of_keys_and_stores(net, here, folder, certs, tmp_path):
    from cli import Cli
    local, remote = here
    odd = tmp_path / folder
    odd.mkdir()
    cli = Cli(odd).take_certs(certs)
    cli.folder = local
    (local / 'x').write_text('odd')
    for name, server, key in zip(('one', 'two'), net.servers, net.keys):
        copy = odd / f'key {name}'
        shutil.copy(key, copy)
        copy.chmod(0o600)
        make_machine(cli, name, server, copy)
    cli.ok('scp', 'x', f'one:{remote}/1')
    cli.ok('scp', f'one:{remote}/1', f'two:{remote}/2')
    cli.ok('scp', '-d', f'two:{remote}/2', '3')
    assert (local / '3').read_text() == 'odd'
    assert (cli.store / 'machines/one/known_hosts').exists()


def test_ipv6(net, here, tmp_path):
    local, remote = here
    (local / 'x').write_text('six')
    server = Sshd(tmp_path / 'sshd6', extra=f'{SFTP}\nListenAddress ::1')
    try:
        server.authorize(net.keys[0])
        make_machine(net.cli, 'six', server, net.keys[0], IPAddress='::1')
        net.cli.ok('scp', 'x', f'six:{remote}/1')
        net.cli.ok('scp', f'six:{remote}/1', f'web2:{remote}/2')
        net.cli.ok('scp', '-d', f'six:{remote}/1', '3')
        assert (local / '3').read_text() == (remote / '2').read_text() == 'six'
        assert 'Connection from ::1 ' in server.log()
    finally:
        server.stop()


def test_machine_that_is_off(net, here, tmp_path):
    server = Sshd(tmp_path / 'off')
    make_machine(net.cli, 'off', server, net.keys[0])
    server.stop()
    for words in ['x', 'off:x'], ['off:x', 'x'], ['web1:x', 'off:x']:
        assert net.cli.fails('scp', *words).err == 'Error: Host "off" is not running\n'


def test_differences_only(net, here):
    """rsync: a large file with one changed byte costs little; its progress shows unless -q."""
    local, remote = here
    data = bytearray(os.urandom(1 << 20))
    (local / 'big').write_bytes(data)
    first = net.cli.ok('scp', '-d', 'big', f'web1:{remote}/big')
    assert 'big' in first.out and '100%' in first.out
    data[5000] ^= 1
    (local / 'big').write_bytes(data)
    os.utime(local / 'big', (1e9, 1e9)) # rsync takes what has the same size and second for the same
    trace = local / 'trace'
    shim(local, 'rsync', f'exec {shutil.which("rsync")} --stats --no-whole-file "$@" >{trace}')
    env = {'PATH': f'{local}/bin:{net.cli.env["PATH"]}'}
    net.cli.ok('scp', '--delta', 'big', f'web1:{remote}/big', env=env)
    assert (remote / 'big').read_bytes() == bytes(data)
    sent = next(l for l in trace.read_text().splitlines() if l.startswith('Literal data:'))
    assert 0 < int(sent.split()[2].replace(',', '')) < 10000, trace.read_text()
    quiet = net.cli.ok('scp', '-d', '-q', f'web1:{remote}/big', 'copy')
    assert (quiet.out, quiet.err) == ('', '') and (local / 'copy').read_bytes() == bytes(data)


def shim(folder, name, body):
    """A program of that name in folder/bin."""
    (folder / 'bin').mkdir(exist_ok=True)
    path = folder / 'bin' / name
    path.write_text(f'#!/bin/sh\n{body}\n')
    path.chmod(0o755)
    return path


def test_differences_between_two_machines(net, here):
    result = net.cli.fails('scp', '-d', 'web1:x', 'web2:y')
    assert result.err.startswith('--delta copies between this computer and a machine')


@pytest.mark.parametrize('words, text', [
    (['x', 'web1:y'],
     'You must have a copy of the scp binary locally to use the scp feature\n'),
    (['-d', 'x', 'web1:y'],
     'You must have a copy of the rsync binary locally to use the --delta option\n')])
def test_missing_programs(net, here, words, text):
    result = net.cli.fails('scp', *words, env={'PATH': str(here[0])})
    assert (result.out, result.err) == ('', text)


@pytest.mark.parametrize('words', [[], ['x'], ['x', 'y', 'z'], ['-r', 'x']])
def test_usage(net, words):
    result = net.cli.fails('scp', *words)
    assert result.out.startswith(USAGE) and result.err == 'Improper number of arguments\n'
    flags = [line.split(' \t')[0].split('\t')[0].strip() for line in result.out.splitlines()
             if line.startswith('   -')]
    assert flags == ['--recursive, -r', '--delta, -d', '--quiet, -q']


@pytest.mark.parametrize('words', [['nope:x', 'y'], ['x', 'u@nope:y'], ['web1:x', 'nope:y']])
def test_unknown_machine(net, here, words):
    result = net.cli.fails('scp', *words)
    assert result.err == (
        'Error loading host: Error loading host: Docker machine "nope" does not exist. Use "docker-machine ls" to '
        'list machines. Use "docker-machine create" to add a new one.\n')
    assert not result.out


def test_driver_without_ssh(net, here):
    net.cli.create_none('bare')
    assert 'driver "none" knows no SSH address for machine "bare"' in net.cli.fails('scp', 'x', 'bare:y').err


def test_no_driver_waits_for_the_copy(net, here):
    """Nor does anything else: the program has the streams, and its status is told."""
    local, _ = here
    shim(local, 'scp', 'cat /proc/$PPID/task/$PPID/children >children; echo $$ >me\n'
         'cat; echo to-out; echo to-err >&2; kill -KILL $$')
    env = {'PATH': f'{local}/bin:{net.cli.env["PATH"]}'}
    result = net.cli.fails('scp', 'x', 'web1:y', stdin='typed\n', env=env)
    assert (local / 'children').read_text().split() == (local / 'me').read_text().split()
    assert (result.out, result.err) == ('typed\nto-out\n', 'to-err\nsignal: Killed\n')


def sleeping(net, local, **kwargs):
    """A copy that is under way, and does not end by itself."""
    shim(local, 'scp', 'echo >started\nexec sleep 600')
    env = {'PATH': f'{local}/bin:{net.cli.env["PATH"]}'}
    running = net.cli.start('scp', 'x', 'web1:y', env=env, **kwargs)
    wait_for((local / 'started').exists, 'scp')
    return running


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_what_ends_us_ends_the_copy(net, here, number):
    running = sleeping(net, here[0])
    running.process.send_signal(number)
    result = running.finish(20)
    assert (result.status, result.leftovers) == (-number, []), result


@pytest.mark.parametrize('number, name', [(signal.SIGINT, 'Interrupt'), (signal.SIGQUIT, 'Quit')])
def test_keys_are_the_programs_business(net, here, number, name):
    """What a terminal sends to both of us ends the one that has it."""
    running = sleeping(net, here[0])
    os.killpg(running.process.pid, number)
    result = running.finish(20)
    assert (result.status, result.err, result.leftovers) == (1, f'signal: {name}\n', []), result


def test_nohup(net, here):
    """Ignored by us, it is ignored by the program, too; the program's own end is told."""
    running = sleeping(net, here[0], prefix=['env', '--ignore-signal=HUP,INT'])
    for number in signal.SIGHUP, signal.SIGINT:
        os.killpg(running.process.pid, number)
    os.killpg(running.process.pid, signal.SIGQUIT)
    result = running.finish(20)
    assert (result.status, result.err) == (1, 'signal: Quit\n'), result


def test_what_suspends_itself_suspends_us(net, here):
    """As ssh does for ~^Z; the shell that has us in the foreground goes on then. Both, when we go on."""
    local, _ = here
    shim(local, 'scp', 'for i in 1 2; do kill -TSTP $$; touch on$i; done')
    env = {**net.cli.env, 'PATH': f'{local}/bin:{net.cli.env["PATH"]}'}
    # a job of ours: one that no shell would ever let go on is not stopped at all
    job = subprocess.Popen([net.cli.program, 'scp', 'x', 'web1:y'], cwd=local, env=env, process_group=0,
                           stdin=subprocess.DEVNULL)
    try:
        for name in 'on1', 'on2':
            wait_for(lambda: process_state(job.pid) == 'T', 'our stop')
            assert not (local / name).exists()
            os.kill(job.pid, signal.SIGCONT)
            wait_for((local / name).exists, 'the copy to go on')
        assert job.wait(20) == 0
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
            job.wait()


def test_nothing_is_left(net, here):
    """The configuration for two machines has no name in any folder."""
    local, remote = here
    (remote / '0').touch()
    shim(local, 'scp', 'for a; do case $a in /proc/*) cat "$a" >config; ls -l "$a" >link;; esac; done\n'
         'exit 5')
    env = {'PATH': f'{local}/bin:{net.cli.env["PATH"]}', 'TMPDIR': str(local)}
    result = net.cli.fails('scp', f'web1:{remote}/0', f'web2:{remote}/1', env=env)
    assert result.err == 'exit status 5\n'
    assert 'memfd:ssh_config' in (local / 'link').read_text()
    text = (local / 'config').read_text()
    for server, key, name in zip(net.servers, net.keys, ('web1', 'web2')):
        assert f'Port={server.port}' in text and f'HostKeyAlias="{name}"' in text
        assert str(key) in text
    assert sorted(p.name for p in local.iterdir()) == ['bin', 'config', 'link']
    done = subprocess.run(['ssh', '-G', '-F', local / 'config', 'from-web1'], capture_output=True,
                          text=True, check=True).stdout
    assert f'port {net.servers[0].port}\n' in done and 'stricthostkeychecking ' in done
