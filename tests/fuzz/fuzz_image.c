/* image.json: what is taken has plain names and an ID, and reads the same after it was written. */
#include "image.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct image_meta *m)
{
	if (!image_id_valid(m->id) || !image_name_valid(m->name) || !image_meta_parts(m))
		abort();
	for (size_t i = 0; i < IMAGE_ROLES; i++)
		if (m->files[i].name && (strchr(m->files[i].name, '/') || *m->files[i].name == '.'))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_meta_ struct image_meta m = {0}, again = {0};

	if (image_meta_parse((const char *)data, size, &m, &err) < 0) {
		if (!*err_msg(&err))
			abort();
		return 0;
	}
	check(&m);
	_cleanup_free_ char *text = image_meta_write(&m);
	if (image_meta_parse(text, strlen(text), &again, &err) < 0 || !streq(m.id, again.id) ||
		image_meta_size(&m) != image_meta_size(&again))
		abort();
	return 0;
}
