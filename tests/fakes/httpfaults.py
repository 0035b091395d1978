"""What goes wrong with an HTTP request of a fake (httpfake.py), and to which of them it happens."""

import threading
import time

CHUNK = 1 << 16
ENDLESS_MAX = 1 << 30
ANY = '*'

# the moments of a request: nothing is done; it is done and not answered; it is answered
RECEIVED, APPLIED, ANSWERED = 'received', 'applied', 'answered'


class Hangup(Exception):
    """Ends the connection without an answer."""

    def __init__(self, reset=False):
        super().__init__('reset' if reset else 'close')
        self.reset = reset


class Answer:
    """What goes back. `send` puts it on the wire; kinds that break the rules replace it."""

    def __init__(self, status=200, body=b'', headers=()):
        self.status = status
        self.body = body if isinstance(body, bytes) else body.encode()
        self.headers = list(headers)

    def head(self, wire, length):
        wire.send_response(self.status)
        for name, value in self.headers:
            wire.send_header(name, value)
        if length is not None:
            wire.send_header('Content-Length', str(length))
        else:
            wire.close_connection = True
            wire.send_header('Connection', 'close')

    def send(self, wire):
        bare = self.status in (204, 304)
        self.head(wire, len(self.body) if not bare else 0)
        wire.end_headers()
        if wire.command != 'HEAD' and not bare:
            wire.wfile.write(self.body)


# What goes wrong. `before` may answer instead of the service; `after` may change the answer.

class Fault:
    def before(self, _request, _service):
        return None

    def after(self, _request, answer):
        return answer


class Refuse(Fault):
    """An error in the service's own form; nothing is done unless `applied`."""

    def __init__(self, status, code, message='by order of the test', applied=False):
        self.error, self.applied = (status, code, message), applied
        self.service = None

    def before(self, request, service):
        self.service = service
        return None if self.applied else service.error(*self.error)

    def after(self, request, answer):
        return self.service.error(*self.error)


class Throttle(Fault):
    def before(self, _request, service):
        return service.throttled()


class Instead(Fault):
    """Other bytes than the service's; nothing is done unless `applied`. Of `body`, a function makes
    them from the service's."""

    def __init__(self, body, status=None, headers=None, applied=True):
        self.body, self.status, self.headers, self.applied = body, status, headers, applied

    def changed(self, answer):
        body = self.body(answer.body) if callable(self.body) else self.body
        headers = answer.headers if self.headers is None else self.headers
        return Answer(self.status or answer.status, body, headers)

    def before(self, _request, _service):
        return None if self.applied else self.changed(Answer())

    def after(self, _request, answer):
        return self.changed(answer) if self.applied else answer


class Redirect(Fault):
    def __init__(self, location, status=307):
        self.answer = Answer(status, b'', [('Location', location)])

    def before(self, _request, _service):
        return self.answer


class Delay(Fault):
    """Waits so long, before it is done or (applied) after."""

    def __init__(self, seconds, applied=False):
        self.seconds, self.applied = seconds, applied

    def before(self, request, _service):
        if not self.applied:
            request.fake.closing.wait(self.seconds)

    def after(self, request, answer):
        if self.applied:
            request.fake.closing.wait(self.seconds)
        return answer


class Close(Fault):
    """Ends the connection without an answer; applied: "timeout after success"."""

    def __init__(self, applied=False, reset=False):
        self.applied, self.reset = applied, reset

    def before(self, _request, _service):
        if not self.applied:
            raise Hangup(self.reset)

    def after(self, _request, answer):
        raise Hangup(self.reset)


class _Wire(Fault):
    """A fault of the way, not of the words."""

    def after(self, _request, answer):
        wrapped = Answer(answer.status, answer.body, answer.headers)
        wrapped.send = lambda wire: self.send(wire, answer)
        return wrapped

    def send(self, wire, answer):
        raise NotImplementedError


