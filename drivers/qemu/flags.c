/* The driver's flags, and the state that they become. */
#include "qemu.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#define MEMORY_MIN 256
#define MEMORY_MAX (16 << 20)
#define CPUS_MAX 255
#define DISK_MIN 64
#define DISK_MAX (64 << 20)
#define APPEND_MAX 1024u /* the kernel takes 2,048 bytes, the image's own included */
#define SHARES_MAX 16u
#define FORWARDS_MAX 64u

#define STR(flag, variable, value, text)                                                    \
	{                                                                                   \
		.name = (flag), .type = FLAG_STRING, .env = (variable), .def_str = (value), \
		.usage = (text)                                                             \
	}
#define INT(flag, variable, value, text)                                                 \
	{                                                                                \
		.name = (flag), .type = FLAG_INT, .env = (variable), .def_int = (value), \
		.usage = (text)                                                          \
	}
#define BOOL(flag, variable, text)                                                    \
	{                                                                             \
		.name = (flag), .type = FLAG_BOOL, .env = (variable), .usage = (text) \
	}
#define LIST(flag, variable, text)                                                    \
	{                                                                             \
		.name = (flag), .type = FLAG_LIST, .env = (variable), .usage = (text) \
	}

const struct flagspec qemu_flags[] = {
	STR("qemu-accel", "QEMU_ACCEL", "auto",
		"Who runs the machine's code: kvm, tcg (emulation), auto (KVM when it works)"),
	STR("qemu-append", "QEMU_APPEND", "", "Arguments to add to the kernel's"),
	STR("qemu-bind-address", "QEMU_BIND_ADDRESS", "127.0.0.1",
		"Address of this computer where the machine's ports are (for user)"),
	STR("qemu-boot2docker-url", "QEMU_BOOT2DOCKER_URL", "",
		"Not supported any more: use --qemu-image"),
	STR("qemu-cache-mode", "QEMU_CACHE_MODE", "default",
		"Disk cache mode: default, none, writethrough, writeback, directsync, or unsafe"),
	INT("qemu-cpu-count", "QEMU_CPU_COUNT", 2, "Number of CPUs (-1: as many as this computer)"),
	STR("qemu-cpu-type", "QEMU_CPU_TYPE", "auto",
		"Kind of CPU, as QEMU calls it (auto: this computer's, or the best emulated)"),
	INT("qemu-disk-size", "QEMU_DISK_SIZE", 20000,
		"Size of disk for host in MB (it takes up what is used)"),
	BOOL("qemu-display", "QEMU_DISPLAY", "Display video output"),
	STR("qemu-display-type", "QEMU_DISPLAY_TYPE", "", "Select type of display"),
	INT("qemu-engine-port", "QEMU_ENGINE_PORT", 0,
		"Port of this computer for the engine (0: a free one; for user)"),
	LIST("qemu-extra-arg", "QEMU_EXTRA_ARG", "Argument to add to QEMU's, as it is"),
	STR("qemu-firmware", "QEMU_FIRMWARE", "",
		"Boot the image's own boot loader by this firmware: bios, uefi, or a file's path "
		"(if not provided, the image's kernel is booted where it brings one)"),
	STR("qemu-image", "QEMU_IMAGE", "",
		"Image of the machine: a name or ID of `image ls`, a path, or a URL of a qcow2 "
		"disk "
		"(if not provided, the newest debian-12, or else the published debian-12-cloud)"),
	STR("qemu-image-checksum", "QEMU_IMAGE_CHECKSUM", "",
		"Checksum of that image: sha256:HEX, sha512:HEX, the URL of a list, or none"),
	STR("qemu-io-mode", "QEMU_IO_MODE", "threads", "Disk IO mode: threads, native"),
	STR("qemu-localports", "QEMU_LOCALPORTS", "",
		"Port range to bind local SSH and engine ports"),
	STR("qemu-mac-address", "QEMU_MAC_ADDRESS", "",
		"Address of the network card (if not provided, one of its own)"),
	STR("qemu-machine-type", "QEMU_MACHINE_TYPE", "q35", "Kind of computer, as QEMU calls it"),
	INT("qemu-memory", "QEMU_MEMORY", 2048, "Size of memory for host in MB"),
	STR("qemu-network", "QEMU_NETWORK", "user",
		"Name of network to connect to (user, tap, bridge)"),
	STR("qemu-network-address", "QEMU_NETWORK_ADDRESS", "",
		"IPv4 address of the machine, A.B.C.D/PREFIX[,GATEWAY[,DNS]] (for tap and bridge; "
		"if not provided, by DHCP)"),
	STR("qemu-network-bridge", "QEMU_NETWORK_BRIDGE", "br0",
		"Name of the network bridge to be used for networking (for bridge)"),
	STR("qemu-network-interface", "QEMU_NETWORK_INTERFACE", "tap0",
		"Name of the network interface to be used for networking (for tap)"),
	BOOL("qemu-nographic", "QEMU_NOGRAPHIC", "No display, which is the default"),
	STR("qemu-program", "QEMU_PROGRAM", "qemu-system-x86_64", "Name of program to run"),
	LIST("qemu-publish", "QEMU_PUBLISH",
		"Forward a port: [ADDRESS:]PORT:PORT[/udp], the machine's port last (for user)"),
	LIST("qemu-share", "QEMU_SHARE",
		"Share a folder: FOLDER[:FOLDER][:ro], the machine's folder second"),
	STR("qemu-share-type", "QEMU_SHARE_TYPE", "auto",
		"How folders are shared: 9p, virtiofs, auto (virtiofs where virtiofsd is there)"),
	INT("qemu-ssh-port", "QEMU_SSH_PORT", 0,
		"Port of this computer for SSH (0: a free one; for user)"),
	STR("qemu-ssh-user", "QEMU_SSH_USER", "docker", "SSH username"),
	STR("qemu-userdata", "QEMU_USERDATA", "",
		"File with user data for cloud-init (for images that have it)"),
	BOOL("qemu-virtio-drives", "QEMU_VIRTIO_DRIVES",
		"Use virtio for drives, which is always so"),
};
_Static_assert(ARRAY_SIZE(qemu_flags) == N_QEMU_FLAGS, "N_QEMU_FLAGS is not their number");

