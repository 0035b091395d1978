"""RunInstances: what it checks, and what it makes."""

import base64
import binascii
import re

from . import lifecycle
from .state import OWNER, Failure

USER_DATA_MAX = 16384
TOKEN_MAX = 64
ARM = re.compile(r'[a-z]+\d+g[a-z]*\.')
TAGGABLE = {'instance', 'volume', 'network-interface', 'spot-instances-request'}


def check_token(account, params):
    """An earlier launch with the same token, if there was one."""
    token = params.get('ClientToken')
    if token is None:
        return None
    if len(token) > TOKEN_MAX or not token.isascii():
        raise Failure('InvalidParameterValue', f'ClientToken is longer than {TOKEN_MAX} or not ASCII')
    earlier = account.tokens.get(token)
    if earlier and earlier[0] != params:
        raise Failure('IdempotentParameterMismatch', 'Arguments on this idempotent request are '
                      'inconsistent with arguments used in previous request(s).')
    return earlier and earlier[1]


def check_image(account, params):
    if 'ImageId' not in params:
        raise Failure('MissingParameter', 'The request must contain the parameter ImageId')
    image = account.one('image', params['ImageId'])
    if image['State'] != 'available':
        raise Failure('InvalidAMIID.Unavailable', f"The image ID '{image['ImageId']}' is not available")
    arm = ARM.match(params.get('InstanceType', 'm1.small')) is not None
    if arm != (image['Architecture'] == 'arm64'):
        raise Failure('InvalidParameterValue', f"The architecture '{image['Architecture']}' of the specified "
                      f"AMI does not match that of the instance type")
    return image


def network_of(account, params):
    """(subnet, ids of groups, wants a public address, tells itself) for the one interface."""
    interfaces = params.get('NetworkInterfaces', [])
    if not interfaces:
        subnet = params.get('SubnetId') or default_subnet(account, params)
        return subnet, params.get('SecurityGroupIds', []), None
    if {'SubnetId', 'SecurityGroupIds', 'SecurityGroups'} & set(params):
        raise Failure('InvalidParameterCombination', 'Network interfaces and an instance-level subnet ID '
                      'or security groups may not be specified on the same request')
    if len(interfaces) > 1 or interfaces[0].get('DeviceIndex') != 0:
        raise Failure('InvalidParameterValue', 'one network interface, with DeviceIndex 0, is understood here')
    one = interfaces[0]
    return (one.get('SubnetId') or default_subnet(account, params), one.get('Groups', []),
            one.get('AssociatePublicIpAddress'))


def default_subnet(account, params):
    zone = params.get('Placement', {}).get('AvailabilityZone')
    for subnet in account.all('subnet'):
        if subnet['DefaultForAz'] and zone in (None, subnet['AvailabilityZone']):
            return subnet['SubnetId']
    raise Failure('VPCIdNotSpecified', 'No default VPC for this user')


def check_network(account, params):
    """(subnet, groups, wants a public address)."""
    identity, group_ids, public = network_of(account, params)
    subnet = account.one('subnet', identity)
    zone = params.get('Placement', {}).get('AvailabilityZone', subnet['AvailabilityZone'])
    if zone not in account.zones:
        raise Failure('InvalidParameterValue', f'Invalid availability zone: [{zone}]')
    if zone != subnet['AvailabilityZone']:
        raise Failure('InvalidParameterValue', f"Value ({zone}) for parameter availabilityZone is invalid. "
                      f"Subnet '{identity}' is in the availability zone {subnet['AvailabilityZone']}")
    groups = account.find('security-group', group_ids) or [
        group for group in account.all('security-group')
        if (group['GroupName'], group['VpcId']) == ('default', subnet['VpcId'])]
    for group in groups:
        if group['VpcId'] != subnet['VpcId']:
            raise Failure('InvalidParameter', f"Security group {group['GroupId']} and subnet {identity} belong "
                          'to different networks.')
    return subnet, groups, subnet['MapPublicIpOnLaunch'] if public is None else public


def check_ipv6(params, subnet):
    """How many such addresses are wanted."""
    one = params.get('NetworkInterfaces', [{}])[0]
    count = one.get('Ipv6AddressCount', 0)
    if count < 0 or (count or one.get('PrimaryIpv6')) and not subnet['Ipv6CidrBlockAssociationSet']:
        raise Failure('InvalidParameterValue', f"The subnet '{subnet['SubnetId']}' has no IPv6 CIDR block")
    return count


def check_user_data(params):
    text = params.get('UserData')
    if text is None:
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Failure('InvalidParameterValue', 'Invalid BASE64 encoding of user data.') from None
    if len(data) > USER_DATA_MAX:
        raise Failure('InvalidParameterValue', f'User data is limited to {USER_DATA_MAX} bytes')
    return data


