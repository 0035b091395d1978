"""services.py NAME: runs one service of the cloud, in one process.

What usually is several processes behind a message bus (nova's and cinder's API, scheduler, worker) is one here, for the bus
is its memory. Keystone and placement are WSGI applications; they get a plain server that calls them in one thread, for
sqlite's connections must not change theirs.
"""

import concurrent.futures
import os
import socketserver
import sys
from wsgiref import simple_server

import config


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    """Threads read requests and write answers; a connection is for one request."""
    daemon_threads = True
    request_queue_size = 128


class Handler(simple_server.WSGIRequestHandler):
    timeout = 30


def serve(application, port):
    worker = concurrent.futures.ThreadPoolExecutor(max_workers=1)

    def call(environ, start_response):
        answer = application(environ, start_response)
        try:
            return [b''.join(answer)]
        finally:
            getattr(answer, 'close', lambda: None)()
    server = Server((config.HOST, port), Handler)
    server.set_app(lambda environ, start_response: worker.submit(call, environ, start_response).result())
    server.serve_forever()


def identity():
    os.environ['OS_KEYSTONE_CONFIG_FILES'] = config.file_of('keystone')
    from keystone.server import wsgi
    serve(wsgi.initialize_public_application(), config.PORTS['identity'])


def placement():
    os.environ['OS_PLACEMENT_CONFIG_DIR'] = str(config.ETC)
    from placement import wsgi
    serve(wsgi.init_application(), config.PORTS['placement'])


def image():
    from glance.cmd import api
    sys.argv = ['glance-api', '--config-file', config.file_of('glance')]
    api.main()


def network():
    from neutron.cmd.eventlet import server
    from neutron.db.migration.models import head  # noqa: F401, all models
    from sqlalchemy import orm
    orm.configure_mappers() # a list of ports as the first request would fail without
    sys.argv = ['neutron-server', '--config-file', config.file_of('neutron')]
    server.main()


def launch(conf, services):
    from oslo_service import service
    launcher = service.ServiceLauncher(conf, restart_method='mutate')
    for one in services:
        launcher.launch_service(one)
    launcher.wait()


def compute():
    import nova.monkey_patch  # noqa: F401, before everything else of nova
    from oslo_log import log
    import nova.conf
    from nova import config as nova_config, objects, service
    from nova.compute import rpcapi as compute_rpc
    from nova.conductor import rpcapi as conductor_rpc
    from nova.scheduler import rpcapi as scheduler_rpc
    nova_config.parse_args(['nova', '--config-file', config.file_of('nova')])
    log.setup(nova.conf.CONF, 'nova')
    objects.register_all()
    objects.Service.enable_min_version_cache()
    topics = {'conductor': conductor_rpc, 'scheduler': scheduler_rpc, 'compute': compute_rpc}
    workers = (service.Service.create(binary=f'nova-{name}', topic=rpc.RPC_TOPIC) for name, rpc in topics.items())
    launch(nova.conf.CONF, [*workers, service.WSGIService('osapi_compute')])


def volume():
    import eventlet
    eventlet.monkey_patch()
    from oslo_config import cfg
    from oslo_log import log
    import os_brick
    from cinder.common import config as cinder_config # registers options, too
    from cinder import objects, rpc, service, version
    objects.register_all()
    cfg.CONF(['--config-file', config.file_of('cinder')], project='cinder', version=version.version_string())
    cinder_config.set_middleware_defaults()
    log.setup(cfg.CONF, 'cinder')
    os_brick.setup(cfg.CONF)
    rpc.init(cfg.CONF)
    worker = service.Service.create(host=f'{cfg.CONF.host}@nothing', service_name='nothing', binary='cinder-volume',
                                    coordination=True)
    scheduler = service.Service.create(binary='cinder-scheduler')
    launch(cfg.CONF, [scheduler, worker, service.WSGIService('osapi_volume')])


SERVICES = {'identity': identity, 'placement': placement, 'image': image, 'network': network, 'compute': compute,
            'volume': volume}

if __name__ == '__main__':
    run = SERVICES[sys.argv.pop()] # nobody else is to see the word
    run()
