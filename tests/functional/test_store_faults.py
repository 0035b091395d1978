"""The store when calls fail, disks are full, processes are killed, and ten of them work at once.

Driven through storectl, which offers the store's interface to the shell.
"""

import errno
import json
import os
import random
import re
import shutil
import subprocess
import time

import pytest

from cli import TOP, build_dir

CALLS_MAX = 200
V0 = {'DriverName': 'none', 'Driver': {'First': 'old', 'Last': 'old', 'MachineName': 'web'}}


class Store:
    def __init__(self, folder, fault=False):
        self.tests = build_dir(fault) / 'tests' / 'functional'
        self.program = self.tests / 'storectl'
        assert self.program.exists(), f'{self.program} is not built'
        self.path = folder / 'store'
        self.machines = self.path / 'machines'
        self.env = {
            'PATH': os.environ['PATH'], 'LANG': 'C',
            'ASAN_OPTIONS': 'detect_leaks=0:verify_asan_link_order=0',
            'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1',
        }

    def start(self, *args, env=None, **kwargs):
        return subprocess.Popen([str(self.program), str(self.path), *map(str, args)],
                                env={**self.env, **(env or {})}, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)

    def run(self, *args, env=None, timeout=60):
        process = self.start(*args, env=env, stdin=subprocess.DEVNULL)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        assert 'Sanitizer' not in err and 'runtime error' not in err, err
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def ok(self, *args, **kwargs):
        result = self.run(*args, **kwargs)
        assert result.returncode == 0, result
        return result.stdout.strip()

    def fails(self, *args, **kwargs):
        result = self.run(*args, **kwargs)
        assert result.returncode == 1, result
        return result.stderr.strip()

    def value(self, name):
        """What the machine holds; None if it is not there. Anything else is an error."""
        result = self.run('load', name)
        if result.returncode == 0:
            assert not result.stdout.startswith('torn'), result
            return result.stdout.split()[0]
        assert f'"{name}" does not exist' in result.stderr, result
        return None

    def leftovers(self):
        if not self.machines.exists():
            return []
        found = [p for p in self.machines.iterdir() if p.name.startswith('.')]
        for machine in self.machines.iterdir():
            found += [p for p in machine.glob('.*') if p.name != '.create.json']
        return [str(p) for p in found]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def machine(store):
    store.ok('claim', 'web', 'old')


def complete_machine(store):
    machine(store)
    store.ok('complete', 'web')


def old_machine(store):
    store.ok('ensure')
    (store.machines / 'web').mkdir()
    (store.machines / 'web' / 'config.json').write_text(json.dumps(V0))


def large_machine(store):
    machine(store)
    for path in 'a', 'b/c/d':
        folder = store.machines / 'web' / path
        folder.mkdir(parents=True)
        (folder / 'disk').write_text('x' * 1000)


# what is done: (before it, the command, what 'web' may hold if it fails, what it holds at its end)
SCENARIOS = {
    'first claim': (lambda store: None, ['claim', 'web', 'new'], {None}, 'new'),
    'claim': (lambda store: store.ok('ensure'), ['claim', 'web', 'new'], {None}, 'new'),
    'save': (machine, ['save', 'web', 'new'], {'old', 'new'}, 'new'),
    'save complete': (complete_machine, ['save', 'web', 'new'], {'old', 'new'}, 'new'),
    'migrate': (old_machine, ['save', 'web', 'new'], {'old', 'new'}, 'new'),
    'step': (machine, ['step', 'web', 'create'], {'old'}, 'old'),
    'complete': (machine, ['complete', 'web'], {'old'}, 'old'),
    'remove': (machine, ['remove', 'web'], {'old', None}, None),
    'remove large': (large_machine, ['remove', 'web'], {'old', None}, None),
}


def prepare(store, scenario):
    if store.path.exists():
        shutil.rmtree(store.path)
    before, command, _, _ = SCENARIOS[scenario]
    before(store)
    if scenario != 'first claim':
        store.ok('claim', 'other', 'other')
    return command


def check_whole(store, scenario, failed):
    """Nothing is lost, nothing half-made shows, and the command works when it is repeated."""
    _, command, meanwhile, at_end = SCENARIOS[scenario]
    names = store.ok('list').split()
    for name in names:
        assert (store.machines / name / 'config.json').exists(), f'{name} without its record'
    value = store.value('web')
    assert ('web' in names) == (value is not None)
    assert value in (meanwhile | {at_end} if failed else {at_end})
    if scenario != 'first claim':
        assert store.value('other') == 'other'
    if scenario == 'migrate' and value == 'new':
        assert json.loads((store.machines / 'web' / 'config.json.bak').read_text()) == V0
    if command[0] == 'remove' and value is None or command[0] == 'claim' and value:
        store.fails(*command)
    else:
        store.ok(*command)
    assert store.value('web') == at_end
    if command[0] == 'remove':
        store.ok('claim', 'web', 'again')
    store.ok('save', 'web', 'more')
    assert store.value('web') == 'more'
    store.ok('sweep')
    assert not store.leftovers()


