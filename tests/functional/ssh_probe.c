/*
 * Drives the SSH layer for tests/lib/sshprobe.py:
 *
 *   ssh_probe [--native] [--strict] [--host-key KEY]... [--deadline MS] [--cancel MS] [--input
 * FILE] [--lines]
 *             [--flood N] [--args] HOST PORT USER KEY KNOWN_HOSTS COMMAND...
 *
 * Runs the commands one after the other on one connection and prints a line for each: "exit STATUS
 * SIGNAL CUT OUT ERR" with the outputs in hexadecimal ("-": empty), or "error CODE RETRY MESSAGE".
 * --cancel counts from the moment the connection stands. "-" stands for an empty argument.
 */
#include "mem.h"
#include "ssh.h"
#include "strv.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

struct probe {
	struct ssh_target target;
	unsigned deadline_ms, cancel_ms;
	bool lines;
	struct buf input;
	struct strv host_keys;
	char **commands;
	uv_timer_t cancel;
	struct co *co;
	bool cancel_closed;
};

static const char *code_name(enum err_code code)
{
	static const char *const names[] = {
		[ERR_INTERNAL] = "INTERNAL",
		[ERR_USER] = "USER",
		[ERR_AUTH] = "AUTH",
		[ERR_NOT_FOUND] = "NOT_FOUND",
		[ERR_UNAVAILABLE] = "UNAVAILABLE",
		[ERR_TIMEOUT] = "TIMEOUT",
		[ERR_CANCELED] = "CANCELED",
		[ERR_IO] = "IO",
	};

	return code < ARRAY_SIZE(names) && names[code] ? names[code] : "OTHER";
}

static void print_hex(const struct buf *b)
{
	static const char digits[] = "0123456789abcdef";

	putchar(' ');
	if (!b->len)
		putchar('-');
	for (size_t i = 0; i < b->len; i++) {
		putchar(digits[(unsigned char)b->data[i] >> 4]);
		putchar(digits[(unsigned char)b->data[i] & 15]);
	}
}

static void print_error(const struct err *e)
{
	printf("error %s %s\n", code_name(e->code), err_msg(e));
	fflush(stdout);
}

static void print_line(void *userdata, const char *line)
{
	(void)userdata;
	printf("line %s\n", line);
	fflush(stdout);
}

static void on_cancel(uv_timer_t *t)
{
	struct probe *p = t->data;

	co_cancel(p->co);
}

static void on_closed(uv_handle_t *h)
{
	struct probe *p = h->data;

	p->cancel_closed = true;
	co_wake(p->co);
}

static int run_one(struct co *co, struct probe *p, struct ssh *s, const char *command)
{
	_cleanup_err_ struct err e = ERR_INIT;
	struct ssh_result r = {0};

	if (ssh_exec(co, s, command, p->input.data, p->input.len, &r, &e) < 0) {
		print_error(&e);
		return -1;
	}
	printf("exit %d %s %d", r.exit_status, r.signal ? r.signal : "-", r.truncated);
	print_hex(&r.out);
	print_hex(&r.errout);
	putchar('\n');
	fflush(stdout);
	ssh_result_finish(&r);
	return 0;
}

static void run_all(struct co *co, struct probe *p)
{
	_cleanup_err_ struct err e = ERR_INIT;
	struct ssh *s;

	if (ssh_open(co, &p->target, &s, &e) < 0) {
		print_error(&e);
		return;
	}
	printf("backend %s\n", ssh_backend(s));
	fflush(stdout);
	if (p->cancel_ms)
		uv_timer_start(&p->cancel, on_cancel, p->cancel_ms, 0);
	if (p->lines)
		ssh_on_line(s, print_line, NULL);
	for (char **c = p->commands; *c; c++)
		run_one(co, p, s, *c);
	ssh_close(co, s);
}

static void probe(struct co *co, void *arg)
{
	struct probe *p = arg;
	struct co_deadline d;

	p->co = co;
	uv_timer_init(loop_uv(co_loop(co)), &p->cancel);
	p->cancel.data = p;
	co_deadline_begin(co, &d, p->deadline_ms);
	run_all(co, p);
	co_deadline_end(co, &d);
	uv_close((uv_handle_t *)&p->cancel, on_closed);
	co_mask(co);
	while (!p->cancel_closed)
		co_wait(co);
	co_unmask(co);
}

