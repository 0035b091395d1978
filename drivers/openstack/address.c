/* Addresses: the server's own, and one of the external network that is bound to its port. */
#include "openstack.h"

#include <string.h>

#define TRIES 5
#define LOCK_NAME "openstack-floating-ip"
#define LOCK_MS 60000u
#define MARK "docker-machine:"

static bool is_wanted(const struct md_machine *m, const struct json *a)
{
	const char *type = json_str(json_get(a, "OS-EXT-IPS:type"), "fixed");

	return json_int_or(json_get(a, "version"), 4) == md_state_int(m, "IpVersion") &&
	       streq(type, *md_state_str(m, "FloatingIpPool") ? "floating" : "fixed");
}

const char *os_address(const struct md_machine *m, const struct json *server)
{
	const char *found = "", *network = md_state_str(m, "NetworkName");

	json_foreach (n, json_get(server, "addresses")) {
		bool named = *network && streq(n->key, network);

		for (size_t i = 0; json_at(n->value, i); i++) {
			const char *addr = json_str(json_get(json_at(n->value, i), "addr"), "");

			if (*addr && is_wanted(m, json_at(n->value, i)) && (!*found || named))
				found = addr;
		}
	}
	return found;
}

struct port {
	char *id;
	char *address; /* the one to bind to, if it has several; else "" */
};

static void port_finish(struct port *p)
{
	free(p->id);
	free(p->address);
}

/* The first that has an IPv4 address. */
static int find_port(
	struct os_api *a, const struct md_machine *m, struct port *ret, struct err *err)
{
	const char *network = md_state_str(m, "NetworkId");
	_cleanup_free_ char *query = xasprintf("device_id=%s%s%s", md_state_str(m, "MachineId"),
		*network ? "&network_id=" : "", network);
	_cleanup_json_ struct json *list = NULL;

	if (os_list(a, OS_NETWORK, "/ports", query, "ports", "look for the server's port", &list,
		    err) < 0)
		return -1;
	for (size_t i = 0; json_at(list, i); i++) {
		const struct json *ips = json_get(json_at(list, i), "fixed_ips");
		const char *first = NULL;
		unsigned n = 0;

		for (size_t k = 0; json_at(ips, k); k++) {
			const char *ip = json_str(json_get(json_at(ips, k), "ip_address"), ":");

			if (strchr(ip, ':'))
				continue;
			first = first ? first : ip;
			n++;
		}
		if (!n)
			continue;
		ret->id = xstrdup(json_str(json_get(json_at(list, i), "id"), ""));
		ret->address = xstrdup(n > 1 ? first : "");
		return 0;
	}
	return err_set(err, ERR_USER,
		"the server %s has no port with an IPv4 address that a floating IP could be bound "
		"to",
		md_state_str(m, "MachineId"));
}

static void query_of(const struct os_api *a, const struct md_machine *m, struct buf *b)
{
	buf_adds(b, "floating_network_id=");
	md_http_escape(b, md_state_str(m, "FloatingIpPoolId"));
	buf_adds(b, "&tenant_id=");
	md_http_escape(b, a->session->project);
}

static const char *text_of(const struct json *ip, const char *key)
{
	return json_str(json_get(ip, key), "");
}

static bool is_ours(const struct md_machine *m, const struct json *ip)
{
	const char *text = text_of(ip, "description");

	return strncmp(text, MARK, strlen(MARK)) == 0 && *md_state_str(m, "ServerTag") &&
	       streq(text + strlen(MARK), md_state_str(m, "ServerTag"));
}

const struct os_kind os_floating_ip = {
	.name = "floating IP",
	.id = "FloatingIpId",
	.service = OS_NETWORK,
	.path = "/floatingips",
	.answer = "floatingip",
	.list = "/floatingips",
	.key = "floatingips",
	.query = query_of,
	.is_ours = is_ours,
};

static int list_ips(
	struct os_api *a, const struct md_machine *m, struct json **ret, struct err *err)
{
	_cleanup_buf_ struct buf query = BUF_INIT;

	if (!a->session && os_login(a, err) < 0)
		return -1;
	query_of(a, m, &query);
	return os_list(a, OS_NETWORK, "/floatingips", buf_str(&query), "floatingips",
		"list the floating IPs", ret, err);
}

/* Bound to the port already, else made for this machine, else free, and no other machine's. */
static const struct json *choose(
	const struct md_machine *m, const struct json *list, const char *port)
{
	const struct json *best = NULL;
	int of_best = 0;

	for (size_t i = 0; json_at(list, i); i++) {
		const struct json *ip = json_at(list, i);
		const char *bound = text_of(ip, "port_id");
		bool marked = strncmp(text_of(ip, "description"), MARK, strlen(MARK)) == 0;
		int good = streq(bound, port) ? 3 : is_ours(m, ip) ? 2 : !*bound && !marked ? 1 : 0;

		if (good > of_best) {
			best = ip;
			of_best = good;
		}
	}
	return best;
}

static void set_ip(struct md_machine *m, const char *id, const char *port, bool created)
{
	json_set_str(m->state, "FloatingIpId", id);
	json_set_str(m->state, "FloatingIpPort", port);
	json_set(m->state, "FloatingIpCreated", json_bool(created));
}

static struct json *body_of(const struct port *port)
{
	struct json *body = json_object(), *ip = json_object();

