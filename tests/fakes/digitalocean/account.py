"""An account at the fake: regions, keys, droplets, what happens to them; nothing of HTTP."""

import base64
import dataclasses
import hashlib
import math
import struct
import time
import uuid

FIRST_ID = 5_000_000_000 # ids do not fit into 32 bits
RSA_BITS_MIN = 2048
ED25519_BYTES = 32
USER_DATA_MAX = 64 << 10

SIZES = {
    's-1vcpu-1gb': (1024, 1, 25),
    's-1vcpu-2gb': (2048, 1, 50),
    's-2vcpu-4gb': (4096, 2, 80),
}
# slug: name, available, sizes
REGIONS = {
    'ams3': ('Amsterdam 3', True, list(SIZES)),
    'fra1': ('Frankfurt 1', True, list(SIZES)),
    'lon1': ('London 1', False, list(SIZES)),
    'nyc3': ('New York 3', True, list(SIZES)),
    'sfo3': ('San Francisco 3', True, ['s-1vcpu-1gb']),
    'tor1': ('Toronto 1', True, list(SIZES)),
}
# slug, or the id of a snapshot: id, slug, name, distribution
IMAGES = {
    'ubuntu-24-04-x64': (155133621, 'ubuntu-24-04-x64', '24.04 (LTS) x64', 'Ubuntu'),
    'debian-12-x64': (139080089, 'debian-12-x64', '12 x64', 'Debian'),
    7555620: (7555620, None, 'a snapshot', 'Ubuntu'),
}
LIMIT = 'creating this/these droplet(s) will exceed your droplet limit'
# action: the status it needs, the status it makes
ACTIONS = {
    'power_on': ('off', 'active'),
    'shutdown': ('active', 'off'),
    'power_off': ('active', 'off'),
    'reboot': ('active', 'active'),
}


class Refused(Exception):
    """rule: what the client should have known; None: something that happens to the best."""

    def __init__(self, status, message, rule=None):
        super().__init__(message)
        self.status, self.message, self.rule = status, message, rule


def now():
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())


def strings(blob):
    while blob:
        if len(blob) < 4:
            raise ValueError('a length is cut')
        (size,) = struct.unpack('>I', blob[:4])
        if len(blob) < 4 + size:
            raise ValueError('a string is cut')
        yield blob[4:4 + size]
        blob = blob[4 + size:]


def read_public_key(text):
    """The kind and the fingerprint of an OpenSSH public key: one line of two or three words."""
    line = text.removesuffix('\n')
    words = line.split(' ')
    if any(ord(c) < 32 for c in line) or len(words) not in (2, 3) or not all(words):
        raise ValueError('not one line of "KIND BASE64 [COMMENT]"')
    blob = base64.b64decode(words[1], validate=True)
    kind, *numbers = strings(blob)
    if kind.decode() != words[0]:
        raise ValueError('the key is of another kind than its first word says')
    if kind == b'ssh-rsa':
        if len(numbers) != 2 or int.from_bytes(numbers[1], 'big').bit_length() < RSA_BITS_MIN:
            raise ValueError('not an RSA key, or a short one')
    elif kind == b'ssh-ed25519':
        if len(numbers) != 1 or len(numbers[0]) != ED25519_BYTES:
            raise ValueError('not an Ed25519 key')
    else:
        raise ValueError(f'{words[0]} keys are not taken')
    return words[0], hashlib.md5(blob).hexdigest()


@dataclasses.dataclass
class Boot:
    """After how many polls of a droplet there is what; and how many polls an action takes."""
    private: int = 0
    public: int = 1
    v6: int = 1
    active: int = 1
    action: int = 1


@dataclasses.dataclass
class Address:
    public: str
    private: str
    v6: str


@dataclasses.dataclass
class Key:
    id: int
    name: str
    public_key: str
    fingerprint: str
    ours: bool # the test's, not the client's

    def show(self):
        return {'id': self.id, 'fingerprint': self.fingerprint, 'public_key': self.public_key,
                'name': self.name}


