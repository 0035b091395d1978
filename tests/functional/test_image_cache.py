"""Images that lie on this computer; what is listed, what may go, what is refused."""

import json
import os
import pty
import shutil
import subprocess

import pytest

import images
from cli import build_dir

HEX = '0123456789ab'


@pytest.fixture
def built(tmp_path):
    """A folder as build-image leaves it."""
    folder = tmp_path / 'built'
    images.folder_image(folder)
    return folder


def use(cli, machine, image):
    """As a driver does."""
    folder = cli.store / 'machines' / machine
    folder.mkdir(parents=True)
    (folder / 'image').symlink_to(f'../../cache/images/{image}')


def test_help(empty_cli):
    commands = 'ls', 'import', 'build', 'rm'
    everything = empty_cli.ok('image', '--help').out
    assert empty_cli.ok('help', 'image').out == everything
    for command in commands:
        assert command in everything
        text = empty_cli.ok('image', command, '--help').out
        assert ('build-image [OPTION]' if command == 'build' else f'image {command}') in text
    assert 'image' in empty_cli.ok('--help').out
    assert not empty_cli.store.exists() # nothing was made for that


@pytest.mark.parametrize('words, says', [
    ([], 'Expected one of: image ls'), (['such'], '"image such" is not a command'),
    (['ls', 'x'], 'Expected no arguments'), (['rm'], 'Expected NAME|ID'),
    (['import'], 'Expected FOLDER|FILE|URL|NAME'), (['import', 'a', 'b'], 'Expected FOLDER'),
    (['ls', '--such'], 'flag provided but not defined: -such'),
    (['ls', '-q', '--json'], 'exclude each other')])
def test_usage(empty_cli, words, says):
    result = empty_cli.fails('image', *words)
    assert says in result.err and (words[:1] == ['such'] or '-q' in words or 'Usage:' in result.out)


def test_empty(empty_cli):
    assert empty_cli.ok('image', 'ls').out.split() == ['NAME', 'ID', 'SIZE', 'CREATED', 'PARTS', 'USED',
                                                       'BY']
    assert empty_cli.ok('image', 'ls', '-q').out == ''
    assert images.listed(empty_cli) == []
    assert not empty_cli.store.exists()


def test_folder(empty_cli, built):
    first = empty_cli.ok('image', 'import', str(built)).out.strip()
    again = empty_cli.ok('image', 'import', str(built)).out.strip()
    assert first == again
    images.assert_cache_whole(empty_cli)
    image, = images.listed(empty_cli)
    assert (image['name'], image['parts'], image['usedBy']) == ('debian-12', ['rootfs', 'direct'], [])
    assert image['source'] == {'suite': 'bookworm'}
    assert (images.cache(empty_cli) / first / 'packages.txt').exists()
    row = empty_cli.ok('image', 'ls').out.splitlines()[1]
    for text in 'debian-12', first, '2026-01-01T00:00:00Z', 'rootfs, direct':
        assert text in row
    assert empty_cli.ok('image', 'ls', '-q').out.split() == [first]


def test_store_flag(empty_cli, built, tmp_path):
    other = tmp_path / 'other'
    empty_cli.ok('-s', str(other), 'image', 'import', str(built))
    assert not empty_cli.store.exists()
    assert len(json.loads(empty_cli.ok('-s', str(other), 'image', 'ls', '--json').out)) == 1
    here = empty_cli.run('image', 'import', '../built', env={'MACHINE_STORAGE_PATH': ''})
    assert here.status == 1 # the working folder is the test's own
    empty_cli.ok('-s', 'other', 'image', 'ls') # relative to it


def test_names(empty_cli, built):
    ids = [empty_cli.ok('image', 'import', *words, str(built)).out.strip()
           for words in ([], ['--name', 'other'])]
    assert len(set(ids)) == 2
    for bad in '../x', 'a/b', '.a', '-a', 'a b', f'a-{HEX}', 'a.qcow2', 'x' * 65, '..':
        result = empty_cli.fails('image', 'import', f'--name={bad}', str(built))
        assert 'is not a name for an image' in result.err
    images.folder_image(built, name='../../x')
    result = empty_cli.fails('image', 'import', str(built))
    assert 'is not a name for an image' in result.err
    assert sorted(p.name for p in images.cache(empty_cli).iterdir()) == sorted(ids)


