"""The scripts that install, upgrade and remove packages on hosts: run here, as those of test_provision_scripts.py."""

import functools
import http.server
import threading

import pytest

from provision_scripts import host # noqa: F401


def test_unregistered_sles(host):
    """The packages may come from elsewhere; if not, what SUSEConnect said is shown, too."""
    (host.path / 'etc/os-release').write_text('VERSION_ID="15.6"\n')
    host.fake('SUSEConnect', 'echo not registered; exit 67')
    host.fake('zypper', 'case "$*" in *install*) echo none; exit 104 ;; esac')
    host.fake('uname', 'echo x86_64')
    result = host.run('common', 'packages', 'rpm', 'zypper', 'install', url='', script='', packages='docker',
                      source='sle-module-containers')
    assert (result.returncode, result.stdout) == (1, 'not registered\nnone\n@@failed cannot install docker\n')
    assert 'SUSEConnect -p sle-module-containers/15.6/x86_64' in host.calls()


APK = 'http://x/v3/main\n'


@pytest.mark.parametrize('before, after', [
    (APK, f'{APK}http://x/v3/community\n'),
    (f'#{APK}{APK}#http://x/v3/community\n', f'#{APK}{APK}#http://x/v3/community\nhttp://x/v3/community\n'),
    (f'{APK}http://y/v3/community\n', f'{APK}http://y/v3/community\n'),
    # apk takes nothing from a repository with a tag that was not asked for by it
    (f'@tag {APK}', f'@tag {APK}'),
    (f'@edge http://x/edge/main\n{APK}@edge http://x/edge/community\n',
     f'@edge http://x/edge/main\n{APK}@edge http://x/edge/community\nhttp://x/v3/community\n'),
    ('/media/cdrom/apks\n', '/media/cdrom/apks\n'),
])
def test_apk_repositories(host, before, after):
    file = host.path / 'etc/apk/repositories'
    file.parent.mkdir()
    file.write_text(before)
    host.fake('apk', '')
    result = host.run('common', 'packages', 'apk', 'install', url='', script='', packages='docker', source='')
    assert (result.returncode, result.stdout) == (0, ''), result
    assert file.read_text() == after
    assert host.calls() == ['apk update', 'apk add docker']


@pytest.mark.parametrize('manager, tool, fails, text', [
    ('rpm dnf', 'dnf', 'makecache', 'cannot fetch the lists of packages'),
    ('rpm dnf', 'dnf', 'install', 'cannot install docker'),
    ('rpm zypper', 'zypper', 'refresh', 'cannot fetch the lists of packages'),
    ('pacman', 'pacman', '-S --noconfirm', 'cannot install docker'),
])
def test_packages_that_cannot_be_had(host, manager, tool, fails, text):
    for name in 'dnf', 'zypper', 'pacman':
        host.fake(name, f'case "$*" in *"{fails}"*) echo the reason >&2; exit 1 ;; esac' if name == tool else '')
    result = host.run('common', 'packages', *manager.split(), 'install', url='', script='', packages='docker', source='')
    assert result.returncode == 1
    assert result.stdout.splitlines()[-2:] == ['the reason', f'@@failed {text}']


@pytest.fixture
def web(tmp_path):
    """Serves tmp_path/www."""
    folder = tmp_path / 'www'
    folder.mkdir()
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f'http://127.0.0.1:{server.server_port}'
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def install(host, **variables):
    (host.path / 'etc/ssl/certs').mkdir(parents=True, exist_ok=True)
    (host.path / 'etc/ssl/certs/ca-certificates.crt').write_text('x')
    return host.run('common', 'packages', 'apt', 'install',
                    **{'url': '', 'script': '', 'packages': '', 'source': '', **variables})


@pytest.mark.parametrize('content, status, text', [
    ('echo "$DEBIAN_FRONTEND"; cat; grep -c Lock::Timeout "$APT_CONFIG"\n', 0, 'noninteractive\n1\n'),
    ('echo trouble >&2; exit 7\n', 7, 'trouble\n'),
    ('', 1, '@@failed the download of URL is empty\n'),
    (None, 1, '@@failed cannot download URL\n'),
])
def test_install_from_url(host, web, content, status, text):
    folder, address = web
    url = f'{address}/$(touch%20pwned)'
    if content is not None:
        (folder / '$(touch pwned)').write_text(content)
    result = install(host, url=url)
    assert result.returncode == status
    assert result.stdout.endswith(text.replace('URL', url))


def test_install_from_file_waits_for_the_lock(host):
    script = host.path / 'script'
    script.write_text('echo x >>count; [ $(wc -l <count) -ge 3 ] || { echo "E: Could not get lock /x"; exit 100; }\n')
    result = install(host, script=str(script))
    assert result.returncode == 0
    assert result.stdout.count('Waiting for another package manager') == 2
    assert not script.exists()


