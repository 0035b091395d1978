/*
 * The image that the machine's disk is a layer on. Its checksums are compared when it is chosen; at
 * later starts the file is looked at, and compared again when it is not as it was then.
 */
#include "qemu.h"

#include <string.h>
#include <sys/stat.h>

#define STAMP "BaseStamp"

static char *base_path(const struct md_machine *m)
{
	return xasprintf("%s/" IMAGE_LINK "/%s", m->dir, md_state_str(m, "BaseDisk"));
}

/* malloc'ed; NULL: it cannot be looked at. */
static char *stamp_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return NULL;
	return xasprintf("%lld bytes, %lld.%09ld", (long long)st.st_size,
		(long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

void base_note(struct md_machine *m)
{
	_cleanup_free_ char *path = base_path(m), *stamp = stamp_of(path);

	json_set_str(m->state, STAMP, stamp ? stamp : "");
}

int base_check(struct md_request *rq, struct md_machine *m, struct err *err)
{
	const char *id = md_state_str(m, "ImageID");
	_cleanup_free_ char *path = base_path(m), *stamp = stamp_of(path);
	_cleanup_image_ struct md_image image = {0};
	struct md_watch w = md_watch_request(rq);

	if (!stamp)
		return err_set(err, ERR_NOT_FOUND,
			"the image %s is not in the cache any more (%s): the machine's disk is a "
			"layer on it",
			id, path);
	if (streq(stamp, md_state_str(m, STAMP)))
		return 0;
	if (md_image_get(&w, m->store_path, id, "",
		    *md_state_str(m, "Kernel") ? MD_IMAGE_DIRECT : MD_IMAGE_DISK, &image, err) < 0)
		return err_wrap(err, "the machine's disk is a layer on the image %s", id);
	json_set_str(m->state, STAMP, stamp);
	return 0;
}
