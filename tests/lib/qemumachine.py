"""A machine of the driver qemu, driven as the host would: for tests that talk to the driver directly."""

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import time
import uuid

import pytest

import cli as cli_module
from driverclient import Driver, driver_file, reference

QEMU = driver_file('qemu')
FAKE = cli_module.FAKES / 'fake-qemu'
MIB = 1 << 20
PATIENCE = 60


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope='session')
def image(tmp_path_factory):
    """A folder as build-image makes it, with nothing in it that could boot."""
    folder = tmp_path_factory.mktemp('image')
    for name in 'root.qcow2', 'disk.qcow2':
        subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', folder / name, str(64 * MIB)], check=True)
    # QEMU takes it for a kernel: the mark, the version of the protocol, where an initrd may be
    (folder / 'vmlinuz').write_bytes((b'\0' * 0x202 + b'HdrS\x0a\2').ljust(0x22c, b'\0') + b'\xff\xff\xff\x37' + b'\0' * 65536)
    (folder / 'initrd.img').write_bytes(b'no initrd')
    files = {role: {'name': name, 'size': (folder / name).stat().st_size, 'sha256': sha256(folder / name)}
             for role, name in [('root', 'root.qcow2'), ('kernel', 'vmlinuz'), ('initrd', 'initrd.img'), ('disk', 'disk.qcow2')]}
    files['root']['virtualSize'] = files['disk']['virtualSize'] = 64 * MIB
    (folder / 'image.json').write_text(json.dumps({
        'format': 1, 'name': 'debian-12', 'created': '2026-11-25T04:00:00Z', 'architecture': 'amd64', 'os': 'none',
        'engine': '', 'seed': 'lean', 'cmdline': 'root=LABEL=root ro', 'source': {}, 'files': files}))
    (folder / 'SHA256SUMS').write_text(''.join(f'{f["sha256"]}  {f["name"]}\n' for f in files.values()))
    return folder


def of_uuid(ident):
    """The processes that carry a machine's UUID."""
    found = []
    for entry in pathlib.Path('/proc').iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and ident.encode() in (entry / 'cmdline').read_bytes().split(b'\0'):
                found.append(int(entry.name))
    return found


class Machine:
    """A driver, and one machine of it."""

    def __init__(self, tmp_path, image, fake, **flags):
        self.name = 'w1'
        self.id = uuid.uuid4().hex
        self.uuid = str(uuid.UUID(self.id))
        self.store = tmp_path / 's'
        self.folder = self.store / 'machines' / 'w1'
        self.folder.mkdir(parents=True, exist_ok=True)
        self.plan_file = tmp_path / 'bin' / 'plan'
        self.plan_file.parent.mkdir(exist_ok=True)
        self.plan()
        self.state = {}
        self.env = {**os.environ, 'MACHINE_KVM_DEVICE': '/dev/null'}
        self.fake = fake
        self.flags = {'qemu-image': str(image), 'qemu-disk-size': 100, 'qemu-memory': 256, 'qemu-cpu-count': 1, 'qemu-accel': 'tcg'}
        if fake:
            program = tmp_path / 'bin' / 'qemu-system-x86_64'
            if not program.exists():
                program.symlink_to(FAKE)
            self.flags['qemu-program'] = str(program)
        self.flags.update({k.replace('_', '-'): v for k, v in flags.items()})
        self.driver = None
        self.restart_driver()

    def plan(self, **plan):
        self.plan_file.write_text(json.dumps(plan))

    def restart_driver(self):
        if self.driver:
            self.driver.process.kill()
            self.driver.__exit__(None)
        self.driver = Driver(QEMU, env=self.env)

    def ref(self, state=None, ident=None):
        return reference(self.name, self.state if state is None else state, self.folder, self.store, ident or self.id)

    def configure(self, **flags):
        values = {f['name']: f.get('default') if f.get('default') is not None else {'list': [], 'bool': False}.get(f['type'], '')
                  for f in self.driver.info['flags']}
        values.update(self.flags)
        values.update({k.replace('_', '-'): v for k, v in flags.items()})
        self.state = self.driver.configure(values, self.ref({}))
        return self.state

    def call(self, method, **kwargs):
        out = self.driver.call(method, timeout=PATIENCE, machine=self.ref(), **kwargs)
        self.state = out.get('state', self.state)
        return out

    def finish(self, method):
        """Does the host's waiting, but for all that needs SSH."""
        end = time.monotonic() + PATIENCE
        while (out := self.call(method))['status'] != 'done':
            assert time.monotonic() < end
            time.sleep(0.05)
        assert out['status'] == 'done'

    def create(self):
        self.configure()
        self.driver.call('preCreateCheck', machine=self.ref())
        out = self.call('create')
        assert (out['status'], out['waitFor']) == ('wait', 'Running')
        out = self.call('create')
        assert out['status'] == 'run' and out['again'] is True and 'cloud-init status --wait' in out['command']
        assert self.call('create')['status'] == 'done'

    def boot_time_passes(self, ms, *keys):
        """To the driver it is as if so much more time had passed since."""
        for key in keys:
            self.state[key] -= ms

    def report(self):
        return self.driver.report(self.ref())

    def argvs(self):
        """What QEMU was started with, without trials."""
        log = pathlib.Path(f'{self.plan_file}.log')
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [line for line in lines if '-uuid' in line]

    def commands(self):
        return [c[0] for c in map(json.loads, pathlib.Path(f'{self.plan_file}.log').read_text().splitlines()) if len(c) == 1]

    def pids(self):
        return of_uuid(self.uuid)

    def close(self):
        self.driver.process.kill()
        self.driver.__exit__(None)
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not self.pids())


@pytest.fixture
def new(tmp_path, image):
    made = []

    def make(fake=True, **flags):
        made.append(Machine(tmp_path, image, fake, **flags))
        return made[-1]
    yield make
    for m in made:
        m.close()


def option(argv, name):
    return [argv[i + 1] for i, a in enumerate(argv[:-1]) if a == name]


def logs(m, level='warn'):
    return [n['params']['message'] for n in m.driver.notifications if n['method'] == 'log' and n['params']['level'] == level]


def wait_for(what):
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)
