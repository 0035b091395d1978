/* machine image ls */
#include "image_cli.h"

#include "buf.h"
#include "image.h"
#include "log.h"
#include "output.h"
#include "tabwriter.h"

#include <stdio.h>
#include <string.h>

static char *size_text(int64_t bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double n = (double)bytes;
	size_t i = 0;

	for (; n >= 999.5 && i + 1 < ARRAY_SIZE(units); i++)
		n /= 1000;
	return xasprintf(n < 9.95 && i ? "%.1f %s" : "%.0f %s", n, units[i]);
}

static char *name_of(const struct image_entry *e)
{
	return xstrndup(e->id, strlen(e->id) - IMAGE_HASH_DIGITS - 1);
}

static void add_row(struct buf *b, const struct image_entry *e, const struct strv *users)
{
	_cleanup_free_ char *name = name_of(e), *used = strv_join(users, ", ");
	_cleanup_free_ char *parts = image_parts_text(image_meta_parts(&e->meta));
	_cleanup_free_ char *size = size_text(image_meta_size(&e->meta));
	_cleanup_free_ char *shown = output_clean(used);
	bool good = e->err.code == ERR_NONE;

	buf_addf(b, "%s\t%s\t%s\t%s\t%s\t%s\n", name, e->id, good ? size : "-",
		good ? e->meta.created : "-", good ? parts : "unusable", users->n ? shown : "-");
}

static struct json *list_of(const struct strv *v)
{
	struct json *list = json_array();

	for (size_t i = 0; i < v->n; i++)
		json_add(list, json_string(v->items[i]));
	return list;
}

static struct json *to_json(const struct image_entry *e, const struct strv *users)
{
	_cleanup_free_ char *name = name_of(e);
	_cleanup_free_ char *text = image_parts_text(image_meta_parts(&e->meta));
	_cleanup_strv_ struct strv parts = STRV_INIT;
	struct json *j = json_object();

	json_set_str(j, "name", name);
	json_set_str(j, "id", e->id);
	json_set_str(j, "path", e->dir);
	json_set(j, "usedBy", list_of(users));
	if (e->err.code) {
		json_set_str(j, "error", err_msg(&e->err));
		return j;
	}
	strv_split(&parts, text, ',');
	json_set(j, "size", json_int(image_meta_size(&e->meta)));
	json_set_str(j, "created", e->meta.created);
	json_set(j, "parts", list_of(&parts));
	json_set_str(j, "architecture", e->meta.architecture);
	json_set_str(j, "os", e->meta.os);
	json_set_str(j, "engine", e->meta.engine);
	if (e->meta.source)
		json_set(j, "source", json_copy(e->meta.source));
	return j;
}

static int each(const struct image_cli *c, const struct image_list *l, struct buf *rows,
	struct json *all, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		_cleanup_strv_ struct strv users = STRV_INIT;

		if (image_users(c->store_path, l->items[i].id, &users, err) < 0)
			return -1;
		add_row(rows, &l->items[i], &users);
		json_add(all, to_json(&l->items[i], &users));
	}
	return 0;
}

static void warn(const struct image_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].err.code)
			log_warn(
				"%s cannot be used: %s", l->items[i].id, err_msg(&l->items[i].err));
}

static int run(struct image_cli *c, struct err *err)
{
	_cleanup_image_list_ struct image_list l = {0};
	_cleanup_buf_ struct buf rows = BUF_INIT, aligned = BUF_INIT;
	_cleanup_json_ struct json *all = json_array();

	if (parsed_bool(&c->args, "quiet") && parsed_bool(&c->args, "json"))
		return err_set(err, ERR_USER, "Error: --quiet and --json exclude each other");
	if (image_list(c->store_path, &l, err) < 0)
		return -1;
	buf_adds(&rows, "NAME\tID\tSIZE\tCREATED\tPARTS\tUSED BY\n");
	if (each(c, &l, &rows, all, err) < 0)
		return -1;
	if (parsed_bool(&c->args, "json")) {
		_cleanup_free_ char *text = json_to_string(all, JSON_INDENT);
		puts(text);
		return 0;
	}
	for (size_t i = 0; i < l.n && parsed_bool(&c->args, "quiet"); i++)
		puts(l.items[i].id);
	if (!parsed_bool(&c->args, "quiet")) {
		tabwriter_format(buf_str(&rows), 5, 3, ' ', &aligned);
		fputs(buf_str(&aligned), stdout);
	}
	warn(&l);
	return 0;
}

static const struct cli_flag flags[] = {
	{.spec = {.name = "quiet", .type = FLAG_BOOL, .usage = "IDs only"}, .alias = "q"},
	{.spec = {.name = "json", .type = FLAG_BOOL, .usage = "as JSON"}},
};

const struct subcommand cmd_ls = {
	.name = "ls",
	.summary = "List the base images in the store's cache",
	.description =
		"The newest of a name comes first: that is the one that the name stands for.",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.run = run,
};
