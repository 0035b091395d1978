"""A machine of a driver that is spoken to directly, as the host has it: its folder, and the state that was
stored last. A cloud's driver is tested by a class of its own on top, which knows flags and secrets."""

from driverclient import Driver, DriverError, reference

ID = '0123456789abcdef0123456789abcdef'
LOOKS = 40 # time passes at a fake when somebody looks


def start_driver(executable, env, debug=False):
    driver = Driver(executable, env=env, hello=False)
    driver.info = driver.call('initialize', protocolVersions=[1], debug=debug)
    return driver


class Machine:
    def __init__(self, cloud, folder, name='m1', ident=ID):
        self.cloud, self.name, self.ident, self.state = cloud, name, ident, None
        self.store = folder / 'store'
        self.folder = self.store / 'machines' / name
        self.waits = []

    def flags(self, driver, **more):
        raise NotImplementedError

    def check_error(self, error):
        """What must not be in it."""
        raise NotImplementedError

    def reference(self, ident=None):
        return reference(self.name, self.state, self.folder, self.store, self.ident if ident is None else ident)

    def configure(self, driver, **flags):
        self.state = None
        self.state = driver.configure(self.flags(driver, **flags), self.reference())
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
        for _ in range(LOOKS):
            report = self.report(driver)
            if 'error' in report:
                raise DriverError(report['error'])
            if report['state'] == wanted:
                return report
            assert report['state'] != 'Error', report
        raise AssertionError(f'never {wanted}: {report}')

    def grow_older(self, seconds):
        """Of moments in the state (seconds since 1970) as much time has passed."""
        for name, value in self.state.items():
            if name.endswith('At') and isinstance(value, int) and value:
                self.state[name] = value - seconds

    def finish(self, driver, method, **kwargs):
        """Does the host's waiting; `waits` are the states that were waited for."""
        self.waits = []
        for _ in range(LOOKS):
            outcome = self.once(driver, method, **kwargs)
            if outcome['status'] == 'done':
                return self
            assert outcome['status'] == 'wait' and outcome['message'] and 1000 <= outcome['retryAfterMs'] <= 10000
            self.waits.append(outcome.get('waitFor'))
            self.grow_older(outcome['retryAfterMs'] // 1000)
            if 'waitFor' in outcome:
                self.wait(driver, outcome['waitFor'])
        raise AssertionError(f'{method} has no end: {outcome}')

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
            self.check_error(error)
            return error
        raise AssertionError(f'{method} does not fail')
