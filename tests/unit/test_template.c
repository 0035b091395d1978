/* Templates: everything that was recorded from Go, and what Go does not say. */
#include "template.h"

#include "ls_item.h"
#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DATA_MAX (4u << 20)

static struct json *load(const char *file)
{
	_cleanup_free_ char *path = xasprintf("%s/tests/unit/data/%s", SOURCE_ROOT, file);
	_cleanup_free_ char *text = xmalloc(DATA_MAX);
	struct err err = ERR_INIT;
	struct json *j;
	FILE *f = fopen(path, "re");

	assert_non_null(f);
	size_t n = fread(text, 1, DATA_MAX, f);
	fclose(f);
	if (json_parse(text, n, &j, &err) < 0)
		fail_msg("%s: %s", path, err_msg(&err));
	return j;
}

/* The row that was recorded. */
struct row {
	struct json *engine, *swarm, *headers;
	struct ls_item item;
};

static struct json *parse(const char *text)
{
	struct err err = ERR_INIT;
	struct json *j;

	if (json_parse(text, strlen(text), &j, &err) < 0)
		fail_msg("%s: %s", text, err_msg(&err));
	return j;
}

static void row_init(struct row *r)
{
	r->engine = parse("{\"Labels\":[\"a=b\",\"c\"],\"Env\":[],\"TlsVerify\":true,"
			  "\"InstallURL\":\"https://get.docker.com\"}");
	r->swarm = parse("{\"Discovery\":\"token://1\",\"Master\":true,\"Heartbeat\":5,"
			 "\"Overcommit\":0.5,\"Host\":\"tcp://0.0.0.0:3376\"}");
	r->headers = ls_item_headers();
	r->item = (struct ls_item){
		.name = "web1",
		.active = "*",
		.active_host = true,
		.driver = "generic",
		.state = STATE_RUNNING,
		.url = "tcp://192.0.2.1:2376",
		.swarm_options = r->swarm,
		.swarm = "web1 (master)",
		.engine_options = r->engine,
		.version = "v20.10.24",
		.response_ns = 1203000000,
	};
}

static void row_finish(struct row *r)
{
	json_free(r->engine);
	json_free(r->swarm);
	json_free(r->headers);
}

/* As it went: the output, and the error with the phase in front, or "". */
static char *run(const char *text, unsigned flags, struct tmpl_value data, struct buf *out)
{
	_cleanup_template_ struct template *t = NULL;
	_cleanup_err_ struct err err = ERR_INIT;

	if (template_parse(text, strlen(text), flags, &t, &err) < 0)
		return xasprintf("parse: %s", err_msg(&err));
	if (template_execute(t, data, out, &err) < 0)
		return xasprintf("exec: %s", err_msg(&err));
	return xstrdup("");
}

/* Texts of Go's that depend on its release, or that tell of its inside: the place has to be the
 * same, not the words after it. */
static bool same_error(const char *got, const char *want)
{
	static const char *const inner[] = {"non-comparable", "complex", "reflect:"};
	const char *place = strstr(want, ">: ");

	if (streq(got, want))
		return true;
	for (size_t i = 0; place && i < ARRAY_SIZE(inner); i++)
		if (strstr(want, inner[i]) &&
			strncmp(got, want, (size_t)(place - want) + 3) == 0)
			return true;
	return false;
}

static bool replay(const struct json *vector, const struct json *documents, const struct row *row)
{
	const char *data = json_str(json_get(vector, "data"), ""),
		   *text = json_str(json_get(vector, "template"), ""),
		   *out = json_str(json_get(vector, "out"), ""),
		   *parse_error = json_str(json_get(vector, "parse"), NULL),
		   *exec_error = json_str(json_get(vector, "exec"), NULL);
	_cleanup_json_ struct json *own = NULL;
	_cleanup_buf_ struct buf got = BUF_INIT;
	const struct json *document = json_get(documents, data);
	struct tmpl_value value;

	if (streq(data, "row"))
		value = tmpl_object(&ls_item_type, &row->item);
	else if (streq(data, "header"))
		value = tmpl_typed(&tmpl_string_map, row->headers);
	else
		value = tmpl_json(document ? document : (own = parse(data)));
	_cleanup_free_ char *error = run(text, 0, value, &got), *want = NULL;
	want = parse_error  ? xasprintf("parse: %s", parse_error)
	       : exec_error ? xasprintf("exec: %s", exec_error)
			    : xstrdup("");
	if (same_error(error, want) && streq(buf_str(&got), out))
		return true;
	print_error("%s of %s\n  want %s|%s\n  got  %s|%s\n", text, data, out, want,
		buf_str(&got), error);
	return false;
}

static void test_as_go(void **state)
{
	_cleanup_json_ struct json *all = load("templates.json");
	const struct json *vectors = json_get(all, "vectors");
	struct row row;
	size_t bad = 0;

	(void)state;
	row_init(&row);
	assert_true(json_is(vectors, JSON_ARRAY) && vectors->n > 1000);
	for (size_t i = 0; i < vectors->n; i++)
		bad += !replay(vectors->items[i], json_get(all, "documents"), &row);
	row_finish(&row);
	if (bad)
		fail_msg("%zu of %zu templates", bad, vectors->n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
