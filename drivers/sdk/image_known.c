/* Images that others publish, by names of ours. */
#include "image.h"

#include <string.h>

#define DEBIAN "https://cloud.debian.org/images/cloud/"
#define UBUNTU "https://cloud-images.ubuntu.com/releases/"

static const struct image_known known[] = {
	{"debian-12-cloud", "Debian 12", "amd64",
		DEBIAN "bookworm/latest/debian-12-genericcloud-amd64.qcow2",
		DEBIAN "bookworm/latest/SHA512SUMS"},
	{"debian-12-cloud", "Debian 12", "arm64",
		DEBIAN "bookworm/latest/debian-12-genericcloud-arm64.qcow2",
		DEBIAN "bookworm/latest/SHA512SUMS"},
	{"debian-13-cloud", "Debian 13", "amd64",
		DEBIAN "trixie/latest/debian-13-genericcloud-amd64.qcow2",
		DEBIAN "trixie/latest/SHA512SUMS"},
	{"debian-13-cloud", "Debian 13", "arm64",
		DEBIAN "trixie/latest/debian-13-genericcloud-arm64.qcow2",
		DEBIAN "trixie/latest/SHA512SUMS"},
	{"ubuntu-24.04-cloud", "Ubuntu 24.04", "amd64",
		UBUNTU "24.04/release/ubuntu-24.04-server-cloudimg-amd64.img",
		UBUNTU "24.04/release/SHA256SUMS"},
	{"ubuntu-24.04-cloud", "Ubuntu 24.04", "arm64",
		UBUNTU "24.04/release/ubuntu-24.04-server-cloudimg-arm64.img",
		UBUNTU "24.04/release/SHA256SUMS"},
};

const struct image_known *image_known_find(const char *name)
{
	const char *here = image_host_architecture();

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (streq(known[i].name, name) && streq(known[i].architecture, here))
			return &known[i];
	return NULL;
}

char *image_known_names(void)
{
	const char *here = image_host_architecture();
	_cleanup_strv_ struct strv names = STRV_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (streq(known[i].architecture, here))
			strv_add(&names, known[i].name);
	return names.n ? strv_join(&names, ", ") : xstrdup("none for this computer");
}
