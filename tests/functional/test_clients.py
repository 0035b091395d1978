"""The programs that call docker-machine: what they type, in which environment, what they read of it."""

import json
import os
import pathlib
import re
import signal
import stat
import subprocess
import tarfile
import threading

import pytest

from callers import Caller, caller, engine, world # noqa: F401
from cli import FAKES
from engine import Engine, Handler
from hosts import wait_for
from sshd import Sshd, USER, keygen

URL = 'tcp://127.0.0.1:1'
COLUMNS = 'NAME ACTIVE DRIVER STATE URL SWARM DOCKER ERRORS'.split()


class Watcher(threading.Thread):
    """Looks into machines/ as fast as it can, as programs that read the store do."""

    def __init__(self, store, name):
        super().__init__()
        self.machines, self.name_of = store / 'machines', name
        self.ended, self.seen, self.faults = threading.Event(), 0, []

    def look(self):
        file = self.machines / self.name_of / 'config.json'
        there = file.parent.exists()
        try:
            config = json.loads(file.read_text())
            if not isinstance(config['Driver'], dict) or not config['DriverName']:
                self.faults.append(config)
            self.seen += 1
        except FileNotFoundError:
            if there and file.parent.exists():
                self.faults.append('config.json is absent')
        except ValueError as e:
            self.faults.append(repr(e))
        if self.machines.exists():
            names = [e.name for e in os.scandir(self.machines) if e.is_dir(follow_symlinks=False)
                     and not e.name.startswith('.')]
            if not set(names) <= {self.name_of}:
                self.faults.append(names)

    def run(self):
        while not self.ended.is_set():
            self.look()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()
        assert self.seen and not self.faults, (self.seen, self.faults[:5])


# GitLab Runner: every call has its token first; stderr lines count as errors


RUNNER = 'runner-zxwgkjap-ci-1700000000-0a1b2c3d'
MIRROR = '--engine-registry-mirror=http://mirror.example:6000'


@pytest.fixture
def runner(cli):
    return Caller(cli, '--bugsnag-api-token=no-report')


def test_runner_creates_and_removes(runner, cli):
    with Watcher(cli.store, RUNNER):
        made = runner('create', '--driver', 'flaky', '--flaky-script={"create":"checkpoint:3"}', MIRROR,
                      '--engine-opt', 'log-driver=local', RUNNER)
        assert made.out and not made.err
        for words in ['stop'], ['start'], ['restart']:
            assert not runner(*words, RUNNER).err
    assert cli.config(RUNNER)['HostOptions']['EngineOptions']['RegistryMirror'] == [MIRROR.split('=', 1)[1]]
    assert not runner('inspect', RUNNER).err
    assert runner('status', RUNNER).out == 'Running\n' and runner('ip', RUNNER).out.strip()
    assert not runner('rm', '-y', RUNNER).err
    assert not (cli.store / 'machines' / RUNNER).exists()
    assert runner('inspect', RUNNER, status=1).err.startswith(f'Docker machine "{RUNNER}" does not exist')


def test_runner_asks_whether_a_machine_is_usable(runner, cli, engine):
    cli.create_none('good', engine.url)
    cli.create_none('bad', URL)
    runner('config', 'good')
    runner('config', 'bad', status=1)
    runner('config', 'nope', status=1)


def test_runner_after_a_create_that_failed(runner, cli):
    """The record tells its metrics, the driver is asked again and again, force ends it."""
    with Watcher(cli.store, RUNNER):
        failed = runner('create', '--driver', 'flaky', '--flaky-script={"create":"checkpoint:1+error:quota"}',
                        RUNNER, status=1)
    assert failed.err.startswith('Error creating machine: ')
    config = cli.config(RUNNER)
    assert config['DriverName'] == 'flaky' and config['Driver']['Checkpoint'] == 1
    cli.set_script(RUNNER, {'remove': 'error:auth'})
    for _ in range(2):
        assert f'Error removing host "{RUNNER}": ' in runner('rm', '-y', RUNNER, status=1).err
        assert (cli.store / 'machines' / RUNNER / 'config.json').exists()
    runner('rm', '-f', RUNNER)
    assert not (cli.store / 'machines' / RUNNER).exists()


