/*
 * For tests of the engine probe: a loop, certificates of its server, the server itself
 * (tls_server.py), and one question to it.
 */
#pragma once

#include "cert_fixture.h"

#include "engine_priv.h"

#include <signal.h>
#include <sys/prctl.h>

#define LONG_MS 60000u
#define SHORT_MS 400u

static struct loop *loop;
static pid_t server_pid;

static inline void make_server(const struct files *f, const char *const *hosts, size_t n)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct cert_server s = {.ca = f->ca,
		.ca_key = f->ca_key,
		.cert = f->server,
		.key = f->server_key,
		.organization = "me.web1",
		.hosts = hosts,
		.n_hosts = n};

	assert_int_equal(cert_make_server(&s, &err), 0);
}

static inline void make_usual_server(const struct files *f)
{
	static const char *const hosts[] = {"127.0.0.1", "localhost", "10.1.2.3"};

	make_server(f, hosts, ARRAY_SIZE(hosts));
}

/* Starts the server, on a port or (0) a free one; its port. */
static inline int serve_at(
	int port, const char *cert, const char *key, const char *client_ca, const char *mode)
{
	_cleanup_free_ char *at = port ? xasprintf("%d", port) : NULL;
	int out[2];

	assert_int_equal(pipe(out), 0);
	server_pid = fork();
	if (server_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		execlp("python3", "python3", SOURCE_ROOT "/tests/unit/tls_server.py", cert, key,
			client_ca, mode, at, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	FILE *from = fdopen(out[0], "r");
	assert_int_equal(fscanf(from, "%d", &port), 1);
	fclose(from);
	return port;
}

static inline int serve(const struct files *f, const char *mode)
{
	return serve_at(0, f->server, f->server_key, f->ca, mode);
}

static inline void stop_server(void)
{
	if (server_pid > 0) {
		kill(server_pid, SIGKILL);
		waitpid(server_pid, NULL, 0);
	}
	server_pid = 0;
}

static inline int engine_setup(void **state)
{
	struct err err = ERR_INIT;

	return dir_setup(state) < 0 ? -1 : loop_new(&loop, &err);
}

static inline int engine_teardown(void **state)
{
	stop_server();
	loop_free(loop);
	return dir_teardown(state);
}

struct probe {
	struct engine_tls tls;
	char *url;
	uint64_t timeout_ms;
	bool check_only;
	int rc;
	char *version;
	struct err err;
};

static inline void probe_init(struct probe *p, const struct files *f, const char *host, int port)
{
	*p = (struct probe){.tls = {f->ca, f->client, f->client_key}, .timeout_ms = LONG_MS};
	p->url = xasprintf("tcp://%s:%d", host, port);
}

static inline void probe_finish(struct probe *p)
{
	free(p->url);
	free(p->version);
	err_finish(&p->err);
}
#define _cleanup_probe_ __attribute__((cleanup(probe_finish)))

static inline void probe_flow(struct co *co, void *arg)
{
	struct probe *p = arg;

	p->rc = p->check_only
			? engine_check_tls(co, p->url, &p->tls, p->timeout_ms, &p->err)
			: engine_version(co, p->url, &p->tls, p->timeout_ms, &p->version, &p->err);
}

static inline void probe(struct probe *p)
{
	co_spawn(loop, "probe", probe_flow, p);
	loop_run(loop);
}

static inline void assert_fails(struct probe *p, enum err_code code, const char *text)
{
	probe(p);
	assert_int_equal(p->rc, -1);
	assert_null(p->version);
	if (p->err.code != code || !strstr(err_msg(&p->err), text))
		fail_msg("%d: %s", (int)p->err.code, err_msg(&p->err));
	err_finish(&p->err);
}

static inline void canceller(struct co *co, void *arg)
{
	co_sleep(co, SHORT_MS / 2);
	loop_cancel_all(loop);
}

/* Interrupts what the next probe waits for. */
static inline void cancel_soon(void)
{
	co_spawn(loop, "canceller", canceller, NULL);
}

/* The certificate of another CA, of the same name: the signature decides. malloc'ed path. */
static inline char *other_ca(void)
{
	assert_int_equal(run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
				 "other-key.pem", "-out", "other.pem", "-subj", "/O=me", NULL),
		0);
	return in_dir("other.pem");
}
