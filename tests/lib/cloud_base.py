"""What the cloud of openstack_cloud.py starts from, made once and kept in the tests' cache.

CACHE/openstack-HASH/root is a Debian 12 with the services and the client; CACHE/cloud-HASH/state has their databases with
what tests/fakes/openstack/seed.py puts there. Both run in namespaces of their own (`sandbox`): a private
loopback, processes that end with the first of them, and mounts that nobody else sees.
"""

import json
import select
import shutil
import subprocess
import time

import cli
from rootfs import Cached, bootstrap, hash_of

CODE = cli.FAKES / 'openstack'
PACKAGES = ('python3-keystone python3-glance glance-common python3-placement nova-common neutron-common cinder-common '
            'python3-openstackclient iproute2').split()
PREPARE_SECONDS = 1800
STOP_SECONDS = 30

# POINT: the root's place; STATE: a folder to work on, or with "copy" one to take a copy of
ENTER = '''set -e
root=$1 point=$2 state=$3 how=$4 code=$5 log=$6 action=$7
mount --bind "$root" "$point"
mount -o remount,bind,ro "$point"
mount -t proc proc "$point/proc"
mount --rbind /dev "$point/dev"
for folder in tmp run var/log srv/cloud; do mount -t tmpfs -o mode=755 tmpfs "$point/$folder"; done
chmod 1777 "$point/tmp"
cp -r "$code" "$point/srv/cloud/code" # a checkout may change it meanwhile
mkdir "$point/srv/cloud/log"
mount --bind "$log" "$point/srv/cloud/log"
if [ "$how" = copy ]; then
	cp -a "$state" "$point/srv/cloud/state"
else
	mkdir "$point/srv/cloud/state"
	mount --bind "$state" "$point/srv/cloud/state"
fi
exec chroot "$point" /usr/bin/python3 -B /srv/cloud/code/init.py "$action"
'''
ENVIRONMENT = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LANG': 'C.UTF-8', 'PYTHONDONTWRITEBYTECODE': '1'}


class Sandbox:
    """The namespaces and their first process, which ends when its standard input does: also when we are killed."""

    def __init__(self, root, state, folder, action, copy):
        self.point, self.log = folder / 'root', folder / 'log'
        for path in self.point, self.log:
            path.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            ['unshare', '--mount', '--net', '--pid', '--ipc', '--uts', '--fork', '--kill-child', 'sh', '-c', ENTER, 'sh',
             str(root), str(self.point), str(state), 'copy' if copy else 'use', str(CODE), str(self.log), action],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT)

    @property
    def first(self):
        """The first process inside, as it is seen from here."""
        parent = self.process.pid
        with open(f'/proc/{parent}/task/{parent}/children', encoding='ascii') as children:
            return int(children.read().split()[0])

    def answer(self, seconds):
        """What the first process says: a line of JSON. Anything else is an error with all that was said."""
        end, text = time.monotonic() + seconds, b''
        while not text.endswith(b'\n') or not text.splitlines()[-1].startswith(b'{'):
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f'the cloud said nothing for {seconds} s\n{text.decode(errors="replace")}')
            more = self.process.stdout.read1()
            if not more:
                raise RuntimeError(f'the cloud did not start\n{text.decode(errors="replace")}')
            text += more
        words = json.loads(text.splitlines()[-1])
        if 'error' in words:
            raise RuntimeError(f'the cloud: {words["error"]}\nlogs: {self.log}')
        return words

    def close(self):
        """With the first process of the namespaces go the others, the mounts and the network."""
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()


def _build_root(folder):
    root = folder / 'root'
    bootstrap(root, PACKAGES, 'minbase')
    (root / 'srv/cloud').mkdir()
    (root / 'etc/hosts').write_text('127.0.0.1 localhost\n')


class CloudBase:
    """Builds what is missing and holds it in use until closed."""

    def __init__(self):
        recipe = hash_of(*PACKAGES)
        self._root = Cached('openstack', recipe, _build_root)
        code = [path.read_text() for path in sorted(CODE.glob('*.py'))]
        try:
            self._state = Cached('cloud', hash_of(recipe, ENTER, *code), self._build_state)
        except BaseException:
            self._root.close()
            raise
        self.root, self.state = self._root.path / 'root', self._state.path / 'state'
        self.facts = json.loads((self.state / 'facts.json').read_text())

    def _build_state(self, folder):
        state, work = folder / 'state', folder / 'work'
        state.mkdir(mode=0o700)
        work.mkdir()
        sandbox = Sandbox(self._root.path / 'root', state, work, 'prepare', copy=False)
        try:
            sandbox.answer(PREPARE_SECONDS)
        finally:
            sandbox.close()
        shutil.rmtree(work)

    def sandbox(self, folder):
        """The cloud, starting; what it does is lost when it ends."""
        return Sandbox(self.root, self.state, folder, 'run', copy=True)

    def close(self):
        self._state.close()
        self._root.close()
