"""A strict HTTP/1.1 server on the loopback for fakes of services: it logs, it misbehaves to order.

A service is an object with

    action(request)               reads and checks it; gives the name of what is asked, for the log, the
                                  faults and the hooks
    handle(request)               does it; gives an Answer
    error(status, code, message)  an Answer in the service's own form
    throttled()                   an Answer for who asks too often

and `HttpFake(service)` serves it, a thread for each connection; `handle` is called by one thread at a
time. What a client must not do the service notes with `request.violation(text)`: `check()`, which the
end of `with` calls, fails for it. A service that raises is a violation as well.

    with HttpFake(service) as fake:
        fake.faults.add('CreateThing', Refuse(500, 'InternalError'), nth=2)
        fake.faults.hook('CreateThing', APPLIED, lambda request: driver.kill())
        fake.faults.limit(per_second=5)
        ... fake.url ...
        fake.log.actions()
"""

import collections
import contextlib
import http.server
import socket
import ssl
import struct
import threading
import time
import traceback

from .httpfaults import ( # noqa: F401
    ANSWERED, ANY, APPLIED, CHUNK, RECEIVED, Answer, Close, Delay, Endless, Fault, Faults, Garbage,
    Hangup, Instead, ManyHeaders, Redirect, Refuse, Slow, Throttle, Truncate)

BODY_MAX = 1 << 20
HEADERS_MAX = 100
PATIENCE = 10.0


class Request:
    """One request as it came. `params` and `action` are the service's reading of it, `answer` is what
    went back (None: nothing did)."""

    def __init__(self, fake, number, connection, method, target, headers, body):
        self.fake, self.number, self.connection = fake, number, connection
        self.method, self.target = method, target
        self.path, _, self.query = target.partition('?')
        self.headers = headers
        self.body = body
        self.time, self.wall = time.monotonic(), time.time()
        self.action, self.params, self.answer = None, None, None
        self.whole = False
        self.moments = {RECEIVED: self.time}

    def header(self, name, default=None):
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[-1] if values else default

    def repeated_headers(self):
        count = collections.Counter(name.lower() for name, _ in self.headers)
        return [name for name, times in count.items() if times > 1]

    def violation(self, text):
        self.fake.violation(text, self)

    @property
    def status(self):
        return self.answer.status if self.answer else None

    def __repr__(self):
        return f'<{self.number} {self.action or self.method + " " + self.target} -> {self.status}>'


class Log:
    """All requests, in the order of their arrival."""

    def __init__(self):
        self.requests = []
        self._changed = threading.Condition()

    def add(self, request):
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()

    def note(self):
        with self._changed:
            self._changed.notify_all()

    def of(self, action):
        return [request for request in list(self.requests) if request.action == action]

    def actions(self):
        return [request.action for request in list(self.requests)]

    def count(self, action):
        return len(self.of(action))

    def connections(self):
        return len({request.connection for request in list(self.requests)})

    def clear(self):
        with self._changed:
            self.requests.clear()

    def wait(self, action, times=1, moment=ANSWERED, timeout=PATIENCE):
        """Until so many requests of an action have come that far; gives the last of them."""
        def there():
            return [request for request in self.of(action) if moment in request.moments]
        with self._changed:
            if not self._changed.wait_for(lambda: len(there()) >= times, timeout):
                raise AssertionError(f'{action} came {len(there())} times rather than {times}: '
                                     f'{self.actions()}')
            return there()[times - 1]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    server_version, sys_version = 'fake', ''
    wbufsize = CHUNK
    disable_nagle_algorithm = True

    def setup(self):
        self.fake = self.server.fake
        self.connection_number = self.fake.opened(self.request)
        super().setup()

    def finish(self):
        with contextlib.suppress(OSError):
            super().finish()
        self.fake.closed(self.request)

    def log_message(self, *_args):
        pass

    def date_time_string(self, timestamp=None):
        return super().date_time_string(self.fake.clock() if timestamp is None else timestamp)

    def body(self):
        """The body; None after a refusal."""
        if self.headers.get('Transfer-Encoding'):
            self.refuse(411, 'Transfer-Encoding is not understood here')
            return None
        length = self.headers.get('Content-Length', '0')
        if not length.isdecimal() or int(length) > BODY_MAX:
            self.refuse(413, f'Content-Length: {length}')
            return None
        data = self.rfile.read(int(length))
        return data if len(data) == int(length) else None

    def refuse(self, status, why):
        self.fake.violation(f'{self.command} {self.path}: {why}')
        answer = Answer(status, why)
        answer.head(self, None)
        self.end_headers()
        self.wfile.write(answer.body)

    def send_error(self, code, message=None, explain=None):
        """What http.server cannot read is no request."""
        self.fake.violation(f'{code} {message}: {self.raw_requestline!r}')
        super().send_error(code, message, explain)

    def hang_up(self, reset):
        if not reset:
            self.request.shutdown(socket.SHUT_RDWR)
            return
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        for end in self.rfile, self.wfile, self.request: # the last one sends RST
            end.close()

    def serve(self):
        body = self.body()
        if body is None:
            self.close_connection = True
            return
        request = self.fake.new_request(self.connection_number, self.command, self.path,
                                        list(self.headers.items()), body)
        try:
            request.answer = self.fake.answer(request)
            request.answer.send(self)
            self.wfile.flush()
            request.whole = True
        except Hangup as hangup:
            self.close_connection = True
            self.hang_up(hangup.reset)
        except (ConnectionError, ssl.SSLError, ValueError):
            self.close_connection = True # a client that is gone
        self.fake.moment(request, ANSWERED)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = serve


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_args):
        pass # clients that are killed, or find a certificate wanting


