"""Interactive shells on a terminal of their own, and what their completion offers for a line.

Real bash and zsh are typed at; a hook notes their candidates in a file. Fish can say them by itself.
"""

import os
import pathlib
import pty
import select
import subprocess
import time

DEADLINE = 60 # for one line, on a computer that is busy
END = 'END OF CANDIDATES\n'

# what the shell would have shown goes to the file instead
BASH = '''
source {script}
probe() {{
    _docker_machine "$@"
    {{ printf '%s\\n' "${{COMPREPLY[@]}}"; compopt; printf '%s' '{end}'; }} >>{answers} 2>>{errors}
}}
{hook}
'''
BASH_HOOK = 'complete -F probe machine docker-machine'

ZSH = '''
PROMPT_SP= PROMPT_CR=
autoload -Uz compinit && compinit -u -D
source {script}
compadd() {{
    local -a before=("${{(@)argv[1,(i)(-|--)]}}") hits
    if [[ ${{(M)before:#-[AOD]}} == '' ]]; then
        builtin compadd -A hits "$@"
        print -rl -- $hits >>{answers}
    fi
    builtin compadd "$@"
}}
probe() {{
    zle list-choices 2>>{errors}
    print -rn -- '{end}' >>{answers}
    zle kill-whole-line
}}
zle -N probe
{hook}
'''
ZSH_HOOK = "bindkey '^I' probe"


class Terminal:
    """A shell on a terminal. `setup` is sourced first; with `hook`, TAB tells its candidates."""

    def __init__(self, argv, env, folder, setup, script, hook):
        self.folder = pathlib.Path(folder)
        self.answers, self.errors = self.folder / 'answers', self.folder / 'errors'
        self.answers.touch()
        self.errors.touch()
        (self.folder / 'setup').write_text(setup.format(
            script=script, answers=self.answers, errors=self.errors, end=END, hook=hook))
        master, slave = pty.openpty()
        self.master, self.seen = master, ''
        self.process = subprocess.Popen(argv, env={**env, 'TERM': 'dumb', 'PS1': 'READY> '}, cwd=folder,
                                        stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.type(f' . {self.folder}/setup && echo SET"TLED"\n')
        self.wait_for('SETTLED')

    def type(self, text):
        os.write(self.master, text.encode())

    def _read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            try:
                self.seen += os.read(self.master, 65536).decode(errors='replace')
            except OSError: # the shell has ended
                pass

    def wait_for(self, text):
        end = time.monotonic() + DEADLINE
        while text not in self.seen:
            assert time.monotonic() < end, f'no {text!r} in {self.seen!r}'
            self._read(0.05)
        before, _, self.seen = self.seen.partition(text)
        return before

    def candidates(self, line):
        """What is offered for the line, cursor at its end."""
        self.answers.write_text('')
        self.type(f'{line}\t')
        end = time.monotonic() + DEADLINE
        while not (text := self.answers.read_text()).endswith(END):
            assert time.monotonic() < end, f'{line!r}: no answer; {self.seen!r}'
            self._read(0.02)
        self.type('\x15') # the line goes
        return text[:-len(END)].splitlines()

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


class Bash:
    name = 'bash'

    def __init__(self, env, folder, script, hook=True):
        self.terminal = Terminal(['bash', '--norc', '--noprofile', '-i'], env, folder, BASH, script,
                                 BASH_HOOK if hook else '')
        self.kept = []

    def candidates(self, line):
        """Whole words: bash replaces only what is behind the last of its word breaks."""
        *found, self.kept = self.terminal.candidates(line)
        word = line.rsplit(' ', 1)[1]
        before = word[:max(word.rfind(mark) for mark in '=:@') + 1]
        return [before + value for value in found if value]

    def close(self):
        self.terminal.close()


class Zsh:
    name = 'zsh'

    def __init__(self, env, folder, script, hook=True):
        self.terminal = Terminal(['zsh', '-f', '-i'], env, folder, ZSH, script, ZSH_HOOK if hook else '')

    def candidates(self, line):
        word = line.rsplit(' ', 1)[1]
        found = [value for value in self.terminal.candidates(line) if value]
        return list(dict.fromkeys(v for v in found if v.startswith(word) or '/' in word or '=' in word))

    def close(self):
        self.terminal.close()


class Fish:
    name = 'fish'

    def __init__(self, env, folder, script, hook=True):
        self.env, self.folder, self.script = env, folder, script
        self.texts = {}

    def run(self, code):
        done = subprocess.run(['fish', '--no-config', '-c', f'source {self.script}; {code}'], env=self.env,
                              cwd=self.folder, capture_output=True, text=True, timeout=DEADLINE, check=True)
        assert not done.stderr, done.stderr
        return done.stdout

    def candidates(self, line):
        quoted = line.replace('\\', '\\\\').replace("'", "\\'")
        self.texts = dict((row + '\t').split('\t')[:2] for row in self.run(f"complete -C '{quoted}'").splitlines())
        return list(self.texts)

    def close(self):
        pass
