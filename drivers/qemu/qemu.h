/* Inside the qemu driver. */
#pragma once

#include "argv.h"
#include "forward.h"
#include "machine-driver.h"
#include "process.h"
#include "qmp.h"
#include "vm.h"

#define ENGINE_PORT 2376
#define SSH_PORT 22
#define SOCKET_PATH_MAX 107 /* bytes of sun_path, without the NUL */
#define USER_DATA_MAX (1u << 20)

/* Files in the machine's folder. */
#define DISK_FILE "disk.qcow2"
#define DISK_TEMPORARY "disk.qcow2.tmp" /* while it is made */
#define SEED_FILE "seed.iso"
#define SEED_LATER "seed-later.iso" /* without the host key; it replaces the other one */
#define PID_FILE "qemu.pid"
#define QMP_FILE "monitor" /* as the old plugin called it */
#define LOG_FILE "qemu.log"
#define CONSOLE_FILE "console.log"
#define LOCK_FILE "qemu.lock"
#define HOST_KEY "ssh_host_ed25519_key"
#define HOST_KEY_PUBLIC "ssh_host_ed25519_key.pub"
#define IMAGE_LINK "image"

/* Members of the state: what the user asked for. What came of it is in SSHPort, EnginePort (0: any
 * port), Accel and CPUType. */
#define SSH_PORT_WANTED "SSHPortWanted"
#define ENGINE_PORT_WANTED "EnginePortWanted"
#define ACCEL_WANTED "AccelWanted"
#define CPU_TYPE_WANTED "CPUTypeWanted"

/* flags.c */
#define N_QEMU_FLAGS 33
extern const struct flagspec qemu_flags[];
/* What is stored as it was given. */
int flags_store(struct md_machine *m, const struct json *values, struct err *err);
/* Is the flag's value one of the list, which ends with NULL? */
int flag_choose(const char *flag, const char *value, const char *const *choices, struct err *err);

/* configure.c */
int qemu_configure(
	struct md_request *rq, struct md_machine *m, const struct json *values, struct err *err);
bool on_user_network(const struct md_machine *m);
/* Where the machine is reached; malloc'ed. */
char *address_of(const struct md_machine *m);

/* firmware.c */
bool is_known_firmware(const char *name); /* not a path */
/* The code of a UEFI firmware on this computer, and the variables to begin with; both malloc'ed. */
int firmware_find_uefi(char **ret_code, char **ret_variables, struct err *err);

/* lease.c: an address that a machine got by DHCP, by its network card; malloc'ed, "": unknown. */
char *lease_address(const char *mac, const char *bridge);
char *lease_in_arp(const char *text, const char *mac);    /* text of /proc/net/arp */
char *lease_in_leases(const char *text, const char *mac); /* text of dnsmasq's file */
char *lease_in_status(const char *text, const char *mac); /* text of libvirt's, of a bridge */

/* check.c */
int qemu_version_of(const char *text); /* 702: 7.2; 0: not QEMU */
bool bridge_is_allowed(const char *text, const char *bridge);
int qemu_pre_create_check(struct md_request *rq, struct md_machine *m, struct err *err);

/* create.c */
int qemu_create(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);

/* start.c: under the lock. Does nothing when it runs. */
#define BOOTING \
	"Booting" /* since when, by boot_time_ms; only while create, start or restart wait */
#define BOOTING_UNKNOWN 1
int vm_start(struct md_request *rq, struct md_machine *m, struct err *err);
/* For one that runs, but whose start ended before its ports were noted (BOOTING_UNKNOWN). */
int vm_adopt(struct md_request *rq, struct md_machine *m, struct err *err);
bool port_is_free(const char *address, int port); /* of this computer, for TCP */

/* base.c: the image is there, and what it was when it was noted. */
void base_note(struct md_machine *m);
int base_check(struct md_request *rq, struct md_machine *m, struct err *err);

/* accel.c */
enum accel { ACCEL_KVM, ACCEL_TCG };
bool is_emulated(const struct md_machine *m); /* as it was started last */
char *boot_id(void);                          /* of this computer's boot; malloc'ed, "": unknown */
/* Decides by the flag and by whether KVM works. kernel, initrd: NULL where there are none. */
int accel_choose(struct md_request *rq, const struct md_machine *m, const char *kernel,
	const char *initrd, enum accel *ret, struct err *err);
/* What is wrong with /dev/kvm as far as its opening tells, malloc'ed; NULL: nothing. */
char *kvm_obstacle(void);

/* share.c */
int share_settle(struct md_request *rq, struct md_machine *m, struct err *err); /* "auto" */
bool share_has(const struct md_machine *m, const char *type);
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
#define SSH_SLOW_MS 900000                                   /* no boot takes as long */
bool boots_too_long(const struct md_machine *m, int64_t ms); /* the boot began longer ago */
int qemu_state(struct md_request *rq, struct md_machine *m, struct md_report *out, struct err *err);
