"""Hosts of distributions that cannot run here: a folder with a file system of its own, its shell, and tools that
answer as tests/hosts/NAME.toml says. The scripts of provisioning are really run in it (see tests/fakes/scripted-host),
by way of a real sshd.

A file of tests/hosts:

    shell        what /bin/sh is there: dash, bash or busybox
    init         systemd, openrc or boot2docker
    user         whom sudo lets in; root: there is no sudo
    engine       where dockerd is; absent: nowhere
    script       where what get.docker.com gives puts it; absent: it gives nothing
    flags        of create
    provisioner  as create names it
    os-release   /etc/os-release
    [files]      more files
    [tools]      commands: what each does, as a shell script. Calls of these are logged
    [create] [provision] [certs] [upgrade]
                 what the command does on the host: `scripts`, the files of machine/provision/scripts of each
                 script, in order; `calls` of tools; `says`: what is printed beside the usual lines; `fails`: the
                 same on standard error, and the command fails
    [options]    after all that: `file`, the options file, and its `text`, or the `words` of the engine's command
                 line and environment as the init script makes them of it; `certs`, the folder of certificates
"""

import os
import pathlib
import re
import shutil
import subprocess
import tomllib

HOSTS = pathlib.Path(__file__).parents[1] / 'hosts'
BUSYBOX = pathlib.Path('/bin/busybox')

# What every system has. Nothing else is there but what a host's file adds.
APPLETS = ('cat chmod cp cut date env expr false grep head mkdir mktemp mv printf rm sed sleep sort tail tee test '
           'touch tr true wc').split()
# Fakes whose names busybox's shell would take for its own commands.
BUILT_IN = {'hostname', 'id', 'uname', 'sleep', 'timeout', 'wget', 'dpkg', 'rpm'}

ENGINE = '''echo "Docker version 27.1.1, build 6312585"
'''
# fake-engine PATH: what installing packages does
FAKE_ENGINE = '''mkdir -p "${1%/*}"
cp /fakes/dockerd "$1"
cp /fakes/dockerd "${1%/*}/docker"
'''
QUIET = {
    'id': '''[ "$1" != -un ] || { [ "$FAKE_UID" = 0 ] && echo root || echo user; exit; }
echo "$FAKE_UID"
''',
    'uname': '''case $1 in
-n) cat /fakes/hostname ;;
-m) echo x86_64 ;;
esac
''',
    'timeout': 'shift\nexec "$@"\n', # busybox's lingers for a second
    'fake-engine': FAKE_ENGINE,
}
# A script that installs the engine, from get.docker.com alone.
CURL = '''case "$*" in *"--url https://get.docker.com") ;; *) exit 22 ;; esac
while [ "$1" != -o ]; do shift; done
echo "echo '# Executing docker install script'; fake-engine PATH" >"$2"
'''
SUDO = '''[ "$1" = -n ] || exit 1
shift
FAKE_UID=0 exec "$@"
'''
STARTED = 'cp /fakes/tcp /proc/net/tcp; touch /run/engine\n'
SYSTEMCTL = f'''case "$*" in
'is-active -q docker.service') test -e /run/engine ;;
'is-enabled -q docker.service') test -e /fakes/enabled ;;
'enable -q docker.service') touch /fakes/enabled ;;
'restart docker.service') {STARTED} ;;
daemon-reload | 'reset-failed docker.service') ;;
*) echo "systemctl: not found: $*"; exit 1 ;;
esac
'''
SERVICES = {
    'systemd': ('run/systemd/system', {'systemctl': SYSTEMCTL}),
    'openrc': ('run/openrc', {
        'rc-update': '''case "$*" in
'-q show default') ! test -e /fakes/enabled || echo "               docker |      default" ;;
'-q add docker default') touch /fakes/enabled ;;
*) echo "rc-update: not found: $*"; exit 1 ;;
esac
''',
        'rc-service': f'''case "$*" in
'docker status') test -e /run/engine ;;
'docker zap') rm -f /run/engine ;;
'docker restart') {STARTED} ;;
*) echo "rc-service: not found: $*"; exit 1 ;;
esac
'''}),
    'boot2docker': ('var/lib/boot2docker', {
        'sethostname': 'echo "$1" >/fakes/hostname; echo "127.0.0.1 $1 localhost" >/etc/hosts\n',
        '/etc/init.d/docker': f'''case $1 in
restart) {STARTED} ;;
*) exit 1 ;;
esac
'''}),
}


# What the init scripts do with their options files, to see what arrives.
READ_OPTIONS = {
    'openrc': '''. /etc/conf.d/docker
command_args=$DOCKER_OPTS
eval words "$DOCKERD_BINARY" -- $command_args
''',
    'boot2docker': '''. /var/lib/boot2docker/profile
EXTRA_ARGS="$EXTRA_ARGS $DOCKER_HOST --tlsverify --tlscacert=$CACERT --tlskey=$SERVERKEY --tlscert=$SERVERCERT"
words $EXTRA_ARGS
''',
}
WORDS = '''words() { for word; do printf '%s\\n' "$word"; done; }
OPTIONSenv | grep '^E='
'''


