"""On a terminal a line tells what machines are at; elsewhere the output is plain lines alone."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import pytest

from cli import flaky_create, like_flaky
from faults import QUICK

CLEAR = '\r\x1b[K'
LINE = 'waiting: not yet'


def on_terminal(cli, *args, env=None, until=None, timeout=60, rows=24):
    """Runs with a terminal for all three streams; what it showed, and the exit status. `until` is a
    pair: once that text shows, the function is called with the process."""
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack('HHHH', rows, 80, 0, 0))
    text, wanted, process = '', until, None
    try:
        process = subprocess.Popen([cli.program, *args], env={**cli.env, 'TERM': 'xterm', **(env or {})},
                                   stdin=slave, stdout=slave, stderr=slave, cwd=cli.folder,
                                   start_new_session=True)
        os.close(slave)
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if not select.select([master], [], [], 0.5)[0]:
                continue
            try:
                data = os.read(master, 65536)
            except OSError: # EIO: the last process has closed it
                break
            text += data.decode()
            if wanted and wanted[0] in text:
                wanted[1](process)
                wanted = None
        return text, process.wait(10)
    finally:
        os.close(master)
        if process and process.poll() is None: # its drivers see the end of their input
            process.kill()
            process.wait()


def lines_left(text):
    """What stays on the screen, as far as this program's output goes."""
    screen = []
    for row in text.replace('\r\n', '\n').split('\n'):
        screen.append(row.rsplit(CLEAR, 1)[-1])
    return screen


def let_it_end(cli, name):
    def go(_process):
        # a driver counts its calls in this file: enough of them, and the script's end is reached
        with open(cli.flaky / 'calls', 'a', encoding='ascii') as log:
            log.write(f'1 create {name}\n' * 2000)
    return go


def script():
    return {'create': ['wait:100'] * 1000 + ['ok']}


def test_shows_what_is_waited_for_and_leaves_nothing(cli):
    text, status = on_terminal(cli, *flaky_create('web1', script()),
                               until=(f'web1: {LINE}', let_it_end(cli, 'web1')))
    assert status == 0, text
    assert LINE in text
    left = lines_left(text)
    assert not [line for line in left if LINE in line or '\x1b' in line], left
    assert 'Creating machine...' in left
    assert left[-1] == ''


def test_a_text_of_two_lines_ages_as_any(cli, tmp_path):
    """The same text again and again is one thing that takes long, whatever characters are in it."""
    env = like_flaky(tmp_path, 'chatty', ('not yet', r'not\n\x1b[2Jyet\n'))
    argv = ['create', '-d', 'chatty', '--flaky-script', json.dumps(script()), 'web1']
    text, status = on_terminal(cli, *argv, env=env, until=('yet (1s)', let_it_end(cli, 'web1')))
    assert status == 0, text
    assert 'web1: waiting: not ?[2Jyet (1s)' in text
    assert '\x1b' not in text.replace(CLEAR, '')


def test_dumb_terminals_get_plain_lines(cli):
    slow = {'create': ['slow:1.2', 'ok']}
    for term in 'dumb', '':
        text, status = on_terminal(cli, *flaky_create(f'web{len(term)}', slow), env={'TERM': term})
        assert status == 0, text
        assert '\x1b' not in text


@pytest.mark.parametrize('no_color', ['', '1'])
def test_there_is_no_colour(cli, no_color):
    slow = {'create': ['slow:1.2', 'ok']}
    text, status = on_terminal(cli, *flaky_create('web1', slow), env={'NO_COLOR': no_color})
    assert status == 0, text
    assert 'web1: create' in text # the line was there,
    assert '\x1b' not in text.replace(CLEAR, '') # and nothing but its own sequence


def test_plain_lines_in_a_pipe(cli):
    result = cli.ok(*flaky_create('web1', {'create': ['slow:1.2', 'ok']}), env={'TERM': 'xterm'})
    assert '\x1b' not in result.text and '\r' not in result.text


def test_an_error_stands_alone(cli):
    text, status = on_terminal(cli, *flaky_create('web1', {'create': 'slow:1.2+error:quota'}))
    assert status == 1
    assert 'web1: create' in text
    assert any(line.startswith('Error creating machine: ') for line in lines_left(text)), text


def test_interrupted(cli):
    text, status = on_terminal(cli, *flaky_create('web1', {'create': ['wait:100'] * 1000}),
                               until=(f'web1: {LINE}', lambda process: os.kill(process.pid, 2)))
    assert status != 0
    left = lines_left(text)
    assert 'Interrupted: ending what is under way (again to quit at once)' in left, text
    assert not [line for line in left if LINE in line], left


LOADING = """    def do_notes(self, _):
        for done in range(0, 3000001, 100000):
            send({'method': 'progress', 'params': {'request': self.id, 'message': 'Loading it',
                                                   'current': done, 'total': 3000000}})
            time.sleep(0.05)
        send({'method': 'progress', 'params': {'request': self.id, 'message': 'Loaded'}})
        time.sleep(1.2)
        return

"""
MARK = '    def do_notes(self, count):\n'


