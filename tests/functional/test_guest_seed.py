"""The reader of NoCloud seeds in our base image, run on a folder that stands for the root file system."""

import base64
import json
import os
import pathlib
import shutil
import subprocess

import pytest

READER = pathlib.Path(__file__).parents[2] / 'scripts/guest/files-vm/usr/lib/machine/seed'
SHELLS = [shell for shell in (['dash'], ['bash', '--posix'], ['busybox', 'sh']) if shutil.which(shell[0])]
NASTY = 'a \'b\' "c" $HOME $(touch pwned) `touch pwned` \\ \\n \\0101 \\c %n %s | || ;é\r\t* ?\n\n line\n\n'
PRIVATE_KEY = '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA|\\n$(id)\n-----END OPENSSH PRIVATE KEY-----\n'
PUBLIC_KEY = 'ssh-ed25519 AAAAC3Nza host\n'

PASSWD = '''root:x:0:0:root:/root:/bin/bash
sshd:x:101:65534::/run/sshd:/usr/sbin/nologin
docker:x:1000:103::/home/docker:/bin/bash
'''
GROUP = 'root:x:0:\nsudo:x:27:docker\nnogroup:x:65534:\ndocker:x:103:\n'
FSTAB = 'LABEL=root / ext4 rw,errors=remount-ro 0 1\n'
HOSTS = '127.0.0.1 localhost\n'


class Guest:
    """A new system with a seed beside it."""

    def __init__(self, shell, path):
        self.shell = shell
        self.root = path / 'root'
        self.seed = path / 'seed'
        self.seed.mkdir()
        for folder in ('etc/ssh/sshd_config.d', 'etc/sudoers.d', 'etc/systemd/network', 'home/docker', 'run', 'var/lib'):
            (self.root / folder).mkdir(parents=True)
        for name, text in (('passwd', PASSWD), ('group', GROUP), ('fstab', FSTAB), ('hosts', HOSTS), ('hostname', 'localhost\n'),
                           ('shadow', 'root:*:1::::::\ndocker:!:1::::::\n'), ('gshadow', 'docker:!::\nsudo:!::docker\n')):
            self.write(f'etc/{name}', text)
        shutil.copy('/etc/login.defs', self.root / 'etc')
        self.meta()

    def write(self, path, text):
        (self.root / path).write_text(text)

    def read(self, path):
        with open(self.root / path, newline='') as file:
            return file.read()

    def mode(self, path):
        return (self.root / path).stat().st_mode & 0o7777

    def exists(self, path):
        return os.path.lexists(self.root / path)

    def meta(self, instance='i-1', **more):
        lines = {'instance-id': instance, **more}
        (self.seed / 'meta-data').write_text(''.join(f'{key}: {value}\n' for key, value in lines.items()))

    def user_data(self, text):
        with open(self.seed / 'user-data', 'w', newline='') as file:
            file.write(text)

    def config(self, **settings):
        self.user_data(config(**settings))

    def boot(self):
        """Its messages. The file system of the machine that runs the tests stays as it is."""
        result = subprocess.run(['fakeroot', *self.shell, str(READER)], capture_output=True, text=True, timeout=120,
                                cwd=self.root, env={**os.environ, 'ROOT': str(self.root), 'SEED': str(self.seed)})
        assert result.returncode == 0, result.stderr
        assert result.stderr == ''
        assert not list(self.root.rglob('pwned'))
        assert not list(self.root.rglob('*.new')) + list(self.root.rglob('*.machine-seed'))
        return result.stdout

    def boot_quietly(self):
        assert self.boot() == ''

    def lines(self, path, start):
        return [line for line in self.read(path).splitlines() if line.startswith(start)]


def config(**settings):
    return '#cloud-config\n' + json.dumps({'ssh_keys': {'ed25519_private': PRIVATE_KEY}, **settings}) + '\n'


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def guest(request, tmp_path):
    return Guest(request.param, tmp_path)


