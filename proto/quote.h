/* Go's %q: a string in double quotes, what cannot be printed escaped. Several texts that programs
 * match are written so. */
#pragma once

char *go_quote(const char *s); /* malloc'ed */
