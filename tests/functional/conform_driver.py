"""A driver that keeps every rule of PROTOCOL.md but one; which one is given to main().

Machines are folders below --broken-root. A folder's name is checkpointed before it is made, its
number afterwards; it "boots" until a file in it is old enough. `broken('X')` marks the places where
the rule X is broken. test_conform.py makes an executable for each.
"""

import json
import os
import re
import sys
import time

BREAK = ''
MAX_HEADER, MAX_BODY, MAX_DEPTH, BOOT_SECONDS = 1024, 8 << 20, 64, 0.05
FLAGS = [
    {'name': 'broken-root', 'type': 'string', 'env': 'BROKEN_ROOT', 'usage': 'folder', 'required': True},
    {'name': 'broken-token', 'type': 'string', 'secret': True, 'usage': 'a secret'},
    {'name': 'broken-size', 'type': 'int', 'default': 2, 'usage': 'how large'},
    {'name': 'broken-tag', 'type': 'list', 'usage': 'tags'},
    {'name': 'broken-fast', 'type': 'bool', 'usage': 'hurry'},
]
IN, OUT = sys.stdin.buffer, os.fdopen(os.dup(1), 'wb')


def broken(what):
    return BREAK == what


class Failure(Exception):
    def __init__(self, message, kind='internal', code=-32000):
        super().__init__(message)
        self.error = {'code': code, 'message': message}
        if code == -32000:
            self.error['data'] = {'kind': kind, 'retryable': False, 'retryAfterMs': 0, 'mayExist': False}


def send(**message):
    if not broken('R1'):
        message = {'jsonrpc': '2.0', **message}
    body = json.dumps(message).encode()
    if broken('J1') and message.get('result', {}).get('kind'):
        body = b'{"jsonrpc":"2.0",'
    OUT.write(b'Content-Length: %d\r\n\r\n%s' % (len(body), body))
    OUT.flush()


def end_of_input(busy):
    if broken('Q1-idle') and not busy:
        time.sleep(3600)
    if broken('Q1-busy') and busy:
        sys.exit(3)
    if broken('Q1-child') and os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    sys.exit(0)


def bad_frame(reason):
    sys.exit(0 if broken('F5') else reason)


def read_body(busy):
    if broken('F6'):
        head, _, body = os.read(0, 1 << 24).partition(b'\r\n\r\n')
        if not head:
            end_of_input(busy)
        length = re.search(rb'(?i)content-length: *(\d+)$', head)
        return body if length and len(body) == int(length[1]) else bad_frame('a broken frame')
    head, lengths = 0, []
    while (line := IN.readline(MAX_HEADER + 1)) != b'\r\n':
        if not line:
            end_of_input(busy)
        head += len(line)
        name, colon, value = line.partition(b':')
        if head > (1000 if broken('F4-header') else MAX_HEADER) or not line.endswith(b'\r\n') or not colon:
            bad_frame('no header line')
        if broken('F3') and name != b'Content-Length' and name.lower() == name.title().lower() != b'content-length':
            bad_frame('an unknown header')
        if name == b'Content-Length' or name.lower() == b'content-length' and not broken('F2'):
            lengths.append(value.strip())
    if len(lengths) != 1 or not lengths[0].isdigit() or not 0 < int(lengths[0]) <= MAX_BODY:
        bad_frame('no Content-Length')
    if broken('F4') and int(lengths[0]) > 1 << 20:
        bad_frame('too large for me')
    return IN.read(int(lengths[0]))


def depth(value):
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(map(depth, children), default=0)


def receive(busy=False):
    while True:
        try:
            message = json.loads(read_body(busy).decode(), parse_constant=int) # NaN is none
            if depth(message) > MAX_DEPTH and not broken('J2-depth'):
                raise ValueError
        except (ValueError, RecursionError):
            if broken('J2'):
                sys.exit('not JSON')
            send(id=None, error=Failure('parse error', code=-32700).error)
            continue
        if isinstance(message, dict) and ('method' in message or 'result' in message or 'error' in message):
            return message
        if not broken('R6-message'):
            ident = message.get('id') if isinstance(message, dict) else None
            send(id=ident, error=Failure('no message', code=-32600).error)


class Serving:
    own_ids = 0
    cancelled = False

    def __init__(self, message):
        self.id, self.method, self.params = message['id'], message['method'], message.get('params', {})

    def progress(self, text):
        send(method='progress', params={'request': self.id + broken('N1'), 'message': text})
        send(method='log', params={'level': 'loud' if broken('N2') else 'info', 'message': text})

    def checkpoint(self, state):
        Serving.own_ids += 1
        own = 1 if broken('R2') else Serving.own_ids
        params = {'request': self.id, 'state': state}
        if broken('M4-checkpoint'):
            params['state'] = {**state, 'Large': 'x' * (1 << 20)}
        if broken('C1'):
            del params['request']
        send(id=own, method='checkpoint', params=params)
        if broken('C4'):
            return
        while 'method' in (got := receive(busy=True)) or got.get('id') != own:
            if got.get('method') == '$/cancelRequest' and got['params'].get('id') == self.id:
                self.cancelled = True
        if 'error' in got and not broken('C3'):
            raise Failure('not saved')
        if self.cancelled:
            raise Failure('cancelled', 'internal' if broken('X2') else 'canceled')


