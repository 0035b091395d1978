/* Locks between processes; files read and written whole. */
#include "cert_fixture.h"

#include "machine-driver.h"

#include <signal.h>

static int empty_dir_setup(void **state)
{
	return new_dir(dir, sizeof(dir));
}

static void test_lock(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *path = md_store_lock(dir, "x.lock"), *folder = in_dir("locks");
	int first = -1, second = -1, third = -1;

	assert_int_equal(md_lock(NULL, path, false, 0, &first, &err), 0);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(mode_of(folder), 0700);
	assert_int_equal(md_lock(NULL, path, true, 50, &second, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_int_equal(second, -1);
	md_unlock(&first);
	assert_int_equal(first, -1);
	assert_int_equal(md_lock(NULL, path, true, 0, &second, &err), 0);
	assert_int_equal(md_lock(NULL, path, true, 0, &third, &err), 0);
	md_unlock(&second);
	md_unlock(&third);
}

static bool second_time(void *arg)
{
	return ++*(int *)arg == 2;
}

static void test_lock_cancel(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *path = in_dir("lock");
	int looks = 0, fd = -1;
	struct md_watch w = {.cancelled = second_time, .arg = &looks};
	_cleanup_lock_ int held = -1;

	assert_int_equal(md_lock(NULL, path, false, 0, &held, &err), 0);
	assert_int_equal(md_lock(&w, path, false, 60000, &fd, &err), -1);
	assert_int_equal(err.code, ERR_CANCELED);
}

struct swept {
	const char *path;
	int held, newer;
};

/* Meanwhile the file is deleted, a newer one is locked, and the old lock is given back. */
static bool sweep_once(void *arg)
{
	struct swept *s = arg;
	_cleanup_err_ struct err err = ERR_INIT;

	if (s->held < 0)
		return false;
	assert_int_equal(unlink(s->path), 0);
	assert_int_equal(md_lock(NULL, s->path, false, 0, &s->newer, &err), 0);
	md_unlock(&s->held);
	return false;
}

/* The lock of a file that is no longer there is none. */
static void test_lock_of_a_deleted_file(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *path = in_dir("lock");
	struct swept s = {.path = path, .held = -1, .newer = -1};
	struct md_watch w = {.cancelled = sweep_once, .arg = &s};
	_cleanup_lock_ int fd = -1;

	assert_int_equal(md_lock(NULL, path, false, 0, &s.held, &err), 0);
	assert_int_equal(md_lock(&w, path, false, 200, &fd, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_true(s.newer >= 0);
	md_unlock(&s.newer);
	assert_int_equal(md_lock(NULL, path, false, 0, &fd, &err), 0);
}

/* Another process's lock ends with it. */
static void test_lock_of_the_dead(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *path = in_dir("lock");
	_cleanup_lock_ int fd = -1;
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		int theirs;
		struct err e = ERR_INIT;

		if (md_lock(NULL, path, false, 0, &theirs, &e) == 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(md_lock(NULL, path, false, 0, &fd, &err), -1);
	kill(pid, SIGKILL);
	assert_int_equal(md_lock(NULL, path, false, 10000, &fd, &err), 0);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	close(ready[1]);
}

static void test_files(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *path = in_dir("file"), *folder = in_dir("a/b/c"), *text = NULL,
			    *again = NULL, *status = NULL;
	size_t len = 0;

	assert_int_equal(md_read_file(path, 100, &text, &len, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(md_write_file(path, "a\0b", 3, 0600, &err), 0);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(md_read_file(path, 3, &text, &len, &err), 0);
	assert_int_equal(len, 3);
	assert_memory_equal(text, "a\0b", 4);
	assert_int_equal(md_read_file(path, 2, &again, &len, &err), -1);
	assert_int_equal(err.code, ERR_USER);
	assert_int_equal(md_read_file(dir, 100, &again, &len, &err), -1);
	assert_int_equal(md_read_file("/proc/self/status", 65536, &status, NULL, &err), 0);
	assert_non_null(strstr(status, "Name:"));
	assert_int_equal(md_make_dirs(folder, 0700, &err), 0);
	assert_int_equal(md_make_dirs(folder, 0700, &err), 0);
	assert_int_equal(mode_of(folder), 0700);
	assert_int_equal(md_write_file(folder, "x", 1, 0600, &err), -1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, empty_dir_setup, dir_teardown)
	const struct CMUnitTest tests[] = {
		T(test_lock),
		T(test_lock_cancel),
		T(test_lock_of_a_deleted_file),
		T(test_lock_of_the_dead),
		T(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