@dataclasses.dataclass
class Action:
    id: int
    type: str
    droplet: 'Droplet'
    makes: str
    status: str = 'in-progress'
    polls: int = 0
    started: str = dataclasses.field(default_factory=now)
    completed: str = None

    def show(self):
        region = self.droplet.account.show_region(self.droplet.asked['region'])
        return {'id': self.id, 'status': self.status, 'type': self.type, 'started_at': self.started,
                'completed_at': self.completed, 'resource_id': self.droplet.id, 'resource_type': 'droplet',
                'region': region, 'region_slug': region['slug']}


@dataclasses.dataclass
class Droplet:
    account: 'Account'
    id: int
    asked: dict
    address: Address
    ours: bool
    vpc: str
    tags: list
    lag: int = 0
    status: str = 'new'
    polls: int = 0
    deaf: bool = False # ignores shutdown
    actions: list = dataclasses.field(default_factory=list)
    created: str = dataclasses.field(default_factory=now)

    @property
    def pending(self):
        return [action for action in self.actions if action.status == 'in-progress']

    def networks(self):
        boot, v4, v6 = self.account.boot, [], []
        if self.polls > boot.private:
            v4.append({'ip_address': self.address.private, 'netmask': '255.255.240.0',
                       'gateway': '10.128.0.1', 'type': 'private'})
        if self.polls > boot.public:
            v4.append({'ip_address': self.address.public, 'netmask': '255.255.255.0',
                       'gateway': '203.0.113.1', 'type': 'public'})
        if self.asked.get('ipv6') and self.polls > boot.v6:
            v6.append({'ip_address': self.address.v6, 'netmask': 64, 'gateway': '2001:db8::1',
                       'type': 'public'})
        return {'v4': v4, 'v6': v6}

    def show(self):
        account, size = self.account, SIZES[self.asked['size']]
        features = [name for name in ('backups', 'ipv6', 'monitoring') if self.asked.get(name)]
        return {'id': self.id, 'name': self.asked['name'], 'memory': size[0], 'vcpus': size[1],
                'disk': size[2], 'locked': bool(self.pending), 'status': self.status, 'kernel': None,
                'created_at': self.created, 'features': [*features, 'private_networking'],
                'backup_ids': [], 'snapshot_ids': [], 'next_backup_window': None,
                'volume_ids': [], 'image': account.show_image(self.asked['image']),
                'size': account.show_size(self.asked['size']), 'size_slug': self.asked['size'],
                'region': account.show_region(self.asked['region']), 'networks': self.networks(),
                'tags': list(self.tags), 'vpc_uuid': self.vpc}


