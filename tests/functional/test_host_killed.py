"""The program killed around each request that its driver sends in a create. To go on ends with one of each thing, to
remove with none: what the program had stored is enough, whatever the driver still did."""

import contextlib
import os
import signal

import pytest

import cli as cli_module
from driverclient import driver_file
from ec2driver import groups_once, keys, only_groups, running
from fakes.digitalocean import Address, DigitalOcean
from fakes.ec2 import Ec2
from fakes.httpfake import ANSWERED, ANY, APPLIED, RECEIVED, Close, HttpFake
from fakes.openstack_api import PASSWORD, OpenStack
from hosts import wait_for
from openstackdriver import settle

NOWHERE = '127.0.0.1' # and no server of SSH at the port 1


class OfDigitalOcean:
    driver = 'digitalocean'
    flags = ['--digitalocean-ssh-port', '1']
    requests = 7 # of a create until it has an address, at least

    def __init__(self):
        self.fake = DigitalOcean([Address(NOWHERE, '10.128.0.2', '2001:db8::1')])
        self.env = {'DIGITALOCEAN_ACCESS_TOKEN': self.fake.token}

    def where(self):
        return {'DIGITALOCEAN_API_URL': self.fake.url}

    def check_one(self, state):
        (droplet,), (key,) = self.fake.account.droplets.values(), self.fake.account.keys.values()
        assert (state['DropletID'], state['SSHKeyID']) == (droplet.id, key.id)

    def nothing(self):
        return not self.fake.account.left() and not self.fake.account.tags


class OfEc2:
    driver = 'amazonec2'
    flags = ['--amazonec2-ssh-port', '1']
    requests = 12

    def __init__(self):
        self.fake = Ec2(addresses=[('10.0.0.4', NOWHERE)])
        self.env = {'AWS_ACCESS_KEY_ID': self.fake.credential.access, 'AWS_SECRET_ACCESS_KEY': self.fake.credential.secret,
                    'AWS_ZONE': 'us-east-1a', 'AWS_EC2_METADATA_DISABLED': 'true'}

    def where(self):
        return {'AWS_ENDPOINT': self.fake.url}

    def check_one(self, state):
        assert running(self.fake) == [state['InstanceId']] and keys(self.fake) == ['m1'] and groups_once(self.fake) == 1

    def nothing(self):
        return running(self.fake) == [] and keys(self.fake) == [] and only_groups(self.fake)


class OfOpenStack:
    driver = 'openstack'
    flags = ['--openstack-ssh-port', '1', '--openstack-username', 'u', '--openstack-tenant-name', 'p', '--openstack-region', 'one',
             '--openstack-flavor-name', 'large', '--openstack-image-name', 'ubuntu', '--openstack-net-name', 'private',
             '--openstack-sec-group-create', '--openstack-volume-size', '3']
    requests = 16

    def __init__(self):
        self.cloud = OpenStack()
        self.fake = HttpFake(self.cloud)
        self.env = {'OS_PASSWORD': PASSWORD}

    def where(self):
        self.cloud.url = self.fake.url
        return {'OS_AUTH_URL': f'{self.fake.url}/identity/v3'}

    def check_one(self, state):
        left = self.cloud.left()
        assert set(map(len, left.values())) == {1} and len(left) == 4
        assert (state['MachineId'], state['VolumeId']) == (self.cloud.servers[0]['id'], self.cloud.volumes[0]['id'])

    def nothing(self):
        settle(self.cloud)
        return not self.cloud.left()


@pytest.fixture
def cloud(kind, cli):
    the_cloud = kind()
    with the_cloud.fake:
        cli.env = {**cli.env, **the_cloud.env, **the_cloud.where(), 'MACHINE_POLL_MS': '20', 'MACHINE_DRIVER_PAUSE_MS': '1',
                   'MACHINE_DRIVER_PATH': str(driver_file(the_cloud.driver).parent)}
        yield the_cloud


def has_address(cli):
    with contextlib.suppress(FileNotFoundError):
        return bool(cli.config('m1')['Driver'].get('IPAddress'))
    return False


def run_until_ssh(cli, *words):
    """Nobody answers there: it is interrupted, once the machine has an address. False: it was killed."""
    running_create = cli.start('--debug', *words)
    wait_for("address", lambda: has_address(cli) or running_create.process.poll() is not None, 60)
    with contextlib.suppress(ProcessLookupError):
        os.kill(running_create.process.pid, signal.SIGTERM)
    result = running_create.finish()
    assert not result.leftovers and result.status in (-signal.SIGTERM, -signal.SIGKILL), result
    return result.status != -signal.SIGKILL


def create(cli, cloud):
    return run_until_ssh(cli, 'create', '-d', cloud.driver, '--engine-install-url', 'none', *cloud.flags, 'm1')


def killer(cli):
    """Kills the program, which is the driver's parent."""
    def kill(_request):
        (pid,) = [pid for pid in cli_module.Running.active if cli_module.process_state(pid)]
        os.kill(pid, signal.SIGKILL)
    return kill


@pytest.mark.parametrize('end', ['create', 'remove'])
@pytest.mark.parametrize('moment', [RECEIVED, APPLIED, ANSWERED])
@pytest.mark.parametrize('kind, number', [
    (kind, number) for kind in (OfDigitalOcean, OfEc2, OfOpenStack) for number in range(1, kind.requests + 1)],
                         ids=lambda value: getattr(value, 'driver', value))
@pytest.mark.sampled(5)
def test_killed(cli, cloud, number, moment, end):
    """Before a request is sent; when it is done and not answered; after the answer."""
    cloud.fake.faults.hook(ANY, moment, killer(cli), nth=number)
    if moment == RECEIVED:
        cloud.fake.faults.add(ANY, Close(applied=False), nth=number)
    assert not create(cli, cloud), cloud.fake.log.actions()
    there = cli.names()
    if end == 'create' and there and not has_address(cli):
        run_until_ssh(cli, 'create', '--resume', 'm1')
    if end == 'create' and there:
        cloud.check_one(cli.config('m1')['Driver'])
    if there:
        cli.ok('rm', '-y', 'm1')
    assert cli.names() == [] and cloud.nothing(), cloud.fake.log.actions()