class HttpFake:
    def __init__(self, service, authority=None, host='127.0.0.1', port=0):
        """authority: a folder with server.pem and server-key.pem; then it is https."""
        self.service = service
        self.clock = time.time # what the header Date has
        self.log, self.faults = Log(), Faults()
        self.violations = []
        self.closing = threading.Event()
        self._lock, self._one = threading.Lock(), threading.RLock()
        self._numbers = {'request': 0, 'connection': 0}
        self._open = {}
        self.server = _Server((host, port), _Handler)
        self.server.fake = self
        self.scheme = 'http'
        if authority:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(authority / 'server.pem', authority / 'server-key.pem')
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
            self.scheme = 'https'
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def address(self):
        return f'{self.server.server_address[0]}:{self.server.server_port}'

    @property
    def url(self):
        return f'{self.scheme}://{self.address}'

    def _number(self, kind):
        with self._lock:
            self._numbers[kind] += 1
            return self._numbers[kind]

    def opened(self, sock):
        number = self._number('connection')
        with self._lock:
            self._open[sock] = threading.current_thread()
        return number

    def closed(self, sock):
        with self._lock:
            self._open.pop(sock, None)

    def new_request(self, connection, method, target, headers, body):
        request = Request(self, self._number('request'), connection, method, target, headers, body)
        if len(headers) > HEADERS_MAX:
            self.violation(f'{len(headers)} headers', request)
        return request

    def violation(self, text, request=None):
        with self._lock:
            self.violations.append(f'{request!r}: {text}' if request else text)

    def forgive(self, text):
        """Takes violations that a test provoked off the list; there has to be one."""
        with self._lock:
            kept = [violation for violation in self.violations if text not in violation]
            if kept == self.violations:
                raise AssertionError(f'no violation with "{text}" among {self.violations}')
            self.violations = kept

    def check(self):
        assert not self.violations, 'wrong requests:\n' + '\n'.join(self.violations)

    def moment(self, request, moment):
        request.moments[moment] = time.monotonic()
        if moment != RECEIVED:
            self.log.note()
        self.faults.run_hooks(moment, request)

    def answer(self, request):
        try:
            request.action = self.service.action(request)
            self.log.add(request)
            self.moment(request, RECEIVED)
            if self.faults.too_often(request.action):
                return self.service.throttled()
            return self.answer_with(request, self.faults.take(request.action))
        except Hangup:
            raise
        except Exception: # pylint: disable=broad-except
            self.violation(f'the fake failed: {traceback.format_exc()}', request)
            return Answer(500, b'the fake failed')

    def answer_with(self, request, faults):
        answer, changes = None, list(faults)
        while changes and not answer: # what comes after one that answers changes its answer
            answer = changes.pop(0).before(request, self.service)
        if not answer:
            with self._one:
                answer = request.answer = self.service.handle(request)
            self.moment(request, APPLIED)
            changes = faults
        for fault in changes:
            answer = fault.after(request, answer)
        return answer

    @contextlib.contextmanager
    def at_rest(self):
        """No request is handled meanwhile."""
        with self._one:
            yield

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()
        with self._lock:
            left = dict(self._open)
        for sock in left:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        end = time.monotonic() + PATIENCE
        for thread in left.values():
            thread.join(max(0.0, end - time.monotonic()))

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        self.close()
        if not failure:
            self.check()