class Truncate(_Wire):
    """Half of the body (or so many bytes), where Content-Length says all; then the end."""

    def __init__(self, keep=None):
        self.keep = keep

    def send(self, wire, answer):
        answer.head(wire, len(answer.body))
        wire.end_headers()
        wire.wfile.write(answer.body[:len(answer.body) // 2 if self.keep is None else self.keep])
        wire.close_connection = True


class Endless(_Wire):
    """A body that never ends, without a length."""

    def __init__(self, start=b'', filler=b' ' * CHUNK, most=ENDLESS_MAX):
        self.start, self.filler, self.most = start, filler, most

    def send(self, wire, answer):
        answer.head(wire, None)
        wire.end_headers()
        wire.wfile.write(self.start)
        for _ in range(self.most // len(self.filler)):
            if wire.fake.closing.is_set():
                return
            wire.wfile.write(self.filler)


class Slow(_Wire):
    """A few bytes at a time, so many seconds apart: slow-loris. whole: the headers, too."""

    def __init__(self, seconds=0.1, size=1, whole=False):
        self.seconds, self.size, self.whole = seconds, size, whole

    def send(self, wire, answer):
        data = answer.body
        if self.whole:
            lines = [f'HTTP/1.1 {answer.status} slowly', f'Content-Length: {len(data)}']
            lines += [f'{name}: {value}' for name, value in answer.headers]
            data = '\r\n'.join([*lines, '', '']).encode() + data
        else:
            answer.head(wire, len(data))
            wire.end_headers()
        for first in range(0, len(data), self.size):
            if wire.fake.closing.wait(self.seconds):
                return
            wire.wfile.write(data[first:first + self.size])
            wire.wfile.flush()


class Garbage(_Wire):
    """What is no HTTP."""

    def __init__(self, data=b'\x15\x03\x01\x00\x02\x02\x28'):
        self.data = data

    def send(self, wire, answer):
        wire.wfile.write(self.data)
        wire.close_connection = True


class ManyHeaders(_Wire):
    def __init__(self, count=100000):
        self.count = count

    def send(self, wire, answer):
        answer.head(wire, len(answer.body))
        wire.flush_headers()
        for number in range(self.count):
            wire.wfile.write(b'X-Filler-%d: %s\r\n' % (number, b'x' * 100))
        wire.wfile.write(b'\r\n' + answer.body)


class Faults:
    """What shall happen, and to which request of an action: the nth from now on, and so many times
    (None: for ever). ANY stands for all actions."""

    def __init__(self):
        self._lock = threading.Lock()
        self._plans, self._hooks = [], []
        self._bucket = None

    def add(self, action, *faults, nth=1, times=1):
        """Several faults of a request happen in their order."""
        with self._lock:
            self._plans.append([action, nth - 1, times, faults])

    def hook(self, action, moment, function, nth=1, times=1):
        """Calls function(request) at a moment. Before RECEIVED ends nothing is done; until the
        function of APPLIED returns the client has no answer."""
        if moment not in (RECEIVED, APPLIED, ANSWERED):
            raise ValueError(moment)
        with self._lock:
            self._hooks.append([(action, moment), nth - 1, times, (function,)])

    def limit(self, per_second, burst=None, actions=(ANY,)):
        """Who asks more often is throttled. None: no limit."""
        with self._lock:
            self._bucket = None if per_second is None else {
                'rate': per_second, 'size': burst or per_second, 'left': burst or per_second,
                'time': time.monotonic(), 'actions': actions}

    def clear(self):
        with self._lock:
            self._plans, self._hooks, self._bucket = [], [], None

    def pending(self):
        """What was ordered for once and has not happened: a test that waits in vain for its fault."""
        with self._lock:
            return [(plan[0], *map(_name, plan[3])) for plan in self._plans + self._hooks if plan[2]]

    @staticmethod
    def _take(plans, matches):
        found = []
        for plan in list(plans):
            if not matches(plan[0]):
                continue
            if plan[1]:
                plan[1] -= 1
                continue
            found += plan[3]
            if plan[2] is not None:
                plan[2] -= 1
                if not plan[2]:
                    plans.remove(plan)
        return found

    def take(self, action):
        with self._lock:
            return self._take(self._plans, lambda wanted: wanted in (action, ANY))

    def run_hooks(self, moment, request):
        with self._lock:
            found = self._take(self._hooks, lambda wanted: wanted[1] == moment
                               and wanted[0] in (request.action, ANY))
        for function in found:
            function(request)

    def too_often(self, action):
        with self._lock:
            bucket = self._bucket
            if not bucket or not {action, ANY} & set(bucket['actions']):
                return False
            now = time.monotonic()
            bucket['left'] = min(bucket['size'], bucket['left'] + (now - bucket['time']) * bucket['rate'])
            bucket['time'] = now
            if bucket['left'] < 1:
                return True
            bucket['left'] -= 1
            return False


def _name(thing):
    return getattr(thing, '__name__', type(thing).__name__)
