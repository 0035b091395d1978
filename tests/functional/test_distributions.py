"""Every distribution of the table, by a host that plays it: tests/hosts has a file for each, lib/scripted_host.py
tells how. The scripts run for real, in the shell of that distribution; every one of them, and every call of a tool, is
what the file says."""

import json
import re
import ssl
import stat
import subprocess

import pytest

import scripted_host
from cli import FAKES, TOP
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


# Told by another's row of the table (ID_LIKE, or the same one): the nightly run has them, too.
ALIKE = {'almalinux9', 'amzn2', 'amzn2023', 'fedora-coreos', 'linuxmint21', 'ol9', 'opensuse-tumbleweed', 'pop2204', 'raspbian11',
         'rhel9', 'rocky9', 'sles15', 'centos7-requiretty', 'debian12-root', 'debian12-password', 'flatcar'}


@pytest.mark.parametrize('name', [pytest.param(name, marks=pytest.mark.long if name in ALIKE else ())
                                  for name in scripted_host.names()])
def test_host(play, name):
    played = play(name)
    data, host = played.data, played.host
    result = played.run('create', *played.create(*data.get('flags', [])))
    if 'fails' in data['create']:
        assert result.err.startswith('Error creating machine: Error detecting OS: ')
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


def fails(play, name, *flags, **changes):
    """What a create says that fails on a changed host, and the host."""
    data = scripted_host.load(name)
    for table in 'tools', 'files':
        changes[table] = {**data.get(table, {}), **changes.get(table, {})}
    played = play(name, **changes)
    result = played.cli.fails(*played.create(*flags))
    assert played.host.unexpected() == [], result
    return result, played


@pytest.mark.parametrize('hosts, step', [('127.0.0.1 localhost\n', True), ('127.0.0.1 localhost\n10.0.0.1 web1\n', False)])
def test_host_that_has_the_name_already(play, hosts, step):
    """But need not be able to resolve it, which sudo wants to."""
    played = play('debian12-root', files={'/etc/hosts': hosts, '/run/engine': '', '/fakes/hostname': 'web1\n'})
    for words in played.create(), ['provision', 'web1']:
        played.cli.ok(*words)
        assert ('common hostname' in played.host.scripts()) == (step and words[0] == 'create')
        assert played.host.read('/etc/hosts') == hosts + ('127.0.1.1 web1\n' if step else '')


def test_a_script_of_ones_own_comes_before_packages(play):
    """The host's curl has nothing at that address; packages are not asked for."""
    result, played = fails(play, 'rocky9', '--engine-install-url', 'https://get.example.org/')
    assert 'cannot download https://get.example.org/' in result.err
    calls = played.host.calls()
    assert calls[-1].endswith('--url https://get.example.org/') and not any('install' in c for c in calls if 'dnf' in c)


def test_no_installation_is_asked_for(play):
    result, played = fails(play, 'alpine320', '--engine-install-url', 'none')
    assert result.err.startswith(
        'Error creating machine: Error running provisioning: install the engine: there is no Docker engine on the host, '
        'and --engine-install-url none says not to install one\n')
    assert played.host.calls() == ['hostname web1']


def test_image_without_an_engine(play):
    result, played = fails(play, 'flatcar', engine='/opt/elsewhere/dockerd')
    assert 'there is no Docker engine on the host, and none can be installed on coreOS' in result.err
    assert played.host.calls() == ['hostname web1']


def test_packages_without_an_engine(play):
    result, _ = fails(play, 'amzn2023', tools={'dnf': 'echo Nothing to do.'})
    assert ("the engine's packages were installed, but there is no dockerd on the host; it said:\nNothing to do."
            in result.err)


def test_installation_that_fails_is_gone_on_with(play):
    result, played = fails(play, 'amzn2', tools={'yum': '''case "$*" in *install*)
        [ -e /run/repaired ] || { echo 'No package docker available.'; exit 1; }
        fake-engine /usr/bin/dockerd ;; esac'''})
    assert 'install the engine: cannot install docker:\nNo package docker available.' in result.err
    (played.host.root / 'run/repaired').touch()
    played.cli.ok('create', '--resume', 'web1')
    assert played.host.scripts()[-4:] == ['detect', *(f'sudo -n {script}' for script in (
        'common packages rpm dnf install',)), 'detect', 'sudo -n common systemd firewall configure']