def test_runner_kills_a_stop(runner, cli):
    """After a minute, by SIGKILL; then it removes."""
    cli.create_flaky(RUNNER)
    cli.set_script(RUNNER, {'stop': 'hang'})
    running = runner.start('stop', RUNNER)
    wait_for('stop', lambda: cli.calls('stop', RUNNER), 30)
    running.process.send_signal(signal.SIGKILL)
    running.finish(20)
    assert cli.config(RUNNER)['DriverName'] == 'flaky'
    runner('rm', '-y', RUNNER)
    assert cli.names() == []


def test_runner_provisions_again(runner, cli):
    cli.create_none(RUNNER, URL)
    assert 'not provisioned' in runner('provision', RUNNER, status=1).err
    assert 'does not exist' in runner('provision', 'nope', status=1).err


def test_runner_labels(runner, cli):
    """A newer one goes on where it reads this."""
    cli.create_none(RUNNER, URL)
    result = runner('update-labels', '--label', 'a=b', '--label', 'c=d', RUNNER, status=1)
    assert 'driver does not support labels' in result.err and not result.out
    assert 'does not exist' in runner('update-labels', '--label', 'a=b', 'nope', status=1).err
    assert 'update-labels' not in runner('help').out


def test_runners_operator(runner, cli):
    for name in 'm1', 'm2':
        cli.create_none(name, URL)
    for file in (cli.store / 'certs').iterdir():
        file.unlink()
    cli.create_none('m3', URL) # makes certificates again
    assert {p.name for p in (cli.store / 'certs').iterdir()} == {'ca.pem', 'ca-key.pem', 'cert.pem', 'key.pem'}
    runner.shell('docker-machine rm -y $(docker-machine ls -q)')
    assert cli.names() == []


# Rancher: two variables and no home; whatever is on stderr is the failure


class Host:
    """A machine-to-be behind SSH, with an engine."""

    def __init__(self, cli, folder):
        self.folder = folder
        self.key = keygen(folder / 'id_rsa')
        self.server = Sshd(folder / 'sshd', extra=f'ForceCommand {FAKES}/fake-host {folder}')
        self.server.authorize(self.key)
        self.engine = Engine(cli.store / 'certs', folder)
        port = self.engine.address.rsplit(':', 1)[1]
        self.flags = {'ip-address': '127.0.0.1', 'ssh-port': str(self.server.port), 'ssh-user': USER,
                      'ssh-key': str(self.key), 'engine-port': port}

    def words(self):
        return [w for flag, value in self.flags.items() for w in (f'--generic-{flag}', value)]

    def close(self):
        self.server.stop()
        self.engine.close()


@pytest.fixture
def host(cli, tmp_path):
    folder = tmp_path / 'host'
    folder.mkdir()
    h = Host(cli, folder)
    yield h
    h.close()


@pytest.fixture
def rancher(cli):
    call = Caller(cli)
    path = call.env['PATH']
    call.env = {'MACHINE_STORAGE_PATH': str(cli.store), 'PATH': f'{FAKES}:{path}', 'FLAKY_DIR': str(cli.flaky)}
    call.env.update({k: v for k, v in cli.env.items() if k.endswith('SAN_OPTIONS')})
    return call


