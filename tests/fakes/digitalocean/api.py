"""DigitalOcean's API v2 as the service of an HttpFake: checks each request, does it, checks the answer.

A violation begins with the name of its rule, of RULES. `allow` is a set of such names, with their ends: what a
client of others does differently, and the real service takes.
"""

import collections
import json
import time
import urllib.parse

from ..httpfake import ANSWERED, Answer, Fault, Hangup
from . import spec
from .account import Refused, seconds_up

IDS = {400: 'bad_request', 401: 'unauthorized', 403: 'forbidden', 404: 'not_found', 405: 'method_not_allowed',
       415: 'unsupported_media_type', 422: 'unprocessable_entity', 429: 'too_many_requests',
       500: 'server_error', 502: 'bad_gateway', 503: 'service_unavailable', 504: 'gateway_timeout'}
PREFIX = '/v2/'
# those with a colon go on with the name of a parameter, a JSON pointer, or a field
RULES = {
    'headers': 'none is repeated',
    'authorization': '"Bearer" and the token, exactly',
    'accept': 'application/json',
    'host': 'the address that the fake has',
    'token-leak': 'the token is in Authorization alone',
    'path': 'is one of the API, and begins with /v2/',
    'slash': 'does not end the path',
    'method': 'is one that the path has',
    'id': 'in a path was handed out',
    'query:': 'parameters of the operation, once each, as they have to be',
    'body': 'is there when the operation has one, and only then',
    'content-type': 'of a body is application/json',
    'json': 'is strict',
    'repeated-key': 'is in no object',
    'schema:': 'as in openapi.json',
    'deprecated:': 'fields are not sent',
    'public-key': 'is one line, and a good key',
    'fingerprint': 'is 16 pairs of lower-case hex digits',
    'ssh-keys': 'has one key, by the number that the client was told',
    'region': 'is there, and available',
    'size': 'is one of the region',
    'image': 'is there; ids are numbers',
    'vpc': 'is of that region',
    'user-data': 'is not too long',
    'want:': 'what the test says',
    'foreign': 'things are not deleted: those that the test made, not the client',
    'impatient': 'is who comes again before the time that a 429 told',
    'polling': 'a droplet is not done more often than polls_per_second',
    'answer': 'of the fake itself is as in openapi.json',
}
FINGERPRINT = spec.validator({'$ref': '#/components/schemas/fingerprint'})
HOUR, MINUTE, SECOND = 3600.0, 60.0, 1.0
KEYS_LISTED_PER_MINUTE = 10
RESET_WAIT_MAX = 300
# a client may have an answer a little before the server knows that it is sent
SLACK = 0.1


class Absent:
    """For `want`: the field must not be there."""


def answer(status, value=None, headers=()):
    body = b'' if value is None else json.dumps(value).encode()
    kind = [('Content-Type', 'application/json; charset=utf-8')] if body else []
    return Answer(status, body, [*kind, *headers])


class TooMany(Fault):
    """429 that says when to come again: `retry-after`, or only `ratelimit-reset`."""

    def __init__(self, retry_after=None, reset_after=None):
        self.retry_after, self.reset_after = retry_after, reset_after

    def before(self, _request, service):
        headers = [('ratelimit-limit', '5000'), ('ratelimit-remaining', '0')]
        if self.reset_after is not None:
            headers.append(('ratelimit-reset', str(seconds_up(self.reset_after))))
        if self.retry_after is not None:
            headers.append(('retry-after', str(self.retry_after)))
        return service.error(429, IDS[429], 'API rate limit exceeded.', headers)


class Late(Fault):
    """A droplet that is made after so many lists; who asked for it hears nothing."""

    def __init__(self, lists):
        self.lists = lists

    def before(self, request, service):
        service.account.add_droplet_late(request.params.body, self.lists)
        raise Hangup


