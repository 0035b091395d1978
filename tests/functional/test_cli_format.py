"""inspect -f and ls --format: what programs and scripts ask for, and what goes wrong."""

import json
import os
import pty
import subprocess

import pytest

NO_FIELD = 'can\'t evaluate field {} in type commands.HostListItem\n'


def edit(cli, name, change):
    path = cli.store / 'machines' / name / 'config.json'
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config, indent=4))


@pytest.fixture(scope='module')
def store(new_cli):
    cli = new_cli()
    for name in 'web1', 'db2':
        cli.create_none(name)
    cli.create_flaky('vm')
    cli.create_none('gone')
    edit(cli, 'gone', lambda config: config.update(DriverName='lost'))
    edit(cli, 'web1', lambda config: config['HostOptions']['EngineOptions'].update(
        Labels=['env=prod', 'x=<y>']))
    edit(cli, 'web1', lambda config: config['HostOptions']['SwarmOptions'].update(
        Discovery='token://1', Master=True))
    edit(cli, 'web1', lambda config: config['Driver'].update(
        IPAddress='192.0.2.1', InstanceId=123456789012345678, Tags=['a', 'b'], Odd='é "q" \x1b[31m',
        Nothing=None))
    return cli


# template -> standard output, without its last newline
INSPECT = {
    '{{.Driver.IPAddress}}': '192.0.2.1',
    '{{ .Driver.IPAddress }}': '192.0.2.1',
    '{{.DriverName}}': 'none',
    '{{json .DriverName}}': '"none"',
    '{{.Driver.SSHPort}}': '0',
    '{{.HostOptions.AuthOptions.StorePath}}': '{store}/machines/web1',
    '{{.HostOptions.SwarmOptions.Discovery}}:{{.Name}}': 'token://1:web1',
    '{{.Driver.InstanceId}}': '1.2345678901234568e+17',
    '{{json .Driver.InstanceId}}': '123456789012345678',
    '{{eq .ConfigVersion 3}} {{eq .ConfigVersion 3.0}}': 'true true',
    '{{.Driver.Tags}} {{json .Driver.Tags}}': '[a b] ["a","b"]',
    '{{json .HostOptions.EngineOptions.Labels}}': '["env=prod","x=\\u003cy\\u003e"]',
    '{{.Bogus}} {{.Bogus.Deeper}} {{json .Bogus}} {{.Driver.Nothing}}':
        '<no value> <no value> null <no value>',
    'plain': 'plain',
    '{{range $i, $l := .HostOptions.EngineOptions.Labels}}{{if $i}}, {{end}}{{$l}}{{end}}':
        'env=prod, x=<y>',
    '{{with .Driver}}{{.IPAddress | printf "%-12s|"}}{{end}}': '192.0.2.1   |',
    '{{define "t"}}<{{.}}>{{end}}{{template "t" .Name}}': '<web1>',
    '{{index .Driver "IPAddress" | upper}} {{join .Driver.Tags "+"}}': '192.0.2.1 a+b',
    '{{.Driver.Odd}}': 'é "q" \x1b[31m',
}


@pytest.mark.parametrize('template', INSPECT)
def test_inspect(store, template):
    result = store.ok('inspect', '-f', template, 'web1')
    assert result.out == INSPECT[template].replace('{store}', str(store.store)) + '\n'
    assert result.err == ''


def test_inspect_spellings(store):
    for words in (['-f', '{{.Name}}', 'web1'], ['web1', '-f', '{{.Name}}'],
                  ['--format={{.Name}}', 'web1'], ['web1', '--format', '{{.Name}}']):
        assert store.ok('inspect', *words).out == 'web1\n'
    whole = store.ok('inspect', 'web1').out
    assert store.ok('inspect', '-f', '', 'web1').out == whole


def test_inspect_pretty(store):
    out = store.ok('inspect', '--format', '{{prettyjson .HostOptions.SwarmOptions}}', 'web1').out
    assert len(out.splitlines()) > 1 and out.startswith('{\n    "Address": "",\n')
    keys = list(json.loads(out))
    assert keys == sorted(keys)
    compact = store.ok('inspect', '--format', '{{json .Driver}}', 'web1').out
    assert list(json.loads(compact)) == sorted(json.loads(compact)) and '": ' not in compact


