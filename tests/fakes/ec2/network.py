"""Networks and security groups."""

import ipaddress
import re

from .filters import describe, member
from .state import OWNER, Failure

NAME_MAX = 255
NAME = re.compile(r'[a-zA-Z0-9 ._:/()#,@\[\]+=&;{}!$*-]{1,255}')
PROTOCOLS = ('tcp', 'udp', 'icmp', 'icmpv6', '-1')
RULES_MAX = 60

VPC_FILTERS = {
    'vpc-id': member('VpcId'), 'is-default': member('IsDefault'), 'isDefault': member('IsDefault'),
    'state': member('State'), 'cidr': member('CidrBlock'),
}
SUBNET_FILTERS = {
    'subnet-id': member('SubnetId'), 'vpc-id': member('VpcId'),
    'availability-zone': member('AvailabilityZone'), 'availabilityZone': member('AvailabilityZone'),
    'default-for-az': member('DefaultForAz'), 'state': member('State'),
}
GROUP_FILTERS = {
    'group-id': member('GroupId'), 'group-name': member('GroupName'), 'vpc-id': member('VpcId'),
    'description': member('Description'), 'ip-permission.cidr': member('IpPermissions', 'IpRanges', 'CidrIp'),
    'ip-permission.from-port': member('IpPermissions', 'FromPort'),
    'ip-permission.to-port': member('IpPermissions', 'ToPort'),
    'ip-permission.protocol': member('IpPermissions', 'IpProtocol'),
}
INTERFACE_FILTERS = {
    'subnet-id': member('SubnetId'), 'vpc-id': member('VpcId'), 'group-id': member('Groups', 'GroupId'),
    'attachment.instance-id': member('Attachment', 'InstanceId'),
}


def describe_account_attributes(account, params):
    default = next((vpc['VpcId'] for vpc in account.all('vpc') if vpc['IsDefault']), 'none')
    values = {'supported-platforms': ['VPC'], 'default-vpc': [default],
              'max-instances': [account.instances_max], 'vpc-max-security-groups-per-interface': [5],
              'max-elastic-ips': [5], 'vpc-max-elastic-ips': [5]}
    wanted = params.get('AttributeNames') or values
    return {'AccountAttributes': [
        {'AttributeName': name, 'AttributeValues': [{'AttributeValue': str(value)} for value in values[name]]}
        for name in values if name in wanted]}


def describe_availability_zones(account, _params):
    return {'AvailabilityZones': [
        {'ZoneName': zone, 'ZoneId': f'use1-az{number}', 'State': 'available', 'RegionName': account.region,
         'ZoneType': 'availability-zone', 'OptInStatus': 'opt-in-not-required'}
        for number, zone in enumerate(account.zones, 1)]}


def describe_vpcs(account, params):
    found, token = describe(account, params, 'vpc', VPC_FILTERS, 'VpcIds', 'VpcId')
    return {'Vpcs': found, 'NextToken': token}


def describe_subnets(account, params):
    found, token = describe(account, params, 'subnet', SUBNET_FILTERS, 'SubnetIds', 'SubnetId')
    return {'Subnets': found, 'NextToken': token}


def describe_network_interfaces(account, params):
    found, token = describe(account, params, 'network-interface', INTERFACE_FILTERS,
                            'NetworkInterfaceIds', 'NetworkInterfaceId')
    return {'NetworkInterfaces': found, 'NextToken': token}


def default_vpc(account):
    for vpc in account.all('vpc'):
        if vpc['IsDefault']:
            return vpc['VpcId']
    raise Failure('VPCIdNotSpecified', 'No default VPC for this user')


def group_of(account, params, looking=False):
    """The group that a request names; by name only in the default VPC."""
    if 'GroupId' in params:
        return account.one('security-group', params['GroupId'], looking)
    name = params.get('GroupName')
    if not name:
        raise Failure('MissingParameter', 'The request must contain the parameter GroupId or GroupName')
    vpc = default_vpc(account)
    for group in account.all('security-group'):
        if (group['GroupName'], group['VpcId']) == (name, vpc):
            return group
    raise Failure('InvalidGroup.NotFound', f"The security group '{name}' does not exist in default VPC '{vpc}'")


def describe_security_groups(account, params):
    if 'GroupNames' in params:
        found, token = [group_of(account, {'GroupName': name}) for name in params['GroupNames']], None
    else:
        found, token = describe(account, params, 'security-group', GROUP_FILTERS, 'GroupIds', 'GroupId')
    return {'SecurityGroups': found, 'NextToken': token}


def create_security_group(account, params):
    name, vpc = params['GroupName'], params.get('VpcId') or default_vpc(account)
    account.one('vpc', vpc)
    if not NAME.fullmatch(name) or name.startswith('sg-') or not NAME.fullmatch(params['Description']):
        raise Failure('InvalidParameterValue', f'Invalid security group name or description: {name}')
    if name == 'default':
        raise Failure('InvalidParameterValue', "Cannot use reserved security group name: default")
    if any((g['GroupName'], g['VpcId']) == (name, vpc) for g in account.all('security-group')):
        raise Failure('InvalidGroup.Duplicate',
                      f"The security group '{name}' already exists for VPC '{vpc}'")
    tags = account.tagged(params.get('TagSpecifications'), 'security-group')
    return {'GroupId': account.add_group(name, params['Description'], vpc, tags), 'Tags': tags}


