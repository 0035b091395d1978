"""What may be left of the hosts of the driver nspawn: processes, mounts, links, control groups, rules,
files of its registry."""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import subprocess

import cli as cli_module

REGISTRY = pathlib.Path('/var/lib/machine-nspawn')
BRIDGE = 'machine0'


class Numbers:
    """The hosts of a store, by their numbers, so that other stores' hosts do not matter."""

    def __init__(self, store):
        self.store, self.seen = store, set()

    def entries(self):
        """By address. Other stores' may come and go; names with a dot are half written."""
        found, hosts = {}, REGISTRY / 'hosts'
        for name in sorted(os.listdir(hosts)) if hosts.is_dir() else []:
            try:
                if not name.startswith('.'):
                    found[name] = json.loads((hosts / name).read_text())
            except FileNotFoundError:
                pass
        return found

    def note(self):
        for address, entry in self.entries().items():
            if entry['dir'].startswith(f'{self.store}/'):
                self.seen.add(int(address.rsplit('.', 1)[1]))

    def traces(self):
        """What is there of the hosts seen so far, and of the network that no host needs. Drivers of
        other stores may be at work: not meanwhile."""
        lock = REGISTRY / 'lock'
        with open(lock) if lock.exists() else contextlib.nullcontext() as file:
            if file:
                fcntl.flock(file, fcntl.LOCK_EX)
            return self._traces()

    def _traces(self):
        found = [f'process {pid}: {cli_module.command_line(pid)}' for pid in map(int, filter(
            str.isdigit, os.listdir('/proc'))) if str(self.store) in cli_module.command_line(pid)]
        found += [f'check {p}' for p in self.store.glob('.nspawn*')]
        found += [f'mount {line.split()[4]}' for line in open('/proc/self/mountinfo')
                  if str(self.store) in line]
        entries = self.entries()
        found += [f'entry {a}' for a, e in entries.items() if e['dir'].startswith(f'{self.store}/')]
        others = {int(a.rsplit('.', 1)[1]) for a in entries}
        for number in self.seen - others:
            found += [f'link {p}' for p in pathlib.Path('/sys/class/net').glob(f'vb-mn{number}')]
            found += [f'group {g}' for g in groups() if re.fullmatch(rf'.*/machine-nspawn-{number}(\.scope)?', g)]
            found += [str(p) for p in pathlib.Path('/run/systemd/nspawn').glob(
                f'*/mn{number}')]
        if not entries:
            found += [f'bridge {p}' for p in pathlib.Path('/sys/class/net').glob(BRIDGE)]
            found += [f'rule {r}' for r in rules()]
            found += [str(p) for p in REGISTRY.rglob('*') if p.name != 'lock']
        return found


def groups():
    """All control groups; those of other hosts may go meanwhile, which os.walk, unlike glob, does not mind."""
    return [folder for folder, _, _ in os.walk('/sys/fs/cgroup')]


def rules():
    saved = subprocess.run(['iptables-save'], capture_output=True, text=True, check=True).stdout
    return [line for line in saved.splitlines() if BRIDGE in line and line.startswith('-A')]
