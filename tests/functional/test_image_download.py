"""Images from a web server: resumed, compared, and never half in the cache."""

import hashlib
import os
import signal
import time

import pytest

import images
import web as web_module

SIZE = 4 << 20
HALF = SIZE // 2
DISK = '/disk.qcow2'


@pytest.fixture
def web():
    with web_module.serving() as server:
        yield server


@pytest.fixture(scope='session')
def authority(tmp_path_factory):
    return web_module.make_authority(tmp_path_factory.mktemp('authority'))


@pytest.fixture(scope='session')
def disks(tmp_path_factory):
    folder = tmp_path_factory.mktemp('disks')
    return [images.qcow2_disk(folder / f'{seed}.qcow2', SIZE, seed) for seed in range(2)]


@pytest.fixture
def page(web, disks):
    return web.add(DISK, disks[0])


def get(cli, web, page, *, checksum=None, check=True, **kwargs):
    run = cli.ok if check else cli.run
    return run('image', 'import', '--checksum', checksum or page.sum(), web.url(DISK), **kwargs)


def assert_got(cli, data):
    images.assert_cache_whole(cli)
    newest = images.listed(cli)[0]
    assert (images.cache(cli) / newest['id'] / 'disk.qcow2').read_bytes() == data
    assert newest['parts'] == ['disk'] and newest['name'] == 'disk'


def wait_for(what, *, seconds=30):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_download(empty_cli, web, page):
    result = get(empty_cli, web, page)
    assert result.out.strip() == images.listed(empty_cli)[0]['id']
    assert f'Downloading {DISK[1:]}' in result.err
    assert '\x1b' not in result.text and '\r' not in result.text
    assert_got(empty_cli, page.data)
    assert web.requests[0][1]['User-Agent'].startswith('machine/')
    get(empty_cli, web, page) # it is what is there already
    assert len(web.asked(DISK)) == 1


@pytest.mark.parametrize('line', ['{hex}  disk.qcow2', '{hex} *./images/disk.qcow2',
                                  'SHA512 (disk.qcow2) = {hex}', '{hex}'])
def test_checksum_file(empty_cli, web, page, line):
    web.add('/SHA512SUMS', line.format(hex=page.sum('sha512')[7:]).encode() + b'\n')
    get(empty_cli, web, page, checksum=web.url('/SHA512SUMS'))
    assert_got(empty_cli, page.data)


def test_published_anew(empty_cli, web, page, disks):
    """The same URL with another content, as `latest` is."""
    web.add('/SUMS', f'{page.sum()[7:]}  disk.qcow2\n'.encode())
    get(empty_cli, web, page, checksum=web.url('/SUMS'))
    page.data, page.etag = disks[1], '"two"'
    web.add('/SUMS', f'{page.sum()[7:]}  disk.qcow2\n'.encode())
    get(empty_cli, web, page, checksum=web.url('/SUMS'))
    assert len(images.listed(empty_cli)) == 2
    assert_got(empty_cli, disks[1])


def test_goes_on_after_a_cut(empty_cli, web, page):
    page.cuts = [HALF]
    result = get(empty_cli, web, page)
    assert 'trying again' in result.err
    first, second = web.asked(DISK)
    assert 'Range' not in first
    assert (second['Range'], second['If-Range']) == (f'bytes={HALF}-', '"one"')
    assert_got(empty_cli, page.data)


def test_goes_on_in_the_next_run(empty_cli, web, page):
    page.cuts = [HALF, HALF, HALF, HALF] # and nothing more in the same run
    result = get(empty_cli, web, page, check=False)
    assert result.status == 1
    assert 'the connection ended early' in result.err and web.url(DISK) in result.err
    images.assert_cache_whole(empty_cli, partial=True)
    web.requests.clear()
    page.cuts = []
    assert 'going on' in get(empty_cli, web, page).err
    assert [headers['Range'] for headers in web.asked(DISK)] == [f'bytes={HALF}-']
    assert_got(empty_cli, page.data)


