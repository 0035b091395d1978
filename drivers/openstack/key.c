/* The key pair: made for the machine, or one of the user's that the cloud has already. */
#include "openstack.h"

#include <string.h>

#define KEY_MAX (64u << 10)
#define RSA_BITS 3072u
#define OPENSSH_BEGIN "-----BEGIN OPENSSH PRIVATE KEY-----"

/* The cloud's public key of that name. ERR_NOT_FOUND: none. */
static int get_public(struct os_api *a, const char *name, char **ret, struct err *err)
{
	_cleanup_free_ char *path = os_path("/os-keypairs", name);
	_cleanup_json_ struct json *answer = NULL;

	if (os_call(a, OS_COMPUTE, "GET", path, NULL, "look up the key pair", &answer, err) < 0)
		return -1;
	*ret = xstrdup(json_str(json_path(answer, "keypair", "public_key", NULL), ""));
	return 0;
}

/* In OpenSSH's format the public key stands in the private file, also in one with a passphrase.
 * Of other formats PATH.pub tells; without it nothing does. */
static int check_belongs(const char *path, const char *pub, struct err *err)
{
	_cleanup_free_ char *beside = xasprintf("%s.pub", path), *line = NULL, *blob = NULL;
	_cleanup_secret_ char *text = NULL, *data = NULL;
	_cleanup_err_ struct err none = ERR_INIT;
	const char *begin, *coded = strchr(pub, ' ');
	size_t len, n_blob, n_data;
	bool good = true;

	if (md_read_file(path, KEY_MAX, &text, &len, err) < 0)
		return err_wrap(err, "--openstack-private-key-file");
	begin = strstr(text, OPENSSH_BEGIN);
	if (begin && coded) {
		begin += strlen(OPENSSH_BEGIN);
		coded++;
		good = md_unbase64(coded, strcspn(coded, " \r\n"), &blob, &n_blob) == 0 &&
		       md_unbase64(begin, strcspn(begin, "-"), &data, &n_data) == 0 &&
		       memmem(data, n_data, blob, n_blob);
	} else if (md_read_file(beside, KEY_MAX, &line, &len, &none) == 0) {
		good = md_cloud_same_key(line, pub);
	}
	if (good)
		return 0;
	return err_set(err, ERR_USER,
		"--openstack-private-key-file %s: it is not the key of the cloud's key pair "
		"(--openstack-keypair-name)",
		path);
}

static int get_existing(struct os_api *a, const struct md_machine *m, char **ret, struct err *err)
{
	const char *name = md_state_str(m, "KeyPairName");

	if (get_public(a, name, ret, err) < 0) {
		if (err->code == ERR_NOT_FOUND)
			err_set(err, ERR_USER,
				"--openstack-keypair-name %s: the cloud has no such key pair",
				name);
		return -1;
	}
	return check_belongs(md_state_str(m, "PrivateKeyFile"), *ret, err);
}

int os_check_key(struct os_api *a, const struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *pub = NULL;

	return md_state_bool(m, "ExistingKey") ? get_existing(a, m, &pub, err) : 0;
}

static int use_existing(struct os_api *a, struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *pub = NULL, *line = NULL, *file = NULL;

	if (get_existing(a, m, &pub, err) < 0 ||
		md_cloud_copy_key(m, md_state_str(m, "PrivateKeyFile"),
			"--openstack-private-key-file", NULL, err) < 0)
		return -1;
	pub[strcspn(pub, "\r\n")] = '\0';
	line = xasprintf("%s\n", pub);
	file = xasprintf("%s.pub", md_state_str(m, "SSHKeyPath"));
	return md_write_file(file, line, strlen(line), 0600, err);
}

/* Key pairs' names have no dots. The machine's id makes it the only one. */
static char *name_of(const struct md_machine *m)
{
	char *name = xasprintf("%s-%s", m->name, md_state_str(m, "ServerTag"));

	for (char *p = name; *p; p++)
		if (*p == '.')
			*p = '_';
	return name;
}

static int import(struct os_api *a, struct md_machine *m, const char *pub, struct err *err)
{
	_cleanup_err_ struct err mine = ERR_INIT, none = ERR_INIT;
	struct json *body = json_object(), *pair = json_object();

	json_set_str(pair, "name", md_state_str(m, "KeyPairName"));
	json_set_str(pair, "public_key", pub);
	json_set(body, "keypair", pair);
	if (os_order_begin(a, m, OS_KEY, err) < 0) {
		json_free(body);
		return -1;
	}
	md_progress(a->api.rq, "Importing the SSH key...");
	if (os_call(a, OS_COMPUTE, "POST", "/os-keypairs", body, "import the key pair", NULL,
		    &mine) == 0) {
		os_order_over(m);
		return 0;
	}
	if (mine.may_exist || a->status == OS_STATUS_CONFLICT) { /* done, but not told */
		_cleanup_free_ char *there = NULL;

		if (get_public(a, md_state_str(m, "KeyPairName"), &there, &none) == 0 &&
			md_cloud_same_key(there, pub)) {
			os_order_over(m);
			return 0;
		}
	}
	os_order_failed(a, m, &mine);
	return err_move(err, &mine);
}

/* Old clouds know no Ed25519. */
static int import_any(struct os_api *a, struct md_machine *m, const char *pub, struct err *err)
{
	_cleanup_err_ struct err mine = ERR_INIT;
	_cleanup_free_ char *other = NULL;

	if (import(a, m, pub, &mine) == 0)
		return 0;
	if (a->status != OS_STATUS_BAD_REQUEST || md_state_bool(m, MD_CLOUD_RSA_KEY) ||
		!strstr(err_msg(&mine), "data is invalid"))
		return err_move(err, &mine);
	return md_cloud_other_key(a->api.rq, m, RSA_BITS, &mine, &other, err) < 0
		       ? -1
		       : import(a, m, other, err);
}

int os_make_key(struct os_api *a, struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *pub = NULL, *there = NULL, *name = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;

	if (md_state_bool(m, "ExistingKey"))
		return use_existing(a, m, err);
	if (md_cloud_own_key(a->api.rq, m, RSA_BITS, &pub, err) < 0)
		return -1;
	if (!*md_state_str(m, "KeyPairName")) {
		name = name_of(m);
		json_set_str(m->state, "KeyPairName", name);
		return import_any(a, m, pub, err);
	}
	if (get_public(a, md_state_str(m, "KeyPairName"), &there, &mine) == 0 &&
		md_cloud_same_key(there, pub))
		return 0;
	if (mine.code && mine.code != ERR_NOT_FOUND)
		return err_move(err, &mine);
	if (there && os_remove_key(a, m, err) < 0) /* of a key file that is lost */
		return -1;
	return import_any(a, m, pub, err);
}

int os_remove_key(struct os_api *a, struct md_machine *m, struct err *err)
{
	const char *name = md_state_str(m, "KeyPairName");
	_cleanup_free_ char *path = os_path("/os-keypairs", name), *there = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;

	if (!*name || md_state_bool(m, "ExistingKey"))
		return 0;
	if (os_order_open(m, OS_KEY) && get_public(a, name, &there, &mine) < 0)
		return mine.code == ERR_NOT_FOUND ? OS_AWAITED : err_move(err, &mine);
	if (os_delete(a, OS_COMPUTE, path, "delete the key pair", err) < 0)
		return -1;
	if (streq(md_state_str(m, OS_ORDERED), OS_KEY)) /* it showed, or is too late */
		os_order_over(m);
	return 0;
}
