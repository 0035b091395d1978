"""The program on top of the driver digitalocean, with the fake of its API and no host behind it."""

import json
import re
import signal
import stat

import pytest

from dodriver import PATIENT, environment
from driverclient import driver_file
from fakes.digitalocean import Address, DigitalOcean, Late, TooMany
from fakes.httpfake import APPLIED, Refuse

NOWHERE = '127.0.0.1'
CONFORM = re.compile(r'(ok  |FAIL|skip) ([A-Z]\d+) +(\S.*)')


@pytest.fixture
def cloud():
    with DigitalOcean([Address(NOWHERE, '10.128.0.2', '2001:db8::1')]) as fake:
        yield fake


@pytest.fixture
def docli(cli, cloud):
    cli.env = {**cli.env, 'MACHINE_DRIVER_PATH': str(driver_file('digitalocean').parent), 'MACHINE_POLL_MS': '20',
               'MACHINE_DRIVER_PAUSE_MS': '1', 'DIGITALOCEAN_ACCESS_TOKEN': cloud.token,
               'DIGITALOCEAN_API_URL': cloud.url}
    return cli


def create(cli, *words):
    return cli.run('--debug', 'create', '-d', 'digitalocean', '--engine-install-url', 'none', *words, 'm1')


def stored(cli):
    return json.loads((cli.store / 'machines' / 'm1' / 'config.json').read_text())


def no_secret(cli, cloud, result):
    assert cloud.token not in result.text and 'PRIVATE KEY' not in result.text, result


def test_create_that_fails_leaves_what_rm_takes(docli, cloud):
    """Nothing was made: the pre-create check says so, with its own status."""
    result = create(docli, '--digitalocean-region', 'xyz1')
    assert result.status == 3 and '--digitalocean-region xyz1' in result.err, result
    assert not (docli.store / 'machines' / 'm1').exists() and cloud.log.actions() == ['list_regions', 'list_regions']
    no_secret(docli, cloud, result)


def test_refused_droplet(docli, cloud):
    cloud.faults.add('create_droplet', Refuse(422, 'unprocessable_entity', 'limit exceeded'))
    result = create(docli)
    assert result.status == 1 and 'limit exceeded' in result.err and 'create the droplet' in result.err, result
    assert not cloud.account.left()
    no_secret(docli, cloud, result)
    removed = docli.run('rm', '-y', 'm1')
    assert removed.status == 0 and not (docli.store / 'machines' / 'm1').exists(), removed


def test_folder_that_others_pack(docli, cloud):
    """Rancher's archiver takes a symbolic link for an empty file, and fails on what it leads to."""
    cloud.faults.add('create_droplet', Refuse(422, 'unprocessable_entity', 'limit exceeded'))
    assert create(docli).status == 1
    files = {path.name: path for path in (docli.store / 'machines' / 'm1').iterdir()}
    assert {'config.json', 'id_rsa', 'id_rsa.pub'} <= set(files)
    assert all(stat.S_ISREG(path.lstat().st_mode) for path in files.values())
    assert stat.S_IMODE(files['id_rsa'].stat().st_mode) == 0o600


def test_interrupted_create_is_resumed_and_removed(docli, cloud):
    """There is a droplet, and an address at which no SSH server listens."""
    cloud.faults.add('create_droplet', TooMany(retry_after=16))
    running = docli.start('--debug', 'create', '-d', 'digitalocean', '--engine-install-url', 'none',
                          '--digitalocean-ssh-port', '1', 'm1')
    cloud.log.wait('create_droplet', times=2, timeout=60) # after the throttled one
    cloud.log.wait('get_droplet', times=3, timeout=60)
    running.process.terminate()
    result = running.finish()
    assert result.status == -signal.SIGTERM and 'asking again' in result.text, result
    no_secret(docli, cloud, result)
    droplet, = cloud.account.droplets.values()
    listed = docli.run('ls', '--format', '{{.Name}} {{.DriverName}} {{.State}} {{.URL}}')
    assert listed.out.split()[:2] == ['m1', 'digitalocean'] and listed.status == 0, listed
    assert stored(docli)['Driver']['DropletID'] == droplet.id
    assert stored(docli)['Driver']['SwarmHost'] == 'tcp://0.0.0.0:3376' # as always

    running = docli.start('create', '--resume', 'm1')
    cloud.log.clear()
    cloud.log.wait('get_droplet', timeout=60)
    running.process.terminate()
    assert running.finish().status == -signal.SIGTERM
    assert list(cloud.account.droplets) == [droplet.id] and not cloud.log.count('create_key')
    for words, status in [(['stop'], 'off'), (['kill'], 'off'), (['status'], 'off')]:
        docli.run(*words, 'm1')
        assert cloud.account.settle(droplet).status == status
    removed = docli.run('rm', '-y', 'm1')
    assert removed.status == 0 and not cloud.account.left() and not cloud.account.tags, removed


@pytest.mark.parametrize('words', [['create', '--resume'], ['rm', '-y']])
def test_droplet_that_shows_late(docli, cloud, words):
    """Who asked for it was ended; it is waited for."""
    docli.env = {**docli.env, **PATIENT}
    cloud.faults.add('create_droplet', Late(3))
    running = docli.start('create', '-d', 'digitalocean', '--engine-install-url', 'none', '--digitalocean-ssh-port', '1', 'm1')
    cloud.log.wait('list_droplets', timeout=60)
    running.process.terminate()
    assert running.finish().status == -signal.SIGTERM and not cloud.account.droplets
    running = docli.start(*words, 'm1')
    cloud.log.wait('delete_droplet' if words[0] == 'rm' else 'get_droplet', timeout=60)
    if words[0] != 'rm':
        running.process.terminate()
    assert running.finish().status == (0 if words[0] == 'rm' else -signal.SIGTERM)
    assert cloud.log.count('create_droplet') == 1 and not cloud.account.late
    if words[0] != 'rm':
        assert docli.run('rm', '-y', 'm1').status == 0
    assert not cloud.account.left() and not cloud.account.tags


def test_droplet_that_somebody_else_deleted(docli, cloud):
    """Seen while create waits; rm then has only a key to remove."""
    cloud.account.boot.active = cloud.account.boot.public = 1000
    cloud.faults.hook('get_droplet', APPLIED, lambda _: cloud.account.lose(
        next(iter(cloud.account.droplets.values()))), nth=3)
    result = create(docli)
    assert result.status == 1 and 'does not exist at DigitalOcean' in result.err, result
    listed = docli.run('ls')
    assert 'm1' in listed.out and 'Error' in listed.out, listed
    assert docli.run('rm', '-y', 'm1').status == 0 and not cloud.account.left()


@pytest.mark.long
def test_keeps_the_rules_of_drivers(docli):
    """`machine driver test` creates and removes again and again: with an account of many addresses."""
    with DigitalOcean() as cloud:
        cloud.api.per_minute = 5000
        result = docli.run('driver', 'test', driver_file('digitalocean'),
                           '--digitalocean-access-token', cloud.token, '--digitalocean-api-url', cloud.url,
                           env=environment(), timeout=300)
        lines = [CONFORM.match(line) for line in result.out.splitlines()]
        failed = [line.group(0) for line in lines if line and line.group(1) == 'FAIL']
        assert result.status == 0 and not failed and cloud.token not in result.text, result
