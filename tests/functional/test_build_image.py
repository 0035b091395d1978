"""scripts/build-image: what it says before it begins. Real builds are in e2e/test_build_image_real.py."""

import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(__file__).parents[2] / 'scripts/build-image'


def refuse(tmp_path, *arguments, **environment):
    result = subprocess.run([BUILD, *arguments], capture_output=True, text=True, timeout=60, cwd=tmp_path,
                            env={**os.environ, **environment})
    assert result.returncode == 1
    assert result.stdout == ''
    assert result.stderr.startswith('build-image: ') and result.stderr.count('\n') == 1
    return result.stderr


@pytest.mark.parametrize('arguments,message', [
    ([], 'where to? Give the output folder'),
    (['a', 'b'], 'more than one output folder: a and b'),
    (['--part', 'rootfs', 'out'], 'unknown option: --part'),
    (['out', '--parts'], '--parts needs a value'),
    (['--parts', 'rootfs,floppy', 'out'], "no part is called 'floppy'; there are rootfs, direct and disk"),
    (['--parts', ',', 'out'], '--parts names no part'),
    (['--suite', 'book worm', 'out'], "--suite: 'book worm'"),
    (['--name', '../x', 'out'], "--name: '../x'"),
    (['--name', 'mine-0123456789ab', 'out'], "--name: 'mine-0123456789ab' is like an image's ID"),
    (['--name', 'mine.img', 'out'], "--name: 'mine.img' is like"),
    (['--size', '4', 'out'], "--size: '4' is not a size"),
    (['--include', 'a b', 'out'], "--include: 'a b'"),
    (['--kernel', 'vim', 'out'], "--kernel: 'vim'"),
])
def test_mistakes_are_told_at_once(tmp_path, arguments, message):
    assert message in refuse(tmp_path, *arguments)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_kept(tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/mine').write_text('mine')
    assert 'is there already' in refuse(tmp_path, 'out')
    assert (tmp_path / 'out/mine').read_text() == 'mine'
    assert os.listdir(tmp_path) == ['out']


def test_a_bad_date_is_told(tmp_path):
    assert "SOURCE_DATE_EPOCH: 'soon'" in refuse(tmp_path, 'out', SOURCE_DATE_EPOCH='soon')


def test_missing_tools_are_told_all_at_once_with_the_way_to_get_them(tmp_path):
    bin_dir = tmp_path / 'bin'
    bin_dir.mkdir()
    for name in 'bash', 'dirname', 'readlink', 'ls', 'id', 'date', 'env':
        os.symlink(f'/usr/bin/{name}', bin_dir / name)
    # the script looks in sbin as well; a name space of its own would need root
    script = BUILD.read_text().replace('export PATH="$PATH:/usr/sbin:/sbin"', f'export PATH="{bin_dir}"')
    copy = tmp_path / 'build-image'
    copy.write_text(script)
    result = subprocess.run(['/bin/bash', copy, tmp_path / 'out'], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr.startswith('build-image: missing: mmdebstrap tar zstd jq apt-get flock qemu-img mke2fs ')
    assert 'scripts/setup --image, or: apt-get install mmdebstrap tar zstd jq apt util-linux qemu-utils' in result.stderr
    assert not (tmp_path / 'out').exists()


def test_help_has_every_option():
    text = subprocess.run([BUILD, '--help'], capture_output=True, text=True, timeout=60, check=True).stdout
    for option in 'parts', 'suite', 'name', 'cloud-init', 'no-engine', 'size', 'include', 'kernel':
        assert f'--{option}' in text
