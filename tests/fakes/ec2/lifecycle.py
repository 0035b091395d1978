"""Instances after their launch, and requests for spot instances."""

from .filters import describe, member, page, select
from .state import OWNER, Failure

CODES = {'pending': 0, 'running': 16, 'shutting-down': 32, 'terminated': 48, 'stopping': 64, 'stopped': 80}
NEXT = {'pending': 'running', 'stopping': 'stopped', 'shutting-down': 'terminated'}

INSTANCE_FILTERS = {
    'instance-id': member('InstanceId'), 'instance-state-name': member('State', 'Name'),
    'instance-state-code': member('State', 'Code'), 'image-id': member('ImageId'),
    'key-name': member('KeyName'), 'client-token': member('ClientToken'), 'vpc-id': member('VpcId'),
    'subnet-id': member('SubnetId'), 'availability-zone': member('Placement', 'AvailabilityZone'),
    'instance-type': member('InstanceType'), 'instance-lifecycle': member('InstanceLifecycle'),
    'ip-address': member('PublicIpAddress'), 'private-ip-address': member('PrivateIpAddress'),
    'instance.group-id': member('SecurityGroups', 'GroupId'),
    'instance.group-name': member('SecurityGroups', 'GroupName'),
    'spot-instance-request-id': member('SpotInstanceRequestId'), 'reservation-id': member('_reservation'),
}
SPOT_FILTERS = {
    'spot-instance-request-id': member('SpotInstanceRequestId'), 'state': member('State'),
    'instance-id': member('InstanceId'), 'status-code': member('Status', 'Code'),
}


# states

def state(name):
    return {'Code': CODES[name], 'Name': name}


def enter(account, instance, name):
    """A state begins; a passing one ends after its pace."""
    old = instance['State']['Name'] if 'State' in instance else None
    instance['State'] = state(name)
    looks, seconds = account.pace.get(name, (0, 0.0))
    instance['_looks'], instance['_until'] = looks, account.clock() + seconds
    ARRIVALS.get(name, lambda *_: None)(account, instance)
    for watcher in account.watchers:
        watcher(instance, old, name)


def look(account, instance):
    """What a look-up does: time passes."""
    name = instance['State']['Name']
    if name in NEXT:
        if instance['_looks'] > 0:
            instance['_looks'] -= 1
        elif account.clock() >= instance['_until']:
            enter(account, instance, NEXT[name])
    elif name == 'running' and instance['_public'] and 'PublicIpAddress' not in instance:
        instance['_late'] -= 1
        show_public(instance)


def show_public(instance):
    if instance['_late'] <= 0 and instance['_public']:
        address = instance['_public']
        instance['PublicIpAddress'] = address
        instance['PublicDnsName'] = f'ec2-{address.replace(".", "-")}.compute-1.amazonaws.com'
        for interface in instance['NetworkInterfaces']:
            interface['Association'] = {'PublicIp': address, 'IpOwnerId': 'amazon'}


def run(account, instance):
    if instance['_wants_public'] and not instance['_public']:
        instance['_public'], instance['_late'] = account.take_public(), account.late_address
    if instance['Monitoring']['State'] == 'pending':
        instance['Monitoring'] = {'State': 'enabled'}
    instance['MetadataOptions']['State'] = 'applied'
    show_public(instance)


def drop_public(account, instance):
    """A public address goes back: the next start has another one, if there is another one."""
    if instance['_public']:
        account.public.append(instance['_public'])
    instance['_public'] = None
    instance.pop('PublicIpAddress', None)
    instance['PublicDnsName'] = ''
    for interface in instance['NetworkInterfaces']:
        interface.pop('Association', None)


def stop(account, instance):
    drop_public(account, instance)


def shut_down(account, instance):
    instance['StateReason'] = {'Code': 'Client.UserInitiatedShutdown',
                               'Message': 'Client.UserInitiatedShutdown: User initiated shutdown'}
    for mapping in instance['BlockDeviceMappings']:
        volume = account.things['volume'][mapping['Ebs']['VolumeId']]
        if mapping['Ebs']['DeleteOnTermination']:
            account.remove('volume', volume['VolumeId'])
        else:
            volume.update(State='available', Attachments=[])
    for interface in instance['NetworkInterfaces']:
        account.remove('network-interface', interface['NetworkInterfaceId'])
    drop_public(account, instance)
    if request := account.things['spot-instances-request'].get(instance.get('SpotInstanceRequestId')):
        end_spot_request(request)


def terminate(account, instance):
    account.private.append(instance['PrivateIpAddress'])
    for name in ('PrivateIpAddress', 'Ipv6Address', 'SubnetId', 'VpcId'):
        instance.pop(name, None)
    instance.update(PrivateDnsName='', NetworkInterfaces=[], BlockDeviceMappings=[], SecurityGroups=[])


def end_spot_request(request):
    """A persistent request asks for the next instance, unless it was cancelled."""
    if request['State'] == 'active' and request['Type'] == 'persistent':
        request.update(State='open', Status={'Code': 'pending-evaluation', 'Message': 'again'})
    elif request['State'] == 'active':
        request.update(State='closed', Status={'Code': 'instance-terminated-by-user',
                                               'Message': 'Your Spot instance was terminated by the user'})
    else:
        request['Status'] = {'Code': 'instance-terminated-by-user', 'Message': 'cancelled before'}


