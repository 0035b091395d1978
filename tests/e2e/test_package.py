"""The Debian package: built, examined by lintian, installed in a Debian 12 that has nothing else, used,
and purged.

Building and the chroot take minutes; MACHINE_TEST_LONG=1 runs it. MACHINE_TEST_PACKAGES names a folder
with packages that are built already.
"""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

import debian
from cli import TOP
from rootfs import run

pytestmark = pytest.mark.long

NAME = 'docker-machine-ng'
SECONDS = 900
INSIDE = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LANG': 'C.UTF-8', 'USER': 'root',
          'DEBIAN_FRONTEND': 'noninteractive'}
# mounts and processes are gone when the command ends, however it ends
BOOT = '''set -e
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --rbind --make-rslave /dev dev
mount -t tmpfs tmpfs tmp
exec chroot . sh -ec "$2"
'''
# what the package manager keeps for itself
FILES = ("find / -xdev \\( -path /proc -o -path /dev -o -path /tmp -o -path /root -o -path /var/cache -o -path /var/log "
         "-o -path /var/lib/apt -o -path '/var/lib/dpkg/*' \\) -prune -o -print | sort; ls /var/lib/dpkg/info | sort")


class Chroot:
    def __init__(self, folder):
        self.root = folder / 'root'
        (folder / 'sources').write_text(debian.sources('bookworm'))
        (folder / 'proxy').write_text(debian.proxy_settings())
        run('mmdebstrap', '--quiet', '--variant=apt', '--aptopt=Apt::Install-Recommends "false"',
            f'--aptopt={folder}/proxy', '--dpkgopt=force-unsafe-io', 'bookworm', str(folder / 'root.tar'),
            str(folder / 'sources'), env={**os.environ, 'TMPDIR': str(folder)})
        self.root.mkdir()
        run('tar', '-C', str(self.root), '-xf', str(folder / 'root.tar'))
        shutil.copy('/etc/resolv.conf', self.root / 'etc/resolv.conf')

    def sh(self, command):
        """Runs a command as its root; its standard output."""
        argv = ['unshare', '-m', '-p', '-i', '--fork', '--kill-child', 'sh', '-c', BOOT, 'sh', str(self.root), command]
        done = subprocess.run(argv, env=INSIDE, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors='replace', timeout=SECONDS)
        assert done.returncode == 0, f'{command}\n{done.stdout}{done.stderr}'
        return done.stdout


@pytest.fixture(scope='module')
def packages(tmp_path_factory):
    """The folder that scripts/package fills."""
    if given := os.environ.get('MACHINE_TEST_PACKAGES'):
        return pathlib.Path(given)
    before = run('git', '-c', 'safe.directory=*', '-C', str(TOP), 'status', '--porcelain', '--ignored')
    out = tmp_path_factory.mktemp('package')
    run(str(TOP / 'scripts' / 'package'), str(out))
    assert run('git', '-c', 'safe.directory=*', '-C', str(TOP), 'status', '--porcelain', '--ignored') == before
    return out


@pytest.fixture(scope='module')
def chroot(packages, tmp_path_factory):
    fresh = Chroot(tmp_path_factory.mktemp('chroot'))
    (file,) = packages.glob(f'{NAME}_*.deb')
    shutil.copy(file, fresh.root / 'package.deb')
    fresh.sh('apt-get -q update; apt-get -qy install man-db bash-completion zsh /package.deb')
    yield fresh
    shutil.rmtree(fresh.root)


def test_lintian(packages):
    (changes,) = packages.glob('*.changes')
    print(run('lintian', '--fail-on', 'error', '--tag-display-limit', '0', str(changes)))


def test_what_it_depends_on(packages):
    (file,) = packages.glob(f'{NAME}_*.deb')
    fields = run('dpkg-deb', '-f', str(file))
    depends = next(line for line in fields.splitlines() if line.startswith('Depends: '))
    for library in 'libc6', 'libcurl4', 'libmbedtls14', 'libsodium23', 'libssh2-1', 'libuv1', 'libyajl2':
        assert f'{library} ' in depends or f'{library},' in depends or depends.endswith(library), depends
    assert 'openssh-client' in depends and 'systemd' not in depends and 'qemu' not in depends
    assert 'systemd-container' in fields and 'qemu-system-x86' in fields


def test_modes(chroot):
    """Packaging changed none: what build-image puts into images is executable where the source is."""
    guest = chroot.root / 'usr/libexec/machine/guest'
    for path in (TOP / 'scripts' / 'guest').rglob('*'):
        if path.is_file():
            mode = (guest / path.relative_to(TOP / 'scripts' / 'guest')).stat().st_mode & 0o777
            assert mode == (0o755 if path.stat().st_mode & 0o100 else 0o644), path


def test_used(chroot):
    assert chroot.sh('docker-machine version').startswith('docker-machine version 0.')
    described = json.loads(chroot.sh('/usr/libexec/docker/cli-plugins/docker-machine docker-cli-plugin-metadata'))
    assert described['SchemaVersion'] == '0.1.0' # there the docker client looks for its plugins
    listed = chroot.sh('machine driver ls').splitlines()[1:]
    assert [line.split()[0] for line in listed] == ['amazonec2', 'digitalocean', 'generic', 'none', 'nspawn', 'openstack', 'qemu']
    assert all('/usr/libexec/machine/machine-driver-' in line for line in listed)
    made = chroot.sh('docker-machine create -d none --url tcp://127.0.0.1:2376 web1')
    assert made.endswith('run: docker-machine env web1\n')
    assert chroot.sh('machine ls -q; machine status web1; machine image ls -q') == 'web1\nRunning\n'
    assert '--parts' in chroot.sh('machine image build --help')
    assert chroot.sh('machine rm -y web1; machine ls -q').endswith('Successfully removed web1\n')


@pytest.mark.parametrize('name', ['machine', 'docker-machine'])
def test_completion_is_found(chroot, name):
    """By the loader of bash-completion, and by zsh."""
    loaded = chroot.sh('cat >/tmp/x <<"EOF"\n. /usr/share/bash-completion/bash_completion\n'
                       f'_completion_loader {name}\ncomplete -p {name}\nEOF\nbash /tmp/x')
    assert '-F _docker_machine' in loaded
    assert chroot.sh(f"zsh -fc 'autoload -U compinit; compinit -u -D; print $_comps[{name}]'") == '_docker-machine\n'


def test_manual(chroot):
    for page, title in [('machine', 'machine(1)'), ('docker-machine', 'machine(1)'),
                        ('machine-store', 'machine-store(5)'), ('machine-driver', 'machine-driver(7)')]:
        assert chroot.sh(f'man {page}').startswith(title)
    assert '/usr/share/machine/docker-machine-wrapper.bash' in chroot.sh('MANWIDTH=200 man machine')


def test_purge_leaves_nothing(chroot):
    """Installed, used and purged once more, there is not one file more or less."""
    purge = f'dpkg --purge {NAME} >&2'
    before = chroot.sh(f'{purge}; {FILES}')
    assert 'machine-driver' not in before
    after = chroot.sh('dpkg -i /package.deb >&2; machine create -d none --url x a >&2; mkdir -p /var/lib/machine-nspawn; '
                      f'touch /var/lib/machine-nspawn/x; {purge}; {FILES}')
    assert sorted(set(after.splitlines()) ^ set(before.splitlines())) == []
    assert (chroot.root / 'root/.docker/machine/machines/a/config.json').exists(), 'stores are the users\''
