/* Aligns tab-separated cells, as Go's text/tabwriter does. */
#pragma once

#include "buf.h"

#include <stddef.h>

/* Widths are counted in characters (UTF-8). pad is ' ', or '\t' with 8-column tabs. */
void tabwriter_format(
	const char *text, size_t min_width, size_t padding, char pad, struct buf *out);
