"""Engines that stall, talk nonsense or show a certificate that is not theirs: every command that asks them."""

import contextlib
import subprocess
import sys

import pytest

from cli import TOP, Cli
from engine import openssl, server_certificate
from hosts import wait_for

CLOSED = 'the connection was closed during the TLS handshake'
NO_TLS = 'tls: first record does not look like a TLS handshake'
# how the engine answers -> what is said of it
PEERS = {
    'silent': 'i/o timeout',
    'end': CLOSED,
    'garbage': NO_TLS,
    'plain-http': NO_TLS,
    'old-tls': 'Handshake protocol not within min/max boundaries',
    'stranger': 'x509: certificate signed by unknown authority',
    'expired': 'x509: certificate has expired or is not yet valid',
    'elsewhere': 'x509: certificate is valid for 127.0.0.9, not 127.0.0.1',
}
# the handshake is fine, what follows is not: only those who read it mind
ANSWERS = {
    'nothing': 'the engine closed the connection',
    'half': 'i/o timeout',
    'short': 'the answer ends in the middle',
    'not-http': 'the answer is not HTTP',
    'not-json': "the engine's answer: JSON: ",
    'huge': "the engine's answer is longer than 1048576 bytes",
    'error': 'the engine answers 500: no?[31m room',
}
SHARED = {'asked': ('', 'all')}
CHECK = ('Error checking and/or regenerating the certs: There was an error validating certificates for '
         'host "127.0.0.1:')
PREFIX = {'env': 'Error checking TLS connection: ' + CHECK,
          'config': 'Error running connection boilerplate: ' + CHECK,
          'version': 'Unable to query docker version: '}


def certificate(kind, folder, certs):
    """(certificate, key) of an engine."""
    if kind == 'stranger':
        other = Cli(folder)
        other.create_none('any')
        certs = other.store / 'certs'
    cert, key = server_certificate(certs, folder, ['127.0.0.9' if kind == 'elsewhere' else '127.0.0.1'])
    if kind == 'expired':
        openssl('x509', '-req', '-in', folder / 'engine.csr', '-CA', certs / 'ca.pem', '-CAkey',
                certs / 'ca-key.pem', '-set_serial', '8', '-days', '0', '-extfile', folder / 'engine.ext',
                '-out', cert)
        wait_for('the end of the certificate', lambda: subprocess.run(
            ['openssl', 'x509', '-in', cert, '-noout', '-checkend', '0'], stdout=subprocess.DEVNULL).returncode, 10)
    return cert, key


@contextlib.contextmanager
def served(kind, certs, tmp_path_factory):
    """The port of such an engine."""
    pair = certificate(kind, tmp_path_factory.mktemp(kind), certs)
    mode = kind if kind not in ('stranger', 'expired', 'elsewhere') else 'length'
    with subprocess.Popen([sys.executable, TOP / 'tests' / 'unit' / 'tls_server.py', *pair, certs / 'ca.pem', mode],
                          stdout=subprocess.PIPE, text=True) as server:
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


@pytest.fixture(scope='module')
def store(new_cli, certs, tmp_path_factory):
    """A machine for each kind of engine, and the servers."""
    cli = new_cli()
    with contextlib.ExitStack() as stack:
        for kind in [*PEERS, *ANSWERS]:
            cli.create_none(kind, f'tcp://127.0.0.1:{stack.enter_context(served(kind, certs, tmp_path_factory))}')
        yield cli


@pytest.fixture(scope='module')
def asked(store):
    """Each command about each of them, all at once: some wait for their deadlines. And the list."""
    running = {(command, kind): store.start(command, kind)
               for command in PREFIX for kind in [*PEERS, *ANSWERS]}
    for process in running.values():
        process.process.wait(120)
    done = {what: process.finish() for what, process in running.items()}
    return done, store.ok('ls', '-t', '5')


@pytest.mark.parametrize('kind', PEERS)
@pytest.mark.parametrize('command', PREFIX)
def test_no_handshake(asked, command, kind):
    result = asked[0][command, kind]
    assert result.status == 1 and not result.out, result
    assert result.err.startswith(PREFIX[command]) and PEERS[kind] in result.err, result
    assert ("'docker-machine regenerate-certs [name]'" in result.err) == (command != 'version'), result


@pytest.mark.parametrize('kind', ANSWERS)
def test_no_version(asked, kind):
    result = asked[0]['version', kind]
    assert result.status == 1 and not result.out, result
    assert result.err.startswith(PREFIX['version']) and ANSWERS[kind] in result.err, result
    assert asked[0]['env', kind].status == asked[0]['config', kind].status == 0


def test_the_list_names_each(asked):
    rows = {line.split()[0]: line for line in asked[1].out.splitlines()[1:]}
    for kind, said in {**PEERS, **ANSWERS}.items():
        assert 'Timeout' in rows[kind] if 'timeout' in said else said in rows[kind], rows[kind]


def test_nothing_was_changed(asked, store, certs):
    for kind in [*PEERS, *ANSWERS]:
        for file in 'ca.pem', 'cert.pem', 'key.pem':
            path = store.store / 'machines' / kind / file
            assert path.read_bytes() == (certs / file).read_bytes(), path
    store.assert_whole()
