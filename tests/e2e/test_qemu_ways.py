"""Virtual machines by each kind of firmware, network, seed and share, as root and as a user, that really boot.

Emulated, each takes minutes: they have the mark `long`.
"""

import errno
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time

import pytest

import base_image
import cli as cli_module
from real import check_engine
from rootfs import run

pytestmark = pytest.mark.long

SECONDS = 1800 # for anything that boots, on a busy computer without KVM
SIZES = ['--qemu-memory', '1024', '--qemu-disk-size', '6000']
ADDRESS = '10.99.7'
FIXED = f'{ADDRESS}.20'


def ssh(cli, name, command):
    return cli.ok('ssh', name, command, timeout=120).out


def state_of(cli, name):
    return json.loads(cli.ok('inspect', name).out)['Driver']


def nothing_left(cli):
    names = cli.names()
    if names:
        cli.ok('rm', '-f', *names, timeout=120)
    assert not cli_module.local_hosts(cli.store)


def check_guest(cli, name):
    """What the seed said came true, and the engine works."""
    assert ssh(cli, name, 'hostname; id -un; sudo id -un').split() == [name, 'docker', 'root']
    keys = ssh(cli, name, 'sudo sh -c "cat /etc/ssh/ssh_host_*.pub"').split()
    assert keys[:2] == state_of(cli, name)['HostKey'].split()[:2] and keys.count('ssh-ed25519') == 1
    assert int(ssh(cli, name, 'df --output=size -BM / | tail -n 1').strip(' M\n')) > 5000
    assert ssh(cli, name, 'systemctl --failed --no-legend') == ''
    check_engine(cli, name)


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """A folder to show in a machine, for writing and not."""
    made = {}
    for name in 'rw', 'ro':
        made[name] = tmp_path_factory.mktemp(name)
        made[name].chmod(0o755) # the machine's users are not this one
        (made[name] / 'from-here').write_text('hello\n')
    return made


def check_share(cli, name, folder, guest, kind):
    assert ssh(cli, name, f'findmnt -no FSTYPE {guest}; cat {guest}/from-here').split() == [kind, 'hello']
    ssh(cli, name, f'echo there | sudo tee {guest}/from-there')
    assert (folder / 'from-there').read_text() == 'there\n'


@pytest.fixture(scope='module')
def disks(tmp_path_factory):
    """A store with an image that boots by itself, and one of those that have cloud-init."""
    folder = tmp_path_factory.mktemp('disks')
    cli = cli_module.Cli(folder)
    for name, flags in ('lean', []), ('cloud', ['--cloud-init']):
        run(base_image.BUILDER, '--parts', 'disk', '--name', name, *flags, folder / name, timeout=SECONDS)
        cli.ok('image', 'import', folder / name, timeout=300)
        shutil.rmtree(folder / name)
    return cli


# --- firmware and seed

def test_uefi_and_cloud_init(disks, folders, tmp_path):
    """The real cloud-init understands user, keys, name, network, shares, and the user's own part."""
    (tmp_path / 'more.yaml').write_text('#cloud-config\nwrite_files:\n- {path: /etc/mine, content: "by yaml\\n"}\n')
    disks.ok('create', '-d', 'qemu', '--qemu-image', 'cloud', '--qemu-firmware', 'uefi', *SIZES, '--qemu-share-type', '9p',
             '--qemu-share', f'{folders["rw"]}:/mnt/rw', '--qemu-share', f'{folders["ro"]}:/mnt/ro:ro',
             '--qemu-userdata', tmp_path / 'more.yaml', 'u1', timeout=SECONDS)
    try:
        assert ssh(disks, 'u1', 'sudo cloud-init status --wait').split()[-1] == 'done'
        assert ssh(disks, 'u1', 'cat /etc/mine; ls -d /sys/firmware/efi') == 'by yaml\n/sys/firmware/efi\n'
        check_guest(disks, 'u1')
        check_share(disks, 'u1', folders['rw'], '/mnt/rw', '9p')
        assert disks.run('ssh', 'u1', 'sudo touch /mnt/ro/x', timeout=120).status != 0
        disks.ok('restart', 'u1', timeout=SECONDS)
        check_guest(disks, 'u1')
    finally:
        nothing_left(disks)


# --- networks

