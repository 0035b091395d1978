"""The driver nspawn: that nothing is left of a host, whatever happened to it."""

import fcntl
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess

import pytest

import cli as cli_module
from hosts import ssh_answers, wait_for
from nspawn_traces import BRIDGE, Numbers, rules
from real import check_engine, in_shell

CREATE_SECONDS = 120


@pytest.fixture
def hosts(local_cli):
    """Numbers of the shared store; at the end nothing may be left of its machines."""
    numbers = Numbers(local_cli.store)
    yield numbers
    numbers.note()
    local_cli.run('rm', '-f', *local_cli.names() or ['none'], timeout=120)
    assert numbers.traces() == []


def create(cli, name, *flags, **kwargs):
    return cli.ok('create', '-d', 'nspawn', *flags, name, timeout=CREATE_SECONDS, **kwargs)


def remove(cli, hosts, *names):
    hosts.note()
    cli.ok('rm', '-y', *names)
    assert hosts.traces() == []


def inside(cli, name, command):
    return cli.ok('ssh', name, command).out.strip()


def boot_id(cli, name):
    return inside(cli, name, 'cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1')


def child_of(pid):
    found = subprocess.run(['pgrep', '-P', str(pid)], capture_output=True, text=True).stdout.split()
    return int(found[0]) if found else None


def processes(cli, name):
    """Supervisor, its child, systemd-nspawn, the host's first process."""
    folder = cli.store / 'machines' / name
    every = set(cli_module.local_hosts(folder))
    (first,) = [p for p in every if cli_module._stat(p)[1] not in every
                and '--supervise' in cli_module.words_of(p)]
    chain = [first]
    while len(chain) < 4:
        chain.append(child_of(chain[-1]))
    return chain


def state(cli, name):
    return cli.ok('status', name).out.strip()


def test_life(local_cli, hosts):
    cli = local_cli
    result = create(cli, 'w1')
    assert 'Docker is up and running!' in result.out
    check_engine(cli, 'w1')
    address, first = cli.ok('ip', 'w1').out, boot_id(cli, 'w1')
    folder = cli.store / 'machines/w1'
    key = (folder / 'nspawn/ssh_host_ed25519_key.pub').read_text().split()[1]
    assert key in (folder / 'known_hosts').read_text()
    assert inside(cli, 'w1', 'sudo ls /etc/ssh | grep host_.*key$') == 'ssh_host_ed25519_key'

    cli.ok('stop', 'w1')
    assert state(cli, 'w1') == 'Stopped'
    hosts.note()
    assert [t for t in hosts.traces() if t.split()[0] in ('process', 'link', 'group', 'mount')] == []
    assert 'Reached target' in (folder / 'nspawn/console.log').read_text().rsplit('login:', 1)[1]
    cli.ok('start', 'w1')
    second = boot_id(cli, 'w1')
    cli.ok('restart', 'w1')
    third = boot_id(cli, 'w1')
    cli.ok('kill', 'w1')
    assert state(cli, 'w1') == 'Stopped'
    cli.ok('start', 'w1')
    assert len({first, second, third, boot_id(cli, 'w1')}) == 4
    assert cli.ok('ip', 'w1').out == address
    check_engine(cli, 'w1')
    remove(cli, hosts, 'w1')
    assert not folder.exists()


@pytest.mark.long
def test_reboot_and_power_off_inside(local_cli, hosts):
    cli = local_cli
    create(cli, 'w1')
    ip, before = cli.ok('ip', 'w1').out.strip(), boot_id(cli, 'w1')
    supervisor = processes(cli, 'w1')[0]
    cli.run('ssh', 'w1', 'sudo systemctl reboot')
    wait_for('end of ssh', lambda: not ssh_answers(ip, 22), 30)
    wait_for('ssh', lambda: ssh_answers(ip, 22), 60)
    assert boot_id(cli, 'w1') != before and processes(cli, 'w1')[0] == supervisor
    cli.run('ssh', 'w1', 'sudo systemctl poweroff')
    wait_for('end', lambda: state(cli, 'w1') == 'Stopped', 60)
    hosts.note()
    assert [t for t in hosts.traces() if t.split()[0] in ('process', 'link', 'group', 'mount')] == []
    cli.ok('start', 'w1')
    remove(cli, hosts, 'w1')


@pytest.mark.long
def test_killed(local_cli, hosts):
    """Whichever of a host's processes is killed, all of them are gone, and the next start works."""
    cli = local_cli
    create(cli, 'w1')
    for which in 'supervisor', 'its child', 'systemd-nspawn', 'systemd':
        chain = processes(cli, 'w1')
        every = [p for first in chain for p in [first, *cli_module.descendants(first)]]
        os.kill(chain[['supervisor', 'its child', 'systemd-nspawn', 'systemd'].index(which)],
                signal.SIGKILL)
        wait_for(f'the end of all after that of {which}',
                 lambda: not [p for p in every if cli_module.process_state(p)], 20)
        assert state(cli, 'w1') in ('Stopped', 'Error'), which
        cli.ok('start', 'w1')
        assert state(cli, 'w1') == 'Running', which
    os.kill(processes(cli, 'w1')[0], signal.SIGKILL)
    remove(cli, hosts, 'w1')


