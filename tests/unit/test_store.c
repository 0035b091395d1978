#include "store_fixture.h"

#include <sys/wait.h>
#include <time.h>
#include <utime.h>

static void names(void **state)
{
	static const char *const valid[] = {"a", "0", "web1", "a.b-c", "A-", "a."};
	static const char *const only_possible[] = {"-a", "a_b", "a b", "\xc3\xa9", "a\nb", "a~"};
	static const char *const neither[] = {"", ".", "..", ".a", "a/b", "/", "a/"};
	char longest[257];

	memset(longest, 'x', 256);
	longest[256] = '\0';
	assert_false(machine_name_possible(longest));
	assert_false(machine_name_valid(longest));
	assert_true(machine_name_valid(longest + 1));
	for (size_t i = 0; i < ARRAY_SIZE(valid); i++)
		assert_true(machine_name_valid(valid[i]) && machine_name_possible(valid[i]));
	for (size_t i = 0; i < ARRAY_SIZE(only_possible); i++)
		assert_true(!machine_name_valid(only_possible[i]) &&
			    machine_name_possible(only_possible[i]));
	for (size_t i = 0; i < ARRAY_SIZE(neither); i++)
		assert_false(machine_name_valid(neither[i]) || machine_name_possible(neither[i]));
}

static void impossible_names(void **state)
{
	static const char *const bad[] = {"", ".", "..", ".a", "a/b"};

	claim("a");
	put(at("S/machines/.a"), "");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_free_ char *gone = xasprintf("Can't remove \"%s\"", bad[i]);
		struct store_lock *lock;
		struct record *r;
		assert_false(store_exists(store, bad[i]));
		assert_error(store_remove(store, bad[i], &err), ERR_NOT_FOUND, gone);
		assert_int_equal(store_claim(store, bad[i], two_files, 2, &err), -1);
		assert_int_equal(err.code, ERR_USER);
		assert_int_equal(record_load(store, bad[i], &r, &err), -1);
		assert_int_equal(err.code, ERR_NOT_FOUND);
		assert_int_equal(store_lock(NULL, store, bad[i], 0, &lock, &err), -1);
		assert_int_equal(err.code, ERR_NOT_FOUND);
		err_finish(&err);
	}
	assert_true(store_exists(store, "a"));
}

static void not_found_text(void **state)
{
	static const struct {
		const char *name, *quoted;
	} cases[] = {
		{"x", "\"x\""},
		{"a\"b\\c\n\t", "\"a\\\"b\\\\c\\n\\t\""},
		{"\x01\x7f\xff\xc2\x80\xc3\xa9\xe2\x82\xac",
			"\"\\x01\\x7f\\xff\\xc2\\x80\xc3\xa9\xe2\x82\xac\""},
		{"\xe2\x82", "\"\\xe2\\x82\""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = xasprintf(
			"Docker machine %s does not exist. Use \"docker-machine ls\" to list "
			"machines. Use \"docker-machine create\" to add a new one.",
			cases[i].quoted);
		assert_error(store_not_found(cases[i].name, &err), ERR_NOT_FOUND, text);
	}
}

static void opens_paths(void **state)
{
	static const struct {
		const char *given, *path, *certs;
	} cases[] = {
		{"/a//b/./c/", "/a/b/c", "/a/b/c/certs"},
		{"/a/../b", "/a/../b", "/a/../b/certs"},
		{"/", "/", "/certs"},
	};
	struct store *s;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_ok(store_open(cases[i].given, &s, &err));
		assert_string_equal(store_path(s), cases[i].path);
		assert_string_equal(store_certs_dir(s), cases[i].certs);
		store_free(s);
	}
	assert_error(store_open("", &s, &err), ERR_USER, "the storage path is empty");
	_cleanup_free_ char *cwd = getcwd(NULL, 0), *want = xasprintf("%s/x/y", cwd);
	assert_ok(store_open("./x/y", &s, &err));
	assert_string_equal(store_path(s), want);
	store_free(s);
}

