"""Part "many" of scripts/bench: many machines made by one command, at a provider that is simulated
(tests/fakes/machine-driver-cloud) and serves only so many requests a second."""

import os
import pathlib
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
COUNT, BOOT_S, RATE = 200, 30.0, 20.0
REQUESTS_EACH = 2 # a create makes the host, and looks at it once it runs
SAMPLE_S = 0.25


def limit_s(count, boot_s, rate):
    """As fast as the provider lets anybody: the last host begins when all others have their request;
    the first requests of a second come at once."""
    begun = max(0.0, count - rate) / rate
    return max(begun + boot_s, (REQUESTS_EACH * count - rate) / rate)


def watch(process, memory_of):
    """(wall time, peak of all processes' memory in MiB) of a process that was started."""
    began, peak = time.monotonic(), 0.0
    while process.poll() is None:
        peak = max(peak, memory_of(process.pid))
        time.sleep(SAMPLE_S)
    return time.monotonic() - began, peak


def run(words, program, env, folder, memory_of):
    """words: COUNT, BOOT in seconds, RATE in requests a second, PARALLEL; each may be left out."""
    numbers = [float(w) for w in words] + [COUNT, BOOT_S, RATE, 0][len(words):]
    count, boot_s, rate, parallel = int(numbers[0]), numbers[1], numbers[2], int(numbers[3])
    cloud = pathlib.Path(folder) / 'cloud'
    cloud.mkdir()
    env = {**env, 'MACHINE_DRIVER_PATH': str(TOP / 'tests' / 'fakes'), 'CLOUD_DIR': str(cloud),
           'CLOUD_BOOT': str(boot_s), 'CLOUD_RATE': str(rate)}
    for at_once in [parallel] if parallel else [0, count]:
        for file in cloud.iterdir():
            file.unlink()
        argv = [program, 'create', '-d', 'cloud', '--progress', 'none', '--parallel', str(at_once),
                '--count', str(count), '--name', f'at{at_once}-{{n}}']
        with open(cloud / 'table', 'w', encoding='utf-8') as table:
            process = subprocess.Popen(argv, env=env, stderr=table)
            seconds, mib = watch(process, memory_of)
        if process.returncode:
            print((cloud / 'table').read_text(encoding='utf-8'), file=sys.stderr)
        served, throttled = (os.path.getsize(cloud / name) if (cloud / name).exists() else 0
                             for name in ('served', 'throttled'))
        print(f'create {count} machines, {at_once or "as usual"} at once: {seconds:.1f} s '
              f'(the provider\'s limit: {limit_s(count, boot_s, rate):.1f} s), {mib:.0f} MiB at most, '
              f'{served} requests served, {throttled} throttled, status {process.returncode}')
