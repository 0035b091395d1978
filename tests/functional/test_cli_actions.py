"""start, stop, restart, kill, rm, provision and regenerate-certs as they are typed."""

import json

import pytest

ADVICE = ('{} machines may have new IP addresses. You may need to re-run the `docker-machine env` '
          'command.\n')
ABOUT = ('About to remove {}\n'
         'WARNING: This action will delete both local reference and remote instance.\n')
SURE = 'Are you sure? (y/n): '
RENEW = 'Regenerate TLS machine certs?  Warning: this is irreversible. (y/n): '
MISSING = ('Docker machine "{}" does not exist. Use "docker-machine ls" to list machines. '
           'Use "docker-machine create" to add a new one.')


@pytest.fixture(scope='module')
def store(new_cli):
    """By the name that the original's callers use; what differs by the other one is in test_many.py."""
    cli = new_cli().called('docker-machine')
    cli.create_none('plain')
    for name in 'w1', 'w2':
        cli.create_flaky(name)
    return cli


@pytest.fixture
def states(store):
    def set_states(**by_name):
        for name, state in by_name.items():
            (store.flaky / f'state-{name}').write_text(state)
    return set_states


def config_path(cli, name):
    return cli.store / 'machines' / name / 'config.json'


# command, state before -> exit status, standard output, standard error, calls of the driver
ONE = {
    ('start', 'Stopped'): (0, 'Starting "w1"...\nMachine "w1" was started.\n'
                           + ADVICE.format('Started'), '', ['start']),
    ('start', 'Running'): (1, 'Starting "w1"...\n', 'Machine "w1" is already running.\n', []),
    ('stop', 'Running'): (0, 'Stopping "w1"...\nMachine "w1" was stopped.\n', '', ['stop']),
    ('stop', 'Stopped'): (1, 'Stopping "w1"...\n', 'Machine "w1" is already stopped.\n', []),
    ('kill', 'Running'): (0, 'Killing "w1"...\nMachine "w1" was killed.\n', '', ['kill']),
    ('kill', 'Stopped'): (1, 'Killing "w1"...\n', 'Machine "w1" is already stopped.\n', []),
    ('restart', 'Running'): (0, 'Restarting "w1"...\n' + ADVICE.format('Restarted'), '',
                             ['restart']),
    ('restart', 'Stopped'): (0, 'Restarting "w1"...\nStarting "w1"...\nMachine "w1" was started.\n'
                             + ADVICE.format('Restarted'), '', ['start']),
    ('restart', 'Saved'): (0, 'Restarting "w1"...\n' + ADVICE.format('Restarted'), '', []),
}


@pytest.mark.parametrize('command, state', ONE)
def test_one(store, states, command, state):
    states(w1=state)
    before = len(store.calls())
    status, out, err, calls = ONE[command, state]
    result = store.run(command, 'w1', env={'MACHINE_POLL_MS': '50'})
    assert (result.status, result.out, result.err) == (status, out, err)
    asked = {'initialize', 'states', 'states/'}
    assert [c[1] for c in store.calls()[before:] if c[1] not in asked] == calls


@pytest.mark.parametrize('state', ['', 'Running', 'Paused', 'Saved', 'Stopped', 'Stopping', 'Starting', 'Error'])
def test_status(store, states, state):
    states(w1=state)
    assert store.ok('status', 'w1').out == f'{state}\n'


@pytest.mark.parametrize('command, past', [('start', 'started'), ('stop', 'stopped'),
                                           ('restart', 'restarted'), ('kill', 'killed')])
def test_what_none_cannot(store, command, past):
    result = store.fails(command, 'plain')
    text = 'Machine "plain" is already running.' if command == 'start' else (
        f'hosts without a driver cannot be {past}')
    assert text in result.err


def test_one_of_many_fails(store, states):
    states(w1='Running', w2='Stopped')
    result = store.fails('stop', 'w2', 'plain', 'w1')
    assert sorted(result.err.splitlines()) == [
        'Machine "w2" is already stopped.', 'plain: hosts without a driver cannot be stopped']
    assert 'Machine "w1" was stopped.\n' in result.out
    assert store.ok('status', 'w1').out == 'Stopped\n'


def test_names_that_are_words_of_the_message(store):
    store.create_none('a')
    try:
        result = store.fails('stop', 'a', 'plain')
        assert sorted(result.err.splitlines()) == [
            f'{name}: hosts without a driver cannot be stopped' for name in ('a', 'plain')]
    finally:
        store.ok('rm', '-f', 'a')


@pytest.mark.parametrize('command', ['start', 'stop', 'restart', 'kill', 'provision', 'ip',
                                     'upgrade', 'regenerate-certs -f'])
def test_nothing_is_done_if_one_does_not_load(store, states, command):
    states(w1='Running', w2='Stopped')
    broken = store.store / 'machines' / 'torn'
    broken.mkdir(exist_ok=True)
    (broken / 'config.json').write_text('{"Name": ')
    before = store.calls()
    result = store.fails(*command.split(), 'w1', 'nope', 'torn', 'w2')
    assert result.out in ('', 'Regenerating TLS certificates\n')
    lines = result.err.splitlines()
    assert len(lines) == 2 and lines[0] == MISSING.format('nope')
    assert 'torn/config.json' in lines[1]
    assert store.calls() == before
    (broken / 'config.json').unlink()
    broken.rmdir()


