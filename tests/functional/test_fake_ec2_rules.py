"""The fake EC2 refuses what EC2 refuses, and tells what a driver must not do."""

import base64
import calendar
import json
import pathlib
import subprocess

import pytest

from fakes import ec2 as package
from fakes.ec2 import Ec2, Failure, sigv4, things
from fakes.ec2.client import Client

SUITE = pathlib.Path(package.__file__).with_name('aws4_testsuite.json')
KEY, SECRET, DATE = 'AKIDEXAMPLE', 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', '20260102T030405Z'
BODY = b'Action=DescribeInstances&InstanceId.1=i-1&Version=2016-11-15'
HOST = {'host': 'ec2.us-east-1.amazonaws.com', 'x-amz-date': DATE}
FORM = 'application/x-www-form-urlencoded; charset=utf-8'
# headers, the hash of the canonical request, the signature
VECTORS = [
    ({**HOST, 'x-amz-content-sha256': '0a975457b795de795af787558e8ebb7d7cb662f770ad4e956887d09cacd4259e'},
     'fc1f6f80cb15fa70d175ab19ba218e778b82a7ecfab27e90cf70f50eaf4a103c',
     '50792487d0b373babc4c9aa15457966bcccfe625aa03a10e78ebe22cef0cdc79'),
    ({**HOST, 'content-type': FORM},
     '64e870410672edbfac3077371b219fdc9ca7076068bf0bc4ee5e5a46bdde2575',
     'f6ea278050160d2837488d705ffd62a7dfe42afa135e97bff0b0c1403aef4bc1'),
    ({'host': '127.0.0.1:8773', 'content-type': FORM, 'x-amz-date': DATE, 'x-amz-security-token': 'TOKENEXAMPLE'},
     '57d9f501b8ddf7dd75e137136ec94477ca9d7072114da4fa2170b17e352f338f',
     'b55285c60947104ec302ee72cc0903ceb3e7cdeeee39d2c1c34d52fd7db5fe9d'),
]


@pytest.fixture
def ec2():
    with Ec2() as fake:
        yield fake


@pytest.fixture
def call(ec2):
    client = Client(ec2)
    yield client
    client.close()


@pytest.mark.parametrize('headers, canonical_hash, signature', VECTORS)
def test_signature(headers, canonical_hash, signature):
    canonical = sigv4.canonical_request('POST', '/', [], headers, sorted(headers), BODY)
    assert sigv4.hexdigest(canonical.encode()) == canonical_hash
    assert sigv4.signature(SECRET, DATE, 'us-east-1', 'ec2', canonical) == signature


@pytest.mark.parametrize('case', json.loads(SUITE.read_text()), ids=lambda case: case[0])
def test_amazons_suite(case):
    _, method, path, query, headers, body, signature = case
    names = sorted(headers)
    canonical = sigv4.canonical_request(method, path, query.items(), headers, names, body.encode())
    assert sigv4.signature(SECRET, headers['x-amz-date'], 'us-east-1', 'service', canonical) == signature