ARRIVALS = {'running': run, 'stopping': stop, 'shutting-down': shut_down, 'terminated': terminate}


# actions

def reservation(account, identity):
    """A reservation with those of its instances that there are."""
    return reservation_of([one for one in account.all('instance') if one['_reservation'] == identity])


def reservation_of(instances):
    return {'ReservationId': instances[0]['_reservation'], 'OwnerId': OWNER, 'Groups': [],
            'Instances': instances}


def describe_instances(account, params):
    wanted = params.get('InstanceIds')
    if wanted:
        found = account.find('instance', wanted, looking=True)
    else:
        found = [one for one in account.all('instance') if account.see('instance', one['InstanceId'])]
        found = select(found, [one for one in params.get('Filters', ())
                               if not one.get('Name', '').startswith('instance-state')], INSTANCE_FILTERS)
    for instance in found:
        look(account, instance)
    found = select(found, params.get('Filters'), INSTANCE_FILTERS)
    found, token = page(account, found, params, bool(wanted), 'InstanceId')
    by_reservation = {}
    for instance in found:
        by_reservation.setdefault(instance['_reservation'], []).append(instance)
    return {'Reservations': [reservation_of(group) for group in by_reservation.values()],
            'NextToken': token}


def changes(account, params, change):
    """All of them or none: first what is wrong, then the change; gives (id, before, after)."""
    instances = account.find('instance', params['InstanceIds'])
    for instance in instances: # what was asked long ago has happened, seen or not
        if instance['State']['Name'] in NEXT and account.clock() >= instance['_until'] \
                and not instance['_looks']:
            enter(account, instance, NEXT[instance['State']['Name']])
    for instance in instances:
        change(account, instance, params, True)
    result = []
    for instance in instances:
        before = instance['State']
        change(account, instance, params, False)
        result.append({'InstanceId': instance['InstanceId'], 'PreviousState': before,
                       'CurrentState': instance['State']})
    return result


def wrong_state(instance, what):
    return Failure('IncorrectInstanceState', f"The instance '{instance['InstanceId']}' is not in a state "
                   f"from which it can be {what}.")


def start_one(account, instance, _params, checking):
    name = instance['State']['Name']
    if checking and name not in ('stopped', 'pending', 'running'):
        raise wrong_state(instance, 'started')
    if not checking and name == 'stopped':
        enter(account, instance, 'pending')


def stop_one(account, instance, params, checking):
    name = instance['State']['Name']
    if checking and name not in ('running', 'stopping', 'stopped'):
        raise wrong_state(instance, 'stopped')
    request = account.things['spot-instances-request'].get(instance.get('SpotInstanceRequestId'))
    if checking and request and request['Type'] == 'one-time':
        raise Failure('UnsupportedOperation', f"You can't stop the Spot Instance '{instance['InstanceId']}' "
                      'because it is associated with a one-time Spot Instance request.')
    if not checking and name == 'running':
        instance['_forced'] = params.get('Force', False)
        enter(account, instance, 'stopping')


def reboot_one(account, instance, _params, checking):
    if checking and instance['State']['Name'] != 'running':
        raise wrong_state(instance, 'rebooted')
    if not checking:
        instance['_reboots'] += 1
        for watcher in account.watchers:
            watcher(instance, 'running', 'rebooting')


def terminate_one(account, instance, _params, checking):
    if not checking and instance['State']['Name'] not in ('shutting-down', 'terminated'):
        enter(account, instance, 'shutting-down')


def reboot_instances(account, params):
    changes(account, params, reboot_one)
    return {}


def describe_spot_requests(account, params):
    found, token = describe(account, params, 'spot-instances-request', SPOT_FILTERS,
                            'SpotInstanceRequestIds', 'SpotInstanceRequestId')
    return {'SpotInstanceRequests': found, 'NextToken': token}


def cancel_spot_requests(account, params):
    """The instance of a request that is cancelled goes on."""
    requests = account.find('spot-instances-request', params['SpotInstanceRequestIds'])
    for request in requests:
        running = request['State'] == 'active'
        if request['State'] in ('open', 'active'):
            request.update(State='cancelled', Status={
                'Code': 'request-canceled-and-instance-running' if running else 'canceled-before-fulfillment',
                'Message': 'Your Spot request is canceled.'})
    return {'CancelledSpotInstanceRequests': [
        {name: request[name] for name in ('SpotInstanceRequestId', 'State')} for request in requests]}


OPERATIONS = {
    'DescribeInstances': describe_instances,
    'StartInstances': lambda account, params: {'StartingInstances': changes(account, params, start_one)},
    'StopInstances': lambda account, params: {'StoppingInstances': changes(account, params, stop_one)},
    'TerminateInstances': lambda account, params: {
        'TerminatingInstances': changes(account, params, terminate_one)},
    'RebootInstances': reboot_instances,
    'DescribeSpotInstanceRequests': describe_spot_requests,
    'CancelSpotInstanceRequests': cancel_spot_requests,
}
