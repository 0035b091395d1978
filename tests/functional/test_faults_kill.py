"""The host is killed (SIGKILL) at every point of create and rm that the sources name, the driver
between any two things that it does."""

import re

import pytest

from cli import TOP, flaky_create

SCRIPT = {'create': ['cloud+wait', 'cloud', 'ok']}
CLOUD_MOMENTS = range(6) # of the driver's deed: 0 before it begins, 5 before it answers
QUICK = {'MACHINE_POLL_MS': '50'}
PASSES_MAX = 200


def points():
    """Every literal fault_point("…") in the sources, and the steps of create."""
    found = set()
    for path in [*TOP.glob('machine/**/*.c'), *TOP.glob('driver-host/*.c')]:
        found.update(re.findall(r'fault_point\("([^"]+)"\)', path.read_text()))
    table = (TOP / 'machine/core/create.c').read_text()
    for step in re.findall(r'^\t\{"([a-z ]+)",', table, re.M):
        found.update([f'create.{step}.begin', f'create.{step}'])
    return sorted(found)


def killed_creates(cli, point):
    """Machines whose create was killed at the first, second … pass of a point."""
    for number in range(1, PASSES_MAX):
        name = f'm{number}'
        result = cli.run(*flaky_create(name, SCRIPT),
                         env={**QUICK, 'MACHINE_TEST_FAULT': f'{point}:{number}'})
        if result.status == 0:
            return
        assert result.status == -9, result
        yield name
    raise AssertionError(f'{point} is passed more than {PASSES_MAX} times')


def test_the_sources_name_points():
    assert {'create.create', 'create.complete'} <= set(points())


@pytest.mark.parametrize('point', points())
@pytest.mark.sampled(3)
def test_create_killed(fault_cli, point):
    cli, killed = fault_cli, 0
    for name in killed_creates(cli, point):
        killed += 1
        cli.assert_whole()
        if name in cli.names():
            complete = cli.run('create', '--resume', name, env=QUICK)
            assert complete.status == 0 or 'complete' in complete.text, complete
        else:
            assert not cli.resources(name)
            cli.ok(*flaky_create(name, SCRIPT), env=QUICK)
        assert len(cli.resources(name)) == 1
        assert cli.ok('status', name).out == 'Running\n'
        cli.ok('rm', '-y', name)
        assert name not in cli.names()
    if point.startswith('create.create') or point == 'create.complete':
        assert killed


@pytest.mark.parametrize('point', points())
@pytest.mark.sampled(3)
def test_create_killed_then_removed(fault_cli, point):
    cli = fault_cli
    for name in killed_creates(cli, point):
        if name in cli.names():
            cli.ok('rm', '-y', name)
        cli.assert_whole()
        assert name not in cli.names()
        assert not cli.resources(name)
    left = [p.name for p in (cli.store / 'machines').iterdir() if p.name.startswith('.')]
    assert not left, f'half-made machines stay: {left}'


@pytest.mark.parametrize('moment', CLOUD_MOMENTS)
def test_driver_killed_once(cli, moment):
    """The create is called again with the last checkpoint, and there is one resource."""
    cli.create_flaky('web', {'create': [f'cloud:{moment}', 'cloud']}, env=QUICK)
    assert len(cli.calls('create', 'web')) == 2
    assert len(cli.resources('web')) == 1
    cli.ok('rm', '-y', 'web')
    assert not cli.resources('web')


@pytest.mark.parametrize('moment', CLOUD_MOMENTS)
def test_driver_killed_always(cli, moment):
    """After a few times it is the user's turn: to remove, or to go on."""
    script = {'create': [*[f'cloud:{moment}'] * 4, 'cloud']}
    for name, command, resources in (('a', ['rm', '-y', 'a'], 0), ('b', ['create', '--resume', 'b'], 1)):
        result = cli.fails(*flaky_create(name, script), env=QUICK)
        assert re.search(rf'create {name}: driver "flaky" .*(?:SIGKILL|signal 9)', result.err), result
        assert len(cli.resources(name)) == (moment > 2)
        cli.ok(*command, env=QUICK)
        assert len(cli.resources(name)) == resources


@pytest.mark.parametrize('point', points())
@pytest.mark.sampled(3)
def test_rm_killed(fault_cli, point):
    cli = fault_cli
    for number in range(1, PASSES_MAX):
        if 'web' not in (cli.names() if cli.store.exists() else []):
            cli.create_flaky('web', SCRIPT, env=QUICK)
        result = cli.run('rm', '-y', 'web', env={'MACHINE_TEST_FAULT': f'{point}:{number}'})
        cli.assert_whole()
        if result.status == 0:
            assert cli.names() == []
            return
        assert result.status == -9, result
        if 'web' in cli.names():
            cli.ok('rm', '-y', 'web')
        assert not cli.resources('web')
    raise AssertionError(f'{point} is passed more than {PASSES_MAX} times')