def create_loading(folder):
    """flaky, which tells for a while how far it is."""
    env = like_flaky(folder, 'loading', (MARK, LOADING + MARK.replace('notes', 'others')))
    return ['create', '-d', 'loading', '--flaky-script', json.dumps({'create': 'notes+ok'}), 'web1'], env


def test_percent_on_a_terminal(cli, tmp_path):
    """One line that changes, though it is told ten times faster than it is drawn."""
    argv, env = create_loading(tmp_path)
    text, status = on_terminal(cli, *argv, env=env)
    assert status == 0, text
    shown = [int(n) for n in re.findall(r'web1: Loading it (\d+)%', text)]
    assert len(shown) >= 2 and shown == sorted(shown) and 0 < shown[0] < shown[-1] <= 100, text
    left = lines_left(text)
    assert [line for line in left if 'Loading it' in line] == ['(web1) Loading it (0%)'], left
    assert 'web1: create' in text.rsplit('Loaded', 1)[1] # and no longer how far it was


def test_percent_in_a_pipe(cli, tmp_path):
    argv, env = create_loading(tmp_path)
    lines = [line for line in cli.ok(*argv, env=env).out.splitlines() if 'Loading it' in line]
    assert lines == [f'(web1) Loading it ({n}%)' for n in range(0, 101, 10)]


# --- several machines: a line each ---

SEQUENCE = re.compile(r'\r|\n|\x1b\[(\d*)([AKJ])|[^\r\n\x1b]+')


def screens(text):
    """What the screen shows, without blanks at the ends, after each piece of text that was drawn."""
    lines, row, column = [''], 0, 0
    for part in SEQUENCE.finditer(text):
        what = part.group(2) or part.group(0)
        if what == '\r':
            column = 0
        elif what == '\n':
            row += 1
            lines += [''] * (row + 1 - len(lines))
        elif what == 'A':
            assert row >= int(part.group(1)), 'above the screen'
            row -= int(part.group(1))
        elif what in 'KJ':
            lines[row] = lines[row][:column]
            del lines[row + 1 if what == 'J' else len(lines):]
        else:
            lines[row] = lines[row][:column].ljust(column) + what + lines[row][column + len(what):]
            column += len(what)
        yield [line.rstrip() for line in lines]


def many(cli, count, rows):
    names = [f'w{i}' for i in range(1, count + 1)]
    waiting = json.dumps(script())

    def end(_process):
        for name in names:
            let_it_end(cli, name)(None)

    argv = ['create', '-d', 'flaky', '--flaky-script', waiting, '--parallel', str(count), *names]
    text, status = on_terminal(cli, *argv, env=QUICK, rows=rows, until=(LINE if rows > count else 'more: ', end))
    return text, status, list(screens(text))


def test_a_line_for_each_of_several(cli):
    text, status, shown = many(cli, 3, rows=24)
    assert status == 0, text
    heads = [i for i, screen in enumerate(shown) if re.fullmatch(r'[-|/\\] 3 machines: 3 at work', screen[-4:][0])]
    assert heads, text
    for line, name in zip(shown[heads[-1]][-3:], ('w1', 'w2', 'w3')):
        assert re.match(rf'  {name}  (prepare|pre-create check|create) +\d+s', line), shown[heads[-1]]
    assert any('waiting: not yet' in line for screen in shown for line in screen[-3:]), text


def test_nothing_of_the_lines_is_left(cli):
    text, status, shown = many(cli, 3, rows=24)
    assert status == 0, text
    left = shown[-1]
    assert not [line for line in left if ' at work' in line or 'waiting:' in line], left
    assert [line.split()[0] for line in left if re.match(r'(MACHINE|w\d) +\S', line)] == ['MACHINE', 'w1', 'w2', 'w3']
    assert '(w2) Creating machine...' in left


def test_as_many_lines_as_the_terminal_has(cli):
    text, status, shown = many(cli, 6, rows=5)
    assert status == 0, text
    full = [screen for screen in shown if re.match(r'  and \d more: ', screen[-1])]
    assert full, text
    assert re.fullmatch(r'[-|/\\] 6 machines: 6 at work', full[0][-4]), full[0]
    assert not [n for n in re.findall(r'\x1b\[(\d+)A', text) if int(n) > 3]


@pytest.mark.parametrize('how', ['plain', 'json', 'none'])
def test_no_display_when_told_so(cli, how):
    slow = json.dumps({'create': ['slow:1.2', 'ok']})
    text, status = on_terminal(cli, 'create', '-d', 'flaky', '--flaky-script', slow, '--progress', how, 'a', 'b')
    assert status == 0, text
    assert '\x1b' not in text