static const char *const accels[] = {"auto", "kvm", "tcg", NULL};
static const char *const networks[] = {"user", "tap", "bridge", NULL};
static const char *const caches[] = {
	"default", "none", "writethrough", "writeback", "directsync", "unsafe", NULL};
static const char *const ios[] = {"threads", "native", NULL};
static const char *const share_types[] = {"auto", "9p", "virtiofs", NULL};

/* PATH: made absolute. PROPERTY: a name, with properties behind it. */
enum check { ANY, WORD, NAME, PATH, PROPERTY };

static const struct {
	const char *flag, *key;
	const char *const *choices;
	enum check check;
} strings[] = {
	{"qemu-accel", "Accel", accels, ANY},
	{"qemu-append", "Append", NULL, ANY},
	{"qemu-bind-address", "BindAddress", NULL, WORD},
	{"qemu-cache-mode", "CacheMode", caches, ANY},
	{"qemu-cpu-type", "CPUType", NULL, PROPERTY},
	{"qemu-display-type", "DisplayType", NULL, ANY},
	{"qemu-image", "Image", NULL, ANY},
	{"qemu-image-checksum", "ImageChecksum", NULL, ANY},
	{"qemu-io-mode", "IOMode", ios, ANY},
	{"qemu-machine-type", "MachineType", NULL, PROPERTY},
	{"qemu-network", "Network", networks, ANY},
	{"qemu-network-bridge", "NetworkBridge", NULL, WORD},
	{"qemu-network-interface", "NetworkInterface", NULL, WORD},
	{"qemu-program", "Program", NULL, NAME},
	{"qemu-share-type", "ShareType", share_types, ANY},
	{"qemu-ssh-user", "SSHUser", NULL, WORD},
	{"qemu-userdata", "UserDataFile", NULL, PATH},
};

static const struct {
	const char *flag, *key;
	int min, max;
	int also; /* a value below min that has a meaning of its own */
} numbers[] = {
	{"qemu-cpu-count", "CPU", 1, CPUS_MAX, -1},
	{"qemu-disk-size", "DiskSize", DISK_MIN, DISK_MAX, DISK_MIN},
	{"qemu-engine-port", ENGINE_PORT_WANTED, 1, PORT_MAX, 0},
	{"qemu-memory", "Memory", MEMORY_MIN, MEMORY_MAX, MEMORY_MIN},
	{"qemu-ssh-port", SSH_PORT_WANTED, 1, PORT_MAX, 0},
};

const char *get_str(const struct md_machine *m, const char *key)
{
	return json_str(json_get_fold(m->state, key), "");
}

int64_t get_int(const struct md_machine *m, const char *key)
{
	return json_int_or(json_get_fold(m->state, key), 0);
}

bool get_bool(const struct md_machine *m, const char *key)
{
	return json_bool_or(json_get_fold(m->state, key), false);
}

