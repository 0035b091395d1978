"""The driver digitalocean, spoken to directly, with the fake of its API."""

import os

import drivermachine
from driverclient import driver_file
from drivermachine import ID, start_driver

DIGITALOCEAN = driver_file('digitalocean')
TAG = f'docker-machine:{ID}'
# of a create without anything special; the next to last is a report
CREATE = ['create_key', 'create_droplet', 'get_droplet', 'get_droplet', 'get_droplet']


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
