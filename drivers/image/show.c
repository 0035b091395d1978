/* How far long work is: a line with a bar on a terminal, elsewhere a line for each tenth. Standard
 * error; there is no colour. */
#include "image_cli.h"

#include "log.h"
#include "mem.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define CLEAR "\r\033[K"
#define WIDTH_DEFAULT 80
#define BAR_CELLS 24
#define TENTH 10
#define MB (1 << 20)

static struct {
	bool shown;    /* a line that is to be cleared */
	char *message; /* the last one that was counted */
	int64_t first; /* what there was of it when it began */
	double began;
	int64_t tenth;
} show;

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool on_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term && *term && !streq(term, "dumb");
}

static int width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
		return size.ws_col - 1; /* the last column would wrap */
	return WIDTH_DEFAULT - 1;
}

void show_end(void)
{
	if (show.shown)
		fputs(CLEAR, stderr);
	show.shown = false;
}

static char *bar_text(const char *message, int64_t current, int64_t total)
{
	char bar[BAR_CELLS + 1];
	double took = seconds() - show.began;
	double rate = took > 0 ? (double)(current - show.first) / took : 0;
	int full = (int)(current * BAR_CELLS / total);

	memset(bar, ' ', BAR_CELLS);
	memset(bar, '#', (size_t)full);
	bar[BAR_CELLS] = '\0';
	return xasprintf("[%s] %3d%% %lld of %lld MB, %.1f MB/s  %s", bar,
		(int)(current * 100 / total), (long long)current / MB, (long long)total / MB,
		rate / MB, message);
}

static void show_counted(int64_t current, int64_t total, const char *message)
{
	current = MIN(MAX(current, (int64_t)0), total);
	if (!show.message || !streq(show.message, message)) {
		free(show.message);
		show.message = xstrdup(message);
		show.first = current;
		show.began = seconds();
		show.tenth = 0;
	}
	if (on_terminal()) {
		_cleanup_free_ char *text = bar_text(message, current, total);

		fprintf(stderr, CLEAR "%.*s", width(), text);
		show.shown = true;
		return;
	}
	if (current * TENTH / total == show.tenth)
		return;
	show.tenth = current * TENTH / total;
	fprintf(stderr, "%s: %lld%%\n", message, (long long)show.tenth * (100 / TENTH));
}

static void tell(void *arg, int64_t current, int64_t total, const char *message)
{
	_cleanup_free_ char *clean = output_clean(message);

	(void)arg;
	if (total > 0) {
		show_counted(current, total, clean);
		return;
	}
	show_end();
	fprintf(stderr, "%s\n", clean);
}

static bool cancelled(void *arg)
{
	(void)arg;
	return interrupted() != 0;
}

struct md_watch show_watch(void)
{
	return (struct md_watch){.tell = tell, .cancelled = cancelled};
}
