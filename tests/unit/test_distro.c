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
	{"raspbian", "debian", "11", "debian", NULL},
	{"linuxmint", "ubuntu debian", "21.3", "ubuntu(systemd)", NULL},
	{"elementary", "ubuntu", "7.1", "ubuntu(systemd)", NULL}, /* a version of its own */
	{"pop", "ubuntu debian", "22.04", "ubuntu(systemd)", NULL},
	{"unheard-of", "nor-this debian", "1", "debian", NULL},
	{"rancheros", "", "1.5", NULL, "RancherOS"},
	{"coreos", "", "2512", NULL, "CoreOS"},
	{"flatcar", "coreos", "3510", NULL, "OS type not recognized"},
	{"plan9", "", "4", NULL, "OS type not recognized: plan9"},
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
	assert_int_equal(files.n, 1);
	assert_string_equal(files.items[0], "/etc/systemd/system/docker.service.d/10-machine.conf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(options_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