def test_names_twice(store, states):
    """They take turns; the second finds the work done."""
    states(w1='Running')
    result = store.fails('stop', 'w1', 'w1')
    assert result.err == 'Machine "w1" is already stopped.\n'
    assert result.out.count('was stopped') == 1


def test_records_are_written_only_when_they_change(store, states):
    states(w1='Running')
    path = config_path(store, 'w1')
    before = path.stat()
    for words in ['stop', 'w1'], ['start', 'w1'], ['ip', 'w1'], ['status', 'w1'], ['ls']:
        store.ok(*words, env={'MACHINE_POLL_MS': '50'})
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_provision_of_what_is_not_provisioned(store):
    for words in ['provision', 'plain'], ['upgrade', 'plain'], ['regenerate-certs', '-f', 'plain']:
        result = store.fails(*words)
        assert 'driver "none"' in result.err and 'not provisioned' in result.err


@pytest.mark.parametrize('answer, status, err', [
    ('n\n', 0, ''), ('no\n', 0, ''), ('x\n', 0, ''), ('\n', 1, 'unexpected newline\n'),
    (' \n', 1, 'unexpected newline\n'), ('yes no\n', 1, 'expected newline\n'), ('', 1, 'EOF\n')])
def test_regenerate_certs_declined(store, answer, status, err):
    result = store.run('regenerate-certs', 'plain', stdin=answer)
    assert (result.status, result.out, result.err) == (status, RENEW, err)


@pytest.mark.parametrize('answer', ['y\n', 'Yes\n', 'y', ' y \n'])
def test_regenerate_certs_confirmed(store, answer):
    result = store.fails('regenerate-certs', 'plain', stdin=answer)
    assert result.out == RENEW + 'Regenerating TLS certificates\n'


@pytest.mark.parametrize('words', [['plain', 'nope'], ['--parallel', '-1', 'plain']])
def test_client_certs_are_renewed_for_all_or_none(store, words):
    pair = [store.store / 'certs' / name for name in ('cert.pem', 'key.pem')]
    before = [path.read_bytes() for path in pair]
    store.fails('regenerate-certs', '-f', '--client-certs', *words)
    assert [path.read_bytes() for path in pair] == before


@pytest.mark.parametrize('answer', ['n\n', '\n', '', 'y y\n', 'q\n', 'no y\n', ' \n'])
def test_rm_declined(store, answer):
    result = store.ok('rm', 'plain', 'nope', stdin=answer)
    assert (result.out, result.err) == (ABOUT.format('plain, nope') + SURE, '')
    assert 'plain' in store.names()


@pytest.mark.parametrize('flags, answer', [([], 'y\n'), ([], 'YES'), ([], ' yeah \n'), (['-y'], ''),
                                           (['-f'], ''), (['--force=true'], '')])
def test_rm(store, flags, answer):
    store.create_none('going')
    result = store.ok('rm', *flags, 'going', stdin=answer)
    assert result.out == (ABOUT.format('going') + ('' if flags else SURE)
                          + 'Successfully removed going\n')
    assert not result.err and 'going' not in store.names()
    assert not [p for p in store.store.rglob('*') if 'going' in p.name]


def test_rm_of_several(store):
    """The messages of failures come at the end, on standard error."""
    store.create_none('going')
    result = store.fails('rm', '-y', 'nope', 'going')
    assert result.out == ABOUT.format('nope, going') + 'Successfully removed going\n'
    assert result.err == f'Error removing host "nope": {MISSING.format("nope")}\n'


def test_rm_flag_after_a_name(store):
    """Kept from the original: it is taken for a machine."""
    store.create_none('going')
    result = store.fails('rm', '-y', 'going', '-f')
    assert 'Successfully removed going\n' in result.out
    assert result.err == f'Error removing host "-f": {MISSING.format("-f")}\n'
    store.create_none('going')
    assert 'Successfully removed going\n' in store.ok('rm', 'going', '-f').out


def test_rm_force_never_fails(store):
    result = store.ok('rm', '-f', 'nope')
    assert result.out == ABOUT.format('nope')
    assert result.err == (f'Error removing host "nope": {MISSING.format("nope")}\n'
                          'Can\'t remove "nope"\n')


@pytest.mark.parametrize('content', ['', '{', '{"ConfigVersion": 99}', None])
def test_rm_of_what_cannot_be_loaded(store, content):
    folder = store.store / 'machines' / 'torn'
    folder.mkdir()
    if content is not None:
        (folder / 'config.json').write_text(content)
    assert 'Error removing host "torn": ' in store.fails('rm', '-y', 'torn').err
    assert folder.exists()
    result = store.ok('rm', '-f', 'torn')
    assert result.out.endswith('Successfully removed torn\n') and not folder.exists()
    assert 'Error removing host "torn": ' in result.err


def test_rm_of_a_machine_whose_driver_is_gone(store):
    store.create_none('lost')
    config = store.config('lost')
    config['DriverName'] = 'vanished'
    config_path(store, 'lost').write_text(json.dumps(config))
    assert 'Driver "vanished" not found' in store.fails('rm', '-y', 'lost').err
    store.ok('rm', '-f', 'lost')
    assert 'lost' not in store.names()


def test_inspect_shows_the_record(store):
    """Four blanks, the order of the file, one newline; no driver is needed for it."""
    before = store.calls()
    out = store.ok('inspect', 'w1', env={'MACHINE_DRIVER_PATH': ''}).out
    assert out == json.dumps(store.config('w1'), indent=4, ensure_ascii=False) + '\n'
    assert store.calls() == before
