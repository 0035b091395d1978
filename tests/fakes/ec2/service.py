"""The EC2 endpoint: checks a request to the last octet, then lets the account do it."""

import base64
import contextlib
import uuid

from ..httpfake import Answer
from . import contract, launch, lifecycle, model, network, sigv4, things
from .state import Failure

FORM = 'application/x-www-form-urlencoded'
CONTENT_TYPE = f'{FORM}; charset=utf-8'
OPERATIONS = {**network.OPERATIONS, **things.OPERATIONS, **launch.OPERATIONS, **lifecycle.OPERATIONS}
READING = ('Describe',)


class Credential:
    """A key that the endpoint takes. expires: seconds since 1970."""

    def __init__(self, access, secret, token=None, expires=None):
        self.access, self.secret, self.token, self.expires = access, secret, token, expires


def plain_texts(form):
    """The values of a form, and what is within base64."""
    yield from form.values()
    for value in form.values():
        with contextlib.suppress(ValueError):
            yield base64.b64decode(value, validate=True).decode('latin-1')


class Service:
    """strict: hold clients to contract.py as well, and to a charset."""

    def __init__(self, account, regions=None, strict=True):
        self.account, self.strict = account, strict
        self.regions = regions or (account.region,)
        self.credentials = {}
        self.model = model.load()
        self.hosts = set()

    def add(self, credential):
        self.credentials[credential.access] = credential
        return credential

    # for httpfake

    def action(self, request):
        request.problem, request.form = None, {}
        try:
            self.check_http(request)
            request.form = model.split_form(request.body)
            request.action = request.form.get('Action')
            self.check_form(request)
        except sigv4.Refused as refused:
            request.problem = self.refuse(request, refused, refused.fault)
        except model.Wrong as wrong:
            request.problem = self.refuse(request, wrong, True, 400)
        return request.form.get('Action', '?')

    def handle(self, request):
        return request.problem or self.apply(request, request.form['Action'])

    def error(self, status, code, message):
        return Answer(status, model.error(code, message, self.request_id()), self.headers())

    def throttled(self):
        return self.error(503, 'RequestLimitExceeded', 'Request limit exceeded.')

    # in detail

    @staticmethod
    def request_id():
        return str(uuid.uuid4())

    @staticmethod
    def headers():
        return [('Content-Type', 'text/xml;charset=UTF-8'), ('Cache-Control', 'no-cache, no-store')]

    def refuse(self, request, why, fault, status=None):
        if fault:
            request.violation(f'{why.code}: {why.message}')
        return self.error(status or why.status, why.code, why.message)

    def check_http(self, request):
        wanted = {'method': (request.method, 'POST'), 'path': (request.target, '/'),
                  'Content-Type': (request.header('Content-Type'), CONTENT_TYPE)}
        if not self.strict and request.header('Content-Type') == FORM: # a form of any other charset is not taken
            del wanted['Content-Type']
        for name, (got, right) in wanted.items():
            if got != right:
                raise model.Wrong('MalformedQueryString', f'the {name} is {got!r} rather than {right!r}')
        if repeated := request.repeated_headers():
            raise model.Wrong('MalformedQueryString', f'headers are repeated: {repeated}')
        if self.hosts and request.header('Host') not in self.hosts:
            raise model.Wrong('MalformedQueryString', f'the Host is {request.header("Host")!r}')
        request.credential = sigv4.verify(request, self.credentials, self.regions, 'ec2', self.account.clock())

    def check_form(self, request):
        form = request.form
        if form.get('Version') != model.VERSION:
            raise model.Wrong('NoSuchVersion', f'the Version is {form.get("Version")!r}')
        action = form.get('Action')
        if not action:
            raise model.Wrong('MissingAction', 'The request must contain the parameter Action')
        request.params = self.model.parse(action, form)
        if any(one.secret in text for one in self.credentials.values() for text in plain_texts(form)):
            raise model.Wrong('InvalidParameterValue', 'a secret key is among the parameters')
        if action not in OPERATIONS:
            raise model.Wrong('UnsupportedOperation', f'{action} is not played here')
        if self.strict and (wrong := contract.wrong(self.account, action, request.params)):
            raise model.Wrong('InvalidParameterValue', '; '.join(wrong))

    def apply(self, request, action):
        params = {name: value for name, value in request.params.items() if name != 'DryRun'}
        try:
            if action in self.account.denied:
                raise Failure('UnauthorizedOperation', 'You are not authorized to perform this operation.', 403)
            if request.params.get('DryRun'):
                raise Failure('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412)
            values = OPERATIONS[action](self.account, params)
            return Answer(200, self.model.render(action, values, self.request_id()), self.headers())
        except Failure as failure:
            return self.error(failure.status, failure.code, failure.message)
