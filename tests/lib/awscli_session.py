"""Amazon's own client, Debian's awscli, many commands in one process: its start takes a second.

Run as a program it reads a line of JSON for each command, {"argv": [...], "env": {...}}, and answers with
another, {"status": 0, "out": "...", "err": "..."}.
"""

import contextlib
import functools
import io
import json
import os
import select
import subprocess
import sys

PYTHON = '/usr/bin/python3' # who has Debian's packages
PATIENCE = 120.0


class Result:
    def __init__(self, argv, status, out, err):
        self.argv, self.status, self.out, self.err = argv, status, out, err

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f'$ aws {" ".join(self.argv)}\nstatus {self.status}\n{self.out}{self.err}'


class Aws:
    """home: an empty folder, so that nobody's ~/.aws is read."""

    def __init__(self, home):
        env = {'HOME': str(home), 'PATH': '/usr/bin:/bin', 'LC_ALL': 'C.UTF-8', 'AWS_PAGER': '',
               'no_proxy': '*', 'PYTHONDONTWRITEBYTECODE': '1'}
        self.process = subprocess.Popen([PYTHON, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=env, cwd=home)

    def run(self, *argv, env=None, timeout=PATIENCE):
        argv = [str(word) for word in argv]
        self.process.stdin.write(json.dumps({'argv': argv, 'env': env or {}}).encode() + b'\n')
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            raise AssertionError(f'no answer within {timeout} s: aws {argv}')
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f'awscli ended with {self.process.wait()}: aws {argv}')
        answer = json.loads(line)
        return Result(argv, answer['status'], answer['out'], answer['err'])

    def close(self):
        self.process.kill() # there is nothing that it could lose
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Text(io.TextIOWrapper):
    """A stream in memory, as awscli wants one: with a buffer of bytes."""

    def __init__(self):
        super().__init__(io.BytesIO(), encoding='utf-8', write_through=True)

    def text(self):
        return self.buffer.getvalue().decode()


@functools.lru_cache
def driver(_env):
    """A session with its cache of credentials; another environment has another one."""
    from awscli.clidriver import create_clidriver # pylint: disable=import-outside-toplevel
    return create_clidriver()


def command(argv, env):
    session = driver(tuple(sorted(env.items()))) # awscli's import has variables of its own
    before = {name: os.environ.get(name) for name in env}
    os.environ.update(env)
    out, err = Text(), Text()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = session.main(argv)
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
    return {'status': status, 'out': out.text(), 'err': err.text()}


def serve():
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1) # what is printed past us does not end up among the answers
    for line in sys.stdin:
        answers.write(json.dumps(command(**json.loads(line))) + '\n')
        answers.flush()


if __name__ == '__main__':
    serve()
