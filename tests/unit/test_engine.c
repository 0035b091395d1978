#include "engine_fixture.h"

#include "tlsfile.h"

#include <arpa/inet.h>
#include <sys/socket.h>

static void test_answers(void **state)
{
	static const char *const modes[] = {
		"length", "chunked", "until-end", "keep", "keep-chunked"};
	FILES;

	make_usual_server(&f);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		_cleanup_probe_ struct probe p;
		probe_init(&p, &f, "127.0.0.1", serve(&f, modes[i]));
		probe(&p);
		if (p.rc < 0)
			fail_msg("%s: %s", modes[i], err_msg(&p.err));
		assert_string_equal(p.version, "24.0.7");
		stop_server();
	}
}

static void test_check_only(void **state)
{
	_cleanup_probe_ struct probe p;
	FILES;

	make_usual_server(&f);
	probe_init(&p, &f, "localhost", serve(&f, "nothing"));
	p.check_only = true;
	probe(&p);
	assert_int_equal(p.rc, 0);
}

static void test_bad_answers(void **state)
{
	static const struct {
		const char *mode;
		enum err_code code;
		const char *text;
	} cases[] = {
		{"short", ERR_PROTOCOL, "the answer ends in the middle"},
		{"error", ERR_UNAVAILABLE, "the engine answers 500: no?[31m room"},
		{"not-json", ERR_PROTOCOL, "the engine's answer: "},
		{"not-http", ERR_PROTOCOL, "the answer is not HTTP"},
		{"nothing", ERR_UNAVAILABLE, "the engine closed the connection"},
		{"huge", ERR_PROTOCOL, "longer than 1048576 bytes"},
		{"plain-http", ERR_PROTOCOL, "first record does not look like a TLS handshake"},
		{"garbage", ERR_PROTOCOL, "first record does not look like a TLS handshake"},
		{"end", ERR_UNAVAILABLE, "closed during the TLS handshake"},
	};
	FILES;

	make_usual_server(&f);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_probe_ struct probe p;
		probe_init(&p, &f, "127.0.0.1", serve(&f, cases[i].mode));
		assert_fails(&p, cases[i].code, cases[i].text);
		stop_server();
	}
}

static void test_stalls(void **state)
{
	static const char *const modes[] = {"silent", "half"};
	FILES;

	make_usual_server(&f);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		_cleanup_probe_ struct probe p;
		probe_init(&p, &f, "127.0.0.1", serve(&f, modes[i]));
		p.timeout_ms = SHORT_MS;
		assert_fails(&p, ERR_TIMEOUT, ": i/o timeout");
		stop_server();
	}
}

static void test_cancel(void **state)
{
	_cleanup_probe_ struct probe p;
	FILES;

	make_usual_server(&f);
	probe_init(&p, &f, "127.0.0.1", serve(&f, "silent"));
	cancel_soon();
	assert_fails(&p, ERR_CANCELED, "cancel");
}

static void test_wrong_ca(void **state)
{
	_cleanup_probe_ struct probe p;
	_cleanup_free_ char *other = other_ca();
	FILES;

	make_usual_server(&f);
	probe_init(&p, &f, "127.0.0.1", serve(&f, "length"));
	p.tls.ca = other;
	assert_fails(&p, ERR_AUTH, "x509: certificate signed by unknown authority");
	p.check_only = true;
	assert_fails(&p, ERR_AUTH, "x509: certificate signed by unknown authority");
	stop_server();
	/* and the other way round: the server does not know our CA */
	free(p.url);
	p.url = xasprintf(
		"tcp://127.0.0.1:%d", serve_at(0, f.server, f.server_key, other, "length"));
	p.tls.ca = f.ca;
	assert_fails(&p, ERR_AUTH, "remote error: tls: bad certificate");
}

static void test_times(void **state)
{
	static const struct {
		int days;
		const char *text;
	} cases[] = {{-CERT_DAYS - 1, " is after "}, {5, " is before "}};
	FILES;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_probe_ struct probe p;
		time_shift = DAYS(cases[i].days);
		make_usual_server(&f);
		time_shift = 0;
		probe_init(&p, &f, "127.0.0.1", serve(&f, "length"));
		assert_fails(&p, ERR_AUTH, "x509: certificate has expired or is not yet valid");
		assert_fails(&p, ERR_AUTH, cases[i].text);
		stop_server();
	}
}

