/* The driver's flags, and what is stored of them as it is. */
#include "qemu.h"

#include <ctype.h>
#include <string.h>

#define MEMORY_MIN 256
#define MEMORY_MAX (16 << 20)
#define CPUS_MAX 255
#define DISK_MAX (64 << 20)

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
	STR("qemu-cache-mode", NULL, "default",
		"Disk cache mode: default, none, writethrough, writeback, directsync, or unsafe"),
	INT("qemu-cpu-count", "QEMU_CPU_COUNT", 2, "Number of CPUs (-1: as many as this computer)"),
	STR("qemu-cpu-type", "QEMU_CPU_TYPE", "auto",
		"Kind of CPU, as QEMU calls it (auto: this computer's, or the best emulated)"),
	INT("qemu-disk-size", "QEMU_DISK_SIZE", 20000,
		"Size of disk for host in MB, at least the image's (it takes up what is used)"),
	BOOL("qemu-display", NULL, "Display video output"),
	STR("qemu-display-type", NULL, "", "Select type of display"),
	INT("qemu-engine-port", "QEMU_ENGINE_PORT", 0,
		"Port of this computer for the engine (0: a free one; for user)"),
	LIST("qemu-extra-arg", NULL, "Argument to add to QEMU's, as it is"),
	STR("qemu-firmware", "QEMU_FIRMWARE", "",
		"Boot the image's own boot loader by this firmware: bios, uefi, or a file's path "
		"(if not provided, the image's kernel is booted where it brings one)"),
	STR("qemu-image", "QEMU_IMAGE", "",
		"Image of the machine: a name or ID of `image ls`, a path, or a URL of a qcow2 "
		"disk "
		"(if not provided, the newest debian-12, or else the published debian-12-cloud)"),
	STR("qemu-image-checksum", "QEMU_IMAGE_CHECKSUM", "",
		"Checksum of that image: sha256:HEX, sha512:HEX, the URL of a list, or none"),
	STR("qemu-io-mode", NULL, "threads", "Disk IO mode: threads, native"),
	STR("qemu-localports", "QEMU_LOCALPORTS", "",
		"Port range to bind local SSH and engine ports"),
	STR("qemu-mac-address", NULL, "",
		"Address of the network card (if not provided, one of its own)"),
	STR("qemu-machine-type", NULL, "q35", "Kind of computer, as QEMU calls it"),
	INT("qemu-memory", "QEMU_MEMORY", 2048, "Size of memory for host in MB"),
	STR("qemu-network", "QEMU_NETWORK", "user",
		"Name of network to connect to (user, tap, bridge)"),
	STR("qemu-network-address", NULL, "",
		"IPv4 address of the machine, A.B.C.D/PREFIX[,GATEWAY[,DNS]] (for tap and bridge; "
		"if not provided, by DHCP)"),
	STR("qemu-network-bridge", NULL, "br0",
		"Name of the network bridge to be used for networking (for bridge)"),
	STR("qemu-network-interface", NULL, "tap0",
		"Name of the network interface to be used for networking (for tap)"),
	BOOL("qemu-nographic", NULL, "Does nothing (for who knows it from elsewhere)"),
	STR("qemu-program", "QEMU_PROGRAM", "qemu-system-x86_64", "Name of program to run"),
	LIST("qemu-publish", NULL,
		"Forward a port: [ADDRESS:]PORT:PORT[/udp], the machine's port last (for user)"),
	LIST("qemu-share", NULL,
		"Share a folder: FOLDER[:FOLDER][:ro], the machine's folder second"),
	STR("qemu-share-type", NULL, "auto",
		"How folders are shared: 9p, virtiofs, auto (virtiofs where virtiofsd is there)"),
	INT("qemu-ssh-port", "QEMU_SSH_PORT", 0,
		"Port of this computer for SSH (0: a free one; for user)"),
	STR("qemu-ssh-user", "QEMU_SSH_USER", "docker", "SSH username"),
	STR("qemu-userdata", "QEMU_USERDATA", "",
		"File with user data for cloud-init (for images that have it)"),
	BOOL("qemu-virtio-drives", NULL, "Does nothing: drives are virtio always"),
};
_Static_assert(ARRAY_SIZE(qemu_flags) == N_QEMU_FLAGS, "N_QEMU_FLAGS is not their number");

static const char *const accels[] = {"auto", "kvm", "tcg", NULL};
static const char *const networks[] = {"user", "tap", "bridge", NULL};
static const char *const caches[] = {
	"default", "none", "writethrough", "writeback", "directsync", "unsafe", NULL};
static const char *const ios[] = {"threads", "native", NULL};

/* PATH: made absolute. PROPERTY: a name, with properties behind it. */
enum check { ANY, WORD, NAME, PATH, PROPERTY };

static const struct {
	const char *flag, *key;
	const char *const *choices;
	enum check check;
} strings[] = {
	{"qemu-accel", ACCEL_WANTED, accels, ANY},
	{"qemu-append", "Append", NULL, ANY},
	{"qemu-bind-address", "BindAddress", NULL, WORD},
	{"qemu-cache-mode", "CacheMode", caches, ANY},
	{"qemu-cpu-type", CPU_TYPE_WANTED, NULL, PROPERTY},
	{"qemu-display-type", "DisplayType", NULL, ANY},
	{"qemu-boot2docker-url", "Boot2DockerURL", NULL, ANY},
	{"qemu-image", "Image", NULL, ANY},
	{"qemu-image-checksum", "ImageChecksum", NULL, ANY},
	{"qemu-io-mode", "IOMode", ios, ANY},
	{"qemu-localports", "LocalPorts", NULL, ANY},
	{"qemu-machine-type", "MachineType", NULL, PROPERTY},
	{"qemu-network", "Network", networks, ANY},
	{"qemu-network-bridge", "NetworkBridge", NULL, WORD},
	{"qemu-network-interface", "NetworkInterface", NULL, WORD},
	{"qemu-program", "Program", NULL, NAME},
	{"qemu-ssh-user", "SSHUser", NULL, WORD},
	{"qemu-userdata", "UserDataFile", NULL, PATH},
};

static const struct {
	const char *flag, *key;
	int min, max;
	int also; /* a value below min that has a meaning of its own */
} numbers[] = {
	{"qemu-cpu-count", "CPU", 1, CPUS_MAX, -1},
	{"qemu-disk-size", "DiskSize", 1, DISK_MAX, 1},
	{"qemu-engine-port", ENGINE_PORT_WANTED, 1, PORT_MAX, 0},
	{"qemu-memory", "Memory", MEMORY_MIN, MEMORY_MAX, MEMORY_MIN},
	{"qemu-ssh-port", SSH_PORT_WANTED, 1, PORT_MAX, 0},
};

int flag_choose(const char *flag, const char *value, const char *const *choices, struct err *err)
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

	if (strings[i].choices && flag_choose(flag, value, strings[i].choices, err) < 0)
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

int flags_store(struct md_machine *m, const struct json *values, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		if (set_string(m, values, i, err) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (set_number(m, values, i, err) < 0)
			return -1;
	return 0;
}
