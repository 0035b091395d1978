/* XML answers as trees, and what is refused. */
#include "md-xml.h"

#include "buf.h"
#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct json *parse(const char *text, char **root)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct json *j = NULL;

	if (md_xml_parse(text, strlen(text), &j, root, &err) < 0)
		fail_msg("%s: %s", text, err_msg(&err));
	return j;
}

static void assert_tree(const char *xml, const char *want)
{
	_cleanup_json_ struct json *j = parse(xml, NULL);
	_cleanup_free_ char *have = json_to_string(j, JSON_COMPACT);

	assert_string_equal(have, want);
}

static void test_shapes(void **state)
{
	(void)state;
	assert_tree("<r/>", "\"\"");
	assert_tree("<r> a &lt; b &#233; <![CDATA[<c>]]></r>", "\" a < b é <c>\"");
	assert_tree(
		"<r xmlns='http://x/'><a>1</a><b><c/></b></r>", "{\"a\":\"1\",\"b\":{\"c\":\"\"}}");
	assert_tree("<e:r xmlns:e='urn:e'><e:a e:k='v'>1</e:a></e:r>", "{\"a\":\"1\"}");
	assert_tree("<r><set><item><id>i-1</id></item></set><none/></r>",
		"{\"set\":[{\"id\":\"i-1\"}],\"none\":\"\"}");
	assert_tree("<r><set><item>a</item>\n <item>b</item></set></r>", "{\"set\":[\"a\",\"b\"]}");
	assert_tree("<r><m><member>a</member></m></r>", "{\"m\":[\"a\"]}");
	assert_tree(
		"<r><a>1</a><b/><a>2</a><a>3</a></r>", "{\"a\":[\"1\",\"2\",\"3\"],\"b\":\"\"}");
	assert_tree("<r><!-- c --><a>x<!-- c -->y</a><?pi?></r>", "{\"a\":\"xy\"}");
}

static void test_ways(void **state)
{
	_cleanup_free_ char *root = NULL;
	_cleanup_json_ struct json *j = parse(
		"<Response><Errors><Error><Code>Gone</Code></Error></Errors></Response>", &root);

	(void)state;
	assert_string_equal(root, "Response");
	assert_string_equal(md_xml_text(j, "Errors/Error/Code"), "Gone");
	assert_string_equal(md_xml_text(j, "Errors/Error/Message"), "");
	assert_string_equal(md_xml_text(j, "Errors"), "");
	assert_null(md_xml_get(j, "Errors/Error/Code/More"));
	assert_null(md_xml_get(NULL, "Errors"));
}

static char *nested(unsigned depth)
{
	struct buf b = BUF_INIT;

	for (unsigned i = 0; i < depth; i++)
		buf_adds(&b, "<a>");
	for (unsigned i = 0; i < depth; i++)
		buf_adds(&b, "</a>");
	return buf_steal(&b);
}

static void assert_refused(const char *text, const char *why)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct json *j = NULL;

	assert_int_equal(md_xml_parse(text, strlen(text), &j, NULL, &err), -1);
	assert_null(j);
	assert_int_equal(err.code, ERR_PROTOCOL);
	if (!strstr(err_msg(&err), why))
		fail_msg("%s: %s", text, err_msg(&err));
}

static void test_refused(void **state)
{
	_cleanup_free_ char *deep = nested(JSON_MAX_DEPTH + 2), *deeper = nested(100000);

	(void)state;
	assert_refused("", "not XML");
	assert_refused("{\"a\":1}", "not XML");
	assert_refused("<r><a></r>", "not XML");
	assert_refused("<r>", "not XML");
	assert_refused(deep, "too deep");
	assert_refused(deeper, "XML");
	assert_refused("<!DOCTYPE r [<!ENTITY a 'b'>]><r>&a;</r>", "document type");
	assert_refused("<!DOCTYPE r SYSTEM 'file:///etc/passwd'><r/>", "document type");
	assert_refused("<!DOCTYPE r [<!ENTITY a SYSTEM 'file:///etc/hostname'>]><r><b>&a;</b></r>",
		"document type");
	assert_refused("<!DOCTYPE r [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>"
		       "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]><r>&c;</r>",
		"XML"); /* libxml2 gives up first */
	assert_refused("<r>&unknown;</r>", "XML");
}

/* Elements of so many names; the last one stands there twice. */
static char *names(unsigned n)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "<r>");
	for (unsigned i = 0; i < n; i++)
		buf_addf(&b, "<a%u/>", i);
	buf_addf(&b, "<a%u/></r>", n - 1);
	return buf_steal(&b);
}

static void test_many_names(void **state)
{
	_cleanup_free_ char *most = names(1024), *more = names(1025);
	_cleanup_json_ struct json *j = parse(most, NULL);

	(void)state;
	assert_int_equal(j->n, 1024);
	assert_refused(more, "too many different elements");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_many_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
