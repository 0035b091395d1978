"""Killed at any system call, or the disk full at any: nothing half is ever an image, nothing is left
behind, and the command can be given again."""

import errno
import os
import shutil
import subprocess

import pytest

import images
import web as web_module
from cli import build_dir

CALLS_MAX = 400
LIBRARY = build_dir(fault=True) / 'tests' / 'functional' / 'libfailfs.so'
# what changes something
CHANGES = ('link,linkat,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,symlink,'
           'symlinkat,chmod,fchmod,fchmodat,ftruncate,fsync,fdatasync,write,pwrite64').split(',')
LONG = pytest.mark.long
KINDS = ['folder', pytest.param('file', marks=LONG), pytest.param('download', marks=LONG)]


@pytest.fixture
def web():
    with web_module.serving() as server:
        yield server


@pytest.fixture
def words(tmp_path, web, request):
    """The arguments of an import of each kind."""
    kind = request.param
    if kind == 'folder':
        images.folder_image(tmp_path / 'built')
        return [str(tmp_path / 'built')]
    if kind == 'file':
        images.qcow2_disk(tmp_path / 'disk.qcow2', 1 << 17)
        return [str(tmp_path / 'disk.qcow2')]
    page = web.add('/disk.qcow2', images.qcow2_disk(tmp_path / 'disk.qcow2', 1 << 17))
    return ['--checksum', page.sum(), web.url('/disk.qcow2')]


def helper(cli, *words):
    """machine-image itself: what strace counts shall be its calls alone."""
    return [cli.build / 'drivers' / 'machine-image', f'--storage-path={cli.store}', *words]


def killed_at(cli, call, number, *words):
    """Runs it; was it killed, at the system call of that number?"""
    # leaks are looked for in the other tests: the sanitizer's way of doing it is strace's own
    env = {**cli.env, 'ASAN_OPTIONS': f'{cli.env["ASAN_OPTIONS"]}:detect_leaks=0'}
    run = subprocess.run(
        ['strace', '-o', '/dev/null', '-e', f'inject={call}:signal=SIGKILL:when={number}',
         *helper(cli, *words)], env=env, capture_output=True, text=True, check=False)
    assert run.returncode in (0, -9, 137), run
    return run.returncode != 0


def kills(cli, *words):
    """Kills it at each of the calls that change something; yields after each."""
    total = 0
    for call in CHANGES:
        for number in range(1, CALLS_MAX):
            if not killed_at(cli, call, number, *words):
                break
            total += 1
            yield f'{call} {number}'
        else:
            raise AssertionError(f'more than {CALLS_MAX} calls of {call}')
        yield f'{call} {number} did not come'
    assert total > 5


@pytest.mark.parametrize('words', KINDS, indirect=True)
def test_killed_anywhere(empty_cli, words):
    cli = empty_cli
    for where in kills(cli, 'import', *words):
        for image in images.listed(cli):
            assert 'error' not in image, where
            images.assert_image_whole(images.cache(cli) / image['id'])
        cli.ok('image', 'import', *words)
        images.assert_cache_whole(cli)
        assert len(images.listed(cli)) == 1, where
        shutil.rmtree(cli.store)


@pytest.mark.parametrize('words, sticky', [
    ('folder', True), pytest.param('file', True, marks=LONG), pytest.param('download', True, marks=LONG),
    pytest.param('download', False, marks=LONG)], indirect=['words'])
def test_no_space(empty_cli, tmp_path, words, sticky):
    cli, log = empty_cli, tmp_path / 'failures'
    env = {'LD_PRELOAD': str(LIBRARY), 'FAILFS_ROOT': str(cli.store),
           'FAILFS_ERRNO': str(errno.ENOSPC), 'FAILFS_LOG': str(log),
           'ASAN_OPTIONS': f'{cli.env["ASAN_OPTIONS"]}:verify_asan_link_order=0'}
    if sticky:
        env['FAILFS_STICKY'] = '1'
    for number in range(1, CALLS_MAX):
        log.unlink(missing_ok=True)
        result = cli.run('image', 'import', *words, env={**env, 'FAILFS_AT': str(number)})
        failed = log.exists()
        if not failed:
            assert result.status == 0, result
            break
        if result.status: # what is only tidying up may fail without harm
            assert os.strerror(errno.ENOSPC) in result.err and str(cli.store) in result.err, result
            assert not [p for p in images.cache(cli).glob('.part-*/data') if p.stat().st_size], result
        for image in images.listed(cli):
            images.assert_image_whole(images.cache(cli) / image['id'])
        cli.ok('image', 'import', *words)
        images.assert_cache_whole(cli)
        shutil.rmtree(cli.store)
    else:
        raise AssertionError(f'more than {CALLS_MAX} calls')
    assert number > 10


SMALL_DISK = ['unshare', '-rm', 'sh', '-c', 'mount -t tmpfs -o size=2m none "$0" && exec "$@"']


@pytest.mark.parametrize('told', [True, False])
def test_larger_than_the_disk(empty_cli, web, tmp_path, told):
    """A disk of 2 MB. Where the server tells the size, nothing is written; else it runs full."""
    page = web.add('/disk.qcow2', images.qcow2_disk(tmp_path / 'disk.qcow2', 4 << 20))
    page.told = told
    empty_cli.store.mkdir()
    result = empty_cli.fails('image', 'import', '--checksum', page.sum(), web.url('/disk.qcow2'),
                             prefix=[*SMALL_DISK, empty_cli.store])
    assert ('MB are needed' in result.err) == told
    assert os.strerror(errno.ENOSPC) in result.err and 'machine image rm' in result.err, result


def test_removal_killed(empty_cli, tmp_path):
    """An image is there whole, or gone."""
    cli = empty_cli
    images.folder_image(tmp_path / 'built')
    image = cli.ok('image', 'import', str(tmp_path / 'built')).out.strip()
    for where in kills(cli, 'rm', image):
        for left in images.listed(cli):
            images.assert_image_whole(images.cache(cli) / left['id'])
        cli.run('image', 'rm', image)
        assert list(images.cache(cli).iterdir()) == [], where
        assert cli.ok('image', 'import', str(tmp_path / 'built')).out.strip() == image
