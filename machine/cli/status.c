#include "status.h"

#include "buf.h"
#include "mem.h"
#include "output.h"
#include "utf8.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TICK_MS 500u
#define FIRST_MS 500u /* what is over sooner never shows */
#define WIDTH_DEFAULT 80u
#define CLEAR "\r\033[K"

struct status {
	FILE *out;
	struct loop *loop;
	struct status_entry *entries;
	size_t n;
	uv_timer_t timer;
	bool shown;
	unsigned hidden;
};

static const char *const spinner[] = {"|", "/", "-", "\\"};

static void add_age(struct buf *b, uint64_t ms)
{
	uint64_t s = ms / 1000;

	if (s >= 60)
		buf_addf(b, " (%llum %02llus)", (unsigned long long)(s / 60),
			(unsigned long long)(s % 60));
	else
		buf_addf(b, " (%llus)", (unsigned long long)s);
}

/* Columns are counted as characters: what is wider than one is cut a little late at worst. */
static void cut(char *line, size_t width)
{
	size_t len = strlen(line), i = 0;

	for (size_t columns = 0; i < len && columns < width; columns++)
		i += MAX(utf8_sequence(line + i, len - i), (size_t)1);
	line[i] = '\0';
}

char *status_text(const struct status_entry *entries, size_t n, uint64_t now, size_t width)
{
	struct buf b = BUF_INIT;

	if (n)
		buf_adds(&b, spinner[now / TICK_MS % ARRAY_SIZE(spinner)]);
	if (n > 1)
		buf_addf(&b, " %zu machines:", n);
	for (size_t i = 0; i < n && b.len < width; i++) {
		const struct status_entry *e = &entries[i];
		buf_addf(&b, "%s %s: %s", i ? "," : "", e->machine, e->text);
		if (e->percent)
			buf_addf(&b, " %d%%", e->percent);
		add_age(&b, now - e->since);
	}
	char *line = buf_steal(&b);
	cut(line, width);
	return line;
}

static size_t width_of(FILE *out)
{
	struct winsize size;

	if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
		return size.ws_col - 1u; /* the last column would wrap */
	return WIDTH_DEFAULT - 1;
}

static void draw(struct status *s)
{
	uint64_t now = loop_now(s->loop);

	if (s->hidden || !s->n || now - s->entries[0].since < FIRST_MS)
		return;
	_cleanup_free_ char *line = status_text(s->entries, s->n, now, width_of(s->out));
	fprintf(s->out, CLEAR "%s", line);
	fflush(s->out);
	s->shown = true;
}

static void clear(struct status *s)
{
	if (!s->shown)
		return;
	fputs(CLEAR, s->out);
	fflush(s->out);
	s->shown = false;
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
	free(s->entries[i].text);
	s->n--;
	memmove(&s->entries[i], &s->entries[i + 1], (s->n - i) * sizeof(*s->entries));
}

void status_set(struct status *s, const char *machine, const char *text, int percent)
{
	_cleanup_free_ char *shown = output_clean(text ? text : "");
	size_t i = 0;

	if (!s)
		return;
	while (i < s->n && !streq(s->entries[i].machine, machine))
		i++;
	if (i < s->n && streq(s->entries[i].text, shown)) {
		s->entries[i].percent = percent;
		return;
	}
	if (i < s->n)
		drop(s, i);
	if (*shown) {
		s->entries = xrealloc(s->entries, s->n + 1, sizeof(*s->entries));
		s->entries[s->n++] = (struct status_entry){
			xstrdup(machine), take(shown), loop_now(s->loop), percent};
	}
	if (!s->n)
		clear(s);
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
