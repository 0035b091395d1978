"""The scripts that provisioning runs on hosts, run here by every shell that is there."""

import os
import re
import shlex
import shutil
import subprocess

import pytest

import cli

SCRIPTS = cli.TOP / 'machine/provision/scripts'
SHELLS = [shell for shell in (['dash'], ['bash', '--posix'], ['busybox', 'sh']) if shutil.which(shell[0])]


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def host(request, tmp_path):
    return Host(request.param, tmp_path)


class Host:
    """A folder that stands for a host's file system, with commands of the test's own."""

    def __init__(self, shell, path):
        self.shell = shell
        self.path = path
        self.bin = path / 'bin'
        self.log = path / 'log'
        self.fakes = set()
        for folder in 'bin', 'etc', 'run':
            (path / folder).mkdir()
        for name in 'firewall-cmd', 'ufw', 'iptables', 'restorecon': # not this machine's
            self.fake(name, 'exit 1', log=False)

    def fake(self, name, body, log=True):
        command = self.bin / name
        command.write_text(f'#!/bin/sh\necho {name} "$@" >>{self.log if log else "/dev/null"}\n{body}\n')
        command.chmod(0o755)
        self.fakes.add(name)

    def calls(self):
        text = self.log.read_text() if self.log.exists() else ''
        self.log.write_text('')
        return text.splitlines()

    def run(self, *names, **variables):
        script = ''.join((SCRIPTS / f'{name}.sh').read_text() for name in names)
        if 'common' in names: # or this machine would be provisioned
            assert 'PATH=/usr/local/sbin:' in script
        script = script.replace('PATH=/usr/local/sbin:', f'PATH={self.bin}:/usr/local/sbin:')
        for folder in '/etc/', '/var/run/', '/var/log/', '/var/lib/boot2docker/', '/run/':
            script = re.sub(rf'(?<![\w/]){folder}', f'{self.path}{folder}', script)
        text = ''.join(f'{name}={shlex.quote(value)}\n' for name, value in variables.items())
        # functions, because busybox has commands of its own that come before PATH
        text += ''.join(f'{name}() {{ {self.bin}/{name} "$@"; }}\n' for name in self.fakes if '-' not in name)
        guard = ['unshare', '--uts'] if os.geteuid() == 0 else []
        result = subprocess.run([*guard, *self.shell, '-s'], input=text + script, capture_output=True, text=True,
                                cwd=self.path, timeout=120)
        assert not (self.path / 'pwned').exists()
        return result