	json_set_str(ip, "port_id", port->id);
	if (*port->address)
		json_set_str(ip, "fixed_ip_address", port->address);
	json_set(body, "floatingip", ip);
	return body;
}

static int explain(const struct md_machine *m, struct err *err)
{
	if (err->code != ERR_NOT_FOUND)
		return -1;
	return err_wrap(err,
		"the server's subnet needs a router with a gateway on the network %s "
		"(--openstack-floatingip-pool)",
		md_state_str(m, "FloatingIpPool"));
}

/* 1: somebody else was faster. */
static int bind_ip(struct os_api *a, const struct md_machine *m, const struct json *ip,
	const struct port *port, struct err *err)
{
	_cleanup_free_ char *path = os_path("/floatingips", text_of(ip, "id"));
	_cleanup_free_ char *match = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;
	int64_t revision;

	/* without it the address would be taken away from whoever has bound it meanwhile */
	if (json_to_int(json_get(ip, "revision_number"), &revision))
		match = xasprintf("revision_number=%lld", (long long)revision);
	a->if_match = match;
	if (os_call(a, OS_NETWORK, "PUT", path, body_of(port), "bind the floating IP", NULL,
		    &mine) == 0)
		return 0;
	if (a->status == OS_STATUS_CONFLICT || a->status == OS_STATUS_PRECONDITION)
		return 1;
	explain(m, &mine);
	return err_move(err, &mine);
}

static int make_ip(struct os_api *a, struct md_machine *m, const struct port *port, struct err *err)
{
	_cleanup_free_ char *mark = xasprintf(MARK "%s", md_state_str(m, "ServerTag"));
	_cleanup_json_ struct json *ip = NULL;
	struct json *body = body_of(port), *asked = json_get(body, "floatingip");

	set_ip(m, "", port->id, true);
	json_set_str(asked, "floating_network_id", md_state_str(m, "FloatingIpPoolId"));
	json_set_str(asked, "description", mark);
	md_progress(a->api.rq, "Creating a floating IP...");
	if (os_order(a, m, &os_floating_ip, body, &ip, err) < 0)
		return explain(m, err);
	json_set_str(m->state, "IPAddress", text_of(ip, "floating_ip_address"));
	return 0;
}

/* 1: try again. */
static int try_once(
	struct os_api *a, struct md_machine *m, const struct port *port, struct err *err)
{
	_cleanup_json_ struct json *list = NULL;
	const struct json *ip;
	bool bound;
	int r;

	if (list_ips(a, m, &list, err) < 0)
		return -1;
	ip = choose(m, list, port->id);
	if (!ip)
		return make_ip(a, m, port, err);
	bound = streq(text_of(ip, "port_id"), port->id);
	set_ip(m, text_of(ip, "id"), port->id, is_ours(m, ip));
	if (md_checkpoint(a->api.rq, m->state, err) < 0)
		return -1;
	r = bound ? 0 : bind_ip(a, m, ip, port, err);
	if (r == 0)
		json_set_str(m->state, "IPAddress", text_of(ip, "floating_ip_address"));
	return r;
}

int os_make_floating_ip(struct os_api *a, struct md_machine *m, struct err *err)
{
	struct md_watch watch = md_watch_request(a->api.rq);
	_cleanup_free_ char *file = md_store_lock(m->store_path, LOCK_NAME);
	_cleanup_lock_ int lock = -1;
	_cleanup_(port_finish) struct port port = {0};
	int r = 1;

	if (!*md_state_str(m, "FloatingIpPool") || *md_state_str(m, "IPAddress"))
		return 0;
	if (os_resolve(a, m, err) < 0 || find_port(a, m, &port, err) < 0)
		return -1;
	/* machines that are made at once would all choose the same */
	if (md_lock(&watch, file, false, LOCK_MS, &lock, err) < 0)
		return -1;
	for (int i = 0; i < TRIES && r == 1; i++)
		r = try_once(a, m, &port, err);
	if (r == 1)
		return err_set(err, ERR_UNAVAILABLE,
			"bind a floating IP: each that was free was taken by somebody else");
	return r;
}

/* What was borrowed is given back, unless it is bound elsewhere by now. */
static int give_back(struct os_api *a, const struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *path = os_path("/floatingips", md_state_str(m, "FloatingIpId"));
	_cleanup_json_ struct json *answer = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;
	struct json *body, *ip;

	if (os_call(a, OS_NETWORK, "GET", path, NULL, "look at the floating IP", &answer, &mine) <
		0)
		return mine.code == ERR_NOT_FOUND ? 0 : err_move(err, &mine);
	if (!streq(text_of(json_get(answer, "floatingip"), "port_id"),
		    md_state_str(m, "FloatingIpPort")))
		return 0;
	body = json_object();
	ip = json_object();
	json_set(ip, "port_id", json_null());
	json_set(body, "floatingip", ip);
	if (os_call(a, OS_NETWORK, "PUT", path, body, "release the floating IP", NULL, &mine) ==
			0 ||
		mine.code == ERR_NOT_FOUND)
		return 0;
	return err_move(err, &mine);
}

/* One that was made is deleted while it is bound: free, somebody else might take it before. */
int os_remove_floating_ip(struct os_api *a, struct md_machine *m, struct err *err)
{
	if (md_state_bool(m, "FloatingIpCreated"))
		return os_remove_kind(a, m, &os_floating_ip, err);
	return *md_state_str(m, "FloatingIpId") ? give_back(a, m, err) : 0;
}
