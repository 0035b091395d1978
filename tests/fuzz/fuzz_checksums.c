/* Checksum files of vendors: what is found is a sum, whatever was in the file. */
#include "checksums.h"
#include "mem.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = xmalloc(size + 1);
	_cleanup_err_ struct err err = ERR_INIT, spec_err = ERR_INIT;
	struct checksum sum = {0}, spec = {0};

	memcpy(text, data, size);
	text[size] = '\0';
	if (checksums_find(text, size, "x.img", &sum, &err) == 0) {
		if (sum.kind == SHA_NONE || sha_kind_of(strlen(sum.hex)) != sum.kind ||
			!sha_hex_valid(sum.hex, strlen(sum.hex)))
			abort();
	} else if (err.code != ERR_USER && err.code != ERR_NOT_FOUND) {
		abort();
	}
	if (checksum_parse(text, &spec, &spec_err) == 0 && spec.kind != SHA_NONE &&
		sha_kind_of(strlen(spec.hex)) != spec.kind)
		abort();
	return 0;
}
