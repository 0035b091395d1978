/* Tickets: when a session is resumed, and that nothing about a ticket ever changes a result. */
#include "engine_fixture.h"

#include "engine_ticket.h"

#include <dlfcn.h>

#define HOUR 3600

static unsigned held_ms; /* the process does not run for so long, when the peer has gone */

/* In the place of the C library's. */
ssize_t recv(int fd, void *data, size_t n, int flags)
{
	static ssize_t (*real)(int, void *, size_t, int);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "recv");
	ssize_t r = real(fd, data, n, flags);
	int failed = errno;
	if (held_ms && (r == 0 || (r < 0 && failed != EAGAIN))) {
		usleep(held_ms * 1000);
		held_ms = 0;
	}
	errno = failed;
	return r;
}

/* The ticket of one client, and what it asks. */
struct client {
	struct probe probe;
	struct engine_ticket ticket;
};

static void client_init(struct client *c, const struct files *f, const char *host, int port)
{
	*c = (struct client){0};
	probe_init(&c->probe, f, host, port);
}

static void client_finish(struct client *c)
{
	probe_finish(&c->probe);
	free(c->ticket.data);
}
#define _cleanup_client_ __attribute__((cleanup(client_finish)))

/* Asks; how the handshake went, for the server to tell, and whether the ticket is another now. */
static void assert_session(struct client *c, const char *kind, bool changed)
{
	c->probe.tls.ticket = &c->ticket;
	c->ticket.changed = false;
	probe(&c->probe);
	if (c->probe.rc < 0)
		fail_msg("%s", err_msg(&c->probe.err));
	assert_string_equal(c->probe.version, kind);
	assert_int_equal(c->ticket.changed, changed);
	assert_non_null(c->ticket.data);
	free(c->probe.version);
	c->probe.version = NULL;
}

static void assert_no_session(struct client *c, enum err_code code, const char *text)
{
	c->probe.tls.ticket = &c->ticket;
	c->ticket.changed = false;
	assert_fails(&c->probe, code, text);
}

static struct engine_ticket copy_of(const struct engine_ticket *t)
{
	struct engine_ticket copy = {.len = t->len, .data = xmalloc(t->len + 1)};

	memcpy(copy.data, t->data, t->len);
	return copy;
}

static void test_resumes(void **state)
{
	_cleanup_client_ struct client c;
	FILES;

	make_usual_server(&f);
	client_init(&c, &f, "127.0.0.1", serve(&f, "session"));
	assert_session(&c, "whole", true);
	for (int i = 0; i < 3; i++)
		assert_session(&c, "resumed", false);
	c.probe.check_only = true;
	c.ticket.changed = false;
	probe(&c.probe);
	assert_int_equal(c.probe.rc, 0);
	assert_false(c.ticket.changed);
	c.probe.check_only = false;
	c.probe.tls.ticket = NULL; /* who has none goes the whole way */
	probe(&c.probe);
	assert_string_equal(c.probe.version, "whole");
}

/* With other words of the same meaning as well: what was not seen then is not known now. */
static void test_bound_to_files(void **state)
{
	FILES;
	const char *const files[] = {f.ca, f.client, f.client_key};

	make_usual_server(&f);
	int port = serve(&f, "session");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_client_ struct client c;
		client_init(&c, &f, "127.0.0.1", port);
		assert_session(&c, "whole", true);
		assert_session(&c, "resumed", false);
		_cleanup_free_ char *text = read_text(files[i]);
		_cleanup_free_ char *more = xasprintf("%s\n", text);
		write_text(files[i], more);
		assert_session(&c, "whole", true);
		write_text(files[i], text);
		assert_session(&c, "whole", true);
	}
}

