"""The transcripts of PROTOCOL.md section 16: reads them, and plays either end of one.

The notation is defined there. A text that differs from run to run (‹…›) has a value for each play:
given beforehand, or taken from where it first appears in what the other end writes.
"""

import json
import os
import re
import select
import time

PATIENCE = 20.0
CRLF, OPEN, CLOSE = '␍␊', '‹', '›'
HEADER = re.compile(rf'Content-Length: (\d+){CRLF}{CRLF}')


class Difference(Exception):
    """The other end wrote something else than the transcript has."""


class Step:
    """A line of a transcript: kind '>' or '<' with the body of a frame, '#', '>|' or '<|'."""

    def __init__(self, kind, text):
        self.kind, self.text, self.parts = kind, text, []
        if kind in '><':
            self._take_frame()

    def _take_frame(self):
        header = HEADER.match(self.text)
        if not header:
            raise ValueError(f'no header part: {self.text[:80]}')
        self.text = self.text[header.end():]
        self.parts = re.split(f'{OPEN}([^{CLOSE}]*){CLOSE}', self.text)  # odd ones vary
        shown = ''.join(self.parts)
        if any(c in shown for c in CRLF + OPEN + CLOSE + '\n'):
            raise ValueError(f'a mark that is none: {self.text[:80]}')
        if len(shown.encode()) != int(header[1]):
            raise ValueError(f'{header[1]} is not the length {len(shown.encode())} of: {shown[:80]}')

    def frame(self, values):
        body = ''.join(values.get(p, p) if i % 2 else p for i, p in enumerate(self.parts)).encode()
        return b'Content-Length: %d\r\n\r\n' % len(body) + body

    def check(self, frame, values):
        """Raises Difference unless frame is this one; values learns what was not known."""
        names, pattern = [], ''
        for i, part in enumerate(self.parts):
            if i % 2 and part not in values and part not in names:
                names.append(part)
                pattern += r'([^"\\,}\]]+)'
            elif i % 2 and part in names:
                pattern += rf'\{names.index(part) + 1}'
            else:
                pattern += re.escape(values.get(part, part) if i % 2 else part)
        body = frame.partition(b'\r\n\r\n')[2].decode()
        found = re.fullmatch(pattern, body)
        if not found or frame != b'Content-Length: %d\r\n\r\n' % len(body.encode()) + body.encode():
            raise Difference(f'got      {frame!r}\nexpected {self.frame(values)!r}')
        values.update(zip(names, found.groups()))

    @property
    def message(self):
        return json.loads(''.join(self.parts))


def _steps(block, earlier):
    joined = []
    for line in block.splitlines():
        if line.startswith('  ') and joined:
            joined[-1] += line[2:]
        else:
            joined.append(line)
    for line in joined:
        kind, _, text = line.partition(' ')
        if kind == '=':
            number, _, count = text.partition(' ')
            yield from [s for s in earlier[number] if s.kind in '><'][:int(count)]
        elif kind in ('>', '<', '#', '>|', '<|'):
            yield Step(kind, text)
        else:
            raise ValueError(f'not a line of a transcript: {line[:80]}')


def read(text):
    """The transcripts by number ('16.1'), each a list of steps."""
    section = text[text.index('\n## 16. '):]
    found = {}
    for number, block in re.findall(r'(?ms)^### (16\.\d+) .*?^```\n(.*?)^```$', section):
        found[number] = list(_steps(block, found))
    if len(found) != len(re.findall(r'(?m)^### ', section)):
        raise ValueError('a transcript without its block')
    return found


class Pipe:
    """Frames from a descriptor, byte for byte."""

    def __init__(self, fd):
        self.fd, self.data = fd, b''

    def _fill(self):
        if not select.select([self.fd], [], [], PATIENCE)[0]:
            raise Difference(f'nothing more came after {self.data!r}')
        data = os.read(self.fd, 65536)
        self.data += data
        return data

    def frame(self):
        while not (head := re.match(rb'(?s)(.*?\r\n\r\n)', self.data)):
            if not self._fill():
                raise Difference(f'the end instead of a frame; before it {self.data!r}')
        length = re.search(rb'Content-Length: (\d+)', head[1])
        end = len(head[1]) + int(length[1] if length else 0)
        while len(self.data) < end:
            if not self._fill():
                raise Difference(f'half a frame: {self.data!r}')
        frame, self.data = self.data[:end], self.data[end:]
        return frame

    def check_end(self):
        if self.data or self._fill():
            raise Difference(f'more than the transcript has: {self.data!r}')


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def play_host(steps, process, values, events=None):
    """Sends the host's frames to a driver; its answers must be the transcript's."""
    pipe = Pipe(process.stdout.fileno())
    for step in steps:
        if step.kind == '>':
            write_all(process.stdin.fileno(), step.frame(values))
        elif step.kind == '<':
            step.check(pipe.frame(), values)
        elif step.kind == '#':
            (events or {}).get(step.text, lambda: None)()
        elif step.kind == '>|':
            process.stdin.close()
        else:
            pipe.check_end()
            status = process.wait(PATIENCE)
            if step.text != f'status {status}':
                raise Difference(f'{step.text}, not {status}')


def play_driver(steps, values, events):
    """The driver's end, on our own standard input and output."""
    pipe = Pipe(0)
    for step in steps:
        if step.kind == '>':
            step.check(pipe.frame(), values)
        elif step.kind == '<':
            write_all(1, step.frame(values))
        elif step.kind == '#':
            events.get(step.text, lambda: None)()
        elif step.kind == '>|':
            pipe.check_end()


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError('it did not come to pass')
        time.sleep(0.01)
