"""The driver amazonec2 and IPv6: what is asked for, which address a machine has, and who may come to it."""

import pytest

from ec2driver import Machine, driver, ec2, machine, only_groups

BLOCK = '2001:db8:1234:1a00::/64'


@pytest.fixture
def subnet(ec2):
    """With IPv6, in the zone of the default subnet, which has none."""
    made = ec2.account.add_subnet(ec2.default_vpc(), 'us-east-1a', '172.31.99.0/24', ipv6=BLOCK)
    ec2.account.initial['subnet'].add(made)
    return made


def launch(ec2):
    (request,) = ec2.log.of('RunInstances')
    return request.params['NetworkInterfaces'][0], request.params['MetadataOptions']


def rules(ec2):
    (group,) = [one for one in ec2.account.all('security-group') if one['GroupName'] == 'docker-machine']
    return sorted((one['IpProtocol'], one['FromPort'], block)
                  for one in group['IpPermissions']
                  for block in [*(each['CidrIp'] for each in one['IpRanges']),
                                *(each['CidrIpv6'] for each in one['Ipv6Ranges'])])


def opened(*ports, blocks=('0.0.0.0/0', '::/0')):
    return sorted((protocol, port, block) for protocol, port in ports for block in blocks)


def test_nothing_of_it(ec2, driver, machine, subnet):
    machine.create(driver)
    interface, options = launch(ec2)
    assert not {'Ipv6AddressCount', 'PrimaryIpv6'} & set(interface) and 'HttpProtocolIpv6' not in options
    assert machine.state['SubnetId'] == ec2.subnet() != subnet and machine.state['IPv6Address'] == ''
    assert rules(ec2) == opened(('tcp', 22), ('tcp', 2376), blocks=['0.0.0.0/0'])


def test_both(ec2, driver, machine, subnet):
    """It is reached where any other machine is, and has an address more."""
    machine.configure(driver, ipv6_address_count=2, enable_primary_ipv6=True, http_protocol_ipv6='enabled',
                      open_port=['53/udp', '80']).check(driver).finish(driver, 'create')
    interface, options = launch(ec2)
    assert (interface['Ipv6AddressCount'], interface['PrimaryIpv6']) == (2, True)
    assert interface['AssociatePublicIpAddress'] is True and interface['SubnetId'] == subnet
    assert options == {'HttpTokens': 'required', 'HttpPutResponseHopLimit': 2, 'HttpProtocolIpv6': 'enabled'}
    assert machine.state['IPv6Address'] == '::1'
    assert machine.report(driver)['ip'] == machine.state['IPAddress'] == machine.instance['PublicIpAddress']
    assert rules(ec2) == opened(('tcp', 22), ('tcp', 2376), ('udp', 53), ('tcp', 80))
    machine.finish(driver, 'remove')
    assert only_groups(ec2)


@pytest.mark.parametrize('where', ['instance', 'interface'])
def test_only(ec2, driver, machine, subnet, where):
    """Wherever a cloud tells the address."""
    machine.configure(driver, ipv6_address_count=1, ipv6_address_only=True, subnet_id=subnet).check(driver)
    machine.once(driver, 'create')
    if where == 'interface':
        del machine.instance['Ipv6Address']
    machine.finish(driver, 'create')
    interface, _ = launch(ec2)
    assert interface['AssociatePublicIpAddress'] is False and interface['Ipv6AddressCount'] == 1
    assert 'PublicIpAddress' not in machine.instance
    report = machine.report(driver)
    assert (report['ip'], report['url'], report['ssh']['host']) == ('::1', 'tcp://[::1]:2376', '::1')
    assert machine.state['IPAddress'] == machine.state['IPv6Address'] == '::1'
    machine.finish(driver, 'stop')
    assert machine.report(driver)['ip'] == '::1' # it stays the machine's
    machine.finish(driver, 'start').finish(driver, 'remove')


def test_subnets_without(ec2, driver, machine):
    machine.configure(driver, ipv6_address_count=1)
    machine.fails(driver, 'preCreateCheck', 'user', '--amazonec2-ipv6-address-count', 'us-east-1a', ec2.default_vpc())
    machine.configure(driver, ipv6_address_count=1, subnet_id=ec2.subnet())
    machine.fails(driver, 'preCreateCheck', 'user', '--amazonec2-ipv6-address-count', ec2.subnet())
    assert ec2.leaks() == []


def test_group_of_a_machine_without(ec2, driver, machine, subnet, tmp_path):
    """What is missing is added for the kind of addresses that it is missing for."""
    machine.create(driver)
    two = Machine(ec2, tmp_path / 'two', 'm2', 'b' * 32)
    two.create(driver, ipv6_address_count=1, open_port=['80'])
    assert rules(ec2) == opened(('tcp', 22), ('tcp', 2376), ('tcp', 80))
    wanted = ec2.log.of('AuthorizeSecurityGroupIngress')[-1].params['IpPermissions']
    assert sorted((one['FromPort'], 'Ipv6Ranges' in one) for one in wanted) == [
        (22, True), (80, False), (80, True), (2376, True)]
    three = Machine(ec2, tmp_path / 'three', 'm3', 'c' * 32)
    three.create(driver, ipv6_address_count=1, open_port=['80'])
    assert ec2.log.count('AuthorizeSecurityGroupIngress') == 2


def test_group_with_nothing_else(ec2, driver, machine):
    group = ec2.account.add_group('docker-machine', 'x', ec2.default_vpc())
    ec2.account.things['security-group'][group]['IpPermissions'] = [
        {'IpProtocol': 'tcp', 'FromPort': 22, 'ToPort': 22, 'IpRanges': [], 'UserIdGroupPairs': [],
         'Ipv6Ranges': [{'CidrIpv6': '::/0'}]}]
    machine.create(driver)
    assert ('tcp', 22, '0.0.0.0/0') in rules(ec2)
