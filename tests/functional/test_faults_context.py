"""The program is killed at every point of making, changing and removing a context of the docker client."""

import hashlib
import json
import re
import shutil
import subprocess

import pytest

from cli import TOP
from engine import server_certificate

URL, OLD_URL = 'tcp://127.0.0.1:1', 'tcp://192.0.2.9:2376'
HASH = hashlib.sha256(b'web1').hexdigest()
SOURCES = [TOP / 'machine' / 'core' / f'{name}.c' for name in ('docker_context', 'store_file')]
POINTS = sorted({p for path in SOURCES for p in re.findall(r'fault_point\("([^"]+)"\)', path.read_text())})
PASSES_MAX = 50


@pytest.fixture
def cli(fault_cli):
    fault_cli.env['DOCKER_CONFIG'] = str(fault_cli.folder / 'docker')
    fault_cli.create_none('web1', URL)
    return fault_cli


def below(cli, *parts):
    return cli.folder.joinpath('docker', 'contexts', *parts)


def is_whole(cli, urls=(URL,)):
    """As the docker client finds it: there with all that it needs, or not there."""
    done = subprocess.run(['docker', 'context', 'ls', '-q'], env=cli.env, capture_output=True, text=True, check=True)
    if 'web1' not in done.stdout.split():
        return False
    assert json.loads(below(cli, 'meta', HASH, 'meta.json').read_text())['Endpoints']['docker']['Host'] in urls
    assert pair_fits(cli)
    return True


def public_key(*words):
    return subprocess.run(['openssl', *words], capture_output=True, check=True).stdout


def pair_fits(cli):
    folder = below(cli, 'tls', HASH, 'docker')
    assert sorted(p.name for p in folder.iterdir()) == ['ca.pem', 'cert.pem', 'key.pem']
    return (public_key('x509', '-in', folder / 'cert.pem', '-noout', '-pubkey')
            == public_key('pkey', '-in', folder / 'key.pem', '-pubout'))


def kills(cli, point, *words):
    """One after the other, the command is killed at the first, second … pass; then it goes through."""
    for number in range(1, PASSES_MAX):
        result = cli.run(*words, env={'MACHINE_TEST_FAULT': f'{point}:{number}'})
        if result.status == 0:
            return
        assert result.status == -9, result
        yield number
    raise AssertionError(f'{point} is passed more than {PASSES_MAX} times')


def nothing_else(cli):
    assert sorted(str(p.relative_to(below(cli))) for p in below(cli).rglob('*') if p.is_file()) == [
        f'meta/{HASH}/meta.json', *(f'tls/{HASH}/docker/{name}.pem' for name in ('ca', 'cert', 'key'))]


def test_points():
    assert {'context.put.filled', 'context.remove.tls', 'store.write.before-rename'} <= set(POINTS)


@pytest.mark.parametrize('point', POINTS)
def test_killed_while_making(cli, point):
    killed = 0
    for _ in kills(cli, point, 'context', 'web1'):
        killed += 1
        is_whole(cli)
        cli.ok('context', 'web1')
        assert is_whole(cli)
        nothing_else(cli)
        shutil.rmtree(below(cli))
    assert killed or '.remove.' in point
    assert is_whole(cli)


@pytest.mark.parametrize('point', POINTS)
def test_killed_while_changing(cli, point):
    cli.ok('context', 'web1')
    age(cli, 0)
    killed = 0
    for _ in kills(cli, point, 'context', 'web1'):
        killed += 1
        assert is_whole(cli, (URL, OLD_URL)) # the old pair or the new one
        age(cli, killed)
    cli.ok('context', 'web1')
    assert is_whole(cli)
    nothing_else(cli)
    assert killed or '.remove.' in point


def age(cli, number):
    """The store's pair is another now, the context's address an old one."""
    meta = below(cli, 'meta', HASH, 'meta.json')
    meta.write_text(meta.read_text().replace(URL, OLD_URL))
    cert, key = server_certificate(cli.store / 'certs', cli.folder, [f'127.0.0.{number + 1}'])
    shutil.copy(cert, cli.store / 'certs' / 'cert.pem')
    shutil.copy(key, cli.store / 'certs' / 'key.pem')


@pytest.mark.parametrize('point', [p for p in POINTS if '.remove.' in p])
def test_killed_while_removing(cli, point):
    """What is left is still known to be ours, so that the next one takes it."""
    cli.ok('context', 'web1')
    killed = 0
    for _ in kills(cli, point, 'rm', '-y', 'web1'):
        killed += 1
        assert cli.names() == ['web1'] # its record goes last
        cli.ok('rm', '-y', 'web1')
        assert not [p for p in below(cli).rglob('*') if p.is_file()]
        cli.create_none('web1', URL)
        cli.ok('context', 'web1')
    assert killed
