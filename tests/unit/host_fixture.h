/* For tests of driver-host: a loop per test, a folder, children that must not survive. */
#pragma once

#include "co.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *loop;
static char dir[64];

static inline int fixture_setup(void **state)
{
	struct err err = ERR_INIT;

	snprintf(dir, sizeof(dir), "/tmp/host-test-XXXXXX");
	setenv("MACHINE_TEST_GRACE_MS", "300", 1);
	return mkdtemp(dir) ? loop_new(&loop, &err) : -1;
}

static inline void remove_dir(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", dir, (char *)NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

static inline int fixture_teardown(void **state)
{
	loop_free(loop);
	remove_dir();
	return 0;
}

static inline void assert_no_child(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static inline char *in_dir(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static inline char *write_file(const char *name, const char *text, mode_t mode)
{
	char *path = in_dir(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static inline char *read_text(const char *path)
{
	char *text = xcalloc(1, 65536);
	FILE *f = fopen(path, "r");

	if (f) {
		text[fread(text, 1, 65535, f)] = '\0';
		fclose(f);
	}
	return text;
}

/* The fake driver under a name of its own; config: what lies beside it, or NULL. */
static inline char *fake_driver(const char *name, const char *config)
{
	_cleanup_free_ char *target = xasprintf("%s/tests/fakes/fake-worker", SOURCE_ROOT);
	_cleanup_free_ char *json = xasprintf("%s.json", name);
	char *path = in_dir(name);

	assert_int_equal(symlink(target, path), 0);
	if (config)
		free(write_file(json, config, 0644));
	return path;
}

static inline struct json *parse(const char *text)
{
	struct err err = ERR_INIT;
	struct json *j = NULL;

	if (json_parse(text, strlen(text), &j, &err) < 0)
		fprintf(stderr, "test: %s in %s\n", err_msg(&err), text);
	err_finish(&err);
	return j;
}

/* Waits until no such process runs any more: 0. */
static inline int gone(const char *pid_file)
{
	_cleanup_free_ char *pid = read_text(pid_file);
	_cleanup_free_ char *path = xasprintf("/proc/%s/stat", pid);

	for (int i = 0; i < 200; i++) {
		_cleanup_free_ char *text = read_text(path);
		const char *state = strrchr(text, ')');

		if (!state || state[2] == 'Z')
			return 0;
		usleep(10000);
	}
	return -1;
}
