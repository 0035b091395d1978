"""What `meson install` puts where, and that the program finds its parts there."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from cli import TOP

DRIVERS = ['amazonec2', 'digitalocean', 'generic', 'none', 'nspawn', 'openstack', 'qemu']
GUEST = TOP / 'scripts' / 'guest'
FILES = {
    'bin/machine', 'bin/docker-machine', 'libexec/docker/cli-plugins/docker-machine', 'libexec/machine/machine-image', 'libexec/machine/build-image',
    *(f'libexec/machine/machine-driver-{name}' for name in DRIVERS),
    'share/bash-completion/completions/docker-machine.bash', 'share/bash-completion/completions/machine.bash',
    'share/fish/vendor_completions.d/docker-machine.fish', 'share/fish/vendor_completions.d/machine.fish',
    'share/zsh/site-functions/_docker-machine', 'share/zsh/site-functions/_machine',
    'share/machine/docker-machine-wrapper.bash', 'share/machine/docker-machine-prompt.bash',
    'share/man/man1/machine.1', 'share/man/man1/docker-machine.1',
    'share/man/man5/machine-store.5', 'share/man/man7/machine-driver.7',
    *(f'share/doc/machine/{name}.md' for name in ['README', 'JSON', 'PROTOCOL', 'WRITING-DRIVERS']),
}
LINKS = {'bin/docker-machine': 'machine', 'libexec/docker/cli-plugins/docker-machine': '../../../bin/docker-machine', 'share/man/man1/docker-machine.1': 'machine.1',
         'share/bash-completion/completions/machine.bash': 'docker-machine.bash',
         'share/fish/vendor_completions.d/machine.fish': 'docker-machine.fish',
         'share/zsh/site-functions/_machine': '_docker-machine'}


def run(*argv, **kwargs):
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300, **kwargs)
    assert done.returncode == 0, done.stdout
    return done.stdout


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob('*') if not path.is_dir() or path.is_symlink()}


@pytest.fixture(scope='module')
def tree(new_cli, tmp_path_factory):
    """The build, installed below a folder; its prefix is /usr/local."""
    place = tmp_path_factory.mktemp('install')
    run('meson', 'install', '-C', new_cli().build, '--no-rebuild', '--destdir', place)
    assert os.listdir(place) == ['usr'] and os.listdir(place / 'usr') == ['local']
    return place / 'usr' / 'local'


def test_files(tree):
    own = {f for f in files_below(tree) if not f.startswith('libexec/machine/guest/')}
    # further drivers may come along
    extra = {f for f in own - FILES if not re.fullmatch(r'libexec/machine/machine-driver-[a-z0-9]+', f)}
    assert not extra and not FILES - own
    for link, target in LINKS.items():
        assert os.readlink(tree / link) == target and (tree / link).exists()


def test_guest_files(tree):
    """What build-image puts into images: each file with the mode that it has in the sources."""
    installed = tree / 'libexec' / 'machine' / 'guest'
    assert files_below(installed) == files_below(GUEST)
    for name in files_below(GUEST):
        assert os.access(installed / name, os.X_OK) == bool((GUEST / name).stat().st_mode & 0o100), name


def test_modes(tree):
    for name in files_below(tree):
        mode = (tree / name).stat().st_mode & 0o7777
        assert mode in (0o755, 0o644), f'{name}: {mode:o}'


@pytest.mark.parametrize('prefix', ['usr/local', 'usr', 'opt/some where'])
def test_parts_are_found(tree, cli, tmp_path, prefix):
    """Beside the program, wherever that is."""
    home = tmp_path / 'root' / prefix
    shutil.copytree(tree, home, symlinks=True)
    cli.program = home / 'bin' / 'docker-machine'
    cli.env.update(MACHINE_DRIVER_PATH='', PATH='/usr/bin:/bin')
    listed = cli.ok('driver', 'ls').out
    for name in DRIVERS:
        assert re.search(rf'^{name} .* built in +{re.escape(str(home))}/libexec/machine/machine-driver-{name} ',
                         listed, re.M), listed
    cli.create_none('web')
    assert cli.ok('status', 'web').out == 'Running\n'
    cli.ok('image', 'ls')
    assert '--parts' in cli.ok('image', 'build', '--help').out # which build-image says


def test_prefix_usr(tmp_path):
    """As packages have it: nothing lands outside, and the program knows its folder."""
    run('meson', 'setup', tmp_path / 'build', TOP, '-Dprefix=/usr', '-Dlibexecdir=libexec',
        '-Dzsh_dir=share/zsh/vendor-completions', '-Ddocdir=share/doc/some-name', '-Dcommit=abc')
    plan = json.loads(run('meson', 'introspect', tmp_path / 'build', '--installed')).values()
    places = {str(pathlib.Path(p).relative_to('/usr')) for p in plan}
    expected = {f.replace('site-functions', 'vendor-completions').replace('doc/machine', 'doc/some-name')
                for f in FILES - set(LINKS)}
    assert expected <= places
    config = (tmp_path / 'build' / 'config.h').read_text()
    assert '"/usr/libexec/machine"' in config and 'build abc"' in config


def test_bash_finds_the_completion(tree):
    """By the names that bash-completion looks for; both are completed by the one function."""
    for name in 'machine', 'docker-machine':
        shown = run('bash', '--norc', '-c', f'source {tree}/share/bash-completion/completions/{name}.bash; complete -p')
        assert f' {name}\n' in shown and '-F _docker_machine' in shown


def test_the_docker_client_finds_its_plugin(tree, tmp_path):
    """In one of its own folders; which of them that is depends on the prefix, so it is told of this one."""
    (tmp_path / 'config.json').write_text(json.dumps({'cliPluginsExtraDirs': [str(tree / 'libexec/docker/cli-plugins')]}))
    env = {'PATH': os.environ['PATH'], 'DOCKER_CONFIG': str(tmp_path), 'MACHINE_STORAGE_PATH': str(tmp_path / 'store')}
    assert run('docker', 'machine', 'version', env=env).startswith('docker machine version ')
    assert 'none' in run('docker', 'machine', 'driver', 'ls', env=env)


def test_versions_agree(cli):
    """The package's is the program's."""
    (packaged,) = re.findall(r'\A\S+ \((\S+)\)', (TOP / 'debian' / 'changelog').read_text())
    assert cli.ok('version').out.startswith(f'machine version {packaged}, ')