@pytest.mark.parametrize('validators', [{'etag': None}, {'etag': 'W/"weak"'}], ids=['none', 'weak'])
def test_no_validator(empty_cli, web, page, validators):
    """What the file is cannot be told: from the beginning again."""
    page.etag, page.cuts = validators['etag'], [HALF]
    get(empty_cli, web, page)
    assert ['Range' in headers for headers in web.asked(DISK)] == [False, False]
    assert_got(empty_cli, page.data)


def test_date_as_validator(empty_cli, web, page):
    page.etag, page.modified, page.cuts = None, 'Wed, 25 Nov 2026 04:00:00 GMT', [HALF]
    get(empty_cli, web, page)
    assert web.asked(DISK)[1]['If-Range'] == page.modified
    assert_got(empty_cli, page.data)


def test_server_without_ranges(empty_cli, web, page):
    page.ranges, page.cuts = False, [HALF]
    get(empty_cli, web, page)
    assert web.asked(DISK)[1]['Range'] == f'bytes={HALF}-'
    assert_got(empty_cli, page.data)


@pytest.mark.parametrize('blind', [False, True])
@pytest.mark.parametrize('kind', ['sum', 'none'])
def test_changed_meanwhile(empty_cli, web, page, disks, blind, kind):
    """Another file at the same URL; blind: a server that sends its rest all the same."""
    page.cuts = [HALF, HALF, HALF, HALF]
    get(empty_cli, web, page, check=False, checksum='none' if kind == 'none' else None)
    page.cuts, page.data, page.etag, page.blind = [], disks[1], '"two"', blind
    get(empty_cli, web, page, checksum='none' if kind == 'none' else None)
    assert_got(empty_cli, disks[1])


@pytest.mark.parametrize('kind', ['sum', 'none'])
def test_changed_meanwhile_by_date(empty_cli, web, page, disks, kind):
    """Only a date tells what the file is, and the server does not look at it."""
    checksum = 'none' if kind == 'none' else None
    page.etag, page.modified = None, 'Wed, 25 Nov 2026 04:00:00 GMT'
    page.cuts = [HALF, HALF, HALF, HALF]
    get(empty_cli, web, page, check=False, checksum=checksum)
    page.cuts, page.data, page.blind = [], disks[1], True
    page.modified = 'Thu, 26 Nov 2026 04:00:00 GMT'
    get(empty_cli, web, page, checksum=checksum)
    assert_got(empty_cli, disks[1])


def test_changed_size(empty_cli, web, page, disks):
    """The same ETag, the same part, of a file that has another size: without a checksum, too."""
    page.cuts = [HALF, HALF, HALF, HALF]
    get(empty_cli, web, page, check=False, checksum='none')
    page.cuts, page.data, page.blind = [], disks[1] + b'more', True
    get(empty_cli, web, page, checksum='none')
    assert_got(empty_cli, disks[1] + b'more')


def test_less_than_asked_for(empty_cli, web, page):
    """A server that sends ranges in small parts: all of them are got, without a checksum, too."""
    page.cuts, page.most = [HALF], HALF // 4
    get(empty_cli, web, page, checksum='none')
    assert_got(empty_cli, page.data)
    assert len(web.asked(DISK)) == 1 + HALF // page.most + (len(page.data) - 2 * HALF > 0)


def test_rest_that_does_not_fit(empty_cli, web, page):
    """A download of before that is not what it was is given up for a new one."""
    page.cuts = [HALF, HALF, HALF, HALF]
    get(empty_cli, web, page, check=False)
    part, = images.cache(empty_cli).glob('.part-*/data')
    with part.open('r+b') as file:
        file.write(b'garbled')
    page.cuts = []
    assert 'starting again' in get(empty_cli, web, page).err
    assert_got(empty_cli, page.data)


@pytest.mark.parametrize('text', ['', '{', '{"validator": 1}', '{"validator": "\\"one\\"\\r\\nX: y", '
                                  '"total": 1}'])
