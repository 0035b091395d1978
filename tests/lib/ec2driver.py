"""The driver amazonec2, spoken to directly, with the fake of EC2."""

import os
import re

from driverclient import Driver, DriverError, driver_file, reference
from fakes.ec2 import ACCESS_KEY, SECRET_KEY

AMAZONEC2 = driver_file('amazonec2')
ID = '0123456789abcdef0123456789abcdef'
LOOKS = 40
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
    driver = Driver(AMAZONEC2, env=environment(**more), hello=False)
    driver.info = driver.call('initialize', protocolVersions=[1], debug=debug)
    return driver


def defaults(info):
    empty = {'string': '', 'int': 0, 'bool': False, 'list': []}
    return {flag['name']: flag.get('default', empty[flag['type']]) for flag in info['flags']}


def logged(driver, level=None):
    return [n['params']['message'] for n in driver.notifications
            if n['method'] == 'log' and level in (None, n['params']['level'])]


def warnings(driver):
    return logged(driver, 'warn')


class Machine:
    """A machine as the host has it: its folder, and the state that was stored last."""

    def __init__(self, ec2, folder, name='m1', ident=ID):
        self.ec2, self.name, self.ident, self.state = ec2, name, ident, None
        self.store = folder / 'store'
        self.folder = self.store / 'machines' / name

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

    def reference(self, ident=None):
        return reference(self.name, self.state, self.folder, self.store,
                         self.ident if ident is None else ident)

    def configure(self, driver, **flags):
        self.state = None
        self.state = driver.configure(self.flags(driver, **flags), self.reference())
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def save(self, state):
        self.state = state

    def check(self, driver):
        assert driver.call('preCreateCheck', machine=self.reference()) == {}
        return self

    def once(self, driver, method, **kwargs):
        outcome = driver.call(method, machine=self.reference(), **{'on_checkpoint': self.save, **kwargs})
        self.state = outcome.get('state', self.state)
        return outcome

    def report(self, driver):
        return driver.report(self.reference())

    def wait(self, driver, wanted):
        for _ in range(LOOKS): # time passes at the fake when somebody looks
            report = self.report(driver)
            if report['state'] == wanted:
                return report
            assert report['state'] != 'Error', report
        raise AssertionError(f'never {wanted}: {report}')

    def finish(self, driver, method, **kwargs):
        """Does the host's waiting; `waits` are the states that were waited for."""
        self.waits = []
        for _ in range(LOOKS):
            outcome = self.once(driver, method, **kwargs)
            if outcome['status'] == 'done':
                return self
            assert outcome['status'] == 'wait' and outcome['message'] and 1000 <= outcome['retryAfterMs'] <= 10000
            self.waits.append(outcome.get('waitFor'))
            if 'waitFor' in outcome:
                self.wait(driver, outcome['waitFor'])
        raise AssertionError(f'{method} has no end: {outcome}')

    def create(self, driver, **flags):
        return self.configure(driver, **flags).finish(driver, 'create')

    def fails(self, driver, method, kind, *texts):
        try:
            if method in ('create', 'remove', 'start', 'stop', 'kill', 'restart'):
                self.finish(driver, method)
            else:
                driver.call(method, machine=self.reference())
        except DriverError as error:
            assert error.kind == kind, (error.kind, error.message)
            for text in texts:
                assert text in error.message, error.message
            assert SECRET_KEY not in error.message and self.ec2.url not in error.message.replace(
                f'POST {self.ec2.url}', ''), error.message
            return error
        raise AssertionError(f'{method} does not fail')

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
