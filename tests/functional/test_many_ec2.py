"""Many machines of amazonec2 with one command, from nothing to engines that answer: the provider and the hosts are played,
SSH and TLS are real. The provider serves only so many requests a second, and by one account nothing is asked twice."""

import getpass

import pytest

import cli as cli_module
from ec2driver import LOOK_UPS, groups_once, only_groups, running
from fakes.ec2 import Ec2
from fakes.ec2.fleet import Fleet, addresses_of
from hosts import wait_for
from sshd import free_port

COUNT = 12
NAMES = [f'w{i}' for i in range(1, COUNT + 1)]
WORKERS = 8 # processes of a driver at most, each of which looks up for itself


@pytest.fixture
def world(cli, tmp_path):
    """(fake, words of a create)"""
    port, addresses = free_port(), addresses_of(COUNT)
    with Ec2(addresses=addresses) as ec2, Fleet(ec2, tmp_path / 'hosts', cli.store / 'certs', port, addresses):
        ec2.account.pace['pending'] = (0, 1.0)
        cli.env = {**cli.env, **ec2.environment(), 'AWS_ENDPOINT': ec2.url, 'AWS_ZONE': 'us-east-1a', 'MACHINE_POLL_MS': '500',
                   'MACHINE_DRIVER_PAUSE_MS': '100', 'MACHINE_DRIVER_PATH': str(cli_module.build_dir() / 'drivers')}
        yield ec2, ['create', '-d', 'amazonec2', '--engine-install-url', 'none', '--amazonec2-ssh-port', str(port),
                    '--amazonec2-ssh-user', getpass.getuser()]


def test_from_nothing_to_engines(cli, world):
    ec2, create = world
    ec2.faults.limit(per_second=40, burst=10)
    result = cli.ok(*create, '--count', str(COUNT), '--name', 'w{n}', timeout=120)
    assert result.err.count(' created ') == COUNT and 'failed' not in result.err, result
    assert sorted(cli.names()) == sorted(NAMES) and len(running(ec2)) == COUNT and groups_once(ec2) == 1
    for name, line in zip(NAMES, cli.ok('ls', '-f', '{{.Name}} {{.State}} {{.DockerVersion}}').out.splitlines()):
        assert line.split()[1:] == ['Running', 'v24.0.7'], (name, line)
    for name in 'w1', NAMES[-1]: # the first contact was no trust at first sight
        assert cli.config(name)['Driver']['HostKey'].split()[1] in (cli.store / 'machines' / name / 'known_hosts').read_text()
    served = [request.action for request in ec2.log.requests if request.status == 200]
    assert served.count('ImportKeyPair') == served.count('RunInstances') == COUNT
    for action in LOOK_UPS: # once more after the group was made, and its ports opened
        assert 1 <= served.count(action) <= 3 * WORKERS, served
    assert any(request.status == 503 for request in ec2.log.requests)

    cli.ok('rm', '-y', *NAMES, timeout=60)
    assert cli.names() == [] and only_groups(ec2)


def test_a_host_that_moves(cli, world):
    """Its address is another one after each start: nothing that is remembered of it is in the way."""
    ec2, create = world
    cli.ok(*create, 'w1', timeout=60)
    ec2.account.public.rotate(-1)
    before = cli.ok('ip', 'w1').out
    cli.ok('stop', 'w1')
    wait_for('end', lambda: cli.ok('status', 'w1').out == 'Stopped\n', 30)
    cli.ok('start', 'w1', timeout=60)
    after = cli.ok('ip', 'w1').out
    assert after != before and after.strip() == ec2.account.instance('w1')['PublicIpAddress']
    assert cli.ok('ssh', 'w1', 'true').status == 0
    cli.ok('provision', 'w1', timeout=60)
    assert after.strip() in cli.ok('env', 'w1').out
    cli.ok('rm', '-y', 'w1')