def load(name):
    return tomllib.loads((HOSTS / f'{name}.toml').read_text())


def names():
    return sorted(path.stem for path in HOSTS.glob('*.toml'))


def listening(port):
    """As the kernel has a port that somebody listens on."""
    return f'  sl  local_address rem_address   st\n   0: 00000000:{port:04X} 00000000:0000 0A 00000000\n'


def libraries(program):
    out = subprocess.run(['ldd', program], capture_output=True, text=True, check=True).stdout
    return re.findall(r'(/\S+) \(0x', out)


class ScriptedHost:
    def __init__(self, folder, data, port):
        self.folder, self.data, self.port = pathlib.Path(folder), data, port
        self.root = self.folder / 'root'
        self.root.mkdir(parents=True)
        self._shell(data['shell'])
        self._system()
        self._tools()
        for path, text in data.get('files', {}).items():
            self._write(path, text)
        commands = ['/bin/sh -s'] if data['user'] == 'root' else ['/bin/sh -s', 'sudo -n /bin/sh -s']
        (self.folder / 'commands').write_text('\n'.join(commands) + '\n')
        (self.folder / 'uid').write_text('0' if data['user'] == 'root' else '1000')

    def _write(self, path, text, mode=0o644):
        file = self.root / path.lstrip('/')
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def _copy(self, source, path=None):
        target = self.root / str(path or source).lstrip('/')
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)

    def _shell(self, shell):
        self._copy(BUSYBOX, '/bin/busybox')
        for name in APPLETS:
            (self.root / 'bin' / name).symlink_to('busybox')
        program = shutil.which(shell)
        if shell != 'busybox':
            self._copy(program, '/bin/sh')
            for library in libraries(program):
                self._copy(library)
        else:
            (self.root / 'bin/sh').symlink_to('busybox')
        (self.root / 'proc/self').mkdir(parents=True)
        (self.root / 'proc/self/exe').symlink_to('/bin/busybox')

    def _system(self):
        data = self.data
        for folder in 'tmp', 'dev', 'usr/bin', 'run':
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self._write('/dev/null', '')
        self._write('/etc/os-release', data['os-release'])
        self._write('/etc/hosts', '127.0.0.1 localhost\n')
        self._write('/etc/ssl/certs/ca-certificates.crt', 'x\n')
        self._write('/fakes/hostname', 'before\n')
        self._write('/fakes/tcp', listening(self.port))
        self._write('/proc/net/tcp', '')
        self._write('/proc/uptime', '300.00 500.00\n')
        self._write('/proc/sys/kernel/random/boot_id', 'a-b-c\n')
        self._write('/fakes/dockerd', f'#!/bin/busybox sh\n{ENGINE}', 0o755)
        if 'engine' in data:
            self._copy(self.root / 'fakes/dockerd', data['engine'])

    def _tools(self):
        folder, services = SERVICES[self.data['init']]
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        script = {'curl': CURL.replace('PATH', self.data['script'])} if 'script' in self.data else {}
        logged = {'hostname': 'echo "$1" >/fakes/hostname\n', **services, **script, **self.data.get('tools', {})}
        quiet = dict(QUIET)
        if self.data['user'] != 'root' and 'sudo' not in logged:
            quiet['sudo'] = SUDO
        for name, body in quiet.items():
            self._tool(name, body)
        for name, body in logged.items():
            self._tool(name, f'echo "{name.rsplit("/")[-1]} $*" >>/calls\n{body}')
        if self.data['shell'] == 'busybox':
            hidden = BUILT_IN.intersection([*quiet, *logged])
            (self.folder / 'functions').write_text(
                ''.join(f'{name}() {{ /usr/bin/{name} "$@"; }}\n' for name in sorted(hidden)))

    def _tool(self, name, body):
        self._write(name if name.startswith('/') else f'/usr/bin/{name}', f'#!/bin/busybox sh\n{body}', 0o755)

    def run(self, script):
        """Runs a script in there, as root."""
        mapped = [] if os.getuid() == 0 else ['--map-root-user']
        return subprocess.run(['unshare', *mapped, '--uts', f'--root={self.root}', '--wd=/', '/bin/sh', '-s'],
                              input=script, capture_output=True, text=True, check=True,
                              env={'PATH': '/usr/bin:/bin'}).stdout

    def engine_words(self):
        return self.run(WORDS.replace('OPTIONS', READ_OPTIONS[self.data['init']])).splitlines()

    def _take(self, path):
        text = path.read_text() if path.exists() else ''
        path.unlink(missing_ok=True)
        return text.splitlines()

    def scripts(self):
        """What was sent since the last question."""
        return self._take(self.folder / 'scripts')

    def calls(self):
        return [re.sub(r'/tmp/tmp\.\w+', '/tmp/T', line) for line in self._take(self.root / 'calls')]

    def unexpected(self):
        return self._take(self.folder / 'unexpected')

    def read(self, path):
        return (self.root / path.lstrip('/')).read_text()

    def mode(self, path):
        return oct(os.stat(self.root / path.lstrip('/')).st_mode & 0o777)
