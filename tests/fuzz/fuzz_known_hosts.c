/* Host keys: files of them, and single ones that are expected. */
#include "mem.h"
#include "ssh_hostkey.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read is a key, is known from then on, and can be told. */
static void check(const struct hostkeys *k)
{
	_cleanup_free_ char *algorithms = hostkeys_algorithms(k);
	_cleanup_err_ struct err err = ERR_INIT;

	if (!*algorithms != !hostkeys_usable(k))
		abort();
	for (size_t i = 0; i < k->n; i++) {
		const struct hostkey *key = &k->items[i];
		enum hostkey_verdict verdict = hostkeys_check(k, key->blob, key->len);

		if (!key->type || !key->names || key->len < 4 || verdict == HOSTKEY_UNKNOWN)
			abort();
		if (key->revoked && verdict != HOSTKEY_CHANGED)
			abort();
	}
	if (hostkeys_usable(k) && hostkeys_check(k, "another", 7) != HOSTKEY_CHANGED)
		abort();
	hostkeys_changed(k, "SHA256:x", "web1", "known_hosts", &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	_cleanup_hostkeys_ struct hostkeys file = {0}, expected = {0};
	_cleanup_strv_ struct strv prints = STRV_INIT;
	_cleanup_err_ struct err err = ERR_INIT;
	char *const one[] = {text, NULL};

	hostkeys_parse(text, &file);
	check(&file);
	if (hostkeys_expect(&expected, one, &prints, &err) == 0) {
		if (hostkeys_usable(&expected) + prints.n != 1)
			abort();
		expected.expected = true;
		check(&expected);
	}
	return 0;
}
