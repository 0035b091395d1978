/* Checksum files and arguments. */
#include "checksums.h"

#include "buf.h"
#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define A256 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B256 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define A512 A256 A256
#define UPPER "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define MD5 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_files(void **state)
{
	static const struct {
		const char *text;
		enum err_code code; /* ERR_NONE: found, with the sum: */
		const char *hex;
	} cases[] = {
		{A256 "  x.img\n", ERR_NONE, A256},
		{A256 " *x.img\r\n", ERR_NONE, A256},
		{A256 "\tx.img", ERR_NONE, A256},
		{UPPER "  x.img\n", ERR_NONE, A256},
		{A256 "  ./dir/x.img\n", ERR_NONE, A256},
		{"SHA256 (x.img) = " A256 "\n", ERR_NONE, A256},
		{"SHA512 (dir/x.img) = " A512 "\n", ERR_NONE, A512},
		{"# of today\n\n" B256 "  y.img\n" A256 "  x.img\n", ERR_NONE, A256},
		{A256 "  x.img\n" A512 "  x.img\n", ERR_NONE, A512},
		{A512 "  x.img\n" B256 "  x.img\n", ERR_NONE, A512},
		{A256 "  x.img\n" A256 "  x.img\n", ERR_NONE, A256},
		{A256 "\n", ERR_NONE, A256},
		{"-----BEGIN PGP SIGNED MESSAGE-----\n" A256 "  x.img\n", ERR_NONE, A256},
		{A256 "  x.img\n" B256 "  x.img\n", ERR_USER, NULL},
		{A256 "  yx.img\n", ERR_NOT_FOUND, NULL},
		{A256 "  x.img.zsync\n", ERR_NOT_FOUND, NULL},
		{A256 "\n" B256 "\n", ERR_NOT_FOUND, NULL},
		{"SHA256 (x.img) = " A512 "\n", ERR_USER, NULL},
		{"SHA256 (x.img) " A256 "\n", ERR_USER, NULL},
		{"SHA256 (", ERR_USER, NULL},
		{MD5 "  x.img\n", ERR_USER, NULL},
		{A256 "a  x.img\n", ERR_USER, NULL},
		{A256 "x.img\n", ERR_USER, NULL},
		{A256 "  ", ERR_NONE, A256},
		{"", ERR_USER, NULL},
		{"<html>", ERR_USER, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		struct checksum sum = {0};
		const char *text = cases[i].text;
		int r = checksums_find(text, strlen(text), "x.img", &sum, &err);

		if ((r < 0) != (cases[i].code != ERR_NONE) || err.code != cases[i].code)
			fail_msg("%s: %d %s", text, r, r < 0 ? err_msg(&err) : sum.hex);
		if (r == 0)
			assert_string_equal(sum.hex, cases[i].hex);
	}
}

static void test_limits(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_err_ struct err err = ERR_INIT;
	struct checksum sum;

	assert_int_equal(checksums_find("a\0b", 3, "x", &sum, &err), -1);
	for (size_t i = 0; i <= CHECKSUMS_MAX_LINE; i++)
		buf_addc(&b, 'a');
	assert_int_equal(checksums_find(b.data, b.len, "x", &sum, &err), -1);
	assert_non_null(strstr(err_msg(&err), "too long"));
	buf_clear(&b);
	for (size_t i = 0; i <= CHECKSUMS_MAX_LINES; i++)
		buf_addc(&b, '\n');
	assert_int_equal(checksums_find(b.data, b.len, "x", &sum, &err), -1);
	assert_non_null(strstr(err_msg(&err), "too many"));
	while (b.len <= CHECKSUMS_MAX_BYTES)
		buf_addc(&b, ' ');
	assert_int_equal(checksums_find(b.data, b.len, "x", &sum, &err), -1);
}

static void test_arguments(void **state)
{
	static const struct {
		const char *spec;
		int r;
		enum sha_kind kind;
	} cases[] = {{"", 0, SHA_NONE}, {"none", 0, SHA_NONE}, {"sha256:" UPPER, 0, SHA_256},
		{"sha512:" A512, 0, SHA_512}, {"sha256:" A512, -1, 0}, {"sha512:" A256, -1, 0},
		{"sha256:", -1, 0}, {"sha256", -1, 0}, {"sha2", -1, 0}, {A256, -1, 0},
		{"md5:" MD5, -1, 0}, {"sha256:" A256 "x", -1, 0}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		struct checksum sum;

		if (checksum_parse(cases[i].spec, &sum, &err) != cases[i].r)
			fail_msg("%s", cases[i].spec);
		if (cases[i].r == 0)
			assert_int_equal(sum.kind, cases[i].kind);
	}
}

static void test_sha(void **state)
{
	char hex[SHA_HEX_MAX + 1];

	sha_text(SHA_256, "abc", hex);
	assert_string_equal(
		hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha_text(SHA_512, "abc", hex);
	assert_string_equal(hex,
		"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_files),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_sha)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
