#include "engine_options.h"

#include <string.h>

/* Not for the user: the unit's own variables, which hold what flannel and the image chose. */
#define FLATCAR_WORDS " $DOCKER_OPTS $DOCKER_OPT_BIP $DOCKER_OPT_MTU $DOCKER_OPT_IPMASQ"
#define FLATCAR_ENVIRONMENT "Environment=TMPDIR=/var/tmp\n"

/*
 * systemd.service(5), "Command lines", and systemd.syntax(7): '%' starts a specifier everywhere,
 * '$' a variable on a command line only; both stand for themselves when doubled, quoted or not.
 * Inside double quotes a backslash escapes.
 */
static void add_word(struct buf *b, const char *word, bool command_line)
{
	bool quote = !*word || strpbrk(word, " \"'\\;#") != NULL;

	if (quote)
		buf_addc(b, '"');
	for (const char *p = word; *p; p++) {
		if (*p == '%' || (*p == '$' && command_line))
			buf_addc(b, *p);
		else if (*p == '"' || *p == '\\')
			buf_addc(b, '\\');
		buf_addc(b, *p);
	}
	if (quote)
		buf_addc(b, '"');
}

static void add_words(struct buf *b, const struct strv *words, bool command_line)
{
	for (size_t i = 0; i < words->n; i++) {
		if (i > 0)
			buf_addc(b, ' ');
		add_word(b, words->items[i], command_line);
	}
}

static int drop_in(const struct engine_line *l, const char *first, const char *words,
	struct buf *ret, struct err *err)
{
	struct buf b = BUF_INIT;

	if (engine_line_check(l, err) < 0)
		return -1;
	buf_addf(&b, "[Service]\n%sExecStart=\nExecStart=", first);
	add_words(&b, &l->argv, true);
	buf_adds(&b, words);
	if (l->env && l->env->n > 0) {
		buf_adds(&b, "\nEnvironment=");
		add_words(&b, l->env, false);
	}
	buf_addc(&b, '\n');
	return engine_options_add(&b, ret, err);
}

int systemd_options(const struct engine_line *l, struct buf *ret, struct err *err)
{
	return drop_in(l, "", "", ret, err);
}

int flatcar_options(const struct engine_line *l, struct buf *ret, struct err *err)
{
	return drop_in(l, FLATCAR_ENVIRONMENT, FLATCAR_WORDS, ret, err);
}
