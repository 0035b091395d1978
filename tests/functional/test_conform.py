"""`machine driver test`: drivers that keep the rules pass; each that breaks one fails at that one.

A run waits more than it works, so the runs over the broken drivers share a few threads.
"""

import concurrent.futures
import os
import pathlib
import py_compile
import re
import signal
import subprocess
import time
import types

import pytest

import cli as cli_module

HERE = pathlib.Path(__file__).resolve().parent
BUILD = cli_module.build_dir()
MACHINE = BUILD / 'machine' / 'cli' / 'machine'
LINE = re.compile(r'(ok  |FAIL|skip) ([A-Z]\d+) +(\S.*)')
SECRET = 'hunter2-hunter2'
AT_A_TIME = 4
SHARED = {'try_driver': ('', 'all')}
NO_PARAMS = types.SimpleNamespace(params={})

# What is broken, and the rules that fail by it.
BROKEN = {
    'R8': {'R8'}, 'I1': {'I1'}, 'I1-other': {'I1'}, 'I2': {'I2'}, 'I3': {'I3'}, 'I4': {'I4'},
    'G1': {'G1'}, 'G2': {'G2'}, 'G3': {'G3'}, 'G4': {'G4'}, 'I6': {'I6'}, 'Q1-idle': {'Q1'}, 'Q1-busy': {'Q1'}, 'Q1-child': {'Q1'},
    'R9': {'R9'}, 'R5': {'R5'}, 'R5-notification': {'R5', 'R7'}, 'R6-params': {'R6'},
    'R6-message': {'R6'}, 'X4': {'X4'}, 'J2': {'J2'}, 'J2-depth': {'J2'}, 'J3': {'J3'},
    'F2': {'F2'}, 'F3': {'F3'}, 'F4': {'F4'}, 'F5': {'F5'},
    'D1-writes': {'D1'}, 'D1-required': {'D1'}, 'D2': {'D2'}, 'D4-never': {'D4'},
    'D4-twice': {'D4'}, 'D3-again': {'D3'}, 'D3-waits': {'D3'}, 'M3-name': {'M3'},
    'M3-mode': {'M3'}, 'P4': {'P4'}, 'S1-order': {'S1'}, 'S1-fails': {'S1'}, 'S2': {'S2'},
    'S5': {'S5'}, 'S5-state': {'S5'}, 'M2': {'M2'}, 'M4-deep': {'M4'}, 'M4-large': {'M4'},
    'M4-checkpoint': {'M4'}, 'F4-header': {'F4'},
    'S3': {'S3'}, 'S4': {'S4'}, 'S6': {'S6'}, 'S7': {'S7'}, 'S7-list': {'S7'}, 'C1': {'C1'}, 'C1-states': {'C1'}, 'C3': {'C3'},
    'C4': {'C4'}, 'X2': {'X2'}, 'D5': {'D5'}, 'D6': {'D6'}, 'O1': {'O1'}, 'O2': {'O2'},
    'O3': {'O3'}, 'E1': {'E1'}, 'E2': {'E2'}, 'E3': {'E3'}, 'N1': {'N1'}, 'N2': {'N2'},
    'M4': {'M4'}, 'M5': {'M5'}, 'R1': {'R1'}, 'R2': {'R2'}, 'R4': {'R4'}, 'R7': {'R7'},
    'G4-shown': {'G4'}, 'G4-error': {'D2', 'G4'}, 'J1': {'D6', 'J1'}, 'F1': {'D3', 'F1'}, 'D3-dies': {'D3'},
}
# These wait until time is up; there must be enough of it for 8 MiB on a loaded computer.
HANGING = {'I1-hangs', 'D3-hangs', 'D3-floods'}
HOSTILE = {'I1-hangs': {'I1'}, 'D3-hangs': {'D3'}, 'D3-floods': {'D3'}, 'D3-closes': {'D3'},
           'C1-endless': {'C1', 'D3'}, 'D3-child': {'D3'}}
REASON = {'D3-child': 'was killed by signal 6', 'D3-closes': 'closed its standard output', 'D3-hangs': 'no answer in time'}


