/* Go's time.Duration: nanoseconds that print as 1m2.5s. */
#include "template.h"

#include "mem.h"

#include <string.h>

#define SECOND 1000000000u

/* A fraction of `unit` nanoseconds without its last zeros: ".203" */
static void add_fraction(uint64_t ns, uint64_t unit, struct buf *out)
{
	if (ns % unit)
		buf_addc(out, '.');
	for (ns %= unit; ns; ns %= unit) {
		unit /= 10;
		buf_addc(out, (char)('0' + ns / unit));
	}
}

static void duration_text(int64_t i, struct buf *out)
{
	static const struct {
		uint64_t unit;
		const char *name;
	} small[] = {{1, "ns"}, {1000, "µs"}, {1000000, "ms"}};
	uint64_t ns = i < 0 ? 0 - (uint64_t)i : (uint64_t)i, s = ns / SECOND;

	if (i < 0)
		buf_addc(out, '-');
	for (size_t k = ARRAY_SIZE(small); ns && !s && k--;) {
		if (ns < small[k].unit)
			continue;
		buf_addf(out, "%llu", (unsigned long long)(ns / small[k].unit));
		add_fraction(ns, small[k].unit, out);
		buf_adds(out, small[k].name);
		return;
	}
	if (s >= 3600)
		buf_addf(out, "%lluh", (unsigned long long)(s / 3600));
	if (s >= 60)
		buf_addf(out, "%llum", (unsigned long long)(s / 60 % 60));
	buf_addf(out, "%llu", (unsigned long long)(s % 60));
	add_fraction(ns, SECOND, out);
	buf_addc(out, 's');
}

static double duration_number(int64_t i, const char *method, size_t len, bool *found)
{
	static const struct {
		const char *name;
		double unit;
	} methods[] = {{"Seconds", 1e9}, {"Minutes", 60e9}, {"Hours", 3600e9}};

	for (size_t k = 0; k < ARRAY_SIZE(methods); k++) {
		if (strlen(methods[k].name) != len || memcmp(methods[k].name, method, len) != 0)
			continue;
		*found = true;
		return (double)i / methods[k].unit;
	}
	*found = false;
	return 0;
}

const struct tmpl_type tmpl_duration = {
	.name = "time.Duration",
	.kind = TMPL_INT,
	.text = duration_text,
	.number = duration_number,
};
