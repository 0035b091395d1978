"""The scripts that provisioning runs on hosts: run here, on files of the test's own, by every shell that is there."""

import os
import re
import shutil
import socket
import stat
import subprocess

import pytest

from provision_scripts import SCRIPTS, SHELLS, host # noqa: F401

NASTY = 'a \'b\' "c" $HOME $(touch pwned) `touch pwned` \\ %n ;é\n\n line\n'


@pytest.mark.parametrize('script', sorted(SCRIPTS.glob('*.sh')), ids=lambda path: path.stem)
def test_script_is_clean(script):
    for shell in SHELLS:
        subprocess.run([*shell, '-n', script], check=True)
    if shutil.which('shellcheck'):
        subprocess.run(['shellcheck', script], check=True)


MANAGERS = 'apt', 'rpm dnf', 'rpm zypper', 'pacman', 'apk'
COMPOSED = ['common hostname', 'common hostname_boot2docker', 'common cloud_init', 'detect',
            *(f'common packages {manager} {step}' for manager in MANAGERS for step in ('install', 'upgrade', 'purge')),
            *(f'common {service} firewall configure' for service in ('systemd', 'openrc', 'boot2docker'))]


@pytest.mark.parametrize('names', COMPOSED)
@pytest.mark.sampled(3)
def test_composed_script_is_clean(names, tmp_path):
    """As it is sent: every function that is called is there, and nothing but what a POSIX shell has is used."""
    script = tmp_path / 'script'
    script.write_text(''.join((SCRIPTS / f'{name}.sh').read_text() for name in names.split()))
    text = script.read_text()
    defined = set(re.findall(r'^(\w+)\(\) {', text, re.M))
    used = set(re.findall(r'\b((?:pkg|service|firewall)_\w+)\b(?!=)', text))
    variables = set(re.findall(r'\b(\w+)=|\bfor (\w+)', text))
    variables = {name for pair in variables for name in pair}
    assert used - variables <= defined
    subprocess.run(['shellcheck', '-s', 'sh', '-e', 'SC2154,SC2317', script], check=True)


def facts(output):
    """As facts.c reads them."""
    found, name, lines = {}, None, output.split('@@begin\n')[-1].split('\n')
    for line in lines:
        if line == '@@end':
            return found
        if line.startswith('@@'):
            name = line[2:]
            found[name] = []
        else:
            assert line == '' or line[0] == ' '
            found[name].append(line[1:])
    raise AssertionError('no @@end')


def test_detect(host):
    text = host.path / 'text'
    text.write_text('one\n@@end\n\n two')
    (host.path / 'etc/os-release').write_text('ID=debian\n')
    folder = host.path / 'etc/docker/daemon.json'
    folder.mkdir(parents=True)
    result = host.run('detect', files=f'{text} {host.path}/missing')
    found = facts(result.stdout)
    assert found['os-release'] == ['ID=debian', '']
    assert found[f'file {text}'] == ['one', '@@end', '', ' two']
    assert f'file {host.path}/missing' not in found
    assert found[f'folder {folder}'] == [''] and f'file {folder}' not in found
    assert found['uid'] == [str(os.getuid())]
    assert found['hostname'] == [os.uname().nodename]
    assert result.stderr == ''


@pytest.mark.parametrize('hosts, known', [
    ('127.0.0.1 localhost\n', False), ('127.0.0.1 localhost\n127.0.1.1\tNAME\n', True), ('10.0.0.1 NAME other\n', True),
    ('10.0.0.1 NAME.example.org NAME', True), ('# 10.0.0.1 NAME\n10.0.0.1 xNAME NAMEx\n', False), ('', False), (None, False)])
def test_detect_a_name_that_does_not_resolve(host, hosts, known):
    if hosts is not None:
        (host.path / 'etc/hosts').write_text(hosts.replace('NAME', os.uname().nodename))
    result = host.run('detect', files='')
    assert facts(result.stdout).get('unresolved') == (None if known else ['yes']) and result.stderr == ''


