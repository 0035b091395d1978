/* What a machine is made of: keys, a disk on the image, a seed; then it is switched on. */
#include "qemu.h"
#include "sha.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MIB ((int64_t)1024 * 1024)
#define ID_LEN 32u
#define KEY_MAX 16384u

#define LOGGED_IN "LoggedIn" /* the command below was handed out, in this boot */
/* Status 2: it is done, and has something to complain of. */
#define AWAIT_CLOUD_INIT                                                                          \
	"if command -v cloud-init >/dev/null; then cloud-init status --wait >/dev/null; case $? " \
	"in "                                                                                     \
	"0|2) ;; *) cloud-init status --long >&2; exit 1 ;; esac; fi"

/* The same machine made again has the same network card: a DHCP server knows it. */
static char *make_mac(const struct md_machine *m)
{
	_cleanup_free_ char *text = xasprintf("%s\n%s", m->store_path, m->name);
	char hash[SHA_HEX_MAX + 1];

	sha_text(SHA_256, text, hash);
	return xasprintf("52:54:00:%.2s:%.2s:%.2s", hash, hash + 2, hash + 4);
}

/* The machine's id, which is 32 hex digits, is its UUID. */
static int make_identity(struct md_request *rq, struct md_machine *m, struct err *err)
{
	const char *id = m->id;
	_cleanup_free_ char *uuid = NULL, *mac = NULL;

	if (*md_state_str(m, "UUID"))
		return 0;
	if (strlen(id) != ID_LEN)
		return err_set(err, ERR_INTERNAL, "the machine has no id");
	uuid = xasprintf("%.8s-%.4s-%.4s-%.4s-%.12s", id, id + 8, id + 12, id + 16, id + 20);
	mac = make_mac(m);
	json_set_str(m->state, "UUID", uuid);
	if (!*md_state_str(m, "MACAddress"))
		json_set_str(m->state, "MACAddress", mac);
	if (sockets_settle(m, err) < 0)
		return -1;
	return md_checkpoint(rq, m->state, err);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The state names the image's files relative to its folder: the store may be moved. */
static void note_image(struct md_machine *m, const struct md_image *image)
{
	bool direct = (image->parts & MD_IMAGE_DIRECT) && !*md_state_str(m, "Firmware");

	json_set_str(m->state, "ImageID", image->id);
	json_set_str(m->state, "BaseImagePath", direct ? image->root_disk : image->disk);
	json_set_str(m->state, "BaseDisk", base_name(direct ? image->root_disk : image->disk));
	json_set_str(m->state, "Kernel", direct ? base_name(image->kernel) : "");
	json_set_str(m->state, "Initrd", direct && image->initrd ? base_name(image->initrd) : "");
	json_set_str(m->state, "Cmdline", direct && image->cmdline ? image->cmdline : "");
	json_set(m->state, "CloudInit", json_bool(image->seed == MD_SEED_CLOUD_INIT));
}

/* The small reader of seeds knows scripts, and #cloud-config as JSON. */
static bool is_lean(const char *user_data)
{
	static const char mark[] = "#cloud-config";
	_cleanup_err_ struct err ignored = ERR_INIT;
	_cleanup_json_ struct json *j = NULL;

	if (strncmp(user_data, "#!", 2) == 0)
		return true;
	if (strncmp(user_data, mark, strlen(mark)) != 0)
		return false;
	user_data += strlen(mark);
	if (*user_data && !isspace((unsigned char)*user_data))
		return false; /* another kind: #cloud-config-archive */
	user_data += strcspn(user_data, "\n");
	return json_parse(user_data, strlen(user_data), &j, &ignored) == 0 &&
	       json_is(j, JSON_OBJECT);
}

static int check_user_data(
	const struct md_machine *m, const struct md_image *image, struct err *err)
{
	const char *file = md_state_str(m, "UserDataFile");
	_cleanup_free_ char *text = NULL;

	if (!*file || image->seed == MD_SEED_CLOUD_INIT)
		return 0;
	if (md_read_file(file, USER_DATA_MAX, &text, NULL, err) < 0)
		return err_wrap(err, "--qemu-userdata");
	if (is_lean(text))
		return 0;
	return err_set(err, ERR_USER,
		"--qemu-userdata %s: the image %s has no cloud-init, but a small reader that knows "
		"scripts (#!) and #cloud-config as JSON; build one with --cloud-init",
		file, image->id);
}

static int check_image(const struct md_machine *m, const struct md_image *image, struct err *err)
{
	if (check_user_data(m, image, err) < 0)
		return -1;
	if (*md_state_str(m, "Append") && !(image->parts & MD_IMAGE_DIRECT))
		return err_set(err, ERR_USER,
			"--qemu-append: the image %s boots by a boot loader of its own, which sets "
			"the kernel's arguments",
			image->id);
	return 0;
}

static int choose_image(struct md_request *rq, struct md_machine *m, struct err *err)
{
	struct md_watch w = md_watch_request(rq);
	bool loader = *md_state_str(m, "Firmware");
	_cleanup_image_ struct md_image image = {0};

	if (*md_state_str(m, "ImageID"))
		return 0;
	if (md_image_get(&w, m->store_path, md_state_str(m, "Image"),
		    md_state_str(m, "ImageChecksum"),
		    loader ? MD_IMAGE_DISK : MD_IMAGE_DIRECT | MD_IMAGE_DISK, &image, err) < 0 ||
		check_image(m, &image, err) < 0 || md_image_use(m->dir, &image, err) < 0)
		return -1;
	note_image(m, &image);
	base_note(m);
	return md_checkpoint(rq, m->state, err);
}

static int make_keys(struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *login = NULL, *host = NULL, *path = md_file(m, "id_ed25519");

	if (md_sshkey_login(m->dir, m->name, &login, err) < 0 ||
		md_sshkey(m->dir, HOST_KEY, m->name, &host, err) < 0)
		return -1;
	json_set_str(m->state, "SSHKeyPath", path);
	json_set_str(m->state, "HostKey", host);
	return 0;
}

static int virtual_size(const struct md_watch *w, const char *path, int64_t *ret, struct err *err)
{
	const char *argv[] = {md_qemu_img(), "info", "--output=json", path, NULL};
	_cleanup_json_ struct json *j = NULL;
	_cleanup_free_ char *said = NULL;

	if (md_run(w, argv, 0, &said, err) < 0 || json_parse(said, strlen(said), &j, err) < 0)
		return -1;
	if (!json_to_int(json_get(j, "virtual-size"), ret))
		return err_set(err, ERR_INTERNAL, "qemu-img info: no virtual-size");
	return 0;
}

/* The base is named relative to the disk. */
static int make_disk(struct md_request *rq, struct md_machine *m, struct err *err)
{
	struct md_watch w = md_watch_request(rq);
	_cleanup_free_ char *disk = md_file(m, DISK_FILE), *temporary = md_file(m, DISK_TEMPORARY);
	_cleanup_free_ char *base = xasprintf(IMAGE_LINK "/%s", md_state_str(m, "BaseDisk"));
	_cleanup_free_ char *base_path = md_file(m, base);
	int64_t size = md_state_int(m, "DiskSize") * MIB, base_size;

	if (access(disk, F_OK) == 0)
		return 0;
	if (virtual_size(&w, base_path, &base_size, err) < 0)
		return -1;
	size = MAX(size, base_size);
	json_set(m->state, "DiskSize", json_int((size + MIB - 1) / MIB));
	md_progress(rq, "Creating a disk of %lld MB on the image %s...",
		(long long)md_state_int(m, "DiskSize"), md_state_str(m, "ImageID"));
	_cleanup_free_ char *bytes = xasprintf("%lld", (long long)size);
	const char *argv[] = {md_qemu_img(), "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b",
		base, temporary, bytes, NULL};
	if (md_run(&w, argv, 0, NULL, err) < 0 || rename(temporary, disk) < 0) {
		if (!err->code)
			err_errno(err, errno, "rename %s to %s", temporary, disk);
		unlink(temporary);
		return -1;
	}
	return 0;
}

static int fill_seed(struct md_machine *m, struct md_seed *s, char **key, char **login,
	char **user_data, struct err *err)
{
	const char *user_file = md_state_str(m, "UserDataFile");
	_cleanup_free_ char *key_path = md_file(m, HOST_KEY),
			    *login_path = md_file(m, "id_ed25519.pub");

	if (md_read_file(key_path, KEY_MAX, key, NULL, err) < 0 ||
		md_read_file(login_path, KEY_MAX, login, NULL, err) < 0)
		return -1;
	if (*user_file && md_read_file(user_file, USER_DATA_MAX, user_data, NULL, err) < 0)
		return err_wrap(err, "--qemu-userdata");
	(*login)[strcspn(*login, "\r\n")] = '\0';
	strv_add(&s->authorized_keys, *login);
	s->instance_id = md_state_str(m, "UUID");
	s->hostname = m->name;
	s->user = md_state_str(m, "SSHUser");
	s->host_key_private = *key;
	s->host_key_public = md_state_str(m, "HostKey");
	s->lean = !md_state_bool(m, "CloudInit");
	s->user_data = *user_data;
	s->mac = md_state_str(m, "MACAddress");
	return 0;
}

/* ADDRESS/PREFIX[,GATEWAY[,DNS]]; parts keeps what the seed borrows. */
static void fill_address(const struct md_machine *m, struct md_seed *s, struct strv *parts)
{
	if (on_user_network(m) || !*md_state_str(m, "NetworkAddress"))
		return;
	strv_split(parts, md_state_str(m, "NetworkAddress"), ',');
	s->address = parts->items[0];
	s->gateway = parts->n > 1 ? parts->items[1] : "";
	s->dns = parts->n > 2 ? parts->items[2] : s->gateway;
}

/* The one that the machine is made with, and the one that takes its place when it has its host key.
 */
static int write_seeds(const struct md_machine *m, struct md_seed *s, struct err *err)
{
	_cleanup_free_ char *path = md_file(m, SEED_FILE), *later = md_file(m, SEED_LATER);

	if (md_seed_write_iso(path, s, err) < 0)
		return -1;
	s->host_key_private = NULL;
	return md_seed_write_iso(later, s, err);
}

static int make_seed(struct md_machine *m, struct err *err)
{
	_cleanup_json_ struct json *mounts = share_mounts(m);
	_cleanup_secret_ char *key = NULL;
	_cleanup_free_ char *login = NULL, *user_data = NULL;
	_cleanup_strv_ struct strv address = STRV_INIT;
	struct md_seed seed = {.mounts = mounts};
	int r = fill_seed(m, &seed, &key, &login, &user_data, err);

	fill_address(m, &seed, &address);
	if (r == 0)
		r = write_seeds(m, &seed, err);
	strv_finish(&seed.authorized_keys);
	return r;
}

/* The firmware writes what it learns into a file of the machine's own. */
static int make_firmware(struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *code = NULL, *from = NULL, *to = md_file(m, UEFI_FILE);

	if (!streq(md_state_str(m, "Firmware"), "uefi"))
		return 0;
	if (firmware_find_uefi(&code, &from, err) < 0 ||
		(access(to, F_OK) < 0 && md_copy_file(from, to, 0600, err) < 0))
		return -1;
	json_set_str(m->state, "FirmwareCode", code);
	return 0;
}

/* Kernels for clouds are made without what they do not need there. */
static void warn_9p(struct md_request *rq, const struct md_machine *m)
{
	if (share_has(m, "9p") && md_state_bool(m, "CloudInit"))
		md_log(rq, LOG_LEVEL_WARN,
			"the folders of --qemu-share are shared by 9p, which the kernels of some "
			"cloud "
			"images do not have; such a machine goes on without. With a virtiofsd on "
			"this "
			"computer it is virtiofs");
}

static int make_parts(struct md_request *rq, struct md_machine *m, struct err *err)
{
	if (md_state_bool(m, "Made"))
		return 0;
	if (share_settle(rq, m, err) < 0 || choose_image(rq, m, err) < 0 ||
		make_keys(rq, m, err) < 0 || make_firmware(m, err) < 0 ||
		make_disk(rq, m, err) < 0 || make_seed(m, err) < 0)
		return -1;
	warn_9p(rq, m);
	json_set(m->state, "Made", json_bool(true));
	return md_checkpoint(rq, m->state, err);
}

/* Has the first login done, which takes its time where the system still sets itself up. Then the
 * host key need not lie in the seed any more. */
static int finish_seed(const struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_free_ char *path = md_file(m, SEED_FILE), *later = md_file(m, SEED_LATER);

	if (access(later, F_OK) < 0)
		return 0;
	if (!md_state_bool(m, LOGGED_IN)) {
		json_set(m->state, LOGGED_IN, json_bool(true));
		out->status = MD_RUN;
		out->command = xstrdup(AWAIT_CLOUD_INIT);
		out->again = true;
		return 0;
	}
	json_unset(m->state, LOGGED_IN);
	if (rename(later, path) < 0)
		return err_errno(err, errno, "rename %s", later);
	return 0;
}

int qemu_create(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_lock_ int lock = -1;

	if (make_identity(rq, m, err) < 0 || vm_lock(rq, m, &lock, err) < 0 ||
		make_parts(rq, m, err) < 0)
		return -1;
	if (power_on(rq, m, out, err) < 0)
		return -1;
	if (out->status == MD_WAIT) {
		json_unset(m->state, LOGGED_IN);
		return 0;
	}
	return finish_seed(m, out, err);
}
