#!/usr/bin/python3
"""bench [N]...: what commands cost in time, processes and memory, over N machines of driver none.

N defaults to 10 100 400 1000. PEER=PROGRAM names another docker-machine to compare with: the last
columns are then its figures divided by ours. Nothing is asserted here.

The memory is the peak of the sum of all processes' proportional shares (PSS), sampled in a run of
its own. There strace holds each process for a moment before it exits, so that none comes and goes
between two samples. strace also counts the processes.
"""

import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
OURS = TOP / 'build' / 'machine' / 'cli' / 'machine'
REPEAT = 7
HOLD_MS = 150 # below the grace that a driver has for its end


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


def is_strace(pid):
    """Also the process that is about to become ours."""
    try:
        return os.path.basename(os.readlink(f'/proc/{pid}/exe')) == 'strace'
    except OSError:
        return True


def seconds(argv, env):
    times = []
    for _ in range(REPEAT):
        began = time.monotonic()
        subprocess.run(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.monotonic() - began)
        if sum(times) > 20:
            break
    return statistics.median(times)


def peak_mib(argv, env):
    hold = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=exit_group', '-e', 'signal=none',
            '-e', f'inject=exit_group:delay_enter={HOLD_MS}000']
    child = subprocess.Popen(hold + argv, env=env, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    peak, done = 0, threading.Event()

    def sample():
        nonlocal peak
        while not done.is_set():
            peak = max(peak, sum(pss_kib(pid) for pid in tree(child.pid) if not is_strace(pid)))

    sampler = threading.Thread(target=sample)
    sampler.start()
    child.wait()
    done.set()
    sampler.join()
    return peak / 1024


def processes(argv, env):
    """Processes made in all, the program's own included."""
    with tempfile.NamedTemporaryFile(mode='r') as out:
        trace = ['strace', '-f', '-qq', '-e', 'trace=execve', '-e', 'signal=none', '-o', out.name]
        subprocess.run(trace + argv, env=env, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        return len(set(re.findall(r'^(\d+) +execve\(.*= 0$', out.read(), re.M)))


def measure(program, command, env):
    argv = [str(program), *command]
    return seconds(argv, env), processes(argv, env), peak_mib(argv, env)


def row(label, command, env, peer):
    ours = measure(OURS, command, env)
    text = f'{label:22} {ours[0] * 1000:9.1f} {ours[1]:6d} {ours[2]:8.1f}'
    if peer:
        theirs = measure(peer, command, env)
        ratios = [t / o if o else 0 for t, o in zip(theirs, ours)]
        text += ''.join(f' {ratio:8.1f}x' for ratio in ratios)
    print(text, flush=True)


def grow(env, have, want):
    """Machines of driver none; the same store serves the peer too."""
    for first in range(have, want, 16):
        batch = [subprocess.Popen([OURS, 'create', '-d', 'none', '--url', 'tcp://127.0.0.1:1',
                                   f'm{i:05}'], env=env, stdout=subprocess.DEVNULL)
                 for i in range(first, min(first + 16, want))]
        for process in batch:
            if process.wait():
                sys.exit('bench: create failed')


def main():
    counts = [int(a) for a in sys.argv[1:]] or [10, 100, 400, 1000]
    peer = os.environ.get('PEER')
    title = f'{"":22} {"ms":>9} {"procs":>6} {"MiB":>8}'
    print(title + (f' {"time":>9} {"procs":>9} {"memory":>9}' if peer else ''))
    with tempfile.TemporaryDirectory() as folder:
        env = {'PATH': os.environ['PATH'], 'HOME': folder, 'USER': 'bench', 'LANG': 'C.UTF-8',
               'MACHINE_STORAGE_PATH': f'{folder}/store'}
        row('version', ['version'], env, peer)
        have = 0
        for count in sorted(counts):
            grow(env, have, count)
            have = count
            row(f'ls, {count} machines', ['ls'], env, peer)
            row(f'ls -q, {count} machines', ['ls', '-q'], env, peer)


main()
