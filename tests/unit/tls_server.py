#!/usr/bin/env python3
"""tls_server.py CERT KEY CLIENT_CA MODE [PORT]

An engine that answers as MODE says, on a port of 127.0.0.1 (a free one), which it prints first. In the mode "session" the
version tells whether the handshake was a "whole" one or the session was "resumed"; the modes after it are of
engines that bear no tickets, each in its way.
"""

import socket
import ssl
import sys
import threading
import warnings

NAMES = b'127.0.0.1', b'localhost'
BODY = b'{"Version":"24.0.7","ApiVersion":"1.43"}'
OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'


def with_length(status, body):
    return b'HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s' % (status, len(body), body)


def chunks(body, size):
    parts = [body[i:i + size] for i in range(0, len(body), size)] + [b'']
    return b''.join(b'%x;ext=1\r\n%s\r\n' % (len(p), p) for p in parts)


ANSWERS = {
    'length': with_length(b'200 OK', BODY),
    'chunked': OK + b'Transfer-Encoding: chunked\r\n\r\n' + chunks(BODY, 7),
    'until-end': OK + b'\r\n' + BODY,
    'keep': with_length(b'200 OK', BODY),
    'keep-chunked': OK + b'Transfer-Encoding: chunked\r\n\r\n' + chunks(BODY, 1),
    'short': OK + b'Content-Length: 400\r\n\r\n' + BODY,
    'half': OK + b'Content-Length: 400\r\n\r\n' + BODY,
    'error': with_length(b'500 Oops', b'{"message":"no\\u001b[31m room"}'),
    'not-json': with_length(b'200 OK', b'hello'),
    'not-http': b'\x00\x01\x02 what?\r\n\r\n',
    'nothing': b'',
    'huge': OK + b'\r\n' + b'x' * (2 << 20),
}
BEFORE_TLS = {
    'plain-http': b'HTTP/1.1 400 Bad Request\r\n\r\n',
    'garbage': bytes(range(256)) * 4,
    'end': b'',
}
# with the answer to who resumes a session
SESSION = {'session': True, 'mute-resumed': False, 'drops-tickets': True, 'stalls-tickets': True,
           'drops-and-hides': True, 'cbc': True, 'cbc-no-etm': True}
NO_ENCRYPT_THEN_MAC = 1 << 19 # of OpenSSL's options
leaving, gone, waiting = threading.Event(), threading.Event(), []
KEEP_OPEN = {'keep', 'keep-chunked', 'half'}


def until_end(sock):
    """Waits until the client goes."""
    try:
        while sock.recv(4096):
            pass
    except OSError:
        pass


def has_ticket(sock):
    """Is the client's first message long enough for one? It is not taken out."""
    return int.from_bytes(sock.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL)[3:], 'big') > 600


def hide(address):
    """From now on whoever connects waits for ever."""
    leaving.set()
    socket.create_connection(address)
    gone.wait()
    for _ in range(8):
        waiting.append(socket.socket())
        waiting[-1].setblocking(False)
        waiting[-1].connect_ex(address)


def session_answer(tls, mode):
    if tls.session_reused and not SESSION[mode]:
        return b''
    return with_length(b'200 OK', b'{"Version":"%s"}' % (b'resumed' if tls.session_reused else b'whole'))


def serve(sock, context, mode):
    with sock:
        if mode == 'drops-tickets' and has_ticket(sock):
            return None
        if mode == 'drops-and-hides' and has_ticket(sock):
            return hide(sock.getsockname())
        if mode == 'stalls-tickets' and has_ticket(sock):
            return until_end(sock)
        if mode == 'silent':
            return until_end(sock)
        if mode in BEFORE_TLS:
            sock.recv(4096)
            sock.sendall(BEFORE_TLS[mode])
            return None
        try:
            with context.wrap_socket(sock, server_side=True) as tls:
                request = b''
                while b'\r\n\r\n' not in request:
                    data = tls.recv(4096)
                    if not data:
                        return None
                    request += data
                good = request.startswith(tuple(b'GET /version HTTP/1.1\r\nHost: %s:' % n for n in NAMES))
                answer = session_answer(tls, mode) if mode in SESSION else ANSWERS[mode]
                tls.sendall(answer if good else with_length(b'400 Bad', b'{}'))
                if mode in KEEP_OPEN:
                    until_end(tls)
        except OSError:
            pass
        return None


def main():
    cert, key, client_ca, mode, *port = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    if mode.startswith('cbc'):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers('ECDHE-ECDSA-AES256-SHA384')
    if mode == 'cbc-no-etm':
        context.options |= NO_ENCRYPT_THEN_MAC
    if mode == 'old-tls':
        context.set_ciphers('ALL:@SECLEVEL=0')
        warnings.simplefilter('ignore', DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    listener = socket.create_server(('127.0.0.1', int(port[0]) if port else 0), backlog=64)
    print(listener.getsockname()[1], flush=True)
    while not leaving.is_set():
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=(sock, context, mode), daemon=True).start()
    listener.listen(0)
    gone.set()
    threading.Event().wait()


main()