def delete_security_group(account, params):
    group = group_of(account, params)
    if group['GroupName'] == 'default':
        raise Failure('CannotDelete', f"the specified group: \"{group['GroupId']}\" name: \"default\" "
                      'cannot be deleted by a user')
    for instance in account.all('instance'):
        if (instance['State']['Name'] != 'terminated'
                and any(one['GroupId'] == group['GroupId'] for one in instance['_groups'])):
            raise Failure('DependencyViolation', f"resource {group['GroupId']} has a dependent object")
    account.remove('security-group', group['GroupId'])
    return {}


def check_port(protocol, port):
    least, most = (-1, 255) if protocol.startswith('icmp') else (0, 65535)
    if port is None or not least <= port <= most:
        raise Failure('InvalidParameterValue', f'Invalid value \'{port}\' for a port of {protocol}')


def split_rules(permissions):
    """Permissions as single rules: (protocol, from, to, kind of source, source)."""
    rules = []
    for one in permissions:
        protocol = one.get('IpProtocol')
        if protocol not in PROTOCOLS and not (protocol or '').isdecimal():
            raise Failure('InvalidPermission.Malformed', f'Unsupported IP protocol "{protocol}"')
        first, last = one.get('FromPort'), one.get('ToPort')
        if protocol == '-1':
            first = last = None
        else:
            check_port(protocol, first)
            check_port(protocol, last)
            if first > last:
                raise Failure('InvalidParameterValue', f'Invalid range of ports {first}-{last}')
        sources = [('CidrIpv4', block.get('CidrIp')) for block in one.get('IpRanges', ())]
        sources += [('CidrIpv6', block.get('CidrIpv6')) for block in one.get('Ipv6Ranges', ())]
        sources += [('Group', pair.get('GroupId')) for pair in one.get('UserIdGroupPairs', ())]
        if not sources:
            raise Failure('InvalidParameterValue', 'a permission without a source')
        rules += [(protocol, first, last, kind, check_source(kind, source)) for kind, source in sources]
    return rules


def check_source(kind, source):
    if kind != 'Group':
        try:
            {'CidrIpv4': ipaddress.IPv4Network, 'CidrIpv6': ipaddress.IPv6Network}[kind](source)
        except (ValueError, TypeError):
            raise Failure('InvalidParameterValue', f'CIDR block {source} is malformed') from None
    elif not source:
        raise Failure('InvalidGroup.NotFound', 'a pair without GroupId')
    return source


def top_level_permission(params):
    """The short form has one rule's members in the request itself."""
    one = {name: params[name] for name in ('IpProtocol', 'FromPort', 'ToPort') if name in params}
    if 'CidrIp' in params:
        one['IpRanges'] = [{'CidrIp': params['CidrIp']}]
    return [one]


def authorize_ingress(account, params):
    group = group_of(account, params)
    wanted = split_rules(params.get('IpPermissions') or top_level_permission(params))
    present = split_rules(group['IpPermissions'])
    for rule in wanted:
        if rule in present or wanted.count(rule) > 1:
            protocol, first, last, _, source = rule
            raise Failure('InvalidPermission.Duplicate', f'the specified rule "peer: {source}, {protocol}, '
                          f'from port: {first}, to port: {last}, ALLOW" already exists')
    if len(present) + len(wanted) > RULES_MAX:
        raise Failure('RulesPerSecurityGroupLimitExceeded', f'more than {RULES_MAX} rules')
    for rule in wanted:
        add_rule(group['IpPermissions'], rule)
    return {'Return': True, 'SecurityGroupRules': [rule_info(account, group, rule) for rule in wanted]}


def add_rule(permissions, rule):
    protocol, first, last, kind, source = rule
    for one in permissions:
        if (one['IpProtocol'], one.get('FromPort'), one.get('ToPort')) == (protocol, first, last):
            break
    else:
        one = {'IpProtocol': protocol, 'FromPort': first, 'ToPort': last, 'IpRanges': [],
               'Ipv6Ranges': [], 'UserIdGroupPairs': []}
        permissions.append(one)
    where, entry = {
        'CidrIpv4': ('IpRanges', {'CidrIp': source}), 'CidrIpv6': ('Ipv6Ranges', {'CidrIpv6': source}),
        'Group': ('UserIdGroupPairs', {'GroupId': source, 'UserId': OWNER})}[kind]
    one[where].append(entry)


def rule_info(account, group, rule):
    protocol, first, last, kind, source = rule
    info = {'SecurityGroupRuleId': account.new_id('sgr-'), 'GroupId': group['GroupId'],
            'GroupOwnerId': OWNER, 'IsEgress': False, 'IpProtocol': protocol,
            'FromPort': -1 if first is None else first, 'ToPort': -1 if last is None else last}
    if kind == 'Group':
        info['ReferencedGroupInfo'] = {'GroupId': source, 'UserId': OWNER}
    else:
        info[kind] = source
    return info


OPERATIONS = {
    'DescribeAccountAttributes': describe_account_attributes,
    'DescribeAvailabilityZones': describe_availability_zones,
    'DescribeVpcs': describe_vpcs,
    'DescribeSubnets': describe_subnets,
    'DescribeNetworkInterfaces': describe_network_interfaces,
    'DescribeSecurityGroups': describe_security_groups,
    'CreateSecurityGroup': create_security_group,
    'DeleteSecurityGroup': delete_security_group,
    'AuthorizeSecurityGroupIngress': authorize_ingress,
}
