"""Key pairs, images, volumes and tags."""

import base64
import hashlib
import struct

from .filters import describe, member, select, page
from .state import KINDS, OWNER, Failure

RSA_BITS = (1024, 2048, 4096)
KEY_NAME_MAX = 255
ALIASES = {'self': OWNER, 'amazon': '137112412989'}

KEY_FILTERS = {
    'key-name': member('KeyName'), 'key-pair-id': member('KeyPairId'),
    'fingerprint': member('KeyFingerprint'),
}
IMAGE_FILTERS = {
    'name': member('Name'), 'state': member('State'), 'architecture': member('Architecture'),
    'image-id': member('ImageId'), 'owner-id': member('OwnerId'), 'is-public': member('Public'),
    'root-device-type': member('RootDeviceType'), 'virtualization-type': member('VirtualizationType'),
    'image-type': member('ImageType'), 'creation-date': member('CreationDate'),
    'block-device-mapping.volume-type': member('BlockDeviceMappings', 'Ebs', 'VolumeType'),
}
VOLUME_FILTERS = {
    'volume-id': member('VolumeId'), 'status': member('State'),
    'attachment.instance-id': member('Attachments', 'InstanceId'),
}
TAG_FILTERS = {
    'key': member('Key'), 'value': member('Value'), 'resource-id': member('ResourceId'),
    'resource-type': member('ResourceType'),
}


# keys

def ssh_strings(blob):
    """The strings of a public key in SSH's encoding."""
    found, at = [], 0
    while at < len(blob):
        length, = struct.unpack_from('>I', blob, at)
        found.append(blob[at + 4:at + 4 + length])
        if len(found[-1]) != length:
            raise ValueError('cut off')
        at += 4 + length
    return found


def der(tag, content):
    length = len(content)
    size = bytes([length]) if length < 128 else b'\x82' + length.to_bytes(2, 'big')
    return bytes([tag]) + size + content


def rsa_fingerprint(exponent, modulus):
    """MD5 of the key in X.509's form, as Amazon has it for imported RSA keys."""
    rsa = der(0x30, der(2, modulus) + der(2, exponent))
    algorithm = bytes.fromhex('300d06092a864886f70d0101010500')
    return hashlib.md5(der(0x30, algorithm + der(3, b'\0' + rsa))).hexdigest()


def read_public_key(material):
    """(type, fingerprint) of a key in the one-line form of OpenSSH."""
    try:
        kind, blob = material.decode().split()[:2]
        strings = ssh_strings(base64.b64decode(blob, validate=True))
        if strings[0].decode() != kind:
            raise ValueError('two kinds')
        if kind == 'ssh-rsa':
            _, exponent, modulus = strings
            if int.from_bytes(modulus, 'big').bit_length() not in RSA_BITS:
                raise ValueError('length')
            digest = rsa_fingerprint(exponent, modulus)
            return 'rsa', ':'.join(digest[n:n + 2] for n in range(0, len(digest), 2))
        if kind == 'ssh-ed25519' and len(strings) == 2 and len(strings[1]) == 32:
            digest = hashlib.sha256(base64.b64decode(blob)).digest()
            return 'ed25519', base64.b64encode(digest).decode()
        raise ValueError('kind')
    except (ValueError, IndexError, struct.error):
        raise Failure('InvalidKey.Format', 'Key is not in valid OpenSSH public key format') from None


def import_key_pair(account, params):
    name = params['KeyName']
    if len(name) > KEY_NAME_MAX or not name.isascii() or name != name.strip():
        raise Failure('InvalidParameterValue', f'Value ({name}) for parameter KeyName is invalid.')
    kind, fingerprint = read_public_key(params['PublicKeyMaterial'])
    if account.only_rsa and kind != 'rsa':
        raise Failure('InvalidKey.Format', 'Key is not in valid OpenSSH public key format')
    if name in account.things['key-pair']:
        raise Failure('InvalidKeyPair.Duplicate', f"The keypair already exists: '{name}'")
    tags = account.tagged(params.get('TagSpecifications'), 'key-pair')
    return account.add('key-pair', name, {
        'KeyName': name, 'KeyPairId': account.new_id('key-'), 'KeyType': kind, 'KeyFingerprint': fingerprint,
        'Tags': tags, 'CreateTime': account.clock(),
        '_public': params['PublicKeyMaterial'].decode().strip()})