def report(state):
    folder = state.get('Folder', '/nonexistent')
    if not os.path.isdir(folder):
        gone = {'state': 'Gone' if broken('S2') else 'Stopped' if broken('S5-state') else 'Error',
                'message': '' if broken('S5') else 'there is no such machine'}
        if broken('S4'):
            gone['probe'] = {'tcp': 'nowhere', 'open': 'Running', 'closed': 'Stopped'}
        return gone
    on = os.path.exists(folder + '/power')
    up = on and not broken('boots-never') and time.time() - os.stat(folder + '/power').st_mtime > BOOT_SECONDS
    url = 'tcp://127.0.0.1' if broken('S3') else 'tcp://127.0.0.1:2376'
    if broken('S7') or broken('S7-list'):
        keys = 'SHA256:x' if broken('S7-list') else [7]
        return {'state': 'Running' if up else 'Stopped', 'ssh': {'host': '127.0.0.1', 'hostKeys': keys}}
    return {'state': 'Running' if up else 'Starting' if on else 'Stopped', 'ip': '127.0.0.1', 'url': url}


def states(params):
    machines = params['machines']
    if machines and broken('S1-fails') and not machines[-1]['state'].get('Folder'):
        raise Failure('one of them is wrong')
    if broken('M2') and not all(m['id'] for m in machines):
        raise Failure('whose is this?')
    if broken('S6'):
        for m in machines:
            if os.path.isdir(m['dir']):
                open(m['dir'] + '/asked', 'a').write('x')
    reports = [report(m['state']) for m in machines]
    return {'machines': reports[::-1] if broken('S1-order') else reports}


def configure(params):
    machine, flags = params['machine'], params['flags']
    if not flags['broken-root'] and not broken('D1-required'):
        raise Failure('--broken-root is required', 'user')
    state = {**machine['state'], 'Root': flags['broken-root'] or '/', 'IPAddress': '127.0.0.1',
             'SSHPort': '22' if broken('M5') else 22, 'MachineName': machine['name'], 'Token': flags['broken-token']}
    if broken('M4-deep'):
        state['Deep'] = json.loads('[' * 32 + ']' * 32)
    if broken('M4-large'):
        state['Large'] = 'x' * (1 << 20)
    if broken('D1-writes'):
        open(machine['storePath'] + '/left', 'w').close()
    return {'state': state}


def hurt(serving, machine):
    """What some break while they create."""
    if broken('M3-name'):
        open(machine['dir'] + '/config.json', 'w').close()
    if broken('M3-mode'):
        with open(machine['dir'] + '/id_rsa', 'w') as f:
            f.write('-----BEGIN RSA PRIVATE KEY-----\n')
        os.chmod(machine['dir'] + '/id_rsa', 0o644)
    if broken('P4'):
        open(machine['storePath'] + '/machines/other', 'w').close()
    if broken('F1'):
        OUT.write(b'creating...\n')
        OUT.flush()
    if broken('D3-hangs'):
        time.sleep(3600)
    while broken('D3-floods'):
        serving.progress('again')
    if broken('D3-dies') or broken('D3-child') and os.fork():
        os.abort()
    if broken('D3-child'):
        time.sleep(60) # with the driver's pipes
    if broken('D3-closes'):
        os.close(1)
        OUT.close()
        time.sleep(3600)


def power_on(serving, machine, state):
    if 'Folder' not in state:
        state['Folder'] = f"{state['Root']}/{machine['name']}-{machine['id']}"
        serving.checkpoint(state)
    while broken('C1-endless'):
        serving.checkpoint(state)
    hurt(serving, machine)
    if not os.path.isdir(state['Folder']) or broken('D3-again') and 'Number' not in state:
        os.mkdir(state['Folder'])
    if 'Number' not in state:
        state['Number'] = os.stat(state['Folder']).st_ino
        serving.checkpoint(state)
    serving.progress('token ' + state['Token'] if broken('G4-shown') else 'booting')
    os.close(os.open(state['Folder'] + '/power', os.O_CREAT, 0o600))
    if report(state)['state'] == 'Running' and not (broken('D3-waits') and serving.method == 'create'):
        return {'status': 'done', 'state': state}
    if broken('D3-waits') and report(state)['state'] == 'Running' and not os.path.exists(machine['dir'] + '/seen'):
        open(machine['dir'] + '/seen', 'w').close()
        return {'status': 'done', 'state': state}
    after = 5 if broken('O2') else 100
    return {'status': 'wait', 'waitFor': 'Running', 'retryAfterMs': after, 'state': state}


