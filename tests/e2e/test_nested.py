"""nspawn machines on a computer that systemd runs, with cgroup v2: a virtual machine is that computer.

Emulated, this takes many minutes; MACHINE_TEST_LONG=1 runs it.
"""

import subprocess

import pytest

import base_image
import cli as cli_module

CREATE_SECONDS = 1200
INSIDE_SECONDS = 900
# what the program, the driver and its image need; the rest is in the image
PACKAGES = ('systemd-container,iproute2,iptables,zstd,busybox-static,libyajl2,libuv1,libmbedtls14,libmbedx509-1,'
            'libmbedcrypto7,libssh2-1,libsodium23,libcurl4,openssh-client')
MACHINE = 'sudo MACHINE_STORAGE_PATH=/var/lib/store /mnt/build/machine/cli/machine'
ENGINE = f'''set -e
eval "$({MACHINE} env inner)"
sudo cp -r /var/lib/store/machines/inner /tmp/certs && sudo chmod -R a+rX /tmp/certs
export DOCKER_CERT_PATH=/tmp/certs
docker version
tar -C / -c bin/busybox | docker import - test:busybox
docker run --rm test:busybox /bin/busybox echo it works
'''
TRACES = '''ip -o link | grep -E 'machine0|vb-mn' ; find /sys/fs/cgroup -name '*machine-nspawn*'
sudo iptables-save | grep machine0 ; grep /var/lib/store /proc/self/mountinfo ; pgrep -af supervise | grep -v pgrep
sudo ls -A /var/lib/machine-nspawn | grep -v '^lock$' ; true'''


@pytest.fixture
def computer(local_cli, image_folder, tmp_path):
    """Its name is v2; the build and the image are in folders that it shares."""
    folder = tmp_path / 'image'
    subprocess.run([base_image.BUILDER, '--parts', 'direct', '--include', PACKAGES, folder],
                   check=True, timeout=base_image.BUILD_SECONDS)
    local_cli.ok('create', '-d', 'qemu', '--qemu-image', str(folder), '--qemu-memory', '3072',
                 '--qemu-share-type', '9p', '--qemu-share', f'{local_cli.build}:/mnt/build:ro',
                 '--qemu-share', f'{image_folder}:/mnt/image:ro', 'v2', timeout=CREATE_SECONDS)
    yield local_cli
    local_cli.ok('rm', '-f', 'v2', timeout=120)


@pytest.mark.long
def test_life_on_cgroup_v2(computer):
    def inside(command):
        return computer.ok('ssh', 'v2', command, timeout=INSIDE_SECONDS).out

    assert inside('stat -fc %T /sys/fs/cgroup; cat /proc/1/comm').split() == ['cgroup2fs', 'systemd']
    inside(f'{MACHINE} create -d nspawn --nspawn-image /mnt/image --nspawn-memory 1024 inner')
    assert 'machine-nspawn' in inside("find /sys/fs/cgroup -name '*machine-nspawn*'")
    assert inside(ENGINE).splitlines()[-1] == 'it works'
    address = inside(f'{MACHINE} ip inner')
    for action in 'stop', 'start', 'restart', 'kill', 'start':
        inside(f'{MACHINE} {action} inner')
    assert inside(f'{MACHINE} ip inner') == address
    assert inside(ENGINE.replace('sudo cp', 'sudo rm -rf /tmp/certs; sudo cp')).splitlines()[-1] == 'it works'
    inside(f'{MACHINE} rm -y inner')
    assert inside(TRACES) == ''
    assert cli_module.local_hosts(computer.store / 'machines' / 'v2')
