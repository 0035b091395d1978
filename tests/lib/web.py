"""A web server on the loopback that behaves, or misbehaves, to order; and an authority for https."""

import contextlib
import hashlib
import http.server
import re
import ssl
import subprocess
import threading

CHUNK = 1 << 16


class Page:
    """A file and how it is served. cuts: after how many bytes the connection is closed, one for each
    answer to come. hold: after that many bytes wait until `go` is set. blind: the condition of a range
    is not looked at. told: there is a Content-Length. most: how many bytes
    of a range are sent at a time."""

    def __init__(self, data=b'', status=200, etag='"one"', modified=None, ranges=True, location=None):
        self.data, self.status, self.etag, self.modified = data, status, etag, modified
        self.ranges, self.location = ranges, location
        self.cuts, self.hold, self.endless, self.blind, self.told = [], None, False, False, True
        self.most = None
        self.go, self.held = threading.Event(), threading.Event()

    def sum(self, kind='sha256'):
        return f'{kind}:{hashlib.new(kind, self.data).hexdigest()}'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_args):
        pass

    def do_GET(self): # pylint: disable=invalid-name
        page = self.server.web.pages.get(self.path.split('?')[0])
        self.server.web.note(self.path, dict(self.headers))
        try:
            self.answer(page or Page(b'not here', status=404))
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True

    def first_byte(self, page):
        wanted = re.fullmatch(r'bytes=(\d+)-', self.headers.get('Range', ''))
        if not wanted or not page.ranges or page.status != 200:
            return 0
        condition = self.headers.get('If-Range')
        if condition and condition not in (page.etag, page.modified) and not page.blind:
            return 0
        return int(wanted[1])

    def answer(self, page):
        first, total = self.first_byte(page), len(page.data)
        end = min(total, first + page.most) if first and page.most else total
        if first >= total > 0:
            self.send_response(416)
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        self.send_response(206 if first else page.status)
        for name, value in (('ETag', page.etag), ('Last-Modified', page.modified),
                            ('Location', page.location)):
            if value:
                self.send_header(name, value)
        if first:
            self.send_header('Content-Range', f'bytes {first}-{end - 1}/{total}')
        if page.endless or not page.told:
            self.send_header('Connection', 'close')
            self.close_connection = True
        else:
            self.send_header('Content-Length', str(end - first))
        self.end_headers()
        if page.endless:
            while True:
                self.wfile.write(b'x' * CHUNK)
        self.send_data(page, first, end)

    def send_data(self, page, first, end):
        cut = page.cuts.pop(0) if page.cuts else None
        while first < end:
            stop = min(first + CHUNK, end)
            if cut is not None and stop > cut:
                stop = max(cut, first)
            if page.hold is not None and stop > page.hold:
                stop = max(page.hold, first)
            self.wfile.write(page.data[first:stop])
            first = stop
            if cut is not None and first >= cut and first < end:
                self.wfile.flush()
                self.close_connection = True
                return
            if page.hold is not None and first >= page.hold:
                self.wfile.flush()
                page.held.set()
                page.go.wait(60)
                page.hold = None


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_args):
        pass # clients that are killed, or find a certificate wanting


class Web:
    def __init__(self, authority=None):
        self.pages, self.requests = {}, []
        self._lock = threading.Lock()
        self.server = Server(('127.0.0.1', 0), Handler)
        self.server.web = self
        self.scheme = 'http'
        if authority:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(authority / 'server.pem', authority / 'server-key.pem')
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
            self.scheme = 'https'
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def note(self, path, headers):
        with self._lock:
            self.requests.append((path, headers))

    def url(self, path):
        return f'{self.scheme}://127.0.0.1:{self.server.server_port}{path}'

    def add(self, path, *args, **kwargs):
        self.pages[path] = Page(*args, **kwargs)
        return self.pages[path]

    def asked(self, path):
        """The headers of the requests for a page."""
        return [headers for asked, headers in self.requests if asked == path]

    def close(self):
        for page in self.pages.values():
            page.go.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@contextlib.contextmanager
def serving(authority=None):
    web = Web(authority)
    try:
        yield web
    finally:
        web.close()


def make_authority(folder):
    """ca.pem and a server's pair for 127.0.0.1."""
    def openssl(*words):
        subprocess.run(['openssl', *words], check=True, capture_output=True, cwd=folder)
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days',
            '2', '-subj', '/CN=test authority', '-keyout', 'ca-key.pem', '-out', 'ca.pem')
    openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj',
            '/CN=127.0.0.1', '-keyout', 'server-key.pem', '-out', 'server.csr')
    (folder / 'extensions').write_text('subjectAltName=IP:127.0.0.1,DNS:localhost\n')
    openssl('x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-days', '2',
            '-CAcreateserial', '-extfile', 'extensions', '-out', 'server.pem')
    return folder
