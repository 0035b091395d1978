#include "plan.h"

#include "buf.h"
#include "machine-driver.h"
#include "names.h"

#include <stdio.h>
#include <string.h>

#define PLAN_MAX (256u << 10)

static struct json *strings(const struct strv *v)
{
	struct json *list = json_array();

	strv_foreach (s, v)
		json_add(list, json_string(s));
	return list;
}

char *plan_hostname(const char *name)
{
	char *hostname = xstrdup(name), *out = hostname;

	for (const char *p = name; *p; p++) {
		bool begins = out == hostname || out[-1] == '.';

		while (*p == '.' && out > hostname && out[-1] == '-')
			out--;
		if (!begins || (*p != '.' && *p != '-'))
			*out++ = *p;
	}
	while (out > hostname && (out[-1] == '.' || out[-1] == '-'))
		out--;
	*out = '\0';
	return hostname;
}

int plan_save(const struct plan *p, const char *path, struct err *err)
{
	_cleanup_json_ struct json *j = json_object();
	_cleanup_free_ char *text = NULL;

	json_set(j, "number", json_int(p->number));
	json_set_str(j, "hostname", p->hostname);
	json_set_str(j, "tree", p->tree);
	json_set(j, "cpus", json_int(p->cpus));
	json_set(j, "memory", json_int((int64_t)p->memory));
	json_set(j, "binds", strings(&p->binds));
	text = json_to_string(j, JSON_INDENT);
	return md_write_file(path, text, strlen(text), 0600, err);
}

int plan_load(struct plan *ret, const char *path, struct err *err)
{
	_cleanup_json_ struct json *j = NULL;
	_cleanup_free_ char *text = NULL;
	const struct json *binds;
	size_t len;

	if (md_read_file(path, PLAN_MAX, &text, &len, err) < 0 ||
		json_parse(text, len, &j, err) < 0)
		return err_wrap(err, "%s", path);
	*ret = (struct plan){
		.number = (uint32_t)json_int_or(json_get(j, "number"), 0),
		.hostname = xstrdup(json_str(json_get(j, "hostname"), "")),
		.tree = xstrdup(json_str(json_get(j, "tree"), "")),
		.cpus = (unsigned)json_int_or(json_get(j, "cpus"), 0),
		.memory = (uint64_t)json_int_or(json_get(j, "memory"), 0),
	};
	binds = json_get(j, "binds");
	for (size_t i = 0; json_at(binds, i); i++)
		strv_add(&ret->binds, json_str(json_at(binds, i), ""));
	return 0;
}

void plan_finish(struct plan *p)
{
	free(p->hostname);
	free(p->tree);
	strv_finish(&p->binds);
	*p = (struct plan){0};
}

void bind_finish(struct bind *b)
{
	free(b->from);
	free(b->to);
	*b = (struct bind){0};
}

/* The parts between colons; one that has a backslash before it belongs to a name. */
static void split_bind(const char *text, struct strv *ret)
{
	_cleanup_buf_ struct buf part = BUF_INIT;

	for (const char *p = text;; p++) {
		if (*p == '\\' && (p[1] == ':' || p[1] == '\\'))
			buf_addc(&part, *++p);
		else if (*p && *p != ':')
			buf_addc(&part, *p);
		else
			strv_add_take(ret, buf_steal(&part));
		if (!*p)
			return;
	}
}

static bool is_folder_name(const char *s)
{
	return *s == '/' && s[1] && !strstr(s, "/../");
}

int bind_parse(const char *text, struct bind *ret, struct err *err)
{
	_cleanup_strv_ struct strv parts = STRV_INIT;
	size_t n;

	split_bind(text, &parts);
	n = parts.n;
	bool marked = n > 1 && (streq(parts.items[n - 1], "ro") || streq(parts.items[n - 1], "rw"));
	bool read_only = marked && streq(parts.items[n - 1], "ro");
	n -= marked;
	const char *from = parts.items[0], *to = n > 1 ? parts.items[1] : from;
	if (n > 2 || !*from || !is_folder_name(to))
		return err_set(err, ERR_USER,
			"--nspawn-bind \"%s\" is not of the form HOSTDIR[:DIR][:ro], with DIR an "
			"absolute path (\\: stands for a colon in a name)",
			text);
	*ret = (struct bind){xstrdup(from), xstrdup(to), read_only};
	return 0;
}

static void add_escaped(struct buf *out, const char *s)
{
	for (; *s; s++) {
		if (*s == ':' || *s == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *s);
	}
}

char *bind_option(const char *from, const char *to, bool read_only)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	buf_adds(&text, read_only ? "--bind-ro=" : "--bind=");
	add_escaped(&text, from);
	buf_addc(&text, ':');
	add_escaped(&text, to);
	return buf_steal(&text);
}

static void add_own_bind(
	struct strv *ret, const char *dir, const char *name, const char *to, bool read_only)
{
	_cleanup_free_ char *from = xasprintf("%s/%s", dir, name);

	strv_add_take(ret, bind_option(from, to, read_only));
}

void plan_command(const struct plan *p, const char *dir, struct strv *ret)
{
	/* dockerd needs every capability and these system calls; what is on the computer for other
	 * containers (settings, journals, time zone, resolv.conf) does not concern the host */
	static const char *const fixed[] = {"systemd-nspawn", "--boot", "--register=no",
		"--keep-unit", "--settings=no", "--link-journal=no", "--timezone=off",
		"--resolv-conf=off", "--console=read-only", "--capability=all",
		"--system-call-filter=add_key keyctl bpf"};

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		strv_add(ret, fixed[i]);
	strv_add(ret, "--network-bridge=" NSPAWN_BRIDGE);
	strv_addf(ret, "--machine=" NSPAWN_MACHINE, p->number);
	strv_addf(ret, "--hostname=%s", p->hostname);
	strv_addf(ret, "--directory=%s/%s", dir, DIR_ROOT);
	add_own_bind(ret, dir, DIR_DOCKER, "/var/lib/docker", false);
	add_own_bind(ret, dir, DIR_CONTAINERD, "/var/lib/containerd", false);
	add_own_bind(ret, dir, FILE_NETWORK, NETWORK_PATH, true);
	strv_foreach (text, &p->binds) {
		_cleanup_bind_ struct bind b = {0};
		_cleanup_err_ struct err ignored = ERR_INIT;

		if (bind_parse(text, &b, &ignored) == 0) /* configure has refused all others */
			strv_add_take(ret, bind_option(b.from, b.to, b.read_only));
	}
}
