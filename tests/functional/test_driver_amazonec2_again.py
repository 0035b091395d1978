"""The driver amazonec2 cut off, refused and misled in the middle of a create: whatever happens to any of its
requests, to go on ends with one instance and one key, and to give up with none."""

import contextlib
import subprocess

import pytest

from driverclient import DriverError, ProtocolError
from ec2driver import (MAKING, Machine, ec2, groups_once, keys, launched, machine, only_groups, running, start,
                       warnings)
from fakes.ec2 import ANSWERED, APPLIED, RECEIVED, Close, Instead, Refuse, Throttle, Truncate, faults

# the requests of a create, each by its name and how often it has come before
STEPS = [(action, MAKING[:index].count(action) + 1) for index, action in enumerate(MAKING)]
STEPS += [('DescribeInstances', 1), ('DescribeInstances', 2), ('DescribeInstances', 3)]
RSA_S = 120 # a key of RSA may take that long while the computer is busy
CHANGES = [step for step in STEPS if not step[0].startswith('Describe')]


def name_of(step):
    return f'{step[0]}{step[1]}'


def go_on(ec2, machine, how, **env):
    """As the program does with another process of the driver, from the state that was stored last."""
    with start(**env) as driver:
        if how == 'create':
            machine.finish(driver, 'create', timeout=RSA_S)
            assert running(ec2) == [machine.state['InstanceId']] and keys(ec2) == ['m1'], ec2.log.actions()
            assert groups_once(ec2) == 1 and len(machine.state['SecurityGroupIds']) == 1
            assert machine.report(driver)['state'] == 'Running'
            assert machine.report(driver)['ssh']['hostKeys'] == [machine.state['HostKey']]
            rules = [(one['IpProtocol'], one['FromPort']) for group in ec2.account.all('security-group')
                     if group['GroupName'] == 'docker-machine' for one in group['IpPermissions']]
            assert sorted(rules) == [('tcp', 22), ('tcp', 2376)]
        for _ in range(2):
            machine.finish(driver, 'remove')
            assert not any(machine.waits) and running(ec2) == [] and keys(ec2) == [] and only_groups(ec2)


@pytest.mark.parametrize('how', ['create', 'remove'])
@pytest.mark.parametrize('moment', [RECEIVED, APPLIED, ANSWERED])
@pytest.mark.parametrize('step', STEPS, ids=name_of)
@pytest.mark.sampled(3)
def test_killed(ec2, machine, step, moment, how):
    killed(ec2, machine, step, moment)
    go_on(ec2, machine, how)


def killed(ec2, machine, step, moment):
    action, nth = step
    with start() as driver:
        machine.configure(driver)

        def kill(request):
            driver.process.kill()
            driver.process.wait()

        ec2.faults.hook(action, moment, kill, nth=nth)
        if moment == RECEIVED: # it never came
            ec2.faults.add(action, Close(), nth=nth)
        with contextlib.suppress(ProtocolError, BrokenPipeError):
            machine.finish(driver, 'create', timeout=RSA_S)
        driver.process.wait(20)
        ec2.log.wait(action, nth)
    assert not ec2.faults.pending()


@pytest.mark.parametrize('how', ['create', 'remove'])
@pytest.mark.parametrize('moment', [RECEIVED, APPLIED, ANSWERED])
@pytest.mark.parametrize('nth', [1, 2])
@pytest.mark.sampled(5)
def test_killed_in_a_create_with_another_key(ec2, machine, nth, moment, how):
    """The first import is refused: a cloud that is like EC2, and takes only keys of RSA."""
    ec2.account.only_rsa = True
    killed(ec2, machine, ('ImportKeyPair', nth), moment)
    go_on(ec2, machine, how)


FAULTS = {
    '500': lambda: Refuse(500, 'InternalError'),
    '500 applied': lambda: Refuse(500, 'InternalError', applied=True),
    'an unknown 500': lambda: Refuse(500, 'Bewilderment', applied=True),
    'throttled': Throttle,
    'closed': lambda: Close(),
    'closed applied': lambda: Close(applied=True),
    'reset applied': lambda: Close(applied=True, reset=True),
    'truncated': Truncate,
    'gateway': lambda: faults.not_xml(502),
}


@pytest.mark.parametrize('fault', FAULTS)
@pytest.mark.parametrize('step', STEPS, ids=name_of)
@pytest.mark.sampled(3)
def test_once_wrong(ec2, machine, step, fault):
    """A fault that passes is no matter at all: nobody has to create again."""
    action, nth = step
    ec2.faults.add(action, FAULTS[fault](), nth=nth)
    with start() as driver:
        machine.configure(driver)
        machine.finish(driver, 'create')
        assert not ec2.faults.pending()
    go_on(ec2, machine, 'create')


