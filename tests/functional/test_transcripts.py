"""Section 16 of PROTOCOL.md, played at both ends: our drivers write what it has them write, and the
program writes what it has the host write, byte for byte."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

import cli as cli_module
import transcripts
from driverclient import driver_file

TEXT = (cli_module.TOP / 'proto' / 'PROTOCOL.md').read_text()
ALL = transcripts.read(TEXT)
STORE, ROOT = '/home/u/.docker/machine', '/srv/folders'
CREATE = ['create', '-d', 'example', '--example-root', ROOT, 'w1']
DRIVER = {'16.3': 'generic', '16.4': 'none', '16.7': 'none', '16.8': 'none'}
# The command at the host's end, and the status that it ends with. Only a broken host writes 16.8.
COMMAND = {
    '16.1': (['driver', 'describe', 'example'], 0),
    '16.2': (CREATE, 0),
    '16.3': (['ls'], 0),
    '16.4': (['stop', 'e1'], 1),
    '16.5': (CREATE, -signal.SIGINT),
    '16.6': (CREATE, 1),
    '16.7': (['driver', 'describe', 'none'], 1),
    '16.9': (CREATE, -9),
}
# The host of this one is of another time; its own number is taken for the one shown.
OTHER_HOST = {'16.7': ('[2]', '[‹2›]')}

REPLAY = '''#!/usr/bin/python3 -S
import json, os, pathlib, select, signal, sys
sys.dont_write_bytecode = True
sys.path.insert(0, {lib!r})
import transcripts

def no_replacing():
    config = pathlib.Path({store!r}, 'machines/w1/config.json')
    config.unlink()
    config.mkdir()

def nothing_for_100_ms():
    if select.select([0], [], [], 0.095)[0]:
        raise transcripts.Difference('it did not wait (O2)')

values, report, host = {values!r}, {report!r}, os.getppid()
events = {{'config.json cannot be replaced': no_replacing,
          '100 ms pass; the folder still boots': nothing_for_100_ms,
          '100 ms pass; now it runs': nothing_for_100_ms,
          'the user presses Ctrl-C': lambda: os.kill(host, signal.SIGINT),
          'the host is killed': lambda: os.kill(host, signal.SIGKILL)}}
problem = 'it was started twice'
with open(report, 'x') as f:
    try:
        transcripts.play_driver(transcripts.read(open({text!r}).read())[{number!r}], values, events)
        problem = None
    except transcripts.Difference as e:
        problem = str(e)
    json.dump([problem, values], f)
'''


def play_at_driver(number, steps, root):
    """The host's frames go to the real driver."""
    def power(age):
        (folder,) = root.iterdir()
        when = time.time() - age
        os.utime(folder / 'power', (when, when))

    events = {'100 ms pass; the folder still boots': lambda: power(-1000),
              '100 ms pass; now it runs': lambda: power(1000)}
    version = re.search(r"version: '([^']+)'", (cli_module.TOP / 'meson.build').read_text())[1]
    values = {ROOT: str(root), '0.20.0': version}
    process = subprocess.Popen([driver_file(DRIVER.get(number, 'example'))], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, bufsize=0)
    try:
        transcripts.play_host(steps, process, values, events)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


class Host:
    """The real program, with a driver that has the transcript's part."""

    def __init__(self, folder, number, text, certs):
        self.number, self.report = number, folder / 'report'
        program = folder / 'bin' / 'machine'
        libexec = folder / 'libexec' / 'machine'
        for path in program.parent, libexec:
            path.mkdir(parents=True)
        shutil.copy2(cli_module.build_dir() / 'machine' / 'cli' / 'machine', program)
        self.cli = cli_module.Cli(folder).take_certs(certs)
        self.cli.program = program
        (folder / 'text').write_text(text)
        driver = libexec / f'machine-driver-{DRIVER.get(number, "example")}'
        driver.write_text(REPLAY.format(
            lib=str(pathlib.Path(transcripts.__file__).parent), store=str(self.cli.store), number=number,
            text=str(folder / 'text'), report=str(self.report), values={STORE: str(self.cli.store)}))
        driver.chmod(0o755)

    def store_machines(self, steps):
        """Those of `states` are there already."""
        for step in steps:
            for m in step.message['params'].get('machines', []) if step.kind == '>' else []:
                config = self.cli.store / 'machines' / m['name'] / 'config.json'
                config.parent.mkdir(parents=True, exist_ok=True)
                config.write_text(json.dumps({
                    'ConfigVersion': 3, 'Driver': {**m['state'], 'StorePath': str(self.cli.store)},
                    'DriverName': DRIVER[self.number], 'Name': m['name'], 'HostOptions': {}}))

    def play(self, steps):
        argv, status = COMMAND[self.number]
        if argv[0] != 'create':
            self.store_machines(steps)
        result = self.cli.run(*argv)
        problem, values = json.loads(self.report.read_text())
        if problem:
            raise transcripts.Difference(problem + '\n' + result.text)
        assert result.status == status, result
        return result, values


