"""The driver openstack and the identity service: ways to log in, its versions, regions, tokens, clouds.yaml."""

import json

import pytest

from driverclient import DriverError
from fakes.httpfake import Refuse
from fakes.openstack_api import CREDENTIAL, OUTSIDE, PASSWORD, PROJECT, TOKEN
from openstackdriver import BASIC, FULL, LOGIN, cloud, fake, host, make_host, settle # noqa: F401


@pytest.mark.parametrize('flags, form', [
    ({'openstack-user-id': 'id', 'openstack-password': PASSWORD, 'openstack-tenant-id': PROJECT},
     {'methods': ['password'], 'password': {'user': {'id': 'id', 'password': PASSWORD}}}),
    ({**LOGIN, 'openstack-domain-name': 'd', 'openstack-user-domain-id': 'ud'},
     {'methods': ['password'], 'password': {'user': {'name': 'u', 'domain': {'id': 'ud'}, 'password': PASSWORD}}}),
    ({'openstack-token': TOKEN, 'openstack-tenant-name': 'p'}, {'methods': ['token'], 'token': {'id': TOKEN}}),
    ({'openstack-application-credential-id': 'c', 'openstack-application-credential-secret': CREDENTIAL['secret']},
     {'methods': ['application_credential'],
      'application_credential': {'id': 'c', 'secret': CREDENTIAL['secret']}}),
    ({'openstack-application-credential-name': 'c', 'openstack-application-credential-secret': CREDENTIAL['secret'],
      'openstack-username': 'u'},
     {'methods': ['application_credential'], 'application_credential': {
         'name': 'c', 'secret': CREDENTIAL['secret'], 'user': {'name': 'u', 'domain': {'id': 'default'}}}}),
])
def test_ways_to_log_in(host, fake, flags, form):
    host.configure({**flags, 'openstack-flavor-id': 'flavor-tiny', 'openstack-image-id': 'image-debian',
                    'openstack-region': 'one'})
    host.driver.call('preCreateCheck', machine=host.machine())
    auth = json.loads(fake.log.of('POST identity/auth/tokens')[0].body)['auth']
    assert auth['identity'] == form
    project = {'id': PROJECT} if 'openstack-tenant-id' in flags else {
        'name': 'p', 'domain': {'name': 'd'} if 'openstack-domain-name' in flags else {'id': 'default'}}
    assert auth.get('scope') == (None if 'application_credential' in form else {'project': project})


def test_versions_are_asked_for(host, cloud, fake):
    cloud.versions = OUTSIDE
    host.configure({**BASIC, 'openstack-auth-url': f'{fake.url}/identity'})
    host.driver.call('preCreateCheck', machine=host.machine())
    assert fake.log.actions()[:2] == ['GET versions/identity/', 'POST identity/auth/tokens']


@pytest.mark.parametrize('status', [404, 410])
def test_versions_at_the_root(host, cloud, fake, status):
    """Where Docker Machine asks for them, whatever path is given."""
    cloud.versions = fake.url
    host.configure({**BASIC, 'openstack-auth-url': f'{fake.url}/identity'})
    fake.faults.add('GET versions/identity/', Refuse(status, 'error', 'nothing here'), times=None)
    host.driver.call('preCreateCheck', machine=host.machine())
    assert fake.log.actions()[:3] == ['GET versions/identity/', 'GET versions/', 'POST identity/auth/tokens']
    fake.faults.add('GET versions/', Refuse(status, 'error', 'nothing here'))
    host.revive()
    with pytest.raises(DriverError, match=f'{status} .*--openstack-auth-url') as caught:
        host.driver.call('preCreateCheck', machine=host.machine())
    assert caught.value.kind == 'user'


@pytest.mark.parametrize('status', [404, 410])
def test_identity_service_that_is_not_there(host, cloud, fake, status):
    """It tells nothing of the server."""
    host.configure(BASIC)
    host.call('create')
    cloud.tokens.clear()
    fake.faults.add('POST identity/auth/tokens', Refuse(status, 'error', 'nothing here'), times=None)
    assert host.report()['error']['data']['kind'] == 'user'
    host.fails('remove', str(status), '--openstack-auth-url')
    fake.faults.clear()
    host.call('remove')
    settle(cloud)
    assert not cloud.left()


def test_old_identity_service(host, fake):
    host.configure({**BASIC, 'openstack-auth-url': f'{fake.url}/identity/v2.0/'})
    host.call('create')
    assert host.report()['state'] == 'Running'
    assert fake.log.count('POST identity_old/tokens') == 1
    for flags, text in [({'openstack-domain-name': 'd'}, 'no domains'), ({
            'openstack-application-credential-id': 'c', 'openstack-application-credential-secret': 's'}, 'no application')]:
        host.configure({**BASIC, 'openstack-auth-url': f'{fake.url}/identity/v2.0', **flags})
        with pytest.raises(DriverError, match=text):
            host.driver.call('preCreateCheck', machine=host.machine())


def test_regions_and_interfaces(host, cloud, fake):
    """The first region that the catalog has is told, and kept; another interface leads elsewhere."""
    cloud.regions, cloud.home = ['two', 'one'], 'two' # the catalog has them backwards
    host.configure({**BASIC, 'openstack-region': ''})
    with pytest.raises(DriverError, match='look up the flavor'):
        host.driver.call('preCreateCheck', machine=host.machine())
    assert any('regions one, two; one is taken' in str(note) for note in host.driver.notifications)
    assert fake.log.requests[-1].path.startswith('/public-one/')
    fake.forgive('no such')
    host.configure({**BASIC, 'openstack-region': 'two', 'openstack-endpoint-type': 'internal'})
    with pytest.raises(DriverError, match='look up the flavor'):
        host.driver.call('preCreateCheck', machine=host.machine())
    assert fake.log.requests[-1].path.startswith('/internal-two/')
    fake.forgive('no such')
    cloud.regions, cloud.home = ['only'], 'only'
    host.configure({**BASIC, 'openstack-region': '', 'openstack-password': PASSWORD})
    host.revive()
    host.call('create')
    assert host.state['Region'] == 'only'


