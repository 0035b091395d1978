"""upgrade: packages over SSH on a host that is scripted, images by a driver that is."""

import getpass
import json
import signal

import pytest

from cli import FAKES, like_flaky
from engine import Engine
from sshd import Sshd, free_port, keygen, make_machine, wait_for

START = ['Starting machine so machine can be upgraded...', 'Starting "{0}"...', 'Machine "{0}" was started.']
ENGINE = ['Waiting for SSH to be available...', 'Detecting the provisioner...', 'Upgrading docker...',
          'Restarting docker...']
IMAGE = ['Stopping machine to do the upgrade...', 'Upgrading machine "img"...',
         'Starting machine back up...']
SHARED = {'world': ('none', '')}


class World:
    """A store, an engine that answers, and hosts."""

    def __init__(self, cli, folder):
        self.cli, self.folder, self.servers = cli, folder, []
        self.key = keygen(folder / 'key')
        self.engine = Engine(cli.store / 'certs', folder)
        self.port = int(self.engine.address.rsplit(':', 1)[1])

    def serve(self, name):
        host = self.folder / name
        host.mkdir()
        server = Sshd(host / 'sshd', extra=f'ForceCommand {FAKES}/fake-host {host}')
        server.authorize(self.key)
        self.servers.append(server)
        return host, server

    def add(self, name):
        host, server = self.serve(name)
        make_machine(self.cli, name, server, self.key, EnginePort=self.port)
        return host

    def close(self):
        for server in self.servers:
            server.stop()
        self.engine.close()


@pytest.fixture(scope='module')
def world(new_cli, tmp_path_factory):
    w = World(new_cli(), tmp_path_factory.mktemp('world'))
    for name in 'web', 'web2':
        w.add(name)
    yield w
    w.close()


@pytest.fixture(autouse=True)
def fresh(request):
    """What the last test left on the hosts is gone."""
    if 'world' in request.fixturenames:
        for path in request.getfixturevalue('world').folder.glob('*/*'):
            if path.name in ('log', 'fail', 'facts', 'package', 'gone') and path.is_file():
                path.unlink()


@pytest.fixture
def version(world):
    """Lets the engine be of another version."""
    server = world.engine.server
    before = server.body

    def set_version(text):
        server.body = json.dumps({'Version': text, 'ApiVersion': '1.43'}).encode()
    yield set_version
    server.body = before


def log(world, name='web'):
    path = world.folder / name / 'log'
    return path.read_text().splitlines() if path.exists() else []


def files(cli, name):
    folder = cli.store / 'machines' / name
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name not in ('known_hosts', '.tls-session')}


def test_engine(world):
    """Candidates from the table of distributions; a restart in any case; nothing else is changed."""
    before = files(world.cli, 'web')
    result = world.cli.ok('upgrade', 'web')
    assert (result.out.splitlines(), result.err) == (ENGINE, '')
    first, second, third = log(world)
    assert first == 'detect' and second.startswith('upgrade candidates=docker-ce')
    assert third == f'configure ca= dir=/etc/docker force=1 options= port={world.port}'
    assert files(world.cli, 'web') == before


def test_many(world):
    result = world.cli.called('docker-machine').ok('upgrade', 'web', 'web2')
    assert sorted(result.out.splitlines()) == sorted(ENGINE * 2)
    for name in 'web', 'web2':
        assert [line.split()[0] for line in log(world, name)] == ['detect', 'upgrade', 'configure']


def test_one_of_many_fails(world):
    (world.folder / 'web2' / 'fail').write_text('upgrade cannot upgrade docker.io\n')
    result = world.cli.called('docker-machine').fails('upgrade', 'web2', 'web')
    assert result.err.splitlines() == [
        'web2: upgrade the engine: cannot upgrade docker.io:', 'E: the reason']
    assert len(log(world)) == 3 and log(world, 'web2')[-1].startswith('upgrade ')


