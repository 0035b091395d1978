"""Amazon EC2 on the loopback, stateful and strict.

    with Ec2() as ec2:
        run(..., env=ec2.environment())
        ec2.account      what there is, and how it behaves: state.py
        ec2.faults       what goes wrong: httpfaults.py, faults.py
        ec2.log          the requests: action, params, connection, moments
        ec2.leaks()

The end of `with` fails when a client sent what it must not: what the model of EC2 does not know, a wrong
signature, or (unless strict=False) what contract.py is against. `ec2.forgive(text)` takes back what a
test provoked. By hand: `python3 -m fakes.ec2` in the folder tests.
"""

import secrets
import time

from ..httpfake import ( # noqa: F401
    ANSWERED, ANY, APPLIED, RECEIVED, Close, Delay, Endless, Garbage, HttpFake, Instead, ManyHeaders,
    Redirect, Refuse, Slow, Throttle, Truncate)
from . import faults # noqa: F401
from .metadata import Container, Metadata
from .service import Credential, Service
from .state import CANONICAL, OWNER, Account, Failure # noqa: F401

ACCESS_KEY, SECRET_KEY = 'AKIAFAKEFAKEFAKEFAKE', 'fake/secret+key/of/the/tests/0123456789abc'
ROLE_SECONDS = 6 * 3600


class Ec2:
    """ahead: by so many seconds its clock is ahead of the true one. The rest is as in state.Account."""

    def __init__(self, strict=True, authority=None, port=0, ahead=0.0, **account):
        self.ahead = ahead
        self.account = Account(clock=self.clock, **account)
        self.service = Service(self.account, strict=strict)
        self.credential = self.service.add(Credential(ACCESS_KEY, SECRET_KEY))
        self.server = HttpFake(self.service, authority, port=port)
        self.server.clock = self.clock
        self.service.hosts = {self.server.address}
        self.role_seconds = ROLE_SECONDS
        self.metadata = HttpFake(Metadata(self.account, self.issue))
        self.container = HttpFake(Container(self.account, self.issue))
        self.faults, self.log = self.server.faults, self.server.log

    def clock(self):
        return time.time() + self.ahead

    def issue(self):
        """New credentials of the role."""
        return self.service.add(Credential('ASIA' + secrets.token_hex(8).upper(), secrets.token_urlsafe(30),
                                           secrets.token_urlsafe(60), self.clock() + self.role_seconds))

    @property
    def url(self):
        return self.server.url

    @property
    def metadata_url(self):
        return self.metadata.url

    @property
    def container_url(self):
        return self.container.url + Container.PATH

    def environment(self, source='environment'):
        """Variables for a client: which credentials it finds."""
        common = {'AWS_DEFAULT_REGION': self.account.region, 'AWS_EC2_METADATA_DISABLED': 'true'}
        if source == 'environment':
            return {**common, 'AWS_ACCESS_KEY_ID': ACCESS_KEY, 'AWS_SECRET_ACCESS_KEY': SECRET_KEY}
        if source == 'metadata':
            return {**common, 'AWS_EC2_METADATA_SERVICE_ENDPOINT': self.metadata_url,
                    'AWS_EC2_METADATA_DISABLED': 'false'}
        if source == 'container':
            return {**common, 'AWS_CONTAINER_CREDENTIALS_FULL_URI': self.container_url}
        raise ValueError(source)

    def image(self, text='ubuntu-noble-24.04-amd64-server-20261001'):
        return next(one['ImageId'] for one in self.account.all('image') if text in one['Name'])

    def subnet(self, zone='a', default=True):
        return next(one['SubnetId'] for one in self.account.all('subnet')
                    if one['AvailabilityZone'] == self.account.region + zone
                    and one['DefaultForAz'] == default)

    def default_vpc(self):
        return next(one['VpcId'] for one in self.account.all('vpc') if one['IsDefault'])

    def leaks(self, ignore=()):
        with self.server.at_rest():
            return self.account.leaks(ignore)

    def servers(self):
        return self.server, self.metadata, self.container

    @property
    def violations(self):
        return [violation for server in self.servers() for violation in server.violations]

    def forgive(self, text):
        found = [server for server in self.servers() if any(text in one for one in server.violations)]
        if not found:
            raise AssertionError(f'no violation with "{text}" among {self.violations}')
        for server in found:
            server.forgive(text)

    def check(self):
        for server in self.servers():
            server.check()

    def close(self):
        for server in self.servers():
            server.close()

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        self.close()
        if not failure:
            self.check()
