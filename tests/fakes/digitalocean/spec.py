"""What openapi.json says of a request and of an answer."""

import json
import pathlib
import urllib.parse

import jsonschema

DOCUMENT = json.loads(pathlib.Path(__file__).with_name('openapi.json').read_text(encoding='utf-8'))
JSON = 'application/json'
METHODS = ('get', 'post', 'put', 'patch', 'delete')


def resolved(thing):
    while '$ref' in thing:
        found = DOCUMENT
        for part in thing['$ref'].removeprefix('#/').split('/'):
            found = found[part]
        thing = found
    return thing


def validator(schema):
    """The components come along, for the references."""
    return jsonschema.Draft202012Validator({**schema, 'components': DOCUMENT['components']})


ERROR = validator({'$ref': '#/components/schemas/error'})


class NotJson(ValueError):
    pass


def read_json(data, on_repeated):
    """As strict as can be: one value of UTF-8, no number but integers (none of the subset's requests has
    others). on_repeated is told of keys that are there twice."""
    def unique(pairs):
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            on_repeated(keys)
        return dict(pairs)

    def number(text):
        raise NotJson(f'{text} is no integer')

    try:
        return json.loads(data.decode(), object_pairs_hook=unique, parse_float=number, parse_constant=number)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as err:
        raise NotJson(str(err)) from err


def leaves(error):
    """Of an `oneOf` that fails, the error itself: its branches say what it is not."""
    pointer = ''.join(f'/{part}' for part in error.absolute_path)
    if error.validator == 'additionalProperties':
        known = set(error.schema.get('properties', {}))
        for name in sorted(set(error.instance) - known):
            yield f'{pointer}/{name}', 'unknown field'
    elif error.validator == 'required':
        for name in error.validator_value:
            if name not in error.instance:
                yield f'{pointer}/{name}', 'missing'
    else:
        yield pointer or '/', f'{error.validator}: {error.validator_value}'


def problems(check, value):
    """Pairs of a JSON pointer and what is wrong there; values are not told, they may be secret."""
    found = []
    for error in check.iter_errors(value):
        found += [leaf for leaf in leaves(error) if leaf not in found]
    return found


class Operation:
    def __init__(self, method, template, described):
        self.name, self.method, self.template = described['operationId'], method.upper(), template
        self.parts = template.strip('/').split('/')
        self.query = {one['name']: resolved(one['schema']) for one in
                      map(resolved, described.get('parameters', []))}
        self.query_checks = {name: validator(schema) for name, schema in self.query.items()}
        body = described.get('requestBody')
        self.schema = resolved(body['content'][JSON]['schema']) if body else None
        self.check = validator(self.schema) if body else None
        self.answers = {int(status): validator(answer['content'][JSON]['schema']) if answer else None
                        for status, answer in described['responses'].items()}

    def match(self, parts):
        """The path's parameters, or None."""
        if len(parts) != len(self.parts):
            return None
        found = {}
        for part, wanted in zip(parts, self.parts):
            if wanted.startswith('{'):
                found[wanted[1:-1]] = urllib.parse.unquote(part)
            elif part != wanted:
                return None
        return found if all(found.values()) else None

    def read_query(self, text):
        """The parameters with their defaults; problems."""
        values = {name: schema.get('default') for name, schema in self.query.items()}
        found, seen = [], set()
        for pair in filter(None, text.split('&')):
            name, equals, value = pair.partition('=')
            name, value = urllib.parse.unquote_plus(name), urllib.parse.unquote_plus(value)
            schema = self.query.get(name)
            if schema is None or not equals or name in seen:
                found.append((name, 'unknown, repeated, or without a value'))
                continue
            seen.add(name)
            if schema.get('type') == 'integer':
                value = int(value) if value.isdecimal() and value.isascii() else value
            if problems(self.query_checks[name], value):
                found.append((name, f'not as it has to be: {schema}'))
            else:
                values[name] = value
        return values, found

    def body_problems(self, value):
        return problems(self.check, value)

    def deprecated(self, value):
        """Fields that the API still takes, and nobody should send."""
        return [name for name, schema in self.schema['properties'].items()
                if schema.get('deprecated') and name in value]

    def answer_problems(self, status, value):
        if status >= 400:
            return problems(ERROR, value)
        if status not in self.answers:
            return [('/', f'status {status} is none of {self.name}')]
        check = self.answers[status]
        if check is None:
            return [] if value is None else [('/', 'has a body')]
        return problems(check, value)


OPERATIONS = [Operation(method, template, described[method])
              for template, described in DOCUMENT['paths'].items()
              for method in METHODS if method in described]


def find(method, path):
    """The operation (None: there is none), the path's parameters, and the methods that the path takes."""
    parts = path.strip('/').split('/')
    methods = []
    for operation in OPERATIONS:
        found = operation.match(parts)
        if found is None:
            continue
        if operation.method == method:
            return operation, found, [method]
        methods.append(operation.method)
    return None, {}, methods
