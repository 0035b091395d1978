#include "engine_version.h"

#include "buf.h"
#include "mem.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CE "-ce"
#define RC "-rc"

/* The numbers, with dots between them. */
static void numbers_of(const char *version, struct buf *ret)
{
	const char *rc = strstr(version, RC);

	buf_add(ret, version, strcspn(version, "-"));
	if (rc)
		buf_addf(ret, ".%.*s", (int)strcspn(rc + strlen(RC), "-"), rc + strlen(RC));
}

/* Takes the part up to the next dot off *p. */
static long long next_number(const char **p)
{
	size_t len = strcspn(*p, "."), digits = strspn(*p, "0123456789");
	long long n = 0;

	errno = 0;
	if (len && digits == len)
		n = strtoll(*p, NULL, 10);
	*p += len + ((*p)[len] == '.');
	return errno ? 0 : n;
}

int engine_version_compare(const char *a, const char *b)
{
	_cleanup_buf_ struct buf left = BUF_INIT, right = BUF_INIT;
	bool a_ce = strstr(a, CE) != NULL, b_ce = strstr(b, CE) != NULL;

	if (a_ce != b_ce)
		return a_ce ? 1 : -1;
	numbers_of(a, &left);
	numbers_of(b, &right);
	for (const char *p = buf_str(&left), *q = buf_str(&right); *p || *q;) {
		long long m = next_number(&p), n = next_number(&q);
		if (m != n)
			return m > n ? 1 : -1;
	}
	return 0;
}
