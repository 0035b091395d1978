"""A cloud's machine from nothing to a Docker host: the cloud is a fake, the host that it hands out is real.

The fake's events move the host: what a new droplet is asked with (SSH key, host key in its user data) is
put where cloud-init would put it, and power is the host's power.
"""

import json

import pytest

from fakes.digitalocean import DigitalOcean
from real import check_engine


def take_user_data(host, text):
    """What cloud-init makes of it: the host key."""
    assert text.startswith('#cloud-config\n'), text
    config = json.loads(text.partition('\n')[2])
    keys = config.pop('ssh_keys')
    assert config == {'ssh_deletekeys': True, 'ssh_genkeytypes': ['ed25519']}
    for kind in 'ecdsa', 'ed25519':
        for suffix in '', '.pub':
            (host.root / f'etc/ssh/ssh_host_{kind}_key{suffix}').unlink()
    path = host.root / 'etc/ssh/ssh_host_ed25519_key'
    path.write_text(keys['ed25519_private'])
    path.chmod(0o600)
    path.with_name(path.name + '.pub').write_text(keys['ed25519_public'] + '\n')
    host.exec('systemctl restart ssh')
    host.wait_ssh()


def follow(host, account):
    """The host does what happens to the droplet."""
    def boot(droplet):
        for number in droplet.asked['ssh_keys']:
            host.authorize(account().keys[number].public_key + '\n', home='root')
        take_user_data(host, droplet.asked['user_data'])
        host.off = False

    def on_event(what, droplet):
        if what == 'created':
            boot(droplet)
        elif what == 'off' and not host.off:
            host.power_off()
            host.off = True
        elif what == 'active' and host.off:
            host.power_on()
            host.off = False
    return on_event


@pytest.fixture
def cloud(lab):
    host = lab.boot(docker=True, user='root')
    host.off = True
    with DigitalOcean([host.ip], on_event=follow(host, lambda: cloud.account)) as cloud:
        yield cloud, host
    lab.remove(host)


def test_whole_life(new_cli, cloud):
    cloud, host = cloud
    cli = new_cli()
    env = {'DIGITALOCEAN_ACCESS_TOKEN': cloud.token, 'DIGITALOCEAN_API_URL': cloud.url}
    result = cli.ok('create', '-d', 'digitalocean', 'web1', env=env, timeout=120)
    assert 'Docker is up and running!' in result.out and cloud.token not in result.out + result.err
    # the first contact was no trust at first sight: the key is the one that the machine was given
    assert host.host_key().split()[1] in (cli.store / 'machines/web1/known_hosts').read_text()
    assert not (cli.store / 'machines/web1/ssh_host_ed25519_key').exists()
    check_engine(cli, 'web1')
    assert cli.ok('ip', 'web1').out == f'{host.ip}\n'
    for action, state in ('stop', 'Stopped'), ('start', 'Running'), ('kill', 'Stopped'), ('start', 'Running'):
        cli.ok(action, 'web1', timeout=120)
        assert cli.ok('status', 'web1').out == f'{state}\n'
    check_engine(cli, 'web1')
    cli.ok('rm', '-y', 'web1')
    assert cli.names() == [] and not cloud.account.left()