def test_restart_fails(world):
    (world.folder / 'web' / 'fail').write_text('configure the engine did not start\n')
    assert 'the engine did not start' in world.cli.fails('upgrade', 'web').err


@pytest.mark.parametrize('facts, text', [
    ({'dockerd': None}, 'there is no Docker engine on the host; "docker-machine provision web" installs one'),
    ({'os-release': 'ID=plan9\n'}, 'OS type not recognized'),
    ({'uid': '1000', 'root': 'no'}, 'sudo'),
    ({'file /etc/docker/daemon.json': '{"debug": tru'}, 'daemon.json'),
    ({'folder /etc/docker/daemon.json': ''}, 'daemon.json on the host is a folder')])
def test_host_that_is_not_fit(world, facts, text):
    (world.folder / 'web' / 'facts').write_text(json.dumps(facts))
    result = world.cli.fails('upgrade', 'web')
    assert text in result.err and log(world) == ['detect']


@pytest.mark.parametrize('os_release', ['ID=ubuntu\nVERSION_ID="22.04"\n', 'ID=mine\nID_LIKE="x debian"\n'])
def test_other_systems(world, os_release):
    (world.folder / 'web' / 'facts').write_text(json.dumps({'os-release': os_release}))
    world.cli.ok('upgrade', 'web')
    assert log(world)[1].startswith('upgrade candidates=docker-ce')


def words(world):
    return [line.split()[0] for line in log(world)]


@pytest.mark.parametrize('text', ['1.13.1', '1.9.0', '1.13.1-cs3', '1.12.0-rc5'])
def test_old_engine_is_replaced(world, version, text):
    """It cannot be upgraded in place: it goes, and then everything is done as on a new host."""
    version(text)
    (world.folder / 'web' / 'package').write_text('docker-engine')
    result = world.cli.ok('upgrade', 'web')
    assert (result.out.splitlines(), result.err) == ([
        *ENGINE[:2], 'Copying certs to the local machine directory...', 'Installing Docker...',
        'Copying certs to the remote machine...', 'Setting Docker configuration on the remote daemon...'], '')
    assert words(world) == ['detect', 'purge', 'detect', 'install', 'detect', 'configure']
    assert log(world)[1] == 'purge package=docker-engine'
    assert 'ca=-----BEGIN' in log(world)[-1] and 'force=1' in log(world)[-1]


@pytest.mark.parametrize('text', ['1.13.2', '17.03.0-ce', '19.03.1', '26.1.5+dfsg1'])
def test_engine_that_is_not_old(world, version, text):
    version(text)
    (world.folder / 'web' / 'package').write_text('docker-engine')
    assert world.cli.ok('upgrade', 'web').out.splitlines() == ENGINE
    assert words(world) == ['detect', 'upgrade', 'configure']


def test_old_engine_from_elsewhere(world, version):
    """Not from the package that no longer is: it stays, and is upgraded like any other."""
    version('1.13.1')
    assert world.cli.ok('upgrade', 'web').out.splitlines() == ENGINE
    assert words(world) == ['detect', 'purge', 'detect', 'upgrade', 'configure']


def test_old_engine_that_nothing_may_replace(world, version):
    version('1.13.1')
    (world.folder / 'web' / 'package').write_text('docker-engine')
    path = world.cli.store / 'machines/web/config.json'
    before = path.read_text()
    config = json.loads(before)
    config['HostOptions']['EngineOptions']['InstallURL'] = 'none'
    path.write_text(json.dumps(config))
    try:
        err = world.cli.fails('upgrade', 'web').err
    finally:
        path.write_text(before)
    assert err == ('remove the old engine: the engine is too old to be upgraded in place, and '
                   '--engine-install-url none says not to install another\n')
    assert words(world) == ['detect']


def test_old_engine_cannot_be_removed(world, version):
    version('1.13.1')
    (world.folder / 'web' / 'fail').write_text('purge cannot remove the package docker-engine\n')
    err = world.cli.fails('upgrade', 'web').err
    assert err == 'remove the old engine: cannot remove the package docker-engine:\nE: the reason\n'
    assert words(world) == ['detect', 'purge']


