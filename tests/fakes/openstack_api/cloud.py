"""The five services, one of them a path each, as the service of an HttpFake.

Every request is checked: headers, query, and the body to the last member. Lists have pages of two, whose links name
a host that does not exist, as behind a proxy. A server builds for `build_polls` looks at it, and is gone
`delete_polls` looks after its deletion. A test changes the attributes before it begins. A request that is given to
`delay` is carried out only when others have come.
"""

import itertools
import json
import re
import urllib.parse

from ..httpfake import Answer
from .shapes import BODIES, LISTS, QUERIES, check_shape

PASSWORD, TOKEN = 'hunter2-of-the-user', 'token-of-the-environment'
CREDENTIAL = {'id': 'credential-1', 'name': 'robot', 'secret': 'secret-of-the-credential'}
PROJECT = 'project-1'
PAGE = 2
OUTSIDE = 'http://controller.invalid:8774'
KEYS = ('keypairs', 'servers', 'volumes', 'floatingips', 'security_groups')
PATHS = {'identity': '/identity/v3', 'identity_old': '/identity/v2.0', 'compute': '/compute/v2.1', 'network': '/network/v2.0', 'image': '/image/v2',
         'volume': f'/volume/v3/{PROJECT}'}
WITHOUT_TOKEN = ('identity', 'identity_old', 'versions')
ONE = re.compile(r'^/(servers|floatingips|volumes|security-groups|os-keypairs|flavors|images|networks)/([^/]+)(/.*)?$')
STATUS = {400: 'badRequest', 403: 'forbidden', 404: 'itemNotFound', 409: 'conflictingRequest', 500: 'computeFault'}


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def answer(status, body=None, headers=()):
    data = b'' if body is None else json.dumps(body).encode()
    return Answer(status, data, [('Content-Type', 'application/json'), *headers])