def test_the_section_is_there():
    assert all(e in TEXT for e in re.findall(r"'([^']+)': (?:nothing_|no_|lambda: os)", REPLAY))
    assert sorted(ALL) == [f'16.{n}' for n in range(1, 10)]
    assert all(any(s.kind == '>' for s in steps) and steps[-1].kind == '<|' for steps in ALL.values())


@pytest.mark.parametrize('number', sorted(ALL))
def test_our_driver_writes_it(number, tmp_path):
    play_at_driver(number, ALL[number], tmp_path)


@pytest.mark.parametrize('number', sorted(COMMAND))
def test_the_program_writes_it(number, tmp_path, certs):
    text = TEXT.replace(*OTHER_HOST[number]) if number in OTHER_HOST else TEXT
    result, values = Host(tmp_path, number, text, certs).play(transcripts.read(text)[number])
    texts = {'16.3': 'IP address is not set', '16.4': 'hosts without a driver cannot be stopped',
             '16.6': 'config.json', '16.7': 'speaks version 1'}
    assert texts.get(number, '') in result.text
    if COMMAND[number][0] == CREATE:
        assert re.fullmatch('[0-9a-f]{32}', values['6f1c9a0d3b7e4c5289d1e0f4a6b3c7d8'])


def altered(steps, kind):
    """The transcript with a letter changed, once for each frame of that kind."""
    for at, step in enumerate(steps):
        if step.kind == kind:
            copy = transcripts.Step('#', '')
            copy.kind, copy.text = kind, step.text
            copy.parts = [p.replace('"jsonrpc"', '"jsonrpd"') for p in step.parts]
            yield steps[:at] + [copy] + steps[at + 1:]


@pytest.mark.parametrize('number', sorted(ALL))
def test_another_byte_is_noticed_at_the_driver(number, tmp_path):
    tried = 0
    for steps in altered(ALL[number], '<'):
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        with pytest.raises(transcripts.Difference):
            play_at_driver(number, steps, tmp_path)
        tried += 1
    assert tried


@pytest.mark.parametrize('old, new', [
    ('"method":"create"', '"method":"creatf"'), ('{"request":4,', '{"request":5,'),
    ('"engine-label":[]', '"engine-labem":[]'), ('"id":2,"result":{}', '"id":3,"result":{}'),
])
def test_another_byte_is_noticed_at_the_program(old, new, tmp_path, certs):
    start, end = TEXT.index('### 16.2'), TEXT.index('### 16.3')
    section = TEXT[start:end]
    assert old in section
    text = TEXT[:start] + section.replace(old, new, 1) + TEXT[end:]
    host = Host(tmp_path, '16.2', text, certs)
    with pytest.raises((transcripts.Difference, AssertionError)):
        host.play(transcripts.read(text)['16.2'])


@pytest.mark.parametrize('old, new', [
    ('Content-Length: 36', 'Content-Length: 37'), ('␍␊␍␊{"jsonrpc":"2.0","id":3', '␍␊{"jsonrpc":"2.0","id":3'),
    ('"Making ‹', '"Makin ‹'), ('"retryAfterMs":100', '"retryAfterMs":1000'), ('\n  "waitFor"', '\n   "waitFor"'),
])
def test_a_length_that_is_wrong_is_noticed(old, new):
    assert old in TEXT
    with pytest.raises(ValueError):
        transcripts.read(TEXT.replace(old, new, 1))