def test_garbled_note_of_a_download(empty_cli, web, page, text):
    page.cuts = [HALF, HALF, HALF, HALF]
    get(empty_cli, web, page, check=False)
    note, = images.cache(empty_cli).glob('.part-*/part.json')
    note.write_text(text)
    page.cuts = []
    get(empty_cli, web, page)
    assert 'X' not in web.asked(DISK)[-1]
    assert_got(empty_cli, page.data)


def test_rest_too_long(empty_cli, web, page, disks):
    """More is here than there is there."""
    page.cuts = [HALF, HALF, HALF, HALF]
    get(empty_cli, web, page, check=False)
    part, = images.cache(empty_cli).glob('.part-*/data')
    with part.open('ab') as file:
        file.write(b'x' * SIZE)
    page.cuts = []
    get(empty_cli, web, page)
    assert_got(empty_cli, disks[0])


def test_wrong_checksum(empty_cli, web, page):
    wrong = 'sha256:' + hashlib.sha256(b'').hexdigest()
    result = get(empty_cli, web, page, checksum=wrong, check=False)
    assert result.status == 1
    assert page.sum()[7:] in result.err and wrong[7:] in result.err and web.url(DISK) in result.err
    images.assert_cache_whole(empty_cli)
    assert images.listed(empty_cli) == []
    assert len(web.asked(DISK)) == 1


@pytest.mark.parametrize('sums, says', [(b'', 'no SHA-256'), (b'<html>', 'no SHA-256'),
                                        (b'0' * 64 + b'  other.qcow2\n', 'no line for disk.qcow2'),
                                        (b'a\0b', 'no checksum file'), (None, '404 Not Found')])
def test_bad_checksum_file(empty_cli, web, page, sums, says):
    if sums is not None:
        web.add('/SUMS', sums)
    result = get(empty_cli, web, page, checksum=web.url('/SUMS'), check=False)
    assert result.status == 1 and says in result.err, result
    assert not web.asked(DISK)


def test_endless_checksum_file(empty_cli, web, page):
    web.add('/SUMS').endless = True
    result = get(empty_cli, web, page, checksum=web.url('/SUMS'), check=False)
    assert result.status == 1 and 'too large' in result.err


@pytest.mark.parametrize('status, says, requests', [
    (404, '404 Not Found', 1), (403, '403 Forbidden', 1), (500, '500 Internal Server Error', 3),
    (418, '418', 1)])
def test_refusals(empty_cli, web, page, status, says, requests):
    page.status = status
    result = get(empty_cli, web, page, check=False)
    assert result.status == 1
    assert says in result.err and web.url(DISK) in result.err, result
    assert len(web.asked(DISK)) == requests
    images.assert_cache_whole(empty_cli, partial=status == 500)


def test_nobody_there(empty_cli, web, page):
    checksum = page.sum()
    web.server.socket.close()
    result = empty_cli.fails('image', 'import', '--checksum', checksum, web.url(DISK))
    assert web.url(DISK) in result.err and 'onnect' in result.err


def test_not_a_disk(empty_cli, web):
    page = web.add(DISK, b'<html>' * 1000)
    result = get(empty_cli, web, page, checksum='none', check=False)
    assert result.status == 1 and 'is no disk' in result.err
    images.assert_cache_whole(empty_cli)


def test_redirects(empty_cli, web, page, authority, disks):
    with web_module.serving(authority) as secure:
        env = {'SSL_CERT_FILE': str(authority / 'ca.pem')}
        secure.add(DISK, disks[0])
        page.status, page.location = 302, secure.url(DISK)
        get(empty_cli, web, page, env=env)
        assert_got(empty_cli, disks[0])
        page.status, page.location = 200, None
        secure.add(DISK, b'', status=302, location=web.url(DISK))
        before = len(web.asked(DISK))
        result = empty_cli.fails('image', 'import', '--checksum', 'none', secure.url(DISK), env=env)
        assert 'not one of https' in result.err
        assert len(web.asked(DISK)) == before
        secure.add(DISK, b'', status=302, location='file:///etc/passwd')
        empty_cli.fails('image', 'import', '--checksum', 'none', secure.url(DISK), env=env)
        secure.add(DISK, b'', status=302, location=secure.url(DISK))
        result = empty_cli.fails('image', 'import', '--checksum', 'none', secure.url(DISK), env=env)
        assert 'too many redirects' in result.err