static void test_bound_to_address(void **state)
{
	_cleanup_client_ struct client c;
	FILES;

	make_usual_server(&f);
	client_init(&c, &f, "127.0.0.1", serve(&f, "session"));
	assert_session(&c, "whole", true);
	_cleanup_free_ char *url = c.probe.url;
	const char *port = strrchr(url, ':');
	c.probe.url = xasprintf("tcp://localhost%s", port);
	assert_session(&c, "whole", true);
	assert_session(&c, "resumed", false);
}

/* The files are looked at before anything is resumed. */
static void test_missing_files(void **state)
{
	_cleanup_client_ struct client c;
	FILES;

	make_usual_server(&f);
	client_init(&c, &f, "127.0.0.1", serve(&f, "session"));
	assert_session(&c, "whole", true);
	assert_int_equal(rename(f.client_key, f.server), 0);
	assert_no_session(&c, ERR_IO, "key.pem: no such file or directory");
	write_text(f.client_key, "no key");
	assert_no_session(&c, ERR_IO, "There was an error reading the key");
	assert_int_equal(rename(f.server, f.client_key), 0);
	write_text(f.ca, "no CA");
	assert_no_session(&c, ERR_IO, "There was an error reading certificate");
}

/* The CA is another: the server was good, and is not any more. */
static void test_other_ca(void **state)
{
	_cleanup_client_ struct client c;
	_cleanup_free_ char *other = other_ca();
	FILES;

	make_usual_server(&f);
	client_init(&c, &f, "127.0.0.1", serve(&f, "session"));
	assert_session(&c, "whole", true);
	assert_int_equal(rename(other, f.ca), 0);
	assert_no_session(&c, ERR_AUTH, "x509: certificate signed by unknown authority");
}

/* A new process knows no old sessions; nor does one with another certificate. */
static void test_engine_restarted(void **state)
{
	static const char *const elsewhere[] = {"10.9.8.7"};
	_cleanup_client_ struct client c;
	FILES;

	make_usual_server(&f);
	int port = serve(&f, "session");
	client_init(&c, &f, "127.0.0.1", port);
	assert_session(&c, "whole", true);
	stop_server();
	serve_at(port, f.server, f.server_key, f.ca, "session");
	assert_session(&c, "whole", true);
	assert_session(&c, "resumed", false);
	stop_server();
	make_server(&f, elsewhere, ARRAY_SIZE(elsewhere));
	serve_at(port, f.server, f.server_key, f.ca, "session");
	assert_no_session(&c, ERR_AUTH, "x509: certificate is valid for 10.9.8.7, not 127.0.0.1");
	assert_true(c.ticket.changed); /* and the ticket is gone */
	assert_null(c.ticket.data);
}

static void test_age(void **state)
{
	static const struct {
		time_t shift;
		const char *kind;
	} cases[] = {
		{TICKET_MAX_AGE_S - HOUR, "resumed"}, {TICKET_MAX_AGE_S + HOUR, "whole"},
		{-60, "whole"}, /* it is from the future */
	};
	_cleanup_client_ struct client c;
	FILES;

	time_shift = -DAYS(2); /* the certificates are good before and after */
	make_usual_server(&f);
	time_shift = 0;
	client_init(&c, &f, "127.0.0.1", serve(&f, "session"));
	assert_session(&c, "whole", true);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct engine_ticket first = copy_of(&c.ticket);
		time_shift = cases[i].shift;
		assert_session(&c, cases[i].kind, *cases[i].kind == 'w');
		time_shift = 0;
		free(c.ticket.data);
		c.ticket = first;
	}
}

/* Within the ticket's day the server's certificate ends: the server itself would not mind. */
static void test_certificate_ends(void **state)
{
	_cleanup_client_ struct client c;
	FILES;

	time_shift = -DAYS(CERT_DAYS) + HOUR;
	make_usual_server(&f);
	time_shift = 0;
	client_init(&c, &f, "127.0.0.1", serve(&f, "session"));
	assert_session(&c, "whole", true);
	time_shift = 2 * HOUR;
	assert_no_session(&c, ERR_AUTH, "x509: certificate has expired or is not yet valid");
	time_shift = 0;
	assert_session(&c, "resumed", false);
}

