"""--json: one schema for what programs ask; machine/cli/JSON.md describes it."""

import json
import re

import pytest

from cli import TOP, like_flaky
from engine import Engine

URL = 'tcp://127.0.0.1:1'
REFUSED = 'dial tcp 127.0.0.1:1: connect: connection refused'
MISSING = 'Docker machine "nope" does not exist. '


@pytest.fixture(scope='module')
def store(new_cli, certs, tmp_path_factory):
    cli = new_cli()
    engine = Engine(certs, tmp_path_factory.mktemp('engine'))
    cli.engine = engine
    cli.create_none('web10', engine.url)
    cli.create_none('web2', URL)
    cli.create_none('gone', URL)
    cli.create_flaky('off')
    (cli.flaky / 'state-off').write_text('Stopped')
    path = cli.store / 'machines' / 'gone' / 'config.json'
    path.write_text(path.read_text().replace('"DriverName": "none"', '"DriverName": "lost"'))
    broken = cli.store / 'machines' / 'broken'
    broken.mkdir()
    (broken / 'config.json').write_text('{"a":')
    yield cli
    engine.close()


def row(name, **known):
    return {'name': name, 'driver': 'none', 'state': 'Running', 'active': False, 'url': None, 'ip': None,
            'swarmMaster': None, 'dockerVersion': None, 'error': None, **known}


def test_ls(store):
    result = store.ok('ls', '--json', env={'DOCKER_HOST': store.engine.url})
    rows = {r['name']: r for r in json.loads(result.out)}
    assert list(rows) == ['broken', 'gone', 'off', 'web2', 'web10'] # as in the table
    assert 'broken/config.json' in rows['broken'].pop('error')
    assert rows['broken'] == {k: v for k, v in row('broken', driver=None, state='Error').items() if k != 'error'}
    assert rows['gone'] == row('gone', driver='lost', state='Error', error='Driver "lost" not found. Do you have '
                               'the plugin binary accessible in your PATH?')
    assert rows['off'] == row('off', driver='flaky', state='Stopped', ip=rows['off']['ip'])
    assert rows['web2'] == row('web2', url=URL, ip='127.0.0.1', error=f'Unable to query docker version: {REFUSED}')
    assert rows['web10'] == row('web10', url=store.engine.url, ip='127.0.0.1', active=True, dockerVersion='24.0.7')
    assert not result.err and result.out.endswith(']\n')


def test_ls_members_are_always_there(store):
    assert {tuple(r) for r in json.loads(store.ok('ls', '--json').out)} == {tuple(row('x'))}


def test_ls_filters(store):
    assert [r['name'] for r in json.loads(store.ok('ls', '--json', '--filter', 'name=^web').out)] == ['web2', 'web10']
    assert json.loads(store.ok('ls', '--json', '--filter', 'name=x$').out) == []
    assert 'exclude' in store.fails('ls', '--json', '-q').err


def test_ls_that_takes_too_long(cli):
    cli.create_flaky('odd')
    cli.set_script('odd', {'states': 'deaf'})
    assert json.loads(cli.ok('ls', '--json', '-t', '1').out) == [
        row('odd', driver='flaky', state='Timeout', error='no answer within the time of --timeout')]


def test_empty(cli):
    assert cli.ok('ls', '--json').out == '[]\n'


# command -> member, answer of web2, how the error of a machine that is off begins (None: it answers)
ANSWERS = {
    'status': ('state', 'Running', None),
    'url': ('url', URL, 'Host is not running'),
    'ip': ('ip', '127.0.0.1', None),
}


@pytest.mark.parametrize('command', ANSWERS)
def test_one(store, command):
    member, answer, _ = ANSWERS[command]
    result = store.ok(command, '--json', 'web2')
    assert json.loads(result.out) == [{'name': 'web2', member: answer, 'error': None}]
    assert store.ok(command, 'web2').out == f'{answer}\n' and not result.err


