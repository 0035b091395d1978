"""Standard streams that are closed, full or left by their reader; signals; time limits."""

import fcntl
import os
import signal
import subprocess

import pytest

from cli import Running, command_line, descendants, flaky_create, like_flaky
from hosts import wait_for


@pytest.fixture(scope='module')
def store(new_cli):
    cli = new_cli()
    for name in 'm1', 'm2':
        cli.create_none(name)
    return cli


def shell(cli, script, timeout=30):
    """Runs a bash script with $M as the program."""
    return subprocess.run(['bash', '-c', script], env={**cli.env, 'M': str(cli.program)},
                          cwd=cli.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False)


QUERIES = ['ls', 'ls -q', 'url m1', 'status m1', 'ip m1', 'inspect m1', 'version', 'help',
           'ls --help', 'driver ls', 'env -u', 'ls --json', 'status --json m1',
           'docker-cli-plugin-metadata']


@pytest.mark.parametrize('command', QUERIES)
def test_full_disk(store, command):
    done = shell(store, f'"$M" {command} >/dev/full')
    assert done.returncode == 1
    assert done.stderr.endswith('write to standard output: No space left on device\n')


@pytest.mark.parametrize('command', QUERIES)
def test_closed_output(store, command):
    done = shell(store, f'"$M" {command} >&-')
    assert done.returncode == 1
    assert done.stderr.endswith('write to standard output: Bad file descriptor\n')


