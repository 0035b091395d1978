"""A machine of the driver openstack, as the host has it, and the fake cloud that it is in."""

import json
import os

import pytest

from driverclient import Driver, DriverError, driver_file, reference
from fakes.httpfake import HttpFake
from fakes.openstack_api import CREDENTIAL, PASSWORD, TOKEN, OpenStack

ID = '0123456789abcdef0123456789abcdef'
LOGIN = {'openstack-username': 'u', 'openstack-password': PASSWORD, 'openstack-tenant-name': 'p'}
BASIC = {**LOGIN, 'openstack-region': 'one', 'openstack-flavor-name': 'large', 'openstack-image-name': 'ubuntu'}
FULL = {**BASIC, 'openstack-net-name': 'private', 'openstack-server-group-name': 'apart', 'openstack-volume-size': 3,
        'openstack-floatingip-pool': 'public', 'openstack-sec-groups': 'default, web', 'openstack-sec-group-create': True,
        'openstack-availability-zone': 'nova', 'openstack-config-drive': True, 'openstack-metadata': 'k,v,empty,'}
TURNS = 60


class Host:
    """The program's part: stores states, polls, calls again; starts a driver that was killed again."""

    def __init__(self, folder, cloud, fake, env=None, debug=False):
        self.cloud, self.fake = cloud, fake
        self.folder = folder / 'machines' / 'web1'
        self.folder.mkdir(parents=True)
        self.store = folder
        self.env = {'PATH': os.environ['PATH'], 'HOME': str(folder), 'MACHINE_DRIVER_PAUSE_MS': '1', **(env or {})}
        self.state, self.done, self.messages, self.errors = None, False, [], b''
        self.driver, self.debug = None, debug
        self.start_driver()

    def start_driver(self):
        self.driver = Driver(driver_file('openstack'), env=self.env, cwd=self.store, hello=False)
        self.driver.info = self.driver.call('initialize', protocolVersions=[1], debug=self.debug)

    def flags(self, given):
        values = {flag['name']: flag['default'] for flag in self.driver.info['flags']}
        return {**values, 'openstack-auth-url': f'{self.fake.url}/identity/v3', **given}

    def configure(self, given):
        self.state = self.driver.configure(self.flags(given), machine=self.machine({}))

    def machine(self, state=None):
        return reference(state=self.state if state is None else state, folder=self.folder, store=self.store,
                         ident='' if self.done else ID)

    def keep(self, state):
        self.state = json.loads(json.dumps(state))

    def report(self):
        return self.driver.report(self.machine())

    def call(self, method):
        """The outcome of a method, with all its waiting."""
        for _ in range(TURNS):
            outcome = self.driver.call(method, machine=self.machine(), on_checkpoint=self.keep)
            self.state = outcome.get('state', self.state)
            if outcome['status'] == 'done':
                self.done = self.done or method == 'create'
                return
            assert outcome['status'] == 'wait'
            self.messages.append(outcome['message'])
            if self.state.get('OrderedAt'): # time passes
                self.state['OrderedAt'] -= outcome['retryAfterMs'] // 1000
            for _ in range(TURNS if 'waitFor' in outcome else 0):
                report = self.report()
                assert report['state'] != 'Error', report
                if report['state'] == outcome['waitFor']:
                    break
        raise AssertionError(f'no end of {method}: {self.messages}')

    def fails(self, method, *texts):
        with pytest.raises(DriverError) as caught:
            self.driver.call(method, machine=self.machine(), on_checkpoint=self.keep)
        for text in texts:
            assert text in caught.value.message

    def revive(self):
        """Another driver in place of one that was killed."""
        self.close()
        self.start_driver()

    def close(self):
        driver, self.driver = self.driver, None
        if driver:
            driver.__exit__(None)
            self.errors += driver.errors + json.dumps(driver.notifications).encode()

    def secrets(self):
        """Those that the driver has told on its standard error or in notes."""
        self.close()
        return [secret for secret in (PASSWORD, TOKEN, CREDENTIAL['secret'], 'gAAAA', 'PRIVATE KEY', 'never shown')
                if secret.encode() in self.errors]


@pytest.fixture
def cloud():
    return OpenStack()


@pytest.fixture
def fake(cloud):
    with HttpFake(cloud) as server:
        cloud.url = server.url
        yield server


@pytest.fixture
def make_host(tmp_path, cloud, fake):
    hosts = []

    def make(env=None, debug=False):
        hosts.append(Host(tmp_path / str(len(hosts)), cloud, fake, env, debug))
        return hosts[-1]
    yield make
    for host in hosts:
        assert not host.secrets()


@pytest.fixture
def host(make_host):
    return make_host()


def settle(cloud):
    """What is being deleted is gone, and all is carried out."""
    cloud.carry_out_late(all_of_them=True)
    for server in [server for server in cloud.servers if server['OS-EXT-STS:task_state'] == 'deleting']:
        cloud.gone(server)


def counts(cloud):
    return {key: len(items) for key, items in cloud.left().items()}


def made(cloud, *words):
    (server,) = cloud.servers
    asked = server['_asked']
    for word in words:
        asked = asked[word]
    return asked