def check_profile(account, params):
    profile = params.get('IamInstanceProfile')
    if profile is None:
        return None
    name = profile.get('Name') or profile.get('Arn', '').rpartition('/')[2]
    if name not in account.profiles:
        raise Failure('InvalidParameterValue', f'Value ({name}) for parameter iamInstanceProfile.name is '
                      'invalid. Invalid IAM Instance Profile name')
    return {'Arn': f'arn:aws:iam::{OWNER}:instance-profile/{name}', 'Id': f'AIPA{name.upper()}'}


def check_market(account, params):
    """What is wanted of the spot market; None: nothing."""
    options = params.get('InstanceMarketOptions')
    if options is None:
        return None
    if options.get('MarketType') != 'spot':
        raise Failure('InvalidParameterValue', 'MarketType has to be spot')
    spot = options.get('SpotOptions', {})
    if 'BlockDurationMinutes' in spot:
        raise Failure('Unsupported', 'Spot blocks are not offered any more')
    price = spot.get('MaxPrice', account.spot_price)
    if not re.fullmatch(r'\d+(\.\d+)?', price):
        raise Failure('InvalidParameterValue', f'{price} is no price')
    if float(price) < float(account.spot_price):
        raise Failure('SpotMaxPriceTooLow', f'Your Spot request price of {price} is lower than the minimum '
                      f'required Spot request fulfillment price of {account.spot_price}.')
    return {'SpotPrice': price, 'Type': spot.get('SpotInstanceType', 'one-time')}


def check_tags(account, params, market):
    for specification in params.get('TagSpecifications', ()):
        kind = specification.get('ResourceType')
        if kind not in TAGGABLE or kind == 'spot-instances-request' and not market:
            raise Failure('InvalidParameterValue', f"'{kind}' is not a valid taggable resource type for "
                          'this operation.')
        account.tagged([specification], kind)


def check_volumes(image, params):
    """The volumes to be made: device, and what is wanted of each."""
    wanted = {one['DeviceName']: dict(one['Ebs']) for one in image['BlockDeviceMappings']}
    for one in params.get('BlockDeviceMappings', ()):
        device, ebs = one.get('DeviceName'), one.get('Ebs')
        if not device or not ebs:
            raise Failure('InvalidBlockDeviceMapping', 'a mapping without DeviceName or Ebs')
        known = wanted.setdefault(device, {})
        if ebs.get('VolumeSize', 0) < known.get('VolumeSize', 1):
            raise Failure('InvalidBlockDeviceMapping', f"Volume of size {ebs.get('VolumeSize')}GB is smaller "
                          f"than snapshot, expect size >= {known.get('VolumeSize', 1)}GB")
        known.update(ebs)
    return wanted


def check_count(account, params):
    count, least = params['MaxCount'], params['MinCount']
    if not 1 <= least <= count:
        raise Failure('InvalidParameterValue', f'MinCount {least}, MaxCount {count}')
    living = [one for one in account.all('instance') if one['State']['Name'] != 'terminated']
    if len(living) + count > account.instances_max:
        raise Failure('VcpuLimitExceeded', 'You have requested more vCPU capacity than your current vCPU '
                      f'limit of {account.instances_max} allows')
    return count


def run_instances(account, params):
    earlier = check_token(account, params)
    if earlier:
        return lifecycle.reservation(account, earlier)
    plan = {'image': check_image(account, params), 'market': check_market(account, params)}
    if 'KeyName' in params:
        account.find('key-pair', [params['KeyName']])
    plan['subnet'], plan['groups'], plan['public'] = check_network(account, params)
    plan['ipv6'] = check_ipv6(params, plan['subnet'])
    plan['data'], plan['profile'] = check_user_data(params), check_profile(account, params)
    plan['volumes'] = check_volumes(plan['image'], params)
    check_tags(account, params, plan['market'])
    reservation = account.new_id('r-')
    for index in range(check_count(account, params)):
        make_instance(account, params, plan, reservation, index)
    if 'ClientToken' in params:
        account.tokens[params['ClientToken']] = (params, reservation)
    return lifecycle.reservation(account, reservation)


