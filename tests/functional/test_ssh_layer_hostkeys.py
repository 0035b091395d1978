"""The SSH layer and the keys of hosts, with both backends: what is recorded, expected, or has changed."""

import re
import stat
import subprocess

import pytest

from sshprobe import BACKENDS, error, keys, probe, results, server, sshd # noqa: F401


@pytest.mark.parametrize('then', BACKENDS)
@pytest.mark.parametrize('first', BACKENDS)
def test_first_contact_is_recorded(probe, sshd, first, then):
    probe.run(sshd.port, first, 'true')
    text = probe.known_hosts.read_text()
    kind, blob = (sshd.folder / 'host_ed25519.pub').read_text().split()[:2]
    assert text == f'web1 {kind} {blob}\n'
    assert stat.S_IMODE(probe.known_hosts.stat().st_mode) == 0o600
    assert [p.name for p in probe.known_hosts.parent.iterdir()] == ['known_hosts']
    lines = probe.run(sshd.port, then, 'true')
    assert results(lines)[0][0] == 0
    assert probe.known_hosts.read_text() == text


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('kind', ['ed25519', 'ecdsa'])
def test_changed_host_key(probe, sshd, backend, kind):
    probe.run(sshd.port, backend, 'true')
    before = probe.known_hosts.read_text()
    fingerprint = re.compile(r'SHA256:[A-Za-z0-9+/]{43}')
    sshd.new_host_key(kind)
    code, text = error(probe.run(sshd.port, backend, 'true'))
    assert code == 'USER'
    assert 'host key of "Web1" has changed' in text and str(probe.known_hosts) in text
    recorded = subprocess.run(['ssh-keygen', '-lf', probe.known_hosts], capture_output=True,
                              text=True).stdout.split()[1]
    assert recorded in text
    if backend == 'libssh2' or kind == 'ed25519':
        shown = subprocess.run(['ssh-keygen', '-lf', f'{sshd.host_keys[0]}.pub'],
                               capture_output=True, text=True).stdout.split()[1]
        assert shown in fingerprint.findall(text)
    assert probe.known_hosts.read_text() == before
    probe.known_hosts.unlink()
    assert results(probe.run(sshd.port, backend, 'true'))[0][0] == 0


@pytest.mark.parametrize('backend', BACKENDS)
def test_strict(probe, sshd, backend):
    code, text = error(probe.run(sshd.port, backend, 'true', options=['--strict']))
    assert code == 'USER' and 'is not known' in text
    probe.run(sshd.port, backend, 'true')
    lines = probe.run(sshd.port, backend, 'true', options=['--strict'])
    assert results(lines)[0][0] == 0


def public(sshd, kind):
    return (sshd.folder / f'host_{kind}.pub').read_text().strip()


def fingerprint(sshd, kind):
    return subprocess.run(['ssh-keygen', '-lf', sshd.folder / f'host_{kind}.pub'], check=True,
                          capture_output=True, text=True).stdout.split()[1]


def expecting(probe, sshd, backend, *texts, **kwargs):
    options = [word for text in texts for word in ('--host-key', text)]
    return probe.run(sshd.port, backend, 'true', options=options, **kwargs)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('kind', ['ed25519', 'ecdsa', 'rsa'])
