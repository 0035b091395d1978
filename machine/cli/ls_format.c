/*
 * `ls` prints each machine by a template; "table" in front of it asks for a header and aligned
 * columns. The header is made by the same template, from a map of names.
 */
#include "ls.h"

#include "ls_item.h"
#include "mem.h"
#include "output.h"
#include "tabwriter.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_FORMAT                                                                      \
	"table {{.Name}}\t{{.Active}}\t{{.DriverName}}\t{{.State}}\t{{.URL}}\t{{.Swarm}}\t" \
	"{{.DockerVersion}}\t{{.Error}}"

struct ls_format {
	struct template *template;
	bool table;
};

/* Where in a format: in text, in an action, or, there, within quotes (then the quote itself) or a
 * comment ('*'). */
static char next_place(char place, const char *s)
{
	if (place == '\0')
		return s[0] == '{' && s[1] == '{' ? '{' : '\0';
	if (place == '*')
		return s[0] == '*' && s[1] == '/' ? '{' : '*';
	if (place == '{' && s[0] == '/' && s[1] == '*')
		return '*';
	if (place == '{')
		return s[0] == '}' && s[1] == '}' ? '\0' : strchr("\"`'", *s) ? *s : '{';
	return *s == place ? '{' : place;
}

/* "table" cut off, blanks trimmed, \t and \n as what they stand for, one newline at the end. */
static void prepare(const char *text, struct buf *out, bool *ret_table)
{
	char place = '\0';

	*ret_table = strncmp(text, "table", 5) == 0;
	text += *ret_table ? 5 : 0;
	text += strspn(text, " ");
	size_t n = strlen(text);
	while (n && text[n - 1] == ' ')
		n--;
	for (size_t i = 0; i < n; i++) {
		char c = text[i], next = text[i + 1];
		bool quoted = place == '"' || place == '\'';
		if (c != '\\' || (!quoted && next != 't' && next != 'n')) {
			place = next_place(place, text + i);
			buf_addc(out, c);
		} else if (quoted) { /* the template's own affair */
			buf_add(out, text + i, i + 1 < n ? 2 : 1);
			i++;
		} else {
			buf_addc(out, next == 't' ? '\t' : '\n');
			i++;
		}
	}
	buf_addc(out, '\n');
}

int ls_format_parse(const char *text, struct ls_format **ret, struct err *err)
{
	_cleanup_buf_ struct buf prepared = BUF_INIT;
	struct template *t;
	bool table;

	prepare(text && *text ? text : DEFAULT_FORMAT, &prepared, &table);
	if (template_parse(prepared.data, prepared.len, TEMPLATE_NUMBERS_MEET, &t, err) < 0)
		return -1;
	*ret = xcalloc(1, sizeof(**ret));
	**ret = (struct ls_format){t, table};
	return 0;
}

void ls_format_free(struct ls_format *f)
{
	if (!f)
		return;
	template_free(f->template);
	free(f);
}

enum ls_needs ls_format_needs(const struct ls_format *f)
{
	static const struct {
		const char *field;
		enum ls_needs needs;
	} fields[] = {
		{"DockerVersion", LS_NEEDS_VERSIONS},
		{"Error", LS_NEEDS_VERSIONS},
		{"ResponseTime", LS_NEEDS_VERSIONS},
		{"State", LS_NEEDS_STATES},
		{"URL", LS_NEEDS_STATES},
		{"Active", LS_NEEDS_STATES},
		{"ActiveHost", LS_NEEDS_STATES},
		{"ActiveSwarm", LS_NEEDS_STATES},
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (template_uses(f->template, fields[i].field))
			return fields[i].needs;
	return LS_NEEDS_RECORDS;
}

static char *version_text(const struct row *r)
{
	if (r->version)
		return xasprintf("v%s", r->version);
	return xstrdup(!r->rec || r->timed_out ? "" : "Unknown");
}

static char *swarm_text(const struct row *r)
{
	if (!r->swarm_master || r->timed_out)
		return xstrdup("");
	return streq(r->swarm_master, r->name) ? xasprintf("%s (master)", r->name)
					       : xstrdup(r->swarm_master);
}

static const char *error_text(const struct row *r)
{
	if (!r->rec)
		return err_msg(&r->load_error);
	return r->error && !r->timed_out ? r->error : "";
}

static const char *driver_text(const struct row *r)
{
	if (!r->rec)
		return "not found";
	return r->driver_missing ? "not-found" : record_driver_name(r->rec);
}

static const struct json *options(const struct row *r, const char *group)
{
	return r->rec && !r->timed_out ? json_path(r->rec->doc, "HostOptions", group, NULL) : NULL;
}

/* Texts are one line each, without what a terminal obeys: a row stays a row. */
static int print_row(
	const struct ls_format *f, const struct row *r, struct buf *out, struct err *err)
{
	_cleanup_free_ char *version = version_text(r), *swarm = swarm_text(r);
	_cleanup_free_ char *name = output_clean(r->name), *driver = output_clean(driver_text(r)),
			    *error = output_clean(error_text(r)),
			    *version_shown = output_clean(version),
			    *swarm_shown = output_clean(swarm), *url = NULL;
	const char *active = row_active_text(r);

	url = output_clean(row_url_known(r) && !r->timed_out ? r->report.url : "");
	struct ls_item item = {
		.name = name,
		.active = active,
		.active_host = streq(active, "*"),
		.active_swarm = streq(active, "* (swarm)"),
		.driver = driver,
		.state = row_state(r),
		.url = url,
		.swarm_options = options(r, "SwarmOptions"),
		.swarm = swarm_shown,
		.engine_options = options(r, "EngineOptions"),
		.error = error,
		.version = version_shown,
		.response_ns = (int64_t)r->response_ms * 1000000,
	};
	return template_execute(f->template, tmpl_object(&ls_item_type, &item), out, err);
}

static int print_header(const struct ls_format *f, struct buf *out, struct err *err)
{
	_cleanup_json_ struct json *headers = ls_item_headers();

	return template_execute(f->template, tmpl_typed(&tmpl_string_map, headers), out, err);
}

int ls_format_print(const struct ls_format *f, const struct rows *rows, struct err *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT, aligned = BUF_INIT;
	int rc = f->table ? print_header(f, &text, err) : 0;

	for (size_t i = 0; i < rows->n && rc == 0; i++)
		rc = print_row(f, &rows->items[i], &text, err);
	if (f->table)
		tabwriter_format(buf_str(&text), 5, 3, ' ', &aligned);
	const struct buf *shown = f->table ? &aligned : &text;
	fwrite(buf_str(shown), 1, shown->len, stdout);
	return rc;
}
