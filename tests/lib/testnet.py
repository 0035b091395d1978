"""One run's network and folder: a bridge in a subnet nobody uses, NAT for it, a tmpfs.

Everything that a run makes bears its id (mtPID). RUNS/mtPID/owner is locked by the process for as
long as it lives, and RUNS/mtPID/net says what to undo, so whoever starts next can sweep up after a
run that was killed.
"""

import fcntl
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import time

from rootfs import run, unmount_below

RUNS = pathlib.Path('/run/machine-tests')
SYSCTLS = {'net/ipv4/ip_forward': 1, 'fs/inotify/max_user_instances': 8192}


def rules(bridge, subnet):
    """What hosts need to reach the package mirror, also beside a dockerd (FORWARD DROP)."""
    return [('nat', 'POSTROUTING', '-s', subnet, '!', '-o', bridge, '-j', 'MASQUERADE'),
            ('filter', 'FORWARD', '-i', bridge, '-j', 'ACCEPT'),
            ('filter', 'FORWARD', '-o', bridge, '-j', 'ACCEPT')]


def iptables(action, rule):
    table, chain, *match = rule
    argv = ['iptables', '-w', '-t', table, action, chain, *match]
    if action == '-D':
        subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    else:
        run(*argv)


def cgroup_roots():
    """The mount points of all cgroup hierarchies, v1 and v2."""
    with open('/proc/self/mountinfo') as table:
        fields = [line.split() for line in table]
    return [pathlib.Path(f[4]) for f in fields if f[f.index('-') + 1] in ('cgroup', 'cgroup2')]


def _free_subnet():
    taken = run('ip', '-4', 'route', 'show', 'table', 'all') + run('ip', '-4', 'addr')
    while True:
        prefix = f'10.{random.randrange(64, 250)}.{random.randrange(256)}'
        wider = prefix.rsplit('.', 1)[0]
        if f'{wider}.' not in taken:
            return prefix


def _processes_of(pattern):
    """Processes in the cgroups of that name, the hosts' nspawns among them."""
    found = set()
    for root in cgroup_roots():
        for procs in root.glob(f'{pattern}/**/cgroup.procs'):
            try:
                found.update(int(pid) for pid in procs.read_text().split())
            except OSError:
                continue
    return found


def kill_all(pattern, deadline_s=20):
    end = time.monotonic() + deadline_s
    while pids := _processes_of(pattern):
        if time.monotonic() > end:
            raise RuntimeError(f'processes of {pattern} survive SIGKILL: {sorted(pids)}')
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)


def remove_cgroups(pattern, deadline_s=10):
    end = time.monotonic() + deadline_s
    for root in cgroup_roots():
        for top in root.glob(pattern):
            for path, _, _ in os.walk(top, topdown=False):
                while True:
                    try:
                        os.rmdir(path)
                        break
                    except FileNotFoundError:
                        break
                    except OSError: # processes that are just ending
                        if time.monotonic() > end:
                            raise
                        time.sleep(0.02)


def remove_links(run_id):
    for name in os.listdir('/run/netns') if os.path.isdir('/run/netns') else []:
        if name.startswith(f'{run_id}h'):
            subprocess.run(['ip', 'netns', 'del', name], stderr=subprocess.DEVNULL)
    for name in os.listdir('/sys/class/net'):
        if name == run_id or name.startswith(f'{run_id}v'):
            subprocess.run(['ip', 'link', 'del', name], stderr=subprocess.DEVNULL)


def clean(path):
    """Takes away everything of the run whose folder is `path`."""
    run_id = path.name
    kill_all(f'{run_id}h*')
    try:
        net = json.loads((path / 'net').read_text())
        for rule in rules(net['bridge'], net['subnet']):
            iptables('-D', rule)
    except FileNotFoundError:
        pass
    remove_links(run_id)
    unmount_below(path)
    remove_cgroups(f'{run_id}h*')
    shutil.rmtree(path)


def _locked(path):
    """Opens and locks a file; None if someone else holds it."""
    handle = open(path, 'w')
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def sweep():
    """Cleans up after runs whose process is gone. The caller holds the RUNS lock."""
    for path in RUNS.glob('mt*'):
        owner = _locked(path / 'owner')
        if owner:
            clean(path)
            owner.close()


def _sysctls_set():
    saved = RUNS / 'sysctl'
    if not saved.exists():
        old = {key: pathlib.Path('/proc/sys', key).read_text().strip() for key in SYSCTLS}
        saved.write_text(json.dumps(old))
    for key, value in SYSCTLS.items():
        pathlib.Path('/proc/sys', key).write_text(str(value))


def _last_one_out():
    saved = RUNS / 'sysctl'
    if any(RUNS.glob('mt*')) or not saved.exists():
        return
    for key, value in json.loads(saved.read_text()).items():
        pathlib.Path('/proc/sys', key).write_text(value)
    saved.unlink()
    if os.path.isdir('/run/netns') and not os.listdir('/run/netns'): # `ip netns` leaves a mount
        unmount_below('/run/netns')


class Net:
    def __init__(self):
        RUNS.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.id = f'mt{os.getpid()}'
        self.path = RUNS / self.id
        with self._global_lock():
            sweep()
            self.path.mkdir(mode=0o700)
            self._owner = _locked(self.path / 'owner')
            self.prefix = _free_subnet()
            self.subnet = f'{self.prefix}.0/24'
            self.address = f'{self.prefix}.1'
            (self.path / 'net').write_text(json.dumps({'bridge': self.id, 'subnet': self.subnet}))
            _sysctls_set()
            run('ip', 'link', 'add', self.id, 'type', 'bridge')
            run('ip', 'addr', 'add', f'{self.address}/24', 'dev', self.id)
            run('ip', 'link', 'set', self.id, 'up')
            for rule in rules(self.id, self.subnet):
                iptables('-I', rule)
        self.disk = self.path / 'disk'
        self.disk.mkdir()
        run('mount', '-t', 'tmpfs', '-o', 'size=75%,mode=755', self.id, str(self.disk))

    def _global_lock(self):
        lock = open(RUNS / 'lock', 'w')
        fcntl.flock(lock, fcntl.LOCK_EX)
        return lock # closing it, as `with` does, unlocks

    def close(self):
        with self._global_lock():
            clean(self.path)
            self._owner.close()
            _last_one_out()
