"""A driver misbehaves on machines that exist: ls, status, start, stop, restart, kill, rm."""

import re
import signal

import pytest

from cli import flaky_create
from faults import EMPTY, FATAL, HARMLESS, PATIENT, QUICK, check_error, machine_name

ACTIONS = {'start': 'Stopped', 'stop': 'Running', 'restart': 'Running', 'kill': 'Running'}
# they take one way through the program: two of them are for the nightly run
EACH = [pytest.param(a, marks=pytest.mark.long if a in ('stop', 'restart') else ()) for a in ACTIONS]
GOOD = ['good1', 'good2', 'good3']
SHARED = {'acted': ('action', 'rm'), 'listed': ('', 'all'), 'asked': ('behaviour', ''),
          'greeted': ('', 'all')}


def populate(cli, method, behaviours):
    """A machine per behaviour, which is the behaviour of `method` only."""
    running = [cli.start(*flaky_create(name)) for name in
               [*map(machine_name, behaviours), *GOOD]]
    for process in running:
        process.process.wait(120) # before anybody looks for what is left running
    for process in running:
        assert process.finish().status == 0
    for behaviour in behaviours:
        cli.set_script(machine_name(behaviour), {method: behaviour})


def set_states(cli, state):
    for path in cli.flaky.glob('state-*'):
        path.write_text(state)


def errors_of(text, name):
    """The part of a many-machine error that is about one machine: not its row of the table, if that has none."""
    lines = [l for l in text.splitlines() if not re.search(r' \d+\.\ds +-$', l)]
    return '\n'.join(l for l in lines if re.search(rf'(?<![\w-]){re.escape(name)}(?![\w-])', l))


@pytest.fixture(scope='module')
def acted(new_cli):
    """One command per action over machines that each fail in their own way."""
    done = {}

    def run(action):
        if action not in done:
            cli = new_cli(fault=True)
            method = 'remove' if action == 'rm' else action
            populate(cli, method, [*FATAL, *EMPTY, *HARMLESS])
            if action in ACTIONS:
                set_states(cli, ACTIONS[action])
            names = [machine_name(b) for b in [*FATAL, *EMPTY, *HARMLESS]]
            flags = ['-y'] if action == 'rm' else []
            result = cli.run(action, *flags, GOOD[0], *names, *GOOD[1:], timeout=150, clean=False,
                             env=PATIENT)
            done[action] = cli, result
        return done[action]
    return run


@pytest.mark.parametrize('behaviour', [*FATAL, *EMPTY])
@pytest.mark.parametrize('action', EACH)
def test_clear_error(acted, action, behaviour):
    _, result = acted(action)
    assert result.status == 1, result
    name = machine_name(behaviour)
    pattern = {**FATAL, **EMPTY}[behaviour]
    check_error(errors_of(result.err, name), behaviour, name, action, pattern)


@pytest.mark.parametrize('action', EACH)
def test_the_others_finish(acted, action):
    cli, result = acted(action)
    past = {'start': 'was started', 'stop': 'was stopped', 'kill': 'was killed'}
    for name in [*GOOD, *map(machine_name, HARMLESS)]:
        assert not errors_of(result.err, name), result
        if action in past:
            assert f'Machine "{name}" {past[action]}.' in result.out, result
        assert [c for c in cli.calls(action, name)]


@pytest.mark.parametrize('action', [*EACH, 'rm'])
def test_nothing_left(acted, action):
    cli, result = acted(action)
    assert not result.leftovers
    cli.assert_whole()


@pytest.mark.parametrize('behaviour', [*FATAL, *EMPTY])
def test_remove_clear_error(acted, behaviour):
    cli, result = acted('rm')
    assert result.status == 1
    name = machine_name(behaviour)
    text = errors_of(result.err, name)
    assert f'Error removing host "{name}": ' in text
    check_error(text, behaviour, name, 'remov', {**FATAL, **EMPTY}[behaviour])
    assert name in cli.names() # its driver may have left something: the entry stays


def test_remove_the_others(acted):
    cli, result = acted('rm')
    for name in [*GOOD, *map(machine_name, HARMLESS)]:
        assert f'Successfully removed {name}' in result.out
        assert name not in cli.names()