def test_rancher_creates(rancher, cli, host):
    del rancher.env['FLAKY_DIR']
    result = rancher('create', '-d', 'generic', '--engine-install-url', 'https://releases.example/install.sh',
                     '--engine-opt', 'log-opt=max-size=10m', '--engine-env', 'A=B', '--engine-insecure-registry',
                     'r.example', '--engine-label', 'k=v', '--engine-registry-mirror', 'https://m.example',
                     '--engine-storage-driver', 'overlay2', *host.words(), 'node1')
    assert not result.err
    lines = result.out.splitlines()
    assert not [l for l in lines if 'Error creating machine: ' in l]
    assert lines[-1].startswith('To see how to connect')
    assert [l for l in lines if l.startswith('Provisioning with ')] and 'Docker is up and running!' in lines
    folder = cli.store / 'machines' / 'node1'
    assert (folder / 'id_rsa').read_text() == pathlib.Path(host.key).read_text()
    assert stat.S_IMODE((folder / 'id_rsa').stat().st_mode) == 0o600
    assert rancher('ls', '-q').out.split('\n')[:-1] == ['node1']
    assert rancher('ssh', 'node1', 'true').status == 0
    rancher('rm', '-f', 'node1')
    rancher('rm', '-f', 'node1')
    assert rancher('ls', '-q').out == ''


def test_rancher_finds_the_key_early(rancher, cli, host):
    """It waits for it after create began: it is there before the machine is looked at."""
    (host.folder / 'fail').write_text('detect No way in.\n')
    result = rancher('create', '-d', 'generic', *host.words(), 'node1', status=1)
    assert result.err.startswith('Error creating machine: ')
    assert (cli.store / 'machines' / 'node1' / 'id_rsa').exists()
    assert 'configure' not in (host.folder / 'log').read_text()


def test_rancher_reads_the_trace(rancher, cli):
    result = rancher('-D', 'create', '-d', 'flaky', '--flaky-script', '{"create":"stderr"}', 'node1')
    assert [l for l in result.err.splitlines() if l.startswith('(node1) DBG | ')]
    assert 'DBG' not in result.out


def test_debugging_shows_no_key(rancher, cli, host):
    """Although the server's goes to the host."""
    result = rancher('-D', 'create', '-d', 'generic', *host.words(), 'node1')
    folder = cli.store / 'machines' / 'node1'
    keys = [folder / 'server-key.pem', folder / 'key.pem', folder / 'id_rsa', cli.store / 'certs' / 'ca-key.pem']
    for line in (line for key in keys for line in key.read_text().splitlines() if len(line) > 20):
        assert line not in result.text
    assert '(node1) configure the engine' in result.err


def test_rancher_with_one_job_for_each_thing(rancher, cli, host):
    """Flags as --flag=value, or by variables; the state travels as a tar of the machine's folder."""
    words = [f'--generic-{flag}={value}' for flag, value in host.flags.items()]
    assert not rancher('create', '--driver=generic', *words, 'node1').err
    variables = {'GENERIC_' + flag.upper().replace('-', '_'): value for flag, value in host.flags.items()}
    rancher.env.update(variables)
    assert not rancher('create', '--driver=generic', 'node2').err
    first, second = (cli.config(n)['Driver'] for n in ('node1', 'node2'))
    assert {k: v for k, v in first.items() if k not in ('MachineName', 'SSHKeyPath')} == {
        k: v for k, v in second.items() if k not in ('MachineName', 'SSHKeyPath')}
    packed = cli.folder / 'node1.tar'
    with tarfile.open(packed, 'w') as tar:
        tar.add(cli.store / 'machines' / 'node1', 'node1')
    cli.store.rename(cli.folder / 'elsewhere')
    (cli.store / 'machines').mkdir(parents=True)
    with tarfile.open(packed) as tar:
        tar.extractall(cli.store / 'machines')
    assert rancher('ls', '-q').out == 'node1\n'
    assert not rancher('rm', '-y', 'node1').err
    assert rancher('ls', '-q').out == ''


# others