static void ensures(void **state)
{
	_cleanup_free_ char *deep = xasprintf("%s/p/q/S", folder);
	struct store *s;
	struct stat st;

	assert_ok(store_open(deep, &s, &err));
	assert_ok(store_ensure(s, &err));
	assert_ok(store_ensure(s, &err));
	assert_int_equal(stat(at("p/q/S/machines"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(at("p"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	store_free(s);
	put(at("S"), "a file");
	assert_int_equal(store_ensure(store, &err), -1);
	assert_non_null(strstr(err_msg(&err), "/S: Not a directory"));
}

static void lists(void **state)
{
	struct strv v = STRV_INIT;

	assert_ok(store_list(store, &v, &err));
	assert_int_equal(v.n, 0);
	assert_false(is_there(at("S")));
	claim("b");
	claim("B");
	claim("a-1");
	put(at("S/machines/file"), "");
	assert_int_equal(mkdir(at("S/machines/.hidden"), 0700), 0);
	assert_int_equal(symlink("b", at("S/machines/link")), 0);
	assert_ok(store_list(store, &v, &err));
	_cleanup_free_ char *all = strv_join(&v, " ");
	assert_string_equal(all, "B a-1 b");
	strv_finish(&v);
	assert_true(store_exists(store, "file") && store_exists(store, "link"));
}

static void claims(void **state)
{
	struct stat st;

	claim("web");
	assert_holds(at("S/machines/web/b"), "content");
	assert_int_equal(stat(at("S/machines/web/b"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(at("S/machines/web"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_error(store_claim(store, "web", two_files, 2, &err), ERR_EXISTS,
		"Docker machine \"web\" already exists");
	put(at("S/machines/file"), "");
	assert_error(store_claim(store, "file", two_files, 2, &err), ERR_EXISTS,
		"Docker machine \"file\" already exists");
	assert_int_equal(mkdir(at("S/machines/empty"), 0700), 0);
	assert_error(store_claim(store, "empty", two_files, 2, &err), ERR_EXISTS,
		"Docker machine \"empty\" already exists");
	assert_int_equal(entries(at("S/machines")), 3);
}

static void claims_longest_name(void **state)
{
	char name[256];

	memset(name, 'n', 255);
	name[255] = '\0';
	claim(name);
	assert_true(store_exists(store, name));
	assert_ok(store_remove(store, name, &err));
	assert_int_equal(entries(at("S/machines")), 0);
}

static void reads(void **state)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *missing = xasprintf("open %s: no such file or directory", at("no"));
	_cleanup_free_ char *is_folder = xasprintf("%s: not a regular file", folder);
	_cleanup_free_ char *big = xasprintf("%s: larger than 3 bytes", at("big"));
	_cleanup_free_ char *fifo = xasprintf("%s: not a regular file", at("fifo"));
	size_t len;

	put(at("big"), "1234");
	assert_int_equal(mkfifo(at("fifo"), 0600), 0);
	assert_error(store_read_file(at("no"), 9, &text, &len, &err), ERR_NOT_FOUND, missing);
	assert_error(store_read_file(folder, 9, &text, &len, &err), ERR_USER, is_folder);
	assert_error(store_read_file(at("big"), 3, &text, &len, &err), ERR_USER, big);
	assert_error(store_read_file(at("fifo"), 3, &text, &len, &err), ERR_USER, fifo);
	assert_null(text);
	assert_ok(store_read_file(at("big"), 4, &text, &len, &err));
	assert_int_equal(len, 4);
	assert_string_equal(text, "1234");
}

static void writes(void **state)
{
	struct stat st;
	mode_t mask = umask(022);

	assert_ok(store_write_file(at("f"), "one", 3, 0600, &err));
	assert_ok(store_write_file(at("f"), "two", 3, 0666, &err));
	umask(mask);
	assert_holds(at("f"), "two");
	assert_int_equal(stat(at("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(mkdir(at("d"), 0700), 0);
	_cleanup_free_ char *text = xasprintf("write %s: Is a directory", at("d"));
	assert_error(store_write_file(at("d"), "x", 1, 0600, &err), ERR_IO, text);
	_cleanup_free_ char *gone = xasprintf("write %s: No such file or directory", at("n/f"));
	assert_error(store_write_file(at("n/f"), "x", 1, 0600, &err), ERR_NOT_FOUND, gone);
	assert_int_equal(entries(folder), 2);
}

/* What can be made again is replaced as a whole, for the owner alone, and leaves nothing beside it.
 */
static void writes_spares(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/spare", store_path(store));
	_cleanup_free_ char *nowhere = xasprintf("%s/no/spare", store_path(store));
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len;

	assert_int_equal(store_ensure(store, &err), 0);
	assert_int_equal(store_write_spare(path, "first one", 9, &err), 0);
	assert_int_equal(store_write_spare(path, "x\0y", 3, &err), 0);
	assert_int_equal(store_read_file(path, 100, &text, &len, &err), 0);
	assert_int_equal(len, 3);
	assert_memory_equal(text, "x\0y", 3);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(store_write_spare(nowhere, "x", 1, &err), -1);
	assert_non_null(strstr(err_msg(&err), nowhere));
}

static void removes(void **state)
{
	claim("web");
	assert_int_equal(mkdir(at("outside"), 0700), 0);
	put(at("outside/kept"), "");
	assert_int_equal(mkdir(at("S/machines/web/sub"), 0700), 0);
	put(at("S/machines/web/sub/f"), "");
	assert_int_equal(symlink(at("outside"), at("S/machines/web/sub/link")), 0);
	assert_int_equal(symlink(at("outside"), at("S/machines/other")), 0);
	assert_ok(store_remove(store, "web", &err));
	assert_ok(store_remove(store, "other", &err));
	assert_true(is_there(at("outside/kept")));
	assert_int_equal(entries(at("S/machines")), 0);
	assert_error(store_remove(store, "web", &err), ERR_NOT_FOUND, "Can't remove \"web\"");
}

/* A folder that is nested too deep cannot be emptied: the machine stays, with its record. */
static void gives_back_what_it_cannot_remove(void **state)
{
	claim("web");
	int dir = open(at("S/machines/web"), O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(mkdirat(dir, "d", 0700), 0);
		int next = openat(dir, "d", O_RDONLY | O_DIRECTORY);
		close(dir);
		dir = next;
	}
	close(dir);
	assert_int_equal(store_remove(store, "web", &err), -1);
	assert_non_null(strstr(err_msg(&err), "Too many levels"));
	assert_holds(at("S/machines/web/config.json"), "{}");
	assert_int_equal(entries(at("S/machines")), 1);
	/* so that the teardown can delete it */
	assert_int_equal(
		rename(at("S/machines/web/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d"
			  "/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d"),
			at("deep")),
		0);
	assert_ok(store_remove(store, "web", &err));
}

/* A name as a process makes it that has ended by now. */
static char *dead_name(const char *name, const char *kind)
{
	char text[300];
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		_cleanup_free_ char *mine = store_temp_name(name, kind);
		_exit(write(ends[1], mine, strlen(mine)) < 0);
	}
	close(ends[1]);
	ssize_t n = read(ends[0], text, sizeof(text));
	close(ends[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return xstrndup(text, n > 0 ? (size_t)n : 0);
}

/* Makes the folder or the file, and tells its path. */
static const char *leave(const char *parent, const char *name, bool file, bool old)
{
	_cleanup_free_ char *below = xasprintf("%s/%s", parent, name);
	const char *path = at(below);
	struct utimbuf then = {0};

	if (file)
		put(path, "");
	else
		assert_int_equal(mkdir(path, 0700), 0);
	if (old)
		assert_int_equal(utime(path, &then), 0);
	return path;
}

/* The same name as if another boot or container had made it. */
static char *foreign(char *take_name)
{
	char *realm = strrchr(take_name, '.') - 8;

	memcpy(realm, "00000bad", 8);
	return take_name;
}

static void sweeps(void **state)
{
	_cleanup_free_ char *dead = dead_name("x", "claim"), *gone = dead_name("x", "remove");
	_cleanup_free_ char *temp = dead_name("config.json", "tmp");
	_cleanup_free_ char *mine = store_temp_name("x", "claim");
	_cleanup_free_ char *other = foreign(dead_name("x", "claim"));
	_cleanup_free_ char *old = foreign(dead_name("x", "claim"));
	_cleanup_free_ char *my_temp = store_temp_name("config.json", "tmp");

	claim("web");
	const char *swept[] = {leave("S/machines", dead, false, false),
		leave("S/machines", gone, false, false), leave("S/machines", old, false, true),
		leave("S/machines/web", temp, true, false), leave("S/certs", temp, true, false)};
	for (size_t i = 0; i < ARRAY_SIZE(swept); i++)
		assert_true(is_there(swept[i]));
	const char *first = swept[0];
	store_sweep(store);
	assert_false(is_there(first));
	assert_int_equal(entries(at("S/machines")), 1);
	assert_int_equal(entries(at("S/machines/web")), 2);
	assert_int_equal(entries(at("S/certs")), 0);

	leave("S/machines", mine, false, true);
	leave("S/machines", other, false, false);
	leave("S/machines", ".claim-", false, true);
	leave("S/machines", ".x.claim-1.2.3", false, true);
	leave("S/machines", ".x.claim-99999999999999999999.0.0.0", false, true);
	leave("S/machines/web", my_temp, true, true);
	leave("S/machines/web", ".create.json", true, true);
	store_sweep(store);
	assert_int_equal(entries(at("S/machines")), 6);
	assert_int_equal(entries(at("S/machines/web")), 4);
}

static void claims_and_removals_sweep(void **state)
{
	_cleanup_free_ char *one = dead_name("x", "claim"), *two = dead_name("x", "remove");

	assert_ok(store_ensure(store, &err));
	leave("S/machines", one, false, false);
	claim("web");
	assert_int_equal(entries(at("S/machines")), 1);
	leave("S/machines", two, false, false);
	assert_ok(store_remove(store, "web", &err));
	assert_int_equal(entries(at("S/machines")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(not_found_text),
		with_store(impossible_names),
		with_store(opens_paths),
		with_store(ensures),
		with_store(lists),
		with_store(claims),
		with_store(claims_longest_name),
		with_store(reads),
		with_store(writes),
		with_store(writes_spares),
		with_store(removes),
		with_store(gives_back_what_it_cannot_remove),
		with_store(sweeps),
		with_store(claims_and_removals_sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
