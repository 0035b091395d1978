#include "buf.h"
#include "json.h"
#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <string.h>

static struct json *parse(const char *text)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct json *j = NULL;

	if (json_parse(text, strlen(text), &j, &err) < 0)
		fail_msg("%s: %s", text, err_msg(&err));
	return j;
}

static void check_refusedn(const char *text, size_t n, const char *why)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct json *j = NULL;

	if (json_parse(text, n, &j, &err) == 0)
		fail_msg("accepted: %.40s", text);
	assert_null(j);
	assert_int_equal(err.code, ERR_PROTOCOL);
	if (!strstr(err_msg(&err), why))
		fail_msg("%.40s: %s", text, err_msg(&err));
}

static void check_refused(const char *text, const char *why)
{
	check_refusedn(text, strlen(text), why);
}

static void check_written(const char *text, unsigned style, const char *want)
{
	_cleanup_json_ struct json *j = parse(text);
	_cleanup_free_ char *out = json_to_string(j, style);

	assert_string_equal(out, want);
}

static void test_keeps_what_was_written(void **state)
{
	static const char *const texts[] = {"null", "true", "false", "0", "-0", "1.50", "1E+3",
		"123456789012345678901234567890", "\"\"", "\"\xc3\xa4\xf0\x9f\x90\xb3\"", "[]",
		"{}", "[1,[2,{}],null]", "{\"z\":1,\"a\":{\"b\":[]},\"\":2}"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		check_written(texts[i], JSON_COMPACT, texts[i]);
	check_written(" [ 1 ,\t2\r\n] ", JSON_COMPACT, "[1,2]");
}

static void test_escapes(void **state)
{
	_cleanup_json_ struct json *j = parse("\"\\u00e4\\ud83d\\udc33\\/\\b\\u001f\"");

	assert_string_equal(json_str(j, ""), "\xc3\xa4\xf0\x9f\x90\xb3/\b\x1f");
	check_written("\"\\/\\b\\f\\n\\r\\t\\\"\\\\\\u001f<>&\"", JSON_COMPACT,
		"\"/\\u0008\\u000c\\n\\r\\t\\\"\\\\\\u001f<>&\"");
	check_written("\"<>&\\u2028\\u2029\\u2027\"", JSON_HTMLSAFE,
		"\"\\u003c\\u003e\\u0026\\u2028\\u2029\xe2\x80\xa7\"");
	check_written("{\"<\":1}", JSON_HTMLSAFE, "{\"\\u003c\":1}");
}

static void test_refused(void **state)
{
	static const char *const texts[] = {"", " ", "{", "[1", "[1,]", "{\"a\"}", "{\"a\":1,}",
		"{1:2}", "01", "+1", "1.", ".5", "1e", "-", "NaN", "Infinity", "nul", "'a'", "\"a",
		"\"\n\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "1 2", "{} x", "[]]", "// c\n1",
		"\xef\xbb\xbf{}", "\\"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		check_refused(texts[i], "JSON");
	check_refused("{\"a\":[1,", "at byte 8");
	check_refused("[1,}", "at byte 4");
	check_refusedn("1\0", 2, "JSON");
	check_refusedn("\"a\0b\"", 5, "JSON");
}

static void test_encoding(void **state)
{
	static const char *const bad[] = {"\x80", "\xc3", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80", "\xe2\x82", "\xff"};
	static const char *const lone[] = {"\\ud800", "\\udc00", "\\ud800x", "\\ud800\\n",
		"\\ud800\\u0041", "\\ud800\\ud800", "\\uDFFF"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_free_ char *text = xasprintf("[\"%s\"]", bad[i]);

		check_refused(text, "UTF-8");
	}
	for (size_t i = 0; i < ARRAY_SIZE(lone); i++) {
		_cleanup_free_ char *text = xasprintf("{\"%s\":1}", lone[i]);

		check_refused(text, "escape");
	}
	check_refused("\"\\u0000\"", "U+0000");
	check_refused("{\"\\u0000\":1}", "U+0000");
	check_refused("[\"secret\\u0000\"]", "byte");
}

static char *nested(unsigned depth, char open, char close)
{
	struct buf b = BUF_INIT;

	for (unsigned i = 0; i < depth; i++)
		buf_adds(&b, open == '{' && i > 0 ? "\"k\":{" : open == '{' ? "{" : "[");
	for (unsigned i = 0; i < depth; i++)
		buf_addc(&b, close);
	return buf_steal(&b);
}

static void test_depth(void **state)
{
	_cleanup_free_ char *deepest = nested(JSON_MAX_DEPTH, '[', ']');
	_cleanup_free_ char *deepest_map = nested(JSON_MAX_DEPTH, '{', '}');
	_cleanup_free_ char *deeper = nested(JSON_MAX_DEPTH + 1, '[', ']');
	_cleanup_free_ char *deeper_map = nested(JSON_MAX_DEPTH + 1, '{', '}');
	_cleanup_free_ char *bomb = nested(1000000, '[', ']');

	check_written(deepest, JSON_COMPACT, deepest);
	check_written(deepest_map, JSON_COMPACT, deepest_map);
	check_refused(deeper, "deep");
	check_refused(deeper_map, "deep");
	check_refused(bomb, "deep");
}

static void test_size(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct json *j;

	buf_addc(&b, '[');
	for (unsigned i = 0; i < JSON_MAX_NODES - 1; i++)
		buf_adds(&b, i ? ",1" : "1");
	buf_addc(&b, ']');
	j = parse(b.data);
	assert_int_equal(j->n, JSON_MAX_NODES - 1);
	json_free(j);
	b.len--;
	buf_adds(&b, ",1]");
	check_refusedn(b.data, b.len, "many");
	memset(buf_reserve(&b, JSON_MAX_BYTES), ' ', JSON_MAX_BYTES);
	check_refusedn(b.data, JSON_MAX_BYTES + 1, "bytes");
}

static void test_a_key_twice(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_json_ struct json *j = NULL;

	check_written("{\"a\":1,\"b\":2,\"a\":3,\"c\":4,\"a\":{},\"b\":5}", JSON_COMPACT,
		"{\"a\":{},\"b\":5,\"c\":4}");
	buf_adds(&b, "{\"x\":{\"y\":[1,2]}");
	for (int i = 0; i < 100000; i++)
		buf_addf(&b, ",\"k%d\":%d", i % 50000, i);
	buf_adds(&b, ",\"x\":0}");
	j = parse(b.data);
	assert_int_equal(j->n, 50001);
	assert_string_equal(j->members[0].key, "x");
	assert_int_equal(json_int_or(j->members[0].value, -1), 0);
	assert_string_equal(j->members[1].key, "k0");
	assert_int_equal(json_int_or(j->members[1].value, -1), 50000);
	assert_int_equal(json_int_or(json_get(j, "k49999"), -1), 99999);
}

static void check_int(const char *text, bool ok, int64_t want)
{
	_cleanup_json_ struct json *j = json_number(text);
	int64_t got = 0;

	if (json_to_int(j, &got) != ok || (ok && got != want))
		fail_msg("%s: %lld", text, (long long)got);
}

static void test_integers(void **state)
{
	_cleanup_json_ struct json *s = json_string("1");
	int64_t v;

	check_int("0", true, 0);
	check_int("-0.000", true, 0);
	check_int("5.0", true, 5);
	check_int("1e3", true, 1000);
	check_int("-1.25E+2", true, -125);
	check_int("1200e-2", true, 12);
	check_int("100000000000000000000e-19", true, 10);
	check_int("0e999999999999999999999", true, 0);
	check_int("9223372036854775807", true, INT64_MAX);
	check_int("-9223372036854775808", true, INT64_MIN);
	check_int("922337203685477580.7e1", true, INT64_MAX);
	check_int("9007199254740993", true, 9007199254740993);
	check_int("9223372036854775808", false, 0);
	check_int("-9223372036854775809", false, 0);
	check_int("1.5", false, 0);
	check_int("1e-1", false, 0);
	check_int("1e19", false, 0);
	check_int("1e99999999999999999999", false, 0);
	check_int("1e-99999999999999999999", false, 0);
	assert_false(json_to_int(s, &v));
	assert_false(json_to_int(NULL, &v));
	assert_int_equal(json_int_or(s, 7), 7);
}

static void test_objects(void **state)
{
	_cleanup_json_ struct json *j = json_object();
	_cleanup_free_ char *out = NULL;

	json_set(j, "a", json_int(INT64_MIN));
	json_set_str(j, "b", NULL);
	json_set(j, "c", json_bool(true));
	json_set(j, "a", json_stringn("xyz", 2));
	json_set(j, "d", NULL);
	json_unset(j, "b");
	json_unset(j, "b");
	assert_true(json_bool_or(json_get(j, "c"), false));
	out = json_to_string(j, JSON_COMPACT);
	assert_string_equal(out, "{\"a\":\"xy\",\"c\":true,\"d\":null}");
	assert_null(json_get(NULL, "a"));
	assert_null(json_at(j, 0));
	json_foreach (m, json_get(j, "a"))
		fail_msg("%s", m->key);
	json_foreach (m, (struct json *)NULL)
		fail_msg("%s", m->key);
}

static void test_fold_and_path(void **state)
{
	_cleanup_json_ struct json *j = parse(
		"{\"ipaddress\":1,\"IPADDRESS\":2,\"Driver\":{\"sshUser\":\"u\"},\"\xc3\x84\":3}");

	assert_int_equal(json_int_or(json_get_fold(j, "IPADDRESS"), 0), 2);
	assert_int_equal(json_int_or(json_get_fold(j, "IPAddress"), 0), 1);
	assert_null(json_get(j, "IPAddress"));
	assert_null(json_get_fold(j, "\xc3\xa4"));
	assert_string_equal(json_str(json_path(j, "driver", "SSHUser", NULL), ""), "u");
	assert_null(json_path(j, "driver", "x", "y", NULL));
	assert_null(json_path(NULL, "a", NULL));
	assert_ptr_equal(json_path(j, NULL), j);
}

static void test_indented(void **state)
{
	check_written("{\"b\":[1,{\"x\":[],\"w\":{}}],\"a\":\"&\"}", JSON_STORE | JSON_SORTED,
		"{\n    \"a\": \"\\u0026\",\n    \"b\": [\n        1,\n        {\n"
		"            \"w\": {},\n            \"x\": []\n        }\n    ]\n}");
}

static void test_copy_and_equal(void **state)
{
	_cleanup_json_ struct json *a = parse("{\"a\":[1,\"x\",null,true],\"b\":{\"c\":1.0}}");
	_cleanup_json_ struct json *b = parse("{\"b\":{\"c\":1.0},\"a\":[1,\"x\",null,true]}");
	_cleanup_json_ struct json *c = json_copy(a);
	_cleanup_json_ struct json *d = parse("{\"b\":{\"c\":1},\"a\":[1,\"x\",null,true]}");

	assert_true(json_equal(a, b));
	assert_true(json_equal(a, c));
	assert_false(json_equal(a, d));
	assert_false(json_equal(a, NULL));
	assert_true(json_equal(NULL, NULL));
	assert_null(json_copy(NULL));
	json_set(json_get(c, "b"), "e", json_null());
	assert_false(json_equal(a, c));
}

static void test_bytes_that_are_no_text(void **state)
{
	_cleanup_json_ struct json *j = json_string("a\xff"
						    "b\xc3\xa4\xe2\x82");
	_cleanup_free_ char *out = json_to_string(j, JSON_COMPACT);
	_cleanup_json_ struct json *again = parse(out);

	assert_string_equal(out, "\"a\\ufffdb\xc3\xa4\\ufffd\\ufffd\"");
	assert_true(json_is(again, JSON_STRING));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeps_what_was_written),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_encoding),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_a_key_twice),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_fold_and_path),
		cmocka_unit_test(test_indented),
		cmocka_unit_test(test_copy_and_equal),
		cmocka_unit_test(test_bytes_that_are_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
