"""The fake EC2 is one that Amazon's own client takes for the real one."""

import os
import subprocess
import time

import pytest

import awscli_session
from fakes.ec2 import CANONICAL, Ec2, Throttle, faults

NAME = 'ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*'
SHARED = {'aws': (None, None)} # one process of awscli


@pytest.fixture(scope='module')
def aws(tmp_path_factory):
    client = awscli_session.Aws(tmp_path_factory.mktemp('home'))
    yield client
    client.close()


class Caller:
    """awscli with the credentials and the address of a fake."""

    def __init__(self, client, ec2):
        self.client, self.ec2, self.env = client, ec2, ec2.environment()

    def run(self, *words, **env):
        return self.client.run('--endpoint-url', self.ec2.url, 'ec2', *words,
                               env={**self.env, 'AWS_MAX_ATTEMPTS': '1', **env})

    def ok(self, *words, **env):
        result = self.run(*words, **env)
        assert result.status == 0, result
        return result.json if result.out else None

    def fails(self, code, *words, **env):
        result = self.run(*words, **env)
        assert result.status != 0 and f'({code})' in result.err, result

    def instance(self, identity):
        answer = self.ok('describe-instances', '--instance-ids', identity)
        return answer['Reservations'][0]['Instances'][0]

    def until(self, identity, state, tries=5):
        for _ in range(tries):
            instance = self.instance(identity)
            if instance['State']['Name'] == state:
                return instance
        raise AssertionError(f'{identity} is {instance["State"]}, not {state}')


@pytest.fixture
def public_key(tmp_path):
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', tmp_path / 'key'], check=True)
    return f'fileb://{tmp_path}/key.pub'


def launch_words(ec2, group, *more):
    return ('run-instances', '--image-id', ec2.image(), '--instance-type', 't3.micro', '--count', '1',
            '--key-name', 'm1', '--client-token', 'dd29', '--placement', 'AvailabilityZone=us-east-1a',
            '--network-interfaces', f'DeviceIndex=0,SubnetId={ec2.subnet()},AssociatePublicIpAddress=true,'
            f'Groups={group}', '--monitoring', 'Enabled=false',
            '--metadata-options', 'HttpTokens=required,HttpPutResponseHopLimit=2', '--block-device-mappings',
            'DeviceName=/dev/sda1,Ebs={VolumeSize=16,VolumeType=gp3,DeleteOnTermination=true}',
            '--tag-specifications', 'ResourceType=instance,Tags=[{Key=Name,Value=m1}]',
            'ResourceType=volume,Tags=[{Key=Name,Value=m1}]', *more)


def prepare(call, public_key):
    """What a driver looks up and makes before it launches; the id of the group."""
    attributes = call.ok('describe-account-attributes', '--attribute-names', 'default-vpc')
    vpc = attributes['AccountAttributes'][0]['AttributeValues'][0]['AttributeValue']
    subnets = call.ok('describe-subnets', '--filters', 'Name=availability-zone,Values=us-east-1a',
                      f'Name=vpc-id,Values={vpc}')['Subnets']
    assert [subnet['SubnetId'] for subnet in subnets] == [call.ec2.subnet()]
    images = call.ok('describe-images', '--owners', CANONICAL, '--filters', f'Name=name,Values={NAME}',
                     'Name=state,Values=available')['Images']
    assert max(images, key=lambda image: image['CreationDate'])['ImageId'] == call.ec2.image()
    call.fails('InvalidKeyPair.NotFound', 'describe-key-pairs', '--key-names', 'm1')
    key = call.ok('import-key-pair', '--key-name', 'm1', '--public-key-material', public_key)
    found = call.ok('describe-key-pairs', '--key-names', 'm1')['KeyPairs'][0]
    assert (found['KeyPairId'], found['KeyType']) == (key['KeyPairId'], 'ed25519')
    by_name = ('describe-security-groups', '--filters', 'Name=group-name,Values=docker-machine',
               f'Name=vpc-id,Values={vpc}')
    assert call.ok(*by_name)['SecurityGroups'] == []
    group = call.ok('create-security-group', '--group-name', 'docker-machine', '--description',
                    'Docker Machine', '--vpc-id', vpc)['GroupId']
    call.fails('InvalidGroup.NotFound', 'describe-security-groups', '--group-ids', group) # not seen yet
    rule = ('authorize-security-group-ingress', '--group-id', group, '--ip-permissions',
            'IpProtocol=tcp,FromPort=22,ToPort=22,IpRanges=[{CidrIp=0.0.0.0/0}]',
            'IpProtocol=tcp,FromPort=2376,ToPort=2376,IpRanges=[{CidrIp=0.0.0.0/0}]')
    assert call.ok(*rule)['Return'] is True
    call.fails('InvalidPermission.Duplicate', *rule)
    assert [rule['FromPort'] for rule in call.ok(*by_name)['SecurityGroups'][0]['IpPermissions']] == [22, 2376]
    return group