class Account:
    """`on_event(what, droplet)` hears created, active, off, rebooted, deleted: a test moves a real host
    with it. addresses: what droplets get, each a text or an Address; then there are no more."""

    def __init__(self, addresses=None, on_event=None):
        self.keys, self.droplets, self.tags, self.gone = {}, {}, {}, set()
        self.limit = None # of droplets
        self.late = [] # after how many lists which droplets are made
        self.list_lag = 0 # in so many lists a new droplet is missing
        self.actions = {}
        self.boot = Boot()
        self.failing = set() # types of actions that end as `errored`
        self.key_kinds = ('ssh-rsa', 'ssh-ed25519')
        self.vpcs = {slug: str(uuid.uuid5(uuid.NAMESPACE_DNS, slug)) for slug in REGIONS}
        self.own_vpcs = {} # uuid: region
        self.sizes_seen = True # a token may lack the right to see them
        self.on_event = on_event or (lambda what, droplet: None)
        self._last_id = FIRST_ID
        self._addresses = None if addresses is None else [self._address(each) for each in addresses]

    def new_id(self):
        self._last_id += 1
        return self._last_id

    @staticmethod
    def _address(given, number=1):
        if isinstance(given, Address):
            return given
        return Address(given, f'10.128.{number // 250}.{number % 250 + 2}', f'2001:db8::{number + 16:x}')

    def _take_address(self):
        if self._addresses is None:
            number = self._last_id - FIRST_ID
            return self._address(f'203.0.113.{number % 250 + 2}', number)
        if not self._addresses:
            raise Refused(422, LIMIT)
        return self._addresses.pop(0)

    # keys

    def add_key(self, name, public_key, ours=False):
        try:
            kind, digest = read_public_key(public_key)
        except ValueError as err:
            raise Refused(422, f'Key invalid, key should be of the format `KIND KEY [COMMENT]`: {err}',
                          'public-key') from err
        if kind not in self.key_kinds:
            raise Refused(422, f'Key invalid, {kind} keys are not supported')
        fingerprint = ':'.join(digest[at:at + 2] for at in range(0, len(digest), 2))
        if any(key.fingerprint == fingerprint for key in self.keys.values()):
            raise Refused(422, 'SSH Key is already in use on your account')
        key = Key(self.new_id(), name, public_key.removesuffix('\n'), fingerprint, ours)
        self.keys[key.id] = key
        return key

    def find_key(self, text):
        if ':' in text:
            found = [key for key in self.keys.values() if key.fingerprint == text]
            if not found:
                raise Refused(404, 'The resource you were accessing could not be found.')
            return found[0]
        return self._find(self.keys, text)

    def _find(self, where, text):
        """An id that nobody was given is the client's fault, one that is gone is not."""
        number = int(text) if text.isdecimal() and text.isascii() else 0
        if number in where:
            return where[number]
        raise Refused(404, 'The resource you were accessing could not be found.',
                      None if number in self.gone else 'id')

    def delete_key(self, text):
        key = self.find_key(text)
        if key.ours:
            raise Refused(403, 'this key is not of the client\'s making', 'foreign')
        self.gone.add(key.id)
        del self.keys[key.id]

    # droplets

    def check_droplet(self, asked):
        region, size, image = asked['region'], asked['size'], asked['image']
        if region not in REGIONS or not REGIONS[region][1]:
            raise Refused(422, 'The region you selected is not available.', 'region')
        if size not in REGIONS[region][2]:
            raise Refused(422, 'You specified an invalid size for Droplet creation.', 'size')
        if image not in IMAGES:
            raise Refused(422, 'You specified an invalid image for Droplet creation.', 'image')
        if len(asked.get('user_data', '').encode()) > USER_DATA_MAX:
            raise Refused(422, 'User data is too long (maximum is 64 KiB)', 'user-data')
        for key in asked.get('ssh_keys', []):
            if not any(key in (known.id, known.fingerprint) for known in self.keys.values()):
                raise Refused(422, f'{key} are invalid key identifiers for Droplet creation.', 'ssh-keys')
        vpc = asked.get('vpc_uuid') or self.vpcs[region]
        if {**self.own_vpcs, self.vpcs[region]: region}.get(vpc) != region:
            raise Refused(422, 'No VPC with this UUID in this region', 'vpc')
        return vpc

    def add_droplet(self, asked, ours=False):
        return self._make_droplet(asked, self.check_droplet(asked), ours)

    def add_droplet_late(self, asked, lists):
        self.late.append((lists, asked, self.check_droplet(asked)))

    def _make_droplet(self, asked, vpc, ours=False):
        if self.limit is not None and len(self.droplets) >= self.limit:
            raise Refused(422, LIMIT)
        droplet = Droplet(self, self.new_id(), asked, self._take_address(), ours, vpc,
                          list(asked.get('tags') or []), self.list_lag)
        self.droplets[droplet.id] = droplet
        for tag in droplet.tags:
            self.tags.setdefault(tag, None)
        self._add_action(droplet, 'create', 'active')
        self.on_event('created', droplet)
        return droplet

    def listed(self, tag=None):
        """Time passes for what is late when somebody looks at a list."""
        due = [rest for lists, *rest in self.late if lists == 0]
        self.late = [(lists - 1, *rest) for lists, *rest in self.late if lists]
        for asked, vpc in due:
            self._make_droplet(asked, vpc)
        found = self.tagged(tag) if tag else list(self.droplets.values())
        shown = [droplet for droplet in found if not droplet.lag]
        for droplet in found:
            droplet.lag = max(0, droplet.lag - 1)
        return shown

    def find_droplet(self, text):
        return self._find(self.droplets, text)

    def delete_droplet(self, text):
        droplet = self.find_droplet(text)
        if droplet.ours:
            raise Refused(403, 'this droplet is not of the client\'s making', 'foreign')
        del self.droplets[droplet.id]
        self.gone.add(droplet.id)
        if self._addresses is not None:
            self._addresses.append(droplet.address)
        for action in droplet.pending:
            self._end(action, 'errored')
        self.on_event('deleted', droplet)

    def lose(self, droplet):
        """It is gone, and the client did not do it."""
        droplet.ours = False
        self.delete_droplet(str(droplet.id))

    # actions

    def _add_action(self, droplet, kind, makes):
        action = Action(self.new_id(), kind, droplet, makes)
        droplet.actions.append(action)
        self.actions[action.id] = action
        return action

    def act(self, droplet, kind):
        needs, makes = ACTIONS[kind]
        if droplet.pending:
            raise Refused(422, 'Droplet already has a pending event.')
        if droplet.status != needs:
            raise Refused(422, f'{kind} is not possible: Droplet is {droplet.status}, not {needs}.')
        if kind == 'shutdown' and droplet.deaf:
            makes = 'active'
        return self._add_action(droplet, kind, makes)

    @staticmethod
    def _end(action, status):
        action.status, action.completed = status, now()

    def poll(self, droplet):
        """Time passes for a droplet when somebody looks at it."""
        droplet.polls += 1
        for action in droplet.pending:
            action.polls += 1
            most = self.boot.active if action.type == 'create' else self.boot.action
            if action.polls <= most:
                continue
            if action.type in self.failing:
                self._end(action, 'errored')
                continue
            self._end(action, 'completed')
            droplet.status = action.makes
            self.on_event('rebooted' if action.type == 'reboot' else droplet.status, droplet)

    def settle(self, droplet):
        """As after a while."""
        boot = self.boot
        while droplet.pending or droplet.polls <= max(boot.private, boot.public, boot.v6):
            self.poll(droplet)
        return droplet

    def find_action(self, text, droplet=None):
        action = self._find(self.actions, text)
        if droplet and action.droplet is not droplet:
            raise Refused(404, 'The resource you were accessing could not be found.', 'id')
        return action

    # shown

    def show_region(self, slug):
        name, available, sizes = REGIONS[slug]
        return {'slug': slug, 'name': name, 'available': available,
                'sizes': list(sizes) if self.sizes_seen else [], 'features': ['metadata']}

    @staticmethod
    def show_size(slug):
        memory, cpus, disk = SIZES[slug]
        return {'slug': slug, 'memory': memory, 'vcpus': cpus, 'disk': disk, 'transfer': 1.0,
                'price_monthly': 6.0, 'price_hourly': 0.00893, 'available': True, 'description': 'Basic',
                'regions': [region for region in REGIONS if slug in REGIONS[region][2]]}

    @staticmethod
    def show_image(image):
        number, slug, name, distribution = IMAGES[image]
        return {'id': number, 'slug': slug, 'name': name, 'distribution': distribution,
                'public': bool(slug), 'type': 'base' if slug else 'snapshot', 'regions': list(REGIONS),
                'created_at': '2026-01-12T08:00:00Z', 'min_disk_size': 10, 'size_gigabytes': 2.5,
                'status': 'available'}

    def tagged(self, tag):
        return [droplet for droplet in self.droplets.values() if tag in droplet.tags]

    def left(self):
        """What the client made and nobody deleted."""
        things = [*self.keys.values(), *self.droplets.values()]
        return [f'{type(thing).__name__} {thing.id} {getattr(thing, "name", None) or thing.asked["name"]}'
                for thing in things if not thing.ours]


def seconds_up(seconds):
    """A moment of the clock, in whole seconds, not before `seconds` have passed."""
    return math.ceil(time.time() + seconds)
