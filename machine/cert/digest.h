/* SHA-256 of a text, as hexadecimal digits. */
#pragma once

#define DIGEST_HEX 64u

void digest_text(const char *text, char ret_hex[DIGEST_HEX + 1]);
