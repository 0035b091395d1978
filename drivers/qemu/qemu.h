/* Inside the qemu driver. */
#pragma once

#include "argv.h"
#include "machine-driver.h"
#include "qmp.h"

#include <sys/types.h>

#define ENGINE_PORT 2376
#define SSH_PORT 22
#define PORT_MAX 65535
#define SOCKET_PATH_MAX 107 /* bytes of sun_path, without the NUL */
#define USER_DATA_MAX (1u << 20)
#define QMP_STATE_MS 3000u

/* Files in the machine's folder. */
#define DISK_FILE "disk.qcow2"
#define DISK_TEMPORARY "disk.qcow2.tmp" /* while it is made */
#define SEED_FILE "seed.iso"
#define PID_FILE "qemu.pid"
#define QMP_FILE "qmp.sock"
#define LOG_FILE "qemu.log"
#define CONSOLE_FILE "console.log"
#define LOCK_FILE "qemu.lock"
#define HOST_KEY "ssh_host_ed25519_key"
#define HOST_KEY_PUBLIC "ssh_host_ed25519_key.pub"
#define IMAGE_LINK "image"

/* Members of the state: ports that the user chose, 0: none. */
#define SSH_PORT_WANTED "SSHPortWanted"
#define ENGINE_PORT_WANTED "EnginePortWanted"
/* QEMU is being started: what came of it is not in the state yet. */
#define LAUNCHING "Launching"

/* flags.c */
#define N_QEMU_FLAGS 33
extern const struct flagspec qemu_flags[];
int qemu_configure(
	struct md_request *rq, struct md_machine *m, const struct json *values, struct err *err);
/* Members of the state; the key is read as Go reads it. */
const char *get_str(const struct md_machine *m, const char *key);
int64_t get_int(const struct md_machine *m, const char *key);
bool get_bool(const struct md_machine *m, const char *key);
bool on_user_network(const struct md_machine *m);
/* Where the machine is reached; malloc'ed. */
char *address_of(const struct md_machine *m);

/* forward.c: texts of flags. Errors are ERR_USER and name the flag. */
/* [BIND:]HOST:GUEST[/udp] to QEMU's "tcp:BIND:HOST-:GUEST", malloc'ed. */
int forward_parse(const char *text, const char *bind, char **ret, struct err *err);
/* HOST-FOLDER:FOLDER[:ro] to {"HostPath", "GuestPath", "ReadOnly"}. */
int share_parse(const char *text, struct json **ret, struct err *err);
int port_range_parse(const char *text, int *ret_min, int *ret_max, struct err *err);
/* A.B.C.D or A.B.C.D/P to "A.B.C.D/P", malloc'ed; 24 is the usual P. */
int address_parse(const char *flag, const char *text, char **ret, struct err *err);

bool is_ipv4(const char *text);
bool is_mac(const char *text);

/* firmware.c */
bool is_known_firmware(const char *name); /* not a path */
/* The code of a UEFI firmware on this computer, and the variables to begin with; both malloc'ed. */
int firmware_find_uefi(char **ret_code, char **ret_variables, struct err *err);

/* lease.c: an address that a machine got by DHCP, by its network card; malloc'ed, "": unknown. */
char *lease_address(const char *mac);
char *lease_in_arp(const char *text, const char *mac);    /* text of /proc/net/arp */
char *lease_in_leases(const char *text, const char *mac); /* text of dnsmasq's file */

/* check.c */
int qemu_pre_create_check(struct md_request *rq, struct md_machine *m, struct err *err);

/* create.c */
int qemu_create(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);

/* process.c: a process is known by its arguments, never by its number alone. */
struct mark {
	const char *flag, *value; /* two arguments, one after the other; value NULL: flag alone */
};
/* Starts a program that goes on without us, in a session of its own, its output in a file that is
 * begun anew. */
int daemon_start(const char *const *argv, const char *log, pid_t *ret, struct err *err);
bool process_is(pid_t pid, struct mark mark);
/* The first process that carries the mark, 0: none. hint: looked at first, 0: none. */
pid_t process_find(struct mark mark, pid_t hint);
/* Waits for its end. True: it has ended. */
bool process_ended(pid_t pid, struct mark mark, uint32_t timeout_ms);
/* TERM, KILL. ERR_UNAVAILABLE: it is still there. */
int process_kill(pid_t pid, struct mark mark, struct err *err);

/* vm.c */
struct mark vm_mark(const struct md_machine *m);
pid_t vm_find(const struct md_machine *m);               /* 0: it does not run */
int vm_end(const struct md_machine *m, struct err *err); /* all processes, and what they leave */
int vm_lock(struct md_request *rq, const struct md_machine *m, int *ret, struct err *err);
int vm_qmp(const struct md_machine *m, uint32_t timeout_ms, struct qmp **ret, struct err *err);
/* What QEMU said last, on one line; malloc'ed, "" for nothing. */
char *vm_last_words(const struct md_machine *m);

/* console.c: the file holds what the machine says while it boots. Afterwards QEMU keeps the last of
 * it in memory, so that no machine fills this computer's disk. Best effort. */
void console_to_memory(const struct md_machine *m);
void console_save(const struct md_machine *m, struct qmp *q); /* adds it to the file */

/* start.c: under the lock. Does nothing when it runs. */
int vm_start(struct md_request *rq, struct md_machine *m, struct err *err);
/* For one that runs, but whose start ended before its ports were noted. */
int vm_adopt(struct md_request *rq, struct md_machine *m, struct err *err);

/* accel.c */
enum accel { ACCEL_KVM, ACCEL_TCG };
/* Decides by the flag and by whether KVM works. kernel, initrd: NULL where there are none. */
int accel_choose(struct md_request *rq, const struct md_machine *m, const char *kernel,
	const char *initrd, enum accel *ret, struct err *err);
/* What is wrong with /dev/kvm as far as its opening tells, malloc'ed; NULL: nothing. */
char *kvm_obstacle(void);

/* share.c */
void share_settle(struct md_machine *m); /* before anything is made of it */
bool share_by_virtiofs(const struct md_machine *m);
struct json *share_mounts(const struct md_machine *m); /* lines of fstab, for the seed */
int share_start(struct md_request *rq, const struct md_machine *m, struct err *err);
int share_end(const struct md_machine *m, struct err *err);
int share_remove(const struct md_machine *m, struct err *err); /* what is left of them */

/* power.c */
int qemu_start(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int qemu_stop(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int qemu_kill(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int qemu_restart(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int qemu_remove(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
/* Under the lock, also for create. */
int power_on(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);

/* state.c */
int qemu_state(struct md_request *rq, struct md_machine *m, struct md_report *out, struct err *err);
