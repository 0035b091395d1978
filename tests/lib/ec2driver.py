"""The driver amazonec2, spoken to directly, with the fake of EC2."""

import os
import re

import pytest

import drivermachine
from driverclient import driver_file
from drivermachine import ID, start_driver  # noqa: F401
from fakes.ec2 import ACCESS_KEY, SECRET_KEY, Ec2

AMAZONEC2 = driver_file('amazonec2')
# the requests of a create without anything special
LOOK_UPS = ['DescribeAccountAttributes', 'DescribeSubnets', 'DescribeImages']
GROUP = ['DescribeSecurityGroups', 'CreateSecurityGroup', 'DescribeSecurityGroups',
         'AuthorizeSecurityGroupIngress']
MAKING = [*LOOK_UPS, 'ImportKeyPair', *GROUP, 'RunInstances']


def environment(home='/nonexistent', **more):
    """Nothing of the user's own leads to Amazon."""
    plain = {name: value for name, value in os.environ.items()
             if not name.lower().endswith('_proxy') and not name.startswith('AWS_')}
    return {**plain, 'HOME': str(home), 'AWS_EC2_METADATA_DISABLED': 'true',
            'MACHINE_DRIVER_PAUSE_MS': '1', **more}


def start(debug=False, **more):
    return start_driver(AMAZONEC2, environment(**more), debug)


def defaults(info):
    empty = {'string': '', 'int': 0, 'bool': False, 'list': []}
    return {flag['name']: flag.get('default', empty[flag['type']]) for flag in info['flags']}


def logged(driver, level=None):
    return [n['params']['message'] for n in driver.notifications
            if n['method'] == 'log' and level in (None, n['params']['level'])]


def warnings(driver):
    return logged(driver, 'warn')


class Machine(drivermachine.Machine):
    @property
    def ec2(self):
        return self.cloud

    def flags(self, driver, **more):
        """keys=False: without credentials."""
        named = {}
        if more.pop('keys', True):
            named = {'access-key': ACCESS_KEY, 'secret-key': SECRET_KEY}
        named.update({'endpoint': self.ec2.url, 'zone': 'us-east-1a', **more})
        named = {f'amazonec2-{name.replace("_", "-")}': value for name, value in named.items()}
        known = defaults(driver.info)
        assert not set(named) - set(known)
        return {**known, **named}

    def check(self, driver):
        assert driver.call('preCreateCheck', machine=self.reference()) == {}
        return self

    def create(self, driver, **flags):
        return self.configure(driver, **flags).finish(driver, 'create')

    def check_error(self, error):
        assert SECRET_KEY not in error.message and self.ec2.url not in error.message.replace(
            f'POST {self.ec2.url}', ''), error.message

    @property
    def instance(self):
        return self.ec2.account.instance(self.name)


def launched(ec2):
    """Instances, gone ones as well."""
    return ec2.account.all('instance')


def running(ec2):
    return [one['InstanceId'] for one in launched(ec2)
            if one['State']['Name'] not in ('shutting-down', 'terminated')]


def keys(ec2):
    return [one['KeyName'] for one in ec2.account.all('key-pair')]


def only_groups(ec2):
    """Is nothing left but groups, which are shared?"""
    return ec2.leaks(ignore=('security-group',)) == []


def groups_once(ec2, name='docker-machine'):
    return len([one for one in ec2.account.all('security-group') if one['GroupName'] == name])


def host_key_sent(instance):
    """The user data and its private host key, if it has one."""
    data = (instance['_data'] or b'').decode()
    return data, re.search(r'-----BEGIN OPENSSH PRIVATE KEY-----', data) is not None


@pytest.fixture
def ec2():
    with Ec2() as fake:
        yield fake


@pytest.fixture
def driver():
    with start() as the_driver:
        yield the_driver


@pytest.fixture
def machine(ec2, tmp_path):
    return Machine(ec2, tmp_path)