static void test_wrong_host(void **state)
{
	static const char *const other[] = {"10.1.2.3", "fd00::1", "web.example.com"};
	_cleanup_probe_ struct probe p, by_name;
	FILES;

	make_server(&f, other, ARRAY_SIZE(other));
	int port = serve(&f, "length");
	probe_init(&p, &f, "127.0.0.1", port);
	assert_fails(
		&p, ERR_AUTH, "x509: certificate is valid for 10.1.2.3, fd00::1, not 127.0.0.1");
	probe_init(&by_name, &f, "localhost", port);
	assert_fails(&by_name, ERR_AUTH,
		"x509: certificate is valid for web.example.com, not localhost");
}

/* A client's certificate proves no server. */
static void test_purpose(void **state)
{
	_cleanup_probe_ struct probe p;
	FILES;

	assert_int_equal(
		run("sh", "-c",
			"printf 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=clientAuth' "
			">ext && openssl req -new -key key.pem -subj /O=s | openssl x509 "
			"-req -CA ca.pem -CAkey ca-key.pem -extfile ext -out server.pem",
			NULL),
		0);
	probe_init(&p, &f, "127.0.0.1", serve_at(0, f.server, f.client_key, f.ca, "length"));
	assert_fails(&p, ERR_AUTH, "x509: certificate specifies an incompatible key usage");
}

static void test_old_tls(void **state)
{
	_cleanup_probe_ struct probe p;
	FILES;

	make_usual_server(&f);
	probe_init(&p, &f, "127.0.0.1", serve(&f, "old-tls"));
	probe(&p);
	assert_int_equal(p.rc, -1);
	assert_true(p.err.code == ERR_UNAVAILABLE || p.err.code == ERR_PROTOCOL);
}

static int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static void test_no_server(void **state)
{
	_cleanup_probe_ struct probe p, u;
	FILES;
	int port = free_port();
	_cleanup_free_ char *text =
		xasprintf("dial tcp 127.0.0.1:%d: connect: connection refused", port);

	probe_init(&p, &f, "127.0.0.1", port);
	assert_fails(&p, ERR_UNAVAILABLE, text);
	free(p.url);
	p.url = xstrdup("tcp://nowhere");
	assert_fails(&p, ERR_USER, "HOST:PORT");
	probe_init(&u, &f, "", 0);
	free(u.url);
	u.url = xstrdup("unix:///var/run/docker.sock");
	assert_fails(&u, ERR_NOT_SUPPORTED, "unix://");
}

static void test_local_files(void **state)
{
	_cleanup_probe_ struct probe p;
	_cleanup_free_ char *text = NULL;
	FILES;

	make_usual_server(&f);
	probe_init(&p, &f, "127.0.0.1", serve(&f, "length"));
	assert_int_equal(unlink(f.client_key), 0);
	text = xasprintf("open %s: no such file or directory", f.client_key);
	assert_fails(&p, ERR_IO, text);
	write_text(f.client_key, "no key");
	assert_fails(&p, ERR_IO, f.client_key);
	write_text(f.ca, "");
	assert_fails(&p, ERR_IO, "There was an error reading certificate");
}

/* Many at once, half of them towards silence. */
static void test_many(void **state)
{
	struct probe p[20];
	unsigned good = 0, timed_out = 0;
	FILES;

	make_usual_server(&f);
	int port = serve(&f, "length");
	pid_t first = server_pid;
	int silent = serve(&f, "silent");
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		probe_init(&p[i], &f, "127.0.0.1", i % 2 ? silent : port);
		p[i].timeout_ms = i % 2 ? SHORT_MS : LONG_MS;
		co_spawn(loop, "probe", probe_flow, &p[i]);
	}
	loop_run(loop);
	stop_server();
	server_pid = first;
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		good += p[i].rc == 0;
		timed_out += p[i].err.code == ERR_TIMEOUT;
		probe_finish(&p[i]);
	}
	assert_int_equal(good, ARRAY_SIZE(p) / 2);
	assert_int_equal(timed_out, ARRAY_SIZE(p) / 2);
}

