"""Several machines with one command: names, what becomes of each, --parallel, --filter, --progress, Ctrl-C."""

import json
import os
import re
import signal
import socket
import threading
import time

import pytest

from cli import flaky_create, like_flaky
from faults import QUICK
from hosts import wait_for

FLAKY = ['create', '-d', 'flaky']
BAD_NAME = ('Error creating machine: Invalid hostname specified. Allowed hostname chars are: 0-9a-zA-Z . -')


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


NAMES = {
    'a b c': ['a', 'b', 'c'],
    'w{8..11}': ['w10', 'w11', 'w8', 'w9'],
    'w{08..11..2} x': ['w08', 'w10', 'x'],
    '--count 3 --name w{n}x': ['w1x', 'w2x', 'w3x'],
    '--name w{1..2}': ['w1', 'w2'],
    '--name w': ['w'],
    '--count 1 --name w{n}': ['w1'],
}


@pytest.mark.parametrize('words', NAMES)
def test_names(cli, words):
    result = cli.ok(*FLAKY, *words.split())
    assert cli.names() == NAMES[words]
    if len(NAMES[words]) > 1:
        assert set(outcomes(result)) == set(NAMES[words])
        assert set(outcomes(result).values()) == {'created'}
    else:
        assert not result.err


# what is typed -> standard error; nothing is begun
WRONG_NAMES = {
    'a there a x': 'a: the name is given twice\nthere: Docker machine "there" already exists\n',
    'w{1..2} a_b': f'a_b: {BAD_NAME}\n',
    'a there': 'there: Docker machine "there" already exists\n',
    'a_b c': 'Invalid command line. Found extra arguments [c]\n',
    'a b --url x': None, # a flag that is not known
    'w{1..10001}': 'Error: more than 10000 machine names\n',
    '--count 2': ("Error: --count needs a --name with {n} in it, which stands for the number: --name 'w{n}'\n"),
    '--count 0 --name w{n}': 'Error: --count is a number from 1 to 10000\n',
    '--name w a': 'Error: Give machine names or --name (with --count), not both\n',
    '--parallel -1 a b': 'Error: --parallel is a number from 1 to 1000, or 0 for the usual one\n',
    '--on-failure maybe a b': 'Error: --on-failure is keep or remove, not "maybe"\n',
    '--progress loud a b': 'Error: --progress is auto, plain, json or none, not "loud"\n',
    '--resume there --name a': 'Error: --resume NAME takes no further arguments\n',
}


@pytest.mark.parametrize('words', WRONG_NAMES)
def test_wrong_names(cli, words):
    cli.create_none('there')
    result = cli.fails(*FLAKY, *words.split())
    assert WRONG_NAMES[words] is None or (result.out, result.err) == ('', WRONG_NAMES[words])
    assert cli.names() == ['there'] and not cli.calls('configure')


def test_by_the_old_name(cli):
    """docker-machine has always refused a second word; with a range or a flag of ours it is meant."""
    cli = cli.called('docker-machine')
    result = cli.fails(*FLAKY, 'a', 'extra')
    assert (result.out, result.err) == ('', 'Invalid command line. Found extra arguments [extra]\n')
    cli.ok(*FLAKY, 'a{1..2}')
    cli.ok(*FLAKY, '--parallel', '2', 'b', 'c')
    assert cli.names() == ['a1', 'a2', 'b', 'c']


def test_one_machine_as_ever(cli):
    one = cli.ok(*FLAKY, 'web')
    assert one.out == ('Running pre-create checks...\nCreating machine...\nTo see how to connect your Docker Client '
                       'to the Docker Engine running on this virtual machine, run: '
                       f'{cli.program} env web\n')
    assert not one.err


def test_lines_say_whose_they_are(cli):
    result = cli.ok(*scripted({'create': 'notes:1+ok'}, 'a', 'b'))
    lines = result.out.splitlines()
    for name in 'a', 'b':
        assert [line for line in lines if line.startswith(f'({name}) ')] == [
            f'({name}) Running pre-create checks...', f'({name}) Creating machine...', f'({name}) step 0']
    assert len(lines) == 7 and lines[-1].endswith(' env NAME')