CREATE_POINTS = ['create.claimed', 'registry.reserved', 'registry.network_up', 'create.reserved', 'create.image',
                 'create.upper', 'create.files', 'start.locked', 'start.prepared', 'start.launched',
                 'supervise.begin', 'supervise.groups', 'supervise.entered', 'supervise.forked',
                 'init.mounted', 'init.started']


@pytest.mark.parametrize('point', CREATE_POINTS)
@pytest.mark.sampled(4)
def test_create_ended_anywhere(faulty, hosts, point):
    """The driver or one of the host's processes ends at a point: rm leaves nothing."""
    result = faulty.run('create', '-d', 'nspawn', 'w1', env={'MACHINE_TEST_FAULT': point},
                        timeout=CREATE_SECONDS)
    if point in ('registry.reserved', 'create.upper', 'start.locked', 'supervise.begin'):
        assert result.status != 0, result
    remove(faulty, hosts, 'w1')


@pytest.mark.long
@pytest.mark.parametrize('point', ['create.reserved', 'create.upper', 'start.prepared',
                                   'supervise.entered', 'init.mounted'])
def test_resumed(faulty, hosts, point):
    result = faulty.run('create', '-d', 'nspawn', 'w1', env={'MACHINE_TEST_FAULT': point},
                        timeout=CREATE_SECONDS)
    assert result.status != 0, result
    faulty.ok('create', '--resume', 'w1', timeout=CREATE_SECONDS)
    check_engine(faulty, 'w1')
    remove(faulty, hosts, 'w1')


@pytest.mark.long
@pytest.mark.parametrize('point', ['remove.off', 'registry.wiped', 'registry.network_down',
                                   'remove.released'])
def test_remove_ended_anywhere(faulty, hosts, point):
    create(faulty, 'w1')
    hosts.note()
    faulty.run('rm', '-y', 'w1', env={'MACHINE_TEST_FAULT': point})
    if faulty.names():
        faulty.ok('rm', '-y', 'w1')
    assert hosts.traces() == []


@pytest.mark.long
def test_the_image_is_unpacked_again_after_a_crash(faulty, hosts):
    (root,) = faulty.store.glob('cache/images/*/.root')
    shutil.rmtree(root)
    for point in 'rootfs.begin', 'rootfs.unpacked':
        result = faulty.run('create', '-d', 'nspawn', 'w1', env={'MACHINE_TEST_FAULT': point},
                            timeout=CREATE_SECONDS)
        assert result.status != 0 and not root.exists(), result
        faulty.ok('rm', '-y', 'w1')
    create(faulty, 'w1')
    assert root.exists() and not root.with_name('.root.new').exists()
    remove(faulty, hosts, 'w1')


def test_a_changed_image_is_not_used(local_cli, hosts):
    """Something wrote into the unpacked image: it is unpacked anew once no host runs on it."""
    cli = local_cli
    create(cli, 'w1')
    (tree,) = cli.store.glob('cache/images/*/.root/tree')
    (tree / 'etc/stray').write_text('x')
    result = cli.fails('create', '-d', 'nspawn', 'w2')
    assert 'is not as it was unpacked' in result.err, result
    cli.ok('rm', '-y', 'w2')
    cli.ok('stop', 'w1')
    cli.ok('start', 'w1')
    assert not (tree / 'etc/stray').exists()
    remove(cli, hosts, 'w1')


def test_after_a_restart_of_the_computer(local_cli, hosts):
    """No process, no bridge, no rule; the files of a running host are still there."""
    cli = local_cli
    create(cli, 'w1')
    hosts.note()
    if len(hosts.entries()) > 1:
        pytest.skip('other hosts of this computer need the bridge')
    os.kill(processes(cli, 'w1')[1], signal.SIGKILL)
    wait_for('end', lambda: state(cli, 'w1') == 'Stopped', 20)
    subprocess.run(['ip', 'link', 'delete', BRIDGE], check=True)
    for line in rules():
        table = 'nat' if 'MASQUERADE' in line else 'filter'
        subprocess.run(['iptables', '-w', '-t', table, '-D', *line.split()[1:]], check=True)
    cli.ok('start', 'w1')
    check_engine(cli, 'w1')
    remove(cli, hosts, 'w1')