@pytest.mark.parametrize('command', QUERIES)
def test_nobody_reads(store, command):
    """As any other program: killed by SIGPIPE, without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, 'wb') as out:
        done = subprocess.run([store.program, *command.split()], env=store.env, stdout=out,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=30,
                              check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b'')


def test_progress_that_nobody_reads(store):
    """What was done stays done, and counts as done."""
    done = shell(store, '"$M" create -d none --url x p1 | head -1 >/dev/null; echo ${PIPESTATUS[0]}')
    assert (done.stdout, done.stderr) == ('0\n', '')
    done = shell(store, '"$M" create -d none --url x p2 >&-; "$M" rm -y p1 p2 <&- >&- 2>&-')
    assert (done.returncode, done.stderr) == (0, '')
    assert store.names() == ['m1', 'm2']


def test_progress_on_a_full_disk(store):
    done = shell(store, '"$M" create -d none --url x p1 >/dev/full')
    assert done.returncode == 1 and 'No space left' in done.stderr
    store.ok('rm', '-y', 'p1')


def test_everything_closed_harms_nothing(store):
    """No file of the store takes the place of a stream."""
    shell(store, '"$M" create -d none --url x c1 <&- >&- 2>&-; "$M" ls <&- >&- 2>&-')
    store.assert_whole()
    store.ok('rm', '-y', 'c1')


def waiting_in(cli, method, *args, **kwargs):
    """Starts a command and waits until a driver serves it."""
    before = len(cli.calls(method))
    running = cli.start(*args, **kwargs)
    wait_for(method, lambda: len(cli.calls(method)) > before, 20)
    return running


@pytest.fixture(scope='module')
def hanging(new_cli):
    """A machine whose driver hangs in `states`, deaf to SIGTERM, and one of another driver."""
    cli = new_cli()
    cli.create_none('plain')
    cli.create_flaky('odd')
    cli.set_script('odd', {'states': 'deaf'})
    return cli


@pytest.mark.parametrize('command', [['ls'], ['ls', '--filter', 'state=Timeout']])
def test_ls_ends_with_its_time(hanging, command):
    result = hanging.ok(*command, '-t', '1')
    assert 1 <= result.seconds < 5, result # not the 5 s of a cancelled request more
    rows = {line.split()[0]: line for line in result.out.splitlines()[1:]}
    assert rows['odd'].split() == ['odd', 'flaky', 'Timeout']
    if len(command) == 1:
        assert ' Running ' in rows['plain']


def test_ls_q_asks_nobody(hanging):
    before = hanging.calls()
    assert hanging.ok('ls', '-q').out == 'odd\nplain\n'
    assert hanging.ok('ls', '-q', '--filter', 'driver=flaky', '-t', '1').out == 'odd\n'
    assert hanging.calls() == before


@pytest.mark.parametrize('command', ['rm', 'regenerate-certs'])
def test_a_question_leaves_the_input_as_it_is(store, command):
    """Its flags are of the open file, which the shell and its next commands have, too."""
    reader, writer = os.pipe()
    try:
        os.write(writer, b'n\nrest\n')
        done = subprocess.run([store.program, command, 'm1'], env=store.env, stdin=reader, capture_output=True, text=True,
                              check=False, timeout=60)
        assert done.returncode == 0 and '(y/n): ' in done.stdout, done
        assert not fcntl.fcntl(reader, fcntl.F_GETFL) & os.O_NONBLOCK
        assert os.read(reader, 100) == b'rest\n'
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize('command', [['ls'], ['status', 'odd'], ['ip', 'odd'], ['env', 'odd']])
def test_interrupted_question(hanging, command, number):
    running = waiting_in(hanging, 'states', *command)
    running.process.send_signal(number)
    result = running.finish(20)
    assert result.status == -number, result
    assert not result.leftovers
    assert 'Interrupted' in result.err and not result.out
    assert result.seconds < 8, result


def test_a_loop_ends_with_its_command(hanging):
    """A shell goes on after a program that tells of a signal only by its status."""
    before = len(hanging.calls('states'))
    running = Running(['bash', '-c', f'for name in odd odd; do "{hanging.program}" status $name; done; echo went on'],
                      hanging.env, hanging.folder)
    wait_for('states', lambda: len(hanging.calls('states')) > before, 20)
    os.killpg(running.process.pid, signal.SIGINT) # as the terminal does
    result = running.finish(20)
    assert result.status == -signal.SIGINT and not result.out and not result.leftovers, result
    assert len(hanging.calls('states')) == before + 1


def test_interrupted_twice(cli):
    """The second one quits at once and takes the driver along, however deaf."""
    running = waiting_in(cli, 'create', *flaky_create('web', {'create': 'checkpoint:2+deaf'}))
    wait_for('checkpoint', lambda: cli.config('web')['Driver'].get('Checkpoint') == 2, 20)
    running.interrupt_twice()
    result = running.finish(20)
    assert result.status == -signal.SIGINT and not result.leftovers, result
    cli.assert_whole()
    cli.ok('rm', '-y', 'web')


def test_two_signals_at_once_are_one(cli):
    """timeout(1) sends to the program and then to its group: that is no impatience."""
    running = waiting_in(cli, 'create', *flaky_create('web', {'create': 'hang'}),
                         env={'MACHINE_TEST_GRACE_MS': '500'})
    for number in signal.SIGTERM, signal.SIGINT:
        running.process.send_signal(number)
    result = running.finish(20)
    assert result.status in (-signal.SIGTERM, -signal.SIGINT), result
    assert not result.leftovers
    # it went on to its end
    assert 'Error creating machine: ' in result.err and '--resume web' in result.err, result


def test_interrupted_driver_ls(cli):
    running = waiting_in(cli, 'initialize', 'driver', 'ls', env={'FLAKY_INITIALIZE': 'hang'})
    running.process.send_signal(signal.SIGINT)
    result = running.finish(20)
    assert result.status == -signal.SIGINT and not result.out and not result.leftovers, result


def test_ignored_signals_stay_ignored(hanging):
    """nohup, and what shells run in the background."""
    running = waiting_in(hanging, 'states', 'ls', '-t', '3',
                         prefix=['env', '--ignore-signal=HUP,INT'])
    for number in signal.SIGHUP, signal.SIGINT:
        running.process.send_signal(number)
    result = running.finish(20)
    assert result.status == 0 and ' Timeout ' in result.out, result


def test_nohup_reaches_over_ssh(cli, tmp_path):
    env = like_flaky(tmp_path, 'shy', ("'ip':", "'ssh': {'host': '127.0.0.1'}, 'ip':"))
    env['PATH'] = f'{tmp_path}:{os.environ["PATH"]}'
    client = tmp_path / 'ssh'
    client.write_text('#!/bin/sh\n: >here\nuntil [ -e go ]; do sleep 0.05; done\necho done\n')
    client.chmod(0o755)
    cli.ok('create', '-d', 'shy', 'web', env=env)
    running = cli.start('ssh', 'web', env=env, prefix=['env', '--ignore-signal=HUP'])
    wait_for('ssh', (cli.folder / 'here').exists, 20)
    running.process.send_signal(signal.SIGHUP)
    (cli.folder / 'go').touch()
    result = running.finish(20)
    assert (result.status, result.out) == (0, 'done\n'), result


@pytest.mark.parametrize('command', [['rm', 'm1'], ['regenerate-certs', 'm1']])
def test_interrupted_at_a_question(store, command):
    reader, writer = os.pipe() # nobody answers
    try:
        process = subprocess.Popen([store.program, *command], env=store.env, stdin=reader,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        question = ''
        while '(y/n): ' not in question:
            question += process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        os.close(reader)
        os.close(writer)
    assert process.returncode == -signal.SIGINT, err
    assert not out and 'Interrupted' in err
    assert store.names() == ['m1', 'm2']


def test_nothing_is_left_after_a_driver_that_does_not_end(cli):
    """A driver that ignores the end of its input is not waited for after a question."""
    cli.create_flaky('web')
    cli.set_script('web', {'states': 'child'}) # answers; its child keeps the pipes
    result = cli.ok('status', 'web')
    assert result.out == 'Running\n' and result.seconds < 5, result
    assert not [pid for pid in descendants(os.getpid()) if 'driver-flaky' in command_line(pid)]
