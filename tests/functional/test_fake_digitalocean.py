"""The fake of DigitalOcean's API: what good requests do, its limits and faults, and what the end of `with` tells."""

import concurrent.futures
import http.client
import subprocess
import time

import pytest

from docaller import DROPLET, FINGERPRINT, REGIONS, Caller, call, cloud, droplet, key, public_keys # noqa: F401
from fakes import httpfake
from fakes.digitalocean import Absent, DigitalOcean, TooMany, api, operations, spec
from fakes.digitalocean import account as account_module


# requests as they have to be

def test_worked_examples(cloud, call, public_keys):
    cloud.api.want['tags'] = ['docker', 'swarm']
    cloud.api.want['private_networking'] = cloud.api.want['user_data'] = Absent
    first = call.good('GET', '/v2/regions?per_page=200')
    assert first['meta'] == {'total': 6} and len(first['regions']) == 3
    assert first['links']['pages']['next'] == cloud.url + '/v2/regions?per_page=200&page=2'
    second = call.good('GET', '/v2/regions?per_page=200&page=2')
    assert set(second['links']['pages']) == {'first', 'prev'}
    made = call.good('POST', '/v2/account/keys', {'name': 'm1', 'public_key': public_keys['rsa']})
    key = made['ssh_key']
    assert key['public_key'] + '\n' == public_keys['rsa']
    told = subprocess.run(['ssh-keygen', '-l', '-E', 'md5', '-f', '-'], input=public_keys['rsa'],
                          capture_output=True, text=True, check=True).stdout
    assert told.split()[1] == 'MD5:' + key['fingerprint']
    assert call.good('GET', f'/v2/account/keys/{key["fingerprint"]}') == made
    assert call('GET', f'/v2/account/keys/{FINGERPRINT}')[0] == 404
    answer = call.good('POST', '/v2/droplets', {**DROPLET, 'ssh_keys': [key['id']]})
    droplet = answer['droplet']
    assert droplet['status'] == 'new' and droplet['networks'] == {'v4': [], 'v6': []}
    assert answer['links']['actions'][0]['rel'] == 'create'
    path = f'/v2/droplets/{droplet["id"]}'
    kinds = []
    for _ in range(3):
        seen = call.good('GET', path)['droplet']
        kinds.append((seen['status'], [net['type'] for net in seen['networks']['v4']]))
    assert kinds == [('new', ['private']), ('active', ['private', 'public']), ('active', ['private', 'public'])]
    action = call.good('POST', path + '/actions', {'type': 'power_off'})['action']
    assert (action['status'], action['resource_id']) == ('in-progress', droplet['id'])
    states = [call.good('GET', f'{path}/actions/{action["id"]}')['action']['status'] for _ in range(2)]
    assert states == ['in-progress', 'completed']
    assert call.good('GET', path)['droplet']['status'] == 'off'
    assert call.headers['ratelimit-limit'] == '5000' and int(call.headers['ratelimit-remaining']) < 5000
    for path in path, f'/v2/account/keys/{key["id"]}':
        assert [call('DELETE', path)[0] for _ in range(2)] == [204, 404]
        assert call('GET', path)[0] == 404
    assert cloud.log.connections() == 1 # kept alive


def test_real_host_answers_for_a_droplet(public_keys):
    """Addresses of the test's, one droplet each; what happens to it is told."""
    events = []

    def heard(what, droplet):
        events.append((what, droplet.address.public))

    with DigitalOcean(addresses=['127.0.0.5'], on_event=heard) as cloud:
        call = Caller(cloud)
        key = call.good('POST', '/v2/account/keys', {'name': 'm1', 'public_key': public_keys['ed25519']})
        key = key['ssh_key']
        body = {**DROPLET, 'ssh_keys': [key['id']]}
        cloud.account.boot = account_module.Boot(private=1, public=3, active=2)
        made = call.good('POST', '/v2/droplets', body)['droplet']['id']
        status, refused = call('POST', '/v2/droplets', body)
        assert status == 422 and 'droplet limit' in refused['message']
        seen = [call.good('GET', f'/v2/droplets/{made}')['droplet'] for _ in range(4)]
        assert [one['status'] for one in seen] == ['new', 'new', 'active', 'active']
        assert [[net['ip_address'] for net in one['networks']['v4']] for one in seen] == \
            [[], ['10.128.0.3'], ['10.128.0.3'], ['10.128.0.3', '127.0.0.5']]
        for action in 'power_off', 'power_on', 'reboot':
            call.good('POST', f'/v2/droplets/{made}/actions', {'type': action})
            cloud.account.settle(cloud.account.droplets[made])
        call.good('DELETE', f'/v2/droplets/{made}')
        again = call.good('POST', '/v2/droplets', body)['droplet']['id']
        for path in f'/v2/droplets/{again}', f'/v2/account/keys/{key["id"]}':
            call.good('DELETE', path)
        call.wire.close()
    assert events == [(what, '127.0.0.5') for what in (
        'created', 'active', 'off', 'active', 'rebooted', 'deleted', 'created', 'deleted')]