@pytest.mark.parametrize('name', ['alpine320', 'boot2docker', 'cos', 'opensuse-tumbleweed'])
def test_daemon_json_conflict(play, name):
    """Found before anything is changed but the name and the packages."""
    result, played = fails(play, name, '--engine-opt', 'log-driver=none',
                           files={'/etc/docker/daemon.json': '{"log-driver": "json-file", "debug": true}'})
    assert '/etc/docker/daemon.json on the host sets "log-driver", which is also set by --log-driver' in result.err
    assert 'configure' not in played.host.scripts()[-1]
    assert not any('restart' in call for call in played.host.calls())


UNUSABLE = {
    'a folder': ('/etc/docker/daemon.json/mount', '', 'is a folder, and the engine refuses to start with that: remove it'),
    'invalid': ('/etc/docker/daemon.json', '{"debug": true,}', 'is not valid JSON'),
    'not an object': ('/etc/docker/daemon.json', '[]', 'is not a JSON object'),
    'empty': ('/etc/docker/daemon.json', '', 'is empty, and the engine (version 20.10.24+dfsg1) refuses to start with that: '
              'remove it, or put {} into it'),
}


@pytest.mark.parametrize('what', UNUSABLE)
def test_daemon_json_that_is_no_use(play, what):
    """Told before the engine is restarted, which runs with what it read at its start: by create, and later."""
    path, text, told = UNUSABLE[what]
    played = play('debian12-root')
    (played.host.root / 'usr/sbin/dockerd').write_text('#!/bin/busybox sh\necho Docker version 20.10.24+dfsg1, build 1\n')
    played.cli.ok(*played.create())
    file = played.host.root / path.lstrip('/')
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    played.host.calls()
    for words, step in ((['provision'], 'configure the engine'), (['regenerate-certs', '-f'], "renew the engine's certificates")):
        err = played.cli.fails(*words, 'web1').err
        assert err.startswith(f'{step}: /etc/docker/daemon.json on the host {told}'), err
        assert played.host.calls() == []


def test_certificates_for_an_engine_that_is_gone(play):
    played = play('debian12-root')
    played.cli.ok(*played.create())
    (played.host.root / 'usr/sbin/dockerd').unlink()
    played.host.calls()
    assert played.cli.fails('regenerate-certs', '-f', 'web1').err == (
        "renew the engine's certificates: there is no Docker engine on the host; \"docker-machine provision web1\" installs one\n")
    assert played.host.calls() == []


def test_installation_that_hangs(fault_cli, tmp_path):
    """Which step, and what the host was doing."""
    played = Played(fault_cli, tmp_path, 'debian12', tools={
        **scripted_host.load('debian12')['tools'],
        'curl': '''while [ "$1" != -o ]; do shift; done
                   echo "while echo Fetching packages from mirror.example; do sleep 1; done" >"$2"'''})
    try:
        # what hangs is the host's
        result = fault_cli.run(*played.create(), env={'MACHINE_TEST_DEADLINE_MS': '8000'}, clean=False)
    finally:
        played.close()
    err = result.err
    assert result.status == 1
    assert err.startswith('Error creating machine: Error running provisioning: install the engine: no end after 1800 seconds: '
                          'the host said last: Fetching packages from mirror.example'), err
    assert '"docker-machine create --resume web1"' in err


def test_engine_that_does_not_start_under_openrc(play):
    result, _ = fails(play, 'alpine320', tools={
        'rc-service': '[ "$2" != restart ] || { echo "failed to start docker" >&2; exit 1; }'},
        files={'/var/log/docker.log': 'level=info msg=x\nunable to configure the Docker daemon\n'})
    assert ('configure the engine: the engine did not start:\nfailed to start docker\n'
            'unable to configure the Docker daemon\n') in result.err


def test_engine_that_does_not_listen(play):
    """The last of the tries is the host's; time is short here."""
    result, _ = fails(play, 'fedora-coreos', tools={
        'date': 'echo x >>/fakes/seconds; echo $((1700000000 + 20 * $(wc -l </fakes/seconds)))',
        'journalctl': 'echo listening on nothing', 'sleep': '',
        'systemctl': 'exit 0'})
    assert 'the engine started, but does not listen on port' in result.err and 'listening on nothing' in result.err


