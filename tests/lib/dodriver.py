"""The driver digitalocean, spoken to directly, with the fake of its API."""

import os

from driverclient import Driver, DriverError, driver_file, reference

DIGITALOCEAN = driver_file('digitalocean')
ID = '0123456789abcdef0123456789abcdef'
TAG = f'docker-machine:{ID}'
LOOKS = 40
# of a create without anything special; the next to last is a report
CREATE = ['create_key', 'create_droplet', 'get_droplet', 'get_droplet', 'get_droplet']


def environment(**more):
    plain = {name: value for name, value in os.environ.items() if not name.lower().endswith('_proxy')}
    return {**plain, 'MACHINE_DRIVER_PAUSE_MS': '1', **more}


def start(debug=False, **more):
    driver = Driver(DIGITALOCEAN, env=environment(**more), hello=False)
    driver.info = driver.call('initialize', protocolVersions=[1], debug=debug)
    return driver


class Machine:
    """A machine as the host has it: its folder, and the state that was stored last."""

    def __init__(self, cloud, folder, name='m1', ident=ID):
        self.cloud, self.name, self.ident, self.state = cloud, name, ident, None
        self.store = folder / 'store'
        self.folder = self.store / 'machines' / name

    def flags(self, **more):
        named = {f'digitalocean-{name.replace("_", "-")}': value for name, value in more.items()}
        return {'digitalocean-access-token': self.cloud.token, 'digitalocean-api-url': self.cloud.url, **named}

    def reference(self):
        return reference(self.name, self.state, self.folder, self.store, self.ident)

    def configure(self, driver, **flags):
        self.state = None
        self.state = driver.configure(self.flags(**flags), self.reference())
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def save(self, state):
        self.state = state

    def once(self, driver, method, **kwargs):
        outcome = driver.call(method, machine=self.reference(), **{'on_checkpoint': self.save, **kwargs})
        self.state = outcome.get('state', self.state)
        return outcome

    def report(self, driver):
        return driver.report(self.reference())

    def wait(self, driver, wanted):
        for _ in range(LOOKS): # time passes at the fake when somebody looks
            report = self.report(driver)
            if 'error' in report:
                raise DriverError(report['error'])
            if report['state'] == wanted:
                return
            assert report['state'] != 'Error', report
        raise AssertionError(f'never {wanted}: {report}')

    def finish(self, driver, method, **kwargs):
        """Does the host's waiting."""
        for _ in range(LOOKS):
            outcome = self.once(driver, method, **kwargs)
            if outcome['status'] == 'done':
                return self
            assert outcome['status'] == 'wait' and outcome['message'] and 1000 <= outcome['retryAfterMs'] <= 10000
            if 'waitFor' in outcome:
                self.wait(driver, outcome['waitFor'])
        raise AssertionError(f'{method} has no end: {outcome}')

    def fails(self, driver, method, kind, *texts):
        try:
            self.finish(driver, method)
        except DriverError as error:
            assert error.kind == kind, (error.kind, error.message)
            for text in texts:
                assert text in error.message, error.message
            assert self.cloud.token not in error.message
            return error
        raise AssertionError(f'{method} does not fail')

    @property
    def droplet(self):
        (droplet,) = self.cloud.account.droplets.values()
        return droplet
