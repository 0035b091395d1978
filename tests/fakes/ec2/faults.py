"""Wrong answers that only make sense in XML, and the usual errors of EC2."""

from ..httpfaults import Endless, Instead, Refuse, Throttle, Truncate
from .model import NAMESPACE

BOMB_LEVELS, BOMB_WIDTH = 30, 10


def malformed():
    """The last tags are missing, though the answer is whole."""
    return Instead(lambda body: body[:body.rindex(b'</')])


def crossed():
    """Tags that are closed in the wrong order."""
    return Instead(b'<?xml version="1.0"?><Response><item></Response></item>')


def entity_bomb(levels=BOMB_LEVELS, width=BOMB_WIDTH):
    """Billions of laughs: whoever expands entities runs out of memory."""
    lines = ['<?xml version="1.0"?>', '<!DOCTYPE r [', '<!ENTITY e0 "ha">']
    lines += [f'<!ENTITY e{n} "{f"&e{n - 1};" * width}">' for n in range(1, levels + 1)]
    lines += [']>', f'<DescribeInstancesResponse xmlns="{NAMESPACE}"><requestId>&e{levels};</requestId>'
              '<reservationSet/></DescribeInstancesResponse>']
    return Instead('\n'.join(lines))


def outside_entity(url):
    """An entity that is somewhere else: a file, or another server."""
    return Instead(f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "{url}">]><Response><Errors><Error>'
                   '<Code>&x;</Code><Message>&x;</Message></Error></Errors></Response>', status=400)


def deep(levels=100000):
    return Instead(b'<a>' * levels + b'</a>' * levels)


def endless_body():
    return Endless(b'<?xml version="1.0"?><DescribeInstancesResponse><reservationSet>', b'<item>x</item>' * 4096)


def not_xml(status=200):
    return Instead('<html><body><h1>502 Bad Gateway<br></body></html>', status,
                   [('Content-Type', 'text/html')], applied=False)


def no_reservations():
    return Instead(f'<DescribeInstancesResponse xmlns="{NAMESPACE}"><requestId>r</requestId><reservationSet/>'
                   '</DescribeInstancesResponse>')


def internal_error(applied=False):
    return Refuse(500, 'InternalError', 'An internal error has occurred', applied)


def unavailable(applied=False):
    return Refuse(503, 'Unavailable', 'The server is overloaded', applied)


def no_capacity():
    return Refuse(500, 'InsufficientInstanceCapacity', 'We currently do not have sufficient capacity in the '
                  'Availability Zone you requested.')


# name: makes a fault that any client has to survive
RUBBISH = {
    'malformed': malformed, 'crossed': crossed, 'entity bomb': entity_bomb, 'deep': deep,
    'truncated': Truncate, 'endless': endless_body, 'no XML': not_xml, 'empty': lambda: Instead(b''),
    'throttled': Throttle,
}
