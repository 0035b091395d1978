"""env, config, url, version and active with an engine that answers."""

import json
import subprocess

import pytest

from cli import like_flaky
from engine import Engine

VARIABLES = ['DOCKER_TLS_VERIFY', 'DOCKER_HOST', 'DOCKER_CERT_PATH', 'DOCKER_MACHINE_NAME']
# shell -> set, unset, hint; N: name, V: value, A: the command line
SHELLS = {
    'bash': ('export N="V"\n', 'unset N\n',
             '# Run this command to configure your shell: \n# eval $(A)\n'),
    'fish': ('set -gx N "V";\n', 'set -e N;\n',
             '# Run this command to configure your shell: \n# eval (A)\n'),
    'powershell': ('$Env:N = "V"\n', 'Remove-Item Env:\\\\N\n',
                   '# Run this command to configure your shell: \n# & A | Invoke-Expression\n'),
    'cmd': ('SET N=V\n', 'SET N=\n',
            'REM Run this command to configure your shell: \n'
            'REM \t@FOR /f "tokens=*" %i IN (\'A\') DO @%i\n'),
    'tcsh': ('setenv N "V";\n', 'unsetenv N;\n',
             ': Run this command to configure your shell: \n: eval `A`\n'),
    'emacs': ('(setenv "N" "V")\n', '(setenv "N" nil)\n',
              ';; Run this command to configure your shell: \n'
              ';; (with-temp-buffer (shell-command "A" (current-buffer)) (eval-buffer))\n'),
}
for alias, name in {'sh': 'bash', 'zsh': 'bash', 'ksh93': 'bash', 'FISH': 'bash', 'csh': 'tcsh',
                    'pwsh': 'powershell'}.items():
    SHELLS[alias] = SHELLS[name]


@pytest.fixture(scope='module')
def running(new_cli, certs, tmp_path_factory):
    """A store with a machine whose engine answers."""
    engine = Engine(certs, tmp_path_factory.mktemp('engine'))
    cli = new_cli()
    cli.engine = engine
    cli.create_none('web', engine.url)
    cli.create_none('dead', 'tcp://127.0.0.1:1')
    cli.create_flaky('off')
    (cli.flaky / 'state-off').write_text('Stopped')
    yield cli
    engine.close()


def set_lines(cli, shell, more=()):
    values = ['1', cli.engine.url, str(cli.store / 'machines' / 'web'), 'web']
    return ''.join(SHELLS[shell][0].replace('N', '@').replace('V', v).replace('@', n)
                   for n, v in [*zip(VARIABLES, values), *more])


def hint(cli, shell, line):
    return SHELLS[shell][2].replace('A', f'{cli.program} {line}')


@pytest.mark.parametrize('shell', SHELLS)
def test_env(running, shell):
    line = f'env --shell {shell} web'
    result = running.ok(*line.split())
    assert result.out == set_lines(running, shell) + hint(running, shell, line)
    assert not result.err


@pytest.mark.parametrize('shell', SHELLS)
def test_env_by_variable(running, shell):
    result = running.ok('env', 'web', env={'SHELL': f'/usr/local/bin/{shell}'})
    assert result.out == set_lines(running, shell) + hint(running, shell, 'env web')


@pytest.mark.parametrize('shell', SHELLS)
def test_env_unset(running, shell):
    def unset(names):
        return ''.join(SHELLS[shell][1].replace('N', name) for name in names)
    line = f'env --shell {shell} -u'
    assert running.ok(*line.split()).out == unset(VARIABLES) + hint(running, shell, line)
    line += ' --no-proxy'
    assert running.ok(*line.split(), env={'no_proxy': 'b'}).out == (
        unset([*VARIABLES, 'no_proxy']) + hint(running, shell, line))


@pytest.mark.parametrize('env, name, value', [
    ({}, 'NO_PROXY', '127.0.0.1'),
    ({'NO_PROXY': 'a.example'}, 'NO_PROXY', 'a.example,127.0.0.1'),
    ({'NO_PROXY': 'A', 'no_proxy': 'b,c'}, 'no_proxy', 'b,c,127.0.0.1'),
    ({'NO_PROXY': 'A', 'no_proxy': ''}, 'NO_PROXY', 'A,127.0.0.1'),
    ({'NO_PROXY': 'a, 127.0.0.1'}, 'NO_PROXY', 'a, 127.0.0.1'),
    ({'NO_PROXY': '127.0.0.10'}, 'NO_PROXY', '127.0.0.10,127.0.0.1'), # no substrings
])
def test_no_proxy(running, env, name, value):
    line = 'env --no-proxy --shell bash web'
    assert running.ok(*line.split(), env=env).out == (
        set_lines(running, 'bash', [(name, value)]) + hint(running, 'bash', line))


def test_no_shell(running):
    result = running.fails('env', 'web', env={'SHELL': ''})
    assert not result.out
    assert result.err.endswith('\nError: Unknown shell\n') and '--shell' in result.err
    assert running.ok('env', '-u', env={'SHELL': ''}).out.startswith('unset DOCKER_TLS_VERIFY\n')