@pytest.mark.parametrize('before, after', [
    ('127.0.0.1 localhost\n', '127.0.0.1 localhost\n127.0.1.1 web1\n'),
    ('127.0.0.1 localhost\n127.0.1.1\told.example old\n::1 x\n', '127.0.0.1 localhost\n127.0.1.1 web1\n::1 x\n'),
    ('10.0.0.1 web1\n127.0.1.1 old\n', '10.0.0.1 web1\n127.0.1.1 old\n'),
    ('# about web1\n10.0.0.1 webx1\n', '# about web1\n10.0.0.1 webx1\n127.0.1.1 web1\n'),
    ('127.0.0.1 localhost', '127.0.0.1 localhost\n127.0.1.1 web1\n'),
    ('127.0.1.1 a\n127.0.1.1 b\n', '127.0.1.1 web1\n'),
    ('', '127.0.1.1 web1\n'),
    ('a\\tb $x\n', 'a\\tb $x\n127.0.1.1 web1\n'),
])
def test_hostname(host, before, after):
    hosts = host.path / 'etc/hosts'
    hosts.write_text(before)
    host.fake('hostname', '')
    host.fake('hostnamectl', '')
    for _ in range(2):
        result = host.run('common', 'hostname', name='web1')
        assert (result.returncode, result.stdout, result.stderr) == (0, '', '')
        assert hosts.read_text() == after
        assert (host.path / 'etc/hostname').read_text() == 'web1\n'
        assert host.calls() == ['hostname web1']
    assert {path.name for path in hosts.parent.iterdir()} == {'hosts', 'hostname'}


def test_hostname_survives_cloud_init(host):
    config = host.path / 'etc/cloud/cloud.cfg.d'
    config.mkdir(parents=True)
    host.fake('hostname', '')
    host.fake('hostnamectl', '')
    assert host.run('common', 'hostname', name='web1').returncode == 0
    assert (config / '99-machine-hostname.cfg').read_text() == 'preserve_hostname: true\n'


