"""DigitalOcean's API v2 on the loopback: strict, with a memory, and what it serves is in openapi.json.

    with DigitalOcean(addresses=['127.0.0.5']) as cloud:
        cloud.account.boot.public = 3          # the public address shows after three polls
        cloud.api.want['tags'] = ['a', 'b']    # what POST droplets must say
        cloud.faults.add('get_droplet', TooMany(retry_after=1), nth=2)
        ... cloud.url, cloud.token ...

The end of `with` fails for wrong requests, for faults that never came to pass, and for keys and droplets
that the client made and left; `may_leave` allows the last.
"""

from ..httpfake import HttpFake
from .account import Account, Address # noqa: F401
from .api import Absent, Api, Late, TooMany # noqa: F401
from .operations import Operations

TOKEN = 'dop_v1_0123456789abcdef0123456789abcdef'


class DigitalOcean(HttpFake):
    def __init__(self, addresses=None, on_event=None, token=TOKEN, allow=(), authority=None):
        self.account = Account(addresses, on_event)
        self.api = Api(self.account, Operations, token, allow)
        self.token, self.may_leave = token, False
        super().__init__(self.api, authority)

    def check(self):
        super().check()
        assert not self.faults.pending(), f'never happened: {self.faults.pending()}'
        left = self.account.left()
        assert self.may_leave or not left, f'left behind: {left}'
