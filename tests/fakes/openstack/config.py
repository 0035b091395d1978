"""The configuration of the cloud's services, as tables; `write` makes their files below STATE."""

import configparser
import os
import pathlib

HOST = '127.0.0.1'
REGION = 'RegionOne'
STATE = pathlib.Path('/srv/cloud/state')
ETC = STATE / 'etc'

PORTS = {'identity': 5000, 'placement': 8778, 'image': 9292, 'network': 9696, 'compute': 8774, 'volume': 8776}
# what the catalog says; {} of an address is the project, as clouds had it for long
CATALOG = {
    'placement': ('placement', ''),
    'image': ('image', ''),
    'network': ('network', ''),
    'compute': ('compute', '/v2.1'),
    'volume': ('volumev3', '/v3/%(project_id)s'),
}
AUTH_URL = f'http://{HOST}:{PORTS["identity"]}/v3'
SERVICE_PASSWORD = 'service-password-5b1c'
PAGE = 3 # items: whoever does not follow links to the next page misses something
FOREVER = 10 ** 9 # seconds: nobody reports that the services live


def sqlite(name):
    return {'connection': f'sqlite:///{STATE}/{name}.db', 'sqlite_synchronous': 'false'}


ACCOUNT = {
    'auth_type': 'password', 'auth_url': AUTH_URL, 'username': 'service', 'password': SERVICE_PASSWORD,
    'project_name': 'service', 'user_domain_id': 'default', 'project_domain_id': 'default', 'region_name': REGION,
}
CHECKS_TOKENS = {**ACCOUNT, 'www_authenticate_uri': AUTH_URL, 'service_token_roles_required': 'true'}
# a token that was revoked is refused at once; elsewhere a token is believed for some minutes
CHECKS_TOKENS_EACH_TIME = {**CHECKS_TOKENS, 'token_cache_time': -1}
LOCKS = {'lock_path': f'{STATE}/lock'}

KEYSTONE = {
    'database': sqlite('keystone'),
    'token': {'provider': 'fernet'},
    'fernet_tokens': {'key_repository': f'{STATE}/fernet'},
    'fernet_receipts': {'key_repository': f'{STATE}/fernet'},
    'credential': {'key_repository': f'{STATE}/credential'},
    'identity': {'password_hash_rounds': 4},
    'cache': {'enabled': 'true', 'backend': 'oslo_cache.dict'}, # there is one process
}

PLACEMENT = {
    'api': {'auth_strategy': 'keystone'},
    'placement_database': {**sqlite('placement'), 'sync_on_startup': 'false'},
    'keystone_authtoken': CHECKS_TOKENS,
}

GLANCE = {
    'DEFAULT': {
        'bind_host': HOST, 'bind_port': PORTS['image'], 'workers': 0, 'enabled_backends': 'files:file',
        'limit_param_default': PAGE, 'api_limit_max': PAGE,
    },
    'database': sqlite('glance'),
    'glance_store': {'default_backend': 'files'},
    'files': {'filesystem_store_datadir': f'{STATE}/images'},
    'os_glance_tasks_store': {'filesystem_store_datadir': f'{STATE}/image-tasks'},
    'os_glance_staging_store': {'filesystem_store_datadir': f'{STATE}/image-staging'},
    'paste_deploy': {'flavor': 'keystone', 'config_file': '/usr/share/glance-common/glance-api-paste.ini'},
    'oslo_concurrency': LOCKS,
    'keystone_authtoken': CHECKS_TOKENS_EACH_TIME,
}

