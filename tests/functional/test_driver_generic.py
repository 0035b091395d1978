"""The driver generic, spoken to directly."""

import json
import os
import shutil
import stat
import subprocess

import pytest

from driverclient import Driver, DriverError, driver_file, reference

GENERIC = driver_file('generic')
FLAGS = {'generic-ip-address': '192.0.2.7', 'generic-ssh-user': 'root', 'generic-ssh-port': 22,
         'generic-ssh-key': '', 'generic-engine-port': 2376}


@pytest.fixture
def generic():
    with Driver(GENERIC) as driver:
        yield driver


@pytest.fixture(scope='module')
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp('keys') / 'id_test'
    keygen(path)
    return path


def keygen(path, *options, passphrase=''):
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', passphrase, '-f', str(path),
                    *options], check=True, stdin=subprocess.DEVNULL)


def folder(tmp_path, name='web1'):
    path = tmp_path / 'store' / 'machines' / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def machine(tmp_path, state, name='web1'):
    return reference(name, state, tmp_path / 'store' / 'machines' / name, tmp_path / 'store')


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_flags(generic):
    flags = {f['name']: f for f in generic.info['flags']}
    assert {n: (f['type'], f['env'], f.get('default')) for n, f in flags.items()} == {
        'generic-engine-port': ('int', 'GENERIC_ENGINE_PORT', 2376),
        'generic-ip-address': ('string', 'GENERIC_IP_ADDRESS', ''),
        'generic-ssh-host-key': ('string', 'GENERIC_SSH_HOST_KEY', ''),
        'generic-ssh-key': ('string', 'GENERIC_SSH_KEY', ''),
        'generic-ssh-port': ('int', 'GENERIC_SSH_PORT', 22),
        'generic-ssh-user': ('string', 'GENERIC_SSH_USER', 'root')}
    assert generic.info['capabilities']['provision'] is True


def test_state_is_the_originals(generic):
    assert list(generic.configure(FLAGS).items()) == [
        ('IPAddress', '192.0.2.7'), ('MachineName', 'web1'), ('SSHUser', 'root'), ('SSHPort', 22),
        ('SSHKeyPath', ''), ('StorePath', '/nonexistent/store'), ('SwarmMaster', False),
        ('SwarmHost', ''), ('SwarmDiscovery', ''), ('EnginePort', 2376), ('SSHKey', '')]


def test_defaults(generic):
    assert generic.configure({'generic-ip-address': '192.0.2.7'}) == generic.configure(FLAGS)


@pytest.mark.parametrize('change, text', [
    ({'generic-ip-address': ''}, 'the generic driver requires the --generic-ip-address option'),
    ({'generic-ip-address': '-oProxyCommand=x'}, '--generic-ip-address "-oProxyCommand=x" is not'),
    ({'generic-ip-address': 'a b'}, '--generic-ip-address "a b" is not'),
    ({'generic-ip-address': 'tcp://x'}, '--generic-ip-address "tcp://x" is not'),
    ({'generic-ip-address': '[]'}, '--generic-ip-address "[]" is not'),
    ({'generic-ip-address': 'x' * 300}, 'is not an address'),
    ({'generic-ssh-port': 0}, '--generic-ssh-port 0'),
    ({'generic-ssh-port': 65536}, '--generic-ssh-port 65536'),
    ({'generic-engine-port': -1}, '--generic-engine-port -1'),
    ({'generic-ssh-user': '-l'}, '--generic-ssh-user "-l" is not a user name'),
    ({'generic-ssh-host-key': 'nonsense'}, '--generic-ssh-host-key is neither'),
    ({'generic-ssh-host-key': 'h ssh-rsa AAAA\nx'}, '--generic-ssh-host-key is more than one'),
])
def test_wrong_flags(generic, change, text):
    with pytest.raises(DriverError) as caught:
        generic.configure({**FLAGS, **change})
    assert text in caught.value.message and caught.value.kind == 'user'


def test_key_paths_are_made_absolute(tmp_path):
    env = {**os.environ, 'HOME': '/home/x'}
    with Driver(GENERIC, env=env, cwd=tmp_path) as generic:
        for path, absolute in [('~/.ssh/k', '/home/x/.ssh/k'), ('k', f'{tmp_path}/k'),
                               ('./k', f'{tmp_path}/k'), ('/k', '/k')]:
            assert generic.configure({**FLAGS, 'generic-ssh-key': path})['SSHKey'] == absolute


def test_host_key_is_kept(generic):
    key = 'AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f'
    for text in 'SHA256:' + 43 * 'x', f'host ssh-ed25519 {key}':
        state = generic.configure({**FLAGS, 'generic-ssh-host-key': text})
        assert state['SSHHostKey'] == text
        assert generic.report(reference(state=state))['ssh']['hostKeys'] == [text]


