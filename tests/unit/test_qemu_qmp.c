/* QEMU's monitor protocol: lines, and a monitor that says things in an odd order. */
#include "qmp.h"

#include "mem.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define OK "{\"return\": {}}\r\n"
#define EVENT "{\"event\": \"RESUME\", \"timestamp\": {}}\r\n"
#define PATIENCE_MS 10000

static void test_lines(void **state)
{
	static const struct {
		const char *line;
		int kind; /* -1: nothing that QEMU says */
		const char *text;
	} lines[] = {
		{"{\"QMP\": {}}", QMP_GREETING, NULL},
		{"{\"event\": \"STOP\", \"data\": {}}", QMP_EVENT, "STOP"},
		{"{\"return\": {\"status\": \"running\"}}\r", QMP_RETURN, NULL},
		{"{\"return\": \"text\", \"id\": 5}", QMP_RETURN, NULL},
		{"{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}", QMP_ERROR, "no"},
		{"{\"error\": 7}", QMP_ERROR, "no reason given"},
		{"{\"QMP\": 1}", -1, NULL},
		{"{\"event\": 1}", -1, NULL},
		{"{}", -1, NULL},
		{"[]", -1, NULL},
		{"", -1, NULL},
		{"hello", -1, NULL},
		{"{\"return\": {}} {}", -1, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		struct qmp_message m;
		int r = qmp_parse(lines[i].line, strlen(lines[i].line), &m, &err);

		assert_int_equal(r, lines[i].kind < 0 ? -1 : 0);
		if (r < 0) {
			assert_int_equal(err.code, ERR_PROTOCOL);
			continue;
		}
		assert_int_equal(m.kind, lines[i].kind);
		if (lines[i].text)
			assert_string_equal(m.text, lines[i].text);
		qmp_message_finish(&m);
	}
}

/* A monitor that says its lines, each after one that it was told; NULL: it waits for the end. */
struct monitor {
	char dir[64], path[96];
	int fd;
	pthread_t thread;
	const char *const *says;
	char heard[2048];
};

static void *serve(void *arg)
{
	struct monitor *m = arg;
	int fd = accept(m->fd, NULL, NULL);
	size_t len = 0;

	for (size_t i = 0; m->says[i]; i++) {
		if (i > 0) {
			ssize_t n = read(fd, m->heard + len, sizeof(m->heard) - 1 - len);
			if (n <= 0)
				break;
			len += (size_t)n;
		}
		if (write(fd, m->says[i], strlen(m->says[i])) < 0)
			break;
	}
	if (m->says[0] && streq(m->says[0], ""))
		while (read(fd, m->heard, sizeof(m->heard)) > 0)
			;
	close(fd);
	return NULL;
}

static void start(struct monitor *m, const char *const *says)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	*m = (struct monitor){.says = says};
	snprintf(m->dir, sizeof(m->dir), "/tmp/qmp-test-XXXXXX");
	assert_non_null(mkdtemp(m->dir));
	snprintf(m->path, sizeof(m->path), "%s/s", m->dir);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", m->path);
	m->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(m->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(m->fd, 1), 0);
	assert_int_equal(pthread_create(&m->thread, NULL, serve, m), 0);
}

static void end(struct monitor *m)
{
	pthread_join(m->thread, NULL);
	close(m->fd);
	unlink(m->path);
	rmdir(m->dir);
}

