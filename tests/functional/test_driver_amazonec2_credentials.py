"""Where the driver amazonec2 has its access key from, in which order, and where it must not show."""

import json

import pytest

from ec2driver import ec2, logged, machine, start, warnings
from fakes.ec2 import Delay, Endless, Instead, Redirect
from fakes.ec2.service import Credential

ROLE = 'GET /latest/meta-data/iam/security-credentials/docker-host'


class Sources:
    """All of them at once; each has a key of its own."""

    def __init__(self, ec2, home):
        self.ec2, self.home = ec2, home
        self.flags, self.env, self.files = {}, {}, {}
        (home / '.aws').mkdir(exist_ok=True)

    def credential(self, name, token=None):
        return self.ec2.service.add(Credential('AKIA' + name.upper().ljust(16, '0'), f'secret/of+{name}', token))

    def add_flags(self):
        made = self.credential('flags')
        self.flags = {'access_key': made.access, 'secret_key': made.secret}

    def add_environment(self):
        made = self.credential('environment', 'token-of-the-environment')
        self.env.update(AWS_ACCESS_KEY_ID=made.access, AWS_SECRET_ACCESS_KEY=made.secret, AWS_SESSION_TOKEN=made.token)

    def add_file(self, name, section, variable=None, more='', path=None):
        made = self.credential(name, f'token-of-{name}')
        path = path or self.home / '.aws' / name
        path.write_text(f'# a comment\n[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = other\n\n'
                        f'[{section}]\n; {more}\naws_access_key_id={made.access}\r\n'
                        f'aws_secret_access_key   =  {made.secret}\naws_session_token = {made.token}\n'
                        's3 =\n    aws_access_key_id = AKIANESTED\n[last]\naws_access_key_id = AKIALAST\n')
        path.chmod(0o600)
        if variable:
            self.env[variable] = str(path)

    def add_container(self):
        self.ec2.container.service.authorization = 'Bearer of-the-container'
        self.env.update(AWS_CONTAINER_CREDENTIALS_FULL_URI=self.ec2.container_url,
                        AWS_CONTAINER_AUTHORIZATION_TOKEN='Bearer of-the-container')

    def add_instance(self):
        self.env.update(AWS_EC2_METADATA_DISABLED='false', AWS_EC2_METADATA_SERVICE_ENDPOINT=self.ec2.metadata_url)


ORDER = ['flags', 'environment', 'credentials', 'config', 'container', 'instance']


def everything(ec2, home, first):
    """All sources from the first on."""
    sources = Sources(ec2, home)
    if ORDER.index(first) <= ORDER.index('config'):
        sources.env['AWS_PROFILE'] = 'work'
    add = {'flags': sources.add_flags, 'environment': sources.add_environment,
           'credentials': lambda: sources.add_file('credentials', 'work'),
           'config': lambda: sources.add_file('config', 'profile work'),
           'container': sources.add_container, 'instance': sources.add_instance}
    for name in ORDER[ORDER.index(first):]:
        add[name]()
    return sources


def ask(driver, machine, **flags):
    """Configured, and a request made: its credential and the report."""
    machine.configure(driver, keys=False, **flags)
    machine.state['InstanceId'], machine.ident = 'i-00000000', '' # made long ago
    return look(driver, machine)


def look(driver, machine):
    report = machine.report(driver)
    requests = machine.ec2.log.requests
    return (requests[-1].credential if requests else None), report


@pytest.mark.parametrize('first', ORDER)
def test_order(ec2, machine, tmp_path, first):
    sources = everything(ec2, tmp_path, first)
    with start(debug=True, home=tmp_path, **sources.env) as driver:
        used, report = ask(driver, machine, **sources.flags)
        assert 'does not exist' in report['message'], report
        if first in ('container', 'instance'):
            assert used.access.startswith('ASIA') and used.token
            assert (len(ec2.container.log.requests), len(ec2.metadata.log.requests)) == \
                {'container': (1, 0), 'instance': (0, 3)}[first]
        else:
            assert used.access.startswith('AKIA' + first.upper()), used.access
            assert not ec2.container.log.requests and not ec2.metadata.log.requests
        stored = (machine.state['AccessKey'], machine.state['SecretKey'], machine.state['SessionToken'])
        assert stored == ((used.access, used.secret, '') if first == 'flags' else ('', '', ''))
        shown = json.dumps([driver.notifications, report]) + driver.errors.decode()
        for secret in used.secret, used.token, 'of-the-container', 'AWS4-HMAC':
            assert secret is None or secret not in shown
        assert 'DescribeInstances' in shown # it is a debug log


