"""What Amazon refuses, and what is no answer of Amazon's: the driver amazonec2 says so, and goes on only where
that is of use."""

import json
import os
import time

import pytest

from driverclient import Driver, DriverError
from ec2driver import (AMAZONEC2, LOOK_UPS, Machine, ec2, environment, keys, logged, machine, only_groups, running,
                       start)
from fakes.ec2 import (ANY, Delay, Ec2, Endless, Garbage, Instead, ManyHeaders, Redirect, Refuse, Slow, Throttle,
                       Truncate, faults)

MEMORY = 700 << 20 # bytes of address space that a driver may have


# code: status, kind, retryable, requests with 2 retries, a part of the text
CODES = {
    'RequestLimitExceeded': (503, 'throttled', True, 3, ''), 'Throttling': (400, 'throttled', True, 3, ''),
    'ThrottlingException': (400, 'throttled', True, 3, ''), 'RequestThrottled': (400, 'throttled', True, 3, ''),
    'EC2ThrottledException': (503, 'throttled', True, 3, ''),
    'InternalError': (500, 'unavailable', True, 3, ''), 'InternalFailure': (500, 'unavailable', True, 3, ''),
    'Unavailable': (503, 'unavailable', True, 3, ''), 'ServiceUnavailable': (503, 'unavailable', True, 3, ''),
    'SomethingNew': (500, 'unavailable', True, 3, ''), 'SomethingOther': (400, 'user', False, 1, ''),
    'TooOften': (429, 'throttled', True, 3, ''),
    'AuthFailure': (401, 'auth', False, 1, '--amazonec2-access-key'),
    'UnauthorizedOperation': (403, 'auth', False, 1, 'permission'),
    'InvalidClientTokenId': (403, 'auth', False, 1, '--amazonec2-access-key'),
    'SignatureDoesNotMatch': (403, 'auth', False, 1, '--amazonec2-secret-key'),
    'OptInRequired': (403, 'auth', False, 1, ''), 'RequestExpired': (400, 'auth', False, 2, ''),
    'ExpiredToken': (400, 'auth', False, 2, ''),
    'InsufficientInstanceCapacity': (500, 'quota', False, 1, ''), 'VcpuLimitExceeded': (400, 'quota', False, 1, ''),
    'InsufficientFreeAddressesInSubnet': (400, 'quota', False, 1, ''),
    'InsufficientHostCapacity': (500, 'quota', False, 1, ''),
    'InstanceLimitExceeded': (400, 'quota', False, 1, ''), 'MaxSpotInstanceCountExceeded': (400, 'quota', False, 1, ''),
    'InvalidAMIID.NotFound': (400, 'user', False, 1, '--amazonec2-ami'),
    'InvalidAMIID.Unavailable': (400, 'user', False, 1, '--amazonec2-ami'),
    'InvalidSubnetID.NotFound': (400, 'user', False, 1, '--amazonec2-subnet-id'),
    'InvalidParameterValue': (400, 'user', False, 1, ''), 'InvalidParameterCombination': (400, 'user', False, 1, ''),
    'Unsupported': (400, 'user', False, 1, ''), 'SpotMaxPriceTooLow': (400, 'user', False, 1, ''),
}


@pytest.mark.parametrize('code', CODES)
def test_codes(ec2, machine, code):
    status, kind, retryable, count, text = CODES[code]
    ec2.faults.add('RunInstances', Refuse(status, code, 'because of <this> & that'), times=None)
    with start() as driver:
        machine.configure(driver, retries=2)
        error = machine.fails(driver, 'create', kind, f'launch the instance: EC2: {code}: because of <this> & that', text)
        assert error.data['retryable'] is retryable and ec2.log.count('RunInstances') == count
        perhaps = kind == 'unavailable'
        assert error.data['mayExist'] is perhaps
        # what was refused for good costs nothing, not even a key
        assert (keys(ec2) == []) is (not retryable)
        machine.finish(driver, 'remove')
        assert only_groups(ec2) and ec2.log.count('TerminateInstances') == 0


@pytest.mark.parametrize('status, kind, count', [
    (400, 'user', 1), (401, 'auth', 1), (403, 'auth', 1), (404, 'internal', 1), (409, 'internal', 1),
    (410, 'internal', 1), (418, 'user', 1), (429, 'throttled', 3), (500, 'unavailable', 3), (502, 'unavailable', 3), (503, 'unavailable', 3),
    (504, 'unavailable', 3), (599, 'unavailable', 3)])
def test_statuses_of_something_in_between(ec2, machine, status, kind, count):
    ec2.faults.add('DescribeSubnets', faults.not_xml(status), times=None)
    with start() as driver:
        machine.configure(driver, retries=2)
        machine.fails(driver, 'preCreateCheck', kind, 'look for a subnet: EC2', str(status))
        assert ec2.log.count('DescribeSubnets') == count


