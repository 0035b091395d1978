"""Commands about several machines of the driver flaky, and the table that tells at the end what became of each."""

import json
import re

FLAKY = ['create', '-d', 'flaky']


def scripted(script, *words):
    return [*FLAKY, '--flaky-script', json.dumps(script), *words]


def table(result):
    """The table on standard error, as (machine, outcome, error), and what is said after it."""
    lines = result.err.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith('MACHINE '))
    columns = [lines[head].index(word) for word in ('MACHINE', 'OUTCOME', 'TIME', 'ERROR')]
    rows, rest = [], lines[head + 1:]
    while rest and re.search(r' \d+\.\ds ', rest[0]):
        line = rest.pop(0)
        name, outcome, _, error = (line[a:b].strip() for a, b in zip(columns, [*columns[1:], None]))
        rows.append((name, outcome, error))
    return rows, rest


def outcomes(result):
    return {name: outcome for name, outcome, _ in table(result)[0]}
