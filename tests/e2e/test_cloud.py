"""A cloud's machine from nothing to a Docker host: the cloud is a fake, the host that it hands out is real.

The fake's events move the host: what a new droplet is asked with (SSH key, host key in its user data) is
put where cloud-init would put it, and power is the host's power.
"""

import json

import pytest

from fakes.digitalocean import DigitalOcean
from fakes.ec2 import Ec2
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


def power(host, on):
    if on and host.off:
        host.power_on()
    elif not on and not host.off:
        host.power_off()
    host.off = not on


class Droplet:
    """DigitalOcean, and the host that its droplet is."""
    driver = 'digitalocean'
    flags = []

    def __init__(self, host):
        self.host = host
        self.fake = DigitalOcean([host.ip], on_event=self.follow)
        self.secret = self.fake.token

    def environment(self):
        return {'DIGITALOCEAN_ACCESS_TOKEN': self.fake.token, 'DIGITALOCEAN_API_URL': self.fake.url}

    def follow(self, what, droplet):
        if what == 'created':
            for number in droplet.asked['ssh_keys']:
                self.host.authorize(self.fake.account.keys[number].public_key + '\n', home='root')
            take_user_data(self.host, droplet.asked['user_data'])
        elif what in ('off', 'active'):
            power(self.host, what == 'active')

    def left(self):
        return self.fake.account.left()


class Instance:
    """EC2 in the same way. Its user is not root."""
    driver = 'amazonec2'
    flags = ['--amazonec2-ssh-user', 'debian']

    def __init__(self, host):
        self.host = host
        self.fake = Ec2(addresses=[('10.0.0.5', host.ip)])
        self.fake.account.watchers.append(self.follow)
        self.secret = self.fake.credential.secret

    def environment(self):
        return {**self.fake.environment(), 'AWS_ENDPOINT': self.fake.url, 'AWS_ZONE': 'us-east-1a'}

    def follow(self, instance, old, new):
        if old is None:
            (key,) = (k for k in self.fake.account.all('key-pair') if k['KeyName'] == instance['KeyName'])
            self.host.authorize(key['_public'] + '\n')
            take_user_data(self.host, instance['_data'].decode())
        elif new in ('running', 'stopped'):
            power(self.host, new == 'running')

    def left(self):
        return [leak for leak in self.fake.leaks() if 'security-group' not in str(leak)]


@pytest.fixture(params=[pytest.param(Droplet, marks=pytest.mark.long), Instance], ids=lambda c: c.driver)
def cloud(request, lab):
    host = lab.boot(docker=True, user='root' if request.param is Droplet else 'debian')
    host.off = False
    cloud = request.param(host)
    with cloud.fake:
        yield cloud
    lab.remove(host)


def test_whole_life(new_cli, cloud):
    cli, host, env = new_cli(), cloud.host, cloud.environment()
    result = cli.ok('create', '-d', cloud.driver, *cloud.flags, 'web1', env=env, timeout=120)
    assert 'Docker is up and running!' in result.out and cloud.secret not in result.out + result.err
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
    assert cli.names() == [] and not cloud.left()