def test_one_failure_stops_nobody(cli):
    """The scripts say by name who fails: the driver is asked for each with its own state."""
    cli.ok(*scripted({'create': ['slow:0.3+ok']}, 'a'))
    cli.ok('rm', '-y', 'a')
    (cli.flaky / 'calls').write_text('1 create b\n') # its first call is done: the second fails
    result = cli.fails(*scripted({'create': ['ok', 'error:quota']}, 'a', 'b', 'c'))
    rows, rest = table(result)
    assert [row[:2] for row in rows] == [('a', 'created'), ('b', 'failed, half-made'), ('c', 'created')]
    assert rows[1][2] == ('Error creating machine: Error in driver during machine creation: create b: driver "flaky": '
                          'ordered to fail in create')
    assert rest == ['What is half-made is kept: "docker-machine create --resume NAME" goes on where it ended, '
                    '"docker-machine rm NAME" removes it.',
                    'Error creating machines: 1 of 3 were not created']
    assert cli.names() == ['a', 'b', 'c']
    cli.set_script('b', {})
    cli.ok('create', '--resume', 'b')


def test_nothing_left_after_a_check(cli):
    result = cli.fails(*scripted({'preCreateCheck': 'error:quota'}, 'a', 'b'))
    assert set(outcomes(result).values()) == {'failed, nothing left'}
    assert 'half-made is kept' not in result.err and cli.names() == []


def test_a_record_that_cannot_be_read_is_something(cli):
    cli.fails(*scripted({'create': 'error:quota'}, 'w{1..2}'))
    cli.set_script('w1', {})
    (cli.store / 'machines' / 'w2' / 'config.json').write_text('{')
    result = cli.fails('create', '--resume', 'w{1..2}')
    assert outcomes(result) == {'w1': 'created', 'w2': 'failed, half-made'}
    assert (cli.store / 'machines' / 'w2').exists()


# what a driver does meanwhile -> the outcome, the last line
MEANWHILE = {
    'the same name': (
        "pathlib.Path(self.machine['dir']).mkdir(parents=True)", 'preCreateCheck', 'failed, not touched',
        'Error creating machines: 2 of 2 were not created'),
    'no contexts': (
        "pathlib.Path(os.environ['HOME'], '.docker').touch()", 'create', 'created, but not all done',
        'Error creating machines: of 2, 2 are created, but not all is done'),
}


@pytest.mark.parametrize('what', MEANWHILE)
@pytest.mark.parametrize('flags', [[], ['--on-failure', 'remove']])
def test_what_is_there_is_not_nothing(cli, tmp_path, what, flags):
    deed, method, outcome, last = MEANWHILE[what]
    start = "        if self.method in LIFECYCLE:" if method == 'create' else "        if self.method == 'preCreateCheck':"
    env = like_flaky(tmp_path, 'busy', (start, f"        if self.method == '{method}':\n            {deed}\n{start}"))
    result = cli.fails('create', '-d', 'busy', '--docker-context', *flags, 'a', 'b', env=env)
    assert set(outcomes(result).values()) == {outcome} and result.err.splitlines()[-1] == last, result
    assert sorted(p.name for p in (cli.store / 'machines').iterdir()) == ['a', 'b'] and not cli.calls('remove')


@pytest.mark.parametrize('names', [['a'], ['a', 'b']])
def test_failed_ones_are_removed(cli, names):
    result = cli.fails(*scripted({'create': 'cloud+error:quota'}, '--on-failure', 'remove', *names))
    assert cli.names() == [] and not any(cli.resources(name) for name in names)
    assert sorted(c[2] for c in cli.calls('remove')) == names
    if len(names) > 1:
        assert set(outcomes(result).values()) == {'failed, removed'}
    else:
        assert result.err.endswith('ordered to fail in create\nThe machine was removed again.\n')


