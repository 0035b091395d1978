#include "frame.h"
#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void expect_body(struct frame_decoder *d, const char *want)
{
	_cleanup_err_ struct err err = ERR_INIT;
	const char *body = NULL;
	size_t len = 0;
	int r = frame_decoder_next(d, &body, &len, &err);

	if (r != 1)
		fail_msg("wanted a body: %d %s", r, err_msg(&err));
	assert_int_equal(len, strlen(want));
	assert_memory_equal(body, want, len);
}

static void expect_nothing(struct frame_decoder *d)
{
	_cleanup_err_ struct err err = ERR_INIT;
	const char *body;
	size_t len;

	assert_int_equal(frame_decoder_next(d, &body, &len, &err), 0);
}

static void expect_broken(const char *bytes, const char *why)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct frame_decoder d = FRAME_DECODER_INIT;
	const char *body;
	size_t len;

	frame_decoder_feed(&d, bytes, strlen(bytes));
	if (frame_decoder_next(&d, &body, &len, &err) != -1)
		fail_msg("accepted: %s", bytes);
	assert_int_equal(err.code, ERR_PROTOCOL);
	if (!strstr(err_msg(&err), why))
		fail_msg("%s: %s", bytes, err_msg(&err));
	frame_decoder_feed(&d, "Content-Length: 2\r\n\r\n{}", 23);
	assert_int_equal(frame_decoder_next(&d, &body, &len, &err), -1);
	frame_decoder_finish(&d);
}

static void test_encode(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_err_ struct err err = ERR_INIT;

	assert_int_equal(frame_encode(&out, "{}", 2, &err), 0);
	assert_string_equal(buf_str(&out), "Content-Length: 2\r\n\r\n{}");
	assert_int_equal(frame_encode(&out, "", 0, &err), -1);
	assert_int_equal(frame_encode(&out, "x", FRAME_MAX_BODY + 1, &err), -1);
	assert_int_equal(err.code, ERR_PROTOCOL);
	assert_int_equal(out.len, 23);
}

static void test_byte_by_byte(void **state)
{
	static const char text[] = "content-LENGTH:13\r\nContent-Type: x; y=\"\xc3\xa4\"\r\n\r\n"
				   "{\"a\": \"\r\n\r\n\"}Content-Length: \t2 \r\n\r\n{}";
	struct frame_decoder d = FRAME_DECODER_INIT;
	const char *first = strstr(text, "}C") + 1;

	assert_false(frame_decoder_mid_frame(&d));
	for (const char *p = text; *p; p++) {
		frame_decoder_feed(&d, p, 1);
		assert_true(frame_decoder_mid_frame(&d));
		if (p + 1 == first)
			expect_body(&d, "{\"a\": \"\r\n\r\n\"}");
		else if (p[1])
			expect_nothing(&d);
	}
	expect_body(&d, "{}");
	assert_false(frame_decoder_mid_frame(&d));
	frame_decoder_finish(&d);
}

static void test_several_at_once(void **state)
{
	struct frame_decoder d = FRAME_DECODER_INIT;
	static const char text[] =
		"Content-Length: 1\r\n\r\n1Content-Length: 1\r\n\r\n2Content-Length: 1\r\n\r\n";

	expect_nothing(&d);
	frame_decoder_feed(&d, text, sizeof(text) - 1);
	expect_body(&d, "1");
	expect_body(&d, "2");
	expect_nothing(&d);
	frame_decoder_feed(&d, "3", 1);
	expect_body(&d, "3");
	expect_nothing(&d);
	frame_decoder_finish(&d);
}

static void test_broken(void **state)
{
	char line[FRAME_MAX_HEADER + 64] = "X: ";

	expect_broken("hello\n", "control");
	expect_broken("Content-Length: 2\n\n{}", "control");
	expect_broken("Content-Length: 2\r\r\n{}", "CR");
	expect_broken("no colon\r\n", "Name");
	expect_broken(": 5\r\n", "Name");
	expect_broken("Content-Length : 2\r\n", "Name");
	expect_broken(" Content-Length: 2\r\n", "Name");
	expect_broken("\r\n{}", "no Content-Length");
	expect_broken("X: 1\r\n\r\n{}", "no Content-Length");
	expect_broken("Content-Length: 2\r\ncontent-length: 2\r\n", "twice");
	expect_broken("Content-Length:\r\n", "without");
	expect_broken("Content-Length: 0\r\n", "is 0");
	expect_broken("Content-Length: -1\r\n", "number");
	expect_broken("Content-Length: +1\r\n", "number");
	expect_broken("Content-Length: 0x10\r\n", "number");
	expect_broken("Content-Length: 1 1\r\n", "number");
	expect_broken("Content-Length: 8388609\r\n", "large");
	expect_broken("Content-Length: 18446744073709551617\r\n", "large");
	memset(line + 3, 'x', sizeof(line) - 4);
	expect_broken(line, "long");
}

static void test_header_of_the_largest_size(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct frame_decoder d = FRAME_DECODER_INIT;

	buf_adds(&b, "X: ");
	while (b.len < FRAME_MAX_HEADER - 2 - 21)
		buf_addc(&b, 'x');
	buf_adds(&b, "\r\nContent-Length: 2\r\n\r\n");
	assert_int_equal(b.len, FRAME_MAX_HEADER);
	buf_adds(&b, "{}");
	frame_decoder_feed(&d, b.data, b.len);
	expect_body(&d, "{}");
	frame_decoder_finish(&d);
}

static void test_large_body_and_memory(void **state)
{
	struct frame_decoder d = FRAME_DECODER_INIT;
	_cleanup_free_ char *chunk = xmalloc(1u << 16);
	_cleanup_err_ struct err err = ERR_INIT;
	char head[64];
	const char *body;
	size_t len, sent = 0;
	int n = snprintf(head, sizeof(head), "Content-Length: %u\r\n\r\n", FRAME_MAX_BODY);

	memset(chunk, 'x', 1u << 16);
	frame_decoder_feed(&d, head, (size_t)n);
	for (; sent < FRAME_MAX_BODY; sent += 1u << 16) {
		expect_nothing(&d);
		frame_decoder_feed(&d, chunk, 1u << 16);
	}
	assert_int_equal(frame_decoder_next(&d, &body, &len, &err), 1);
	assert_int_equal(len, FRAME_MAX_BODY);
	frame_decoder_feed(&d, "Content-Length: 2\r\n\r\n{}", 23);
	assert_true(d.in.cap < 1u << 20);
	expect_body(&d, "{}");
	frame_decoder_finish(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_several_at_once),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_header_of_the_largest_size),
		cmocka_unit_test(test_large_body_and_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