def test_half_of_a_key_is_none(ec2, machine, tmp_path):
    sources = everything(ec2, tmp_path, 'credentials')
    del sources.env['AWS_PROFILE']
    sources.add_file('credentials', 'default')
    with start(home=tmp_path, AWS_ACCESS_KEY_ID='AKIAHALF', **sources.env) as driver:
        used, _ = ask(driver, machine, access_key='AKIAHALF')
        assert used.access.startswith('AKIACREDENTIALS')


def test_old_variables_and_other_files(ec2, machine, tmp_path):
    sources = Sources(ec2, tmp_path)
    made = sources.credential('old')
    with start(AWS_ACCESS_KEY=made.access, AWS_SECRET_KEY=made.secret) as driver:
        assert ask(driver, machine)[0].access == made.access
    sources.add_file('shared', 'default', 'AWS_SHARED_CREDENTIALS_FILE', path=tmp_path / 'shared')
    with start(**sources.env) as driver:
        assert ask(driver, machine)[0].access.startswith('AKIASHARED')
    sources.env = {}
    sources.add_file('conf', 'default', 'AWS_CONFIG_FILE', path=tmp_path / 'conf')
    with start(**sources.env) as driver:
        assert ask(driver, machine)[0].access.startswith('AKIACONF')


def test_nothing_is_found(machine, tmp_path):
    with start(home=tmp_path) as driver:
        machine.configure(driver, keys=False)
        machine.fails(driver, 'preCreateCheck', 'auth', '--amazonec2-access-key', 'AWS_ACCESS_KEY_ID',
                      '~/.aws/credentials', 'AWS_PROFILE', 'role')


def test_profile_that_is_not_there(ec2, machine, tmp_path):
    """Who names one does not want any other credentials."""
    sources = Sources(ec2, tmp_path)
    sources.add_file('credentials', 'default')
    sources.add_file('config', 'default')
    sources.add_instance()
    with start(home=tmp_path, AWS_PROFILE='nobody', **sources.env) as driver:
        machine.configure(driver, keys=False)
        machine.fails(driver, 'preCreateCheck', 'auth', 'AWS_PROFILE is nobody', f'[nobody] in {tmp_path}/.aws/cred',
                      f'[profile nobody] in {tmp_path}/.aws/config')
        assert not ec2.log.requests and not ec2.metadata.log.requests
        sources.add_flags() # which come first
        assert ask(driver, machine, **sources.flags)[0].access.startswith('AKIAFLAGS')


OTHERS = ['role_arn = arn:aws:iam::1:role/x', 'credential_process = /bin/false', 'sso_session = s',
          'sso_start_url = https://x']


def add_other(tmp_path, line):
    (tmp_path / '.aws').mkdir(exist_ok=True)
    (tmp_path / '.aws' / 'config').write_text(f'[profile p]\nregion = x\n{line}\nsource_profile = base\n')


@pytest.mark.parametrize('line', OTHERS)
def test_what_is_not_followed_is_said(ec2, machine, tmp_path, line):
    add_other(tmp_path, line)
    texts = f'[profile p] of {tmp_path}/.aws/config uses {line.split()[0]}', 'does not follow'
    with start(home=tmp_path, AWS_PROFILE='p') as driver:
        machine.configure(driver, keys=False)
        machine.fails(driver, 'preCreateCheck', 'auth', 'no AWS credentials', *texts)
        assert warnings(driver) == []
    sources = Sources(ec2, tmp_path)
    sources.add_instance()
    with start(home=tmp_path, AWS_PROFILE='p', **sources.env) as driver:
        for _ in range(2): # once is enough
            assert ask(driver, machine)[0].access.startswith('ASIA')
        (said,) = warnings(driver)
        assert all(text in said for text in texts)