def test_actions_that_are_not_possible(cloud, call, droplet):
    path = f'/v2/droplets/{droplet.id}/actions'

    def act(kind):
        status, value = call('POST', path, {'type': kind})
        return value['message'] if status == 422 else status

    assert 'Droplet is active' in act('power_on')
    assert act('power_off') == 201
    assert 'pending event' in act('power_on')
    cloud.account.settle(droplet)
    for kind in 'power_off', 'shutdown', 'reboot':
        assert 'Droplet is off' in act(kind)
    cloud.account.failing.add('power_on')
    assert act('power_on') == 201
    for _ in range(2):
        state = call.good('GET', f'{path}/{droplet.actions[-1].id}')['action']['status']
    assert state == 'errored' and droplet.status == 'off'
    cloud.account.failing.clear()
    assert act('power_on') == 201
    cloud.account.settle(droplet)
    droplet.deaf = True
    assert act('shutdown') == 201
    cloud.account.settle(droplet)
    assert droplet.status == 'active' and droplet.actions[-1].status == 'completed'


def test_many_at_once(cloud, call, key):
    body = {**DROPLET, 'ssh_keys': [key['id']]}

    def life(number):
        mine = Caller(cloud)
        made = mine.good('POST', '/v2/droplets', {**body, 'name': f'm{number}'})['droplet']['id']
        while mine.good('GET', f'/v2/droplets/{made}')['droplet']['status'] != 'active':
            pass
        mine.good('DELETE', f'/v2/droplets/{made}')
        mine.wire.close()
        return made

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(life, range(16)))) == 16
    assert not cloud.account.droplets


# limits, faults, and the end

@pytest.mark.parametrize('told', ['retry_after', 'reset_after'])
def test_too_many(cloud, call, told):
    for seconds in 60, 1:
        cloud.faults.add('list_regions', TooMany(**{told: seconds}))
        status, value = call(*REGIONS)
        assert (status, value['id']) == (429, 'too_many_requests')
        assert ('retry-after' in call.headers) == (told == 'retry_after')
        assert ('ratelimit-reset' in call.headers) == (told == 'reset_after')
        if seconds == 60:
            assert call('GET', '/v2/sizes')[0] == 200 # another request
            assert call(*REGIONS)[0] == 200
            cloud.forgive('impatient: ')
    reset = int(call.headers.get('ratelimit-reset', 0))
    time.sleep(max(0.0, reset - time.time()) if reset else 1.0)
    assert call(*REGIONS)[0] == 200


def test_limits_of_the_service(cloud, call):
    cloud.api.per_minute = 3
    assert [call(*REGIONS)[0] for _ in range(4)] == [200, 200, 200, 429]
    assert call.headers['retry-after'] == '60'
    cloud.api.per_minute, cloud.api.per_hour = 250, 5
    assert call('GET', '/v2/sizes')[0] == 200 and call('GET', '/v2/sizes')[0] == 429
    assert 3500 < int(call.headers['ratelimit-reset']) - time.time() < 3602
    assert 'retry-after' not in call.headers


def test_list_of_keys_has_a_limit_of_its_own(cloud, call):
    assert [call('GET', '/v2/account/keys')[0] for _ in range(11)] == [200] * 10 + [429]
    assert call(*REGIONS)[0] == 200


