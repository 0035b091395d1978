/* What would make create fail, as far as a look at this computer tells. */
#include "qemu.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_programs(const struct md_machine *m, struct err *err)
{
	const struct {
		const char *name, *package;
	} programs[] = {{get_str(m, "Program"), "qemu-system-x86"}, {"qemu-img", "qemu-utils"}};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		_cleanup_free_ char *file = md_find_program(programs[i].name);

		if (!file)
			return err_set(err, ERR_NOT_FOUND,
				"the program %s is not there: install QEMU (in Debian the package "
				"%s)",
				programs[i].name, programs[i].package);
	}
	return 0;
}

static int check_paths(const struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *socket = md_file(m, "virtiofs-00.sock");
	size_t len = strlen(socket);

	if (len > SOCKET_PATH_MAX)
		return err_set(err, ERR_USER,
			"the machine's folder %s has too long a path: a socket in it would have "
			"%zu bytes, and %d are possible. Choose a shorter --storage-path or name",
			m->dir, len, SOCKET_PATH_MAX);
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
	const char *file = get_str(m, "UserDataFile");
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
		const char *path = json_str(json_get(json_at(shares, i), "HostPath"), "");

		if (stat(path, &st) < 0 || access(path, R_OK | X_OK) < 0)
			return err_errno(err, errno, "--qemu-share %s", path);
		if (!S_ISDIR(st.st_mode))
			return err_set(err, ERR_USER, "--qemu-share %s is not a folder", path);
	}
	return 0;
}

static int check_network(const struct md_machine *m, struct err *err)
{
	bool bridge = streq(get_str(m, "Network"), "bridge");
	const char *name = get_str(m, bridge ? "NetworkBridge" : "NetworkInterface");
	_cleanup_free_ char *path =
		xasprintf("/sys/class/net/%s/%s", name, bridge ? "bridge" : "tun_flags");

	if (on_user_network(m) || access(path, F_OK) == 0)
		return 0;
	return err_set(err, ERR_NOT_FOUND,
		"--qemu-network %s: there is no %s \"%s\" on this computer; make it first, or use "
		"--qemu-network user",
		get_str(m, "Network"), bridge ? "bridge" : "tap interface", name);
}

static int check_kvm(const struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *problem = NULL;

	if (!streq(get_str(m, "Accel"), "kvm"))
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

int qemu_pre_create_check(struct md_request *rq, struct md_machine *m, struct err *err)
{
	const char *firmware = get_str(m, "Firmware");

	if (check_programs(m, err) < 0 || check_paths(m, err) < 0 || check_user_data(m, err) < 0 ||
		check_shares(m, err) < 0 || check_network(m, err) < 0 || check_kvm(m, err) < 0)
		return -1;
	if (streq(firmware, "uefi"))
		return check_uefi(err);
	return is_known_firmware(firmware) ? 0 : check_file("qemu-firmware", firmware, err);
}