def test_file_that_cannot_be_read(machine, tmp_path):
    (tmp_path / '.aws' / 'credentials').mkdir(parents=True)
    with start(home=tmp_path) as driver:
        machine.configure(driver, keys=False)
        machine.fails(driver, 'preCreateCheck', 'auth', 'no AWS credentials', '.aws/credentials is not a regular')


@pytest.mark.parametrize('source', ['container', 'instance'])
def test_expiry(ec2, machine, tmp_path, source):
    sources = Sources(ec2, tmp_path)
    getattr(sources, f'add_{source}')()
    log = {'container': ec2.container, 'instance': ec2.metadata}[source].log
    path = {'container': f'GET {ec2.container.service.PATH}', 'instance': ROLE}[source]
    with start(**sources.env) as driver:
        first, _ = ask(driver, machine)
        assert look(driver, machine)[0] is first and log.count(path) == 1 # they are kept
        first.expires = ec2.clock() - 1 # before its time: once anew, and the request again
        used, report = look(driver, machine)
        assert used is not first and 'does not exist' in report['message'] and log.count(path) == 2
        ec2.role_seconds = 200 # less than five minutes: not kept
        used.expires = ec2.clock() - 1
        look(driver, machine)
        used, _ = look(driver, machine)
        assert log.count(path) == 4
        ec2.role_seconds = -10 # and what does not help is not tried for ever
        before, requests = log.count(path), len(ec2.log.requests)
        report = machine.report(driver)
        assert report['error']['data']['kind'] == 'auth' and 'Expired' in report['error']['message']
        assert log.count(path) == before + 2 and len(ec2.log.requests) == requests + 2


def test_file_is_read_again(ec2, machine, tmp_path):
    """Some other program renews it."""
    sources = Sources(ec2, tmp_path)
    sources.add_file('credentials', 'default')
    with start(home=tmp_path) as driver:
        used, _ = ask(driver, machine)
        used.expires = ec2.clock() - 1
        report = machine.report(driver)
        assert report['error']['data']['kind'] == 'auth'
        sources.add_file('renewed', 'default', path=tmp_path / '.aws' / 'credentials')
        assert look(driver, machine)[0].access.startswith('AKIARENEWED')


def test_stored_credentials_that_are_over(ec2, machine):
    """Temporary ones are not renewed where they are; whatever there is today is taken, and not before."""
    stored, fresh = (ec2.service.add(Credential(f'AKIA{name}', f'secret-of-{name}', f'token-of-{name}'))
                     for name in ('STORED', 'FRESH'))
    flags = {'access_key': stored.access, 'secret_key': stored.secret, 'session_token': stored.token}
    env = {'AWS_ACCESS_KEY_ID': fresh.access, 'AWS_SECRET_ACCESS_KEY': fresh.secret, 'AWS_SESSION_TOKEN': fresh.token}
    with start(**env) as driver:
        assert ask(driver, machine, **flags)[0] is stored
        stored.expires = ec2.clock() - 1
        used, report = look(driver, machine)
        assert used is fresh and 'does not exist' in report['message']
    with start() as driver: # nothing else is there
        report = machine.report(driver)
        assert report['error']['data']['kind'] == 'auth'
        assert 'Expired' in report['error']['message'] and 'AWS_SESSION_TOKEN' in report['error']['message']


def test_trailing_slash_and_no_proxy(ec2, machine):
    """The services of the instance are asked directly."""
    env = {'AWS_EC2_METADATA_DISABLED': 'false', 'http_proxy': 'http://127.0.0.1:1', 'no_proxy': '127.0.0.1',
           'AWS_EC2_METADATA_SERVICE_ENDPOINT': ec2.metadata_url.replace('127.0.0.1', 'localhost') + '/'}
    with start(**env) as driver:
        assert ask(driver, machine)[0].access.startswith('ASIA')


