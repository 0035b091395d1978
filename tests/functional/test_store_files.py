"""The store's files as other programs find them: modes, owners of certificates, records of older versions and of
others."""

import json
import re
import stat
import subprocess

import pytest

import cli as cli_module

DATA = cli_module.TOP / 'tests' / 'unit' / 'data'
# of a machine of driver none; umask -> what it takes away from files that others may read
MODES = {'.': 0o700, 'certs': 0o700, 'certs/ca.pem': 0o644, 'certs/ca-key.pem': 0o600, 'certs/cert.pem': 0o644,
         'certs/key.pem': 0o600, 'locks': 0o700, 'locks/.certs.lock': 0o600, 'locks/web.lock': 0o600,
         'machines': 0o700, 'machines/web': 0o700, 'machines/web/config.json': 0o600, 'machines/web/ca.pem': 0o644,
         'machines/web/cert.pem': 0o644, 'machines/web/key.pem': 0o600}
QUICK = {'MACHINE_POLL_MS': '50'}


@pytest.mark.parametrize('umask', ['000', '022', '077'])
def test_modes(empty_cli, umask):
    empty_cli.ok('create', '-d', 'none', '--url', 'tcp://127.0.0.1:1', 'web',
                 prefix=['sh', '-c', f'umask {umask}; exec "$@"', 'sh'])
    store = empty_cli.store
    found = {str(path.relative_to(store)): stat.S_IMODE(path.lstat().st_mode) for path in [store, *store.rglob('*')]}
    assert found == {path: mode & ~int(umask, 8) for path, mode in MODES.items()}


@pytest.mark.parametrize('env, owner', [
    ({'USER': 'joe', 'USERNAME': 'jane'}, 'joe'), ({'USER': '', 'USERNAME': 'jane'}, 'jane'),
    ({'USER': '', 'USERNAME': ''}, 'unknown')])
def test_owner_of_certificates(cli, env, owner):
    for name in 'cert.pem', 'key.pem':
        (cli.store / 'certs' / name).unlink()
    cli.ok('create', '-d', 'none', '--url', 'x', 'web', env=env)
    shown = subprocess.run(['openssl', 'x509', '-noout', '-subject', '-nameopt', 'RFC2253', '-in',
                            cli.store / 'certs' / 'cert.pem'], capture_output=True, text=True, check=True).stdout
    assert shown == f'subject=O={owner}.\\<bootstrap\\>\n'


def old_machine(cli, version):
    """Machine web1 as the original left it, but of a driver that is there; config.json and its text."""
    folder = cli.store / 'machines' / 'web1'
    folder.mkdir(parents=True)
    text = (DATA / f'config-v{version}.json').read_text().replace('@S@', str(cli.store))
    text = re.sub('"DriverName": "[a-z]+"', '"DriverName": "flaky"', text)
    path = folder / 'config.json'
    path.write_text(text)
    (cli.flaky / 'state-web1').write_text('Running')
    return path, text


def keys(value):
    return [(key, keys(member)) for key, member in value.items()] if isinstance(value, dict) else None


@pytest.mark.parametrize('version', range(4))
def test_old_versions(cli, version):
    """Who only asks writes nothing; who changes the machine leaves a version 3, and the old bytes beside it."""
    path, text = old_machine(cli, version)
    for words, answer in [(['ls', '-q'], 'web1'), (['status', 'web1'], 'Running'), (['ip', 'web1'], '127.0.0.1'),
                          (['inspect', '-f', '{{.ConfigVersion}} {{.Name}}', 'web1'], '3 web1'),
                          (['inspect', '-f', '{{.HostOptions.AuthOptions.StorePath}}', 'web1'], str(path.parent))]:
        assert cli.ok(*words).out == answer + '\n'
    assert path.read_text() == text and [p.name for p in path.parent.iterdir()] == ['config.json']
    cli.ok('stop', 'web1', env=QUICK)
    names = [p.name for p in path.parent.iterdir()]
    if version == 3:
        assert path.read_text() == text and names == ['config.json']
        return
    assert sorted(names) == ['config.json', 'config.json.bak']
    assert (path.parent / 'config.json.bak').read_text() == text
    assert {stat.S_IMODE(p.stat().st_mode) for p in (path, path.parent / 'config.json.bak')} == {0o600}
    new = json.loads(path.read_text())
    want = keys(json.loads((DATA / 'config-v3.json').read_text())['HostOptions'])
    if version == 1: # the member that nobody knows
        want[3][1].append(('Odd', None))
    assert new['ConfigVersion'] == 3 and keys(new['HostOptions']) == want
    assert list(new)[:5] == ['ConfigVersion', 'Driver', 'DriverName', 'HostOptions', 'Name']
    assert new['Driver']['StorePath'] == str(cli.store) and new.get('Later') == ({'a': 1} if version == 0 else None)