@pytest.mark.parametrize('form', ['key', 'line', 'fingerprint'])
@pytest.mark.sampled(2)
def test_expected_host_key(probe, server, backend, kind, form):
    """Whichever of its keys is expected, the server is made to show that one, and it is recorded."""
    sshd = server(host_keys=('ed25519', 'ecdsa', 'rsa'))
    text = {'key': public(sshd, kind), 'line': f'[10.9.8.7]:22,x {public(sshd, kind)}',
            'fingerprint': fingerprint(sshd, kind)}[form]
    lines = expecting(probe, sshd, backend, text)
    if (form, kind) == ('fingerprint', 'rsa') and lines[0][0] == 'error': # libssh2 before 1.11
        assert 'An RSA key is not found by its fingerprint' in error(lines)[1]
        assert not probe.known_hosts.exists()
        return
    assert results(lines)[0][0] == 0
    name, blob = public(sshd, kind).split()[:2]
    assert probe.known_hosts.read_text() == f'web1 {name} {blob}\n'
    if form != 'fingerprint':
        assert sshd.connections() == 1
    before = sshd.connections()
    assert results(expecting(probe, sshd, backend, text))[0][0] == 0
    assert sshd.connections() == before + 1 # the recorded key serves


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('form', ['key', 'other type', 'fingerprint'])
def test_unexpected_host_key(probe, server, backend, form):
    sshd, other = server(), server(host_keys=('ed25519', 'ecdsa'))
    text = {'key': public(other, 'ed25519'), 'other type': public(other, 'ecdsa'),
            'fingerprint': fingerprint(other, 'ed25519')}[form]
    code, said = error(expecting(probe, sshd, backend, text))
    assert code == 'USER' and 'host key of "Web1" is not the expected one' in said
    assert fingerprint(other, 'ecdsa' if form == 'other type' else 'ed25519') in said
    if backend == 'libssh2' or form != 'other type': # ssh does not tell what it did not take
        assert fingerprint(sshd, 'ed25519') in said
    assert str(probe.known_hosts) in said and not probe.known_hosts.exists()
    assert 'Accepted' not in sshd.log() and 'Postponed' not in sshd.log() # no login was tried
    # the way out that it names
    scanned = subprocess.run(['ssh-keyscan', '-p', str(sshd.port), '127.0.0.1'],
                             capture_output=True, text=True, check=True).stdout
    probe.known_hosts.write_text(scanned)
    assert results(expecting(probe, sshd, backend, text))[0][0] == 0


@pytest.mark.parametrize('backend', BACKENDS)
def test_one_of_several_expected_keys(probe, server, backend):
    sshd, other = server(), server(host_keys=('ed25519', 'ecdsa'))
    lines = expecting(probe, sshd, backend, public(other, 'ed25519'), fingerprint(other, 'ecdsa'),
                      fingerprint(sshd, 'ed25519') + '=')
    assert results(lines)[0][0] == 0
    assert public(sshd, 'ed25519').split()[1] in probe.known_hosts.read_text()


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('text', ['', 'SHA256:short', 'ssh-ed25519 AAAA', 'MD5:00:11', 'x\ny'])
@pytest.mark.sampled(2)
def test_what_is_no_key_is_expected_of_nobody(probe, sshd, backend, text):
    code, said = error(expecting(probe, sshd, backend, text))
    assert code == 'OTHER' and 'is neither an SSH host key nor a fingerprint' in said
    assert sshd.connections() == 0


def test_expected_host_key_with_the_login_refused(probe, sshd):
    lines = expecting(probe, sshd, 'libssh2', public(sshd, 'ed25519'), key=probe.keys['stranger'])
    assert error(lines)[0] == 'AUTH' and not probe.known_hosts.exists()


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('pattern', ['[127.0.0.1]:22', 'host.example,10.0.0.1', '*', '|1|x|y'])
@pytest.mark.sampled(2)
def test_key_known_under_another_name(probe, server, backend, pattern):
    ours, other = server(), server()
    for s, works in (ours, True), (other, False):
        kind, blob = (ours.folder / 'host_ed25519.pub').read_text().split()[:2]
        probe.known_hosts.write_text(f'# comment\n\n{pattern} {kind} {blob}') # no newline
        lines = probe.run(s.port, backend, 'true')
        if works:
            assert results(lines)[0][0] == 0
        else:
            assert error(lines)[0] == 'USER'


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('kind', ['ecdsa', 'rsa'])
def test_algorithm_of_the_recorded_key(probe, server, backend, kind):
    s = server(host_keys=('ed25519', 'ecdsa', 'rsa'))
    name, blob = (s.folder / f'host_{kind}.pub').read_text().split()[:2]
    probe.known_hosts.write_text(f'web1 {name} {blob}\n')
    lines = probe.run(s.port, backend, 'true')
    assert results(lines)[0][0] == 0
    assert len(probe.known_hosts.read_text().splitlines()) == 1


@pytest.mark.parametrize('backend', BACKENDS)
def test_host_key_that_cannot_be_recorded(probe, sshd, backend, tmp_path):
    lines = probe.run(sshd.port, backend, 'true', known=tmp_path / 'no' / 'such' / 'folder')
    assert results(lines)[0][0] == 0
    assert 'could not be recorded' in probe.debug
