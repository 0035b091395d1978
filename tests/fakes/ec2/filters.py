"""Filters and pages of the Describe actions."""

import re

from .state import Failure

PAGE_MIN, PAGE_MAX = 5, 1000
FILTERS_MAX, VALUES_MAX = 50, 200


def _text(value):
    return {True: 'true', False: 'false'}.get(value) if isinstance(value, bool) else str(value)


def member(*names):
    """The values of a member, and of members within; lists are looked into."""
    def values(thing):
        found = [thing]
        for name in names:
            found = [inner for outer in found
                     for inner in (outer if isinstance(outer, list) else [outer])]
            found = [outer[name] for outer in found if outer.get(name) is not None]
        return [_text(value) for value in found if not isinstance(value, (list, dict))]
    return values


def pattern(text):
    r"""Amazon's wildcards: * and ?, and \ takes their meaning away."""
    parts = re.findall(r'\\.|.', text, re.DOTALL)
    return re.compile(''.join({'*': '.*', '?': '.'}.get(part) or re.escape(part[-1]) for part in parts),
                      re.DOTALL)


def tag_values(name, thing):
    if name == 'tag-key':
        return [tag['Key'] for tag in thing.get('Tags', ())]
    return [tag['Value'] for tag in thing.get('Tags', ()) if tag['Key'] == name[len('tag:'):]]


def one_filter(wanted, table):
    """A function that tells whether a thing passes."""
    name, values = wanted.get('Name'), wanted.get('Values')
    if not name or not values:
        raise Failure('InvalidParameterValue', f'The filter {name} has no name or no values')
    if len(values) > VALUES_MAX:
        raise Failure('FilterLimitExceeded', f'more than {VALUES_MAX} values')
    if name == 'tag-key' or name.startswith('tag:'):
        def get(thing):
            return tag_values(name, thing)
    elif name in table:
        get = table[name]
    else:
        raise Failure('InvalidParameterValue', f"The filter '{name}' is invalid")
    patterns = [pattern(value) for value in values]
    return lambda thing: any(p.fullmatch(value) for value in get(thing) for p in patterns)


def select(things, wanted, table):
    if len(wanted or ()) > FILTERS_MAX:
        raise Failure('FilterLimitExceeded', f'more than {FILTERS_MAX} filters')
    tests = [one_filter(one, table) for one in wanted or ()]
    return [thing for thing in things if all(test(thing) for test in tests)]


def page(account, things, params, by_id, key):
    """The part of `things` that this answer has, and where the next one goes on; `key` names a thing."""
    asked, token = params.get('MaxResults'), params.get('NextToken')
    if by_id:
        if asked is not None or token is not None:
            raise Failure('InvalidParameterCombination',
                          'The parameters ids and MaxResults or NextToken cannot be used together')
        return things, None
    if asked is not None and not PAGE_MIN <= asked <= PAGE_MAX:
        raise Failure('InvalidParameterValue', f'MaxResults is not from {PAGE_MIN} to {PAGE_MAX}')
    if token is not None:
        if token not in account.pages:
            raise Failure('InvalidNextToken', 'The token is not valid')
        seen, filters = account.pages[token]
        if filters != params.get('Filters'):
            raise Failure('InvalidNextToken', 'The token is of another question')
        things = [thing for thing in things if thing[key] not in seen]
    else:
        seen = set()
    size = min(asked or PAGE_MAX, account.page_size or PAGE_MAX)
    if len(things) <= size:
        return things, None
    new = account.new_id('token-')
    account.pages[new] = (seen | {thing[key] for thing in things[:size]}, params.get('Filters'))
    return things[:size], new


def describe(account, params, kind, table, ids=None, key=None):
    """Things by their ids or by filters: (page of them, next token)."""
    wanted = params.get(ids) if ids else None
    if wanted:
        things = account.find(kind, wanted, looking=True)
    else:
        things = [thing for name, thing in list(account.things[kind].items()) if account.see(kind, name)]
    things = select(things, params.get('Filters'), table)
    return page(account, things, params, bool(wanted), key)
