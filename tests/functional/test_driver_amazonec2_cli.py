"""The program with the driver amazonec2 and the fake of EC2, as far as that goes without a host; and whether the
driver keeps the protocol's rules."""

import json
import os
import shutil
import signal
import subprocess

import pytest

import cli as cli_module
from ec2driver import AMAZONEC2, ec2, only_groups, running
from fakes.ec2 import SECRET_KEY, faults

QUICK = {'MACHINE_POLL_MS': '50', 'MACHINE_DRIVER_PAUSE_MS': '1'}


@pytest.fixture
def env(ec2, cli):
    """Credentials are in a file, and nowhere else."""
    (cli.home / '.aws').mkdir()
    (cli.home / '.aws' / 'credentials').write_text(
        f'[default]\naws_access_key_id = {ec2.credential.access}\naws_secret_access_key = {ec2.credential.secret}\n')
    return {**QUICK, 'MACHINE_DRIVER_PATH': str(cli_module.build_dir() / 'drivers'), 'AWS_ENDPOINT': ec2.url,
            'AWS_ZONE': 'us-east-1a', 'AWS_EC2_METADATA_DISABLED': 'true'}


def create_until_it_runs(cli, ec2, env, name):
    """Nobody answers at its address: it is interrupted there."""
    create = cli.start('create', '-d', 'amazonec2', name, env=env)
    ec2.log.wait('DescribeInstances', 2)
    path = cli.store / 'machines' / name / 'config.json'
    for _ in range(400):
        if path.exists() and json.loads(path.read_text())['Driver'].get('IPAddress'):
            break
        try:
            create.process.wait(0.05)
            break
        except subprocess.TimeoutExpired:
            pass
    os.kill(create.process.pid, signal.SIGINT)
    return create.finish()


def test_create_ls_rm(ec2, cli, env):
    result = create_until_it_runs(cli, ec2, env, 'm1')
    assert result.status != 0 and not result.leftovers, result
    for text in 'Importing the key pair', 'Launching the instance':
        assert text in result.text, result
    address = ec2.account.instance('m1')['PublicIpAddress']
    config = cli.config('m1')
    assert config['DriverName'] == 'amazonec2' and config['Driver']['IPAddress'] == address
    assert (config['Driver']['AccessKey'], config['Driver']['SecretKey']) == ('', '')
    assert (cli.store / 'machines/m1/config.json').stat().st_mode & 0o777 == 0o600
    line = cli.ok('ls', '-f', '{{.Name}} {{.DriverName}} {{.State}} {{.URL}}', '-t', '20', env=env)
    assert line.out.startswith('m1 amazonec2 Running'), line
    assert cli.ok('ip', 'm1', env=env).out == f'{address}\n'
    assert cli.ok('status', 'm1', env=env).out == 'Running\n'
    cli.ok('stop', 'm1', env=env)
    assert cli.ok('status', 'm1', env=env).out == 'Stopped\n'
    off = cli.fails('ip', 'm1', env=env) # it was given back, and may be somebody else's
    assert off.out == '' and 'no address; its state is Stopped' in off.err
    assert cli.ok('ls', '-f', '{{.State}} {{.URL}}', '-t', '20', env=env).out.strip() == 'Stopped'
    removed = cli.ok('rm', '-y', 'm1', env={**env, 'MACHINE_DEBUG': '1'})
    assert cli.names() == [] and only_groups(ec2)
    assert SECRET_KEY not in result.text + line.text + removed.text and 'AWS4-HMAC' not in removed.text


def test_create_that_is_refused(ec2, cli, env):
    ec2.faults.add('RunInstances', faults.no_capacity(), times=None)
    result = cli.fails('create', '-d', 'amazonec2', 'm1', env=env)
    assert 'InsufficientInstanceCapacity' in result.err and only_groups(ec2)
    if 'm1' in cli.names():
        cli.ok('rm', '-y', 'm1', env=env)
    assert cli.names() == [] and ec2.log.count('TerminateInstances') == 0


def test_create_without_credentials(ec2, cli, env):
    shutil.rmtree(cli.home / '.aws')
    result = cli.fails('create', '-d', 'amazonec2', 'm1', status=3, env=env)
    assert 'no AWS credentials' in result.err and cli.names() == [] and ec2.log.actions() == []


def test_ls_of_300(ec2, cli, env):
    create_until_it_runs(cli, ec2, env, 'm1')
    folder = cli.store / 'machines'
    (folder / 'm1' / '.create.json').unlink(missing_ok=True)
    config, model = cli.config('m1'), ec2.account.instance('m1')
    for number in range(2, 301):
        identity = f'i-{number:017x}'
        ec2.account.things['instance'][identity] = {**model, 'InstanceId': identity, 'BlockDeviceMappings': [],
                                                    'NetworkInterfaces': []}
        shutil.copytree(folder / 'm1', folder / f'm{number}')
        changed = {**config, 'Name': f'm{number}', 'Driver': {
            **config['Driver'], 'MachineName': f'm{number}', 'InstanceId': identity}}
        (folder / f'm{number}' / 'config.json').write_text(json.dumps(changed, indent=4))
    ec2.log.clear()
    states = cli.ok('ls', '-f', '{{.State}}', '-t', '60', env=env, timeout=120).out.split()
    assert states == ['Running'] * 300
    assert [len(request.params['Filters'][0]['Values']) for request in ec2.log.of('DescribeInstances')] in (
        [200, 100], [100, 200])
    ec2.account.things['instance'] = {model['InstanceId']: model}
    cli.ok('rm', '-y', 'm1', env=env)
    assert running(ec2) == []


@pytest.mark.long
def test_conformance(ec2, cli, env):
    run = cli.run('driver', 'test', AMAZONEC2, env={**env, 'MACHINE_CONFORM_SECONDS': '30'}, timeout=300)
    assert run.status == 0 and 'FAIL' not in run.out, run.out + run.err
    assert only_groups(ec2)