/* The same of our own certificate: whether it will still do is the server's to say. */
static void test_client_ends(void **state)
{
	_cleanup_client_ struct client c;
	_cleanup_err_ struct err err = ERR_INIT;
	struct cert_report report;
	FILES;

	make_usual_server(&f);
	assert_int_equal(unlink(f.client), 0);
	assert_int_equal(unlink(f.client_key), 0);
	time_shift = -DAYS(CERT_DAYS) + HOUR;
	assert_int_equal(cert_bootstrap(&f.paths, "me", false, &report, &err), 0);
	time_shift = 0;
	client_init(&c, &f, "127.0.0.1", serve(&f, "session"));
	assert_session(&c, "whole", true);
	assert_session(&c, "resumed", false);
	time_shift = 2 * HOUR;
	assert_session(&c, "whole", true);
	time_shift = 0;
}

static void test_garbled(void **state)
{
	_cleanup_client_ struct client c;
	FILES;

	make_usual_server(&f);
	client_init(&c, &f, "127.0.0.1", serve(&f, "session"));
	assert_session(&c, "whole", true);
	for (unsigned i = 0; i < 12; i++) {
		size_t half = c.ticket.len / 2;
		switch (i) {
		case 0:
			c.ticket.len = 0; /* an empty file */
			break;
		case 1:
			c.ticket.len = 7;
			break;
		case 2:
			c.ticket.len = half;
			break;
		case 3:
			c.ticket.len--;
			break;
		case 4:
			c.ticket.data = xrealloc(c.ticket.data, ENGINE_MAX_TICKET + 1, 1);
			memset(c.ticket.data + half, 0, ENGINE_MAX_TICKET + 1 - half);
			c.ticket.len = ENGINE_MAX_TICKET + 1;
			break;
		default:
			c.ticket.data[(i - 5) * (c.ticket.len - 1) / 6] ^= 0x10;
		}
		assert_session(&c, "whole", true);
		assert_session(&c, "resumed", false);
	}
}

/* Engines that do not bear a ticket are asked without; one that is slow about it, the next time. */
static void test_engine_dislikes_tickets(void **state)
{
	FILES;
	_cleanup_client_ struct client drops, stalls, mute;

	make_usual_server(&f);
	client_init(&drops, &f, "127.0.0.1", serve(&f, "drops-tickets"));
	assert_session(&drops, "whole", true);
	assert_session(&drops, "whole", true);
	stop_server();

	client_init(&stalls, &f, "127.0.0.1", serve(&f, "stalls-tickets"));
	assert_session(&stalls, "whole", true);
	stalls.probe.timeout_ms = SHORT_MS;
	assert_no_session(&stalls, ERR_TIMEOUT, "i/o timeout");
	assert_true(stalls.ticket.changed);
	assert_null(stalls.ticket.data);
	stalls.probe.timeout_ms = LONG_MS;
	assert_session(&stalls, "whole", true);
	stop_server();

	client_init(&mute, &f, "127.0.0.1", serve(&f, "mute-resumed"));
	assert_session(&mute, "whole", true);
	assert_session(&mute, "whole", true);
	mute.ticket.changed = false;
	mute.probe.check_only = true; /* nothing is asked, so nobody sees that it is mute */
	probe(&mute.probe);
	assert_int_equal(mute.probe.rc, 0);
	assert_false(mute.ticket.changed);
}

/* The first attempt has used up the time: the second is not given more, and not for ever. */
static void test_no_time_for_another(void **state)
{
	_cleanup_client_ struct client c;
	FILES;

	make_usual_server(&f);
	client_init(&c, &f, "127.0.0.1", serve(&f, "drops-and-hides"));
	assert_session(&c, "whole", true);
	c.probe.timeout_ms = SHORT_MS;
	held_ms = SHORT_MS + 100;
	assert_no_session(&c, ERR_TIMEOUT, "dial tcp ");
	assert_int_equal(held_ms, 0);
	assert_null(c.ticket.data);
}

