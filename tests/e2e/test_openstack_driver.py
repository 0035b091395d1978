"""The driver openstack against the real services: they take what it sends, and it reads what they answer."""

import os
import time

import pytest

from driverclient import Driver, DriverError, driver_file, reference

pytestmark = pytest.mark.long

ID = '0123456789abcdef0123456789abcdef'
SECONDS = 300


class Host:
    """The program's part: stores states, waits, calls again."""

    def __init__(self, driver, folder):
        self.driver, self.store = driver, folder
        self.folder = folder / 'machines' / 'web1'
        self.folder.mkdir(parents=True)
        self.state = {}

    def machine(self):
        return reference(state=self.state, folder=self.folder, store=self.store, ident=ID)

    def configure(self, flags):
        values = {flag['name']: flag['default'] for flag in self.driver.info['flags']}
        self.state = self.driver.configure({**values, **flags}, machine=self.machine())

    def keep(self, state):
        self.state = state

    def report(self):
        return self.driver.call('states', timeout=SECONDS, machines=[self.machine()])['machines'][0]

    def call(self, method):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            outcome = self.driver.call(method, timeout=SECONDS, machine=self.machine(), on_checkpoint=self.keep)
            self.state = outcome.get('state', self.state)
            if outcome['status'] == 'done':
                return
            while 'waitFor' in outcome and time.monotonic() < end:
                report = self.report()
                assert report['state'] != 'Error', report
                if report['state'] == outcome['waitFor']:
                    break
                time.sleep(0.2)
            time.sleep(0.2)
        raise AssertionError(f'no end of {method}: {outcome}')


def flags_of(cloud, **more):
    who = cloud.user
    return {'openstack-auth-url': cloud.auth_url, 'openstack-username': who['username'],
            'openstack-password': who['password'], 'openstack-tenant-name': who['project'],
            'openstack-user-domain-name': who.get('user_domain', who.get('domain')),
            'openstack-tenant-domain-name': who.get('project_domain', who.get('domain')),
            'openstack-flavor-name': 'small', 'openstack-image-name': 'ubuntu', 'openstack-net-name': 'private',
            **{f'openstack-{name.replace("_", "-")}': value for name, value in more.items()}}


@pytest.fixture
def host(openstack, tmp_path):
    env = {'PATH': os.environ['PATH'], 'HOME': str(tmp_path)}
    with Driver(driver_file('openstack'), prefix=openstack.prefix, env=env) as driver:
        host = Host(driver, tmp_path)
        yield host
        host.call('remove')
    end = time.monotonic() + SECONDS # what the cloud still deletes
    while openstack.leaks() and time.monotonic() < end:
        time.sleep(0.5)
    assert openstack.leaks() == []


def test_life(openstack, host):
    """All that create can make, in one."""
    host.configure(flags_of(openstack, floatingip_pool='public', volume_size=1, sec_group_create=True, metadata='k,v'))
    host.driver.call('preCreateCheck', timeout=SECONDS, machine=host.machine())
    assert openstack.leaks() == []
    host.call('create')
    report = host.report()
    assert report['state'] == 'Running'
    end = time.monotonic() + SECONDS
    while openstack.addresses(host.state['MachineId'])['floating'] != [report['ip']]: # nova hears of it from neutron
        assert time.monotonic() < end
        time.sleep(0.1)
    host.call('create')
    host.call('stop')
    assert host.report()['state'] == 'Stopped'
    openstack.revoke_tokens()
    host.call('start')
    assert host.report()['state'] == 'Running'
    host.call('restart')
    host.call('remove')
    assert host.report()['state'] == 'Error'


def test_create_again_finds_what_is_there(openstack, host):
    """As after a crash: the answer about an id is forgotten, and the thing is found again."""
    host.configure(flags_of(openstack, floatingip_pool='public', volume_size=1, sec_group_create=True))
    host.call('create')
    orders = {'MachineId': 'server', 'VolumeId': 'volume', 'FloatingIpId': 'floating IP', 'OwnSecurityGroupId': 'security group'}
    ids = {key: host.state[key] for key in (*orders, 'IPAddress')}
    for key, order in orders.items():
        host.state = {**host.state, key: '', 'IPAddress': '', 'Ordered': order, 'OrderedAt': int(time.time())}
        host.call('create')
        assert {key: host.state[key] for key in ids} == ids
    host.state = {**host.state, **dict.fromkeys(ids, '')} # and all of them by rm


def test_typed_root_volume_and_ipv6(openstack, host):
    host.configure(flags_of(openstack, boot_from_volume=True, volume_size=1, volume_type='plain', ip_version=6,
                            net_name='dual'))
    host.call('create')
    assert host.report()['ip'] in openstack.addresses(host.state['MachineId'])['fixed'] and ':' in host.report()['ip']


def test_fault_is_told(openstack, host):
    host.configure(flags_of(openstack, flavor_name='impossible'))
    with pytest.raises((AssertionError, DriverError), match='No valid host'):
        host.call('create')


def test_credential(openstack, host):
    host.configure({**flags_of(openstack), 'openstack-username': '', 'openstack-password': '', 'openstack-tenant-name': '',
                    'openstack-application-credential-id': openstack.application_credential['id'],
                    'openstack-application-credential-secret': openstack.application_credential['secret']})
    host.driver.call('preCreateCheck', timeout=SECONDS, machine=host.machine())
    host.configure(flags_of(openstack, image_name='twice'))
    with pytest.raises(DriverError, match='2 images named twice'):
        host.driver.call('preCreateCheck', timeout=SECONDS, machine=host.machine())


def test_quota_and_wrong_password(openstack, host):
    """Told by kind and in the cloud's words; what was made before the server goes again."""
    before = openstack.set_quota('compute', instances=0)
    try:
        host.configure(flags_of(openstack, sec_group_create=True))
        with pytest.raises(DriverError, match='Quota exceeded') as caught:
            host.call('create')
        assert caught.value.kind == 'quota' and openstack.leaks() == []
    finally:
        openstack.set_quota('compute', **before)
    host.configure(flags_of(openstack, password='wrong'))
    with pytest.raises(DriverError, match='credentials are not accepted') as caught:
        host.driver.call('preCreateCheck', timeout=SECONDS, machine=host.machine())
    assert caught.value.kind == 'auth' and 'wrong' not in caught.value.message