def test_what_cannot_be_removed_is_kept(cli):
    result = cli.fails(*scripted({'create': 'error:quota', 'remove': 'error:auth'}, '--on-failure=remove', 'a', 'b'))
    assert set(outcomes(result).values()) == {'failed, half-made'}
    assert cli.names() == ['a', 'b']
    one = cli.fails(*scripted({'create': 'error:quota', 'remove': 'error:auth'}, '--on-failure=remove', 'c'))
    assert 'The machine is kept: ' in one.err and 'Removing it failed, too: ' in one.err


def test_resume_a_range(cli):
    cli.fails(*scripted({'create': 'error:quota'}, 'w{1..3}'))
    for name in 'w1', 'w2', 'w3':
        cli.set_script(name, {})
    cli.ok('create', '--resume', 'w2')
    result = cli.ok('create', '--resume', 'w{1..3}')
    assert outcomes(result) == {'w1': 'created', 'w3': 'created'} and '(w2) is complete already\n' in result.out
    assert cli.fails('create', '--resume', 'w{1..3}').err == (
        'All these machines are complete: there is nothing to resume\n')


def most_at_once(result_lines):
    """How many machines were between their first step and their end, at most."""
    now = most = 0
    for line in result_lines:
        event = json.loads(line)
        now += (event['event'] == 'step' and event['step'] in ('prepare', 'stop', 'rm'))
        now -= event['event'] in ('done', 'failed')
        most = max(most, now)
    return most


@pytest.mark.parametrize('number', [1, 3])
def test_parallel(cli, number):
    words = ['--progress', 'json', '--parallel', str(number)]
    made = cli.ok(*FLAKY, *words, 'w{1..5}')
    assert most_at_once(made.out.splitlines()) == number
    stopped = cli.ok('stop', *words, 'w{1..5}')
    assert most_at_once(stopped.out.splitlines()) == number
    gone = cli.ok('rm', '-y', *words, 'w{1..5}')
    assert most_at_once(gone.out.splitlines()) == number


def test_as_many_as_the_driver_says(cli, tmp_path):
    env = like_flaky(tmp_path, 'local', ("{'provision': False}", "{'provision': False, 'machinesAtOnce': 2}"))
    assert 'At once:       2\n' in cli.ok('driver', 'describe', 'local', env=env).out
    words = ['create', '-d', 'local', '--flaky-script', '{"create": "slow:0.3+ok"}', '--progress', 'json']
    assert most_at_once(cli.ok(*words, 'w{1..5}', env=env).out.splitlines()) == 2
    assert most_at_once(cli.ok(*words, '--parallel', '3', 'x{1..5}', env=env).out.splitlines()) == 3
    words[3:5] = ['--flaky-script', '{"create": "error:quota"}']
    cli.fails(*words, 'y{1..5}', env=env)
    for number in range(1, 6):
        cli.set_script(f'y{number}', {'create': 'slow:0.3+ok'})
    resumed = cli.ok('create', '--progress', 'json', '--resume', 'y{1..5}', env=env)
    assert most_at_once(resumed.out.splitlines()) == 2


@pytest.mark.parametrize('number', ['None', '0', '"2"'])
def test_a_number_that_is_none(cli, tmp_path, number):
    """As if the driver had not said any."""
    env = like_flaky(tmp_path, 'local', ("{'provision': False}", f"{{'provision': False, 'machinesAtOnce': {number}}}"))
    words = ['create', '-d', 'local', '--flaky-script', '{"create": "slow:0.3+ok"}', '--progress', 'json']
    assert most_at_once(cli.ok(*words, 'w{1..5}', env=env).out.splitlines()) == 5


MEMBERS = ['time', 'machine', 'event', 'step', 'message', 'current', 'total', 'error']


