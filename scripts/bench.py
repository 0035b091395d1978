#!/usr/bin/python3
"""bench [N]... | bench many [COUNT [BOOT [RATE [PARALLEL]]]]: what commands cost in time, processors'
time, processes and memory.

First the commands about one machine (its engine is a TLS server here), then ls over N machines of
driver none; N defaults to 10 100 1000 10000. PEER=PROGRAM names another docker-machine to compare
with: the last columns are then its figures divided by ours. Nothing is asserted here.

"many" makes COUNT machines (200) with one command of the driver amazonec2, at a provider that is
simulated: instances need BOOT seconds (30), RATE requests a second (20) are served. PARALLEL left out:
as many at once as usual. SHOW=1 shows what the command says.

Times are medians. The memory is the peak of the sum of all processes' proportional shares (PSS),
sampled in a run of its own. There strace holds each process for a moment before it exits, so that
none comes and goes between two samples. strace also counts the processes.
"""

import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
sys.dont_write_bytecode = True

from engine import Engine  # noqa: E402

import bench_creates  # noqa: E402

OURS = TOP / 'build' / 'machine' / 'cli' / 'machine'
REPEAT = 15
PATIENCE_S = 20 # no more runs of a command after this
HOLD_MS = 150 # below the grace that a driver has for its end
NAME = 'm00000'
ONE = ['status', 'ip', 'url', 'env', 'config', 'inspect', 'active', 'ls']
COLUMNS = {'ms': '9.1f', 'cpu ms': '9.1f', 'procs': '6.0f', 'MiB': '8.1f'}


def tree(root):
    """A process and its descendants."""
    found, todo = [root], [root]
    while todo:
        pid = todo.pop()
        try:
            tasks = os.listdir(f'/proc/{pid}/task')
            texts = [pathlib.Path(f'/proc/{pid}/task/{t}/children').read_text() for t in tasks]
        except OSError: # it ended meanwhile
            continue
        children = [int(child) for text in texts for child in text.split()]
        found += children
        todo += children
    return found


def pss_kib(pid):
    try:
        text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
    except OSError:
        return 0
    match = re.search(r'^Pss:\s+(\d+)', text, re.M)
    return int(match.group(1)) if match else 0


def program_of(pid):
    """What it runs, and with what arguments; None if it is gone."""
    try:
        return os.readlink(f'/proc/{pid}/exe'), pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()
    except OSError:
        return None


def memory_mib(root):
    """Of a process and its descendants. strace is none of ours; and a process that is about to run another
    program has no memory of its own yet, but its maker's."""
    total, programs = 0, {}
    for pid in tree(root):
        programs[pid] = program = program_of(pid)
        if not program or os.path.basename(program[0]) == 'strace':
            continue
        if program != programs.get(parent_of(pid)):
            total += pss_kib(pid)
    return total / 1024


def parent_of(pid):
    try:
        return int(pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[1])
    except OSError:
        return None


def quiet(argv, env):
    return subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def times_ms(argv, env):
    """Wall and processors' time; the latter with that of all processes that were waited for."""
    walls, cpus = [], []
    for _ in range(REPEAT):
        began = time.monotonic()
        child = quiet(argv, env)
        _, status, usage = os.wait4(child.pid, 0)
        walls.append((time.monotonic() - began) * 1000)
        cpus.append((usage.ru_utime + usage.ru_stime) * 1000)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f'bench: {" ".join(argv)}: status {child.returncode}')
        if sum(walls) > PATIENCE_S * 1000:
            break
    return statistics.median(walls), statistics.median(cpus)


def peak_mib(argv, env):
    hold = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=exit_group', '-e', 'signal=none',
            '-e', f'inject=exit_group:delay_enter={HOLD_MS}000']
    child = quiet(hold + argv, env)
    peak, done = 0, threading.Event()

    def sample():
        nonlocal peak
        while not done.is_set():
            peak = max(peak, memory_mib(child.pid))

    sampler = threading.Thread(target=sample)
    sampler.start()
    child.wait()
    done.set()
    sampler.join()
    return peak