bool on_user_network(const struct md_machine *m)
{
	return streq(get_str(m, "Network"), "user");
}

char *address_of(const struct md_machine *m)
{
	const char *address = get_str(m, on_user_network(m) ? "BindAddress" : "NetworkAddress");

	if (streq(address, "0.0.0.0"))
		return xstrdup("127.0.0.1");
	return xstrndup(address, strcspn(address, "/"));
}

static int choose(const char *flag, const char *value, const char *const *choices, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;
	_cleanup_free_ char *all = NULL;

	for (size_t i = 0; choices[i]; i++) {
		if (streq(choices[i], value))
			return 0;
		strv_add(&names, choices[i]);
	}
	all = strv_join(&names, ", ");
	return err_set(err, ERR_USER, "--%s \"%s\" is none of %s", flag, value, all);
}

/* These are arguments of programs and names in files. */
static bool is_word(const char *s)
{
	if (!*s || *s == '-')
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
			return false;
	return true;
}

static bool has_control(const char *s)
{
	for (; *s; s++)
		if (iscntrl((unsigned char)*s))
			return true;
	return false;
}

static int set_string(struct md_machine *m, const struct json *values, size_t i, struct err *err)
{
	const char *flag = strings[i].flag, *value = md_flag_str(values, flag);
	bool path = strings[i].check == PATH || (strings[i].check == NAME && strchr(value, '/'));
	_cleanup_free_ char *full = path ? md_expand_path(value) : xstrdup(value);

	if (strings[i].choices && choose(flag, value, strings[i].choices, err) < 0)
		return -1;
	if ((strings[i].check == WORD && !is_word(value)) ||
		((strings[i].check == NAME || strings[i].check == PROPERTY) &&
			(!*value || *value == '-')) ||
		has_control(value))
		return err_set(err, ERR_USER, "--%s \"%s\" is not a name", flag, value);
	json_set_str(m->state, strings[i].key, full);
	return 0;
}

static int set_number(struct md_machine *m, const struct json *values, size_t i, struct err *err)
{
	int64_t n = md_flag_int(values, numbers[i].flag);

	if ((n < numbers[i].min || n > numbers[i].max) && n != numbers[i].also)
		return err_set(err, ERR_USER, "--%s %lld: a number from %d to %d is wanted",
			numbers[i].flag, (long long)n, numbers[i].min, numbers[i].max);
	json_set(m->state, numbers[i].key, json_int(n));
	return 0;
}

static int set_shares(struct md_machine *m, const struct json *values, struct err *err)
{
	const struct json *list = md_flag_list(values, "qemu-share");
	struct json *shares = json_array();

	bool virtiofs = streq(get_str(m, "ShareType"), "virtiofs");

	json_set(m->state, "Shares", shares);
	for (size_t i = 0; json_at(list, i); i++) {
		struct json *share = NULL;

		if (i == SHARES_MAX)
			return err_set(
				err, ERR_USER, "--qemu-share: more than %u folders", SHARES_MAX);
		if (share_parse(json_str(json_at(list, i), ""), &share, err) < 0)
			return -1;
		json_add(shares, share);
		if (virtiofs && json_bool_or(json_get(share, "ReadOnly"), false))
			return err_set(err, ERR_USER,
				"--qemu-share %s: virtiofs cannot keep the machine from writing; "
				"use --qemu-share-type 9p",
				json_str(json_at(list, i), ""));
	}
	return 0;
}

static int set_forwards(struct md_machine *m, const struct json *values, struct err *err)
{
	const struct json *list = md_flag_list(values, "qemu-publish");
	const char *range = md_flag_str(values, "qemu-localports");
	struct json *forwards = json_array();
	int min, max;

	json_set(m->state, "Publish", forwards);
	json_set_str(m->state, "LocalPorts", range);
	if (*range && port_range_parse(range, &min, &max, err) < 0)
		return -1;
	for (size_t i = 0; json_at(list, i); i++) {
		_cleanup_free_ char *rule = NULL;

		if (i == FORWARDS_MAX)
			return err_set(
				err, ERR_USER, "--qemu-publish: more than %u ports", FORWARDS_MAX);
		if (forward_parse(json_str(json_at(list, i), ""), get_str(m, "BindAddress"), &rule,
			    err) < 0)
			return -1;
		json_add(forwards, json_string(rule));
	}
	if (forwards->n && !on_user_network(m))
		return err_set(err, ERR_USER, "--qemu-publish is for --qemu-network user");
	return 0;
}

