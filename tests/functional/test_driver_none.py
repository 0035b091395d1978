"""The driver none, spoken to directly."""

import os
import shutil
import subprocess

import pytest

from driverclient import Driver, DriverError, driver_file, reference

NONE = driver_file('none')


@pytest.fixture
def none():
    with Driver(NONE) as driver:
        yield driver


def test_describes_itself(none):
    assert none.info['protocolVersion'] == 1
    assert none.info['driver']['name'] == 'none'
    assert none.info['capabilities']['provision'] is False
    assert (none.info['capabilities']['maxWorkers'], none.info['capabilities']['statesBatch']) == (1, 100)
    (flag,) = none.info['flags']
    assert flag['name'] == 'url' and flag['type'] == 'string' and not flag.get('env')


def test_state_is_the_originals(none):
    state = none.configure({'url': 'tcp://192.0.2.7:2376'})
    assert list(state.items()) == [
        ('IPAddress', '192.0.2.7'), ('MachineName', 'web1'), ('SSHUser', ''), ('SSHPort', 0),
        ('SSHKeyPath', ''), ('StorePath', '/nonexistent/store'), ('SwarmMaster', False),
        ('SwarmHost', ''), ('SwarmDiscovery', ''), ('URL', 'tcp://192.0.2.7:2376')]


@pytest.mark.parametrize('url, host', [
    ('tcp://192.0.2.7:2376', '192.0.2.7'),
    ('tcp://192.0.2.7', '192.0.2.7'),
    ('tcp://[2001:db8::1]:2376', '2001:db8::1'),
    ('tcp://[fe80::1%25eth0]', 'fe80::1%25eth0'),
    ('https://user:pass@docker.example:2376/path?q#f', 'docker.example'),
    ('tcp://docker.example:', 'docker.example'),
    ('unix:///var/run/docker.sock', ''),
    ('npipe:////./pipe/docker_engine', ''),
    ('url1', ''),
    ('none', ''),
    ('∞', ''),
])
def test_urls(none, url, host):
    state = none.configure({'url': url})
    assert (state['URL'], state['IPAddress']) == (url, host)


@pytest.mark.parametrize('url', [
    '192.0.2.7:2376', '://x', 'tcp://a b', 'tcp://[::1', 'tcp://x:port', 'tcp://[::1]x',
    'tcp://x/%zz', 'tcp://%x', 'tcp://x\n',
])
def test_wrong_urls(none, url):
    with pytest.raises(DriverError, match='--url is not a URL: ') as caught:
        none.configure({'url': url})
    assert caught.value.kind == 'user'


def test_no_secret_of_a_url_in_the_error(none):
    with pytest.raises(DriverError) as caught:
        none.configure({'url': 'tcp://me:hush@host:port'})
    assert 'hush' not in caught.value.message and b'hush' not in none.errors


@pytest.mark.parametrize('flags', [{}, {'url': ''}])
def test_url_is_required(none, flags):
    with pytest.raises(DriverError) as caught:
        none.configure(flags)
    assert caught.value.message == '--url option is required when no driver is selected'
    assert caught.value.kind == 'user'


@pytest.mark.parametrize('method, text', [
    ('start', 'started'), ('stop', 'stopped'), ('restart', 'restarted'), ('kill', 'killed')])
def test_what_it_cannot(none, method, text):
    with pytest.raises(DriverError) as caught:
        none.call(method, machine=reference())
    assert caught.value.message == f'hosts without a driver cannot be {text}'
    assert caught.value.kind == 'notSupported'


def test_nothing_to_do(none):
    state = {'URL': 'tcp://x', 'Kept': 1}
    assert none.call('preCreateCheck', machine=reference()) == {}
    for method in 'create', 'remove', 'create', 'remove':
        assert none.call(method, machine=reference(state=state))['status'] == 'done'
    assert none.call('upgradeInfo', machine=reference()) == {'kind': 'engine'}


def test_states(none):
    old = {'IPAddress': '192.0.2.7:2376', 'URL': 'tcp://192.0.2.7:2376'} # as the original wrote it
    machines = [reference(f'm{i}', old) for i in range(2000)] + [reference('empty')]
    reports = none.call('states', machines=machines)['machines']
    assert len(reports) == 2001
    assert reports[0] == {'state': 'Running', 'ip': '192.0.2.7:2376',
                          'url': 'tcp://192.0.2.7:2376', 'urlAlways': True}
    assert reports[-1]['state'] == 'Running' and not reports[-1].get('ip')


def test_without_any_network():
    prefix = ['unshare', '-n']
    if os.geteuid() != 0:
        prefix = ['unshare', '-rn']
    if not shutil.which('unshare') or subprocess.run([*prefix, 'true'], check=False).returncode:
        pytest.skip('no network namespaces here')
    with Driver(NONE, prefix=prefix) as driver:
        state = driver.configure({'url': 'tcp://192.0.2.7:2376'})
        assert driver.call('create', machine=reference(state=state))['status'] == 'done'
        assert driver.report(reference(state=state))['state'] == 'Running'
        assert driver.end() == 0


def test_not_for_people():
    def run(*arguments):
        return subprocess.run([NONE, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=20, check=False)
    assert run('--version').stdout.startswith('machine-driver-none ')
    assert 'is a driver for machine' in run('--help').stdout
    wrong = run('--url', 'x')
    assert wrong.returncode == 1 and 'is a driver for machine' in wrong.stderr
    assert run().returncode == 0 # the end of input


def test_on_a_terminal():
    leader, follower = os.openpty()
    try:
        result = subprocess.run([NONE], stdin=follower, capture_output=True, text=True, timeout=20,
                                check=False)
    finally:
        os.close(leader)
        os.close(follower)
    assert result.returncode == 1 and 'is a driver for machine' in result.stderr


def test_text_is_no_protocol():
    result = subprocess.run([NONE], input=b'hello\r\n\r\n', capture_output=True, timeout=20,
                            check=False)
    assert result.returncode == 1 and result.stderr and not result.stdout
