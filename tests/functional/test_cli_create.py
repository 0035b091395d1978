"""create: where its flags come from, what is stored, the order of its checks, --resume."""

import re

import pytest

from cli import flaky_create

LAST = ('To see how to connect your Docker Client to the Docker Engine running on this virtual '
        'machine, run: {} env {}\n')
BAD_NAME = ('Error creating machine: Invalid hostname specified. Allowed hostname chars are: '
            '0-9a-zA-Z . -\n')
NOT_FOUND = ('Driver "{0}" not found. Do you have the plugin binary "docker-machine-driver-{0}" '
             'accessible in your PATH?\n')


@pytest.fixture(scope='module')
def store(new_cli):
    cli = new_cli()
    cli.create_none('there')
    return cli


@pytest.fixture
def made(store):
    """Makes a machine of driver none, gives its record, and removes it."""
    names = []

    def make(*words, env=None):
        store.ok('create', '--url', 'tcp://127.0.0.1:1', *words, env=env)
        names.append(words[-1])
        return store.config(words[-1])
    yield make
    store.ok('rm', '-f', *names)


def test_output_on_an_empty_store(empty_cli):
    certs = empty_cli.store / 'certs'
    result = empty_cli.create_none('web')
    assert result.out == (f'Creating CA: {certs}/ca.pem\n'
                          f'Creating client certificate: {certs}/cert.pem\n'
                          'Running pre-create checks...\nCreating machine...\n'
                          + LAST.format(empty_cli.program, 'web'))
    assert not result.err


@pytest.mark.parametrize('words, env', [
    (['-d', 'none'], {}), (['--driver', 'none'], {}), (['-d=none'], {}), (['--driver=none'], {}),
    (['-driver', 'none'], {}), (['--d=none'], {}), ([], {'MACHINE_DRIVER': 'none'}),
    (['-d', 'none'], {'MACHINE_DRIVER': 'bogus'})])
def test_driver_is_found(made, words, env):
    assert made(*words, 'web', env=env)['DriverName'] == 'none'


def test_longest_name(store):
    name = 'x' * 63
    store.ok('create', '-d', 'none', '--url', 'x', name)
    store.ok('rm', '-y', name)
    err = store.fails('create', '-d', 'none', '--url', 'x', name + 'y').err
    assert err.startswith('Error creating machine: Invalid hostname specified. ') and '63' in err
    assert name + 'y' not in store.names()


def test_name_first(store):
    store.ok('create', 'web', '-d', 'none', '--url', 'x')
    store.ok('create', '-d', 'none', '--url', 'x', '--', 'web2')
    store.ok('rm', '-y', 'web', 'web2')


# shared flag -> path below HostOptions, what is stored
STORED = {
    '--engine-install-url=https://x.example': ('EngineOptions.InstallURL', 'https://x.example'),
    '--engine-opt log-driver=local --engine-opt debug': (
        'EngineOptions.ArbitraryFlags', ['log-driver=local', 'debug']),
    '--engine-insecure-registry a:1': ('EngineOptions.InsecureRegistry', ['a:1']),
    '--engine-registry-mirror=a,b': ('EngineOptions.RegistryMirror', ['a,b']),
    '--engine-label k=v --engine-label l': ('EngineOptions.Labels', ['k=v', 'l']),
    '--engine-storage-driver zfs': ('EngineOptions.StorageDriver', 'zfs'),
    '--engine-env HTTP_PROXY=x': ('EngineOptions.Env', ['HTTP_PROXY=x']),
    '--swarm-image i': ('SwarmOptions.Image', 'i'),
    '--swarm-strategy s': ('SwarmOptions.Strategy', 's'),
    '--swarm-host h': ('SwarmOptions.Host', 'h'),
    '--swarm-addr a': ('SwarmOptions.Address', 'a'),
    '--swarm-opt a': ('SwarmOptions.ArbitraryFlags', ['a']),
    '--swarm-join-opt a': ('SwarmOptions.ArbitraryJoinFlags', ['a']),
    '--swarm-discovery token://1': ('SwarmOptions.Discovery', 'token://1'),
    '--swarm-experimental': ('SwarmOptions.IsExperimental', True),
    '--tls-san a --tls-san b': ('AuthOptions.ServerCertSANs', ['a', 'b']),
}
DEFAULTS = {
    'EngineOptions.InstallURL': 'https://get.docker.com', 'EngineOptions.StorageDriver': '',
    'EngineOptions.ArbitraryFlags': [], 'EngineOptions.Labels': [],
    'SwarmOptions.Image': 'swarm:latest', 'SwarmOptions.Strategy': 'spread',
    'SwarmOptions.Host': 'tcp://0.0.0.0:3376', 'SwarmOptions.IsSwarm': False,
}