GOOD = 'Action=DescribeAccountAttributes&Version=2016-11-15'
# what is different, the code, what the violation says (None: there is none)
HTTP = [
    ({'method': 'PUT'}, 'MalformedQueryString', 'the method'),
    ({'target': '/x'}, 'MalformedQueryString', 'the path'),
    ({'target': '/?a=b'}, 'MalformedQueryString', 'the path'),
    ({'headers': {'content-type': 'application/x-www-form-urlencoded'}}, 'MalformedQueryString', 'Content-Type'),
    ({'headers': {'host': 'ec2.amazonaws.com'}}, 'MalformedQueryString', 'the Host'),
    ({'late_headers': [('x-amz-date', DATE)]}, 'MalformedQueryString', 'repeated'),
    ({'late_headers': [('authorization', None)]}, 'MissingParameter', 'AWSAccessKeyId'),
    ({'late_headers': [('authorization', 'Basic eDp5')]}, 'IncompleteSignature', 'Authorization'),
    ({'headers': {'x-amz-date': 'today'}}, 'IncompleteSignature', 'no date'),
    ({'signed': ['host', 'x-amz-date']}, 'SignatureDoesNotMatch', "['content-type']"),
    ({'signed': ['content-type', 'x-amz-date']}, 'SignatureDoesNotMatch', "['host']"),
    ({'signed': ['x-amz-date', 'host', 'content-type']}, 'IncompleteSignature', 'not sorted'),
    ({'headers': {'x-amz-security-token': 'x'}}, 'AuthFailure', 'session token wrong'),
    ({'region': 'eu-west-1'}, 'SignatureDoesNotMatch', 'scoped'),
    ({'service': 's3'}, 'SignatureDoesNotMatch', 'scoped'),
    ({'secret': 'x'}, 'SignatureDoesNotMatch', 'does not match'),
    ({'when': calendar.timegm((2020, 1, 1, 0, 0, 0))}, 'RequestExpired', None),
    ({'body': GOOD[:-1] + '6'}, 'NoSuchVersion', 'Version'),
    ({'body': 'Version=2016-11-15'}, 'MissingAction', 'Action'),
    ({'body': GOOD.replace('Attributes', 'Nothing')}, 'InvalidAction', 'DescribeAccountNothing'),
    ({'body': GOOD.replace('DescribeAccountAttributes', 'CreateVpc&CidrBlock=10.0.0.0%2F16')},
     'UnsupportedOperation', 'CreateVpc'),
    ({'body': GOOD + '&DryRun=true'}, 'DryRunOperation', None),
    ({'body': GOOD + '&DryRun=yes'}, 'InvalidParameterValue', 'boolean'),
    ({'body': GOOD + '&Nonsense=1'}, 'UnknownParameter', 'Nonsense'),
    ({'body': GOOD + '&AttributeName.1='}, 'MissingParameter', 'empty'),
    ({'body': GOOD + '&AttributeName.2=default-vpc'}, 'InvalidParameterValue', 'numbered'),
    ({'body': GOOD + '&AttributeName=default-vpc'}, 'InvalidParameterValue', 'list'),
    ({'body': GOOD + '&AttributeName.1=vpc-mood'}, 'InvalidParameterValue', 'vpc-mood'),
    ({'body': GOOD + '&AttributeName.1.Name=x'}, 'UnknownParameter', 'AttributeName.1.Name'),
    ({'body': GOOD + '&DryRun=true&DryRun=true'}, 'InvalidParameterValue', 'twice'),
    ({'body': GOOD + '&A.B=1&A=2'}, 'InvalidParameterValue', 'parts'),
    ({'body': GOOD + '&DryRun'}, 'MalformedQueryString', 'NAME=VALUE'),
    ({'body': GOOD + '&Dry Run=true'}, 'MalformedQueryString', 'NAME=VALUE'),
    ({'body': GOOD + '&DryRun=%2x'}, 'MalformedQueryString', 'NAME=VALUE'),
    ({'body': GOOD + '&DryRun=%ff'}, 'MalformedQueryString', 'NAME=VALUE'),
    ({'body': GOOD + '&DryRun=%FF'}, 'MalformedQueryString', 'UTF-8'),
]


@pytest.mark.parametrize('change, code, violation', HTTP, ids=lambda value: str(value)[:60])
def test_wrong_request(ec2, call, change, code, violation):
    change = dict(change)
    reply = call.send(change.pop('body', GOOD), **change)
    assert reply.code == code, reply
    if violation:
        ec2.forgive(violation)


def test_good_request(ec2, call):
    reply = call.send(GOOD)
    assert reply.status == 200 and ec2.default_vpc() in reply.texts('attributeValue')
    assert ec2.log.connections() == 1


def test_denied(ec2, call):
    ec2.account.denied.add('DescribeAccountAttributes')
    assert call.send(GOOD).code == 'UnauthorizedOperation'