@pytest.mark.parametrize('name, init, text', [
    ('alpine320', 'systemd', 'openrc is not what started this host'),
    ('debian12', 'openrc', 'systemd is not what started this host'),
    ('debian12', 'boot2docker', 'systemd is not what started this host')])
def test_other_init(play, name, init, text):
    result, played = fails(play, name, init=init)
    assert text in result.err and played.host.scripts() == ['detect']


def test_cloud_init_without_systemd(play):
    """There is no generator that would have noted that it is enabled."""
    data = scripted_host.load('alpine320')
    played = play('alpine320', tools={**data['tools'], 'sleep': 'echo "{}" >/run/cloud-init/result.json'},
                  files={**data['files'], '/run/cloud-init/status.json': '{}'})
    result = played.cli.ok(*played.create())
    assert 'Waiting for cloud-init to finish...\n' in result.out
    assert played.host.scripts()[:4] == ['detect', 'common cloud_init', 'detect', 'common hostname']
    assert played.host.unexpected() == []


def test_cloud_init_that_does_not_finish(play):
    """Told, and gone on without it. Time is short here."""
    data = scripted_host.load('debian12-root')
    played = play('debian12-root', files={**data['files'], '/run/cloud-init/enabled': ''}, tools={
        **data['tools'], 'sleep': '', 'date': 'echo x >>/fakes/seconds; echo $((1700000000 + 200 * $(wc -l </fakes/seconds)))'})
    result = played.cli.ok(*played.create())
    assert 'Waiting for cloud-init to finish...\n' in result.out
    assert 'web1: cloud-init has not finished after 300 seconds; going on\n' in result.text
    assert played.host.scripts()[1:4] == ['common cloud_init', 'detect', 'common hostname']


def test_docker_as_a_snap(play):
    played = play('ubuntu2404')
    snap = played.host.root / 'snap/bin/docker'
    snap.parent.mkdir(parents=True)
    snap.write_text('#!/bin/busybox sh\n')
    snap.chmod(0o755)
    err = played.cli.fails(*played.create()).err
    assert err.startswith('Error creating machine: Error running provisioning: install the engine: Docker is there as a snap, which '
                          'cannot be given certificates and options: remove it (sudo snap remove docker) and try again\n')
    assert played.host.calls() == ['hostname web1']


def test_record(play):
    """As the original writes it, to the byte, but for what it is about; a second look at the host changes nothing."""
    played = play('debian12-root')
    words = played.create('--engine-opt', 'log-driver=none', '--tls-san', 'foo.bar')
    words[words.index('--engine-env'):words.index('--engine-env') + 2] = []
    labels = words.index('--engine-label')
    words[labels:labels + 4] = ['--engine-label', 'k=v']
    cli = played.cli
    cli.ok(*words)
    folder = cli.store / 'machines/web1'
    want = json.loads((TOP / 'tests/unit/data/config-v3.json').read_text().replace('@S@', str(cli.store)))
    want['Driver'].update(IPAddress='127.0.0.1', SSHUser=USER, SSHPort=played.sshd.port, EnginePort=played.port,
                          SSHKey=str(played.key))
    assert (folder / 'config.json').read_text() == json.dumps(want, indent=4)
    assert {p.name: oct(stat.S_IMODE(p.stat().st_mode)) for p in folder.iterdir()} == {
        'config.json': '0o600', 'key': '0o600', 'key.pub': '0o600', 'known_hosts': '0o600', 'ca.pem': '0o644',
        'cert.pem': '0o644', 'key.pem': '0o600', 'server.pem': '0o644', 'server-key.pem': '0o600',
        '.tls-session': '0o600'}
    cli.ok('provision', 'web1')
    cli.ok('regenerate-certs', '-f', 'web1')
    assert (folder / 'config.json').read_text() == json.dumps(want, indent=4)


def certificate(text):
    """Whose it is, for what, and for which names."""
    shown = subprocess.run(['openssl', 'x509', '-noout', '-nameopt', 'RFC2253', '-subject', '-ext',
                            'extendedKeyUsage,subjectAltName'], input=text, capture_output=True, text=True, check=True)
    return [line.strip() for line in shown.stdout.splitlines() if not line.startswith('X509v3')]