IN_BETWEEN = {'no such page': lambda: faults.not_xml(404), 'gone': lambda: faults.not_xml(410),
              'conflict': lambda: faults.not_xml(409), 'other XML': lambda: Instead('<a/>', applied=False),
              'another answer': lambda: Instead('<StopInstancesResponse/>', applied=False)}


@pytest.mark.parametrize('name', IN_BETWEEN)
@pytest.mark.parametrize('action', ['TerminateInstances', 'DeleteKeyPair'])
def test_only_amazon_says_that_it_is_gone(ec2, machine, action, name):
    """Nothing else's answer makes a machine forgotten that is still there, and costs money."""
    with start() as driver:
        machine.configure(driver).finish(driver, 'create')
        ec2.faults.add(action, IN_BETWEEN[name](), times=None)
        machine.fails(driver, 'remove', 'internal', 'EC2')
        assert (running(ec2) if action == 'TerminateInstances' else keys(ec2)) != []
        ec2.faults.clear()
        machine.finish(driver, 'remove')
        assert only_groups(ec2)


@pytest.mark.parametrize('name', IN_BETWEEN)
def test_states_that_something_else_tells(ec2, machine, name):
    with start() as driver:
        machine.configure(driver).finish(driver, 'create')
        ec2.faults.add('DescribeInstances', IN_BETWEEN[name](), times=None)
        assert machine.report(driver)['error']['data']['kind'] == 'internal'


@pytest.mark.parametrize('retries, count', [(-1, 1), (0, 1), (3, 4)])
def test_retries(ec2, machine, retries, count):
    ec2.faults.add('DescribeSubnets', Throttle(), times=None)
    with start() as driver:
        machine.configure(driver, retries=retries)
        machine.fails(driver, 'preCreateCheck', 'throttled', 'RequestLimitExceeded')
        assert ec2.log.count('DescribeSubnets') == count


def test_throttled_all_the_way(ec2, machine):
    """Each action once, and then a bucket that is soon empty."""
    ec2.faults.add(ANY, Throttle(), nth=1, times=2)
    with start() as driver:
        machine.configure(driver).check(driver)
    with start() as driver:
        for action in [*LOOK_UPS, 'ImportKeyPair', 'CreateSecurityGroup', 'AuthorizeSecurityGroupIngress',
                       'RunInstances', 'DescribeInstances', 'TerminateInstances', 'DeleteKeyPair']:
            ec2.faults.add(action, Throttle())
        machine.finish(driver, 'create').finish(driver, 'remove')
        assert not ec2.faults.pending() and only_groups(ec2)


def test_no_waiting_longer_than_it_pays(ec2, machine):
    """Retry-After of an hour is the program's to wait for."""
    error = ec2.service.error

    def later(status, code, message):
        answer = error(status, code, message)
        answer.headers.append(('Retry-After', '3600'))
        return answer

    ec2.service.error = later
    ec2.faults.add('DescribeSubnets', Throttle(), times=None)
    with start() as driver:
        machine.configure(driver)
        begin = time.monotonic()
        failed = machine.fails(driver, 'preCreateCheck', 'throttled')
        assert time.monotonic() - begin < 10 and ec2.log.count('DescribeSubnets') == 1
        assert failed.data['retryAfterMs'] == 600000 # as much as the protocol has
    ec2.service.error = error


@pytest.mark.parametrize('ahead', [-900, 900])
def test_clock(tmp_path, ahead):
    with Ec2(ahead=ahead) as ec2, start() as driver:
        machine = Machine(ec2, tmp_path)
        machine.configure(driver)
        machine.fails(driver, 'preCreateCheck', 'auth', "this computer's clock is ", ' s off', 'RequestExpired')
        assert len(ec2.log.requests) == 1


def test_clock_that_is_nearly_right(tmp_path):
    with Ec2(ahead=200) as ec2, start() as driver:
        Machine(ec2, tmp_path).configure(driver).check(driver)


def test_limit_of_the_account(ec2, machine):
    ec2.account.instances_max = 0
    with start() as driver:
        machine.configure(driver)
        machine.fails(driver, 'create', 'quota', 'VcpuLimitExceeded')
        assert only_groups(ec2)


@pytest.mark.parametrize('denied', ['DescribeKeyPairs', 'DescribeSubnets', 'DescribeImages'])
def test_missing_permissions_to_look(ec2, machine, denied):
    ec2.account.denied.add(denied)
    with start() as driver:
        machine.configure(driver)
        machine.fails(driver, 'preCreateCheck', 'auth', 'UnauthorizedOperation', 'permission')


@pytest.mark.parametrize('denied', ['ImportKeyPair', 'DescribeSecurityGroups', 'CreateSecurityGroup',
                                    'AuthorizeSecurityGroupIngress', 'RunInstances', 'DescribeInstances'])
def test_missing_permissions_to_make(ec2, machine, denied):
    ec2.account.denied.add(denied)
    with start() as driver:
        machine.configure(driver)
        machine.fails(driver, 'create', 'auth', 'UnauthorizedOperation')
        if denied != 'DescribeInstances':
            ec2.account.denied.clear()
        machine.finish(driver, 'remove')
        assert only_groups(ec2)


