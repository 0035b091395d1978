"""A driver misbehaves while a machine is made: at initialize, configure, preCreateCheck, create."""

import pytest

from cli import flaky_create, like_flaky
from faults import EMPTY, FATAL, HARMLESS, PATIENT, QUICK, check_error, machine_name
from sshd import free_port

METHODS = {
    'initialize': r'initialize',
    'configure': r'configure|configuration from flags',
    'preCreateCheck': r'preCreateCheck|pre-create check',
    'create': r'\bcreat',
}
SHARED = {'made': ('method', '')}
KEPT = {'create'} # from here on, what failed stays for rm and --resume


@pytest.fixture(scope='module')
def made(new_cli):
    """All creates of a method, each failing in its own way, at once in one store."""
    done = {}

    def run(method):
        if method not in done:
            cli = new_cli(fault=True)
            cli.create_none('bystander')
            behaviours = [*FATAL, *EMPTY, *HARMLESS]
            runs = {}
            for behaviour in behaviours:
                script = {method: behaviour}
                env = dict(PATIENT if behaviour in HARMLESS else QUICK)
                if method == 'initialize':
                    # its ten seconds are the protocol's: the sanitizers need them for a tenth of the flood
                    env['FLAKY_INITIALIZE'] = 'notes:2000' if behaviour == 'notes' else behaviour
                runs[behaviour] = cli.start(*flaky_create(machine_name(behaviour), script), env=env)
            # each reaps what is left of all: a leftover of one shows in the last one's list
            results = {b: r.process.wait(300) for b, r in runs.items()}
            results = {b: r.finish() for b, r in runs.items()}
            done[method] = cli, results
        return done[method]
    return run


@pytest.mark.parametrize('behaviour', [*FATAL, *EMPTY])
@pytest.mark.parametrize('method', METHODS)
def test_clear_error(made, method, behaviour):
    cli, results = made(method)
    result, name = results[behaviour], machine_name(behaviour)
    if behaviour == 'empty' and method == 'preCreateCheck':
        assert result.status == 0, result # {} is its good answer
        return
    pattern = {**FATAL, **EMPTY}[behaviour]
    if behaviour == 'empty' and method == 'initialize':
        pattern = r'protocolVersion|version|\bI\d'
    assert result.status == (3 if method == 'preCreateCheck' else 1), result
    check_error(result.err, behaviour, name, METHODS[method], pattern)
    assert (name in cli.names()) == (method in KEPT), result


@pytest.mark.parametrize('behaviour', HARMLESS)
@pytest.mark.parametrize('method', METHODS)
def test_harmless(made, method, behaviour):
    cli, results = made(method)
    if (method, behaviour) == ('initialize', 'twice'):
        # the second answer meets the next request, of this worker and of its replacement
        check_error(results[behaviour].err, behaviour, machine_name(behaviour), 'configure', 'R7')
        return
    assert results[behaviour].status == 0, results[behaviour]
    assert machine_name(behaviour) in cli.names()


@pytest.mark.parametrize('method', METHODS)
def test_nothing_left(made, method):
    cli, results = made(method)
    assert not [left for r in results.values() for left in r.leftovers]
    cli.assert_whole()
    assert 'bystander' in cli.ok('ls').out


def test_failed_create_can_be_removed_and_resumed(fault_cli):
    fault_cli.fails(*flaky_create('web', {'create': ['error:quota', 'checkpoint', 'ok']}))
    again = fault_cli.fails('create', '-d', 'flaky', 'web')
    assert 'Docker machine "web" already exists' in again.err
    fault_cli.ok('create', '--resume', 'web')
    assert fault_cli.ok('status', 'web').out == 'Running\n'
    fault_cli.fails(*flaky_create('db', {'create': 'error:auth'}))
    fault_cli.ok('rm', '-y', 'db')
    assert fault_cli.names() == ['web']


def test_crashed_create_goes_on_from_its_checkpoint(cli):
    cli.create_flaky('web', {'create': ['checkpoint:2+segv', 'ok']}, env=QUICK)
    assert len(cli.calls('create', 'web')) == 2
    assert cli.config('web')['Driver']['Checkpoint'] == 2


@pytest.mark.parametrize('method', ['configure', 'preCreateCheck'])
def test_questions_are_asked_again_after_a_crash(cli, method):
    cli.create_flaky('web', {method: ['exit:1', 'ok']})
    pids = [pid for pid, *_ in cli.calls(method, 'web')]
    assert len(set(pids)) == 2