ODD = '"Odd": {"n": 12345678901234567890, "s": "\\u003ca\\u003e"}'


def test_members_of_others_survive(cli):
    """Through every command that changes the record, wherever they are."""
    deeds = {command: f'checkpoint:{i}' for i, command in enumerate(['stop', 'start', 'restart', 'kill'], 1)}
    cli.create_flaky('web1', deeds)
    path = cli.store / 'machines' / 'web1' / 'config.json'
    text, count = re.subn(r'\{(?=\n +"(ConfigVersion|IPAddress|Driver|ArbitraryFlags|IsSwarm|CertDir)")',
                          lambda brace: brace[0] + ODD + ',', path.read_text())
    assert count == 6
    path.write_text(text)
    for number, command in enumerate(deeds, 1):
        cli.ok(command, 'web1', env=QUICK)
        now = path.read_text()
        assert json.loads(now)['Driver']['Checkpoint'] == number
        assert re.sub(r'\s', '', now).count(re.sub(r'\s', '', ODD)) == count, now
    cli.ok('rm', '-y', 'web1')


def test_members_that_are_missing(cli):
    """Of a record by an early version, as templates see it and as it is written."""
    path, text = old_machine(cli, 3)
    config = json.loads(text)
    swarm = config['HostOptions']['SwarmOptions']
    for key in 'ArbitraryJoinFlags', 'IsExperimental':
        del swarm[key]
    config['Driver']['Script'] = {'stop': 'checkpoint'}
    path.write_text(json.dumps(config, indent=4))
    out = cli.ok('inspect', '-f', '{{json .HostOptions.SwarmOptions.ArbitraryJoinFlags}} '
                 '{{.HostOptions.SwarmOptions.IsExperimental}}', 'web1').out
    assert out == 'null false\n'
    cli.ok('stop', 'web1', env=QUICK)
    new = json.loads(path.read_text())
    assert new['Driver']['Checkpoint'] == 1
    assert keys(new['HostOptions']) == keys(json.loads(text)['HostOptions'])


def drop_paths(options, how):
    if how == 'empty':
        options['AuthOptions'] = {key: '' for key in options['AuthOptions'] if key != 'ServerCertSANs'}
    elif how == 'some':
        options['AuthOptions'] = {'CertDir': options['AuthOptions']['CertDir']}
    elif how == 'null':
        options['AuthOptions'] = None
    else:
        del options['AuthOptions']


@pytest.mark.parametrize('how', ['null', 'missing', 'empty', 'some'])
def test_paths_that_are_missing(cli, how):
    """Whose record does not say where its certificates are, has those of the store; the record stays what it is."""
    cli.create_none('web1')
    path = cli.store / 'machines' / 'web1' / 'config.json'
    config = json.loads(path.read_text())
    drop_paths(config['HostOptions'], how)
    text = json.dumps(config)
    path.write_text(text)
    old = (cli.store / 'certs' / 'cert.pem').read_bytes()
    assert cli.ok('context', 'web1').out == 'web1\n'
    copies = {p.name: p.read_bytes() for p in (cli.home / '.docker' / 'contexts' / 'tls').rglob('*.pem')}
    assert copies == {name: (cli.store / 'certs' / name).read_bytes() for name in ['ca.pem', 'cert.pem', 'key.pem']}
    result = cli.fails('regenerate-certs', '-f', '--client-certs', 'web1')
    assert f'Creating client certificate: {cli.store}/certs/cert.pem\n' in result.out
    assert (cli.store / 'certs' / 'cert.pem').read_bytes() != old
    assert path.read_text() == text