static void read_input(const char *path, struct buf *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	while (fd >= 0 && (n = read(fd, buf_reserve(ret, 65536), 65536)) > 0)
		ret->len += (size_t)n;
}

static char *given(char *arg)
{
	return streq(arg, "-") ? NULL : arg;
}

static int print_args(const struct ssh_target *t)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_strv_ struct strv argv = STRV_INIT;

	if (ssh_client_check(t, &e) < 0) {
		print_error(&e);
		return 1;
	}
	ssh_client_args(t, &argv);
	for (size_t i = 0; i < argv.n; i++)
		puts(argv.items[i]);
	return 0;
}

struct terminal {
	const struct ssh_target *target;
	char **words;
	int status;
};

static void run_terminal(struct co *co, void *arg)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_strv_ struct strv words = STRV_INIT;
	struct terminal *t = arg;

	for (char **w = t->words; *w; w++)
		strv_add(&words, *w);
	if (ssh_interactive_native(co, t->target, &words, &t->status, &e) < 0) {
		fprintf(stderr, "error %s %s\n", code_name(e.code), err_msg(&e));
		t->status = 254;
	}
}

enum {
	OPT_NATIVE = 1,
	OPT_STRICT,
	OPT_HOST_KEY,
	OPT_DEADLINE,
	OPT_CANCEL,
	OPT_INPUT,
	OPT_LINES,
	OPT_ARGS,
	OPT_TERMINAL
};

static const struct option options[] = {
	{"native", no_argument, NULL, OPT_NATIVE},
	{"strict", no_argument, NULL, OPT_STRICT},
	{"host-key", required_argument, NULL, OPT_HOST_KEY},
	{"deadline", required_argument, NULL, OPT_DEADLINE},
	{"cancel", required_argument, NULL, OPT_CANCEL},
	{"input", required_argument, NULL, OPT_INPUT},
	{"lines", no_argument, NULL, OPT_LINES},
	{"args", no_argument, NULL, OPT_ARGS},
	{"terminal", no_argument, NULL, OPT_TERMINAL},
	{NULL, 0, NULL, 0},
};

static bool parse(int argc, char **argv, struct probe *p, int *mode)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (opt) {
		case OPT_NATIVE:
			p->target.native = true;
			break;
		case OPT_STRICT:
			p->target.strict = true;
			break;
		case OPT_HOST_KEY:
			strv_add(&p->host_keys, optarg);
			break;
		case OPT_DEADLINE:
			p->deadline_ms = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case OPT_CANCEL:
			p->cancel_ms = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case OPT_INPUT:
			read_input(optarg, &p->input);
			break;
		case OPT_LINES:
			p->lines = true;
			break;
		case OPT_ARGS:
		case OPT_TERMINAL:
			*mode = opt;
			break;
		default:
			return false;
		}
	}
	if (argc - optind < 5)
		return false;
	p->target.machine = "Web1";
	p->target.host = argv[optind];
	p->target.port = (int)strtol(argv[optind + 1], NULL, 10);
	p->target.user = given(argv[optind + 2]);
	p->target.key_path = given(argv[optind + 3]);
	p->target.known_hosts = given(argv[optind + 4]);
	p->target.host_keys = p->host_keys.items;
	p->commands = argv + optind + 5;
	return true;
}

int main(int argc, char **argv)
{
	_cleanup_err_ struct err e = ERR_INIT;
	struct probe p = {0};
	struct loop *loop;
	int mode = 0, status = 0;

	if (!parse(argc, argv, &p, &mode)) {
		fprintf(stderr, "usage: see ssh_probe.c\n");
		return 2;
	}
	log_set_debug(getenv("PROBE_DEBUG") != NULL);
	if (mode == OPT_ARGS)
		return print_args(&p.target);
	if (loop_new(&loop, &e) < 0)
		return 2;
	struct terminal t = {.target = &p.target, .words = p.commands};
	if (mode == OPT_TERMINAL)
		co_spawn(loop, "terminal", run_terminal, &t);
	else
		co_spawn(loop, "probe", probe, &p);
	loop_run(loop);
	loop_free(loop);
	status = mode == OPT_TERMINAL ? t.status : 0;
	buf_finish(&p.input);
	strv_finish(&p.host_keys);
	return status;
}