def test_life_of_a_machine(aws, public_key):
    with Ec2(addresses=[('127.66.0.1', '127.77.0.1'), ('127.66.0.2', '127.77.0.2')]) as ec2:
        call = Caller(aws, ec2)
        ec2.account.lag.update({'instance': 2, 'security-group': 1})
        group = prepare(call, public_key)
        made = call.ok(*launch_words(ec2, group))['Instances'][0]
        identity = made['InstanceId']
        assert (made['State']['Name'], made['PrivateIpAddress']) == ('pending', '127.66.0.1')
        assert call.ok(*launch_words(ec2, group))['Instances'][0]['InstanceId'] == identity
        call.fails('IdempotentParameterMismatch', *launch_words(ec2, group), '--ebs-optimized')
        for _ in range(2):
            call.fails('InvalidInstanceID.NotFound', 'describe-instances', '--instance-ids', identity)
        assert call.instance(identity)['State']['Name'] == 'pending'
        running = call.until(identity, 'running')
        assert running['PublicIpAddress'] == '127.77.0.1'
        assert running['MetadataOptions']['HttpTokens'] == 'required'

        call.ok('create-tags', '--resources', identity, '--tags', 'Key=team,Value=a & <b>')
        assert {'Key': 'team', 'Value': 'a & <b>'} in call.instance(identity)['Tags']
        call.ok('stop-instances', '--instance-ids', identity, '--no-force')
        call.fails('IncorrectInstanceState', 'start-instances', '--instance-ids', identity)
        assert 'PublicIpAddress' not in call.until(identity, 'stopped')
        call.ok('start-instances', '--instance-ids', identity)
        assert call.until(identity, 'running')['PublicIpAddress'] == '127.77.0.2'
        call.ok('reboot-instances', '--instance-ids', identity)
        assert ec2.account.instance('m1')['_reboots'] == 1
        assert ec2.leaks() == [f'key-pair m1', f'security-group {group}', f'instance {identity} (m1)',
                               f'volume {running["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]} (m1)',
                               f'network-interface {running["NetworkInterfaces"][0]["NetworkInterfaceId"]}']

        call.ok('terminate-instances', '--instance-ids', identity)
        call.fails('DependencyViolation', 'delete-security-group', '--group-id', group)
        call.until(identity, 'terminated')
        call.ok('delete-key-pair', '--key-name', 'm1')
        call.ok('delete-key-pair', '--key-name', 'm1')
        call.ok('delete-security-group', '--group-id', group)
        assert ec2.leaks() == []


def test_spot(aws, public_key):
    with Ec2() as ec2:
        call = Caller(aws, ec2)
        call.ok('import-key-pair', '--key-name', 'm1', '--public-key-material', public_key)
        group = ec2.account.add_group('g', 'g', ec2.default_vpc())
        market = 'MarketType=spot,SpotOptions={MaxPrice=%s,SpotInstanceType=one-time}'
        call.fails('SpotMaxPriceTooLow', *launch_words(ec2, group, '--instance-market-options', market % '0.001'))
        made = call.ok(*launch_words(ec2, group, '--instance-market-options', market % '0.50'))['Instances'][0]
        request = made['SpotInstanceRequestId']
        found = call.ok('describe-spot-instance-requests', '--spot-instance-request-ids', request)
        assert found['SpotInstanceRequests'][0]['InstanceId'] == made['InstanceId']
        call.until(made['InstanceId'], 'running')
        call.fails('UnsupportedOperation', 'stop-instances', '--force', '--instance-ids', made['InstanceId'])
        call.ok('terminate-instances', '--instance-ids', made['InstanceId'])
        call.ok('cancel-spot-instance-requests', '--spot-instance-request-ids', request)
        assert ec2.leaks() == ['key-pair m1', f'security-group {group}']


