"""Amazon's Signature Version 4: what a request's signature has to be, and whether it is."""

import calendar
import hashlib
import hmac
import re
import time
import urllib.parse

ALGORITHM = 'AWS4-HMAC-SHA256'
SKEW_MAX = 5 * 60
UNRESERVED = '-_.~'
AUTHORIZATION = re.compile(
    ALGORITHM + r' Credential=([^/, ]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request, ?'
    r'SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})')


class Refused(Exception):
    """Why a signature is not taken: an HTTP status, a code, a text. `fault`: the client's code is wrong,
    not its credentials or clock."""

    def __init__(self, status, code, message, fault=True):
        super().__init__(message)
        self.status, self.code, self.message, self.fault = status, code, message, fault


def quote(text, safe=''):
    return urllib.parse.quote(text, safe=safe + UNRESERVED)


def hexdigest(data):
    return hashlib.sha256(data).hexdigest()


def canonical_query(pairs):
    return '&'.join(f'{name}={value}' for name, value in sorted((quote(n), quote(v)) for n, v in pairs))


def canonical_request(method, path, query, headers, signed, body):
    """query: pairs; headers: names in lower case and values; signed: names, sorted."""
    lines = [f'{name}:{re.sub(" +", " ", headers[name].strip())}\n' for name in signed]
    return '\n'.join([method, quote(urllib.parse.unquote(path), '/'), canonical_query(query),
                      ''.join(lines), ';'.join(signed), hexdigest(body)])


def string_to_sign(date, scope, canonical):
    return '\n'.join([ALGORITHM, date, scope, hexdigest(canonical.encode())])


def signing_key(secret, day, region, service):
    key = ('AWS4' + secret).encode()
    for part in day, region, service, 'aws4_request':
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def signature(secret, date, region, service, canonical):
    scope = f'{date[:8]}/{region}/{service}/aws4_request'
    return hmac.new(signing_key(secret, date[:8], region, service),
                    string_to_sign(date, scope, canonical).encode(), hashlib.sha256).hexdigest()


def seconds(date):
    try:
        return calendar.timegm(time.strptime(date, '%Y%m%dT%H%M%SZ'))
    except ValueError:
        raise Refused(400, 'IncompleteSignature', f'X-Amz-Date is no date: {date!r}') from None


def check_signed(signed, headers):
    """Host, what Amazon defines and the kind of content have to be signed, if they are there."""
    if signed != sorted(set(signed)):
        raise Refused(400, 'IncompleteSignature', f'SignedHeaders are not sorted: {signed}')
    wanted = {'host', 'x-amz-date'} | {
        name for name in headers if name.startswith('x-amz-') or name == 'content-type'}
    if missing := wanted - set(signed):
        raise Refused(403, 'SignatureDoesNotMatch', f'not signed: {sorted(missing)}')
    if absent := set(signed) - set(headers):
        raise Refused(403, 'SignatureDoesNotMatch', f'signed, but not sent: {sorted(absent)}')


def check_credential(credential, key, headers, now):
    if credential is None:
        raise Refused(401, 'AuthFailure', 'AWS was not able to validate the provided access credentials '
                      f'(no such access key: {key})', fault=False)
    token = headers.get('x-amz-security-token')
    if token != credential.token:
        raise Refused(401, 'AuthFailure', 'AWS was not able to validate the provided access credentials '
                      f'(session token {"missing" if token is None else "wrong"})')
    if credential.expires is not None and now >= credential.expires:
        raise Refused(400, 'ExpiredToken', 'The security token included in the request is expired',
                      fault=False)


def verify(request, credentials, region, service, now):
    """Gives the credential that signed. request: as in httpfake; credentials: by access key."""
    headers = {name.lower(): value for name, value in request.headers}
    text = headers.get('authorization')
    if text is None:
        raise Refused(400, 'MissingParameter', 'The request must contain the parameter AWSAccessKeyId')
    parts = AUTHORIZATION.fullmatch(text)
    if not parts:
        raise Refused(400, 'IncompleteSignature', 'Authorization is not as Signature Version 4 wants it')
    key, day, its_region, its_service, signed, given = parts.groups()
    signed = signed.split(';')
    date = headers.get('x-amz-date', '')
    when = seconds(date)
    check_signed(signed, headers)
    credential = credentials.get(key)
    check_credential(credential, key, headers, now)
    if (day, its_service) != (date[:8], service) or its_region not in region:
        raise Refused(403, 'SignatureDoesNotMatch',
                      f'Credential should be scoped to {date[:8]}, {" or ".join(region)}, {service}: '
                      f'{day}, {its_region}, {its_service}')
    query = urllib.parse.parse_qsl(request.query, keep_blank_values=True)
    canonical = canonical_request(request.method, request.path, query, headers, signed, request.body)
    if not hmac.compare_digest(given, signature(credential.secret, date, its_region, service, canonical)):
        raise Refused(403, 'SignatureDoesNotMatch',
                      'The request signature we calculated does not match the signature you provided')
    if abs(now - when) > SKEW_MAX:
        raise Refused(400, 'RequestExpired', f'Request has expired: it is {now - when:.0f} s off',
                      fault=False)
    return credential
