/* The filters of `ls`, one a line: what is taken is tried on rows, with and without a record. */
#include "ls.h"

#include "mem.h"
#include "record.h"
#include "strv.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char document[] =
	"{\"ConfigVersion\":3,\"DriverName\":\"none\",\"Driver\":{\"URL\":\"tcp://"
	"127.0.0.1:2376\"},"
	"\"HostOptions\":{\"EngineOptions\":{\"Labels\":[\"role=web\",\"=\",\"zone\",\"a=b=c\"]}}}";

static struct record *the_record(void)
{
	static struct store *store;
	struct record *r = NULL;
	struct err err = ERR_INIT;

	if (!store && store_open("/nonexistent/store", &store, &err) < 0)
		abort();
	if (record_parse(store, "web-1", document, strlen(document), &r, &err) < 0)
		abort();
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct record *record;
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	_cleanup_strv_ struct strv lines = STRV_INIT;
	_cleanup_json_ struct json *list = json_array();
	_cleanup_err_ struct err err = ERR_INIT;
	struct filters *filters = NULL;

	if (!record)
		record = the_record();
	struct row rows[] = {{.name = "web-1", .rec = record}, {.name = "Broken.example"}};
	strv_split(&lines, text, '\n');
	strv_foreach (line, &lines)
		json_add(list, json_string(line));
	if (filters_parse(list, &filters, &err) < 0) {
		if (filters || err.code != ERR_USER)
			abort();
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (filters_match(filters, &rows[i]) && filters_need_state(filters))
			filters_match_state(filters, &rows[i]);
	filters_free(filters);
	return 0;
}