STAYING = {
    '500 applied': lambda: Refuse(500, 'InternalError', applied=True),
    'closed applied': lambda: Close(applied=True),
    'malformed': faults.malformed,
    'other XML': lambda: Instead('<ok><item/></ok>'),
    'empty': lambda: Instead(b''),
}


@pytest.mark.parametrize('how', ['create', 'remove'])
@pytest.mark.parametrize('fault', STAYING)
@pytest.mark.parametrize('step', CHANGES, ids=name_of)
@pytest.mark.sampled(3)
def test_wrong_to_the_end(ec2, machine, step, fault, how):
    """Done each time, and the driver never learns of it."""
    action, nth = step
    ec2.faults.add(action, STAYING[fault](), nth=nth, times=None)
    with start() as driver:
        machine.configure(driver, retries=2)
        with contextlib.suppress(DriverError):
            machine.finish(driver, 'create')
    ec2.faults.clear()
    go_on(ec2, machine, how)


@pytest.mark.parametrize('fault', ['500 applied', 'closed applied', 'malformed', 'empty'])
def test_a_launch_without_an_answer_may_exist(ec2, machine, fault):
    """The machine's record and its key have to stay."""
    ec2.faults.add('RunInstances', STAYING[fault](), times=None)
    with start() as driver:
        machine.configure(driver, retries=1)
        error = machine.fails(driver, 'create', 'unavailable' if 'applied' in fault else 'internal',
                              'launch the instance')
        assert error.data['mayExist'] and keys(ec2) == ['m1'] and len(running(ec2)) == 1
    ec2.faults.clear()
    go_on(ec2, machine, 'create')


@pytest.mark.parametrize('how', ['create', 'remove'])
@pytest.mark.parametrize('refused', range(6))
def test_refused_checkpoints(ec2, machine, refused, how):
    seen = []

    def refuse(state):
        seen.append(dict(state))
        if len(seen) > refused:
            raise DriverError({'code': -32000, 'message': 'disk full', 'data': {'kind': 'internal'}})
        machine.save(state)

    with start() as driver:
        machine.configure(driver)
        before = machine.state
        with pytest.raises(DriverError) if refused < 5 else contextlib.nullcontext():
            machine.finish(driver, 'create', on_checkpoint=refuse)
            assert machine.state != before
        if refused < 5:
            assert len(seen) >= refused + 1
            # what cannot be written down any more is not made any more
            assert (keys(ec2) == []) == (refused == 0)
            assert (running(ec2) == []) == (refused < 4), seen
    go_on(ec2, machine, how)


@pytest.mark.parametrize('when', ['ImportKeyPair', 'CreateSecurityGroup', 'RunInstances', 'DescribeSecurityGroups'])
def test_cancelled(ec2, machine, when):
    with start() as driver:
        machine.configure(driver)
        ec2.faults.hook(when, APPLIED, lambda request: driver.notify('$/cancelRequest', id=driver.last_id))
        error = machine.fails(driver, 'create', 'canceled')
        assert error.message
        later = MAKING[MAKING.index(when) + 1:]
        assert not set(ec2.log.actions()) & {'RunInstances', 'CreateSecurityGroup'} & set(later)
    go_on(ec2, machine, 'create')


# with the usual pauses, and the usual time for which a launch counts as not yet answered, and an instance as new
UNHURRIED = {'MACHINE_DRIVER_PAUSE_MS': '500'}


# what is new is not known everywhere at once

@pytest.mark.parametrize('always', [False, True], ids=['look-ups', 'everything'])
@pytest.mark.parametrize('kind', ['instance', 'security-group', 'key-pair'])
def test_not_known_at_once(ec2, machine, kind, always):
    ec2.account.lag[kind], ec2.account.lag_always = 2, always
    with start(**(UNHURRIED if kind == 'instance' else {})) as driver:
        machine.configure(driver).finish(driver, 'create')
    go_on(ec2, machine, 'create')