NEUTRON = {
    'DEFAULT': {
        'state_path': f'{STATE}/neutron', 'bind_host': HOST, 'bind_port': PORTS['network'],
        'auth_strategy': 'keystone', 'core_plugin': 'ml2', 'service_plugins': 'router', 'transport_url': 'fake://',
        'api_workers': 0, 'rpc_workers': 0, 'rpc_state_report_workers': 0, 'pagination_max_limit': PAGE,
        'notify_nova_on_port_status_changes': 'true', 'notify_nova_on_port_data_changes': 'true',
        'send_events_interval': 0, 'api_paste_config': '/usr/share/neutron-common/api-paste.ini',
        'agent_down_time': FOREVER, 'allow_automatic_dhcp_failover': 'false',
        # one request after the other: in sqlite a transaction that began to read cannot write after another's end
        'wsgi_default_pool_size': 1, 'wsgi_keep_alive': 'false',
    },
    'database': sqlite('neutron'),
    'oslo_concurrency': LOCKS,
    'ml2': {
        'type_drivers': 'local,flat', 'tenant_network_types': 'local', 'mechanism_drivers': 'openvswitch',
        'extension_drivers': 'port_security',
    },
    'ml2_type_flat': {'flat_networks': '*'},
    'securitygroup': {'enable_security_group': 'true'},
    'nova': ACCOUNT,
    'keystone_authtoken': CHECKS_TOKENS,
}

NOVA = {
    'DEFAULT': {
        'state_path': f'{STATE}/nova', 'my_ip': HOST, 'host': 'compute1', 'compute_driver': 'fake.FakeDriver',
        'transport_url': 'fake://', 'service_down_time': FOREVER, 'enabled_apis': 'osapi_compute',
        'osapi_compute_listen': HOST, 'osapi_compute_listen_port': PORTS['compute'], 'osapi_compute_workers': 1,
        'use_cow_images': 'false', 'block_device_allocate_retries_interval': 1,
    },
    'api': {'auth_strategy': 'keystone', 'max_limit': PAGE},
    'database': sqlite('nova'),
    'api_database': sqlite('nova_api'),
    'oslo_concurrency': LOCKS,
    'scheduler': {'workers': 1, 'discover_hosts_in_cells_interval': 2},
    'filter_scheduler': {'track_instance_changes': 'false'},
    'conductor': {'workers': 1},
    'glance': {**ACCOUNT, 'service_type': 'image'},
    'cinder': {**ACCOUNT, 'os_region_name': REGION},
    'placement': ACCOUNT,
    'neutron': ACCOUNT,
    'service_user': {**ACCOUNT, 'send_service_user_token': 'true'},
    'keystone_authtoken': CHECKS_TOKENS_EACH_TIME,
    'wsgi': {'api_paste_config': '/usr/share/nova-common/api-paste.ini'},
}

CINDER = {
    'DEFAULT': {
        'state_path': f'{STATE}/cinder', 'my_ip': HOST, 'host': 'compute1', 'transport_url': 'fake://',
        'auth_strategy': 'keystone', 'osapi_volume_listen': HOST, 'osapi_volume_listen_port': PORTS['volume'],
        'osapi_volume_workers': 1, 'osapi_max_limit': PAGE, 'service_down_time': FOREVER, 'enabled_backends': 'nothing',
        'default_volume_type': 'plain', 'api_paste_config': '/usr/share/cinder-common/api-paste.ini',
        'resource_query_filters_file': '/etc/cinder/resource_filters.json', 'glance_api_servers':
            f'http://{HOST}:{PORTS["image"]}',
    },
    'database': sqlite('cinder'),
    'nothing': {'volume_driver': 'nothing_driver.NothingDriver', 'volume_backend_name': 'nothing'},
    'coordination': {'backend_url': f'file://{STATE}/cinder/coordination'},
    'oslo_concurrency': LOCKS,
    'nova': ACCOUNT,
    'service_user': {**ACCOUNT, 'send_service_user_token': 'true'},
    'keystone_authtoken': CHECKS_TOKENS_EACH_TIME,
}

FILES = {'keystone': KEYSTONE, 'placement': PLACEMENT, 'glance': GLANCE, 'neutron': NEUTRON, 'nova': NOVA, 'cinder': CINDER}
FOLDERS = ['etc', 'lock', 'fernet', 'credential', 'images', 'image-tasks', 'image-staging', 'neutron', 'nova',
           'cinder', 'cinder/coordination']


def file_of(name):
    return str(ETC / f'{name}.conf')


def write():
    os.umask(0o077)
    for name in FOLDERS:
        (STATE / name).mkdir()
    for name, sections in FILES.items():
        parser = configparser.RawConfigParser(default_section='no such section')
        parser.read_dict(sections)
        with open(file_of(name), 'w', encoding='utf-8') as file:
            parser.write(file)
