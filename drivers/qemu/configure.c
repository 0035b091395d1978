/* What flags become: the state, in an order that the old plugin's users know. */
#include "qemu.h"

#include <string.h>

#define APPEND_MAX 1024u /* the kernel takes 2,048 bytes, the image's own included */
#define SHARES_MAX 16u
#define FORWARDS_MAX 64u

/*
 * The members of a state after those that every driver has: first the old plugin's, with its names
 * and types, then what it did not have. The rest, which only this driver reads, is behind them.
 */
static const struct md_field fields[] = {
	{"EnginePort", MD_NUMBER, NULL},
	{"FirstQuery", MD_YES_NO, NULL}, /* always false */
	{"Memory", MD_NUMBER, NULL},
	{"DiskSize", MD_NUMBER, NULL},
	{"CPU", MD_NUMBER, NULL},
	{"Program", MD_TEXT, NULL},
	{"Display", MD_YES_NO, NULL},
	{"DisplayType", MD_TEXT, NULL},
	{"Nographic", MD_YES_NO, NULL},
	{"VirtioDrives", MD_YES_NO, NULL},
	{"Network", MD_TEXT, NULL},
	{"PrivateNetwork", MD_TEXT, NULL},
	{"Boot2DockerURL", MD_TEXT, NULL},
	{"NetworkInterface", MD_TEXT, NULL},
	{"NetworkAddress", MD_TEXT, NULL}, /* ADDRESS/PREFIX[,GATEWAY[,DNS]] */
	{"NetworkBridge", MD_TEXT, NULL},
	{"CaCertPath", MD_TEXT, NULL},
	{"PrivateKeyPath", MD_TEXT, NULL},
	{"DiskPath", MD_TEXT, NULL},
	{"CacheMode", MD_TEXT, NULL},
	{"IOMode", MD_TEXT, NULL},
	{"UserDataFile", MD_TEXT, NULL},
	{"CloudConfigRoot", MD_TEXT, NULL},
	{"LocalPorts", MD_TEXT, NULL},
	{"Image", MD_TEXT, NULL},
	{"ImageChecksum", MD_TEXT, NULL},
	{"BaseImagePath", MD_TEXT, NULL},
	{"Accel", MD_TEXT, NULL},   /* of the last start: kvm, tcg */
	{"CPUType", MD_TEXT, NULL}, /* … */
	{"MachineType", MD_TEXT, NULL},
	{"Firmware", MD_TEXT, NULL},
	{"MACAddress", MD_TEXT, NULL},
	{"UUID", MD_TEXT, NULL},
	{"BindAddress", MD_TEXT, NULL},
	{"Publish", MD_LIST, NULL},
	{"Shares", MD_LIST, NULL}, /* of {Host, Guest, Tag, ReadOnly, Type} */
	{"HostKey", MD_TEXT, NULL},
	{"ExtraArgs", MD_LIST, NULL},
};

bool on_user_network(const struct md_machine *m)
{
	return streq(md_state_str(m, "Network"), "user");
}

char *address_of(const struct md_machine *m)
{
	const char *address =
		md_state_str(m, on_user_network(m) ? "BindAddress" : "NetworkAddress");

	if (vm_is_old(m))
		return xstrdup(md_state_str(m, "IPAddress"));
	if (streq(address, "0.0.0.0"))
		return xstrdup("127.0.0.1");
	return xstrndup(address, strcspn(address, "/"));
}

/* virtiofs cannot keep the machine from writing. */
static int add_share(struct json *shares, const char *text, const char *type, struct err *err)
{
	struct json *share = NULL;

	if (share_parse(text, shares->n, &share, err) < 0)
		return -1;
	json_add(shares, share);
	if (!json_bool_or(json_get(share, "ReadOnly"), false))
		json_set_str(share, "Type", type);
	else if (!streq(type, "virtiofs"))
		json_set_str(share, "Type", "9p");
	else
		return err_set(err, ERR_USER,
			"--qemu-share %s: virtiofs cannot keep the machine from writing; use "
			"--qemu-share-type 9p or auto",
			text);
	return 0;
}

