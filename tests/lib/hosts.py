"""Real hosts for tests: systemd as PID 1, sshd, an address of their own, in systemd-nspawn.

    with hosts.Lab() as lab:
        host = lab.boot(docker=False, user='debian')
        host.ip, host.user, host.key       # reach it by ssh
        host.exec('uname -a')              # look inside without ssh
        host.ssh_connections()             # what sshd saw
        host.restarted(boot)               # after a reboot from inside

A host restarts when it reboots, stays off when it is powered off, and nothing of it is left when
the lab closes. See rootfs.py for what is in it, testnet.py for how leftovers are found.
"""

import http.server
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

from rootfs import Bases, run, unmount_below
from testnet import Net, cgroup_roots, kill_all, remove_cgroups

REBOOT = 133 # nspawn's exit status when the system inside asks for a reboot
BOOT_SECONDS = 60

INSTALL_SCRIPT = '''#!/bin/sh
# Installs the distribution's own engine, as a user with sudo or as root.
set -e
as_root=
[ "$(id -u)" = 0 ] || as_root='sudo -E'
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get -q update
$as_root apt-get -qy --no-install-recommends install docker.io
'''


def wait_for(what, condition, seconds):
    """Polls until `condition` gives something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f'no {what} after {seconds} s')
        time.sleep(0.05)


def ssh_answers(address, port):
    try:
        with socket.create_connection((address, port), 2) as s:
            s.settimeout(5)
            return s.recv(4) == b'SSH-'
    except OSError:
        return False


class Host:
    def __init__(self, lab, number, *, docker, user, sudo, sshd_config_extra, ssh_port):
        self.lab, self.user, self.ssh_port = lab, user, ssh_port
        self.name = f'{lab.net.id}h{number}'
        self.link = f'{lab.net.id}v{number}'
        self.ip = f'{lab.net.prefix}.{number + 10}'
        self.key = lab.key
        self.dir = lab.net.disk / self.name
        self.root = self.dir / 'root'
        self._off = threading.Event()
        self._make_disk(docker)
        self._personalize(sudo, sshd_config_extra)
        self._connect()
        self._start()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        self.wait_ssh()
        self.forget_connections()

    def _make_disk(self, docker):
        for part in 'upper', 'work', 'root', 'docker':
            (self.dir / part).mkdir(parents=True)
        lower = self.lab.bases.lowerdir(docker)
        run('mount', '-t', 'overlay', self.name, '-o',
            f'lowerdir={lower},upperdir={self.dir}/upper,workdir={self.dir}/work', str(self.root))

    def _personalize(self, sudo, sshd_config_extra):
        root = self.root
        (root / 'etc/hostname').write_text(f'{self.name}\n')
        (root / 'etc/hosts').write_text(f'127.0.0.1 localhost\n127.0.1.1 {self.name}\n')
        shutil.copy('/etc/resolv.conf', root / 'etc/resolv.conf')
        config = f'Port {self.ssh_port}\n{sshd_config_extra}\n'
        (root / 'etc/ssh/sshd_config.d/00-host.conf').write_text(config)
        self.new_host_keys()
        if not sudo:
            (root / 'etc/sudoers.d/debian').unlink()
        for home, owner in ('root', 0), ('home/debian', 1000):
            folder = root / home / '.ssh'
            folder.mkdir(mode=0o700, exist_ok=True)
            shutil.copy(f'{self.key}.pub', folder / 'authorized_keys')
            os.chown(folder, owner, owner)
            os.chown(folder / 'authorized_keys', owner, owner)

    def new_host_keys(self):
        for kind in 'ed25519', 'ecdsa':
            path = self.root / f'etc/ssh/ssh_host_{kind}_key'
            path.unlink(missing_ok=True)
            run('ssh-keygen', '-q', '-t', kind, '-N', '', '-C', self.name, '-f', str(path))

    def authorize(self, public_key, home='home/debian'):
        with open(self.root / home / '.ssh/authorized_keys', 'a') as keys:
            keys.write(public_key)

    def _connect(self):
        ns, net = self.name, self.lab.net
        run('ip', 'netns', 'add', ns)
        run('ip', 'link', 'add', self.link, 'type', 'veth', 'peer', 'name', 'host0', 'netns', ns)
        run('ip', 'link', 'set', self.link, 'master', net.id, 'up')
        run('ip', '-n', ns, 'link', 'set', 'lo', 'up')
        run('ip', '-n', ns, 'addr', 'add', f'{self.ip}/24', 'dev', 'host0')
        run('ip', '-n', ns, 'link', 'set', 'host0', 'up')
        run('ip', '-n', ns, 'route', 'add', 'default', 'via', net.address)

    def _start(self):
        # a cgroup of its own in every hierarchy: without it two hosts share one systemd's tree
        groups = [root / self.name for root in cgroup_roots()]
        for group in groups:
            group.mkdir(exist_ok=True)
            for part in 'cpuset.cpus', 'cpuset.mems':
                if (group / part).exists() and not (group / part).read_text().strip():
                    (group / part).write_text((group.parent / part).read_text())
        nspawn = ['systemd-nspawn', '--register=no', '--keep-unit', '--boot', '-M', self.name,
                  f'--network-namespace-path=/run/netns/{self.name}', '--capability=all',
                  '--system-call-filter=add_key keyctl bpf', '--resolv-conf=off',
                  '-D', str(self.root), '--bind', f'{self.dir}/docker:/var/lib/docker']
        enter = ''.join(f'echo $$ >{group}/cgroup.procs || exit 99; ' for group in groups)
        with open(self.dir / 'log', 'ab') as log:
            self.nspawn = subprocess.Popen(
                ['sh', '-c', enter + 'exec "$@"', 'sh', *nspawn], stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def _watch(self):
        while self.nspawn.wait() == REBOOT and not self._off.is_set():
            self._start()

    def console(self):
        return (self.dir / 'log').read_text(errors='replace')

    def wait_ssh(self, seconds=BOOT_SECONDS):
        try:
            wait_for('ssh', lambda: ssh_answers(self.ip, self.ssh_port), seconds)
        except TimeoutError as e:
            raise TimeoutError(f'{self.name}: {e}\n{self.console()[-2000:]}') from None

    def init_pid(self):
        """The host's PID 1, seen from here; None while there is none."""
        out = subprocess.run(['pgrep', '-P', str(self.nspawn.pid)], capture_output=True, text=True)
        return int(out.stdout.split()[0]) if out.stdout.strip() else None

    def exec(self, command, check=True):
        """Runs a shell command as root inside, not by ssh; returns its output."""
        argv = ['nsenter', '-t', str(self.init_pid()), '-m', '-u', '-i', '-n', '-p', '--',
                '/bin/sh', '-c', command]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors='replace', timeout=300,
                              env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root'})
        if check and done.returncode:
            raise RuntimeError(f'{self.name}: {command}: status {done.returncode}\n{done.stdout}')
        return done.stdout

    def sshd_log(self):
        path = self.root / 'var/log/sshd.log'
        return path.read_text(errors='replace') if path.exists() else ''

    def forget_connections(self):
        """Starts counting anew; waits until sshd has noted the end of what came before."""
        def settled():
            before = self.sshd_log()
            time.sleep(0.1)
            return before == self.sshd_log()
        wait_for('quiet sshd', settled, 10)
        self._log_mark = len(self.sshd_log())

    def ssh_connections(self):
        return len(re.findall(r'^Connection from ', self.sshd_log()[self._log_mark:], re.M))

    def ssh_logins(self):
        return len(re.findall(r'^Accepted \w+ for ', self.sshd_log()[self._log_mark:], re.M))

    def ssh_commands(self):
        return len(re.findall(r'^Starting session: ', self.sshd_log()[self._log_mark:], re.M))

    def host_key(self, kind='ed25519'):
        """The public key that its sshd shows, as it stands in a file."""
        return (self.root / f'etc/ssh/ssh_host_{kind}_key.pub').read_text().strip()

    def add_ipv6(self):
        """Gives the host and this machine addresses of a private IPv6 net; returns the host's."""
        net = 'fd6d:' + ':'.join(f'{int(part):x}' for part in self.lab.net.prefix.split('.'))
        ours, theirs = f'{net}::1', f'{net}::2:{int(self.ip.split(".")[-1]):x}'
        subprocess.run(['ip', 'addr', 'add', f'{ours}/64', 'dev', self.lab.net.id, 'nodad'],
                       stderr=subprocess.DEVNULL) # perhaps it has it already
        run('ip', '-n', self.name, 'addr', 'add', f'{theirs}/64', 'dev', 'host0', 'nodad')
        return theirs

    def boot_id(self):
        return self.exec('cat /proc/sys/kernel/random/boot_id').strip()

    def power_cut(self):
        """Everything stops at once, as when the plug is pulled."""
        self._off.set()
        pid = self.init_pid()
        if pid:
            os.kill(pid, signal.SIGKILL) # nspawn's own death would leave systemd running
        self.nspawn.wait(30)

    def power_off(self):
        self._off.set()
        self.nspawn.send_signal(signal.SIGTERM)
        self.nspawn.wait(60)

    def power_on(self):
        self._watcher.join(30)
        self._off.clear()
        self._start()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        self.wait_ssh()

    def remove(self):
        self._off.set()
        kill_all(self.name)
        self._watcher.join(30)
        unmount_below(self.dir)
        for argv in ['ip', 'netns', 'del', self.name], ['ip', 'link', 'del', self.link]:
            subprocess.run(argv, stderr=subprocess.DEVNULL)
        remove_cgroups(self.name)
        shutil.rmtree(self.dir)


