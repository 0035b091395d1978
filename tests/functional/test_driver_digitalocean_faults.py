"""The driver digitalocean when things go wrong: killed at any moment, servers that fail and throttle."""

import time

import pytest

import dodriver
from dodriver import CREATE, PATIENT, TAG, cloud, machine # noqa: F401
from driverclient import DriverError, ProtocolError
from fakes.digitalocean import TooMany
from fakes.httpfake import ANSWERED, ANY, APPLIED, RECEIVED, Close, Instead, Refuse, Truncate

REQUESTS = range(1, len(CREATE) + 1)
ENDS = ['create', 'remove']
# a POST that may have been done is not sent again, and 404 of a new droplet means patience
FAULTS = {
    '500': lambda: Refuse(500, 'server_error'),
    '500 and done': lambda: Refuse(500, 'server_error', applied=True),
    '503': lambda: Refuse(503, 'service_unavailable'),
    '404': lambda: Refuse(404, 'not_found'),
    'closed': lambda: Close(applied=False),
    'closed and done': lambda: Close(applied=True),
    'reset and done': lambda: Close(applied=True, reset=True),
    'cut': Truncate,
    'no json': lambda: Instead(b'<html>', headers=[('Content-Type', 'application/json')]),
    'another json': lambda: Instead(b'{"ssh_key": {"id": "x"}, "droplet": []}'),
    'empty': lambda: Instead(b''),
}


# killed

@pytest.mark.parametrize('end', ENDS)
@pytest.mark.parametrize('moment', [RECEIVED, APPLIED, ANSWERED])
@pytest.mark.parametrize('number', REQUESTS)
@pytest.mark.sampled(2)
def test_killed(machine, number, moment, end):
    """Before a request is sent; when it is done and not answered; after the answer."""
    with dodriver.start() as driver:
        machine.configure(driver)
        machine.cloud.faults.hook(ANY, moment, lambda _: driver.process.kill(), nth=number)
        if moment == RECEIVED:
            machine.cloud.faults.add(ANY, Close(applied=False), nth=number)
        try:
            machine.finish(driver, 'create')
            killed = False
        except (ProtocolError, BrokenPipeError):
            killed = True
        assert killed or (number, moment) == (REQUESTS[-1], ANSWERED)
        driver.process.wait(60)
    machine.end_well(end)


@pytest.mark.parametrize('end', ENDS)
@pytest.mark.parametrize('stored', [False, True])
@pytest.mark.parametrize('number', range(1, 5))
def test_killed_at_a_checkpoint(machine, number, stored, end):
    """When it waits for the answer to one; the host has stored the state, or has not."""
    seen = []

    def kill(state):
        seen.append(state)
        if len(seen) < number or stored:
            machine.save(state)
        if len(seen) == number:
            driver.process.kill()
            driver.process.wait()

    with dodriver.start() as driver:
        machine.configure(driver)
        with pytest.raises((ProtocolError, BrokenPipeError)):
            machine.finish(driver, 'create', on_checkpoint=kill)
    machine.end_well(end)


@pytest.mark.parametrize('moment', [RECEIVED, APPLIED, ANSWERED])
@pytest.mark.parametrize('number', range(1, 4))
def test_killed_in_remove(machine, number, moment):
    with dodriver.start() as driver:
        machine.configure(driver).finish(driver, 'create')
        machine.cloud.faults.hook(ANY, moment, lambda _: driver.process.kill(), nth=number)
        if moment == RECEIVED:
            machine.cloud.faults.add(ANY, Close(applied=False), nth=number)
        try:
            machine.finish(driver, 'remove')
        except (ProtocolError, BrokenPipeError):
            pass
    machine.end_well('remove')


# what servers do

@pytest.mark.parametrize('end', ENDS)
@pytest.mark.parametrize('fault', FAULTS)
@pytest.mark.parametrize('number', REQUESTS)
@pytest.mark.sampled(4)
def test_faults(machine, number, fault, end):
    """Whether create gets over it or fails: with the same driver or another, it ends well."""
    with dodriver.start() as driver:
        machine.configure(driver)
        machine.cloud.faults.add(ANY, FAULTS[fault](), nth=number)
        try:
            machine.finish(driver, 'create')
            machine.one_of_each()
        except DriverError as error:
            assert error.kind in ('unavailable', 'internal', 'notFound', 'timeout'), error.message
            assert machine.cloud.token not in error.message
        except AssertionError as error:
            assert "'state': 'Error'" in str(error) and fault == '404' # of a report
        assert machine.cloud.log.count('create_droplet') <= 2
    machine.end_well(end)


