"""Part "many" of scripts/bench: many machines made by one command of the driver amazonec2, at a provider that is played
(tests/fakes/ec2) and serves only so many requests a second. The hosts are played, too (tests/fakes/ec2/fleet.py): each is
there once its instance runs, and is provisioned by SSH."""

import collections
import contextlib
import getpass
import os
import pathlib
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / 'tests'))

from fakes.ec2 import Ec2  # noqa: E402
from fakes.ec2.fleet import Fleet, addresses_of  # noqa: E402
from sshd import free_port  # noqa: E402

COUNT, BOOT_S, RATE = 200, 30.0, 20.0
# what each machine has to ask for itself: whether the name of its key is free, the key's import, the launch
REQUESTS_EACH = 3
SAMPLE_S = 0.25


def limit_s(count, boot_s, rate):
    """As fast as the provider lets anybody: the last host begins to boot when all requests before it are served; the
    first requests of a second come at once."""
    return max(0.0, REQUESTS_EACH * count - rate) / rate + boot_s


def watch(process, memory_of):
    """(wall time, peak of all processes' memory in MiB) of a process that was started."""
    began, peak = time.monotonic(), 0.0
    while process.poll() is None:
        peak = max(peak, memory_of(process.pid))
        time.sleep(SAMPLE_S)
    return time.monotonic() - began, peak


def played_cloud(stack, folder, count, boot_s, rate, certs):
    """(the fake, the port for SSH); its hosts are in `folder`."""
    addresses = addresses_of(count)
    ec2, port = stack.enter_context(Ec2(addresses=addresses)), free_port()
    ec2.account.instances_max = count
    ec2.account.pace['pending'] = (0, boot_s)
    stack.enter_context(Fleet(ec2, folder, certs, port, addresses))
    ec2.faults.limit(rate)
    return ec2, port


def report(ec2, title, seconds, limit, mib, status):
    throttled = sum(1 for request in ec2.log.requests if request.status == 503)
    print(f'{title}: {seconds:.1f} s, {seconds / limit:.2f} of the provider\'s limit ({limit:.1f} s), {mib:.0f} MiB at most, '
          f'status {status}\n  {len(ec2.log.requests) - throttled} requests served, {throttled} throttled', flush=True)
    for action, times in sorted(collections.Counter(ec2.log.actions()).items()):
        print(f'  {times:6} {action}')


def run(words, program, env, folder, memory_of):
    """words: COUNT, BOOT in seconds, RATE in requests a second, PARALLEL; each may be left out."""
    numbers = [float(w) for w in words] + [COUNT, BOOT_S, RATE, 0][len(words):]
    count, boot_s, rate, parallel = int(numbers[0]), numbers[1], numbers[2], int(numbers[3])
    folder, certs = pathlib.Path(folder), pathlib.Path(env['MACHINE_STORAGE_PATH']) / 'certs'
    with contextlib.ExitStack() as stack:
        ec2, port = played_cloud(stack, folder / 'cloud', count, boot_s, rate, certs)
        env = {**env, **ec2.environment(), 'AWS_ENDPOINT': ec2.url, 'AWS_ZONE': 'us-east-1a'}
        show = ['--debug'] if os.environ.get('SHOW') else []
        argv = [program, *show, 'create', '-d', 'amazonec2', '--engine-install-url', 'none', '--amazonec2-ssh-port', str(port),
                '--amazonec2-ssh-user', getpass.getuser(), '--progress', 'none', '--parallel', str(parallel),
                '--count', str(count), '--name', 'w{n}']
        with open(folder / 'table', 'w+', encoding='utf-8') as table:
            process = subprocess.Popen(argv, env=env, stderr=table, stdout=subprocess.DEVNULL)
            seconds, mib = watch(process, memory_of)
            table.seek(0)
            if process.returncode or show:
                print(table.read(), file=sys.stderr)
        report(ec2, f'create {count} machines, {parallel or "as usual"} at once', seconds, limit_s(count, boot_s, rate), mib,
               process.returncode)
