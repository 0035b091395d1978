"""The driver nspawn, spoken to directly: what needs no root. Hosts are made in tests/e2e."""

import os
import subprocess

import pytest

from driverclient import Driver, DriverError, driver_file, reference

NSPAWN = driver_file('nspawn')


@pytest.fixture
def nspawn():
    with Driver(NSPAWN) as driver:
        yield driver


def machine(tmp_path, state=None, name='web1'):
    folder = tmp_path / 'store' / 'machines' / name
    folder.mkdir(parents=True, exist_ok=True)
    return reference(name, state, folder, tmp_path / 'store')


def test_flags(nspawn):
    flags = {f['name']: f for f in nspawn.info['flags']}
    assert {n: (f['type'], f['env'], f.get('default')) for n, f in flags.items()} == {
        'nspawn-bind': ('list', 'NSPAWN_BIND', []),
        'nspawn-cpus': ('int', 'NSPAWN_CPUS', 0),
        'nspawn-image': ('string', 'NSPAWN_IMAGE', 'debian-12'),
        'nspawn-memory': ('int', 'NSPAWN_MEMORY', 0),
        'nspawn-ssh-user': ('string', 'NSPAWN_SSH_USER', 'docker'),
        'nspawn-subnet': ('string', 'NSPAWN_SUBNET', '')}
    assert nspawn.info['capabilities']['provision'] is True
    assert nspawn.info['capabilities']['maxWorkers'] >= 8
    assert nspawn.info['capabilities']['machinesAtOnce'] == max(2, os.cpu_count())


def test_state(nspawn):
    state = nspawn.configure({})
    assert {k: state[k] for k in ('SSHUser', 'SSHPort', 'Image', 'Subnet', 'CPUs', 'Memory', 'Binds',
                                  'IPAddress')} == {
        'SSHUser': 'docker', 'SSHPort': 22, 'Image': 'debian-12', 'Subnet': '', 'CPUs': 0,
        'Memory': 0, 'Binds': [], 'IPAddress': ''}
    state = nspawn.configure({'nspawn-cpus': 2, 'nspawn-memory': 512, 'nspawn-image': 'mine',
                              'nspawn-subnet': '10.9.8.0/24', 'nspawn-ssh-user': 'me'})
    assert (state['CPUs'], state['Memory'], state['Image'], state['Subnet'], state['SSHUser']) == (
        2, 512, 'mine', '10.9.8.0/24', 'me')


def test_paths_are_made_absolute(tmp_path):
    env = {**os.environ, 'HOME': '/home/x'}
    with Driver(NSPAWN, env=env, cwd=tmp_path) as nspawn:
        state = nspawn.configure({'nspawn-image': './built',
                                  'nspawn-bind': ['~/src:/src', 'here:/here:ro', '/a\\:b', '/c:rw']})
    assert state['Image'] == f'{tmp_path}/built'
    assert state['Binds'] == ['/home/x/src:/src', f'{tmp_path}/here:/here:ro', '/a\\:b:/a\\:b',
                              '/c:/c']


@pytest.mark.parametrize('change, text', [
    ({'nspawn-cpus': -1}, '--nspawn-cpus -1'),
    ({'nspawn-cpus': 5000}, '--nspawn-cpus 5000'),
    ({'nspawn-memory': 10}, '--nspawn-memory 10'),
    ({'nspawn-memory': 1 << 40}, '--nspawn-memory 1099511627776'),
    ({'nspawn-ssh-user': ''}, '--nspawn-ssh-user "" is not a user name'),
    ({'nspawn-ssh-user': '-oX'}, '--nspawn-ssh-user "-oX" is not'),
    ({'nspawn-ssh-user': 'a b'}, '--nspawn-ssh-user "a b" is not'),
    ({'nspawn-subnet': '10.9.8.0'}, '--nspawn-subnet "10.9.8.0" is not a subnet'),
    ({'nspawn-subnet': '10.9.8.1/24'}, '--nspawn-subnet "10.9.8.1/24" is not'),
    ({'nspawn-subnet': '10.0.0.0/8'}, '16 to 28 bits'),
    ({'nspawn-bind': ['/a:b']}, '--nspawn-bind "/a:b" is not of the form'),
    ({'nspawn-bind': ['']}, '--nspawn-bind "" is not'),
])
def test_wrong_flags(nspawn, change, text):
    with pytest.raises(DriverError) as caught:
        nspawn.configure(change)
    assert text in caught.value.message and caught.value.kind == 'user'


@pytest.mark.parametrize('method', ['preCreateCheck', 'create', 'start', 'stop', 'kill', 'restart'])
def test_root_is_needed(tmp_path, method):
    """As a user without rights: a namespace in which nobody is root."""
    with Driver(NSPAWN, prefix=['unshare', '--user']) as nspawn:
        state = nspawn.configure({})
        with pytest.raises(DriverError) as caught:
            nspawn.call(method, machine=machine(tmp_path, state))
    assert 'takes root' in caught.value.message and 'sudo' in caught.value.message
    assert caught.value.kind == 'auth'
    assert not list((tmp_path / 'store').rglob('*/nspawn'))


def test_remove_of_what_was_never_made(tmp_path):
    with Driver(NSPAWN, prefix=['unshare', '--user']) as nspawn:
        for state in {}, nspawn.configure({}):
            assert nspawn.call('remove', machine=machine(tmp_path, state))['status'] == 'done'


def test_reports(nspawn, tmp_path):
    made = machine(tmp_path, {**nspawn.configure({}), 'IPAddress': '192.0.2.7',
                              'SSHHostKey': 'ssh-ed25519 AAAA x'})
    report = nspawn.report(made)
    assert report['state'] == 'Error' and 'do not exist' in report['message']
    folder = tmp_path / 'store/machines/web1/nspawn'
    (folder / 'upper').mkdir(parents=True)
    report = nspawn.report(made)
    assert report['state'] == 'Stopped' and report['url'] == 'tcp://192.0.2.7:2376'
    assert report['ssh'] == {'host': '192.0.2.7', 'port': 22, 'user': 'docker',
                             'keyPath': str(folder.parent / 'id_ed25519'),
                             'hostKeys': ['ssh-ed25519 AAAA x']}
    (folder / 'failed').write_text('systemd-nspawn ended with status 1')
    report = nspawn.report(made)
    assert report['state'] == 'Error' and 'status 1' in report['message']
    assert 'console.log' in report['message']


def test_a_report_is_not_about_a_process_number(nspawn, tmp_path):
    """A lock says that it runs, whoever holds it; a number in a file would not do."""
    made = machine(tmp_path, {**nspawn.configure({}), 'IPAddress': '192.0.2.7'})
    folder = tmp_path / 'store/machines/web1/nspawn'
    (folder / 'upper').mkdir(parents=True)
    holder = subprocess.Popen(['python3', '-c', '''
import fcntl, struct, sys
f = open(sys.argv[1], "w")
fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0)) # F_OFD_SETLK
print("held", flush=True)
sys.stdin.read()''', str(folder / 'running.lock')], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b'held\n'
    report = nspawn.report(made)
    assert report['probe'] == {'tcp': '192.0.2.7:22', 'open': 'Running', 'closed': 'Starting',
                               'timeoutMs': 2000}
    holder.communicate()
    assert nspawn.report(made)['state'] == 'Stopped'


def test_a_supervisor_alone_is_of_no_use(tmp_path):
    done = subprocess.run([NSPAWN, '--supervise', tmp_path], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and 'descriptor' in done.stderr
