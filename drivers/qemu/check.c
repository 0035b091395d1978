/* What would make create fail, as far as a look at this computer tells. */
#include "qemu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define VERSION_MIN 502
#define VERSION_GOOD 602
#define FREE_MIN_MB 256
#define MIB ((int64_t)1024 * 1024)
#define BRIDGE_CONF "/etc/qemu/bridge.conf"
#define BRIDGE_CONF_MAX 65536u

/* "QEMU emulator version 7.2.22 (Debian …)" to 702; 0: it says something else. */
int qemu_version_of(const char *text)
{
	static const char before[] = "version ";
	const char *p = strstr(text, before);
	char *end;
	long major, minor;

	if (!p)
		return 0;
	major = strtol(p + strlen(before), &end, 10);
	minor = *end == '.' ? strtol(end + 1, &end, 10) : 0;
	if (major < 1 || major > 1000 || minor < 0 || minor > 99)
		return 0;
	return (int)(major * 100 + minor);
}

static int check_version(struct md_request *rq, const char *file, struct err *err)
{
	const char *argv[] = {file, "--version", NULL};
	struct md_watch w = md_watch_request(rq);
	_cleanup_free_ char *said = NULL;
	int version;

	if (md_run(&w, argv, 0, &said, err) < 0)
		return -1;
	version = qemu_version_of(said);
	said[strcspn(said, "\n")] = '\0';
	log_neutralise(said);
	if (!version)
		return err_set(err, ERR_USER, "%s is not QEMU: it says \"%s\"", file, said);
	if (version < VERSION_MIN)
		return err_set(err, ERR_NOT_SUPPORTED,
			"%s is too old (%s): version 5.2 or later is needed", file, said);
	if (version < VERSION_GOOD)
		md_log(rq, LOG_LEVEL_WARN,
			"%s is old (%s): with versions before 6.2 not everything may work", file,
			said);
	return 0;
}

static int check_programs(struct md_request *rq, const struct md_machine *m, struct err *err)
{
	const struct {
		const char *name, *package;
	} programs[] = {
		{md_state_str(m, "Program"), "qemu-system-x86"}, {md_qemu_img(), "qemu-utils"}};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		_cleanup_free_ char *file = md_find_program(programs[i].name);

		if (!file)
			return err_set(err, ERR_NOT_FOUND,
				"the program %s is not there: install QEMU (in Debian the package "
				"%s)",
				programs[i].name, programs[i].package);
		if (check_version(rq, file, err) < 0)
			return -1;
	}
	return 0;
}

static int check_space(struct md_request *rq, const struct md_machine *m, struct err *err)
{
	int64_t wanted = md_state_int(m, "DiskSize"), free_mb;
	struct statvfs fs;

	if (statvfs(m->store_path, &fs) < 0)
		return err_errno(err, errno, "look at the store %s", m->store_path);
	free_mb = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize / MIB;
	if (free_mb < FREE_MIN_MB)
		return err_set(err, ERR_USER,
			"there is not enough room for a machine in %s: %lld MB are free, and it "
			"needs %d MB to begin with. Free some, or choose another --storage-path",
			m->store_path, (long long)free_mb, FREE_MIN_MB);
	if (free_mb < wanted)
		md_log(rq, LOG_LEVEL_WARN,
			"the machine's disk may grow to %lld MB, and %lld MB are free in %s",
			(long long)wanted, (long long)free_mb, m->store_path);
	return 0;
}

/* Ports that the user chose. One that is taken by now may be free at the start, but that is luck.
 */
static int check_ports(const struct md_machine *m, struct err *err)
{
	static const char *const keys[][2] = {
		{SSH_PORT_WANTED, "qemu-ssh-port"}, {ENGINE_PORT_WANTED, "qemu-engine-port"}};
	const struct json *forwards = json_get_fold(m->state, "Publish");
	const char *bind = md_state_str(m, "BindAddress");

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		int port = (int)md_state_int(m, keys[i][0]);

		if (port && !port_is_free(bind, port))
			return err_set(err, ERR_USER,
				"--%s %d: the port cannot be had at %s; is another program using "
				"it?",
				keys[i][1], port, bind);
	}
	for (size_t i = 0; json_at(forwards, i); i++) {
		_cleanup_free_ char *address = NULL;
		int port = forward_port(json_str(json_at(forwards, i), ""), &address);

		if (port && !port_is_free(address, port))
			return err_set(err, ERR_USER,
				"--qemu-publish: the port %d cannot be had at %s; is another "
				"program "
				"using it?",
				port, address);
	}
	return 0;
}

static int check_file(const char *flag, const char *path, struct err *err)
{
	struct stat st;

	if (!*path)
		return 0;
	if (stat(path, &st) < 0 || access(path, R_OK) < 0)
		return err_errno(err, errno, "--%s %s", flag, path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USER, "--%s %s is not a file", flag, path);
	return 0;
}

static int check_user_data(const struct md_machine *m, struct err *err)
{
	const char *file = md_state_str(m, "UserDataFile");
	_cleanup_free_ char *text = NULL, *whole = NULL;
	struct md_seed seed = {0};

	if (check_file("qemu-userdata", file, err) < 0)
		return -1;
	if (!*file)
		return 0;
	if (md_read_file(file, USER_DATA_MAX, &text, NULL, err) < 0)
		return err_wrap(err, "--qemu-userdata");
	seed.user_data = text;
	if (md_seed_user_data(&seed, &whole, err) < 0)
		return err_wrap(err, "--qemu-userdata %s", file);
	return 0;
}