def test_json_events(cli):
    """Each line is an object with the members of JSON.md."""
    (cli.flaky / 'calls').write_text('1 create b\n')
    script = {'create': ['notes:2+ok', 'error:quota']}
    result = cli.fails(*scripted(script, '--progress=json', 'a', 'b'))
    events = [json.loads(line) for line in result.out.splitlines()]
    assert all(list(e) == MEMBERS for e in events)
    assert all(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', e['time']) for e in events)
    assert all(e['machine'] in ('a', 'b') for e in events)
    of_a = [(e['event'], e['step'], e['message']) for e in events if e['machine'] == 'a']
    assert of_a == [('step', 'prepare', None), ('progress', 'prepare', 'Running pre-create checks...'),
                    ('step', 'pre-create check', None), ('progress', 'pre-create check', 'Creating machine...'),
                    ('step', 'create', None), ('progress', 'create', 'step 0'), ('progress', 'create', 'step 1'),
                    ('done', 'create', None)]
    last = [e for e in events if e['machine'] == 'b'][-1]
    gone = [json.loads(line) for line in cli.ok('rm', '-y', '--progress=json', 'a').out.splitlines()]
    assert [e['event'] for e in gone if e['machine'] == 'a'][-1] == 'done'
    one = [json.loads(line) for line in cli.ok(*FLAKY, '--progress=json', 'c').out.splitlines()]
    assert [e['event'] for e in one if e['machine'] == 'c'][-1] == 'done' and one[-1]['machine'] is None
    assert last['event'] == 'failed' and last['step'] == 'create' and 'ordered to fail' in last['error']


@pytest.mark.parametrize('how', ['json', 'none'])
def test_nothing_is_asked(cli, how):
    """Where the question, or what it is about, has no place."""
    cli.create_none('a')
    for words, flag in (['rm', 'a'], '-y'), (['regenerate-certs', 'a'], '-f'):
        result = cli.fails(*words[:1], '--progress', how, *words[1:], stdin='y\n')
        assert (result.out, result.err) == ('', f'Error: --progress {how} cannot ask: answer with {flag}\n')


def test_no_progress(cli):
    result = cli.ok(*FLAKY, '--progress', 'none', 'a', 'b')
    assert result.out == '' and outcomes(result) == {'a': 'created', 'b': 'created'}


# --- --filter ---

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


# --- Ctrl-C ---

def interrupted(cli, env=None):
    """A create of six, four at once: two are done, two in the driver's hands, two still to come."""
    (cli.flaky / 'calls').write_text('1 create w3\n1 create w4\n')
    script = {'create': ['ok', 'checkpoint:2+wait:100']}
    running = cli.start(*scripted(script, '--parallel', '2', 'w{1..6}'), env={**QUICK, **(env or {})})
    wait_for('the checkpoints', lambda: all(
        (cli.store / 'machines' / name / 'config.json').exists() and
        cli.config(name)['Driver'].get('Checkpoint') == 2 for name in ('w3', 'w4')), 40)
    running.process.send_signal(signal.SIGINT)
    return running


def test_interrupted_once(cli):
    running = interrupted(cli)
    result = running.finish(30)
    assert result.status == 130 and not result.leftovers, result
    assert outcomes(result) == {
        'w1': 'created', 'w2': 'created', 'w3': 'interrupted, half-made', 'w4': 'interrupted, half-made',
        'w5': 'not begun', 'w6': 'not begun'}
    assert 'create --resume NAME' in result.err and 'rm NAME' in result.err
    assert cli.names() == ['w1', 'w2', 'w3', 'w4'] and not cli.calls('create', 'w5')
    cli.set_script('w3', {})
    cli.ok('create', '--resume', 'w3')
    cli.ok('rm', '-y', 'w4')
    cli.assert_whole()


def test_interrupted_ones_are_not_removed(cli):
    """Who wants to end does not want to wait for a removal."""
    running = cli.start(*scripted({'create': ['checkpoint:1+wait:100']}, '--on-failure', 'remove', 'a', 'b'), env=QUICK)
    wait_for('the calls', lambda: len({c[2] for c in cli.calls('create')}) == 2, 40)
    running.process.send_signal(signal.SIGINT)
    result = running.finish(30)
    assert result.status == 130 and set(outcomes(result).values()) == {'interrupted, half-made'}, result
    assert cli.names() == ['a', 'b'] and not cli.calls('remove')


def test_interrupted_twice(cli):
    """At once, with drivers that are deaf: the store is as the checkpoints left it."""
    script = {'create': 'checkpoint:2+deaf'}
    running = cli.start(*scripted(script, 'a', 'b'))
    wait_for('the checkpoints', lambda: all(
        (cli.store / 'machines' / name / 'config.json').exists() and
        cli.config(name)['Driver'].get('Checkpoint') == 2 for name in ('a', 'b')), 40)
    running.process.send_signal(signal.SIGINT)
    wait_for('first', lambda: 'Interrupted' in running.output(), 20)
    heard = time.monotonic()
    wait_for('a second wish', lambda: time.monotonic() - heard > 0.4, 20)
    running.process.send_signal(signal.SIGINT)
    result = running.finish(20)
    assert result.status == 130 and not result.leftovers, result
    cli.assert_whole()
    cli.set_script('a', {})
    cli.ok('create', '--resume', 'a')
    cli.ok('rm', '-y', 'b')


def test_an_action_says_what_it_did_not_begin(cli):
    cli.ok(*scripted({'stop': 'wait:100'}, 'w{1..3}'))
    running = cli.start('stop', '--parallel', '1', 'w{1..3}', env=QUICK)
    wait_for('the call', lambda: cli.calls('stop', 'w1'), 40)
    running.process.send_signal(signal.SIGINT)
    result = running.finish(30)
    assert result.status == 130, result
    assert outcomes(result) == {'w1': 'interrupted', 'w2': 'not begun', 'w3': 'not begun'}
    assert table(result)[1] == ['Error: stop: 3 of 3 machines were not stopped']


@pytest.mark.parametrize('old', [False, True])
def test_rm_says_what_it_did_not_begin(cli, old):
    cli.ok(*scripted({'remove': 'wait:100'}, 'w{1..3}'))
    if old:
        cli = cli.called('docker-machine')
    running = cli.start('rm', '-y', '--parallel', '1', 'w{1..3}', env=QUICK)
    wait_for('the call', lambda: cli.calls('remove', 'w1'), 40)
    running.process.send_signal(signal.SIGINT)
    result = running.finish(30)
    assert result.status == 130, result
    if old:
        assert result.err.endswith('Error removing host "w1": cancelled\nnot begun: w2, w3\n')
    else:
        assert outcomes(result) == {'w1': 'interrupted', 'w2': 'not begun', 'w3': 'not begun'}


def test_more_machines_than_files(cli, tmp_path):
    """Each has a lock, at least; drivers get the limit that there was."""
    env = like_flaky(tmp_path, 'counting', ("    def report(self, machine):", (
        "    def report(self, machine):\n        import resource\n"
        "        (FOLDER / 'limit').write_text(str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))")))
    cli.ok('create', '-d', 'counting', 'w{1..60}', env=env)
    few = ['bash', '-c', 'ulimit -Sn 64; exec "$@"', 'few']
    cli.ok('stop', '--parallel', '60', 'w{1..60}', env=env, prefix=few)
    assert (cli.flaky / 'limit').read_text() == '64'


def test_waiting_for_oneself(cli):
    cli.create_flaky('a', {'stop': 'slow:3+ok'})
    result = cli.fails('stop', 'a', 'a')
    assert 'Waiting for machine "a", in use by another part of this command...\n' in result.out


# --- how each came out ---

def test_a_table_of_those_that_act(cli):
    """Where something failed; else there are the lines, which say whose they are."""
    cli.ok(*FLAKY, 'w{1..2}')
    cli.create_none('web')
    good = cli.ok('stop', 'w{1..2}')
    assert sorted(good.out.splitlines()) == [
        '(w1) Machine "w1" was stopped.', '(w1) Stopping "w1"...', '(w2) Machine "w2" was stopped.', '(w2) Stopping "w2"...']
    assert not good.err
    cli.ok('start', 'w1')
    result = cli.fails('stop', 'w1', 'web', 'w2')
    rows, rest = table(result)
    assert rows == [('w1', 'stopped', '-'), ('web', 'failed', 'hosts without a driver cannot be stopped'),
                    ('w2', 'failed', 'Machine "w2" is already stopped.')]
    assert rest == ['Error: stop: 2 of 3 machines were not stopped']
    one = cli.fails('stop', 'web')
    assert (one.out, one.err) == ('Stopping "web"...\n', 'hosts without a driver cannot be stopped\n')


def test_a_table_of_rm(cli):
    cli.ok(*FLAKY, 'w{1..3}')
    cli.set_script('w2', {'remove': 'error:auth'})
    result = cli.fails('rm', '-y', 'w{1..3}')
    assert outcomes(result) == {'w1': 'removed', 'w2': 'failed', 'w3': 'removed'}
    assert sorted(result.out.splitlines()[2:]) == ['Successfully removed w1', 'Successfully removed w3']
    assert table(result)[1] == ['Error: rm: 1 of 3 machines were not removed']


def test_lines_by_the_old_name(cli):
    """As its callers read them."""
    cli.ok(*FLAKY, 'a', 'ab')
    cli = cli.called('docker-machine')
    assert sorted(cli.ok('stop', 'a', 'ab').out.splitlines()) == [
        'Machine "a" was stopped.', 'Machine "ab" was stopped.', 'Stopping "a"...', 'Stopping "ab"...']
    for name in 'a', 'ab':
        cli.set_script(name, {'remove': 'error:auth'})
    result = cli.fails('rm', '-y', 'a', 'ab')
    assert [line.split(':')[0] for line in result.err.splitlines()] == [
        'Error removing host "a"', 'Error removing host "ab"']


def test_a_name_within_a_word_is_none(cli):
    cli.create_none('b') # as in "cannot be stopped"
    cli.create_none('host')
    cli = cli.called('docker-machine')
    assert cli.fails('stop', 'b', 'host').err == (
        'b: hosts without a driver cannot be stopped\nhost: hosts without a driver cannot be stopped\n')


@pytest.mark.parametrize('words,most', [(['w{1..4}'], 4), (['--filter', 'name=^w'], 4), (['w1', 'w2', 'w3', 'w4'], 1)])
def test_rm_at_once(cli, words, most):
    """By the old name, too, but for plain words."""
    cli.ok(*scripted({'remove': 'slow:1+ok'}, 'w{1..4}'))
    cli = cli.called('docker-machine')
    lines = cli.ok('rm', '-y', '--progress', 'json', *words).out.splitlines()
    assert most_at_once(lines) == most


# --- a provider that asks to slow down ---

def test_throttled_calls_are_repeated(cli):
    script = {'preCreateCheck': ['throttle:20', 'ok'], 'create': ['throttle:20', 'checkpoint:1+throttle:20', 'ok'],
              'stop': ['throttle:20', 'ok'], 'remove': ['throttle:20', 'throttle:20', 'ok']}
    cli.create_flaky('a', script)
    assert len(cli.calls('create')) == 3 and cli.config('a')['Driver']['Checkpoint'] == 1
    cli.ok('stop', 'a')
    cli.ok('rm', '-y', 'a')
    assert [len(cli.calls(m)) for m in ('preCreateCheck', 'stop', 'remove')] == [2, 2, 3]


def test_a_pause_is_nobodys_time(fault_cli):
    """A provider that does not want to be asked for longer than a step may take."""
    env = {'MACHINE_TEST_DEADLINE_MS': '2000'}
    script = {'preCreateCheck': ['throttle:2500', 'ok'], 'states': ['throttle:2500', 'ok']}
    result = fault_cli.ok(*scripted(script, 'a', 'b'), env=env)
    assert set(outcomes(result).values()) == {'created'}
    fault_cli.ok('stop', 'a', env=env)
    assert len(fault_cli.calls('states', 'a')) >= 2
    fault_cli.set_script('b', {'states': 'throttle:600000'}) # who only asks does not wait for that
    assert 'slow down, in states' in fault_cli.fails('status', 'b', env=env).err


THROTTLED_REPORT = ("self.report(m) for m", "{'error': {'code': -32000, 'message': 'slow down', 'data': {"
                    "'kind': 'throttled', 'retryAfterMs': 20}}} if self.calls(m) <= 2 else self.report(m) for m")


def test_throttled_reports_are_asked_for_again(cli, tmp_path):
    """Where nobody waits for a state, too."""
    env = like_flaky(tmp_path, 'limited', THROTTLED_REPORT)
    cli.ok('create', '-d', 'limited', 'a', 'b', env=env)
    assert 'slow down' in cli.fails('status', 'a', env=env).err
    (cli.flaky / 'calls').write_text('')
    cli.ok('stop', 'a', 'b', env=env)
    assert len(cli.calls('states', 'a')) == 4 # two in vain, one before the stop and one after
    (cli.flaky / 'calls').write_text('')
    assert 'Timeout' not in cli.ok('ls', env=env).out and len(cli.calls('states', 'a')) == 1


def test_throttled_for_good(cli):
    result = cli.fails(*flaky_create('a', {'create': 'throttle:1'}))
    assert 'slow down, in create' in result.err and 'The machine is kept: ' in result.err
    assert len(cli.calls('create')) == 11


def test_throttled_restart_is_not_repeated(cli):
    """The protocol does not say that it may be."""
    cli.create_flaky('a', {'restart': ['throttle:1', 'ok']})
    assert 'slow down, in restart' in cli.fails('restart', 'a').err
    assert len(cli.calls('restart')) == 1


def test_a_provider_with_a_limit(cli, tmp_path):
    """All are made; of the answers few are that it wants to be asked less."""
    cloud = tmp_path / 'cloud'
    cloud.mkdir()
    env = {'CLOUD_DIR': str(cloud), 'CLOUD_BOOT': '1', 'CLOUD_RATE': '20', 'CLOUD_REFUSE': '3',
           'CLOUD_RETRY_MS': '300', 'MACHINE_POLL_MS': '300'}
    result = cli.ok('create', '-d', 'cloud', '--parallel', '20', 'w{1..20}', env=env)
    assert set(outcomes(result).values()) == {'created'}
    served, throttled = (os.path.getsize(cloud / name) for name in ('served', 'throttled'))
    assert served >= 40 and 3 <= throttled < served, (served, throttled)
    assert cli.ok('rm', '-y', '--filter', 'driver=cloud', '--parallel', '20', env=env)
    assert cli.names() == [] and not list(cloud.glob('host-*'))


class Deaf:
    """A host that hangs up on whoever connects, and counts them."""

    def __init__(self):
        self.server = socket.create_server(('127.0.0.1', 0))
        self.port, self.calls = self.server.getsockname()[1], 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            self.server.accept()[0].close()
            self.calls += 1


def test_the_wait_for_ssh_asks_no_provider(cli, tmp_path):
    """However often SSH is tried."""
    host = Deaf()
    env = {**QUICK, **like_flaky(tmp_path, 'booting', ("'provision': False", "'provision': True"), (
        "'url': 'tcp://127.0.0.1:1'}", f"'ssh': {{'host': '127.0.0.1', 'port': {host.port}, 'user': 'root'}}}}"))}
    running = cli.start('create', '-d', 'booting', 'a', env=env)
    wait_for('six tries', lambda: host.calls >= 6, 40)
    running.process.send_signal(signal.SIGINT)
    assert running.finish(30).status == 130
    # to see that it runs, for the SSH address, and that once again when ten seconds are over
    assert len(cli.calls('states', 'a')) <= 4, cli.calls()


def test_what_the_driver_said_last(fault_cli):
    """It is told when the operation took too long."""
    env = {**QUICK, 'MACHINE_TEST_DEADLINE_MS': '1500'}
    err = fault_cli.fails(*flaky_create('a', {'create': 'wait:100'}), env=env).err
    assert ('Error in driver during machine creation: timed out: driver "flaky" said last: not yet '
            '(step "create": at most 1800 s)') in err


def test_a_late_report_ends_no_wait(fault_cli):
    fault_cli.create_flaky('a', {'states': ['ok', 'error:timeout', 'ok']})
    fault_cli.ok('stop', 'a', env=QUICK)
    fault_cli.set_script('a', {'states': ['ok', 'ok', 'ok', 'ok', 'error:timeout']})
    err = fault_cli.fails('start', 'a', env={**QUICK, 'MACHINE_TEST_DEADLINE_MS': '1500'}).err
    assert 'was not Running within 180 s (driver "flaky"): state of a: driver "flaky": ordered to fail' in err, err