def test_forced_remove(cli):
    populate(cli, 'remove', ['segv', 'error:auth'])
    names = [machine_name(b) for b in ('segv', 'error:auth')]
    result = cli.ok('rm', '-f', *names)
    for name in names:
        assert f'Error removing host "{name}"' in result.err
        assert f'Successfully removed {name}' in result.out
    assert cli.names() == GOOD


def test_forced_remove_tells_the_error_first(cli):
    cli.create_flaky('web', {'remove': 'error:auth'})
    both = cli.ok('rm', '-f', 'web', prefix=('sh', '-c', 'exec "$@" 2>&1', 'sh')).out.splitlines()
    first, second = [line.split('"')[0].rstrip() for line in both[2:]]
    assert (first, second) == ('Error removing host', 'Successfully removed web'), both


def test_actions_are_not_repeated(cli):
    cli.create_flaky('web')
    cli.set_script('web', {'start': ['segv', 'ok']})
    set_states(cli, 'Stopped')
    cli.fails('start', 'web')
    assert len(cli.calls('start', 'web')) == 1
    cli.ok('start', 'web')
    assert cli.ok('status', 'web').out == 'Running\n'


@pytest.fixture(scope='module')
def listed(new_cli):
    """For each behaviour of `states` a store with one such machine; all listed at once."""
    stores = {}
    for behaviour in [*FATAL, *EMPTY, *HARMLESS]:
        cli = stores[behaviour] = new_cli(fault=True)
        making = [cli.start('create', '-d', 'none', '--url', 'tcp://127.0.0.1:1', 'plain'),
                  cli.start(*flaky_create('odd'))]
        assert not any(process.process.wait(60) for process in making)
        assert not any(process.finish().leftovers for process in making)
        cli.set_script('odd', {'states': behaviour})
    # a deadline of seconds is for those that never answer: the others only take their time
    runs = {b: (cli, cli.start('ls', '-t', '60' if b in HARMLESS else '2'),
                cli.start('status', 'odd', env=None if b in HARMLESS else QUICK))
            for b, cli in stores.items()}
    for _, ls, status in runs.values():
        ls.process.wait(60) # a hang costs its own deadline, no more
        status.process.wait(60)
    return {b: (cli, ls.finish(), status.finish()) for b, (cli, ls, status) in runs.items()}


def rows(result):
    return {line.split()[0]: line for line in result.out.splitlines()[1:]}


@pytest.mark.parametrize('behaviour', [*FATAL, *EMPTY])
def test_ls(listed, behaviour):
    cli, ls, _ = listed[behaviour]
    assert ls.status == 0, ls
    assert not ls.leftovers
    assert re.search(r'\bRunning\b', rows(ls)['plain']), ls
    assert re.search(r'\b(Error|Timeout)\b', rows(ls)['odd']), ls
    cli.assert_whole()


@pytest.mark.parametrize('behaviour', [*FATAL, *EMPTY])
def test_status(listed, behaviour):
    _, _, status = listed[behaviour]
    assert status.status == 1, status
    assert not status.out
    check_error(status.err, behaviour, 'odd', r'state', {**FATAL, **EMPTY}[behaviour])


@pytest.mark.parametrize('behaviour', HARMLESS)
def test_ls_harmless(listed, behaviour):
    _, ls, status = listed[behaviour]
    assert ls.status == 0, ls
    assert re.search(r'\bRunning\b', rows(ls)['odd']), ls
    assert status.out == 'Running\n', status


@pytest.fixture(scope='module')
def asked(new_cli):
    """`ls`, and `stop` of all, where the question about one machine of many ends the driver."""
    done = {}

    def run(behaviour):
        if behaviour not in done:
            cli = new_cli(fault=True)
            populate(cli, 'states', [behaviour])
            ls = cli.run('ls', '-t', '30', env=PATIENT)
            names = [GOOD[0], machine_name(behaviour), *GOOD[1:]]
            done[behaviour] = cli, ls, cli.run('stop', *names, env=PATIENT)
        return done[behaviour]
    return run


