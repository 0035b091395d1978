/* config.json, whatever is in it: what loads is saved in a form that loads again, unchanged. */
#include "mem.h"
#include "record.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct store *store;

static void check_again(const struct record *r)
{
	_cleanup_free_ char *text = json_to_string(r->doc, JSON_STORE);
	_cleanup_free_ char *dir = NULL;
	_cleanup_record_ struct record *again = NULL;
	_cleanup_err_ struct err err = ERR_INIT;

	if (strlen(text) > JSON_MAX_BYTES)
		return; /* escapes have made it longer; record_save refuses that */
	if (record_parse(store, "web1", text, strlen(text), &again, &err) < 0)
		abort();
	if (again->migrated || !json_equal(again->doc, r->doc))
		abort();
	struct machine_ref ref = record_ref(store, r, &dir);
	if (!json_is(ref.state, JSON_OBJECT) || !record_driver_name(r) ||
		!record_auth(r, "CertDir"))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_record_ struct record *r = NULL;
	_cleanup_err_ struct err err = ERR_INIT;

	if (!store && store_open("/nonexistent/store", &store, &err) < 0)
		abort();
	if (record_parse(store, "web1", (const char *)data, size, &r, &err) < 0)
		return err.msg ? 0 : (abort(), 0);
	check_again(r);
	return 0;
}