def test_credentials(aws):
    with Ec2() as ec2:
        call = Caller(aws, ec2)
        words = ('describe-vpcs', '--filters', 'Name=is-default,Values=true')
        call.fails('SignatureDoesNotMatch', *words, AWS_SECRET_ACCESS_KEY='wrong')
        ec2.forgive('does not match the signature')
        call.fails('AuthFailure', *words, AWS_ACCESS_KEY_ID='AKIAUNKNOWN')
        call.fails('AuthFailure', *words, AWS_SESSION_TOKEN='x')
        ec2.forgive('session token wrong')
        call.fails('SignatureDoesNotMatch', *words, AWS_DEFAULT_REGION='eu-central-1')
        ec2.forgive('should be scoped')
        for source, requests in ('metadata', 3), ('container', 1):
            call.env = ec2.environment(source)
            if source == 'metadata': # awscli wants it this way
                call.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] += '/'
            assert call.ok(*words)['Vpcs'][0]['VpcId'] == ec2.default_vpc()
            server = getattr(ec2, source)
            assert len(server.log.requests) == requests and ec2.log.requests[-1].credential.token
        ec2.ahead = 600
        call.fails('RequestExpired', *words)


def test_throttled(aws):
    with Ec2() as ec2:
        call = Caller(aws, ec2)
        words = ('describe-vpcs', '--filters', 'Name=is-default,Values=true')
        ec2.faults.add('DescribeVpcs', Throttle())
        call.fails('RequestLimitExceeded', *words)
        ec2.faults.add('DescribeVpcs', Throttle())
        ec2.faults.add('DescribeVpcs', faults.unavailable(), nth=2)
        assert len(call.ok(*words, AWS_MAX_ATTEMPTS='3')['Vpcs']) == 1
        assert ec2.log.count('DescribeVpcs') == 4 and not ec2.faults.pending()
        ec2.faults.limit(per_second=0.5, burst=1)
        begin = time.monotonic()
        assert len(call.ok(*words, AWS_MAX_ATTEMPTS='12')['Vpcs']) == 1
        assert len(call.ok(*words, AWS_MAX_ATTEMPTS='12')['Vpcs']) == 1
        assert time.monotonic() - begin > 1.5


def test_pages(aws):
    with Ec2(strict=False) as ec2:
        call = Caller(aws, ec2)
        ec2.account.page_size = 2
        every = call.ok('describe-subnets')['Subnets']
        assert sorted(one['SubnetId'] for one in every) == sorted(ec2.account.things['subnet'])
        assert [bool(request.params.get('NextToken')) for request in ec2.log.of('DescribeSubnets')] == [False, True]


def test_every_operation_is_one_of_amazons():
    """And what is played answers a bare look without failing."""
    from fakes.ec2.service import OPERATIONS # pylint: disable=import-outside-toplevel
    with Ec2(strict=False) as ec2:
        model = ec2.service.model
        for action, function in OPERATIONS.items():
            assert action in model.operations
            if action.startswith('Describe'):
                model.render(action, function(ec2.account, {}), 'r')


def test_by_hand():
    """It runs as a program."""
    tests = os.path.dirname(os.path.dirname(__file__))
    with subprocess.Popen(['/usr/bin/python3', '-m', 'fakes.ec2'], cwd=tests, stdout=subprocess.PIPE, text=True,
                          env={'PATH': os.environ['PATH'], 'PYTHONDONTWRITEBYTECODE': '1'}) as process:
        lines = [process.stdout.readline() for _ in range(7)]
        process.terminate()
    assert process.returncode == 0
    assert lines[4].startswith('export AWS_ENDPOINT_URL=http://127.0.0.1:')
