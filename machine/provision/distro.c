#include "distro.h"

#include "engine_options.h"
#include "mem.h"
#include "scripts.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_UBUNTU_WITH_SYSTEMD 15.04

static const struct package_manager apt = {"apt", APT_SH};
static const struct service_manager systemd = {"systemd", SYSTEMD_SH, systemd_options};

#define DROP_IN "/etc/systemd/system/docker.service.d/10-machine.conf"
#define DEBS                                                                           \
	"docker-ce docker-ce-cli docker-ce-rootless-extras docker-buildx-plugin "      \
	"docker-compose-plugin docker.io docker-cli docker-buildx docker-compose-v2 "  \
	"moby-engine moby-cli moby-buildx moby-compose moby-containerd containerd.io " \
	"containerd runc"

static bool ubuntu_has_systemd(const struct os_release *os)
{
	char *end;
	double version = strtod(os->version_id, &end);

	return end == os->version_id || version >= FIRST_UBUNTU_WITH_SYSTEMD;
}

static const struct distro table[] = {
	{
		.id = "debian",
		.name = "debian",
		.options_dir = "/etc/docker",
		.options_file = DROP_IN,
		.packages = &apt,
		.service = &systemd,
		.upgrade_packages = DEBS,
	},
	{
		.id = "ubuntu",
		.name = "ubuntu(systemd)",
		.options_dir = "/etc/docker",
		.options_file = DROP_IN,
		.packages = &apt,
		.service = &systemd,
		.upgrade_packages = DEBS,
		.applies = ubuntu_has_systemd,
	},
	{
		.id = "ubuntu",
		.name = "ubuntu(upstart)",
		.dead = "Ubuntu before 15.04 (upstart) has had no Docker packages for years; use a "
			"supported Ubuntu release",
	},
	{
		.id = "rancheros",
		.name = "rancheros",
		.dead = "RancherOS is no longer maintained; use Debian or Ubuntu",
	},
	{
		.id = "coreos",
		.name = "coreOS",
		.dead = "CoreOS Container Linux is no longer maintained; use Debian or Ubuntu",
	},
};

static const struct distro *find(const char *id, const struct os_release *os)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct distro *d = &table[i];

		if (streq(d->id, id) && (os ? !d->applies || d->applies(os) : !d->dead))
			return d;
	}
	return NULL;
}

int distro_find(const struct os_release *os, const struct distro **ret, struct err *err)
{
	const struct distro *d = find(os->id, os);

	for (size_t i = 0; !d && i < os->id_like.n; i++)
		d = find(os->id_like.items[i], NULL);
	if (!d)
		return err_set(err, ERR_NOT_SUPPORTED, "OS type not recognized: %s",
			*os->pretty_name ? os->pretty_name
			: *os->id        ? os->id
					 : "the host has no usable /etc/os-release");
	if (d->dead)
		return err_set(err, ERR_NOT_SUPPORTED, "%s", d->dead);
	*ret = d;
	return 0;
}

void distro_options_files(struct strv *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].options_file && !strv_contains(ret, table[i].options_file))
			strv_add(ret, table[i].options_file);
}