@pytest.mark.parametrize('command', ANSWERS)
def test_many_and_what_fails(store, command):
    """The others' answers are there, the exit status tells that not all went well."""
    member, answer, error = ANSWERS[command]
    result = store.fails(command, 'web2', 'nope', 'off', 'web2', '--json')
    first, second, third, fourth = json.loads(result.out)
    assert first == fourth == {'name': 'web2', member: answer, 'error': None}
    assert second['error'].startswith(MISSING) and second[member] is None and MISSING in result.err
    assert list(third) == ['name', member, 'error'] and third['name'] == 'off'
    assert (third['error'] is None) if error is None else third['error'].startswith(error)


def test_version(store):
    own, = json.loads(store.ok('version', '--json', env={'HOME': '', 'MACHINE_STORAGE_PATH': ''}).out)
    assert own['name'] is None and own['error'] is None and own['program'] == 'machine'
    assert store.ok('version').out.startswith(f'machine version {own["version"]}, ')
    result = store.fails('version', '--json', 'web10', 'web2', 'off')
    assert json.loads(result.out) == [
        {'name': 'web10', 'version': '24.0.7', 'error': None},
        {'name': 'web2', 'version': None, 'error': f'Unable to query docker version: {REFUSED}'},
        {'name': 'off', 'version': None, 'error': 'Host is not running'}]
    assert f'web2: Unable to query docker version: {REFUSED}' in result.err.splitlines()


def test_inspect(store):
    result = store.fails('inspect', '--json', 'web2', 'broken', 'nope')
    whole, broken, missing = json.loads(result.out)
    assert whole == {'name': 'web2', 'config': json.loads(store.ok('inspect', 'web2').out), 'error': None}
    assert broken['config'] is None and 'broken/config.json' in broken['error']
    assert missing['error'].startswith(MISSING)


def test_default_machine(cli):
    assert cli.fails('status', '--json').err.startswith('Error: No machine name(s) specified')
    cli.create_none('default', URL)
    for command in ANSWERS:
        assert json.loads(cli.ok(command, '--json').out)[0]['name'] == 'default'


def test_driver_ls(store):
    drivers = {d['name']: d for d in json.loads(store.ok('driver', 'ls', '--json').out)}
    assert list(drivers['none']) == ['name', 'version', 'origin', 'executable', 'description', 'error']
    table = store.ok('driver', 'ls').out.splitlines()[1:]
    assert [line.split()[0] for line in table] == list(drivers)
    for line in table:
        name, version, origin, file = re.split('   +', line)[:4]
        assert [drivers[name][k] for k in ('version', 'origin', 'executable')] == [version, origin, file]
    assert drivers['none']['error'] is None


def test_driver_that_does_not_start(cli, tmp_path):
    env = like_flaky(tmp_path, 'bad', ('import json', 'import nonsense\nimport json'))
    bad = {d['name']: d for d in json.loads(cli.ok('driver', 'ls', '--json', env=env).out)}['bad']
    assert bad['version'] is None and bad['description'] is None and bad['error']
    assert bad['executable'] == f'{tmp_path}/machine-driver-bad'


def test_hostile_texts(cli, tmp_path):
    """JSON escapes what a terminal would obey."""
    env = like_flaky(tmp_path, 'sly', ("'ip': '127", "'ip': '\\x1b[2J\"127"))
    cli.ok('create', '-d', 'sly', 'web', env=env)
    for command in ['ls', '--json'], ['ip', '--json', 'web'], ['inspect', '--json', 'web']:
        out = cli.ok(*command, env=env).out
        assert '\x1b' not in out and json.loads(out)


def test_the_page_has_every_member(store):
    """The schema that is documented is the one that is printed."""
    page = (TOP / 'machine' / 'cli' / 'JSON.md').read_text()
    told = set(re.findall(r'^\| `(\w+)`', page, re.M))
    seen = set()
    for command in ('ls', 'driver ls', 'version', 'version web10', 'inspect web2',
                    *(f'{c} web2' for c in ANSWERS)):
        first, *rest = command.split()
        for item in json.loads(store.ok(*([first, *rest, '--json'])).out):
            seen |= set(item)
    lines = store.fails('start', '--progress', 'json', 'web2').out.splitlines()
    assert len(lines) >= 3
    for line in lines:
        seen |= set(json.loads(line))
    assert seen == told
