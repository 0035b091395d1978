"""The command line's grammar: flags, positionals, help, version, wrong usage, the environment."""

import json
import os
import re
import shutil
import subprocess

import pytest

from cli import flaky_create

COMMANDS = ['active', 'completion', 'config', 'context', 'create', 'driver', 'env', 'image', 'inspect', 'ip', 'kill', 'ls',
            'provision', 'regenerate-certs', 'restart', 'rm', 'ssh', 'scp', 'mount', 'start', 'status',
            'stop', 'upgrade', 'url', 'version', 'help']
NO_DEFAULT = 'Error: No machine name(s) specified and no "default" machine exists\n'
ONE_NAME = 'Error: Expected one machine name as an argument\n'


@pytest.fixture(scope='module')
def store(new_cli):
    cli = new_cli()
    for name in 'foo', 'bar':
        cli.create_none(name, f'tcp://127.0.0.1:{len(name)}')
    shutil.copytree(cli.store / 'machines' / 'foo', cli.store / 'machines' / '.foo') # no machine
    return cli


def unknown(name):
    return (f'Docker machine "{name}" does not exist. Use "docker-machine ls" to list machines. '
            'Use "docker-machine create" to add a new one.\n')


# what is typed -> standard output
ACCEPTED = {
    'status foo': 'Running\n',
    'status -- foo': 'Running\n',
    '--debug=false status foo': 'Running\n',
    '-native-ssh status foo': 'Running\n',
    '--bugsnag-api-token=no-report status foo': 'Running\n',
    '--github-api-token x --tls-ca-cert y status foo': 'Running\n',
    'ls -q': 'bar\nfoo\n',
    'ls --q': 'bar\nfoo\n',
    'ls -quiet': 'bar\nfoo\n',
    'ls -q=T ignored words': 'bar\nfoo\n',
    'ls words first -q': 'bar\nfoo\n',
    'ls -q -t 0x10': 'bar\nfoo\n',
    'ls -q -t -010': 'bar\nfoo\n',
    'ls -q -t 1 -t +0o17': 'bar\nfoo\n',
    'ls -q --filter name=x --filter=name=^f': 'foo\n',
    'ip foo foo': '127.0.0.1\n127.0.0.1\n',
    'url foo': 'tcp://127.0.0.1:3\n',
}


@pytest.mark.parametrize('line', ACCEPTED)
def test_accepted(store, line):
    result = store.ok(*line.split())
    assert (result.out, result.err) == (ACCEPTED[line], '')


# what is typed -> the reason, on standard error; standard output is the command's help
WRONG = {
    'ls --bogus': 'flag provided but not defined: -bogus',
    'ls -bogus=1': 'flag provided but not defined: -bogus',
    'ls -qf': 'flag provided but not defined: -qf',
    'ls -qui': 'flag provided but not defined: -qui',
    'ls -q -t': 'flag needs an argument: -t',
    'ls -t abc': 'invalid value "abc" for flag -t: parse error',
    'ls --timeout=1s': 'invalid value "1s" for flag -timeout: parse error',
    'ls -t 0x': 'invalid value "0x" for flag -t: parse error',
    'ls -t 0x0x1': 'invalid value "0x0x1" for flag -t: parse error',
    'ls -t 09': 'invalid value "09" for flag -t: parse error',
    'ls -quiet=maybe': 'invalid boolean value "maybe" for -quiet: parse error',
    'ls -q --quiet': 'Cannot use two forms of the same flag: q quiet',
    'ls -t 1 -timeout=2': 'Cannot use two forms of the same flag: t timeout',
    'ls --=x': 'bad flag syntax: --=x',
    'ls ---q': 'bad flag syntax: ---q',
    'create -d none --engine-opt': 'flag needs an argument: -engine-opt',
    'create -d none -driver none x': 'Cannot use two forms of the same flag: d driver',
}


@pytest.mark.parametrize('line', WRONG)
def test_wrong_flags(store, line):
    command = line.split()[0]
    result = store.fails(*line.split())
    assert result.err == WRONG[line] + '\n'
    assert result.out.startswith(f'Incorrect Usage.\n\nUsage: docker-machine {command} [OPTIONS] ')


def test_wrong_global_flag(store):
    result = store.fails('--bogus', 'ls')
    assert result.err == 'flag provided but not defined: -bogus\n'
    assert result.out.startswith('Incorrect Usage.\n\nUsage: machine [OPTIONS] COMMAND [arg...]\n')


