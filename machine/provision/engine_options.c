#include "engine_options.h"

#include "mem.h"
#include "provision.h"

#include <ctype.h>
#include <string.h>

static void add_pairs(struct strv *argv, const char *flag, const struct strv *values)
{
	for (size_t i = 0; values && i < values->n; i++) {
		strv_add(argv, flag);
		strv_add(argv, values->items[i]);
	}
}

static bool has_label(const struct strv *labels, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; labels && i < labels->n; i++)
		if (strncmp(labels->items[i], key, n) == 0 && labels->items[i][n] == '=')
			return true;
	return false;
}

/* "log-driver=none", "debug", and "log-opt max-size=1m", which always was two words. */
static void add_opt(struct strv *argv, const char *opt)
{
	size_t n = strcspn(opt, " =");

	if (!*opt)
		return;
	if (opt[n] == ' ') {
		strv_addf(argv, "--%.*s", (int)n, opt);
		strv_add(argv, opt + n + strspn(opt + n, " "));
	} else {
		strv_addf(argv, "--%s", opt);
	}
}

static void add_base(const char *dockerd, const struct engine_line *l, struct strv *argv)
{
	strv_add(argv, dockerd);
	strv_add(argv, "-H");
	strv_addf(argv, "tcp://0.0.0.0:%d", l->port);
	strv_add(argv, "-H");
	strv_add(argv, "unix:///var/run/docker.sock");
	if (*l->storage_driver) {
		strv_add(argv, "--storage-driver");
		strv_add(argv, l->storage_driver);
	}
	strv_add(argv, "--tlsverify");
	strv_add(argv, "--tlscacert");
	strv_addf(argv, "%s/ca.pem", l->dir);
	strv_add(argv, "--tlscert");
	strv_addf(argv, "%s/server.pem", l->dir);
	strv_add(argv, "--tlskey");
	strv_addf(argv, "%s/server-key.pem", l->dir);
}

void engine_line_init(struct engine_line *l, const char *dockerd, const char *dir,
	const struct provision_request *rq)
{
	struct strv *argv = &l->argv;

	*l = (struct engine_line){
		.env = rq->engine_env,
		.dir = dir,
		.storage_driver = rq->storage_driver ? rq->storage_driver : "",
		.port = rq->engine_port,
	};
	add_base(dockerd, l, argv);
	l->own = argv->n;
	add_pairs(argv, "--label", rq->labels);
	if (!has_label(rq->labels, "provider")) { /* twice would stop the engine */
		strv_add(argv, "--label");
		strv_addf(argv, "provider=%s", rq->driver);
	}
	add_pairs(argv, "--insecure-registry", rq->insecure_registries);
	add_pairs(argv, "--registry-mirror", rq->registry_mirrors);
	for (size_t i = 0; rq->engine_opts && i < rq->engine_opts->n; i++)
		add_opt(argv, rq->engine_opts->items[i]);
}

void engine_line_finish(struct engine_line *l)
{
	strv_finish(&l->argv);
}

/* Bytes of the UTF-8 character at p that systemd takes; 0: none. */
static size_t good_char(const unsigned char *p)
{
	static const unsigned min[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	unsigned c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));

	if (n == 1)
		return p[0] >= 0x20 && p[0] != 0x7f ? 1 : 0;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c >= min[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) ? n : 0;
}

static int check_text(const char *word, struct err *err)
{
	for (const char *p = word; *p;) {
		size_t n = good_char((const unsigned char *)p);

		if (n == 0)
			return err_set(err, ERR_USER,
				"an engine option holds a control character or invalid UTF-8: "
				"byte %zu of %.*s...",
				(size_t)(p - word) + 1, (int)strcspn(word, "= \n"), word);
		p += n;
	}
	return 0;
}

static int check_variable(const char *text, struct err *err)
{
	size_t n = 0;

	while (isalnum((unsigned char)text[n]) || text[n] == '_')
		n++;
	if (n == 0 || isdigit((unsigned char)text[0]) || text[n] != '=')
		return err_set(err, ERR_USER,
			"an engine variable (--engine-env) is not of the form NAME=VALUE: %.*s",
			(int)strcspn(text, "=\n"), text);
	return check_text(text, err);
}

int engine_line_check(const struct engine_line *l, struct err *err)
{
	if (l->argv.items[0][0] != '/')
		return err_set(err, ERR_NOT_SUPPORTED, "dockerd is at no absolute path: %s",
			l->argv.items[0]);
	for (size_t i = 0; i < l->argv.n; i++)
		if (check_text(l->argv.items[i], err) < 0)
			return -1;
	for (size_t i = 0; l->env && i < l->env->n; i++)
		if (check_variable(l->env->items[i], err) < 0)
			return -1;
	return 0;
}

int engine_options_add(struct buf *take_text, struct buf *ret, struct err *err)
{
	size_t len = take_text->len;
	_cleanup_free_ char *text = buf_steal(take_text);

	if (len > ENGINE_OPTIONS_MAX)
		return err_set(err, ERR_USER, "the engine options are longer than %u bytes",
			ENGINE_OPTIONS_MAX);
	buf_add(ret, text, len);
	return 0;
}
