/* The driver nspawn's smaller parts: folders to show, the network's file, running or not, trees. */
#include "cert_fixture.h"

#include "mem.h"
#include "network.h"
#include "plan.h"
#include "running.h"
#include "tree.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int new_folder(void **state)
{
	return new_dir(dir, sizeof(dir));
}

static void test_binds(void **state)
{
	static const struct {
		const char *text, *from, *to;
		bool read_only;
	} good[] = {
		{"/a", "/a", "/a", false},
		{"/a:ro", "/a", "/a", true},
		{"/a:/b", "/a", "/b", false},
		{"/a:/b:ro", "/a", "/b", true},
		{"/a:/b:rw", "/a", "/b", false},
		{"/a\\:b:/c", "/a:b", "/c", false},
		{"/a\\\\:/c", "/a\\", "/c", false},
		{"x:/c", "x", "/c", false},
	};
	static const char *const wrong[] = {"", ":", "/a:", "/a:b", "/a:/", "/a:/b:", "/a:/b:x",
		"/a:/b:ro:x", ":/b", "/a:/../b", "a"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_bind_ struct bind b = {0};

		assert_int_equal(bind_parse(good[i].text, &b, &err), 0);
		assert_string_equal(b.from, good[i].from);
		assert_string_equal(b.to, good[i].to);
		assert_int_equal(b.read_only, good[i].read_only);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_bind_ struct bind b = {0};

		if (bind_parse(wrong[i], &b, &err) == 0)
			fail_msg("\"%s\" is taken for a folder to show", wrong[i]);
		assert_int_equal(err.code, ERR_USER);
	}
	_cleanup_free_ char *option = bind_option("/a:b\\c d", "/x:y", true);
	assert_string_equal(option, "--bind-ro=/a\\:b\\\\c d:/x\\:y");
}

static void test_command(void **state)
{
	_cleanup_strv_ struct strv v = STRV_INIT, binds = STRV_INIT;
	struct plan p = {.number = 17, .hostname = (char *)"web1"};

	strv_add(&binds, "/a\\:b:/c:ro");
	p.binds = binds;
	plan_command(&p, "/s:t/web1/nspawn", &v);
	static const char *const expected[] = {"--machine=mn17", "--hostname=web1", "--register=no",
		"--network-bridge=machine0", "--directory=/s:t/web1/nspawn/root",
		"--bind=/s\\:t/web1/nspawn/docker:/var/lib/docker", "--bind-ro=/a\\:b:/c",
		"--bind-ro=/s\\:t/web1/nspawn/network:/etc/systemd/network/10-machine.network"};
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_true(strv_contains(&v, expected[i]));
}

static void test_hostname(void **state)
{
	static const char *const names[][2] = {{"web1", "web1"}, {"web-1.a-b", "web-1.a-b"},
		{"a..b", "a.b"}, {"x-", "x"}, {"x--y", "x--y"}, {"a.-b", "a.b"}, {"a-.b", "a.b"},
		{"a-.-.--.b-.", "a.b"}, {"A", "A"}, {"1.", "1"}};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *hostname = plan_hostname(names[i][0]);

		assert_string_equal(hostname, names[i][1]);
	}
}

static void test_plan_file(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *path = in_dir("plan");
	_cleanup_plan_ struct plan p = {.number = 4,
					   .hostname = xstrdup("h\"1"),
					   .tree = xstrdup("/t"),
					   .cpus = 2,
					   .memory = 5ull << 32},
				   q = {0};

	strv_add(&p.binds, "/a:/b");
	assert_int_equal(plan_save(&p, path, &err), 0);
	assert_int_equal(plan_load(&q, path, &err), 0);
	assert_int_equal(q.number, 4);
	assert_string_equal(q.hostname, "h\"1");
	assert_string_equal(q.tree, "/t");
	assert_int_equal(q.cpus, 2);
	assert_true(q.memory == 5ull << 32);
	assert_int_equal(q.binds.n, 1);
}

static void test_network_file(void **state)
{
	_cleanup_strv_ struct strv none = STRV_INIT, some = STRV_INIT;
	struct subnet s;

	network_name_servers("# nameserver 192.0.2.9\nnameserver 127.0.0.53\nnameserver ::1\n"
			     "search example.org\n",
		&none);
	assert_int_equal(none.n, 0);
	network_name_servers("nameserver\t192.0.2.53\nnameserver 2001:db8::1\nnameserver\n"
			     "nameserver  198.51.100.1 # x\n",
		&some);
	_cleanup_free_ char *list = strv_join(&some, " ");
	assert_string_equal(list, "192.0.2.53 198.51.100.1");
	assert_true(subnet_parse("10.1.2.0/24", &s));
	_cleanup_free_ char *text = network_file(&s, 9, &some);
	assert_non_null(strstr(text, "Name=host0\n"));
	assert_non_null(strstr(text, "Address=10.1.2.9/24\nGateway=10.1.2.1\n"));
	assert_non_null(strstr(text, "DNS=192.0.2.53\nDNS=198.51.100.1\n"));
}

