/* The head of a provider's answer, line by line: what is kept is within limits, and what is read
 * out of it makes sense. */
#include "http_curl.h"
#include "sdk.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_kept(const struct md_http_answer *a)
{
	if (a->headers.n % 2 || a->headers.n > 2 * (size_t)MD_HTTP_HEADERS_MAX)
		abort();
	for (size_t i = 0; i < a->headers.n; i++) {
		if (strlen(a->headers.items[i]) > MD_HTTP_HEADER_MAX)
			abort();
		for (const char *p = a->headers.items[i]; i % 2 == 0 && *p; p++)
			if (*p == ':' || isupper((unsigned char)*p))
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_http_answer_ struct md_http_answer a = {0};
	_cleanup_err_ struct err err = ERR_INIT;
	int64_t after;

	if (http_curl_load(&err) < 0)
		abort();
	for (size_t at = 0; at < size;) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t len = end ? (size_t)(end - data) + 1 - at : size - at;

		sdk_http_header(&a, (const char *)data + at, len);
		at += len;
	}
	check_kept(&a);
	after = md_http_retry_after_ms(&a);
	if (after < -1 || after > MD_HTTP_RETRY_AFTER_MAX_MS)
		abort();
	(void)md_http_date(&a);
	return 0;
}