def processes(argv, env):
    """Processes made in all, the program's own included."""
    with tempfile.NamedTemporaryFile(mode='r') as out:
        trace = ['strace', '-f', '-qq', '-e', 'trace=execve', '-e', 'signal=none', '-o', out.name]
        quiet(trace + argv, env).wait()
        return len(set(re.findall(r'^(\d+) +execve\(.*= 0$', out.read(), re.M)))


def measure(program, command, env):
    argv = [str(program), *command]
    return [*times_ms(argv, env), processes(argv, env), peak_mib(argv, env)]


def row(label, command, env, peer):
    """Prints a line; returns the memory."""
    ours = measure(OURS, command, env)
    text = f'{label:20}' + ''.join(f' {v:{form}}' for v, form in zip(ours, COLUMNS.values()))
    if peer:
        theirs = measure(peer, command, env)
        text += ''.join(f' {t / o if o else 0:7.1f}x' for t, o in zip(theirs, ours))
    print(text, flush=True)
    return ours[-1]


def grow(store, have, want):
    """Copies of the first machine under other names; the same store serves the peer too."""
    first = store / 'machines' / NAME
    for number in range(have, want):
        name = f'm{number:05}'
        folder = store / 'machines' / name
        shutil.copytree(first, folder)
        config = folder / 'config.json'
        config.write_text(config.read_text().replace(NAME, name))


def make_first(env, url):
    subprocess.run([OURS, 'create', '-d', 'none', '--url', url, NAME], env=env, check=True,
                   stdout=subprocess.DEVNULL)


def bench_one(folder, env, peer):
    """The commands about one machine, whose engine answers."""
    make_first(env, 'tcp://127.0.0.1:1') # the certificates
    store = pathlib.Path(env['MACHINE_STORAGE_PATH'])
    engine = Engine(store / 'certs', folder)
    try:
        config = store / 'machines' / NAME / 'config.json'
        document = json.loads(config.read_text())
        document['Driver']['URL'] = engine.url
        config.write_text(json.dumps(document, indent=4))
        env = {**env, 'DOCKER_HOST': engine.url}
        row('version', ['version'], env, peer)
        for command in ONE:
            row(command, [command] if command in ('active', 'ls') else [command, NAME], env, peer)
    finally:
        engine.close()
        shutil.rmtree(store / 'machines')


def bench_many(env, peer, counts):
    make_first(env, 'tcp://127.0.0.1:1')
    have, known = 1, None
    for count in sorted(counts):
        grow(pathlib.Path(env['MACHINE_STORAGE_PATH']), have, count)
        have = count
        mib = row(f'ls, {count} machines', ['ls'], env, peer)
        row(f'ls -q, {count} machines', ['ls', '-q'], env, peer)
        if known:
            each = (mib - known[1]) * 1024 / (count - known[0])
            print(f'{"":20} {each:.1f} KiB for each machine more')
        known = count, mib


def main_many(words):
    with tempfile.TemporaryDirectory() as folder:
        env = environment(folder)
        make_first(env, 'tcp://127.0.0.1:1') # the certificates
        bench_creates.run(words, OURS, env, folder, memory_mib)


def environment(folder):
    return {'PATH': os.environ['PATH'], 'HOME': folder, 'USER': 'bench', 'LANG': 'C.UTF-8',
            'SHELL': '/bin/bash', 'MACHINE_STORAGE_PATH': f'{folder}/store'}


def main():
    if sys.argv[1:2] == ['many']:
        main_many(sys.argv[2:])
        return
    counts = [int(a) for a in sys.argv[1:]] or [10, 100, 1000, 10000]
    peer = os.environ.get('PEER')
    title = ''.join(f' {name:>{form.split(".")[0]}}' for name, form in COLUMNS.items())
    print(f'{"":20}' + title + (''.join(f' {n:>8}' for n in ('time', 'cpu', 'procs', 'memory'))
                                 if peer else ''))
    with tempfile.TemporaryDirectory() as folder:
        env = environment(folder)
        bench_one(folder, env, peer)
        bench_many(env, peer, counts)


main()