@pytest.mark.parametrize('fault', ['500 and done', 'closed and done', 'reset and done', 'cut', 'no json', 'another json',
                                   'empty'])
@pytest.mark.parametrize('action', ['create_key', 'create_droplet'])
def test_made_without_a_clear_answer(machine, action, fault):
    """Is found in the same call."""
    with dodriver.start() as driver:
        machine.configure(driver)
        machine.cloud.faults.add(action, FAULTS[fault]())
        machine.finish(driver, 'create')
        machine.one_of_each()
        assert machine.cloud.log.count(action) == 1
        machine.finish(driver, 'remove')


@pytest.mark.parametrize('fault', [lambda: TooMany(retry_after=1), lambda: TooMany(reset_after=1),
                                   lambda: TooMany(reset_after=-30)])
@pytest.mark.parametrize('number', REQUESTS)
@pytest.mark.sampled(2)
def test_too_many_requests(machine, number, fault):
    """Waits as it is told; the fake notes who comes too early."""
    with dodriver.start() as driver:
        machine.configure(driver)
        machine.cloud.faults.add(ANY, fault(), nth=number)
        began = time.monotonic()
        machine.finish(driver, 'create')
        assert 0.9 < time.monotonic() - began < 15
        machine.one_of_each()
        machine.finish(driver, 'remove')


@pytest.mark.parametrize('fault, after', [
    (lambda: TooMany(retry_after=60), (60000, 60000)), (lambda: TooMany(reset_after=100), (99000, 101000)),
    (lambda: TooMany(reset_after=9000), (300000, 300000)), (lambda: TooMany(reset_after=1 << 62), (300000, 300000))])
@pytest.mark.parametrize('action', ['create_key', 'create_droplet'])
def test_too_many_requests_for_long(machine, action, fault, after):
    """Is told to the host, which comes again."""
    with dodriver.start() as driver:
        machine.configure(driver)
        machine.cloud.faults.add(action, fault())
        began = time.monotonic()
        error = machine.fails(driver, 'create', 'throttled', 'API rate limit exceeded')
        assert time.monotonic() - began < 10
        assert error.data['retryable'] and after[0] <= error.data['retryAfterMs'] <= after[1]
        assert not error.data['mayExist'] and machine.cloud.log.count(action) == 1
    machine.cloud.log.clear() # as after a while
    machine.end_well('create')


def test_bursts(machine):
    machine.cloud.faults.limit(per_second=2, burst=1)
    with dodriver.start() as driver:
        machine.configure(driver).finish(driver, 'create')
        machine.one_of_each()
        machine.finish(driver, 'remove')


def test_repeats_end(machine):
    machine.cloud.faults.add('get_droplet', Refuse(503, 'service_unavailable'), times=6)
    with dodriver.start() as driver:
        machine.configure(driver)
        error = machine.fails(driver, 'create', 'unavailable', 'look at the droplet', '503', 'by order of the test')
        assert error.data['retryable'] and machine.cloud.log.count('get_droplet') == 6
    machine.end_well('create')


def test_not_there_right_after_creation(machine):
    machine.cloud.faults.add('get_droplet', Refuse(404, 'not_found'), times=2)
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver).finish(driver, 'create')
        assert machine.cloud.log.actions()[:5] == ['create_key', 'create_droplet'] + ['get_droplet'] * 3
        machine.finish(driver, 'remove')


def test_gone_before_it_was_ready(machine):
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver)
        machine.once(driver, 'create')
        machine.cloud.account.lose(machine.droplet)
        assert machine.once(driver, 'create')['status'] == 'wait'
        machine.grow_older(61)
        machine.fails(driver, 'create', 'notFound', 'look at the droplet')
    machine.end_well('remove')


# errors

@pytest.mark.parametrize('number', REQUESTS)
@pytest.mark.parametrize('fault, kind, texts', [
    (Refuse(401, 'unauthorized', 'Unable to authenticate you'), 'auth',
     ['--digitalocean-access-token', 'DIGITALOCEAN_ACCESS_TOKEN', 'DigitalOcean']),
    (Refuse(403, 'forbidden', 'You are not authorized'), 'auth',
     ['You are not authorized', 'if the access token lacks a scope', 'ssh_key', 'tag:create, tag:read and tag:delete'])])
@pytest.mark.sampled(2)
def test_credentials(machine, number, fault, kind, texts):
    with dodriver.start() as driver:
        machine.configure(driver)
        machine.cloud.faults.add(ANY, fault, nth=number)
        if number == 4: # a report
            machine.once(driver, 'create')
            report = machine.report(driver)
            assert report['error']['data']['kind'] == kind
            assert all(text in report['error']['message'] for text in texts)
        else:
            machine.fails(driver, 'create', kind, *texts)
    machine.end_well('create')


