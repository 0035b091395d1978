"""The root file systems of test hosts, made once and kept in a cache.

CACHE/base-HASH/plain is a Debian 12 with systemd, sshd and sudo; CACHE/base-HASH/docker is an
overlay layer on it with Debian's docker.io. HASH covers the recipe and the mirrors, so a change
of either makes new ones; those of another recipe are removed when nobody uses them.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

import debian

SUITE = 'bookworm'
PACKAGES = ('systemd systemd-sysv dbus openssh-server sudo iproute2 iptables ca-certificates curl '
            'procps busybox-static').split()

# cgroups arrive read-only in the container; dockerd needs to write them
CGROUP_UNIT = '''[Unit]
DefaultDependencies=no
Before=containerd.service docker.service sysinit.target
ConditionVirtualization=systemd-nspawn
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'for c in /sys/fs/cgroup /sys/fs/cgroup/*/; do \
mountpoint -q $c && mount -o remount,rw,bind $c; done; mount -o remount,rw,bind /proc/sys; true'
[Install]
WantedBy=sysinit.target
'''
SSHD_CONFIG = 'LogLevel VERBOSE\nUseDNS no\nMaxStartups 100\n'
SETUP = '''set -e
useradd -m -s /bin/bash debian
echo 'debian ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/debian
systemctl enable -q test-cgroup-rw.service
systemctl mask -q apt-daily.timer apt-daily-upgrade.timer systemd-timesyncd.service
echo 'SSHD_OPTS="-E /var/log/sshd.log"' >/etc/default/ssh
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id
'''
INSTALL_DOCKER = '''set -e
apt-get -q update
apt-get -qy --no-install-recommends install docker.io
apt-get clean
rm -rf /var/lib/apt/lists/* /var/lib/docker/* /usr/sbin/policy-rc.d
'''


def cache_dir():
    path = os.environ.get('MACHINE_TEST_CACHE') or os.path.expanduser('~/.cache/machine-tests')
    return pathlib.Path(path)


def hash_of(*parts):
    """Names what is made from these texts and this machine's mirrors."""
    every = [SUITE, *parts, debian.sources(SUITE), debian.proxy_settings()]
    return hashlib.sha256('\0'.join(every).encode()).hexdigest()[:12]


def recipe_hash():
    return hash_of(*PACKAGES, CGROUP_UNIT, SSHD_CONFIG, SETUP, INSTALL_DOCKER)


def run(*argv, **kwargs):
    """Runs a command; its output appears only in the error, if it fails."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors='replace', **kwargs)
    if done.returncode:
        raise RuntimeError(f'{" ".join(map(str, argv))}: status {done.returncode}\n{done.stdout}')
    return done.stdout


@contextlib.contextmanager
def mounted(where, *options):
    where.mkdir(parents=True, exist_ok=True)
    run('mount', *options, str(where))
    try:
        yield where
    finally:
        run('umount', '-R', '-l', str(where))


def bootstrap(root, packages, variant='apt'):
    """Unpacks a Debian with these packages."""
    root.mkdir()
    with tempfile.TemporaryDirectory(dir=root.parent) as tmp, \
            mounted(pathlib.Path(tmp) / 't', '-t', 'tmpfs', '-o', 'size=4g', 'tmpfs') as fast:
        conf = fast / 'proxy.conf'
        conf.write_text(debian.proxy_settings())
        sources = fast / 'debian.list'
        sources.write_text(debian.sources(SUITE))
        run('mmdebstrap', '--quiet', f'--variant={variant}', '--include=' + ','.join(packages),
            '--aptopt=Acquire::Languages "none"', '--aptopt=Apt::Install-Recommends "false"',
            f'--aptopt={conf}', '--dpkgopt=force-unsafe-io',
            '--dpkgopt=path-exclude=/usr/share/doc/*', '--dpkgopt=path-exclude=/usr/share/man/*',
            SUITE, str(fast / 'base.tar'), str(sources), env={**os.environ, 'TMPDIR': str(fast)})
        run('tar', '-C', str(root), '-xf', str(fast / 'base.tar'))


def _build_plain(root):
    bootstrap(root, PACKAGES)
    shutil.copy('/etc/resolv.conf', root / 'etc/resolv.conf')
    (root / 'etc/systemd/system/test-cgroup-rw.service').write_text(CGROUP_UNIT)
    (root / 'etc/ssh/sshd_config.d/10-test.conf').write_text(SSHD_CONFIG)
    run('chroot', str(root), 'sh', '-c', SETUP)


def _build_docker(plain, layer):
    work = layer.parent / 'work'
    for path in layer, work:
        path.mkdir()
    options = f'lowerdir={plain},upperdir={layer},workdir={work}'
    with mounted(layer.parent / 'merged', '-t', 'overlay', '-o', options, 'overlay') as root, \
            mounted(root / 'proc', '-t', 'proc', 'proc'):
        policy = root / 'usr/sbin/policy-rc.d'
        policy.write_text('#!/bin/sh\nexit 101\n')
        policy.chmod(0o755)
        shutil.copy('/etc/resolv.conf', root / 'etc/resolv.conf')
        run('chroot', str(root), 'sh', '-c', INSTALL_DOCKER,
            env={**os.environ, 'DEBIAN_FRONTEND': 'noninteractive'})
    (layer.parent / 'merged').rmdir()
    shutil.rmtree(work)


def _build(folder):
    _build_plain(folder / 'plain')
    (folder / 'docker').mkdir()
    _build_docker(folder / 'plain', folder / 'docker' / 'layer')


def unmount_below(path):
    """Unmounts everything mounted at or below `path`, the last mounted first."""
    prefix = str(path)
    with open('/proc/self/mountinfo') as table:
        points = [line.split()[4].replace('\\040', ' ') for line in table]
    for point in reversed(points):
        if point == prefix or point.startswith(prefix + '/'):
            subprocess.run(['umount', '-l', point], stderr=subprocess.DEVNULL)


def _drop_others(path):
    for other in path.parent.glob(f'{path.name.split("-")[0]}-*'):
        if other.suffix or other.name == path.name:
            continue
        with open(other.with_suffix('.lock'), 'w') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue # another checkout's tests are using it
            shutil.rmtree(other)


class Cached:
    """CACHE/KIND-HASH, whole or not at all: made by `build` in an empty folder if it is not there, and held
    in use until closed."""

    def __init__(self, kind, recipe, build):
        cache = cache_dir()
        cache.mkdir(parents=True, exist_ok=True)
        self.path = cache / f'{kind}-{recipe}'
        self._lock = open(self.path.with_suffix('.lock'), 'w')
        if self.path.is_dir():
            fcntl.flock(self._lock, fcntl.LOCK_SH)
        if not self.path.is_dir():
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if not self.path.is_dir():
                self._make(build)
            fcntl.flock(self._lock, fcntl.LOCK_SH)
        _drop_others(self.path)

    def _make(self, build):
        tmp = self.path.with_name(self.path.name + '.tmp')
        if tmp.exists(): # an interrupted build, perhaps with its mounts
            unmount_below(tmp)
            shutil.rmtree(tmp)
        tmp.mkdir()
        build(tmp)
        tmp.rename(self.path)

    def close(self):
        self._lock.close()


class Bases(Cached):
    """The roots of test hosts."""

    def __init__(self):
        super().__init__('base', recipe_hash(), _build)

    def lowerdir(self, docker):
        plain = str(self.path / 'plain')
        return f'{self.path}/docker/layer:{plain}' if docker else plain
