"""The real docker client: machines as its contexts."""

import hashlib
import json
import os
import shutil
import stat
import subprocess

import pytest

from cli import flaky_create
from dockerclient import docker # noqa: F401
from engine import Engine, Handler, server_certificate

URL = 'tcp://127.0.0.1:1'


class ClientHandler(Handler):
    """An engine as far as `docker version` goes."""

    def do_HEAD(self):
        self.send_response(200)
        self.send_header('Api-Version', '1.43')
        self.send_header('Content-Length', '0')
        self.end_headers()

    def do_GET(self):
        if self.path.endswith('/version'):
            self.path = '/version'
        super().do_GET()


def hash_of(name):
    return hashlib.sha256(name.encode()).hexdigest()


def meta_file(docker, name):
    return docker.folder / 'contexts' / 'meta' / hash_of(name) / 'meta.json'


def meta(docker, name):
    return json.loads(meta_file(docker, name).read_text())


def tls_folder(docker, name):
    return docker.folder / 'contexts' / 'tls' / hash_of(name)


def files_below(docker):
    """What there is of contexts."""
    return sorted(str(p.relative_to(docker.folder)) for p in (docker.folder / 'contexts').rglob('*')
                  if not p.is_dir())


def contexts(docker):
    return docker('context', 'ls', '-q').stdout.split()


def test_context(cli, docker):
    cli.create_none('web1', URL)
    result = cli.ok('context', 'web1')
    assert result.out == 'web1\n' and 'docker --context web1' in result.err
    assert contexts(docker) == ['default', 'web1']
    seen, = json.loads(docker('context', 'inspect', 'web1').stdout)
    assert seen['Name'] == 'web1'
    assert seen['Endpoints'] == {'docker': {'Host': URL, 'SkipTLSVerify': False}}
    assert sorted(seen['TLSMaterial']['docker']) == ['ca.pem', 'cert.pem', 'key.pem']
    assert meta(docker, 'web1')['Metadata'] == {
        'Description': 'machine web1', 'machine': {'name': 'web1', 'storePath': str(cli.store)}}
    for name in 'ca.pem', 'cert.pem', 'key.pem':
        path = tls_folder(docker, 'web1') / 'docker' / name
        assert path.read_bytes() == (cli.store / 'certs' / name).read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in tls_folder(docker, 'web1'), tls_folder(docker, 'web1') / 'docker':
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(files_below(docker)) == 4
    stamp = meta_file(docker, 'web1').stat().st_mtime_ns, tls_folder(docker, 'web1').stat().st_ino
    assert cli.ok('context', 'web1').out == 'web1\n' # what is right is left alone
    assert stamp == (meta_file(docker, 'web1').stat().st_mtime_ns, tls_folder(docker, 'web1').stat().st_ino)
    assert cli.ok('context', '--rm', 'web1').out == 'web1\n'
    assert files_below(docker) == [] and contexts(docker) == ['default'] and cli.names() == ['web1']
    assert cli.fails('context', '--rm', 'web1').err == 'machine "web1" has no docker context\n'


def test_context_of_several(cli, docker):
    """How each came out is told where one failed."""
    cli.create_none('web1', URL)
    cli.create_none('web2', URL)
    meta_file(docker, 'web2').parent.mkdir(parents=True)
    meta_file(docker, 'web2').write_text('{"Name": "web2"}')
    result = cli.fails('context', 'web1', 'web2')
    _, good, bad, last = result.err.splitlines()
    assert good.split()[:3] == ['web1', 'made', 'a'] and bad.split()[:2] == ['web2', 'failed'], result
    assert last == 'Error: context: 1 of 2 machines were not made a context'


