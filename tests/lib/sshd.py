"""An sshd of the test's own, on a loopback port, for the user who runs the test; with `prefix`, words that run a
command in another network, there on a port of one's choice."""

import getpass
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

USER = getpass.getuser()


def wait_for(condition, what, seconds=10):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f'timed out: {what}'
        time.sleep(0.02)
    return value


def keygen(path, kind='ed25519', passphrase=''):
    subprocess.run(['ssh-keygen', '-q', '-t', kind, '-N', passphrase, '-f', path], check=True)
    return path


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


SSHD = shutil.which('sshd') or '/usr/sbin/sshd'


def write_config(path, authorized, host_keys, *more):
    """Of a server for the user who runs it; does what Debian's unit does for it."""
    if os.getuid() == 0:
        os.makedirs('/run/sshd', mode=0o755, exist_ok=True)
    path.write_text('\n'.join([
        'PidFile none', 'UsePAM no', 'StrictModes no', 'PermitRootLogin yes', 'PasswordAuthentication no',
        'LogLevel VERBOSE', 'SetEnv SHLVL=2', # bash then skips ~/.bashrc, which may be slow
        f'AuthorizedKeysFile {authorized}', *(f'HostKey {key}' for key in host_keys), *more, '']))
    return path


class Sshd:
    def __init__(self, folder, host_keys=('ed25519',), extra='', address='127.0.0.1', port=None, prefix=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = self.folder / 'log'
        self.authorized = self.folder / 'authorized_keys'
        self.authorized.touch()
        self.address, self.port, self.prefix = address, port or free_port(), prefix
        self.host_keys = [keygen(self.folder / f'host_{kind}', kind) for kind in host_keys]
        self.extra = extra
        self.process = None
        self.start()

    def authorize(self, key):
        with self.authorized.open('a') as f:
            f.write(pathlib.Path(f'{key}.pub').read_text())

    def start(self):
        config = write_config(self.folder / 'config', self.authorized, self.host_keys, f'Port {self.port}',
                              f'ListenAddress {self.address}', self.extra)
        self.log_path.write_text('')
        with self.log_path.open('a') as log:
            self.process = subprocess.Popen([*self.prefix, SSHD, '-D', '-e', '-f', config], stderr=log, stdin=subprocess.DEVNULL)
        wait_for(lambda: 'Server listening' in self.log(), 'sshd to listen')

    def new_host_key(self, kind='ed25519'):
        self.stop()
        path = self.folder / f'host_{kind}'
        for old in (path, path.with_name(path.name + '.pub')):
            old.unlink(missing_ok=True)
        self.host_keys = [keygen(path, kind)]
        self.start()

    def log(self):
        return self.log_path.read_text(errors='replace')

    def connections(self):
        return self.log().count('Connection from ')

    def children(self):
        """The processes that serve connections."""
        found = []
        for task in pathlib.Path(f'/proc/{self.process.pid}/task').iterdir():
            found += [int(p) for p in (task / 'children').read_text().split()]
        return found

    def signal_children(self, number):
        todo = self.children()
        while todo:
            pid = todo.pop()
            try:
                more = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
                todo += [int(p) for p in more]
                os.kill(pid, number)
            except (ProcessLookupError, FileNotFoundError):
                pass

    def stop(self):
        if not self.process:
            return
        self.signal_children(signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self.process = None


def make_machine(cli, name, server, key, **state):
    """A machine of driver generic where a server is, without provisioning: commands that go by SSH need no
    more."""
    cli.create_none(name)
    path = cli.store / 'machines' / name / 'config.json'
    config = json.loads(path.read_text())
    config['DriverName'] = 'generic'
    config['Driver'] = {'IPAddress': '127.0.0.1', 'MachineName': name, 'SSHUser': USER,
                        'SSHPort': server.port, 'SSHKeyPath': str(key), **state}
    path.write_text(json.dumps(config, indent=4))
    return path.parent


class Net:
    """One server, and the machines web1 and default that are there."""

    def __init__(self, cli, folder, extra=''):
        self.cli, self.key = cli, keygen(folder / 'key')
        self.server = Sshd(folder / 'sshd', extra=extra)
        self.server.authorize(self.key)
        for name in 'web1', 'default':
            make_machine(cli, name, self.server, self.key)

    def known_hosts(self, name='web1'):
        return self.cli.store / 'machines' / name / 'known_hosts'
