"""The guide's example driver, in C with the SDK and in Python from PROTOCOL.md alone."""

import json
import re
import subprocess
import time

import pytest

from cli import TOP
from driverclient import Driver, DriverError, driver_file, reference

DRIVERS = {'example': driver_file('example'),
           'pyexample': TOP / 'drivers' / 'sdk' / 'example' / 'machine-driver-pyexample'}
LIMIT = {'example': ('example.c', 175), 'pyexample': ('machine-driver-pyexample', 150)}


@pytest.fixture(params=sorted(DRIVERS))
def name(request):
    return request.param


@pytest.fixture
def driver(name):
    with Driver(DRIVERS[name]) as the_driver:
        yield the_driver


def configured(driver, name, root):
    return driver.configure({f'{name}-root': str(root)})


def finish(driver, method, state, **kwargs):
    """Does the host's waiting. Returns the state."""
    end = time.monotonic() + 20
    waited = False
    while time.monotonic() < end:
        outcome = driver.call(method, machine=reference(state=state), **kwargs)
        state = outcome.get('state', state)
        if outcome['status'] == 'done':
            return state, waited
        assert outcome['status'] == 'wait' and outcome['waitFor'] == 'Running'
        waited = True
        while driver.report(reference(state=state))['state'] != 'Running':
            assert time.monotonic() < end
            time.sleep(outcome['retryAfterMs'] / 1000)
    raise AssertionError('no end')


def test_is_short(name):
    file, limit = LIMIT[name]
    text = (TOP / 'drivers' / 'sdk' / 'example' / file).read_text()
    assert len(text.splitlines()) < limit


def test_by_hand(name):
    """The guide's line for the shell."""
    guide = (TOP / 'drivers' / 'sdk' / 'WRITING-DRIVERS.md').read_text()
    (line,) = re.findall(r"`(printf '.*) \| \./machine-driver-NAME`", guide)
    run = subprocess.run(['bash', '-c', f'{line} | "$0"', DRIVERS[name]], capture_output=True, timeout=20)
    head, _, body = run.stdout.partition(b'\r\n\r\n')
    assert run.returncode == 0 and head == b'Content-Length: %d' % len(body), run
    assert json.loads(body)['result']['driver']['name'] == name


def test_life_of_a_machine(driver, name, tmp_path):
    state = configured(driver, name, tmp_path)
    assert driver.call('preCreateCheck', machine=reference(state=state)) == {}
    assert driver.report(reference(state=state))['state'] == 'Error'
    assert not list(tmp_path.iterdir())
    state, waited = finish(driver, 'create', state)
    assert waited and len(list(tmp_path.iterdir())) == 1
    assert finish(driver, 'create', state) == (state, False)
    for method, expected in [('start', 'Running'), ('stop', 'Stopped'), ('stop', 'Stopped'),
                             ('start', 'Running'), ('kill', 'Stopped')]:
        after, _ = finish(driver, method, state)
        assert after == state
        assert driver.report(reference(state=state))['state'] == expected
    for _ in range(2):
        finish(driver, 'remove', state)
    assert driver.report(reference(state=state))['state'] == 'Error'
    assert not list(tmp_path.iterdir())
    assert driver.end() == 0


def test_written_down_before_it_is_made(driver, name, tmp_path):
    seen = []

    def look(state):
        seen.append((state.get('FolderId'), len(list(tmp_path.iterdir()))))

    state = configured(driver, name, tmp_path)
    finish(driver, 'create', state, on_checkpoint=look)
    assert seen[0] == (None, 0) and seen[1] == (next(tmp_path.iterdir()).stat().st_ino, 1)


def test_refused_checkpoint_creates_nothing(driver, name, tmp_path):
    def refuse(_):
        raise DriverError({'code': -32000, 'message': 'disk full', 'data': {'kind': 'internal'}})

    state = configured(driver, name, tmp_path)
    with pytest.raises(DriverError):
        driver.call('create', machine=reference(state=state), on_checkpoint=refuse)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('step', [0, 1])