def test_what_a_driver_asks_for(guest):
    guest.meta(**{'local-hostname': 'other'})
    guest.config(hostname='w1.example.org', ssh_pwauth=False, disable_root=True, ssh_deletekeys=True, ssh_genkeytypes=[],
                 ssh_keys={'ed25519_private': PRIVATE_KEY, 'ed25519_public': PUBLIC_KEY}, package_update=False,
                 users=[{'name': 'me', 'gecos': 'I, me', 'uid': 1234, 'groups': ['docker', 'sudo'], 'shell': '/bin/sh',
                         'sudo': 'ALL=(ALL) NOPASSWD:ALL', 'lock_passwd': True,
                         'ssh_authorized_keys': ['ssh-ed25519 AAAA one\n', 'ssh-rsa BBBB two']}],
                 growpart={'mode': 'off'}, mounts=[['share0', '/home/me/my src', '9p', 'trans=virtio,nofail', '0', '0']])
    guest.write('etc/ssh/ssh_host_rsa_key', 'old')
    guest.boot_quietly()
    assert guest.read('etc/hostname') == 'w1.example.org\n'
    assert guest.read('etc/hosts') == HOSTS + '127.0.1.1 w1.example.org w1\n'
    assert guest.lines('etc/passwd', 'me:') == ['me:x:1234:1234:I, me:/home/me:/bin/sh']
    assert guest.lines('etc/group', 'docker:') == ['docker:x:103:me']
    assert guest.lines('etc/group', 'sudo:') == ['sudo:x:27:docker,me']
    assert guest.lines('etc/shadow', 'me:')[0].startswith('me:!:')
    assert guest.read('etc/sudoers.d/90-machine-me') == 'me ALL=(ALL) NOPASSWD:ALL\n'
    assert guest.mode('etc/sudoers.d/90-machine-me') & ~0o200 == 0o440 # fakeroot keeps files writable
    assert guest.read('home/me/.ssh/authorized_keys') == 'ssh-ed25519 AAAA one\nssh-rsa BBBB two\n'
    assert guest.mode('home/me/.ssh') == 0o700
    assert guest.mode('home/me/.ssh/authorized_keys') == 0o600
    assert guest.read('etc/ssh/ssh_host_ed25519_key') == PRIVATE_KEY
    assert guest.mode('etc/ssh/ssh_host_ed25519_key') == 0o600
    assert guest.read('etc/ssh/ssh_host_ed25519_key.pub') == PUBLIC_KEY
    assert not guest.exists('etc/ssh/ssh_host_rsa_key')
    assert guest.read('etc/ssh/sshd_config.d/05-machine-seed.conf') == 'PasswordAuthentication no\nPermitRootLogin no\n'
    assert guest.exists('etc/machine-no-grow')
    assert guest.read('etc/fstab') == FSTAB + 'share0 /home/me/my\\040src 9p trans=virtio,nofail,x-machine-seed 0 0\n'
    assert (guest.root / 'home/me/my src').is_dir()
    assert not guest.exists('var/lib/machine-seed/pending')


def test_a_user_of_the_image_is_kept(guest):
    guest.config(users=['default'], ssh_authorized_keys=['ssh-ed25519 AAAA me'])
    guest.boot_quietly()
    assert guest.lines('etc/passwd', 'docker:') == ['docker:x:1000:103::/home/docker:/bin/bash']
    assert guest.read('home/docker/.ssh/authorized_keys') == 'ssh-ed25519 AAAA me\n'


def test_each_instance_once(guest):
    guest.config(users=[{'name': 'docker', 'ssh_authorized_keys': ['ssh-ed25519 AAAA me']}],
                 write_files=[{'path': '/note', 'content': 'seed'}], mounts=[['a', '/a', 'ext4']])
    guest.boot_quietly()
    guest.write('note', 'mine')
    guest.boot_quietly()
    guest.meta(**{'local-hostname': 'renamed'}) # meta-data differs, the instance is the same
    guest.boot_quietly()
    assert guest.read('note') == 'mine'
    guest.meta('i-2')
    guest.config(users=[{'name': 'docker', 'ssh_authorized_keys': ['ssh-ed25519 AAAA me', 'ssh-ed25519 BBBB you']}],
                 write_files=[{'path': '/note', 'content': 'seed'}], mounts=[['b', '/b', 'ext4']])
    guest.boot_quietly()
    assert guest.read('note') == 'seed'
    assert guest.read('home/docker/.ssh/authorized_keys') == 'ssh-ed25519 AAAA me\nssh-ed25519 BBBB you\n'
    assert guest.read('etc/fstab') == FSTAB + 'b /b ext4 defaults,nofail,x-machine-seed 0 2\n'


def test_an_interrupted_set_up_is_done_again(guest):
    guest.config(write_files=[{'path': '/note', 'content': 'seed'}], users=[{'name': 'me', 'groups': 'docker'}])
    guest.boot_quietly()
    (guest.root / 'var/lib/machine-seed/instance').unlink()
    (guest.root / 'var/lib/machine-seed/meta-data').unlink()
    guest.write('note', '')
    guest.boot_quietly()
    assert guest.read('note') == 'seed'