def test_services_are_of_one_region(host, cloud):
    """The servers', whichever is the first of another service."""
    cloud.home = 'two' # of servers the first, of networks the second
    host.configure({**FULL, 'openstack-region': ''})
    host.driver.call('preCreateCheck', machine=host.machine())
    host.call('create')
    assert host.state['Region'] == 'two' and host.report()['state'] == 'Running'


def test_token_that_ends(host, cloud, fake):
    """A new one is fetched once, and the request repeated."""
    host.configure(BASIC)
    host.call('create')
    cloud.tokens.clear()
    fake.log.clear()
    assert host.report()['state'] == 'Running'
    assert fake.log.actions() == ['GET compute/servers/ID', 'POST identity/auth/tokens', 'GET compute/servers/ID']
    fake.faults.add('POST identity/auth/tokens', Refuse(401, 'error', 'wrong'))
    cloud.tokens.clear()
    assert host.report()['error']['data']['kind'] == 'auth'


def test_cloud_that_repeats_the_password(host, fake):
    host.configure(BASIC)
    fake.faults.add('POST identity/auth/tokens', Refuse(401, 'error', f'the password {PASSWORD} is wrong'))
    with pytest.raises(DriverError, match=r'the password \*+ is wrong'):
        host.driver.call('preCreateCheck', machine=host.machine())


def test_many_accounts_in_one_process(host, cloud, fake):
    """More than it keeps tokens of; each asks with its own."""
    states, users = [], [f'user-{n}' for n in range(10)]
    for user in users:
        host.configure({**BASIC, 'openstack-username': user})
        states.append({**host.state, 'MachineId': 'none'})
    for _ in range(2):
        for state in states:
            host.driver.report(host.machine(state))
    asked = [cloud.users[request.header('X-Auth-Token')] for request in fake.log.of('GET compute/servers/ID')]
    assert asked == users * 2


CLOUDS = '''
clouds:
  mine:
    profile: base
    auth: {username: u, project_name: 0123}
    region_name: two
    verify: no
  robot:
    auth_type: v3applicationcredential
    auth: {auth_url: "http://127.0.0.1/v3", application_credential_id: c, application_credential_secret: s}
'''


VERSIONED = '''
clouds:
  mine:
    identity_api_version: %s
    auth: {auth_url: "http://127.0.0.1/identity", username: u, project_name: p}
'''


def test_clouds_yaml(make_host):
    host = make_host({'OS_PROJECT_DOMAIN_NAME': 'pd', 'OS_INTERFACE': 'internal',
                      'OS_COMPUTE_ENDPOINT_OVERRIDE': 'http://127.0.0.1/c'})
    (host.store / 'clouds.yaml').write_text(CLOUDS)
    (host.store / 'secure.yaml').write_text(f'clouds: {{mine: {{auth: {{password: {PASSWORD}}}}}}}')
    (host.store / 'clouds-public.yaml').write_text('public-clouds: {base: {auth: {auth_url: "http://127.0.0.1/v3"}, region_name: x}}')
    some = {'openstack-flavor-id': 'f', 'openstack-image-id': 'i', 'openstack-auth-url': ''}
    host.configure({**some, 'openstack-cloud': 'mine', 'openstack-region': 'three'})
    wanted = {'AuthUrl': 'http://127.0.0.1/v3', 'Username': 'u', 'Password': PASSWORD, 'TenantName': '0123', 'Region': 'three',
              'Insecure': True, 'TenantDomainName': 'pd', 'EndpointType': 'internalURL', 'Cloud': 'mine',
              'Endpoints': {'compute': 'http://127.0.0.1/c'}}
    assert {key: host.state[key] for key in wanted} == wanted
    host.configure({**some, 'openstack-cloud': 'robot'})
    assert host.state['ApplicationCredentialId'] == 'c' and not host.state['Username']
    (host.store / 'clouds-public.yaml').unlink()
    for version, path in [('3', '/v3'), ('"2.0"', '/v2.0'), ('2', '/v2.0'), ('"v3"', '/v3')]:
        (host.store / 'clouds.yaml').write_text(VERSIONED % version)
        host.configure({**some, 'openstack-cloud': 'mine'})
        assert host.state['AuthUrl'] == f'http://127.0.0.1/identity{path}'
        host.configure({**some, 'openstack-cloud': 'mine', 'openstack-auth-url': 'http://127.0.0.1/v3/'})
        assert host.state['AuthUrl'] == 'http://127.0.0.1/v3/'
    (host.store / 'clouds.yaml').write_text(VERSIONED % 4)
    with pytest.raises(DriverError, match='identity_api_version 4'):
        host.configure({**some, 'openstack-cloud': 'mine'})
    (host.store / 'clouds.yaml').write_text(CLOUDS)
    for cloud, text in [('none', 'has no such cloud'), ('mine', 'YAML')]:
        with pytest.raises(DriverError, match=text):
            host.configure({**some, 'openstack-cloud': cloud})
        (host.store / 'clouds.yaml').write_text('clouds: [')
