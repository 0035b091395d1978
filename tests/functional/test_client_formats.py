"""What programs type in the language of templates: GitLab Runner and its operators, docker.el, completions."""

import json
import pathlib
import subprocess

import pytest

from callers import Caller, caller, engine, world # noqa: F401

URL = 'tcp://127.0.0.1:1'
RUNNER = 'runner-zxwgkjap-ci-1700000000-0a1b2c3d'


@pytest.fixture
def runner(cli):
    return Caller(cli, '--bugsnag-api-token=no-report')


def test_runner_takes_credentials(runner, cli, engine):
    """From standard output alone, trimmed."""
    cli.create_none(RUNNER, engine.url)
    runner('config', RUNNER)
    assert runner('url', RUNNER).out.strip() == engine.url
    folder = pathlib.Path(runner('inspect', RUNNER, '-f', '{{.HostOptions.AuthOptions.StorePath}}').out.strip())
    assert folder == cli.store / 'machines' / RUNNER
    done = subprocess.run(['curl', '-sS', '--cacert', folder / 'ca.pem', '--cert', folder / 'cert.pem', '--key',
                           folder / 'key.pem', engine.url.replace('tcp', 'https') + '/version'],
                          capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(done.stdout)['Version'] == '24.0.7'


def test_runners_operator(runner, cli):
    """With -q a format is not even looked at."""
    cli.create_none('fine', URL)
    cli.create_flaky('odd')
    cli.set_script('odd', {'states': 'error:auth'})
    assert runner('ls', '-q', '--filter', 'state=Error', '--format', '{{.NAME}}').out == 'odd\n'
    assert runner('ls', '-q', '--format', '{{').out == 'fine\nodd\n'


def test_emacs(world, caller):
    fields = ['Name', 'Active', 'DriverName', 'State', 'URL', 'Swarm', 'DockerVersion', 'Error']
    format = r'\t'.join('{{.%s}}' % f for f in fields)
    rows = [l.split('\t') for l in caller('ls', f'--format={format}').out.splitlines()]
    assert [r[0] for r in rows] == ['default', 'off'] and {len(r) for r in rows} == {8}
    assert rows[0][3] == 'Running' and rows[1][3] == 'Stopped'


def test_zsh_completion(world, caller):
    out = caller('ls', '-f', r'{{.Name}}\:{{.DriverName}}\({{.State}}\)\ {{.URL}}').out
    assert r'off\:flaky\(Stopped\)\ ' in out.splitlines()
    assert caller('ls', '-f', '{{.Swarm}}').out == '\n\n'
    assert caller('inspect', '-f', '{{.HostOptions.SwarmOptions.Discovery}}:{{.Name}}', 'off').out == ':off\n'


def test_bash_completion(world, caller):
    before = world.calls()
    assert caller('ls', '--format', '{{.Name}}').out == 'default\noff\n'
    assert world.calls() == before # nobody is asked
    assert caller('ls', '--format', '{{.Name}}', '--filter', 'state=Running').out == 'default\n'


def test_json_is_a_format(world, caller):
    """Docker's own word for it. As a template it would be four letters for each machine."""
    assert caller('ls', '--format', 'json').out == caller('ls', '--json').out
    assert caller('ls', '--format=json', '--json').out == caller('ls', '--json').out
    assert caller('ls', '-q', '--format', 'json').out == 'default\noff\n'
    assert caller('inspect', '--format', 'json', 'default', 'off').out == caller('inspect', '--json', 'default', 'off').out
    assert caller('inspect', '-f', 'json', '--json', 'off').out == caller('inspect', '--json', 'off').out
    assert 'exclude' in caller('ls', '--format', '{{.Name}}', '--json', status=1).err
    assert 'exclude' in caller('inspect', '--format', '{{.Name}}', '--json', 'off', status=1).err
