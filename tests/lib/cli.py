"""Runs the program as a user does: a store of its own, a clean environment, nothing left behind.

The test process is a child subreaper: whatever a command leaves running becomes a child of the
test, and is found (and killed) after each command.
"""

import copy
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
FAKES = TOP / 'tests' / 'fakes'
PR_SET_CHILD_SUBREAPER = 36
EXIT_GRACE = 2.0


def build_dir(fault=False):
    name = os.environ.get('MACHINE_BUILD_DIR', 'build')
    if fault:
        name = os.environ.get('MACHINE_FAULT_BUILD_DIR', 'build-fault')
    return (TOP / name).resolve()


def become_subreaper():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), 'prctl')


def _stat(pid):
    """(state, parent) of a process; None if it is gone."""
    try:
        fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
        return fields[0], int(fields[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def process_state(pid):
    """As ps has it: R, S, T …; None if it is gone."""
    stat = _stat(pid)
    return stat[0] if stat and stat[0] != 'Z' else None


def descendants(root):
    parents = {}
    for name in os.listdir('/proc'):
        if name.isdigit() and (stat := _stat(name)):
            parents[int(name)] = stat[1]
    found, todo = [], [root]
    while todo:
        parent = todo.pop()
        new = [pid for pid, up in parents.items() if up == parent]
        found += new
        todo += new
    return found


def command_line(pid):
    try:
        return pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().replace(b'\0', b' ').decode(
            errors='replace').strip()
    except OSError:
        return '?'


def of_a_host(pid):
    """Is it one of the test hosts (hosts.py), which may restart while a command runs?"""
    mark = f'mt{os.getpid()}h'
    try:
        groups = pathlib.Path(f'/proc/{pid}/cgroup').read_text()
    except OSError:
        return False
    return mark in groups or mark in command_line(pid)


def words_of(pid):
    try:
        return pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().decode(errors='replace').split('\0')
    except OSError:
        return []


def local_hosts(below='/'):
    """The processes, by their ids, that are machines of the drivers qemu and nspawn with files
    below a folder; they outlive the command that started them."""
    found = []
    for name in os.listdir('/proc'):
        words = words_of(name) if name.isdigit() else []
        programs = [os.path.basename(w) for w in words[:2]]
        if (('--supervise' in words or 'virtiofsd' in programs
             or any(p.startswith('qemu-system-') for p in programs))
                and any(str(below) in w for w in words)):
            found.append(int(name))
    return found


def of_local_hosts():
    hosts = local_hosts()
    return set(hosts).union(*map(descendants, hosts))


class Result:
    def __init__(self, argv, status, out, err, seconds, leftovers):
        self.argv, self.status, self.out, self.err = argv, status, out, err
        self.seconds, self.leftovers = seconds, leftovers

    @property
    def text(self):
        return self.out + self.err

    def __repr__(self):
        return (f'$ {" ".join(map(str, self.argv))}\nstatus {self.status} after '
                f'{self.seconds:.2f} s\n--- stdout\n{self.out}--- stderr\n{self.err}')


class Running:
    """A command that was started and not yet waited for. Several may run at a time, in threads, too: what
    the others still do is none of a command's leftovers."""

    active = set() # the processes of all of them; each leads a session
    starting = threading.Lock() # held while there is one that is not in `active` yet

    def __init__(self, argv, env, cwd, stdin=None):
        self.argv, self.began = argv, time.monotonic()
        self._before = set(descendants(os.getpid()))
        # files, not pipes: a child that keeps them must not make us wait
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self._in = tempfile.TemporaryFile()
        self._in.write((stdin or '').encode())
        self._in.seek(0)
        with self.starting:
            self.process = subprocess.Popen([str(a) for a in argv], env=env, cwd=cwd, stdin=self._in,
                                            stdout=self._out, stderr=self._err, start_new_session=True)
            self.active.add(self.process.pid)

    def _text(self, handle):
        handle.seek(0)
        return handle.read().decode(errors='replace')

    def output(self):
        return self._text(self._out) + self._text(self._err)

    def interrupt_twice(self):
        """Two wishes, not one that came twice: the program takes signals within 0.3 s for one."""
        self.process.send_signal(signal.SIGINT)
        end, heard = time.monotonic() + 20, None
        while heard is None or time.monotonic() - heard < 0.4:
            assert time.monotonic() < end, self.output()
            if heard is None and 'Interrupted' in self.output():
                heard = time.monotonic()
            time.sleep(0.02)
        self.process.send_signal(signal.SIGINT)

    def finish(self, timeout=60):
        timed_out = False
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
            self.process.kill()
            status = self.process.wait()
        seconds = time.monotonic() - self.began
        self.active.discard(self.process.pid)
        leftovers = reap(self._before)
        result = Result(self.argv, status, self._text(self._out), self._text(self._err), seconds,
                        leftovers)
        for handle in self._in, self._out, self._err:
            handle.close()
        if timed_out:
            raise AssertionError(f'no end after {timeout} s\n{result!r}')
        return result


def of_others():
    """The processes of commands that are not finished, and of the tests' own: those are in our session."""
    with Running.starting:
        active = list(Running.active)
    own = os.getsid(0)
    found = {pid for pid in descendants(os.getpid()) if session_of(pid) in (own, *active)}
    return found.union(active, *map(descendants, active))


def session_of(pid):
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def reap(before, grace=EXIT_GRACE, hosts_too=False):
    """What still runs of the descendants that are not in `before`, after a grace; killed. Machines
    of our local drivers are left alone, but for `hosts_too`: their tests see to them."""
    end = time.monotonic() + grace
    while True:
        left = []
        for pid in descendants(os.getpid()):
            if pid in before:
                continue
            stat = _stat(pid)
            if stat and stat[0] == 'Z' and stat[1] == os.getpid():
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass
            elif stat and stat[0] != 'Z' and not of_a_host(pid):
                left.append(pid)
        if left and not hosts_too:
            kept = of_local_hosts() | of_others()
            # one that has ended since may be another command's, which is not among them any more
            left = [pid for pid in left if pid not in kept and process_state(pid)]
        if not left or time.monotonic() > end:
            break
        time.sleep(0.02)
    names = [f'{pid} {command_line(pid)}' for pid in left]
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return names


class Cli:
    """The program with a store of its own below `folder`."""

    def __init__(self, folder, build=None):
        self.folder = pathlib.Path(folder)
        self.build = build or build_dir()
        self.program = self.build / 'machine' / 'cli' / 'machine'
        self.store = self.folder / 'store'
        self.home = self.folder / 'home'
        self.flaky = self.folder / 'flaky'
        self.prefix = () # what runs it: in another network, as another user
        for path in self.home, self.flaky:
            path.mkdir(exist_ok=True)
        self.env = {
            'PATH': os.environ.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin'), 'LANG': 'C.UTF-8',
            'HOME': str(self.home), 'USER': 'tester', 'SHELL': '/bin/bash',
            'MACHINE_STORAGE_PATH': str(self.store), 'MACHINE_DRIVER_PATH': str(FAKES),
            'FLAKY_DIR': str(self.flaky),
            'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', 'detect_leaks=0'),
            'UBSAN_OPTIONS': os.environ.get('UBSAN_OPTIONS', 'halt_on_error=1:print_stacktrace=1'),
        }

    def take_certs(self, certs):
        """Starts from a CA and client pair that exist; making them costs a second or more."""
        self.store.mkdir(mode=0o700, exist_ok=True)
        shutil.copytree(certs, self.store / 'certs')
        return self

    def called(self, name):
        """The same, by another name."""
        other = copy.copy(self)
        other.program = self.folder / name
        if not other.program.is_symlink():
            other.program.symlink_to(self.program)
        return other

    def start(self, *args, env=None, stdin=None, prefix=()):
        merged = {**self.env, **(env or {})}
        return Running([*self.prefix, *prefix, self.program, *args], merged, self.folder, stdin)

    def run(self, *args, env=None, stdin=None, timeout=60, prefix=(), clean=True):
        """Runs to the end; with `clean`, insists that no process is left."""
        result = self.start(*args, env=env, stdin=stdin, prefix=prefix).finish(timeout)
        assert 'Sanitizer' not in result.err and 'runtime error:' not in result.err, result
        if clean:
            assert not result.leftovers, f'left running: {result.leftovers}\n{result!r}'
        return result

    def ok(self, *args, **kwargs):
        result = self.run(*args, **kwargs)
        assert result.status == 0, result
        return result

    def fails(self, *args, status=1, **kwargs):
        result = self.run(*args, **kwargs)
        assert result.status == status, result
        return result

    def create_none(self, name, url='tcp://127.0.0.1:1'):
        return self.ok('create', '-d', 'none', '--url', url, name)

    def create_flaky(self, name, script=None, **kwargs):
        return self.ok(*flaky_create(name, script), **kwargs)

    def calls(self, method=None, name=None):
        """The requests that flaky drivers got, as (pid, method, machine)."""
        path = self.flaky / 'calls'
        rows = [tuple(l.split(' ')) for l in path.read_text().splitlines()] if path.exists() else []
        return [r for r in rows if method in (None, r[1]) and name in (None, r[2])]

    def resources(self, name):
        """What flaky's "cloud" has for a machine; the driver knows it by its state alone."""
        return [p.name for p in self.flaky.glob(f'resource-{name}-*')]

    def config(self, name):
        return json.loads((self.store / 'machines' / name / 'config.json').read_text())

    def names(self):
        return self.ok('ls', '-q').out.split()

    def set_script(self, name, script):
        """Changes what a flaky machine's driver will do, in its stored state."""
        path = self.store / 'machines' / name / 'config.json'
        config = json.loads(path.read_text())
        config['Driver']['Script'] = script
        path.write_text(json.dumps(config, indent=4))

    def assert_whole(self):
        """Every machine's config.json parses, nothing half-made is visible, ls works."""
        machines = self.store / 'machines'
        present = sorted(p.name for p in machines.iterdir() if not p.name.startswith('.')) \
            if machines.exists() else []
        for name in present:
            self.config(name)
        assert sorted(self.names()) == present


def flaky_create(name, script=None):
    return ['create', '-d', 'flaky', '--flaky-script', json.dumps(script or {}), name]


def like_flaky(folder, name, *changes):
    """A driver that is flaky but for some texts: pairs of old and new, as in the source. Returns the
    environment that finds it."""
    text = (FAKES / 'machine-driver-flaky').read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file = folder / f'machine-driver-{name}'
    file.write_text(text)
    file.chmod(0o755)
    return {'MACHINE_DRIVER_PATH': str(folder)}
