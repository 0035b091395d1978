"""The real docker client: machine as its plugin."""

import json
import os
import shutil
import signal
import socket
import subprocess

import pytest

from engine import Engine
from cli import flaky_create, reap
from dockerclient import docker # noqa: F401
from hosts import wait_for

URL = 'tcp://127.0.0.1:1'


def test_metadata(cli):
    said = json.loads(cli.ok('docker-cli-plugin-metadata', env={'HOME': '', 'MACHINE_STORAGE_PATH': ''}).out)
    assert said['SchemaVersion'] == '0.1.0' and said['Vendor'] and said['ShortDescription']
    assert cli.ok('version').out.startswith(f'machine version {said["Version"]}, ')


def test_listed(docker):
    line, = [l for l in docker('--help').stdout.splitlines() if l.split()[:1] in (['machine'], ['machine*'])]
    assert 'Create and manage machines running Docker' in line


@pytest.mark.parametrize('words', [['machine'], ['machine', '--help'], ['machine', 'help'], ['help', 'machine']])
def test_help(docker, words):
    out = docker(*words).stdout
    assert out.startswith('Usage: docker machine [OPTIONS] COMMAND [arg...]\n')
    assert out.endswith("Run 'docker machine COMMAND --help' for more information on a command.\n")


@pytest.mark.parametrize('words', [['machine', 'ls', '--help'], ['help', 'machine', 'ls'], ['machine', 'help', 'ls']])
def test_help_of_a_command(cli, docker, words):
    assert docker(*words).stdout == cli.ok('ls', '--help').out


def test_commands(cli, docker):
    made = docker('machine', 'create', '-d', 'none', '--url', URL, 'web1')
    assert made.stdout.endswith('machine, run: docker machine env web1\n') and not made.stderr
    assert docker('machine', 'url', 'web1').stdout == f'{URL}\n'
    assert docker('machine', 'ls', '-q').stdout == 'web1\n'
    assert docker('machine', 'ls').stdout == cli.ok('ls').out
    wrong = docker('machine', 'bogus', status=1)
    assert wrong.stderr.startswith("docker machine: 'bogus' is not a docker machine command. "
                                   "See 'docker machine --help'.\n")
    assert 'does not exist' in docker('machine', 'status', 'nope', status=1).stderr
    docker('machine', 'rm', '-y', 'web1')
    assert cli.names() == []


@pytest.mark.parametrize('before', [
    ['-D'], ['--debug'], ['-l', 'info'], ['--log-level=info'], ['-H', 'tcp://192.0.2.1:2375'],
    ['-Htcp://192.0.2.1:2375'], ['--context', 'default'], ['-c', 'default'], ['--tlscacert', '/x/machine'],
    ['--debug=false', '--context=default'], ['--context', 'machine']])
def test_the_clients_own_flags(cli, docker, before):
    """They stand before the plugin's name; -D is ours, too."""
    if before[-1] == 'machine':
        docker('context', 'create', 'machine', '--docker', 'host=tcp://192.0.2.1:2375')
    cli.create_none('web1', URL)
    done = docker(*before, 'machine', 'url', 'web1')
    assert done.stdout == f'{URL}\n'
    assert ('is asked: states' in done.stderr) == (before[0] in ('-D', '--debug'))


def test_env_and_its_hint(cli, docker, certs, tmp_path):
    engine = Engine(certs, tmp_path)
    try:
        cli.create_none('web1', engine.url)
        env = {'SHELL': '/bin/sh'}
        plain = cli.ok('env', 'web1', env=env).out
        assert docker('machine', 'env', 'web1', env=env).stdout == plain.replace(str(cli.program), 'docker machine')
        script = 'eval "$(docker machine env web1)" && echo "$DOCKER_MACHINE_NAME $DOCKER_HOST"'
        done = subprocess.run(['sh', '-c', script], env={**cli.env, **env}, capture_output=True, text=True,
                              timeout=60, check=True)
        assert done.stdout == f'web1 {engine.url}\n'
    finally:
        engine.close()
    full = shutil.which('docker', path=cli.env['PATH'])
    done = subprocess.run([full, 'machine', 'env', '-u', '--shell', 'sh'], env=cli.env, capture_output=True,
                          text=True, timeout=60, check=True)
    assert done.stdout.endswith(f'# eval $({full} machine env -u --shell sh)\n')


