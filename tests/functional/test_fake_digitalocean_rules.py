"""The fake of DigitalOcean's API: requests that are wrong are refused, and noted under the name of a rule."""

import json

import pytest

from docaller import DROPLET, FINGERPRINT, REGIONS, call, cloud, key, public_keys # noqa: F401
from fakes.digitalocean import Absent, api


def droplet_with(**changes):
    """A body for POST droplets; None takes a field away, KEY stands for the id of the key."""
    def body(key):
        whole = {**DROPLET, 'ssh_keys': [key['id']], **changes}
        return {name: value for name, value in whole.items() if value is not None}
    return 'POST', '/v2/droplets', body


def key_of(public_key, name='m2'):
    return 'POST', '/v2/account/keys', lambda _key: {'name': name, 'public_key': public_key}


RSA_BLOB = 'AAAAB3NzaC1yc2EAAAADAQAB'
UUID = '760e09ef-dc84-11e8-981e-3cfdfeaae000'
# the rule, the status, the request; what the caller does differently from a good one
WRONG = [
    ('authorization', 401, REGIONS, {'head': {'Authorization': 'Bearer other'}}),
    ('authorization', 401, REGIONS, {'head': {'Authorization': 'bearer TOKEN'}}),
    ('authorization', 401, REGIONS, {'head': {'Authorization': None}}),
    ('accept', 406, REGIONS, {'head': {'Accept': None}}),
    ('accept', 406, REGIONS, {'head': {'Accept': 'text/html'}}),
    ('host', 400, REGIONS, {'head': {'Host': 'api.digitalocean.com'}}),
    ('token-leak', 400, REGIONS, {'head': {'X-Debug': 'it is TOKEN'}}),
    ('token-leak', 400, ('GET', '/v2/regions?token=TOKEN'), {}),
    ('token-leak', 400, droplet_with(user_data='export T=TOKEN'), {}),
    ('path', 404, ('GET', '/v1/regions'), {}),
    ('path', 404, ('GET', '/v2/'), {}),
    ('path', 404, ('GET', '/v2//regions'), {}),
    ('path', 404, ('GET', '/v2/volumes'), {}),
    ('path', 404, ('GET', '/v2/droplets/1/backups'), {}),
    ('slash', 404, ('GET', '/v2/regions/'), {}),
    ('method', 405, ('PUT', '/v2/regions'), {'body': {}}),
    ('method', 405, ('DELETE', '/v2/droplets'), {}),
    ('query:per_page', 422, ('GET', '/v2/regions?per_page=201'), {}),
    ('query:per_page', 422, ('GET', '/v2/regions?per_page=0'), {}),
    ('query:per_page', 422, ('GET', '/v2/regions?per_page=all'), {}),
    ('query:per_page', 422, ('GET', '/v2/regions?per_page=5&per_page=5'), {}),
    ('query:page', 422, ('GET', '/v2/regions?page='), {}),
    ('query:name', 422, ('GET', '/v2/droplets?name=m1'), {}),
    ('query:tag_name', 422, ('GET', '/v2/droplets?tag_name=a%20b'), {}),
    ('body', 400, REGIONS, {'body': {}}),
    ('body', 400, ('DELETE', '/v2/account/keys/KEY'), {'body': {}}),
    ('body', 400, ('POST', '/v2/account/keys'), {}),
    ('content-type', 415, droplet_with(), {'head': {'Content-Type': 'application/x-www-form-urlencoded'}}),
    ('content-type', 415, droplet_with(), {'head': {'Content-Type': None}}),
    ('json', 400, ('POST', '/v2/account/keys'), {'data': b'name=m1'}),
    ('json', 400, ('POST', '/v2/account/keys'), {'data': b'{"name":"m1","public_key":"x"}}'}),
    ('repeated-key', 400, ('POST', '/v2/account/keys'), {'data': b'{"name":"m1","name":"m2","public_key":"x"}'}),
    ('json', 400, ('POST', '/v2/account/keys'), {'data': b'{"name":"m\xff","public_key":"x"}'}),
    ('json', 400, ('POST', '/v2/account/keys'), {'data': b'[' * 100000}),
    ('json', 400, ('POST', '/v2/droplets'), {'data': b'{"ssh_keys":[1.0]}'}),
    ('schema:/', 422, ('POST', '/v2/account/keys'), {'body': ['m1']}),
    ('schema:/public_key', 422, ('POST', '/v2/account/keys'), {'body': {'name': 'm1'}}),
    ('schema:/name', 422, key_of('x', name=''), {}),
    ('schema:/name', 422, droplet_with(name='with_underscore'), {}),
    ('schema:/name', 422, droplet_with(name='a' * 256), {}),
    ('schema:/region', 422, droplet_with(region=None), {}),
    ('schema:/image', 422, droplet_with(image=True), {}),
    ('schema:/ssh_keys/0', 422, droplet_with(ssh_keys=['5000000001']), {}),
    ('schema:/backups', 422, droplet_with(backups='false'), {}),
    ('schema:/ipv6', 422, droplet_with(ipv6=0), {}),
    ('schema:/monitoring', 422, droplet_with(monitoring='true'), {}),
    ('schema:/tags', 422, droplet_with(tags='docker,swarm'), {}),
    ('schema:/tags/1', 422, droplet_with(tags=['docker', 'two words']), {}),
    ('schema:/user_data', 422, droplet_with(user_data=''), {}),
    ('schema:/vpc_uuid', 422, droplet_with(vpc_uuid='default'), {}),
    ('schema:/with_something', 422, droplet_with(with_something=1), {}),
    ('deprecated:/private_networking', 422, droplet_with(private_networking=False), {}),
    ('public-key', 422, key_of('ssh-rsa AAAA\n'), {}),
    ('public-key', 422, key_of('ecdsa'), {}),
    ('public-key', 422, key_of('short'), {}),
    ('public-key', 422, key_of('ed25519 twice'), {}),
    ('public-key', 422, key_of(f'ssh-rsa {RSA_BLOB}'), {}),
    ('public-key', 422, key_of(f'ssh-ed25519 {RSA_BLOB}'), {}),
    ('fingerprint', 404, ('GET', f'/v2/account/keys/{FINGERPRINT.upper()}'), {}),
    ('fingerprint', 404, ('GET', '/v2/account/keys/SHA256:abc'), {}),
    ('id', 404, ('GET', '/v2/account/keys/0'), {}),
    ('id', 404, ('DELETE', '/v2/account/keys/705032705'), {}),
    ('id', 404, ('GET', '/v2/droplets/705032706'), {}),
    ('id', 404, ('DELETE', '/v2/droplets/KEY'), {}),
    ('id', 404, ('GET', '/v2/actions/1'), {}),
    ('ssh-keys', 422, droplet_with(ssh_keys=[]), {}),
    ('ssh-keys', 422, droplet_with(ssh_keys=None), {}),
    ('ssh-keys', 422, droplet_with(ssh_keys=[705032705]), {}),
    ('ssh-keys', 422, droplet_with(ssh_keys=[FINGERPRINT]), {}),
    ('region', 422, droplet_with(region='nyc33'), {}),
    ('region', 422, droplet_with(region='lon1'), {}),
    ('size', 422, droplet_with(size='512mb'), {}),
    ('size', 422, droplet_with(size='s-2vcpu-4gb', region='sfo3'), {}),
    ('image', 422, droplet_with(image='ubuntu-16-04-x64'), {}),
    ('image', 422, droplet_with(image='7555620'), {}),
    ('image', 422, droplet_with(image=7555621), {}),
    ('vpc', 422, droplet_with(vpc_uuid=UUID), {}),
    ('user-data', 422, droplet_with(user_data='x' * 65537), {}),
]


