"""The program as other programs call it."""

import contextlib
import subprocess

import pytest

from cli import Running
from engine import Engine


class Caller:
    """Calls docker-machine by its name, from the PATH."""

    def __init__(self, cli, *before, env=None):
        self.cli, self.before = cli, before
        folder = cli.folder / 'bin'
        folder.mkdir(exist_ok=True)
        link = folder / 'docker-machine'
        if not link.exists():
            link.symlink_to(cli.program)
        self.env = env or {**cli.env, 'PATH': f'{folder}:{cli.env["PATH"]}'}

    def start(self, *words, stdin=None):
        return Running(['docker-machine', *self.before, *words], self.env, self.cli.folder, stdin)

    def __call__(self, *words, status=0, stdin=None):
        result = self.start(*words, stdin=stdin).finish(60)
        assert result.status == status, result
        assert not result.leftovers, result
        return result

    def shell(self, script, status=0):
        done = subprocess.run(['bash', '-c', script], env=self.env, cwd=self.cli.folder, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == status, done
        return done


@pytest.fixture
def caller(cli):
    return Caller(cli)


@pytest.fixture
def engine(cli, certs, tmp_path):
    with contextlib.closing(Engine(certs, tmp_path)) as the_engine:
        yield the_engine


@pytest.fixture
def world(cli, engine):
    """Names that sort in one way only, so that the first line of a list is what it is."""
    cli.create_none('default', engine.url)
    cli.create_flaky('off')
    (cli.flaky / 'state-off').write_text('Stopped')
    return cli