# Rules without a line of their own, and why.
NOT_REPORTED = {
    'the host keeps it': {'J4', 'M1', 'P1', 'P3', 'P5', 'Q2', 'V2', 'X1', 'X3', 'E4'},
    'part of F1': {'P2'}, 'part of J1': {'J5'}, 'the rules G': {'I5'}, 'J3 and R5': {'V1'},
    'a permission': {'N3'},
}


class Outcome:
    def __init__(self, run):
        self.status, self.out, self.err = run.returncode, run.stdout, run.stderr
        self.rules = [LINE.fullmatch(line) for line in self.out.splitlines()[:-1]]
        assert all(self.rules), self.out + self.err

    def those(self, word):
        return {m[2] for m in self.rules if m[1].strip() == word}

    def lines(self, word):
        return [m[0] for m in self.rules if m[1].strip() == word]


def conform(executable, *flags, seconds='20', **env):
    run = subprocess.run([MACHINE, 'driver', 'test', executable, *flags], text=True,
                         capture_output=True, timeout=240, errors='replace',
                         env={**os.environ, 'MACHINE_CONFORM_SECONDS': seconds, **env})
    return Outcome(run)


@pytest.fixture(scope='module')
def make_driver(tmp_path_factory):
    """Makes an executable of conform_driver; compiled once, for it is started thousands of times."""
    compiled = tmp_path_factory.mktemp('compiled')
    py_compile.compile(str(HERE / 'conform_driver.py'), str(compiled / 'conform_driver.pyc'), doraise=True)

    def make(folder, what):
        file = folder / 'machine-driver-broken'
        file.write_text(f'#!/usr/bin/python3 -S\nimport sys\nsys.path.insert(0, {str(compiled)!r})\n'
                        f'import conform_driver\nconform_driver.main({what!r})\n')
        file.chmod(0o755)
        return file
    return make


@pytest.fixture(scope='module')
def try_driver(request, make_driver, tmp_path_factory):
    """Runs the kit over the driver that breaks `what`; nothing may be left behind."""
    def run(what):
        folder = tmp_path_factory.mktemp('broken')
        root, tmp = folder / 'root', folder / 'tmp'
        root.mkdir()
        tmp.mkdir()
        outcome = conform(make_driver(folder, what), '--broken-root', root, f'--broken-token={SECRET}',
                          seconds='8' if what in HANGING else '20', TMPDIR=str(tmp))
        assert list(tmp.iterdir()) == []
        wait_until_gone(str(folder))
        outcome.left = list(root.iterdir())
        return outcome

    wanted = [item.callspec.params['what'] for item in request.session.items
              if item.module is request.module and 'what' in getattr(item, 'callspec', NO_PARAMS).params]
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        runs = {what: pool.submit(run, what) for what in ['', *wanted]}
        yield lambda what: runs[what].result()
        pool.shutdown(cancel_futures=True)


def wait_until_gone(text):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        left = [c for c in map(cli_module.command_line, cli_module.descendants(os.getpid())) if c and text in c]
        if not left:
            return
        time.sleep(0.05)
    raise AssertionError(left)


@pytest.mark.parametrize('name, flags', [
    ('none', ['--url', 'tcp://127.0.0.1:2376']),
    ('generic', None),
    ('example', ['--example-root']),
    ('pyexample', ['--pyexample-root']),
])
def test_our_drivers_keep_the_rules(name, flags, tmp_path):
    driver = BUILD / 'drivers' / f'machine-driver-{name}'
    if name == 'pyexample':
        driver = cli_module.TOP / 'drivers/sdk/example/machine-driver-pyexample'
    if name == 'generic':
        key = tmp_path / 'id_ed25519'
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key], check=True)
        flags = ['--generic-ip-address', '127.0.0.1', '--generic-ssh-key', key]
    elif name != 'none':
        flags = [*flags, tmp_path]
    outcome = conform(driver, *flags)
    assert outcome.lines('FAIL') == []
    assert outcome.status == 0
    assert re.fullmatch(r'\d+ passed, 0 failed, \d+ skipped', outcome.out.splitlines()[-1])


def test_the_whole_driver_passes(try_driver):
    outcome = try_driver('')
    assert outcome.lines('FAIL') == []
    assert outcome.status == 0
    assert outcome.left == []
    assert outcome.those('ok') >= {'C1', 'C3', 'C4', 'D3', 'D4', 'D5', 'G4', 'N1', 'N2', 'O2', 'X2'}


