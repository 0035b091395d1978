"""A virtual machine of the driver qemu that really boots; on a computer without KVM it is emulated."""

import contextlib
import json
import pathlib

import pytest

import cli as cli_module
from real import check_engine

CREATE_SECONDS = 900
ACTION_SECONDS = 600


@pytest.fixture
def local(local_cli):
    """The program with the image; its machines are removed afterwards."""
    yield local_cli
    names = local_cli.names()
    if names:
        local_cli.ok('rm', '-f', *names, timeout=120)


def state_of(cli, name):
    return json.loads(cli.ok('inspect', name).out)['Driver']


def processes_of(uuid):
    found = []
    for entry in pathlib.Path('/proc').iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and uuid.encode() in (entry / 'cmdline').read_bytes().split(b'\0'):
                found.append(entry.name)
    return found


def ssh(cli, name, command):
    return cli.ok('ssh', name, command, timeout=60).out


def test_the_whole_life(local, tmp_path):
    """create → verified SSH → docker run → stop → start → rm"""
    shared = tmp_path / 'shared'
    shared.mkdir()
    (shared / 'from-here').write_text('hello\n')
    local.ok('create', '-d', 'qemu', '--qemu-memory', '1024', '--qemu-disk-size', '6000', '--qemu-share', f'{shared}:/mnt/shared',
             'v1', timeout=CREATE_SECONDS)
    folder = local.store / 'machines' / 'v1'
    first = state_of(local, 'v1')

    # the host key that SSH saw first is the one that the driver had put there
    known = (folder / 'known_hosts').read_text().split()
    assert first['HostKey'].split()[1] in known
    assert ssh(local, 'v1', 'cat /etc/ssh/ssh_host_*.pub').split()[:2] == first['HostKey'].split()[:2]
    assert ssh(local, 'v1', 'hostname') == 'v1\n'

    # the port of the URL is forwarded to the engine's usual one
    assert local.ok('url', 'v1').out == f'tcp://127.0.0.1:{first["EnginePort"]}\n' != 'tcp://127.0.0.1:2376\n'
    check_engine(local, 'v1')
    assert int(ssh(local, 'v1', 'df --output=size -BM / | tail -n 1').strip(' M\n')) > 5000
    assert ssh(local, 'v1', 'cat /mnt/shared/from-here; echo there | sudo tee /mnt/shared/from-there') == 'hello\nthere\n'
    assert (shared / 'from-there').read_text() == 'there\n'

    ssh(local, 'v1', 'echo kept | sudo tee /var/kept && sudo sync')
    local.ok('stop', 'v1', timeout=ACTION_SECONDS)
    assert local.ok('status', 'v1').out == 'Stopped\n' and not processes_of(first['UUID'])
    local.ok('start', 'v1', timeout=ACTION_SECONDS)
    again = state_of(local, 'v1')
    assert (again['SSHPort'], again['EnginePort']) == (first['SSHPort'], first['EnginePort'])
    assert ssh(local, 'v1', 'cat /var/kept') == 'kept\n'
    check_engine(local, 'v1')

    local.ok('rm', '-y', 'v1', timeout=ACTION_SECONDS)
    assert not folder.exists() and not processes_of(first['UUID'])
    assert not cli_module.local_hosts(local.store)
