"""Completion: what `__complete` answers, and what real shells make of it."""

import re
import shutil
import subprocess

import pytest

import shells
from cli import TOP

SHELLS = {'bash': shells.Bash, 'zsh': shells.Zsh, 'fish': shells.Fish}
SOURCES = {'bash': 'docker-machine.bash', 'zsh': '_docker-machine', 'fish': 'docker-machine.fish'}
NAMES = ['build-1', 'web1', 'web2.example']


def described(text):
    """Flags and commands of a help text, by their names."""
    return re.findall(r'^   (--?[a-z0-9-]+)', text, re.M)


@pytest.fixture(scope='module')
def store(new_cli):
    """Three machines of a driver that is there no more, as one that hangs would be no help, either."""
    cli = new_cli()
    for name in NAMES:
        cli.create_none(name)
    bin_dir = cli.folder / 'bin'
    bin_dir.mkdir()
    for name in 'machine', 'docker-machine':
        (bin_dir / name).symlink_to(cli.program)
    cli.env['PATH'] = f'{bin_dir}:{cli.env["PATH"]}'
    for name in 'some-file', 'dir/inner':
        (cli.folder / name).parent.mkdir(exist_ok=True)
        (cli.folder / name).touch()
    return cli


@pytest.fixture(scope='module', params=SHELLS)
def shell(request, store, tmp_path_factory):
    name = request.param
    assert shutil.which(name), f'{name} is not installed (scripts/setup --tests)'
    script = store.folder / f'script.{name}'
    script.write_text(store.ok('completion', name).out)
    folder = tmp_path_factory.mktemp(name)
    for kept in 'some-file', 'dir':
        (folder / kept).symlink_to(store.folder / kept)
    one = SHELLS[name](store.env, folder, script)
    yield one
    one.close()


def ask(cli, *words, **kwargs):
    """The answer of __complete: what else may stand there, candidates with their texts."""
    result = cli.ok('__complete', '--', *words, **kwargs)
    assert not result.err
    first, *lines = result.out.splitlines()
    return first, dict(line.split('\t', 1) for line in lines)


# a line -> what is offered
LINES = {
    'machine sta': ['start', 'status'],
    'docker-machine re': ['regenerate-certs', 'restart'],
    'machine --debug sta': ['start', 'status'],
    'machine -s /nowhere sta': ['start', 'status'],
    'machine --st': ['--storage-path'],
    'machine bogus ': [],
    'machine ip ': NAMES,
    'machine ip we': ['web1', 'web2.example'],
    'machine ip web1 ': ['build-1', 'web2.example'],
    'machine rm -f w': ['web1', 'web2.example'],
    'machine rm web1 -': ['--force', '-f', '-y', '--filter', '--parallel', '--progress', '--help', '-h'],
    'machine stop --filter name=w': ['name=web1', 'name=web2.example'],
    'machine create --on-failure ': ['keep', 'remove'],
    'machine restart --progress ': ['auto', 'json', 'none', 'plain'],
    'machine rm -f web1 --fo': [],
    'machine rm -- w': ['web1', 'web2.example'],
    'machine status web1 ': [],
    'machine status --json web1 ': ['build-1', 'web2.example'],
    'machine inspect web1 --json ': ['build-1', 'web2.example'],
    'machine ssh b': ['build-1'],
    'machine -s /nowhere ip ': [],
    'machine --storage-path=/nowhere ip ': [],
    'machine env --sh': ['--shell'],
    'machine env --shell p': ['powershell'],
    'machine env --shell=p': ['--shell=powershell'],
    'machine env --unset --un': [],
    'machine ls --filter state=St': ['state=Starting', 'state=Stopped', 'state=Stopping'],
    'machine ls --filter name=w': ['name=web1', 'name=web2.example'],
    'machine ls --filter ': ['driver=', 'label=', 'name=', 'state=', 'swarm='],
    'machine ls --filter=dri': ['--filter=driver='],
    'machine create -d n': ['none', 'nspawn'],
    'machine create --driver=fla': ['--driver=flaky'],
    'machine create -d none --u': ['--url'],
    'machine create --driver none --swarm-o': ['--swarm-opt'],
    'machine create -d qemu --qemu-pub': ['--qemu-publish'],
    'machine create -d no-such-driver --tls': ['--tls-san'],
    'machine create -d none --url x --resume b': ['build-1'],
    'machine create new --engine-install-url n': ['none'],
    'machine driver d': ['describe'],
    'machine driver describe ge': ['generic'],
    'machine completion ': ['bash', 'fish', 'zsh'],
    'machine help sta': ['start', 'status'],
    'machine image im': ['import'],
    'machine image rm --f': ['--force'],
    'machine image build --parts d': ['direct', 'disk'],
    'machine scp -r we': ['web1:', 'web2.example:'],
    'machine scp root@b': ['root@build-1:'],
    'machine mount b': ['build-1:'],
}


