"""tests/COMPATIBILITY.md names tests that there are, and every file of functional tests of the command line."""

import re

import cli as cli_module

TESTS = cli_module.TOP / 'tests'
NAMED = [tuple(name.split(': ')) for name in
         re.findall(r'`((?:unit|functional|e2e)/test_\w+\.(?:py|c)(?:: \w+)?)`', (TESTS / 'COMPATIBILITY.md').read_text())]


def test_named_tests_are_there():
    for file, *test in NAMED:
        text = (TESTS / file).read_text()
        assert not test or f'def {test[0]}(' in text, (file, *test)


def test_nothing_of_the_command_line_is_missing():
    named = {file for file, *_ in NAMED}
    for path in (TESTS / 'functional').glob('test_cl*.py'):
        assert f'functional/{path.name}' in named, path.name
