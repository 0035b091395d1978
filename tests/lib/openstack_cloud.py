"""A real OpenStack on a loopback of its own: keystone, glance, placement, neutron, cinder, and nova with its fake
hypervisor, from Debian 12's packages.

    with openstack_cloud.Cloud(folder) as cloud:
        cloud.auth_url, cloud.region            # http://127.0.0.1:5000/v3, in the cloud's namespace
        cloud.admin, cloud.user, cloud.guest    # dicts: username, password, project, domain(s), ids
        cloud.application_credential            # dict: id, name, secret
        cloud.flavors, cloud.images             # name: id; two images are called "twice"; flavor "impossible" ends in ERROR
        cloud.networks, cloud.pool              # name: {id, subnets}; "lonely" has no router, "dual" IPv6, too
        cloud.environment('password')           # OS_… variables; also 'application credential', 'token', 'guest'
        cloud.prefix                            # words that run a command in the cloud's network
        cloud.api()                             # calls as a user (default: admin)
        cloud.client('server', 'list')          # the openstack client's answer
        cloud.addresses(server)                 # {'fixed': [...], 'floating': [...]}
        cloud.set_quota('compute', instances=1)
        cloud.revoke_tokens()                   # those of the user: the next call with one gets 401
        cloud.leaks()                           # what is there beyond the beginning

A server is ACTIVE as soon as nova has made it up; nothing runs in it. Its addresses are of 127.66.0.0/24 ("private"), floating ones of
127.77.0.0/24: all of 127.0.0.0/8, and fd66::/64, are local in the cloud's namespace, so an sshd started with `prefix` may
answer for any of them, on any port. Lists have pages of three. Neutron's over-quota is 409, nova's 403, cinder's 413.
"""

import ctypes
import http.client
import json
import os
import pathlib
import socket
import subprocess
import threading
import time
import urllib.parse

from cloud_base import ENVIRONMENT, CloudBase

START_SECONDS = 600
CALL_SECONDS = 300
CLIENT_SECONDS = 300
MOST_PAGES = 100
CLONE_NEWNET = 0x40000000
# kind: service, path that lists it for all projects
WATCHED = {
    'servers': ('compute', '/v2.1/servers?all_tenants=1'),
    'server_groups': ('compute', '/v2.1/os-server-groups?all_projects=1'),
    'ports': ('network', '/v2.0/ports'),
    'floatingips': ('network', '/v2.0/floatingips'),
    'security_groups': ('network', '/v2.0/security-groups'),
    'volumes': ('volume', '/v3/{project_id}/volumes?all_tenants=1'),
}
KEYPAIRS = '/v2.1/os-keypairs?user_id={user_id}'
KEYPAIRS_OF_OTHERS = 'compute 2.10' # the first version that lists them


def socket_in(namespace, address, timeout):
    """A connection from another network namespace. A thread enters it, and ends; the socket stays there."""
    made, libc = [], ctypes.CDLL(None, use_errno=True)

    def enter_and_connect():
        try:
            with open(namespace, 'rb') as handle:
                if libc.setns(handle.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f'setns {namespace}')
            made.append(socket.create_connection(address, timeout))
        except OSError as error:
            made.append(error)
    thread = threading.Thread(target=enter_and_connect)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.text = response.status, response.headers, response.read().decode(errors='replace')

    @property
    def body(self):
        return json.loads(self.text)

    def __repr__(self):
        return f'{self.status} {self.text[:2000]}'