def test_certificates(empty_cli, authority, disks):
    with web_module.serving(authority) as secure:
        page = secure.add(DISK, disks[0])
        result = get(empty_cli, secure, page, check=False)
        assert result.status == 1 and 'SSL_CERT_FILE' in result.err, result
        assert not secure.requests
        for variable in 'CURL_CA_BUNDLE', 'SSL_CERT_FILE':
            get(empty_cli, secure, page, env={variable: str(authority / 'ca.pem')})
            assert_got(empty_cli, disks[0])
            empty_cli.ok('image', 'rm', 'disk')


def test_needs_a_checksum(empty_cli):
    result = empty_cli.fails('image', 'import', 'https://images.example/a.qcow2')
    assert 'needs a checksum' in result.err
    result = empty_cli.fails('image', 'import', 'ftp://images.example/a.qcow2')
    assert '"ftp" URLs are not known' in result.err


def test_secrets_of_a_url(empty_cli, web, page):
    """What is behind the question mark, or before the @, may let others in."""
    url = web.url(DISK).replace('//', '//user:geheim@') + '?signature=geheim'
    empty_cli.ok('image', 'import', '--checksum', page.sum(), url)
    page.status = 404
    empty_cli.fails('image', 'import', '--checksum', 'none', url)
    page.status, page.cuts = 200, [HALF] * 4
    failed = empty_cli.fails('--debug', 'image', 'import', '--checksum', 'none', url)
    assert 'geheim' not in failed.text
    for path in images.cache(empty_cli).rglob('*.json'):
        assert 'geheim' not in path.read_text()


def test_two_at_once_download_once(empty_cli, web, page):
    page.hold = HALF
    words = 'image', 'import', '--checksum', page.sum(), web.url(DISK)
    first = empty_cli.start(*words)
    assert page.held.wait(30)
    second = empty_cli.start(*words)
    wait_for(lambda: 'Waiting for another process' in second.output())
    page.go.set()
    results = [first.finish(), second.finish()]
    assert [r.status for r in results] == [0, 0], results
    assert results[0].out == results[1].out
    assert len(web.asked(DISK)) == 1
    assert_got(empty_cli, page.data)


@pytest.mark.parametrize('checksum', ['sum', 'none'])
def test_killed_while_it_downloads(empty_cli, web, page, checksum):
    checksum = page.sum() if checksum == 'sum' else 'none'
    page.hold = HALF
    running = empty_cli.start('image', 'import', '--checksum', checksum, web.url(DISK))
    assert page.held.wait(30)
    wait_for(lambda: sum(p.stat().st_size for p in images.cache(empty_cli).glob('.part-*/data')) == HALF)
    running.process.send_signal(signal.SIGKILL)
    assert running.finish().status == -signal.SIGKILL
    page.go.set()
    assert images.listed(empty_cli) == []
    get(empty_cli, web, page, checksum=checksum)
    assert web.asked(DISK)[-1]['Range'] == f'bytes={HALF}-'
    assert_got(empty_cli, page.data)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_interrupted(empty_cli, web, page, number):
    page.hold = HALF
    running = empty_cli.start('image', 'import', '--checksum', page.sum(), web.url(DISK))
    assert page.held.wait(30)
    os.kill(running.process.pid, number)
    result = running.finish()
    assert result.status == -number and 'cancelled' in result.err, result
    page.go.set()
    images.assert_cache_whole(empty_cli, partial=True)
    get(empty_cli, web, page)
    assert_got(empty_cli, page.data)