def test_polls_are_counted(cloud, call, droplet, monkeypatch):
    monkeypatch.setattr(api, 'SECOND', 3600.0)
    for _ in range(3):
        call.good('GET', f'/v2/droplets/{droplet.id}')
    assert cloud.api.busiest_second(droplet.id) == 3 and cloud.log.count('get_droplet') == 3
    cloud.api.polls_per_second = 1
    call.good('GET', f'/v2/droplets/{droplet.id}')
    cloud.forgive('polling: 4 polls')


def test_lost_answer(cloud, call, key):
    """Done, and not told: a client that repeats blindly has two droplets."""
    cloud.faults.add('create_droplet', httpfake.Close(applied=True))
    body = {**DROPLET, 'ssh_keys': [key['id']]}
    with pytest.raises((http.client.HTTPException, OSError)):
        call('POST', '/v2/droplets', body)
    call.wire.close()
    call.good('POST', '/v2/droplets', body)
    assert len(cloud.account.droplets) == 2
    for made in list(cloud.account.droplets):
        call.good('DELETE', f'/v2/droplets/{made}')


def test_fault_of_the_service(cloud, call):
    cloud.faults.add('list_regions', httpfake.Refuse(503, 'service_unavailable'), nth=2)
    assert [call(*REGIONS)[0] for _ in range(3)] == [200, 503, 200]
    cloud.faults.add('get_droplet', httpfake.Close())
    with pytest.raises(AssertionError, match='never happened: .*get_droplet.*Close'):
        cloud.check()
    cloud.faults.clear()


def test_links_may_lead_elsewhere(cloud, call):
    """A client with a base of its own keeps to it."""
    with httpfake.HttpFake(cloud.api) as elsewhere:
        cloud.api.links = elsewhere.url
        assert call.good(*REGIONS)['links']['pages']['next'].startswith(elsewhere.url + '/v2/regions?')
        assert elsewhere.log.actions() == []


def test_droplet_that_is_lost(cloud, call, droplet):
    cloud.account.lose(droplet)
    path = f'/v2/droplets/{droplet.id}'
    assert [call(*request)[0] for request in (
        ('GET', path), ('DELETE', path), ('POST', path + '/actions', {'type': 'power_on'}))] == [404] * 3


def test_wrong_requests_are_noted_when_something_else_happens_to_them(cloud, call):
    cloud.faults.add('list_regions', httpfake.Refuse(503, 'service_unavailable'))
    assert call(*REGIONS, head={'Accept': '*/*'})[0] == 503
    cloud.forgive('accept: ')


def test_end_of_with_fails(public_keys):
    """For a wrong request, and for what is left."""
    with pytest.raises(AssertionError, match='wrong requests:.*\n.*path: GET /v2/volumes'):
        with DigitalOcean() as cloud:
            Caller(cloud)('GET', '/v2/volumes')
    with pytest.raises(AssertionError, match='left behind: .*Key'):
        with DigitalOcean() as cloud:
            Caller(cloud).good('POST', '/v2/account/keys', {'name': 'm1', 'public_key': public_keys['rsa']})


def test_what_is_left_is_told(cloud, call, droplet):
    with pytest.raises(AssertionError, match=rf'left behind: .*Key \d+ m1.*Droplet {droplet.id} m1'):
        cloud.check()
    cloud.may_leave = True
    cloud.check()


def test_the_fake_has_to_keep_to_the_schema_as_well(cloud, call, monkeypatch):
    monkeypatch.setitem(account_module.REGIONS, 'nyc3', ('New York 3', 'yes', []))
    assert call(*REGIONS)[0] == 200
    assert call('GET', '/v2/regions?page=2')[0] == 200
    cloud.forgive('answer: /regions/0/available type: boolean')


def test_each_operation_is_there():
    for operation in spec.OPERATIONS:
        assert callable(getattr(operations.Operations, operation.name))
    names = [operation.name for operation in spec.OPERATIONS]
    assert len(set(names)) == len(names)
    for name, schema in spec.DOCUMENT['components']['schemas'].items():
        spec.validator(schema).check_schema(schema)
        if schema.get('type') == 'object':
            assert schema.get('additionalProperties') is False, name
