"""Manual pages: no warnings, and machine(1) has the commands and flags that there are."""

import re
import subprocess

import pytest

from cli import TOP

PAGES = ['machine.1', 'machine-store.5', 'machine-driver.7']
DRIVERS = ['amazonec2', 'digitalocean', 'generic', 'none', 'nspawn', 'openstack', 'qemu'] # those that the page has flags of
FLAG = re.compile(r'(?<![\w-])--?[a-z][a-z0-9-]*')


def sections(name):
    """The paragraphs of the page's part DRIVERS or COMMANDS, by their headings."""
    text = (TOP / 'man' / 'machine.1.scd').read_text()
    part = re.search(rf'^# {name}\n(.*?)^# ', text, re.M | re.S).group(1)
    return dict((a, b) for a, b in re.findall(r'^## (\S+)\n(.*?)(?=^## |\Z)', part, re.M | re.S))


def documented(text):
    """The flags that head a paragraph: lines like *--long*, *-s* _value_."""
    return {flag for line in re.findall(r'^\*-.*', text, re.M) for flag in FLAG.findall(line)}


def of_help(text):
    """Names of flags in a help text; lists repeat theirs."""
    names = set()
    for line in re.findall(r'^ {2,3}(-.*)\t', text, re.M):
        names.update(FLAG.findall(line.split('\t')[0].split('"')[0].split('[')[0]))
    return names


@pytest.mark.parametrize('page', PAGES)
def test_no_warnings(cli, page):
    file = cli.build / 'man' / page
    assert file.exists(), 'scdoc is not installed (scripts/setup)'
    done = subprocess.run(['man', '--warnings', '-E', 'UTF-8', '-l', file], capture_output=True, text=True,
                          env={**cli.env, 'MANWIDTH': '100'}, timeout=60, check=True)
    assert done.stderr == '' and done.stdout.count('\n') > 50
    assert not re.search(r'@[A-Z]+@', done.stdout)


def test_commands(cli):
    listed = re.findall(r'^  ([a-z-]+)', cli.ok('help').out.split('Commands:')[1], re.M)
    page = sections('COMMANDS')
    assert sorted(page) == sorted(listed), 'man/machine.1.scd: COMMANDS has a heading for each command'
    for command in listed:
        text = cli.ok('create', '--resume', 'x', '--help').out if command == 'create' else cli.ok('help', command).out
        assert documented(page[command]) == of_help(text), f'man/machine.1.scd: the flags of {command}'
        if '[--json]' in text:
            assert '[*--json*]' in page[command], f'man/machine.1.scd: --json of {command}'


def test_global_flags(cli):
    text = (TOP / 'man' / 'machine.1.scd').read_text()
    part = re.search(r'^# OPTIONS\n(.*?)^# ', text, re.M | re.S).group(1)
    assert documented(part) == of_help(cli.ok('help').out.split('Commands:')[0])


def test_drivers(cli):
    page = sections('DRIVERS')
    assert sorted(page) == DRIVERS
    for driver in DRIVERS:
        own = set(re.findall(r'^(--\S+)', cli.ok('driver', 'describe', driver).out, re.M))
        assert documented(page[driver]) == own, f'man/machine.1.scd: the flags of the driver {driver}'


def test_variables(cli):
    """Those that flags have, and the README's."""
    text = (TOP / 'man' / 'machine.1.scd').read_text()
    part = re.search(r'^# ENVIRONMENT\n(.*?)^# ', text, re.M | re.S).group(1)
    shown = cli.ok('help').out + cli.ok('create', '--resume', 'x', '--help').out
    variables = set(re.findall(r'\[\$([A-Z_]+)\]', shown)) | set(
        re.findall(r'^\| `(MACHINE_[A-Z_]+)`', (TOP / 'README.md').read_text(), re.M))
    assert not {v for v in variables if not re.search(rf'\b{v}\b', part)}
