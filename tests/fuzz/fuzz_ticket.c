/* Tickets: the input as one, and the input as the content of one that is sealed as it should be. */
#include "engine_ticket.h"
#include "mem.h"

#include <sodium.h>
#include <stdint.h>
#include <string.h>

#define BEFORE (8 + crypto_secretbox_NONCEBYTES)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool opens(const unsigned char key[TICKET_KEY_SIZE], char *data, size_t len, time_t now)
{
	struct engine_ticket t = {.data = data, .len = len};
	mbedtls_ssl_session session;
	mbedtls_x509_crt peer;

	mbedtls_ssl_session_init(&session);
	mbedtls_x509_crt_init(&peer);
	bool good = ticket_open(key, &t, now, &session, &peer);
	mbedtls_ssl_session_free(&session);
	mbedtls_x509_crt_free(&peer);
	return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ticket_part parts[] = {{"fuzz", 4}};
	unsigned char key[TICKET_KEY_SIZE];
	size_t len = BEFORE + crypto_secretbox_MACBYTES + size;
	unsigned char *sealed = xcalloc(1, len);
	_cleanup_free_ char *raw = xmalloc(size + 1);
	uint64_t made = 0;

	memcpy(raw, data, size);
	if (!ticket_key(parts, 1, key) || opens(key, raw, size, 0))
		abort();
	for (size_t i = 0; i < size && i < 8; i++)
		made = made << 8 | data[i];
	memcpy(sealed, "machine1", 8);
	crypto_secretbox_easy(sealed + BEFORE, data, size, sealed + 8, key);
	opens(key, (char *)sealed, len, (time_t)made);
	if (opens(key, (char *)sealed, len, (time_t)(made - 1)))
		abort();
	free(sealed);
	return 0;
}
