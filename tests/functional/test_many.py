"""Several machines with one command: their names, what becomes of each, --progress, Ctrl-C."""

import json
import re
import signal

import pytest

from cli import like_flaky
from faults import QUICK
from hosts import wait_for
from many import FLAKY, outcomes, scripted, table

BAD_NAME = ('Error creating machine: Invalid hostname specified. Allowed hostname chars are: 0-9a-zA-Z . -')


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


def test_resume_a_range_that_begins_with_none(cli):
    """The first was not begun, or is removed; the others go on, and the table tells of it."""
    cli.fails(*scripted({'create': ['error:quota', 'ok']}, 'w{2..3}'))
    result = cli.fails('create', '--resume', 'w{1..3}')
    assert outcomes(result) == {'w1': 'failed, nothing left', 'w2': 'created', 'w3': 'created'}
    assert cli.fails('create', '--resume', 'x{1..2}').err.startswith('Docker machine "x1" does not exist. ')


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
    assert result.status == -signal.SIGINT and not result.leftovers, result
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
    assert result.status == -signal.SIGINT and set(outcomes(result).values()) == {'interrupted, half-made'}, result
    assert cli.names() == ['a', 'b'] and not cli.calls('remove')


def test_interrupted_twice(cli):
    """At once, with drivers that are deaf: the store is as the checkpoints left it."""
    script = {'create': 'checkpoint:2+deaf'}
    running = cli.start(*scripted(script, 'a', 'b'))
    wait_for('the checkpoints', lambda: all(
        (cli.store / 'machines' / name / 'config.json').exists() and
        cli.config(name)['Driver'].get('Checkpoint') == 2 for name in ('a', 'b')), 40)
    running.interrupt_twice()
    result = running.finish(20)
    assert result.status == -signal.SIGINT and not result.leftovers, result
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
    assert result.status == -signal.SIGINT, result
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
    assert result.status == -signal.SIGINT, result
    if old:
        assert result.err.endswith('Error removing host "w1": cancelled\nnot begun: w2, w3\n')
    else:
        assert outcomes(result) == {'w1': 'interrupted', 'w2': 'not begun', 'w3': 'not begun'}


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
