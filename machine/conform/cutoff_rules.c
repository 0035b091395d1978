/* The rules of a machine whose create is refused, cancelled, abandoned and killed. */
#include "kit.h"

#include "mem.h"

#include <string.h>
#include <sys/wait.h>

static enum verdict check_C2(struct kit *k)
{
	return skip(k, "only the provider's side can tell; the kit checks what follows from it");
}

/* Goes on with create until a checkpoint waits for its answer, or create is over. */
static void to_checkpoint(struct kit *k, struct subject *s, struct answer *ret)
{
	int64_t deadline = deadline_in(k, WORK_MS);
	const char *status;

	act(k, s, "create", deadline, ret);
	while (ret->what == GOT_RESULT) {
		status = take_outcome(k, s, ret->body);
		if (!status || !streq(status, "wait") ||
			pause_for(k, s, ret->body, deadline, ret) < 0)
			return;
		act(k, s, "create", deadline, ret);
	}
}

static enum verdict check_C3(struct kit *k)
{
	_cleanup_answer_ struct answer a = {0};
	struct peer *p;
	int64_t id;

	if (!k->checkpoints)
		return skip(k, "create makes no checkpoint");
	make_dir(&k->second);
	to_checkpoint(k, &k->second, &a);
	if (a.what != GOT_CHECKPOINT)
		return fail(
			k, "this time create came to no checkpoint: %s", a.why ? a.why : "done");
	p = k->peer;
	id = a.id;
	answer_finish(&a);
	overhear(k, p, &a);
	if (a.what != GOT_NOTHING) {
		drop_peer(k);
		return skip(k, "it does not wait for the answer (C4)");
	}
	answer_finish(&a);
	refuse(p, id);
	await(k, p, p->serving, AT_ONCE_MS, &a);
	if (a.what == GOT_CHECKPOINT) {
		drop_peer(k);
		return fail(k, "another checkpoint after one that was refused");
	}
	if (a.what == GOT_RESULT)
		return fail(k, "the request succeeds");
	return a.what == GOT_ERROR ? VERDICT_OK : fail(k, "%s", a.why);
}

/* Where create makes no checkpoint (any more), what is to happen there happens right after the
 * request. */
static bool begin_create(struct kit *k, struct answer *a)
{
	struct peer *p;

	make_dir(&k->second);
	if (k->checkpoints) {
		to_checkpoint(k, &k->second, a);
		if (a->what != GOT_RESULT)
			return a->what == GOT_CHECKPOINT;
		answer_finish(a);
	}
	p = ready_peer(k);
	if (!p) {
		a->why = xstrdup(buf_str(&k->reason));
		return false;
	}
	ask(p, "create", machine_params(k, &k->second));
	return true;
}

static enum verdict check_X2(struct kit *k)
{
	_cleanup_answer_ struct answer a = {0};
	struct json *params = json_object();
	int64_t deadline;
	struct peer *p;

	if (!begin_create(k, &a)) {
		json_free(params);
		return fail(k, "%s", a.why);
	}
	p = k->peer;
	json_set(params, "id", json_int(p->serving));
	tell(p, "$/cancelRequest", params);
	deadline = deadline_in(k, CANCEL_MS);
	for (;;) {
		if (a.what == GOT_CHECKPOINT) {
			take_checkpoint(k, &k->second, &a);
			grant(p, a.id);
		}
		answer_finish(&a);
		await(k, p, p->serving, MAX(deadline - now_ms(), (int64_t)0), &a);
		if (a.what != GOT_CHECKPOINT)
			break;
	}
	if (a.what == GOT_RESULT) {
		take_outcome(k, &k->second, a.body);
		return VERDICT_OK;
	}
	if (a.what == GOT_ERROR && streq(a.kind, "canceled"))
		return VERDICT_OK;
	if (a.what == GOT_NOTHING)
		drop_peer(k);
	return fail(k, "%s", a.why);
}

static enum verdict check_Q1_busy(struct kit *k)
{
	_cleanup_answer_ struct answer a = {0};
	enum verdict v = VERDICT_OK;
	struct peer *p;

	if (k->rude)
		return skip(k, "it does not end at the end of input at all");
	if (!begin_create(k, &a))
		return fail(k, "%s", a.why);
	if (a.what == GOT_CHECKPOINT)
		take_checkpoint(k, &k->second, &a);
	p = take(k->peer);
	peer_flush(p, deadline_in(k, ANSWER_MS));
	peer_close_input(p);
	if (!peer_wait_exit(p, now_ms() + EXIT_MS))
		v = fail(k, "still running after %d s", EXIT_MS / 1000);
	else if (!WIFEXITED(p->status) || WEXITSTATUS(p->status) != 0)
		v = fail(k, "it %s", peer_end(p));
	end_peer(k, p);
	return v;
}

static enum verdict check_D4_half(struct kit *k)
{
	enum verdict v = remove_twice(k, &k->second);

	/* What follows starts anew, under another name. */
	kit_store_remove_dir(k->second.dir);
	subject_finish(&k->second);
	subject_init(k, &k->second, "conform-d");
	return v;
}

/*
 * The driver is killed at each new checkpoint twice: once before the host has saved it, as if the
 * host had died, and once after. A checkpoint that only says again what is saved is let pass.
 */
static enum verdict check_D3_cut_off(struct kit *k)
{
	struct subject *s = &k->second;
	_cleanup_answer_ struct answer a = {0};
	enum verdict v = configure(k, s);
	unsigned kills = 0;
	bool lost = false;

	if (v != VERDICT_OK)
		return v;
	if (!k->checkpoints)
		return skip(k, "create makes no checkpoint");
	make_dir(s);
	while (kills < MAX_INTERRUPTIONS) {
		to_checkpoint(k, s, &a);
		while (a.what == GOT_CHECKPOINT &&
			json_equal(json_get(a.body, "state"), s->state)) {
			struct peer *p = k->peer;

			grant(p, a.id);
			answer_finish(&a);
			await(k, p, p->serving, WORK_MS, &a);
		}
		if (a.what != GOT_CHECKPOINT)
			break;
		drop_peer(k);
		if (lost)
			take_checkpoint(k, s, &a);
		lost = !lost;
		kills++;
		answer_finish(&a);
	}
	if (a.what == GOT_ERROR || a.what == GOT_NOTHING)
		v = fail(k, "after %u interruptions: %s", kills, a.why ? a.why : "nothing came");
	answer_finish(&a);
	if (v == VERDICT_OK && finish(k, s, "create", WORK_MS, &a) < 0)
		v = fail(k, "after %u interruptions: %s", kills, a.why);
	return v;
}

static enum verdict check_D4_cut_off(struct kit *k)
{
	if (!k->second.configured)
		return skip(k, "it was not created");
	return remove_twice(k, &k->second);
}

const struct rule cutoff_rules[] = {
	{"C2", "a checkpoint before and after each resource", check_C2, NEED_INITIALIZE},
	{"C3", "a refused checkpoint fails the request", check_C3, NEED_CREATE},
	{"X2", "a cancelled create is answered", check_X2, NEED_CREATE},
	{"Q1", "end of input ends the driver while it serves create", check_Q1_busy, NEED_CREATE},
	{"D4", "remove of a machine whose create was cut off", check_D4_half, NEED_CREATE},
	{"D3", "create, killed at every checkpoint, ends with a machine", check_D3_cut_off,
		NEED_CREATE},
	{"D4", "remove of that machine", check_D4_cut_off, NEED_CREATE},
};
const size_t n_cutoff_rules = ARRAY_SIZE(cutoff_rules);
