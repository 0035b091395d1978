"""ls: columns, order, filters, machines that cannot be loaded or asked."""

import json
import re

import pytest

from cli import like_flaky

HEADER = 'NAME ACTIVE DRIVER STATE URL SWARM DOCKER ERRORS'.split()
REFUSED = 'Unable to query docker version: dial tcp 127.0.0.1:1: connect: connection refused'


def edit(cli, name, change):
    path = cli.store / 'machines' / name / 'config.json'
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config, indent=4))


def label(*labels):
    return lambda config: config['HostOptions']['EngineOptions'].update(Labels=list(labels))


def swarm(discovery, master=False):
    return lambda config: config['HostOptions']['SwarmOptions'].update(
        Discovery=discovery, Master=master, IsSwarm=True)


@pytest.fixture(scope='module')
def store(new_cli):
    """Machines of two drivers, of a driver that is gone, and one whose record is broken."""
    cli = new_cli()
    running = [cli.start('create', '-d', 'none', '--url', 'tcp://127.0.0.1:1', name)
               for name in ('m10', 'M2', 'm1', 'm02', 'a-1', 'a1', '1a', 'gone')]
    running += [cli.start('create', '-d', 'flaky', name) for name in ('vm-Running', 'vm-Stopped')]
    for process in running:
        assert process.finish().status == 0
    (cli.flaky / 'state-vm-Stopped').write_text('Stopped')
    edit(cli, 'gone', lambda config: config.update(DriverName='lost'))
    edit(cli, 'm1', label('env=Prod', 'plain', 'x=a=b'))
    edit(cli, 'm02', label('env=test'))
    edit(cli, 'M2', swarm('token://1', master=True))
    edit(cli, 'm10', swarm('token://1'))
    broken = cli.store / 'machines' / 'broken'
    broken.mkdir()
    (broken / 'config.json').write_text('{"a":\n]')
    (cli.store / 'machines' / '.hidden').mkdir()
    (cli.store / 'machines' / 'a-file').write_text('')
    return cli


def table(result):
    """The rows by name, cut at the header's columns."""
    lines = result.out.splitlines()
    assert lines[0].split() == HEADER
    starts = [lines[0].index(h) for h in HEADER] + [None]
    return {line.split()[0]: dict(zip(HEADER, (line[a:b].rstrip() for a, b in
                                               zip(starts, starts[1:])))) for line in lines[1:]}


@pytest.fixture(scope='module')
def listed(store):
    return store.ok('ls')


def test_order(listed):
    names = [line.split()[0] for line in listed.out.splitlines()[1:]]
    assert names == ['1a', 'a1', 'a-1', 'broken', 'gone', 'm1', 'M2', 'm02', 'm10', 'vm-Running',
                     'vm-Stopped']


def test_bytes(listed):
    """As Go's tabwriter: each column as wide as its longest cell plus three; the last one as is."""
    assert listed.out.startswith(
        'NAME         ACTIVE   DRIVER      STATE     URL                 SWARM         DOCKER    '
        'ERRORS\n'
        '1a           -        none        Running   tcp://127.0.0.1:1                 Unknown   '
        f'{REFUSED}\n')
    assert ('\nvm-Stopped   -        flaky       Stopped                                     '
            'Unknown   \n') in listed.out
    assert not listed.err


@pytest.mark.parametrize('name, row', [
    ('gone', ['-', 'not-found', 'Error', '', '', 'Unknown', 'Driver "lost" not found. Do you have '
              'the plugin binary accessible in your PATH?']),
    ('M2', ['-', 'none', 'Running', 'tcp://127.0.0.1:1', 'M2 (master)', 'Unknown', REFUSED]),
    ('m10', ['-', 'none', 'Running', 'tcp://127.0.0.1:1', 'M2', 'Unknown', REFUSED]),
    ('vm-Running', ['-', 'flaky', 'Running', 'tcp://127.0.0.1:1', '', 'Unknown', REFUSED]),
    ('vm-Stopped', ['-', 'flaky', 'Stopped', '', '', 'Unknown', '']),
])
def test_rows(listed, name, row):
    assert list(table(listed)[name].values()) == [name, *row]


def test_unloadable(listed):
    row = table(listed)['broken']
    assert [row[h] for h in HEADER[1:7]] == ['', 'not found', 'Error', '', '', '']
    assert 'broken/config.json' in row['ERRORS']


def test_quiet(store):
    result = store.ok('ls', '-q')
    assert result.out.split() == ['1a', 'M2', 'a-1', 'a1', 'gone', 'm02', 'm1', 'm10', 'vm-Running',
                                  'vm-Stopped'] # bytes; loadable ones only
    assert not result.err


def test_empty(cli):
    result = cli.ok('ls')
    assert result.out == 'NAME   ACTIVE   DRIVER   STATE   URL   SWARM   DOCKER   ERRORS\n'
    assert cli.ok('ls', '-q').out == ''
    assert not (cli.store / 'machines').exists() # asking makes nothing


