"""machine image build, with a builder that is a small script in place of build-image."""

import os
import shutil
import signal
import subprocess
import time

import pytest

import images

BUILDER = '''#!/bin/bash
printf '%s\\n' "$@" >{notes}
[ "$1" != --help ] || {{ echo "build-image [OPTION]... OUTDIR"; exit 0; }}
[ "$1" != --fail ] || {{ echo "no such package" >&2; exit 7; }}
if [ "$1" = --slow ]; then
	trap 'kill $!; echo cleaned >>{notes}; exit 143' TERM INT
	mkdir -p "${{!#}}"
	echo started >>{notes}
	sleep 60 & wait
fi
echo "building"
cp -r {template} "${{!#}}"
[ "$1" != --broken ] || echo more >>"${{!#}}/vmlinuz"
'''


class Builder:
    def __init__(self, cli, folder):
        self.cli, self.notes = cli, folder / 'notes'
        libexec = folder / 'libexec'
        libexec.mkdir()
        self.program = libexec / 'machine-image'
        shutil.copy(cli.build / 'drivers' / 'machine-image', self.program)
        images.folder_image(folder / 'template')
        script = libexec / 'build-image'
        script.write_text(BUILDER.format(notes=self.notes, template=folder / 'template'))
        script.chmod(0o755)

    def start(self, *words):
        return subprocess.Popen([self.program, f'--storage-path={self.cli.store}', 'build', *words],
                                env=self.cli.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, start_new_session=True)

    def run(self, *words):
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


def wait_for(what):
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def builder(empty_cli, tmp_path):
    return Builder(empty_cli, tmp_path)


def test_builds_and_takes_in(builder, empty_cli):
    status, out, err = builder.run('--suite', 'bookworm')
    assert status == 0, err
    assert 'building' in err # the ID alone is the result
    image, = images.listed(empty_cli)
    assert out == f'{image["id"]}\n'
    images.assert_cache_whole(empty_cli)
    words = builder.notes.read_text().splitlines()
    assert words[:2] == ['--suite', 'bookworm'] and words[2].startswith(str(images.cache(empty_cli)))
    assert builder.run()[1] == out # the same again


def test_help(builder):
    assert builder.run('--help') == (0, 'build-image [OPTION]... OUTDIR\n', '')


def test_failure(builder, empty_cli):
    status, out, err = builder.run('--fail')
    assert (status, out) == (7, '') and 'no such package' in err
    images.assert_cache_whole(empty_cli)
    status, out, err = builder.run('--broken')
    assert (status, out) == (1, '') and 'is not the file that image.json there tells of' in err
    images.assert_cache_whole(empty_cli)
    assert images.listed(empty_cli) == []


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_ended(builder, empty_cli, number):
    """The builder hears of it and cleans up; what a kill leaves goes with the next command."""
    process = builder.start('--slow')
    wait_for(lambda: builder.notes.exists() and 'started' in builder.notes.read_text())
    if number == signal.SIGKILL: # of all, as when the computer goes
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid, number)
    process.communicate(timeout=30)
    if number == signal.SIGKILL:
        assert process.returncode == -number
        assert [p.name for p in images.cache(empty_cli).iterdir() if p.name.startswith('.build-')]
    else:
        assert process.returncode == -number
        assert 'cleaned' in builder.notes.read_text()
        images.assert_cache_whole(empty_cli)
    builder.run()
    images.assert_cache_whole(empty_cli)


def test_the_builder_does_not_go_on_alone(builder, empty_cli):
    """Only the program is killed: the builder ends, and the next command tidies up."""
    process = builder.start('--slow')
    wait_for(lambda: builder.notes.exists() and 'started' in builder.notes.read_text())
    process.kill()
    process.communicate(timeout=30)
    wait_for(lambda: 'cleaned' in builder.notes.read_text())
    builder.run()
    images.assert_cache_whole(empty_cli)


def test_the_script_is_there(empty_cli):
    """The real one, by the program."""
    assert 'build-image [OPTION]' in empty_cli.ok('image', 'build', '--help').out
    result = empty_cli.fails('image', 'build', '--such')
    assert 'unknown option: --such' in result.err
    images.assert_cache_whole(empty_cli)
