"""init.py prepare|run: the first process of the cloud's namespaces; when it ends, everything in them ends.

`prepare` makes the services' databases and what seed.py tells; `run` starts the services on a copy of that.
Standard output: one line of JSON, {"ready": true, …} or {"error": TEXT}. `run` ends when standard input does.
"""

import concurrent.futures
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import config
import seed

CODE = pathlib.Path(__file__).resolve().parent
LOGS = pathlib.Path('/srv/cloud/log')
FACTS = config.STATE / 'facts.json'
START_SECONDS = 600
COMMAND_SECONDS = 900
TAIL = 2500 # characters of a log in an error
FIRST = ['identity', 'placement'] # what the others ask
IMPATIENT = 'compute' # it asks when it starts, and once
FAR_FUTURE = '2099-01-01 00:00:00'


def neutron_schema():
    """Its migrations are not for sqlite; the models are."""
    import sqlalchemy
    from neutron.db.migration.models import head
    head.get_metadata().create_all(sqlalchemy.create_engine(config.NEUTRON['database']['connection']))


def neutron_agent():
    """An agent that never was: ports are bound on its word."""
    import sqlite3
    settings = {'bridge_mappings': {}, 'tunnel_types': [], 'datapath_type': 'system', 'devices': 0}
    row = {'id': '5e0c6b0e-0000-4000-8000-000000000001', 'agent_type': 'Open vSwitch agent',
           'binary': 'neutron-openvswitch-agent', 'topic': 'N/A', 'host': config.NOVA['DEFAULT']['host'],
           'admin_state_up': 1, 'created_at': FAR_FUTURE, 'started_at': FAR_FUTURE, 'heartbeat_timestamp': FAR_FUTURE,
           'configurations': json.dumps(settings), 'load': 0, 'resource_versions': '{}'}
    columns, marks = ', '.join(f'"{name}"' for name in row), ', '.join('?' * len(row))
    with sqlite3.connect(config.STATE / 'neutron.db') as base:
        base.execute(f'INSERT INTO agents ({columns}) VALUES ({marks})', list(row.values()))


def manage(program, name, *words):
    return [f'{program}-manage', '--config-file', config.file_of(name), *words]


def databases():
    """For each service the commands that make its database; services do not wait for each other."""
    keystone = lambda *words: manage('keystone', 'keystone', *words) # noqa: E731
    nova = lambda *words: manage('nova', 'nova', *words) # noqa: E731
    own = ['--keystone-user', 'root', '--keystone-group', 'root']
    urls = [word for kind in ('admin', 'internal', 'public') for word in (f'--bootstrap-{kind}-url', config.AUTH_URL)]
    return [
        [keystone('fernet_setup', *own), keystone('credential_setup', *own), keystone('db_sync'),
         keystone('bootstrap', '--bootstrap-region-id', config.REGION, *urls)],
        [nova('api_db', 'sync'), nova('cell_v2', 'map_cell0', '--database_connection', config.sqlite('nova_cell0')['connection']),
         nova('db', 'sync'), nova('cell_v2', 'create_cell', '--name', 'cell1', '--transport-url', 'fake://',
                                  '--database_connection', config.NOVA['database']['connection'])],
        [[sys.executable, __file__, 'neutron-schema'],
         ['neutron-db-manage', '--config-file', config.file_of('neutron'), 'stamp', 'heads'],
         [sys.executable, __file__, 'neutron-agent']],
        [manage('glance', 'glance', 'db_sync')],
        [manage('placement', 'placement', 'db', 'sync')],
        [manage('cinder', 'cinder', 'db', 'sync')],
    ]


def command(argv):
    with open(LOGS / 'prepare.log', 'ab') as log:
        log.write(f'# {" ".join(argv)}\n'.encode())
        log.flush()
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=COMMAND_SECONDS, check=False,
                              env={**os.environ, 'OS_BOOTSTRAP_PASSWORD': seed.ADMIN['password']})
    if done.returncode:
        raise RuntimeError(f'{" ".join(argv)}: status {done.returncode}\n{tail("prepare")}')


def in_turn(commands):
    for argv in commands:
        command(argv)


def make_databases():
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        list(pool.map(in_turn, databases()))
    import sqlite3
    for path in config.STATE.glob('*.db'):
        with sqlite3.connect(path) as base: # readers do not wait for a writer
            base.execute('PRAGMA journal_mode=WAL')


def tail(name):
    return (LOGS / f'{name}.log').read_text(errors='replace')[-TAIL:]


class Services:
    def __init__(self):
        self.running = {}

    def start(self, names):
        for name in names:
            with open(LOGS / f'{name}.log', 'ab') as log:
                self.running[name] = subprocess.Popen([sys.executable, str(CODE / 'services.py'), name], cwd=config.STATE,
                                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def check(self):
        for name, process in self.running.items():
            if process.poll() is not None:
                raise RuntimeError(f'the service {name} ended with status {process.returncode}\n{tail(name)}')

    def wait(self, names, end):
        for name in names:
            while not listens(config.PORTS[name]):
                self.check()
                if time.monotonic() > end:
                    raise TimeoutError(f'the service {name} does not listen after {START_SECONDS} s\n{tail(name)}')
                time.sleep(0.05)

    def stop(self):
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex((config.HOST, port)) == 0


def prepare():
    config.write()
    make_databases()
    services, end = Services(), time.monotonic() + START_SECONDS
    services.start(FIRST)
    services.wait(FIRST, end)
    facts = seed.accounts()
    others = [name for name in config.PORTS if name not in FIRST]
    services.start(others)
    services.wait(others, end)
    facts = seed.everything(facts)
    services.stop()
    FACTS.write_text(json.dumps({**facts, 'region': config.REGION, 'auth_url': config.AUTH_URL,
                                 'ports': config.PORTS}, indent=1))


def run():
    services, begin = Services(), time.monotonic()
    end = begin + START_SECONDS
    services.start(name for name in config.PORTS if name != IMPATIENT)
    services.wait(FIRST, end)
    services.start([IMPATIENT])
    services.wait(config.PORTS, end)
    say(ready=True, seconds=round(time.monotonic() - begin, 1))
    while True:
        services.check()
        time.sleep(1)


def end_with_input():
    """Whoever started us holds our standard input open for as long as it lives."""
    sys.stdin.read()
    os._exit(0)


def say(**words):
    print(json.dumps(words), flush=True)


def main(action):
    threading.Thread(target=end_with_input, daemon=True).start()
    try:
        subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
        for name in seed.PRIVATE: # IPv4's loopback has all of 127.0.0.0/8 already
            for cidr in seed.PRIVATE[name]:
                if ':' in cidr:
                    subprocess.run(['ip', '-6', 'route', 'add', 'local', cidr, 'dev', 'lo'], check=True)
        {'prepare': prepare, 'run': run}[action]()
        say(ended=True)
    except Exception as error: # pylint: disable=broad-except
        say(error=f'{type(error).__name__}: {error}')
        sys.exit(1)


INSIDE = {'neutron-schema': neutron_schema, 'neutron-agent': neutron_agent}

if __name__ == '__main__':
    if sys.argv[1] in INSIDE:
        INSIDE[sys.argv[1]]()
    else:
        main(sys.argv[1])