/* ADDRESS[,GATEWAY[,DNS]]; nothing: the machine asks by DHCP. */
static int set_address(struct md_machine *m, const char *text, struct err *err)
{
	static const char *const keys[] = {"NetworkAddress", "NetworkGateway", "NetworkDNS"};
	_cleanup_strv_ struct strv parts = STRV_INIT;
	_cleanup_free_ char *full = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		json_set_str(m->state, keys[i], "");
	if (!*text)
		return 0;
	strv_split(&parts, text, ',');
	if (parts.n < 1 || parts.n > ARRAY_SIZE(keys))
		return address_parse("qemu-network-address", text, &full, err);
	if (address_parse("qemu-network-address", parts.items[0], &full, err) < 0)
		return -1;
	json_set_str(m->state, keys[0], full);
	for (size_t i = 1; i < parts.n; i++) {
		if (!is_ipv4(parts.items[i]))
			return err_set(err, ERR_USER,
				"--qemu-network-address \"%s\": \"%s\" is not an IPv4 address",
				text, parts.items[i]);
		json_set_str(m->state, keys[i], parts.items[i]);
	}
	return 0;
}

/* What belongs to the other kind of network is a mistake that would not show. */
static int check_kind(const struct md_machine *m, const struct json *values, struct err *err)
{
	static const char *const ports[] = {"qemu-ssh-port", "qemu-engine-port"};
	const char *network = get_str(m, "Network");

	if (on_user_network(m) && *md_flag_str(values, "qemu-network-address"))
		return err_set(err, ERR_USER,
			"--qemu-network-address is for --qemu-network bridge and tap, not for "
			"user");
	for (size_t i = 0; !on_user_network(m) && i < ARRAY_SIZE(ports); i++)
		if (md_flag_int(values, ports[i]))
			return err_set(err, ERR_USER, "--%s is for --qemu-network user, not for %s",
				ports[i], network);
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
	_cleanup_free_ char *reached = NULL;

	if (!is_ipv4(get_str(m, "BindAddress")))
		return err_set(err, ERR_USER, "--qemu-bind-address \"%s\" is not an IPv4 address",
			get_str(m, "BindAddress"));
	if (check_kind(m, values, err) < 0 ||
		set_mac(m, md_flag_str(values, "qemu-mac-address"), err) < 0 ||
		set_address(m, md_flag_str(values, "qemu-network-address"), err) < 0)
		return -1;
	reached = address_of(m);
	json_set_str(m->state, "IPAddress", reached);
	json_set(m->state, "SSHPort",
		json_int(on_user_network(m) ? get_int(m, SSH_PORT_WANTED) : SSH_PORT));
	json_set(m->state, "EnginePort",
		json_int(on_user_network(m) ? get_int(m, ENGINE_PORT_WANTED) : ENGINE_PORT));
	return 0;
}

static void set_extra(struct md_machine *m, const struct json *values)
{
	const struct json *list = md_flag_list(values, "qemu-extra-arg");

	json_set(m->state, "ExtraArgs", list ? json_copy(list) : json_array());
}

/* Native asynchronous IO goes past the page cache. */
static int check_io(const struct md_machine *m, struct err *err)
{
	const char *cache = get_str(m, "CacheMode");

	if (streq(get_str(m, "IOMode"), "native") && !streq(cache, "none") &&
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
	json_set(m->state, "Display",
		json_bool(md_flag_bool(values, "qemu-display") &&
			  !md_flag_bool(values, "qemu-nographic")));
	if (*md_flag_str(values, "qemu-boot2docker-url"))
		return err_set(err, ERR_NOT_SUPPORTED,
			"--qemu-boot2docker-url: boot2docker is no longer maintained, and this "
			"driver does not start it; leave the flag out for Debian 12, or choose an "
			"image with --qemu-image");
	if (strlen(get_str(m, "Append")) > APPEND_MAX)
		return err_set(err, ERR_USER, "--qemu-append: more than %u characters", APPEND_MAX);
	if (*get_str(m, "Append") && *firmware)
		return err_set(err, ERR_USER,
			"--qemu-append has no effect with --qemu-firmware: the arguments are the "
			"boot loader's then");
	return 0;
}

int qemu_configure(
	struct md_request *rq, struct md_machine *m, const struct json *values, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		if (set_string(m, values, i, err) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (set_number(m, values, i, err) < 0)
			return -1;
	set_extra(m, values);
	if (check_io(m, err) < 0 || set_network(m, values, err) < 0 ||
		set_forwards(m, values, err) < 0 || set_shares(m, values, err) < 0 ||
		set_firmware(m, values, err) < 0)
		return -1;
	return 0;
}
