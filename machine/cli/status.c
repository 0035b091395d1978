#include "status.h"

#include "mem.h"
#include "output.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TICK_MS 500u
#define FIRST_MS 500u /* what is over sooner never shows */
#define WIDTH_DEFAULT 80u
#define HEIGHT_DEFAULT 24u
#define CLEAR "\r\033[K"
#define CLEAR_BELOW "\033[J"

struct status {
	FILE *out;
	struct loop *loop;
	struct status_entry *entries;
	size_t n;
	uv_timer_t timer;
	size_t shown; /* lines */
	unsigned hidden;
	struct status_counts counts; /* all 0: the command has not said */
	uint64_t began;
};

static void size_of(FILE *out, size_t *ret_width, size_t *ret_height)
{
	struct winsize size = {0};

	if (ioctl(fileno(out), TIOCGWINSZ, &size) < 0)
		size = (struct winsize){0};
	/* the last column would wrap, and a line more would scroll the first away */
	*ret_width = (size.ws_col > 1 ? size.ws_col : WIDTH_DEFAULT) - 1u;
	*ret_height = (size.ws_row > 2 ? size.ws_row : HEIGHT_DEFAULT) - 1u;
}

static bool many(const struct status *s)
{
	return s->counts.all > 1;
}

/* To the beginning of the first line that is shown. */
static void go_up(const struct status *s)
{
	fputs("\r", s->out);
	if (s->shown > 1)
		fprintf(s->out, "\033[%zuA", s->shown - 1);
}

static void draw_many(struct status *s, uint64_t now, size_t width, size_t height)
{
	_cleanup_free_ char *text = status_lines(s->entries, s->n, &s->counts, now, width, height);
	char *line = text, *end;
	size_t n = 1;

	go_up(s);
	for (; (end = strchr(line, '\n')); line = end + 1, n++)
		fprintf(s->out, "%.*s\033[K\n", (int)(end - line), line);
	fprintf(s->out, "%s\033[K" CLEAR_BELOW, line);
	s->shown = n;
}

static void draw_one(struct status *s, uint64_t now, size_t width)
{
	const struct status_entry *oldest = &s->entries[0];

	for (size_t i = 1; i < s->n; i++)
		if (s->entries[i].since < oldest->since)
			oldest = &s->entries[i];
	_cleanup_free_ char *line = status_text(oldest, now, width);
	fprintf(s->out, CLEAR "%s", line);
	s->shown = 1;
}

static void draw(struct status *s)
{
	uint64_t now = loop_now(s->loop);
	size_t width, height;

	if (s->hidden || !s->n || now - (many(s) ? s->began : s->entries[0].since) < FIRST_MS)
		return;
	size_of(s->out, &width, &height);
	if (many(s))
		draw_many(s, now, width, height);
	else
		draw_one(s, now, width);
	fflush(s->out);
}

static void clear(struct status *s)
{
	if (!s->shown)
		return;
	if (s->shown > 1) {
		go_up(s);
		fputs(CLEAR_BELOW, s->out);
	} else {
		fputs(CLEAR, s->out);
	}
	fflush(s->out);
	s->shown = 0;
}

static void on_tick(uv_timer_t *timer)
{
	draw(timer->data);
}

struct status *status_new(struct loop *loop, FILE *out)
{
	const char *term = getenv("TERM");

	if (!isatty(fileno(out)) || !term || !*term || streq(term, "dumb"))
		return NULL;
	struct status *s = xcalloc(1, sizeof(*s));
	s->out = out;
	s->loop = loop;
	uv_timer_init(loop_uv(loop), &s->timer);
	s->timer.data = s;
	uv_timer_start(&s->timer, on_tick, TICK_MS, TICK_MS);
	uv_unref((uv_handle_t *)&s->timer);
	return s;
}

static void drop(struct status *s, size_t i)
{
	free(s->entries[i].machine);
	free(s->entries[i].step);
	free(s->entries[i].text);
	s->n--;
	memmove(&s->entries[i], &s->entries[i + 1], (s->n - i) * sizeof(*s->entries));
}

static struct status_entry *find(struct status *s, const char *machine)
{
	for (size_t i = 0; s && i < s->n; i++)
		if (streq(s->entries[i].machine, machine))
			return &s->entries[i];
	return NULL;
}

static struct status_entry *find_or_add(struct status *s, const char *machine)
{
	struct status_entry *e = find(s, machine);
	uint64_t now = loop_now(s->loop);

	if (e)
		return e;
	s->entries = xrealloc(s->entries, s->n + 1, sizeof(*s->entries));
	e = &s->entries[s->n++];
	*e = (struct status_entry){.machine = xstrdup(machine), .step_since = now, .since = now};
	return e;
}

static void remove_entry(struct status *s, const char *machine)
{
	struct status_entry *e = find(s, machine);

	if (e)
		drop(s, (size_t)(e - s->entries));
	if (s && !s->n)
		clear(s);
}

void status_begin(struct status *s, size_t machines)
{
	if (!s)
		return;
	s->counts = (struct status_counts){.all = machines};
	s->began = loop_now(s->loop);
}

void status_step(struct status *s, const char *machine, const char *step)
{
	if (!s)
		return;
	struct status_entry *e = find_or_add(s, machine);
	free(e->step);
	free(take(e->text));
	e->step = output_clean(step);
	e->step_since = e->since = loop_now(s->loop);
	e->percent = 0;
}

static bool says(const struct status_entry *e, const char *text)
{
	return (e->text && streq(e->text, text)) || (!e->text && e->step && streq(e->step, text));
}

void status_set(struct status *s, const char *machine, const char *text, int percent)
{
	_cleanup_free_ char *shown = output_clean(text ? text : "");
	struct status_entry *e;

	if (!s)
		return;
	if (!*shown) {
		if (!many(s))
			remove_entry(s, machine);
		else if ((e = find(s, machine)))
			free(take(e->text));
		return;
	}
	e = find_or_add(s, machine);
	e->percent = percent;
	if (says(e, shown))
		return;
	free(take(e->text));
	if (!e->step || !streq(e->step, shown))
		e->text = take(shown);
	e->since = loop_now(s->loop);
}

void status_end(struct status *s, const char *machine, bool failed)
{
	if (!s)
		return;
	remove_entry(s, machine);
	if (failed)
		s->counts.failed++;
	else
		s->counts.done++;
}

void status_hide(struct status *s)
{
	if (s && s->hidden++ == 0)
		clear(s);
}

void status_show(struct status *s)
{
	if (s && --s->hidden == 0)
		draw(s);
}

static void on_closed(uv_handle_t *timer)
{
	free(timer->data);
}

void status_free(struct status *s)
{
	if (!s)
		return;
	clear(s);
	while (s->n)
		drop(s, s->n - 1);
	free(s->entries);
	uv_close((uv_handle_t *)&s->timer, on_closed);
}
