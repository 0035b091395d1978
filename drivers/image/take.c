/* machine image import, machine image rm */
#include "image_cli.h"

#include "buf.h"
#include "image.h"

#include <stdio.h>
#include <string.h>

static int run_import(struct image_cli *c, struct err *err)
{
	const char *name = parsed_str(&c->args, "name");
	struct image_take t = {.store_path = c->store_path,
		.ref = c->args.args.items[0],
		.checksum = parsed_str(&c->args, "checksum"),
		.name = *name ? name : NULL,
		.renew = true};
	_cleanup_free_ char *id = NULL;

	if (image_take(c->w, &t, &id, err) < 0)
		return -1;
	puts(id);
	return 0;
}

static const struct cli_flag import_flags[] = {
	{.spec = {.name = "name",
		 .type = FLAG_STRING,
		 .usage = "the image's name; made of the "
			  "file's otherwise"}},
	{.spec = {.name = "checksum",
		 .type = FLAG_STRING,
		 .usage = "sha256:HEX, sha512:HEX, a SHA256SUMS or SHA512SUMS file or its URL, or "
			  "none"}},
};

const struct subcommand cmd_import = {
	.name = "import",
	.args = "FOLDER|FILE|URL|NAME",
	.summary = "Take a base image into the store's cache",
	.description = "FOLDER: made by `image build` or its script.\n"
		       "   FILE: a disk, qcow2 or raw; it must have cloud-init in it.\n"
		       "   URL: of such a disk (http, https, file); of another computer, it needs "
		       "--checksum.\n"
		       "   NAME: one that others publish: %s.\n"
		       "   An interrupted download goes on where it was. Prints the image's ID.",
	.flags = import_flags,
	.n_flags = ARRAY_SIZE(import_flags),
	.min_args = 1,
	.max_args = 1,
	.run = run_import,
};

static bool is_named(const char *id, const char *ref)
{
	size_t len = strlen(ref);

	return streq(id, ref) || (strlen(id) == len + 1 + IMAGE_HASH_DIGITS &&
					 strncmp(id, ref, len) == 0 && id[len] == '-');
}

/* A name may stand for several; which are to go must then be said. */
static int find(const struct image_list *l, const char *ref, const char **ret_id, struct err *err)
{
	_cleanup_strv_ struct strv ids = STRV_INIT;

	for (size_t i = 0; i < l->n; i++)
		if (is_named(l->items[i].id, ref)) {
			strv_add(&ids, l->items[i].id);
			*ret_id = l->items[i].id;
		}
	if (ids.n == 1)
		return 0;
	if (!ids.n)
		return err_set(err, ERR_NOT_FOUND,
			"there is no image \"%s\": see `machine image ls`", ref);
	_cleanup_free_ char *all = strv_join(&ids, ", ");
	return err_set(err, ERR_USER, "\"%s\" stands for %zu images, name those to remove: %s", ref,
		ids.n, all);
}

static int remove_one(
	struct image_cli *c, const struct image_list *l, const char *ref, struct err *err)
{
	const char *id = NULL;

	if (find(l, ref, &id, err) < 0 ||
		image_remove(c->w, c->store_path, id, parsed_bool(&c->args, "force"), err) < 0)
		return -1;
	puts(id);
	return 0;
}

static int run_rm(struct image_cli *c, struct err *err)
{
	_cleanup_image_list_ struct image_list l = {0};
	_cleanup_buf_ struct buf failed = BUF_INIT;
	const struct strv *refs = &c->args.args;
	enum err_code code = ERR_NONE;

	if (image_list(c->store_path, &l, err) < 0)
		return -1;
	for (size_t i = 0; i < refs->n; i++) {
		_cleanup_err_ struct err one = ERR_INIT;

		if (remove_one(c, &l, refs->items[i], &one) == 0)
			continue;
		code = code ? code : one.code;
		buf_addf(&failed, "%s%s", failed.len ? "\n" : "", err_msg(&one));
	}
	image_sweep(c->store_path);
	return code ? err_set(err, code, "%s", buf_str(&failed)) : 0;
}

static const struct cli_flag rm_flags[] = {
	{.spec = {.name = "force",
		 .type = FLAG_BOOL,
		 .usage = "also images that machines use, which are lost then"},
		.alias = "f"},
};

const struct subcommand cmd_rm = {
	.name = "rm",
	.args = "NAME|ID...",
	.summary = "Remove base images from the store's cache",
	.description = "An image that a machine's disk is a layer on is kept.",
	.flags = rm_flags,
	.n_flags = ARRAY_SIZE(rm_flags),
	.min_args = 1,
	.max_args = 1000,
	.run = run_rm,
};