static void test_names(void **state)
{
	static const char *const sans[] = {
		"*.example.com", "Plain.Example.org", "*.", "*", "10.0.0.1", "::1"};
	static const struct {
		const char *host;
		bool fits;
	} cases[] = {
		{"a.example.com", true},
		{"A.EXAMPLE.COM", true},
		{"a.example.com.", true},
		{"a.b.example.com", false},
		{"example.com", false},
		{".example.com", false},
		{"plain.example.org", true},
		{"plain.example.or", false},
		{"plain.example.orgx", false},
		{"xplain.example.org", false},
		{"localhost", false},
		{"10.0.0.1", true},
		{"10.0.0.2", false},
		{"0:0:0:0:0:0:0:1", true},
		{"::ffff:10.0.0.1", true},
		{"::2", false},
		{"", false},
		{".", false},
	};
	_cleanup_err_ struct err err = ERR_INIT;
	mbedtls_x509_crt cert;
	FILES;

	make_server(&f, sans, ARRAY_SIZE(sans));
	mbedtls_x509_crt_init(&cert);
	assert_int_equal(tlsfile_cert(f.server, &cert, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err why = ERR_INIT;
		if ((engine_judge(&cert, 0, cases[i].host, &why) == 0) != cases[i].fits)
			fail_msg("%s: %s", cases[i].host, err_msg(&why));
	}
	mbedtls_x509_crt_free(&cert);
}

static void test_judge_texts(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	const char *many[40];
	mbedtls_x509_crt cert;
	FILES;

	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = "a.example.com";
	make_server(&f, many, ARRAY_SIZE(many));
	mbedtls_x509_crt_init(&cert);
	assert_int_equal(tlsfile_cert(f.server, &cert, &err), 0);
	assert_int_equal(engine_judge(&cert, 0, "b", &err), -1);
	assert_non_null(strstr(err_msg(&err), "a.example.com and 30 more, not b"));
	assert_int_equal(engine_judge(&cert, 0, "::1", &err), -1);
	assert_non_null(strstr(err_msg(&err), "doesn't contain any IP SANs"));
	assert_int_equal(engine_judge(&cert, 1u << 30, "a.example.com", &err), -1);
	assert_int_equal(err.code, ERR_AUTH);
	assert_int_equal(
		engine_judge(&cert, MBEDTLS_X509_BADCERT_EXPIRED, "a.example.com", &err), -1);
	assert_non_null(strstr(err_msg(&err), "(the CA's)"));
	mbedtls_x509_crt_free(&cert);
	_cleanup_free_ char *safe = engine_safe_text("a\x1b[0m\n\xff", 7);
	assert_string_equal(safe, "a?[0m??");
}

static void test_parse(void **state)
{
	static const struct {
		const char *text, *version; /* NULL: an error */
		bool complete;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\n\r\n{\"Version\":\"1\"}", "1", false},
		{"HTTP/1.0 200\r\n\r\n{\"Version\":\"1\"}", "1", false},
		{"HTTP/1.1 200 OK\r\ncontent-length:15\r\n\r\n{\"Version\":\"1\"}tail", "1", true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"Version\":\"1\"}", NULL, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{\"Version\":\"1\"}", NULL, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{\"Version\":\"1\"}", NULL, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}", NULL, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NULL, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nF\r\n{\"Version\":\"1\"}\r\n"
		 "0\r\n\r\n",
			"1", true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
		 "chunked\r\n\r\nF\r\n{\"Version\":\"1\"}\r\n",
			NULL, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nF\r\n{\"Version\":\"1\"}XX"
		 "0\r\n\r\n",
			NULL, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n", NULL,
			true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", NULL, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", NULL, true},
		{"HTTP/1.1 404 No\r\n\r\n{\"Version\":\"1\"}", NULL, false},
		{"HTTP/1.1 2x0 OK\r\n\r\n{\"Version\":\"1\"}", NULL, true},
		{"HTTP/1.1 200 OK\r\n\r\n{\"Version\":\"1\\u001b\"}", NULL, false},
		{"HTTP/1.1 200 OK\r\n\r\n{\"Version\":1}", NULL, false},
		{"HTTP/1.1 200 OK\r\n\r\n[]", NULL, false},
		{"HTTP/1.1 200 OK\r\n\r\n", NULL, false},
		{"HTTP/1.1\r\n\r\n", NULL, true},
		{"HTTP", NULL, false},
		{"SSH-2.0-OpenSSH\r\n", NULL, true},
		{"", NULL, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_free_ char *version = NULL;
		size_t len = strlen(cases[i].text);
		int rc = engine_parse_version(cases[i].text, len, &version, &err);
		if ((rc == 0) != !!cases[i].version ||
			(rc == 0 && !streq(version, cases[i].version)) ||
			engine_answer_complete(cases[i].text, len) != cases[i].complete)
			fail_msg("%zu: %s", i, rc < 0 ? err_msg(&err) : version);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, engine_setup, engine_teardown)
	const struct CMUnitTest tests[] = {
		T(test_answers),
		T(test_check_only),
		T(test_bad_answers),
		T(test_stalls),
		T(test_cancel),
		T(test_wrong_ca),
		T(test_times),
		T(test_wrong_host),
		T(test_purpose),
		T(test_old_tls),
		T(test_no_server),
		T(test_local_files),
		T(test_many),
		T(test_names),
		T(test_judge_texts),
		T(test_parse),
	};

	return cmocka_run_group_tests(tests, stock_setup, stock_teardown);
}