static int check_shares(const struct md_machine *m, struct err *err)
{
	const struct json *shares = json_get_fold(m->state, "Shares");
	struct stat st;

	for (size_t i = 0; json_at(shares, i); i++) {
		const char *path = json_str(json_get(json_at(shares, i), "Host"), "");

		if (stat(path, &st) < 0 || access(path, R_OK | X_OK) < 0)
			return err_errno(err, errno, "--qemu-share %s", path);
		if (!S_ISDIR(st.st_mode))
			return err_set(err, ERR_USER, "--qemu-share %s is not a folder", path);
	}
	return 0;
}

/* Does the configuration of QEMU's helper allow the bridge? What cannot be read, or includes other
 * files, is left to the helper. */
bool bridge_is_allowed(const char *text, const char *bridge)
{
	_cleanup_strv_ struct strv lines = STRV_INIT;
	bool allowed = false;

	strv_split(&lines, text, '\n');
	strv_foreach (line, &lines) {
		_cleanup_strv_ struct strv words = STRV_INIT;

		strv_split(&words, line, ' ');
		if (words.n < 2)
			continue;
		if (streq(words.items[0], "include"))
			return true;
		if (!streq(words.items[1], bridge) && !streq(words.items[1], "all"))
			continue;
		if (streq(words.items[0], "deny"))
			return false;
		allowed |= streq(words.items[0], "allow");
	}
	return allowed;
}

static int check_bridge_conf(const char *bridge, struct err *err)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_free_ char *text = NULL;

	if (md_read_file(BRIDGE_CONF, BRIDGE_CONF_MAX, &text, NULL, &e) < 0 &&
		e.code != ERR_NOT_FOUND)
		return 0;
	if (text && bridge_is_allowed(text, bridge))
		return 0;
	return err_set(err, ERR_USER,
		"--qemu-network bridge: " BRIDGE_CONF " does not allow the bridge %s: put the line "
		"\"allow %s\" into it",
		bridge, bridge);
}

/* QEMU starts this program, which attaches it to the bridge. */
static int check_bridge(const char *bridge, struct err *err)
{
	static const char *const places[] = {"/usr/lib/qemu/qemu-bridge-helper",
		"/usr/libexec/qemu-bridge-helper", "/usr/local/libexec/qemu-bridge-helper"};
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (stat(places[i], &st) < 0)
			continue;
		if (geteuid() != 0 && !(st.st_mode & S_ISUID))
			return err_set(err, ERR_USER,
				"--qemu-network bridge: %s may not do what it is for: "
				"\"chmod u+s %s\" as root allows it, or use --qemu-network tap",
				places[i], places[i]);
		return check_bridge_conf(bridge, err);
	}
	return err_set(err, ERR_NOT_FOUND,
		"--qemu-network bridge: QEMU's program qemu-bridge-helper is not there (looked for "
		"%s "
		"and others)",
		places[0]);
}

static int check_network(const struct md_machine *m, struct err *err)
{
	bool bridge = streq(md_state_str(m, "Network"), "bridge");
	const char *name = md_state_str(m, bridge ? "NetworkBridge" : "NetworkInterface");
	_cleanup_free_ char *path =
		xasprintf("/sys/class/net/%s/%s", name, bridge ? "bridge" : "tun_flags");

	if (on_user_network(m))
		return check_ports(m, err);
	if (access(path, F_OK) < 0)
		return err_set(err, ERR_NOT_FOUND,
			"--qemu-network %s: there is no %s \"%s\" on this computer; make it first, "
			"or use --qemu-network user",
			md_state_str(m, "Network"), bridge ? "bridge" : "tap interface", name);
	return bridge ? check_bridge(name, err) : 0;
}

static int check_kvm(const struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *problem = NULL;

	if (!streq(md_state_str(m, ACCEL_WANTED), "kvm"))
		return 0;
	problem = kvm_obstacle();
	if (!problem)
		return 0;
	return err_set(err, ERR_NOT_SUPPORTED,
		"KVM cannot be used: %s. --qemu-accel tcg emulates the processor, which is many "
		"times slower",
		problem);
}

static int check_uefi(struct err *err)
{
	_cleanup_free_ char *code = NULL, *variables = NULL;

	return firmware_find_uefi(&code, &variables, err);
}

static int check_firmware(const struct md_machine *m, struct err *err)
{
	const char *firmware = md_state_str(m, "Firmware");

	if (streq(firmware, "uefi"))
		return check_uefi(err);
	return is_known_firmware(firmware) ? 0 : check_file("qemu-firmware", firmware, err);
}

/* A download is left to create, which has the time for it, and can go on with it when it is cut. */
static int check_image(const struct md_machine *m, struct err *err)
{
	unsigned any = MD_IMAGE_DISK | (*md_state_str(m, "Firmware") ? 0 : MD_IMAGE_DIRECT);

	if (md_image_expect(m->store_path, md_state_str(m, "Image"), any, err) < 0)
		return err_wrap(err, "--qemu-image");
	return 0;
}

int qemu_pre_create_check(struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *sockets = NULL;

	if (check_programs(rq, m, err) < 0 || sockets_choose(m, &sockets, err) < 0 ||
		check_space(rq, m, err) < 0 || check_user_data(m, err) < 0 ||
		check_shares(m, err) < 0 || check_network(m, err) < 0 || check_kvm(m, err) < 0 ||
		check_firmware(m, err) < 0)
		return -1;
	return check_image(m, err);
}
