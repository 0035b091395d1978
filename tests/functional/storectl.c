/*
 * Drives the store's interface from the shell, for tests of faults and of many processes.
 *
 *   storectl STORE ensure | list | sweep
 *   storectl STORE claim NAME VALUE | save NAME VALUE | load NAME | remove NAME
 *   storectl STORE step NAME STEP | complete NAME
 *   storectl STORE lock NAME TIMEOUT_MS   "-" is the certificates; prints "locked", holds to the
 * end of standard input storectl STORE count NAME N           N times, under the lock: adds 1 to
 * the machine's number storectl STORE hammer SEED ROUNDS     does anything with five machines; ends
 * with 2 when a promise of the store is broken
 *
 * A machine's state is {"First": VALUE, "Padding": …, "Last": VALUE}: a torn write would show.
 */
#include "buf.h"
#include "log.h"
#include "mem.h"
#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ID "0123456789abcdef0123456789abcdef"
#define PADDING 3000
#define BROKEN 2

struct call {
	struct store *store;
	char **args; /* of the command, NULL-terminated */
	int status;
};

static struct json *state_of(const char *value)
{
	struct json *o = json_object();
	struct buf padding = BUF_INIT;

	for (size_t i = 0; i < PADDING; i++)
		buf_addc(&padding, *value ? *value : '-');
	json_set_str(o, "First", value);
	json_set_str(o, "Padding", buf_str(&padding));
	json_set_str(o, "Last", value);
	buf_finish(&padding);
	return o;
}

static const char *value_of(const struct record *r)
{
	const struct json *state = record_driver_state(r);
	const char *first = json_str(json_get(state, "First"), "?");

	return streq(first, json_str(json_get(state, "Last"), "")) ? first : NULL;
}

static int do_claim(struct co *co, struct call *c, struct err *err)
{
	struct record *r = record_new(c->args[0], "none", state_of(c->args[1]),
		record_default_host_options(c->store, c->args[0]), ID);
	int rc = record_claim(c->store, r, err);

	record_free(r);
	return rc;
}

/* Loads, changes and saves under the lock. */
static int change(struct co *co, struct store *s, const char *name,
	void (*fn)(struct record *r, const char *arg), const char *arg, struct err *err)
{
	struct store_lock *lock;
	struct record *r = NULL;

	if (store_lock(co, s, name, 0, &lock, err) < 0)
		return -1;
	int rc = record_load(s, name, &r, err);
	if (rc == 0) {
		fn(r, arg);
		rc = record_save(s, r, err);
	}
	record_free(r);
	store_unlock(lock);
	return rc;
}

static void set_value(struct record *r, const char *value)
{
	record_set_driver_state(r, state_of(value));
}

static void add_one(struct record *r, const char *unused)
{
	_cleanup_free_ char *next = xasprintf("%ld", strtol(value_of(r), NULL, 10) + 1);

	set_value(r, next);
}

static void complete(struct record *r, const char *unused)
{
	record_complete(r);
}

static int do_save(struct co *co, struct call *c, struct err *err)
{
	return change(co, c->store, c->args[0], set_value, c->args[1], err);
}

static int do_step(struct co *co, struct call *c, struct err *err)
{
	return change(co, c->store, c->args[0], record_step_mark, c->args[1], err);
}

static int do_complete(struct co *co, struct call *c, struct err *err)
{
	return change(co, c->store, c->args[0], complete, NULL, err);
}

static int do_count(struct co *co, struct call *c, struct err *err)
{
	for (long n = strtol(c->args[1], NULL, 10); n > 0; n--)
		if (change(co, c->store, c->args[0], add_one, NULL, err) < 0)
			return -1;
	return 0;
}

static int do_load(struct co *co, struct call *c, struct err *err)
{
	_cleanup_record_ struct record *r = NULL;

	if (record_load(c->store, c->args[0], &r, err) < 0)
		return -1;
	const char *value = value_of(r);
	printf("%s%s\n", value ? value : "torn", record_is_complete(r) ? " complete" : "");
	return 0;
}

static int do_list(struct co *co, struct call *c, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;

	if (store_list(c->store, &names, err) < 0)
		return -1;
	strv_foreach (name, &names)
		printf("%s\n", name);
	return 0;
}

static int remove_one(struct co *co, struct store *s, const char *name, struct err *err)
{
	struct store_lock *lock;

	if (store_lock(co, s, name, 0, &lock, err) < 0)
		return -1;
	int rc = store_remove(s, name, err);
	store_unlock(lock);
	return rc;
}

static int do_remove(struct co *co, struct call *c, struct err *err)
{
	return remove_one(co, c->store, c->args[0], err);
}

static int do_ensure(struct co *co, struct call *c, struct err *err)
{
	return store_ensure(c->store, err);
}

static int do_sweep(struct co *co, struct call *c, struct err *err)
{
	store_sweep(c->store);
	return 0;
}

