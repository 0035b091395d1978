"""DigitalOcean's own client, which is generated from their description of the API, against our fake and our description.
It comes from the npm registry (Node.js 20 or newer), so this is for the nightly run."""

import json
import pathlib
import re

import pytest

import npm_client
from fakes.digitalocean import DigitalOcean
from sshd import keygen

pytestmark = pytest.mark.long
dots = npm_client.fixture('dots')

DESCRIPTION = pathlib.Path(__file__).resolve().parents[1] / 'fakes' / 'digitalocean' / 'openapi.json'
# what the client does and the real service takes, unlike what our driver shall do
ALLOWED = {'repeated-key': 'an order has the fields of both its kinds'}
# ours: theirs
MODELS = {'droplet': 'Droplet', 'droplet_request': 'Droplet_single_create', 'key': 'SshKeys', 'key_request': 'SshKeys',
          'region': 'Region', 'size': 'Size', 'image': 'Image', 'network_v4': 'Network_v4', 'network_v6': 'Network_v6',
          'action': 'Action', 'tag': 'Tags', 'tag_request': 'Tags', 'error': 'ErrorEscaped', 'meta': 'Meta_properties',
          'links': 'Page_links', 'tagged': 'Tags_metadata'}
KINDS = {'getStringValue': 'string', 'getDateValue': 'string', 'getGuidValue': 'string', 'getNumberValue': 'number',
         'getBooleanValue': 'boolean', 'getObjectValue': 'object'}


def test_from_key_to_deletion(dots, tmp_path):
    key = keygen(tmp_path / 'key')
    with DigitalOcean(allow=ALLOWED) as cloud:
        steps = dots.steps('life', cloud.url, f'{key}.pub', DIGITALOCEAN_TOKEN=cloud.token)
        assert not cloud.account.left() and not cloud.account.tags
    assert steps['key'] == steps['the same key'] and steps['key']['publicKey'].split()[1] in pathlib.Path(f'{key}.pub').read_text()
    assert steps['ordered'] == 'new' and steps['active']['status'] == 'active' and steps['by tag'] == [True]
    assert steps['active']['networks']['v6'][0]['netmask'] == 64 and steps['active']['image'] == 'ubuntu-24-04-x64'
    for action in 'power_off', 'power_on', 'reboot':
        assert steps[action]['action'] == 'completed' and steps[action]['droplet'] == steps[action]['wanted']
    assert sorted(steps['tagged']) == ['docker', 'mine'] and steps['gone'] == {'status': 404, 'id': 'not_found'}


def test_client_needs_what_it_is_allowed(dots, tmp_path):
    with DigitalOcean() as cloud:
        with pytest.raises(AssertionError): # the client is refused
            dots.run('life', cloud.url, f'{keygen(tmp_path / "key")}.pub', DIGITALOCEAN_TOKEN=cloud.token)
        cloud.forgive('repeated-key: a key twice')
        cloud.account.keys.clear()


def kinds_of(schemas, schema):
    """The JSON types that a schema allows, of numbers the general one."""
    if '$ref' in schema:
        return kinds_of(schemas, schemas[schema['$ref'].rpartition('/')[2]])
    if 'oneOf' in schema:
        return set().union(*(kinds_of(schemas, one) for one in schema['oneOf']))
    if 'type' in schema:
        types = schema['type'] if isinstance(schema['type'], list) else [schema['type']]
        return {'number' if name == 'integer' else name for name in types}
    return {'string'} if isinstance((schema.get('enum') or [schema.get('const')])[0], str) else set()


def theirs_of(kind):
    if re.match('getCollection', kind):
        return 'array'
    return 'string' if kind == 'getEnumValue' else KINDS[kind]


def test_description_is_a_part_of_theirs(dots):
    """Every field of ours is there, and of the same type (or null)."""
    schemas = json.loads(DESCRIPTION.read_text())['components']['schemas']
    (fields,) = dots.run('fields', *set(MODELS.values()))
    compared = 0
    for ours, theirs in MODELS.items():
        for name, schema in schemas[ours]['properties'].items():
            assert name in fields[theirs], (ours, name)
            kinds = kinds_of(schemas, schema)
            if (ours, name) == ('droplet_request', 'image'): # a slug or an id; their class reads the one
                kinds.discard('number')
            assert kinds and kinds <= {theirs_of(fields[theirs][name]), 'null'}, (ours, name, kinds, fields[theirs][name])
            compared += 1
    assert compared > 90


def test_models_are_all_of_the_description():
    """What is not compared has only members that are, lists of them, or plain values."""
    schemas = json.loads(DESCRIPTION.read_text())['components']['schemas']
    rest = {name for name, schema in schemas.items() if 'properties' in schema} - set(MODELS)
    assert {name for name in rest if not name.endswith('_answer')} == {'action_request', 'resources_request'}