def test_limit_of_the_account(machine):
    machine.cloud.account.limit = 0
    with dodriver.start() as driver:
        machine.configure(driver)
        machine.fails(driver, 'create', 'quota', 'will exceed your droplet limit')
        machine.finish(driver, 'remove')


def test_token_without_the_right_to_tags(machine):
    """The droplet is refused, then; rm does not need to ask about what was not made."""
    forbidden = Refuse(403, 'forbidden', 'You are not authorized')
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver)
        machine.cloud.faults.add('create_droplet', forbidden)
        machine.fails(driver, 'create', 'auth', 'create the droplet', 'tag:create')
        assert machine.state['MachineTag'] == '' and machine.state['OrderedAt'] == 0
        machine.finish(driver, 'remove')
        assert machine.cloud.log.actions() == ['create_key', 'create_droplet', 'delete_key']
    machine.end_well('create')


def test_refused_droplet_takes_its_key_along(machine):
    machine.cloud.faults.add('create_droplet', Refuse(422, 'unprocessable_entity', 'no such size'))
    with dodriver.start() as driver:
        machine.configure(driver)
        machine.fails(driver, 'create', 'user', 'create the droplet', 'no such size')
        assert machine.cloud.log.actions() == ['create_key', 'create_droplet', 'delete_key']
        assert not machine.cloud.account.left() and machine.state['SSHKeyID'] == 0
    machine.end_well('create')


@pytest.mark.parametrize('method, type_, status', [
    ('stop', 'shutdown', 'off'), ('kill', 'power_off', 'off'), ('start', 'power_on', 'active'),
    ('restart', 'reboot', 'active')])
def test_pending_event(machine, method, type_, status):
    """Is waited for; the host knows for what."""
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver).finish(driver, 'create')
        account = machine.cloud.account
        account.settle(machine.droplet)
        if method == 'start':
            machine.finish(driver, 'kill')
        refusal = Refuse(422, 'unprocessable_entity', 'Droplet already has a pending event.')
        machine.cloud.faults.add('create_action', refusal, times=2)
        outcome = machine.once(driver, method)
        assert 'pending event' in outcome['message'] and 'waitFor' not in outcome
        assert outcome['retryAfterMs'] == 5000
        machine.finish(driver, method)
        assert account.settle(machine.droplet).status == status
        assert [action.type for action in machine.droplet.actions][-1] == type_
        machine.finish(driver, 'remove')


@pytest.mark.parametrize('fault', ['500', '500 and done', 'closed and done', '503'])
def test_actions_are_asked_for_again(machine, fault):
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver).finish(driver, 'create')
        machine.cloud.account.settle(machine.droplet)
        machine.cloud.faults.add('create_action', FAULTS[fault]())
        machine.finish(driver, 'stop')
        assert machine.droplet.status == 'off'
        machine.finish(driver, 'remove')


@pytest.mark.parametrize('fault', ['500 and done', 'closed and done'])
def test_reboots_once(machine, fault):
    """A second one would be a second one."""
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver).finish(driver, 'create')
        machine.cloud.account.settle(machine.droplet)
        machine.cloud.faults.add('create_action', FAULTS[fault]())
        machine.fails(driver, 'restart', 'unavailable', 'reboot the droplet')
        assert machine.cloud.log.count('create_action') == 1
        machine.finish(driver, 'remove')


@pytest.mark.parametrize('method, action', [('stop', 'create_action'), ('restart', 'create_action'),
                                            ('remove', 'delete_droplet')])
def test_refused_for_long(machine, method, action):
    """The service's reason, after a minute; who tries once more begins anew."""
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver).finish(driver, 'create')
        machine.cloud.account.settle(machine.droplet)
        machine.cloud.faults.add(action, Refuse(422, 'unprocessable_entity', 'No way.'), times=14)
        machine.fails(driver, method, 'user', '422', 'No way.')
        assert machine.cloud.log.count(action) == 13 and machine.state['RefusedAt'] == 0
        assert machine.once(driver, method)['status'] == 'wait' and machine.state['RefusedAt']
        machine.grow_older(121) # nobody came back
        machine.cloud.faults.add(action, Refuse(422, 'unprocessable_entity', 'Not yet.'))
        assert machine.once(driver, method)['status'] == 'wait'
        machine.finish(driver, method)
        assert machine.state['RefusedAt'] == 0
        machine.finish(driver, 'remove')


