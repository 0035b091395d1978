#include "distro.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* name NULL: refused with `text` in the message. */
static const struct {
	const char *id, *like, *version, *name, *text;
} cases[] = {
	{"debian", "", "12", "debian", NULL},
	{"debian", "", "", "debian", NULL}, /* testing, sid */
	{"ubuntu", "debian", "24.04", "ubuntu(systemd)", NULL},
	{"ubuntu", "debian", "15.04", "ubuntu(systemd)", NULL},
	{"ubuntu", "debian", "", "ubuntu(systemd)", NULL},
	{"ubuntu", "debian", "14.04", NULL, "upstart"},
	{"raspbian", "debian", "11", "raspbian", NULL},
	{"linuxmint", "ubuntu debian", "21.3", "linuxmint", NULL},
	{"elementary", "ubuntu", "7.1", "ubuntu(systemd)", NULL}, /* a version of its own */
	{"pop", "ubuntu debian", "22.04", "pop", NULL},
	{"unheard-of", "nor-this debian", "1", "debian", NULL},
	{"centos", "rhel fedora", "9", "centos", NULL},
	{"rhel", "fedora", "9.4", "redhat", NULL},
	{"fedora", "", "40", "fedora", NULL},
	{"fedora", "", "40\nVARIANT_ID=server", "fedora", NULL},
	{"fedora", "", "40\nVARIANT_ID=coreos", "fedora-coreos", NULL},
	{"nobara", "fedora", "40\nVARIANT_ID=coreos", "fedora", NULL},
	{"rocky", "rhel centos fedora", "9.4", "rocky", NULL},
	{"almalinux", "rhel centos fedora", "9.4", "almalinux", NULL},
	{"ol", "fedora", "9.4", "ol", NULL},
	{"amzn", "centos rhel fedora", "2", "amzn", NULL},
	{"amzn", "fedora", "2023", "amzn", NULL},
	{"eurolinux", "rhel fedora centos", "9", "redhat", NULL},
	{"opensuse", "suse", "42.3", "SUSE", NULL},
	{"opensuse-leap", "suse opensuse", "15.6", "SUSE", NULL},
	{"opensuse-tumbleweed", "opensuse suse", "20240601", "SUSE", NULL},
	{"sles", "suse", "15.6", "SUSE", NULL},
	{"sles_sap", "sle suse", "15.6", "SUSE", NULL},
	{"arch", "", "", "arch", NULL},
	{"manjaro", "arch", "", "arch", NULL},
	{"alpine", "", "3.20.1", "alpine", NULL},
	{"boot2docker", "tcl", "19.03.12", "boot2docker", NULL},
	{"flatcar", "coreos", "3815.2.5", "coreOS", NULL},
	{"cos", "", "109", "cos", NULL},
	{"rancheros", "", "1.5", NULL, "RancherOS is no longer maintained; use Debian"},
	{"coreos", "", "2512", NULL, "use Flatcar Container Linux or Fedora CoreOS"},
	{"like-coreos", "coreos", "1", NULL, "OS type not recognized"},
	{"plan9", "", "4", NULL,
		"OS type not recognized: plan9; use a system that is, or is like, Debian"},
	{"", "", "", NULL, "OS type not recognized"},
};

static void table(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		const struct distro *d = NULL;
		_cleanup_free_ char *text = xasprintf("ID=%s\nID_LIKE=\"%s\"\nVERSION_ID=%s\n",
			cases[i].id, cases[i].like, cases[i].version);
		struct os_release os;

		os_release_parse(text, strlen(text), &os);
		int rc = distro_find(&os, &d, &err);
		os_release_finish(&os);
		if (cases[i].name) {
			assert_int_equal(rc, 0);
			assert_string_equal(d->name, cases[i].name);
			assert_non_null(d->service);
			assert_non_null(d->hostname);
			assert_true(!d->packages == !d->upgrade_packages);
			assert_true(d->packages || !d->install);
			assert_null(d->dead);
		} else {
			assert_int_equal(rc, -1);
			assert_int_equal(err.code, ERR_NOT_SUPPORTED);
			assert_non_null(strstr(err_msg(&err), cases[i].text));
		}
	}
}

static void options_files(void **state)
{
	_cleanup_strv_ struct strv files = STRV_INIT;

	distro_options_files(&files);
	assert_int_equal(files.n, 3);
	assert_string_equal(files.items[0], "/etc/systemd/system/docker.service.d/10-machine.conf");
	assert_string_equal(files.items[1], "/etc/conf.d/docker");
	assert_string_equal(files.items[2], "/var/lib/boot2docker/profile");
}

/* Whom the default install script knows: by ID, and whatever is like Debian or Ubuntu. */
static void packages_or_script(void **state)
{
	static const struct {
		const char *id, *like;
		bool packages;
	} systems[] = {
		{"debian", "", false},
		{"raspbian", "debian", false},
		{"pop", "ubuntu debian", false},
		{"elementary", "ubuntu", false},
		{"centos", "rhel fedora", false},
		{"rhel", "fedora", false},
		{"fedora", "", false},
		{"eurolinux", "rhel", true},
		{"rocky", "rhel", true},
		{"almalinux", "rhel", true},
		{"ol", "fedora", true},
		{"amzn", "fedora", true},
		{"sles", "suse", true},
		{"opensuse-leap", "suse", true},
		{"arch", "", true},
		{"alpine", "", true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(systems); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		const struct distro *d = NULL;
		_cleanup_free_ char *text =
			xasprintf("ID=%s\nID_LIKE=\"%s\"\n", systems[i].id, systems[i].like);
		struct os_release os;

		os_release_parse(text, strlen(text), &os);
		assert_int_equal(distro_find(&os, &d, &err), 0);
		assert_int_equal(distro_has_packages(d, &os), systems[i].packages);
		os_release_finish(&os);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(options_files),
		cmocka_unit_test(packages_or_script),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
