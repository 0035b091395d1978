"""What is no answer of an OpenStack, or one that means harm: the driver openstack refuses it, soon and with little
memory, says what it was, and tells no secret to anybody."""

import json
import time

import pytest

from driverclient import DriverError
from fakes.httpfake import RECEIVED, Delay, Endless, Garbage, HttpFake, Instead, ManyHeaders, Redirect, Refuse, Slow, Truncate
from fakes.openstack_api import CREDENTIAL, PASSWORD, TOKEN, OpenStack
from openstackdriver import BASIC, cloud, fake, host, make_host # noqa: F401

SECONDS = 20
MEMORY_KIB = 400 << 10
DEEP = b'[' * 1000000
QUICK = {'MACHINE_DRIVER_TIMEOUT_MS': '300'}
SERVER = 'POST compute/servers'
LOGIN, FLAVORS, SERVERS = 'POST identity/auth/tokens', 'GET compute/flavors/detail', 'GET compute/servers/ID'
ASKS = {LOGIN: 'log in', FLAVORS: 'flavor', 'GET image/images': 'image'}


def refuse(host, *texts):
    """The check before a create fails in time, for one of the reasons; then the driver goes on."""
    began = time.monotonic()
    with pytest.raises(DriverError) as caught:
        host.driver.call('preCreateCheck', timeout=SECONDS, machine=host.machine())
    assert time.monotonic() - began < SECONDS
    assert any(text in caught.value.message for text in texts), caught.value.message
    assert len(caught.value.message) < 4000 and PASSWORD not in caught.value.message
    with open(f'/proc/{host.driver.process.pid}/status', encoding='ascii') as status:
        (peak,) = [line for line in status if line.startswith('VmHWM')]
    assert int(peak.split()[1]) < MEMORY_KIB
    host.fake.faults.clear()
    assert host.driver.call('preCreateCheck', machine=host.machine()) == {}
    return caught.value


HOSTILE = {
    'endless body': (Endless, 'too large'), 'endless headers': (ManyHeaders, 'too large'),
    'deep JSON': (lambda: Instead(DEEP), 'not JSON'), 'no HTTP': (Garbage, 'not HTTP'),
    'HTML': (lambda: Instead(b'<html>'), 'not JSON'), 'no UTF-8': (lambda: Instead(b'{"x": "\xff"}'), 'not JSON'),
    'huge error': (lambda: Refuse(400, 'badRequest', 'x' * 1000000), 'xxx'),
    'huge text': (lambda: Instead(b'{"message": "' + b'x' * 20000000 + b'"}', 400), 'too large'),
}


@pytest.mark.parametrize('name', HOSTILE)
@pytest.mark.parametrize('action', ASKS)
def test_hostile_answers(host, fake, action, name):
    make, text = HOSTILE[name]
    host.configure(BASIC)
    fake.faults.add(action, make(), times=None)
    error = refuse(host, text)
    assert ASKS[action] in error.message


@pytest.mark.parametrize('action', ASKS)
@pytest.mark.parametrize('fault', [lambda: Slow(0.05), lambda: Slow(0.05, whole=True), lambda: Delay(5)],
                         ids=['drip', 'headers drip', 'silence'])
def test_slow_answers(make_host, fake, action, fault):
    host = make_host(QUICK)
    host.configure(BASIC)
    fake.faults.add(action, fault(), times=None)
    assert refuse(host, 'timed out').kind == 'timeout' and 1 < fake.log.count(action) <= 8


def test_truncated(host, fake):
    host.configure(BASIC)
    fake.faults.add(FLAVORS, Truncate(), times=None)
    assert refuse(host, FLAVORS.split('/')[-1]).kind == 'unavailable'


@pytest.mark.parametrize('status', [301, 302, 303, 307, 308])
@pytest.mark.parametrize('action', ASKS)
def test_redirects_are_refused(host, fake, action, status):
    """Password and token are for the address that the user, or the catalog, gave."""
    other_cloud = OpenStack()
    with HttpFake(other_cloud) as other:
        other_cloud.url = other.url
        host.configure(BASIC)
        fake.faults.add(action, Redirect(f'{other.url}/identity/v3/auth/tokens', status))
        refuse(host, f'{status} a redirect')
        assert not other.log.requests


@pytest.mark.parametrize('body', [
    b'{}', b'[]', b'null', b'{"flavors": 5}', b'{"flavors": {"name": "large"}}', b'{"flavors": [1, null, {"name": 5}]}'])
def test_lists_of_another_shape(host, fake, body):
    host.configure(BASIC)
    fake.faults.add(FLAVORS, Instead(body), times=None)
    refuse(host, 'no list', 'unable to find')


@pytest.mark.parametrize('link', ['http://192.0.2.1/flavors/detail?marker=x', 'http://192.0.2.1/else?marker=x'])
def test_pages_without_end(host, fake, link):
    """Only a link's query is taken, and the same one not twice."""
    host.configure(BASIC)
    body = {'flavors': [], 'flavors_links': [{'rel': 'next', 'href': link}]}
    fake.faults.add(FLAVORS, Instead(json.dumps(body), applied=False), times=None)
    refuse(host, 'leads elsewhere, or back')
    assert fake.log.count(FLAVORS) <= 4


@pytest.mark.parametrize('body', [b'{}', b'[]', b'{"server": 5}', b'{"server": []}', b'{"server": null}'])
def test_servers_of_another_shape(host, fake, body):
    host.configure(BASIC)
    host.call('create')
    fake.faults.add(SERVERS, Instead(body))
    report = host.report()
    assert report['error']['data']['kind'] == 'internal' and 'no server' in report['error']['message']


@pytest.mark.parametrize('flags', [
    BASIC, {**BASIC, **dict.fromkeys(('openstack-username', 'openstack-password'), ''), 'openstack-token': TOKEN},
    {**BASIC, 'openstack-username': '', 'openstack-password': '', 'openstack-tenant-name': '',
     'openstack-application-credential-id': 'c', 'openstack-application-credential-secret': CREDENTIAL['secret']}],
    ids=['password', 'token', 'application credential'])
def test_secrets_are_not_traced(make_host, flags):
    """make_host looks at all that was said."""
    host = make_host(debug=True)
    host.configure(flags)
    host.call('create')
    host.call('remove')
    host.close()
    assert b'GET http' in host.errors and b'look at the server' in host.errors


@pytest.mark.parametrize('debug', [False, True])
def test_cloud_that_repeats_user_data(make_host, fake, debug):
    """Nova does so with what it does not like; a private key is in it."""
    sent = []

    def refuse_it(request):
        sent.append(json.loads(request.body)['server']['user_data'])
        fake.faults.add(SERVER, Refuse(400, 'badRequest', f'Invalid input for field/attribute user_data. Value: {sent[0]}. Too long'))

    host = make_host(debug=debug)
    host.configure(BASIC)
    fake.faults.hook(SERVER, RECEIVED, refuse_it)
    with pytest.raises(DriverError, match=r'Value: \*\*\*') as caught:
        host.call('create')
    host.close()
    said = caught.value.message.encode() + host.errors
    assert len(sent[0]) > 500 and sent[0][:20].encode() not in said and sent[0][-20:].encode() not in said