def test_upgrade_waits_for_the_lock(host):
    host.fake('apt-get', f'''echo x >>{host.path}/count
        [ $(wc -l <{host.path}/count) -ge 3 ] || {{
            echo "E: Could not get lock /var/lib/dpkg/lock-frontend" >&2
            exit 100
        }}''')
    host.fake('dpkg-query', 'case "$*" in *db:Status*) echo installed ;; *) echo 1 ;; esac')
    result = host.run('common', 'packages', 'apt', 'upgrade', candidates='docker.io')
    assert result.returncode == 0
    assert result.stdout.count('Waiting for another package manager') == 2
    calls = [c for c in host.calls() if c.startswith('apt-get')]
    assert calls == ['apt-get -q update'] * 3 + ['apt-get -q -y install --only-upgrade docker.io']


def test_upgrade_without_room_for_temporary_files(host):
    """So that how a command ended cannot be noted; what it said is shown."""
    host.fake('apt-get', 'cd "${APT_CONFIG%/*}" && rm -f status && mkdir -p status; echo "E: no space"')
    host.fake('dpkg-query', 'echo installed')
    result = host.run('common', 'packages', 'apt', 'upgrade', candidates='docker.io')
    assert result.returncode == 1
    assert 'E: no space' in result.stdout
    assert result.stdout.splitlines()[-1] == '@@failed cannot fetch the lists of packages'


@pytest.mark.parametrize('fails, text', [('update', 'cannot fetch the lists of packages'),
                                         ('only-upgrade', 'cannot upgrade docker.io runc')])
def test_upgrade_fails(host, fails, text):
    host.fake('apt-get', f'case "$*" in *{fails}*) echo "E: the reason" >&2; exit 100;; esac')
    host.fake('dpkg-query', 'case "$*" in *docker.io|*runc) echo installed ;; *) exit 1 ;; esac')
    result = host.run('common', 'packages', 'apt', 'upgrade', candidates='docker-ce docker.io runc')
    assert result.returncode == 1
    assert result.stdout.splitlines()[-2:] == ['E: the reason', f'@@failed {text}']


def test_upgrade(host):
    host.fake('apt-get', f'case "$*" in *only-upgrade*) touch {host.path}/new;; esac')
    host.fake('dpkg-query', f'''case "$*" in
        *db:Status*docker.io) echo installed ;;
        *db:Status*) exit 1 ;;
        *) [ -e {host.path}/new ] && echo 2 || echo 1 ;;
        esac''')
    first = host.run('common', 'packages', 'apt', 'upgrade', candidates='docker-ce docker.io')
    assert (first.returncode, first.stdout.splitlines()[-1:]) == (0, ['@@upgraded'])
    assert 'apt-get -q -y install --only-upgrade docker.io' in host.calls()
    second = host.run('common', 'packages', 'apt', 'upgrade', candidates='docker-ce docker.io')
    assert (second.returncode, second.stdout) == (0, '')
    none = host.run('common', 'packages', 'apt', 'upgrade', candidates='docker-ce')
    assert none.returncode == 1
    assert 'not installed from packages' in none.stdout


@pytest.mark.parametrize('state, calls', [
    ('installed', ['apt-get -q -y purge docker-engine']), ('config-files', []), ('', [])])
def test_purge(host, state, calls):
    host.fake('apt-get', f'[ -e "$APT_CONFIG" ] || exit 100; touch {host.path}/gone')
    host.fake('dpkg-query', f'[ "{state}" ] || exit 1; echo "{state}"')
    result = host.run('common', 'packages', 'apt', 'purge', package='docker-engine')
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')
    assert [c for c in host.calls() if c.startswith('apt-get')] == calls


def test_purge_fails(host):
    host.fake('apt-get', 'echo "E: the reason" >&2; exit 100')
    host.fake('dpkg-query', 'echo installed')
    result = host.run('common', 'packages', 'apt', 'purge', package='docker-engine')
    assert result.returncode == 1
    assert result.stdout.splitlines() == ['E: the reason', '@@failed cannot remove the package docker-engine']


def test_purge_waits_for_the_lock(host):
    host.fake('apt-get', f'''echo x >>{host.path}/count
        [ $(wc -l <{host.path}/count) -ge 2 ] || {{ echo "E: Could not get lock /x" >&2; exit 100; }}''')
    host.fake('dpkg-query', 'echo installed')
    result = host.run('common', 'packages', 'apt', 'purge', package='docker-engine')
    assert result.returncode == 0 and 'Waiting for another package manager' in result.stdout
