"""Clients of others from the npm registry: tests/lib/NAME has what to install (package.json) and what they do
(session.mjs, which prints a line of JSON for each step). They need Node.js 20 and npm."""

import contextlib
import hashlib
import json
import os
import pathlib
import subprocess

import pytest

import rootfs

INSTALL_SECONDS, SECONDS = 600, 120


class Client:
    def __init__(self, name):
        self.folder = pathlib.Path(__file__).parent / name
        package = self.folder / 'package.json'

        def install(folder):
            (folder / 'package.json').write_text(package.read_text())
            subprocess.run(['npm', 'install', '--no-audit', '--no-fund', '--ignore-scripts', '--silent'], cwd=folder, check=True,
                           timeout=INSTALL_SECONDS)
        self.cached = rootfs.Cached(name, hashlib.sha256(package.read_bytes()).hexdigest()[:12], install)

    def run(self, *words, **env):
        """What it prints; AssertionError if it fails."""
        argv = ['node', self.folder / 'session.mjs', self.cached.path, *words]
        result = subprocess.run(argv, env={'PATH': os.environ['PATH'], 'HOME': str(self.cached.path), 'NO_PROXY': '127.0.0.1', **env},
                                capture_output=True, text=True, timeout=SECONDS)
        assert result.returncode == 0, result
        return [json.loads(line) for line in result.stdout.splitlines()]

    def steps(self, *words, **env):
        return {step['step']: step['value'] for step in self.run(*words, **env)}

    def close(self):
        self.cached.close()


def fixture(name):
    @pytest.fixture(scope='module')
    def client():
        with contextlib.closing(Client(name)) as the_client:
            yield the_client
    return client
