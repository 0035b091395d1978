"""What the cloud has before the tests come: made once, told in facts.json."""

import json
import time
import urllib.error
import urllib.request

import config

ADMIN = {'username': 'admin', 'password': 'admin-password-93e7', 'project': 'admin', 'domain': 'Default'}
USER = {'username': 'tester', 'password': 'tester-password-c41f', 'project': 'demo', 'domain': 'Default'}
# user and project of different domains, neither of them the default one
GUEST = {'username': 'guest', 'password': 'guest-password-20ad', 'project': 'shop', 'user_domain': 'people',
         'project_domain': 'things'}
APPLICATION_SECRET = 'application-secret-7f3d'
FLAVORS = {'small': (512, 1), 'medium': (1024, 1), 'large': (2048, 1), 'impossible': (512, 10_000_000)} # memory, disk; MiB, GiB
IMAGES = ['ubuntu', 'debian', 'twice', 'twice', 'fedora']
POOL = ('public', '127.77.0.0/24')
PRIVATE = {
    'private': ['127.66.0.0/24'],
    'dual': ['127.67.0.0/24', 'fd66::/64'],
    'lonely': ['127.68.0.0/24'], # no router: no floating addresses
}
REPORT_SECONDS = 300
SERVICE_ROLES = ('admin', 'service')


class Api:
    def __init__(self):
        self.token, self.project = None, None

    def call(self, service, path, body=None, method=None, kind='application/json'):
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        headers = {'Content-Type': kind, **({'X-Auth-Token': self.token} if self.token else {})}
        url = f'http://{config.HOST}:{config.PORTS[service]}{path}'
        request = urllib.request.Request(url, data, headers, method=method or ('POST' if data else 'GET'))
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                text = answer.read()
                return answer.headers, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            raise RuntimeError(f'{request.method} {url}: {error.code} {error.read()[:2000]}') from None

    def login(self, who):
        domains = [{'name': who.get(f'{kind}_domain') or who['domain']} for kind in ('user', 'project')]
        user = {'name': who['username'], 'password': who['password'], 'domain': domains[0]}
        scope = {'project': {'name': who['project'], 'domain': domains[1]}}
        headers, body = self.call('identity', '/v3/auth/tokens', {'auth': {
            'identity': {'methods': ['password'], 'password': {'user': user}}, 'scope': scope}})
        self.token, self.project = headers['X-Subject-Token'], body['token']['project']['id']
        return body['token']

    def make(self, service, path, kind, **members):
        """POSTs {KIND: members} and gives what was made."""
        return self.call(service, path, {kind: members})[1][kind]


def catalog(api):
    for service, (kind, path) in config.CATALOG.items():
        made = api.make('identity', '/v3/services', 'service', type=kind, name=service)
        for interface in 'public', 'internal', 'admin':
            api.make('identity', '/v3/endpoints', 'endpoint', interface=interface, region_id=config.REGION,
                     service_id=made['id'], url=f'http://{config.HOST}:{config.PORTS[service]}{path}')


def account(api, who, roles, domains=('default', 'default')):
    """A user with roles in a project."""
    project = api.make('identity', '/v3/projects', 'project', name=who['project'], domain_id=domains[1])
    user = api.make('identity', '/v3/users', 'user', name=who['username'], password=who['password'],
                    domain_id=domains[0])
    known = {role['name']: role['id'] for role in api.call('identity', '/v3/roles')[1]['roles']}
    for name in roles:
        role = known.get(name) or api.make('identity', '/v3/roles', 'role', name=name)['id']
        api.call('identity', f'/v3/projects/{project["id"]}/users/{user["id"]}/roles/{role}', method='PUT')
    return {**who, 'user_id': user['id'], 'project_id': project['id']}


def application_credential(api, user):
    """Only its owner can make one."""
    own = Api()
    own.login(user)
    made = own.make('identity', f'/v3/users/{user["user_id"]}/application_credentials', 'application_credential',
                    name='robot', secret=APPLICATION_SECRET)
    return {'id': made['id'], 'name': 'robot', 'secret': APPLICATION_SECRET}


def accounts():
    """All that keystone has; the other services need it to begin."""
    api = Api()
    api.login(ADMIN)
    service = {'username': 'service', 'password': config.SERVICE_PASSWORD, 'project': 'service'}
    account(api, service, SERVICE_ROLES)
    catalog(api)
    domains = [api.make('identity', '/v3/domains', 'domain', name=GUEST[kind])['id']
               for kind in ('user_domain', 'project_domain')]
    user = account(api, USER, ['member'])
    return {
        'admin': {**ADMIN, 'project_id': api.project}, 'user': user, 'guest': account(api, GUEST, ['member'], domains),
        'application_credential': application_credential(api, user),
    }


def network(api, name, cidrs, **members):
    made = api.make('network', '/v2.0/networks', 'network', name=name, **members)
    subnets = [api.make('network', '/v2.0/subnets', 'subnet', network_id=made['id'], cidr=cidr, enable_dhcp=False,
                        ip_version=6 if ':' in cidr else 4) for cidr in cidrs]
    return {'id': made['id'], 'name': name, 'subnets': cidrs}, [subnet['id'] for subnet in subnets]


def networks(api):
    pool, _ = network(api, POOL[0], [POOL[1]], shared=False, **{
        'router:external': True, 'provider:network_type': 'flat', 'provider:physical_network': 'outside'})
    router = api.make('network', '/v2.0/routers', 'router', name='router',
                      external_gateway_info={'network_id': pool['id']})
    found = {}
    for name, cidrs in PRIVATE.items():
        found[name], subnets = network(api, name, cidrs, shared=True)
        if name != 'lonely':
            api.call('network', f'/v2.0/routers/{router["id"]}/add_router_interface', {'subnet_id': subnets[0]}, 'PUT')
    return pool, found


def image(api, name):
    made = api.call('image', '/v2/images', {'name': name, 'disk_format': 'raw', 'container_format': 'bare',
                                            'visibility': 'public'})[1]
    api.call('image', f'/v2/images/{made["id"]}/file', bytes(8192), 'PUT', 'application/octet-stream')
    return made['id']


def hypervisor(api):
    """Waits until nova's one host has reported itself, and the scheduler has put it into the cell."""
    end = time.monotonic() + REPORT_SECONDS
    while not api.call('compute', '/v2.1/os-hypervisors')[1]['hypervisors']:
        if time.monotonic() > end:
            raise TimeoutError(f'nova-compute did not report itself within {REPORT_SECONDS} s')
        time.sleep(0.2)


def everything(facts):
    api = Api()
    api.login(ADMIN)
    hypervisor(api)
    api.make('volume', f'/v3/{api.project}/types', 'volume_type', name='plain', **{'os-volume-type-access:is_public': True})
    # with ids of our own, nova's pages have them in this order: its client looks for a name on the first page only
    flavors = {name: api.make('compute', '/v2.1/flavors', 'flavor', name=name, ram=memory, vcpus=1, disk=disk,
                              id=f'{number:04}')['id']
               for number, (name, (memory, disk)) in enumerate(FLAVORS.items(), 1)}
    images = {name: image(api, name) for name in IMAGES}
    del images['twice']
    pool, private = networks(api)
    return {**facts, 'flavors': flavors, 'images': images, 'pool': pool, 'networks': private}
