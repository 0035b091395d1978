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

void engine_argv(
	const char *dockerd, const char *dir, const struct provision_request *rq, struct strv *ret)
{
	strv_add(ret, dockerd);
	strv_add(ret, "-H");
	strv_addf(ret, "tcp://0.0.0.0:%d", rq->engine_port);
	strv_add(ret, "-H");
	strv_add(ret, "unix:///var/run/docker.sock");
	if (rq->storage_driver && *rq->storage_driver) {
		strv_add(ret, "--storage-driver");
		strv_add(ret, rq->storage_driver);
	}
	strv_add(ret, "--tlsverify");
	strv_add(ret, "--tlscacert");
	strv_addf(ret, "%s/ca.pem", dir);
	strv_add(ret, "--tlscert");
	strv_addf(ret, "%s/server.pem", dir);
	strv_add(ret, "--tlskey");
	strv_addf(ret, "%s/server-key.pem", dir);
	add_pairs(ret, "--label", rq->labels);
	if (!has_label(rq->labels, "provider")) { /* twice would stop the engine */
		strv_add(ret, "--label");
		strv_addf(ret, "provider=%s", rq->driver);
	}
	add_pairs(ret, "--insecure-registry", rq->insecure_registries);
	add_pairs(ret, "--registry-mirror", rq->registry_mirrors);
	for (size_t i = 0; rq->engine_opts && i < rq->engine_opts->n; i++)
		add_opt(ret, rq->engine_opts->items[i]);
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

/*
 * systemd.service(5), "Command lines", and systemd.syntax(7): '%' starts a specifier everywhere,
 * '$' a variable on a command line only; both stand for themselves when doubled, quoted or not.
 * Inside double quotes a backslash escapes.
 */
static int add_word(struct buf *b, const char *word, bool command_line, struct err *err)
{
	bool quote = !*word || strpbrk(word, " \"'\\;#") != NULL;

	if (quote)
		buf_addc(b, '"');
	for (const char *p = word; *p;) {
		size_t n = good_char((const unsigned char *)p);

		if (n == 0)
			return err_set(err, ERR_USER,
				"an engine option holds a control character or invalid UTF-8: "
				"byte %zu of %.*s...",
				(size_t)(p - word) + 1, (int)strcspn(word, "= \n"), word);
		if (*p == '%' || (*p == '$' && command_line))
			buf_addc(b, *p);
		else if (*p == '"' || *p == '\\')
			buf_addc(b, '\\');
		buf_add(b, p, n);
		p += n;
	}
	if (quote)
		buf_addc(b, '"');
	return 0;
}

static int add_words(struct buf *b, const struct strv *words, bool command_line, struct err *err)
{
	for (size_t i = 0; i < words->n; i++) {
		if (i > 0)
			buf_addc(b, ' ');
		if (add_word(b, words->items[i], command_line, err) < 0)
			return -1;
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
	return 0;
}

int systemd_options(
	const struct strv *argv, const struct strv *env, struct buf *ret, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (argv->items[0][0] != '/')
		return err_set(err, ERR_NOT_SUPPORTED, "dockerd is at no absolute path: %s",
			argv->items[0]);
	for (size_t i = 0; env && i < env->n; i++)
		if (check_variable(env->items[i], err) < 0)
			return -1;
	buf_adds(&b, "[Service]\nExecStart=\nExecStart=");
	if (add_words(&b, argv, true, err) < 0)
		return -1;
	if (env && env->n > 0) {
		buf_adds(&b, "\nEnvironment=");
		if (add_words(&b, env, false, err) < 0)
			return -1;
	}
	buf_addc(&b, '\n');
	if (b.len > ENGINE_OPTIONS_MAX)
		return err_set(err, ERR_USER, "the engine options are longer than %u bytes",
			ENGINE_OPTIONS_MAX);
	buf_add(ret, b.data, b.len);
	return 0;
}