@pytest.fixture(scope='module')
def greeted(new_cli):
    """Commands on a machine whose driver does not get over initialize."""
    cli = new_cli(fault=True)
    cli.create_none('plain')
    cli.create_flaky('odd')
    runs = {}
    for behaviour in [*FATAL, *EMPTY]:
        env = {**QUICK, 'FLAKY_INITIALIZE': behaviour}
        runs[behaviour] = [cli.start('ls', '-t', '20', env=env), cli.start('rm', '-y', 'odd', env=env),
                           cli.start('stop', 'odd', env=env)]
    for run in [run for of_one in runs.values() for run in of_one]:
        run.process.wait(120)
    return cli, {b: [run.finish() for run in of_one] for b, of_one in runs.items()}


@pytest.mark.parametrize('behaviour', [*FATAL, *EMPTY])
def test_initialize(greeted, behaviour):
    cli, results = greeted
    ls, *others = results[behaviour]
    pattern = r'protocolVersion|\bI\d' if behaviour == 'empty' else FATAL[behaviour]
    for result in others:
        assert result.status == 1, result
        check_error(result.err, behaviour, 'odd', 'initialize', pattern)
    assert re.search(r'\bRunning\b', rows(ls)['plain']), ls
    assert re.search(r'initialize|\bTimeout\b', rows(ls)['odd']), ls
    assert not [r.leftovers for r in results[behaviour] if r.leftovers]
    assert cli.ok('status', 'odd').out == 'Running\n'


# a hang tells nobody which of the machines it is about
CRASHING = [b for b in [*FATAL, *EMPTY] if b not in ('hang', 'deaf', 'stuck') and 'error' not in b]


@pytest.mark.parametrize('behaviour', CRASHING)
def test_one_machine_hides_no_other(asked, behaviour):
    cli, ls, stop = asked(behaviour)
    name = machine_name(behaviour)
    assert re.search(r'\bError\b', rows(ls)[name]), ls
    check_error(stop.err, behaviour, name, 'state', {**FATAL, **EMPTY}[behaviour])
    assert stop.status == 1
    for good in GOOD:
        assert re.search(r'\bRunning\b', rows(ls)[good]), ls
        assert f'Machine "{good}" was stopped.' in stop.out, stop
        assert not errors_of(stop.err, good), stop
    cli.assert_whole()


def test_many_wait_in_one_request(cli):
    """However many machines boot, a poll is one request to the driver."""
    names = [f'm{i}' for i in range(12)]
    for process in [cli.start(*flaky_create(n, {'start': ['boot:4', 'ok']})) for n in names]:
        assert process.finish().status == 0
    set_states(cli, 'Stopped')
    before = len(cli.calls('states/'))
    cli.ok('start', *names, env={'MACHINE_POLL_MS': '1500'})
    asked = [int(number) for _, _, number in cli.calls('states/')[before:]]
    assert asked[0] == len(names), asked # is it running already?
    # each was looked at six times or more; 12 starts end at different times, then they keep step
    assert sum(asked) >= 6 * len(names)
    assert len(asked) < sum(asked) / 3, asked


def test_one_crash_while_listing_is_made_up_for(cli):
    cli.create_flaky('odd')
    cli.set_script('odd', {'states': ['segv', 'ok']})
    assert re.search(r'\bRunning\b', rows(cli.ok('ls'))['odd'])


def test_interrupt_ends_a_hanging_driver(cli):
    """Ctrl-C: the driver is told, then killed; what was checkpointed stays."""
    import signal
    from hosts import wait_for
    running = cli.start(*flaky_create('web', {'create': 'checkpoint:3+deaf'}),
                        env={'MACHINE_TEST_GRACE_MS': '700'})
    wait_for('create', lambda: cli.calls('create', 'web'), 20)
    wait_for('checkpoint', lambda: 'Checkpoint' in cli.config('web')['Driver'], 20)
    running.process.send_signal(signal.SIGINT)
    result = running.finish(30)
    assert result.status == -signal.SIGINT, result
    assert not result.leftovers
    assert cli.config('web')['Driver']['Checkpoint'] == 3
    cli.ok('rm', '-y', 'web')
