"""Base images for tests: disks, folders as build-image leaves them, and what must hold of a cache."""

import hashlib
import json
import platform
import random
import subprocess

ARCHITECTURE = {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(platform.machine(), '')


def raw_disk(size=1 << 20, seed=0):
    data = bytearray(random.Random(seed).randbytes(size))
    data[510:512] = b'\x55\xaa'
    return bytes(data)


def qcow2_disk(path, size=1 << 20, seed=0, options=()):
    """Writes a disk of random bytes and gives its content."""
    raw = path.with_suffix('.tmp')
    raw.write_bytes(raw_disk(size, seed))
    subprocess.run(['qemu-img', 'convert', '-q', '-f', 'raw', '-O', 'qcow2', *options, raw, path],
                   check=True)
    raw.unlink()
    return path.read_bytes()


def entry(path):
    data = path.read_bytes()
    return {'name': path.name, 'size': len(data), 'sha256': hashlib.sha256(data).hexdigest()}


def folder_image(folder, name='debian-12', content='one', created='2026-01-01T00:00:00Z', **changes):
    """What build-image leaves, but that nothing of it boots."""
    folder.mkdir(exist_ok=True)
    for file in 'rootfs.tar.zst', 'vmlinuz', 'initrd.img', 'packages.txt':
        (folder / file).write_text(f'{file} {content}\n')
    qcow2_disk(folder / 'root.qcow2', 1 << 17)
    roles = {'rootfs': 'rootfs.tar.zst', 'root': 'root.qcow2', 'kernel': 'vmlinuz',
             'initrd': 'initrd.img'}
    meta = {'format': 1, 'name': name, 'created': created, 'architecture': ARCHITECTURE,
            'os': 'Debian 12', 'engine': '', 'seed': 'lean', 'cmdline': 'root=LABEL=root ro',
            'source': {'suite': 'bookworm'},
            'files': {role: entry(folder / file) for role, file in roles.items()}, **changes}
    (folder / 'image.json').write_text(json.dumps(meta))
    return meta


def cache(cli):
    return cli.store / 'cache' / 'images'


def listed(cli):
    return json.loads(cli.ok('image', 'ls', '--json').out)


def assert_cache_whole(cli, partial=False):
    """Every image that shows is what its image.json says; nothing else lies about."""
    folder = cache(cli)
    names = sorted(p.name for p in folder.iterdir()) if folder.exists() else []
    hidden = [n for n in names if n.startswith('.')]
    assert not [n for n in hidden if not (partial and n.startswith('.part-'))], hidden
    for image in listed(cli):
        assert 'error' not in image, image
        assert_image_whole(folder / image['id'])


def assert_image_whole(folder):
    meta = json.loads((folder / 'image.json').read_text())
    assert meta['id'] == folder.name
    for file in meta['files'].values():
        assert entry(folder / file['name']) == {k: file[k] for k in ('name', 'size', 'sha256')}
    subprocess.run(['sha256sum', '--quiet', '-c', 'SHA256SUMS'], check=True, cwd=folder)
    assert {oct(p.stat().st_mode & 0o7777) for p in folder.iterdir()
            if not p.name.startswith('.')} == {'0o444'}
