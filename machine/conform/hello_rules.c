/* The rules of initialize, of what it declares, and of the end. */
#include "kit.h"

#include "mem.h"

#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

/*
 * The driver is sent the first byte of a header: once it has read that, it is past its start, and
 * what it sent before is there to be read.
 */
static enum verdict check_R8(struct kit *k)
{
	_cleanup_message_ struct message m = {0};
	struct peer *p = start_peer(k);
	enum verdict v = VERDICT_OK;
	int64_t deadline = deadline_in(k, ANSWER_MS);
	bool reads, sent;
	const char *why;

	if (!p)
		return VERDICT_FAIL;
	peer_send(p, "C", 1);
	do {
		reads = peer_took_all(p);
		sent = receive(k, p, now_ms() + QUIET_MS, &m, &why);
	} while (!sent && !p->broken && !p->exited && !reads && now_ms() < deadline);
	if (sent)
		v = fail(k, "it sent a message");
	else if (p->broken || p->exited)
		v = fail(k, "it %s", peer_end(p));
	end_peer(k, p);
	return v;
}

static enum verdict check_versions(
	struct kit *k, const char *versions, int64_t want, struct json **ret)
{
	_cleanup_free_ char *text = xasprintf("{\"v\":%s}", versions);
	_cleanup_json_ struct json *parsed = NULL, *params = hello_params();
	_cleanup_answer_ struct answer a = {0};
	_cleanup_err_ struct err err = ERR_INIT;
	struct peer *p = start_peer(k);
	enum verdict v = VERDICT_OK;

	if (!p || json_parse(text, strlen(text), &parsed, &err) < 0)
		return VERDICT_FAIL;
	json_set(params, "protocolVersions", json_copy(json_get(parsed, "v")));
	call(k, p, "initialize", take(params), ANSWER_MS, &a);
	if (a.what == GOT_NOTHING)
		v = fail(k, "%s", a.why);
	else if (!want && (a.what != GOT_ERROR || !streq(a.kind, "notSupported")))
		v = fail(k, "%s: wanted an error of kind notSupported, got %s", versions,
			a.what == GOT_ERROR ? a.why : "a result");
	else if (want && a.what != GOT_RESULT)
		v = fail(k, "%s: %s", versions, a.why);
	else if (want && json_int_or(json_get(a.body, "protocolVersion"), 0) != want)
		v = fail(k, "%s: protocolVersion is not %" PRId64, versions, want);
	else if (ret)
		*ret = take(a.body);
	end_peer(k, p);
	return v;
}

static enum verdict check_I1(struct kit *k)
{
	return check_versions(k, "[1]", 1, &k->hello);
}

static enum verdict check_I1_other(struct kit *k)
{
	enum verdict v = check_versions(k, "[999]", 0, NULL);

	return v == VERDICT_OK ? check_versions(k, "[999,1]", 1, NULL) : v;
}

