/* Names of machines as they are typed: w{01..50} stands for fifty of them, as in bash. */
#pragma once

#include "err.h"
#include "strv.h"

#include <stdbool.h>
#include <stdint.h>

#define NAMES_MAX 10000u /* that one command line may stand for */

/* Each {FIRST..LAST} or {FIRST..LAST..STEP} of numbers is replaced by all of them, filled with
 * zeros if one of the two begins with one; words without are taken as they are. */
int names_expand(const struct strv *words, struct strv *ret, struct err *err);
/* Does it stand for several names, or one of another text? */
bool names_is_range(const char *word);
/* The names that {n} in a text stands for: 1 to count. */
int names_count(const char *text, int64_t count, struct strv *ret, struct err *err);
