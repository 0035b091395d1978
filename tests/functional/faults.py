"""What a misbehaving driver does (tests/fakes/machine-driver-flaky), and what the host says then."""

import os
import re

# behaviour -> what the error must say happened
FATAL = {
    'exit:3': r'exit(ed)?\b.*\b3\b',
    'exit:0': r'exit(ed)?\b|ended|closed',
    'segv': r'SIGSEGV|signal 11|[Ss]egmentation',
    'hang': r'within|time|answer|deadline|\d+ s\b',
    'deaf': r'within|time|answer|deadline|\d+ s\b',
    'stuck': r'within|time|answer|deadline|\d+ s\b',
    'half': r'exit|closed|end(ed)?\b|middle|frame',
    'wronglength': r'\b[FJ]\d|JSON|parse|frame',
    'nolength': r'\bF2|Content-Length',
    'hugelength': r'\bF4|1073741824|large|at most',
    'text': r'\bF\d|header|frame',
    'utf8': r'\bJ2|UTF-8',
    'nested': r'\bJ2|nest|deep',
    'unknownid': r'\bR7|987654321|pending',
    'closestdout': r'closed|standard output|stdout|end of (file|output)',
    'child:5': r'exit(ed)?\b.*\b5\b',
    'error:quota': r'ordered to fail',
}
# an answer without what its method must give; configure and create say so
EMPTY = {'empty': r'status|state|member|\b[OSDR]\d'}
HARMLESS = ['twice', 'stderr', 'notes', 'child', 'slow:0.3', 'ok']

# so that a hanging driver does not take the minutes and seconds that a user's gets. All others must
# have answered before, also when dozens of them start at once: those in one command with drivers that
# flood get the time of PATIENT.
SLOW = 4 if 'asan' in os.environ.get('MACHINE_BUILD_DIR', '') else 1
QUICK = {'MACHINE_TEST_DEADLINE_MS': str(5000 * SLOW), 'MACHINE_TEST_GRACE_MS': '700',
         'MACHINE_POLL_MS': '50'}
PATIENT = {**QUICK, 'MACHINE_TEST_DEADLINE_MS': str(30000 * SLOW)}


def machine_name(behaviour):
    return 'm-' + re.sub(r'[^a-z0-9]', '-', behaviour)


def check_error(text, behaviour, machine, step, pattern):
    """The error names machine, driver, step and what happened."""
    wrong = [f'no {what}' for what, there in {
        f'machine {machine}': machine in text,
        'driver flaky': re.search(r'flaky\b', text),
        f'step {step}': re.search(step, text),
        f'reason /{pattern}/': re.search(pattern, text),
    }.items() if not there]
    assert not wrong, f'{behaviour}: {", ".join(wrong)} in:\n{text}'
    assert len(text) < 8000, f'{behaviour}: an error of {len(text)} characters'