def fail_call(store, scenario, number, error, sticky):
    """Runs the command with its call `number` failing; what failed, None if there is no such call."""
    command = prepare(store, scenario)
    log = store.path.parent / 'failed'
    log.unlink(missing_ok=True)
    env = {'LD_PRELOAD': str(store.tests / 'libfailfs.so'), 'FAILFS_ROOT': str(store.path),
           'FAILFS_AT': str(number), 'FAILFS_ERRNO': str(error), 'FAILFS_LOG': str(log)}
    if sticky:
        env['FAILFS_STICKY'] = '1'
    result = store.run(*command, env=env)
    failed = log.read_text().splitlines() if log.exists() else None
    assert failed or result.returncode == 0, result
    if result.returncode:
        assert os.strerror(error) in result.stderr, (result, failed)
        assert str(store.path) in result.stderr, (result, failed)
    check_whole(store, scenario, result.returncode != 0)
    return failed


@pytest.mark.parametrize('sticky', [False, True], ids=['once', 'from then on'])
@pytest.mark.parametrize('error', [errno.ENOSPC, errno.EIO], ids=['ENOSPC', 'EIO'])
@pytest.mark.parametrize('scenario', SCENARIOS)
def test_each_call_fails(store, scenario, error, sticky):
    seen = set()
    for number in range(1, CALLS_MAX):
        failed = fail_call(store, scenario, number, error, sticky)
        if failed is None:
            break
        seen.add(failed[0].split()[0])
    else:
        raise AssertionError(f'more than {CALLS_MAX} calls')
    assert 'fsync' in seen and len(seen) > 1, seen


def points():
    found = set()
    for path in TOP.glob('machine/core/*.c'):
        found.update(re.findall(r'fault_point\("(store\.[^"]+)"\)', path.read_text()))
    return sorted(found)


@pytest.mark.parametrize('point', points())
def test_killed(tmp_path, point):
    store, killed = Store(tmp_path, fault=True), 0
    for scenario in SCENARIOS:
        for number in range(1, CALLS_MAX):
            command = prepare(store, scenario)
            env = {'MACHINE_TEST_FAULT': f'{point}:{number}'}
            result = store.run(*command, env=env)
            if result.returncode == 0:
                break
            assert result.returncode == -9, result
            killed += 1
            check_whole(store, scenario, failed=True)
    assert killed, 'no scenario passes this point; are fault points compiled in?'


def finish(processes, timeout=120):
    end = time.monotonic() + timeout
    try:
        results = []
        for process in processes:
            out, err = process.communicate(timeout=max(0.1, end - time.monotonic()))
            results.append((process.returncode, out, err))
        return results
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def test_ten_processes_do_anything(store):
    store.ok('ensure')
    workers = [store.start('hammer', seed, 150, stdin=subprocess.DEVNULL) for seed in range(10)]
    for status, _, err in finish(workers):
        assert status == 0, err
    store.ok('sweep')
    assert not store.leftovers()
    for name in store.ok('list').split():
        assert store.value(name)


def test_some_of_ten_are_killed(store):
    store.ok('ensure')
    luck = random.Random(4711)
    doomed = [store.start('hammer', seed, 100000, stdin=subprocess.DEVNULL) for seed in range(5)]
    others = [store.start('hammer', seed, 100, stdin=subprocess.DEVNULL) for seed in range(50, 55)]
    for process in doomed:
        time.sleep(luck.uniform(0.05, 0.3)) # any moment is as good as another
        process.kill()
    finish(doomed)
    for status, _, err in finish(others):
        assert status == 0, err
    store.ok('sweep')
    assert not store.leftovers()
    for name in store.ok('list').split():
        assert store.value(name)
        store.ok('remove', name)


def test_no_update_is_lost(store):
    store.ok('claim', 'web', '0')
    workers = [store.start('count', 'web', 20, stdin=subprocess.DEVNULL) for _ in range(10)]
    for status, _, err in finish(workers):
        assert status == 0, err
    assert store.value('web') == '200'


def test_one_of_many_claims_wins(store):
    claims = [store.start('claim', 'web', n, stdin=subprocess.DEVNULL) for n in range(20)]
    results = finish(claims)
    winners = [n for n, (status, _, _) in enumerate(results) if status == 0]
    assert len(winners) == 1
    assert store.value('web') == str(winners[0])
    for status, _, err in results:
        assert status == 0 or err == 'Docker machine "web" already exists\n'
    assert not store.leftovers()


def test_a_hundred_wait_for_the_certificates(store):
    store.ok('ensure')
    waiters = [store.start('lock', '-', 0, stdin=subprocess.DEVNULL) for _ in range(100)]
    for status, out, err in finish(waiters, timeout=60):
        assert (status, out) == (0, 'locked\n'), err