@pytest.mark.parametrize('line', LINES)
def test_lines(shell, line):
    assert sorted(shell.candidates(line)) == sorted(LINES[line])


@pytest.mark.parametrize('line', ['machine --tls-ca-key so', 'machine scp so', 'machine driver test so',
                                  'machine ssh web1 cat so', 'machine --tls-ca-key=so'])
def test_files(shell, line):
    if shell.name == 'bash': # readline's own then
        assert not shell.candidates(line) and '-o default' in shell.kept
    else:
        assert [word.rsplit('=', 1)[-1] for word in shell.candidates(line)] == ['some-file']


def test_folders(shell):
    line = 'machine --storage-path '
    if shell.name == 'bash':
        assert not shell.candidates(line) and '-o dirnames' in shell.kept
    else:
        found = shell.candidates(line)
        assert [word.rstrip('/') for word in found if word.rstrip('/') in ('dir', 'some-file')] == ['dir']


def test_store_in_quotes(shell, store, new_cli):
    """The store that the line names is the one whose machines are offered."""
    other = new_cli()
    odd = store.folder / 'an "odd" place'
    if not odd.exists():
        other.create_none('elsewhere')
        other.store.rename(odd)
    typed = str(odd).replace('"', '\\"')
    assert shell.candidates(f'machine -s "{typed}" ip ') == ['elsewhere']
    if shell.name != 'fish': # which would not unescape the words that it hands out
        escaped = str(odd).replace(' ', '\\ ').replace('"', '\\"')
        assert shell.candidates(f'machine -s {escaped} ip ') == ['elsewhere']
    (store.home / 'mine').unlink(missing_ok=True)
    (store.home / 'mine').symlink_to(odd)
    assert shell.candidates('machine -s ~/mine ip ') == ['elsewhere']


def test_nothing_on_standard_error(shell, store):
    if shell.name != 'fish': # where each run is checked
        for line in 'machine bogus ', 'machine create -d no-such-driver -', 'machine -s /dev/null ip ':
            shell.candidates(line)
        assert shell.terminal.errors.read_text() == ''


def test_texts_in_fish(store, tmp_path):
    script = tmp_path / 'script'
    script.write_text(store.ok('completion', 'fish').out)
    fish = shells.Fish(store.env, tmp_path, script)
    fish.candidates('machine create -d generic --generic-ip')
    assert fish.texts == {'--generic-ip-address': 'IP address or name of the host (required)'}


@pytest.mark.parametrize('name', ['bash', 'zsh'])
def test_typed(name, store, tmp_path):
    """TAB in a real shell, to the end: the word, and the blank behind it."""
    script = tmp_path / 'script'
    script.write_text(store.ok('completion', name).out)
    one = SHELLS[name](store.env, tmp_path, script, hook=False)
    try:
        for typed, expected in [('docker-machine statu\tweb\t1\n', 'Running'),
                                ('machine ip b\t\n', '127.0.0.1'),
                                ('machine ls --filter=name=web2\t--q\t\n', 'web2.example')]:
            one.terminal.wait_for('READY> ') if name == 'bash' else None
            one.terminal.type(typed)
            one.terminal.wait_for(f'\n{expected}')
    finally:
        one.close()


def test_no_driver_is_asked(store):
    """Names come from the folder alone; a machine that cannot be loaded is one that rm wants."""
    store.create_flaky('sleepy')
    (store.store / 'machines' / 'broken').mkdir()
    (store.folder / 'flaky' / 'calls').unlink()
    try:
        words = [['ip', ''], ['create', '-d', ''], ['ls', '--filter', 'state='], ['scp', ''], ['']]
        names = [ask(store, *line)[1] for line in words]
        assert set(names[0]) == {*NAMES, 'sleepy', 'broken'}
        assert not store.calls()
    finally:
        store.ok('rm', '-f', 'broken', 'sleepy')


