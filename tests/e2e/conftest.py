import pytest

import base_image
import cli as cli_module
import openstack_cloud
from real import generic


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Two processes may run these (--dist loadgroup): one what needs the lab's hosts, one the drivers that make hosts of
    this computer, which share its bridge."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group('hosts' if 'lab' in item.fixturenames else 'local'))


@pytest.fixture
def new_cli(tmp_path_factory):
    """Makes programs with an empty store each; the default engine script is never the internet's."""
    def make(fault=False):
        cli = cli_module.Cli(tmp_path_factory.mktemp('store'), cli_module.build_dir(fault))
        cli.env['MACHINE_DOCKER_INSTALL_URL'] = 'http://127.0.0.1:1/no-such-script'
        return cli
    return make


@pytest.fixture
def machine(new_cli, lab):
    """Boots a host with an engine and makes a machine of it; gives (cli, host)."""
    made = []

    def make(name='web1', *flags, **boot):
        host = lab.boot(**{'docker': True, **boot})
        made.append(host)
        cli = new_cli()
        cli.ok(*generic(host, name, *flags), timeout=120)
        return cli, host
    yield make
    for host in made:
        lab.remove(host)


@pytest.fixture(scope='session')
def openstack(tmp_path_factory):
    """A real OpenStack; its users give back all that they make (`leaks`)."""
    with openstack_cloud.Cloud(tmp_path_factory.mktemp('openstack')) as cloud:
        yield cloud


@pytest.fixture(scope='session')
def image_folder():
    """A base image as scripts/build-image makes it."""
    return base_image.folder()


@pytest.fixture(scope='session')
def local_cli(tmp_path_factory, image_folder):
    """A program whose store has the image; all its users share it."""
    cli = cli_module.Cli(tmp_path_factory.mktemp('local'))
    cli.ok('image', 'import', image_folder, timeout=120)
    return cli


@pytest.fixture(scope='session')
def faulty(local_cli):
    """The same store, and a driver that can be made to end at a point."""
    return cli_module.Cli(local_cli.folder, cli_module.build_dir(fault=True))
