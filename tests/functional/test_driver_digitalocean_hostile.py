"""The driver digitalocean and servers that hang, lie or never end; what it never tells."""

import pytest

import dodriver
from dodriver import Machine, cloud, machine # noqa: F401
from driverclient import DriverError
from fakes.digitalocean import DigitalOcean
from fakes.httpfake import Delay, Endless, Garbage, Instead, ManyHeaders, Redirect, Refuse, Slow, Truncate

TIMEOUT = {'MACHINE_DRIVER_TIMEOUT_MS': '400'}
DEEP = b'{"droplet":' + b'[' * 100000


def hostile(machine, fault, *texts, kind='internal', seconds=20, **more):
    with dodriver.start(**more) as driver:
        machine.configure(driver)
        machine.cloud.faults.add('list_regions', fault, times=None)
        with pytest.raises(DriverError) as caught:
            driver.call('preCreateCheck', timeout=seconds, machine=machine.reference())
        assert caught.value.kind == kind, caught.value.message
        assert all(text in caught.value.message for text in ('look up the region', 'DigitalOcean', *texts)), \
            caught.value.message
        assert driver.report(machine.reference())['state'] == 'Error' # it is as good as before
        peak = [line for line in open(f'/proc/{driver.process.pid}/status') if line.startswith('VmHWM')]
        assert int(peak[0].split()[1]) < 400 << 10
    return caught.value


@pytest.mark.parametrize('status', [301, 302, 303, 307, 308])
def test_redirects_are_refused(machine, status):
    with DigitalOcean() as other:
        hostile(machine, Redirect(other.url + '/v2/regions', status), str(status), 'redirect')
        assert not other.log.requests
    assert machine.cloud.log.count('list_regions') == 1


def test_endless_body(machine):
    hostile(machine, Endless(), 'too large')


def test_endless_headers(machine):
    hostile(machine, ManyHeaders(), 'too large')


def test_deep_json(machine):
    hostile(machine, Instead(DEEP), 'not JSON')


@pytest.mark.parametrize('body', [b'{', b'<html>', b'{}', b'[]', b'null', b'{"regions": 5}', b'{"regions": {"slug": 1}}',
                                  b'\xff', b'{"regions": [], "x": "\xff"}', b'', b'{"regions":[]} x'])
def test_malformed(machine, body):
    hostile(machine, Instead(body))


@pytest.mark.parametrize('body', [b'{"regions": []}', b'{"regions": [1, null, {"slug": 5}]}',
                                  b'{"regions": [], "links": 1}', b'{"regions": [], "links": {"pages": []}}'])
def test_empty_lists(machine, body):
    machine.cloud.faults.add('list_regions', Instead(body))
    with dodriver.start() as driver:
        machine.configure(driver)
        with pytest.raises(DriverError, match='no such region'):
            driver.call('preCreateCheck', machine=machine.reference())


def test_pages_without_end(machine):
    body = b'{"regions": [{"slug": "x"}], "links": {"pages": {"next": "http://203.0.113.9/"}}}'
    hostile(machine, Instead(body), 'more than 100 pages')


def test_truncated(machine):
    hostile(machine, Truncate(), kind='unavailable')
    assert machine.cloud.log.count('list_regions') == 6


def test_no_http(machine):
    hostile(machine, Garbage(), 'not HTTP')


@pytest.mark.parametrize('fault', [lambda: Slow(0.05), lambda: Delay(5)])
def test_slow_answers(machine, fault):
    hostile(machine, fault(), 'timed out', kind='timeout', **TIMEOUT)
    assert 1 < machine.cloud.log.count('list_regions') <= 6


def test_slow_after_it_was_done(machine):
    """A timeout after success: there is one droplet."""
    machine.cloud.faults.add('create_droplet', Delay(5, applied=True))
    with dodriver.start(**TIMEOUT) as driver:
        machine.configure(driver).finish(driver, 'create')
        machine.one_of_each()
        machine.finish(driver, 'remove')


def test_nobody_listens(tmp_path):
    """Fails at once, and says whom it asked."""
    with DigitalOcean() as fake:
        machine = Machine(fake, tmp_path)
        with dodriver.start() as driver:
            machine.configure(driver)
    with dodriver.start() as driver:
        error = machine.fails(driver, 'create', 'unavailable', 'import the SSH key', fake.address)
        assert not error.data['mayExist']


def test_a_connection_that_comes_back(machine):
    """What nobody got may be sent again."""
    with dodriver.start() as driver:
        machine.configure(driver).finish(driver, 'create')
        assert machine.cloud.log.connections() < len(machine.cloud.log.requests)
        machine.finish(driver, 'remove')


# secrets

@pytest.mark.parametrize('debug', [False, True])
def test_secrets_are_nowhere(machine, tmp_path, debug):
    secret = 'hunter2"\\hunter2 \n#'
    (tmp_path / 'data').write_text(f'#cloud-config\npassword: |\n  {secret}\n')
    cloud = machine.cloud
    errors = []
    with dodriver.start(debug=debug) as driver:
        machine.configure(driver, userdata=str(tmp_path / 'data'))
        echo = f'you said {cloud.token}'
        for action, fault in [('create_key', Refuse(500, 'server_error', echo)),
                              ('create_droplet', Refuse(422, 'unprocessable_entity', echo)),
                              ('get_droplet', Refuse(403, 'forbidden', echo)),
                              ('get_droplet', Refuse(401, 'unauthorized', echo))]:
            cloud.faults.add(action, fault)
            errors.append(machine.fails(driver, 'create', *{
                500: ['unavailable'], 422: ['user'], 403: ['auth'], 401: ['auth']}[fault.error[0]]))
        machine.finish(driver, 'create')
        machine.finish(driver, 'remove')
        assert driver.end() == 0
    said = driver.errors.decode() + str(driver.notifications) + ''.join(map(str, errors))
    assert ('POST http://' in said) == debug
    for text in cloud.token, 'PRIVATE KEY', 'hunter2', 'Bearer':
        assert text not in said, text
