"""The driver openstack when it dies between any two requests, and when answers are lost: whatever happens, to go on
ends with one of each thing, and to give up with none."""

import contextlib
import os
import subprocess
import time

import pytest

from cli import build_dir
from driverclient import DriverError, ProtocolError, driver_file
from fakes.httpfake import ANSWERED, ANY, APPLIED, RECEIVED, Close, Hangup, Instead, Refuse
from openstackdriver import BASIC, FULL, ID, cloud, counts, fake, host, make_host, settle

MOMENTS = {'before': RECEIVED, 'late': RECEIVED, 'unanswered': APPLIED, 'answered': ANSWERED}
USUAL_PAUSE = {'MACHINE_DRIVER_PAUSE_MS': '500'} # and an order is open for as long as usual
LATE = 6 # requests


def die(host, moment, action=ANY, number=1, method='create'):
    """The driver is killed at its request of that number. False: it was done before."""
    host.fake.faults.clear()
    process = host.driver.process # who waits for its answer may be done with the driver before this thread

    def kill(request):
        process.kill()
        process.wait()
        if moment == 'late' and request.method == 'POST':
            host.cloud.delay(request, LATE)
        if moment in ('before', 'late'): # nothing is done so far
            raise Hangup
    host.fake.faults.hook(action, MOMENTS[moment], kill, nth=number)
    try:
        host.call(method)
        return False
    except (ProtocolError, BrokenPipeError):
        process.wait()
        with contextlib.suppress(AssertionError):
            host.driver.__exit__(None)
        host.driver = None
        host.start_driver()
        return True
    finally:
        host.fake.faults.clear()


def all_deaths(make_host, cloud, flags, moment, then):
    for number in range(1, 200):
        host = make_host(USUAL_PAUSE if moment == 'late' else None)
        host.configure(flags)
        if not die(host, moment, number=number):
            assert number > 8
            return
        if then == 'create':
            host.call('create')
            assert set(counts(cloud).values()) == {1}, (number, cloud.left())
            assert host.report()['state'] == 'Running'
        host.call('remove')
        settle(cloud)
        assert not cloud.left(), (number, cloud.left())
        host.close()
    raise AssertionError('no end')


@pytest.mark.parametrize('then', ['create', 'remove'])
@pytest.mark.parametrize('moment', sorted(MOMENTS))
def test_killed_in_a_simple_create(make_host, cloud, moment, then):
    all_deaths(make_host, cloud, BASIC, moment, then)


@pytest.mark.long
@pytest.mark.parametrize('moment', sorted(MOMENTS))
def test_killed_in_a_create_with_another_key(make_host, cloud, moment):
    cloud.only_rsa = True
    all_deaths(make_host, cloud, BASIC, moment, 'create')


@pytest.mark.long
@pytest.mark.parametrize('then', ['create', 'remove'])
@pytest.mark.parametrize('moment', sorted(MOMENTS))
def test_killed_in_a_full_create(make_host, cloud, moment, then):
    all_deaths(make_host, cloud, FULL, moment, then)


@pytest.mark.parametrize('fault', [
    pytest.param(Close(applied=True), id='lost'), pytest.param(Instead(b'{}'), id='empty'), pytest.param(Close(), id='closed', marks=pytest.mark.long),
    pytest.param(Refuse(503, 'unavailable', applied=True), id='503', marks=pytest.mark.long),
    pytest.param(Refuse(500, 'computeFault', applied=True), id='500', marks=pytest.mark.long)])
def test_answers_that_are_lost(make_host, cloud, fake, fault):
    """Whether a thing was made is looked up, not guessed: create goes on, or can be called again."""
    names = ['POST compute/os-keypairs', 'POST network/security-groups', 'POST volume/volumes', 'POST compute/servers',
             'POST compute/servers/ID/os-volume_attachments', 'POST network/floatingips', 'GET compute/servers/ID']
    for name in names:
        host = make_host()
        host.configure(FULL)
        fake.faults.add(name, fault)
        for _ in range(2):
            with contextlib.suppress(DriverError):
                host.call('create')
        assert host.done and set(counts(cloud).values()) == {1}, (name, cloud.left())
        assert not fake.faults.pending()
        host.call('remove')
        settle(cloud)
        assert not cloud.left(), name


