"""From a bare host to a Docker host and back, with the real docker client."""

import json
import re
import ssl
import socket
import subprocess

import pytest

import hosts
from real import check_engine, generic, in_shell

INSTALL_SECONDS = 240


def ssh_counts(host):
    return host.ssh_connections(), host.ssh_logins()


@pytest.mark.parametrize('user', ['debian', 'root'])
def test_create_installs_the_engine(new_cli, lab, user, tmp_path):
    """Stock Debian 12, Debian's docker.io, from a URL as a user and from a file as root."""
    cli, host = new_cli(), lab.boot(user=user)
    source = (lab.serve('/install.sh', hosts.INSTALL_SCRIPT) if user == 'debian'
              else f'file:{hosts.write_install_script(tmp_path)}')
    result = cli.ok(*generic(host, 'web1', '--engine-install-url', source),
                    timeout=INSTALL_SECONDS)
    lines = result.out.splitlines()
    expected = ['Creating CA: ', 'Creating client certificate: ', 'Running pre-create checks...',
                'Creating machine...', 'Waiting for machine to be running',
                'Detecting operating system of created instance...',
                'Waiting for SSH to be available...', 'Detecting the provisioner...',
                'Provisioning with ', 'Checking connection to Docker...',
                'Docker is up and running!']
    positions = [next((i for i, l in enumerate(lines) if l.startswith(e)), e) for e in expected]
    assert all(isinstance(p, int) for p in positions), (positions, result)
    assert lines[-1].startswith('To see how to connect') and lines[-1].endswith('env web1')
    check_engine(cli, 'web1')
    check_commands(cli, host)
    check_sessions(cli, host)
    assert host.exec('hostname').strip() == 'web1'
    assert host.exec('systemctl is-enabled docker').strip() == 'enabled'
    mode = host.exec('stat -c "%a %U" /etc/docker/server-key.pem').strip()
    assert mode == '600 root'
    assert 'key' not in host.exec('cat /var/log/auth.log 2>/dev/null; journalctl -q _COMM=sudo '
                                  '| grep "BEGIN .*KEY" || true')
    cli.ok('rm', '-y', 'web1')
    assert cli.names() == []
    lab.remove(host)


def check_sessions(cli, host):
    """create has left a TLS session, which the engine resumes until it is restarted."""
    def kinds():
        return re.findall(r'TLS session (\w+)', cli.ok('-D', 'env', 'web1').err)
    assert kinds() == ['resumed']
    host.exec('systemctl restart docker')
    assert kinds() == ['made'] and kinds() == ['resumed']


def check_commands(cli, host):
    url = f'tcp://{host.ip}:2376'
    assert cli.ok('ip', 'web1').out == f'{host.ip}\n'
    assert cli.ok('url', 'web1').out == f'{url}\n'
    assert cli.ok('status', 'web1').out == 'Running\n'
    row = cli.ok('ls').out.splitlines()[1]
    assert re.match(rf'web1 +- +generic +Running +{re.escape(url)} +v\d', row), row
    active = cli.ok('ls', env={'DOCKER_HOST': url}).out.splitlines()[1]
    assert active.split()[:2] == ['web1', '*'], active
    assert cli.ok('active', env={'DOCKER_HOST': url}).out == 'web1\n'
    assert 'No active host found' in cli.fails('active').err
    words = subprocess.run(['sh', '-c', f'docker $({cli.program} config web1) version'],
                           env=cli.env, capture_output=True, text=True, timeout=60)
    assert words.returncode == 0 and 'Server' in words.stdout, words
    listed = in_shell(cli, 'web1', f'{cli.program} active && {cli.program} ls')
    assert listed.stdout.decode().splitlines()[0] == 'web1', listed
    config = cli.ok('config', 'web1').out.splitlines()
    folder = cli.store / 'machines' / 'web1'
    assert config == ['--tlsverify', f'--tlscacert="{folder}/ca.pem"',
                      f'--tlscert="{folder}/cert.pem"', f'--tlskey="{folder}/key.pem"',
                      f'-H={url}']
    described = json.loads(cli.ok('inspect', 'web1').out)
    assert described['DriverName'] == 'generic' and described['ConfigVersion'] == 3
    assert described['Driver']['IPAddress'] == host.ip
    assert described['Driver']['SSHUser'] == host.user
    assert cli.ok('ssh', 'web1', 'uname', '-n').out == 'web1\n'
    assert re.fullmatch(r'\d+\.\d+\S*\n', cli.ok('version', 'web1').out)
    env = cli.ok('env', 'web1').out.splitlines()
    assert env[:4] == ['export DOCKER_TLS_VERIFY="1"', f'export DOCKER_HOST="{url}"',
                       f'export DOCKER_CERT_PATH="{folder}"',
                       'export DOCKER_MACHINE_NAME="web1"']


