#include "facts.h"

#include "buf.h"
#include "mem.h"

#include <stdbool.h>
#include <string.h>

struct line {
	const char *p;
	size_t len;
};

static bool next_line(const char **p, const char *end, struct line *ret)
{
	if (*p >= end)
		return false;
	const char *nl = memchr(*p, '\n', (size_t)(end - *p));
	*ret = (struct line){*p, (size_t)((nl ? nl : end) - *p)};
	*p = nl ? nl + 1 : end;
	return true;
}

static bool is(const struct line *l, const char *text)
{
	return l->len == strlen(text) && memcmp(l->p, text, l->len) == 0;
}

/* Takes the lines of one text off *p, up to the next line that has no blank in front. */
static void read_text(const char **p, const char *end, struct fact *f)
{
	struct buf text = BUF_INIT;
	struct line l;
	bool first = true;

	while (*p < end && (**p == ' ' || **p == '\n') && next_line(p, end, &l)) {
		if (!first)
			buf_addc(&text, '\n');
		first = false;
		if (l.len == 0)
			break;
		buf_add(&text, l.p + 1, l.len - 1);
	}
	f->len = text.len;
	f->text = buf_steal(&text);
}

static int parse(const char *p, const char *end, struct facts *f, struct err *err)
{
	struct line l;

	do {
		if (!next_line(&p, end, &l))
			return err_set(
				err, ERR_PROTOCOL, "the report from the host has no beginning");
	} while (!is(&l, "@@begin"));
	while (next_line(&p, end, &l)) {
		if (is(&l, "@@end"))
			return 0;
		if (is(&l, "@@begin")) { /* the one before was not ours */
			facts_finish(f);
			continue;
		}
		if (l.len < 3 || memcmp(l.p, "@@", 2) != 0)
			continue;
		if (f->n == FACTS_MAX)
			return err_set(err, ERR_PROTOCOL, "the report from the host is too long");
		struct fact *fact = &f->items[f->n++];
		fact->name = xstrndup(l.p + 2, l.len - 2);
		read_text(&p, end, fact);
	}
	return err_set(err, ERR_PROTOCOL, "the report from the host is incomplete");
}

int facts_parse(const char *out, size_t len, struct facts *ret, struct err *err)
{
	*ret = (struct facts){.n = 0};
	if (parse(out, out + len, ret, err) == 0)
		return 0;
	facts_finish(ret);
	return -1;
}

void facts_finish(struct facts *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->items[i].name);
		free(f->items[i].text);
	}
	f->n = 0;
}

const struct fact *facts_find(const struct facts *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (streq(f->items[i].name, name))
			return &f->items[i];
	return NULL;
}

const char *facts_text(const struct facts *f, const char *name, const char *fallback)
{
	const struct fact *fact = facts_find(f, name);

	return fact ? fact->text : fallback;
}

char *facts_dup(const struct facts *f, const char *name)
{
	const char *text = facts_text(f, name, "");

	return *text ? xstrdup(text) : NULL;
}
