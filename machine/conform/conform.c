/*
 * One rule after the other, in the order of the tables at the end of kit.h. Rules that
 * hold for every message are watched meanwhile and reported at the end. The first machine goes
 * through an ordinary life; the second one is interrupted in every way that the protocol knows
 * before its create may finish.
 */
#include "kit.h"

#include "mem.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const struct watched watched_rules[] = {
	{.id = "F1", .title = "everything on standard output is frames"},
	{.id = "J1", .title = "every body is an object in JSON, within the limits"},
	{.id = "R1", .title = "every message says that it is JSON-RPC 2.0"},
	{.id = "R2", .title = "ids are integers that never come again"},
	{.id = "R3", .title = "requests and notifications have a method, and params an object"},
	{.id = "R4", .title = "responses have either a result or an error"},
	{.id = "R7", .title = "every answer is to a pending request"},
	{.id = "E1", .title = "errors have a code and a message"},
	{.id = "E2", .title = "kinds of errors are those of the table"},
	{.id = "E3", .title = "marks of errors have their types"},
	{.id = "G4", .title = "secrets are not shown"},
	{.id = "M4",
		.title = "the state is within the limits, and what the driver does not know is "
			 "kept"},
	{.id = "M5", .title = "members of the state that the host reads have their types"},
	{.id = "O1", .title = "outcomes are done, wait or run"},
	{.id = "O2", .title = "waiting says for what and how long"},
	{.id = "O3", .title = "run names a command"},
	{.id = "S2", .title = "reports have one of the states"},
	{.id = "S3", .title = "reports: ip, url, ssh"},
	{.id = "S4", .title = "reports: probes"},
	{.id = "S7", .title = "reports: host keys"},
	{.id = "C1", .title = "checkpoints come when they may and name their request"},
	{.id = "C4", .title = "a driver waits for the answer to its checkpoint"},
	{.id = "N1", .title = "progress"},
	{.id = "N2", .title = "log messages"},
	{.id = "Q1", .title = "no process outlives the driver"},
	{.id = NULL},
};

static volatile sig_atomic_t signals_seen;

static void on_signal(int number)
{
	(void)number;
	if (signals_seen++ > 0)
		_exit(130);
}

bool interrupted(void)
{
	return signals_seen > 0;
}

/* P3 */
static void build_environment(struct kit *k)
{
	static const char *const names[] = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL",
		"LC_CTYPE", "TZ", "TMPDIR", "TERM", "XDG_CONFIG_HOME", "SSL_CERT_FILE",
		"SSL_CERT_DIR", "SSH_AUTH_SOCK", "http_proxy", "https_proxy", "ftp_proxy",
		"all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY",
		"NO_PROXY", "MACHINE_DEBUG"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (getenv(names[i]))
			strv_addf(&k->environment, "%s=%s", names[i], getenv(names[i]));
	if (!k->environment.n)
		strv_add(&k->environment, "PATH=/usr/bin:/bin");
}

static void add_variable(struct kit *k, const char *name)
{
	if (name && env_name_valid(name) && getenv(name))
		strv_addf(&k->environment, "%s=%s", name, getenv(name));
}

/* What the driver declared, once initialize has been answered. */
static int take_declarations(struct kit *k, struct err *err)
{
	_cleanup_err_ struct err broken = ERR_INIT;
	const struct json *names = json_get(k->hello, "environment");

	/* With flags that break G no machine can be configured. */
	if (flagspec_from_json(json_get(k->hello, "flags"), &k->specs, &broken) < 0)
		k->bad_flags = true;
	else if (resolve_flags(k, err) < 0)
		return -1;
	for (size_t i = 0; json_at(names, i); i++)
		add_variable(k, json_str(json_at(names, i), NULL));
	for (size_t i = 0; i < k->specs.n; i++)
		add_variable(k, k->specs.items[i].env);
	return 0;
}

static enum verdict run_rule(struct kit *k, const struct rule *r)
{
	if (interrupted())
		return skip(k, "interrupted");
	if (r->need > k->reached)
		return skip(k, "%s", k->obstacle ? k->obstacle : "initialize failed");
	return r->check(k);
}