@pytest.mark.parametrize('count', [1, 2])
def test_known_and_then_not(ec2, machine, count):
    """An instance that was seen is not seen once more within its first minute: it is not gone, whoever asks."""
    with start(**UNHURRIED) as driver:
        machine.configure(driver)
        assert machine.once(driver, 'create')['waitFor'] == 'Running'
        other = Machine(ec2, machine.store.parent / 'other', 'm2', 'b' * 32)
        other.create(driver)
        hidden = ec2.account.things['instance'][machine.state['InstanceId']]
        hidden['_hidden'] = 1
        references = [machine.reference(), other.reference()][:count]
        first, again = (driver.call('states', machines=references)['machines'][0] for _ in range(2))
        assert first['state'] == 'Starting' and hidden['InstanceId'] in first['message']
        assert 'message' not in again and again['state'] in ('Starting', 'Running')
        hidden['_hidden'] = 2
        with start(**UNHURRIED) as another:
            (young,) = another.call('states', machines=[machine.reference('')])['machines']
            assert young['state'] == 'Starting' and 'yet' in young['message']
        machine.grow_older(60)
        (gone,) = driver.call('states', machines=[machine.reference()])['machines']
        assert gone['state'] == 'Error' and 'does not exist' in gone['message']
        other.finish(driver, 'remove')
    go_on(ec2, machine, 'create')


def test_resumed_without_its_instance(ec2, machine):
    """Somebody has terminated it, and Amazon forgotten: that has an end, and is no wait for half an hour."""
    ec2.account.lag['instance'] = 2
    with start() as driver:
        machine.configure(driver)
        for _ in range(4): # the first does not look
            machine.once(driver, 'create')
        assert machine.state['Unseen'] == 0 # it was seen
        ec2.account.forget(machine.state['InstanceId'])
        ec2.log.clear()
        machine.fails(driver, 'create', 'notFound', machine.state['InstanceId'], 'does not exist')
        assert ec2.log.count('DescribeInstances') == 21 and machine.waits == [None] * 20
        machine.finish(driver, 'remove')
        assert keys(ec2) == []


def test_removed_while_not_known(ec2, machine):
    """`NotFound` for an instance that nobody has seen yet is not that it is gone."""
    ec2.account.lag['instance'], ec2.account.lag_always = 4, True
    with start(**UNHURRIED) as driver:
        machine.configure(driver)
        machine.once(driver, 'create')
        machine.finish(driver, 'remove')
        assert running(ec2) == [] and only_groups(ec2) and set(machine.waits) == {None}


def kill_at_launch(ec2, machine, moment=APPLIED):
    """The launch is not answered; at RECEIVED it is not carried out, either. Its request."""
    with start(**UNHURRIED) as driver:
        machine.configure(driver)
        ec2.faults.hook('RunInstances', moment, lambda request: driver.process.kill())
        if moment == RECEIVED:
            ec2.faults.add('RunInstances', Close())
        with pytest.raises((ProtocolError, BrokenPipeError)):
            machine.finish(driver, 'create')
        driver.process.wait(20)
        ec2.log.wait('RunInstances')
    assert not machine.state['InstanceId']
    return ec2.log.of('RunInstances')[-1]


def test_killed_and_not_known(ec2, machine):
    """The launch was not answered, and its instance does not show yet."""
    ec2.account.lag['instance'] = 8
    kill_at_launch(ec2, machine)
    assert len(running(ec2)) == 1
    go_on(ec2, machine, 'remove', **UNHURRIED)
    assert len(launched(ec2)) == 1


def test_removed_before_it_is_launched(ec2, machine):
    """The launch was not answered, and is still being carried out."""
    request = kill_at_launch(ec2, machine, RECEIVED)
    ec2.faults.hook('DescribeInstances', RECEIVED,
                    lambda _: ec2.service.apply(request, 'RunInstances'), nth=4)
    go_on(ec2, machine, 'remove', **UNHURRIED)
    assert len(launched(ec2)) == 1 and not ec2.faults.pending()


REFUSALS = {'capacity': (faults.no_capacity, 'quota'), 'parameter': (lambda: Refuse(400, 'InvalidParameterValue'), 'user'),
            'permission': (lambda: Refuse(403, 'UnauthorizedOperation'), 'auth'), 'throttled': (Throttle, 'throttled')}


@pytest.mark.parametrize('name', REFUSALS)
def test_no_search_for_what_was_refused(ec2, machine, name):
    """There is surely no instance: a remove needs neither to look nor to wait for one."""
    refusal, kind = REFUSALS[name]
    ec2.faults.add('RunInstances', refusal(), times=None)
    with start(**UNHURRIED) as driver:
        machine.configure(driver, retries=0)
        machine.fails(driver, 'create', kind)
        assert (machine.state['Id'], machine.state['OrderedAt']) == ('', 0)
        machine.finish(driver, 'remove')
        assert machine.waits == [] and ec2.log.count('DescribeInstances') == 0 and only_groups(ec2)


