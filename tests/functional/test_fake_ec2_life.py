"""Instances of the fake EC2, its clock and its moments; and what goes wrong to order."""

import base64
import http.client
import json
import ssl
import time
import urllib.error
import urllib.request

import pytest

import web
from fakes.ec2 import (ANSWERED, APPLIED, RECEIVED, SECRET_KEY, Close, Delay, Ec2, Garbage, Redirect, Refuse, Slow,
                       Throttle, faults)
from fakes.ec2.client import Client

KEY = base64.b64encode(b'ssh-ed25519 ' + base64.b64encode(
    b'\0\0\0\x0bssh-ed25519\0\0\0\x20' + bytes(range(32)))).decode()


class Machines:
    def __init__(self, ec2, **client):
        self.ec2, self.call = ec2, Client(ec2, **client)
        self.group = ec2.account.add_group('g', 'g', ec2.default_vpc())
        ec2.account.initial['security-group'].add(self.group)
        assert self.call('ImportKeyPair', {'KeyName': 'm1', 'PublicKeyMaterial': KEY}).status == 200

    def params(self, token='t1', **changes):
        params = {
            'ImageId': self.ec2.image(), 'InstanceType': 't3.micro', 'MinCount': '1', 'MaxCount': '1', 'KeyName': 'm1',
            'ClientToken': token, 'Placement.AvailabilityZone': 'us-east-1a', 'Monitoring.Enabled': 'false',
            'NetworkInterface.1.DeviceIndex': '0', 'NetworkInterface.1.SubnetId': self.ec2.subnet(),
            'NetworkInterface.1.AssociatePublicIpAddress': 'true',
            'NetworkInterface.1.SecurityGroupId.1': self.group, 'MetadataOptions.HttpTokens': 'required',
            'BlockDeviceMapping.1.DeviceName': '/dev/sda1', 'BlockDeviceMapping.1.Ebs.VolumeSize': '16',
            'BlockDeviceMapping.1.Ebs.VolumeType': 'gp3', 'BlockDeviceMapping.1.Ebs.DeleteOnTermination': 'true',
            'TagSpecification.1.ResourceType': 'instance', 'TagSpecification.1.Tag.1.Key': 'Name',
            'TagSpecification.1.Tag.1.Value': 'm1'}
        params.update({name.replace('__', '.'): value for name, value in changes.items()})
        return {name: value for name, value in params.items() if value is not None}

    def launch(self, *args, **changes):
        return self.call('RunInstances', self.params(*args, **changes))

    def launched(self):
        return self.launch().text('instancesSet/item/instanceId')

    def ask(self, action, identity, **more):
        return self.call(action, {'InstanceId.1': identity, **more})

    def state(self, identity):
        reply = self.ask('DescribeInstances', identity)
        return reply.text('.//instanceState/name') or reply.code


@pytest.fixture
def machines():
    with Ec2() as ec2:
        made = Machines(ec2)
        yield made
        made.call.close()