static void run_rules(struct kit *k, const struct rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++)
		report_rule(k, rules[i].id, rules[i].title, run_rule(k, &rules[i]));
}

static int run_tables(struct kit *k, struct err *err)
{
	size_t greeting = 0;

	while (!k->hello && greeting < n_hello_rules)
		run_rules(k, &hello_rules[greeting++], 1);
	if (k->hello) {
		k->reached = NEED_INITIALIZE;
		if (take_declarations(k, err) < 0)
			return -1;
	}
	run_rules(k, hello_rules + greeting, n_hello_rules - greeting);
	run_rules(k, wire_rules, n_wire_rules);
	subject_init(k, &k->first, "conform-a");
	subject_init(k, &k->second, "conform-b");
	run_rules(k, life_rules, n_life_rules);
	run_rules(k, cutoff_rules, n_cutoff_rules);
	return 0;
}

/* Nothing that was made stays: after an interruption the machines are removed all the same. */
static void clean_up(struct kit *k)
{
	struct subject *const subjects[] = {&k->first, &k->second};

	if (interrupted()) {
		signals_seen = 0;
		drop_peer(k);
		for (size_t i = 0; i < ARRAY_SIZE(subjects); i++) {
			_cleanup_answer_ struct answer a = {0};

			if (subjects[i]->configured && access(subjects[i]->dir, F_OK) == 0)
				finish(k, subjects[i], "remove", WORK_MS, &a);
		}
	}
	end_peer(k, take(k->peer));
}

static void kit_finish(struct kit *k)
{
	kit_store_remove(k);
	subject_finish(&k->first);
	subject_finish(&k->second);
	for (struct watched *w = k->watched; w->id; w++)
		free(w->problem);
	free(k->watched);
	free(k->obstacle);
	json_free(k->hello);
	json_free(k->flags);
	flagspecs_finish(&k->specs);
	strv_finish(&k->environment);
	strv_finish(&k->secrets);
	strv_finish(&k->before);
	buf_finish(&k->reason);
}

static int read_cap(int *ret, struct err *err)
{
	const char *text = getenv("MACHINE_CONFORM_SECONDS");
	char *end;
	long n;

	*ret = 0;
	if (!text || !*text)
		return 0;
	n = strtol(text, &end, 10);
	if (*end || n < 1 || n > 86400)
		return err_set(err, ERR_USER, "MACHINE_CONFORM_SECONDS is not a number of seconds");
	*ret = (int)n * 1000;
	return 0;
}

static int run_all(struct kit *k, struct err *err)
{
	struct peer *p;

	if (access(k->executable, X_OK) < 0)
		return err_errno(err, errno, "%s", k->executable);
	if (read_cap(&k->cap_ms, err) < 0 || kit_store_make(k, err) < 0)
		return -1;
	build_environment(k);
	if (peer_new(k->executable, k->environment.items, &p, err) < 0)
		return -1;
	end_peer(k, p);
	if (run_tables(k, err) < 0)
		return -1;
	clean_up(k);
	report_watched(k);
	fprintf(k->out, "%u passed, %u failed, %u skipped\n", k->result->passed, k->result->failed,
		k->result->skipped);
	fflush(k->out);
	return 0;
}

int conform_run(const char *executable, const struct strv *flags, FILE *out,
	struct conform_result *ret, struct err *err)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGPIPE};
	struct sigaction action = {.sa_handler = on_signal}, saved[ARRAY_SIZE(numbers)];
	struct kit k = {.executable = executable,
		.args = flags,
		.out = out,
		.result = ret,
		.holds = MAX_HOLDS};
	int r;

	*ret = (struct conform_result){0};
	signals_seen = 0;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (numbers[i] == SIGPIPE)
			action.sa_handler = SIG_IGN;
		sigaction(numbers[i], &action, &saved[i]);
	}
	k.watched = xcalloc(ARRAY_SIZE(watched_rules), sizeof(*k.watched));
	memcpy(k.watched, watched_rules, sizeof(watched_rules));
	r = run_all(&k, err);
	kit_finish(&k);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaction(numbers[i], &saved[i], NULL);
	return r;
}