def test_one_connection(machine):
    """Provisioning a host with an engine: one TCP connection, one login; the same again later."""
    cli, host = machine()
    # the driver's and the host's port checks connect without logging in and are not SSH sessions
    assert host.ssh_logins() == 1, host.sshd_log()
    host.forget_connections()
    cli.ok('provision', 'web1', timeout=120)
    connections, logins = ssh_counts(host)
    assert logins == 1, host.sshd_log()
    assert connections <= 1, host.sshd_log()
    check_engine(cli, 'web1')


def test_create_connects_once(new_cli, lab):
    cli, host = new_cli(), lab.boot(docker=True)
    cli.ok(*generic(host, 'web1'), timeout=120)
    assert ssh_counts(host) == (1, 1), host.sshd_log()
    lab.remove(host)


def test_few_commands(machine):
    """Look, set the host name, configure: each a command on the one connection."""
    cli, host = machine()
    assert host.ssh_commands() == 3, host.sshd_log()
    for again in ['provision', 'web1'], ['regenerate-certs', '-f', 'web1']:
        host.forget_connections()
        cli.ok(*again, timeout=120)
        assert ssh_counts(host) == (1, 1), host.sshd_log()
        assert host.ssh_commands() == 2, host.sshd_log()


def test_engine_options(machine):
    cli, host = machine('web1', '--engine-label', 'colour=dark blue', '--engine-opt',
                        'log-driver=json-file', '--engine-env', 'A=B C$HOME', '--tls-san',
                        'web.example.org', '--engine-insecure-registry', 'r.example.org')
    done = in_shell(cli, 'web1', "docker info --format '{{json .Labels}} {{.LoggingDriver}}'")
    text = done.stdout.decode()
    assert 'colour=dark blue' in text and 'provider=generic' in text and 'json-file' in text, text
    pid = host.exec('pidof dockerd').split()[0]
    environment = host.exec(f"tr '\\0' '\\n' </proc/{pid}/environ")
    assert 'A=B C$HOME\n' in environment
    assert '--storage-driver' not in host.exec('systemctl cat docker')
    names = server_names(cli, host)
    assert {'web.example.org', 'localhost', host.ip} <= names


def server_names(cli, host):
    folder = cli.store / 'machines' / 'web1'
    context = ssl.create_default_context(cafile=folder / 'ca.pem')
    context.load_cert_chain(folder / 'cert.pem', folder / 'key.pem')
    with socket.create_connection((host.ip, 2376), 10) as plain, \
            context.wrap_socket(plain, server_hostname=host.ip) as tls:
        return {value for _, value in tls.getpeercert()['subjectAltName']}