# what is different, the code, what is a violation
LAUNCHES = [
    ({'ImageId': 'ami-00000000'}, 'InvalidAMIID.NotFound', None),
    ({'ImageId': 'pending'}, 'InvalidAMIID.Unavailable', None),
    ({'InstanceType': 't4g.micro'}, 'InvalidParameterValue', None),
    ({'InstanceType': 'huge'}, 'InvalidParameterValue', 'huge'),
    ({'KeyName': 'nobody'}, 'InvalidKeyPair.NotFound', None),
    ({'NetworkInterface.1.SubnetId': 'subnet-00000000'}, 'InvalidSubnetID.NotFound', None),
    ({'NetworkInterface.1.SubnetId': 'other VPC'}, 'InvalidParameter', None),
    ({'NetworkInterface.1.SecurityGroupId.1': 'sg-00000000'}, 'InvalidGroup.NotFound', None),
    ({'Placement.AvailabilityZone': 'us-east-1b'}, 'InvalidParameterValue', None),
    ({'Placement.AvailabilityZone': 'mars'}, 'InvalidParameterValue', None),
    ({'BlockDeviceMapping.1.Ebs.VolumeSize': '4'}, 'InvalidBlockDeviceMapping', None),
    ({'BlockDeviceMapping.1.Ebs.DeleteOnTermination': 'false'}, 'InvalidParameterValue', 'outlives'),
    ({'BlockDeviceMapping.1.Ebs.DeleteOnTermination': None}, 'InvalidParameterValue', 'outlives'),
    ({'ClientToken': 'x' * 65}, 'InvalidParameterValue', None),
    ({'ClientToken': None}, 'InvalidParameterValue', 'without ClientToken'),
    ({'UserData': '!'}, 'InvalidParameterValue', None),
    ({'UserData': base64.b64encode(bytes(16385)).decode()}, 'InvalidParameterValue', None),
    ({'UserData': base64.b64encode(b'#!/bin/sh\n' + SECRET_KEY.encode()).decode()}, 'InvalidParameterValue', 'secret key'),
    ({'IamInstanceProfile.Name': 'nobody'}, 'InvalidParameterValue', None),
    ({'IamInstanceProfile.Name': ''}, 'MissingParameter', 'empty'),
    ({'TagSpecification.1.Tag.1.Key': 'aws:x'}, 'InvalidParameterValue', 'without the tag Name'),
    ({'TagSpecification.1.Tag.2.Key': 'aws:x'}, 'InvalidParameterValue', None),
    ({'TagSpecification.1.ResourceType': 'key-pair'}, 'InvalidParameterValue', 'without the tag Name'),
    ({'SubnetId': 'subnet-00000000'}, 'InvalidParameterValue', 'with SubnetId'),
    ({'NetworkInterface.1.Ipv6AddressCount': '1'}, 'InvalidParameterValue', None), # of a subnet that has none
    ({'NetworkInterface.1.PrimaryIpv6': 'true'}, 'InvalidParameterValue', None),
    ({'MetadataOptions.HttpProtocolIpv6': 'on'}, 'InvalidParameterValue', 'HttpProtocolIpv6'),
    ({'MaxCount': '2'}, 'InvalidParameterValue', 'not one instance'),
    ({'InstanceMarketOptions.MarketType': 'spot', 'InstanceMarketOptions.SpotOptions.MaxPrice': 'cheap'},
     'InvalidParameterValue', None),
]


@pytest.mark.parametrize('change, code, violation', LAUNCHES, ids=lambda value: str(value)[:60])
def test_launches_that_are_refused(machines, change, code, violation):
    ec2 = machines.ec2
    special = {'pending': lambda: ec2.image('20261101'), 'other VPC': lambda: ec2.subnet('a', default=False)}
    change = {name: special.get(value, lambda value=value: value)() for name, value in change.items()}
    reply = machines.launch(**change)
    assert reply.code == code, reply
    assert ec2.leaks() == ['key-pair m1']
    if violation:
        ec2.forgive(violation)


def test_limits(machines):
    machines.ec2.account.instances_max = 1
    assert machines.launch().status == 200
    assert machines.launch('t2').code == 'VcpuLimitExceeded'


def test_states(machines):
    ec2 = machines.ec2
    seen = []
    ec2.account.watchers.append(lambda instance, old, new: seen.append(new))
    identity = machines.launched()
    assert machines.ask('StopInstances', identity, Force='true').code == 'IncorrectInstanceState'
    assert [machines.state(identity) for _ in range(3)] == ['pending', 'running', 'running']
    assert machines.ask('StartInstances', identity).text('.//currentState/name') == 'running'
    reply = machines.ask('StopInstances', identity, Force='true')
    assert (reply.text('.//previousState/name'), reply.text('.//currentState/name')) == ('running', 'stopping')
    assert machines.ask('RebootInstances', identity).code == 'IncorrectInstanceState'
    assert [machines.state(identity) for _ in range(2)] == ['stopping', 'stopped']
    machines.ask('StartInstances', identity)
    assert [machines.state(identity) for _ in range(2)] == ['pending', 'running']
    machines.ask('RebootInstances', identity)
    for _ in range(2):
        assert machines.ask('TerminateInstances', identity).text('.//currentState/name') == 'shutting-down'
    assert ec2.leaks() == ['key-pair m1']
    assert [machines.state(identity) for _ in range(2)] == ['shutting-down', 'terminated']
    assert machines.ask('StartInstances', identity).code == 'IncorrectInstanceState'
    assert seen == ['pending', 'running', 'stopping', 'stopped', 'pending', 'running', 'rebooting',
                    'shutting-down', 'terminated']
    ec2.account.forget(identity)
    assert machines.ask('TerminateInstances', identity).code == 'InvalidInstanceID.NotFound'


def test_pace(machines):
    account = machines.ec2.account
    account.pace['pending'], account.late_address = (0, 3600.0), 2
    identity = machines.launched()
    assert [machines.state(identity) for _ in range(3)] == ['pending'] * 3
    account.things['instance'][identity]['_until'] = 0
    shown = [machines.ask('DescribeInstances', identity).text('.//item/ipAddress') for _ in range(3)]
    assert shown[:2] == [None, None] and shown[2]