# what is no answer

HOSTILE = {
    **faults.RUBBISH, 'outside entity': lambda: faults.outside_entity('file:///etc/passwd'),
    'garbage': Garbage, 'many headers': lambda: ManyHeaders(20000), 'endless space': Endless,
    'a number': lambda: Instead('42'), 'a text': lambda: Instead('<a>text</a>'), 'a list': lambda: Instead(
        '<a><item>1</item><item/></a>'), 'NUL': lambda: Instead(b'<a>\0</a>'), 'not UTF-8': lambda: Instead(b'<a>\xff</a>'),
    'huge text': lambda: Refuse(400, 'X' * 100000, 'y' * 1000000), 'many elements': lambda: Instead(
        b'<a>' + b'<b/>' * 900000 + b'</a>'),
    'huge error': lambda: Instead(b'<Response><Errors>' + b'<Error><Code>A</Code></Error>' * 1000
                                  + b'</Errors></Response>', 400),
    'terminal': lambda: Refuse(400, 'Bad', '\x9b31m\u202e evil'),
}


def limited(**more):
    """A driver that has not much memory."""
    sanitized = 'asan' in os.environ.get('MACHINE_BUILD_DIR', '') # which reserves terabytes
    prefix = () if sanitized else ('prlimit', f'--as={MEMORY}', '--')
    return Driver(AMAZONEC2, prefix=prefix, env=environment(**more))


@pytest.mark.parametrize('name', HOSTILE)
@pytest.mark.parametrize('action', ['DescribeKeyPairs', 'DescribeInstances'])
def test_hostile_answers(ec2, machine, action, name):
    with limited() as driver:
        machine.configure(driver, retries=1)
        machine.state['InstanceId'] = 'i-00000000'
        ec2.faults.add(action, HOSTILE[name](), times=None)
        begin = time.monotonic()
        if action == 'DescribeKeyPairs':
            answer = outcome(driver, machine)
        else:
            answer = machine.report(driver)
        assert time.monotonic() - begin < 15
        text = json.dumps(answer)
        assert len(text) < 20000 and 'root:' not in text
        ec2.faults.clear()
        machine.state['InstanceId'] = ''
        machine.check(driver) # it goes on


def outcome(driver, machine):
    """What preCreateCheck says: a failure of some kind, or that all is well."""
    try:
        return driver.call('preCreateCheck', machine=machine.reference())
    except DriverError as error:
        assert error.kind in ('internal', 'unavailable', 'throttled', 'user'), (error.kind, error.message)
        return [error.kind, error.message]


def test_redirects_are_not_followed(ec2, machine):
    """The signature is for the address that the user gave."""
    with Ec2() as other, start() as driver:
        machine.configure(driver)
        for status in 301, 302, 307, 308:
            ec2.faults.add('DescribeKeyPairs', Redirect(other.url + '/', status))
            machine.fails(driver, 'preCreateCheck', 'internal', 'redirect', str(status))
        assert other.log.actions() == []


@pytest.mark.parametrize('fault', [lambda: Slow(0.05), lambda: Slow(0.05, whole=True), lambda: Delay(5)],
                         ids=['drip', 'headers drip', 'silence'])
def test_slow_answers(ec2, machine, fault):
    """An exchange has an end, however alive the other side looks."""
    ec2.faults.add('DescribeKeyPairs', fault(), times=None)
    with start(MACHINE_DRIVER_TIMEOUT_MS='300') as driver:
        machine.configure(driver, retries=2)
        machine.fails(driver, 'preCreateCheck', 'timeout', 'EC2', 'timed out')
        assert ec2.log.count('DescribeKeyPairs') == 3


@pytest.mark.parametrize('fault', ['delay', 'drip'])
def test_cancelled_while_nothing_comes(ec2, machine, fault):
    ec2.faults.add('DescribeKeyPairs', {'delay': Delay(60), 'drip': Slow(0.5, whole=True)}[fault])
    with start() as driver:
        machine.configure(driver)
        ident = driver.request('preCreateCheck', machine=machine.reference())
        ec2.log.wait('DescribeKeyPairs', moment='received')
        driver.notify('$/cancelRequest', id=ident)
        begin = time.monotonic()
        failed = failure(driver, ident)
        assert failed.kind == 'canceled' and time.monotonic() - begin < 5


def failure(driver, ident):
    with pytest.raises(DriverError) as caught:
        driver.answer(ident)
    return caught.value


def test_truncated_in_the_trace(ec2, machine):
    """A debug log of a launch has neither the user data nor the answer."""
    ec2.faults.add('RunInstances', Truncate(), times=None)
    with start(debug=True) as driver:
        machine.configure(driver, retries=0)
        machine.fails(driver, 'create', 'unavailable')
        text = '\n'.join(logged(driver)) + driver.errors.decode()
        assert 'UserData' not in text and 'RunInstancesResponse' not in text
    ec2.faults.clear()
    with start() as driver:
        machine.finish(driver, 'remove')
        assert only_groups(ec2)