def imported(account, params):
    key = import_key_pair(account, params)
    return {name: key[name] for name in ('KeyName', 'KeyPairId', 'KeyFingerprint', 'Tags')}


def describe_key_pairs(account, params):
    if 'KeyPairIds' in params:
        params = {**params, 'Filters': [{'Name': 'key-pair-id', 'Values': params['KeyPairIds']}]}
    found, _ = describe(account, params, 'key-pair', KEY_FILTERS, 'KeyNames', 'KeyName')
    shown = {'PublicKey'} if params.get('IncludePublicKey') else set()
    return {'KeyPairs': [{**key, **{name: key['_public'] for name in shown}} for key in found]}


def delete_key_pair(account, params):
    """An unknown key is no error."""
    name = params.get('KeyName')
    if name is None:
        if 'KeyPairId' not in params:
            raise Failure('MissingParameter', 'The request must contain the parameter KeyName or KeyPairId')
        name = next((key['KeyName'] for key in account.all('key-pair')
                     if key['KeyPairId'] == params['KeyPairId']), None)
    account.remove('key-pair', name)
    return {}


# images and volumes

def describe_images(account, params):
    owners = {ALIASES.get(owner, owner) for owner in params.get('Owners', ())}
    if params.get('ImageIds'):
        images = account.find('image', params['ImageIds'], looking=True)
    else:
        images = account.all('image')
    images = [image for image in images
              if (not owners or image['OwnerId'] in owners)
              and (image['Public'] or image['OwnerId'] == OWNER)]
    images = select(images, params.get('Filters'), IMAGE_FILTERS)
    found, token = page(account, images, params, bool(params.get('ImageIds')), 'ImageId')
    return {'Images': found, 'NextToken': token}


def describe_volumes(account, params):
    found, token = describe(account, params, 'volume', VOLUME_FILTERS, 'VolumeIds', 'VolumeId')
    return {'Volumes': found, 'NextToken': token}


def delete_volume(account, params):
    volume = account.one('volume', params['VolumeId'])
    if volume['State'] != 'available':
        raise Failure('VolumeInUse', f"Volume {params['VolumeId']} is currently attached")
    account.remove('volume', params['VolumeId'])
    return {}


# tags

def kind_of(identity):
    for kind, (prefix, _, _) in KINDS.items():
        if identity.startswith(prefix):
            return kind
    raise Failure('InvalidID', f"The ID '{identity}' is not valid")


def resource(account, identity):
    kind = kind_of(identity)
    if kind == 'key-pair':
        for key in account.all('key-pair'):
            if key['KeyPairId'] == identity:
                return key
        raise Failure('InvalidKeyPair.NotFound', f"The key pair '{identity}' does not exist")
    return account.one(kind, identity)


def create_tags(account, params):
    things = [resource(account, identity) for identity in params['Resources']]
    merged = [account.merge_tags(thing['Tags'], params['Tags']) for thing in things]
    for thing, tags in zip(things, merged):
        thing['Tags'] = tags
    return {}


def delete_tags(account, params):
    for identity in params['Resources']:
        thing = resource(account, identity)
        gone = params.get('Tags')
        thing['Tags'] = [] if not gone else [
            tag for tag in thing['Tags']
            if not any(tag['Key'] == one['Key'] and one.get('Value', tag['Value']) == tag['Value']
                       for one in gone)]
    return {}


def describe_tags(account, params):
    rows = [{'ResourceId': thing.get('KeyPairId', key), 'ResourceType': kind, **tag,
             '_id': f'{kind}/{key}/{tag["Key"]}'}
            for kind, things in account.things.items() for key, thing in things.items()
            for tag in thing.get('Tags', ())]
    rows = select(rows, params.get('Filters'), TAG_FILTERS)
    found, token = page(account, rows, params, False, '_id')
    return {'Tags': found, 'NextToken': token}


OPERATIONS = {
    'ImportKeyPair': imported,
    'DescribeKeyPairs': describe_key_pairs,
    'DeleteKeyPair': delete_key_pair,
    'DescribeImages': describe_images,
    'DescribeVolumes': describe_volumes,
    'DeleteVolume': delete_volume,
    'CreateTags': create_tags,
    'DeleteTags': delete_tags,
    'DescribeTags': describe_tags,
}
