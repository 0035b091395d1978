"""The driver qemu: shared folders, by virtiofsd or by QEMU itself."""

import json
import os
import pathlib
import subprocess

import pytest

import cli as cli_module
from driverclient import DriverError
from qemumachine import image, logs, new, option, wait_for # noqa: F401


@pytest.fixture
def share(new, tmp_path):
    """A machine, and a folder of programs that comes first."""
    made = []

    def make(server='virtiofsd', **flags):
        m = new(**flags)
        programs = tmp_path / 'programs'
        programs.mkdir(exist_ok=True)
        if server:
            (programs / server).symlink_to(cli_module.FAKES / 'fake-virtiofsd')
        m.programs = programs
        m.env['PATH'] = f'{programs}:{os.environ["PATH"]}'
        m.restart_driver()
        made.append(m)
        return m
    yield make
    for m in made:
        for pid in servers(m):
            os.kill(pid, 9)
        wait_for(lambda: not servers(m))


def servers(m):
    found = []
    for entry in pathlib.Path('/proc').iterdir():
        try:
            argv = (entry / 'cmdline').read_bytes().split(b'\0') if entry.name.isdigit() else []
        except OSError:
            continue
        if any(a.startswith(f'--socket-path={m.folder}/'.encode()) for a in argv):
            found.append(int(entry.name))
    return sorted(found)


def said(m):
    log = m.programs / 'virtiofsd.log'
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def seed(m):
    text = subprocess.check_output(['isoinfo', '-J', '-x', '/user-data', '-i', m.folder / 'seed.iso'])
    return json.loads(text.partition(b'\n')[2])


def test_a_kind_for_each(share, tmp_path):
    """virtiofs cannot keep the machine from writing: what it must not write to is shared by 9p."""
    for name in 'a,b', 'c':
        (tmp_path / name).mkdir()
    m = share(qemu_share=[f'{tmp_path}/a,b:/a', f'{tmp_path}/c:/c:ro'])
    m.create()
    assert m.state['Shares'] == [
        {'Host': f'{tmp_path}/a,b', 'Guest': '/a', 'Tag': 'share0', 'ReadOnly': False, 'Type': 'virtiofs'},
        {'Host': f'{tmp_path}/c', 'Guest': '/c', 'Tag': 'share1', 'ReadOnly': True, 'Type': '9p'}]
    socket = f'{m.folder}/virtiofsd-0.sock'
    assert said(m) == [['--shared-dir', f'{tmp_path}/a,b', f'--socket-path={socket}', '--sandbox', 'namespace']]
    (argv,) = m.argvs()
    assert option(argv, '-chardev') == [f'socket,id=fs0,path={socket}'] and option(argv, '-machine') == ['q35,memory-backend=mem']
    assert 'vhost-user-fs-pci,chardev=fs0,tag=share0' in option(argv, '-device')
    assert option(argv, '-object') == ['memory-backend-memfd,id=mem,size=256M,share=on']
    assert option(argv, '-virtfs') == [f'local,path={tmp_path}/c,mount_tag=share1,security_model=none,multidevs=remap,readonly=on']
    assert seed(m)['mounts'] == [
        ['share0', '/a', 'virtiofs', 'nofail', '0', '0'],
        ['share1', '/c', '9p', 'trans=virtio,version=9p2000.L,msize=524288,nofail,ro', '0', '0']]
    (pid,) = servers(m)
    assert (m.folder / 'virtiofsd-0.pid').read_text() == f'{pid}\n'
    m.finish('kill') # QEMU's end would end it; this one is left
    assert not servers(m) and not list(m.folder.glob('virtiofsd-*.pid')) and not list(m.folder.glob('virtiofsd-*.sock'))
    m.finish('start')
    assert len(servers(m)) == 1
    m.finish('remove')
    assert not servers(m) and not list(m.folder.glob('virtiofsd*'))


def test_the_old_one(share, tmp_path):
    """QEMU's own of before 8.0 is for root, and has other arguments."""
    m = share(server=None, qemu_share=[f'{tmp_path}:/a'])
    (m.programs / 'virtiofsd-old').symlink_to(cli_module.FAKES / 'fake-virtiofsd')
    (m.programs / 'virtiofsd').write_text(f'#!/bin/sh\nexec {m.programs}/virtiofsd-old "$@"\n')
    (m.programs / 'virtiofsd').chmod(0o755)
    m.create()
    if os.geteuid() == 0:
        assert said(m) == [[f'--socket-path={m.folder}/virtiofsd-0.sock', '-o', f'source={tmp_path}']]
    else:
        assert m.state['Shares'][0]['Type'] == '9p' and not said(m)
    m.finish('remove')
    assert not servers(m)


def test_9p_is_what_was_asked_for(share, tmp_path):
    m = share(qemu_share=[f'{tmp_path}:/a'], qemu_share_type='9p')
    m.create()
    assert m.state['Shares'][0]['Type'] == '9p' and not said(m) and '-object' not in m.argvs()[0]


def test_server_that_ends_at_once(share, tmp_path):
    m = share(qemu_share=[f'{tmp_path}:/a'], qemu_share_type='virtiofs')
    (m.programs / 'broken').touch()
    m.configure()
    with pytest.raises(DriverError) as caught:
        m.call('create')
    assert 'virtiofsd ended at once' in caught.value.message and f'{m.folder}/virtiofsd-0.log' in caught.value.message
    assert 'out of luck' in (m.folder / 'virtiofsd-0.log').read_text() and not m.pids()
    (m.programs / 'broken').unlink()
    m.finish('create')
    assert len(m.pids()) == len(servers(m)) == 1
    m.finish('remove')


def test_killed_between_server_and_machine(share, tmp_path):
    """A server that no machine ever came to is ended."""
    m = share(qemu_share=[f'{tmp_path}:/a'])
    m.plan(exit='qemu-system-x86_64: no')
    m.configure()
    with pytest.raises(DriverError):
        m.call('create')
    assert len(said(m)) == 1 and not servers(m)