# what is typed -> standard error, exit status 1, nothing on standard output
REFUSED = {
    'status': NO_DEFAULT, 'url': NO_DEFAULT, 'ip': NO_DEFAULT, 'env': NO_DEFAULT,
    'config': NO_DEFAULT, 'inspect': NO_DEFAULT, 'ssh': NO_DEFAULT, 'start': NO_DEFAULT,
    'stop': NO_DEFAULT, 'kill': NO_DEFAULT, 'restart': NO_DEFAULT, 'provision': NO_DEFAULT,
    'regenerate-certs -f': NO_DEFAULT, 'upgrade': NO_DEFAULT,
    'status foo bar': ONE_NAME, 'url foo bar': ONE_NAME, 'env foo bar': ONE_NAME,
    'config foo bar': ONE_NAME, 'version foo bar': ONE_NAME,
    'status nope': unknown('nope'), 'inspect nope': unknown('nope'), 'env nope': unknown('nope'),
    'config nope': unknown('nope'), 'ip nope': unknown('nope'), 'ssh nope': unknown('nope'),
    'ssh -- foo': unknown('--'), 'stop nope': unknown('nope'), 'upgrade nope': unknown('nope'), 'start .': unknown('.'),
    'url ..': unknown('..'), 'status foo/../bar': unknown('foo/../bar'), 'kill ∞': unknown('∞'),
    'create --resume nope': unknown('nope'),
    'status -': unknown('-'), 'status a"b': unknown('a\\"b'),
    'active foo': 'Error: Too many arguments given\n',
    'bogus': "machine: 'bogus' is not a machine command. See 'ARGV0 --help'.\n",
    'help bogus': "machine: 'bogus' is not a machine command. See 'ARGV0 --help'.\n",
    'ls --filter x': 'Unsupported filter syntax\n',
    'ls -q --filter KeY=x': "Unsupported filter key 'key'\n",
    'ls --filter name=[a': 'error parsing regexp: missing closing ]: `[a`\n',
    'env -u foo': 'Error: Expected no machine name when the -u flag is present\n',
}


@pytest.mark.parametrize('line', REFUSED)
def test_refused(store, line):
    result = store.fails(*line.split())
    assert (result.out, result.err) == ('', REFUSED[line].replace('ARGV0', str(store.program)))


@pytest.mark.parametrize('command', ['inspect', 'rm', 'create -d none'])
def test_refused_with_help(store, command):
    arguments = {'inspect': ['foo', 'bar']}.get(command, [])
    result = store.fails(*command.split(), *arguments)
    assert result.out.startswith(f'Usage: docker-machine {command.split()[0]} ')
    assert result.err in (ONE_NAME, 'Error: No machine name specified\n',
                          'Error: Expected to get one or more machine names as arguments\n')


@pytest.mark.parametrize('name', ['', '..', 'a/b', '../certs', '.', '.foo', 'x' * 300])
@pytest.mark.parametrize('command', [['rm', '-f'], ['rm', '-y'], ['status'], ['stop']])
def test_odd_names_touch_nothing(store, command, name):
    result = store.run(*command, name)
    assert 'does not exist' in result.err
    assert result.status == (0 if command == ['rm', '-f'] else 1)
    store.assert_whole()
    assert store.names() == ['bar', 'foo'] and (store.store / 'certs' / 'ca.pem').exists()
    assert (store.store / 'machines' / '.foo' / 'config.json').exists()


@pytest.mark.parametrize('command', COMMANDS)
def test_help_of_each(store, command):
    arguments = ['-d', 'none'] if command == 'create' else []
    shown = [store.ok(command, *arguments, flag) for flag in ('-h', '--help', '-help')
             if command != 'driver' or flag != '-help']
    assert len({r.out for r in shown}) == 1 and not any(r.err for r in shown)
    lines = shown[0].out.splitlines()
    assert lines[0].startswith(f'Usage: docker-machine {command}')
    assert (lines[1], lines[3:4]) in [('', ['']), ('', [])] and lines[2]
    if 'Options:' in lines:
        at = lines.index('Options:')
        assert lines[at - 1] == '' and lines[at + 1] == '   '
        for line in lines[at + 2:]:
            assert line.startswith('   -') and '\t' in line
    if command != 'create': # whose driver's flags are shown only when it is named
        assert store.ok('help', command).out == shown[0].out