def stored(config, path):
    part, key = path.split('.')
    return config['HostOptions'][part][key]


def test_flags_are_stored(made):
    config = made('-d', 'none', *' '.join(STORED).split(), 'web')
    assert {path: stored(config, path) for path, _ in STORED.values()} == dict(STORED.values())


def test_defaults(made):
    config = made('-d', 'none', 'web')
    assert {path: stored(config, path) for path in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize('env, words, path, value', [
    ({'ENGINE_REGISTRY_MIRROR': 'a, b'}, '--engine-registry-mirror c',
     'EngineOptions.RegistryMirror', ['a', 'b', 'c']), # the command line appends
    ({'ENGINE_REGISTRY_MIRROR': ''}, '', 'EngineOptions.RegistryMirror', []),
    ({'MACHINE_DOCKER_INSTALL_URL': 'https://v'}, '', 'EngineOptions.InstallURL', 'https://v'),
    ({'MACHINE_DOCKER_INSTALL_URL': 'https://v'}, '--engine-install-url none',
     'EngineOptions.InstallURL', 'none'),
    ({'MACHINE_SWARM_IMAGE': 'mine'}, '', 'SwarmOptions.Image', 'mine'),
])
def test_variables(made, env, words, path, value):
    assert stored(made('-d', 'none', *words.split(), 'web', env=env), path) == value


@pytest.mark.parametrize('by_variables', [False, True])
def test_paths_of_certificates(store, by_variables):
    certs = store.store / 'certs'
    flags = {'--tls-ca-cert': 'CaCertPath', '--tls-ca-key': 'CaPrivateKeyPath',
             '--tls-client-cert': 'ClientCertPath', '--tls-client-key': 'ClientKeyPath'}
    files = ['ca.pem', 'ca-key.pem', 'cert.pem', 'key.pem']
    other = store.folder / 'other'
    other.mkdir(exist_ok=True)
    for file in files:
        (other / file).write_bytes((certs / file).read_bytes())
        (other / file).chmod(0o600)
    values = {flag: str(other / file) for flag, file in zip(flags, files)}
    env = {'MACHINE_' + flag[2:].upper().replace('-', '_'): value for flag, value in values.items()}
    words = [] if by_variables else [f'{flag}={value}' for flag, value in values.items()]
    store.ok(*words, 'create', '-d', 'none', '--url', 'x', 'web', env=env if by_variables else {})
    auth = store.config('web')['HostOptions']['AuthOptions']
    assert [auth[key] for key in flags.values()] == [str(other / f) for f in files]
    store.ok('rm', '-y', 'web')


def test_relative_paths_of_certificates(store):
    """They mean the same to a later command in another folder."""
    other = store.folder / 'relative'
    other.mkdir()
    for file in 'ca.pem', 'ca-key.pem':
        (other / file).write_bytes((store.store / 'certs' / file).read_bytes())
    store.ok('--tls-ca-cert', 'relative/ca.pem', '--tls-client-cert=./relative//cert.pem', 'create', '-d', 'none',
             '--url', 'x', 'web', env={'MACHINE_TLS_CA_KEY': 'relative/ca-key.pem',
                                       'MACHINE_TLS_CLIENT_KEY': 'relative/../relative/key.pem'})
    auth = store.config('web')['HostOptions']['AuthOptions']
    found = [auth[key] for key in ['CaCertPath', 'CaPrivateKeyPath', 'ClientCertPath', 'ClientKeyPath']]
    assert found == [f'{other}/ca.pem', f'{other}/ca-key.pem', f'{other}/cert.pem',
                     f'{store.folder}/relative/../relative/key.pem']
    assert (other / 'cert.pem').exists()
    store.ok('rm', '-y', 'web')


@pytest.mark.parametrize('given, stored', [
    ('file:dir/install.sh', 'file:{}/dir/install.sh'), ('file:./x', 'file:{}/x'), ('file:/x/y', 'file:/x/y'),
    ('https://h/./x', 'https://h/./x'), ('none', 'none'), ('file:', 'file:')])
def test_where_the_engine_comes_from(store, given, stored):
    """A relative path means the same to a later command in another folder."""
    store.ok('create', '-d', 'none', '--url', 'x', '--engine-install-url', given, 'web')
    assert store.config('web')['HostOptions']['EngineOptions']['InstallURL'] == stored.format(store.folder)
    store.ok('rm', '-y', 'web')


@pytest.mark.parametrize('flag, value, text', [
    ('--engine-env', 'A', 'an engine variable (--engine-env) is not of the form NAME=VALUE: A\n'),
    ('--engine-label', 'a=b\nExecStartPre=/x', 'an engine option holds a control character or invalid UTF-8: byte 4 of a...\n'),
    ('--engine-opt', 'a=' + 'x' * 70000, 'the engine options are longer than 65536 bytes\n'),
    ('--engine-install-url', 'ftp://h', '--engine-install-url wants http://..., https://..., file:PATH or none, not ftp://h\n'),
    ('--engine-install-url', 'https://h/a b', 'the --engine-install-url holds a blank or a character that is no part of a URL\n'),
    ('--engine-install-url', 'file:/nowhere/x', '--engine-install-url: /nowhere/x: No such file or directory\n'),
    ('--tls-san', 'a b', '--tls-san: "a b" cannot be a name in a certificate\n')])
def test_what_no_host_can_be_given(store, flag, value, text):
    """Told before there is a machine, which would cost something, and keep the value."""
    assert store.fails('create', '-d', 'generic', '--generic-ip-address', '192.0.2.1', flag, value, 'web').err == text
    assert 'web' not in store.names()
    store.ok('create', '-d', 'none', '--url', 'x', flag, value, 'web') # nobody uses it
    store.ok('rm', '-y', 'web')


@pytest.mark.parametrize('name', ['a', '0', 'A.b-c', 'x-', '9.'])
def test_good_names(store, name):
    store.create_none(name)
    store.ok('rm', '-y', name)


@pytest.mark.parametrize('name', ['∞', '.', '..', '_x', 'a_b', 'a b', 'a/b', '', 'a\n'])
def test_bad_names(store, name):
    result = store.fails('create', '-d', 'none', '--url', 'x', '--', name)
    assert (result.out, result.err) == ('', BAD_NAME)


# what is typed after "create" -> standard error; the first wrong thing counts
ERRORS = {
    '-d none new --url x': 'Invalid command line. Found extra arguments [--url x]\n',
    '-d none --swarm-discovery=x a/b': BAD_NAME,
    '-d none a/b c d': 'Invalid command line. Found extra arguments [c d]\n',
    '-d none --swarm-discovery=x -- there': (
        'Error parsing swarm discovery: Swarm Discovery URL was in the wrong format: x\n'),
    '-d none there': 'Docker machine "there" already exists\n',
    '-d none new': ('Error setting machine configuration from flags provided: --url option is '
                    'required when no driver is selected\n'),
    '-d none --resume there': (
        'Docker machine "there" is complete: there is nothing to resume\n'),
    '--resume there --engine-label a=b': (
        'Error: --resume NAME goes on as create was told: --engine-label cannot be given\n'),
    '--resume there more': 'Error: --resume NAME takes no further arguments\n',
    '--resume=': ('Docker machine "" does not exist. Use "docker-machine ls" to list machines. Use '
                  '"docker-machine create" to add a new one.\n'),
}


@pytest.mark.parametrize('line', ERRORS)
def test_errors(store, line):
    result = store.fails('create', *line.split())
    assert (result.out, result.err) == ('', ERRORS[line])
    assert store.names() == ['there']


def test_certificates_that_cannot_be_made(empty_cli):
    """After the driver's flags, before its check."""
    empty_cli.store.mkdir()
    (empty_cli.store / 'certs').touch()
    assert empty_cli.fails('create', '-d', 'none', 'web').err == ERRORS['-d none new']
    result = empty_cli.fails('create', '-d', 'none', '--url', 'x', 'web')
    assert not result.out and result.err.startswith('Error generating certificates: ')
    assert empty_cli.names() == []


def test_what_a_driver_says(cli):
    """Programs show it to people."""
    result = cli.ok(*flaky_create('web', {'create': 'notes:2'}))
    assert result.out == ('Running pre-create checks...\nCreating machine...\n(web) step 0\n(web) step 1\n'
                          + LAST.format(cli.program, 'web'))
    assert not result.err


@pytest.mark.parametrize('words', [['-d', 'bogus', 'web'], ['-d', 'bogus', '--help'],
                                   ['-d', '../none', 'web'], ['-d', '', 'web']])
def test_unknown_driver(store, words):
    result = store.fails('create', *words)
    assert not result.out and result.err.startswith(NOT_FOUND.format(words[1]))


@pytest.mark.parametrize('flag', ['--swarm', '--swarm-master'])
def test_classic_swarm_is_refused(store, flag):
    err = store.fails('create', '-d', 'none', '--url', 'x', flag, 'new').err
    assert 'swarm mode' in err and 'docker swarm init' in err


def test_driver_flags_in_the_help(store):
    """Completion scripts cut flag names out of lines that begin with three blanks and a dash."""
    env = {'PATH': '/nowhere'} # so that no local driver becomes the default
    result = store.ok('create', '-d', 'generic', '--help', env=env)
    names = [re.sub('[^a-z0-9-].*$', '', line[3:])
             for line in result.out.splitlines() if line.startswith('   -')]
    assert names == sorted(names) and len(set(names)) == len(names)
    assert {'--driver', '--engine-opt', '--generic-ip-address', '--tls-san', '--resume'} <= set(names)
    line = next(l for l in result.out.splitlines() if '--generic-ssh-port' in l)
    assert re.fullmatch(r'   --generic-ssh-port "22"\t+\S.*\[\$GENERIC_SSH_PORT\]', line)
    assert re.search(r'^   --driver, -d "virtualbox"\t+.*\[\$MACHINE_DRIVER\]$', result.out, re.M)
    # zsh asks without a name
    bare = store.fails('create', '-d', 'generic', env=env)
    assert (bare.out, bare.err) == (result.out, 'Error: No machine name specified\n')


def test_help_of_the_command(store):
    """Its own flags only, in their order; no driver is asked, nor one that does not exist."""
    out = store.ok('help', 'create', env={'MACHINE_DRIVER': 'bogus'}).out
    names = [re.sub('[^a-z0-9-].*$', '', line[3:]) for line in out.splitlines() if line.startswith('   -')]
    assert names[:4] == ['--driver', '--engine-install-url', '--engine-opt', '--engine-insecure-registry']
    shown = store.ok('create', '-d', 'generic', '--help').out
    assert not [n for n in names if 'generic' in n] and set(names) < set(re.findall('^   (--[a-z0-9-]+)', shown, re.M))


@pytest.mark.parametrize('line, form', [
    ('--driver', '--driver, -d "virtualbox"'),
    ('--engine-opt', '--engine-opt [--engine-opt option --engine-opt option]'),
    ('--swarm-discovery', '--swarm-discovery '), ('--swarm-image', '--swarm-image "swarm:latest"'),
    ('--swarm', '--swarm'), ('--generic-ssh-port', '--generic-ssh-port "22"')])
def test_forms_of_flags(store, line, form):
    """A default in quotes, the built-in one; nothing but a blank without; lists with their names thrice; bools
    bare."""
    env = {'PATH': '/nowhere', 'MACHINE_SWARM_IMAGE': 'mine', 'GENERIC_SSH_PORT': '2222'}
    out = store.ok('create', '-d', 'generic', '--help', env=env).out
    found = [row[3:].split('\t')[0] for row in out.splitlines() if re.match(rf'   {line}[^a-z-]', row)]
    assert found == [form]


@pytest.mark.parametrize('words, name', [(['web'], 'web: '), (['a_b'], ''), ([], '')])
def test_driver_that_does_not_start(cli, words, name):
    result = cli.fails('create', '-d', 'flaky', *words, env={'FLAKY_INITIALIZE': 'error:internal'})
    assert not result.out
    assert result.err.startswith(f'Error getting new host: {name or "driver "}'), result
    assert '"flaky"' in result.err and 'ordered to fail in initialize' in result.err


def test_driver_gets_its_variable(cli):
    """Of a flag that is not on the command line."""
    cli.ok('create', '-d', 'flaky', 'web', env={'FLAKY_SCRIPT': '{"states": "error:quota"}'})
    assert cli.config('web')['Driver']['Script'] == {'states': 'error:quota'}


def test_the_last_of_two_drivers(cli):
    """With its own flags, which are not those of the first."""
    script = {'FLAKY_SCRIPT': '{"states": "error:quota"}'}
    cli.ok('create', '-d', 'none', '-d', 'flaky', 'web', env=script)
    assert cli.config('web')['DriverName'] == 'flaky'
    assert cli.config('web')['Driver']['Script'] == {'states': 'error:quota'}
    cli.ok('create', '-d', 'flaky', '-d', 'none', '--url', 'tcp://127.0.0.1:1', 'other')
    assert cli.config('other')['DriverName'] == 'none'
    assert cli.fails('create', '-d', 'flaky', '--driver=none', 'x').err.startswith('Cannot use two forms')
    assert cli.fails('create', '-d', 'flaky', '-d', 'bogus', 'x').err.startswith(NOT_FOUND.format('bogus'))


def test_precheck(cli):
    """Status 3; nothing was made; the cause is quoted as Go does."""
    result = cli.fails(*flaky_create('web', {'preCreateCheck': 'error:user'}), status=3)
    assert result.out == 'Running pre-create checks...\n'
    assert result.err == 'Error with pre-create check: "ordered to fail in preCreateCheck"\n'
    assert cli.names() == [] and not list((cli.store / 'machines').iterdir())


def test_resume(cli):
    """A failed create leaves a machine, and says what can be done with it."""
    failed = cli.fails(*flaky_create('web', {'create': ['error:quota', 'ok']}))
    assert failed.out.endswith('Creating machine...\n')
    first, hint = failed.err.splitlines()
    assert first.startswith('Error creating machine: ') and 'ordered to fail' in first
    assert '"docker-machine create --resume web"' in hint and '"docker-machine rm web"' in hint
    assert cli.fails(*flaky_create('web')).err == 'Docker machine "web" already exists\n'
    result = cli.ok('create', '--resume', 'web', env={'MACHINE_DRIVER': 'bogus'})
    assert result.out == 'Creating machine...\n' + LAST.format(cli.program, 'web')
    assert cli.ok('status', 'web').out == 'Running\n'
    assert 'nothing to resume' in cli.fails('create', '--resume=web').err
