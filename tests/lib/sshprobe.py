"""The SSH layer's probe (ssh_probe.c), an sshd for it, and keys that it knows."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import cli as cli_module
from sshd import USER, Sshd, keygen

PROBE = cli_module.build_dir() / 'tests' / 'functional' / 'ssh_probe'
BACKENDS = ['libssh2', 'ssh']


def key_in(folder, name, kind='ed25519'):
    """Once for all the files of tests that take it."""
    return folder / name if (folder / name).exists() else keygen(folder / name, kind)


@pytest.fixture(scope='module')
def keys(tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / 'probe-keys'
    folder.mkdir(exist_ok=True)
    made = {kind: key_in(folder, kind, kind) for kind in ('ed25519', 'ecdsa', 'rsa')}
    made['stranger'] = key_in(folder, 'stranger')
    made['stranger-rsa'] = key_in(folder, 'stranger-rsa', 'rsa')
    return made


@pytest.fixture
def server(tmp_path, keys):
    servers = []

    def make(**options):
        s = Sshd(tmp_path / f'sshd{len(servers)}', **options)
        for kind in 'ed25519', 'ecdsa', 'rsa':
            s.authorize(keys[kind])
        servers.append(s)
        return s

    yield make
    for s in servers:
        s.stop()


@pytest.fixture
def sshd(server):
    return server()


class Probe:
    """Runs ssh_probe, with a private place for sockets that must be empty in the end."""

    def __init__(self, folder, keys):
        self.keys = keys
        self.run_dir = pathlib.Path(tempfile.mkdtemp(prefix='probe.', dir='/tmp')) # short enough
        self.known_hosts = folder / 'store' / 'known_hosts'
        self.known_hosts.parent.mkdir()
        self.env = {**os.environ, 'XDG_RUNTIME_DIR': str(self.run_dir), 'PROBE_DEBUG': '1',
                    'UBSAN_OPTIONS': 'halt_on_error=1'}
        self.env.pop('SSH_AUTH_SOCK', None)
        # libssh2 1.10 leaks numbers of an ECDSA key
        known = folder / 'lsan'
        known.write_text('leak:libssh2_userauth_publickey_fromfile_ex\n')
        self.env['LSAN_OPTIONS'] = f'suppressions={known}:print_suppressions=0'
        self.env['ASAN_OPTIONS'] = ':'.join([os.environ.get('ASAN_OPTIONS', ''),
                                             'fast_unwind_on_malloc=0'])

    def key(self, backend):
        return self.keys['ed25519' if backend == 'libssh2' else 'rsa']

    def argv(self, port, backend, *commands, options=(), key=None, user=USER, known=None):
        return [PROBE, *options, '127.0.0.1', str(port), user, str(key or self.key(backend)),
                str(known or self.known_hosts), *commands]

    def start(self, *args, **options):
        return subprocess.Popen(self.argv(*args, **options), env=self.env, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def finish(self, process, timeout=60):
        out, self.debug = process.communicate(timeout=timeout)
        assert process.returncode == 0, self.debug
        assert 'ERROR: ' not in self.debug, self.debug
        self.assert_clean()
        return [line.split(' ', 1) for line in out.splitlines()]

    def run(self, *args, **options):
        return self.finish(self.start(*args, **options))

    def left(self):
        mine = [cli_module.command_line(p) for p in cli_module.descendants(os.getpid())]
        return [line for line in mine if str(self.run_dir) in line]

    def assert_clean(self):
        assert not self.left()
        assert not list(self.run_dir.iterdir())


@pytest.fixture
def probe(tmp_path, keys):
    p = Probe(tmp_path, keys)
    yield p
    shutil.rmtree(p.run_dir)


def unhex(text):
    return b'' if text == '-' else bytes.fromhex(text)


def results(lines):
    """[(status, signal, cut, out, err)]"""
    found = []
    for word, rest in lines:
        if word == 'exit':
            status, name, cut, out, err = rest.split(' ')
            found.append((int(status), name, cut == '1', unhex(out), unhex(err)))
    return found


def error(lines):
    assert lines[-1][0] == 'error', lines
    code, text = lines[-1][1].split(' ', 1)
    return code, text