# template -> what was printed before, the error
INSPECT_FAILS = {
    '{{.Name': ('', 'template parsing error: template: :1: unclosed action\n'),
    '{{bogus .Name}}': ('', 'template parsing error: template: :1: function "bogus" not defined\n'),
    '{{if .Name}}': ('', 'template parsing error: template: :1: unexpected EOF\n'),
    'a\n{{.Name.First}}': ('a\n', 'template: :2:7: executing "" at <.Name.First>: '
                           'can\'t evaluate field First in type interface {}\n'),
    '{{index .Driver.Tags 7}}': ('', 'template: :1:2: executing "" at <index .Driver.Tags 7>: '
                                 'error calling index: index out of range: 7\n'),
    '{{template "x"}}': ('', 'template: :1:11: executing "" at <{{template "x"}}>: '
                         'template "x" not defined\n'),
}


@pytest.mark.parametrize('template', INSPECT_FAILS)
def test_inspect_fails(store, template):
    result = store.fails('inspect', '-f', template, 'web1')
    assert (result.out, result.err) == INSPECT_FAILS[template]


def test_terminal_is_not_steered(store):
    """What a driver said is shown as it is to programs, and harmless to a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([store.program, 'inspect', '-f', '{{.Driver.Odd}}', 'web1'],
                               env=store.env, stdout=follower, stdin=subprocess.DEVNULL)
    os.close(follower)
    out = b''
    try:
        while chunk := os.read(leader, 4096):
            out += chunk
    except OSError: # the other end is closed
        pass
    os.close(leader)
    assert process.wait(60) == 0
    assert out.decode() == 'é "q" ?[31m\r\n'


# format -> standard output
LS = {
    '{{.Name}}': 'db2\ngone\nvm\nweb1\n',
    'name=x': 'name=x\n' * 4,
    '  {{.Name}}  ': 'db2\ngone\nvm\nweb1\n',
    '{{.Name}}\\t{{.DriverName}}': 'db2\tnone\ngone\tnot-found\nvm\tflaky\nweb1\tnone\n',
    '{{/* isn\'t "quoted */}}{{.Name}}\\t{{.DriverName}}': 'db2\tnone\ngone\tnot-found\nvm\tflaky\nweb1\tnone\n',
    '{{.Name}}\\n': 'db2\n\ngone\n\nvm\n\nweb1\n\n',
    '{{printf "%s\\t%s\\n" .Name .Swarm}}-': 'db2\t\n-\ngone\t\n-\nvm\t\n-\nweb1\tweb1 (master)\n-\n',
    '{{.Name}}\\:{{.DriverName}}\\({{.State}}\\)\\ {{.URL}}':
        'db2\\:none\\(Running\\)\\ tcp://127.0.0.1:1\ngone\\:not-found\\(Error\\)\\ \n'
        'vm\\:flaky\\(Running\\)\\ tcp://127.0.0.1:1\nweb1\\:none\\(Running\\)\\ tcp://127.0.0.1:1\n',
    '{{.Swarm}}': '\n\n\nweb1 (master)\n',
    '{{printf "%d" .State}}{{.State.String}}': '1Running\n7Error\n1Running\n1Running\n',
    '{{if eq .Name "web1"}}{{.EngineOptions.Labels}}{{range .EngineOptions.Labels}} {{.}}{{end}}'
    '{{.SwarmOptions.Discovery}}{{end}}': '\n\n\n[env=prod x=<y>] env=prod x=<y>token://1\n',
    '{{.ActiveHost}} {{.ActiveSwarm}} {{.Active}}': 'false false -\n' * 4,
    '{"name": {{json .Name}}}': ''.join(f'{{"name": "{n}"}}\n' for n in ('db2', 'gone', 'vm', 'web1')),
    'table {{.Name}}\t{{.DriverName}}':
        'NAME   DRIVER\ndb2    none\ngone   not-found\nvm     flaky\nweb1   none\n',
    'table{{.Name}}\\t{{.Swarm}}\\t{{.State}}':
        'NAME   SWARM           STATE\ndb2                    Running\ngone                   Error\n'
        'vm                     Running\nweb1   web1 (master)   Running\n',
    'table {{upper .Name}}': 'NAME\nDB2\nGONE\nVM\nWEB1\n',
    'table -\\t{{.Name}}': '-    NAME\n-    db2\n-    gone\n-    vm\n-    web1\n', # no column is narrower
}


@pytest.mark.parametrize('template', LS)
def test_ls(store, template):
    result = store.ok('ls', '--format', template)
    assert (result.out, result.err) == (LS[template], '')


def test_ls_spellings(store):
    for words in ['-f', '{{.Name}}'], ['--format={{.Name}}'], ['-f={{.Name}}', '--filter', 'name=.']:
        assert store.ok('ls', *words).out == 'db2\ngone\nvm\nweb1\n'
    assert store.ok('ls', '--format', '').out.startswith('NAME   ACTIVE   DRIVER      STATE')
    assert store.ok('ls', '-f', '{{.Name}}', '--filter', 'state=running').out == 'db2\nvm\nweb1\n'


def test_ls_all_columns(store):
    """As an editor's package asks for them."""
    fields = ['Name', 'Active', 'DriverName', 'State', 'URL', 'Swarm', 'DockerVersion', 'Error']
    out = store.ok('ls', '--format=' + '\\t'.join('{{.%s}}' % f for f in fields), '--filter',
                   'driver=flaky').out
    assert out.split('\t') == ['vm', '-', 'flaky', 'Running', 'tcp://127.0.0.1:1', '', 'Unknown',
                               'Unable to query docker version: dial tcp 127.0.0.1:1: connect: '
                               'connection refused\n']