def test_killed_in_create(name, tmp_path, step):
    """Whatever was checkpointed is enough to finish, or to remove."""
    with Driver(DRIVERS[name]) as driver:
        state = configured(driver, name, tmp_path)
        driver.request('create', machine=reference(state=state))
        while len(driver.checkpoints) <= step:
            message = driver.receive()
            if message.get('method') != 'checkpoint':
                continue
            driver.checkpoints.append(message['params']['state'])
            if len(driver.checkpoints) <= step:
                driver.send({'id': message['id'], 'result': {}})
        driver.process.kill()
    saved = driver.checkpoints[step]
    with Driver(DRIVERS[name]) as driver:
        resumed, _ = finish(driver, 'create', dict(saved))
        assert len(list(tmp_path.iterdir())) == 1
        finish(driver, 'remove', resumed)
        assert not list(tmp_path.iterdir())
        finish(driver, 'remove', dict(saved))


def test_cancel_while_checkpointing(driver, name, tmp_path):
    state = configured(driver, name, tmp_path)
    ident = driver.request('create', machine=reference(state=state))

    def cancel(_):
        driver.notify('$/cancelRequest', id=ident)

    with pytest.raises(DriverError) as caught:
        driver.answer(ident, on_checkpoint=cancel)
    assert caught.value.kind == 'canceled' and not list(tmp_path.iterdir())


def test_input_ends_while_checkpointing(driver, name, tmp_path):
    state = configured(driver, name, tmp_path)
    driver.request('create', machine=reference(state=state))
    assert driver.receive()['method'] == 'checkpoint'
    assert driver.end(2) == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('message, ident, code', [
    (b'{', None, -32700), (b'"\xff"', None, -32700), (b'[' * 65 + b']' * 65, None, -32700),
    (b'[' * 100000, None, -32700), (b'[]', None, -32600), (b'1', None, -32600),
    (b'{"jsonrpc": "1.0", "id": 77, "method": "states"}', 77, -32600),
    (b'{"jsonrpc": "2.0", "id": 77}', 77, -32600),
    (b'{"jsonrpc": "2.0", "id": "x", "method": "states"}', None, -32600),
    (b'{"jsonrpc": "2.0", "id": 77, "method": "nonsense"}', 77, -32601),
    (b'{"jsonrpc": "2.0", "id": 77, "method": "states"}', 77, -32602),
    (b'{"jsonrpc": "2.0", "id": 77, "method": "configure", "params": {}}', 77, -32602),
])
def test_wrong_messages(driver, message, ident, code):
    driver.raw(b'Content-Length: %d\r\n\r\n%s' % (len(message), message))
    answer = driver.receive()
    assert (answer['id'], answer['error']['code']) == (ident, code)
    driver.call('initialize', protocolVersions=[1]) # and it goes on


@pytest.mark.parametrize('data', [
    b'hello\r\n\r\n', b'Content-Length: x\r\n\r\n{}', b'Content-Length: -1\r\n\r\n',
    b'Content-Length: 0\r\n\r\n', b'Content-Length: 99999999\r\n\r\n', b'X: y\r\n\r\n{}',
    b'Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}', b'X: ' + b'y' * 1024,
])
def test_broken_frames(driver, data):
    driver.raw(data)
    assert driver.process.wait(5) not in (0, None)


def test_odd_but_good_frames(driver):
    body = b'{"jsonrpc":"2.0","id":5,"method":"states","params":{"machines":[]}}'
    head = b'x-other: 1\r\ncontent-LENGTH:%d \r\n\r\n' % len(body)
    for byte in head + body: # one at a time
        driver.raw(bytes([byte]))
    assert driver.receive()['result'] == {'machines': []}
    driver.raw((head + body) * 3)
    for _ in range(3):
        assert driver.receive()['result'] == {'machines': []}


def test_silence_before_initialize(name):
    with Driver(DRIVERS[name], hello=False) as driver:
        assert driver.silent()
        with pytest.raises(DriverError) as caught:
            driver.call('states', machines=[])
        assert caught.value.code == -32002
        with pytest.raises(DriverError) as caught:
            driver.call('initialize', protocolVersions=[99])
        assert caught.value.kind == 'notSupported' and '1' in caught.value.message
        assert driver.call('initialize', protocolVersions=[99, 1])['protocolVersion'] == 1
        assert driver.end() == 0


def test_needs_its_flag(driver, name):
    with pytest.raises(DriverError) as caught:
        driver.configure({f'{name}-root': ''})
    assert caught.value.kind == 'user' and f'--{name}-root' in caught.value.message


def test_restart_is_not_supported(driver):
    with pytest.raises(DriverError) as caught:
        driver.call('restart', machine=reference())
    assert caught.value.kind == 'notSupported'
