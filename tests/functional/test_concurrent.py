"""Many processes on one store at the same time."""

import subprocess

from faults import QUICK
from cli import flaky_create

CREATES = 100


def test_creates_on_an_empty_store(empty_cli):
    cli = empty_cli
    names = [f'm{i:03}' for i in range(CREATES)]
    running = [cli.start('create', '-d', 'none', '--url', 'tcp://127.0.0.1:1', name)
               for name in names]
    for process in running:
        process.process.wait(300)
    results = [process.finish() for process in running]
    failed = [r for r in results if r.status]
    assert not failed, f'{len(failed)} of {CREATES} failed, the first:\n{failed[0]!r}'
    assert sum('Creating CA: ' in r.out for r in results) == 1
    assert sum('Creating client certificate: ' in r.out for r in results) == 1
    assert cli.names() == names
    cli.assert_whole()
    verify_certificates(cli, names)


def verify_certificates(cli, names):
    ca = cli.store / 'certs' / 'ca.pem'
    pairs = [cli.store / 'certs', *(cli.store / 'machines' / n for n in names)]
    certs = [folder / 'cert.pem' for folder in pairs]
    done = subprocess.run(['openssl', 'verify', '-CAfile', ca, *certs], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(': OK') == len(certs)
    authority = ca.read_bytes()
    for folder in pairs:
        assert (folder / 'ca.pem').read_bytes() == authority
        assert key_of(folder / 'cert.pem', 'x509') == key_of(folder / 'key.pem', 'pkey')
        assert (folder / 'key.pem').stat().st_mode & 0o777 == 0o600


def key_of(path, kind):
    argv = ['openssl', 'x509', '-noout', '-pubkey', '-in', path]
    if kind == 'pkey':
        argv = ['openssl', 'pkey', '-pubout', '-in', path]
    return subprocess.run(argv, capture_output=True, check=True).stdout


def test_same_name_at_once(cli):
    """One wins, the others are told, the machine is whole."""
    running = [cli.start('create', '-d', 'none', '--url', f'tcp://127.0.0.1:{i + 1}', 'web')
               for i in range(10)]
    for process in running:
        process.process.wait(120)
    results = [process.finish() for process in running]
    assert sorted(r.status for r in results) == [0] + [1] * 9, results
    losers = [r.err for r in results if r.status]
    assert all('Docker machine "web" already exists' in e for e in losers), losers
    cli.assert_whole()
    assert cli.ok('url', 'web').out.startswith('tcp://127.0.0.1:')


def test_list_and_change_at_once(cli):
    """ls never sees anything half-made while machines come and go."""
    cli.create_none('stays')
    running = []
    for i in range(10):
        running.append(cli.start(*flaky_create(f'm{i}', {'create': ['checkpoint:5', 'ok']}),
                                 env=QUICK))
        running.append(cli.start('ls'))
    for process in running:
        process.process.wait(120)
    for process in running:
        result = process.finish()
        assert result.status == 0, result
        assert 'config.json' not in result.out, result
    changes = [cli.start('rm', '-y', f'm{i}') for i in range(10)]
    looks = [cli.start('ls', '-q') for _ in range(5)]
    for process in [*changes, *looks]:
        process.process.wait(120)
    for process in [*changes, *looks]:
        result = process.finish()
        assert result.status == 0, result
    assert cli.names() == ['stays']


def test_starts_and_removals_of_one_machine(cli):
    """They take turns; none breaks the record."""
    cli.create_flaky('web')
    running = [cli.start(command, 'web', env=QUICK) for command in
               ('stop', 'start', 'restart', 'kill', 'start', 'stop')]
    for process in running:
        process.process.wait(120)
    assert all(process.finish().status in (0, 1) for process in running)
    cli.assert_whole()