@pytest.mark.parametrize('ref', ['../built', '..', '.', f'../../x-{HEX}', '/', '', '*', 'such',
                                 f'such-{HEX}'])
def test_rm_of_what_is_none(empty_cli, built, ref):
    empty_cli.ok('image', 'import', str(built))
    result = empty_cli.fails('image', 'rm', '-f', ref)
    assert 'there is no image' in result.err
    assert len(images.listed(empty_cli)) == 1 and built.exists()


def test_rm(empty_cli, built):
    first = empty_cli.ok('image', 'import', str(built)).out.strip()
    images.folder_image(built, content='two', created='2026-01-02T00:00:00Z')
    second = empty_cli.ok('image', 'import', str(built)).out.strip()
    assert [i['id'] for i in images.listed(empty_cli)] == [second, first] # the newest comes first
    both = empty_cli.fails('image', 'rm', 'debian-12')
    assert first in both.err and second in both.err
    use(empty_cli, 'web', first)
    assert images.listed(empty_cli)[1]['usedBy'] == ['web']
    assert empty_cli.ok('image', 'ls').out.splitlines()[2].endswith('web')
    result = empty_cli.fails('image', 'rm', first, second, 'such')
    assert 'is in use' in result.err and 'web' in result.err and 'such' in result.err
    assert result.out.split() == [second]
    assert [i['id'] for i in images.listed(empty_cli)] == [first]
    assert empty_cli.ok('image', 'rm', '-f', 'debian-12').out.split() == [first]
    images.assert_cache_whole(empty_cli)
    assert list(images.cache(empty_cli).iterdir()) == []


def test_changed_file(empty_cli, built):
    """Found when it is used; an import puts it right."""
    image = empty_cli.ok('image', 'import', str(built)).out.strip()
    file = images.cache(empty_cli) / image / 'vmlinuz'
    content = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(content[::-1])
    assert empty_cli.ok('image', 'import', str(built)).out.strip() == image
    assert file.read_bytes() == content
    images.assert_cache_whole(empty_cli)


def test_what_drivers_made_of_an_image_stays(empty_cli, built):
    """Machines run on it; a damaged file of the image is no reason to take it from them."""
    image = empty_cli.ok('image', 'import', str(built)).out.strip()
    folder = images.cache(empty_cli) / image
    made = folder / '.root/tree/bin'
    made.mkdir(parents=True)
    (made / 'sh').write_text('in use')
    inode = (made / 'sh').stat().st_ino
    for name, content in ('vmlinuz', 'other'), ('image.json', '{'), ('stray', 'x'):
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(content)
        if name == 'stray':
            (folder / 'rootfs.tar.zst').unlink()
        assert empty_cli.ok('image', 'import', str(built)).out.strip() == image
        assert (made / 'sh').stat().st_ino == inode
        images.assert_image_whole(folder)
    assert not (folder / 'stray').exists()
    empty_cli.ok('image', 'rm', image)
    images.assert_cache_whole(empty_cli)
    assert not folder.exists()


