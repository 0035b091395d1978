#include "distro.h"

#include "engine_options.h"
#include "mem.h"
#include "scripts.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_UBUNTU_WITH_SYSTEMD 15.04

static const struct package_manager apt = {"apt", PACKAGES_SH APT_SH},
				    dnf = {"dnf", PACKAGES_SH RPM_SH DNF_SH},
				    zypper = {"zypper", PACKAGES_SH RPM_SH ZYPPER_SH},
				    pacman = {"pacman", PACKAGES_SH PACMAN_SH},
				    apk = {"apk", PACKAGES_SH APK_SH};

static const struct service_manager systemd = {"systemd", SYSTEMD_SH, systemd_options},
				    flatcar = {"systemd", SYSTEMD_SH, flatcar_options},
				    openrc = {"openrc", OPENRC_SH, openrc_options},
				    boot2docker = {
					    "boot2docker", BOOT2DOCKER_SH, boot2docker_options};

#define DROP_IN "/etc/systemd/system/docker.service.d/10-machine.conf"
#define CENTOS_REPO "https://download.docker.com/linux/centos/docker-ce.repo"
#define FEDORA_REPO "https://download.docker.com/linux/fedora/docker-ce.repo"

/* Docker's own packages; the names are the same for Debian and Red Hat. */
#define DOCKER_CE                                                                 \
	"docker-ce docker-ce-cli docker-ce-rootless-extras docker-buildx-plugin " \
	"docker-compose-plugin containerd.io"
#define DEBS                                                                           \
	DOCKER_CE " docker.io docker-cli docker-buildx docker-compose-v2 moby-engine " \
		  "moby-cli moby-buildx moby-compose moby-containerd containerd runc"
#define RPMS DOCKER_CE " docker docker-cli docker-buildx docker-compose moby-engine containerd runc"
#define PACMAN_PACKAGES "docker docker-buildx docker-compose containerd runc"
#define APKS                                                               \
	"docker docker-engine docker-openrc docker-cli docker-cli-buildx " \
	"docker-cli-compose containerd containerd-openrc runc"
#define NEW_DOCKER_CE \
	"docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin"

/* What rows have in common. */
#define ROW(row_id, row_name, row_service)                                                         \
	.id = (row_id), .name = (row_name), .options_dir = "/etc/docker", .options_file = DROP_IN, \
	.hostname = HOSTNAME_SH, .service = &(row_service)
#define APT_ROW(row_id, row_name) \
	ROW(row_id, row_name, systemd), .packages = &apt, .upgrade_packages = DEBS
#define DNF_ROW(row_id, row_name) \
	ROW(row_id, row_name, systemd), .packages = &dnf, .upgrade_packages = RPMS
#define SUSE_ROW(row_id)                                                             \
	ROW(row_id, "SUSE", systemd), .packages = &zypper, .upgrade_packages = RPMS, \
				      .install = "docker"

static bool ubuntu_has_systemd(const struct os_release *os)
{
	char *end;
	double version = strtod(os->version_id, &end);

	return end == os->version_id || version >= FIRST_UBUNTU_WITH_SYSTEMD;
}

static bool is_no_image(const struct os_release *os)
{
	return !streq(os->variant_id, "coreos");
}

/* Of rows with one ID the first that applies counts; what is like it gets the first one. */
static const struct distro table[] = {
	{APT_ROW("debian", "debian")},
	{APT_ROW("raspbian", "raspbian")},
	{APT_ROW("ubuntu", "ubuntu(systemd)"), .applies = ubuntu_has_systemd},
	{APT_ROW("linuxmint", "linuxmint")},
	{APT_ROW("pop", "pop")},
	{DNF_ROW("centos", "centos"), .install = NEW_DOCKER_CE, .script = true,
		.source = CENTOS_REPO},
	{DNF_ROW("rhel", "redhat"), .install = NEW_DOCKER_CE, .script = true,
		.source = CENTOS_REPO},
	{DNF_ROW("fedora", "fedora"), .install = NEW_DOCKER_CE, .script = true,
		.source = FEDORA_REPO, .applies = is_no_image},
	{DNF_ROW("rocky", "rocky"), .install = NEW_DOCKER_CE, .source = CENTOS_REPO},
	{DNF_ROW("almalinux", "almalinux"), .install = NEW_DOCKER_CE, .source = CENTOS_REPO},
	{DNF_ROW("ol", "ol"), .install = NEW_DOCKER_CE, .source = CENTOS_REPO},
	{DNF_ROW("amzn", "amzn"), .install = "docker"},
	{SUSE_ROW("suse")},
	{SUSE_ROW("opensuse")},
	{SUSE_ROW("opensuse-leap")},
	{SUSE_ROW("opensuse-tumbleweed")},
	{SUSE_ROW("sles"), .source = "sle-module-containers"},
	{ROW("arch", "arch", systemd), .packages = &pacman, .upgrade_packages = PACMAN_PACKAGES,
		.install = "docker"},
	{
		.id = "alpine",
		.name = "alpine",
		.options_dir = "/etc/docker",
		.options_file = "/etc/conf.d/docker",
		.hostname = HOSTNAME_SH,
		.packages = &apk,
		.service = &openrc,
		.install = "docker",
		.upgrade_packages = APKS,
	},
	{ROW("flatcar", "coreOS", flatcar)},
	{ROW("fedora", "fedora-coreos", systemd)},
	{ROW("cos", "cos", systemd), .firewall = "iptables", .forgets = true},
	{
		.id = "boot2docker",
		.name = "boot2docker",
		.options_dir = "/var/lib/boot2docker",
		.options_file = "/var/lib/boot2docker/profile",
		.hostname = HOSTNAME_BOOT2DOCKER_SH,
		.service = &boot2docker,
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
		.dead = "RancherOS is no longer maintained; use Debian, Ubuntu or Flatcar "
			"Container "
			"Linux",
	},
	{
		.id = "coreos",
		.name = "coreOS",
		.dead = "CoreOS Container Linux is no longer maintained; use Flatcar Container "
			"Linux "
			"or Fedora CoreOS",
	},
};

#define KNOWN "Debian, Ubuntu, Red Hat, SUSE, Arch, Alpine or Flatcar"

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
		return err_set(err, ERR_NOT_SUPPORTED,
			"OS type not recognized: %s; use a system that is, or is like, " KNOWN,
			*os->pretty_name ? os->pretty_name
			: *os->id        ? os->id
					 : "the host has no usable /etc/os-release");
	if (d->dead)
		return err_set(err, ERR_NOT_SUPPORTED, "%s", d->dead);
	*ret = d;
	return 0;
}

bool distro_has_packages(const struct distro *d, const struct os_release *os)
{
	return d->install && !(d->script && streq(d->id, os->id));
}

void distro_options_files(struct strv *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].options_file && !strv_contains(ret, table[i].options_file))
			strv_add(ret, table[i].options_file);
}
