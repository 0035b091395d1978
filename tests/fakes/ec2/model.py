"""The EC2 API as its model has it, which Amazon publishes with its clients: Debian's awscli or
python3-botocore. Reads form parameters strictly, and writes the XML of answers."""

import base64
import binascii
import datetime
import functools
import gzip
import json
import pathlib
import re
import urllib.parse
from xml.sax.saxutils import escape

VERSION = '2016-11-15'
NAMESPACE = f'http://ec2.amazonaws.com/doc/{VERSION}/'
PACKAGES = '/usr/lib/python3/dist-packages'
PLACES = [f'{PACKAGES}/{package}/data/ec2/{VERSION}/service-2.json{suffix}'
          for package in ('awscli/botocore', 'botocore') for suffix in ('', '.gz')]
PARAMETERS_MAX = 2000
# members that are newer than the model of Debian 12
NEWER = {'InstanceNetworkInterfaceSpecification': {'PrimaryIpv6': {'shape': 'Boolean'}}}
# outside of these a form's octets are escaped
PLAIN = re.compile(r'(?:[A-Za-z0-9._~+-]|%[0-9A-F]{2})*')


class Wrong(Exception):
    """A request that the model does not know. `code` is Amazon's word for it."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


@functools.lru_cache
def load():
    for place in map(pathlib.Path, PLACES):
        if place.exists():
            data = place.read_bytes()
            return Model(json.loads(gzip.decompress(data) if place.suffix == '.gz' else data))
    raise FileNotFoundError('no model of EC2: install the Debian package awscli')


def split_form(body):
    """The pairs of a form, each name once, no value empty, all of it properly escaped."""
    try:
        text = body.decode('ascii')
    except UnicodeDecodeError:
        raise Wrong('MalformedQueryString', 'the body is not ASCII') from None
    pairs = {}
    for part in text.split('&'):
        name, equals, value = part.partition('=')
        if not equals or not PLAIN.fullmatch(name) or not PLAIN.fullmatch(value):
            raise Wrong('MalformedQueryString', f'not NAME=VALUE with escapes: {part!r}')
        try:
            name, value = (urllib.parse.unquote_plus(word, errors='strict') for word in (name, value))
        except UnicodeDecodeError:
            raise Wrong('MalformedQueryString', f'not UTF-8: {part!r}') from None
        if name in pairs:
            raise Wrong('InvalidParameterValue', f'{name} is there twice')
        if not value:
            raise Wrong('MissingParameter', f'{name} is empty')
        pairs[name] = value
    if len(pairs) > PARAMETERS_MAX:
        raise Wrong('MalformedQueryString', f'{len(pairs)} parameters')
    return pairs


def tree(pairs):
    """A.1.B=x becomes {'A': {'1': {'B': 'x'}}}."""
    root = {}
    for name, value in pairs.items():
        at = root
        *above, last = name.split('.')
        for word in above:
            at = at.setdefault(word, {})
            if not isinstance(at, dict):
                raise Wrong('InvalidParameterValue', f'{name}: {word} has a value as well')
        if last in at:
            raise Wrong('InvalidParameterValue', f'{name} has parts as well')
        at[last] = value
    return root


def wire_name(member, name):
    """What a member is called in a form."""
    if 'queryName' in member:
        return member['queryName']
    name = member.get('locationName', name)
    return name[0].upper() + name[1:]


def timestamp(when):
    moment = datetime.datetime.fromtimestamp(when, datetime.timezone.utc)
    return moment.strftime('%Y-%m-%dT%H:%M:%S.') + f'{moment.microsecond // 1000:03d}Z'


def _boolean(text):
    return {'true': True, 'false': False}[text]


def _blob(text):
    return base64.b64decode(text, validate=True)


def _integer(text):
    if not re.fullmatch(r'-?\d{1,18}', text):
        raise ValueError
    return int(text)


READERS = {'string': str, 'boolean': _boolean, 'integer': _integer, 'long': _integer, 'double': float,
           'float': float, 'blob': _blob, 'timestamp': datetime.datetime.fromisoformat}
WRITERS = {'string': str, 'boolean': lambda value: 'true' if value else 'false', 'integer': '{:d}'.format,
           'long': '{:d}'.format, 'double': repr, 'float': repr, 'timestamp': timestamp,
           'blob': lambda value: base64.b64encode(value).decode()}


class Model:
    def __init__(self, data):
        self.shapes, self.operations = data['shapes'], data['operations']
        for shape, members in NEWER.items():
            self.shapes[shape]['members'] = {**members, **self.shapes[shape]['members']}
        # what is newer than the model: (shape, value)
        self.known = set()

    def parse(self, action, pairs):
        """The parameters of an action as nested lists and dicts, by the names of the model."""
        if action not in self.operations:
            raise Wrong('InvalidAction', f'The action {action} is not valid for this web service.')
        shape = self.operations[action].get('input', {}).get('shape')
        values = tree({name: value for name, value in pairs.items() if name not in ('Action', 'Version')})
        if shape is None:
            shape = {'type': 'structure', 'members': {}}
        return self._read(shape, values, action)

    def _shape(self, name):
        return self.shapes[name] if isinstance(name, str) else name

    def _read(self, name, value, where):
        shape = self._shape(name)
        kind = shape['type']
        if kind in ('structure', 'list') and not isinstance(value, dict):
            raise Wrong('InvalidParameterValue', f'{where} is a {kind}, not a value')
        if kind == 'structure':
            return self._read_structure(shape, value, where)
        if kind == 'list':
            return self._read_list(shape, value, where)
        if isinstance(value, dict):
            raise Wrong('UnknownParameter', f'{where}.{next(iter(value))} is not known')
        return self._read_scalar(name, shape, value, where)

    def _read_structure(self, shape, value, where):
        names = {wire_name(member, name): (name, member) for name, member in shape['members'].items()}
        if unknown := set(value) - set(names):
            raise Wrong('UnknownParameter', f'The parameter {sorted(unknown)[0]} is not recognized '
                        f'(in {where})')
        found = {}
        for wire, its_value in value.items():
            name, member = names[wire]
            found[name] = self._read(member['shape'], its_value, f'{where}.{wire}')
        for name in shape.get('required', ()):
            if name not in found:
                raise Wrong('MissingParameter', 'The request must contain the parameter '
                            f'{wire_name(shape["members"][name], name)} (in {where})')
        return found

    def _read_list(self, shape, value, where):
        if sorted(value, key=lambda n: (len(n), n)) != [str(n + 1) for n in range(len(value))]:
            raise Wrong('InvalidParameterValue', f'{where}: not numbered from 1 on: {list(value)}')
        self._bounds(shape, len(value), where)
        return [self._read(shape['member']['shape'], value[str(n + 1)], f'{where}.{n + 1}')
                for n in range(len(value))]

    def _read_scalar(self, name, shape, value, where):
        kind = shape['type']
        try:
            found = READERS[kind](value.replace('Z', '+00:00') if kind == 'timestamp' else value)
        except (ValueError, KeyError, binascii.Error):
            raise Wrong('InvalidParameterValue', f'{where} is no {kind}: {value!r}') from None
        if 'enum' in shape and value not in shape['enum'] and (name, value) not in self.known:
            raise Wrong('InvalidParameterValue', f'Value ({value}) for parameter {where} is invalid.')
        self._bounds(shape, len(found) if kind in ('string', 'blob') else found, where)
        return found

    @staticmethod
    def _bounds(shape, size, where):
        if 'min' in shape and size < shape['min'] or 'max' in shape and size > shape['max']:
            raise Wrong('InvalidParameterValue', f'{where}: {size} is not from {shape.get("min", "-")} to '
                        f'{shape.get("max", "-")}')

    def render(self, action, values, request_id):
        """The XML of an answer; `values` by the names of the model, which has to know them all."""
        shape = self.operations[action].get('output', {}).get('shape')
        if shape is None: # such answers have just this
            inner = '<return>true</return>'
        else:
            inner = self._write_structure(self._shape(shape), values, action)
        return (f'<?xml version="1.0" encoding="UTF-8"?>\n<{action}Response xmlns="{NAMESPACE}">'
                f'<requestId>{request_id}</requestId>{inner}</{action}Response>')

    def _write(self, name, value, where):
        shape = self._shape(name)
        if shape['type'] == 'structure':
            return self._write_structure(shape, value, where)
        if shape['type'] == 'list':
            item = shape['member'].get('locationName', 'item')
            return ''.join(f'<{item}>{self._write(shape["member"]["shape"], one, where)}</{item}>'
                           for one in value)
        if 'enum' in shape and value not in shape['enum'] and (name, value) not in self.known:
            raise ValueError(f'{where} cannot be {value!r}')
        return escape(WRITERS[shape['type']](value))

    def _write_structure(self, shape, value, where):
        if unknown := {name for name in value if not name.startswith('_')} - set(shape['members']):
            raise KeyError(f'{where} has no {sorted(unknown)}')
        text = ''
        for name, member in shape['members'].items():
            if value.get(name) is not None:
                tag = member.get('locationName', name)
                text += f'<{tag}>{self._write(member["shape"], value[name], f"{where}.{name}")}</{tag}>'
        return text


def error(code, message, request_id):
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
            f'<Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error></Errors>'
            f'<RequestID>{request_id}</RequestID></Response>')
