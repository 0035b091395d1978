"""Several machines with one command: how many at a time, and how often their provider is asked."""

import json
import os
import signal
import socket
import threading

import pytest

from cli import flaky_create, like_flaky
from faults import QUICK
from hosts import wait_for
from many import FLAKY, outcomes, scripted


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


@pytest.mark.parametrize('words,most', [(['w{1..4}'], 4), (['--filter', 'name=^w'], 4), (['w1', 'w2', 'w3', 'w4'], 1)])
def test_rm_at_once(cli, words, most):
    """By the old name, too, but for plain words."""
    cli.ok(*scripted({'remove': 'slow:1+ok'}, 'w{1..4}'))
    cli = cli.called('docker-machine')
    lines = cli.ok('rm', '-y', '--progress', 'json', *words).out.splitlines()
    assert most_at_once(lines) == most


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
    assert running.finish(30).status == -signal.SIGINT
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
