"""create without -d: which driver it takes, and what it says about that."""

import os
import re
import shutil

import pytest

from cli import FAKES, Cli

BAD_NAME = ('Error creating machine: Invalid hostname specified. Allowed hostname chars are: '
            '0-9a-zA-Z . -\n')
NSPAWN, QEMU = 'systemd-nspawn', 'qemu-system-x86_64'
ROOT = os.geteuid() == 0
NOT_ROOT = 'nspawn: not root'


@pytest.fixture
def alone(tmp_path, certs):
    """The program away from its own drivers, with a PATH and drivers of the test's own."""
    cli = Cli(tmp_path).take_certs(certs)
    for folder in 'app', 'path', 'drivers':
        (tmp_path / folder).mkdir()
    shutil.copy(cli.program, tmp_path / 'app' / 'machine')
    cli.program = tmp_path / 'app' / 'machine'
    for name in 'env', 'python3':
        (tmp_path / 'path' / name).symlink_to(shutil.which(name))
    cli.env.update(PATH=str(tmp_path / 'path'), MACHINE_DRIVER_PATH=str(tmp_path / 'drivers'))
    return cli


def put(cli, *names):
    """Programs in PATH that do nothing; drivers, each with a flag of its name."""
    text = (FAKES / 'machine-driver-flaky').read_text()
    for name in names:
        driver = name in ('nspawn', 'qemu', 'virtualbox')
        path = cli.folder / (f'drivers/machine-driver-{name}' if driver else f'path/{name}')
        path.write_text(text.replace("'flaky-script'", f"'{name}-script'") if driver
                        else '#!/bin/sh\nexit 99\n')
        path.chmod(0o755)


# what is there -> the driver as root, its reason; the same for others
CHOICES = {
    f'{NSPAWN} nspawn {QEMU} qemu virtualbox': (
        'nspawn', f'root, and {NSPAWN} is here', 'qemu', f'{QEMU} is here'),
    f'{QEMU} qemu nspawn': ('qemu', f'{QEMU} is here', 'qemu', f'{QEMU} is here'),
    f'{NSPAWN} {QEMU} qemu': ('qemu', f'{QEMU} is here', 'qemu', f'{QEMU} is here'),
    f'{NSPAWN} {QEMU} virtualbox': (
        'virtualbox', 'nspawn: no machine-driver-nspawn; qemu: no machine-driver-qemu',
        'virtualbox', f'{NOT_ROOT}; qemu: no machine-driver-qemu'),
    'nspawn qemu virtualbox': (
        'virtualbox', f'nspawn: no {NSPAWN}; qemu: no {QEMU}',
        'virtualbox', f'{NOT_ROOT}; qemu: no {QEMU}'),
}


def chosen(things):
    return CHOICES[things][:2] if ROOT else CHOICES[things][2:]


@pytest.mark.parametrize('things', CHOICES)
def test_choice(alone, things):
    put(alone, *things.split())
    driver, why = chosen(things)
    line = f'No driver given: using "{driver}" ({why}).\n'
    result = alone.ok('create', 'web')
    assert result.out.startswith(f'{line}Running pre-create checks...\n') and not result.err
    assert alone.config('web')['DriverName'] == driver


@pytest.mark.parametrize('words, err', [
    (['a_b'], BAD_NAME), (['web'], 'Docker machine "web" already exists\n'),
    (['a', 'b', '--'], 'Invalid command line. Found extra arguments [b --]\n')])
def test_only_who_makes_a_machine_is_told(alone, words, err):
    put(alone, QEMU, 'qemu')
    alone.ok('create', '-d', 'qemu', 'web')
    result = alone.fails('create', *words)
    assert (result.out, result.err) == ('', err)
    bare = alone.fails('create')
    assert bare.err == 'Error: No machine name specified\n'
    assert bare.out.startswith('Usage: docker-machine create ') and '   --qemu-script ' in bare.out


@pytest.mark.parametrize('things', CHOICES)
def test_help(alone, things):
    """The flags of that driver, and its name as the default; no talk."""
    put(alone, *things.split())
    driver = chosen(things)[0]
    for words in ['--help'], ['-h'], ['web', '-help']:
        result = alone.ok('create', *words)
        assert not result.err and f'   --{driver}-script ' in result.out
        assert re.search(rf'^   --driver, -d "{driver}"\t+.*\[\$MACHINE_DRIVER\]$', result.out, re.M)


@pytest.mark.parametrize('words, env', [(['-d', 'qemu'], {}), (['--driver=qemu'], {}),
                                        ([], {'MACHINE_DRIVER': 'qemu'})])
def test_nothing_is_said_of_a_choice_that_was_made(alone, words, env):
    put(alone, NSPAWN, 'nspawn', 'qemu')
    result = alone.ok('create', *words, 'web', env=env)
    assert not result.err and 'No driver' not in result.out and alone.config('web')['DriverName'] == 'qemu'


def test_empty_variable_is_none(alone):
    put(alone, QEMU, 'qemu')
    result = alone.ok('create', 'web', env={'MACHINE_DRIVER': ''})
    assert result.out.startswith(f'No driver given: using "qemu" ({QEMU} is here).\n') and not result.err


def test_no_driver_at_all(alone):
    """The last line explains why it is one that is not there."""
    for words in ['web'], ['--help'], []:
        result = alone.fails('create', *words)
        first, *_, last = result.err.splitlines()
        assert not result.out
        assert first == ('Driver "virtualbox" not found. Do you have the plugin binary '
                         '"docker-machine-driver-virtualbox" accessible in your PATH?')
        assert last.startswith('No driver was given, and no local one works here (nspawn: ')
    assert 'No driver' not in alone.fails('create', '-d', 'virtualbox', 'web').err


def test_resume_needs_none(alone):
    put(alone, QEMU, 'qemu')
    result = alone.fails('create', '--resume', 'web')
    assert result.err.startswith('Docker machine "web" does not exist. ')


def test_the_commands_help_names_none(alone):
    """It is the same everywhere; `create --help` shows the default here."""
    line = next(l for l in alone.ok('help', 'create').out.splitlines() if '--driver, -d' in l)
    assert re.fullmatch(r'   --driver, -d \t+Driver to create machine with\. \[\$MACHINE_DRIVER\]', line)