def test_droplet_that_is_not_known_yet(machine):
    """To reports, which `create` would take for its end; and to remove, which would leave it."""
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver).finish(driver, 'create')
        machine.cloud.faults.add('get_droplet', Refuse(404, 'not_found'), times=2)
        report = machine.report(driver)
        assert report['state'] == 'Starting' and 'not known everywhere yet' in report['message']
        machine.cloud.faults.add('delete_droplet', Refuse(404, 'not_found'), times=2)
        machine.grow_older(61)
        report = machine.report(driver)
        assert report['state'] == 'Error' and 'does not exist' in report['message']
        machine.grow_older(-61)
        machine.finish(driver, 'remove')
        assert machine.cloud.log.count('delete_droplet') == 3 and machine.cloud.log.count('delete_key') == 1


def test_power_of_a_droplet_that_is_gone(machine):
    with dodriver.start() as driver:
        machine.configure(driver).finish(driver, 'create')
        machine.cloud.account.lose(machine.droplet)
        for method in 'start', 'stop', 'kill', 'restart':
            machine.fails(driver, method, 'notFound', str(machine.state['DropletID']))
        machine.finish(driver, 'remove')


@pytest.mark.parametrize('status', [404, 410])
@pytest.mark.parametrize('body', [b'<html>', b'{"message": "no Route matched"}', b''], ids=['html', 'json', 'nothing'])
def test_not_found_of_something_in_between(machine, status, body):
    """Only DigitalOcean says that a thing is gone."""
    with dodriver.start() as driver:
        machine.configure(driver).finish(driver, 'create')
        machine.grow_older(-61)
        for action in 'get_droplet', 'list_droplets', 'delete_droplet', 'delete_key':
            machine.cloud.faults.add(action, Instead(body, status=status, applied=False), times=None)
        for report in driver.call('states', machines=[machine.reference()])['machines']:
            assert report['error']['data']['kind'] == 'unavailable' and "DigitalOcean's own words" in str(report)
        machine.fails(driver, 'remove', 'unavailable', 'delete the SSH key', 'delete the droplet')
        machine.cloud.faults.clear()
        assert machine.cloud.account.droplets and machine.cloud.account.keys
        machine.finish(driver, 'remove')


def notes(driver):
    return [note['params']['message'] for note in driver.notifications
            if note['method'] == 'log' and note['params']['level'] == 'warn']


def test_remove_of_a_droplet_that_is_not_there(machine):
    """It may be another account's: that is said. Not of one that a lost answer deleted."""
    with dodriver.start() as driver:
        machine.configure(driver).finish(driver, 'create')
        machine.grow_older(-61)
        state = dict(machine.state)
        machine.cloud.faults.add('delete_droplet', Refuse(503, 'service_unavailable', applied=True))
        machine.finish(driver, 'remove')
        assert machine.cloud.log.count('delete_droplet') == 2 and not notes(driver)
        machine.state = state
        machine.finish(driver, 'remove')
        (note,) = notes(driver)
        assert f'the droplet {state["DropletID"]} is not in' in note and 'another account' in note


@pytest.mark.parametrize('fault', ['500', 'closed', '503', '403'])
def test_key_that_cannot_be_deleted(machine, fault):
    """Does not keep the droplet, which costs money."""
    make = {**FAULTS, '403': lambda: Refuse(403, 'forbidden')}[fault]
    with dodriver.start() as driver:
        machine.configure(driver).finish(driver, 'create')
        machine.cloud.faults.add('delete_key', make(), times=None)
        with pytest.raises(DriverError, match='delete the SSH key'):
            machine.once(driver, 'remove')
        assert not machine.cloud.account.droplets and machine.cloud.account.keys
        machine.cloud.faults.add('delete_droplet', Refuse(403, 'forbidden', 'not this one'))
        with pytest.raises(DriverError, match='delete the SSH key.*; and.*delete the droplet.*not this one'):
            machine.once(driver, 'remove')
        machine.cloud.faults.clear()
    machine.end_well('remove')


def test_remove_waits_for_an_event(machine):
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver).finish(driver, 'create')
        machine.cloud.faults.add('delete_droplet', Refuse(422, 'unprocessable_entity', 'pending event'), times=2)
        outcome = machine.once(driver, 'remove')
        assert outcome['status'] == 'wait' and 'pending event' in outcome['message']
        machine.finish(driver, 'remove')


def test_tag_that_cannot_be_deleted(machine):
    """A note, no failure."""
    with dodriver.start() as driver:
        machine.configure(driver).finish(driver, 'create')
        machine.cloud.faults.add('delete_tag', Refuse(403, 'forbidden'))
        machine.finish(driver, 'remove')
        logs = [note['params'] for note in driver.notifications if note['method'] == 'log']
        assert any(TAG in note['message'] and note['level'] == 'warn' for note in logs)