GARBLED = {
    'empty': '', 'half': '{"format": 1', 'array': '[]', 'text': 'hello', 'format': '{"format": 2}',
    'deep': '[' * 1000, 'nul': '{"format": 1, "name": "a\\u0000"}',
}
CHANGED = {
    'name': ({'name': 7}, '"name" is not a string'),
    'no-time': ({'created': 'today'}, '"created" is not a time'),
    'seed': ({'seed': 'melon'}, '"seed" is neither'),
    'control': ({'os': 'Debian\x1b[2J'}, 'control character'),
    'files': ({'files': {}}, 'neither a rootfs'),
    'role': ({'files': {'rootfs': 'x'}}, 'no plain file name'),
    'up': ({'files': {'rootfs': {'name': '../x', 'size': 1, 'sha256': '0' * 64}}}, 'no plain file'),
    'hidden': ({'files': {'rootfs': {'name': '.x', 'size': 1, 'sha256': '0' * 64}}}, 'no plain file'),
    'itself': ({'files': {'rootfs': {'name': 'image.json', 'size': 1, 'sha256': '0' * 64}}},
               'no plain file'),
    'sum': ({'files': {'rootfs': {'name': 'x', 'size': 1, 'sha256': 'XY'}}}, 'no SHA-256'),
    'size': ({'files': {'rootfs': {'name': 'x', 'size': -1, 'sha256': '0' * 64}}}, 'size of the rootfs'),
    'gone': ({'files': {'rootfs': {'name': 'x', 'size': 1, 'sha256': '0' * 64}}}, 'No such file'),
    'other': ({'files': {'rootfs': {'name': 'vmlinuz', 'size': 12, 'sha256': '0' * 64}}},
              'is not the file that image.json'),
    'id': ({'id': f'debian-12-{HEX}'}, 'not that of its content'),
}


@pytest.mark.parametrize('case', GARBLED)
def test_garbled_json(empty_cli, built, case):
    image = empty_cli.ok('image', 'import', str(built)).out.strip()
    for folder in built, images.cache(empty_cli) / image:
        (folder / 'image.json').chmod(0o600)
        (folder / 'image.json').write_text(GARBLED[case])
    result = empty_cli.fails('image', 'import', str(built))
    assert str(built / 'image.json') in result.err and 'Sanitizer' not in result.err
    result = empty_cli.ok('image', 'ls')
    assert 'unusable' in result.out and f'{image} cannot be used' in result.err
    assert images.listed(empty_cli)[0]['error']
    shutil.rmtree(built)
    images.folder_image(built)
    empty_cli.ok('image', 'import', str(built)) # puts it right
    images.assert_cache_whole(empty_cli)
    (images.cache(empty_cli) / image / 'image.json').unlink()
    assert empty_cli.ok('image', 'rm', image).out.split() == [image]


@pytest.mark.parametrize('case', CHANGED)
def test_refused_folders(empty_cli, built, case):
    changes, says = CHANGED[case]
    images.folder_image(built, **changes)
    result = empty_cli.fails('image', 'import', str(built))
    assert says in result.err and '\x1b' not in result.text, result
    assert images.listed(empty_cli) == []
    images.assert_cache_whole(empty_cli)


def test_links_in_a_folder(empty_cli, built, tmp_path):
    """A folder of somebody else's: no other file of this computer comes into the image by it."""
    (tmp_path / 'secret').write_text('secret')
    (built / 'notes.txt').symlink_to(tmp_path / 'secret')
    os.mkfifo(built / 'pipe')
    image = empty_cli.ok('image', 'import', str(built)).out.strip()
    assert not {'notes.txt', 'pipe'} & {p.name for p in (images.cache(empty_cli) / image).iterdir()}


def test_layers_are_refused(empty_cli, tmp_path):
    """A disk that needs another file would show that file to the machine."""
    secret = tmp_path / 'secret'
    secret.write_bytes(images.raw_disk(1 << 16))
    layer, data = tmp_path / 'layer.qcow2', tmp_path / 'data.qcow2'
    for words in (['-b', str(secret), '-F', 'raw', str(layer)],
                  ['-o', f'data_file={tmp_path / "outside"},data_file_raw=on', str(data), '64k']):
        subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', *words], check=True)
    for file, says in (layer, 'a backing file'), (data, 'its data in another file'):
        result = empty_cli.fails('image', 'import', str(file))
        assert says in result.err and str(file) in result.err
        images.assert_cache_whole(empty_cli)
    assert images.listed(empty_cli) == []


@pytest.mark.parametrize('content, says', [
    (b'', 'is no disk'), (b'x' * 511, 'is no disk'), (b'<html>' * 1000, 'is no disk'),
    (b'\xfd7zXZ\0' + b'x' * 1000, 'xz -d'), (b'\x1f\x8b' + b'x' * 1000, 'gzip -d'),
    (b'KDMV' + b'x' * 1000, "VMware's"), (b'QFI\xfb' + b'\0' * 1000, 'unknown qcow version'),
    (b'QFI\xfb\0\0\0\3' + b'\0' * 1000, 'impossible size')])
