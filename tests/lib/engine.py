"""An engine for tests of the command line: TLS with a certificate of a store's CA, on loopback."""

import http.server
import pathlib
import ssl
import subprocess
import threading
import warnings

BODY = b'{"Version":"24.0.7","ApiVersion":"1.43"}'


def openssl(*arguments, text=None):
    subprocess.run(['openssl', *map(str, arguments)], input=text, check=True, capture_output=True)


def server_certificate(certs, folder, addresses):
    """A pair for these IP addresses, signed by the CA in the folder `certs`."""
    folder = pathlib.Path(folder)
    key, request, cert = (folder / f'engine.{end}' for end in ('key', 'csr', 'pem'))
    names = folder / 'engine.ext'
    names.write_text('subjectAltName=' + ','.join(f'IP:{a}' for a in addresses) + '\n')
    openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
            '-keyout', key, '-subj', '/O=engine', '-out', request)
    openssl('x509', '-req', '-in', request, '-CA', certs / 'ca.pem', '-CAkey',
            certs / 'ca-key.pem', '-set_serial', '7', '-days', '2', '-extfile', names, '-out', cert)
    return cert, key


class Handler(http.server.BaseHTTPRequestHandler):
    def setup(self):
        self.request.do_handshake()
        self.server.resumed.append(self.request.session_reused)
        super().setup()

    def do_GET(self):
        known = self.path == '/version'
        self.send_response(200 if known else 400)
        self.send_header('Content-Length', str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def get_request(self):
        sock, address = self.socket.accept()
        return self.wrap(sock), address

    def wrap(self, sock):
        """The handshake belongs to the connection's thread."""
        return self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, *_):
        pass # a client that goes after the handshake


def tls_server(certs, folder, addresses):
    """Not served yet. resumed: of each connection so far, whether its handshake resumed a session."""
    server = Server(('127.0.0.1', 0), Handler)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        server.body, server.resumed, server.context = BODY, [], ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(*server_certificate(certs, folder, addresses))
    server.context.verify_mode = ssl.CERT_REQUIRED
    server.context.load_verify_locations(certs / 'ca.pem')
    return server


class Engine:
    def __init__(self, certs, folder, addresses=('127.0.0.1',)):
        self.server = tls_server(certs, folder, addresses)
        self.address = f'127.0.0.1:{self.server.server_address[1]}'
        self.url = f'tcp://{self.address}'
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
