#include "names.h"

#include "mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 9
#define COUNTER "{n}"

struct range {
	const char *begin, *end; /* of its text, with the braces */
	unsigned long first, last, step;
	int width; /* 0: no zeros */
};

/* Digits at *p; their number, 0 if there are none or too many. */
static int number(const char **p, unsigned long *ret)
{
	int n = 0;

	while (isdigit((unsigned char)(*p)[n]))
		n++;
	if (!n || n > DIGITS_MAX)
		return 0;
	*ret = strtoul(*p, NULL, 10);
	*p += n;
	return n;
}

static bool skip(const char **p, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(*p, text, len) != 0)
		return false;
	*p += len;
	return true;
}

static bool range_at(const char *text, struct range *ret)
{
	struct range r = {.begin = text, .step = 1};
	const char *p = text + 1, *first = p, *last;

	int a = number(&p, &r.first);
	if (!a || !skip(&p, ".."))
		return false;
	last = p;
	int b = number(&p, &r.last);
	if (!b || (skip(&p, "..") && !number(&p, &r.step)) || *p != '}')
		return false;
	if ((a > 1 && *first == '0') || (b > 1 && *last == '0'))
		r.width = MAX(a, b);
	r.step = r.step ? r.step : 1;
	r.end = p + 1;
	*ret = r;
	return true;
}

static bool find_range(const char *word, struct range *ret)
{
	for (const char *p = strchr(word, '{'); p; p = strchr(p + 1, '{'))
		if (range_at(p, ret))
			return true;
	return false;
}

bool names_is_range(const char *word)
{
	struct range r;

	return find_range(word, &r);
}

static int too_many(struct err *err)
{
	return err_set(err, ERR_USER, "Error: more than %u machine names", NAMES_MAX);
}

static int expand(const char *word, struct strv *ret, struct err *err)
{
	struct range r;

	if (!find_range(word, &r)) {
		strv_add(ret, word);
		return ret->n > NAMES_MAX ? too_many(err) : 0;
	}
	unsigned long far = r.last > r.first ? r.last - r.first : r.first - r.last;
	if (far / r.step >= NAMES_MAX)
		return too_many(err);
	for (unsigned long k = 0; k <= far; k += r.step) {
		unsigned long n = r.last > r.first ? r.first + k : r.first - k;
		_cleanup_free_ char *next =
			xasprintf("%.*s%0*lu%s", (int)(r.begin - word), word, r.width, n, r.end);
		if (expand(next, ret, err) < 0)
			return -1;
	}
	return 0;
}

int names_expand(const struct strv *words, struct strv *ret, struct err *err)
{
	strv_foreach (word, words)
		if (expand(word, ret, err) < 0)
			return -1;
	return 0;
}

int names_count(const char *text, int64_t count, struct strv *ret, struct err *err)
{
	const char *at = strstr(text, COUNTER);

	if (count < 1 || count > NAMES_MAX)
		return err_set(err, ERR_USER, "Error: --count is a number from 1 to %u", NAMES_MAX);
	if (!at)
		return err_set(err, ERR_USER,
			"Error: --count needs a --name with " COUNTER
			" in it, which stands for the number: --name 'w" COUNTER "'");
	for (int64_t n = 1; n <= count; n++)
		strv_addf(ret, "%.*s%lld%s", (int)(at - text), text, (long long)n,
			at + strlen(COUNTER));
	return 0;
}
