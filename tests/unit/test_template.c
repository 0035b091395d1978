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
		if (strstr(want, inner[i]) && strncmp(got, want, (size_t)(place - want) + 3) == 0)
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
	print_error("%s of %s\n  want %s|%s\n  got  %s|%s\n", text, data, out, want, buf_str(&got),
		error);
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

/* What `flags` make of a text and a document; "!" and the error where it fails. */
static void expect(unsigned flags, const char *document, const char *text, const char *want)
{
	_cleanup_json_ struct json *j = parse(document);
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_free_ char *error = run(text, flags, tmpl_json(j), &out);

	if (*error)
		buf_addf(&out, "!%s", error);
	if (!streq(buf_str(&out), want))
		fail_msg("%s of %s\n  want %s\n  got  %s", text, document, want, buf_str(&out));
}

/* With and without TEMPLATE_NUMBERS_MEET: numbers print as Go prints them, and meet integers with
 * it. */
static void test_numbers(void **state)
{
	static const char document[] =
		"{\"n\":22,\"id\":123456789,\"huge\":12345678901234567890,\"f\":1.5,\"e\":1e6,"
		"\"neg\":-5000000,\"l\":[1000000,\"a\"],\"z\":3.0}";
	static const struct {
		const char *text, *want, *as_go; /* NULL: the same */
	} cases[] = {
		{"{{.id}}", "1.23456789e+08", NULL},
		{"{{.huge}}", "1.2345678901234567e+19", NULL},
		{"{{.neg}}", "-5e+06", NULL},
		{"{{.e}} {{.f}} {{.z}}", "1e+06 1.5 3", NULL},
		{"{{.l}}", "[1e+06 a]", NULL},
		{"{{printf \"%v|%12v|\" .id .id}}", "1.23456789e+08|1.23456789e+08|", NULL},
		{"{{printf \"%.0f %T\" .id .id}}", "123456789 float64", NULL},
		{"{{join .l \",\"}} {{print .id}}", "1e+06,a 1.23456789e+08", NULL},
		{"{{json .huge}}", "12345678901234567890", NULL},
		{"{{eq .n 22}}{{eq 22 .n}}{{ne .n 23}}{{lt .n 23}}{{ge 21 .n}}",
			"truetruetruetruefalse",
			"!exec: template: :1:2: executing \"\" at <eq .n 22>: error calling eq: "
			"incompatible types for comparison"},
		{"{{eq .n 22.0}}", "true", NULL},
		{"{{eq .n \"22\"}}",
			"!exec: template: :1:2: executing \"\" at <eq .n \"22\">: error calling "
			"eq: "
			"incompatible types for comparison",
			NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		expect(TEMPLATE_NUMBERS_MEET, document, cases[i].text, cases[i].want);
		expect(0, document, cases[i].text, cases[i].as_go ? cases[i].as_go : cases[i].want);
	}
}

static void test_durations(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{0, "0s 0"},
		{1, "1ns 1e-09"},
		{1500, "1.5µs 1.5e-06"},
		{14000000, "14ms 0.014"},
		{1203000000, "1.203s 1.203"},
		{10000000000, "10s 10"},
		{60000000000, "1m0s 60"},
		{3600500000000, "1h0m0.5s 3600.5"},
		{-1500000000, "-1.5s -1.5"},
		{INT64_MIN, "-2562047h47m16.854775808s -9.223372036854776e+09"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf out = BUF_INIT;
		_cleanup_free_ char *error = run(
			"{{.}} {{.Seconds}}", 0, tmpl_integer(&tmpl_duration, cases[i].ns), &out);
		assert_string_equal(error, "");
		assert_string_equal(buf_str(&out), cases[i].text);
	}
}

static void test_empty_row(void **state)
{
	static const struct ls_item item = {.name = "x"};
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_free_ char *error = run(
		"{{.Name}}|{{.State}}|{{.URL}}|{{.EngineOptions.Labels}}|{{.SwarmOptions.Host}}|"
		"{{.EngineOptions.TLSVerify}}{{.EngineOptions.DNS}}|{{json .EngineOptions.Env}}",
		0, tmpl_object(&ls_item_type, &item), &out);

	(void)state;
	assert_string_equal(error, "");
	assert_string_equal(buf_str(&out), "x|||[]||false[]|null");
}

static void test_uses(void **state)
{
	static const struct {
		const char *text;
		bool uses;
	} cases[] = {
		{"", false},
		{"text", false},
		{"{{.Name}}", false},
		{"{{.State}}", true},
		{"{{$.State}}", true},
		{"{{if .State}}{{end}}", true},
		{"{{if true}}{{else if .State}}{{end}}", true},
		{"{{range .EngineOptions.Labels}}{{$.State}}{{end}}", true},
		{"{{print (printf \"%s\" .State)}}", true},
		{"{{with .Name}}a{{else}}{{.State}}{{end}}", true},
		{"{{define \"a\"}}{{.State}}{{end}}{{template \"a\" .}}", true},
		{"{{.}}", true},
		{"{{json $}}", true},
		{"{{index . \"St\"}}", true},
		{"{{$x := .Name}}{{$x}}", false},
		{"{{range $i, $l := .EngineOptions.Labels}}{{$i}}{{$l}}{{end}}", false},
		{"{{\"State\"}}", false},
		{"{{/* .State */}}", false},
		{"{{(.Swarm).State}}", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_template_ struct template *t = NULL;
		struct err err = ERR_INIT;
		const char *text = cases[i].text;
		if (template_parse(text, strlen(text), 0, &t, &err) < 0)
			fail_msg("%s: %s", text, err_msg(&err));
		if (template_uses(t, "State") != cases[i].uses)
			fail_msg("%s", text);
	}
}

static char *repeat(const char *before, const char *s, size_t n, const char *after)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, before);
	while (n--)
		buf_adds(&b, s);
	buf_adds(&b, after);
	return buf_steal(&b);
}