def test_files_have_the_very_content(guest):
    guest.config(write_files=[
        {'path': '/plain', 'content': NASTY},
        {'path': "/deep/er/$(touch pwned) 'q' \"d\" | * \\n", 'content': 'x', 'permissions': '0600'},
        {'path': '/etc/../up', 'content': 'no newline', 'permissions': '0755', 'owner': 'root:docker'},
        {'path': '/binary', 'encoding': 'b64', 'content': base64.b64encode(bytes(range(256))).decode()},
        {'path': '/plain', 'content': 'more', 'append': True},
        {'path': '/empty'}])
    guest.boot_quietly()
    assert guest.read('plain') == NASTY + 'more'
    assert guest.mode('plain') == 0o644
    strange = "deep/er/$(touch pwned) 'q' \"d\" | * \\n"
    assert guest.read(strange) == 'x'
    assert guest.mode(strange) == 0o600
    assert guest.read('up') == 'no newline'
    assert guest.mode('up') == 0o755
    assert (guest.root / 'binary').read_bytes() == bytes(range(256))
    assert guest.read('empty') == ''


@pytest.mark.parametrize('settings,message', [
    ({'write_files': [{'path': 'relative', 'content': 'x'}]}, 'write_files: "relative" is not an absolute path'),
    ({'write_files': [{'path': '/x\ny', 'content': 'x'}]}, 'is not an absolute path'),
    ({'write_files': [{'path': '/x', 'content': 'a\0b'}]}, 'write_files: a value has a NUL character'),
    ({'write_files': [{'path': '/x', 'content': 'x', 'permissions': 'u+s'}]}, 'is not a mode'),
    ({'write_files': [{'path': '/x', 'content': 'x', 'owner': '-R'}]}, 'is not an owner'),
    ({'write_files': [{'path': '/x', 'content': 'x', 'encoding': 'gzip'}]}, 'encoding "gzip" of /x is not known here'),
    ({'users': [{'name': '../x'}]}, 'users: "../x" is not the name of a user or group'),
    ({'users': [{'name': 'x\n'}]}, 'is not the name'),
    ({'users': [{'name': '-x'}]}, 'is not the name'),
    ({'users': [{'name': 'x$(touch pwned)'}]}, 'is not the name'),
    ({'users': [{'gecos': 'nameless'}]}, 'null is not the name'),
    ({'users': [{'name': 'x', 'groups': ['a:b']}]}, '"a:b" is not the name'),
    ({'users': [{'name': 'x', 'homedir': 'x'}]}, 'is not a home folder'),
    ({'users': [{'name': 'x', 'shell': '/bin/sh:y'}]}, 'is not a shell'),
    ({'users': [{'name': 'x', 'gecos': 'a:b'}]}, 'is not a description'),
    ({'users': [{'name': 'x', 'sudo': 'ALL=(ALL) ALL\nother ALL=(ALL) ALL'}]}, 'is not a sudo rule of one line'),
    ({'users': [{'name': 'x', 'ssh_authorized_keys': ['ssh-rsa A\nssh-rsa B']}]}, 'is not an SSH key of one line'),
    ({'hostname': 'a b'}, 'hostname: "a b" is not a host name'),
    ({'hostname': '-x'}, 'is not a host name'),
    ({'hostname': 'x\n'}, 'is not a host name'),
    ({'mounts': [['a\nb', '/x']]}, 'is not a field of fstab'),
    ({'mounts': [['a', 'x']]}, 'mounts: "x" is not a mount point'),
    ({'ssh_genkeytypes': ['-x'], 'ssh_keys': None}, 'is not a type of key'),
    ({'packages': ['x']}, 'ignored: "packages" of user-data'),
    ({'package_update': True}, 'ignored: "package_update" of user-data'),
    ({'$(touch pwned)\n': 1}, 'ignored: "$(touch pwned)\\n" of user-data'),
])
@pytest.mark.sampled(3)
def test_what_cannot_be_used_is_told_and_the_rest_done(guest, settings, message):
    before = {path for path in guest.root.rglob('*')}
    guest.user_data(config(**settings, runcmd=['echo done']))
    output = guest.boot()
    assert output.startswith('machine-seed: ') and output.count('\n') == 1
    assert message in output
    assert guest.read('var/lib/machine-seed/pending/config-0-run') == '#!/bin/sh\necho done\n'
    after = {str(path.relative_to(guest.root)) for path in set(guest.root.rglob('*')) - before}
    assert {path for path in after if not path.startswith('home/x')} <= {
        'etc/subuid', 'etc/subgid', 'etc/subuid-', 'etc/subgid-',
        'run/machine-seed', 'run/machine-seed/config-0', 'var/lib/machine-seed', 'var/lib/machine-seed/instance',
        'var/lib/machine-seed/meta-data', 'var/lib/machine-seed/pending', 'var/lib/machine-seed/pending/config-0-run',
        'etc/ssh/ssh_host_ed25519_key', 'etc/ssh/ssh_host_ed25519_key.pub',
        'etc/passwd-', 'etc/group-', 'etc/shadow-', 'etc/gshadow-'}


