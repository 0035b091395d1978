"""Every distribution of the table, by a host that plays it: tests/hosts has a file for each, lib/scripted_host.py
tells how. The scripts run for real, in the shell of that distribution; every one of them, and every call of a tool, is
what the file says."""

import pytest

import scripted_host
from cli import FAKES
from engine import Engine
from sshd import USER, Sshd, keygen

LABEL = 'n=$(touch${IFS}/pwned)`touch${IFS}/pwned`\'"\\;|&'
WORDS = 'w=a b  $HOME "c"'
ENV = 'E=$(touch /pwned) `touch /pwned` \'a\' "b"'


class Played:
    """A host that plays tests/hosts/NAME.toml, and its sshd and engine."""

    def __init__(self, cli, folder, name, **changes):
        self.data = {**scripted_host.load(name), **changes}
        self.cli, self.key = cli, keygen(folder / 'key')
        self.engine = Engine(cli.store / 'certs', folder)
        self.port = int(self.engine.address.rsplit(':', 1)[1])
        self.host = scripted_host.ScriptedHost(folder / 'host', self.data, self.port)
        self.sshd = Sshd(folder / 'sshd', extra=f'ForceCommand {FAKES}/scripted-host {folder}/host')
        self.sshd.authorize(self.key)

    def close(self):
        self.sshd.stop()
        self.engine.close()

    def create(self, *flags):
        labels = [] if self.data['init'] == 'boot2docker' else ['--engine-label', WORDS]
        return ['create', '-d', 'generic', '--generic-ip-address', '127.0.0.1', '--generic-ssh-user', USER,
                '--generic-ssh-port', str(self.sshd.port), '--generic-ssh-key', str(self.key),
                '--generic-engine-port', str(self.port), '--engine-label', LABEL, *labels,
                '--engine-env', ENV, *flags, 'web1']

    def run(self, step, *words):
        """Runs a command and compares what happened with what the file says."""
        expected = self.data[step]
        result = self.cli.run(*words)
        assert self.host.unexpected() == [], result
        assert self.host.scripts() == expected['scripts'], result
        assert self.host.calls() == [c.replace('PORT', str(self.port)) for c in expected['calls']], result
        assert (result.status == 1) == ('fails' in expected), result
        said = [line for line in result.out.splitlines() if line.startswith('(web1)') and 'SSH key' not in line]
        assert said == [text.replace('PORT', str(self.port)) for text in expected.get('says', [])], result
        for text in expected.get('fails', []):
            assert text in result.err, result
        assert 'fails' in expected or result.err == '', result
        assert not (self.host.root / 'pwned').exists()
        return result


@pytest.fixture
def play(cli, tmp_path):
    made = []

    def make(name, **changes):
        made.append(Played(cli, tmp_path, name, **changes))
        return made[-1]
    yield make
    for played in made:
        played.close()


@pytest.mark.parametrize('name', scripted_host.names())
def test_host(play, name):
    played = play(name)
    data, host = played.data, played.host
    result = played.run('create', *played.create(*data.get('flags', [])))
    if 'fails' in data['create']:
        assert ('Provisioning with' in result.out) == ('provisioner' in data)
        return
    assert f'Provisioning with {data["provisioner"]}...\n' in result.out
    options = data['options']
    assert host.read('/fakes/hostname') == 'web1\n'
    if 'words' in options:
        assert host.engine_words() == [word.replace('PORT', str(played.port)) for word in options['words']]
    else:
        assert host.read(options['file']) == options['text'].replace('PORT', str(played.port))
    assert host.mode(f'{options["certs"]}/server-key.pem') == '0o600'
    before = host.read(f'{options["certs"]}/server.pem')
    assert 'CERTIFICATE' in before and 'KEY' in host.read(f'{options["certs"]}/server-key.pem')
    played.run('provision', 'provision', 'web1')
    played.run('certs', 'regenerate-certs', '-f', 'web1')
    assert host.read(f'{options["certs"]}/server.pem') != before
    played.run('upgrade', 'upgrade', 'web1')