ORDERS = {'POST compute/os-keypairs': 'key pair', 'POST network/security-groups': 'security group',
          'POST volume/volumes': 'volume', 'POST compute/servers': 'server', 'POST network/floatingips': 'floating IP'}


@pytest.mark.parametrize('then', ['create', 'remove'])
@pytest.mark.parametrize('action', sorted(ORDERS))
def test_orders_that_are_carried_out_late(make_host, cloud, fake, action, then):
    """A proxy gives up, the service behind it does not."""
    host = make_host(USUAL_PAUSE)
    host.configure(FULL)
    fake.faults.hook(action, RECEIVED, lambda request: cloud.delay(request, LATE))
    fake.faults.add(action, Refuse(504, 'timeout'))
    with pytest.raises(DriverError, match='504'):
        host.call('create')
    assert cloud.late and ORDERS[action] == host.state['Ordered']
    if then == 'create':
        host.call('create')
        assert set(counts(cloud).values()) == {1} and not host.state['OrderedAt'] and not host.state['Ordered']
    host.call('remove')
    assert not cloud.late
    settle(cloud)
    assert not cloud.left()
    waited = f'the {ORDERS[action]} that was asked for to show' in host.messages
    # a key pair has a name of its own, and is asked for again; the server is waited for before its address
    assert waited or (action, then) in [('POST compute/os-keypairs', 'create'), ('POST network/floatingips', 'remove')]


@pytest.mark.parametrize('action', ['POST compute/os-keypairs', 'POST compute/servers'])
def test_order_is_open_from_its_lost_answer_on(make_host, cloud, fake, action):
    """However long it took until it was clear that there is none."""
    host = make_host(USUAL_PAUSE)
    host.configure(BASIC)
    fake.faults.hook(action, RECEIVED, lambda request: cloud.delay(request, LATE))
    fake.faults.add(action, Refuse(504, 'timeout'))

    def keep(state):
        host.keep(state if fake.log.count(action) else {**state, 'OrderedAt': min(1, state.get('OrderedAt', 0))})

    with pytest.raises(DriverError, match='504'):
        host.driver.call('create', machine=host.machine(), on_checkpoint=keep)
    host.call('remove')
    settle(cloud)
    assert not cloud.left()


def test_removed_key_is_not_awaited(make_host, cloud, fake):
    """Its order was not answered, it showed, and is gone: only the volume is waited for."""
    host = make_host(USUAL_PAUSE)
    host.configure(FULL)
    host.call('create')
    host.state.update({'Ordered': 'key pair', 'OrderedAt': int(time.time())})
    fake.faults.add('DELETE volume/volumes/ID', Refuse(400, 'badRequest'))
    host.messages.clear()
    host.call('remove')
    assert not cloud.left() and 'the volume to be free' in ' '.join(host.messages)
    assert 'asked for' not in ' '.join(host.messages)


def test_order_that_comes_to_nothing(make_host, cloud, fake):
    """It is given again after a while."""
    host = make_host(USUAL_PAUSE)
    host.configure(BASIC)
    fake.faults.add('POST compute/servers', Refuse(504, 'timeout'))
    with pytest.raises(DriverError, match='504'):
        host.call('create')
    host.call('create')
    assert counts(cloud)['servers'] == 1 and 10 < len(host.messages) < 20