@pytest.fixture
def port():
    """A port that something listens on."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        yield str(server.getsockname()[1])


def configure(host, port, *, key='KEY\n', options=NASTY, force='0', firewall=''):
    folder = host.path / 'etc/docker'
    return host.run('common', 'systemd', 'firewall', 'configure', port=port, force=force, dir=str(folder), ca='CA\n',
                    cert='CERT\n', key=key, options_file=str(host.path / 'etc/s.d/m.conf'), options=options,
                    firewall=firewall)


def test_configure(host, port):
    folder, pending = host.path / 'etc/docker', host.path / 'run/machine.restart'
    host.fake('systemctl', '')
    result = configure(host, port)
    assert (result.returncode, result.stdout, result.stderr) == (0, '@@restarted\n', '')
    assert (folder / 'server-key.pem').read_text() == 'KEY\n'
    assert stat.S_IMODE((folder / 'server-key.pem').stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / 'ca.pem').stat().st_mode) == 0o644
    assert (host.path / 'etc/s.d/m.conf').read_text() == NASTY
    assert {path.name for path in folder.iterdir()} == {'ca.pem', 'server.pem', 'server-key.pem'}
    assert 'systemctl daemon-reload' in host.calls()

    (folder / 'server-key.pem').chmod(0o644)
    result = configure(host, port)
    assert (result.returncode, result.stdout) == (0, ''), 'nothing has changed'
    assert not any('restart' in call for call in host.calls())
    assert stat.S_IMODE((folder / 'server-key.pem').stat().st_mode) == 0o600

    for change in {'key': 'NEW\n'}, {'options': 'x\n'}, {'force': '1'}:
        assert configure(host, port).returncode == 0
        assert configure(host, port, **change).stdout == '@@restarted\n', change
        assert not pending.exists()

    assert configure(host, port).returncode == 0
    pending.touch() # an earlier run was killed before it restarted the engine
    assert configure(host, port).stdout == '@@restarted\n'
    assert not pending.exists()


def test_configure_starts_a_stopped_engine(host, port):
    host.fake('systemctl', '')
    assert configure(host, port).returncode == 0
    host.fake('systemctl', '[ "$1" != is-active ]')
    assert configure(host, port).stdout == '@@restarted\n'


def test_configure_tells_why_the_engine_does_not_start(host, port):
    host.fake('systemctl', '[ "$1" != restart ]')
    host.fake('journalctl', 'echo level=info chatter; echo no such flag')
    result = configure(host, port)
    assert result.returncode == 1
    assert result.stdout == 'no such flag\n@@failed the engine did not start\n'
    assert (host.path / 'run/machine.restart').exists()


def test_configure_does_not_lose_a_file_in_a_folder(host, port):
    """As Docker makes one where something is to be mounted that is not there."""
    folder = host.path / 'etc/docker/ca.pem'
    folder.mkdir(parents=True)
    host.fake('systemctl', '')
    result = configure(host, port)
    assert (result.returncode, result.stdout) == (1, f'@@failed {folder} is a folder: remove it\n')
    assert list(folder.iterdir()) == [] and host.calls() == []


def test_configure_that_cannot_write(host, port):
    """What is wrong is told; an engine that runs is let alone."""
    (host.path / 'etc/docker').touch()
    host.fake('systemctl', '')
    result = configure(host, port)
    assert (result.returncode, result.stdout.splitlines()[-1]) == (1, f'@@failed cannot write {host.path}/etc/docker/ca.pem')
    assert len(result.stdout.splitlines()) > 1 and host.calls() == []


@pytest.mark.parametrize('names', ['apt install', 'apt upgrade', 'apt purge'])
def test_no_room_for_a_temporary_folder(host, names):
    host.fake('mktemp', 'echo "mktemp: No space left on device" >&2; exit 1')
    for tool in 'apt-get', 'dpkg-query':
        host.fake(tool, '')
    result = host.run('common', 'packages', *names.split(), url='x', script='', packages='', source='', package='x', candidates='x')
    assert (result.returncode, result.stdout) == (
        1, 'mktemp: No space left on device\n@@failed cannot make a temporary folder\n')
    assert host.calls() == ['mktemp -d']


FIREWALLS = {
    'open already': ('', {'firewall-cmd': 'exit 0'}, [], 'firewall-cmd -q --query-port=PORT/tcp'),
    'opened': ('', {'firewall-cmd': 'case $2 in --query*) exit 1 ;; esac'}, ['@@opened firewalld'],
               'firewall-cmd -q --add-port=PORT/tcp'),
    'not to be opened': ('', {'firewall-cmd': 'case $2 in --state) ;; *) exit 1 ;; esac'}, ['@@closed firewalld'],
                         'firewall-cmd -q --permanent --add-port=PORT/tcp'),
    'off': ('', {'firewall-cmd': 'exit 252', 'ufw': 'echo Status: inactive'}, [], 'ufw status'),
    'ufw': ('', {'ufw': '[ "$1" = allow ] && echo Rule added || echo Status: active'}, ['@@opened ufw'],
            'ufw allow PORT/tcp'),
    'ufw knows': ('', {'ufw': '[ "$1" = allow ] && echo Skipping || echo Status: active'}, [], 'ufw allow PORT/tcp'),
    'ufw fails': ('', {'ufw': 'echo Status: active; [ "$1" = status ]'}, ['@@closed ufw'], 'ufw allow PORT/tcp'),
    'iptables': ('iptables', {'iptables': '[ "$2" = -A ]'}, [],
                 'iptables -w -A INPUT -p tcp -m tcp --dport PORT -j ACCEPT'),
    'iptables knows': ('iptables', {'iptables': ''}, [], 'iptables -w -C INPUT -p tcp -m tcp --dport PORT -j ACCEPT'),
    'iptables fails': ('iptables', {'iptables': 'exit 1'}, ['@@closed iptables'],
                       'iptables -w -A INPUT -p tcp -m tcp --dport PORT -j ACCEPT'),
}


@pytest.mark.parametrize('case', FIREWALLS)
def test_firewalls(host, port, case):
    firewall, tools, said, last = FIREWALLS[case]
    host.fake('systemctl', '')
    for name, body in tools.items():
        host.fake(name, body)
    result = configure(host, port, firewall=firewall)
    assert (result.returncode, result.stdout.splitlines()) == (0, [*said, '@@restarted']), result
    calls = [call for call in host.calls() if not call.startswith('systemctl')]
    assert calls[-1] == last.replace('PORT', port)


@pytest.mark.parametrize('service, tools', [
    ('openrc', {'rc-service': '[ "$2" != restart ]', 'rc-update': ''}),
    ('boot2docker', {})])
def test_other_services_tell_why_the_engine_does_not_start(host, port, service, tools):
    logs = host.path / 'var/log', host.path / 'var/lib/boot2docker/log'
    for folder in logs:
        folder.mkdir(parents=True)
        (folder / 'docker.log').write_text('level=info chatter\nno such flag\n')
    for name, body in tools.items():
        host.fake(name, body)
    script = host.path / 'etc/init.d/docker'
    script.parent.mkdir()
    script.write_text('#!/bin/sh\nexit 1\n')
    script.chmod(0o755)
    result = host.run('common', service, 'firewall', 'configure', port=port, force='1', dir='', ca='', cert='', key='',
                      options='', options_file='', firewall='')
    assert (result.returncode, result.stdout) == (1, 'no such flag\n@@failed the engine did not start\n')


def test_boot2docker_that_is_still_starting(host, port):
    """A second engine would get in the way of the first: its pid is waited for."""
    pid = host.path / 'var/run/docker.pid'
    (host.path / 'etc/init.d').mkdir()
    pid.parent.mkdir(parents=True)
    script = host.path / 'etc/init.d/docker'
    script.write_text(f'#!/bin/sh\n[ -s {pid} ]\n')
    script.chmod(0o755)
    host.fake('cut', 'echo 5')
    host.fake('sleep', f'echo $PPID >{pid}')
    result = host.run('common', 'boot2docker', 'firewall', 'configure', port=port, force='1', dir='', ca='', cert='',
                      key='', options='', options_file='', firewall='')
    assert (result.returncode, result.stdout) == (0, '@@restarted\n'), result
    assert host.calls().count('sleep 0.1') == 1