def action(serving):
    machine, method = serving.params['machine'], serving.method
    state, was = dict(machine['state']), report(machine['state'])['state']
    if broken('M4'):
        state.pop('XConformUnknown', None)
    folder = state.get('Folder', '/nonexistent')
    if method == 'restart':
        if broken('O3'):
            return {'status': 'run'}
        raise Failure('' if broken('E1') else 'a restart is too much', 'notSupported')
    if method == 'remove' and (broken('D4-never') and 'Folder' not in state or
                               broken('D4-twice') and 'Folder' in state and was == 'Error'):
        raise Failure('there is no such machine', 'notFound')
    if method in ('create', 'start'):
        return power_on(serving, machine, state)
    if method == 'stop' and was == 'Stopped' and broken('D5'):
        raise Failure('it is stopped', 'notRunning')
    if os.path.exists(folder + '/power'):
        os.remove(folder + '/power')
    if method == 'remove' and os.path.isdir(folder):
        os.rmdir(folder)
    return {'status': 'ok' if broken('O1') else 'done', 'state': state}


def hello(params, count):
    if 1 not in params['protocolVersions'] and not broken('I1-other'):
        raise Failure('this speaks version 1', 'notSupported')
    result = {'protocolVersion': 2 if broken('I1') else 1,
              'driver': {'name': 'other' if broken('I2') else 'broken', 'version': '1', 'description': 'Keeps all rules but one'},
              'capabilities': {'maxWorkers': 0 if broken('I3') else 4},
              'environment': ['LD_PRELOAD'] if broken('I4') else [], 'flags': [dict(f) for f in FLAGS]}
    if broken('G1'):
        result['flags'].append({'name': 'tls-san', 'type': 'list'})
    for rule, member, value in ('G2', 'env', 'A-B'), ('G3', 'default', 7), ('G4', 'usage', 'two\nlines'):
        if broken(rule):
            result['flags'][0][member] = value
    if broken('I6') and count:
        result['driver']['version'] = '2'
    return result


def refuse_unknown(params):
    def odd(value):
        return isinstance(value, dict) and any('xConform' in k or odd(v) for k, v in value.items())
    if broken('J3') and odd(params):
        raise Failure('an unknown member', code=-32602)


def serve(serving, count):
    method, params = serving.method, serving.params
    refuse_unknown(params)
    if method == 'initialize':
        return hello(params, count)
    if method == 'states':
        return states(params)
    if method == 'configure':
        return configure(params)
    if method == 'preCreateCheck':
        if broken('G4-error'):
            raise Failure('the token ' + params['machine']['state']['Token'] + ' is no good', 'auth')
        if broken('D2'):
            open(params['machine']['storePath'] + '/checked', 'w').close()
        return {}
    if method == 'upgradeInfo':
        return {'kind': 'os' if broken('D6') else 'engine'}
    if method in ('create', 'start', 'stop', 'restart', 'kill', 'remove'):
        return action(serving)
    raise Failure('unknown method', code=-32000 if broken('R5') else -32601)


def answer(serving, count):
    try:
        result = serve(serving, count)
        if broken('R4'):
            send(id=serving.id, result=result, error=None)
        elif broken('C1-states') and serving.method == 'states' and serving.params['machines']:
            serving.checkpoint(serving.params['machines'][0]['state'])
            send(id=serving.id, result=result)
        else:
            send(id=serving.id, result=result)
        if broken('R7') and serving.method == 'states':
            send(id=serving.id, result=result)
        return True
    except (LookupError, TypeError, ValueError, AttributeError) as e:
        send(id=serving.id, error=Failure(f'wrong params: {e!r}', code=-32000 if broken('R6-params') else -32602).error)
    except (Failure, OSError) as e:
        send(id=serving.id, error=getattr(e, 'error', Failure(str(e)).error))
    return False


def notified(message):
    if message['method'] == '$/cancelRequest' and broken('X4'):
        sys.exit('cancelled what?')
    if message['method'] != '$/cancelRequest' and broken('R5-notification'):
        send(id=None, error=Failure('unknown notification', code=-32601).error)


def main(rule):
    global BREAK
    BREAK = rule
    os.dup2(2, 1) # what is printed must not break a frame
    if broken('R8'):
        send(method='log', params={'level': 'info', 'message': 'hello'})
    if broken('I1-hangs'):
        time.sleep(3600)
    hellos = 0
    while message := receive():
        if 'method' not in message:
            continue
        if 'id' not in message:
            notified(message)
            continue
        serving = Serving(message)
        if not hellos and serving.method != 'initialize' and not broken('R9'):
            error = Failure('initialize comes first', code=-32002).error
            if broken('E2') or broken('E3'):
                error['data'] = {'kind': 'weird'} if broken('E2') else {'kind': 'user', 'retryAfterMs': -1}
            send(id=serving.id, error=error)
            continue
        if answer(serving, hellos) and serving.method == 'initialize':
            hellos += 1