class OpenStack:
    def __init__(self):
        self.url = None # the fake's; set by the test
        self.build_polls, self.delete_polls, self.fault, self.volume_fault = 1, 1, None, False
        self.volume_deletion = None # it works; 'refused'; or accepted, and then it is in this status
        self.versions = None # the server that their links name, when they may be asked for
        self.regions, self.home = ['one', 'two'], 'one' # where the public addresses are the good ones
        self.numbers = itertools.count(1)
        self.tokens, self.users = set(), {} # whose a token is
        self.flavors = [{'id': f'flavor-{n}', 'name': n} for n in ('tiny', 'small', 'large')]
        self.images = [{'id': f'image-{n}', 'name': n, 'status': 'active'} for n in ('debian', 'ubuntu', 'twice')]
        self.images.append({'id': 'image-other', 'name': 'twice', 'status': 'active'})
        self.networks = [{'id': 'net-a', 'name': 'private', 'router:external': False},
                         {'id': 'net-b', 'name': 'other', 'router:external': False},
                         {'id': 'net-ext', 'name': 'public', 'router:external': True}]
        self.types = [{'id': f'type-{n}', 'name': n} for n in ('lvm', 'ceph', 'ssd')]
        self.volume_services = ['volumev3', 'volumev2']
        self.server_groups = [{'id': 'group-1', 'name': 'apart'}]
        self.security_groups = [{'id': 'sg-default', 'name': 'default'}, {'id': 'sg-web', 'name': 'web'}]
        self.keypairs, self.servers, self.volumes, self.floatingips, self.ports = [], [], [], [], []
        self.soft_delete, self.force_delete, self.only_rsa = False, True, False
        self.rules, self.created = [], []
        self.late = []

    # what HttpFake asks

    def action(self, request):
        service, path = self.place(request)
        request.service, request.rest = service, path
        request.params = urllib.parse.parse_qs(request.query, keep_blank_values=True, strict_parsing=bool(request.query))
        name = re.sub(ONE, lambda m: f'/{m[1]}/ID{m[3] or ""}' if m[2] != 'detail' else m[0], path)
        return f'{request.method} {service}{name}'

    def place(self, request):
        for service, path in PATHS.items():
            if request.path.startswith(path + '/'):
                return service, request.path[len(path):]
        if request.path in ('/identity/', '/') and self.versions:
            return 'versions', request.path
        request.violation('no such address')
        return 'none', request.path

    def error(self, status, code, message):
        return answer(status, {code: {'message': message, 'code': status}})

    def throttled(self):
        return answer(429, {'overLimit': {'message': 'slow down', 'code': 429}}, [('Retry-After', '0')])

    def delay(self, request, others):
        """A request whose client is gone is carried out before that many others, and one, have been."""
        self.late.append([others, request])

    def carry_out_late(self, all_of_them=False):
        for item in list(self.late):
            item[0] -= 1
            if item[0] < 0 or all_of_them:
                self.late.remove(item)
                self.carry_out(item[1])

    def handle(self, request):
        self.carry_out_late()
        return self.carry_out(request)

    def carry_out(self, request):
        self.check_headers(request)
        body = self.body(request)
        if request.service not in WITHOUT_TOKEN:
            if request.header('X-Auth-Token') not in self.tokens:
                return answer(401, {'error': {'message': 'The request you have made requires authentication.'}})
        try:
            return self.route(request, body)
        except Refused as refused:
            if request.service == 'network':
                return answer(refused.status, {'NeutronError': {'type': 'X', 'message': str(refused), 'detail': ''}})
            return self.error(refused.status, STATUS[refused.status], str(refused))

    def check_headers(self, request):
        token, version = request.header('X-Auth-Token'), request.header('OpenStack-API-Version')
        if (token is not None) == (request.service in WITHOUT_TOKEN):
            request.violation('X-Auth-Token is for all but the identity service')
        if request.header('Accept') != 'application/json' or request.repeated_headers():
            request.violation(f'headers: {request.headers}')
        typed = b'"volume_type"' in request.body and request.action == 'POST compute/servers'
        if version != ('compute 2.67' if typed else None):
            request.violation(f'microversion {version}')
        for secret in (PASSWORD, CREDENTIAL['secret'], *self.tokens):
            if secret in request.target:
                request.violation('a secret in the address')

    def body(self, request):
        if not request.body:
            return None
        if request.header('Content-Type') != 'application/json':
            request.violation('Content-Type of the body')
        body = json.loads(request.body)
        name = request.action
        if name not in BODIES:
            request.violation(f'{name} has no body')
        elif problem := check_shape(BODIES[name], body):
            request.violation(f'{problem} in {body}')
        return body

    def route(self, request, body):
        name = request.action
        if name in LISTS:
            return self.list(request, *LISTS[name])
        unknown = set(request.params) - set(QUERIES.get(name, ()))
        if unknown:
            request.violation(f'parameters {unknown}')
        function = getattr(self, re.sub(r'[^A-Za-z]+', '_', name).strip('_').lower(), None)
        if not function:
            request.violation('no such operation')
            raise Refused(404, 'no such operation')
        match = ONE.match(request.rest)
        return function(urllib.parse.unquote(match[2]) if match else None, body)

    # lists

    def list(self, request, attribute, key, filters):
        items = list(getattr(self, attribute))
        params = {name: values[0] for name, values in request.params.items()}
        marker = int(params.pop('marker', 0))
        for name, value in params.items():
            if name not in filters:
                request.violation(f'parameter {name}')
            items = [item for item in items if self.matches(attribute, item, name, value)]
        if attribute == 'servers':
            for server in list(items):
                self.look(server)
            items = [server for server in items if server in self.servers and server['status'] != 'SOFT_DELETED']
        result = {key: [self.shown(item) for item in items[marker:marker + PAGE]]}
        if len(items) > marker + PAGE:
            query = urllib.parse.urlencode({**params, 'marker': marker + PAGE})
            if request.service == 'image':
                result['next'] = f'/v2{request.rest}?{query}'
            else:
                result[f'{key}_links'] = [{'rel': 'previous', 'href': 'x'},
                                          {'rel': 'next', 'href': f'{OUTSIDE}/v2{request.rest}?{query}'}]
        return answer(200, result)

    @staticmethod
    def shown(item):
        return {name: value for name, value in item.items() if not name.startswith('_')}

    @staticmethod
    def matches(attribute, item, name, value):
        if name == 'name' and attribute == 'servers':
            return re.search(value, item['name'])
        if name == 'router:external':
            return item[name] == (value == 'true')
        if name in ('tenant_id',):
            return value == PROJECT
        return item.get(name) == value

    def one(self, attribute, ident, key='id'):
        for item in getattr(self, attribute):
            if item[key] == ident:
                return item
        raise Refused(404, f'{ident} could not be found.')

    def new(self, attribute, item):
        getattr(self, attribute).append(item)
        self.created.append((attribute, item.get('name') or item.get('id')))
        return item

    def left(self):
        """What is there beyond the beginning."""
        return {key: getattr(self, key)[2:] if key == 'security_groups' else list(getattr(self, key))
                for key in KEYS if len(getattr(self, key)) > (2 if key == 'security_groups' else 0)}

    # identity

    def get_versions(self, _ident, _body):
        return answer(300, {'versions': {'values': [
            {'id': 'v2.0', 'status': 'deprecated', 'links': []},
            {'id': 'v3.14', 'status': 'stable', 'links': [{'rel': 'self', 'href': f'{self.versions}/identity/v3/'}]}]}})

    get_versions_identity = get_versions

    def post_identity_auth_tokens(self, _ident, body):
        identity = body['auth']['identity']
        (method,) = identity['methods']
        given = identity[method]
        good = {'password': lambda: given['user']['password'] == PASSWORD,
                'token': lambda: given['id'] == TOKEN,
                'application_credential': lambda: given['secret'] == CREDENTIAL['secret']}[method]()
        if ('scope' in body['auth']) == (method == 'application_credential'):
            raise Refused(400, 'scope')
        if not good:
            return answer(401, {'error': {'message': 'The request you have made requires authentication.', 'code': 401}})
        token = f'gAAAA-token-{next(self.numbers)}'
        self.tokens.add(token)
        self.users[token] = given.get('user', {}).get('name')
        return answer(201, {'token': {'expires_at': '2099-01-01T00:00:00.000000Z', 'project': {'id': PROJECT},
                                      'catalog': self.catalog()}}, [('X-Subject-Token', token)])

    def post_identity_old_tokens(self, _ident, body):
        if body['auth']['passwordCredentials']['password'] != PASSWORD:
            return answer(401, {'error': {'message': 'Invalid user / password', 'code': 401}})
        token = f'gAAAA-token-{next(self.numbers)}'
        self.tokens.add(token)
        catalog = [{**service, 'endpoints': [
            {'region': region, **{f'{end["interface"]}URL': end['url'] for end in service['endpoints'] if end['region'] == region}}
            for region in reversed(self.regions)]} for service in self.catalog()]
        return answer(200, {'access': {'token': {'id': token, 'expires': '2099-01-01T00:00:00Z', 'tenant': {'id': PROJECT}},
                                       'serviceCatalog': catalog}})

    def catalog(self):
        def service(kind, path, regions=tuple(reversed(self.regions))): # in any order
            return {'type': kind, 'name': kind, 'endpoints': [
                {'interface': interface, 'region': region, 'region_id': region,
                 'url': self.url + (path if interface == 'public' and region == self.home else f'/{interface}-{region}')}
                for region in regions for interface in ('admin', 'internal', 'public')]}
        return [service('compute', PATHS['compute']), service('network', '/network', self.regions), service('image', '/image/'),
                *(service(name, PATHS['volume'] if name == 'volumev3' else '/volume/v2/x') for name in self.volume_services)]

    # compute

    def get_compute_flavors_id(self, ident, _body):
        return answer(200, {'flavor': self.one('flavors', ident)})

    def get_compute_os_keypairs_id(self, ident, _body):
        return answer(200, {'keypair': self.one('keypairs', ident, 'name')})

    def post_compute_os_keypairs(self, _ident, body):
        if any(pair['name'] == body['keypair']['name'] for pair in self.keypairs):
            raise Refused(409, f"Key pair '{body['keypair']['name']}' already exists.")
        if self.only_rsa and not body['keypair']['public_key'].startswith('ssh-rsa '):
            raise Refused(400, 'Keypair data is invalid: failed to generate fingerprint')
        return answer(200, {'keypair': self.new('keypairs', dict(body['keypair']))})

    def delete_compute_os_keypairs_id(self, ident, _body):
        self.keypairs.remove(self.one('keypairs', ident, 'name'))
        return answer(202)

    def post_compute_servers(self, _ident, body):
        asked = body['server']
        if self.fault == 'quota':
            raise Refused(403, 'Quota exceeded for instances: Requested 1, but already used 10 of 10 instances')
        if asked['key_name'] not in [pair['name'] for pair in self.keypairs]:
            raise Refused(400, 'Invalid key_name provided.')
        number = next(self.numbers)
        server = self.new('servers', {
            'id': f'server-{number}', 'name': asked['name'], 'status': 'BUILD', 'metadata': asked['metadata'],
            'addresses': {}, 'OS-EXT-STS:task_state': 'spawning', '_looks': self.build_polls, '_asked': body,
            '_volumes': [], '_address': f'127.66.0.{number}'})
        self.ports.append({'id': f'port-{number}', 'device_id': server['id'], 'network_id': 'net-a',
                           'fixed_ips': [{'ip_address': server['_address'], 'subnet_id': 'subnet-a'}]})
        return answer(202, {'server': {'id': server['id'], 'adminPass': 'never shown'}})

    def look(self, server):
        """A look at a server; time passes by it."""
        task = server['OS-EXT-STS:task_state']
        if task and server['_looks'] > 0:
            server['_looks'] -= 1
        elif task == 'deleting':
            self.gone(server)
        elif task == 'spawning' and self.fault:
            server.update({'status': 'ERROR', 'fault': {'message': self.fault}, 'OS-EXT-STS:task_state': None})
        elif task:
            server.update({'status': {'powering-off': 'SHUTOFF'}.get(task, 'ACTIVE'), 'OS-EXT-STS:task_state': None})
            server['addresses'] = {'private': [
                {'addr': server['_address'], 'version': 4, 'OS-EXT-IPS:type': 'fixed'},
                {'addr': f'fd00::{server["_address"].split(".")[-1]}', 'version': 6}]}

    def gone(self, server):
        self.servers.remove(server)
        ports = [port['id'] for port in self.ports if port['device_id'] == server['id']]
        self.ports = [port for port in self.ports if port['id'] not in ports]
        for ip in self.floatingips:
            if ip['port_id'] in ports:
                ip['port_id'] = None
        for volume in self.volumes:
            if volume['id'] in server['_volumes']:
                volume['status'] = 'available'

    def get_compute_servers_id(self, ident, _body):
        server = self.one('servers', ident)
        self.look(server)
        return answer(200, {'server': self.shown(self.one('servers', ident))})

    def delete_compute_servers_id(self, ident, _body):
        server = self.one('servers', ident)
        if self.soft_delete:
            server.update({'status': 'SOFT_DELETED', 'OS-EXT-STS:task_state': None})
        else:
            self.delete(server)
        return answer(204)

    def delete(self, server):
        server.update({'OS-EXT-STS:task_state': 'deleting', '_looks': self.delete_polls})
        if not self.delete_polls:
            self.gone(server)

    def post_compute_servers_id_action(self, ident, body):
        server = self.one('servers', ident)
        ((action, argument),) = body.items()
        if (argument is not None) != (action == 'reboot'):
            raise Refused(400, f'{action}: {argument}')
        if action == 'forceDelete':
            if not self.force_delete:
                raise Refused(403, "Policy doesn't allow os_compute_api:os-deferred-delete:force to be performed.")
            self.delete(server)
            return answer(202)
        states, task = {'os-stop': (['ACTIVE'], 'powering-off'), 'os-start': (['SHUTOFF'], 'powering-on'),
                        'unpause': (['PAUSED'], 'unpausing'), 'resume': (['SUSPENDED'], 'resuming'),
                        'unshelve': (['SHELVED', 'SHELVED_OFFLOADED'], 'unshelving'),
                        'reboot': (['ACTIVE'], 'rebooting')}[action]
        if server['status'] not in states or server['OS-EXT-STS:task_state']:
            raise Refused(409, f"Cannot '{action}' instance while it is in vm_state {server['status']}")
        server.update({'OS-EXT-STS:task_state': task, '_looks': 1})
        return answer(202)

    def get_compute_servers_id_os_volume_attachments(self, ident, _body):
        volumes = self.one('servers', ident)['_volumes']
        return answer(200, {'volumeAttachments': [{'volumeId': v, 'device': '/dev/vdb'} for v in volumes]})

    def post_compute_servers_id_os_volume_attachments(self, ident, body):
        server, volume = self.one('servers', ident), self.one('volumes', body['volumeAttachment']['volumeId'])
        if volume['status'] != 'available':
            raise Refused(400, f"Invalid volume: status {volume['status']}")
        volume['status'] = 'in-use'
        server['_volumes'].append(volume['id'])
        return answer(200, {'volumeAttachment': {'volumeId': volume['id'], 'device': '/dev/vdb'}})

    # image, network, volume

    def get_image_images_id(self, ident, _body):
        return answer(200, self.one('images', ident))

    def get_network_networks_id(self, ident, _body):
        return answer(200, {'network': self.one('networks', ident)})

    def post_network_floatingips(self, _ident, body):
        number = next(self.numbers)
        ip = {'revision_number': 1, **body['floatingip'], 'id': f'fip-{number}',
              'floating_ip_address': f'203.0.113.{number}'}
        self.one('ports', ip['port_id'])
        return answer(201, {'floatingip': self.new('floatingips', ip)})

    def get_network_floatingips_id(self, ident, _body):
        return answer(200, {'floatingip': self.one('floatingips', ident)})

    def put_network_floatingips_id(self, ident, body):
        ip = self.one('floatingips', ident)
        if ip['port_id'] and body['floatingip']['port_id']:
            raise Refused(409, 'it is bound')
        ip.update(body['floatingip'])
        ip['revision_number'] += 1
        return answer(200, {'floatingip': ip})

    def delete_network_floatingips_id(self, ident, _body):
        self.floatingips.remove(self.one('floatingips', ident))
        return answer(204)

    def post_network_security_groups(self, _ident, body):
        group = {**body['security_group'], 'id': f'sg-{next(self.numbers)}'}
        return answer(201, {'security_group': self.new('security_groups', group)})

    def post_network_security_group_rules(self, _ident, body):
        if body['security_group_rule'] in self.rules:
            raise Refused(409, 'Security group rule already exists.')
        self.one('security_groups', body['security_group_rule']['security_group_id'])
        self.rules.append(body['security_group_rule'])
        return answer(201, {'security_group_rule': body['security_group_rule']})

    def delete_network_security_groups_id(self, ident, _body):
        group = self.one('security_groups', ident)
        if any({'name': ident} in server['_asked']['server'].get('security_groups', []) for server in self.servers):
            raise Refused(409, f'Security Group {ident} in use.')
        self.security_groups.remove(group)
        return answer(204)

    def post_volume_volumes(self, _ident, body):
        volume = {**body['volume'], 'id': f'volume-{next(self.numbers)}', 'status': 'creating', '_looks': 1}
        return answer(202, {'volume': self.shown(self.new('volumes', volume))})

    def get_volume_volumes_id(self, ident, _body):
        volume = self.one('volumes', ident)
        if volume['status'] == 'creating':
            volume['_looks'] -= 1
            volume['status'] = 'creating' if volume['_looks'] >= 0 else 'error' if self.volume_fault else 'available'
        return answer(200, {'volume': self.shown(volume)})

    def delete_volume_volumes_id(self, ident, _body):
        volume = self.one('volumes', ident)
        if volume['status'] == 'in-use':
            raise Refused(400, 'Invalid volume: Volume status must be available')
        if self.volume_deletion == 'refused':
            raise Refused(409, 'Invalid volume: it has dependent snapshots')
        if self.volume_deletion: # the status that it has then
            volume['status'] = self.volume_deletion
        else:
            self.volumes.remove(volume)
        return answer(202)