@pytest.mark.parametrize('first', ['another process', 'the same'])
def test_refused_after_one_that_was_not_answered(ec2, machine, first):
    """What the first may have launched is looked and waited for still."""
    refusal = Refuse(400, 'InstanceLimitExceeded')
    if first == 'the same':
        ec2.faults.add('RunInstances', Close())
    else:
        kill_at_launch(ec2, machine, RECEIVED)
    ec2.faults.add('RunInstances', refusal, nth=1 + (first == 'the same'))
    with start(**UNHURRIED) as driver:
        if first == 'the same':
            machine.configure(driver)
        machine.fails(driver, 'create', 'quota', 'InstanceLimitExceeded')
        assert machine.state['Id'] and machine.state['OrderedAt'] and keys(ec2) == ['m1']
    request = ec2.log.of('RunInstances')[0]
    ec2.faults.hook('DescribeInstances', RECEIVED, lambda _: ec2.service.apply(request, 'RunInstances'), nth=3)
    go_on(ec2, machine, 'remove', **UNHURRIED)
    assert len(launched(ec2)) == 1 and not ec2.faults.pending()


def test_waited_for_from_the_lost_answer_on(ec2, machine):
    """However long it took until it was clear that there is none."""
    def save(state):
        machine.save(state if ec2.log.count('RunInstances') else {**state, 'OrderedAt': min(1, state['OrderedAt'])})

    ec2.account.lag['instance'] = 3
    ec2.faults.add('RunInstances', Close(applied=True), times=None)
    with start(**UNHURRIED) as driver:
        machine.configure(driver, retries=0)
        with pytest.raises(DriverError):
            machine.finish(driver, 'create', on_checkpoint=save)
    ec2.faults.clear()
    go_on(ec2, machine, 'remove', **UNHURRIED)
    assert len(launched(ec2)) == 1


def test_another_launch_with_the_same_token(ec2, machine):
    """What was launched is the machine, though it would be launched otherwise today."""
    kill_at_launch(ec2, machine)
    machine.state = {**machine.state, 'InstanceType': 't3.small'}
    go_on(ec2, machine, 'create')


def test_another_launch_that_shows_late(ec2, machine):
    ec2.account.lag['instance'] = 3
    kill_at_launch(ec2, machine)
    machine.state = {**machine.state, 'InstanceType': 't3.small'}
    go_on(ec2, machine, 'create')


def test_another_launch_that_does_not_show(ec2, machine):
    """It has been launched, that much is sure: nothing of it is given up."""
    kill_at_launch(ec2, machine)
    machine.state = {**machine.state, 'InstanceType': 't3.small'}
    with start() as driver:
        ec2.account.denied.add('DescribeInstances')
        error = machine.fails(driver, 'create', 'auth', 'launched by an earlier attempt', 'UnauthorizedOperation')
        assert error.data['mayExist'] and keys(ec2) == ['m1']
        ec2.account.denied.clear()
        hidden = launched(ec2)[0]
        hidden['_hidden'] = 21
        error = machine.fails(driver, 'create', 'notFound', 'launched by an earlier attempt', 'remove the machine')
        assert error.data['mayExist'] and keys(ec2) == ['m1'] and hidden['_hidden'] == 0
    go_on(ec2, machine, 'remove')


# whose key it is

def test_key_of_somebody_else(ec2, machine):
    """The name was taken between the check and the create: it is theirs, and stays."""
    with start() as driver:
        machine.configure(driver).check(driver)
        other = Machine(ec2, machine.store.parent / 'other', ident='b' * 32)
        other.configure(driver)
        other.finish(driver, 'create')
        before = ec2.account.all('key-pair')
        machine.fails(driver, 'create', 'exists', 'm1')
        machine.finish(driver, 'remove')
        assert ec2.account.all('key-pair') == before and len(running(ec2)) == 1
        machine.fails(driver, 'preCreateCheck', 'exists', 'm1', '--amazonec2-keypair-name')
        other.finish(driver, 'remove')


def test_key_that_was_given(ec2, machine, tmp_path):
    """It was there before, and stays."""
    own = tmp_path / 'own'
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', own], check=True)
    with start() as driver:
        machine.configure(driver, keypair_name='mine', ssh_keypath=str(own))
        machine.fails(driver, 'preCreateCheck', 'user', '--amazonec2-keypair-name mine')
        ec2.account.add('key-pair', 'mine', {'KeyName': 'mine', 'KeyPairId': 'key-0', 'Tags': [], '_public': ''})
        ec2.account.initial['key-pair'].add('mine')
        machine.check(driver).finish(driver, 'create')
        assert ec2.log.count('ImportKeyPair') == 0 and ec2.log.of('RunInstances')[-1].params['KeyName'] == 'mine'
        copy = machine.folder / 'own'
        assert machine.state['SSHKeyPath'] == str(copy) and copy.read_text() == own.read_text()
        assert copy.stat().st_mode & 0o777 == 0o600
        machine.finish(driver, 'remove')
        assert keys(ec2) == ['mine'] and ec2.log.count('DeleteKeyPair') == 0


