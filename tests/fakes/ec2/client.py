"""A client that signs whatever it is told to send: for tests of the fake, and for a hand from outside."""

import http.client
import ssl
import time
import urllib.parse
from xml.etree import ElementTree

from . import model, sigv4
from .service import CONTENT_TYPE

PATIENCE = 20.0


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def xml(self):
        """Without the namespace."""
        root = ElementTree.fromstring(self.body)
        for element in root.iter():
            element.tag = element.tag.rpartition('}')[2]
        return root

    def text(self, path):
        return self.xml.findtext(path)

    def texts(self, tag):
        return [element.text for element in self.xml.iter(tag)]

    @property
    def code(self):
        return self.text('Errors/Error/Code') if self.status >= 300 else None

    def __repr__(self):
        return f'{self.status} {self.body.decode(errors="replace")[:500]}'


class Client:
    def __init__(self, ec2, credential=None, timeout=PATIENCE, context=None):
        self.ec2, self.credential, self.context = ec2, credential or ec2.credential, context
        self.connection = None
        self.connect(timeout)

    def connect(self, timeout=PATIENCE):
        """Anew, with patience for each read."""
        if self.connection:
            self.connection.close()
        address = self.ec2.server.address
        if self.ec2.server.scheme == 'https':
            self.connection = http.client.HTTPSConnection(
                address, timeout=timeout, context=self.context or ssl.create_default_context())
        else:
            self.connection = http.client.HTTPConnection(address, timeout=timeout)

    def close(self):
        self.connection.close()

    def __call__(self, action, params=(), **exact):
        """params: a dict, or pairs, by their names on the wire."""
        pairs = params.items() if isinstance(params, dict) else params
        pairs = [('Action', action), *pairs, ('Version', model.VERSION)]
        body = '&'.join(f'{sigv4.quote(name)}={sigv4.quote(value)}' for name, value in pairs)
        return self.send(body, **exact)

    def send(self, body, method='POST', target='/', headers=None, signed=None, region=None, service='ec2',
             when=None, secret=None, late_headers=()):
        """late_headers come after the signature, and may replace or repeat."""
        body = body.encode()
        date = time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(self.ec2.clock() if when is None else when))
        sent = {'host': self.ec2.server.address, 'content-type': CONTENT_TYPE, 'x-amz-date': date}
        if self.credential.token:
            sent['x-amz-security-token'] = self.credential.token
        sent.update(headers or {})
        sent = {name: value for name, value in sent.items() if value is not None}
        names, region = signed or sorted(sent), region or self.ec2.account.region
        path, _, query = target.partition('?')
        canonical = sigv4.canonical_request(method, path, urllib.parse.parse_qsl(query), sent, names, body)
        signature = sigv4.signature(secret or self.credential.secret, date, region, service, canonical)
        authorization = (f'{sigv4.ALGORITHM} Credential={self.credential.access}/{date[:8]}/{region}/{service}/'
                         f'aws4_request, SignedHeaders={";".join(names)}, Signature={signature}')
        late = list(late_headers)
        if not any(name.lower() == 'authorization' for name, _ in late):
            late.append(('authorization', authorization))
        return self.exchange(method, target, [*sent.items(), *late], body)

    def exchange(self, method, target, headers, body):
        self.connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            if value is not None:
                self.connection.putheader(name, value)
        self.connection.putheader('content-length', str(len(body)))
        try:
            self.connection.endheaders(body)
            answer = self.connection.getresponse()
            return Reply(answer.status, dict(answer.headers), answer.read())
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise
