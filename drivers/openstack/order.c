/*
 * What is ordered: things that the cloud gives an id, and of which there may be several of one
 * name. An order whose answer did not come is settled before anything else is done: what it made is
 * found by the machine's mark.
 */
#include "openstack.h"

#include <string.h>

static const struct os_kind *const kinds[] = {&os_server, &os_volume, &os_group, &os_floating_ip};

int os_order_begin(struct os_api *a, struct md_machine *m, const char *name, struct err *err)
{
	json_set_str(m->state, OS_ORDERED, name);
	return md_cloud_order(a->api.rq, m, err);
}

void os_order_over(struct md_machine *m)
{
	json_set_str(m->state, OS_ORDERED, "");
	md_cloud_order_over(m);
}

void os_order_failed(struct os_api *a, struct md_machine *m, const struct err *why)
{
	_cleanup_err_ struct err ignored = ERR_INIT;

	if (why->may_exist) { /* it may have taken long until that was clear */
		(void)!md_cloud_order(a->api.rq, m, &ignored);
		return;
	}
	os_order_over(m);
	(void)!md_checkpoint(a->api.rq, m->state, &ignored);
}

bool os_order_open(const struct md_machine *m, const char *name)
{
	return streq(md_state_str(m, OS_ORDERED), name) && md_cloud_order_open(m);
}

bool os_has_mark(const struct md_machine *m, const struct json *thing)
{
	return streq(json_str(json_path(thing, "metadata", OS_ID_KEY, NULL), ""),
		md_state_str(m, "ServerTag"));
}

int os_ours(struct os_api *a, const struct md_machine *m, const struct os_kind *kind,
	struct json **ret, struct err *err)
{
	_cleanup_json_ struct json *all = NULL, *ours = json_array();
	_cleanup_free_ char *what = xasprintf("look for the %s", kind->name);
	_cleanup_buf_ struct buf query = BUF_INIT;

	if (*md_state_str(m, "ServerTag")) { /* else nothing has a mark */
		if (!a->session && os_login(a, err) < 0)
			return -1;
		kind->query(a, m, &query);
		if (os_list(a, kind->service, kind->list, buf_str(&query), kind->key, what, &all,
			    err) < 0)
			return -1;
	}
	for (size_t i = 0; json_at(all, i); i++)
		if (kind->is_ours(m, json_at(all, i)))
			json_add(ours, json_copy(json_at(all, i)));
	*ret = take(ours);
	return 0;
}

static enum os_worth worth_of(const struct os_kind *kind, const struct json *thing)
{
	return kind->worth ? kind->worth(thing) : OS_GOOD;
}

static const char *id_of(const struct json *thing)
{
	return json_str(json_get(thing, "id"), "");
}

/* What was ordered has an id: the order is over. */
static int found(struct os_api *a, struct md_machine *m, const struct os_kind *kind,
	const struct json *thing, struct json **ret, struct err *err)
{
	json_set_str(m->state, kind->id, id_of(thing));
	os_order_over(m);
	if (md_checkpoint(a->api.rq, m->state, err) < 0)
		return -1;
	if (ret)
		*ret = json_copy(thing);
	return 1;
}

int os_find(struct os_api *a, struct md_machine *m, const struct os_kind *kind, struct json **ret,
	struct err *err)
{
	_cleanup_json_ struct json *list = NULL;
	const struct json *best = NULL;
	enum os_worth of_best = OS_GOING;

	if (os_ours(a, m, kind, &list, err) < 0)
		return -1;
	for (size_t i = 0; json_at(list, i); i++)
		if (worth_of(kind, json_at(list, i)) > of_best && *id_of(json_at(list, i))) {
			best = json_at(list, i);
			of_best = worth_of(kind, best);
		}
	return best ? found(a, m, kind, best, ret, err) : 0;
}

int os_order(struct os_api *a, struct md_machine *m, const struct os_kind *kind,
	struct json *take_body, struct json **ret, struct err *err)
{
	_cleanup_json_ struct json *body = take_body, *answer = NULL;
	_cleanup_free_ char *what = xasprintf("create the %s", kind->name);
	_cleanup_err_ struct err mine = ERR_INIT, none = ERR_INIT;

	if (os_order_begin(a, m, kind->name, err) < 0)
		return -1;
	if (os_call(a, kind->service, "POST", kind->path, take(body), what, &answer, &mine) == 0) {
		const struct json *thing = json_get(answer, kind->answer);

		if (*id_of(thing))
			return found(a, m, kind, thing, ret, err) < 0 ? -1 : 0;
		err_set(&mine, ERR_PROTOCOL, "%s: OpenStack: the answer has no id", what);
		mine.may_exist = true;
	}
	if (mine.may_exist && os_find(a, m, kind, ret, &none) > 0)
		return 0;
	os_order_failed(a, m, &mine);
	return err_move(err, &mine);
}

int os_settle(struct os_api *a, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	const char *ordered = md_state_str(m, OS_ORDERED);
	int r = 0;

	if (!*ordered)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(kinds) && r == 0; i++)
		if (streq(kinds[i]->name, ordered)) {
			r = os_find(a, m, kinds[i], NULL, err);
			if (r == 0 && md_cloud_order_open(m)) {
				md_cloud_wait(
					out, STATE_NONE, OS_POLL_MS, OS_AWAITED_TEXT, ordered);
				return 1;
			}
		}
	if (r < 0)
		return -1;
	os_order_over(m);
	return 0;
}

static int remove_one(struct os_api *a, const struct os_kind *kind, const char *id, struct err *err)
{
	_cleanup_free_ char *path = os_path(kind->path, id);
	_cleanup_free_ char *what = xasprintf("delete the %s", kind->name);
	_cleanup_err_ struct err mine = ERR_INIT;

	if (os_delete(a, kind->service, path, what, &mine) == 0)
		return 0;
	if (a->status != OS_STATUS_CONFLICT && a->status != kind->busy)
		return err_move(err, &mine);
	err_move(&a->busy, &mine);
	return OS_BUSY;
}

/* The ids of those that are there. */
static int list_ids(struct os_api *a, const struct md_machine *m, const struct os_kind *kind,
	struct strv *ret, struct err *err)
{
	_cleanup_json_ struct json *list = NULL;
	const char *known = md_state_str(m, kind->id);
	bool going = false;

	if (os_ours(a, m, kind, &list, err) < 0)
		return -1;
	for (size_t i = 0; json_at(list, i); i++) {
		bool gone = worth_of(kind, json_at(list, i)) == OS_GOING;

		if (!gone)
			strv_add(ret, id_of(json_at(list, i)));
		else if (streq(id_of(json_at(list, i)), known))
			going = true;
	}
	if (*known && !going && !strv_contains(ret, known))
		strv_add(ret, known);
	return 0;
}

int os_remove_kind(
	struct os_api *a, struct md_machine *m, const struct os_kind *kind, struct err *err)
{
	_cleanup_strv_ struct strv ids = STRV_INIT;
	int r = 0;

	if (list_ids(a, m, kind, &ids, err) < 0)
		return -1;
	strv_foreach (id, &ids) {
		_cleanup_err_ struct err mine = ERR_INIT;
		int one = remove_one(a, kind, id, &mine);

		if (one < 0 && r >= 0)
			err_move(err, &mine);
		r = one < 0 || r < 0 ? -1 : MAX(r, one);
	}
	if (ids.n && streq(md_state_str(m, OS_ORDERED), kind->name))
		os_order_over(m);
	return r == 0 && os_order_open(m, kind->name) ? OS_AWAITED : r;
}