class Api:
    """One account's calls. A token is fetched when it is first needed, and is not renewed."""

    def __init__(self, cloud, account):
        self.cloud, self.account = cloud, account
        self._token = None

    def call(self, service, path, body=None, method=None, headers=()):
        """One request, whatever it is answered."""
        port = self.cloud.ports[service]
        connection = http.client.HTTPConnection('127.0.0.1', port)
        connection.sock = socket_in(self.cloud.network_namespace, ('127.0.0.1', port), CALL_SECONDS)
        sent = {'Accept': 'application/json', **dict(headers)}
        if body is not None:
            sent['Content-Type'] = 'application/json'
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method or ('GET' if body is None else 'POST'), path, data, sent)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def login(self, identity=None, scoped=True):
        """Asks for a token; `identity` as keystone's API has it, default: by password."""
        auth = {'identity': identity or self._by_password()}
        if scoped:
            auth['scope'] = {'project': {'id': self.account['project_id']}}
        return self.call('identity', '/v3/auth/tokens', {'auth': auth})

    def _by_password(self):
        user = {'id': self.account['user_id'], 'password': self.account['password']} if 'user_id' in self.account else {
            'name': self.account['username'], 'password': self.account['password'], 'domain': {'id': 'default'}}
        return {'methods': ['password'], 'password': {'user': user}}

    @property
    def token(self):
        if not self._token:
            answer = self.login()
            assert answer.status == 201, answer
            self._token = answer.headers['X-Subject-Token']
        return self._token

    def ask(self, service, path, body=None, method=None, headers=()):
        """A request with a token, whatever it is answered."""
        path = path.format(project_id=self.account['project_id'])
        return self.call(service, path, body, method, [('X-Auth-Token', self.token), *headers])

    def ok(self, service, path, body=None, method=None, headers=()):
        """A request that must be answered well; gives the body."""
        answer = self.ask(service, path, body, method, headers)
        assert 200 <= answer.status < 300, (path, answer)
        return json.loads(answer.text) if answer.text else None

    def all(self, service, path, kind, headers=()):
        """The rows of all pages."""
        rows = []
        for _ in range(MOST_PAGES):
            body = self.ok(service, path, headers=headers)
            rows += body[kind]
            path = next((link['href'] for link in body.get(f'{kind}_links', []) if link['rel'] == 'next'), body.get('next'))
            if not path:
                return rows
            parts = urllib.parse.urlsplit(path)
            path = f'{parts.path}?{parts.query}'
        raise AssertionError(f'{kind}: more than {MOST_PAGES} pages')


