"""OpenRC for real: a host whose SSH sessions see no systemd, but OpenRC and an init script like Alpine's, and whose
/etc/os-release is Alpine's. The engine is a real one."""

import re

import pytest

from real import check_engine, generic

# Sessions have a mount namespace of their own, in which nothing tells of systemd; so the engine needs a
# containerd of its own.
SESSION = '''#!/bin/sh
exec unshare -m sh -c 'mount -t tmpfs tmpfs /run/systemd && exec sh -c "$SSH_ORIGINAL_COMMAND"'
'''
INIT_SCRIPT = '''#!/sbin/openrc-run
supervisor=supervise-daemon
name="Docker Daemon"
command="${DOCKERD_BINARY:-/usr/bin/dockerd}"
command_args="${DOCKER_OPTS}"
DOCKER_LOGFILE="${DOCKER_LOGFILE:-/var/log/${RC_SVCNAME}.log}"
supervise_daemon_args="--stderr \\"$DOCKER_LOGFILE\\" --stdout \\"$DOCKER_LOGFILE\\""
retry="TERM/60/KILL/10"
'''
APK = '''#!/bin/sh
echo "$*" >>/run/apk
case "$*" in 'info -e '*-cli*) exit 1 ;; esac
'''
SETUP = '''set -e
systemctl disable -q --now docker.service docker.socket containerd.service
cd /root
cp docker.init /etc/init.d/docker
apt-get -q update
apt-get -q download openrc libeinfo1 librc1
for deb in *.deb; do dpkg --fsys-tarfile $deb | tar -x --keep-directory-symlink -C /; done
ldconfig
touch /etc/insserv.conf
cd /run && mkdir openrc && cd openrc
mkdir starting started stopping inactive wasinactive failed hotplugged daemons options exclusive scheduled tmp
echo default >softlevel
mkdir -p /etc/runlevels/default
chmod 755 /session /etc/init.d/docker /usr/local/bin/apk
'''
NASTY = 'n=$(touch /pwned)  `touch /pwned` * \'a\' "b" \\ ;|&'

pytestmark = pytest.mark.long


def alpine(lab):
    host = lab.boot(docker=True, user='root', sshd_config_extra='ForceCommand /session')
    (host.root / 'session').write_text(SESSION)
    (host.root / 'root/docker.init').write_text(INIT_SCRIPT)
    (host.root / 'usr/local/bin/apk').write_text(APK)
    host.exec(SETUP)
    (host.root / 'etc/os-release').unlink()
    (host.root / 'etc/os-release').write_text('ID=alpine\nVERSION_ID=3.20.1\nPRETTY_NAME="Alpine Linux v3.20"\n')
    return host


def engine_words(host):
    pid = host.exec('pidof dockerd').split()[0]
    return (host.exec(f"tr '\\0' '\\n' </proc/{pid}/cmdline").splitlines(),
            host.exec(f"tr '\\0' '\\n' </proc/{pid}/environ").splitlines(), pid)


def test_openrc(new_cli, lab, request):
    cli, host = new_cli(), alpine(lab)
    request.addfinalizer(lambda: lab.remove(host))
    result = cli.ok(*generic(host, 'web1', '--engine-label', NASTY, '--engine-env', f'E={NASTY}'), timeout=180)
    assert 'Provisioning with alpine...\n' in result.out
    check_engine(cli, 'web1')
    words, environment, first = engine_words(host)
    assert words[:3] == ['/usr/sbin/dockerd', '-H', 'tcp://0.0.0.0:2376']
    assert NASTY in words and f'E={NASTY}' in environment
    assert not (host.root / 'pwned').exists()
    assert re.search(r'^ *docker \| +default', host.exec('rc-update -q show default'), re.M)
    for again in ['provision', 'web1'], ['regenerate-certs', '-f', 'web1'], ['upgrade', 'web1']:
        cli.ok(*again, timeout=180)
        check_engine(cli, 'web1')
        second = engine_words(host)[2]
        assert second != first, again
        first = second
    assert 'add -u docker docker-engine docker-openrc containerd containerd-openrc runc' in host.exec('cat /run/apk')


def test_openrc_tells_why_the_engine_does_not_start(new_cli, lab, request):
    cli, host = new_cli(), alpine(lab)
    request.addfinalizer(lambda: lab.remove(host))
    result = cli.fails(*generic(host, 'web1', '--engine-opt', 'no-such-flag=1'), timeout=180)
    assert 'unknown flag: --no-such-flag' in result.err, result
