"""docker-machine-wrapper.bash and docker-machine-prompt.bash, sourced by a real bash."""

import subprocess

import pytest

from cli import TOP, flaky_create

WRAPPER = TOP / 'shell' / 'docker-machine-wrapper.bash'
PROMPT = TOP / 'shell' / 'docker-machine-prompt.bash'


@pytest.fixture(scope='module')
def store(new_cli):
    cli = new_cli()
    cli.create_none('web1')
    (cli.folder / 'bin').mkdir()
    for name in 'machine', 'docker-machine':
        (cli.folder / 'bin' / name).symlink_to(cli.program)
    cli.env['PATH'] = f'{cli.folder / "bin"}:{cli.env["PATH"]}'
    return cli


def bash(cli, code, **env):
    """Line by line, as aliases are expanded when a line is read."""
    script = cli.folder / 'script'
    script.write_text(f'shopt -s expand_aliases\n{code}')
    return subprocess.run(['bash', '--norc', script], env={**cli.env, **env}, cwd=cli.folder, timeout=60,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture
def engine(store):
    """A stand-in: env would want a real engine behind TLS."""
    fake = store.folder / 'fake'
    fake.mkdir(exist_ok=True)
    for name in 'machine', 'docker-machine':
        (fake / name).write_text(f'''#!/bin/sh
echo "{name} $SHELL $*" >>{store.folder}/calls
case "$*" in
"env -u") echo unset DOCKER_MACHINE_NAME ;;
*--help*) echo HELP ;;
"env nope") echo "no such machine" >&2; exit 1 ;;
env*) echo 'export DOCKER_MACHINE_NAME="web1"' ;;
*) echo "called: $*" ;;
esac
''')
        (fake / name).chmod(0o755)
    (store.folder / 'calls').unlink(missing_ok=True)
    return {'PATH': f'{fake}:{store.env["PATH"]}', 'SHELL': '/usr/bin/fish'}


@pytest.mark.parametrize('name', ['machine', 'docker-machine'])
def test_use(store, engine, name):
    done = bash(store, f'source {WRAPPER}\n{name} use --no-proxy web1\necho "<$DOCKER_MACHINE_NAME>"\n'
                f'{name} use -u\necho "<$DOCKER_MACHINE_NAME>"\n{name} ip "a b"\n', **engine)
    assert done.stdout == 'Active machine: web1\n<web1>\nActive machine: \n<>\ncalled: ip a b\n'
    assert (done.returncode, done.stderr) == (0, '')
    assert (store.folder / 'calls').read_text() == (
        f'{name} bash env --no-proxy web1\n{name} bash env -u\n{name} /usr/bin/fish ip a b\n')


def test_use_that_fails(store, engine):
    done = bash(store, f'source {WRAPPER}\nmachine use nope\necho "$? <$DOCKER_MACHINE_NAME>"\n', **engine)
    assert (done.stdout, done.stderr) == ('1 <>\n', 'no such machine\n')


def test_use_help(store, engine):
    done = bash(store, f'source {WRAPPER}\nmachine use --help\necho "$?"\n', **engine)
    assert done.stdout.startswith('Usage: machine use [OPTIONS] [arg...]\n') and done.stdout.endswith('HELP\n0\n')


def test_use_turned_off(store, engine):
    done = bash(store, f'source {WRAPPER}\ndocker-machine use x\n', DOCKER_MACHINE_WRAPPED='false', **engine)
    assert done.stdout == 'called: use x\n'


def test_real_unset(store):
    done = bash(store, f'source {WRAPPER}\nDOCKER_HOST=x\nmachine use -u\necho "<$DOCKER_HOST>"\n', SHELL='/bin/fish')
    assert (done.stdout, done.stderr) == ('Active machine: \n<>\n', '')


def test_strict_shells(store, engine):
    done = bash(store, f'set -eu\nsource {WRAPPER}\nsource {PROMPT}\nmachine use web1\nmachine use -u\n'
                '__docker_machine_ps1\nmachine ls\n', **engine)
    assert (done.returncode, done.stderr) == (0, ''), done


def prompt(cli, arguments='', **env):
    done = bash(cli, f'source {PROMPT}\n__docker_machine_ps1 {arguments}\n', **env)
    assert (done.returncode, done.stderr) == (0, '')
    return done.stdout


def test_prompt(store):
    assert prompt(store) == ''
    assert prompt(store, DOCKER_MACHINE_NAME='web1') == ' [web1]'
    assert prompt(store, '"(%s) "', DOCKER_MACHINE_NAME='web1') == '(web1) '
    assert prompt(store, DOCKER_MACHINE_NAME='a%sb') == ' [a%sb]'


@pytest.mark.parametrize('state, shown', [('Running', 'R'), ('Stopped', 'S'), ('Starting', 'S->R'),
                                          ('Stopping', 'R->S'), ('Error', 'E'), ('Paused', 'S')])
def test_prompt_with_state(store, state, shown):
    if 'moody' not in store.names():
        store.ok(*flaky_create('moody'))
    (store.flaky / 'state-moody').write_text(state)
    env = {'DOCKER_MACHINE_NAME': 'moody', 'DOCKER_MACHINE_PS1_SHOWSTATUS': 'true'}
    assert store.ok('status', 'moody').out == state + '\n'
    assert prompt(store, **env) == f' [moody {shown}]'