def test_cloud_init_is_waited_for(world):
    """As a host may have just been started."""
    (world.folder / 'web' / 'facts').write_text(json.dumps({'cloud-init': 'running'}))
    result = world.cli.ok('upgrade', 'web')
    assert result.out.splitlines() == [*ENGINE[:2], 'Upgrading docker...',
                                       'Waiting for cloud-init to finish...', 'Restarting docker...']


def test_engine_that_does_not_answer(world):
    """How old it is decides what is done, so nothing is."""
    make_machine(world.cli, 'mute', world.servers[0], world.key, EnginePort=free_port())
    err = world.cli.fails('upgrade', 'mute').err
    assert err.startswith('Unable to query docker version: ') and '\n' not in err[:-1]
    assert err.endswith('("docker-machine provision mute" repairs an engine that does not answer)\n')
    assert words(world) == ['detect']


def test_machine_that_is_off_and_cannot_be_started(world):
    """The others are not kept from it."""
    server = world.serve('gone')[1]
    make_machine(world.cli, 'gone', server, world.key, EnginePort=world.port)
    server.stop()
    result = world.cli.called('docker-machine').fails('upgrade', 'gone', 'web')
    assert result.err == 'gone: the generic driver does not support start\n'
    lines = [line.format('gone') for line in START[:2]]
    assert sorted(result.out.splitlines()) == sorted(lines + ENGINE)
    assert len(log(world)) == 3


def calls(cli):
    asked = {'initialize', 'states', 'states/', 'configure', 'preCreateCheck', 'create'}
    return [c[1] for c in cli.calls() if c[1] not in asked]


def imager(cli, script=None):
    cli.create_flaky('img', {'upgradeInfo': 'kind:image', **(script or {})})
    cli.env['MACHINE_POLL_MS'] = '50'


def test_image(cli):
    imager(cli)
    result = cli.ok('upgrade', 'img')
    assert (result.out.splitlines(), result.err) == (IMAGE, '')
    assert calls(cli) == ['upgradeInfo', 'stop', 'upgradeImage', 'start']
    assert cli.ok('status', 'img').out == 'Running\n'


@pytest.mark.parametrize('script, made, lines, text', [
    ({'stop': 'error:internal'}, ['upgradeInfo', 'stop'], 1, 'ordered to fail in stop'),
    ({'upgradeImage': 'error:quota'}, ['upgradeInfo', 'stop', 'upgradeImage', 'start'], 3,
     'ordered to fail in upgradeImage'),
    ({'start': 'error:internal'}, ['upgradeInfo', 'stop', 'upgradeImage', 'start'], 3,
     'ordered to fail in start'),
    ({'upgradeImage': 'segv', 'start': 'error:internal'},
     ['upgradeInfo', 'stop', 'upgradeImage', 'start'], 3,
     'and it could not be started again: '),
])
def test_image_fails(cli, script, made, lines, text):
    """The machine runs again, if it can."""
    imager(cli, script)
    result = cli.fails('upgrade', 'img')
    assert text in result.err and 'img' in result.err, result
    assert (calls(cli), result.out.splitlines()) == (made, IMAGE[:lines])
    state = 'Stopped' if 'start' in script else 'Running'
    assert cli.ok('status', 'img').out == f'{state}\n'


def test_image_waits_and_checkpoints(cli):
    imager(cli, {'upgradeImage': ['checkpoint+wait:100', 'ok']})
    cli.ok('upgrade', 'img')
    assert calls(cli).count('upgradeImage') == 2
    assert cli.config('img')['Driver']['Checkpoint'] == 1


