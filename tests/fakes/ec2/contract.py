"""What a driver is held to beyond EC2's model: what Amazon would take, but what is careless, costs
money, or breaks elsewhere. Each wrong thing is a text; the request is refused."""

LAUNCH = ('ImageId', 'InstanceType', 'MinCount', 'MaxCount', 'KeyName', 'ClientToken',
          'NetworkInterfaces.0.DeviceIndex', 'NetworkInterfaces.0.SubnetId',
          'NetworkInterfaces.0.AssociatePublicIpAddress', 'NetworkInterfaces.0.Groups',
          'Placement.AvailabilityZone', 'Monitoring.Enabled', 'MetadataOptions.HttpTokens',
          'BlockDeviceMappings.0.DeviceName', 'BlockDeviceMappings.0.Ebs.VolumeSize',
          'BlockDeviceMappings.0.Ebs.VolumeType')
# action: what it has to have; of a tuple, one of these
NEEDED = {
    'DescribeSubnets': [('SubnetIds', 'Filters')],
    'DescribeImages': [('ImageIds', 'Owners')],
    'DescribeKeyPairs': [('KeyNames', 'KeyPairIds', 'Filters')],
    'DescribeSecurityGroups': [('GroupIds', 'Filters')],
    'CreateSecurityGroup': ['VpcId'],
    'AuthorizeSecurityGroupIngress': ['GroupId', ('IpPermissions.0.IpRanges.0.CidrIp', 'IpPermissions.0.Ipv6Ranges.0.CidrIpv6')],
    'RunInstances': list(LAUNCH),
    'DescribeInstances': [('InstanceIds', 'Filters')],
    'StopInstances': ['Force'],
    'DeleteKeyPair': [('KeyName', 'KeyPairId')],
}
# what does not work everywhere, or is no more
FORBIDDEN = {
    'DescribeSecurityGroups': ['GroupNames'],
    'AuthorizeSecurityGroupIngress': ['GroupName', 'CidrIp', 'SourceSecurityGroupName'],
    'DeleteSecurityGroup': ['GroupName'],
    'RunInstances': ['SubnetId', 'SecurityGroupIds', 'SecurityGroups',
                     'InstanceMarketOptions.SpotOptions.BlockDurationMinutes'],
}
# what is there from the beginning, belongs to somebody else
OWNED = {
    'DeleteKeyPair': ('key-pair', 'KeyName'), 'DeleteSecurityGroup': ('security-group', 'GroupId'),
    'TerminateInstances': ('instance', 'InstanceIds'), 'StopInstances': ('instance', 'InstanceIds'),
    'DeleteVolume': ('volume', 'VolumeId'),
}


def value(params, path):
    at = params
    for word in path.split('.'):
        if isinstance(at, list):
            at = at[int(word)] if int(word) < len(at) else None
        else:
            at = at.get(word)
        if at is None:
            return None
    return at


def filters(params):
    return {one.get('Name') for one in params.get('Filters', ())}


def subnets(params):
    if 'SubnetIds' not in params and not ({'subnet-id'} & filters(params)
                                          or {'availability-zone', 'vpc-id'} <= filters(params)):
        yield 'neither subnet-id nor availability-zone and vpc-id'


def images(params):
    if 'ImageIds' in params and 'Owners' in params:
        yield 'both an image and an owner'
    if 'Owners' in params and 'name' not in filters(params):
        yield 'all images of an owner'


def groups(params):
    if 'GroupIds' not in params and 'group-name' in filters(params) and 'vpc-id' not in filters(params):
        yield 'groups of that name in any VPC'


def key(params):
    if not params['PublicKeyMaterial'].startswith(b'ssh-'):
        yield 'PublicKeyMaterial is no public key in the form of OpenSSH'
    if b'PRIVATE' in params['PublicKeyMaterial']:
        yield 'a private key is sent'


def rules(params):
    for one in params['IpPermissions']:
        if not {'IpProtocol', 'FromPort', 'ToPort'} <= set(one) or not {'IpRanges', 'Ipv6Ranges'} & set(one):
            yield f'a permission is not whole: {one}'


def launch(params):
    if (params['MinCount'], params['MaxCount']) != (1, 1):
        yield 'not one instance'
    for one in params['BlockDeviceMappings']:
        if not one.get('Ebs', {}).get('DeleteOnTermination'):
            yield f'the volume {one.get("DeviceName")} outlives its instance'
    tags = {one.get('ResourceType'): {tag['Key'] for tag in one.get('Tags', ())}
            for one in params.get('TagSpecifications', ())}
    if 'Name' not in tags.get('instance', ()):
        yield 'the instance starts without the tag Name'


RULES = {'DescribeSubnets': subnets, 'DescribeImages': images, 'DescribeSecurityGroups': groups,
         'ImportKeyPair': key, 'AuthorizeSecurityGroupIngress': rules, 'RunInstances': launch}


def wrong(account, action, params):
    """What is wrong with a request."""
    found = []
    for paths in NEEDED.get(action, ()):
        choice = (paths,) if isinstance(paths, str) else paths
        if all(value(params, path) is None for path in choice):
            found.append(f'{action} without {" or ".join(choice)}')
    found += [f'{action} with {path}' for path in FORBIDDEN.get(action, ())
              if value(params, path) is not None]
    kind, member = OWNED.get(action, (None, None))
    for name in [params.get(member)] if isinstance(params.get(member), str) else params.get(member) or ():
        if account.is_initial(kind, name):
            found.append(f'{action} of {name}, which was there before')
    if not found and action in RULES:
        found += [f'{action}: {text}' for text in RULES[action](params)]
    return found