def test_names_in_the_certificate(play):
    """Those asked for, the address, localhost; also when it is renewed, and of an old swarm's master."""
    played = play('debian12-root')
    played.cli.ok(*played.create('--tls-san', 'web.example', '--tls-san', '192.0.2.9'))
    names = 'DNS:web.example, DNS:localhost, IP Address:192.0.2.9, IP Address:127.0.0.1'
    pem = '/etc/docker/server.pem'
    first = played.host.read(pem)
    assert certificate(first) == ['subject=O=tester.web1', 'TLS Web Server Authentication', names]
    path = played.cli.store / 'machines/web1/config.json'
    path.write_text(path.read_text().replace('"Master": false', '"Master": true'))
    played.cli.ok('regenerate-certs', '-f', 'web1')
    assert played.host.read(pem) != first
    assert certificate(played.host.read(pem)) == [
        'subject=O=tester.web1', 'TLS Web Server Authentication, TLS Web Client Authentication', names]


@pytest.mark.parametrize('file, text', [
    ('ca.pem', 'Copying ca.pem to machine dir failed: open {}: no such file or directory\n'),
    ('cert.pem', 'Copying cert.pem to machine dir failed: open {}: no such file or directory\n'),
    ('ca-key.pem', 'error generating server cert: open {}: no such file or directory\n')])
def test_local_file_that_is_missing(play, file, text):
    played = play('debian12-root')
    played.cli.ok(*played.create())
    path = played.cli.store / 'certs' / file
    path.unlink()
    played.host.scripts()
    assert played.cli.fails('regenerate-certs', '-f', 'web1').err == text.format(path)
    assert played.host.scripts() == ['detect']


def test_engine_with_another_certificate(play):
    """The last step of create, in the words that scripts look for, with the advice."""
    played = play('debian12-root')
    played.engine.close()
    played.engine = Engine(played.cli.store / 'certs', played.sshd.folder, ['192.0.2.1'])
    port = played.engine.address.rsplit(':', 1)[1]
    words = [port if word == str(played.port) else word for word in played.create()]
    (played.host.root / 'fakes/tcp').write_text(scripted_host.listening(int(port)))
    err = played.cli.fails(*words).err
    assert err.startswith('Error creating machine: Error checking the host: Error checking and/or regenerating the '
                          'certs: There was an error validating certificates for host '
                          f'"127.0.0.1:{port}": x509: certificate is valid for 192.0.2.1, not 127.0.0.1\n'
                          "You can attempt to regenerate them using 'docker-machine regenerate-certs [name]'.\n")
    assert '"docker-machine create --resume web1"' in err


@pytest.mark.parametrize('seconds', [-3600, 0])
def test_clock_that_is_off(play, seconds):
    """Nobody's certificates are valid then; new ones are no way out."""
    played = play('debian12-root', tools={**scripted_host.load('debian12-root')['tools'],
                                          'date': f'echo $(($(/bin/busybox date +%s) + {seconds}))'})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(played.sshd.folder.parent / 'engine.pem', played.sshd.folder.parent / 'engine.key')
    context.verify_mode = ssl.CERT_REQUIRED # by nobody
    played.engine.server.context = context
    result = played.cli.fails(*played.create())
    assert 'remote error: tls: bad certificate' in result.err
    assert bool(re.search(r"\(web1\) the host's clock is 36\d\d seconds slow", result.text)) == bool(seconds), result
    assert bool(re.search(r"\nThe host's clock is 36\d\d seconds slow, and certificates are valid for a time: set the clock "
                          r'first, for example with "timedatectl set-ntp true"\.\n', result.err)) == bool(seconds), result


def test_engine_that_is_not_reachable(fault_cli, tmp_path):
    """It listens on the host; what is in between nobody can know."""
    played = Played(fault_cli, tmp_path, 'debian12-root')
    played.engine.close()
    try:
        err = fault_cli.fails(*played.create(), env={'MACHINE_TEST_DEADLINE_MS': '6000'}).err
    finally:
        played.close()
    assert err.startswith('Error creating machine: Error checking the host: the engine is up on the host, but not '
                          f'reachable from here at tcp://127.0.0.1:{played.port}: dial tcp 127.0.0.1:{played.port}: '
                          'connect: connection refused\nIs a firewall or security group in the way?'), err


def test_a_command_that_nobody_expects_is_refused(play):
    played = play('debian12-root')
    played.cli.ok(*played.create())
    assert played.cli.run('ssh', 'web1', 'uname').status != 0
    assert played.host.unexpected() == ['command: uname']