/* While the ticket's certificate has ended, its engine has been given another. */
static void test_certificate_renewed(void **state)
{
	_cleanup_client_ struct client c;
	FILES;

	time_shift = -DAYS(CERT_DAYS) + HOUR;
	make_usual_server(&f);
	time_shift = 0;
	int port = serve(&f, "session");
	client_init(&c, &f, "127.0.0.1", port);
	assert_session(&c, "whole", true);
	stop_server();
	make_usual_server(&f);
	serve_at(port, f.server, f.server_key, f.ca, "session");
	time_shift = 2 * HOUR;
	assert_session(&c, "whole", true);
	assert_session(&c, "resumed", false);
	time_shift = 0;
}

/* An engine that takes no old session may agree on less than it did then. */
static void test_other_terms(void **state)
{
	_cleanup_client_ struct client c;
	FILES;

	make_usual_server(&f);
	int port = serve(&f, "cbc");
	client_init(&c, &f, "127.0.0.1", port);
	assert_session(&c, "whole", true);
	assert_session(&c, "resumed", false);
	stop_server();
	serve_at(port, f.server, f.server_key, f.ca, "cbc-no-etm");
	assert_session(&c, "whole", true);
	assert_session(&c, "resumed", false);
}

/* Whoever is interrupted has learnt nothing about the ticket. */
static void test_cancelled(void **state)
{
	_cleanup_client_ struct client c;
	FILES;

	make_usual_server(&f);
	client_init(&c, &f, "127.0.0.1", serve(&f, "stalls-tickets"));
	assert_session(&c, "whole", true);
	cancel_soon();
	assert_no_session(&c, ERR_CANCELED, "cancel");
	assert_false(c.ticket.changed);
	assert_non_null(c.ticket.data);
}

/* Nothing of the session or of the key can be read in it. */
static void test_sealed(void **state)
{
	static const struct ticket_part parts[] = {{"a", 1}, {"bc", 2}},
					others[] = {{"ab", 2}, {"c", 1}};
	_cleanup_client_ struct client c;
	unsigned char key[TICKET_KEY_SIZE], same[TICKET_KEY_SIZE], other[TICKET_KEY_SIZE];
	FILES;

	assert_true(ticket_key(parts, 2, key) && ticket_key(parts, 2, same) &&
		    ticket_key(others, 2, other));
	assert_memory_equal(key, same, sizeof(key));
	assert_memory_not_equal(key, other, sizeof(key));

	make_usual_server(&f);
	client_init(&c, &f, "127.0.0.1", serve(&f, "session"));
	assert_session(&c, "whole", true);
	assert_null(memmem(c.ticket.data, c.ticket.len, "me.web1", 7)); /* the server's name */
	struct engine_ticket first = copy_of(&c.ticket);
	free(c.ticket.data);
	c.ticket = (struct engine_ticket){0};
	assert_session(&c, "whole", true);
	assert_memory_not_equal(first.data + 8, c.ticket.data + 8, 24); /* no nonce twice */
	free(first.data);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, engine_setup, engine_teardown)
	const struct CMUnitTest tests[] = {
		T(test_resumes),
		T(test_bound_to_files),
		T(test_bound_to_address),
		T(test_missing_files),
		T(test_other_ca),
		T(test_engine_restarted),
		T(test_age),
		T(test_certificate_ends),
		T(test_client_ends),
		T(test_garbled),
		T(test_engine_dislikes_tickets),
		T(test_no_time_for_another),
		T(test_certificate_renewed),
		T(test_other_terms),
		T(test_cancelled),
		T(test_sealed),
	};

	return cmocka_run_group_tests(tests, stock_setup, stock_teardown);
}
