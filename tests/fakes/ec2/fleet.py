"""The hosts of a fake's instances, at their public addresses: SSH with the host key that the user data has, for the key
pair of the launch, to fakes/fake-host; and an engine with TLS. They are there as soon as an instance runs.

    with Ec2() as ec2, Fleet(ec2, folder, certs, ssh_port, addresses):

addresses: pairs as addresses_of() gives them. certs: a folder with the CA (and its key) that the engines' certificate is of.
"""

import contextlib
import json
import os
import pathlib
import selectors
import socket
import subprocess
import sys
import threading

FAKES = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(FAKES.parent / 'lib'))

from engine import tls_server  # noqa: E402
from sshd import SSHD, write_config  # noqa: E402

ENGINE_PORT = 2376
BACKLOG = 16
HOSTS = 250 # of a /24
PATIENCE = 10


def addresses_of(count):
    """(private, public) of instances. The engines' port is fixed: each process has addresses of the loopback for itself."""
    first, second = 192 + os.getpid() % 64, os.getpid() // 64 % 256
    return [(f'10.66.{i // HOSTS}.{i % HOSTS + 1}', f'127.{first}.{(second + i // HOSTS) % 256}.{i % HOSTS + 1}')
            for i in range(count)]


def listen(address, port):
    sock = socket.create_server((address, port), backlog=BACKLOG)
    sock.setblocking(False)
    return sock


def accept(listener):
    """A connection; None: it is gone again, or the listener is."""
    try:
        sock, _ = listener.accept()
    except OSError:
        return None
    sock.setblocking(True)
    return sock


class Fleet:
    def __init__(self, ec2, folder, certs, ssh_port, addresses):
        self.ec2, self.folder, self.ssh_port = ec2, pathlib.Path(folder), ssh_port
        self.folder.mkdir(exist_ok=True)
        self.children, self.listeners = [], {}
        # what listens are sockets of our own
        self.engine = tls_server(certs, folder, [public for _, public in addresses])
        self.selector = selectors.DefaultSelector()
        self.waker, woken = socket.socketpair()
        self.selector.register(woken, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        ec2.account.watchers.append(self.follow)

    # the instances

    def follow(self, instance, _old, new):
        if new == 'running':
            self.power_on(instance)
        elif new != 'rebooting':
            self.power_off(instance)

    def power_on(self, instance):
        config, address = self.furnish(instance), instance['_public']
        ssh, engine = listen(address, self.ssh_port), listen(address, ENGINE_PORT)
        self.listeners[instance['InstanceId']] = ssh, engine
        self.selector.register(ssh, selectors.EVENT_READ, lambda sock: self.answer_ssh(sock, config))
        self.selector.register(engine, selectors.EVENT_READ, self.answer_engine)
        self.waker.send(b'.')

    def power_off(self, instance):
        for listener in self.listeners.pop(instance['InstanceId'], ()):
            self.selector.unregister(listener)
            listener.close()

    def furnish(self, instance):
        """What cloud-init does; gives the configuration of the host's sshd."""
        host = self.folder / instance['InstanceId']
        host.mkdir(exist_ok=True)
        (key,) = (k for k in self.ec2.account.all('key-pair') if k['KeyName'] == instance['KeyName'])
        (host / 'authorized').write_text(key['_public'] + '\n')
        host_key = host / 'host_key'
        host_key.touch(0o600)
        host_key.write_text(json.loads(instance['_data'].decode().partition('\n')[2])['ssh_keys']['ed25519_private'])
        return write_config(host / 'config', host / 'authorized', [host_key], f'ForceCommand {FAKES}/fake-host {host}')

    # the connections

    def serve(self):
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    if not key.fileobj.recv(1):
                        return
                else:
                    key.data(key.fileobj)

    def answer_ssh(self, listener, config):
        sock = accept(listener)
        if not sock:
            return
        with sock:
            self.children = [child for child in self.children if child.poll() is None]
            self.children.append(subprocess.Popen([SSHD, '-i', '-f', config, '-E', '/dev/null'], stdin=sock, stdout=sock,
                                                  stderr=subprocess.DEVNULL))

    def answer_engine(self, listener):
        sock = accept(listener)
        if sock:
            with contextlib.suppress(OSError): # who is gone again already
                self.engine.process_request(self.engine.wrap(sock), None)

    def close(self):
        self.ec2.account.watchers.remove(self.follow)
        self.waker.close()
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()
        self.engine.server_close()
        for child in self.children: # their clients are gone
            try:
                child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
