#include "digest.h"

#include <sodium.h>
#include <string.h>

void digest_text(const char *text, char ret_hex[DIGEST_HEX + 1])
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, (const unsigned char *)text, strlen(text));
	sodium_bin2hex(ret_hex, DIGEST_HEX + 1, hash, sizeof(hash));
}