def test_the_client_gets_through(cli, docker, certs, tmp_path):
    engine = Engine(certs, tmp_path)
    engine.server.RequestHandlerClass = ClientHandler
    try:
        cli.create_none('web1', engine.url)
        cli.ok('context', 'web1')
        shown = docker('--context', 'web1', 'version', '--format', '{{.Server.Version}}')
        assert shown.stdout == '24.0.7\n', shown
        script = 'eval "$(docker machine env --context web1)" && docker version --format "{{.Server.Version}}"'
        done = subprocess.run(['sh', '-c', script], env={**cli.env, 'DOCKER_HOST': URL}, capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.stdout == '24.0.7\n', done # DOCKER_HOST would win: it has to go
    finally:
        engine.close()


def check_active(cli, url, current=False):
    """The engine that the client would talk to: DOCKER_HOST wins, as with the client."""
    for env, active in (({'DOCKER_CONTEXT': 'web1'}, True), ({'DOCKER_HOST': url, 'DOCKER_CONTEXT': 'x'}, True),
                        ({'DOCKER_CONTEXT': 'web1', 'DOCKER_HOST': 'tcp://x:1'}, False),
                        ({'DOCKER_CONTEXT': 'default'}, False), ({'DOCKER_CONTEXT': '../../x'}, False),
                        ({}, current), ({'DOCKER_HOST': '', 'DOCKER_CONTEXT': ''}, current)):
        result = cli.run('active', env=env)
        assert (result.status, result.out) == ((0, 'web1\n') if active else (1, '')), (env, result)
        row, = json.loads(cli.ok('ls', '--json', env=env).out)
        assert row['active'] == active, (env, row)
        assert cli.ok('ls', env=env).out.splitlines()[1].split()[1] == ('*' if active else '-')


def test_env_context(cli, docker, certs, tmp_path):
    engine = Engine(certs, tmp_path)
    try:
        cli.create_none('web1', engine.url)
        result = cli.ok('env', '--context', '--shell=bash', 'web1')
        assert result.out == ('unset DOCKER_TLS_VERIFY\nunset DOCKER_HOST\nunset DOCKER_CERT_PATH\n'
                              'export DOCKER_CONTEXT="web1"\nexport DOCKER_MACHINE_NAME="web1"\n'
                              '# Run this command to configure your shell: \n'
                              f'# eval $({cli.program} env --context --shell=bash web1)\n')
        assert contexts(docker) == ['default', 'web1']
        check_active(cli, engine.url)
        docker('context', 'use', 'web1')
        check_active(cli, engine.url, current=True)
        docker('context', 'use', 'default')
        check_active(cli, engine.url)
    finally:
        engine.close()
    out = cli.ok('env', '-u', '--context', '--shell=bash').out.splitlines()
    assert 'unset DOCKER_CONTEXT' in out and len(out) == 7
    assert 'exclude' in cli.fails('env', '--context', '--swarm', 'web1').err
    # an engine that does not answer gets no context
    cli.create_none('dead', URL)
    cli.fails('env', '--context', 'dead')
    assert 'dead' not in contexts(docker)


def test_create_and_rm(cli, docker):
    cli.ok('create', '-d', 'none', '--url', URL, '--docker-context', 'web1')
    cli.ok('create', '-d', 'none', '--url', URL, 'web2', env={'MACHINE_DOCKER_CONTEXT': '1'})
    cli.create_none('web3', URL)
    assert contexts(docker) == ['default', 'web1', 'web2']
    cli.ok('rm', '-y', 'web1', 'web3')
    assert contexts(docker) == ['default', 'web2']
    docker('context', 'use', 'web2')
    result = cli.ok('rm', '-f', 'web2')
    assert files_below(docker) == []
    assert 'docker context use' in result.out and not result.err # programs take stderr for failure


def test_resume(cli, docker):
    cli.fails('create', '--docker-context', *flaky_create('web', {'create': 'error:auth'})[1:])
    assert contexts(docker) == ['default']
    cli.set_script('web', {})
    cli.ok('create', '--resume', 'web', '--docker-context')
    assert contexts(docker) == ['default', 'web']


def test_resume_remembers(cli, docker):
    """What create was told, unless it is told otherwise now."""
    for name in 'web1', 'web2', 'web3':
        told = [] if name == 'web3' else ['--docker-context']
        cli.fails('create', *told, *flaky_create(name, {'create': ['error:auth', 'ok']})[1:])
    cli.ok('create', '--resume', 'web1')
    cli.ok('create', '--resume', 'web2', '--docker-context=false')
    cli.ok('create', '--resume', 'web3')
    assert contexts(docker) == ['default', 'web1']


@pytest.mark.parametrize('name, context', [('default', 'machine-default'), ('a', 'machine-a'), ('a.b-C', 'a.b-C')])
def test_names_that_docker_has_itself(cli, docker, name, context):
    cli.create_none(name, URL)
    assert cli.ok('context', name).out == f'{context}\n'
    assert sorted(contexts(docker)) == sorted(['default', context])
    cli.ok('rm', '-y', name)
    assert contexts(docker) == ['default']


def foreign(docker, cli):
    docker('context', 'create', 'web1', '--docker', 'host=tcp://192.0.2.1:2375')


def other_store(docker, cli):
    store = str(cli.folder / 'other')
    cli.ok('-s', store, 'create', '-d', 'none', '--url', 'tcp://192.0.2.1:2376', '--docker-context', 'web1')


def torn(docker, cli):
    meta_file(docker, 'web1').parent.mkdir(parents=True)
    meta_file(docker, 'web1').write_text('{"Name":"web1","Metadata":{"machine":{"name":"web1"')


def too_large(docker, cli):
    meta_file(docker, 'web1').parent.mkdir(parents=True)
    meta_file(docker, 'web1').write_text(json.dumps(
        {'Name': 'web1', 'Metadata': {'machine': {'name': 'web1', 'storePath': str(cli.store)}}}) + ' ' * 70000)


def test_context_of_a_machine_that_is_gone(cli, docker):
    """Its folder was deleted by hand, and the context is still ours."""
    for name in 'web1', 'web2':
        cli.create_none(name, URL)
    cli.ok('context', 'web1', 'web2')
    shutil.rmtree(cli.store / 'machines' / 'web1')
    assert cli.ok('context', '--rm', 'web1').out == 'web1\n'
    assert contexts(docker) == ['default', 'web2']
    assert 'Docker machine "web1" does not exist' in cli.fails('context', '--rm', 'web1').err
    foreign(docker, cli)
    assert 'the docker context "web1" exists already' in cli.fails('context', '--rm', 'web1').err
    assert contexts(docker) == ['default', 'web1', 'web2']
    shutil.rmtree(cli.store)
    assert cli.ok('context', '--rm', 'web2').out == 'web2\n'
    assert 'Docker machine "web2" does not exist' in cli.fails('context', '--rm', 'web2').err
    assert contexts(docker) == ['default', 'web1'] and not cli.store.exists()


def test_removal_of_several(cli, docker):
    """Each once; one that has none does not keep the others."""
    for name in 'web1', 'web2', 'web3':
        cli.create_none(name, URL)
    cli.ok('context', 'web2', 'web3')
    result = cli.fails('context', '--rm', 'web1', 'web2', 'web2', 'web3', '..')
    assert result.out == 'web2\nweb3\n'
    assert result.err.splitlines()[0] == 'machine "web1" has no docker context'
    assert result.err.splitlines()[1].startswith('Docker machine ".." does not exist')
    assert result.err.count('\n') == 2 and contexts(docker) == ['default']


@pytest.mark.parametrize('theirs', [foreign, other_store, torn, too_large])
def test_others_are_left_alone(cli, docker, theirs):
    theirs(docker, cli)
    before = {f: (docker.folder / f).read_bytes() for f in files_below(docker)}
    cli.create_none('web1', URL)
    for command in ['context', 'web1'], ['context', '--rm', 'web1']:
        assert 'the docker context "web1" exists already' in cli.fails(*command).err
    cli.ok('rm', '-y', 'web1')
    result = cli.fails('create', '-d', 'none', '--url', URL, '--docker-context', 'web1')
    assert 'docker context rm web1' in result.err and cli.names() == [] # found out before anything is made
    assert before and before == {f: (docker.folder / f).read_bytes() for f in files_below(docker)}


def test_store_that_has_moved(cli, docker):
    """Its contexts are its own there, too; those of a copy, or of another store that is gone, are not."""
    cli.create_none('web1', URL)
    cli.create_none('web2', URL)
    for name in 'web1', 'web2':
        cli.ok('context', name)
    copy, moved = cli.folder / 'copy', cli.folder / 'moved'
    shutil.copytree(cli.store, copy)
    assert 'exists already' in cli.fails('-s', copy, 'context', 'web1').err
    cli.store.rename(moved)
    (copy / 'machines' / 'web1' / 'ca.pem').write_text('another')
    assert 'exists already' in cli.fails('-s', copy, 'context', 'web1').err
    assert cli.ok('-s', moved, 'context', 'web1').out == 'web1\n'
    assert meta(docker, 'web1')['Metadata']['machine'] == {'name': 'web1', 'storePath': str(moved)}
    cli.ok('-s', moved, 'rm', '-y', 'web1', 'web2')
    assert files_below(docker) == [] and contexts(docker) == ['default']


def test_follows_the_machine(cli, docker):
    """A start may bring another address: what the user wrote into the context stays."""
    cli.create_flaky('web')
    cli.ok('context', 'web')
    docker('context', 'update', 'web', '--description', 'mine')
    before = meta(docker, 'web')
    assert before['Metadata']['machine']['name'] == 'web' # the client keeps what it does not know
    path = meta_file(docker, 'web')
    path.write_text(path.read_text().replace(before['Endpoints']['docker']['Host'], 'tcp://192.0.2.9:2376'))
    cli.ok('stop', 'web')
    assert meta(docker, 'web')['Endpoints']['docker']['Host'] == 'tcp://192.0.2.9:2376'
    cli.ok('start', 'web')
    assert meta(docker, 'web') == before and before['Metadata']['Description'] == 'mine'


def test_new_client_certificates(cli, docker):
    """A pair is exchanged as one; nothing is left beside it."""
    cli.create_flaky('web')
    cli.ok('context', 'web')
    key = tls_folder(docker, 'web') / 'docker' / 'key.pem'
    old = key.read_bytes()
    cert, new_key = server_certificate(cli.store / 'certs', cli.folder, ['127.0.0.1'])
    shutil.copy(cert, cli.store / 'certs' / 'cert.pem')
    shutil.copy(new_key, cli.store / 'certs' / 'key.pem')
    cli.ok('restart', 'web')
    assert key.read_bytes() == new_key.read_bytes() != old
    assert (key.parent / 'cert.pem').read_bytes() == cert.read_bytes()
    assert len(files_below(docker)) == 4
    assert sorted(p.name for p in tls_folder(docker, 'web').parent.iterdir()) == [hash_of('web')]


def test_leftovers_of_killed_programs_go(cli, docker):
    cli.create_none('web1', URL)
    cli.ok('context', 'web1')
    gone = subprocess.Popen(['true'])
    gone.wait()
    realm_free = tls_folder(docker, 'web1').parent / f'.web1.tmp-{gone.pid}.1.00000000.00000000'
    (realm_free / 'docker').mkdir(parents=True)
    (realm_free / 'docker' / 'key.pem').write_text('secret')
    os.utime(realm_free, (1, 1))
    cli.ok('context', 'web1')
    assert not realm_free.exists()


def test_without_a_home(cli):
    """Rancher's environment: nothing of docker's is looked for."""
    env = {'HOME': '', 'DOCKER_CONFIG': ''}
    cli.ok('create', '-d', 'none', '--url', URL, 'web1', env=env)
    for words in ['context', 'web1'], ['context', '--rm', 'web1']:
        assert 'DOCKER_CONFIG' in cli.fails(*words, env=env).err
    cli.ok('rm', '-y', 'web1', env=env)


def test_folder_in_the_home(cli):
    cli.create_none('web1', URL)
    cli.ok('context', 'web1')
    assert (cli.home / '.docker' / 'contexts' / 'meta' / hash_of('web1') / 'meta.json').exists()


def test_several_and_what_fails(cli, docker):
    cli.create_none('web1', URL)
    cli.create_none('web2', URL)
    cli.create_flaky('off')
    (cli.flaky / 'state-off').write_text('Stopped')
    assert cli.ok('context', 'web2', 'web1').out == 'web2\nweb1\n'
    assert 'Host is not running' in cli.fails('context', 'off').err
    assert 'does not exist' in cli.fails('context', 'nope').err
    assert 'does not exist' in cli.fails('context', '--rm', 'nope').err
    assert cli.fails('context').err.startswith('Error: No machine name(s) specified')
    assert contexts(docker) == ['default', 'web1', 'web2']


def test_context_that_cannot_be_written(cli, docker):
    """A folder that cannot be written: the machine stays, the error says what to do."""
    (docker.folder / 'contexts').write_text('')
    result = cli.fails('create', '-d', 'none', '--url', URL, '--docker-context', 'web1')
    assert 'is ready, but has no docker context' in result.err and 'machine context web1' in result.err
    assert cli.ok('status', 'web1').out == 'Running\n'
    cli.ok('rm', '-y', 'web1')
