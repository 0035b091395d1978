"""Where an instance's role gets its keys: the metadata service, version 2, and that of containers."""

import json
import secrets
import time

from ..httpfake import Answer

TTL_MAX = 21600
TOKEN, TTL = 'X-aws-ec2-metadata-token', 'X-aws-ec2-metadata-token-ttl-seconds'
ROLES = '/latest/meta-data/iam/security-credentials/'


def expiration(when):
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(when))


def document(credential, clock, **more):
    return Answer(200, json.dumps({**more, 'AccessKeyId': credential.access,
                                   'SecretAccessKey': credential.secret, 'Token': credential.token,
                                   'Expiration': expiration(credential.expires or clock() + TTL_MAX)}),
                  [('Content-Type', 'application/json')])


class _Plain:
    """What is no EC2 endpoint answers in plain text."""

    def error(self, status, code, message):
        return Answer(status, f'{code}: {message}', [('Content-Type', 'text/plain')])

    def throttled(self):
        return self.error(503, 'Throttled', 'too many requests')


class Metadata(_Plain):
    """issue: gives the credential of the role, anew each time. Without a role it is None. A request of
    version 1 gets `refusal`, and is a violation."""

    def __init__(self, account, issue, role='docker-host', refusal=403):
        self.account, self.issue, self.role, self.refusal = account, issue, role, refusal
        self.code = 'Success'
        self.tokens = {}
        self.texts = {'/latest/meta-data/placement/region': account.region,
                      '/latest/meta-data/placement/availability-zone': account.zones[0],
                      '/latest/meta-data/instance-id': 'i-0123456789abcdef0'}

    def action(self, request):
        return f'{request.method} {request.path}'

    def handle(self, request):
        if request.header('X-Forwarded-For'):
            request.violation('a proxy was used')
            return self.error(403, 'Forbidden', 'proxy')
        if request.path == '/latest/api/token':
            return self.token(request)
        if request.method != 'GET':
            request.violation('not GET')
            return self.error(405, 'MethodNotAllowed', request.method)
        token = request.header(TOKEN)
        if token is None:
            request.violation('version 1 of the metadata service')
            return self.error(self.refusal, 'Unauthorized', 'a token is needed')
        if self.tokens.get(token, 0) <= self.account.clock():
            return self.error(401, 'Unauthorized', 'the token is not known, or expired')
        return self.read(request.path)

    def token(self, request):
        life = request.header(TTL, '')
        if request.method != 'PUT' or not life.isdecimal() or not 1 <= int(life) <= TTL_MAX or request.body:
            request.violation(f'a token is asked for with {request.method} and a life of {life!r}')
            return self.error(400, 'BadRequest', 'PUT, and a number of seconds')
        token = secrets.token_urlsafe(40)
        self.tokens[token] = self.account.clock() + int(life)
        return Answer(200, token, [('Content-Type', 'text/plain'), (TTL, life)])

    def read(self, path):
        if path in self.texts:
            return Answer(200, self.texts[path], [('Content-Type', 'text/plain')])
        if self.role and path in (ROLES, ROLES.rstrip('/')):
            return Answer(200, self.role, [('Content-Type', 'text/plain')])
        if self.role and path == ROLES + self.role:
            return document(self.issue(), self.account.clock, Code=self.code, Type='AWS-HMAC',
                            LastUpdated=expiration(self.account.clock()))
        return self.error(404, 'NotFound', path)


class Container(_Plain):
    """authorization: what the header has to be; None: there must be none."""

    PATH = '/v2/credentials/4cf1-docker-host'

    def __init__(self, account, issue, authorization=None):
        self.account, self.issue, self.authorization = account, issue, authorization

    def action(self, request):
        return f'{request.method} {request.path}'

    def handle(self, request):
        if request.method != 'GET' or request.path != self.PATH:
            request.violation('not GET of the path in the environment')
            return self.error(404, 'NotFound', request.path)
        if request.header('Authorization') != self.authorization:
            request.violation('Authorization is not as the environment has it')
            return self.error(401, 'Unauthorized', 'Authorization')
        return document(self.issue(), self.account.clock,
                        RoleArn='arn:aws:iam::123456789012:role/docker-host')
