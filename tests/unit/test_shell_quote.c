#include "ssh.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_quoted(const char *word, const char *want)
{
	_cleanup_free_ char *got = shell_quote(word);

	assert_string_equal(got, want);
}

static void test_plain_words_stay(void **state)
{
	static const char *const words[] = {
		"a", "/etc/docker/ca.pem", "user@host:22", "-x", "1.5%"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		assert_quoted(words[i], words[i]);
}

static void test_others_are_quoted(void **state)
{
	(void)state;
	assert_quoted("", "''");
	assert_quoted("a b", "'a b'");
	assert_quoted("it's", "'it'\\''s'");
	assert_quoted("'", "''\\'''");
	assert_quoted("A=b", "'A=b'"); /* else an assignment */
	assert_quoted("~", "'~'");
	assert_quoted("$HOME", "'$HOME'");
	assert_quoted("a\nb", "'a\nb'");
	assert_quoted("gr\xc3\xb6\xc3\x9f"
		      "e",
		"'gr\xc3\xb6\xc3\x9f"
		"e'");
}

/* What the shell makes of it. */
static void assert_survives(const char *word)
{
	_cleanup_free_ char *quoted = shell_quote(word);
	_cleanup_free_ char *command = xasprintf("printf %%s.%%s %s x", quoted);
	_cleanup_free_ char *want = xasprintf("%s.x", word);
	char got[512];
	size_t len = 0;
	ssize_t n;
	int fds[2], status;

	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	while ((n = read(fds[0], got + len, sizeof(got) - 1 - len)) > 0)
		len += (size_t)n;
	got[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_string_equal(got, want);
}

static void test_shell_agrees(void **state)
{
	char all[256];

	(void)state;
	for (int i = 1; i < 256; i++)
		all[i - 1] = (char)i;
	all[255] = '\0';
	assert_survives(all);
	assert_survives("");
	assert_survives("'''");
	assert_survives("`id`$(id)\\");
	assert_survives("a=b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_words_stay),
		cmocka_unit_test(test_others_are_quoted),
		cmocka_unit_test(test_shell_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