@pytest.mark.parametrize('cause', ['key', 'list'])
def test_refusal_before_the_server_is_looked_for(host, cloud, fake, cause):
    """What may have been made is not forgotten over it."""
    pub = host.store / 'mine.pub'
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', host.store / 'mine'], check=True)
    cloud.keypairs.append({'name': 'mine', 'public_key': pub.read_text()})
    host.configure({**FULL, 'openstack-keypair-name': 'mine', 'openstack-private-key-file': str(host.store / 'mine')})
    assert die(host, 'unanswered', 'POST compute/servers')
    if cause == 'key':
        cloud.keypairs.clear()
        host.call('create')
        assert counts(cloud)['servers'] == 1
    else:
        fake.faults.add('GET compute/servers/detail', Refuse(403, 'forbidden'))
        with pytest.raises(DriverError, match='403'):
            host.call('create')
        cloud.keypairs.clear()
    host.call('remove')
    settle(cloud)
    assert not cloud.left()


def test_all_that_has_the_mark_is_removed(host, cloud):
    host.configure(FULL)
    host.call('create')
    cloud.servers.append({**cloud.servers[0], 'id': 'server-x', '_volumes': []})
    cloud.volumes += [{**cloud.volumes[0], 'id': f'volume-{status}', 'status': status} for status in ('available', 'error')]
    cloud.security_groups.append({**cloud.security_groups[-1], 'id': 'sg-x'})
    cloud.floatingips.append({**cloud.floatingips[0], 'id': 'fip-x', 'port_id': None})
    host.call('remove')
    assert not cloud.left()


def test_ids_that_are_forgotten(host, cloud):
    host.configure(FULL)
    host.call('create')
    orders = {'MachineId': 'server', 'VolumeId': 'volume', 'FloatingIpId': 'floating IP', 'OwnSecurityGroupId': 'security group'}
    ids = {key: host.state[key] for key in (*orders, 'IPAddress')}
    for key, order in orders.items():
        host.state = {**host.state, key: '', 'IPAddress': '', 'Ordered': order}
        host.call('create')
        assert {key: host.state[key] for key in ids} == ids
    host.state = {**host.state, **dict.fromkeys(ids, '')}
    host.call('remove')
    assert not cloud.left()


def test_floating_ip_that_the_user_binds(host, cloud):
    """Where ours would have been bound to."""
    host.configure(FULL)
    assert die(host, 'before', 'POST network/floatingips')
    mine = {'id': 'fip-0', 'floating_ip_address': '203.0.113.200', 'floating_network_id': 'net-ext',
            'port_id': cloud.ports[0]['id'], 'description': 'of the user', 'revision_number': 4}
    cloud.floatingips.append(mine)
    host.call('remove')
    assert cloud.left() == {'floatingips': [mine]}


@pytest.mark.parametrize('polls', [0, 1])
def test_killed_while_a_failed_server_is_replaced(host, cloud, polls):
    cloud.fault, cloud.delete_polls = 'No valid host was found.', polls
    host.configure(BASIC)
    with pytest.raises(AssertionError, match='No valid host'):
        host.call('create')
    cloud.fault = None
    assert die(host, 'unanswered', 'DELETE compute/servers/ID')
    host.call('create')
    assert [server['status'] for server in cloud.servers if server['OS-EXT-STS:task_state'] != 'deleting'] == ['ACTIVE']
    host.call('remove')
    settle(cloud)
    assert not cloud.left()


@pytest.mark.long
def test_conformance(cloud, fake, tmp_path):
    flags = {**BASIC, 'openstack-auth-url': f'{fake.url}/identity/v3'}
    words = [word for name, value in flags.items() for word in (f'--{name}', str(value))]
    env = {**os.environ, 'MACHINE_CONFORM_SECONDS': '20', 'MACHINE_DRIVER_PAUSE_MS': '1', 'HOME': str(tmp_path)}
    began = time.monotonic()
    run = subprocess.run([build_dir() / 'machine' / 'cli' / 'machine', 'driver', 'test', driver_file('openstack'), *words],
                         capture_output=True, text=True, timeout=280, env=env)
    assert run.returncode == 0 and 'FAIL' not in run.stdout, (run.stdout, run.stderr, time.monotonic() - began)
    settle(cloud)
    assert not cloud.left()