def test_every_rule_is_reported_on(try_driver):
    text = (cli_module.TOP / 'proto' / 'PROTOCOL.md').read_text()
    rules = set(re.findall(r'(?m)^- \*\*([A-Z]\d+)\*\*', text))
    assert len(rules) > 60
    reported = {m[2] for m in try_driver('').rules}
    assert reported | set().union(*NOT_REPORTED.values()) == rules
    assert not reported & set().union(*NOT_REPORTED.values())


def test_every_watched_rule_is_in_the_table():
    """The kit aborts over one that is not."""
    source = ''.join(p.read_text() for p in (cli_module.TOP / 'machine' / 'conform').glob('*.c'))
    used = set(re.findall(r'\b(?:broke|saw)\(\s*k,\s*"([A-Z]\d+)"', source))
    assert len(used) > 20 and used <= set(re.findall(r'\{\.id = "([A-Z]\d+)"', source))


@pytest.mark.parametrize('what', sorted(BROKEN))
@pytest.mark.sampled(4)
def test_a_broken_rule_fails(what, try_driver):
    outcome = try_driver(what)
    assert outcome.those('FAIL') == BROKEN[what], outcome.out
    assert outcome.status == 1
    assert f'{len(outcome.lines("FAIL"))} failed' in outcome.out.splitlines()[-1]
    assert SECRET not in outcome.out + outcome.err


@pytest.mark.parametrize('what', sorted(HOSTILE))
def test_a_hostile_driver_does_not_hang_the_kit(what, try_driver):
    outcome = try_driver(what)
    assert outcome.those('FAIL') == HOSTILE[what], outcome.out
    assert REASON.get(what, '') in outcome.out


def test_without_flags_the_machine_rules_are_skipped(make_driver, tmp_path):
    outcome = conform(make_driver(tmp_path, ''))
    assert outcome.lines('FAIL') == []
    assert outcome.those('skip') >= {'D2', 'D3', 'D4', 'S1'}
    assert '--broken-root is required' in outcome.out


def test_ctrl_c_removes_the_machine(make_driver, tmp_path):
    root, tmp = tmp_path / 'root', tmp_path / 'tmp'
    root.mkdir()
    tmp.mkdir()
    run = subprocess.Popen([MACHINE, 'driver', 'test', make_driver(tmp_path, 'boots-never'), '--broken-root', root],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, 'TMPDIR': str(tmp)}, text=True)
    try:
        deadline = time.monotonic() + 120
        while not list(root.glob('*/power')):
            assert run.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=30)
    finally:
        run.kill()
        run.wait()
    assert re.search(r'FAIL D3 .*interrupted', out) and re.search(r'skip D4 .*interrupted', out), out + err
    assert run.returncode != 0
    assert list(root.iterdir()) == [] and list(tmp.iterdir()) == []
    wait_until_gone(str(tmp_path))


@pytest.mark.parametrize('arguments, why', [
    (['/nonexistent/machine-driver-x'], 'No such file'),
    (['/etc/passwd'], 'Permission denied'),
    (['DRIVER', '--broken-rot', 'x'], 'no flag "broken-rot"'),
    (['DRIVER', '--broken-size', 'large'], 'type int'),
    (['DRIVER', '--broken-root'], 'needs an argument'),
])
def test_what_cannot_be_started(arguments, why, make_driver, tmp_path):
    arguments = [make_driver(tmp_path, '') if a == 'DRIVER' else a for a in arguments]
    run = subprocess.run([MACHINE, 'driver', 'test', *arguments], text=True, capture_output=True, timeout=60)
    assert run.returncode != 0
    assert why in run.stdout + run.stderr


def test_output_that_a_terminal_would_obey_is_shown_harmless(tmp_path):
    file = tmp_path / 'machine-driver-x'
    file.write_text('#!/bin/sh\nprintf \'\\033[2J\\n\'\nexec sleep 60\n')
    file.chmod(0o755)
    outcome = conform(file, seconds='2')
    assert '\x1b' not in outcome.out
    assert outcome.status == 1
