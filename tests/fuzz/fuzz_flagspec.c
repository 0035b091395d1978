/* Flags that are accepted are within the limits, have a default of their type, and can be declared
 * again. */
#include "flagspec.h"
#include "mem.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct flagspecs *s)
{
	_cleanup_json_ struct json *list = flagspec_to_json(s->items, s->n);
	_cleanup_json_ struct json *list_again = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	struct flagspecs again;

	if (s->n > FLAGSPEC_MAX)
		abort();
	for (size_t i = 0; i < s->n; i++) {
		_cleanup_json_ struct json *value = flagspec_default(&s->items[i]);

		if (!flagspec_accepts(&s->items[i], value) ||
			flagspec_find(s->items, s->n, s->items[i].name) != &s->items[i] ||
			(s->items[i].env && !env_name_valid(s->items[i].env)))
			abort();
	}
	if (flagspec_from_json(list, &again, &err) < 0)
		abort();
	list_again = flagspec_to_json(again.items, again.n);
	if (!json_equal(list, list_again))
		abort();
	flagspecs_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ struct json *j = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	struct flagspecs s;

	if (json_parse((const char *)data, size, &j, &err) < 0)
		return 0;
	if (flagspec_from_json(j, &s, &err) == 0) {
		check(&s);
		flagspecs_finish(&s);
	} else if (err.code != ERR_PROTOCOL) {
		abort();
	}
	return 0;
}