/* The lock is inherited, and ends with the last process that has it. */
static void test_running(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *path = in_dir("lock");
	int fd, again, ready[2], status;
	char c;

	assert_int_equal(running_held(path, &err), 0);
	assert_int_equal(running_signal(path, RUNNING_INIT, SIGKILL, &err), 0);
	assert_int_equal(running_take(path, &fd, &err), 0);
	assert_int_equal(running_held(path, &err), 1);
	assert_int_equal(running_take(path, &again, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		int mark = open(path, O_RDWR);

		if (running_mark(mark, RUNNING_INIT, &err) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(fd);
	assert_int_equal(running_held(path, &err), 1);
	assert_int_equal(running_signal(path, RUNNING_SUPERVISOR, SIGKILL, &err), 0);
	assert_int_equal(running_held(path, &err), 1);
	assert_int_equal(running_signal(path, RUNNING_INIT, SIGKILL, &err), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(running_held(path, &err), 0);
	assert_int_equal(running_signal(path, RUNNING_INIT, SIGKILL, &err), 0);
	close(ready[0]);
	close(ready[1]);
}

static void put(const char *name, const char *text)
{
	_cleanup_free_ char *path = in_dir(name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static uint64_t digest(const char *path)
{
	_cleanup_err_ struct err err = ERR_INIT;
	uint64_t sum = 0;

	assert_int_equal(tree_digest(path, &sum, &err), 0);
	return sum;
}

static void test_tree(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *top = in_dir("t"), *sub = in_dir("t/sub"),
			    *link = in_dir("t/sub/link");
	_cleanup_free_ char *file = in_dir("t/file"), *outside = in_dir("outside");
	_cleanup_free_ char *kept = in_dir("outside/kept");

	assert_int_equal(mkdir(top, 0700), 0);
	assert_int_equal(mkdir(sub, 0700), 0);
	assert_int_equal(mkdir(outside, 0700), 0);
	put("outside/kept", "x");
	put("t/file", "abc");
	assert_int_equal(symlink("../../outside", link), 0);
	uint64_t before = digest(top);
	assert_true(digest(top) == before);
	put("t/new", "x");
	assert_true(digest(top) != before);
	_cleanup_free_ char *added = in_dir("t/new");
	assert_int_equal(unlink(added), 0);
	assert_int_equal(chmod(file, 0640), 0);
	assert_true(digest(top) != before);
	assert_int_equal(chmod(file, 0600), 0);
	before = digest(top);
	put("t/file", "abcd");
	assert_true(digest(top) != before);
	before = digest(top);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("../../elsewhere", link), 0);
	assert_true(digest(top) != before);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("../../outside", link), 0);

	assert_int_equal(tree_remove(top, &err), 0);
	assert_int_equal(access(top, F_OK), -1);
	assert_int_equal(access(kept, F_OK), 0); /* links are not followed */
	assert_int_equal(tree_remove(top, &err), 0);
}

static void put_map(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(2);
	close(fd);
}

/* A mount with files of two devices: an overlay of two file systems, as subvolumes of btrfs are. */
static void mount_two_devices(void)
{
	_cleanup_free_ char *uids = xasprintf("0 %u 1", getuid());
	_cleanup_free_ char *gids = xasprintf("0 %u 1", getgid());

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		_exit(2);
	put_map("/proc/self/setgroups", "deny");
	put_map("/proc/self/uid_map", uids);
	put_map("/proc/self/gid_map", gids);
	if (chdir(dir) < 0 || mkdir("l", 0700) < 0 || mkdir("u", 0700) < 0 ||
		mkdir("m", 0700) < 0 || mount("l", "l", "tmpfs", 0, NULL) < 0 ||
		mount("u", "u", "tmpfs", 0, NULL) < 0 || mkdir("l/top", 0700) < 0 ||
		mkdir("u/up", 0700) < 0 || mkdir("u/work", 0700) < 0)
		_exit(3);
	put("l/top/lower", "x");
	if (mount("m", "m", "overlay", 0,
		    "lowerdir=l,upperdir=u/up,workdir=u/work,xino=off,userxattr") < 0)
		_exit(4);
	put("m/top/upper", "x");
}

/* 0: as it should be */
static int remove_two_devices(void)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct stat folder, lower;

	mount_two_devices();
	if (stat("m/top", &folder) < 0 || stat("m/top/lower", &lower) < 0)
		return 5;
	if (folder.st_dev == lower.st_dev)
		return 6; /* nothing is tried then */
	if (tree_remove("m/top", &err) < 0 || access("m/top", F_OK) == 0) {
		fprintf(stderr, "%s\n", err_msg(&err));
		return 7;
	}
	if (mkdir("m/top", 0700) < 0 || mkdir("m/top/other", 0700) < 0 ||
		mount("o", "m/top/other", "tmpfs", 0, NULL) < 0)
		return 8;
	put("m/top/other/file", "x");
	if (tree_remove("m/top", &err) == 0 || access("m/top/other/file", F_OK) < 0)
		return 9;
	return strstr(err_msg(&err), "another file system") ? 0 : 10;
}

static void test_tree_of_two_devices(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(remove_two_devices());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_binds),
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_hostname),
		cmocka_unit_test_setup(test_plan_file, new_folder),
		cmocka_unit_test(test_network_file),
		cmocka_unit_test_setup(test_running, new_folder),
		cmocka_unit_test_setup(test_tree, new_folder),
		cmocka_unit_test_setup(test_tree_of_two_devices, new_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
