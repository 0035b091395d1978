#include "mem.h"
#include "spawn_program.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What a shell's script says on its standard output; it has ended with status 0. */
static char *said(char *const env[], enum spawn_group group, const char *script)
{
	char *argv[] = {"sh", "-c", (char *)(uintptr_t)script, NULL};
	char *text = xcalloc(1, 4096);
	int out[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(spawn_program("/bin/sh", argv, env, (int[3]){-1, out[1], STDERR_FILENO},
				 group, &pid),
		0);
	close(out[1]);
	while ((n = read(out[0], text + len, 4095 - len)) > 0)
		len += (size_t)n;
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return text;
}

static void assert_says(const char *script, const char *expected)
{
	_cleanup_free_ char *text = said(NULL, SPAWN_WITH_US, script);

	assert_string_equal(text, expected);
}

static void test_descriptors(void **state)
{
	/* one that would be inherited, did nobody see to it */
	_cleanup_close_ int extra = open("/dev/null", O_RDONLY);
	char script[64];

	assert_true(extra > STDERR_FILENO);
	snprintf(script, sizeof(script), "test -e /proc/self/fd/%d || echo none", extra);
	assert_says(script, "none\n");
	assert_says("readlink /proc/self/fd/0", "/dev/null\n");
	assert_says("cat; echo end", "end\n"); /* there is nothing to read */
}

/* 2 as 1, which is what "2>&1" has the other way round. */
static void test_one_for_two(void **state)
{
	char *argv[] = {"sh", "-c", "[ /proc/self/fd/1 -ef /proc/self/fd/2 ]", NULL};
	int status;
	pid_t pid;

	assert_int_equal(
		spawn_program("/bin/sh", argv, NULL,
			(int[3]){STDIN_FILENO, STDERR_FILENO, STDERR_FILENO}, SPAWN_WITH_US, &pid),
		0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_environment(void **state)
{
	char *env[] = {"ONLY=this", NULL};
	_cleanup_free_ char *text = said(env, SPAWN_WITH_US, "echo \"$ONLY,${TEST_SPAWN-unset}\"");

	assert_string_equal(text, "this,unset\n");
	setenv("TEST_SPAWN", "ours", 1);
	assert_says("echo \"$TEST_SPAWN\"", "ours\n");
	unsetenv("TEST_SPAWN");
}

static void test_groups(void **state)
{
	static const char ids[] = "cut -d' ' -f5,6 /proc/$$/stat; echo $$"; /* group, session */
	static const struct {
		enum spawn_group group;
		bool leads_group, leads_session;
	} cases[] = {
		{SPAWN_WITH_US, false, false},
		{SPAWN_GROUP, true, false},
		{SPAWN_SESSION, true, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = said(NULL, cases[i].group, ids);
		int group, session, pid;
		assert_int_equal(sscanf(text, "%d %d %d", &group, &session, &pid), 3);
		assert_int_equal(group, cases[i].leads_group ? pid : getpgrp());
		assert_int_equal(session, cases[i].leads_session ? pid : getsid(0));
	}
}

static void test_signals(void **state)
{
	sigset_t some, before;
	unsigned long long blocked, ignored;

	sigemptyset(&some);
	sigaddset(&some, SIGTERM);
	sigprocmask(SIG_BLOCK, &some, &before);
	void (*old)(int) = signal(SIGHUP, SIG_IGN);
	_cleanup_free_ char *text = said(NULL, SPAWN_WITH_US,
		"grep -h -E 'SigBlk|SigIgn' /proc/self/status | cut -f2 | tr '\\n' ' '");
	signal(SIGHUP, old);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_int_equal(sscanf(text, "%llx %llx", &blocked, &ignored), 2);
	assert_int_equal(blocked, 0);
	/* numbers 1 to 31; two of the C library's own are above, which it lets children ignore */
	assert_int_equal(ignored & 0x7fffffffu, 0);
}

static void test_failures(void **state)
{
	char *argv[] = {"x", NULL};
	int fds[3] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
	pid_t pid;

	assert_int_equal(
		spawn_program("/nowhere/at/all", argv, NULL, fds, SPAWN_WITH_US, &pid), ENOENT);
	assert_int_equal(
		spawn_program("/etc/passwd", argv, NULL, fds, SPAWN_WITH_US, &pid), EACCES);
	fds[1] = 1000; /* not open */
	assert_int_equal(spawn_program("/bin/true", argv, NULL, fds, SPAWN_WITH_US, &pid), EBADF);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
	assert_int_equal(errno, ECHILD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_one_for_two),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
