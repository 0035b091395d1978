"""What bodies and queries look like: each member is there, unless its name ends in "?", and no other is."""

NAME_OR_ID = [{'id': str}, {'name': str}]
USER = [{'id': str}, {'name': str, 'domain': NAME_OR_ID}]
SCOPE = {'project': USER}


def with_password(user):
    return {**user, 'password': str}


# a list stands for alternatives, a list in a tuple for the list itself
BODIES = {
    'POST identity/auth/tokens': {'auth': [
        {'identity': {'methods': (['password'],), 'password': {'user': [with_password(user) for user in USER]}}, 'scope': SCOPE},
        {'identity': {'methods': (['token'],), 'token': {'id': str}}, 'scope': SCOPE},
        {'identity': {'methods': (['application_credential'],), 'application_credential': [
            {'id': str, 'secret': str}, {'name': str, 'secret': str, 'user': USER}]}}]},
    'POST identity_old/tokens': {'auth': [
        {'passwordCredentials': {'username': str, 'password': str}, 'tenantName': str},
        {'passwordCredentials': {'username': str, 'password': str}, 'tenantId': str}]},
    'POST compute/os-keypairs': {'keypair': {'name': str, 'public_key': str}},
    'POST compute/servers': {
        'server': {
            'name': str, 'flavorRef': str, 'imageRef?': str, 'key_name': str, 'user_data': str, 'metadata': dict,
            'availability_zone?': str, 'config_drive?': bool, 'security_groups?': ([{'name': str}],),
            'networks?': [([{'uuid': str}],), 'auto'],
            'block_device_mapping_v2?': ([{
                'boot_index': 0, 'uuid': str, 'source_type': 'image', 'destination_type': 'volume', 'volume_size': int,
                'volume_type?': str, 'delete_on_termination': True}],)},
        'os:scheduler_hints?': {'group': str}},
    'POST compute/servers/ID/action': [
        {'os-start': None}, {'os-stop': None}, {'unpause': None}, {'resume': None}, {'unshelve': None},
        {'forceDelete': None}, {'reboot': {'type': 'SOFT'}}],
    'POST compute/servers/ID/os-volume_attachments': {'volumeAttachment': {'volumeId': str, 'device?': str}},
    'POST network/floatingips': {'floatingip': {
        'floating_network_id': str, 'port_id': str, 'description': str, 'fixed_ip_address?': str}},
    'PUT network/floatingips/ID': {'floatingip': {'port_id': [str, None], 'fixed_ip_address?': str}},
    'POST network/security-groups': {'security_group': {'name': str, 'description': str}},
    'POST network/security-group-rules': {'security_group_rule': {
        'security_group_id': str, 'direction': 'ingress', 'ethertype': ['IPv4', 'IPv6'], 'protocol': 'tcp',
        'port_range_min': int, 'port_range_max': int}},
    'POST volume/volumes': {'volume': {
        'name': str, 'size': int, 'metadata': {'docker-machine-id': str}, 'volume_type?': str, 'availability_zone?': str}},
}
# attribute, key of the answer, parameters
LISTS = {
    'GET compute/flavors/detail': ('flavors', 'flavors', ()),
    'GET compute/servers/detail': ('servers', 'servers', ('name',)),
    'GET compute/os-server-groups': ('server_groups', 'server_groups', ()),
    'GET image/images': ('images', 'images', ('name', 'status')),
    'GET network/networks': ('networks', 'networks', ('name', 'router:external')),
    'GET network/ports': ('ports', 'ports', ('device_id', 'network_id')),
    'GET network/floatingips': ('floatingips', 'floatingips', ('floating_network_id', 'tenant_id')),
    'GET network/security-groups': ('security_groups', 'security_groups', ('name',)),
    'GET volume/volumes/detail': ('volumes', 'volumes', ('name',)),
    'GET volume/types': ('types', 'volume_types', ()),
}
QUERIES = {}


def check_shape(shape, value, where='body'): # pylint: disable=too-many-return-statements
    """What is wrong, or None."""
    if isinstance(shape, list):
        problems = [check_shape(one, value, where) for one in shape]
        return None if None in problems else f'none of {len(shape)} forms of {where}: {problems}'
    if isinstance(shape, tuple):
        if not isinstance(value, list) or not value:
            return f'{where} is no list'
        return next(filter(None, (check_shape(shape[0][0], one, f'{where}[]') for one in value)), None)
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f'{where} is no object'
        names = {name.rstrip('?') for name in shape}
        if set(value) - names:
            return f'{where} has {set(value) - names}'
        for name, inner in shape.items():
            if name.rstrip('?') in value:
                problem = check_shape(inner, value[name.rstrip('?')], f'{where}.{name.rstrip("?")}')
                if problem:
                    return problem
            elif not name.endswith('?'):
                return f'{where} lacks {name}'
        return None
    if isinstance(shape, type):
        good = isinstance(value, shape) and (shape is bool or not isinstance(value, bool)) and value != ''
        return None if good else f'{where} is {value!r}'
    return None if value == shape and type(value) is type(shape) else f'{where} is {value!r}, not {shape!r}'
