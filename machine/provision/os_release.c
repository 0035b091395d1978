#include "os_release.h"

#include "buf.h"
#include "mem.h"

#include <ctype.h>
#include <string.h>

/* The names that count, and where they go. ID_LIKE is split afterwards. */
enum { ID, ID_LIKE, VERSION_ID, VERSION_CODENAME, VARIANT_ID, PRETTY_NAME, N_NAMES };
static const char *const names[N_NAMES] = {
	"ID", "ID_LIKE", "VERSION_ID", "VERSION_CODENAME", "VARIANT_ID", "PRETTY_NAME"};

/* Reads one shell word up to end; false when a quote is not closed or something follows. */
static bool read_value(const char *p, const char *end, struct buf *ret)
{
	char quote = 0;

	for (; p < end; p++) {
		if (quote == '\'' ? *p == '\'' : quote == '"' && *p == '"') {
			quote = 0;
		} else if (!quote && (*p == '"' || *p == '\'')) {
			quote = *p;
		} else if (!quote && isspace((unsigned char)*p)) {
			break;
		} else if (*p == '\\' && quote != '\'') {
			if (p + 1 == end)
				return false;
			if (quote && !strchr("\\\"$`", p[1]))
				buf_addc(ret, '\\'); /* as the shell: kept */
			buf_addc(ret, *++p);
		} else {
			buf_addc(ret, *p);
		}
	}
	while (p < end && isspace((unsigned char)*p))
		p++;
	return !quote && (p == end || *p == '#');
}

static int find_name(const char *p, size_t len)
{
	for (int i = 0; i < N_NAMES; i++)
		if (strlen(names[i]) == len && memcmp(p, names[i], len) == 0)
			return i;
	return -1;
}

static void parse_line(const char *p, const char *end, char *values[N_NAMES])
{
	_cleanup_buf_ struct buf value = BUF_INIT;

	while (p < end && isspace((unsigned char)*p))
		p++;
	const char *eq = memchr(p, '=', (size_t)(end - p));
	int i = eq ? find_name(p, (size_t)(eq - p)) : -1;
	if (i < 0 || memchr(eq, 0, (size_t)(end - eq)) || !read_value(eq + 1, end, &value))
		return;
	free(values[i]); /* as when a shell reads it, the last one counts */
	values[i] = buf_steal(&value);
}

void os_release_parse(const char *text, size_t len, struct os_release *ret)
{
	char *values[N_NAMES] = {NULL};
	const char *end = text + MIN(len, (size_t)OS_RELEASE_MAX);

	for (const char *p = text; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		parse_line(p, nl ? nl : end, values);
		p = nl ? nl + 1 : end;
	}
	for (int i = 0; i < N_NAMES; i++)
		if (!values[i])
			values[i] = xstrdup("");
	*ret = (struct os_release){
		.id = values[ID],
		.version_id = values[VERSION_ID],
		.version_codename = values[VERSION_CODENAME],
		.variant_id = values[VARIANT_ID],
		.pretty_name = values[PRETTY_NAME],
	};
	strv_split(&ret->id_like, values[ID_LIKE], ' ');
	free(values[ID_LIKE]);
}

void os_release_finish(struct os_release *o)
{
	free(o->id);
	free(o->version_id);
	free(o->version_codename);
	free(o->variant_id);
	free(o->pretty_name);
	strv_finish(&o->id_like);
	*o = (struct os_release){0};
}