@pytest.mark.parametrize('rule, status, request_, other', WRONG,
                         ids=[f'{number}-{wrong[0]}' for number, wrong in enumerate(WRONG)])
def test_wrong_requests(cloud, call, key, public_keys, rule, status, request_, other):
    """Refused, noted under the rule's name alone, and nothing is done."""
    method, path, *body = request_
    other = {name: dict(value) if name == 'head' else value for name, value in other.items()}
    for name, value in other.get('head', {}).items():
        other['head'][name] = value and value.replace('TOKEN', cloud.token)
    if body:
        other['body'] = body[0](key)
        public_key = other['body'].get('public_key')
        others = {**public_keys, 'ed25519 twice': public_keys['ed25519'] * 2}
        if public_key in others:
            other['body']['public_key'] = others[public_key]
        if 'TOKEN' in other['body'].get('user_data', ''):
            other['body']['user_data'] = cloud.token
    if not other.get('head', {}).get('Content-Type', 'there') and 'body' in other:
        other['data'] = json.dumps(other.pop('body')).encode()
    path = path.replace('TOKEN', cloud.token).replace('KEY', str(key['id']))
    before = [*cloud.account.keys, *cloud.account.droplets]
    answer = call(method, path, **other)
    assert answer[0] == status and set(answer[1]) == {'id', 'message', 'request_id'}
    assert [*cloud.account.keys, *cloud.account.droplets] == before
    assert cloud.violations
    if rule != 'token-leak': # in a query it is unknown as well
        assert all(f': {rule}: ' in violation for violation in cloud.violations)
    cloud.forgive(f'{rule}: ')
    cloud.violations.clear()