# The flags that scripts know, as help shows them, with their variables; ours may have more.
GLOBAL = ['--debug, -D', '--storage-path, -s "STORE" $MACHINE_STORAGE_PATH', '--tls-ca-cert  $MACHINE_TLS_CA_CERT',
          '--tls-ca-key  $MACHINE_TLS_CA_KEY', '--tls-client-cert  $MACHINE_TLS_CLIENT_CERT',
          '--tls-client-key  $MACHINE_TLS_CLIENT_KEY', '--github-api-token  $MACHINE_GITHUB_API_TOKEN',
          '--native-ssh $MACHINE_NATIVE_SSH', '--bugsnag-api-token  $MACHINE_BUGSNAG_API_TOKEN', '--help, -h',
          '--version, -v']
KNOWN = {
    'active': ['--timeout, -t "10"'],
    'config': ['--swarm'],
    'create': ['--driver, -d "virtualbox" $MACHINE_DRIVER',
               '--engine-install-url "https://get.docker.com" $MACHINE_DOCKER_INSTALL_URL', '[engine-opt]',
               '[engine-insecure-registry]', '[engine-registry-mirror] $ENGINE_REGISTRY_MIRROR', '[engine-label]',
               '--engine-storage-driver ', '[engine-env]', '--swarm',
               '--swarm-image "swarm:latest" $MACHINE_SWARM_IMAGE', '--swarm-master', '--swarm-discovery ',
               '--swarm-strategy "spread"', '[swarm-opt]', '[swarm-join-opt]', '--swarm-host "tcp://0.0.0.0:3376"',
               '--swarm-addr ', '--swarm-experimental', '[tls-san]'],
    'env': ['--swarm', '--shell ', '--unset, -u', '--no-proxy'],
    'inspect': ['--format, -f '],
    'ls': ['--quiet, -q', '[filter]', '--timeout, -t "10"', '--format, -f '],
    'mount': ['--unmount, -u'],
    'regenerate-certs': ['--force, -f', '--client-certs'],
    'rm': ['--force, -f', '-y'],
    'scp': ['--recursive, -r', '--delta, -d', '--quiet, -q'],
}


def shown_flags(text):
    lines = re.findall(r'^ {2,3}(-.*?)\t+\S.*?((?: \[\$\w+\])?)$', text, re.M)
    return [form + variable.replace('[', '').replace(']', '') for form, variable in lines]


def test_global_flags(store):
    assert shown_flags(store.ok('help').out) == [f.replace('STORE', str(store.store)) for f in GLOBAL]


@pytest.mark.parametrize('command', KNOWN)
def test_flags_of_each(store, command):
    words = ['-d', 'none'] if command == 'create' else []
    out = store.ok(command, *words, '--help', env={'PATH': '/nowhere'}).out # so that create's default is the old one
    assert {re.sub(r'\[([\w-]+)\]', r'--\1 [--\1 option --\1 option]', f) for f in KNOWN[command]} <= set(shown_flags(out))


# command -> how its help begins, to the byte
HELP = {
    'ls': 'Usage: docker-machine ls [OPTIONS] [arg...]\n\nList machines\n\nOptions:\n   \n'
          '   --quiet, -q\t\t\t\t\tEnable quiet mode\n'
          '   --filter [--filter option --filter option]\tFilter output based on conditions provided\n'
          '   --timeout, -t "10"\t\t\t\tTimeout in seconds, default to 10s\n'
          '   --format, -f \t\t\t\tPretty-print machines using a Go template\n',
    'inspect': 'Usage: docker-machine inspect [OPTIONS] [arg...]\n\nInspect information about a machine\n\n'
               'Description:\n   Argument is a machine name.\n\nOptions:\n   \n'
               '   --format, -f \tFormat the output using the given go template.\n',
    'start': 'Usage: docker-machine start [OPTIONS] [arg...]\n\nStart a machine\n\n'
             'Description:\n   Argument(s) are one or more machine names.\n\nOptions:\n   \n'
             '   --filter [--filter option --filter option]\tTake the machines that match, instead of names: as for ls\n'
             '   --parallel "0"\t\t\t\tHow many machines at once; 0 leaves it to the command\n',
    'ssh': 'Usage: docker-machine ssh [arg...]\n\nLog into or run a command on a machine with SSH.\n\n'
           'Description:\n   Arguments are [machine-name] [command]\n',
}