TOKEN = 'PUT /latest/api/token'
LIST = 'GET /latest/meta-data/iam/security-credentials/'
BAD = {
    'no role': (LIST, lambda ec2: Instead('no', 404), 'no AWS credentials'),
    'no token': (TOKEN, lambda ec2: Instead('no', 403), 'no AWS credentials'),
    'no JSON': (ROLE, lambda ec2: Instead('<xml/>'), 'not JSON'),
    'an array': (ROLE, lambda ec2: Instead('[1]'), 'lack a key'),
    'a failure': (ROLE, lambda ec2: Instead('{"Code": "AssumeRoleUnauthorizedAccess"}'), 'AssumeRoleUnauthorized'),
    'endless': (ROLE, lambda ec2: Endless(), 'no AWS credentials'),
    'slow': (TOKEN, lambda ec2: Delay(60), 'no AWS credentials'),
    'elsewhere': (ROLE, lambda ec2: Redirect(ec2.url + '/'), 'no AWS credentials'),
}


@pytest.mark.parametrize('name', BAD)
def test_bad_metadata_service(ec2, machine, name):
    action, fault, text = BAD[name]
    ec2.metadata.faults.add(action, fault(ec2), times=None)
    with start(debug=True, AWS_EC2_METADATA_DISABLED='false',
               AWS_EC2_METADATA_SERVICE_ENDPOINT=ec2.metadata_url) as driver:
        machine.configure(driver, keys=False)
        machine.fails(driver, 'preCreateCheck', 'auth', text)
        assert ec2.log.actions() == [] and 'ASIA' not in '\n'.join(logged(driver))


def test_container_that_does_not_answer(ec2, machine):
    with start(AWS_CONTAINER_CREDENTIALS_FULL_URI='http://127.0.0.1:1/x') as driver:
        machine.configure(driver, keys=False)
        machine.fails(driver, 'preCreateCheck', 'auth', "the container's credentials service: ")


def test_container_that_refuses(ec2, machine):
    ec2.container.service.authorization = 'Bearer of-the-container'
    with start(AWS_CONTAINER_CREDENTIALS_FULL_URI=ec2.container_url,
               AWS_CONTAINER_AUTHORIZATION_TOKEN='another') as driver:
        machine.configure(driver, keys=False)
        error = machine.fails(driver, 'preCreateCheck', 'auth', 'answers with the status 401')
        assert 'another' not in str(error)
    ec2.forgive('Authorization is not as the environment has it')


@pytest.mark.parametrize('url', ['http://192.0.2.1/x', 'http://169.254.170.2.example/', 'http://169.254.170.2:1@192.0.2.1/'])
def test_container_that_is_elsewhere(machine, url):
    """Its token is not sent in the clear."""
    with start(AWS_CONTAINER_CREDENTIALS_FULL_URI=url, AWS_CONTAINER_AUTHORIZATION_TOKEN='of-the-container') as driver:
        machine.configure(driver, keys=False)
        machine.fails(driver, 'preCreateCheck', 'auth', 'AWS_CONTAINER_CREDENTIALS_FULL_URI', 'https')


@pytest.mark.parametrize('relative', ['v2/credentials', '@127.0.0.1:1/', '.example.org/'])
def test_container_service_is_not_left(machine, relative):
    with start(AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=relative, AWS_CONTAINER_AUTHORIZATION_TOKEN='of-the-container') as driver:
        machine.configure(driver, keys=False)
        machine.fails(driver, 'preCreateCheck', 'auth', f'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: {relative}', 'slash')