@pytest.mark.parametrize('words', [['create', '-d', 'DRIVER', '--'], ['create', 'x', '--driver=DRIVER', '--']])
@pytest.mark.parametrize('driver', ['none', 'generic', 'qemu', 'nspawn', 'flaky'])
def test_flags_of_drivers(store, driver, words):
    """Those that the help has."""
    _, flags = ask(store, *[w.replace('DRIVER', driver) for w in words])
    shown = described(store.ok('create', '-d', driver, '--help').out)
    assert sorted(flags) == sorted({*shown, '--help'} - {'--driver'})


def test_driver_of_the_environment(store):
    _, flags = ask(store, 'create', '--url', env={'MACHINE_DRIVER': 'none'})
    assert list(flags) == ['--url']


def test_every_command(store):
    """Commands and their flags are those of the help, and each has a place in the table of offers."""
    listed = re.findall(r'^  ([a-z-]+)', store.ok('help').out.split('Commands:')[1], re.M)
    _, offered = ask(store, '')
    assert list(offered) == listed
    for command in listed:
        shown = described(store.ok('help', command).out)
        if command != 'create':
            flags = {*ask(store, command, '-')[1]} - {'--help', '-h'}
            assert {f for f in flags if f.startswith('--')} | {'-y'} == {*shown} | {'-y'}, command


def test_odd_names_are_quoted(store, tmp_path):
    """A folder that somebody put there becomes one word, and none of it is run."""
    odd = 'x $(touch owned);`id`\'"\tz'
    folder = store.store / 'machines' / odd
    folder.mkdir()
    try:
        assert [n for n in ask(store, 'ip', '')[1] if n not in NAMES] == [odd.replace('\t', ' ')]
        script = tmp_path / 'script'
        script.write_text(store.ok('completion', 'bash').out)
        one = shells.Bash(store.env, tmp_path, script)
        try:
            (word,) = one.candidates('machine ip x')
        finally:
            one.close()
        done = subprocess.run(['bash', '-c', f'printf "<%s>" {word}'], cwd=tmp_path, capture_output=True,
                              text=True, check=True)
        assert done.stdout == f'<{odd}>'.replace('\t', ' ') and not (tmp_path / 'owned').exists()
    finally:
        folder.rmdir()


@pytest.mark.parametrize('words', [[], ['x'], ['--']])
def test_wrong_use(store, words):
    assert store.fails('__complete', *words).err == 'Error: Expected -- and the words of a command line\n'


@pytest.mark.parametrize('words,values,then', [
    (['sta'], ['start', 'status'], 4),
    (['ip', 'web1', ''], ['build-1', 'web2.example'], 4),
    (['rm', 'web1', '--fo'], ['--force'], 4),
    (['ls', '--filter', 'dri'], ['driver='], 6),
    (['scp', './x'], [], 0),
    (['bogus', ''], [], 4),
])
def test_for_the_docker_client(store, words, values, then):
    """Newer clients ask their plugins: candidates and texts, and a number at the end."""
    result = store.ok('__complete', 'machine', *words, env={'DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND': 'docker'})
    *lines, last = result.out.splitlines()
    assert ([line.split('\t')[0] for line in lines], last, result.err) == (values, f':{then}', '')
    assert all(not line.endswith('\t') for line in lines)


def test_without_a_home(store):
    env = {'HOME': '', 'MACHINE_STORAGE_PATH': ''}
    assert ask(store, 'ip', '', env=env) == (':', {})
    assert list(ask(store, 'stat', env=env)[1])[0] == 'active'
    store.ok('completion', 'bash', env=env)


def test_debug_and_trace_stay_quiet(store):
    env = {'MACHINE_DEBUG': '1'}
    assert '--url' in ask(store, 'create', '-d', 'none', '--u', env=env)[1]


@pytest.mark.parametrize('name', SHELLS)
def test_scripts(store, name):
    """Those of the sources, which are installed, too."""
    source = TOP / 'machine' / 'cli' / 'completion' / SOURCES[name]
    assert store.ok('completion', name).out == source.read_text()
    subprocess.run([name, '-n', source], check=True, timeout=30)


@pytest.mark.parametrize('words', [[], ['csh'], ['bash', 'zsh']])
def test_other_shells(store, words):
    result = store.fails('completion', *words)
    assert result.err == 'Error: Expected one of the shells bash, zsh and fish\n'
    assert result.out.startswith('Usage: docker-machine completion bash | zsh | fish')


def test_store_that_is_a_file(store):
    (store.folder / 'file').write_text('')
    assert ask(store, '-s', str(store.folder / 'file'), 'ip', '') == (':', {})