def test_testcontainers(world, caller, engine):
    assert caller('ls', '-q').out.splitlines()[0] == 'default'
    assert caller('status', 'default').out.strip().lower() == 'running'
    assert caller('status', 'off').out.strip().lower() != 'running'
    caller('start', 'off')
    assert caller('status', 'off').out.strip().lower() == 'running'
    assert caller('url', 'default').out.strip() == engine.url
    assert caller('ip', 'default').out.strip() == '127.0.0.1'
    for name in ['default'], []:
        lines = caller('env', *name, '--shell', 'cmd').out.splitlines()
        found = dict(l[4:].split('=', 1) for l in lines if l.startswith('SET '))
        assert found['DOCKER_HOST'] == engine.url and found['DOCKER_TLS_VERIFY'] == '1'
        assert (pathlib.Path(found['DOCKER_CERT_PATH']) / 'key.pem').exists()


def test_a_list_cut_at_its_header(world, caller, engine):
    head, row = caller('ls', '--filter', 'name=default').out.splitlines()
    starts = [head.index(c) for c in COLUMNS] + [None]
    cells = dict(zip(COLUMNS, (row[a:b].strip() for a, b in zip(starts, starts[1:]))))
    assert cells == {'NAME': 'default', 'ACTIVE': '-', 'DRIVER': 'none', 'STATE': 'Running', 'URL': engine.url,
                     'SWARM': '', 'DOCKER': 'v24.0.7', 'ERRORS': ''}


def test_ansible(world, caller, engine):
    assert caller('ls', '-q', '--filter', 'state=Running').out.splitlines() == ['default']
    driver = json.loads(caller('inspect', 'default').out)['Driver']
    assert {'MachineName': 'default', 'IPAddress': '127.0.0.1', 'SSHPort': 0, 'SSHUser': '',
            'SSHKeyPath': ''}.items() <= driver.items()
    assert caller('ip', 'default').out.strip() == '127.0.0.1'
    del caller.env['SHELL']
    found = dict(re.findall('(DOCKER_[^=]+)="([^"]+)"', caller('env', '--shell=sh', 'default').out))
    assert set(found) == {'DOCKER_TLS_VERIFY', 'DOCKER_HOST', 'DOCKER_CERT_PATH', 'DOCKER_MACHINE_NAME'}
    assert found['DOCKER_HOST'] == engine.url


def test_emacs(world, caller):
    exports = [l for l in caller('env', 'default').out.splitlines() if l.startswith('export')]
    assert len(exports) == 4
    caller('create', 'extra', '-d', 'flaky')
    caller('rm', '-y', 'extra')


def test_bash_completion(caller):
    flags = caller.shell("docker-machine create --driver generic --help | grep '^   -' | "
                         "sed 's/^   //; s/[^a-z0-9-].*$//'").stdout.split()
    assert {'--driver', '--engine-opt', '--generic-ip-address', '--tls-san'} <= set(flags)
    assert all(f.startswith('--') for f in flags)


class DockerHandler(Handler):
    """As much of an engine as `docker version` asks."""

    def do_HEAD(self):
        self.send_response(200)
        self.send_header('Api-Version', '1.43')
        self.end_headers()

    def do_GET(self):
        self.path = '/version' if self.path.endswith('/version') else self.path
        super().do_GET()


def test_shell_scripts(world, caller, engine):
    engine.server.RequestHandlerClass = DockerHandler
    lines = caller('env', '--shell=bash', 'default').out.splitlines()[:3]
    found = dict(l[7:].split('=', 1) for l in lines)
    assert list(found) == ['DOCKER_TLS_VERIFY', 'DOCKER_HOST', 'DOCKER_CERT_PATH']
    assert caller.shell("docker-machine ls | tail -1 | awk '{print $1}'").stdout == 'off\n'
    assert caller.shell("docker-machine ls -q -t 60").stdout == 'default\noff\n'
    shown = caller.shell("docker $(docker-machine config default) version --format '{{.Server.Version}}'")
    assert shown.stdout == '24.0.7\n', shown
    shown = caller.shell("""eval "$(docker-machine env default)" && docker version --format '{{.Server.Version}}' &&
                         docker-machine active && docker-machine ls | grep -F '*' | awk '{print $1}'""")
    assert shown.stdout == '24.0.7\ndefault\ndefault\n', shown
    script = 'docker-machine inspect new >/dev/null 2>&1 || docker-machine create -d none --url x new >/dev/null'
    for _ in range(2):
        assert caller.shell(script).stdout == ''
    config = world.config('default')
    assert config['Driver']['IPAddress'] == '127.0.0.1'
    assert config['HostOptions']['SwarmOptions']['Master'] is False