static int do_lock(struct co *co, struct call *c, struct err *err)
{
	const char *name = streq(c->args[0], "-") ? NULL : c->args[0];
	struct store_lock *lock;
	char byte;

	if (store_lock(co, c->store, name, strtoull(c->args[1], NULL, 10), &lock, err) < 0)
		return -1;
	printf("locked\n");
	fflush(stdout);
	while (co_fd(co, STDIN_FILENO, UV_READABLE, 0, NULL) == 0 &&
		read(STDIN_FILENO, &byte, 1) > 0)
		;
	store_unlock(lock);
	return 0;
}

/* Errors that a store in use by others may well give. */
static bool is_expected(const struct err *e)
{
	return e->code == ERR_NOT_FOUND || e->code == ERR_EXISTS;
}

static bool check_loads(struct call *c, const char *name)
{
	_cleanup_record_ struct record *r = NULL;
	_cleanup_err_ struct err e = ERR_INIT;

	if (record_load(c->store, name, &r, &e) == 0)
		return value_of(r) != NULL;
	if (is_expected(&e))
		return true;
	fprintf(stderr, "load %s: %s\n", name, err_msg(&e));
	return false;
}

static bool check_all(struct call *c)
{
	_cleanup_strv_ struct strv names = STRV_INIT;
	_cleanup_err_ struct err e = ERR_INIT;

	if (store_list(c->store, &names, &e) < 0)
		return false;
	strv_foreach (name, &names)
		if (!check_loads(c, name))
			return false;
	return true;
}

static bool hammer_once(struct co *co, struct call *c, unsigned *seed)
{
	static const char *const names[] = {"a", "b", "c", "d", "certs"};
	char *args[] = {(char *)names[(unsigned)rand_r(seed) % ARRAY_SIZE(names)],
		(char *)names[(unsigned)rand_r(seed) % ARRAY_SIZE(names)], NULL};
	struct call sub = {.store = c->store, .args = args};
	_cleanup_err_ struct err e = ERR_INIT;
	int rc = 0;

	switch (rand_r(seed) % 8) {
	case 0:
	case 1:
		rc = do_claim(co, &sub, &e);
		break;
	case 2:
		rc = do_remove(co, &sub, &e);
		break;
	case 3:
		store_sweep(c->store);
		break;
	case 4:
		return check_all(c);
	default:
		rc = do_save(co, &sub, &e);
	}
	if (rc == 0 || is_expected(&e))
		return true;
	fprintf(stderr, "%s: %s\n", args[0], err_msg(&e));
	return false;
}

static int do_hammer(struct co *co, struct call *c, struct err *err)
{
	unsigned seed = (unsigned)strtoul(c->args[0], NULL, 10);

	for (long n = strtol(c->args[1], NULL, 10); n > 0; n--)
		if (!hammer_once(co, c, &seed)) {
			c->status = BROKEN;
			return err_set(err, ERR_INTERNAL, "a promise of the store is broken");
		}
	return 0;
}

static const struct command {
	const char *name;
	int args;
	int (*fn)(struct co *co, struct call *c, struct err *err);
} commands[] = {
	{"ensure", 0, do_ensure},
	{"list", 0, do_list},
	{"sweep", 0, do_sweep},
	{"claim", 2, do_claim},
	{"save", 2, do_save},
	{"load", 1, do_load},
	{"remove", 1, do_remove},
	{"step", 2, do_step},
	{"complete", 1, do_complete},
	{"lock", 2, do_lock},
	{"count", 2, do_count},
	{"hammer", 2, do_hammer},
};

struct job {
	const struct command *command;
	struct call call;
};

static void run(struct co *co, void *arg)
{
	struct job *job = arg;
	_cleanup_err_ struct err e = ERR_INIT;

	if (job->command->fn(co, &job->call, &e) == 0)
		return;
	fprintf(stderr, "%s\n", err_msg(&e));
	if (!job->call.status)
		job->call.status = 1;
}

static const struct command *find_command(int argc, char **argv)
{
	for (size_t i = 0; argc > 2 && i < ARRAY_SIZE(commands); i++)
		if (streq(commands[i].name, argv[2]) && argc == 3 + commands[i].args)
			return &commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	_cleanup_err_ struct err e = ERR_INIT;
	struct job job = {.command = find_command(argc, argv)};
	struct loop *loop;

	if (!job.command) {
		fprintf(stderr, "usage: storectl STORE COMMAND [ARGUMENT...]\n");
		return 64;
	}
	job.call.args = argv + 3;
	if (store_open(argv[1], &job.call.store, &e) < 0 || loop_new(&loop, &e) < 0) {
		fprintf(stderr, "%s\n", err_msg(&e));
		return 1;
	}
	co_spawn(loop, "storectl", run, &job);
	loop_run(loop);
	loop_free(loop);
	store_free(job.call.store);
	return job.call.status;
}