def test_every_rule_is_tested():
    """Those not in the table have tests of their own: below, and in test_fake_digitalocean.py."""
    tested = {''.join(rule.partition(':')[:2]) for rule, *_ in WRONG}
    assert set(api.RULES) == tested | {'headers', 'want:', 'foreign', 'impatient', 'polling', 'answer'}


def test_header_twice(cloud, call):
    call.wire.putrequest('GET', '/v2/regions')
    for name, value in (('Accept', 'application/json'), ('Authorization', f'Bearer {cloud.token}')) * 2:
        call.wire.putheader(name, value)
    call.wire.endheaders()
    answer = call.wire.getresponse()
    answer.read()
    assert answer.status == 400
    cloud.forgive('headers: authorization twice')
    cloud.forgive('headers: accept twice')


@pytest.mark.parametrize('field, wanted, wrong', [
    ('user_data', '#cloud-config\n', '#cloud-config'), ('tags', ['a', 'b'], ['b', 'a']), ('ipv6', True, False),
    ('tags', ['a'], None), ('vpc_uuid', Absent, UUID), ('user_data', Absent, 'x')])
def test_what_the_test_wants(cloud, call, key, field, wanted, wrong):
    cloud.api.want = {field: wanted}
    method, path, body = droplet_with(**{field: wrong})
    assert call(method, path, body(key))[0] == 422
    cloud.forgive(f'want:{field}: ')
    good = droplet_with(**{field: None if wanted is Absent else wanted})[2](key)
    made = call.good(method, path, good)['droplet']['id']
    call.good('DELETE', f'/v2/droplets/{made}')


def test_what_is_not_the_clients(cloud, call, key, public_keys):
    """It is found, and used; not deleted."""
    account = cloud.account
    own = account.add_key('own', public_keys['ed25519'], ours=True)
    droplet = account.settle(account.add_droplet({**DROPLET, 'ssh_keys': [own.id]}, ours=True))
    assert call('POST', '/v2/droplets', {**DROPLET, 'ssh_keys': [own.id]})[0] == 422
    cloud.forgive('ssh-keys: nobody was told')
    assert call.good('GET', f'/v2/account/keys/{own.fingerprint}')['ssh_key']['id'] == own.id
    made = call.good('POST', '/v2/droplets', {**DROPLET, 'ssh_keys': [own.id]})['droplet']['id']
    call.good('DELETE', f'/v2/droplets/{made}')
    for path in f'account/keys/{own.id}', f'droplets/{droplet.id}':
        assert call('DELETE', f'/v2/{path}')[0] == 403
        cloud.forgive('foreign: ')
    assert call('GET', f'/v2/actions/{droplet.actions[0].id}')[0] == 200
    path = f'/v2/droplets/{droplet.id}/actions/{droplet.actions[0].id}'
    assert call('GET', path)[0] == 200 and call('GET', path[:-1] + '0')[0] == 404
    cloud.forgive('id: ')


def test_kinds_of_keys_that_a_cloud_takes(cloud, call, public_keys):
    cloud.account.key_kinds = ('ssh-rsa',)
    body = {'name': 'm1', 'public_key': public_keys['ed25519']}
    assert call('POST', '/v2/account/keys', body)[0] == 422 # not the client's fault, and so no violation