static bool is_driver_name(const char *name)
{
	return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

static enum verdict check_I2(struct kit *k)
{
	static const char prefix[] = "machine-driver-";
	const struct json *driver = json_get(k->hello, "driver");
	const char *name = json_str(json_get(driver, "name"), "");
	const char *description = json_str(json_get(driver, "description"), NULL);
	const char *slash = strrchr(k->executable, '/');
	const char *file = slash ? slash + 1 : k->executable;

	if (!is_driver_name(name))
		return fail(k, "driver.name is \"%s\"", name);
	if (strncmp(file, prefix, sizeof(prefix) - 1) == 0 &&
		!streq(file + sizeof(prefix) - 1, name))
		return fail(k, "driver.name is \"%s\", and the file %s", name, file);
	if (!json_is(json_get(driver, "version"), JSON_STRING))
		return fail(k, "driver.version is not a string");
	if (!description || strpbrk(description, "\r\n"))
		return fail(k, "driver.description is not one line");
	return VERDICT_OK;
}

static bool positive_or_absent(const struct json *j)
{
	int64_t n;

	return !j || (json_to_int(j, &n) && n >= 1);
}

static bool names_or_absent(const struct json *list)
{
	if (list && !json_is(list, JSON_ARRAY))
		return false;
	for (size_t i = 0; json_at(list, i); i++)
		if (!*json_str(json_at(list, i), ""))
			return false;
	return true;
}

static enum verdict check_I3(struct kit *k)
{
	const struct json *can = json_get(k->hello, "capabilities");
	const struct json *provision = json_get(can, "provision");

	if (can && !json_is(can, JSON_OBJECT))
		return fail(k, "capabilities is not an object");
	if (provision && !json_is(provision, JSON_BOOL))
		return fail(k, "provision is not a bool");
	if (!positive_or_absent(json_get(can, "maxWorkers")))
		return fail(k, "maxWorkers is not a positive integer");
	if (!positive_or_absent(json_get(can, "statesBatch")))
		return fail(k, "statesBatch is not a positive integer");
	if (!positive_or_absent(json_get(can, "machinesAtOnce")))
		return fail(k, "machinesAtOnce is not a positive integer");
	if (!names_or_absent(json_get(can, "groupBy")))
		return fail(k, "groupBy is not a list of names");
	return VERDICT_OK;
}

static enum verdict check_I4(struct kit *k)
{
	const struct json *list = json_get(k->hello, "environment");

	if (!names_or_absent(list))
		return fail(k, "environment is not a list of names");
	for (size_t i = 0; json_at(list, i); i++)
		if (!env_name_valid(json_str(json_at(list, i), "")))
			return fail(
				k, "\"%s\" may not be asked for", json_str(json_at(list, i), ""));
	return VERDICT_OK;
}

/* The flags with these members only: what is wrong then is a matter of one rule. */
static enum verdict check_flags(
	struct kit *k, const char *a, const char *b, const char *c, struct flagspecs *ret)
{
	const char *const keys[] = {"name", "type", a, b, c};
	const struct json *flags = json_get(k->hello, "flags");
	_cleanup_json_ struct json *reduced = json_array();
	_cleanup_err_ struct err err = ERR_INIT;
	struct flagspecs specs = {0};

	if (flags && !json_is(flags, JSON_ARRAY))
		return fail(k, "flags is not a list");
	for (size_t i = 0; json_at(flags, i); i++) {
		struct json *j = json_object();

		for (size_t n = 0; n < ARRAY_SIZE(keys); n++)
			if (keys[n] && json_get(json_at(flags, i), keys[n]))
				json_set(j, keys[n],
					json_copy(json_get(json_at(flags, i), keys[n])));
		json_add(reduced, j);
	}
	if (flagspec_from_json(reduced, &specs, &err) < 0)
		return fail(k, "%s", err_msg(&err));
	if (ret)
		*ret = specs;
	else
		flagspecs_finish(&specs);
	return VERDICT_OK;
}

static enum verdict check_G1(struct kit *k)
{
	struct flagspecs specs = {0};
	enum verdict v = check_flags(k, NULL, NULL, NULL, &specs);

	for (size_t i = 0; i < specs.n && v == VERDICT_OK; i++)
		if (forbidden_flag(specs.items[i].name))
			v = fail(k, "--%s is a flag of `machine create`", specs.items[i].name);
	flagspecs_finish(&specs);
	return v;
}

static enum verdict check_part(struct kit *k, const char *a, const char *b, const char *c)
{
	if (check_flags(k, NULL, NULL, NULL, NULL) != VERDICT_OK)
		return skip(k, "the flags' names or types are wrong (G1)");
	return check_flags(k, a, b, c, NULL);
}

static enum verdict check_G2(struct kit *k)
{
	return check_part(k, "env", NULL, NULL);
}

static enum verdict check_G3(struct kit *k)
{
	return check_part(k, "default", NULL, NULL);
}

static enum verdict check_G4(struct kit *k)
{
	return check_part(k, "usage", "secret", "required");
}

static enum verdict check_I6(struct kit *k)
{
	_cleanup_answer_ struct answer a = {0};
	struct peer *p = start_ready(k);
	enum verdict v = VERDICT_OK;
	int64_t start;

	if (!p)
		return VERDICT_FAIL;
	start = now_ms();
	call(k, p, "initialize", hello_params(), ANSWER_MS, &a);
	if (a.what != GOT_RESULT)
		v = fail(k, "the second time: %s", a.why);
	else if (!json_equal(a.body, k->hello))
		v = fail(k, "the second answer differs");
	else if (now_ms() - start > QUICK_MS)
		v = fail(k, "it took %" PRId64 " ms", now_ms() - start);
	end_peer(k, p);
	return v;
}

static enum verdict check_Q1(struct kit *k)
{
	struct peer *p = start_ready(k);
	enum verdict v = VERDICT_OK;

	if (!p)
		return VERDICT_FAIL;
	peer_close_input(p);
	k->rude = !peer_wait_exit(p, now_ms() + EXIT_MS);
	if (k->rude)
		v = fail(k, "still running after %d s", EXIT_MS / 1000);
	else if (!WIFEXITED(p->status) || WEXITSTATUS(p->status) != 0)
		v = fail(k, "it %s", peer_end(p));
	end_peer(k, p);
	return v;
}

const struct rule hello_rules[] = {
	{"R8", "nothing is sent before initialize", check_R8, NEED_NOTHING},
	{"I1", "initialize picks version 1", check_I1, NEED_NOTHING},
	{"I1", "no common version is an error, and the best common one is picked", check_I1_other,
		NEED_INITIALIZE},
	{"I2", "name, version and description", check_I2, NEED_INITIALIZE},
	{"I3", "capabilities", check_I3, NEED_INITIALIZE},
	{"I4", "environment names variables", check_I4, NEED_INITIALIZE},
	{"G1", "flags: names and types", check_G1, NEED_INITIALIZE},
	{"G2", "flags: variables", check_G2, NEED_INITIALIZE},
	{"G3", "flags: defaults", check_G3, NEED_INITIALIZE},
	{"G4", "flags: usage, secret, required", check_G4, NEED_INITIALIZE},
	{"I6", "initialize is repeatable and quick", check_I6, NEED_INITIALIZE},
	{"Q1", "end of input ends the driver", check_Q1, NEED_INITIALIZE},
};
const size_t n_hello_rules = ARRAY_SIZE(hello_rules);