def make_instance(account, params, plan, reservation, index):
    image, subnet, now = plan['image'], plan['subnet'], account.clock()
    identity, private = account.new_id('i-'), account.take_private()
    instance = account.add('instance', identity, {
        'InstanceId': identity, 'ImageId': image['ImageId'], 'KeyName': params.get('KeyName'),
        'InstanceType': params.get('InstanceType', 'm1.small'), 'AmiLaunchIndex': index, 'LaunchTime': now,
        'ClientToken': params.get('ClientToken'), 'Architecture': image['Architecture'],
        'Placement': {'AvailabilityZone': subnet['AvailabilityZone'], 'Tenancy': 'default'},
        'SubnetId': subnet['SubnetId'], 'VpcId': subnet['VpcId'], 'PrivateIpAddress': private,
        'PrivateDnsName': f'ip-{private.replace(".", "-")}.ec2.internal', 'PublicDnsName': '',
        'RootDeviceName': image['RootDeviceName'], 'RootDeviceType': 'ebs', 'Hypervisor': 'xen',
        'VirtualizationType': 'hvm', 'EbsOptimized': params.get('EbsOptimized', False),
        'Monitoring': {'State': 'pending' if params.get('Monitoring', {}).get('Enabled') else 'disabled'},
        'IamInstanceProfile': plan['profile'], 'SourceDestCheck': True, 'EnaSupport': True,
        'SecurityGroups': [{name: group[name] for name in ('GroupId', 'GroupName')}
                           for group in plan['groups']],
        'MetadataOptions': {'State': 'pending', 'HttpEndpoint': 'enabled',
                            **{'HttpTokens': 'optional', 'HttpPutResponseHopLimit': 1,
                               **params.get('MetadataOptions', {})}},
        'Tags': account.tagged(params.get('TagSpecifications'), 'instance'),
        '_reservation': reservation, '_data': plan['data'], '_wants_public': plan['public'], '_reboots': 0,
        '_public': account.take_public() if plan['public'] else None, '_late': account.late_address})
    if plan['ipv6']:
        instance['Ipv6Address'] = account.ipv6
    instance['_groups'] = instance['SecurityGroups']
    instance['BlockDeviceMappings'] = [
        make_volume(account, params, instance, device, wanted, now)
        for device, wanted in plan['volumes'].items()]
    instance['NetworkInterfaces'] = [make_interface(account, params, instance, plan['ipv6'])]
    if plan['market']:
        make_spot_request(account, params, instance, plan['market'])
    lifecycle.enter(account, instance, 'pending')


def make_volume(account, params, instance, device, wanted, now):
    identity = account.new_id('vol-')
    short = wanted.get('DeleteOnTermination', False)
    account.add('volume', identity, {
        'VolumeId': identity, 'Size': wanted['VolumeSize'], 'VolumeType': wanted.get('VolumeType', 'gp2'),
        'State': 'in-use', 'CreateTime': now, 'Encrypted': wanted.get('Encrypted', False),
        'AvailabilityZone': instance['Placement']['AvailabilityZone'],
        'Tags': account.tagged(params.get('TagSpecifications'), 'volume'),
        'Attachments': [{'InstanceId': instance['InstanceId'], 'Device': device, 'State': 'attached',
                         'VolumeId': identity, 'DeleteOnTermination': short}]})
    return {'DeviceName': device, 'Ebs': {'VolumeId': identity, 'Status': 'attached', 'AttachTime': now,
                                          'DeleteOnTermination': short}}


def make_interface(account, params, instance, ipv6):
    identity = account.new_id('eni-')
    common = {'NetworkInterfaceId': identity, 'SubnetId': instance['SubnetId'], 'VpcId': instance['VpcId'],
              'PrivateIpAddress': instance['PrivateIpAddress'], 'Groups': instance['SecurityGroups'],
              'Ipv6Addresses': [{'Ipv6Address': account.ipv6}] * ipv6,
              'Status': 'in-use', 'OwnerId': OWNER, 'SourceDestCheck': True}
    account.add('network-interface', identity, {
        **common, 'Attachment': {'InstanceId': instance['InstanceId'], 'DeviceIndex': 0, 'Status': 'attached',
                                 'DeleteOnTermination': True},
        'Tags': account.tagged(params.get('TagSpecifications'), 'network-interface')})
    return {**common, 'Attachment': {'DeviceIndex': 0, 'Status': 'attached', 'DeleteOnTermination': True}}


def make_spot_request(account, params, instance, market):
    identity = account.new_id('sir-')
    account.add('spot-instances-request', identity, {
        'SpotInstanceRequestId': identity, 'InstanceId': instance['InstanceId'], 'State': 'active',
        'Status': {'Code': 'fulfilled', 'Message': 'Your Spot request is fulfilled.'},
        'CreateTime': account.clock(), 'ProductDescription': 'Linux/UNIX', **market,
        'LaunchedAvailabilityZone': instance['Placement']['AvailabilityZone'],
        'Tags': account.tagged(params.get('TagSpecifications'), 'spot-instances-request')})
    instance['SpotInstanceRequestId'], instance['InstanceLifecycle'] = identity, 'spot'


OPERATIONS = {'RunInstances': run_instances}