def test_check_of_the_key(generic, tmp_path, key):
    def check(path):
        generic.call('preCreateCheck',
                     machine=machine(tmp_path, generic.configure({**FLAGS, 'generic-ssh-key': str(path)})))

    def fails(path, text):
        with pytest.raises(DriverError) as caught:
            check(path)
        assert str(path) in caught.value.message and text in caught.value.message
        assert caught.value.kind == 'user'

    check('')
    check(key)
    missing = tmp_path / 'missing'
    with pytest.raises(DriverError) as caught:
        check(missing)
    assert caught.value.message == f'SSH key does not exist: "{missing}"'
    fails(tmp_path, 'is not a file')
    fails(f'{key}.pub', 'is a public key')
    locked, text = tmp_path / 'locked', tmp_path / 'text'
    keygen(locked, passphrase='correct horse')
    fails(locked, 'is encrypted')
    text.write_text('hush hush\n')
    fails(text, 'is not a private key')
    assert b'hush' not in generic.errors
    pem = tmp_path / 'pem'
    shutil.copy(key, pem)
    for passphrase, wrong in ('', None), ('correct horse', 'is encrypted'):
        pem = tmp_path / f'pem{bool(wrong)}'
        subprocess.run(['ssh-keygen', '-q', '-t', 'rsa', '-b', '2048', '-m', 'PEM', '-N', passphrase,
                        '-f', str(pem)], check=True, stdin=subprocess.DEVNULL)
        fails(pem, wrong) if wrong else check(pem)


def test_key_is_imported(generic, tmp_path, key):
    old = os.umask(0)
    try:
        with Driver(GENERIC) as loose: # a careless umask must not matter
            state = loose.configure({**FLAGS, 'generic-ssh-key': str(key)},
                                    machine(tmp_path, {}))
            target = folder(tmp_path)
            result = loose.call('create', machine=machine(tmp_path, state))
    finally:
        os.umask(old)
    copy = target / 'id_test'
    assert result['status'] == 'done' and result['state']['SSHKeyPath'] == str(copy)
    assert copy.read_bytes() == key.read_bytes() and mode(copy) == 0o600
    public = target / 'id_test.pub'
    assert public.read_bytes() == key.with_suffix('.pub').read_bytes() and mode(public) == 0o600
    assert sorted(p.name for p in target.iterdir()) == ['id_test', 'id_test.pub']
    # finished: done at once, even if the original is gone
    gone = {**result['state'], 'SSHKey': str(tmp_path / 'gone' / 'id_test')}
    assert generic.call('create', machine=machine(tmp_path, gone))['status'] == 'done'
    assert generic.report(machine(tmp_path, result['state']))['ssh']['keyPath'] == str(copy)


def test_missing_public_key_is_fine(generic, tmp_path, key):
    lonely = tmp_path / 'lonely'
    shutil.copy(key, lonely)
    target = folder(tmp_path)
    state = generic.configure({**FLAGS, 'generic-ssh-key': str(lonely)}, machine(tmp_path, {}))
    generic.call('create', machine=machine(tmp_path, state))
    assert [p.name for p in target.iterdir()] == ['lonely']
    assert [n['method'] for n in generic.notifications] == ['progress', 'progress']


@pytest.mark.parametrize('name', ['key.pem', 'server-key.pem', 'known_hosts', '.hidden',
                                  'config.json', 'config.json.tmp1'])
def test_names_of_the_programs_own_files_are_left_alone(generic, tmp_path, key, name):
    given = tmp_path / name
    shutil.copy(key, given)
    target = folder(tmp_path)
    state = generic.configure({**FLAGS, 'generic-ssh-key': str(given)}, machine(tmp_path, {}))
    generic.call('create', machine=machine(tmp_path, state))
    assert [p.name for p in target.iterdir()] == ['ssh_key']


def test_key_that_is_gone_before_create(generic, tmp_path):
    folder(tmp_path)
    state = generic.configure({**FLAGS, 'generic-ssh-key': '/nonexistent/key'})
    with pytest.raises(DriverError, match='SSH key does not exist'):
        generic.call('create', machine=machine(tmp_path, state))


def test_no_key(generic, tmp_path):
    target = folder(tmp_path)
    state = generic.configure(FLAGS)
    result = generic.call('create', machine=machine(tmp_path, state))
    assert result == {'status': 'done', 'state': state} and not list(target.iterdir())
    assert 'keyPath' not in generic.report(machine(tmp_path, state))['ssh']


