"""What an account holds: resources by kind and id, each a dict with the names of EC2's model. What
the model does not have starts with an underscore: a key pair's `_public` is what to let in, an
instance's `_data` its user data, `_reboots` how often it was told to."""

import collections
import hashlib
import re
import time

OWNER = '123456789012'
CANONICAL = '099720109477'
STRANGER = '666666666666'
TAGS_MAX = 50

# kind: what its ids start with, Amazon's word for it in an error, how its text calls it
KINDS = {
    'vpc': ('vpc-', 'InvalidVpcID', 'vpc ID'),
    'subnet': ('subnet-', 'InvalidSubnetID', 'subnet ID'),
    'image': ('ami-', 'InvalidAMIID', 'image id'),
    'key-pair': ('key-', 'InvalidKeyPair', 'key pair'),
    'security-group': ('sg-', 'InvalidGroup', 'security group'),
    'instance': ('i-', 'InvalidInstanceID', 'instance ID'),
    'volume': ('vol-', 'InvalidVolume', 'volume'),
    'network-interface': ('eni-', 'InvalidNetworkInterfaceID', 'networkInterface ID'),
    'spot-instances-request': ('sir-', 'InvalidSpotInstanceRequestID', 'spot instance request ID'),
}


class Failure(Exception):
    """An error as Amazon answers it; no fault of the client's code."""

    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Account:
    """A region of an account; a test sets what it wants to be different.

    lag         kind -> how many look-ups after its creation do not see a thing yet
    lag_always  others than look-ups do not see it, either, and count
    pace        state that passes -> (how many look-ups still see it, for how many seconds at least)
    ipv6        the address of each instance that asks for one
    late_address  how many look-ups see a running instance without its public address
    page_size   most things of an answer, though the client did not ask for pages
    denied      actions that are not allowed
    only_rsa    as some clouds that are like EC2: no other keys
    watchers    functions (instance, old state, new state); a reboot is the new state 'rebooting'
    profiles    names of instance profiles
    """

    def __init__(self, region='us-east-1', zones='abc', addresses=(), default_vpc=True, clock=time.time):
        self.region, self.clock = region, clock
        self.zones = [region + letter for letter in zones]
        self.things = {kind: {} for kind in KINDS}
        self.private, self.public = collections.deque(), collections.deque()
        for private, public in addresses:
            self.private.append(private)
            self.public.append(public)
        self.lag, self.lag_always = collections.Counter(), False
        self.pace = {'pending': (1, 0.0), 'stopping': (1, 0.0), 'shutting-down': (1, 0.0)}
        self.late_address, self.ipv6 = 0, '::1'
        self.page_size = None
        self.denied, self.profiles = set(), {'docker-host'}
        self.only_rsa = False
        self.watchers = []
        self.spot_price, self.instances_max = '0.0031', 100
        self.tokens, self.pages = {}, {}
        self._counts = collections.Counter()
        self._build(default_vpc)
        self.initial = {kind: set(things) for kind, things in self.things.items()}

    # ids and addresses; without addresses of a test's own they are of the loopback as well

    def number(self, name):
        self._counts[name] += 1
        return self._counts[name]

    def new_id(self, prefix):
        return prefix + hashlib.sha256(f'{prefix}{self.number(prefix)}'.encode()).hexdigest()[:17]

    def take_private(self):
        return self.private.popleft() if self.private else f'127.66.77.{self.number("private") + 9}'

    def take_public(self):
        return self.public.popleft() if self.public else f'127.77.77.{self.number("public") + 9}'

    # things

    def add(self, kind, key, thing):
        thing['_hidden'] = self.lag[kind]
        self.things[kind][key] = thing
        return thing

    def all(self, kind):
        return list(self.things[kind].values())

    def see(self, kind, key, looking=True):
        """The thing, or None if it cannot be seen (yet)."""
        thing = self.things[kind].get(key)
        if thing and thing['_hidden'] > 0 and (looking or self.lag_always):
            thing['_hidden'] -= 1
            return None
        return thing

    def find(self, kind, keys, looking=False):
        """All of them, or the error that Amazon has for it."""
        prefix, code, word = KINDS[kind]
        if kind != 'key-pair':
            for key in keys:
                if not re.fullmatch(re.escape(prefix) + '(?:[0-9a-f]{8}|[0-9a-f]{17})', key):
                    raise Failure(f'{code}.Malformed', f'Invalid id: "{key}"')
        found = {key: self.see(kind, key, looking) for key in dict.fromkeys(keys)}
        missing = [key for key, thing in found.items() if thing is None]
        if missing:
            many = len(missing) > 1
            raise Failure(f'{code}.NotFound', f"The {word}{'s' if many else ''} '{', '.join(missing)}' "
                          f"do{'' if many else 'es'} not exist")
        return list(found.values())

    def one(self, kind, key, looking=False):
        return self.find(kind, [key], looking)[0]

    def remove(self, kind, key):
        return self.things[kind].pop(key, None)

    def forget(self, instance):
        """What Amazon does an hour after an instance ended."""
        self.remove('instance', instance)

    def is_initial(self, kind, key):
        return key in self.initial[kind]

    def tagged(self, specifications, kind):
        """The tags that a request has for a kind."""
        tags = [tag for specification in specifications or ()
                if specification.get('ResourceType') == kind for tag in specification.get('Tags', ())]
        return self.merge_tags([], tags)

    @staticmethod
    def merge_tags(old, new):
        merged = {tag['Key']: tag.get('Value', '') for tag in old}
        for tag in new:
            key = tag.get('Key', '')
            if not 0 < len(key) <= 128 or key.startswith('aws:') or len(tag.get('Value', '')) > 256:
                raise Failure('InvalidParameterValue', f"Tag key '{key}' or its value is not allowed")
            merged[key] = tag.get('Value', '')
        if len(merged) > TAGS_MAX:
            raise Failure('TagLimitExceeded', f'more than {TAGS_MAX} tags')
        return [{'Key': key, 'Value': value} for key, value in sorted(merged.items())]

    # what a test asks

    def leaks(self, ignore=()):
        """What there is beyond the beginning, as 'KIND ID (NAME)'; instances that end do not count."""
        left = []
        for kind, things in self.things.items():
            for key, thing in things.items():
                if kind in ignore or key in self.initial[kind] or thing.get('GroupName') in ignore:
                    continue
                ended = thing.get('State')
                ended = ended['Name'] if isinstance(ended, dict) else ended
                if ended in ('shutting-down', 'terminated', 'closed', 'cancelled', 'failed'):
                    continue
                name = next((tag['Value'] for tag in thing.get('Tags', ()) if tag['Key'] == 'Name'), None)
                left.append(f'{kind} {key}' + (f' ({name})' if name else ''))
        return left

    def instance(self, name):
        """The instance that lives and has that name."""
        for instance in self.all('instance'):
            if ({'Key': 'Name', 'Value': name} in instance['Tags']
                    and instance['State']['Name'] not in ('terminated', 'shutting-down')):
                return instance
        raise KeyError(name)

    # the beginning

    def _build(self, default_vpc):
        self.add_vpc(default=default_vpc)
        self.add_vpc(default=False, zones=self.zones[:1])
        self.add_image('ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260801', '2026-08-01')
        self.add_image('ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261001', '2026-10-01')
        self.add_image('ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260901', '2026-09-01')
        self.add_image('ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20261001', '2026-10-01',
                       architecture='arm64')
        # newer than what is wanted: not there yet, and of somebody else
        self.add_image('ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261101', '2026-11-01',
                       state='pending')
        self.add_image('ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261102', '2026-11-02',
                       owner=STRANGER)
        self.add_image('flatcar-stable-4000-hvm', '2026-06-01', owner=OWNER, root='/dev/xvda')

    def add_vpc(self, default=False, zones=None):
        number = self.number('network')
        vpc = self.new_id('vpc-')
        self.add('vpc', vpc, {'VpcId': vpc, 'CidrBlock': f'172.{30 + number}.0.0/16', 'State': 'available',
                              'OwnerId': OWNER, 'InstanceTenancy': 'default', 'IsDefault': default,
                              'DhcpOptionsId': 'dopt-1', 'Tags': []})
        for third, zone in enumerate(self.zones if zones is None else zones):
            self.add_subnet(vpc, zone, f'172.{30 + number}.{third}.0/24', default)
        self.add_group('default', 'default VPC security group', vpc)
        return vpc

    def add_subnet(self, vpc, zone, block, default=False, public=True, ipv6=None):
        """ipv6: a block of such addresses."""
        subnet = self.new_id('subnet-')
        self.add('subnet', subnet, {
            'SubnetId': subnet, 'VpcId': vpc, 'AvailabilityZone': zone, 'CidrBlock': block,
            'AvailableIpAddressCount': 250, 'DefaultForAz': default, 'MapPublicIpOnLaunch': public,
            'State': 'available', 'OwnerId': OWNER, 'Tags': [],
            'Ipv6CidrBlockAssociationSet': [] if ipv6 is None else [{
                'AssociationId': self.new_id('subnet-cidr-assoc-'), 'Ipv6CidrBlock': ipv6,
                'Ipv6CidrBlockState': {'State': 'associated'}}],
            'SubnetArn': f'arn:aws:ec2:{self.region}:{OWNER}:subnet/{subnet}'})
        return subnet

    def add_group(self, name, description, vpc, tags=()):
        group = self.new_id('sg-')
        self.add('security-group', group, {
            'GroupId': group, 'GroupName': name, 'Description': description, 'VpcId': vpc,
            'OwnerId': OWNER, 'Tags': list(tags), 'IpPermissions': [],
            'IpPermissionsEgress': [{'IpProtocol': '-1', 'IpRanges': [{'CidrIp': '0.0.0.0/0'}]}]})
        return group

    def add_image(self, name, day, owner=CANONICAL, architecture='x86_64', state='available',
                  root='/dev/sda1', size=8):
        image = self.new_id('ami-')
        self.add('image', image, {
            'ImageId': image, 'Name': name, 'ImageLocation': f'{owner}/{name}', 'OwnerId': owner,
            'CreationDate': f'{day}T00:00:00.000Z', 'Architecture': architecture, 'State': state,
            'ImageType': 'machine', 'Public': owner != OWNER, 'RootDeviceName': root,
            'RootDeviceType': 'ebs', 'VirtualizationType': 'hvm', 'Hypervisor': 'xen', 'EnaSupport': True,
            'Tags': [], 'BlockDeviceMappings': [{'DeviceName': root, 'Ebs': {
                'VolumeSize': size, 'VolumeType': 'gp3', 'DeleteOnTermination': True,
                'SnapshotId': self.new_id('snap-'), 'Encrypted': False}}]})
        return image