class Network:
    """A network namespace with a bridge, a tap device, and a server of addresses."""

    def __init__(self, folder):
        self.name, self.server = f'mt{os.getpid()}q', None
        (folder / 'etc' / 'qemu').mkdir(parents=True)
        (folder / 'etc' / 'qemu' / 'bridge.conf').write_text('allow br7\n')
        # what QEMU may attach to is said in /etc/qemu, which is seen in this namespace only
        self.prefix = ('ip', 'netns', 'exec', self.name, 'sh', '-c',
                       f'mount -t overlay -o lowerdir={folder}/etc:/etc none /etc && exec "$@"', 'sh')
        run('ip', 'netns', 'add', self.name)
        for words in ('link set lo up', 'link add br7 type bridge', f'addr add {ADDRESS}.1/24 dev br7', 'link set br7 up',
                      'tuntap add tap7 mode tap', 'link set tap7 master br7', 'link set tap7 up'):
            run('ip', 'netns', 'exec', self.name, 'ip', *words.split())

    def serve(self, folder):
        self.server = subprocess.Popen(
            ['ip', 'netns', 'exec', self.name, 'dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--interface=br7',
             '--bind-interfaces', '--user=root', '--no-ping', f'--dhcp-range={ADDRESS}.100,{ADDRESS}.199,1h',
             f'--dhcp-leasefile={folder}/leases', f'--pid-file={folder}/pid'], stdin=subprocess.DEVNULL)

    def close(self):
        if self.server:
            self.server.terminate()
            self.server.wait(20)
        run('ip', 'netns', 'del', self.name)


@pytest.fixture
def network(tmp_path):
    the_network = Network(tmp_path)
    yield the_network
    the_network.close()


@pytest.fixture
def inside(disks, network):
    cli = cli_module.Cli(disks.folder)
    cli.prefix = network.prefix
    yield cli
    nothing_left(cli)


def test_bridge_and_fixed_address_bios_and_virtiofs(inside, folders):
    inside.ok('create', '-d', 'qemu', '--qemu-image', 'lean', '--qemu-firmware', 'bios', *SIZES, '--qemu-network', 'bridge',
              '--qemu-network-bridge', 'br7', '--qemu-network-address', f'{FIXED}/24,{ADDRESS}.1', '--qemu-share-type', 'virtiofs',
              '--qemu-share', f'{folders["rw"]}:/mnt/rw', 'b1', timeout=SECONDS)
    assert inside.ok('url', 'b1').out == f'tcp://{FIXED}:2376\n'
    assert inside.ok('ip', 'b1').out == f'{FIXED}\n'
    check_guest(inside, 'b1')
    check_share(inside, 'b1', folders['rw'], '/mnt/rw', 'virtiofs')
    assert ssh(inside, 'b1', 'ip -4 route show default').split()[2] == f'{ADDRESS}.1'
    inside.ok('stop', 'b1', timeout=SECONDS)
    assert not cli_module.local_hosts(inside.store) # virtiofsd neither
    inside.ok('start', 'b1', timeout=SECONDS)
    check_guest(inside, 'b1')


def test_tap_and_dhcp(inside, network, tmp_path):
    network.serve(tmp_path)
    inside.ok('create', '-d', 'qemu', '--qemu-image', 'lean', *SIZES, '--qemu-network', 'tap', '--qemu-network-interface', 'tap7',
              't1', timeout=SECONDS)
    address = inside.ok('ip', 't1').out.strip()
    assert address in (tmp_path / 'leases').read_text() and address.startswith(ADDRESS)
    check_guest(inside, 't1')
    inside.ok('kill', 't1', timeout=120)
    assert inside.ok('status', 't1').out == 'Stopped\n'


# --- without root