/* The template meets that limit: its error has the words in it. */
static void expect_limit(char *take_text, const char *words)
{
	_cleanup_free_ char *text = take_text;
	_cleanup_json_ struct json *j = parse("{\"l\":[1,2,3,4,5,6,7,8,9,0],\"s\":\"0123456789\"}");
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_free_ char *error = run(text, 0, tmpl_json(j), &out);

	if (!strstr(error, words))
		fail_msg("want %s\n got %.200s", words, error);
}

static void test_limits(void **state)
{
	(void)state;
	expect_limit(repeat("", "x", TEMPLATE_MAX_BYTES + 1, ""), "longer than");
	expect_limit(repeat("{{print ", "1 ", TEMPLATE_MAX_NODES, "}}"), "more than 20000 parts");
	expect_limit(repeat("", "{{if 1}}", TEMPLATE_MAX_NESTING + 1, ""), "nested deeper");
	expect_limit(
		repeat("{{if 0}}", "{{else if 1}}", TEMPLATE_MAX_NESTING, ""), "nested deeper");
	expect_limit(repeat("{{", "(", TEMPLATE_MAX_NESTING + 1, "}}"), "nested deeper");
	expect_limit(
		repeat("{{define \"t\"}}{{template \"t\"}}{{end}}{{template \"t\"}}", "", 0, ""),
		"exceeded maximum template depth (48)");
	expect_limit(repeat("", "{{range $.l}}", 8,
			     "{{$.s}}{{end}}{{end}}{{end}}{{end}}{{end}}{{end}}"
			     "{{end}}{{end}}"),
		"takes more than 1000000 steps");
	expect_limit(
		repeat("", "{{range $.l}}", 3, "{{printf \"%10000d\" 1}}{{end}}{{end}}{{end}}"),
		"writes more than 8388608 bytes");
	expect_limit(repeat("", "{{range $.l}}", 3,
			     "{{$x := printf \"%65536d\" 1}}{{end}}{{end}}{{end}}"),
		"bytes of memory");
	expect_limit(
		repeat("{{$x := .s}}", "{{$x = print $x $x}}", 22, ""), "more than 8388608 bytes");
	expect_limit(repeat("{{$x := .s}}", "{{$x = printf \"%[1]v%[1]v%[1]v%[1]v\" $x}}", 12, ""),
		"more than 8388608 bytes");
	expect_limit(
		repeat("{{printf \"", "%1000000[1]d", 10, "\" 1}}"), "more than 8388608 bytes");
	expect_limit(repeat("{{pad .s 9000000 1}}", "", 0, ""), "more than 8388608 bytes");
	expect_limit(repeat("{{$x := printf \"%400000d\" 1}}", "{{$y := split $x \"\"}}", 3, ""),
		"too many parts");
}

/* At the limit all is well. */
static void test_within_limits(void **state)
{
	_cleanup_free_ char *ifs = repeat("", "{{if 1}}", TEMPLATE_MAX_NESTING - 1, "x");
	_cleanup_free_ char *ends = repeat(ifs, "{{end}}", TEMPLATE_MAX_NESTING - 1, "");
	_cleanup_free_ char *open = repeat("{{", "(", TEMPLATE_MAX_NESTING, "5");
	_cleanup_free_ char *closed = repeat(open, ")", TEMPLATE_MAX_NESTING, "}}");
	/* each call and each pipeline is a level */
	_cleanup_free_ char *calls = repeat("{{", "(print ", TEMPLATE_MAX_DEPTH / 2 - 1, "5");
	_cleanup_free_ char *called = repeat(calls, ")", TEMPLATE_MAX_DEPTH / 2 - 1, "}}");

	(void)state;
	expect(0, "{}", ends, "x");
	expect(0, "{}", closed, "5");
	expect(0, "{}", called, "5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_go),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_empty_row),
		cmocka_unit_test(test_uses),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_within_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
