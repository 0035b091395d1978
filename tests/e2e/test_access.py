"""Ways to a host: keys of its own, the agent, IPv6, other ports."""

import re
import subprocess

import pytest

from hosts import wait_for
from real import check_engine, generic
from rootfs import run


def fingerprint(line):
    done = subprocess.run(['ssh-keygen', '-lf', '-'], input=line, capture_output=True, text=True,
                          check=True)
    return done.stdout.split()[1]


@pytest.mark.parametrize('native', [False, True], ids=['external', 'native'])
@pytest.mark.parametrize('form', ['key', 'fingerprint'])
def test_expected_host_key(new_cli, lab, form, native, request):
    cli, host = new_cli(), lab.boot(docker=True)
    request.addfinalizer(lambda: lab.remove(host))
    cli.env['MACHINE_NATIVE_SSH'] = str(native).lower()
    line = host.host_key('ecdsa')
    expected = line if form == 'key' else fingerprint(line)
    cli.ok(*generic(host, 'web1', '--generic-ssh-host-key', expected), timeout=120)
    known = cli.store / 'machines/web1/known_hosts'
    assert known.read_text().split()[1:] == line.split()[:2]
    assert host.ssh_logins() == 1, host.sshd_log()
    if form == 'key':
        assert host.ssh_connections() == 1, host.sshd_log()
    check_engine(cli, 'web1')


@pytest.mark.parametrize('form', ['key', 'fingerprint'])
def test_unexpected_host_key(new_cli, lab, form, tmp_path, request):
    cli, host = new_cli(), lab.boot(docker=True)
    request.addfinalizer(lambda: lab.remove(host))
    run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', str(tmp_path / 'other'))
    line = (tmp_path / 'other.pub').read_text().strip()
    result = cli.fails(*generic(host, 'web1', '--generic-ssh-host-key',
                                line if form == 'key' else fingerprint(line)), timeout=120)
    known = cli.store / 'machines/web1/known_hosts'
    assert re.search('host key of "web1" is not the expected one', result.err), result
    for part in fingerprint(line), fingerprint(host.host_key()), str(known), 'create --resume':
        assert part in result.err, result
    for words in ['uname'], []:
        refused = cli.fails('ssh', 'web1', *words)
        assert 'is not the expected one' in refused.err, refused
    assert host.ssh_logins() == 0 and not known.exists(), host.sshd_log()
    # the way out
    scanned = subprocess.run(['ssh-keyscan', host.ip], capture_output=True, text=True, check=True)
    known.write_text(scanned.stdout)
    cli.ok('create', '--resume', 'web1', timeout=120)
    assert cli.ok('ssh', 'web1', 'echo', 'in').out == 'in\n'
    check_engine(cli, 'web1')


def test_agent(new_cli, lab, tmp_path, request):
    """No key is given: the agent's serves, over one connection."""
    cli, host = new_cli(), lab.boot(docker=True)
    request.addfinalizer(lambda: lab.remove(host))
    socket = str(tmp_path / 'agent')
    agent = subprocess.Popen(['ssh-agent', '-D', '-a', socket], stdout=subprocess.DEVNULL)
    try:
        cli.env['SSH_AUTH_SOCK'] = socket
        wait_for('agent', lambda: subprocess.run(['ssh-add', host.key], env=cli.env,
                                                 capture_output=True).returncode == 0, 10)
        words = generic(host, 'web1')
        at = words.index('--generic-ssh-key')
        del words[at:at + 2]
        cli.ok(*words, timeout=120)
        assert (host.ssh_connections(), host.ssh_logins()) == (1, 1), host.sshd_log()
        assert cli.ok('ssh', 'web1', 'echo', 'in').out == 'in\n'
        check_engine(cli, 'web1')
    finally:
        agent.terminate()
        agent.wait(10)


def test_root_on_a_host_without_sudo(new_cli, lab, request):
    cli, host = new_cli(), lab.boot(docker=True, user='root')
    request.addfinalizer(lambda: lab.remove(host))
    host.exec('mv /usr/bin/sudo /usr/bin/no-sudo')
    cli.ok(*generic(host, 'web1'), timeout=120)
    before = host.boot_id()
    cli.ok('restart', 'web1', timeout=180)
    assert host.boot_id() != before
    check_engine(cli, 'web1')


def test_ipv6_and_other_ports(new_cli, lab, request):
    """Everything on ports of its own, at an IPv6 address, with the engine that is there."""
    cli, host = new_cli(), lab.boot(docker=True, ssh_port=2222)
    request.addfinalizer(lambda: lab.remove(host))
    address = host.add_ipv6()
    words = generic(host, 'web1', '--generic-ssh-port', '2222', '--generic-engine-port', '3376',
                    '--engine-install-url', 'none')
    words[words.index(host.ip)] = address
    cli.ok(*words, timeout=120)
    url = f'tcp://[{address}]:3376'
    assert cli.ok('url', 'web1').out == f'{url}\n'
    assert cli.ok('ip', 'web1').out == f'{address}\n'
    assert cli.ok('ssh', 'web1', 'echo', 'in').out == 'in\n'
    assert 'ExecStart=/usr/sbin/dockerd -H tcp://0.0.0.0:3376' in host.exec('systemctl cat docker')
    check_engine(cli, 'web1')
    before = host.boot_id()
    cli.ok('restart', 'web1', timeout=180)
    assert host.boot_id() != before
    cli.ok('regenerate-certs', '-f', 'web1', timeout=120)
    check_engine(cli, 'web1')
