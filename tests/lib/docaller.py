"""Requests to the fake of DigitalOcean's API as they have to be, unless a test says otherwise."""

import http.client
import json
import subprocess

import pytest

from fakes.digitalocean import DigitalOcean

DROPLET = {'name': 'm1', 'region': 'nyc3', 'size': 's-1vcpu-1gb', 'image': 'ubuntu-24-04-x64',
           'backups': False, 'ipv6': False, 'monitoring': False, 'tags': ['docker', 'swarm']}
REGIONS = ('GET', '/v2/regions')
FINGERPRINT = '3b:16:e4:bf:8b:00:8b:b8:59:8c:a9:d3:f0:19:fa:45'


def make_key(folder, name, *words):
    """Once for all the files of tests that take it."""
    if not (folder / name).exists():
        subprocess.run(['ssh-keygen', '-q', '-N', '', '-C', name, '-f', folder / name, *words], check=True)
    return (folder / f'{name}.pub').read_text()


@pytest.fixture(scope='session')
def public_keys(tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / 'public-keys'
    folder.mkdir(exist_ok=True)
    return {'ed25519': make_key(folder, 'ed25519', '-t', 'ed25519'),
            'rsa': make_key(folder, 'rsa', '-t', 'rsa', '-b', '2048'),
            'short': make_key(folder, 'short', '-t', 'rsa', '-b', '1024'),
            'ecdsa': make_key(folder, 'ecdsa', '-t', 'ecdsa')}


@pytest.fixture
def cloud():
    with DigitalOcean() as fake:
        yield fake


class Caller:
    """Sends requests as they have to be, unless told otherwise."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.wire = http.client.HTTPConnection(cloud.address, timeout=20)

    def __call__(self, method, path, body=None, head=(), data=None):
        headers = {'Authorization': f'Bearer {self.cloud.token}', 'Accept': 'application/json'}
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            headers['Content-Type'] = 'application/json'
        headers.update(head)
        self.wire.request(method, path, data, {name: value for name, value in headers.items() if value})
        answer = self.wire.getresponse()
        text = answer.read()
        self.headers = dict(answer.getheaders())
        return answer.status, json.loads(text) if text else None

    def good(self, *args, **kwargs):
        status, value = self(*args, **kwargs)
        assert status < 300, value
        return value


@pytest.fixture
def call(cloud):
    caller = Caller(cloud)
    yield caller
    caller.wire.close()


@pytest.fixture
def key(call, public_keys):
    """A key of the client's; deleted in the end, unless the test did."""
    made = call.good('POST', '/v2/account/keys', {'name': 'm1', 'public_key': public_keys['rsa']})['ssh_key']
    yield made
    if made['id'] in call.cloud.account.keys:
        call.good('DELETE', f'/v2/account/keys/{made["id"]}')


@pytest.fixture
def droplet(cloud, call, key):
    made = call.good('POST', '/v2/droplets', {**DROPLET, 'ssh_keys': [key['id']]})['droplet']['id']
    yield cloud.account.settle(cloud.account.droplets[made])
    if made in cloud.account.droplets:
        call.good('DELETE', f'/v2/droplets/{made}')
