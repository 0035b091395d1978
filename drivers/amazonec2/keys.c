/* The key pair: the user's, or one with the machine's name that goes with it. */
#include "amazonec2.h"

#include <string.h>

#define PUB_MAX 16384u
#define RSA_BITS 4096u /* EC2 takes 1024, 2048 and 4096 */

/* The pair of a name; NULL: there is none. */
static int find_pair(struct ec2 *e, const char *name, struct json **ret, struct err *err)
{
	_cleanup_query_ struct query q = {0};
	_cleanup_json_ struct json *answer = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;

	*ret = NULL;
	query_begin(&q, "DescribeKeyPairs");
	query_add(&q, "KeyName.1", name);
	query_bool(&q, "IncludePublicKey", true);
	if (ec2_call(e, &q, "look up the key pair", &answer, &mine) < 0)
		return ec2_failed_with(e, "InvalidKeyPair.NotFound") ? 0 : err_move(err, &mine);
	*ret = json_at(md_xml_get(answer, "keySet"), 0)
		       ? json_copy(json_at(md_xml_get(answer, "keySet"), 0))
		       : NULL;
	return 0;
}

int check_key_name(struct ec2 *e, const struct md_machine *m, struct err *err)
{
	bool given = md_state_bool(m, "ExistingKey");
	const char *name = given ? md_state_str(m, "KeyName") : m->name;
	_cleanup_json_ struct json *pair = NULL;

	if (find_pair(e, name, &pair, err) < 0)
		return -1;
	if (given && !pair)
		return err_set(err, ERR_USER,
			"--amazonec2-keypair-name %s: there is no such key pair in %s", name,
			md_state_str(m, "Region"));
	if (!given && pair)
		return err_set(err, ERR_EXISTS,
			"there is a key pair \"%s\" in %s already: choose another name, delete "
			"it, or use it (--amazonec2-keypair-name, --amazonec2-ssh-keypath)",
			name, md_state_str(m, "Region"));
	return 0;
}

/* Whether the pair of the machine's name holds the machine's key: 1, 0 there is none, -1; another
 * key is an error. */
static int find_own(struct ec2 *e, struct md_machine *m, const char *pub, struct err *err)
{
	_cleanup_json_ struct json *pair = NULL;
	const char *theirs;

	if (find_pair(e, md_state_str(m, "KeyName"), &pair, err) < 0)
		return -1;
	if (!pair)
		return 0;
	theirs = md_xml_text(pair, "publicKey");
	if (*theirs && !md_cloud_same_key(theirs, pub))
		return err_set(err, ERR_EXISTS,
			"there is a key pair \"%s\" in %s already, with another key",
			md_state_str(m, "KeyName"), md_state_str(m, "Region"));
	json_set_str(m->state, "KeyPairId", md_xml_text(pair, "keyPairId"));
	return 1;
}

static int import(struct ec2 *e, struct md_request *rq, struct md_machine *m, const char *pub,
	struct err *err)
{
	_cleanup_free_ char *text = xasprintf("%s\n", pub),
			    *material = md_base64(text, strlen(text));
	_cleanup_query_ struct query q = {0};
	_cleanup_json_ struct json *answer = NULL;

	md_progress(rq, "Importing the key pair...");
	query_begin(&q, "ImportKeyPair");
	q.repeatable = true; /* there is one of a name */
	query_add(&q, "KeyName", md_state_str(m, "KeyName"));
	query_add(&q, "PublicKeyMaterial", material);
	if (ec2_call(e, &q, "import the key pair", &answer, err) < 0)
		return -1;
	json_set_str(m->state, "KeyPairId", md_xml_text(answer, "keyPairId"));
	return 0;
}

/* EC2 takes Ed25519; not every cloud that is like it does. */
static int import_any(struct ec2 *e, struct md_request *rq, struct md_machine *m, const char *pub,
	struct err *err)
{
	bool given = *md_state_str(m, "SSHPrivateKeyPath") || md_state_bool(m, MD_CLOUD_RSA_KEY);
	_cleanup_err_ struct err mine = ERR_INIT;
	_cleanup_free_ char *other = NULL;

	if (import(e, rq, m, pub, &mine) == 0)
		return 0;
	if (given || !ec2_failed_with(e, "InvalidKey.Format"))
		return err_move(err, &mine);
	return md_cloud_other_key(rq, m, RSA_BITS, &mine, &other, err) < 0
		       ? -1
		       : import(e, rq, m, other, err);
}

/* The name is somebody else's: `remove` must not take it for the machine's. */
static int give_up_name(struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_err_ struct err ignored = ERR_INIT;

	if (err->code == ERR_EXISTS)
		(void)!md_state_note(rq, m, "KeyName", "", &ignored);
	return -1;
}

int make_key(struct ec2 *e, struct md_request *rq, struct md_machine *m, struct err *err)
{
	const char *path = md_state_str(m, "SSHPrivateKeyPath");
	bool existing = md_state_bool(m, "ExistingKey");
	_cleanup_free_ char *pub = NULL;
	int found = 0, r;

	if (*path)
		r = md_cloud_copy_key(
			m, path, "--amazonec2-ssh-keypath", existing ? NULL : &pub, err);
	else
		r = md_cloud_own_key(rq, m, RSA_BITS, &pub, err);
	if (r < 0 || existing || *md_state_str(m, "KeyPairId"))
		return r;
	if (*md_state_str(m, "KeyName"))
		found = find_own(e, m, pub, err);
	else if (md_state_note(rq, m, "KeyName", m->name, err) < 0)
		return -1;
	if (found == 0) {
		_cleanup_err_ struct err mine = ERR_INIT;

		r = import_any(e, rq, m, pub, &mine);
		/* a repeated call meets what the lost one did */
		if (r < 0 && mine.code == ERR_EXISTS)
			found = find_own(e, m, pub, err);
		else if (r < 0)
			return err_move(err, &mine);
	}
	return found < 0 ? give_up_name(rq, m, err) : md_checkpoint(rq, m->state, err);
}

int remove_key(struct ec2 *e, struct md_request *rq, struct md_machine *m, struct err *err)
{
	const char *key = md_state_str(m, "SSHKeyPath");
	_cleanup_free_ char *path = xasprintf("%s.pub", key), *pub = NULL;
	_cleanup_query_ struct query q = {0};
	_cleanup_err_ struct err none = ERR_INIT;
	size_t len;

	(void)rq;
	if (md_state_bool(m, "ExistingKey") || !*md_state_str(m, "KeyName"))
		return 0;
	if (json_get_fold(m->state, "KeyPairId") && !*md_state_str(m, "KeyPairId")) {
		/* not known to be ours: its answer was lost */
		if (!*key || md_read_file(path, PUB_MAX, &pub, &len, &none) < 0)
			return 0; /* not even the key was made */
		if (find_own(e, m, pub, &none) <= 0)
			return none.code == ERR_NONE || none.code == ERR_EXISTS
				       ? 0
				       : err_move(err, &none);
	}
	query_begin(&q, "DeleteKeyPair");
	q.repeatable = true;
	query_add(&q, "KeyName", md_state_str(m, "KeyName"));
	err_finish(&none);
	if (ec2_call(e, &q, "delete the key pair", NULL, &none) < 0 && none.code != ERR_NOT_FOUND)
		return err_move(err, &none);
	json_set_str(m->state, "KeyPairId", "");
	json_set_str(m->state, "KeyName", "");
	return 0;
}
