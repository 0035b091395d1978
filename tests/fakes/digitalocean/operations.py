"""What each operation of openapi.json does with the account: a method of its name, which gives the status and
the answer, or raises Refused."""

from . import spec
from .account import REGIONS, SIZES, Refused
from .api import FINGERPRINT, PREFIX, Absent, Paging


class Operations:
    def __init__(self, api):
        self.api, self.account = api, api.account
        self.told = set() # ids of keys that a client was told

    def do(self, request):
        return getattr(self, request.action)(request, **request.params.path)

    def refuse(self, status, rule, message):
        if rule not in self.api.allow:
            raise Refused(status, message, rule)

    def page(self, request, name, things):
        base = self.api.links or request.fake.url
        return Paging(base, request, request.params.query, self.api.pages.get(name)).cut(name, things)

    # regions, sizes

    def list_regions(self, request):
        return 200, self.page(request, 'regions', [self.account.show_region(slug) for slug in REGIONS])

    def list_sizes(self, request):
        return 200, self.page(request, 'sizes', [self.account.show_size(slug) for slug in SIZES])

    # keys

    def show_key(self, key):
        self.told.add(key.id)
        return {'ssh_key': key.show()}

    def find_key(self, text):
        if not text.isdecimal() and spec.problems(FINGERPRINT, text):
            self.refuse(404, 'fingerprint', 'neither an id nor 16 pairs of lower-case hex digits')
        return self.account.find_key(text)

    def list_keys(self, request):
        keys = [key.show() for key in self.account.keys.values()]
        self.told.update(self.account.keys)
        return 200, self.page(request, 'ssh_keys', keys)

    def create_key(self, request):
        body = request.params.body
        return 201, self.show_key(self.account.add_key(body['name'], body['public_key']))

    def get_key(self, _request, key):
        return 200, self.show_key(self.find_key(key))

    def delete_key(self, _request, key):
        self.account.delete_key(str(self.find_key(key).id))
        return 204, None

    # droplets

    def check_wanted(self, body):
        for field, wanted in self.api.want.items():
            if wanted is Absent and field in body:
                self.refuse(422, f'want:{field}', f'{field} must not be there')
            elif wanted is not Absent and (field not in body or body[field] != wanted or
                                           type(body[field]) is not type(wanted)):
                self.refuse(422, f'want:{field}', f'{field} is not what the test expects')

    def check_keys(self, keys):
        """One key, by the number that the client was told."""
        if len(keys) != 1:
            self.refuse(422, 'ssh-keys', f'{len(keys)} keys rather than one')
        for key in keys:
            if not isinstance(key, int):
                self.refuse(422, 'ssh-keys', 'a key by something else than its number')
            elif key not in self.told:
                self.refuse(422, 'ssh-keys', f'nobody was told of a key {key}')

    def create_droplet(self, request):
        body = request.params.body
        self.check_wanted(body)
        self.check_keys(body.get('ssh_keys', []))
        if isinstance(body['image'], str) and body['image'].isdecimal():
            self.refuse(422, 'image', 'the id of an image as text')
        droplet = self.account.add_droplet(body)
        action = droplet.actions[0]
        href = f'{request.fake.url}{PREFIX}actions/{action.id}'
        return 202, {'droplet': droplet.show(),
                     'links': {'actions': [{'id': action.id, 'rel': 'create', 'href': href}]}}

    def poll(self, request, droplet):
        self.api.note_poll(request, droplet)
        self.account.poll(droplet)

    def list_droplets(self, request):
        """Only those shown are polled."""
        tag = request.params.query['tag_name']
        found = self.account.listed(tag) if request.params.query['page'] == 1 or not tag else self.account.tagged(tag)
        page = self.page(request, 'droplets', found)
        for droplet in page['droplets']:
            self.account.poll(droplet)
        page['droplets'] = [droplet.show() for droplet in page['droplets']]
        return 200, page

    def get_droplet(self, request, droplet):
        found = self.account.find_droplet(droplet)
        self.poll(request, found)
        return 200, {'droplet': found.show()}

    def delete_droplet(self, _request, droplet):
        self.account.delete_droplet(droplet)
        return 204, None

    # actions

    def list_actions(self, request, droplet):
        found = self.account.find_droplet(droplet)
        return 200, self.page(request, 'actions', [action.show() for action in reversed(found.actions)])

    def create_action(self, request, droplet):
        action = self.account.act(self.account.find_droplet(droplet), request.params.body['type'])
        return 201, {'action': action.show()}

    def get_action(self, request, droplet, action):
        found = self.account.find_action(action, self.account.find_droplet(droplet))
        self.poll(request, found.droplet)
        return 200, {'action': found.show()}

    def get_any_action(self, request, action):
        found = self.account.find_action(action)
        if found.droplet.id in self.account.droplets:
            self.poll(request, found.droplet)
        return 200, {'action': found.show()}

    # tags

    def show_tag(self, request, name):
        droplets = {'count': len(self.account.tagged(name))}
        if self.account.tags[name]:
            droplets['last_tagged_uri'] = f'{request.fake.url}{PREFIX}droplets/{self.account.tags[name]}'
        return {'name': name, 'resources': {**droplets, 'droplets': droplets}}

    def find_tag(self, name):
        if name not in self.account.tags:
            raise Refused(404, 'The resource you were accessing could not be found.')
        return name

    def list_tags(self, request):
        return 200, self.page(request, 'tags', [self.show_tag(request, tag) for tag in self.account.tags])

    def create_tag(self, request):
        name = request.params.body['name']
        self.account.tags.setdefault(name, None)
        return 201, {'tag': self.show_tag(request, name)}

    def get_tag(self, request, tag):
        return 200, {'tag': self.show_tag(request, self.find_tag(tag))}

    def delete_tag(self, _request, tag):
        del self.account.tags[self.find_tag(tag)]
        for droplet in self.account.tagged(tag):
            droplet.tags.remove(tag)
        return 204, None

    def resources(self, request):
        return [self.account.find_droplet(each['resource_id']) for each in request.params.body['resources']]

    def tag_resources(self, request, tag):
        self.find_tag(tag)
        for droplet in self.resources(request):
            if tag not in droplet.tags:
                droplet.tags.append(tag)
            self.account.tags[tag] = droplet.id
        return 204, None

    def untag_resources(self, request, tag):
        self.find_tag(tag)
        for droplet in self.resources(request):
            if tag in droplet.tags:
                droplet.tags.remove(tag)
        return 204, None