@pytest.fixture(scope='module')
def person():
    """A user with a clone of this; the home folder is closed to others."""
    name = f'mt{os.getpid()}'
    run('useradd', '-m', '-K', 'HOME_MODE=0700', '-s', '/bin/bash', name)
    home = pathlib.Path(pwd.getpwnam(name).pw_dir)
    try:
        if f'{name}:' not in pathlib.Path('/etc/subuid').read_text():
            run('usermod', '--add-subuids', '900000-965535', '--add-subgids', '900000-965535', name)
        clone = home / 'clone'
        clone.mkdir()
        listed = subprocess.run(['git', '-c', 'safe.directory=*', '-C', cli_module.TOP, 'ls-files', '-z'], check=True,
                                stdout=subprocess.PIPE).stdout
        archive = subprocess.run(['tar', '-C', cli_module.TOP, '--null', '-T', '-', '-c'], input=listed, check=True,
                                 stdout=subprocess.PIPE).stdout
        subprocess.run(['tar', '-C', clone, '-x', '--no-same-owner'], input=archive, check=True)
        cli = cli_module.Cli(home, clone / 'build')
        cli.home, cli.store = home, home / '.docker' / 'machine'
        cli.env = {'PATH': '/usr/bin:/bin', 'HOME': str(home), 'USER': name, 'LANG': 'C.UTF-8',
                   'MACHINE_DOCKER_INSTALL_URL': 'http://127.0.0.1:1/no-such-script'}
        cli.prefix = ('setpriv', '--reuid', name, '--regid', name, '--init-groups')
        run('chown', '-R', f'{name}:', home)
        yield cli
        nothing_left(cli)
    finally:
        for pid in cli_module.local_hosts(home):
            os.kill(pid, signal.SIGKILL)
        run('userdel', '-r', name)


def quickstart(cli):
    began = time.monotonic()
    done = subprocess.run([*cli.prefix, cli.home / 'clone/scripts/quickstart', '--driver', 'qemu'], env=cli.env, cwd=cli.home,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
    print(f'quickstart: {time.monotonic() - began:.0f} s\n{done.stdout}')
    assert done.returncode == 0 and 'it works' in done.stdout, done.stdout


@pytest.fixture(scope='module')
def started(person):
    """The user's store has the image and the machine demo, by the quickstart from a clone."""
    quickstart(person)
    return person


def test_the_life_of_a_users_machine(started):
    """Everything that can happen to the machine, a loss of power included."""
    person = started
    (pid,) = cli_module.local_hosts(person.store)
    assert f'Uid:\t{pwd.getpwnam(person.env["USER"]).pw_uid}\t' in pathlib.Path(f'/proc/{pid}/status').read_text()
    person.ok('stop', 'demo', timeout=SECONDS)
    assert not cli_module.local_hosts(person.store)
    quickstart(person) # starts it
    power_fails(person)
    person.ok('kill', 'demo', timeout=120)
    assert person.ok('status', 'demo').out == 'Stopped\n'
    person.ok('rm', '-y', 'demo', timeout=120)
    assert person.names() == []


def take_port(port):
    """Some other process may have it for a connection of its own, for a while."""
    end = time.monotonic() + 120
    while True:
        try:
            return socket.create_server(('127.0.0.1', port))
        except OSError as error:
            assert error.errno == errno.EADDRINUSE and time.monotonic() < end, error
            time.sleep(0.1)


def power_fails(cli):
    """The computer starts again: the process is gone, its number and one of its ports are others' now, the files are there."""
    before, folder = state_of(cli, 'demo'), cli.store / 'machines' / 'demo'
    (pid,) = cli_module.local_hosts(cli.store)
    os.kill(pid, signal.SIGKILL)
    while cli_module.process_state(pid):
        time.sleep(0.05)
    assert (folder / 'monitor').is_socket()
    (folder / 'qemu.pid').write_text(f'{os.getpid()}\n')
    assert cli.ok('status', 'demo').out == 'Stopped\n'
    with take_port(before['EnginePort']):
        started = cli.ok('start', 'demo', timeout=SECONDS)
    assert 'another program' in started.text, started
    after = state_of(cli, 'demo')
    assert after['SSHPort'] == before['SSHPort'] and after['EnginePort'] not in (0, before['EnginePort'])
    check_engine(cli, 'demo')


def test_share_of_a_user(started):
    """By 9p, as the virtiofsd of QEMU 7 is for root."""
    person = started
    folder = person.home / 'shown'
    folder.mkdir()
    (folder / 'from-here').write_text('hello\n')
    run('chown', '-R', f'{person.env["USER"]}:', folder)
    person.ok('create', '-d', 'qemu', *SIZES, '--qemu-share', f'{folder}:/mnt/rw', 's1', timeout=SECONDS)
    kind = ssh(person, 's1', 'findmnt -no FSTYPE /mnt/rw').strip()
    assert kind == state_of(person, 's1')['Shares'][0]['Type']
    check_share(person, 's1', folder, '/mnt/rw', kind)
    assert (folder / 'from-there').owner() == person.env['USER']
