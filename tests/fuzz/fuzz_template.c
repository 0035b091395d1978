/* Any text as a template, executed on a document, a row of `ls`, and its header; with and without
 * plain integers. */
#include "ls_item.h"

#include "mem.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char document[] =
	"{\"S\":\"a<b>&\\\"c\\\" "
	"\\u00e9\",\"N\":22,\"Big\":12345678901234567890,\"F\":0.5,\"E\":1e300,"
	"\"B\":true,\"Null\":null,\"L\":[\"x\",1,null,[2,[3]],{\"k\":\"v\"}],\"Empty\":[],"
	"\"M\":{\"b\":1,\"a\":{\"c\":[{\"d\":\"e\"}]}},\"Name\":\"web1\"}";

static void execute(const struct template *t, size_t size, struct tmpl_value value)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_buf_ struct buf out = BUF_INIT;

	int rc = template_execute(t, value, &out, &err);
	if (rc < 0 && (err.code != ERR_USER || strncmp(err_msg(&err), "template: ", 10) != 0))
		abort();
	/* the last text may go beyond */
	if (out.len > 2 * (size_t)TEMPLATE_MAX_OUTPUT + size)
		abort();
}

static void try(const char *text, size_t size, unsigned flags, const struct json *doc)
{
	static const struct ls_item item = {
		.name = "web1", .active = "-", .state = STATE_RUNNING, .response_ns = 1500000};
	_cleanup_template_ struct template *t = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_json_ struct json *headers = ls_item_headers();

	if (template_parse(text, size, flags, &t, &err) < 0) {
		if (t || err.code != ERR_USER || strncmp(err_msg(&err), "template: ", 10) != 0)
			abort();
		return;
	}
	template_uses(t, "State");
	execute(t, size, tmpl_json(doc));
	execute(t, size, tmpl_object(&ls_item_type, &item));
	execute(t, size, tmpl_typed(&tmpl_string_map, headers));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_err_ struct err err = ERR_INIT;

	if (json_parse(document, strlen(document), &doc, &err) < 0)
		abort();
	try((const char *)data, size, 0, doc);
	try((const char *)data, size, TEMPLATE_NUMBERS_MEET, doc);
	return 0;
}