def other_store(local_cli, tmp_path):
    """A store of its own with the same image."""
    cli = cli_module.Cli(tmp_path)
    cli.store.mkdir(mode=0o700)
    subprocess.run(['cp', '-al', local_cli.store / 'cache', cli.store / 'cache'], check=True)
    shutil.copytree(local_cli.store / 'certs', cli.store / 'certs')
    return cli


def test_a_store_that_was_deleted(local_cli, hosts, tmp_path):
    """Its hosts are ended, and their addresses freed, when the driver is used next."""
    lost = other_store(local_cli, tmp_path)
    mine = Numbers(lost.store)
    create(lost, 'w1')
    mine.note()
    every = [p for f in processes(lost, 'w1') for p in [f, *cli_module.descendants(f)]]
    shutil.rmtree(lost.store)
    create(local_cli, 'w1')
    assert mine.traces() == [] and not [p for p in every if cli_module.process_state(p)]
    remove(local_cli, hosts, 'w1')


@pytest.mark.long
def test_a_copied_store(local_cli, hosts, tmp_path):
    """A copy cannot run beside its original, and its removal does not hurt that."""
    create(local_cli, 'w1')
    copy = other_store(local_cli, tmp_path)
    subprocess.run(['cp', '-a', local_cli.store / 'machines', copy.store / 'machines'], check=True)
    assert state(copy, 'w1') == 'Stopped'
    result = copy.fails('start', 'w1')
    assert re.search(r'its address \S+ belongs to the machine w1 in ', result.err), result
    copy.ok('rm', '-y', 'w1')
    assert state(local_cli, 'w1') == 'Running'
    check_engine(local_cli, 'w1')
    remove(local_cli, hosts, 'w1')


@pytest.mark.long
def test_a_moved_store(local_cli, hosts, tmp_path):
    """What was moved keeps its address."""
    first = other_store(local_cli, tmp_path)
    create(first, 'w1')
    address = first.ok('ip', 'w1').out
    first.ok('stop', 'w1')
    (tmp_path / 'else where').mkdir()
    moved = cli_module.Cli(tmp_path / 'else where')
    first.store.rename(moved.store)
    moved.ok('start', 'w1')
    assert moved.ok('ip', 'w1').out == address
    numbers = Numbers(moved.store)
    remove(moved, numbers, 'w1')


def test_limits_and_binds(local_cli, hosts, tmp_path):
    cli = local_cli
    shared = tmp_path / 'a:b, c'
    shared.mkdir()
    (shared / 'file').write_text('seen\n')
    escaped = str(shared).replace(':', '\\:')
    create(cli, 'w1', '--nspawn-memory', '512', '--nspawn-cpus', '1',
           '--nspawn-bind', f'{escaped}:/srv/it', '--nspawn-bind', f'{escaped}:/srv/fixed:ro')
    assert inside(cli, 'w1', 'cat /srv/it/file /srv/fixed/file') == 'seen\nseen'
    inside(cli, 'w1', 'sudo touch /srv/it/new')
    assert (shared / 'new').exists()
    assert cli.run('ssh', 'w1', 'sudo touch /srv/fixed/new').status != 0
    limits = [p.read_text().strip() for p in pathlib.Path('/sys/fs/cgroup').glob(
        '**/machine-nspawn-*/memory.*') if p.name in ('memory.max', 'memory.limit_in_bytes')]
    assert str(512 << 20) in limits
    remove(cli, hosts, 'w1')
    assert (shared / 'file').read_text() == 'seen\n'


def test_odd_paths(local_cli, hosts, tmp_path):
    """Colons, commas, blanks and backslashes in the store's path."""
    folder = tmp_path / 'a b:c,d\\e=f'
    folder.mkdir()
    cli = other_store(local_cli, folder)
    numbers = Numbers(cli.store)
    create(cli, 'w1')
    check_engine(cli, 'w1')
    remove(cli, numbers, 'w1')


def test_name_taken_again(local_cli, hosts):
    """rm -f of a machine whose driver cannot be asked leaves a host; the next of that name ends it."""
    cli = local_cli
    create(cli, 'w1')
    every = processes(cli, 'w1')
    hosts.note()
    shutil.rmtree(cli.store / 'machines/w1')
    create(cli, 'w1')
    create(cli, 'w2')
    assert not [p for p in every if cli_module.process_state(p)]
    remove(cli, hosts, 'w1', 'w2')


@pytest.mark.long
@pytest.mark.parametrize('command', ['kill', 'stop', 'rm -y'])
def test_paused_containers(local_cli, hosts, command):
    """Their processes are frozen: nothing ends them before they are thawed."""
    cli = local_cli
    create(cli, 'w1')
    done = in_shell(cli, 'w1', 'docker import - test:busybox && docker run -d --name still test:busybox '
                    'sh -c "while :; do :; done" && docker pause still')
    assert done.returncode == 0, done.stdout
    every = [p for first in processes(cli, 'w1') for p in [first, *cli_module.descendants(first)]]
    cli.ok(*command.split(), 'w1', timeout=120)
    wait_for('end', lambda: not [p for p in every if cli_module.process_state(p)], 20)
    if command != 'rm -y':
        assert state(cli, 'w1') == 'Stopped'
        cli.ok('start', 'w1')
        remove(cli, hosts, 'w1')


