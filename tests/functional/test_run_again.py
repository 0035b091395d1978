"""A command over SSH as a step of a request (O3, again): the driver is called again once it has succeeded."""

import json

import pytest

from sshd import USER, Sshd, keygen

DRIVER = '''#!/usr/bin/python3 -S
import json, sys
IN, OUT, PLAN = sys.stdin.buffer, sys.stdout.buffer, json.load(open(%r))

def create(state):
    calls = state.get('Calls', 0) + 1
    state = {**state, 'Calls': calls}
    if calls > PLAN['runs']:
        return {'status': 'done', 'state': state}
    return {'status': 'run', 'state': state, 'command': PLAN['command'], 'again': True}

def answer(method, p):
    state = p.get('machine', {}).get('state', {})
    if method == 'initialize':
        return {'protocolVersion': 1, 'driver': {'name': 'steps', 'version': '1', 'description': 'x'},
                'capabilities': {'provision': False}, 'environment': [], 'flags': []}
    if method == 'configure':
        return {'state': {}}
    if method == 'states':
        return {'machines': [{'state': 'Running', 'ip': '127.0.0.1', 'ssh': PLAN['ssh']} for _ in p['machines']]}
    return create(state) if method == 'create' else {'status': 'done', 'state': state} if method != 'preCreateCheck' else {}

while True:
    length = 0
    while (line := IN.readline()) not in (b'\\r\\n', b''):
        length = int(line.split(b':')[1])
    if not line:
        break
    m = json.loads(IN.read(length))
    if 'id' in m:
        body = json.dumps({'jsonrpc': '2.0', 'id': m['id'], 'result': answer(m['method'], m.get('params', {}))}).encode()
        OUT.write(b'Content-Length: %%d\\r\\n\\r\\n%%s' %% (len(body), body))
        OUT.flush()
'''


@pytest.fixture
def steps(cli, tmp_path):
    server = Sshd(tmp_path / 'sshd')
    key = keygen(tmp_path / 'key')
    server.authorize(key)
    folder = tmp_path / 'drivers'
    folder.mkdir()
    (folder / 'machine-driver-steps').write_text(DRIVER % str(tmp_path / 'plan'))
    (folder / 'machine-driver-steps').chmod(0o755)
    cli.env['MACHINE_DRIVER_PATH'] = str(folder)

    def plan(command, runs):
        (tmp_path / 'plan').write_text(json.dumps({'command': command, 'runs': runs, 'ssh': {
            'host': '127.0.0.1', 'port': server.port, 'user': USER, 'keyPath': str(key)}}))
    yield plan
    server.stop()


def test_called_again(steps, cli, tmp_path):
    steps(f'echo x >> {tmp_path}/ran', 2)
    cli.ok('create', '-d', 'steps', 'w1')
    assert cli.config('w1')['Driver']['Calls'] == 3 and (tmp_path / 'ran').read_text() == 'x\nx\n'


def test_not_after_a_failure(steps, cli):
    steps('echo out of luck >&2; exit 7', 1)
    result = cli.fails('create', '-d', 'steps', 'w1')
    assert 'out of luck' in result.err and 'exit status 7' in result.err
    assert cli.config('w1')['Driver']['Calls'] == 1