@pytest.mark.parametrize('command', HELP)
def test_bytes_of_help(store, command):
    assert store.ok(command, '--help').out.startswith(HELP[command])


def test_errors_do_not_steer_the_terminal(store):
    assert store.fails('\x1b[31mx\x9b').err.startswith("machine: '?[31mx??' is not a machine command")


def test_help_wins(store):
    result = store.ok('rm', '-h', 'foo')
    assert result.out.startswith('Usage: ') and store.names() == ['bar', 'foo']
    assert store.ok('ssh', '-h', 'foo').out.startswith('Usage: ')
    assert 'does not exist' in store.fails('ssh', 'nope', '-h').err


@pytest.mark.parametrize('words', [[], ['-h'], ['--help'], ['help'], ['h'], ['-h', 'ls']])
def test_application_help(store, words):
    """Completion scripts take the commands from the lines after Commands: that begin with blanks."""
    result = store.ok(*words)
    assert not result.err
    sections = [line for line in result.out.splitlines() if line.endswith(':')]
    assert sections == ['Author:', 'Options:', 'Commands:']
    table = result.out.split('Commands:\n')[1].splitlines()
    listed = [line.split()[0].rstrip(',') for line in table if line.startswith('  ')]
    assert listed == COMMANDS
    assert all(re.match(r'  [a-z-]+(, [a-z])?\t+\S', line) for line in table[:len(COMMANDS)])
    assert table[len(COMMANDS):] == ['', "Run 'machine COMMAND --help' for more information on a command."]
    head = result.out.splitlines()
    assert head[0] == 'Usage: machine [OPTIONS] COMMAND [arg...]' and head[1] == head[3] == '' and head[2]
    assert re.fullmatch(r'Version: \d+\.\d+\.\d+', head[4])
    assert f'  --storage-path, -s "{store.store}"\t' in result.out


@pytest.mark.parametrize('name', ['machine', 'docker-machine'])
@pytest.mark.parametrize('words', [['version'], ['-v'], ['--version']])
def test_version(store, name, words):
    """Programs take the number from this line, and want at least Docker Machine's last one."""
    out = store.called(name).ok(*words, env={'HOME': '', 'MACHINE_STORAGE_PATH': ''}).out
    found = re.fullmatch(rf'{name} version (\d+)\.(\d+)\.\d+, build [0-9a-z]+\n', out)
    assert found and (int(found[1]), int(found[2])) > (0, 16), out


def test_no_home(store):
    env = {'HOME': '', 'MACHINE_STORAGE_PATH': ''}
    for words in ['help'], ['ls', '-h'], ['driver', 'ls'], ['driver', 'describe', 'none']:
        store.ok(*words, env=env)
    assert store.fails('ls', env=env).err.startswith('HOME is not set: ')


def test_the_other_name(store):
    """Installed, docker-machine is a link; texts follow the name as typed."""
    link = store.called('docker-machine').program
    env = {**store.env, 'PATH': f'{store.folder}:{store.env["PATH"]}'}

    def run(*argv):
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30,
                              executable=link, check=False)
    assert run('docker-machine', 'version').stdout.startswith('docker-machine version ')
    assert run('docker-machine', 'x').stderr == (
        "docker-machine: 'x' is not a docker-machine command. See 'docker-machine --help'.\n")
    assert run('/some where/dm', 'x').stderr == (
        "dm: 'x' is not a dm command. See '/some where/dm --help'.\n")
    made = run('docker-machine', 'create', '-d', 'none', '--url', 'x', 'linked').stdout
    assert made.endswith('run: docker-machine env linked\n')
    store.ok('rm', '-y', 'linked')
    assert run('docker-machine', 'env', '-u', '--shell=sh').stdout.endswith(
        '# Run this command to configure your shell: \n'
        '# eval $(docker-machine env -u --shell=sh)\n')
    for name in '/a b/dm', 'a\\b': # nothing but the program's name is put in quotes
        assert run(name, 'env', '-u', '--shell', 'x y').stdout.endswith(f'# eval $("{name}" env -u --shell x y)\n')


