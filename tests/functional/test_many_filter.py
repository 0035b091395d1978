"""Several machines with one command: those that --filter chooses, and ranges of names."""

import json
import re

import pytest

from many import FLAKY


@pytest.fixture
def five(cli):
    cli.ok(*FLAKY, '--engine-label', 'role=web', 'w{1..3}')
    cli.ok(*FLAKY, 'db')
    cli.create_none('other')
    return cli


def test_filters(five):
    out = five.ok('stop', '--filter', 'driver=flaky', '--filter', 'name=^w', '--filter', 'label=role=web').out
    assert sorted(re.findall(r'Stopping "(\w+)"', out)) == ['w1', 'w2', 'w3']
    out = five.ok('start', '--filter', 'state=Stopped').out
    assert sorted(re.findall(r'Starting "(\w+)"', out)) == ['w1', 'w2', 'w3']


ACTIONS = ['start', 'stop', 'restart', 'kill', 'rm', 'provision', 'upgrade', 'regenerate-certs']


@pytest.mark.parametrize('command', ACTIONS)
def test_wrong_filters(five, command):
    sure = {'rm': ['-y'], 'regenerate-certs': ['-f']}.get(command, [])
    for words, err in {
            '--filter name=w w1': 'Error: Give machine names or --filter, not both\n',
            '--filter name=^none$ --filter driver=x': (
                'Error: No machine matches --filter name=^none$ --filter driver=x. '
                'Use "docker-machine ls" to list machines.\n'),
            '--filter x': 'Unsupported filter syntax\n',
            '--filter x=y': "Unsupported filter key 'x'\n",
    }.items():
        flags, names = words.split()[:4], words.split()[4:] if len(words.split()) > 4 else []
        if words.endswith(' w1'):
            flags, names = words.split()[:2], ['w1']
        result = five.fails(command, *sure, *flags, *names)
        assert (result.out, result.err) == ('', err)
    assert len(five.names()) == 5


# what the driver of some does -> what is said of their state
NOT_KNOWN = {
    'segv': r'the state of w1 \(and 2 more\) is not known: .*Segmentation fault',
    'error:auth': r'the state of w1 \(and 2 more\) is not known: .*ordered to fail in states',
    'hang': r'the state of w1 \(and 2 more\) is not known: its driver did not answer in time',
}


@pytest.mark.parametrize('behaviour', NOT_KNOWN)
def test_a_state_that_is_not_known_is_none(fault_cli, behaviour):
    """ls may show Error or Timeout; nothing is done to what it shows so."""
    fault_cli.ok(*FLAKY, 'w{1..3}', 'x')
    for name in 'w1', 'w2', 'w3':
        fault_cli.set_script(name, {'states': behaviour})
    (fault_cli.flaky / 'state-x').write_text('Error')
    env = {'MACHINE_TEST_DEADLINE_MS': '2000'} if behaviour == 'hang' else {}
    for state in ('Timeout',) if behaviour == 'hang' else ('Error', 'Running'):
        result = fault_cli.fails('rm', '-y', '--filter', 'name=^w', '--filter', f'state={state}', env=env)
        assert re.search(NOT_KNOWN[behaviour], result.err) and not result.out, result
    assert len(fault_cli.names()) == 4 and not fault_cli.calls('remove')
    fault_cli.ok('rm', '-y', '--filter', 'name=x', '--filter', 'state=Error')
    fault_cli.ok('rm', '-f', '--filter', 'name=^w') # does not depend on it


def test_a_state_without_a_driver(five):
    path = five.store / 'machines' / 'w1' / 'config.json'
    path.write_text(path.read_text().replace('"flaky"', '"gone"'))
    result = five.fails('rm', '-y', '--filter', 'state=Error')
    assert result.err.startswith('the state of w1 is not known: Driver "gone" not found.'), result


def test_rm_asks_about_those_that_match(five):
    no = five.ok('rm', '--filter', 'name=^w', stdin='n\n')
    assert no.out.startswith('About to remove w1, w2, w3\nWARNING: ') and 'Are you sure? (y/n): ' in no.out
    assert len(five.names()) == 5
    yes = five.ok('rm', '--filter', 'name=^w', stdin='y\n')
    assert yes.out.count('Successfully removed w') == 3
    assert five.names() == ['db', 'other']
    assert '(y/n)' not in five.ok('rm', '-f', '--filter', 'driver=flaky').out
    assert five.names() == ['other']


def test_regenerate_asks_about_those_that_match(five):
    no = five.ok('regenerate-certs', '--filter', 'name=^w', stdin='n\n')
    assert no.out.startswith('About to regenerate the certificates of w1, w2, w3\n')


def test_ranges_elsewhere(five):
    assert five.ok('ip', 'w{1..3}').out == '127.0.0.1\n' * 3
    assert five.ok('status', 'w{1..1}').out == 'Running\n'
    assert five.fails('status', 'w{1..2}').err == 'Error: Expected one machine name as an argument\n'
    assert [o['name'] for o in json.loads(five.ok('status', '--json', 'w{3..1}').out)] == ['w3', 'w2', 'w1']
    assert five.ok('rm', '-y', 'w{1..3}').out.startswith('About to remove w1, w2, w3\n')