static int set_shares(struct md_machine *m, const struct json *values, struct err *err)
{
	static const char *const types[] = {"auto", "9p", "virtiofs", NULL};
	const struct json *list = md_flag_list(values, "qemu-share");
	const char *type = md_flag_str(values, "qemu-share-type");
	_cleanup_json_ struct json *shares = json_array();

	if (flag_choose("qemu-share-type", type, types, err) < 0)
		return -1;
	for (size_t i = 0; json_at(list, i); i++) {
		if (i == SHARES_MAX)
			return err_set(
				err, ERR_USER, "--qemu-share: more than %u folders", SHARES_MAX);
		if (add_share(shares, json_str(json_at(list, i), ""), type, err) < 0)
			return -1;
	}
	if (shares->n)
		json_set(m->state, "Shares", take(shares));
	return 0;
}

static int set_forwards(struct md_machine *m, const struct json *values, struct err *err)
{
	const struct json *list = md_flag_list(values, "qemu-publish");
	const char *range = md_state_str(m, "LocalPorts");
	_cleanup_json_ struct json *forwards = json_array();
	int min, max;

	if (*range && port_range_parse(range, &min, &max, err) < 0)
		return -1;
	for (size_t i = 0; json_at(list, i); i++) {
		_cleanup_free_ char *rule = NULL;

		if (i == FORWARDS_MAX)
			return err_set(
				err, ERR_USER, "--qemu-publish: more than %u ports", FORWARDS_MAX);
		if (forward_parse(json_str(json_at(list, i), ""), md_state_str(m, "BindAddress"),
			    &rule, err) < 0)
			return -1;
		json_add(forwards, json_string(rule));
	}
	if (forwards->n)
		json_set(m->state, "Publish", take(forwards));
	return 0;
}

/* What belongs to another kind of network is a mistake that would not show. */
static int check_kind(const struct md_machine *m, const struct json *values, struct err *err)
{
	static const struct {
		const char *flag, *usual;
		const char *kinds[2];
	} flags[] = {
		{"qemu-bind-address", "127.0.0.1", {"user"}},
		{"qemu-localports", "", {"user"}},
		{"qemu-network-address", "", {"bridge", "tap"}},
		{"qemu-network-bridge", "br0", {"bridge"}},
		{"qemu-network-interface", "tap0", {"tap"}},
	};
	static const char *const ports[] = {"qemu-ssh-port", "qemu-engine-port"};
	const char *network = md_state_str(m, "Network"), *wrong = NULL, *kind = "user",
		   *also = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (streq(md_flag_str(values, flags[i].flag), flags[i].usual) ||
			streq(network, flags[i].kinds[0]) ||
			(flags[i].kinds[1] && streq(network, flags[i].kinds[1])))
			continue;
		wrong = flags[i].flag;
		kind = flags[i].kinds[0];
		also = flags[i].kinds[1];
	}
	for (size_t i = 0; !on_user_network(m) && i < ARRAY_SIZE(ports); i++)
		if (md_flag_int(values, ports[i]))
			wrong = ports[i];
	if (!on_user_network(m) && json_at(md_flag_list(values, "qemu-publish"), 0))
		wrong = "qemu-publish";
	if (wrong)
		return err_set(err, ERR_USER, "--%s is for --qemu-network %s%s%s, not for %s",
			wrong, kind, also ? " and " : "", also ? also : "", network);
	if (md_flag_int(values, ports[0]) &&
		md_flag_int(values, ports[0]) == md_flag_int(values, ports[1]))
		return err_set(
			err, ERR_USER, "--%s and --%s are the same port", ports[0], ports[1]);
	return 0;
}

static int set_mac(struct md_machine *m, const char *text, struct err *err)
{
	if (*text && !is_mac(text))
		return err_set(err, ERR_USER,
			"--qemu-mac-address \"%s\" is not the address of a network card, such as "
			"52:54:00:12:34:56",
			text);
	json_set_str(m->state, "MACAddress", text);
	return 0;
}

