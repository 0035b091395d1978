"""The real docker client reaches a real engine by a machine's context, whatever becomes of the machine."""

import json
import subprocess

from real import image_tar


def docker(cli, *words, stdin=None):
    return subprocess.run(['docker', *words], env=cli.env, cwd=cli.folder, timeout=120, input=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def check(cli):
    done = docker(cli, '--context', 'web1', 'version', '--format', '{{.Server.Version}}')
    assert done.returncode == 0, done
    assert done.stdout.decode() == cli.ok('version', 'web1').out


def test_context(machine):
    cli, _ = machine('web1', '--docker-context')
    check(cli)
    assert docker(cli, '--context', 'web1', 'import', '-', 'test:busybox', stdin=image_tar()).returncode == 0
    done = docker(cli, '--context', 'web1', 'run', '--rm', 'test:busybox', 'echo', 'it works')
    assert done.stdout.decode() == 'it works\n', done
    script = f'eval "$({cli.program} env --context web1)" && docker run --rm test:busybox echo it works'
    done = subprocess.run(['bash', '-c', script], env=cli.env, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == 'it works\n', done

    old = (cli.store / 'certs' / 'cert.pem').read_bytes()
    cli.ok('regenerate-certs', '-f', '--client-certs', 'web1', timeout=120)
    assert (cli.store / 'certs' / 'cert.pem').read_bytes() != old
    kept, = (cli.home / '.docker' / 'contexts' / 'tls').glob('*/docker/cert.pem')
    assert kept.read_bytes() == (cli.store / 'certs' / 'cert.pem').read_bytes()
    check(cli)

    plugins = cli.home / '.docker' / 'cli-plugins'
    plugins.mkdir()
    (plugins / 'docker-machine').symlink_to(cli.program)
    done = docker(cli, '--context', 'web1', 'machine', 'ls', '--json')
    row, = json.loads(done.stdout)
    assert row['name'] == 'web1' and row['state'] == 'Running' and row['dockerVersion'] and not row['error']
    assert docker(cli, 'machine', 'ssh', 'web1', 'hostname').stdout == b'web1\n'
    docker(cli, 'machine', 'rm', '-y', 'web1')
    assert docker(cli, 'context', 'ls', '-q').stdout == b'default\n'
