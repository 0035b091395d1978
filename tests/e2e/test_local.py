"""What needs a real machine, on machines of our own nspawn driver."""

import concurrent.futures
import json
import os
import pathlib
import re
import subprocess

import pytest

import cli as cli_module
import hosts
from real import check_engine, in_shell, mount

CREATE_SECONDS = 120


def create(cli, name, *flags):
    return cli.ok('create', '-d', 'nspawn', *flags, name, timeout=CREATE_SECONDS)


@pytest.fixture
def local(local_cli):
    """The program with the image; its machines are removed afterwards."""
    yield local_cli
    names = local_cli.names()
    if names:
        local_cli.ok('rm', '-f', *names, timeout=120)
    assert not cli_module.local_hosts(local_cli.store)


def docker(cli, name, *words, status=0):
    folder = cli.store / 'machines' / name
    url = cli.ok('url', name).out.strip()
    argv = ['docker', '--tlsverify', f'--tlscacert={folder}/ca.pem', f'--tlscert={folder}/cert.pem',
            f'--tlskey={folder}/key.pem', '-H', url, *words]
    done = subprocess.run(argv, env=cli.env, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, (argv, done)
    return done.stdout


def boot_id(cli, name):
    return cli.ok('ssh', name, 'cat /proc/sys/kernel/random/boot_id').out


def restarts_seen(cli, name):
    return cli.ok('ssh', name, 'systemctl show -p ActiveEnterTimestampMonotonic docker').out


def test_the_whole_life(local):
    """create → env → docker run → stop → start → restart → kill → start → upgrade → scp → mount → rm"""
    result = create(local, 'web1')
    assert result.out.splitlines()[-1].endswith('env web1'), result
    check_engine(local, 'web1')
    ip, key = local.ok('ip', 'web1').out, (local.store / 'machines/web1/server.pem').read_bytes()

    local.ok('stop', 'web1')
    assert local.ok('status', 'web1').out == 'Stopped\n'
    assert 'not running' in local.fails('url', 'web1').err.lower()
    assert 'is already stopped' in local.run('stop', 'web1').err
    local.ok('start', 'web1')
    still_right(local, 'web1', ip, key)

    for action in 'restart', 'kill', 'start':
        local.ok(action, 'web1')
        if action == 'kill':
            assert local.ok('status', 'web1').out == 'Stopped\n'
        else:
            still_right(local, 'web1', ip, key)

    before = restarts_seen(local, 'web1')
    local.ok('upgrade', 'web1', timeout=240)
    assert restarts_seen(local, 'web1') != before
    still_right(local, 'web1', ip, key)
    copies(local)
    mounts(local)
    local.ok('rm', '-y', 'web1')
    assert local.names() == []


def still_right(cli, name, ip, key):
    """Address and certificates are as they were, and the engine has kept what it had."""
    assert cli.ok('status', name).out == 'Running\n'
    assert cli.ok('ip', name).out == ip
    assert (cli.store / 'machines' / name / 'server.pem').read_bytes() == key
    assert docker(cli, name, 'run', '--rm', 'test:busybox', 'echo', 'kept') == 'kept\n'


def copies(cli):
    folder = cli.folder / 'to copy'
    folder.mkdir()
    (folder / 'a file').write_text('content\n')
    (folder / 'empty').write_text('')
    cli.ok('scp', str(folder / 'a file'), 'web1:/tmp/there')
    assert cli.ok('ssh', 'web1', 'cat /tmp/there').out == 'content\n'
    cli.ok('scp', '-r', str(folder), 'web1:/tmp/')
    cli.ok('scp', '-r', 'web1:/tmp/to copy', str(cli.folder / 'back'))
    assert (cli.folder / 'back' / 'a file').read_text() == 'content\n'
    assert cli.run('scp', 'web1:/no/such/file', str(cli.folder)).status != 0


def mounts(cli):
    if not os.path.exists('/dev/fuse'):
        pytest.fail('/dev/fuse is not there: mount cannot be shown')
    point = cli.folder / 'mounted'
    point.mkdir()
    assert mount(cli, 'web1:/tmp', point).returncode == 0
    try:
        assert (point / 'there').read_text() == 'content\n'
        (point / 'written').write_text('from here\n')
        assert cli.ok('ssh', 'web1', 'cat /tmp/written').out == 'from here\n'
    finally:
        assert mount(cli, '-u', 'web1:/tmp', point).returncode == 0
    assert not point.is_mount()


def test_six_at_once(local):
    names = [f'n{i}' for i in range(6)]
    running = [local.start('create', '-d', 'nspawn', name) for name in names]
    done = [process.finish(CREATE_SECONDS) for process in running]
    assert all(r.status == 0 for r in done), [r for r in done if r.status]
    addresses = [local.ok('ip', name).out for name in names]
    assert len(set(addresses)) == len(names)
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        engines = list(pool.map(lambda n: docker(local, n, 'info', '--format', '{{.ID}}'), names))
    assert len(set(engines)) == len(names)
    rows = local.ok('ls').out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == names
    assert all(re.search(r'Running +tcp://\S+:2376 +v\d', row) for row in rows), rows
    local.ok('stop', *names)
    assert {s for n in names for s in [local.ok('status', n).out]} == {'Stopped\n'}
    local.ok('rm', '-y', *names)
    assert local.names() == [] and not cli_module.local_hosts(local.store)


def test_swarm_mode(local):
    """Three hosts become a swarm by hand, with the real client."""
    names = ['s1', 's2', 's3']
    running = [local.start('create', '-d', 'nspawn', name) for name in names]
    done = [process.finish(CREATE_SECONDS) for process in running]
    assert all(r.status == 0 for r in done), [r for r in done if r.status]
    first = local.ok('ip', 's1').out.strip()
    local.ok('ssh', 's1', f'docker swarm init --advertise-addr {first}')
    token = local.ok('ssh', 's1', 'docker swarm join-token -q worker').out.strip()
    for name in names[1:]:
        joined = in_shell(local, name, f'docker swarm join --token {token} {first}:2377')
        assert joined.returncode == 0, joined.stdout
    def ready():
        """A node that has joined is not Ready at once."""
        found = [json.loads(line) for line in
                 docker(local, 's1', 'node', 'ls', '--format', '{{json .}}').splitlines()]
        return found if {n['Status'] for n in found} == {'Ready'} else None

    nodes = hosts.wait_for('swarm of ready nodes', ready, 60)
    assert sorted(n['Hostname'] for n in nodes) == names
    assert [n['Hostname'] for n in nodes if n['ManagerStatus'] == 'Leader'] == ['s1']
    for name in names:
        state = docker(local, name, 'info', '--format', '{{.Swarm.LocalNodeState}}')
        assert state == 'active\n'


def test_default_driver(local):
    """Root on Linux with systemd-nspawn: that is the best local driver, and create says so."""
    result = local.ok('create', 'web1', timeout=CREATE_SECONDS)
    assert result.out.startswith('No driver given: using "nspawn"'), result
    assert json.loads(local.ok('inspect', 'web1').out)['DriverName'] == 'nspawn'


def test_quickstart(local, tmp_path):
    """The newcomer's first command, on a computer where packages and image are there already."""
    top = pathlib.Path(cli_module.TOP)
    env = {**local.env, 'MACHINE_BUILD_DIR': str(local.build)}
    for time in 'first', 'again':
        done = subprocess.run([top / 'scripts' / 'quickstart'], env=env, cwd=tmp_path,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=300)
        assert done.returncode == 0, (time, done.stdout)
        assert 'it works' in done.stdout and 'eval "$(' in done.stdout, done.stdout
    assert local.names() == ['demo']
