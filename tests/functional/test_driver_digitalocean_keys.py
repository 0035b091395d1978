"""The driver digitalocean's keys: those of the user, its own, and the host's, which goes into the user data."""

import email
import json
import stat
import subprocess

import pytest

from dodriver import ( # noqa: F401
    CREATE, FINGERPRINT, account_key, body_of, cloud, driver, machine, own_key)


@pytest.mark.parametrize('with_path', [True, False])
def test_key_of_the_users_own(cloud, driver, machine, tmp_path, with_path):
    path = own_key(tmp_path)
    key = account_key(cloud, path)
    flags = {'ssh_key_path': str(path)} if with_path else {}
    machine.configure(driver, ssh_key_fingerprint=key.fingerprint, **flags)
    assert driver.call('preCreateCheck', machine=machine.reference()) == {}
    cloud.log.clear()
    machine.finish(driver, 'create')
    assert cloud.log.actions() == ['get_key', *CREATE[1:]]
    assert body_of(cloud, 'create_droplet')['ssh_keys'] == [key.id] == [machine.state['SSHKeyID']]
    copy = machine.folder / 'id_own'
    assert machine.state['SSHKeyPath'] == (str(copy) if with_path else '')
    assert machine.report(driver)['ssh'].get('keyPath', '') == machine.state['SSHKeyPath']
    assert {p.name for p in machine.folder.iterdir()} - {'ssh_host_ed25519_key.pub'} == ({'id_own'} if with_path else set())
    assert with_path != any(f'private key of {key.fingerprint} itself' in str(note) for note in driver.notifications)
    if with_path:
        assert copy.read_bytes() == path.read_bytes() and stat.S_IMODE(copy.stat().st_mode) == 0o600
    machine.finish(driver, 'remove')
    assert key.id in cloud.account.keys and not cloud.log.count('delete_key')


def test_key_that_the_account_lacks(cloud, driver, machine):
    machine.configure(driver, ssh_key_fingerprint=FINGERPRINT)
    machine.fails(driver, 'create', 'user', f'--digitalocean-ssh-key-fingerprint {FINGERPRINT}', 'no such key')
    assert cloud.log.actions() == ['get_key']
    machine.finish(driver, 'remove')
    assert cloud.log.actions() == ['get_key']


@pytest.mark.parametrize('name', ['config.json', 'known_hosts', '.key'])
def test_keys_that_would_overwrite(cloud, driver, machine, tmp_path, name):
    """The machine's folder has files of these names: the copy gets another one."""
    path = own_key(tmp_path)
    key = account_key(cloud, path)
    path = path.rename(tmp_path / name)
    machine.configure(driver, ssh_key_fingerprint=key.fingerprint, ssh_key_path=str(path))
    machine.finish(driver, 'create')
    copy = machine.folder / 'ssh_key'
    assert machine.state['SSHKeyPath'] == str(copy) and copy.read_text() == path.read_text()
    assert not (machine.folder / name).exists()
    machine.finish(driver, 'remove')


# user data

def parts_of(text):
    message = email.message_from_string(text)
    return [(part.get_content_type(), part.get_payload()) for part in message.get_payload()]


def create_with(cloud, driver, machine, tmp_path, data=None):
    flags = {}
    if data is not None:
        (tmp_path / 'data').write_text(data)
        flags = {'userdata': str(tmp_path / 'data')}
    machine.configure(driver, **flags)
    driver.call('preCreateCheck', machine=machine.reference())
    machine.finish(driver, 'create')
    sent, host_key = body_of(cloud, 'create_droplet')['user_data'], machine.state['HostKey']
    assert machine.report(driver)['ssh'].get('hostKeys', []) == ([host_key] if host_key else [])
    machine.finish(driver, 'remove')
    return sent, host_key


def check_config(text, host_key, tmp_path):
    first, _, rest = text.partition('\n')
    config = json.loads(rest)
    assert first == '#cloud-config' and set(config) == {'ssh_deletekeys', 'ssh_genkeytypes', 'ssh_keys'}
    keys = config['ssh_keys']
    assert keys['ed25519_public'] == host_key and host_key.startswith('ssh-ed25519 ')
    (tmp_path / 'private').write_text(keys['ed25519_private'])
    (tmp_path / 'private').chmod(0o600)
    public = subprocess.run(['ssh-keygen', '-y', '-f', tmp_path / 'private'], check=True, capture_output=True, text=True)
    assert public.stdout.split()[:2] == host_key.split()[:2]


def test_host_key_is_given(cloud, driver, machine, tmp_path):
    check_config(*create_with(cloud, driver, machine, tmp_path), tmp_path)


@pytest.mark.parametrize('data, kind', [
    ('#cloud-config\npackages: [htop]\nname: "grüße"\n', 'text/cloud-config'),
    ('#!/bin/sh\necho "$HOME" & <x>\n', 'text/x-shellscript'),
    ('#cloud-config-archive\n- content: "#!/bin/sh"\n', 'text/cloud-config-archive'),
    ('## template: jinja\n#cloud-config\n{% if True %}\n', 'text/jinja2')])
def test_user_data_and_host_key(cloud, driver, machine, tmp_path, data, kind):
    sent, host_key = create_with(cloud, driver, machine, tmp_path, data)
    (_, ours), (theirs, text) = parts_of(sent)
    check_config(ours.strip(), host_key, tmp_path)
    assert (theirs, text.strip()) == (kind, data.strip())


def test_user_data_of_unknown_kinds(cloud, driver, machine, tmp_path):
    data = 'packages: [htop]\n'
    assert create_with(cloud, driver, machine, tmp_path, data) == (data, '')


def test_user_data_that_leaves_no_room(cloud, driver, machine, tmp_path):
    data = '#cloud-config\n'.ljust((64 << 10) - 1, '#') + '\n'
    assert create_with(cloud, driver, machine, tmp_path, data) == (data, '')
    assert len(data) == 64 << 10


def test_host_key_stays_until_the_droplet_is_made(cloud, driver, machine):
    """The second attempt gives the key that the first may have given."""
    from fakes.httpfake import Close
    cloud.faults.add('create_droplet', Close(applied=False), times=1)
    machine.configure(driver)
    machine.fails(driver, 'create', 'unavailable', 'create the droplet')
    machine.finish(driver, 'create')
    first, second = [json.loads(request.body) for request in cloud.log.of('create_droplet')]
    assert first == second
    machine.finish(driver, 'remove')