def test_every_client_pair_is_renewed(cli):
    """Once, whichever machines have it."""
    certs, other = cli.store / 'certs', cli.folder / 'other'
    other.mkdir()
    for name in 'cert.pem', 'key.pem':
        (other / name).write_bytes((certs / name).read_bytes())
    cli.create_none('one')
    for name in 'two', 'three':
        cli.ok(f'--tls-client-cert={other}/cert.pem', f'--tls-client-key={other}/key.pem', 'create', '-d', 'none',
               '--url', 'x', name)
    before = (certs / 'cert.pem').read_bytes()
    out = cli.fails('regenerate-certs', '-f', '--client-certs', 'one', 'two', 'three').out
    assert out.count('Creating client certificate: ') == 2
    for folder in certs, other:
        assert (folder / 'cert.pem').read_bytes() != before
        assert (folder / 'cert.pem.bak').read_bytes() == before


def lost(certs):
    for path in certs.iterdir():
        path.unlink()


def expired(certs):
    key, request = certs / 'ca-key.pem', certs.parent / 'request'
    for words in ['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-subj', '/O=old', '-out', request], [
            'x509', '-req', '-in', request, '-signkey', key, '-days', '-1', '-out', certs / 'ca.pem']:
        subprocess.run(['openssl', *words], check=True, capture_output=True)


@pytest.mark.parametrize('how', [lost, expired])
def test_machines_that_a_new_ca_leaves_behind(cli, how):
    """Those whose engines have a certificate by the CA of that place, but for those that get another now."""
    certs, other = cli.store / 'certs', cli.folder / 'other'
    other.mkdir()
    for name in 'ca.pem', 'ca-key.pem':
        (other / name).write_bytes((certs / name).read_bytes())
    for name in 'one', 'two', 'unprovisioned':
        cli.create_none(name)
    cli.ok('--tls-ca-cert', other / 'ca.pem', '--tls-ca-key', other / 'ca-key.pem', 'create', '-d', 'none', '--url', 'x',
           'others')
    for name in 'one', 'two', 'others':
        (cli.store / 'machines' / name / 'server.pem').write_text('')
    (cli.store / 'machines' / 'broken').mkdir()
    how(certs)
    line = 'engines of earlier machines have certificates of the old one: run "docker-machine regenerate-certs {}".\n'
    result = cli.create_none('new')
    assert line.format('one two') in result.out and f'Creating CA: {certs}/ca.pem\n' in result.out
    assert ('had expired and was replaced' in result.out) == (how is expired)
    how(certs)
    assert line.format('one') in cli.fails('regenerate-certs', '-f', '--client-certs', 'new', 'two').out
    assert 'earlier machines' not in cli.create_none('newer').out


@pytest.mark.parametrize('name, pair', [('ca.pem', 'ca'), ('ca-key.pem', 'ca'), ('cert.pem', 'client'),
                                        ('key.pem', 'client')])
def test_unusable_certificates(cli, name, pair):
    """The error tells which file, and the way out; which is one."""
    certs = cli.store / 'certs'
    files = [certs / f for f in (['ca.pem', 'ca-key.pem'] if pair == 'ca' else ['cert.pem', 'key.pem'])]
    (certs / name).write_text('what is this')
    result = cli.fails('create', '-d', 'none', '--url', 'x', 'web')
    assert result.err.startswith('Error generating certificates: ') and f' {certs / name}: Failed to' in result.err
    assert result.err.endswith(f': restore it, or move {files[0]} and {files[1]} away to have new ones made\n')
    for file in files:
        file.unlink()
    cli.create_none('web')


def test_old_copies_are_told(cli):
    """A renewed client pair is not in the folders of machines that are not named."""
    for name in 'one', 'two', 'three', 'none':
        cli.create_none(name)
    for name in 'one', 'two', 'three':
        (cli.store / 'machines' / name / 'server.pem').write_text('')
    line = ('Other machines keep copies of the old client certificate, which are of use until it ends: '
            '"docker-machine regenerate-certs three two" replaces them.\n')
    assert line in cli.fails('regenerate-certs', '-f', '--client-certs', 'one').out
    assert 'Other machines' not in cli.fails('regenerate-certs', '-f', 'one').out
    assert 'Other machines' not in cli.fails('regenerate-certs', '-f', '--client-certs', 'one', 'two', 'three').out
