/* Makes a machine: address, image, files of its own, first start. Whatever is there already stays.
 */
#include "fault.h"
#include "host.h"
#include "names.h"
#include "personal.h"
#include "plan.h"
#include "registry.h"
#include "rootfs.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The id is not told any more once the machine is complete. */
static int remember_id(struct md_request *rq, struct md_machine *m, struct err *err)
{
	if (*md_state_str(m, STATE_MACHINE_ID))
		return 0;
	json_set_str(m->state, STATE_MACHINE_ID, m->id);
	return md_checkpoint(rq, m->state, err);
}

static int make_folder(const struct md_machine *m, const char *name, unsigned mode, struct err *err)
{
	_cleanup_free_ char *path = host_file(m, name);
	_cleanup_close_ int fd = -1;

	if (!*name)
		path[strlen(path) - 1] = 0; /* its slash */
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_errno(err, errno, "make %s", path);
	/* no link: a store may belong to a user who is not root */
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* whatever the umask; a layer's top is the mode of the host's / */
	return fd < 0 || fchmod(fd, mode) < 0 ? err_errno(err, errno, "make %s", path) : 0;
}

/* An entry of the registry lives as long as this file: it is there before the entry. */
static int claim(const struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *path = host_file(m, FILE_ID);
	const char *id = md_state_str(m, STATE_MACHINE_ID);

	if (make_folder(m, "", 0700, err) < 0)
		return -1;
	return md_write_file(path, id, strlen(id), 0600, err);
}

static int reserve(struct md_request *rq, struct md_machine *m, struct err *err)
{
	struct registry_machine self = {m->dir, m->name, md_state_str(m, STATE_MACHINE_ID)};
	struct md_watch w = md_watch_request(rq);
	_cleanup_registry_ struct registry r = {.lock = -1};
	_cleanup_free_ char *address = NULL, *subnet = NULL;
	uint32_t number;

	if (*md_state_str(m, "IPAddress"))
		return 0;
	/* found again by the machine's id, whether the address is stored or not */
	if (registry_open(&r, &w, err) < 0 ||
		registry_reserve(&r, &self, "", md_state_str(m, STATE_SUBNET), &number, err) < 0)
		return -1;
	address = subnet_address(&r.subnet, number);
	subnet = subnet_text(&r.subnet);
	json_set_str(m->state, "IPAddress", address);
	json_set_str(m->state, STATE_SUBNET, subnet);
	registry_close(&r); /* the program may be stopped, which is nothing to others */
	return md_checkpoint(rq, m->state, err);
}

/* Unpacks the image that is chosen, unless that was done. Only then its archive is read. */
static int unpack(struct md_request *rq, struct md_machine *m, const char *id, struct err *err)
{
	struct md_watch w = md_watch_request(rq);
	_cleanup_image_ struct md_image image = {0};
	_cleanup_free_ char *name = xasprintf("root-%s", id);
	_cleanup_free_ char *lock = md_store_lock(m->store_path, name);

	if (md_image_get(&w, m->store_path, id, "", MD_IMAGE_ROOTFS, &image, err) < 0)
		return -1;
	return rootfs_prepare(&w, image.dir, image.rootfs, lock, err);
}

int host_image(struct md_request *rq, struct md_machine *m, struct err *err)
{
	struct md_watch w = md_watch_request(rq);
	const char *id = md_state_str(m, STATE_IMAGE_ID);
	_cleanup_image_ struct md_image image = {0};
	_cleanup_err_ struct err unusable = ERR_INIT;

	if (md_image_get(&w, m->store_path, *id ? id : md_state_str(m, STATE_IMAGE), "",
		    MD_IMAGE_ROOTFS | MD_IMAGE_UNREAD, &image, err) < 0 ||
		md_image_use(m->dir, &image, err) < 0)
		return -1;
	if (!*id) {
		json_set_str(m->state, STATE_IMAGE_ID, image.id);
		if (md_checkpoint(rq, m->state, err) < 0)
			return -1;
	}
	return rootfs_check(image.dir, &unusable) == 0 ? 0 : unpack(rq, m, image.id, err);
}

static int make_folders(const struct md_machine *m, struct err *err)
{
	static const struct {
		const char *name;
		unsigned mode;
	} folders[] = {{DIR_WORK, 0755}, {DIR_LOWER, 0755}, {DIR_ROOT, 0755}, {DIR_DOCKER, 0710},
		{DIR_CONTAINERD, 0711}};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (make_folder(m, folders[i].name, folders[i].mode, err) < 0)
			return -1;
	return 0;
}

/* The upper layer appears when it is complete. */
static int make_upper(struct md_machine *m, const char *tree, struct err *err)
{
	_cleanup_free_ char *dir = host_file(m, ""), *upper = host_file(m, DIR_UPPER);
	_cleanup_free_ char *fresh = host_file(m, DIR_UPPER ".new");
	_cleanup_free_ char *key = host_file(m, "ssh_host_ed25519_key");
	_cleanup_free_ char *key_pub = xasprintf("%s.pub", key);
	_cleanup_free_ char *login = NULL, *login_pub = NULL, *host_pub = NULL;
	_cleanup_free_ char *hostname = plan_hostname(m->name);
	struct personal p = {.tree = tree,
		.upper = fresh,
		.hostname = hostname,
		.user = md_state_str(m, "SSHUser"),
		.host_key = key,
		.host_key_pub = key_pub};

	dir[strlen(dir) - 1] = 0; /* its slash */
	if (md_sshkey(dir, "ssh_host_ed25519_key", m->name, &host_pub, err) < 0 ||
		md_sshkey_login(m->dir, m->name, &login_pub, err) < 0)
		return -1;
	login = md_file(m, "id_ed25519");
	json_set_str(m->state, "SSHKeyPath", login);
	json_set_str(m->state, STATE_HOST_KEY, host_pub);
	if (access(upper, F_OK) == 0)
		return 0;
	p.login_key = login_pub;
	if (tree_remove(fresh, err) < 0 || make_folder(m, DIR_UPPER ".new", 0755, err) < 0 ||
		personal_write(&p, err) < 0)
		return err_wrap(err, "write the machine's own files");
	nspawn_fault("create.upper");
	return rename(fresh, upper) < 0 ? err_errno(err, errno, "rename %s", fresh) : 0;
}

int host_create(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_free_ char *tree = NULL;

	if (host_need_root(err) < 0 || remember_id(rq, m, err) < 0 || claim(m, err) < 0)
		return -1;
	nspawn_fault("create.claimed");
	if (reserve(rq, m, err) < 0)
		return -1;
	nspawn_fault("create.reserved");
	if (host_image(rq, m, err) < 0)
		return -1;
	nspawn_fault("create.image");
	tree = host_tree(m);
	if (personal_check_user(tree, md_state_str(m, "SSHUser"), err) < 0 ||
		make_folders(m, err) < 0 || make_upper(m, tree, err) < 0 ||
		md_checkpoint(rq, m->state, err) < 0)
		return -1;
	nspawn_fault("create.files");
	return host_start(rq, m, out, err);
}