static int set_network(struct md_machine *m, const struct json *values, struct err *err)
{
	_cleanup_free_ char *reached = NULL, *address = NULL;

	if (!is_ipv4(md_state_str(m, "BindAddress")))
		return err_set(err, ERR_USER, "--qemu-bind-address \"%s\" is not an IPv4 address",
			md_state_str(m, "BindAddress"));
	if (check_kind(m, values, err) < 0 ||
		set_mac(m, md_flag_str(values, "qemu-mac-address"), err) < 0 ||
		address_list_parse(md_flag_str(values, "qemu-network-address"), &address, err) < 0)
		return -1;
	json_set_str(m->state, "NetworkAddress", address);
	reached = address_of(m);
	json_set_str(m->state, "IPAddress", reached);
	json_set(m->state, "SSHPort",
		json_int(on_user_network(m) ? md_state_int(m, SSH_PORT_WANTED) : SSH_PORT));
	json_set(m->state, "EnginePort",
		json_int(on_user_network(m) ? md_state_int(m, ENGINE_PORT_WANTED) : ENGINE_PORT));
	return 0;
}

/* Native asynchronous IO goes past the page cache. */
static int check_io(const struct md_machine *m, struct err *err)
{
	const char *cache = md_state_str(m, "CacheMode");

	if (streq(md_state_str(m, "IOMode"), "native") && !streq(cache, "none") &&
		!streq(cache, "directsync"))
		return err_set(err, ERR_USER,
			"--qemu-io-mode native needs --qemu-cache-mode none or directsync");
	return 0;
}

/* "bios" is the firmware that QEMU has itself, "uefi" one that is looked for. */
static int set_firmware(struct md_machine *m, const struct json *values, struct err *err)
{
	const char *firmware = md_flag_str(values, "qemu-firmware");
	_cleanup_free_ char *path =
		is_known_firmware(firmware) ? xstrdup(firmware) : md_expand_path(firmware);

	json_set_str(m->state, "Firmware", path);
	if (strlen(md_state_str(m, "Append")) > APPEND_MAX)
		return err_set(err, ERR_USER, "--qemu-append: more than %u characters", APPEND_MAX);
	if (*md_state_str(m, "Append") && *firmware)
		return err_set(err, ERR_USER,
			"--qemu-append has no effect with --qemu-firmware: the arguments are the "
			"boot loader's then");
	return 0;
}

static int check_image(const struct md_machine *m, struct err *err)
{
	if (*md_state_str(m, "Boot2DockerURL"))
		return err_set(err, ERR_NOT_SUPPORTED,
			"--qemu-boot2docker-url: boot2docker is no longer maintained, and this "
			"driver does not start it; leave the flag out for Debian 12, or choose an "
			"image with --qemu-image");
	if (md_image_check(md_state_str(m, "Image"), md_state_str(m, "ImageChecksum"), err) < 0)
		return err_wrap(err, "--qemu-image, --qemu-image-checksum");
	return 0;
}

static void set_rest(struct md_machine *m, const struct json *values)
{
	static const char *const flags[][2] = {{"qemu-display", "Display"},
		{"qemu-nographic", "Nographic"}, {"qemu-virtio-drives", "VirtioDrives"}};
	const struct json *extra = md_flag_list(values, "qemu-extra-arg");
	_cleanup_free_ char *disk = md_file(m, DISK_FILE);

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		json_set(m->state, flags[i][1], json_bool(md_flag_bool(values, flags[i][0])));
	json_set_str(m->state, "DiskPath", disk);
	if (json_at(extra, 0))
		json_set(m->state, "ExtraArgs", json_copy(extra));
}

int qemu_configure(
	struct md_request *rq, struct md_machine *m, const struct json *values, struct err *err)
{
	md_fields_set(m, fields, ARRAY_SIZE(fields), NULL);
	if (!is_host_name(m->name))
		return err_set(err, ERR_USER,
			"\"%s\" is no name for a host: at most %u letters, digits, '-' and '.', "
			"and "
			"neither '-' nor '.' beside a '.' or at an end",
			m->name, HOST_NAME_MAX_BYTES);
	if (flags_store(m, values, err) < 0 || check_image(m, err) < 0 || check_io(m, err) < 0 ||
		set_network(m, values, err) < 0 || set_forwards(m, values, err) < 0 ||
		set_shares(m, values, err) < 0 || set_firmware(m, values, err) < 0)
		return -1;
	set_rest(m, values);
	return 0;
}
