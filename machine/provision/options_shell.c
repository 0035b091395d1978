/* Options files that a shell on the host reads. */
#include "engine_options.h"
#include "mem.h"
#include "ssh.h"

#include <string.h>

static void add_assignment(struct buf *b, const char *name, const char *value)
{
	_cleanup_free_ char *word = shell_quote(value);

	buf_addf(b, "%s=%s\n", name, word);
}

static void add_exports(struct buf *b, const struct strv *env)
{
	for (size_t i = 0; env && i < env->n; i++) {
		_cleanup_free_ char *word = shell_quote(env->items[i]);

		buf_addf(b, "export %s\n", word);
	}
}

/* Bytes that mean nothing to a shell in an argument. */
static bool is_plain(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-+./,:@%=";

	return *word && word[strspn(word, plain)] == '\0';
}

/*
 * OpenRC splits $DOCKER_OPTS at blanks, expands patterns in it, and evaluates the result: quotes
 * would come too late for blanks and patterns. So what is not plain becomes a variable of its own,
 * and only its name passes through all that.
 */
int openrc_options(const struct engine_line *l, struct buf *ret, struct err *err)
{
	_cleanup_buf_ struct buf words = BUF_INIT;
	struct buf b = BUF_INIT;

	if (engine_line_check(l, err) < 0)
		return -1;
	add_assignment(&b, "DOCKERD_BINARY", l->argv.items[0]);
	for (size_t i = 1; i < l->argv.n; i++) {
		_cleanup_free_ char *name = xasprintf("machine_%zu", i);

		if (i > 1)
			buf_addc(&words, ' ');
		if (is_plain(l->argv.items[i])) {
			buf_adds(&words, l->argv.items[i]);
			continue;
		}
		add_assignment(&b, name, l->argv.items[i]);
		buf_addf(&words, "\"$%s\"", name);
	}
	add_assignment(&b, "DOCKER_OPTS", buf_str(&words));
	add_exports(&b, l->env);
	return engine_options_add(&b, ret, err);
}

/* What the init script does with $EXTRA_ARGS splits it at blanks and expands patterns, and takes no
 * quotes off. */
static int check_unquoted(const struct engine_line *l, struct err *err)
{
	for (size_t i = l->own; i < l->argv.n; i++) {
		const char *word = l->argv.items[i];

		if (!*word || strpbrk(word, " *?["))
			return err_set(err, ERR_USER,
				"boot2docker cannot carry an engine option that is empty or holds "
				"a blank "
				"or one of *?[: %s",
				word);
	}
	return 0;
}

int boot2docker_options(const struct engine_line *l, struct buf *ret, struct err *err)
{
	_cleanup_buf_ struct buf words = BUF_INIT;
	_cleanup_free_ char *ca = xasprintf("%s/ca.pem", l->dir);
	_cleanup_free_ char *key = xasprintf("%s/server-key.pem", l->dir);
	_cleanup_free_ char *cert = xasprintf("%s/server.pem", l->dir);
	_cleanup_free_ char *host = xasprintf("-H tcp://0.0.0.0:%d", l->port);
	struct buf b = BUF_INIT;

	if (engine_line_check(l, err) < 0 || check_unquoted(l, err) < 0)
		return -1;
	buf_addc(&words, '\n');
	for (size_t i = l->own; i < l->argv.n; i++) {
		bool value = i + 1 < l->argv.n && l->argv.items[i + 1][0] != '-';

		buf_addf(&words, "%s%c", l->argv.items[i], value ? ' ' : '\n');
	}
	add_assignment(&b, "EXTRA_ARGS", buf_str(&words));
	add_assignment(&b, "CACERT", ca);
	add_assignment(&b, "DOCKER_HOST", host);
	add_assignment(&b, "DOCKER_STORAGE", l->storage_driver);
	add_assignment(&b, "DOCKER_TLS", "auto");
	add_assignment(&b, "SERVERKEY", key);
	add_assignment(&b, "SERVERCERT", cert);
	add_exports(&b, l->env);
	return engine_options_add(&b, ret, err);
}