def test_keys_go_through_no_link(guest, tmp_path):
    outside = tmp_path / 'outside'
    outside.write_text('')
    (guest.root / 'home/docker/.ssh').mkdir()
    (guest.root / 'home/docker/.ssh/authorized_keys').symlink_to(outside)
    guest.config(ssh_authorized_keys=['ssh-ed25519 AAAA me'])
    assert 'no key is written through it' in guest.boot()
    assert outside.read_text() == ''


def test_user_data_in_yaml_is_refused_with_the_way_out(guest):
    guest.user_data('#cloud-config\nhostname: w1\n')
    guest.meta(**{'local-hostname': "'from-meta'"})
    assert guest.boot() == 'machine-seed: user-data is not JSON: YAML is for images built with build-image --cloud-init\n'
    assert guest.read('etc/hostname') == 'from-meta\n'


@pytest.mark.parametrize('text,message', [
    ('#cloud-config\n[1]\n', 'user-data is not a JSON object'),
    ('#cloud-boothook\n', 'user-data of an unknown kind is ignored'),
    ('#cloud-config-archive\n[]\n', 'user-data of an unknown kind is ignored'),
    ('#cloud-config-jsonp\n[]\n', 'user-data of an unknown kind is ignored'),
    ('\x1f\x8b\x08', 'user-data of an unknown kind is ignored'),
])
def test_other_user_data_is_told(guest, text, message):
    guest.user_data(text)
    assert message in guest.boot()


def test_without_user_data_there_are_keys(guest):
    guest.meta(**{'local-hostname': 'w1'})
    guest.boot_quietly()
    assert guest.read('etc/hostname') == 'w1\n'
    assert guest.read('etc/ssh/ssh_host_ed25519_key').startswith('-----BEGIN OPENSSH PRIVATE KEY-----')
    assert guest.mode('etc/ssh/ssh_host_ed25519_key') == 0o600


def test_meta_data_in_json(guest):
    (guest.seed / 'meta-data').write_text(json.dumps({'instance-id': 'i|\n9', 'local-hostname': 'w1'}))
    guest.boot_quietly()
    assert guest.read('etc/hostname') == 'w1\n'
    assert 'i\\01749' not in guest.read('var/lib/machine-seed/instance')
    first = guest.read('etc/ssh/ssh_host_ed25519_key')
    guest.boot_quietly()
    assert guest.read('etc/ssh/ssh_host_ed25519_key') == first


def mime(*parts, newline='\n', boundary='=="b'):
    lines = ['Content-Type: multipart/mixed;', ' boundary="==b"', 'MIME-Version: 1.0', '', 'preamble']
    for headers, body in parts:
        lines += ['--==b', *headers, '', *body.split('\n')]
    return newline.join(lines + ['--==b--', 'after'])


@pytest.mark.parametrize('newline', ['\n', '\r\n'], ids=['lf', 'crlf'])
def test_two_parts(guest, newline):
    script = '#!/bin/sh\necho "$1" \'--==b\' \\n\n'
    first = config(hostname='first', write_files=[{'path': '/one', 'content': '1'}], runcmd=['echo one'])
    second = '#cloud-config\n' + json.dumps({'hostname': 'second', 'write_files': [{'path': '/two', 'content': '2'}],
                                             'ssh_keys': {'ed25519_private': 'other'}, 'runcmd': [['echo', "it's"]]})
    encoded = base64.encodebytes(script.encode()).decode()
    guest.user_data(mime((['Content-Type: text/cloud-config; charset="utf-8"'], first), (['Content-Type: text/cloud-config'], second),
                         (['Content-Type: text/x-shellscript', 'Content-Transfer-Encoding: base64'], encoded), newline=newline))
    guest.boot_quietly()
    assert guest.read('etc/hostname') == 'first\n' # the driver's part counts
    assert guest.read('etc/ssh/ssh_host_ed25519_key') == PRIVATE_KEY
    assert (guest.read('one'), guest.read('two')) == ('1', '2')
    pending = 'var/lib/machine-seed/pending'
    assert guest.read(f'{pending}/config-0-run') == '#!/bin/sh\necho one\n'
    assert guest.read(f'{pending}/config-1-run') == "#!/bin/sh\n'echo' 'it'\\''s'\n"
    assert guest.read(f'{pending}/config-2-script') == script
    assert guest.mode(f'{pending}/config-2-script') == 0o700


