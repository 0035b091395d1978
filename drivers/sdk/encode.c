/* Forms that providers want keys and texts in. */
#include "machine-driver.h"

#include <mbedtls/md.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define BLOB_MAX 2048u
#define MD5_BYTES 16u

char *md_sshkey_md5(const char *pub)
{
	const char *text = strchr(pub, ' ');
	unsigned char blob[BLOB_MAX], digest[MD5_BYTES];
	char print[3 * MD5_BYTES + 1];
	size_t len;

	if (!text || sodium_base642bin(blob, sizeof(blob), text + 1, strcspn(text + 1, " \r\n"),
			     NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return NULL;
	if (mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_MD5), blob, len, digest) != 0)
		return NULL;
	for (size_t i = 0; i < MD5_BYTES; i++)
		snprintf(print + 3 * i, 4, "%02x:", digest[i]);
	print[3 * MD5_BYTES - 1] = '\0'; /* a colon */
	return xstrdup(print);
}

char *md_base64(const void *data, size_t len)
{
	size_t size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
	char *text = xmalloc(size);

	return sodium_bin2base64(text, size, data, len, sodium_base64_VARIANT_ORIGINAL);
}

int md_unbase64(const char *text, size_t len, char **ret, size_t *ret_len)
{
	_cleanup_secret_ char *data = xmalloc(len / 4 * 3 + 4);
	size_t n;

	if (sodium_base642bin((unsigned char *)data, len / 4 * 3 + 3, text, len, " \t\r\n", &n,
		    NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return -1;
	data[n] = '\0';
	*ret = take(data);
	*ret_len = n;
	return 0;
}
