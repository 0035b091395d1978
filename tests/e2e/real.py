"""Machines of test hosts; the docker client as a user runs it, and an image from no registry."""

import io
import pathlib
import subprocess
import tarfile

BUSYBOX = '/bin/busybox'


def generic(host, name, *flags):
    """The words of a create for a test host."""
    return ['create', '-d', 'generic', '--generic-ip-address', host.ip,
            '--generic-ssh-user', host.user, '--generic-ssh-key', host.key, *flags, name]


def image_tar():
    """A file system with a static busybox, for `docker import`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as tar:
        tar.add(pathlib.Path(BUSYBOX).resolve(), 'bin/busybox')
        for name in 'sh', 'echo', 'uname':
            link = tarfile.TarInfo(f'bin/{name}')
            link.type, link.linkname = tarfile.SYMTYPE, 'busybox'
            tar.addfile(link)
    return out.getvalue()


def in_shell(cli, name, commands, timeout=120):
    """`eval "$(machine env NAME)"` in a shell, then the commands."""
    script = f'eval "$({cli.program} env --shell bash {name})" && {commands}'
    return subprocess.run([*cli.prefix, 'bash', '-c', script], env=cli.env, input=image_tar(), timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cli.folder)


def check_engine(cli, name):
    """The client reaches the engine through mutual TLS and runs a container there."""
    done = in_shell(cli, name, 'docker version && docker import - test:busybox >/dev/null && '
                    'docker run --rm test:busybox echo it works')
    text = done.stdout.decode(errors='replace')
    assert done.returncode == 0, text
    assert 'Server' in text and text.rstrip().endswith('it works'), text


def mount(cli, *words):
    """Not by cli.run, which ends what a command leaves: sshfs is meant to stay."""
    return subprocess.run([cli.program, 'mount', *words], env=cli.env, cwd=cli.folder, timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
