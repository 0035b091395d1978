"""Amazon's own client for JavaScript takes the fake EC2 for the real one. It comes from the npm registry, so this is for the
nightly run."""

import pytest

import npm_client
from fakes.ec2 import CANONICAL, Ec2, Throttle
from sshd import keygen

pytestmark = pytest.mark.long
sdk = npm_client.fixture('awssdk')

NAME = 'ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*'


def test_life_of_an_instance(sdk, tmp_path):
    with Ec2(strict=False) as ec2: # it tells no charset
        ec2.faults.add('RunInstances', Throttle()) # which it sends again
        steps = sdk.steps(ec2.url, f'{keygen(tmp_path / "key")}.pub', NAME, CANONICAL, **ec2.environment())
        assert steps == {
            'looked up': {'subnet': ec2.subnet(), 'image': ec2.image()}, 'no key': 'InvalidKeyPair.NotFound', 'key': True,
            'rules again': 'InvalidPermission.Duplicate', 'launched': {'state': 'pending', 'once': True, 'time': True},
            'launched otherwise': 'IdempotentParameterMismatch',
            'running': {'address': '127.77.77.10', 'name': 'a & <b>', 'group': True}, 'stopped': None,
            'gone': 'InvalidInstanceID.NotFound'}
        assert ec2.leaks() == [] and ec2.log.count('RunInstances') == 4