# what Docker Machine's own tests want of any driver


def test_all_that_power_does(cli, caller):
    """Create to kill, in the order of a day."""
    assert caller('inspect', 'm', status=1).err.startswith('Docker machine "m" does not exist')
    caller('create', '-d', 'flaky', 'm')
    assert caller('ls', '-q').out.splitlines()[0] == 'm'
    assert caller('ls', '-q', '--filter', 'state=Running').out == 'm\n'
    assert caller('ls', '-q', '--filter', 'state=Stopped').out == ''
    again = caller('create', '-d', 'flaky', 'm', status=1)
    assert again.text.splitlines()[0] == 'Docker machine "m" already exists'
    assert caller('url', 'm').out.startswith('tcp://')
    assert re.fullmatch(r'\d+\.\d+\.\d+\.\d+\n', caller('ip', 'm').out)
    caller('stop', 'm')
    assert 'Stopped' in caller('ls').out.splitlines()[1]
    for command in 'url', 'env', 'version':
        assert 'Host is not running' in caller(command, 'm', status=1).err
    caller('start', 'm')
    assert 'already running' in caller('start', 'm', status=1).err
    caller('kill', 'm')
    assert caller('status', 'm').out == 'Stopped\n'
    caller('restart', 'm')
    assert 'Running' in caller('status', 'm').out


@pytest.mark.parametrize('answer', ['y', 'n'])
def test_rm_asks(cli, caller, answer):
    cli.create_none('m', URL)
    out = caller('rm', 'm', stdin=f'{answer}\n').out
    assert ('Successfully removed m' in out) == (answer == 'y')
    assert cli.names() == ([] if answer == 'y' else ['m'])


@pytest.mark.parametrize('name', ['∞', '-', '.', '..', '_', 'a b'])
def test_names_that_are_none(caller, cli, name):
    result = caller('create', '-d', 'none', '--url', 'none', name, status=1)
    assert result.err.startswith('Error creating machine: Invalid hostname specified.'), result
    assert cli.names() == []


@pytest.mark.parametrize('name', ['a', '0'])
def test_shortest_names(caller, cli, name):
    caller('create', '-d', 'none', '--url', 'none', name)
    assert cli.names() == [name]


def test_a_url_that_is_none(caller, cli):
    for number in range(1, 4):
        caller('create', '-d', 'none', '--url', f'url{number}', f'testmachine{number}')
    lines = caller('ls').out.splitlines()
    assert len(lines) == 4
    for number, line in enumerate(lines[1:], 1):
        assert re.match(f'testmachine{number}[ ]+-[ ]+none[ ]+Running[ ]+url{number}[ ]+Unknown[ ]+'
                        'Unable to query docker version: .*', line), line
    assert len(caller('ls', '--filter', 'name=testmachine[12]').out.splitlines()) == 3
    assert len(caller('ls', '--filter', 'driver=none', '--filter', 'name=3').out.splitlines()) == 2
    assert caller('url', 'testmachine1').out == 'url1\n'


def test_a_driver_named_without_a_machine(caller):
    result = caller('create', '-d', 'generic', status=1)
    assert 'Error: No machine name specified' in result.err and '--generic-ip-address' in result.out
    for flag in '-h', '--help':
        assert 'generic' in caller('create', '-d', 'generic', flag).out