static void test_talk(void **state)
{
	static const char *const says[] = {EVENT GREETING, EVENT OK,
		EVENT EVENT "{\"return\": {\"status\": \"paused\"}}\r\n",
		"{\"error\": {\"desc\": \"not now\"}}\n", "{\"return\": \"a\\r\\nb\"}\n", NULL};
	_cleanup_err_ struct err err = ERR_INIT, refused = ERR_INIT;
	_cleanup_json_ struct json *value = NULL;
	_cleanup_free_ char *text = NULL;
	struct monitor m;
	struct qmp *q;

	start(&m, says);
	assert_int_equal(qmp_open(m.path, PATIENCE_MS, &q, &err), 0);
	assert_int_equal(qmp_command(q, "query-status", NULL, &value, &err), 0);
	assert_string_equal(json_str(json_get(value, "status"), ""), "paused");
	assert_int_equal(qmp_command(q, "cont", NULL, NULL, &refused), -1);
	assert_non_null(strstr(err_msg(&refused), "not now"));
	assert_int_equal(qmp_human(q, "info usernet", &text, &err), 0);
	assert_string_equal(text, "a\r\nb");
	qmp_close(q);
	end(&m);
	assert_non_null(strstr(m.heard, "{\"execute\":\"human-monitor-command\",\"arguments\":{"
					"\"command-line\":\"info usernet\"},\"id\":4}\n"));
}

/* What another was to hear is passed over. */
static void test_answers_to_others(void **state)
{
	static const char *const says[] = {GREETING,
		"{\"return\": {\"status\": \"x\"}, \"id\": 77}\n{\"return\": {}, \"id\": 1}\n",
		"{\"error\": {\"desc\": \"no\"}, \"id\": 1}\n"
		"{\"return\": {\"status\": \"running\"}, \"id\": 2}\n",
		NULL};
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_json_ struct json *value = NULL;
	struct monitor m;
	struct qmp *q;

	start(&m, says);
	assert_int_equal(qmp_open(m.path, PATIENCE_MS, &q, &err), 0);
	assert_int_equal(qmp_command(q, "query-status", NULL, &value, &err), 0);
	assert_string_equal(json_str(json_get(value, "status"), ""), "running");
	qmp_close(q);
	end(&m);
}

/* QEMU that ends may close the connection before its answer. */
static void test_quit_without_answer(void **state)
{
	static const char *const says[] = {GREETING, OK, "", NULL};
	_cleanup_err_ struct err err = ERR_INIT;
	struct monitor m;
	struct qmp *q;

	start(&m, says);
	assert_int_equal(qmp_open(m.path, PATIENCE_MS, &q, &err), 0);
	assert_int_equal(qmp_quit(q, &err), 0);
	qmp_close(q);
	end(&m);
}

static void test_nobody(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct qmp *q;

	assert_int_equal(qmp_open("/nonexistent/qmp", PATIENCE_MS, &q, &err), -1);
	assert_int_equal(err.code, ERR_NOT_RUNNING);
}

static void test_silence(void **state)
{
	static const char *const says[] = {"", NULL};
	_cleanup_err_ struct err err = ERR_INIT;
	struct monitor m;
	struct qmp *q;

	start(&m, says);
	assert_int_equal(qmp_open(m.path, 100, &q, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	end(&m);
}

static void test_nonsense(void **state)
{
	static const char *const garbage[] = {"SSH-2.0-OpenSSH\r\n", NULL};
	static const char *const early[] = {OK, NULL};
	const char *const *const all[] = {garbage, early};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		struct monitor m;
		struct qmp *q;

		start(&m, all[i]);
		assert_int_equal(qmp_open(m.path, PATIENCE_MS, &q, &err), -1);
		assert_int_equal(err.code, ERR_PROTOCOL);
		end(&m);
	}
}

static void test_flood(void **state)
{
	_cleanup_free_ char *line = xmalloc(QMP_LINE_MAX + 8192);
	const char *const says[] = {line, NULL};
	_cleanup_err_ struct err err = ERR_INIT;
	struct monitor m;
	struct qmp *q;

	memset(line, 'x', QMP_LINE_MAX + 8191);
	line[QMP_LINE_MAX + 8191] = '\0';
	start(&m, says);
	assert_int_equal(qmp_open(m.path, PATIENCE_MS, &q, &err), -1);
	assert_int_equal(err.code, ERR_PROTOCOL);
	end(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_talk),
		cmocka_unit_test(test_answers_to_others),
		cmocka_unit_test(test_quit_without_answer),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