def test_the_lock_of_a_killed_process(store):
    store.ok('ensure')
    holder = store.start('lock', 'web', 0, stdin=subprocess.PIPE)
    assert holder.stdout.readline() == 'locked\n'
    text = store.fails('lock', 'web', 200)
    assert f'machine "web" is locked by process {holder.pid} (waited 0.' in text
    assert store.ok('lock', '-', 200) == 'locked'
    waiter = store.start('lock', 'web', 0, stdin=subprocess.DEVNULL)
    assert waiter.stderr.readline() == \
        f'Waiting for machine "web", in use by process {holder.pid}...\n'
    holder.kill()
    assert [status for status, _, _ in finish([holder, waiter])] == [-9, 0]


@pytest.fixture
def small_disk(tmp_path):
    """A mount of 128 KiB that only a process of ours sees; a store on it, by way of that process."""
    if os.geteuid() != 0:
        pytest.skip('mounting needs root')
    script = f'mount -t tmpfs -o size=128k,nr_inodes=60 tmpfs {tmp_path} && echo ready && ' \
        'while read -r command; do $command; echo "$?"; done'
    holder = subprocess.Popen(['unshare', '--mount', 'sh', '-c', script], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == 'ready\n', 'cannot mount'
        inside = next(p for p in [holder.pid, *children(holder.pid)]
                      if os.readlink(f'/proc/{p}/ns/mnt') != os.readlink('/proc/self/ns/mnt'))
        store = Store(TOP.__class__(f'/proc/{inside}/root{tmp_path}'))

        def mounted(command):
            holder.stdin.write(command + '\n')
            holder.stdin.flush()
            assert holder.stdout.readline() == '0\n', command
        store.mounted = mounted
        store.folder = tmp_path
        yield store
    finally:
        holder.kill()
        holder.communicate()


def children(pid):
    with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as handle:
        return [int(child) for child in handle.read().split()]


def fill(path):
    """Writes until the disk is full."""
    with open(path, 'wb', buffering=0) as handle:
        try:
            while True:
                handle.write(b'x' * 512)
        except OSError as err:
            assert err.errno == errno.ENOSPC


def test_a_full_disk(small_disk):
    store = small_disk
    machine(store)
    store.ok('claim', 'other', 'other')
    filler = store.path.parent / 'filler'
    fill(filler)
    text = store.fails('save', 'web', 'new')
    assert 'web/config.json: No space left on device' in text
    text = store.fails('claim', 'third', 'new')
    assert 'No space left on device' in text and 'third' in text
    assert store.ok('list').split() == ['other', 'web']
    assert store.value('web') == 'old'
    assert not store.leftovers()
    store.ok('remove', 'other')
    filler.unlink()
    store.ok('save', 'web', 'new')
    store.ok('claim', 'third', 'new')
    assert (store.value('web'), store.value('other'), store.value('third')) == ('new', None, 'new')


def test_no_inode_left(small_disk):
    store = small_disk
    machine(store)
    store.ok('save', 'web', 'old')
    for number in range(60):
        try:
            (store.path.parent / f'f{number}').touch()
        except OSError as err:
            assert err.errno == errno.ENOSPC
            break
    assert 'No space left on device' in store.fails('save', 'web', 'new')
    assert 'No space left on device' in store.fails('claim', 'third', 'new')
    assert store.value('web') == 'old' and not store.leftovers()
    store.ok('remove', 'web')


def test_a_store_that_cannot_be_written(small_disk):
    store = small_disk
    old_machine(store)
    store.ok('claim', 'new', 'new')
    store.mounted(f'mount -o remount,ro {store.folder}')
    assert store.ok('list').split() == ['new', 'web']
    assert (store.value('web'), store.value('new')) == ('old', 'new')
    for command in ['save', 'web', 'x'], ['claim', 'x', 'x'], ['remove', 'web']:
        assert 'Read-only file system' in store.fails(*command)
    store.mounted(f'mount -o remount,rw {store.folder}')
    store.ok('save', 'web', 'x')
    assert json.loads((store.machines / 'web' / 'config.json.bak').read_text()) == V0


def test_a_mount_in_a_machine(small_disk):
    store = small_disk
    machine(store)
    inside = store.machines / 'web' / 'disk'
    inside.mkdir()
    (store.path.parent / 'precious').mkdir()
    (store.path.parent / 'precious' / 'file').touch()
    where = f'{store.folder}/store/machines/web/disk'
    store.mounted(f'mount --bind {store.folder}/precious {where}')
    assert 'busy' in store.fails('remove', 'web')
    assert (inside / 'file').exists() and store.value('web') == 'old'
    store.mounted(f'umount {where}')
    store.ok('remove', 'web')
    assert (store.path.parent / 'precious' / 'file').exists()
