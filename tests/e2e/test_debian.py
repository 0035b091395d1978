"""What real Debian hosts can be like: who logs in, where Docker comes from, what is in the way."""

import fcntl
import json
import re

import pytest

from hosts import INSTALL_SCRIPT, wait_for
from real import check_engine, generic, in_shell

pytestmark = pytest.mark.long

# As Docker's own packages have it: everything in /usr/bin, and a unit that names containerd's socket.
CE_SCRIPT = INSTALL_SCRIPT + '''
$as_root sh -c '
    mv /usr/sbin/dockerd /usr/bin/dockerd
    sed -i "s,^ExecStart=.*,ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock," \\
        /lib/systemd/system/docker.service
    systemctl daemon-reload
    systemctl start docker'
'''
LABEL = 'n=$(touch /pwned) `touch /pwned` %n %% \'a\' "b" \\ ;|& é'
VALUE = '$(touch /pwned) `touch /pwned` %n \'a\' "b" \\ $HOME;'
REMOVE_SUDO = 'SUDO_FORCE_REMOVE=yes dpkg --purge --force-all sudo 2>&1; ! command -v sudo'


@pytest.fixture
def boot(lab, request):
    def make(**kind):
        host = lab.boot(**kind)
        request.addfinalizer(lambda: lab.remove(host))
        return host
    return make


def install(host, package):
    host.exec('apt-get -q update && '
              f'DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install {package}')


def start_of(host):
    return host.exec('cat /etc/systemd/system/docker.service.d/10-machine.conf')


@pytest.mark.parametrize('user', ['debian', 'root'])
def test_docker_ce(new_cli, lab, boot, user):
    """Nothing there; a script that installs to /usr/bin; with sudo, and as root where there is none."""
    cli, host = new_cli(), boot(user=user)
    if user == 'root':
        host.exec(REMOVE_SUDO)
    url = lab.serve('/get', CE_SCRIPT)
    result = cli.ok(*generic(host, 'web1', '--engine-install-url', url), timeout=300)
    assert 'Provisioning with debian...\n' in result.out and 'Installing Docker...\n' in result.out
    assert 'ExecStart=/usr/bin/dockerd -H tcp://0.0.0.0:2376 ' in start_of(host)
    assert host.exec('systemctl is-enabled docker').strip() == 'enabled'
    check_engine(cli, 'web1')
    before = host.boot_id()
    cli.ok('restart', 'web1', timeout=180)
    assert host.boot_id() != before
    check_engine(cli, 'web1')


def test_docker_of_debian_is_kept(new_cli, lab, boot):
    """As root without sudo; no script is asked for, dockerd stays where Debian has it."""
    cli, host = new_cli(), boot(user='root', docker=True)
    host.exec(REMOVE_SUDO)
    asked = len(lab.requests())
    cli.ok(*generic(host, 'web1', '--engine-install-url', lab.serve('/never', 'exit 1')), timeout=120)
    assert len(lab.requests()) == asked
    assert 'ExecStart=/usr/sbin/dockerd ' in start_of(host)
    check_engine(cli, 'web1')


def test_values_arrive_as_they_are(new_cli, boot):
    cli, host = new_cli(), boot(docker=True)
    cli.ok(*generic(host, 'web1', '--engine-label', LABEL, '--engine-env', f'E={VALUE}', '--engine-env', 'F=G H'),
           timeout=120)
    done = in_shell(cli, 'web1', "docker info --format '{{json .Labels}}'")
    # in no order: the engine keeps them in a map
    assert sorted(json.loads(done.stdout.splitlines()[-1])) == sorted([LABEL, 'provider=generic']), done
    pid = host.exec('pidof dockerd').split()[0]
    environment = (host.exec(f"tr '\\0' '\\n' </proc/{pid}/environ")).splitlines()
    assert f'E={VALUE}' in environment and 'F=G H' in environment
    assert not (host.root / 'pwned').exists()


def test_dpkg_is_busy(new_cli, lab, boot):
    """Another package manager holds the lock of the front end when Docker is to be installed."""
    cli, host = new_cli(), boot()
    with open(host.root / 'var/lib/dpkg/lock-frontend', 'w') as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        running = cli.start(*generic(host, 'web1', '--engine-install-url', lab.serve('/get', INSTALL_SCRIPT)),
                            env={'MACHINE_DEBUG': '1'})
        wait_for('waiting', lambda: re.search('Waiting for cache lock|Waiting for another package',
                                              running.output()), 120)
    result = running.finish(300)
    assert result.status == 0, result
    check_engine(cli, 'web1')


def test_ufw(new_cli, boot):
    """A firewall that lets SSH in and nothing else: the engine's port is opened, and that is said once."""
    cli, host = new_cli(), boot(docker=True)
    install(host, 'ufw')
    host.exec('ufw allow 22/tcp && ufw --force enable')
    opened = '(web1) ufw on the host kept port 2376 closed; it is open now\n'
    assert opened in cli.ok(*generic(host, 'web1'), timeout=180).text
    assert '2376/tcp' in host.exec('ufw status')
    check_engine(cli, 'web1')
    assert opened not in cli.ok('provision', 'web1', timeout=120).text


def test_system_that_is_an_image(new_cli, lab, boot):
    cli, host = new_cli(), boot()
    host.exec('mount --bind /usr /usr && mount -o remount,bind,ro /usr')
    result = cli.fails(*generic(host, 'web1', '--engine-install-url', lab.serve('/get', INSTALL_SCRIPT)),
                       timeout=120)
    assert 'the system on this host is read-only and comes as an image: install Docker with its own tool' in result.err


def test_firewalld(new_cli, boot):
    cli, host = new_cli(), boot(docker=True)
    install(host, 'firewalld')
    host.exec('systemctl start firewalld && firewall-cmd --add-service=ssh && firewall-cmd --state')
    opened = '(web1) firewalld on the host kept port 2376 closed; it is open now\n'
    assert opened in cli.ok(*generic(host, 'web1'), timeout=180).text
    ports = host.exec('firewall-cmd --zone=public --list-ports; firewall-cmd --permanent --zone=public --list-ports')
    assert ports.split() == ['2376/tcp'] * 2
    check_engine(cli, 'web1')
    assert opened not in cli.ok('provision', 'web1', timeout=120).text
