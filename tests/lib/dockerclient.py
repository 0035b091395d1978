"""The real docker client, with machine as its plugin."""

import subprocess

import pytest

RESERVED = 'DOCKER_HOST', 'DOCKER_CONTEXT', 'DOCKER_TLS_VERIFY', 'DOCKER_CERT_PATH', 'DOCKER_CONFIG'


@pytest.fixture
def docker(cli):
    """Runs the docker client with a folder of its own, in which machine is a plugin."""
    folder = cli.folder / 'docker'
    (folder / 'cli-plugins').mkdir(parents=True)
    (folder / 'cli-plugins' / 'docker-machine').symlink_to(cli.program)
    cli.env['DOCKER_CONFIG'] = str(folder)

    def run(*words, status=0, env=None):
        done = subprocess.run(['docker', *words], env={**cli.env, **(env or {})}, cwd=cli.folder, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == status, done
        return done
    run.folder = folder
    run.plugins = folder / 'cli-plugins'
    assert not [name for name in RESERVED[:-1] if name in cli.env]
    return run