def test_key_file_that_was_given(ec2, machine, tmp_path):
    """The key is the user's, the pair the machine's."""
    own = tmp_path / 'own'
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', own], check=True)
    with start() as driver:
        machine.configure(driver, ssh_keypath=str(own)).check(driver).finish(driver, 'create')
        assert ec2.account.all('key-pair')[0]['_public'].split()[1] in (tmp_path / 'own.pub').read_text()
        machine.finish(driver, 'remove')
        assert keys(ec2) == []


# a create that is refused leaves nothing to pay for

def test_no_capacity(ec2, machine):
    ec2.faults.add('RunInstances', faults.no_capacity(), times=None)
    with start() as driver:
        machine.configure(driver)
        error = machine.fails(driver, 'create', 'quota', 'InsufficientInstanceCapacity', 'launch the instance')
        assert not error.data['mayExist'] and not error.data['retryable']
        assert ec2.log.actions()[-1] == 'DeleteKeyPair' and ec2.log.count('RunInstances') == 1
        assert only_groups(ec2) and machine.state['KeyName'] == ''
        machine.finish(driver, 'remove')
        assert ec2.log.count('TerminateInstances') == 0 and ec2.log.count('DeleteKeyPair') == 1
        ec2.faults.clear()
    go_on(ec2, machine, 'create') # and later it may go


@pytest.mark.parametrize('existing', [False, True])
def test_remove_of_what_was_never_made(ec2, machine, existing):
    """It needs neither the network nor credentials."""
    key = {'keypair_name': 'mine', 'ssh_keypath': '/nonexistent'} if existing else {}
    with start() as driver:
        machine.configure(driver, keys=False, **key).finish(driver, 'remove')
        assert ec2.log.actions() == []
        (said,) = warnings(driver)
        assert 'no instance' in said


def test_remove_of_what_is_not_known(ec2, machine):
    """It may be another account's, or gone: that is said."""
    with start() as driver:
        machine.configure(driver).finish(driver, 'create')
        identity = machine.state['InstanceId']
        ec2.account.forget(identity)
        machine.state['KeyName'] = ''
        machine.finish(driver, 'remove')
        unknown, no_key = warnings(driver)
        assert f'{identity} is not known in us-east-1' in unknown and 'another account' in unknown
        assert 'no key pair' in no_key


def test_every_step_of_remove_is_tried(ec2, machine):
    with start() as driver:
        machine.configure(driver, request_spot_instance=True).finish(driver, 'create')
        ec2.account.denied |= {'TerminateInstances', 'CancelSpotInstanceRequests'}
        error = machine.fails(driver, 'remove', 'auth', 'terminate the instance', 'cancel the spot request')
        assert keys(ec2) == [] and len(running(ec2)) == 1 and not error.data['retryable']
        ec2.account.denied.discard('TerminateInstances')
        ec2.faults.add('TerminateInstances', Refuse(500, 'InternalError'), times=None)
        error = machine.fails(driver, 'remove', 'unavailable', 'terminate the instance', 'cancel the spot request')
        assert error.data['retryable'] and error.data['mayExist']
        ec2.faults.clear()
        ec2.account.denied.clear()
        machine.finish(driver, 'remove')
        assert only_groups(ec2)


@pytest.mark.parametrize('moment', [RECEIVED, APPLIED, ANSWERED])
@pytest.mark.parametrize('action', ['TerminateInstances', 'DeleteKeyPair', 'CancelSpotInstanceRequests'])
def test_killed_in_remove(ec2, machine, action, moment):
    with start() as driver:
        machine.configure(driver, request_spot_instance=True).finish(driver, 'create')

        def kill(request):
            driver.process.kill()
            driver.process.wait()

        ec2.faults.hook(action, moment, kill)
        if moment == RECEIVED:
            ec2.faults.add(action, Close())
        with contextlib.suppress(ProtocolError, BrokenPipeError):
            machine.finish(driver, 'remove')
        driver.process.wait(20)
    go_on(ec2, machine, 'remove')
