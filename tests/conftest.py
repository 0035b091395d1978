"""Fixtures for all tests driven by pytest. `cli` is the program with a fresh store."""

import collections
import os
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / 'lib'))

import cli as cli_module  # noqa: E402


LONG = os.environ.get('MACHINE_TEST_LONG') == '1'


def pytest_configure(config):
    config.addinivalue_line('markers', 'long: takes many minutes; left out unless MACHINE_TEST_LONG=1')
    config.addinivalue_line('markers', 'sampled(n): of many parameters every n-th; the others are long')
    cli_module.become_subreaper()

    def terminate(number, _frame):
        pytest.exit(f'signal {number}', 2) # unwinds through the fixtures

    for number in signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, terminate)
    # a shell's background job ignores these, and what it starts, too
    for number, handler in (signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


def sample(items):
    """A product of many requests, moments and ends costs minutes; what breaks one breaks its neighbours."""
    seen = collections.Counter()
    for item in items:
        sampled = item.get_closest_marker('sampled')
        if sampled:
            name = item.module, item.originalname
            if seen[name] % sampled.args[0]:
                item.add_marker(pytest.mark.long)
            seen[name] += 1


def leave_out_long(config, items):
    long = [item for item in items if item.get_closest_marker('long')]
    if long and not LONG:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Tests that share the work of a fixture run in one process (--dist loadgroup). A module's SHARED
    maps such a fixture to the parameter that it depends on and its default."""
    for item in items:
        for fixture, (parameter, default) in getattr(item.module, 'SHARED', {}).items():
            if fixture in item.fixturenames:
                chosen = getattr(item, 'callspec', None)
                value = chosen.params.get(parameter, default) if chosen else default
                item.add_marker(pytest.mark.xdist_group(f'{fixture}-{value}'))
    sample(items)
    leave_out_long(config, items)


def pytest_unconfigure():
    """A run that was cut short leaves nothing running, either."""
    for left in cli_module.reap(set(), grace=0, hosts_too=True):
        print(f'ended: {left}', file=sys.stderr)


@pytest.fixture(scope='session')
def certs(tmp_path_factory):
    """A CA and client pair that the program made."""
    first = cli_module.Cli(tmp_path_factory.mktemp('certs'))
    first.create_none('any')
    return first.store / 'certs'


@pytest.fixture
def empty_cli(tmp_path):
    """The program without a store."""
    return cli_module.Cli(tmp_path)


@pytest.fixture
def cli(tmp_path, certs):
    return cli_module.Cli(tmp_path).take_certs(certs)


@pytest.fixture
def fault_cli(tmp_path, certs):
    """The program with fault points compiled in."""
    return cli_module.Cli(tmp_path, cli_module.build_dir(fault=True)).take_certs(certs)


@pytest.fixture(scope='session')
def new_cli(tmp_path_factory, certs):
    """Makes programs with a store each."""
    def make(fault=False):
        folder = tmp_path_factory.mktemp('store')
        return cli_module.Cli(folder, cli_module.build_dir(fault)).take_certs(certs)
    return make


@pytest.fixture(scope='session')
def lab():
    """Real hosts. Where they cannot run, that is a failure; MACHINE_TEST_NO_HOSTS=1 skips."""
    if os.environ.get('MACHINE_TEST_NO_HOSTS') == '1':
        pytest.skip('MACHINE_TEST_NO_HOSTS=1')
    import hosts
    with hosts.Lab() as the_lab:
        yield the_lab
