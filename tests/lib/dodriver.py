"""The driver digitalocean, spoken to directly, with the fake of its API."""

import json
import os
import subprocess

import pytest

import drivermachine
from driverclient import driver_file
from drivermachine import ID, start_driver
from fakes.digitalocean import DigitalOcean

DIGITALOCEAN = driver_file('digitalocean')
TAG = f'docker-machine:{ID}'
FINGERPRINT = '3b:16:e4:bf:8b:00:8b:b8:59:8c:a9:d3:f0:19:fa:45'
# of a create without anything special; the next to last is a report
CREATE = ['create_key', 'create_droplet', 'get_droplet', 'get_droplet', 'get_droplet']
# what may show late is waited for as long as in earnest: as `finish` makes the time pass
PATIENT = {'MACHINE_DRIVER_PAUSE_MS': '500'}


def environment(**more):
    plain = {name: value for name, value in os.environ.items() if not name.lower().endswith('_proxy')}
    return {**plain, 'MACHINE_DRIVER_PAUSE_MS': '1', **more}


def start(debug=False, **more):
    return start_driver(DIGITALOCEAN, environment(**more), debug)


class Machine(drivermachine.Machine):
    def flags(self, driver=None, **more):
        named = {f'digitalocean-{name.replace("_", "-")}': value for name, value in more.items()}
        return {'digitalocean-access-token': self.cloud.token, 'digitalocean-api-url': self.cloud.url, **named}

    def check_error(self, error):
        assert self.cloud.token not in error.message

    @property
    def droplet(self):
        (droplet,) = self.cloud.account.droplets.values()
        return droplet

    def one_of_each(self):
        """The host key, too, is the one that the droplet was given."""
        droplet, state = self.droplet, self.state
        (key,) = self.cloud.account.keys.values()
        assert (state['IPAddress'], state['DropletID'], state['SSHKeyID']) == (droplet.address.public, droplet.id, key.id)
        assert droplet.asked['ssh_keys'] == [key.id] and droplet.tags == [TAG]
        assert state['HostKey'].startswith('ssh-ed25519 ') and state['HostKey'] in droplet.asked['user_data']
        assert state['OrderedAt'] == 0

    def end_well(self, end, **more):
        """From what was stored: create again, or remove; nothing is there twice, nothing is left."""
        with start(**more) as driver:
            if end == 'create':
                self.finish(driver, 'create')
                self.one_of_each()
            self.finish(driver, 'remove')
        account = self.cloud.account
        assert not account.left() and not account.tags


@pytest.fixture
def cloud():
    with DigitalOcean() as fake:
        yield fake


@pytest.fixture
def driver():
    with start() as the_driver:
        yield the_driver


@pytest.fixture
def machine(cloud, tmp_path):
    return Machine(cloud, tmp_path)


def own_key(folder, name='id_own'):
    path = folder / name
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'own', '-f', path], check=True,
                   stdin=subprocess.DEVNULL)
    return path


def account_key(cloud, path):
    return cloud.account.add_key('own', path.with_suffix('.pub').read_text(), ours=True)


def body_of(cloud, action):
    (request,) = cloud.log.of(action)
    return json.loads(request.body)