def test_unset_without_a_store(running):
    nowhere = {'HOME': '', 'MACHINE_STORAGE_PATH': ''}
    line = 'env --shell bash -u'
    assert running.ok(*line.split(), env=nowhere).out == running.ok(*line.split()).out
    assert running.fails(*line.split(), 'web', env=nowhere).err == (
        'Error: Expected no machine name when the -u flag is present\n')


ODD = """a b$HOME`id`"x"'y'\\z\\\\!${IFS}"""


@pytest.fixture(scope='module')
def odd(running, new_cli):
    """A store below a path that every shell would like to interpret."""
    cli = new_cli()
    cli.ok('-s', ODD, 'create', '-d', 'none', '--url', running.engine.url, 'first')
    cli.store.rename(cli.folder / 'unused')
    cli.store = cli.folder / ODD
    cli.env['MACHINE_STORAGE_PATH'] = str(cli.store)
    engine = Engine(cli.store / 'certs', cli.folder)
    cli.create_none('web', engine.url)
    yield cli
    engine.close()


@pytest.mark.parametrize('shell', ['bash', 'dash'])
def test_eval_takes_any_path(odd, shell):
    """What is evaluated sets the variables and does nothing else."""
    script = 'eval "$("$M" env --shell $0 web)" && printf %s "$DOCKER_CERT_PATH"'
    done = subprocess.run([shell, '-c', script, shell], env={**odd.env, 'M': str(odd.program)},
                          capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == (str(odd.store / 'machines' / 'web'), '')


@pytest.mark.parametrize('shell, text', [
    ('fish', r'''a b\$HOME`id`\"x\"'y'\\z\\\\!\${IFS}'''),
    ('powershell', r'''a b`$HOME``id```"x`"'y'\z\\!`${IFS}'''),
    ('emacs', r'''a b$HOME`id`\"x\"'y'\\z\\\\!${IFS}'''),
    ('cmd', ODD),
    ('tcsh', '''a b"'$'"HOME"'`'"id"'`'""'"'"x"'"'"'y'\\z\\\\"'!'""'$'"{IFS}'''),
])
def test_other_shells_take_any_path(odd, shell, text):
    before, after = SHELLS[shell][0].split('V')
    want = f'{before.replace("N", "DOCKER_CERT_PATH")}{odd.folder}/{text}/machines/web{after}'
    assert want in odd.ok('env', '--shell', shell, 'web').out


def test_config(running):
    folder = running.store / 'machines' / 'web'
    result = running.ok('config', 'web')
    assert result.out == (f'--tlsverify\n--tlscacert="{folder}/ca.pem"\n'
                          f'--tlscert="{folder}/cert.pem"\n--tlskey="{folder}/key.pem"\n'
                          f'-H={running.engine.url}\n')
    assert not result.err


def test_config_quotes(odd):
    assert r'''--tlskey="%s/a b$HOME`id`\"x\"'y'\\z\\\\!${IFS}/machines/web/key.pem"''' % (
        odd.folder) in odd.ok('config', 'web').out


@pytest.mark.parametrize('command, prefix', [
    ('env', 'Error checking TLS connection: '), ('config', 'Error running connection boilerplate: ')])
def test_no_connection(running, command, prefix):
    result = running.fails(command, 'dead')
    assert not result.out
    assert result.err.startswith(
        prefix + 'Error checking and/or regenerating the certs: There was an error validating '
        'certificates for host "127.0.0.1:1": ')
    assert 'refused' in result.err and "'docker-machine regenerate-certs [name]'" in result.err
    assert result.err.endswith('.\n\n')


@pytest.mark.parametrize('command', ['env', 'url', 'version', 'config'])
def test_not_running(running, command):
    result = running.fails(command, 'off')
    assert (result.out, result.err) == ('', 'Host is not running\n')


@pytest.mark.parametrize('command, prefix', [
    ('env', 'Error checking TLS connection: '), ('config', 'Error running connection boilerplate: ')])
def test_no_swarm_master(running, command, prefix):
    assert running.fails(command, '--swarm', 'web').err == (
        prefix + '"web" is not a swarm master. The --swarm flag is intended for use with swarm '
        'masters\n')


def test_swarm_master(running):
    """Of a store from the time of Classic Swarm."""
    path = running.store / 'machines' / 'web' / 'config.json'
    old = path.read_text()
    port = running.engine.url.rsplit(':', 1)[1]
    try:
        path.write_text(old.replace('"Master": false', '"Master": true')
                        .replace('tcp://0.0.0.0:3376', f'tcp://0.0.0.0:{port}'))
        out = running.ok('env', '--swarm', '--shell', 'sh', 'web').out
        assert f'DOCKER_HOST="tcp://127.0.0.1:{port}"' in out
        path.write_text(old.replace('"Master": false', '"Master": true')
                        .replace('tcp://0.0.0.0:3376', 'tcp://0.0.0.0:1'))
        assert running.fails('config', '--swarm', 'web').err.endswith(
            'Connection to Swarm cannot be checked but the certs are valid. Maybe swarm is not '
            'started\n')
        active = running.ok('ls', '--filter', 'name=web', env={'DOCKER_HOST': 'tcp://127.0.0.1:1'})
        assert active.out.splitlines()[1].split()[1:3] == ['*', '(swarm)']
    finally:
        path.write_text(old)


def test_engine_version(running):
    assert running.ok('version', 'web').out == '24.0.7\n'
    assert running.fails('version', 'dead').err.startswith('Unable to query docker version: ')
    assert running.ok('ls', '--filter', 'name=web').out.splitlines()[1].endswith('   v24.0.7   ')


def test_active(running):
    """Only the machine that DOCKER_HOST names is asked, where its record shows which that is."""
    before = running.calls()
    assert running.ok('active', env={'DOCKER_HOST': running.engine.url}).out == 'web\n'
    assert running.ok('active', env={'DOCKER_HOST': 'tcp://127.0.0.1:1'}).out == 'dead\n'
    asked = [c for c in running.calls()[len(before):] if c[1] == 'states']
    assert len(asked) <= 2 # "off" has that address, too
    for host in '', 'tcp://127.0.0.1:2', 'tcp://192.0.2.1:1', 'x', ':':
        result = running.fails('active', env={'DOCKER_HOST': host})
        assert (result.out, result.err) == ('', 'No active host found\n')


def test_active_is_found_by_its_driver(cli):
    """Although its record does not tell the address."""
    cli.create_flaky('web')
    path = cli.store / 'machines' / 'web' / 'config.json'
    path.write_text(path.read_text().replace('127.0.0.1', ''))
    assert cli.ok('active', env={'DOCKER_HOST': 'tcp://127.0.0.1:1'}).out == 'web\n'


def test_active_takes_the_first(cli):
    """In the order of ls."""
    for name in 'm10', 'm2', 'm3':
        cli.create_none(name, 'tcp://192.0.2.1:2376')
    assert cli.ok('active', env={'DOCKER_HOST': 'tcp://192.0.2.1:2376'}).out == 'm2\n'


def test_active_times_out(cli):
    cli.create_flaky('web')
    cli.set_script('web', {'states': 'hang'})
    result = cli.fails('active', '-t', '1', env={'DOCKER_HOST': 'tcp://127.0.0.1:1'})
    assert result.err == 'Error getting active host: timeout\n' and result.seconds < 4


def test_active_in_spite_of_one_that_hangs(cli):
    """Whose record has the address, while that of the one that is meant does not."""
    for name in 'stuck', 'web':
        cli.create_flaky(name)
    cli.set_script('stuck', {'states': 'hang'})
    path = cli.store / 'machines' / 'web' / 'config.json'
    path.write_text(path.read_text().replace('127.0.0.1', ''))
    result = cli.ok('active', '-t', '2', env={'DOCKER_HOST': 'tcp://127.0.0.1:1'})
    assert result.out == 'web\n'


def test_url_ip_status(running):
    assert running.ok('url', 'web').out == running.engine.url + '\n'
    assert running.ok('ip', 'off', 'web', 'dead').out == '127.0.0.1\n' * 3
    assert running.ok('status', 'off').out == 'Stopped\n'


def test_answers_come_in_the_order_of_the_names(cli):
    """Those that there are, whatever became of the others."""
    cli.create_flaky('late')
    cli.set_script('late', {'states': 'slow:0.5'})
    cli.create_none('quick', 'tcp://192.0.2.1:2376')
    cli.create_none('none', 'unix:///run/docker.sock')
    assert cli.ok('ip', 'late', 'quick', 'none').out == '127.0.0.1\n192.0.2.1\n\n'
    cli.set_script('late', {'states': 'error:user'})
    result = cli.fails('ip', 'late', 'quick')
    assert result.out == '192.0.2.1\n'
    assert result.err == 'late: Error getting IP address: ordered to fail in states\n'
    assert cli.fails('ip', 'late').err == 'Error getting IP address: ordered to fail in states\n'
    assert cli.fails('status', 'late').err == (
        'error getting state for host late: ordered to fail in states\n')


def test_no_address(cli, tmp_path):
    """As of a machine in a cloud that is off: an empty line would pass for one."""
    env = like_flaky(tmp_path, 'bare', ("'ip':", "'nothing':"))
    cli.ok('create', '-d', 'bare', 'm1', env=env)
    cli.ok('stop', 'm1', env=env)
    result = cli.fails('ip', 'm1', env=env)
    text = 'Error getting IP address: the machine has no address; its state is Stopped'
    assert (result.out, result.err) == ('', text + '\n')
    result = cli.fails('ip', '--json', 'm1', env=env)
    assert json.loads(result.out) == [{'name': 'm1', 'ip': None, 'error': text}]


def test_warnings_go_to_standard_error(running):
    """Results stay clean whatever the driver has to say."""
    running.create_flaky('loud')
    running.set_script('loud', {'states': 'notes+stderr'})
    result = running.ok('ip', 'loud', env={'MACHINE_DEBUG': '1'})
    assert result.out == '127.0.0.1\n' and 'x' * 100 in result.err
