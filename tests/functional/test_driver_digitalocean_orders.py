"""The driver digitalocean when it is asked for a droplet and not answered: there is one, late, or none."""

import json

import pytest

import dodriver
from dodriver import PATIENT, cloud, machine # noqa: F401
from driverclient import ProtocolError
from fakes.digitalocean import Late
from fakes.httpfake import RECEIVED, Close, Instead, Refuse

MINUTE = 12 # looks, one each five seconds


@pytest.mark.parametrize('end', ['create', 'remove'])
@pytest.mark.parametrize('killed', [True, False])
@pytest.mark.parametrize('late, lag', [(0, 3), (1, 0), (6, 2)])
def test_shows_late(machine, late, lag, killed, end):
    """The request is carried out after the driver is gone, or the connection; and lists lag behind."""
    cloud = machine.cloud
    cloud.account.list_lag = lag
    cloud.faults.add('create_droplet', Late(late))
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver)
        if killed:
            cloud.faults.hook('create_droplet', RECEIVED, lambda _: driver.process.kill())
            with pytest.raises((ProtocolError, BrokenPipeError)):
                machine.finish(driver, 'create')
            driver.process.wait(60)
        else:
            outcome = machine.once(driver, 'create')
            assert outcome['status'] == 'wait' and 'create the droplet' in outcome['message'], outcome
            assert 'waitFor' not in outcome
    machine.end_well(end, **PATIENT)
    assert cloud.log.count('create_droplet') == 1 and not cloud.account.late


def test_open_from_the_lost_answer_on(machine):
    """However long it took until it was clear that there is none."""
    cloud = machine.cloud

    def save(state):
        machine.save(state if cloud.log.count('create_droplet') else {**state, 'OrderedAt': min(1, state['OrderedAt'])})

    cloud.faults.add('create_droplet', Late(3))
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver)
        outcome = driver.call('create', machine=machine.reference(), on_checkpoint=save) # its state is lost
        assert outcome['status'] == 'wait'
    machine.end_well('remove', **PATIENT)
    assert cloud.log.count('create_droplet') == 1 and not cloud.account.late


def test_never_shows(machine):
    """After a minute it is asked for once more, with the same host key."""
    cloud = machine.cloud
    cloud.faults.add('create_droplet', Close(applied=False))
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver).finish(driver, 'create')
        assert machine.waits.count(None) == MINUTE
        machine.one_of_each()
        first, second = cloud.log.of('create_droplet')
        assert json.loads(first.body) == json.loads(second.body)
        machine.finish(driver, 'remove')


def test_never_shows_and_is_removed(machine):
    cloud = machine.cloud
    cloud.faults.add('create_droplet', Close(applied=False))
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver)
        machine.once(driver, 'create')
        machine.finish(driver, 'remove')
        assert len(machine.waits) == MINUTE and cloud.log.count('delete_key') == 1


def test_comes_after_the_second(machine):
    """Both are the machine's: rm takes both."""
    cloud = machine.cloud
    cloud.faults.add('create_droplet', Late(MINUTE + 2))
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver).finish(driver, 'create')
        machine.one_of_each()
        cloud.account.listed()
        cloud.account.listed()
        assert len(cloud.account.droplets) == 2
        machine.finish(driver, 'remove')
        assert cloud.log.actions()[-3:] == ['list_droplets', 'delete_droplet', 'delete_tag']


def test_the_second_is_not_answered_either(machine):
    """That is told, rather than one asked for each minute; who comes again finds what there is."""
    cloud = machine.cloud
    cloud.faults.add('create_droplet', Refuse(500, 'server_error', 'out of order'))
    cloud.faults.add('create_droplet', Late(1), nth=2)
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver)
        machine.fails(driver, 'create', 'unavailable', 'create the droplet')
        assert cloud.log.count('create_droplet') == 2
    machine.end_well('create', **PATIENT)
    assert cloud.log.count('create_droplet') == 2


@pytest.mark.parametrize('end', ['create', 'remove'])
def test_refused_after_one_that_was_not_answered(machine, end):
    """Nothing is waited for, but the first one's droplet is looked for still."""
    cloud = machine.cloud
    cloud.faults.add('create_droplet', Late(MINUTE + 1))
    cloud.faults.add('create_droplet', Refuse(403, 'forbidden'), nth=2)
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver)
        machine.fails(driver, 'create', 'auth')
        assert machine.state['OrderedAt'] == 0 and machine.state['MachineTag']
    machine.end_well(end, **PATIENT)
    assert cloud.log.count('create_droplet') == 2


def test_of_others(machine):
    """In a list that heeds no tag: neither taken nor deleted."""
    cloud = machine.cloud
    theirs = b'{"droplets": [{"id": 5, "tags": ["docker"]}, {"id": 6}, {"id": 7, "tags": 1}, 8]}'
    cloud.faults.add('create_droplet', Close(applied=False))
    cloud.faults.add('list_droplets', Instead(theirs), times=None)
    with dodriver.start(**PATIENT) as driver:
        machine.configure(driver)
        assert machine.once(driver, 'create')['status'] == 'wait' and machine.state['DropletID'] == 0
        machine.finish(driver, 'remove')
        assert not cloud.log.count('delete_droplet')