# filters -> names in quiet mode
FILTERS = {
    'driver=FLAKY': 'vm-Running vm-Stopped',
    'driver=lost': 'gone',
    'driver=flak': '',
    'name=^m': 'm02 m1 m10',
    'name=^m\\d$': 'm1',
    'name=(?i)^m': 'M2 m02 m1 m10',
    'NAME=1': '1a a-1 a1 m1 m10',
    'name=^a name=^v': 'a-1 a1 vm-Running vm-Stopped',
    'name=m driver=flaky': 'vm-Running vm-Stopped',
    'name=m driver=flaky driver=none': 'm02 m1 m10 vm-Running vm-Stopped',
    'label=env': 'm02 m1',
    'label=env=prod': 'm1',
    'label=plain': 'm1',
    'label=plain=': '',
    'label=x=A=B': 'm1',
    'label=env=prod label=env=TEST': 'm02 m1',
    'swarm=m2': 'M2 m10',
    'swarm= name=m1': 'm1',
    'state=stopped': 'vm-Stopped',
    'state=STOPPED state=Running name=vm': 'vm-Running vm-Stopped',
    'state=Error': 'gone',
}


@pytest.mark.parametrize('line', FILTERS)
def test_filters(store, line):
    words = [word for f in line.split() for word in ('--filter', f)]
    result = store.ok('ls', '-q', *words)
    assert result.out.split() == FILTERS[line].split(), result
    if 'state' not in line: # the table has the same
        names = [l.split()[0] for l in store.ok('ls', '-t', '5', *words).out.splitlines()[1:]]
        assert sorted(names) == sorted(FILTERS[line].split()), words


@pytest.mark.parametrize('line, shown', [
    ('name=^br', True), ('name=^m', False), ('state=Error', True), ('state=Running', False),
    ('driver=none', False), ('label=env', False)])
def test_filters_of_unloadable(store, line, shown):
    out = store.ok('ls', '--filter', line).out
    assert bool(re.search('^broken ', out, re.M)) == shown
    assert 'broken' not in store.ok('ls', '-q', '--filter', line).out


def test_active_column(store):
    rows = table(store.ok('ls', '--filter', 'driver=flaky', env={'DOCKER_HOST': 'tcp://127.0.0.1:1'}))
    assert {n: r['ACTIVE'] for n, r in rows.items()} == {'vm-Running': '*', 'vm-Stopped': '-'}


def test_one_driver_process_for_many(store):
    store.ok('ls', '--filter', 'driver=flaky')
    calls = store.calls('states')
    assert len({pid for pid, _, _ in calls[-2:]}) == 1


def test_hostile_texts(cli):
    """What a driver or a folder's name says neither breaks the table nor steers the terminal."""
    cli.create_flaky('web')
    cli.set_script('web', {'states': 'error:x'})
    odd = cli.store / 'machines' / 'a\x1b[31m\tb\nc'
    odd.mkdir()
    out = cli.ok('ls').out
    assert '\x1b' not in out and len(out.splitlines()) == 3
    assert [line for line in out.splitlines() if line.startswith('a?[31m b c ')]


def test_states_that_cannot_be_told(cli):
    cli.create_none('good')
    cli.create_flaky('rude')
    cli.set_script('rude', {'states': 'error:auth'})
    assert table(cli.ok('ls'))['rude']['STATE'] == 'Error'
    assert cli.ok('ls', '-q', '--filter', 'state=error').out == 'rude\n'
    huge = ['-t', str(2 ** 63 - 1)] # seconds, and not a time in the past
    assert cli.ok('ls', *huge, '-q', '--filter', 'state=running').out == 'good\n'


def test_names_that_differ_in_case(cli):
    for name in 'web', 'Web', 'WEB':
        cli.create_none(name)
    assert cli.ok('ls', '-f', '{{.Name}}').out == 'WEB\nWeb\nweb\n'


@pytest.mark.parametrize('meant', [{}, {'DOCKER_HOST': ''}, {'DOCKER_HOST': 'tcp://127.0.0.1:1'}])
def test_what_has_no_url_is_not_active(cli, tmp_path, meant):
    """Not even where the environment names no engine, either."""
    env = like_flaky(tmp_path, 'mute', ('tcp://127.0.0.1:1', ''))
    cli.ok('create', '-d', 'mute', 'web', env=env)
    assert cli.ok('ls', '-f', '{{.State}}|{{.URL}}|{{.Active}}', env={**env, **meant}).out == 'Running||-\n'


def test_states_of_one_crash_do_not_hide_others(cli):
    cli.create_none('fine')
    cli.create_flaky('bad')
    cli.set_script('bad', {'states': 'segv'})
    rows = table(cli.ok('ls'))
    assert rows['fine']['STATE'] == 'Running'
    assert rows['bad']['STATE'] == 'Error' and 'states' in rows['bad']['ERRORS']


def test_hostile_driver(cli, tmp_path):
    """Whatever a driver says where, no terminal is steered by it."""
    csi, both = r'\u009b2J', r'\x1b[2J\u009b2J\n'
    texts = (('Fails to order', both), ("'version': '1", both), ("'default': '{}", both), ('What to do', csi),
             ("'ip': '127", both), ('tcp://', both), ('ordered to fail', both))
    env = like_flaky(tmp_path, 'sly', *[(said, said + more) for said, more in texts])
    script = ['-d', 'sly', '--flaky-script', json.dumps({'remove': 'error:auth', 'stop': 'error:auth'}), 'web']
    for command in (['driver', 'ls'], ['driver', 'describe', 'sly'], ['create', '-d', 'sly', '--help'],
                    ['create', *script], ['ls'], ['ip', 'web'], ['url', 'web'], ['stop', 'web'],
                    ['rm', '-f', 'web']):
        result = cli.run(*command, env=env)
        assert '\x1b' not in result.text and '\x9b' not in result.text, result
        assert '?[2J' in result.text or command == ['create', *script], result
