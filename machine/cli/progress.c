#include "progress.h"

#include "json.h"
#include "mem.h"
#include "output.h"
#include "status.h"
#include "strv.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* What was told last of a machine, so that JSON has the step and does not repeat itself. */
struct told {
	char *machine, *step, *text;
	int percent;
};

struct progress {
	struct app *app;
	bool talk_stdout;
	enum progress_mode mode;
	bool name_lines;
	struct status *display; /* NULL: none */
	struct told *told;
	size_t n_told;
};

static int percent_of(const struct app_event *e)
{
	if (e->total <= 0 || e->current < 0)
		return 0;
	return (int)((double)MIN(e->current, e->total) / (double)e->total * 100);
}

static struct told *told_of(struct progress *p, const char *machine)
{
	for (size_t i = 0; i < p->n_told; i++)
		if (streq(p->told[i].machine, machine))
			return &p->told[i];
	p->told = xrealloc(p->told, p->n_told + 1, sizeof(*p->told));
	p->told[p->n_told] = (struct told){.machine = xstrdup(machine)};
	return &p->told[p->n_told++];
}

/* --- JSON --- */

struct event {
	const char *machine, *what, *step, *message;
	int64_t current, total;
	const char *error;
};

static char *time_now(void)
{
	struct timespec now;
	struct tm tm;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return xasprintf("%s.%03ldZ", text, now.tv_nsec / 1000000);
}

static struct json *text_or_null(const char *s)
{
	return s && *s ? json_string(s) : json_null();
}

static void print_event(const struct event *e)
{
	_cleanup_json_ struct json *o = json_object();
	_cleanup_free_ char *now = time_now(), *text = NULL;
	bool counted = e->total > 0 && e->current >= 0;

	json_set_str(o, "time", now);
	json_set(o, "machine", text_or_null(e->machine));
	json_set_str(o, "event", e->what);
	json_set(o, "step", text_or_null(e->step));
	json_set(o, "message", text_or_null(e->message));
	json_set(o, "current", counted ? json_int(e->current) : json_null());
	json_set(o, "total", counted ? json_int(e->total) : json_null());
	json_set(o, "error", text_or_null(e->error));
	text = json_to_string(o, JSON_COMPACT);
	puts(text);
	output_flush();
}

static void tell_json(struct progress *p, const struct app_event *e)
{
	struct told *t = told_of(p, e->machine);
	int percent = percent_of(e);

	if (e->step) {
		free(t->step);
		t->step = xstrdup(e->step);
		free(take(t->text));
		print_event(
			&(struct event){.machine = e->machine, .what = "step", .step = e->step});
		return;
	}
	bool again = t->text && e->text && streq(t->text, e->text) && percent == t->percent;
	bool is_step = e->text && t->step && !e->total && streq(t->step, e->text);
	if (!e->text || again || is_step)
		return;
	free(t->text);
	t->text = xstrdup(e->text);
	t->percent = percent;
	print_event(&(struct event){
		e->machine, "progress", t->step, e->text, e->current, e->total, NULL});
}

/* --- */

static void on_event(void *userdata, const struct app_event *e)
{
	struct progress *p = userdata;

	if (p->mode == PROGRESS_JSON)
		tell_json(p, e);
	else if (e->step)
		status_step(p->display, e->machine, e->step);
	else
		status_set(p->display, e->machine, e->text, percent_of(e));
}

static void attach(struct progress *p)
{
	p->app->status = p->display || p->mode == PROGRESS_JSON ? on_event : NULL;
	p->app->status_userdata = p;
}

struct progress *progress_new(struct app *app, bool talk_stdout)
{
	struct progress *p = xcalloc(1, sizeof(*p));

	p->app = app;
	p->talk_stdout = talk_stdout;
	if (talk_stdout) /* results are never mixed with it */
		p->display = status_new(app->loop, stdout);
	attach(p);
	return p;
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	p->app->status = NULL;
	status_free(p->display);
	for (size_t i = 0; i < p->n_told; i++) {
		free(p->told[i].machine);
		free(p->told[i].step);
		free(p->told[i].text);
	}
	free(p->told);
	free(p);
}

int progress_set_mode(struct progress *p, const char *name, struct err *err)
{
	static const char *const names[] = {"auto", "plain", "json", "none"};
	size_t i = 0;

	while (i < ARRAY_SIZE(names) && !streq(names[i], name))
		i++;
	if (i == ARRAY_SIZE(names))
		return err_set(err, ERR_USER,
			"Error: --progress is auto, plain, json or none, not \"%s\"", name);
	p->mode = (enum progress_mode)i;
	if (p->mode != PROGRESS_AUTO)
		status_free(take(p->display));
	attach(p);
	return 0;
}

bool progress_may_ask(const struct progress *p)
{
	return p->mode != PROGRESS_JSON && p->mode != PROGRESS_NONE;
}

void progress_name_lines(struct progress *p)
{
	p->name_lines = true;
}

void progress_begin(struct progress *p, size_t machines)
{
	status_begin(p->display, machines);
}

void progress_start(struct progress *p, const char *machine, const char *step)
{
	on_event(p, &(struct app_event){.machine = machine, .step = step});
}

void progress_end(struct progress *p, const char *machine, const struct err *err)
{
	bool failed = err && err->code != ERR_NONE;

	status_end(p->display, machine, failed);
	if (p->mode == PROGRESS_JSON)
		print_event(&(struct event){.machine = machine,
			.what = failed ? "failed" : "done",
			.step = told_of(p, machine)->step,
			.error = failed ? err_msg(err) : NULL});
}

/* "(MACHINE) TEXT": whoever logs outside of a machine's coroutine puts its name there. */
static const char *split_name(const char *line, char **ret_machine)
{
	const char *end = line[0] == '(' ? strstr(line, ") ") : NULL;
	char *name = end ? xstrndup(line + 1, (size_t)(end - line) - 1) : NULL;

	if (!name || !machine_name_valid(name)) {
		free(name);
		return line;
	}
	*ret_machine = name;
	return end + 2;
}

static void line_as_json(struct progress *p, const char *machine, const char *line)
{
	_cleanup_free_ char *named = NULL;
	const char *text = split_name(line, &named);
	const char *whose = named ? named : machine;

	print_event(&(struct event){.machine = whose,
		.what = "progress",
		.step = whose ? told_of(p, whose)->step : NULL,
		.message = text});
}

static FILE *stream_of(const struct progress *p, enum log_level level)
{
	if (level == LOG_LEVEL_DEBUG || level == LOG_LEVEL_ERROR || !p->talk_stdout)
		return stderr;
	return p->mode == PROGRESS_NONE ? stderr : stdout;
}

void progress_line(struct progress *p, enum log_level level, const char *machine, const char *line)
{
	FILE *out = stream_of(p, level);
	_cleanup_free_ char *named = NULL;

	if (p->mode == PROGRESS_NONE && level == LOG_LEVEL_INFO && p->talk_stdout)
		return;
	if (p->mode == PROGRESS_JSON && out == stdout) {
		line_as_json(p, machine, line);
		return;
	}
	if (p->name_lines && machine && level != LOG_LEVEL_DEBUG)
		split_name(line, &named);
	status_hide(p->display);
	if (p->name_lines && machine && !named && level != LOG_LEVEL_DEBUG)
		fprintf(out, "(%s) %s\n", machine, line);
	else
		fprintf(out, "%s\n", line);
	if (out == stdout)
		output_flush();
	status_show(p->display);
}
