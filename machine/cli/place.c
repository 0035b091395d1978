#include "place.h"

#include "mem.h"

#include <string.h>

void place_parse(const char *word, struct place *ret)
{
	size_t len = strcspn(word, ":/");
	const char *at = memchr(word, '@', len);
	const char *name = at ? at + 1 : word;

	if (word[len] != ':') {
		*ret = (struct place){.path = xstrdup(word)};
		return;
	}
	*ret = (struct place){
		.path = xstrdup(word + len + 1),
		.machine = xstrndup(name, len - (size_t)(name - word)),
	};
	if (at && at > word)
		ret->user = xstrndup(word, (size_t)(at - word));
}

int place_load(struct cli *cli, const struct place *p, struct record **ret, struct err *err)
{
	if (record_load(cli->app.store, p->machine, ret, err) < 0)
		return err_wrap(err, "Error loading host: Error loading host");
	return 0;
}

static int find(struct co *co, struct cli *cli, struct place *p, struct err *err)
{
	struct record *rec;

	if (place_load(cli, p, &rec, err) < 0)
		return -1;
	if (host_open(co, &cli->app, rec, &p->host, err) < 0 ||
		host_ssh_place(co, p->host, &p->ssh, err) < 0)
		return -1;
	if (p->ssh.report.state != STATE_RUNNING)
		return err_set(
			err, ERR_NOT_RUNNING, "Error: Host \"%s\" is not running", p->machine);
	return 0;
}

int place_open(struct co *co, struct cli *cli, struct place *p, struct err *err)
{
	if (!p->machine)
		return 0;
	if (find(co, cli, p, err) < 0)
		return -1;
	p->target = p->ssh.target;
	if (p->user)
		p->target.user = p->user;
	if (ssh_first_contact(co, &p->target, err) < 0)
		return -1;
	return ssh_client_check(&p->target, err);
}

void place_leave_drivers(struct co *co, struct cli *cli, struct place *places, size_t n)
{
	driver_set_close(co, cli->app.drivers);
	cli->app.drivers = NULL;
	for (size_t i = 0; i < n; i++)
		if (places[i].host)
			places[i].host->driver = NULL;
}

void place_finish(struct co *co, struct place *p)
{
	ssh_place_finish(&p->ssh);
	host_close(co, p->host);
	free(p->machine);
	free(p->user);
	free(p->path);
	*p = (struct place){0};
}