@pytest.mark.parametrize('address, host, bracketed', [
    ('192.0.2.7', '192.0.2.7', '192.0.2.7'),
    ('web.example', 'web.example', 'web.example'),
    ('2001:db8::1', '2001:db8::1', '[2001:db8::1]'),
    ('[2001:db8::1]', '2001:db8::1', '[2001:db8::1]'),
])
def test_report(generic, address, host, bracketed):
    state = generic.configure({'generic-ip-address': address, 'generic-ssh-port': 2222,
                               'generic-ssh-user': 'u', 'generic-engine-port': 1234})
    assert generic.report(reference(state=state)) == {
        'state': '', 'ip': host, 'url': f'tcp://{bracketed}:1234',
        'ssh': {'host': host, 'port': 2222, 'user': 'u'},
        'probe': {'tcp': f'{bracketed}:2222', 'open': 'Running', 'closed': 'Stopped',
                  'timeoutMs': 15000}}


def test_report_of_other_programs_machines(generic, tmp_path):
    fork = {'IPAddress': '', 'IPv6Address': '2001:db8::2', 'SSHPort': 0, 'SSHUser': ''}
    report = generic.report(reference(state=fork))
    assert report['url'] == 'tcp://[2001:db8::2]:2376' and report['ssh'] == {
        'host': '2001:db8::2', 'port': 22}
    reports = generic.call('states', machines=[reference(state={}), reference(state=fork)])
    assert 'IP address is not set' in reports['machines'][0]['error']['message']
    assert reports['machines'][1] == report
    moved = folder(tmp_path) / 'id_rsa'
    moved.touch()
    old = {'IPAddress': '192.0.2.7', 'SSHKeyPath': '/old/store/machines/web1/id_rsa'}
    assert generic.report(machine(tmp_path, old))['ssh']['keyPath'] == str(moved)


@pytest.mark.parametrize('user, command', [('root', 'shutdown -r now'),
                                           ('debian', 'sudo shutdown -r now'),
                                           ('', 'sudo shutdown -r now')])
def test_restart(generic, user, command):
    state = generic.configure({**FLAGS, 'generic-ssh-user': user})
    assert generic.call('restart', machine=reference(state=state)) == {
        'status': 'run', 'state': state, 'command': command, 'disconnects': True}


@pytest.mark.parametrize('method', ['start', 'stop', 'kill'])
def test_what_it_cannot(generic, method):
    with pytest.raises(DriverError) as caught:
        generic.call(method, machine=reference(state=generic.configure(FLAGS)))
    assert caught.value.message == f'the generic driver does not support {method}'
    assert caught.value.kind == 'notSupported'


def test_remove_removes_nothing(generic, tmp_path, key):
    target = folder(tmp_path)
    state = generic.configure({**FLAGS, 'generic-ssh-key': str(key)})
    state = generic.call('create', machine=machine(tmp_path, state))['state']
    for _ in range(2):
        assert generic.call('remove', machine=machine(tmp_path, state))['status'] == 'done'
    assert generic.call('remove', machine=machine(tmp_path, {}))['status'] == 'done'
    assert (target / 'id_test').exists() and key.exists()


def test_unknown_members_and_digits_are_kept(tmp_path):
    with Driver(GENERIC) as generic:
        text = json.dumps(machine(tmp_path, {'A': 1}))
        text = text.replace('"A": 1', '"IPAddress": "x", "Big": 123456789012345678901, "F": 1.50')
        body = '{"jsonrpc":"2.0","id":9,"method":"remove","params":{"machine":%s}}' % text
        generic.raw(b'Content-Length: %d\r\n\r\n%s' % (len(body), body.encode()))
        assert b'"Big":123456789012345678901,"F":1.50' in generic.receive_body()


def test_connects_nowhere(tmp_path, key):
    """No socket at all, whatever is asked, by the system calls that are made."""
    if not shutil.which('strace'):
        pytest.skip('no strace')
    trace = tmp_path / 'trace'
    folder(tmp_path)
    env = {**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0'} # it needs the ptrace that strace has
    with Driver(GENERIC, prefix=['strace', '-f', '-e', 'trace=%network', '-o', trace],
                env=env) as generic:
        state = generic.configure({**FLAGS, 'generic-ip-address': 'localhost',
                                   'generic-ssh-key': str(key)})
        generic.call('preCreateCheck', machine=machine(tmp_path, state))
        state = generic.call('create', machine=machine(tmp_path, state))['state']
        generic.report(machine(tmp_path, state))
        generic.call('restart', machine=machine(tmp_path, state))
        assert generic.end() == 0
    calls = [line for line in trace.read_text().splitlines() if '(' in line]
    assert not calls, calls
