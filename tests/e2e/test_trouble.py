"""What a user sees when a real host is not as it should be, and how it goes on afterwards."""

import re
import signal

import pytest

from hosts import INSTALL_SCRIPT, wait_for
from real import check_engine, generic
from rootfs import run

STEPS = ['create', 'running', 'detect', 'provision', 'check']


@pytest.mark.parametrize('point', [f'create.{s}{e}' for s in STEPS for e in ('.begin', '')]
                         + ['create.complete'])
@pytest.mark.sampled(4)
def test_killed_create_goes_on(new_cli, lab, point, request):
    cli = new_cli(fault=True)
    host = lab.boot(docker=True)
    request.addfinalizer(lambda: lab.remove(host))
    killed = cli.run(*generic(host, 'web1'), env={'MACHINE_TEST_FAULT': point}, timeout=120)
    assert killed.status == -9, killed
    assert cli.names() == ['web1']
    cli.assert_whole()
    resumed = cli.run('create', '--resume', 'web1', timeout=120)
    assert resumed.status == 0 or point == 'create.complete', resumed
    check_engine(cli, 'web1')


def test_killed_while_installing(new_cli, lab, request):
    """The first installation goes on without its master; the second waits for it, and ends well."""
    cli, host = new_cli(), lab.boot()
    request.addfinalizer(lambda: lab.remove(host))
    url = lab.serve('/slow.sh', 'echo x >>/root/began\n' + INSTALL_SCRIPT)
    running = cli.start(*generic(host, 'web1', '--engine-install-url', url))
    wait_for('installation', (host.root / 'root/began').exists, 60)
    running.process.kill()
    running.finish()
    cli.assert_whole()
    assert cli.ok('status', 'web1').out == 'Running\n'
    cli.ok('create', '--resume', 'web1', timeout=300)
    check_engine(cli, 'web1')


def test_cloud_init_is_waited_for(new_cli, lab, request):
    cli, host = new_cli(), lab.boot(docker=True)
    request.addfinalizer(lambda: lab.remove(host))
    host.exec('mkdir -p /run/cloud-init && touch /run/cloud-init/enabled')
    running = cli.start(*generic(host, 'web1'))
    wait_for('cloud-init', lambda: 'Waiting for cloud-init to finish...' in running.output(), 60)
    assert host.exec('hostname').strip() != 'web1'
    host.exec('echo "{}" >/run/cloud-init/result.json')
    assert running.finish(120).status == 0
    assert host.exec('hostname').strip() == 'web1'


def test_clock_that_is_off(new_cli, lab, request):
    cli, host = new_cli(), lab.boot(docker=True)
    request.addfinalizer(lambda: lab.remove(host))
    host.exec('mv /bin/date /bin/date.real; printf "#!/bin/sh\\nexec /bin/date.real -d \'-1 hour\' '
              '\\"\\$@\\"\\n" >/bin/date; chmod 755 /bin/date')
    result = cli.ok(*generic(host, 'web1'), timeout=120)
    assert re.search(r"\(web1\) the host's clock is 3[56]\d\d seconds slow", result.text), result


def test_certificate_that_ends_soon(machine):
    cli, _ = machine()
    assert 'ends in' not in cli.ok('env', 'web1').err
    certs = cli.store / 'certs'
    for argv in (['req', '-new', '-key', 'key.pem', '-subj', '/O=tester', '-out', 'csr'],
                 ['x509', '-req', '-in', 'csr', '-CA', 'ca.pem', '-CAkey', 'ca-key.pem',
                  '-CAcreateserial', '-days', '20', '-out', 'cert.pem']):
        run('openssl', *argv, cwd=certs)
    warning = re.escape(f'(web1) the certificate {certs}/cert.pem ends in ') + '(19|20) days'
    assert re.search(warning, cli.ok('env', 'web1').err)
    assert re.search(warning, cli.ok('provision', 'web1', timeout=120).text)
    cli.ok('regenerate-certs', '-f', '--client-certs', 'web1', timeout=120)
    assert 'ends in' not in cli.ok('env', 'web1').err
    check_engine(cli, 'web1')


def test_changed_host_key(machine):
    cli, host = machine()
    host.new_host_keys()
    host.exec('systemctl restart ssh')
    host.wait_ssh()
    result = cli.fails('provision', 'web1', timeout=120)
    assert re.search(r'host key', result.err, re.I) and 'known_hosts' in result.err, result
    assert 'web1' in result.err
    (cli.store / 'machines/web1/known_hosts').unlink()
    cli.ok('provision', 'web1', timeout=120)


def test_no_sudo(new_cli, lab, request):
    cli, host = new_cli(), lab.boot(docker=True, sudo=False)
    request.addfinalizer(lambda: lab.remove(host))
    result = cli.fails(*generic(host, 'web1'), timeout=120)
    assert 'sudo' in result.err and 'web1' in result.err, result
    assert result.seconds < 60
    host.exec("echo 'debian ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/debian")
    cli.ok('create', '--resume', 'web1', timeout=120)
    check_engine(cli, 'web1')


def test_wrong_key(new_cli, lab, tmp_path, request):
    cli, host = new_cli(), lab.boot()
    request.addfinalizer(lambda: lab.remove(host))
    run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', str(tmp_path / 'other'))
    host.key = str(tmp_path / 'other')
    result = cli.fails(*generic(host, 'web1'), timeout=120)
    assert re.search(r'authenticat|denied|refused', result.err, re.I) and host.user in result.err
    assert result.seconds < 60


@pytest.mark.parametrize('content, status, reason', [
    ('#!/bin/sh\necho the mirror is down >&2\nexit 4\n', 200, 'the mirror is down'),
    ('not found', 404, '404'),
    ('', 200, 'empty|docker'),
], ids=['fails', 'missing', 'empty'])
def test_failing_install_script(new_cli, lab, content, status, reason, request):
    cli, host = new_cli(), lab.boot()
    request.addfinalizer(lambda: lab.remove(host))
    url = lab.serve('/bad.sh', content, status)
    result = cli.fails(*generic(host, 'web1', '--engine-install-url', url), timeout=120)
    assert re.search(reason, result.err), result
    assert 'web1' in result.err
    assert result.seconds < 60


def test_install_url_none(new_cli, lab, request):
    cli, host = new_cli(), lab.boot()
    request.addfinalizer(lambda: lab.remove(host))
    result = cli.fails(*generic(host, 'web1', '--engine-install-url', 'none'), timeout=120)
    assert re.search(r'docker', result.err, re.I), result


def test_unreachable_host(new_cli, lab):
    """An address of the lab's network that nobody has."""
    cli = new_cli()
    cli.env['MACHINE_POLL_MS'] = '200'

    class Nobody:
        ip, user, key = f'{lab.net.prefix}.250', 'debian', lab.key
    running = cli.start(*generic(Nobody, 'web1'))
    wait_for('waiting', lambda: 'Waiting for' in running.output(), 60)
    running.process.send_signal(signal.SIGINT)
    result = running.finish(30)
    assert result.status == -signal.SIGINT and not result.leftovers, result
    assert cli.ok('status', 'web1').out == 'Stopped\n'
    cli.ok('rm', '-y', 'web1')


def test_daemon_json_conflict(new_cli, lab, request):
    cli, host = new_cli(), lab.boot(docker=True)
    request.addfinalizer(lambda: lab.remove(host))
    host.exec('mkdir -p /etc/docker; echo \'{"hosts": ["fd://"]}\' >/etc/docker/daemon.json')
    result = cli.fails(*generic(host, 'web1'), timeout=180)
    assert 'daemon.json' in result.err and 'hosts' in result.err, result