def test_what_outlives_an_instance():
    with Ec2(strict=False) as ec2:
        machines = Machines(ec2)
        reply = machines.launch(BlockDeviceMapping__1__Ebs__DeleteOnTermination='false')
        identity = reply.text('instancesSet/item/instanceId')
        machines.ask('TerminateInstances', identity)
        assert [leak.split()[0] for leak in ec2.leaks()] == ['key-pair', 'volume']
        assert ec2.leaks(ignore=('key-pair', 'volume')) == []


def test_not_seen_at_once(machines):
    ec2 = machines.ec2
    ec2.account.lag['instance'] = 2
    identity = machines.launched()
    by_name = {'Filter.1.Name': 'tag:Name', 'Filter.1.Value.1': 'm?'}
    assert machines.call('DescribeInstances', by_name).texts('instanceId') == []
    assert machines.state(identity) == 'InvalidInstanceID.NotFound'
    assert machines.call('DescribeInstances', by_name).texts('instanceId') == [identity]
    ec2.account.lag_always = True
    other = machines.launch('t2').text('instancesSet/item/instanceId')
    assert machines.ask('TerminateInstances', other).code == 'InvalidInstanceID.NotFound'


def test_filters_see_the_state_that_is_shown(machines):
    identity = machines.launched()
    running = {'Filter.1.Name': 'instance-state-name', 'Filter.1.Value.1': 'running'}
    assert machines.call('DescribeInstances', running).texts('instanceId') == []
    assert machines.call('DescribeInstances', running).texts('instanceId') == [identity]


def test_done_and_not_answered(machines):
    """A client that repeats itself with the same token has one instance."""
    ec2 = machines.ec2
    for fault in Close(applied=True), Close(applied=True, reset=True):
        ec2.faults.add('RunInstances', fault)
        with pytest.raises((http.client.HTTPException, OSError)):
            machines.launch()
    ec2.faults.add('RunInstances', faults.internal_error(applied=True))
    assert machines.launch().code == 'InternalError'
    assert len(ec2.account.things['instance']) == 1
    assert machines.launched() in ec2.account.things['instance']
    assert machines.launch(InstanceType='t3.small').code == 'IdempotentParameterMismatch'
    assert machines.launch('t2').status == 200 and len(ec2.account.things['instance']) == 2


def test_not_done(machines):
    ec2 = machines.ec2
    ec2.faults.add('RunInstances', Close())
    with pytest.raises((http.client.HTTPException, OSError)):
        machines.launch()
    for fault, code in ((Throttle(), 'RequestLimitExceeded'), (faults.no_capacity(), 'InsufficientInstanceCapacity'),
                        (Refuse(400, 'InvalidGroup.Duplicate'), 'InvalidGroup.Duplicate')):
        ec2.faults.add('RunInstances', fault)
        assert machines.launch().code == code
    ec2.faults.add('RunInstances', Redirect('http://127.0.0.1:1/'))
    reply = machines.launch()
    assert (reply.status, reply.headers['Location']) == (307, 'http://127.0.0.1:1/')
    assert not ec2.account.things['instance']


def test_the_right_one_goes_wrong(machines):
    machines.ec2.faults.add('DescribeInstances', Throttle(), nth=2, times=2)
    identity = machines.launched()
    assert [machines.ask('DescribeInstances', identity).status for _ in range(4)] == [200, 503, 503, 200]


def test_moments(machines):
    ec2, seen = machines.ec2, []

    def note(moment):
        def hook(request):
            seen.append((moment, len(ec2.account.things['instance']), request.whole))
        ec2.faults.hook('RunInstances', moment, hook)
    for moment in RECEIVED, APPLIED, ANSWERED:
        note(moment)
    machines.launch()
    request = ec2.log.wait('RunInstances')
    assert request.params['ImageId'] == ec2.image() and request.status == 200
    machines.call('DescribeInstances', {'InstanceId.1': 'i-00000000'}) # its hooks are after those
    assert seen == [(RECEIVED, 0, False), (APPLIED, 1, False), (ANSWERED, 1, True)]


@pytest.mark.parametrize('name', [name for name in faults.RUBBISH if name not in ('endless', 'truncated')])
def test_rubbish(machines, name):
    identity = machines.launched()
    good = machines.ask('DescribeInstances', identity).body
    machines.ec2.faults.add('DescribeInstances', faults.RUBBISH[name]())
    assert machines.ask('DescribeInstances', identity).body != good
    assert not machines.ec2.faults.pending()