# contract.py: parameters, and what is said of them
CARELESS = [
    ('DescribeInstances', {}, 'without InstanceIds or Filters'),
    ('DescribeImages', {'Owner.1': '099720109477'}, 'all images of an owner'),
    ('DescribeImages', {'Filter.1.Name': 'name', 'Filter.1.Value.1': 'ubuntu*'}, 'without ImageIds or Owners'),
    ('DescribeSecurityGroups', {'GroupName.1': 'default'}, 'with GroupNames'),
    ('DescribeSecurityGroups', {'Filter.1.Name': 'group-name', 'Filter.1.Value.1': 'x'}, 'in any VPC'),
    ('CreateSecurityGroup', {'GroupName': 'x', 'GroupDescription': 'x'}, 'without VpcId'),
    ('AuthorizeSecurityGroupIngress', {'GroupId': 'sg-00000000', 'IpPermissions.1.IpProtocol': 'tcp',
                                       'IpPermissions.1.IpRanges.1.CidrIp': '0.0.0.0/0'}, 'not whole'),
    ('StopInstances', {'InstanceId.1': 'i-00000000'}, 'without Force'),
    ('ImportKeyPair', {'KeyName': 'x', 'PublicKeyMaterial': base64.b64encode(b'-----BEGIN').decode()}, 'no public key'),
]


@pytest.mark.parametrize('action, params, violation', CARELESS, ids=lambda value: str(value)[:40])
def test_careless_request(ec2, call, action, params, violation):
    assert call(action, params).status == 400
    ec2.forgive(violation)


def test_what_was_there_before_is_not_deleted(ec2, call):
    group = next(iter(ec2.account.things['security-group']))
    assert call('DeleteSecurityGroup', {'GroupId': group}).status == 400
    ec2.forgive('was there before')


def test_a_wrong_request_fails_the_test():
    with pytest.raises(AssertionError, match=r'(?s)wrong requests:.*UnknownParameter'), Ec2() as ec2:
        Client(ec2)('DescribeAccountAttributes', {'X': '1'})


# a rule, and the code of the answer
PORTS = [
    (('tcp', '22', '22', '0.0.0.0/0'), None), (('udp', '1', '65535', '10.0.0.0/8'), None),
    (('tcp', '23', '22', '0.0.0.0/0'), 'InvalidParameterValue'),
    (('tcp', '1', '65536', '0.0.0.0/0'), 'InvalidParameterValue'),
    (('carrier', '1', '2', '0.0.0.0/0'), 'InvalidPermission.Malformed'),
    (('tcp', '1', '2', '10.0.0.1/8'), 'InvalidParameterValue'), (('tcp', '1', '2', 'all'), 'InvalidParameterValue'),
]


@pytest.mark.parametrize('rule, code', PORTS)
def test_rules(ec2, call, rule, code):
    group = ec2.account.add_group('g', 'g', ec2.default_vpc())
    names = ('IpProtocol', 'FromPort', 'ToPort', 'IpRanges.1.CidrIp')
    params = {'GroupId': group, **{f'IpPermissions.1.{name}': value for name, value in zip(names, rule)}}
    assert call('AuthorizeSecurityGroupIngress', params).code == code
    shown = call('DescribeSecurityGroups', {'GroupId.1': group})
    assert len(shown.texts('fromPort')) == (code is None)
    if code is None:
        params.update({f'IpPermissions.2.{name}': value for name, value in zip(names, ('tcp', '9', '9', rule[3]))})
        assert call('AuthorizeSecurityGroupIngress', params).code == 'InvalidPermission.Duplicate'
        assert len(call('DescribeSecurityGroups', {'GroupId.1': group}).texts('fromPort')) == 1


def key_material(tmp_path, *options):
    subprocess.run(['ssh-keygen', '-q', '-m', 'PEM', '-N', '', '-f', tmp_path / 'key', *options], check=True)
    return (tmp_path / 'key.pub').read_bytes()


