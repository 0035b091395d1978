/*
 * Host keys that are known before the first contact, because a driver put them on the machine or a
 * user said what to expect. A key is as good as a recorded one. Of a fingerprint the key has to be
 * found first: the host is asked for its keys, one type after the other, in key exchanges that end
 * there; the connection that follows then checks the key as any other, whichever backend makes it.
 */
#include "ssh_lazy.h"
#include "ssh_native.h"
#include "sshkey.h"

#include "mem.h"

static const struct {
	const char *type, *algorithms;
} kinds[] = {
	{"ssh-ed25519", "ssh-ed25519"},
	{"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"},
	{"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"},
	{"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"},
	{"ssh-rsa", "rsa-sha2-512,rsa-sha2-256,ssh-rsa"},
};

/* 1: found and added to p->known; 0: not among those that it shows, which are told in *seen. */
static int find_key(struct co *co, struct ssh_place_info *p, const struct strv *prints,
	struct buf *seen, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		_cleanup_buf_ struct buf blob = BUF_INIT;
		int r = native_ask_key(co, p, kinds[i].algorithms, &blob, err);

		if (r < 0)
			return -1;
		if (r == 0)
			continue;
		_cleanup_free_ char *print = sshkey_fingerprint(blob.data, blob.len);
		if (strv_contains(prints, print)) {
			hostkeys_add(&p->known, kinds[i].type, blob.data, blob.len);
			return 1;
		}
		buf_addf(seen, "%s%s %s", seen->len ? ", " : "", kinds[i].type, print);
	}
	return 0;
}

static int mismatch(const struct ssh_place_info *p, const struct strv *prints, struct buf *seen,
	struct err *err)
{
	_cleanup_free_ char *expected = strv_join(prints, ", ");
	_cleanup_err_ struct err load = ERR_INIT;

	if (!seen->len)
		buf_adds(seen, "none that could be compared");
	hostkeys_unexpected(expected, buf_str(seen), p->t->machine ? p->t->machine : p->t->host,
		p->t->known_hosts, err);
	if (ssh_lazy_load(&load) < 0 || libssh2_version(LIBSSH2_RSA_SHA2))
		return -1;
	_cleanup_free_ char *msg = xstrdup(err_msg(err));
	return err_set(err, ERR_USER,
		"%s. (An RSA key is not found by its fingerprint with this libssh2: give the key)",
		msg);
}

int ssh_expect_keys(struct co *co, struct ssh_place_info *p, struct err *err)
{
	const struct ssh_target *t = p->t;
	_cleanup_strv_ struct strv prints = STRV_INIT;
	_cleanup_buf_ struct buf seen = BUF_INIT;

	if (!t->known_hosts || !t->host_keys || !*t->host_keys || hostkeys_usable(&p->known))
		return 0;
	if (hostkeys_expect(&p->known, t->host_keys, &prints, err) < 0)
		return -1;
	p->known.expected = true;
	if (!prints.n)
		return 0;
	int r = find_key(co, p, &prints, &seen, err);
	if (r < 0)
		return -1;
	return r || hostkeys_usable(&p->known) ? 0 : mismatch(p, &prints, &seen, err);
}