def test_parts_that_are_not_known_are_told(guest):
    guest.user_data(mime((['Content-Type: text/plain'], 'hello'), ([], config(hostname='w1')),
                         (['Content-Type: multipart/mixed; boundary=c'], '--c\n\n--c--'),
                         (['Content-Transfer-Encoding: quoted-printable'], '#!/bin/sh=20')))
    output = guest.boot()
    for text in 'of an unknown kind', 'a part with parts', 'the encoding quoted-printable':
        assert text in output
    assert guest.read('etc/hostname') == 'w1\n'
    assert not guest.exists('var/lib/machine-seed/pending')


def test_pending_commands_run_once_in_order(guest, tmp_path):
    guest.user_data(mime(([], config(runcmd=[f'echo one >>{tmp_path}/log', ['sh', '-c', f'printf "%s\\n" "$0" >>{tmp_path}/log', NASTY]])),
                         ([], f'#!/bin/sh\necho three >>{tmp_path}/log\nexit 7\n')))
    guest.boot_quietly()
    command = [*guest.shell, str(READER.parent / 'run')]
    environment = {**os.environ, 'ROOT': str(guest.root)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert result.returncode == 1
    assert result.stdout == 'machine-seed: config-1-script ended with status 7\n'
    with open(tmp_path / 'log', newline='') as log:
        assert log.read().split('\n', 1) == ['one', NASTY + '\nthree\n']
    assert os.listdir(guest.root / 'var/lib/machine-seed') and not guest.exists('var/lib/machine-seed/pending')
    assert not guest.exists('var/lib/machine-seed/run')


NETWORK = {'version': 2, 'ethernets': {'any': {
    'match': {'macaddress': '52:54:00:12:34:56'}, 'addresses': ['192.0.2.5/24'], 'gateway4': '192.0.2.1', 'mtu': 1400,
    'nameservers': {'addresses': ['192.0.2.53'], 'search': ['example.org']}, 'routes': [{'to': '198.51.100.0/24', 'via': '192.0.2.2'}]}}}


@pytest.mark.parametrize('document', [NETWORK, {'network': NETWORK}], ids=['bare', 'wrapped'])
def test_network(guest, document):
    (guest.seed / 'network-config').write_text(json.dumps(document))
    guest.boot_quietly()
    assert guest.read('etc/systemd/network/10-machine-seed-0.network') == '''[Match]
MACAddress=52:54:00:12:34:56

[Network]
DHCP=no
Address=192.0.2.5/24
Gateway=192.0.2.1
DNS=192.0.2.53
Domains=example.org

[Link]
MTUBytes=1400

[Route]
Gateway=192.0.2.2
Destination=198.51.100.0/24
'''


def test_network_by_dhcp(guest):
    (guest.seed / 'network-config').write_text(json.dumps({'version': 2, 'ethernets': {'eth0': {'dhcp4': True}}}))
    guest.boot_quietly()
    assert guest.read('etc/systemd/network/10-machine-seed-0.network') == (
        '[Match]\nName=eth0\n\n[Network]\nDHCP=ipv4\n\n[DHCPv4]\nClientIdentifier=mac\nUseDomains=yes\n')


@pytest.mark.parametrize('text,message', [
    ('version: 2\n', 'network-config is not JSON'),
    ('{"version": 1}', 'network-config is not of version 2'),
    ('{"version": 2, "ethernets": {"e": {"addresses": ["1.2.3.4/8\\nDHCP=yes"]}}}', 'is not an address with a prefix length'),
    ('{"version": 2, "ethernets": {"e\\n": {"dhcp4": true}}}', 'is not the name of a network card'),
])
def test_a_bad_network_leaves_dhcp(guest, text, message):
    (guest.seed / 'network-config').write_text(text)
    assert message in guest.boot()
    assert not os.listdir(guest.root / 'etc/systemd/network')