def test_called_by_hand(cli):
    """Without the client, the plugin's name is a first word that may be there."""
    cli.create_none('web1', URL)
    assert cli.ok('machine', 'url', 'web1').out == f'{URL}\n'
    assert cli.ok('machine', 'env', '-u').out.endswith(f'# eval $({cli.program} machine env -u)\n')


def test_inherited_variable(cli):
    """A script that another plugin runs calls us as ever."""
    cli.create_none('web1', URL)
    env = {'DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND': 'docker'}
    for words in ['--bugsnag-api-token=no-report', 'url'], ['--native-ssh', 'url'], ['url']:
        assert cli.ok(*words, 'web1', env=env).out == f'{URL}\n'
    assert cli.ok('env', '-u', env=env).out.endswith(f'# eval $({cli.program} env -u)\n')
    assert cli.fails('-D', 'bogus', env=env).err.startswith("machine: 'bogus' is not a machine command")


def test_config_of_the_client(cli, docker):
    """docker --config DIR means that folder for contexts as well."""
    other = cli.folder / 'other'
    shutil.copytree(docker.plugins, other / 'cli-plugins', symlinks=True)
    cli.create_none('web1', URL)
    docker('--config', str(other), 'machine', 'context', 'web1')
    assert not (docker.folder / 'contexts').exists()
    assert docker('--config', str(other), 'context', 'ls', '-q').stdout.split() == ['default', 'web1']


def client_tells_its_end():
    """Newer clients give their plugins a socket."""
    version = subprocess.run(['docker', '--version'], capture_output=True, text=True, check=True).stdout
    return int(version.split('version ')[1].split('.')[0]) >= 25


def test_a_client_that_is_told_to_end(cli, docker):
    """It passes no signal on, but closes a socket: then create ends as after Ctrl-C. An older one leaves it to
    the terminal, which signals all of the foreground."""
    words = flaky_create('web', {'create': 'checkpoint:1+hang'})
    with open(cli.folder / 'err', 'w', encoding='utf-8') as err:
        client = subprocess.Popen(['docker', 'machine', *words], env=cli.env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=err, start_new_session=True)
    try:
        wait_for('create', lambda: cli.calls('create'), 30)
        wait_for('checkpoint', lambda: cli.config('web')['Driver'].get('Checkpoint') == 1, 20)
        if client_tells_its_end():
            client.send_signal(signal.SIGTERM)
        else:
            os.killpg(client.pid, signal.SIGTERM)
        assert client.wait(40) == 128 + signal.SIGTERM
    finally:
        left = reap({client.pid} if client.poll() is None else set())
        client.kill()
        client.wait()
    assert not left
    said = (cli.folder / 'err').read_text(encoding='utf-8')
    assert 'Interrupted' in said and '--resume web' in said
    cli.set_script('web', {})
    cli.ok('create', '--resume', 'web')


def test_socket_by_hand(cli, docker):
    """The same with a socket of ours: what any client does, whichever is installed."""
    for address in f'\0machine-test-{os.getpid()}', str(cli.folder / 'socket'):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(address)
            server.listen()
            env = {'DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND': 'docker',
                   'DOCKER_CLI_PLUGIN_SOCKET': address.replace('\0', '@')}
            name = f'web{len(address)}'
            running = cli.start('machine', *flaky_create(name, {'create': 'hang'}), env=env)
            connection, _ = server.accept()
            wait_for('create', lambda: cli.calls('create', name), 30)
            connection.close()
            result = running.finish(30)
            assert result.status == 128 + signal.SIGTERM and 'Interrupted' in result.err, result
            assert not result.leftovers
    # nobody there: goes on without
    assert cli.ok('machine', 'ls', '-q', env=env).out
