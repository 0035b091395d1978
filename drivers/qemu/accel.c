/*
 * Does KVM work? That /dev/kvm is there, and opens, says little: on some hosts a guest then
 * hangs, or is emulated instruction by instruction.
 * So a guest is run: a boot sector that works for a moment and ends QEMU with a status of its own,
 * and the image's kernel without a root file system, which panics and ends. The answer holds until
 * the computer is started again, or QEMU or the kernel is another.
 */
#include "qemu.h"
#include "sector.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define KVM_DEVICE "/dev/kvm"
#define KVM_DEVICE_ENV "MACHINE_KVM_DEVICE" /* so that tests need no KVM */
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define CACHE_FORMAT 1
#define CACHE_MAX 65536u
#define LOCK_MS 120000u
#define PROBE_MS 15000u
#define EXIT_STATUS ((SECTOR_EXIT_VALUE << 1) | 1) /* what isa-debug-exit makes of it */

struct probe {
	struct md_watch watch;
	const char *program, *kernel, *initrd;
	char *dir, *file;
	struct json *key; /* what the answer is for */
};

static void probe_finish(struct probe *p)
{
	free(p->dir);
	free(p->file);
	json_free(p->key);
}

char *kvm_obstacle(void)
{
	const char *env = getenv(KVM_DEVICE_ENV), *device = env && *env ? env : KVM_DEVICE;
	_cleanup_close_ int fd = open(device, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return NULL;
	return xasprintf("%s: %s%s", device, strerror(errno),
		errno == EACCES || errno == EPERM
			? " (a user needs the group kvm: usermod -aG kvm USER, then log in again)"
			: "");
}

static char *first_line(const char *text)
{
	return xstrndup(text, strcspn(text, "\n"));
}

char *boot_id(void)
{
	_cleanup_err_ struct err ignored = ERR_INIT;
	_cleanup_free_ char *text = NULL;

	return md_read_file(BOOT_ID, CACHE_MAX, &text, NULL, &ignored) < 0 ? xstrdup("")
									   : first_line(text);
}

bool is_emulated(const struct md_machine *m)
{
	return streq(md_state_str(m, "Accel"), "tcg");
}

static int make_key(struct probe *p, struct err *err)
{
	const char *version[] = {p->program, "--version", NULL};
	_cleanup_free_ char *said = NULL, *qemu = NULL, *id = boot_id();
	struct utsname u;

	if (md_run(&p->watch, version, 0, &said, err) < 0)
		return -1;
	qemu = first_line(said);
	p->key = json_object();
	json_set(p->key, "format", json_int(CACHE_FORMAT));
	json_set_str(p->key, "qemu", qemu);
	json_set_str(p->key, "bootId", id);
	json_set_str(p->key, "kernel", uname(&u) == 0 ? u.release : "");
	return 0;
}

/* The stored answer, if it is for what is here now. */
static struct json *read_cache(const struct probe *p)
{
	_cleanup_err_ struct err ignored = ERR_INIT;
	_cleanup_free_ char *text = NULL;
	struct json *j = NULL;
	size_t len;

	if (md_read_file(p->file, CACHE_MAX, &text, &len, &ignored) < 0 ||
		json_parse(text, len, &j, &ignored) < 0)
		return NULL;
	if (json_equal(json_get(j, "for"), p->key) && json_is(json_get(j, "reason"), JSON_STRING))
		return j;
	json_free(j);
	return NULL;
}

static int write_cache(const struct probe *p, const char *reason, struct err *err)
{
	_cleanup_json_ struct json *j = json_object();
	_cleanup_free_ char *text = NULL;

	json_set(j, "for", json_copy(p->key));
	json_set(j, "works", json_bool(!*reason));
	json_set_str(j, "reason", reason);
	text = json_to_string(j, JSON_INDENT);
	return md_write_file(p->file, text, strlen(text), 0600, err);
}

static int write_sector(const char *path, struct err *err)
{
	unsigned char sector[SECTOR_SIZE] = {0};

	memcpy(sector, sector_code, sizeof(sector_code));
	sector[SECTOR_SIZE - 2] = 0x55;
	sector[SECTOR_SIZE - 1] = 0xaa;
	return md_write_file(path, sector, sizeof(sector), 0600, err);
}

/* Runs a guest that ends by itself. 0; -1: it did not, which err tells */
static int run_guest(
	struct probe *p, const char *const *more, int want, const char *what, struct err *err)
{
	static const char *const common[] = {"-nodefaults", "-no-user-config", "-display", "none",
		"-machine", "pc,accel=kvm", "-cpu", "host", "-no-reboot", "-m", "512"};
	_cleanup_strv_ struct strv argv = STRV_INIT;
	_cleanup_err_ struct err e = ERR_INIT;
	int status;

	strv_add(&argv, p->program);
	for (size_t i = 0; i < ARRAY_SIZE(common); i++)
		strv_add(&argv, common[i]);
	for (size_t i = 0; more[i]; i++)
		strv_add(&argv, more[i]);
	if (md_run_status(&p->watch, (const char *const *)argv.items, PROBE_MS, &status, NULL, &e) <
		0) {
		if (e.code == ERR_TIMEOUT)
			return err_set(err, ERR_UNAVAILABLE, "%s did not end within %u s", what,
				PROBE_MS / 1000);
		return err_move(err, &e);
	}
	if (status != want)
		return err_set(err, ERR_UNAVAILABLE, "%s ended with status %d", what, status);
	return 0;
}

static int run_sector(struct probe *p, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/qemu-accel.img", p->dir);
	_cleanup_free_ char *name = qemu_escape(path);
	_cleanup_free_ char *drive = xasprintf("file=%s,format=raw,readonly=on,if=floppy", name);
	const char *more[] = {
		"-drive", drive, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", NULL};
	int r;

	if (write_sector(path, err) < 0)
		return -1;
	r = run_guest(p, more, EXIT_STATUS, "a boot sector under KVM", err);
	unlink(path);
	return r;
}

static int run_kernel(struct probe *p, struct err *err)
{
	const char *more[] = {"-kernel", p->kernel, "-append",
		"console=ttyS0 panic=-1 rdinit=/nonexistent root=/dev/nonexistent",
		p->initrd ? "-initrd" : NULL, p->initrd, NULL};

	if (!p->kernel)
		return 0;
	return run_guest(p, more, 0, "a kernel under KVM", err);
}

/* "" or what is wrong; -1: that could not be found out. */
static int ask(struct probe *p, char **ret, struct err *err)
{
	_cleanup_json_ struct json *known = read_cache(p);
	_cleanup_err_ struct err e = ERR_INIT;

	if (known) {
		*ret = xstrdup(json_str(json_get(known, "reason"), ""));
		return 0;
	}
	if (p->watch.tell)
		p->watch.tell(p->watch.arg, 0, 0, "Trying whether KVM works...");
	if (run_sector(p, &e) < 0 || run_kernel(p, &e) < 0) {
		if (e.code == ERR_CANCELED)
			return err_move(err, &e);
		*ret = xstrdup(err_msg(&e));
	} else {
		*ret = xstrdup("");
	}
	return write_cache(p, *ret, err);
}

static int kvm_problem(struct md_request *rq, const struct md_machine *m, const char *kernel,
	const char *initrd, char **ret, struct err *err)
{
	_cleanup_free_ char *lock_path = md_store_lock(m->store_path, "qemu-accel");
	_cleanup_lock_ int lock = -1;
	_cleanup_(probe_finish) struct probe p = {
		.watch = md_watch_request(rq),
		.program = md_state_str(m, "Program"),
		.kernel = kernel,
		.initrd = initrd,
		.dir = xasprintf("%s/cache", m->store_path),
	};

	*ret = kvm_obstacle();
	if (*ret)
		return 0;
	p.file = xasprintf("%s/qemu-accel.json", p.dir);
	if (md_make_dirs(p.dir, 0700, err) < 0 ||
		md_lock(&p.watch, lock_path, false, LOCK_MS, &lock, err) < 0 ||
		make_key(&p, err) < 0)
		return -1;
	return ask(&p, ret, err);
}

int accel_choose(struct md_request *rq, const struct md_machine *m, const char *kernel,
	const char *initrd, enum accel *ret, struct err *err)
{
	const char *want = md_state_str(m, ACCEL_WANTED);
	_cleanup_free_ char *problem = NULL;

	*ret = ACCEL_TCG;
	if (streq(want, "tcg"))
		return 0;
	if (kvm_problem(rq, m, kernel, initrd, &problem, err) < 0)
		return err_wrap(err, "try whether KVM works");
	if (!*problem) {
		*ret = ACCEL_KVM;
		return 0;
	}
	if (streq(want, "kvm"))
		return err_set(err, ERR_NOT_SUPPORTED,
			"KVM does not work here: %s. --qemu-accel tcg emulates the processor, "
			"which is many times slower",
			problem);
	md_log(rq, LOG_LEVEL_WARN,
		"KVM does not work here (%s): the machine's processor is emulated, which is "
		"many times slower",
		problem);
	return 0;
}
