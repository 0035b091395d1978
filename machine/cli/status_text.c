/* What the status lines say. */
#include "status.h"

#include "buf.h"
#include "mem.h"
#include "strv.h"
#include "utf8.h"

#include <string.h>

#define SPIN_MS 500u

static const char *const spinner[] = {"|", "/", "-", "\\"};

static const char *spin(uint64_t now)
{
	return spinner[now / SPIN_MS % ARRAY_SIZE(spinner)];
}

static char *age(uint64_t ms)
{
	unsigned long long s = ms / 1000;

	return s >= 60 ? xasprintf("%llum %02llus", s / 60, s % 60) : xasprintf("%llus", s);
}

/* Columns are counted as characters: what is wider than one is cut a little late at worst. */
static void cut(char *line, size_t width)
{
	size_t len = strlen(line), i = 0;

	for (size_t columns = 0; i < len && columns < width; columns++)
		i += MAX(utf8_sequence(line + i, len - i), (size_t)1);
	line[i] = '\0';
}

char *status_text(const struct status_entry *entry, uint64_t now, size_t width)
{
	struct buf b = BUF_INIT;

	if (entry) {
		_cleanup_free_ char *old = age(now - entry->since);

		buf_addf(&b, "%s %s: %s", spin(now), entry->machine,
			entry->text ? entry->text : entry->step);
		if (entry->percent)
			buf_addf(&b, " %d%%", entry->percent);
		buf_addf(&b, " (%s)", old);
	}
	char *line = buf_steal(&b);
	cut(line, width);
	return line;
}

static void add_line(struct buf *out, const struct buf *line, size_t width)
{
	_cleanup_free_ char *text = xstrdup(buf_str(line));

	cut(text, width);
	buf_addf(out, "%s%s", out->len ? "\n" : "", text);
}

static void add_count(struct buf *line, size_t n, const char *what, bool always)
{
	if (n || always)
		buf_addf(line, "%s%zu %s",
			line->len && buf_str(line)[line->len - 1] != ' ' ? ", " : "", n, what);
}

static void add_counts(
	struct buf *out, const struct status_counts *c, size_t at_work, uint64_t now, size_t width)
{
	_cleanup_buf_ struct buf line = BUF_INIT;
	size_t over = c->done + c->failed + at_work;

	buf_addf(&line, "%s %zu machines: ", spin(now), c->all);
	add_count(&line, at_work, "at work", true);
	add_count(&line, c->done, "done", false);
	add_count(&line, c->failed, "failed", false);
	add_count(&line, c->all > over ? c->all - over : 0, "to come", false);
	add_line(out, &line, width);
}

static const char *step_of(const struct status_entry *e)
{
	return e->step ? e->step : "";
}

static void add_machine(struct buf *out, const struct status_entry *e, size_t name_width,
	size_t step_width, uint64_t now, size_t width)
{
	_cleanup_buf_ struct buf line = BUF_INIT;
	_cleanup_free_ char *old = age(now - e->step_since);

	buf_addf(&line, "  %-*s  %-*s  %7s", (int)name_width, e->machine, (int)step_width,
		step_of(e), old);
	if (e->text)
		buf_addf(&line, "  %s", e->text);
	if (e->percent)
		buf_addf(&line, " %d%%", e->percent);
	add_line(out, &line, width);
}

/* "  and 12 more: 10 create, 2 provision" */
static void add_rest(struct buf *out, const struct status_entry *entries, size_t n, size_t width)
{
	_cleanup_strv_ struct strv steps = STRV_INIT;
	_cleanup_buf_ struct buf line = BUF_INIT;

	buf_addf(&line, "  and %zu more: ", n);
	for (size_t i = 0; i < n; i++)
		if (!strv_contains(&steps, step_of(&entries[i])))
			strv_add(&steps, step_of(&entries[i]));
	strv_foreach (step, &steps) {
		size_t k = 0;
		for (size_t i = 0; i < n; i++)
			k += streq(step_of(&entries[i]), step);
		add_count(&line, k, step, true);
	}
	add_line(out, &line, width);
}

char *status_lines(const struct status_entry *entries, size_t n, const struct status_counts *counts,
	uint64_t now, size_t width, size_t height)
{
	struct buf out = BUF_INIT;
	size_t room = MAX(height, (size_t)2) - 1, name_width = 0, step_width = 0;
	size_t shown = n > room ? room - 1 : n;

	for (size_t i = 0; i < shown; i++) {
		name_width = MAX(name_width, strlen(entries[i].machine));
		step_width = MAX(step_width, strlen(step_of(&entries[i])));
	}
	add_counts(&out, counts, n, now, width);
	for (size_t i = 0; i < shown; i++)
		add_machine(&out, &entries[i], name_width, step_width, now, width);
	if (shown < n)
		add_rest(&out, entries + shown, n - shown, width);
	return buf_steal(&out);
}
