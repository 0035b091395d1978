/* Versions of the engine, ordered as Docker Machine orders them. */
#pragma once

/*
 * As strcmp. Whatever is a community edition ("-ce") is newer than what is none; the number of a
 * release candidate ("-rc2") is one more number at the end; what follows a dash otherwise does not
 * count; missing numbers and what is no number are 0.
 */
int engine_version_compare(const char *a, const char *b);
