"""A machine's state that is too large or too deep for requests to carry it (M4)."""

import json
import pathlib

import pytest

HERE = pathlib.Path(__file__).resolve().parent


@pytest.fixture
def broken_create(cli, tmp_path):
    """`create` with the driver of conform_driver.py that breaks a rule."""
    def run(what):
        folder, root = tmp_path / 'drivers', tmp_path / 'root'
        folder.mkdir()
        root.mkdir()
        file = folder / 'machine-driver-broken'
        file.write_text(f'#!/usr/bin/python3 -S\nimport sys\nsys.dont_write_bytecode = True\n'
                        f'sys.path.insert(0, {str(HERE)!r})\n'
                        f'import conform_driver\nconform_driver.main({what!r})\n')
        file.chmod(0o755)
        result = cli.fails('create', '-d', 'broken', '--broken-root', root, 'w1',
                           env={'MACHINE_DRIVER_PATH': str(folder)})
        assert list(root.iterdir()) == []
        return result
    return run


@pytest.mark.parametrize('what, why', [('M4-deep', r'deeper than 32 levels'), ('M4-large', 'at most 1048576')])
def test_the_driver_may_not_make_one(what, why, broken_create, cli):
    result = broken_create(what)
    assert why in result.err and 'configure' in result.err and 'w1' in result.err
    assert cli.names() == []


def test_a_checkpoint_of_one_is_refused(broken_create, cli):
    assert 'not saved' in broken_create('M4-checkpoint').err
    assert 'Large' not in cli.config('w1')['Driver']


@pytest.mark.parametrize('deep, answers', [(31, True), (33, False), (59, False)])
def test_one_in_the_store_hides_no_other(deep, answers, cli):
    """59 levels: config.json can be read, a request with them cannot."""
    for name in 'a1', 'b1', 'c1':
        cli.create_none(name)
    path = cli.store / 'machines' / 'b1' / 'config.json'
    config = cli.config('b1')
    config['Driver']['Deep'] = json.loads('[{"x":' * (deep // 2) + '[]' + '}]' * (deep // 2))
    path.write_text(json.dumps(config))
    lines = {line.split()[0]: line for line in cli.ok('ls').out.splitlines()}
    assert 'Running' in lines['a1'] and 'Running' in lines['c1']
    assert 'Running' in lines['b1'] if answers else 'M4' in lines['b1']