def test_bodies_that_do_not_end(machines):
    identity = machines.launched()
    machines.ec2.faults.add('DescribeInstances', faults.RUBBISH['truncated']())
    with pytest.raises(http.client.IncompleteRead):
        machines.ask('DescribeInstances', identity)
    machines.ec2.faults.add('DescribeInstances', Garbage())
    with pytest.raises(http.client.BadStatusLine):
        machines.ask('DescribeInstances', identity)
    machines.ec2.faults.add('DescribeInstances', Slow(seconds=0, size=7, whole=True))
    assert machines.state(identity) == 'running'
    for slow in Slow(seconds=5.0), Slow(seconds=5.0, whole=True):
        machines.ec2.faults.add('DescribeInstances', slow)
        machines.call.connect(timeout=0.3)
        with pytest.raises(TimeoutError):
            machines.ask('DescribeInstances', identity)
    machines.call.connect()
    machines.ec2.faults.add('DescribeInstances', faults.endless_body())
    got = []
    machines.call.connection.response_class = lambda *args, **kwargs: Reading(got, *args, **kwargs)
    machines.ask('DescribeInstances', identity)
    assert len(got[0]) == 10_000_000


class Reading(http.client.HTTPResponse):
    """Has enough at ten million bytes."""

    def __init__(self, got, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.got = got

    def read(self, amt=None):
        self.got.append(super().read(10_000_000))
        self.close()
        return b''


def test_it_ends_in_the_middle_of_a_request():
    begin = time.monotonic()
    with Ec2() as ec2:
        ec2.faults.add('DescribeVpcs', Delay(60.0))
        client = Client(ec2, timeout=0.2)
        with pytest.raises(TimeoutError):
            client('DescribeVpcs')
    assert time.monotonic() - begin < 10


def test_somebody_else_makes_the_group(machines):
    ec2 = machines.ec2
    vpc = ec2.default_vpc()
    ec2.faults.hook('CreateSecurityGroup', RECEIVED, lambda _: ec2.account.add_group('docker-machine', 'x', vpc))
    params = {'GroupName': 'docker-machine', 'GroupDescription': 'Docker Machine', 'VpcId': vpc}
    assert machines.call('CreateSecurityGroup', params).code == 'InvalidGroup.Duplicate'
    assert ec2.leaks(ignore=('key-pair', 'docker-machine')) == []


def test_too_many_requests(machines):
    machines.ec2.faults.limit(per_second=1, burst=3)
    codes = [machines.call('DescribeAccountAttributes').code for _ in range(5)]
    assert codes[:3] == [None] * 3 and codes[3:] == ['RequestLimitExceeded'] * 2


def test_https(tmp_path):
    authority = web.make_authority(tmp_path)
    with Ec2(authority=authority) as ec2:
        assert ec2.url.startswith('https://127.0.0.1:')
        context = ssl.create_default_context(cafile=authority / 'ca.pem')
        assert Client(ec2, context=context)('DescribeAccountAttributes').status == 200
        with pytest.raises(OSError):
            Client(ec2)('DescribeAccountAttributes')


# keys from the metadata service

def get(url, method='GET', **headers):
    request = urllib.request.Request(url, method=method, headers={
        name.replace('_', '-'): value for name, value in headers.items()})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_metadata():
    with Ec2() as ec2:
        roles = ec2.metadata_url + '/latest/meta-data/iam/security-credentials/'
        assert get(roles)[0] == 403
        ec2.forgive('version 1')
        ttl = {'X_aws_ec2_metadata_token_ttl_seconds': '60'}
        assert get(ec2.metadata_url + '/latest/api/token', 'PUT')[0] == 400
        ec2.forgive('a life of')
        status, token = get(ec2.metadata_url + '/latest/api/token', 'PUT', **ttl)
        held = {'X_aws_ec2_metadata_token': token}
        assert (status, get(roles, **held)) == (200, (200, 'docker-host'))
        keys = json.loads(get(roles + 'docker-host', **held)[1])
        assert keys['Code'] == 'Success' and keys['AccessKeyId'] in ec2.service.credentials
        credential = ec2.service.credentials[keys['AccessKeyId']]
        assert Client(ec2, credential)('DescribeAccountAttributes').status == 200
        ec2.ahead = ec2.role_seconds + 1
        assert Client(ec2, credential)('DescribeAccountAttributes').code == 'ExpiredToken'
        assert get(roles, **held)[0] == 401
        ec2.ahead, ec2.metadata.service.role = 0, None
        assert get(roles, **held)[0] == 404


def test_container():
    with Ec2() as ec2:
        ec2.container.service.authorization = 'Bearer x'
        assert get(ec2.container_url)[0] == 401
        ec2.forgive('Authorization')
        assert json.loads(get(ec2.container_url, Authorization='Bearer x')[1])['Token']