# format -> what was printed before, the error
LS_FAILS = {
    '{{.Bogus}}': ('', 'template: :1:2: executing "" at <.Bogus>: ' + NO_FIELD.format('Bogus')),
    'table {{.Bogus}}': ('<no value>\n',
                         'template: :1:2: executing "" at <.Bogus>: ' + NO_FIELD.format('Bogus')),
    '{{.NAME}}': ('', 'template: :1:2: executing "" at <.NAME>: ' + NO_FIELD.format('NAME')),
    'x{{.EngineOptions.Bogus}}': (
        'x', 'template: :1:17: executing "" at <.EngineOptions.Bogus>: '
        'can\'t evaluate field Bogus in type *engine.Options\n'),
    '{{bogus .Name}}': ('', 'template: :1: function "bogus" not defined\n'),
    '{{.Name': ('', 'template: :2: unclosed action started at :1\n'), # a newline is put behind it
    'table {{.EngineOptions.Labels}}': ( # in the header it is a text
        '', 'template: :1:16: executing "" at <.EngineOptions.Labels>: '
        'can\'t evaluate field Labels in type string\n'),
}


@pytest.mark.parametrize('template', LS_FAILS)
def test_ls_fails(store, template):
    result = store.fails('ls', '--format', template)
    assert (result.out, result.err) == LS_FAILS[template]


def test_quiet_ignores_the_format(store):
    words = ['ls', '-q', '--filter', 'state=Error', '--format']
    assert store.ok(*words, '{{.NAME}}').out == 'gone\n'
    assert store.ok(*words, '{{').out == 'gone\n'


def test_nobody_is_asked_for_names(store):
    def asked(*words):
        before = len(store.calls())
        store.ok('ls', *words)
        return [method for _, method, _ in store.calls()[before:]]

    assert asked('--format', '{{.Name}} {{.DriverName}} {{.Swarm}} {{.EngineOptions.Labels}}') == []
    assert asked('--format', 'table {{.Name}}\t{{with .Swarm}}{{$.Name}}{{end}}') == []
    assert asked('--format', '{{.Name}}', '--filter', 'name=vm') == []
    assert 'states' in asked('--format', '{{.State}}')
    assert 'states' in asked('--format', '{{.}}')
    assert 'states' in asked('--format', '{{.Name}}', '--filter', 'state=Running')


def test_format_is_parsed_before_anybody_is_asked(store):
    before = len(store.calls())
    store.fails('ls', '--format', '{{.State')
    assert len(store.calls()) == before


def test_active(store):
    out = store.ok('ls', '-f', '{{.Name}} {{.Active}} {{.ActiveHost}} {{.ActiveSwarm}}',
                   '--filter', 'driver=flaky', env={'DOCKER_HOST': 'tcp://127.0.0.1:1'}).out
    assert out == 'vm * true false\n'


