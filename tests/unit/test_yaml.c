/* YAML files as trees, and what is refused. */
#include "md-yaml.h"

#include "buf.h"
#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_tree(const char *yaml, const char *want)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_json_ struct json *j = NULL;
	_cleanup_free_ char *have = NULL;

	if (md_yaml_parse(yaml, strlen(yaml), &j, &err) < 0)
		fail_msg("%s: %s", yaml, err_msg(&err));
	have = json_to_string(j, JSON_COMPACT);
	assert_string_equal(have, want);
}

static void test_shapes(void **state)
{
	(void)state;
	assert_tree("", "null");
	assert_tree("# nothing\n", "null");
	assert_tree("a: 1\nb:\n  - x\n  - y: z\nc: {}\nd: []\n",
		"{\"a\":1,\"b\":[\"x\",{\"y\":\"z\"}],\"c\":{},\"d\":[]}");
	assert_tree("{\"a\": [1, \"b\", null, true]}", "{\"a\":[1,\"b\",null,true]}");
	assert_tree("a: 1\na: 2\n", "{\"a\":2}");
	assert_tree("--- 1\n--- 2\n", "1"); /* the first document */
	assert_tree("a: |\n  x\n  y\n", "{\"a\":\"x\\ny\\n\"}");
	assert_tree("ä: \"\\u00e9\"\n", "{\"ä\":\"é\"}");
}

static void test_scalars(void **state)
{
	(void)state;
	assert_tree("[null, ~, Null, 'null', \"\"]", "[null,null,null,\"null\",\"\"]");
	assert_tree("[true, False, 'true', yes]", "[true,false,\"true\",\"yes\"]");
	assert_tree(
		"[0, -1.50, 1e3, 123456789012345678901]", "[0,-1.50,1e3,123456789012345678901]");
	assert_tree("[0123, +1, 1., .5, 0x1f, 1_000, -, 1e]",
		"[\"0123\",\"+1\",\"1.\",\".5\",\"0x1f\",\"1_000\",\"-\",\"1e\"]");
}

static void test_aliases(void **state)
{
	(void)state;
	assert_tree("a: &x {k: 1}\nb: *x\n", "{\"a\":{\"k\":1},\"b\":{\"k\":1}}");
	assert_tree("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  l: 3\n",
		"{\"a\":{\"k\":1,\"l\":2},\"b\":{\"l\":3,\"k\":1}}");
	assert_tree("a: {<<: [{k: 1}, {k: 2, l: 2}]}", "{\"a\":{\"k\":1,\"l\":2}}");
	assert_tree("a: {'<<': {k: 1}}", "{\"a\":{\"<<\":{\"k\":1}}}");
}

static void test_texts(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_json_ struct json *j = NULL;
	static const char text[] = "[0123, 12, yes, 'off', false, x, {}]";

	(void)state;
	assert_int_equal(md_yaml_parse(text, strlen(text), &j, &err), 0);
	assert_string_equal(md_yaml_text(json_at(j, 0)), "0123");
	assert_string_equal(md_yaml_text(json_at(j, 1)), "12");
	assert_string_equal(md_yaml_text(json_at(j, 6)), "");
	assert_string_equal(md_yaml_text(NULL), "");
	assert_true(md_yaml_bool(json_at(j, 2), false));
	assert_false(md_yaml_bool(json_at(j, 3), true));
	assert_false(md_yaml_bool(json_at(j, 4), true));
	assert_true(md_yaml_bool(json_at(j, 5), true));
	assert_true(md_yaml_bool(NULL, true));
}

static void assert_refused_bytes(const char *text, size_t len, const char *why)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct json *j = NULL;

	assert_int_equal(md_yaml_parse(text, len, &j, &err), -1);
	assert_null(j);
	assert_int_equal(err.code, ERR_USER);
	if (!strstr(err_msg(&err), why))
		fail_msg("%.40s: %s", text, err_msg(&err));
}

static void assert_refused(const char *text, const char *why)
{
	assert_refused_bytes(text, strlen(text), why);
}

/* Each level ten times the one before. */
static char *bomb(void)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 10; i++) {
		buf_addf(&b, "a%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			buf_addf(&b, "*a%d,", i - 1);
		buf_adds(&b, "]\n");
	}
	return buf_steal(&b);
}

static char *repeated(const char *s, unsigned n)
{
	struct buf b = BUF_INIT;

	while (n--)
		buf_adds(&b, s);
	return buf_steal(&b);
}

/* One long text, again and again. */
static char *broad(void)
{
	_cleanup_free_ char *text = repeated("x", 500000), *uses = repeated("*a,", 100);

	return xasprintf("[&a %s,%s]", text, uses);
}

static void test_refused(void **state)
{
	_cleanup_free_ char *deep = repeated("[", 70), *deeper = repeated("[", 100000),
			    *down = repeated("- ", 5000), *large = repeated("- x\n", 300000),
			    *many = repeated("- x\n", 20001), *explosive = bomb(), *wide = broad();

	(void)state;
	assert_refused("a: [", "line ");
	assert_refused("a: b: c", "not YAML");
	assert_refused("a: *x", "not YAML");
	assert_refused("a: \t- x\n  b", "not YAML");
	assert_refused("? [a]\n: b\n", "no text");
	assert_refused("a: {<<: 1}", "merges");
	assert_refused("a: \"\\0\"", "zero");
	assert_refused("\"\\0\": a", "zero");
	assert_refused("a: \"\\ud800\"", "not YAML");
	assert_refused("a: \xff\xfe", "not YAML");
	assert_refused_bytes("a: b\0c", 6, "not YAML");
	assert_refused("&a [*a]", "too deep");
	assert_refused(deep, "YAML");
	assert_refused(deeper, "YAML");
	assert_refused(down, "too deep");
	assert_refused(large, "longer");
	assert_refused(many, "too many");
	assert_refused(explosive, "too many");
	assert_refused(wide, "too much text");
}

/* The content may be a secret. */
static void test_errors_are_quiet(void **state)
{
	static const char text[] = "a:\n  password: 'hunter2\n";
	_cleanup_err_ struct err err = ERR_INIT;
	struct json *j = NULL;

	(void)state;
	assert_int_equal(md_yaml_parse(text, strlen(text), &j, &err), -1);
	assert_null(strstr(err_msg(&err), "hunter2"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_errors_are_quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
