"""scripts/build-image, for real: what comes out, and what is left when it does not."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

pytestmark = pytest.mark.long

BUILD = pathlib.Path(__file__).parents[2] / 'scripts/build-image'
BUILD_SECONDS = 900
MODULES = ('virtio_blk virtio_net virtio_rng virtio_balloon isofs overlay 9pnet_virtio 9p virtiofs br_netfilter '
           'nf_tables nft_compat ip_tables iptable_nat xt_addrtype xt_conntrack xt_MASQUERADE veth bridge vxlan').split()
DRIVERS = 'ext4 virtio_pci virtio_blk virtio_scsi sd_mod ahci ata_piix nvme vmw_pvscsi hv_storvsc'.split()


def run(*argv, **kwargs):
    done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, timeout=BUILD_SECONDS, **kwargs)
    assert done.returncode == 0, f'{argv}: status {done.returncode}\n{done.stdout}{done.stderr}'
    return done.stdout


def mounts_below(path):
    return [line for line in pathlib.Path('/proc/self/mountinfo').read_text().splitlines() if f' {path}' in line]


def processes_of(path):
    """Commands that name `path`."""
    found = []
    for entry in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
        try:
            text = entry.read_bytes()
        except OSError:
            continue
        if str(path).encode() in text and int(entry.parent.name) != os.getpid():
            found.append(text)
    return found


@pytest.fixture(scope='module')
def image(tmp_path_factory):
    """A folder with all parts."""
    out = tmp_path_factory.mktemp('image') / 'out'
    run(BUILD, '--include', 'less', out)
    assert os.listdir(out.parent) == ['out']
    assert not mounts_below(out.parent)
    return out


@pytest.fixture(scope='module')
def root(image, tmp_path_factory):
    """The unpacked root file system for containers."""
    path = tmp_path_factory.mktemp('root')
    run('tar', '-C', path, '--numeric-owner', '-xf', image / 'rootfs.tar.zst')
    return path


@pytest.fixture(scope='module')
def disk_root(image, tmp_path_factory):
    """A raw copy of the root file system for virtual machines, read with debugfs."""
    raw = tmp_path_factory.mktemp('disk') / 'root.raw'
    run('qemu-img', 'convert', '-O', 'raw', image / 'root.qcow2', raw)
    yield raw
    raw.unlink()


def in_disk(raw, command):
    return run('debugfs', '-R', command, raw)


def enabled(root, *units):
    return all((root / f'etc/systemd/system/{target}.wants/{unit}').is_symlink() for unit, target in units)


def test_the_description_fits_the_files(image):
    description = json.loads((image / 'image.json').read_text())
    assert {key: file['name'] for key, file in description['files'].items()} == {
        'rootfs': 'rootfs.tar.zst', 'root': 'root.qcow2', 'kernel': 'vmlinuz', 'initrd': 'initrd.img', 'disk': 'disk.qcow2'}
    sums = dict(reversed(line.split('  ')) for line in (image / 'SHA256SUMS').read_text().splitlines())
    for file in description['files'].values():
        assert (image / file['name']).stat().st_size == file['size']
        assert sums[file['name']] == file['sha256']
    assert sorted([*sums, 'SHA256SUMS']) == sorted(os.listdir(image))
    run('sha256sum', '-c', '--strict', 'SHA256SUMS', cwd=image)
    assert description['format'] == 1 and 'id' not in description
    assert (description['name'], description['architecture'], description['os'], description['seed']) == (
        'debian-12', 'amd64', 'Debian 12', 'lean')
    assert re.fullmatch(r'20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ', description['created'])
    assert re.fullmatch(r'\d+\.\d+\.\d+', description['engine'])
    assert 'root=LABEL=root' in description['cmdline'].split()
    assert description['files']['root']['virtualSize'] == 4 << 30
    packages = dict(line.split(' ') for line in (image / 'packages.txt').read_text().splitlines())
    assert packages['docker.io'].startswith(description['engine'])
    assert {'openssh-server', 'sudo', 'less', 'jq'} <= set(packages)
    inputs = json.loads((image / 'inputs.json').read_text())
    assert inputs['suite'] == 'bookworm' and len(inputs['releases']) == 3
    assert len(inputs['packages']) == len(packages)


def test_the_root_file_system_keeps_the_contract(root):
    assert '\ndocker:x:1000:' in (root / 'etc/passwd').read_text()
    assert re.search(r'^docker:!:', (root / 'etc/shadow').read_text(), re.M)
    assert re.search(r'^sudo:x:\d+:docker$', (root / 'etc/group').read_text(), re.M)
    group = re.search(r'^docker:x:(\d+):', (root / 'etc/group').read_text(), re.M)[1]
    assert f'\ndocker:x:1000:{group}:' in (root / 'etc/passwd').read_text()
    assert (root / 'home/docker').stat().st_uid == 1000
    assert not (root / 'home/docker/.ssh').exists()
    assert 'NOPASSWD' in run('chroot', root, 'sudo', '-l', '-U', 'docker')
    run('chroot', root, 'visudo', '-qc')
    assert not list((root / 'etc/ssh').glob('ssh_host_*'))
    assert (root / 'etc/machine-id').read_bytes() == b''
    assert os.readlink(root / 'etc/resolv.conf') == '/run/systemd/resolve/resolv.conf'
    assert enabled(root, ('ssh.service', 'multi-user.target'), ('docker.service', 'multi-user.target'),
                   ('systemd-networkd.service', 'multi-user.target'), ('systemd-resolved.service', 'sysinit.target'),
                   ('machine-cgroup-rw.service', 'sysinit.target'))
    assert (root / 'tmp').stat().st_mode & 0o7777 == 0o1777


def test_the_root_file_system_has_nothing_that_only_the_build_needed(root):
    for path in ('usr/sbin/policy-rc.d', 'usr/sbin/start-stop-daemon.REAL', 'etc/hostname', 'etc/apt/apt.conf.d/99mmdebstrap',
                 'etc/dpkg/dpkg.cfg.d/99mmdebstrap', 'usr/share/man/man1', 'usr/lib/modules', 'usr/lib/machine'):
        assert not (root / path).exists(), path
    assert not list((root / 'boot').iterdir())
    for path in 'var/lib/apt/lists', 'dev', 'proc', 'sys', 'run', 'tmp', 'var/lib/docker':
        assert not (root / path).exists() or not list((root / path).iterdir()), path
    assert (root / 'usr/sbin/start-stop-daemon').read_bytes().startswith(b'\x7fELF')


def test_virtual_machines_have_a_kernel_its_drivers_and_the_reader_of_seeds(image, disk_root):
    superblock = run('dumpe2fs', '-h', disk_root)
    assert re.search(r'^Filesystem volume name: +root$', superblock, re.M)
    assert re.search(r'^Filesystem state: +clean$', superblock, re.M)
    run('e2fsck', '-fn', disk_root)
    kernel = re.search(r'(\S+-amd64)', in_disk(disk_root, 'ls -l /usr/lib/modules'))[1]
    listed = in_disk(disk_root, f'cat /usr/lib/modules/{kernel}/modules.dep') + in_disk(
        disk_root, f'cat /usr/lib/modules/{kernel}/modules.builtin')
    present = {re.sub('-', '_', name) for name in re.findall(r'([^/\s:]+)\.ko', listed)}
    assert set(MODULES) - present == set()
    for unit, target in ('machine-seed.service', 'sysinit'), ('machine-grow.service', 'multi-user'), ('ssh.service', 'multi-user'):
        assert 'Type: symlink' in in_disk(disk_root, f'stat /etc/systemd/system/{target}.target.wants/{unit}')
    for program in 'seed', 'run', 'grow':
        assert 'Mode:  0755' in in_disk(disk_root, f'stat /usr/lib/machine/{program}')
    assert in_disk(disk_root, 'cat /etc/machine-id') == ''
    assert 'ssh_host_' not in in_disk(disk_root, 'ls /etc/ssh')
    assert in_disk(disk_root, 'cat /etc/fstab').startswith('LABEL=root / ext4 ')
    initrd = run('sh', '-c', 'zcat "$1" | cpio -t --quiet', 'sh', image / 'initrd.img')
    assert {'init', 'bin/busybox'} <= set(initrd.split())
    assert set(DRIVERS) - set(re.findall(r'([^/\s]+)\.ko', initrd)) == set()
    assert f'lib/modules/{kernel}/modules.dep' in initrd.split()


def test_the_disk_boots_by_bios_and_uefi(image, tmp_path):
    raw = tmp_path / 'disk.raw'
    run('qemu-img', 'convert', '-O', 'raw', image / 'disk.qcow2', raw)
    table = json.loads(run('sfdisk', '--json', raw))['partitiontable']
    assert table['label'] == 'gpt'
    boot, root = table['partitions']
    assert boot['type'] == 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B' and boot['attrs'] == 'LegacyBIOSBootable'
    assert (boot['name'], root['name']) == ('boot', 'root')
    run('sfdisk', '--verify', raw)
    with open(raw, 'rb') as disk:
        assert disk.read(440).strip(b'\0')
        disk.seek(boot['start'] * 512)
        assert b'SYSLINUX' in disk.read(512)
    fat = f'{raw}@@{boot["start"] * 512}'
    environment = {**os.environ, 'MTOOLS_SKIP_CHECK': '1'}
    files = run('mdir', '-/', '-a', '-b', '-i', fat, '::', env=environment).split()
    for name in 'vmlinuz', 'initrd.img', 'ldlinux.sys', 'syslinux.cfg', 'EFI/BOOT/BOOTX64.EFI', 'loader/entries/linux.conf':
        assert f'::/{name}' in files
    assert 'root=LABEL=root' in run('mtype', '-i', fat, '::/syslinux.cfg', env=environment)
    assert 'root=LABEL=root' in run('mtype', '-i', fat, '::/loader/entries/linux.conf', env=environment)
    raw.unlink()


def test_the_same_packages_make_the_same_archive(image, tmp_path):
    run(BUILD, '--parts', 'rootfs', '--include', 'less', tmp_path / 'again')
    files = [json.loads((path / 'image.json').read_text())['files']['rootfs'] for path in (image, tmp_path / 'again')]
    inputs = [json.loads((path / 'inputs.json').read_text())['releases'] for path in (image, tmp_path / 'again')]
    assert inputs[0] == inputs[1], 'the mirror has changed in between; run the test again'
    assert files[0] == files[1]


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=['INT', 'TERM', 'KILL'])
def test_an_interrupted_build_leaves_nothing(tmp_path, number):
    out = tmp_path / 'out'
    build = subprocess.Popen([BUILD, '--parts', 'rootfs', out], stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert 'install Debian' in build.stderr.readline()
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob('.out.partial/build')) or not processes_of(tmp_path):
        assert time.monotonic() < deadline and build.poll() is None
        time.sleep(0.05)
    build.send_signal(number)
    build.wait(60)
    build.stderr.close()
    assert build.returncode == {signal.SIGKILL: -9}.get(number, 128 + number)
    deadline = time.monotonic() + 30 # a killed one's processes end right after it
    while processes_of(tmp_path):
        assert time.monotonic() < deadline, processes_of(tmp_path)
        time.sleep(0.05)
    assert not mounts_below(tmp_path)
    if number == signal.SIGKILL: # nobody was left to remove the folders; the next build does
        assert sorted(map(str, (path.relative_to(tmp_path) for path in tmp_path.rglob('*')))) == [
            '.out.partial', '.out.partial/build', '.out.partial/out']
        failed = subprocess.run([BUILD, '--parts', 'rootfs', '--include', 'no-such-package', out], capture_output=True, text=True,
                                timeout=BUILD_SECONDS)
        assert failed.returncode != 0 and 'no-such-package' in failed.stderr
    assert not list(tmp_path.iterdir())
