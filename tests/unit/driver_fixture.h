/*
 * For tests of driver.h: a run opens the fake driver (or a script in its place), does what the test
 * asks of it, and closes it.
 */
#pragma once

#include "driver.h"
#include "host_fixture.h"

struct run {
	const char *config;
	const char *script; /* instead of the fake */
	const char *state;  /* of the machines */
	void (*body)(struct co *co, struct run *r);
	struct driver_options opt;
	struct driver *d;
	struct co *co;
	int result;
	struct err err;
	size_t n;
	struct machine_ref *refs;
	struct machine_report *reports;
	size_t n_settled;
	struct json *out;
	struct driver_outcome outcome;
	unsigned calls, failures;
	uint64_t took;
	bool opened;
};

static inline void flow(struct co *co, void *arg)
{
	struct run *r = arg;
	_cleanup_free_ char *file = r->script ? write_file("machine-driver-fake", r->script, 0755)
					      : fake_driver("machine-driver-fake", r->config);
	uint64_t begin = loop_now(loop);

	r->co = co;
	r->opt.file = file;
	r->result = driver_open(co, "fake", &r->opt, &r->d, &r->err);
	r->opened = r->result == 0;
	if (r->opened && r->body)
		r->body(co, r);
	r->took = loop_now(loop) - begin;
	if (r->opened)
		driver_close(co, r->d);
	r->opt.file = NULL;
}

static inline void run(struct run *r)
{
	co_spawn(loop, "flow", flow, r);
	loop_run(loop);
	assert_no_child();
}

static inline void finish(struct run *r)
{
	for (size_t i = 0; r->reports && i < r->n; i++)
		machine_report_finish(&r->reports[i]);
	for (size_t i = 0; r->refs && i < r->n; i++) {
		free((char *)(uintptr_t)r->refs[i].name);
		json_free((struct json *)(uintptr_t)r->refs[i].state);
	}
	free(r->reports);
	free(r->refs);
	json_free(r->out);
	driver_outcome_finish(&r->outcome);
	err_finish(&r->err);
}

static inline void make_machines(struct run *r, size_t n)
{
	r->n = n;
	r->refs = xcalloc(n, sizeof(*r->refs));
	r->reports = xcalloc(n, sizeof(*r->reports));
	for (size_t i = 0; i < n; i++)
		r->refs[i] = (struct machine_ref){xasprintf("m%zu", i), "", "/nowhere/m",
			"/nowhere", r->state ? parse(r->state) : json_object()};
}

static inline void on_report(void *ud, size_t i)
{
	((struct run *)ud)->n_settled++;
}

static inline void ask_states(struct co *co, struct run *r)
{
	r->result = driver_states(co, r->d, r->refs, r->n, r->reports, on_report, r, &r->err);
}

/* Its answer, whatever it is, is in out. */
static inline void echo_env(struct co *co, struct run *r)
{
	_cleanup_json_ struct json *flags = json_object();
	struct machine_ref m = {"m", "", "", "", NULL};

	r->result = driver_configure(co, r->d, &m, flags, &r->out, &r->err);
}
