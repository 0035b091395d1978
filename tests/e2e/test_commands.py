"""scp, mount and upgrade on real hosts."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess

import pytest

import cli as cli_module
from hosts import wait_for
from real import check_engine, generic, mount
from rootfs import run

SHARED_FOLDER = '/home/debian'


@pytest.fixture(scope='module')
def two(lab, tmp_path_factory):
    """Two hosts with a port and a user key each, and their machines."""
    cli, booted = cli_module.Cli(tmp_path_factory.mktemp('two')), []
    for name, port in ('web1', 22), ('web2', 2222):
        host = lab.boot(docker=True, ssh_port=port)
        host.key = str(cli.folder / f'key {name}')
        run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', host.key)
        (host.root / 'home/debian/.ssh/authorized_keys').write_text(
            open(f'{host.key}.pub').read())
        cli.ok(*generic(host, name, '--generic-ssh-port', str(port)), timeout=120)
        booted.append(host)
    yield cli, *booted
    for host in booted:
        lab.remove(host)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def there(host, path):
    return host.root / 'home/debian' / path


def test_scp_in_all_directions(two):
    cli, first, second = two
    data = os.urandom(3 << 20)
    (cli.folder / 'a file').write_bytes(data)
    cli.ok('scp', 'a file', 'web1:a file')
    assert there(first, 'a file').read_bytes() == data
    assert there(first, 'a file').stat().st_uid == 1000
    cli.ok('scp', 'web1:a file', 'web2:another')
    assert there(second, 'another').read_bytes() == data
    cli.ok('scp', '-q', 'debian@web2:/home/debian/another', 'back')
    assert digest((cli.folder / 'back').read_bytes()) == digest(data)
    # without leave
    result = cli.fails('scp', 'back', 'web1:/etc/nope')
    assert 'Permission denied' in result.err and not (first.root / 'etc/nope').exists()


def test_scp_of_folders(two):
    cli, first, second = two
    tree = cli.folder / 'tree' / 'sub'
    tree.mkdir(parents=True)
    for i in range(20):
        (tree / f'file {i}').write_text(f'{i}')
    cli.ok('scp', '-r', 'tree', 'web1:')
    cli.ok('scp', '-r', 'web1:tree', 'web2:copy')
    assert there(second, 'copy/sub/file 7').read_text() == '7'
    cli.ok('scp', '-r', 'web2:copy', '.')
    assert len(list((cli.folder / 'copy/sub').iterdir())) == 20


def test_scp_of_differences(two):
    cli, first, _ = two
    missing = cli.fails('scp', '-d', '-r', '.', 'web1:')
    assert re.search(r'rsync: (command )?not found', missing.err) and not there(first, 'x').exists()
    shutil.copy(shutil.which('rsync'), first.root / 'usr/local/bin/rsync')
    for library in rsync_libraries():
        target = first.root / 'usr/local/lib' / os.path.basename(library)
        shutil.copy(library, target)
    first.exec('ldconfig')
    (cli.folder / 'x').write_text('one')
    cli.ok('scp', '-d', 'x', 'web1:x')
    assert there(first, 'x').read_text() == 'one'
    there(first, 'x').write_text('two, longer')
    cli.ok('scp', '-d', '-q', 'web1:x', 'x')
    assert (cli.folder / 'x').read_text() == 'two, longer'


def rsync_libraries():
    """What a host has not, of what our rsync needs."""
    out = run('ldd', shutil.which('rsync'))
    return [m for m in re.findall(r'=> (/\S+)', out) if not re.search(r'/(libc|libm)\.so', m)]


def test_changed_host_key_stops_copies(two):
    cli, first, second = two
    first.new_host_keys()
    first.exec('systemctl restart ssh')
    first.wait_ssh()
    (cli.folder / 'k').touch()
    there(second, 'k').touch()
    for words in ['k', 'web1:k'], ['web1:.profile', 'y'], ['web2:k', 'web1:k']:
        assert 'Host key verification failed' in cli.fails('scp', *words).err
    assert not there(first, 'k').exists() and not (cli.folder / 'y').exists()
    (cli.store / 'machines/web1/known_hosts').unlink()
    cli.ok('scp', 'web2:k', 'web1:k')


def test_mount(two):
    """What is written here is there, and the other way round, until it is unmounted."""
    if not os.access('/dev/fuse', os.R_OK | os.W_OK):
        pytest.skip('no FUSE here: /dev/fuse is missing')
    cli, host, _ = two
    point = cli.folder / 'a mount'
    point.mkdir()
    there(host, 'there').write_text('from there')
    done = mount(cli, f'web1:{SHARED_FOLDER}', 'a mount')
    try:
        assert (done.returncode, done.stderr) == (0, ''), done
        assert (point / 'there').read_text() == 'from there'
        (point / 'here').write_text('from here')
        assert there(host, 'here').read_text() == 'from here'
        assert host.exec(f'stat -c %U {SHARED_FOLDER}/here').strip() == 'debian'
    finally:
        done = mount(cli, '-u', f'web1:{SHARED_FOLDER}', 'a mount')
    assert done.returncode == 0, done
    assert not list(point.iterdir())
    wait_for('end of sshfs', lambda: not subprocess.run(
        ['pgrep', '-f', f'sshfs .*{host.ip}'], capture_output=True).stdout, 10)


def engine_start(host):
    return host.exec('systemctl show -p ExecMainStartTimestampMonotonic docker').strip()


def certificates(cli, host):
    return [host.exec('cat /etc/docker/*.pem | sha256sum')] + [
        (cli.store / 'machines/web1' / name).read_bytes() for name in ('server.pem', 'cert.pem')]


def test_upgrade(machine):
    """There is one version of docker.io, so nothing newer comes; the rest is real."""
    cli, host = machine()
    before, began = certificates(cli, host), engine_start(host)
    host.forget_connections()
    result = cli.ok('upgrade', 'web1', timeout=300)
    assert result.out.splitlines() == [
        'Waiting for SSH to be available...', 'Detecting the provisioner...',
        'Upgrading docker...', 'Restarting docker...'], result
    assert host.ssh_logins() == 1, host.sshd_log()
    assert engine_start(host) != began
    assert certificates(cli, host) == before
    check_engine(cli, 'web1')


def test_upgrade_brings_the_latest(machine):
    """From a package of the same name and a lower version, made of the one that is there."""
    cli, host = machine()
    latest = version(host)
    host.exec(OLDER, check=True)
    assert version(host) == '0.old'
    cli.ok('upgrade', 'web1', timeout=300)
    assert version(host) == latest
    check_engine(cli, 'web1')


def version(host):
    return host.exec("dpkg-query -W -f '${Version}' docker.io").strip()


# dpkg takes the number of what it has for true
OLDER = r'''sed -i '/^Package: docker.io$/,/^$/s/^Version: .*/Version: 0.old/' /var/lib/dpkg/status'''


def test_upgrade_waits_for_another_package_manager(machine):
    """The lock of dpkg is held; the upgrade goes on when it is free."""
    cli, host = machine()
    with open(host.root / 'var/lib/dpkg/lock-frontend', 'w') as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        running = cli.start('upgrade', 'web1', env={'MACHINE_DEBUG': '1'})
        wait_for('waiting', lambda: re.search('Waiting for cache lock|Waiting for another package',
                                              running.output()), 120)
    result = running.finish(300)
    assert result.status == 0, result
    check_engine(cli, 'web1')


def test_upgrade_of_what_is_off(machine):
    cli, host = machine()
    host.power_cut()
    result = cli.fails('upgrade', 'web1')
    assert result.out == 'Starting machine so machine can be upgraded...\nStarting "web1"...\n'
    assert result.err == 'the generic driver does not support start\n'