def test_installed(cli):
    """The old name is a link beside the program, and both find the drivers that came along."""
    place = cli.folder / 'root'
    subprocess.run(['meson', 'install', '-C', cli.build, '--no-rebuild', '--destdir', place],
                   check=True, capture_output=True, timeout=60)
    link, plugin = sorted(place.rglob('docker-machine'))
    assert link.parent.name == 'bin' and os.readlink(link) == 'machine'
    assert plugin.parent.name == 'cli-plugins' and plugin.samefile(link)
    cli.program, cli.env['MACHINE_DRIVER_PATH'] = link, ''
    cli.create_none('web')
    assert cli.ok('status', 'web').out == 'Running\n'


@pytest.mark.parametrize('value, on', [('1', True), ('t', True), ('TRUE', True), ('true', True),
                                       ('True', True), ('0', False), ('f', False), ('False', False),
                                       ('', False)])
def test_debug_variable(store, value, on):
    """When it is not empty it beats the flag."""
    script = {'states': 'stderr'}
    if 'noisy' not in store.names():
        store.create_flaky('noisy')
        store.set_script('noisy', script)
    err = store.ok('status', 'noisy', env={'MACHINE_DEBUG': value}).err
    assert ('line 1 ' in err) == on
    if value:
        err = store.ok('-D', 'status', 'noisy', env={'MACHINE_DEBUG': value}).err
        assert ('line 1 ' in err) == on
    store.ok('rm', '-y', 'noisy')


@pytest.mark.parametrize('line, on', [
    ('-D url foo', True), ('--debug url foo', True), ('-debug url foo', True), ('--debug=true url foo', True),
    ('--debug=false url foo', False), ('url foo', False), ('ls -- -D', True), ('-s ssh -D driver describe none', True),
    ('-D ssh foo', True), ('ssh foo -D 1080', False)])
def test_debug_flag(store, line, on):
    """Of ssh, only what is before the command is ours."""
    assert ('driver "none"[' in store.run(*line.split()).err) == on


def test_debug_names_the_driver(store):
    store.create_none('plain')
    err = store.ok('-D', 'status', 'plain').err
    assert re.search(r'driver "none"\[\d+\] runs /.*machine-driver-none\n', err)
    assert re.search(r'driver "none"\[\d+\] is asked: states\n', err)
    store.ok('rm', '-y', 'plain')


def test_what_a_driver_writes_in_debug(store):
    """Programs know the lines of a driver by this beginning."""
    result = store.ok('-D', *flaky_create('talker', {'create': 'stderr'}))
    assert '\n(talker) DBG | line 1 xxx' in result.err
    assert 'DBG' not in result.out
    store.ok('rm', '-y', 'talker')


def test_debug_variable_unparsable(store):
    result = store.fails('version', env={'MACHINE_DEBUG': 'yes'})
    assert result.err.startswith('Error parsing boolean value from MACHINE_DEBUG: ')
    assert not result.out


def test_default_machine(cli):
    cli.create_none('default')
    assert cli.ok('status').out == 'Running\n'
    assert cli.ok('ip').out == '127.0.0.1\n'
    assert json.loads(cli.ok('inspect').out)['Name'] == 'default'
    assert 'cannot be stopped' in cli.fails('stop').err
    assert 'version' in cli.ok('version').out # no default there
    cli.fails('rm', '-f')
    assert cli.names() == ['default']


def test_relative_storage_path(cli):
    """The record has absolute paths, whatever the path was."""
    cli.ok('-s', 'rel/./store/', 'create', '-d', 'none', '--url', 'x', 'm')
    config = json.loads((cli.folder / 'rel/store/machines/m/config.json').read_text())
    assert config['Driver']['StorePath'] == str(cli.folder / 'rel/store')
    assert cli.ok('--storage-path=rel/store', 'ls', '-q').out == 'm\n'
    assert cli.ok('ls', '-q', env={'MACHINE_STORAGE_PATH': str(cli.folder / 'rel/store')}).out
    assert cli.ok('ls', '-q').out == ''


def test_usual_storage_path(cli):
    cli.create_none('m')
    (cli.home / '.docker').mkdir()
    cli.store.rename(cli.home / '.docker' / 'machine')
    assert cli.ok('ls', '-q', env={'MACHINE_STORAGE_PATH': ''}).out == 'm\n'


def test_plugin_variables_are_ignored(store):
    env = {'MACHINE_PLUGIN_TOKEN': '42', 'MACHINE_PLUGIN_DRIVER_NAME': 'none'}
    assert store.ok('status', 'foo', env=env).out == 'Running\n'
