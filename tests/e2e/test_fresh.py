"""The newcomer's first command on a Debian that has nothing yet: a chroot with a network of its own.

Packages, build and image come anew, which takes minutes; MACHINE_TEST_LONG=1 runs it.
"""

import os
import shutil
import subprocess

import pytest

import cli as cli_module
import debian
from rootfs import run, unmount_below

QUICKSTART_SECONDS = 1800
INSIDE = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LANG': 'C.UTF-8'}
# the computer's own /sys and cgroups, as its root sees them
BOOT = '''set -e
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind --make-rslave /sys/fs/cgroup sys/fs/cgroup
mount --rbind --make-rslave /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
chroot . sh -c "$2"
'''


class FreshComputer:
    """A minimal Debian 12: what debootstrap installs, git, and a clone of this project in /root/machine."""

    def __init__(self, net, number=1):
        self.name = f'{net.id}h{number}'
        self.link = f'{net.id}v{number}'
        self.dir = net.disk / self.name
        self.root = self.dir / 'root'
        self.dir.mkdir()
        self._install()
        self._connect(net, f'{net.prefix}.{number + 200}')

    def _install(self):
        (self.dir / 'sources').write_text(debian.sources('bookworm'))
        (self.dir / 'proxy').write_text(debian.proxy_settings())
        run('mmdebstrap', '--quiet', '--variant=minbase', f'--aptopt={self.dir}/proxy', '--include=git,ca-certificates',
            'bookworm', str(self.root), str(self.dir / 'sources'), env={**os.environ, 'TMPDIR': str(self.dir)})
        shutil.copy('/etc/resolv.conf', self.root / 'etc/resolv.conf')
        run('git', '-c', 'safe.directory=*', 'clone', '-q', str(cli_module.TOP), str(self.root / 'root/machine'))

    def _connect(self, net, address):
        run('ip', 'netns', 'add', self.name)
        run('ip', 'link', 'add', self.link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', self.name)
        run('ip', 'link', 'set', self.link, 'master', net.id, 'up')
        run('ip', '-n', self.name, 'link', 'set', 'lo', 'up')
        run('ip', '-n', self.name, 'addr', 'add', f'{address}/24', 'dev', 'eth0')
        run('ip', '-n', self.name, 'link', 'set', 'eth0', 'up')
        run('ip', '-n', self.name, 'route', 'add', 'default', 'via', net.address)

    def sh(self, command, seconds):
        """Runs a command as its root; whatever that leaves running ends with it."""
        argv = ['nsenter', f'--net=/run/netns/{self.name}', 'unshare', '-m', '-p', '-u', '-i', '--fork',
                '--kill-child', 'sh', '-c', BOOT, 'sh', str(self.root), command]
        return subprocess.run(argv, env=INSIDE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors='replace', timeout=seconds)

    def remove(self):
        unmount_below(self.dir)
        for argv in ['ip', 'netns', 'del', self.name], ['ip', 'link', 'del', self.link]:
            subprocess.run(argv, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.dir)


@pytest.fixture
def computer(lab):
    fresh = FreshComputer(lab.net)
    yield fresh
    fresh.remove()


M = './machine/build/machine/cli/machine'
TRACES = ("{ ip link; iptables-save; cat /proc/self/mountinfo; ls -A .docker/machine/machines; } | "
          "grep -E 'machine0|demo' ; true")


@pytest.mark.long
@pytest.mark.parametrize('driver', ['nspawn', 'qemu'])
def test_quickstart_on_a_fresh_debian(computer, driver):
    done = computer.sh(f'cd && machine/scripts/quickstart --driver {driver} && {M} rm -y demo && '
                       f'echo traces: && {TRACES}', QUICKSTART_SECONDS)
    assert done.returncode == 0, done.stdout
    assert 'A container on demo: it works.' in done.stdout, done.stdout
    assert done.stdout.split('traces:\n')[1] == '', done.stdout
    print(*(line for line in done.stdout.splitlines() if line.startswith('==> ')), sep='\n')