def test_response_time(cli):
    cli.create_flaky('slow')
    cli.set_script('slow', {'states': 'hang'})
    out = cli.ok('ls', '-t', '1', '-f',
                 '{{.Name}}|{{.State}}|{{.ResponseTime}}|{{.Active}}|{{.EngineOptions.Labels}}|'
                 '{{printf "%T %d" .ResponseTime .State}}').out
    assert out == 'slow|Timeout|1s||[]|time.Duration 8\n'


def test_unloadable(cli):
    cli.create_none('good')
    broken = cli.store / 'machines' / 'broken'
    broken.mkdir()
    (broken / 'config.json').write_text('{"a":\n]')
    out = cli.ok('ls', '-f', '{{.Name}}|{{.DriverName}}|{{.State}}|{{.Active}}|{{.URL}}|'
                 '{{.DockerVersion}}|{{.ResponseTime}}|{{.SwarmOptions.Host}}|{{.Error}}').out
    first, second = out.splitlines()
    assert first.startswith('broken|not found|Error||||0s||')
    assert 'broken/config.json' in first and second.startswith('good|none|Running|-|tcp://')


def test_empty_store(cli):
    assert cli.ok('ls', '-f', '{{.Name}}').out == ''
    assert cli.ok('ls', '-f', 'table {{.Name}}\t{{.Error}}').out == 'NAME   ERRORS\n'
    assert cli.ok('ls', '-f', '{{.Bogus}}').out == ''


# Templates that never end, or are too deep for the small stack they run on -> the error
HOSTILE = {
    '{{define "t"}}{{range $.l}}{{end}}{{template "t" .}}{{end}}{{template "t" .}}':
        'exceeded maximum template depth (48)',
    '{{define "t"}}{{range .Driver.Tags}}{{with $}}{{if .}}{{template "t" .}}{{end}}{{end}}{{end}}'
    '{{end}}{{template "t" .}}': 'exceeded maximum template depth (48)',
    '{{define "t"}}' + '{{if 1}}' * 14 + '{{range $i, $x := .Driver.Tags}}'
    '{{print (print (print (printf "%v" (index $.Driver "Tags"))))}}{{template "t" $}}{{end}}'
    + '{{end}}' * 14 + '{{end}}{{template "t" .}}': 'exceeded maximum template depth (48)',
    '{{' + '(print ' * 31 + '.' + ')' * 31 + '}}': 'exceeded maximum template depth (48)',
    '{{' + '(' * 100 + '1' + ')' * 100 + '}}': 'nested deeper than 32 levels',
    '{{if 0}}' + '{{else if 0}}' * 100 + '{{end}}': 'nested deeper than 32 levels',
    '{{$x := "0123456789"}}' + '{{$x = print $x $x}}' * 22: 'more than 8388608 bytes',
    '{{range $.Driver.Tags}}' * 20 + 'x' + '{{end}}' * 20: 'takes more than 1000000 steps',
    '{{printf "%.1000000f' + '%1000000[1]v' * 20 + '" 1.0}}': 'more than 8388608 bytes',
    'x' * 65537: 'longer than 65536 bytes',
}


@pytest.mark.parametrize('template', HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_templates(store, template):
    result = store.fails('inspect', '-f', template, 'web1')
    assert HOSTILE[template] in result.err, result.err[:2000]
    result = store.run('ls', '-f', template, '--filter', 'name=web')
    assert result.status in (0, 1) and (result.status == 0) == (result.err == '')


def test_deep_documents(store):
    """As deep as a record may be, printed from as deep a template as may be."""
    deep = []
    for _ in range(56):
        deep = [deep]
    edit(store, 'db2', lambda config: config['Driver'].update(Deep=deep))
    around = '{{if 1}}' * 30, '{{end}}' * 30
    for show in '{{.Driver.Deep}}', '{{json .Driver.Deep}}', '{{printf "%#v" .Driver.Deep | html}}':
        out = store.ok('inspect', '-f', around[0] + show + around[1], 'db2').out
        assert out.count('[') >= 57 or out.count('{') >= 57
