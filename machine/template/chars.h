/* Characters as Go sees them: runes, and quoted texts. */
#pragma once

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RUNE_ERROR 0xfffdu
#define RUNE_MAX 0x10ffffu

/* The rune at s (n > 0) and how many bytes it takes; a byte that is none: RUNE_ERROR and 1. */
uint32_t char_decode(const char *s, size_t n, size_t *ret_len);
void char_encode(uint32_t rune, struct buf *out); /* what is no rune: as RUNE_ERROR */
size_t char_count(const char *s, size_t n);
/* The bytes that the first `runes` runes take. */
size_t char_prefix(const char *s, size_t n, size_t runes);

/* Length of the letter, digit or underscore at s, else 0. Beyond ASCII all counts as a letter. */
size_t char_is_word(const char *s, size_t n);
/* As unicode.IsPrint for what is assigned today. */
bool char_printable(uint32_t rune);

/* "U+0023 '#'", of the rune at s; n = 0: of the end. malloc'ed */
char *char_describe(const char *s, size_t n);
/* strconv.Quote, or its QuoteToASCII. */
enum quote_style { QUOTE_UTF8, QUOTE_ASCII };
void char_add_quoted(const char *s, size_t n, char quote, enum quote_style style, struct buf *out);
void char_add_quoted_rune(uint32_t rune, enum quote_style style, struct buf *out); /* 'x' */
char *char_quote(const char *s, size_t n, char quote);                             /* malloc'ed */
