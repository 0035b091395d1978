"""Where this machine gets Debian from: other suites and roots come from the same mirrors.

`debian.py SUITE` prints one-line sources, `debian.py --proxy` apt's proxy settings.
"""

import pathlib
import re
import subprocess
import sys

ARCHIVE = 'http://deb.debian.org/debian'
SECURITY = 'http://deb.debian.org/debian-security'
KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'


def _uris():
    """Every repository address that apt on this machine knows."""
    files = [pathlib.Path('/etc/apt/sources.list'), *pathlib.Path('/etc/apt/sources.list.d').glob('*')]
    for path in files:
        text = path.read_text(errors='replace') if path.is_file() else ''
        if path.suffix == '.sources':
            for line in re.findall(r'^URIs:(.*)$', text, re.M):
                yield from line.split()
        elif path.suffix == '.list':
            yield from re.findall(r'^deb\s+(?:\[[^]]*\]\s+)?(\S+)', text, re.M)


def sources(suite):
    """One-line sources of Debian `suite` from this machine's mirrors."""
    known = [uri.rstrip('/') for uri in _uris()]
    archive = next((u for u in known if u.endswith('/debian')), ARCHIVE)
    security = next((u for u in known if u.endswith('/debian-security')), SECURITY)
    rows = [(archive, suite), (archive, f'{suite}-updates'), (security, f'{suite}-security')]
    return ''.join(f'deb [signed-by={KEYRING}] {uri} {name} main\n' for uri, name in rows)


def proxy_settings():
    """apt.conf lines that set a proxy, empty where there is none."""
    dump = subprocess.run(['apt-config', 'dump'], capture_output=True, text=True, check=True).stdout
    lines = [l for l in dump.splitlines() if re.match(r'Acquire::\w+::Proxy.*"[^"]+"', l, re.I)]
    return ''.join(line + '\n' for line in lines)


if __name__ == '__main__':
    sys.stdout.write(proxy_settings() if sys.argv[1] == '--proxy' else sources(sys.argv[1]))
