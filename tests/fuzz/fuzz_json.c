/* What is accepted can be written, read again, and is the same. */
#include "buf.h"
#include "json.h"
#include "mem.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_style(const struct json *j, unsigned style)
{
	_cleanup_json_ struct json *again = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_err_ struct err err = ERR_INIT;

	json_write(j, style, &text);
	if (text.len > JSON_MAX_BYTES)
		return;
	if (json_parse(text.data, text.len, &again, &err) < 0 || !json_equal(j, again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ struct json *j = NULL, *copy = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	int64_t i;

	if (json_parse((const char *)data, size, &j, &err) < 0) {
		if (err.code != ERR_PROTOCOL || j)
			abort();
		return 0;
	}
	copy = json_copy(j);
	if (!json_equal(j, copy))
		abort();
	check_style(j, JSON_COMPACT);
	check_style(j, JSON_STORE | JSON_SORTED);
	json_to_int(j, &i);
	json_foreach (m, j) {
		if (!json_get_fold(j, m->key))
			abort();
		json_to_int(m->value, &i);
	}
	return 0;
}