def test_rsa_fingerprint(tmp_path):
    kind, fingerprint = things.read_public_key(key_material(tmp_path, '-t', 'rsa', '-b', '2048'))
    public = subprocess.run(['openssl', 'pkey', '-in', tmp_path / 'key', '-pubout', '-outform', 'DER'],
                            check=True, capture_output=True).stdout
    digest = subprocess.run(['openssl', 'md5', '-c'], input=public, check=True, capture_output=True).stdout
    assert kind == 'rsa' and digest.decode().strip().endswith('= ' + fingerprint)


def test_ed25519_fingerprint(tmp_path):
    kind, fingerprint = things.read_public_key(key_material(tmp_path, '-t', 'ed25519'))
    shown = subprocess.run(['ssh-keygen', '-l', '-f', tmp_path / 'key.pub'], check=True, capture_output=True,
                           text=True).stdout
    assert kind == 'ed25519' and f'SHA256:{fingerprint.rstrip("=")} ' in shown


@pytest.mark.parametrize('options', [('-t', 'ecdsa'), ('-t', 'rsa', '-b', '3072')])
def test_keys_that_are_not_taken(tmp_path, options):
    material = key_material(tmp_path, *options)
    for wrong in material, material[:40], b'', b'ssh-rsa !', material.replace(b'AAAA', b'AAAB', 1):
        with pytest.raises(Failure, match='not in valid OpenSSH'):
            things.read_public_key(wrong)


def test_ids(call):
    assert call('DescribeInstances', {'InstanceId.1': 'i-1'}).code == 'InvalidInstanceID.Malformed'
    reply = call('DescribeInstances', {'InstanceId.1': 'i-00000000', 'InstanceId.2': 'i-00000001'})
    assert reply.code == 'InvalidInstanceID.NotFound' and "'i-00000000, i-00000001' do not" in reply.text('.//Message')


def test_images(ec2, call):
    def ask(*filters, owner='099720109477'):
        params = {'Owner.1': owner}
        for number, (name, value) in enumerate(filters, 1):
            params.update({f'Filter.{number}.Name': name, f'Filter.{number}.Value.1': value})
        return call('DescribeImages', params)
    name = ('name', 'ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*')
    assert len(ask(name).texts('imageId')) == 4 and len(ask(name, ('state', 'available')).texts('imageId')) == 3
    assert ask(('name', '*'), ('architecture', 'arm64')).texts('imageId') == [ec2.image('arm64')]
    assert ask(('name', r'ubuntu/images/\*')).texts('imageId') == []
    assert ask(('name', '*2026????')).texts('imageId')
    assert ask(name, ('colour', 'red')).code == 'InvalidParameterValue'
    assert call('DescribeImages', {'ImageId.1': 'ami-00000000'}).code == 'InvalidAMIID.NotFound'


def test_pages(call, ec2):
    ec2.account.page_size = 2
    vpc = ec2.default_vpc()
    params = {'Filter.1.Name': 'vpc-id', 'Filter.1.Value.1': vpc, 'Filter.2.Name': 'availability-zone',
              'Filter.2.Value.1': 'us-east-1*'}
    first = call('DescribeSubnets', params)
    token = first.text('nextToken')
    second = call('DescribeSubnets', {**params, 'NextToken': token})
    assert (len(first.texts('subnetId')), len(second.texts('subnetId'))) == (2, 1)
    assert second.text('nextToken') is None
    params['Filter.2.Value.1'] = '*'
    assert call('DescribeSubnets', {**params, 'NextToken': token}).code == 'InvalidNextToken'
    assert call('DescribeSubnets', {**params, 'NextToken': 'x'}).code == 'InvalidNextToken'
    assert call('DescribeSubnets', {**params, 'MaxResults': '4'}).code == 'InvalidParameterValue'
    ec2.forgive('MaxResults')
