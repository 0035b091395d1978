/* Parts of the driver amazonec2 that need no server: signatures, the files of ~/.aws, addresses. */
#include "credentials.h"
#include "sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char body[] = "Action=DescribeInstances&InstanceId.1=i-1&Version=2016-11-15";

/* Vectors that another implementation computed. */
static void test_signature(void **state)
{
	static const struct {
		const char *host, *token, *headers, *signature;
	} cases[] = {
		{"ec2.us-east-1.amazonaws.com", "", "content-type;host;x-amz-date",
			"f6ea278050160d2837488d705ffd62a7dfe42afa135e97bff0b0c1403aef4bc1"},
		{"127.0.0.1:8773", "TOKENEXAMPLE",
			"content-type;host;x-amz-date;x-amz-security-token",
			"b55285c60947104ec302ee72cc0903ceb3e7cdeeee39d2c1c34d52fd7db5fe9d"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char date[SIGV4_DATE_BYTES];
		struct sigv4 s = {.key = "AKIDEXAMPLE",
			.secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
			.token = cases[i].token,
			.region = "us-east-1",
			.service = "ec2",
			.host = cases[i].host,
			.path = "/",
			.content_type = "application/x-www-form-urlencoded; charset=utf-8",
			.body = body,
			.n_body = strlen(body),
			.now = 1767323045};
		_cleanup_free_ char *have = sigv4_sign(&s, date);
		_cleanup_free_ char *want =
			xasprintf("AWS4-HMAC-SHA256 "
				  "Credential=AKIDEXAMPLE/20260102/us-east-1/ec2/aws4_request, "
				  "SignedHeaders=%s, Signature=%s",
				cases[i].headers, cases[i].signature);

		assert_string_equal(date, "20260102T030405Z");
		assert_string_equal(have, want);
	}
}

static void test_ini(void **state)
{
	static const char text[] = "# a comment\n"
				   "aws_access_key_id = before any section\n"
				   "[default]\n"
				   "aws_access_key_id = AKID=1\r\n"
				   "; another\n"
				   "aws_secret_access_key=  se cret \n"
				   "  aws_session_token = a nested line\n"
				   "[ profile web ]\n"
				   "aws_access_key_id=first\n"
				   "aws_access_key_id=last\n"
				   "[broken\n"
				   "role_arn = r";
	static const struct {
		const char *section, *key, *value;
	} cases[] = {
		{"default", "aws_access_key_id", "AKID=1"},
		{"default", "aws_secret_access_key", "se cret"},
		{"default", "aws_session_token", NULL},
		{"default", "role_arn", NULL},
		{"profile web", "aws_access_key_id", "last"},
		{"profile web", "role_arn", "r"},
		{"web", "aws_access_key_id", NULL},
		{"", "aws_access_key_id", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *have = ini_get(text, cases[i].section, cases[i].key);

		if (cases[i].value)
			assert_string_equal(have ? have : "(none)", cases[i].value);
		else
			assert_null(have);
	}
	assert_true(ini_has(text, "default") && ini_has(text, "profile web"));
	assert_false(ini_has(text, "web") || ini_has(text, "broken") || ini_has(text, ""));
	assert_false(ini_has("", "default"));
}

static void test_container(void **state)
{
	static const char *const good[] = {"http://169.254.170.2/v2/credentials/id",
		"http://169.254.170.2", "http://169.254.170.23/v1/credentials",
		"http://169.254.170.23:80/v1/credentials", "http://[fd00:ec2::23]/v1/credentials",
		"http://[fd00:ec2::23]:8080/v1/credentials", "http://[fd00:ec2::23]",
		"http://[::1]:1/x", "http://127.0.0.1:1/x", "http://localhost/x",
		"https://example.org/x"};
	static const char *const bad[] = {"http://[fd00:ec2::23", "http://[fd00:ec2::23].example/x",
		"http://[fd00:ec2::23]@example.org/", "http://[fd00:ec2::23]:80@example.org/",
		"http://[fd00:ec2::2]/x", "http://[fd00:ec2::254]/x",
		"http://[fd00:ec2::23%25eth0]/x", "http://fd00:ec2::23/x", "http://169.254.170.2x/",
		"http://169.254.170.24/", "http://169.254.170.23:80x/",
		"http://169.254.170.2:1@192.0.2.1/", "http://169.254.170.2?x",
		"http://169.254.169.254/", "http://192.0.2.1/x", "ftp://169.254.170.2/",
		"169.254.170.2/x", ""};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (!container_is_trusted(good[i]))
			fail_msg("%s is not trusted", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (container_is_trusted(bad[i]))
			fail_msg("%s is trusted", bad[i]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signature),
		cmocka_unit_test(test_ini),
		cmocka_unit_test(test_container),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
