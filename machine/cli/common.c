/* What several commands need: choosing machines, running an action over many, questions, usage
 * errors. */
#include "cli.h"

#include "buf.h"
#include "host_context.h"
#include "log.h"
#include "mem.h"
#include "nofile.h"
#include "outcomes.h"
#include "output.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX 255u

int cli_open_host(
	struct co *co, struct cli *cli, const char *name, struct host **ret, struct err *err)
{
	struct record *rec;

	if (record_load(cli->app.store, name, &rec, err) < 0)
		return -1;
	return host_open(co, &cli->app, rec, ret, err);
}

int cli_usage(struct cli *cli, struct err *err, const char *fmt, ...)
{
	va_list ap;

	help_command(cli->cmd, cli->cmd->flags, cli->cmd->n_flags, stdout);
	va_start(ap, fmt);
	_cleanup_free_ char *msg = xvasprintf(fmt, ap);
	va_end(ap);
	return err_set(err, ERR_USER, "%s", msg);
}

int cli_may_ask(const struct cli *cli, const char *flag, struct err *err)
{
	if (progress_may_ask(cli->progress))
		return 0;
	return err_set(err, ERR_USER, "Error: --progress %s cannot ask: answer with %s",
		parsed_str(&cli->args, "progress"), flag);
}

/* A byte at a time: what follows the line is not ours. The loop waits, so that Ctrl-C is heard. */
static int read_answer(struct co *co, struct buf *line, struct err *err)
{
	char c;

	while (line->len < ANSWER_MAX) {
		int r = co_fd(co, STDIN_FILENO, UV_READABLE, 0, NULL);
		if (r == -ECANCELED)
			return co_err(r, err);
		/* files cannot be waited for, and need not be */
		ssize_t n = read(STDIN_FILENO, &c, 1);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0 && !line->len)
			return err_set(err, ERR_USER, "EOF");
		if (n <= 0 || c == '\n')
			break;
		if (c != '\r')
			buf_addc(line, c);
	}
	return 0;
}

int cli_confirm(struct co *co, const char *question, bool *ret, struct err *err)
{
	static const char blanks[] = " \t";
	_cleanup_buf_ struct buf line = BUF_INIT;

	fputs(question, stdout);
	output_flush();
	if (read_answer(co, &line, err) < 0)
		return -1;
	const char *word = buf_str(&line) + strspn(buf_str(&line), blanks);
	const char *after = word + strcspn(word, blanks);
	if (!*word)
		return err_set(err, ERR_USER, "unexpected newline");
	if (after[strspn(after, blanks)])
		return err_set(err, ERR_USER, "expected newline");
	*ret = tolower((unsigned char)*word) == 'y';
	return 0;
}

void cli_begin(struct cli *cli, size_t machines)
{
	if (machines > 1)
		nofile_raise();
	progress_begin(cli->progress, machines);
}

struct each {
	struct cli *cli;
	const struct strv *names;
	action_fn fn;
	struct ending *all;
};

int cli_act(struct co *co, struct cli *cli, const char *name, action_fn fn, struct err *err)
{
	struct app *app = &cli->app;
	struct store_lock *lock = NULL;
	struct host *h;

	if (store_lock(co, app->store, name, 0, &lock, err) < 0)
		return -1;
	int rc = cli_open_host(co, cli, name, &h, err);
	if (rc == 0) {
		rc = fn(co, h, err);
		_cleanup_err_ struct err save = ERR_INIT;
		if (record_save(app->store, h->rec, &save) < 0 && rc == 0)
			rc = err_move(err, &save);
		if (rc == 0)
			host_context_refresh(co, h);
		host_close(co, h);
	}
	store_unlock(lock);
	return rc;
}

static void act_one(struct co *co, size_t i, void *arg)
{
	struct each *e = arg;
	struct progress *p = e->cli->progress;
	const char *name = e->names->items[i];
	struct ending *one = &e->all[i];
	uint64_t began = loop_now(e->cli->app.loop);

	co_tag(co, name);
	one->begun = true;
	progress_start(p, name, e->cli->cmd->name);
	cli_act(co, e->cli, name, e->fn, &one->err);
	one->ms = loop_now(e->cli->app.loop) - began;
	progress_end(p, name, &one->err);
}

static bool is_of_name(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '-';
}

/* What a name stands in or before, unlike a word of a sentence: "web", web:, (web), /web/. */
static bool is_mark(char c)
{
	return c && strchr("\"':()/", c);
}

/* As a whole, web is neither in web1 nor in my-web; and as a name: "a" is also a word. */
static bool says_name(const char *msg, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = msg; len && (at = strstr(at, name)); at++) {
		char before = at == msg ? '\0' : at[-1], after = at[len];
		if (!is_of_name(before) && !is_of_name(after) &&
			(is_mark(before) || is_mark(after)))
			return true;
	}
	return false;
}

/* One message per line, without those that repeat. */
int cli_join_errors(const struct err *errs, const struct strv *names, struct err *err)
{
	_cleanup_buf_ struct buf all = BUF_INIT;
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < names->n; i++) {
		if (errs[i].code == ERR_NONE)
			continue;
		const char *msg = err_msg(&errs[i]);
		const char *name = names->items[i];
		code = code == ERR_NONE ? errs[i].code : code;
		/* with several machines, each message must say whose it is */
		bool named = names->n == 1 || says_name(msg, name);
		buf_addf(&all, "%s%s%s%s", all.len ? "\n" : "", named ? "" : name,
			named ? "" : ": ", msg);
	}
	if (code == ERR_NONE)
		return 0;
	return err_set(err, code, "%s", buf_str(&all));
}

int cli_check_all(struct cli *cli, const struct strv *names, struct err *err)
{
	struct err *errs = xcalloc(names->n, sizeof(*errs));

	for (size_t i = 0; i < names->n; i++) {
		struct record *rec;
		if (record_load(cli->app.store, names->items[i], &rec, &errs[i]) == 0)
			record_free(rec);
	}
	int rc = cli_join_errors(errs, names, err);
	for (size_t i = 0; i < names->n; i++)
		err_finish(&errs[i]);
	free(errs);
	return rc;
}

bool cli_old_name(const struct cli *cli)
{
	return streq(cli->prog, "docker-machine");
}

int cli_each(
	struct co *co, struct cli *cli, const struct strv *names, action_fn fn, struct err *err)
{
	unsigned parallel;

	if (cli_parallel(cli, CLI_AT_ONCE, &parallel, err) < 0 ||
		cli_check_all(cli, names, err) < 0)
		return -1;
	struct each e = {cli, names, fn, xcalloc(names->n, sizeof(struct ending))};
	if (names->n > 1 && !cli_old_name(cli))
		progress_name_lines(cli->progress);
	cli_begin(cli, names->n);
	co_each(co, names->n, parallel, act_one, &e);
	return outcomes_tell(cli, names, e.all, cli->cmd->done, err);
}