def test_waiting_is_the_hosts(cli):
    """Three calls, one process."""
    cli.create_flaky('web', {'create': ['wait', 'waitrunning', 'ok']}, env=QUICK)
    calls = cli.calls('create', 'web')
    assert len(calls) == 3
    assert len({pid for pid, *_ in calls}) == 1


def test_driver_that_is_not_there(cli):
    result = cli.fails('create', '-d', 'nosuch', 'web')
    assert 'Driver "nosuch" not found.' in result.err


GENERIC = ['create', '-d', 'generic', '--generic-ip-address', '127.0.0.1', '--generic-ssh-port']
PROVISIONED = "'provision': False", "'provision': True"
BOOTS = {'create': ['boot:3', 'ok']}
# what is wrong -> a driver like flaky, what its create does, what the error begins with
STEPS = {
    'the store, before': (
        ["return {}\n        if self.method == 'states'",
         "machines = pathlib.Path(self.machine['storePath'], 'machines')\n"
         "            machines.rmdir()\n            machines.touch()\n"
         "            return {}\n        if self.method == 'states'"], {},
        'Error saving host to store before attempting creation: '),
    'the driver': ([], {'create': 'error:quota'}, 'Error creating machine: Error in driver during machine creation: '),
    'ends while it boots': (
        ["if looks > '1' else 'Running'", "if looks > '1' else 'Stopped'"], BOOTS,
        'Error creating machine: Error in driver during machine creation: machine "web" is in state Stopped '),
    'fails while it boots': (
        ["if looks > '1' else 'Running'", "if looks > '1' else 'Error'"], BOOTS,
        'Error creating machine: Error in driver during machine creation: machine "web" is in state Error '),
    'does not run': (
        ["'create': 'Running'", "'create': 'Error'"], {},
        'Error creating machine: Error waiting for machine to be running: machine "web" is in state Error '),
    'has no address': (
        [], {}, 'Error creating machine: Error detecting OS: driver "failing" knows no SSH address for machine "web"'),
    'never runs': (
        ["'create': 'Running'", "'create': 'Paused'"], {},
        'Error creating machine: Error waiting for machine to be running: machine "web" was not Running within 180 s '),
}


@pytest.mark.parametrize('what', STEPS)
def test_error_of_each_step(fault_cli, tmp_path, what):
    """Those that are about the host itself are in test_distributions.py."""
    change, script, text = STEPS[what]
    env = {**QUICK, **like_flaky(tmp_path, 'failing', PROVISIONED, *([change] if change else []))}
    words = ['failing' if word == 'flaky' else word for word in flaky_create('web', script)]
    assert fault_cli.fails(*words, env=env).err.startswith(text)


def test_error_of_a_host_that_does_not_answer(fault_cli):
    """What the last try met is told."""
    port = free_port()
    err = fault_cli.fails(*GENERIC, str(port), 'web', env={'MACHINE_TEST_DEADLINE_MS': '1500'}).err
    first = err.splitlines()[0]
    assert first.startswith('Error creating machine: Error detecting OS: Too many retries waiting for SSH to be '
                            f'available.  Last error: ssh: root@127.0.0.1:{port}: '), err
    assert 'refused' in first and first.endswith(' (step "detect": at most 600 s)')


def test_address_that_the_last_call_gives(fault_cli, tmp_path):
    """As a floating IP is bound to a server that runs: what was reported before is not where it is."""
    port = free_port()
    place = {'ssh': {'host': '127.0.0.1', 'port': port, 'user': 'root'}}
    env = {'MACHINE_POLL_MS': '50', 'MACHINE_TEST_DEADLINE_MS': '3000', **like_flaky(
        tmp_path, 'binding', PROVISIONED,
        ("{'state': state, ", f"{{'state': state, **({place} if (FOLDER / 'bound').exists() else {{}}), "),
        ("        if self.method in LIFECYCLE:\n", "        if self.method in LIFECYCLE:\n            (FOLDER / 'bound').touch()\n"))}
    words = ['binding' if word == 'flaky' else word for word in flaky_create('web', {'create': ['boot:2', 'ok']})]
    err = fault_cli.fails(*words, env=env).err
    assert f'Last error: ssh: root@127.0.0.1:{port}: ' in err, err