def token_file(ec2, tmp_path, token):
    """The container's service, and a file that has what it wants to be shown."""
    file = tmp_path / 'eks-token'
    file.write_bytes(token)
    ec2.container.service.authorization = token.decode().rstrip('\r\n')
    return file, {'AWS_CONTAINER_CREDENTIALS_FULL_URI': ec2.container_url,
                  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE': str(file)}


@pytest.mark.parametrize('end', ['', '\n', '\r\n'], ids=['none', 'LF', 'CRLF'])
def test_container_token_of_a_file(ec2, machine, tmp_path, end):
    """It counts before the variable, and is read anew when keys are: the file is rotated."""
    file, env = token_file(ec2, tmp_path, f'eyJ.first.token{end}'.encode())
    with start(debug=True, AWS_CONTAINER_AUTHORIZATION_TOKEN='another', **env) as driver:
        used, _ = ask(driver, machine)
        assert used.access.startswith('ASIA')
        file.write_text(f'eyJ.second.token{end}')
        ec2.container.service.authorization = 'eyJ.second.token'
        used.expires = ec2.clock() - 1
        renewed, report = look(driver, machine)
        assert renewed is not used and 'does not exist' in report['message']
        shown = json.dumps([driver.notifications, report]) + driver.errors.decode()
        assert 'eyJ' not in shown and 'another' not in shown.replace('another account', '')


TOKEN_MAX = 16 << 10
BAD_TOKENS = [
    pytest.param(None, 'No such file', id='missing'), pytest.param(b'', 'empty', id='empty'),
    pytest.param(b'\n', 'empty', id='a line end'),
    pytest.param(b'eyJ' + b'x' * (TOKEN_MAX - 2), f'more than {TOKEN_MAX} bytes', id='too large'),
    pytest.param(b'eyJ\nX-Injected: 1\n', 'not one line', id='two lines'),
    pytest.param(b'eyJ\rX-Injected: 1', 'not one line', id='CR'), pytest.param(b'eyJ\n\n', 'not one line', id='an empty line'),
    pytest.param(b'eyJ\0x', 'not one line', id='NUL'), pytest.param('folder', 'not a regular file', id='a folder')]


@pytest.mark.parametrize('content, text', BAD_TOKENS)
def test_bad_container_token_file(ec2, machine, tmp_path, content, text):
    """Nothing is sent; the error has the variable and the file, not the token."""
    file, env = token_file(ec2, tmp_path, b'')
    if content is None or content == 'folder':
        file.unlink()
        if content:
            file.mkdir()
    else:
        file.write_bytes(content)
    with start(debug=True, **env) as driver:
        machine.configure(driver, keys=False)
        error = machine.fails(driver, 'preCreateCheck', 'auth', 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE', str(file), text)
        assert not ec2.container.log.requests and not ec2.log.requests
        assert 'eyJ' not in error.message + json.dumps(driver.notifications) + driver.errors.decode()


def test_largest_container_token_file(ec2, machine, tmp_path):
    _, env = token_file(ec2, tmp_path, b'x' * TOKEN_MAX)
    with start(**env) as driver:
        assert ask(driver, machine)[0].access.startswith('ASIA')


def test_bad_container_token_variable(ec2, machine):
    with start(debug=True, AWS_CONTAINER_CREDENTIALS_FULL_URI=ec2.container_url,
               AWS_CONTAINER_AUTHORIZATION_TOKEN='eyJ\nX-Injected: 1') as driver:
        machine.configure(driver, keys=False)
        error = machine.fails(driver, 'preCreateCheck', 'auth', 'AWS_CONTAINER_AUTHORIZATION_TOKEN: ', 'not one line')
        assert not ec2.container.log.requests
        assert 'eyJ' not in error.message + json.dumps(driver.notifications) + driver.errors.decode()


def test_wrong_keys(ec2, machine):
    cases = {'AuthFailure': {'access_key': 'AKIANOBODY'}, 'SignatureDoesNotMatch': {'secret_key': 'wrong-secret'},
             'session token': {'session_token': 'wrong-token'}}
    for text, flags in cases.items():
        with start(debug=True) as driver:
            machine.configure(driver, **flags)
            error = machine.fails(driver, 'preCreateCheck', 'auth')
            assert not error.data['retryable'] and len(ec2.log.requests) == 1
            shown = error.message + json.dumps(driver.notifications) + driver.errors.decode()
            assert 'wrong-secret' not in shown and 'wrong-token' not in shown
            ec2.log.clear()
            for violation in list(ec2.violations):
                ec2.forgive(violation)
            assert text