class Lab:
    """The hosts of one test run and the web server beside them."""

    def __init__(self):
        if os.geteuid() != 0:
            raise PermissionError('test hosts need root: use sudo')
        self.bases = Bases()
        self.net = Net()
        self.hosts = []
        self._count = 0
        self._web = None
        self.key = str(self.net.disk / 'id_ed25519')
        run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', self.key)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def boot(self, docker=False, user='debian', sudo=True, sshd_config_extra='', ssh_port=22):
        self._count += 1
        host = Host(self, self._count, docker=docker, user=user, sudo=sudo,
                    sshd_config_extra=sshd_config_extra, ssh_port=ssh_port)
        self.hosts.append(host)
        return host

    def remove(self, host):
        self.hosts.remove(host)
        host.remove()

    def serve(self, path, content, status=200):
        """Puts content at a path of the lab's web server; returns the URL."""
        if not self._web:
            self._web = WebServer(self.net.address)
        self._web.pages[path] = (status, content.encode())
        return f'http://{self.net.address}:{self._web.server_port}{path}'

    def requests(self):
        return self._web.seen if self._web else []

    def close(self):
        if self._web:
            self._web.shutdown()
            self._web.server_close()
            self._web = None
        for host in list(self.hosts):
            host._off.set()
        self.hosts.clear()
        if self.net:
            self.net.close()
            self.net = None
            self.bases.close()


class WebServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address):
        self.pages, self.seen = {}, []
        super().__init__((address, 0), PageHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class PageHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append(self.path)
        status, content = self.server.pages.get(self.path, (404, b'no such page\n'))
        self.send_response(status)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def write_install_script(folder):
    path = pathlib.Path(folder) / 'install-engine.sh'
    path.write_text(INSTALL_SCRIPT)
    return path