class Paging:
    """Cuts a list as the request asks. most: however many are asked for, a page has no more."""

    def __init__(self, base, request, values, most=None):
        self.base, self.path, self.values = base, request.path, values
        self.size = min(values['per_page'], most or values['per_page'])

    def link(self, page):
        query = {**{name: value for name, value in self.values.items() if value is not None}, 'page': page}
        return self.base + self.path + '?' + urllib.parse.urlencode(query)

    def cut(self, name, things):
        page, last = self.values['page'], max(1, -(-len(things) // self.size))
        pages = {}
        if page > 1:
            pages.update(first=self.link(1), prev=self.link(page - 1))
        if page < last:
            pages.update(next=self.link(page + 1), last=self.link(last))
        first = (page - 1) * self.size
        return {name: things[first:first + self.size], 'links': {'pages': pages} if pages else {},
                'meta': {'total': len(things)}}


class Reading:
    """What a request says: operation, path's parameters, query, body; or the refusal."""

    def __init__(self):
        self.operation, self.path, self.query, self.body, self.refused = None, {}, {}, None, None


class Api:
    def __init__(self, account, operations, token, allow=()):
        """operations: the class that does things (operations.py)."""
        self.account, self.token, self.allow = account, token, set(allow)
        self.operations = operations(self)
        self.per_hour, self.per_minute = 5000, 250
        self.polls_per_second = None # of one droplet
        self.links = None # the base of links to further pages, when it is another than the request's
        self.pages = {'regions': 3} # the most that a page has
        self.want = {} # a field of POST droplets: its value, or Absent
        self.refused_some = False # with 429
        self.times, self.key_lists = collections.deque(), collections.deque()
        self.polls = collections.defaultdict(list)

    # what a HttpFake asks

    def action(self, request):
        reading = request.params = Reading()
        path, _, query = request.target.partition('?')
        operation, reading.path, methods = self.find(request, path)
        reading.operation = operation
        self.check_head(request)
        if not operation:
            status, rule = (405, 'method') if methods else (404, 'path')
            self.wrong(request, status, rule, f'{request.method} {path}')
            return f'{request.method} {path}'
        reading.query, problems = operation.read_query(query)
        for name, what in problems:
            self.wrong(request, 422, f'query:{name}', what)
        self.read_body(request, operation)
        if self.refused_some and not reading.refused:
            self.check_patience(request)
        return operation.name

    def handle(self, request):
        reading = request.params
        limited = self.limited(request)
        if limited:
            return limited
        if reading.refused:
            return self.error(reading.refused[0], None, reading.refused[1])
        try:
            status, value = self.operations.do(request)
        except Refused as refused:
            if refused.rule:
                self.note(request, refused.rule, refused.message)
            status, value = refused.status, self.error_body(refused.status, None, refused.message)
        for pointer, what in reading.operation.answer_problems(status, value):
            self.note(request, 'answer', f'{pointer} {what} in the answer {status}')
        return answer(status, value, self.rate_headers())

    @staticmethod
    def error_body(status, code, message):
        return {'id': code or IDS.get(status, 'error'), 'message': message,
                'request_id': '4851a473-1621-42ea-b2f9-5071c0ea8414'}

    def error(self, status, code, message='by order of the test', headers=()):
        self.refused_some = self.refused_some or status == 429
        return answer(status, self.error_body(status, code, message), headers)

    def throttled(self):
        return TooMany(retry_after=1).before(None, self)

    # checks

    def note(self, request, rule, what):
        """Notes a violation, unless it is allowed."""
        if ''.join(rule.partition(':')[:2]) not in RULES:
            raise ValueError(rule)
        if rule in self.allow:
            return False
        request.violation(f'{rule}: {what}')
        return True

    def wrong(self, request, status, rule, what):
        """Notes a violation, and refuses unless something else did before."""
        if self.note(request, rule, what):
            request.params.refused = request.params.refused or (status, f'{rule}: {what}')

    def find(self, request, path):
        if not path.startswith(PREFIX):
            return None, {}, []
        path = path.removeprefix(PREFIX)
        if path.endswith('/'):
            self.wrong(request, 404, 'slash', 'a slash at the end of the path')
            path = path.removesuffix('/')
        if '//' in path or path.endswith('/') or path.startswith('/'):
            return None, {}, []
        return spec.find(request.method, path)

    def check_head(self, request):
        for name in request.repeated_headers():
            self.wrong(request, 400, 'headers', f'{name} twice')
        if request.header('Authorization') != f'Bearer {self.token}':
            self.wrong(request, 401, 'authorization', 'not "Bearer" and the token')
        if request.header('Accept') != spec.JSON:
            self.wrong(request, 406, 'accept', f'Accept is {request.header("Accept")}')
        if request.header('Host') != request.fake.address:
            self.wrong(request, 400, 'host', f'Host is {request.header("Host")}')
        others = [request.target.encode(), request.body]
        others += [value.encode() for name, value in request.headers if name.lower() != 'authorization']
        if any(self.token.encode() in other for other in others):
            self.wrong(request, 400, 'token-leak', 'the token is elsewhere than in Authorization')

    def read_body(self, request, operation):
        if not operation.schema:
            if request.body:
                self.wrong(request, 400, 'body', f'{operation.name} has a body')
            return
        if not request.body:
            self.wrong(request, 400, 'body', f'{operation.name} without a body')
            return
        kind = request.header('Content-Type', '').replace(' ', '').lower()
        if kind not in (spec.JSON, f'{spec.JSON};charset=utf-8'):
            self.wrong(request, 415, 'content-type', f'Content-Type is {kind}')
        try:
            body = spec.read_json(request.body,
                                  lambda keys: self.wrong(request, 400, 'repeated-key', f'a key twice: {keys}'))
        except spec.NotJson as err:
            self.wrong(request, 400, 'json', str(err))
            return
        problems = [(f'schema:{pointer}', what) for pointer, what in operation.body_problems(body)]
        if isinstance(body, dict):
            problems += [(f'deprecated:/{name}', 'deprecated') for name in operation.deprecated(body)]
        for rule, what in problems:
            self.wrong(request, 422, rule, what)
        request.params.body = body

    def check_patience(self, request):
        """The same request as before, whose answer told when to come again."""
        def words(one):
            return one.method, one.target, one.body

        before = next((other for other in reversed(list(request.fake.log.requests))
                       if other is not request and words(other) == words(request)), None)
        if not before or before.status != 429:
            return
        told = {name.lower(): value for name, value in before.answer.headers}
        if 'retry-after' in told:
            early = before.moments.get(ANSWERED, request.time) + int(told['retry-after']) - request.time
        elif 'ratelimit-reset' in told:
            early = min(int(told['ratelimit-reset']), before.wall + RESET_WAIT_MAX) - request.wall
        else:
            return
        if early > SLACK:
            self.note(request, 'impatient', f'{early:.1f} s too early')

    # limits

    @staticmethod
    def recent(times, span):
        """Notes one more, and says how many there were."""
        now = time.monotonic()
        while times and times[0] < now - span:
            times.popleft()
        times.append(now)
        return len(times)

    def rate_headers(self):
        return [('ratelimit-limit', str(self.per_hour)),
                ('ratelimit-remaining', str(max(0, self.per_hour - len(self.times)))),
                ('ratelimit-reset', str(seconds_up(HOUR)))]

    def limited(self, request):
        hour = self.recent(self.times, HOUR)
        minute = sum(at > time.monotonic() - MINUTE for at in self.times)
        listed = 0
        if request.action == 'list_keys':
            listed = self.recent(self.key_lists, MINUTE)
        if hour > self.per_hour:
            return TooMany(reset_after=self.times[0] + HOUR - time.monotonic()).before(request, self)
        if minute > self.per_minute or listed > KEYS_LISTED_PER_MINUTE:
            return TooMany(retry_after=int(MINUTE)).before(request, self)
        return None

    def note_poll(self, request, droplet):
        times = self.polls[droplet.id]
        times.append(request.time)
        recent = sum(at > request.time - SECOND for at in times)
        if self.polls_per_second and recent > self.polls_per_second:
            self.note(request, 'polling', f'{recent} polls of a droplet within a second')

    def busiest_second(self, droplet_id):
        times = self.polls[droplet_id]
        return max((sum(at <= other < at + SECOND for other in times) for at in times), default=0)
