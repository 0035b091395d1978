"""The host's end of the driver protocol, for tests that talk to a driver executable directly."""

import json
import os
import select
import subprocess
import threading
import time

from cli import build_dir

STORE = '/nonexistent/store'
ID = '0123456789abcdef0123456789abcdef'
PATIENCE = 20.0


def driver_file(name):
    return build_dir() / 'drivers' / f'machine-driver-{name}'


class ProtocolError(Exception):
    """The driver wrote something that is no frame, or ended."""


class DriverError(Exception):
    """An error answer."""

    def __init__(self, error):
        super().__init__(error['message'])
        self.code = error['code']
        self.message = error['message']
        self.data = error.get('data', {})
        self.kind = self.data.get('kind')


def frame(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return b'Content-Length: %d\r\n\r\n' % len(body) + body


def reference(name='web1', state=None, folder=STORE + '/machines/web1', store=STORE, ident=ID):
    return {'name': name, 'id': ident, 'dir': str(folder), 'storePath': str(store),
            'state': {} if state is None else state}


class Driver:
    """A running driver. With `hello`, it has been initialized: `info` is its answer."""

    def __init__(self, executable, prefix=(), env=None, cwd=None, hello=True):
        self.process = subprocess.Popen(
            [*map(str, prefix), str(executable)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, bufsize=0, env=env, cwd=cwd, start_new_session=True)
        self.last_id = 0
        self.notifications = []
        self.checkpoints = []
        self.errors = b''
        self._input = b''
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        self.info = self.call('initialize', protocolVersions=[1]) if hello else None

    def _read_errors(self):
        while data := self.process.stderr.read(65536):
            self.errors += data

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        try:
            self.end()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            if not failure:
                raise
        finally:
            self._reader.join()
            self.process.stdout.close()
            self.process.stderr.close()
        assert b'Sanitizer' not in self.errors and b'runtime error:' not in self.errors, self.errors

    def raw(self, data):
        while data:
            data = data[self.process.stdin.write(data):]

    def _fill(self, end):
        left = max(0, end - time.monotonic())
        if not select.select([self.process.stdout], [], [], left)[0]:
            raise TimeoutError(f'nothing from the driver; its stderr: {self.errors!r}')
        data = os.read(self.process.stdout.fileno(), 65536)
        if not data:
            raise ProtocolError(f'the driver closed its output; its stderr: {self.errors!r}')
        self._input += data

    def receive(self, timeout=PATIENCE):
        """The next message."""
        return json.loads(self.receive_body(timeout).decode('utf-8'))

    def receive_body(self, timeout=PATIENCE):
        end = time.monotonic() + timeout
        while b'\r\n\r\n' not in self._input:
            self._fill(end)
        head, rest = self._input.split(b'\r\n\r\n', 1)
        name, _, length = head.partition(b': ')
        if name.lower() != b'content-length' or not length.isdigit():
            raise ProtocolError(f'not a frame: {self._input[:200]!r}')
        while len(rest) < int(length):
            self._fill(end)
            rest = self._input.split(b'\r\n\r\n', 1)[1]
        body, self._input = rest[:int(length)], rest[int(length):]
        return body

    def silent(self, seconds=0.2):
        """Does the driver send nothing for this long?"""
        return not self._input and not select.select([self.process.stdout], [], [], seconds)[0]

    def send(self, message):
        self.raw(frame({'jsonrpc': '2.0', **message}))

    def notify(self, method, **params):
        self.send({'method': method, 'params': params})

    def request(self, method, **params):
        """Sends a request, and returns its id."""
        self.last_id += 1
        self.send({'id': self.last_id, 'method': method, 'params': params})
        return self.last_id

    def answer(self, ident, timeout=PATIENCE, on_checkpoint=None):
        """The result of a request; checkpoints are granted unless on_checkpoint raises an error."""
        while True:
            message = self.receive(timeout)
            assert message['jsonrpc'] == '2.0', message
            if message.get('method') == 'checkpoint':
                self._checkpoint(message, ident, on_checkpoint)
            elif 'method' in message:
                assert 'id' not in message, message
                self.notifications.append(message)
            elif 'error' in message:
                assert message['id'] == ident, message
                raise DriverError(message['error'])
            else:
                assert message['id'] == ident and set(message) == {'jsonrpc', 'id', 'result'}
                return message['result']

    def _checkpoint(self, message, ident, on_checkpoint):
        assert message['params']['request'] == ident, message
        self.checkpoints.append(message['params']['state'])
        try:
            if on_checkpoint:
                on_checkpoint(message['params']['state'])
        except DriverError as error:
            self.send({'id': message['id'], 'error': {
                'code': error.code, 'message': error.message, 'data': error.data}})
        else:
            self.send({'id': message['id'], 'result': {}})

    def call(self, method, timeout=PATIENCE, on_checkpoint=None, **params):
        return self.answer(self.request(method, **params), timeout, on_checkpoint)

    def configure(self, flags, machine=None):
        return self.call('configure', machine=machine or reference(), flags=flags)['state']

    def report(self, machine):
        (report,) = self.call('states', machines=[machine])['machines']
        return report

    def end(self, timeout=5):
        """Closes the driver's input; its exit status."""
        self.process.stdin.close()
        return self.process.wait(timeout)
