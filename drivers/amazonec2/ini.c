/* The files of ~/.aws: sections, "key = value", comments. */
#include "credentials.h"

#include <ctype.h>
#include <string.h>

/* [begin, end) without blanks around it. */
static char *trimmed(const char *begin, const char *end)
{
	while (begin < end && isspace((unsigned char)*begin))
		begin++;
	while (end > begin && isspace((unsigned char)end[-1]))
		end--;
	return xstrndup(begin, (size_t)(end - begin));
}

static bool equals(const char *begin, const char *end, const char *want)
{
	_cleanup_free_ char *have = trimmed(begin, end);

	return streq(have, want);
}

static bool is_head(const char *line, const char *end, const char *section)
{
	const char *close = memchr(line, ']', (size_t)(end - line));

	return *line == '[' && close && equals(line + 1, close, section);
}

bool ini_has(const char *text, const char *section)
{
	for (const char *line = text; *line;) {
		const char *end = line + strcspn(line, "\n");

		if (is_head(line, end, section))
			return true;
		line = end + (*end != '\0');
	}
	return false;
}

char *ini_get(const char *text, const char *section, const char *key)
{
	bool inside = false;
	char *value = NULL;

	for (const char *line = text; *line;) {
		const char *end = line + strcspn(line, "\n");
		const char *eq = memchr(line, '=', (size_t)(end - line));

		if (*line == '[' && memchr(line, ']', (size_t)(end - line)))
			inside = is_head(line, end, section);
		/* a line that begins with a blank belongs to the one before */
		else if (inside && eq && !strchr("#; \t", *line) && equals(line, eq, key)) {
			free(value);
			value = trimmed(eq + 1, end);
		}
		line = end + (*end != '\0');
	}
	return value;
}