@pytest.mark.parametrize('state', ['Stopped', 'Saved', 'Paused'])
def test_image_of_a_machine_that_is_off(cli, state):
    imager(cli)
    (cli.flaky / 'state-img').write_text(state)
    result = cli.ok('upgrade', 'img')
    assert result.out.splitlines() == [line.format('img') for line in START] + IMAGE
    assert calls(cli) == ['upgradeInfo', 'start', 'stop', 'upgradeImage', 'start']


def test_start_fails(cli):
    imager(cli, {'start': 'error:internal'})
    (cli.flaky / 'state-img').write_text('Stopped')
    result = cli.fails('upgrade', 'img')
    assert result.out.splitlines() == [line.format('img') for line in START[:2]]
    assert 'ordered to fail in start' in result.err
    assert calls(cli) == ['upgradeInfo', 'start']


def test_what_cannot_be_upgraded_is_not_started(cli):
    cli.create_flaky('off', {'upgradeInfo': 'kind:engine'})
    (cli.flaky / 'state-off').write_text('Stopped')
    result = cli.fails('upgrade', 'off')
    assert not result.out and 'machine "off" is not provisioned: of driver "flaky" only' in result.err
    assert calls(cli) == ['upgradeInfo']


def test_unknown_kind(cli):
    cli.create_flaky('img', {'upgradeInfo': 'kind:both'})
    assert 'kind is "both" (D6)' in cli.fails('upgrade', 'img').err


def test_interrupted(cli):
    imager(cli, {'upgradeImage': 'slow:600'})
    running = cli.start('upgrade', 'img')
    wait_for(lambda: 'upgradeImage' in calls(cli), 'upgradeImage', 30)
    running.process.send_signal(signal.SIGINT)
    result = running.finish(30)
    assert result.status == -signal.SIGINT and not result.leftovers, result
    cli.assert_whole()
    cli.ok('start', 'img')


def scripted(world, tmp_path, script):
    """A machine "img" that is provisioned, of a driver that is flaky otherwise."""
    host, server = world.serve(f'img-{len(world.servers)}')
    env = like_flaky(tmp_path, 'imager', ("'provision': False", "'provision': True"), (
        "'url': 'tcp://127.0.0.1:1'}",
        f"'url': 'tcp://{world.engine.address}', 'ssh': {{'host': '127.0.0.1', 'port': {server.port},"
        f" 'user': '{getpass.getuser()}', 'keyPath': '{world.key}'}}}}"))
    make_machine(world.cli, 'img', server, world.key)
    path = world.cli.store / 'machines/img/config.json'
    config = json.loads(path.read_text())
    config['DriverName'] = 'imager'
    config['Driver'] = {'Script': script}
    path.write_text(json.dumps(config))
    (world.cli.flaky / 'state-img').write_text('Running')
    return host, {**env, 'MACHINE_POLL_MS': '50'}


def test_engine_of_a_machine_that_is_off(world, tmp_path):
    host, env = scripted(world, tmp_path, {'upgradeInfo': 'kind:engine'})
    (world.cli.flaky / 'state-img').write_text('Stopped')
    result = world.cli.ok('upgrade', 'img', env=env)
    assert result.out.splitlines() == [line.format('img') for line in START] + ENGINE[:1] + ENGINE
    names = [line.split()[0] for line in (host / 'log').read_text().splitlines()]
    assert names == ['detect', 'upgrade', 'configure']
    assert world.cli.ok('status', 'img', env=env).out == 'Running\n'
    world.cli.ok('rm', '-f', 'img')


def test_new_image_is_provisioned(world, tmp_path):
    """Certificates and options, which may have been in the old one."""
    host, env = scripted(world, tmp_path, {'upgradeInfo': 'kind:image'})
    result = world.cli.ok('upgrade', 'img', env=env)
    assert result.out.splitlines()[:5] == IMAGE + ENGINE[:2]
    names = [line.split()[0] for line in (host / 'log').read_text().splitlines()]
    assert names == ['detect', 'hostname', 'configure']
    assert 'ca=-----BEGIN' in (host / 'log').read_text()