def test_only_our_certificate_gets_in(machine, new_cli):
    cli, host = machine()
    folder = cli.store / 'machines' / 'web1'
    other = new_cli()
    other.create_none('x')
    stranger = other.store / 'certs'
    argv = ['docker', '--tlsverify', f'--tlscacert={folder}/ca.pem',
            f'--tlscert={stranger}/cert.pem', f'--tlskey={stranger}/key.pem',
            f'-H=tcp://{host.ip}:2376', 'version']
    done = subprocess.run(argv, env=cli.env, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and re.search('certificate|tls', done.stderr), done


def test_regenerate_certs(machine):
    cli, host = machine()
    before = (cli.store / 'machines/web1/server.pem').read_bytes()
    refused = cli.ok('regenerate-certs', 'web1', stdin='n\n')
    assert 'Regenerate TLS machine certs?  Warning: this is irreversible. (y/n): ' in refused.out
    result = cli.ok('regenerate-certs', '-f', 'web1', timeout=120)
    assert 'Regenerating TLS certificates' in result.out
    assert (cli.store / 'machines/web1/server.pem').read_bytes() != before
    assert host.exec('cat /etc/docker/server.pem').encode() == (
        cli.store / 'machines/web1/server.pem').read_bytes()
    check_engine(cli, 'web1')


def test_what_generic_cannot_do(machine):
    cli, _ = machine()
    for action in 'stop', 'kill':
        result = cli.fails(action, 'web1')
        assert re.search(rf'generic.*(does not|cannot|not) support.* {action}', result.err), result
    assert 'Machine "web1" is already running.' in cli.fails('start', 'web1').err
    assert cli.ok('status', 'web1').out == 'Running\n'


def test_restart_reboots(machine):
    cli, host = machine()
    before = host.boot_id()
    result = cli.ok('restart', 'web1', timeout=180)
    assert 'Restarting "web1"...' in result.out
    assert 'may have new IP addresses' in result.out.splitlines()[-1]
    assert host.boot_id() != before
    check_engine(cli, 'web1')


def test_power_cut_and_return(machine):
    cli, host = machine()
    host.power_cut()
    assert cli.ok('status', 'web1').out == 'Stopped\n'
    assert 'Host is not running' in cli.fails('url', 'web1').err
    row = cli.ok('ls').out.splitlines()[1]
    assert re.match(r'web1 +- +generic +Stopped +.*Unknown', row), row
    host.power_on()
    assert cli.ok('status', 'web1').out == 'Running\n'
    hosts.wait_for('engine', lambda: cli.run('config', 'web1').status == 0, 60)
    check_engine(cli, 'web1')


def test_ssh(machine):
    cli, host = machine()
    assert cli.ok('ssh', 'web1', 'echo $HOME; id -un').out == '/home/debian\ndebian\n'
    assert cli.ok('ssh', 'web1', '--', 'cat', stdin='through\n').out == 'through\n'
    assert cli.run('ssh', 'web1', 'exit 7').status == 1
    native = cli.ok('--native-ssh', 'ssh', 'web1', 'echo native')
    assert native.out.replace('\r', '') == 'native\n'


@pytest.mark.parametrize('native', [False, True], ids=['external', 'native'])
def test_backends(new_cli, lab, native):
    cli, host = new_cli(), lab.boot(docker=True)
    cli.env['MACHINE_NATIVE_SSH'] = str(native).lower()
    cli.ok(*generic(host, 'web1'), timeout=120)
    assert ssh_counts(host) == (1, 1), host.sshd_log()
    check_engine(cli, 'web1')
    lab.remove(host)


def test_rsa_key(new_cli, lab, tmp_path):
    """libssh2 before 1.11 cannot log in with one; the user need not know."""
    cli, host = new_cli(), lab.boot(docker=True)
    host.key = str(tmp_path / 'id_rsa')
    subprocess.run(['ssh-keygen', '-q', '-t', 'rsa', '-N', '', '-f', host.key], check=True)
    host.authorize((tmp_path / 'id_rsa.pub').read_text())
    cli.ok(*generic(host, 'web1'), timeout=120)
    assert host.ssh_logins() == 1, host.sshd_log()
    check_engine(cli, 'web1')
    lab.remove(host)


def test_many_machines_in_one_command(new_cli, lab):
    cli = new_cli()
    booted = [lab.boot(docker=True) for _ in range(5)]
    running = [cli.start(*generic(host, f'web{i}')) for i, host in enumerate(booted)]
    for process in running:
        process.process.wait(180)
    for process in running:
        result = process.finish()
        assert result.status == 0, result
    addresses = cli.ok('ip', 'web2', 'web0', 'web1').out.split()
    assert addresses == [booted[2].ip, booted[0].ip, booted[1].ip]
    names = [f'web{i}' for i in range(len(booted))]
    cli.ok('provision', *names, timeout=180)
    for name in names:
        check_engine(cli, name)
    cli.ok('rm', '-y', *names)
    for host in booted:
        lab.remove(host)