class Cloud:
    def __init__(self, folder):
        if os.geteuid() != 0:
            raise PermissionError('the cloud needs root: use sudo')
        self.base = CloudBase()
        facts = self.base.facts
        self.auth_url, self.region, self.ports = facts['auth_url'], facts['region'], facts['ports']
        self.admin, self.user, self.guest = facts['admin'], facts['user'], facts['guest']
        self.application_credential = facts['application_credential']
        self.flavors, self.images = facts['flavors'], facts['images']
        self.networks, self.pool = facts['networks'], facts['pool']
        self.sandbox = self._admin = None
        try:
            self.sandbox = self.base.sandbox(pathlib.Path(folder))
            self.start_seconds = self.sandbox.answer(START_SECONDS)['seconds']
            self._beginning = self._present()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the cloud and all that runs in it; what started with `prefix` ends by whoever started it."""
        if self.sandbox:
            self.sandbox.close()
            self.sandbox = None
        self.base.close()

    @property
    def pid(self):
        """The first process of the cloud's namespaces."""
        return self.sandbox.first

    @property
    def network_namespace(self):
        return f'/proc/{self.pid}/ns/net'

    @property
    def prefix(self):
        return 'nsenter', '-t', str(self.pid), '--net', '--'

    def environment(self, way='password'):
        """What `openrc` files set."""
        common = {'OS_AUTH_URL': self.auth_url, 'OS_REGION_NAME': self.region, 'OS_IDENTITY_API_VERSION': '3'}
        if way == 'application credential':
            return {**common, 'OS_AUTH_TYPE': 'v3applicationcredential',
                    'OS_APPLICATION_CREDENTIAL_ID': self.application_credential['id'],
                    'OS_APPLICATION_CREDENTIAL_SECRET': self.application_credential['secret']}
        if way == 'token':
            return {**common, 'OS_AUTH_TYPE': 'token', 'OS_TOKEN': self.api(self.user).token,
                    'OS_PROJECT_ID': self.user['project_id']}
        who = {'password': self.user, 'guest': self.guest, 'admin': self.admin}[way]
        domain = who.get('domain')
        return {**common, 'OS_USERNAME': who['username'], 'OS_PASSWORD': who['password'],
                'OS_PROJECT_NAME': who['project'], 'OS_USER_DOMAIN_NAME': who.get('user_domain', domain),
                'OS_PROJECT_DOMAIN_NAME': who.get('project_domain', domain)}

    def api(self, account=None):
        if account:
            return Api(self, account)
        if not self._admin:
            self._admin = Api(self, self.admin)
        return self._admin

    def run_client(self, *words, way='password', stdin='', check=True):
        """Runs Debian's openstack client beside the services."""
        done = subprocess.run(
            ['nsenter', '-t', str(self.pid), '--net', '--mount', '--pid', '--root', '--wd', '--', 'openstack', *words],
            env={**ENVIRONMENT, **self.environment(way)}, input=stdin, capture_output=True, text=True,
            timeout=CLIENT_SECONDS, check=False)
        if check and done.returncode:
            raise AssertionError(f'openstack {" ".join(words)}: status {done.returncode}\n{done.stdout}{done.stderr}')
        return done

    def client(self, *words, way='password'):
        """The client's answer, from JSON."""
        return json.loads(self.run_client(*words, '-f', 'json', way=way).stdout)

    def addresses(self, server):
        """A server's addresses by type, in the order of its networks."""
        shown = self.api().ok('compute', f'/v2.1/servers/{server}')['server']['addresses']
        found = {'fixed': [], 'floating': []}
        for rows in shown.values():
            for row in rows:
                found[row['OS-EXT-IPS:type']].append(row['addr'])
        return found

    def set_quota(self, service, account=None, **limits):
        """Limits of a project; -1 is none. Returns those before, to be set again."""
        path, kind = {'compute': ('/v2.1/os-quota-sets/', 'quota_set'), 'network': ('/v2.0/quotas/', 'quota'),
                      'volume': ('/v3/{project_id}/os-quota-sets/', 'quota_set')}[service]
        path += (account or self.user)['project_id']
        before = self.api().ok(service, path)[kind]
        self.api().ok(service, path, {kind: limits}, 'PUT')
        return {name: before[name] for name in limits}

    def revoke_tokens(self, account=None):
        """Disabling a user ends all tokens of it; the user is enabled again. Then so do those of the rest of the second."""
        who = account or self.user
        self.api().ok('identity', f'/v3/users/{who["user_id"]}', {'user': {'enabled': False}}, 'PATCH')
        self.api().ok('identity', f'/v3/users/{who["user_id"]}', {'user': {'enabled': True}}, 'PATCH')
        end = time.monotonic() + CALL_SECONDS
        while self.api(who).ask('compute', '/v2.1/servers').status != 200:
            assert time.monotonic() < end, 'no token of the user is good any more'
            time.sleep(0.1)

    def _present(self):
        """Every resource: {(kind, id): name}."""
        found, api = {}, self.api()
        for kind, (service, path) in WATCHED.items():
            for row in api.all(service, path, kind):
                if kind != 'security_groups' or row['name'] != 'default': # each project has one from its first look
                    found[kind, row['id']] = row.get('name') or row.get('floating_ip_address')
        for who in self.user, self.guest:
            path = KEYPAIRS.format(user_id=who['user_id'])
            for row in api.all('compute', path, 'keypairs', [('OpenStack-API-Version', KEYPAIRS_OF_OTHERS)]):
                found['keypairs', f'{who["username"]} {row["keypair"]["name"]}'] = row['keypair']['name']
        return found

    def leaks(self, seconds=120):
        """What is there beyond the beginning, after waiting for what is being deleted: ['servers NAME ID', …]."""
        end = time.monotonic() + seconds
        while True:
            left = {key: name for key, name in self._present().items() if key not in self._beginning}
            if not left or time.monotonic() > end:
                return sorted(f'{kind} {name} {number}' for (kind, number), name in left.items())
            time.sleep(0.2)