def test_no_disks(empty_cli, tmp_path, content, says):
    file = tmp_path / 'a.img'
    file.write_bytes(content)
    result = empty_cli.fails('image', 'import', str(file))
    assert says in result.err and str(tmp_path) in result.err, result
    images.assert_cache_whole(empty_cli)


def test_raw_disk(empty_cli, tmp_path):
    file = tmp_path / 'a b.img'
    file.write_bytes(images.raw_disk())
    image = empty_cli.ok('image', 'import', file.as_uri()).out.strip()
    assert image.startswith('a-b-')
    back = tmp_path / 'back'
    subprocess.run(['qemu-img', 'convert', '-O', 'raw',
                    images.cache(empty_cli) / image / 'disk.qcow2', back], check=True)
    assert back.read_bytes() == file.read_bytes()
    images.assert_cache_whole(empty_cli)


def test_what_is_no_file(empty_cli, tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for ref, says in ((tmp_path / 'such', 'No such file'), (tmp_path / 'pipe', 'not a regular file'),
                      (tmp_path, 'no image.json'), ('file://elsewhere/x', 'absolute path'),
                      ('file:///a%00b', 'no URL of a file'), ('file:///a%zz', 'no URL of a file')):
        result = empty_cli.fails('image', 'import', str(ref))
        assert says in result.err, result


def test_without_qemu_img(empty_cli, built, tmp_path):
    """It is needed where a raw disk is converted, and nowhere else."""
    env = {'PATH': str(tmp_path / 'nothing')}
    raw = tmp_path / 'a.raw'
    raw.write_bytes(images.raw_disk())
    where = shutil.which('qemu-img')
    if where.startswith(('/usr/local/sbin', '/usr/sbin', '/sbin')):
        pytest.fail('qemu-img lies where programs are looked for anyway')
    assert 'install qemu-utils' in empty_cli.fails('image', 'import', str(raw), env=env).err
    empty_cli.ok('image', 'import', str(built), env=env)


def test_helper_missing(tmp_path, empty_cli):
    """The program by itself, as somebody might copy it."""
    lonely = tmp_path / 'bin' / 'machine'
    lonely.parent.mkdir()
    shutil.copy(empty_cli.program, lonely)
    if os.path.exists('/usr/local/libexec/machine/machine-image'):
        pytest.fail('an installed helper is in the way of this test')
    run = subprocess.run([lonely, 'image', 'ls'], env=empty_cli.env, capture_output=True, text=True,
                         check=False)
    assert run.returncode == 1 and 'machine-image, a part of this program, is not there' in run.stderr
    assert 'curl' not in subprocess.run(['ldd', empty_cli.program], capture_output=True, text=True,
                                        check=True).stdout
    for driver in 'none', 'generic':
        assert 'curl' not in subprocess.run(
            ['ldd', build_dir() / 'drivers' / f'machine-driver-{driver}'], capture_output=True,
            text=True, check=True).stdout


def on_terminal(cli, *args, env=None):
    """What standard error shows when it is a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen([cli.program, *args], env={**cli.env, 'TERM': 'xterm', **(env or {})},
                               stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    text = b''
    while True:
        try:
            data = os.read(master, 65536)
        except OSError: # EIO: it has ended
            break
        if not data:
            break
        text += data
    os.close(master)
    assert process.wait(10) == 0, text
    return text.decode()


@pytest.mark.parametrize('term', ['xterm', 'dumb'])
def test_bar(empty_cli, tmp_path, term):
    """A file so large that reading it takes its time."""
    file = tmp_path / 'large.raw'
    file.write_bytes(images.raw_disk(1 << 16))
    with file.open('r+b') as handle:
        handle.truncate(3 << 28) # of holes
    text = on_terminal(empty_cli, 'image', 'import', '--checksum', 'none', str(file), env={'TERM': term})
    assert ('] ' in text and 'MB/s' in text) == (term == 'xterm'), text
    assert '\x1b' not in text.replace('\r\x1b[K', '') and ('\x1b' in text) == (term == 'xterm')
