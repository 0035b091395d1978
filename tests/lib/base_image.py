"""The base image of local machines, made once by scripts/build-image and kept in the tests' cache.

CACHE/image-HASH holds it; HASH covers the script, the guest's files and the mirrors. Images of
another recipe are removed when a new one is made.
"""

import fcntl
import hashlib
import shutil
import subprocess

import cli
import debian
from rootfs import cache_dir

BUILDER = cli.TOP / 'scripts' / 'build-image'
PARTS = 'rootfs,direct'
BUILD_SECONDS = 600


def recipe_hash():
    digest = hashlib.sha256()
    for path in [BUILDER, *sorted((BUILDER.parent / 'guest').rglob('*'))]:
        if path.is_file() and path.suffix != '.md':
            digest.update(str(path.relative_to(cli.TOP)).encode() + b'\0' + path.read_bytes())
    digest.update('\0'.join([PARTS, debian.sources('bookworm'), debian.proxy_settings()]).encode())
    return digest.hexdigest()[:12]


def folder():
    """The image's folder; made if it is not there."""
    cache = cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f'image-{recipe_hash()}'
    with open(cache / 'image.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.is_dir():
            for old in cache.glob('image-*'):
                shutil.rmtree(old)
            done = subprocess.run([BUILDER, '--parts', PARTS, path], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  errors='replace', timeout=BUILD_SECONDS)
            if done.returncode:
                raise RuntimeError(f'build-image: status {done.returncode}\n{done.stdout[-4000:]}')
    return path

