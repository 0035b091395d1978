#include "kit.h"

#include "mem.h"
#include "utf8.h"

#include <stdarg.h>
#include <string.h>

#define MAX_REASON 400

static void set_reason(struct kit *k, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
static void set_reason(struct kit *k, const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = xvasprintf(fmt, ap);

	buf_clear(&k->reason);
	buf_adds(&k->reason, text);
}

enum verdict fail(struct kit *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_reason(k, fmt, ap);
	va_end(ap);
	return VERDICT_FAIL;
}

enum verdict skip(struct kit *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_reason(k, fmt, ap);
	va_end(ap);
	return VERDICT_SKIP;
}

static struct watched *find_watched(struct kit *k, const char *id)
{
	for (struct watched *w = k->watched; w->id; w++)
		if (streq(w->id, id))
			return w;
	abort();
}

void saw(struct kit *k, const char *id)
{
	find_watched(k, id)->seen++;
}

void broke(struct kit *k, const char *id, const char *fmt, ...)
{
	struct watched *w = find_watched(k, id);
	va_list ap;

	if (w->problem)
		return;
	va_start(ap, fmt);
	w->problem = xvasprintf(fmt, ap);
	va_end(ap);
}

/* The length of the secret at s, 0 if there is none. */
static size_t secret_at(const struct kit *k, const char *s)
{
	size_t longest = 0;

	for (size_t i = 0; i < k->secrets.n; i++) {
		size_t n = strlen(k->secrets.items[i]);

		if (n > longest && strncmp(s, k->secrets.items[i], n) == 0)
			longest = n;
	}
	return longest;
}

/* A reason may quote the driver: one line of bounded length, no secret (the driver may have shown
 * one), and nothing a terminal obeys. */
static void print_reason(const struct kit *k, FILE *out, const char *s)
{
	size_t left = strlen(s), done = 0;

	fputs("  (", out);
	while (left > 0 && done < MAX_REASON) {
		size_t n = utf8_sequence(s, left), secret = secret_at(k, s);
		unsigned char c = (unsigned char)*s;

		if (secret)
			fputs("***", out);
		else if (n == 1 && (c == '\n' || c == '\r' || c == '\t'))
			fputc(' ', out);
		else if (n == 0 || (n == 1 && (c < 0x20 || c == 0x7f)) ||
			 (n == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0))
			fputc('?', out);
		else
			fwrite(s, 1, n, out);
		n = secret ? secret : n ? n : 1;
		s += n;
		left -= n;
		done += n;
	}
	fputs(left > 0 ? " …)" : ")", out);
}

void report_rule(struct kit *k, const char *id, const char *title, enum verdict v)
{
	static const char *const words[] = {
		[VERDICT_OK] = "ok", [VERDICT_FAIL] = "FAIL", [VERDICT_SKIP] = "skip"};
	unsigned *const counts[] = {[VERDICT_OK] = &k->result->passed,
		[VERDICT_FAIL] = &k->result->failed,
		[VERDICT_SKIP] = &k->result->skipped};

	++*counts[v];
	fprintf(k->out, "%-4s %-3s %s", words[v], id, title);
	if (v != VERDICT_OK)
		print_reason(k, k->out, buf_str(&k->reason));
	fputc('\n', k->out);
	fflush(k->out);
	buf_clear(&k->reason);
}

void report_watched(struct kit *k)
{
	for (struct watched *w = k->watched; w->id; w++) {
		enum verdict v = VERDICT_OK;

		if (w->problem)
			v = fail(k, "%s", w->problem);
		else if (!w->seen)
			v = skip(k, "did not occur");
		report_rule(k, w->id, w->title, v);
		free(take(w->problem));
	}
}

int64_t deadline_in(const struct kit *k, int64_t ms)
{
	return now_ms() + (k->cap_ms ? MIN(ms, (int64_t)k->cap_ms) : ms);
}