@pytest.mark.long
@pytest.mark.parametrize('name', ['a..b-', 'A.-1', 'x' * 63])
def test_odd_names(local_cli, hosts, name):
    """Names of machines that are none of systems."""
    create(local_cli, name)
    assert inside(local_cli, name, 'cat /proc/1/comm') == 'systemd'
    remove(local_cli, hosts, name)


def test_name_taken_by_another_driver(local_cli, hosts):
    """As test_name_taken_again, but the next machine of the name is none of this driver's."""
    cli = local_cli
    create(cli, 'w1')
    every = processes(cli, 'w1')
    hosts.note()
    shutil.rmtree(cli.store / 'machines/w1')
    cli.create_none('w1')
    create(cli, 'w2')
    assert not [p for p in every if cli_module.process_state(p)]
    assert cli.ok('url', 'w1').out == 'tcp://127.0.0.1:1\n'
    remove(cli, hosts, 'w1', 'w2')


def test_files_that_nobody_may_change(local_cli, hosts):
    """Immutable ones, and folders to which one may only add: a host's root can make them."""
    cli = local_cli
    create(cli, 'w1')
    inside(cli, 'w1', 'sudo mkdir -p /srv/add /srv/fixed/sub; sudo touch /srv/add/a /srv/fixed/b')
    upper = cli.store / 'machines/w1/nspawn/upper'
    for name, flag in ('srv/add', 0x20), ('srv/fixed/b', 0x10), ('srv/fixed', 0x10):
        fd = os.open(upper / name, os.O_RDONLY)
        now = struct.unpack('i', fcntl.ioctl(fd, 0x80086601, b'    '))[0] # FS_IOC_GETFLAGS
        fcntl.ioctl(fd, 0x40086602, struct.pack('i', now | flag))
        os.close(fd)
    with pytest.raises(PermissionError):
        (upper / 'srv/fixed/b').unlink()
    remove(cli, hosts, 'w1')


def test_unmounting_on_the_computer(local_cli, hosts, tmp_path):
    """What was mounted when a host started is not held up by it."""
    disk = tmp_path / 'all/disk'
    disk.parent.mkdir()
    subprocess.run(['mount', '-t', 'tmpfs', 'machine-test', disk.parent], check=True)
    try:
        # as all mounts of a computer with systemd are
        subprocess.run(['mount', '--make-shared', disk.parent], check=True)
        disk.mkdir()
        subprocess.run(['mount', '-t', 'tmpfs', 'machine-test', disk], check=True)
        create(local_cli, 'w1')
        table = pathlib.Path(f'/proc/{processes(local_cli, "w1")[1]}/mountinfo')
        assert f' {disk} ' in table.read_text()
    finally:
        subprocess.run(['umount', disk], check=True)
        subprocess.run(['umount', disk.parent], check=True)
    assert f' {disk} ' not in table.read_text()
    remove(local_cli, hosts, 'w1')


@pytest.mark.long
def test_a_reboot_that_fails_is_told(local_cli, hosts):
    """A process of nobody's in the host's control group keeps it from being made anew."""
    cli = local_cli
    create(cli, 'w1')
    hosts.note()
    address = cli.ok('ip', 'w1').out.strip()
    number = address.rsplit('.', 1)[1]
    group = next(pathlib.Path('/sys/fs/cgroup').glob(f'**/machine-nspawn-{number}*/boot'))
    stray = subprocess.Popen(['sleep', '600'])
    try:
        (group / 'cgroup.procs').write_text(str(stray.pid))
        cli.run('ssh', 'w1', 'sudo systemctl reboot')
        wait_for('error', lambda: state(cli, 'w1') == 'Error', 60)
        failed = cli.store / 'machines/w1/nspawn/failed'
        assert 'start again after a reboot' in failed.read_text()
    finally:
        stray.kill()
        stray.wait()
    remove(cli, hosts, 'w1')


@pytest.mark.long
def test_twenty_at_once(local_cli, hosts):
    cli = local_cli
    names = [f't{i}' for i in range(20)]
    running = [cli.start('create', '-d', 'nspawn', name) for name in names]
    done = [process.finish(300) for process in running]
    assert all(r.status == 0 for r in done), [r for r in done if r.status]
    assert len({cli.ok('ip', name).out for name in names}) == 20
    assert cli.ok('ls').out.count('Running') == 20
    cli.ok('stop', *names, timeout=120)
    cli.ok('start', *names, timeout=180)
    assert cli.ok('ls').out.count('Running') == 20
    remove(cli, hosts, *names)
