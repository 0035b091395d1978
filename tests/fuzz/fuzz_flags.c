/* A command line: words between NULs; the first byte says whether positionals are moved. What is
 * understood can be written out again, in full, and means the same. */
#include "flags.h"
#include "mem.h"

#include <inttypes.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const list_default[] = {"x", "y", NULL};
static const struct cli_flag flags[] = {
	{.spec = {.name = "driver", .type = FLAG_STRING, .def_str = "virtualbox"}, .alias = "d"},
	{.spec = {.name = "count", .type = FLAG_INT, .def_int = 10}, .alias = "t"},
	{.spec = {.name = "quiet", .type = FLAG_BOOL}, .alias = "q"},
	{.spec = {.name = "opt", .type = FLAG_LIST}},
	{.spec = {.name = "deflist", .type = FLAG_LIST, .def_list = list_default}},
};

static void write_flag(const char *name, const struct json *value, struct strv *ret)
{
	int64_t n;

	if (json_is(value, JSON_ARRAY))
		for (size_t i = 0; i < value->n; i++)
			write_flag(name, json_at(value, i), ret);
	else if (json_to_int(value, &n))
		strv_addf(ret, "--%s=%" PRId64, name, n);
	else if (json_is(value, JSON_BOOL))
		strv_addf(ret, "-%s=%s", name, value->boolean ? "true" : "false");
	else
		strv_addf(ret, "-%s=%s", name, json_str(value, NULL));
}

static void check(const struct parsed *p)
{
	_cleanup_strv_ struct strv words = STRV_INIT;
	_cleanup_err_ struct err err = ERR_INIT;
	struct parsed again;

	for (size_t i = 0; i < p->n; i++) {
		if (!flagspec_accepts(&flags[i].spec, p->values[i]) || p->from_env[i])
			abort();
		if (p->given[i])
			write_flag(flags[i].spec.name, p->values[i], &words);
	}
	strv_add(&words, "--");
	strv_extend(&words, &p->args);
	if (flags_parse(flags, ARRAY_SIZE(flags), &words, false, &again, &err) < 0)
		abort();
	for (size_t i = 0; i < p->n; i++)
		if (!json_equal(p->values[i], again.values[i]) || p->given[i] != again.given[i])
			abort();
	if (again.args.n != p->args.n)
		abort();
	for (size_t i = 0; i < p->args.n; i++)
		if (!streq(again.args.items[i], p->args.items[i]))
			abort();
	parsed_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_strv_ struct strv words = STRV_INIT;
	_cleanup_err_ struct err err = ERR_INIT;
	struct parsed p;

	for (size_t i = 1; i < size; i += strnlen((const char *)data + i, size - i) + 1)
		strv_add_take(&words, xstrndup((const char *)data + i, size - i));
	if (flags_parse(flags, ARRAY_SIZE(flags), &words, size && data[0] & 1, &p, &err) < 0) {
		if (err.code != ERR_USER)
			abort();
		return 0;
	}
	check(&p);
	parsed_finish(&p);
	return 0;
}
