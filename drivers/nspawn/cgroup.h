/*
 * A host's control groups: one folder of its own in every hierarchy, v1 or v2, so that no two
 * hosts' systemds share a tree. On a computer that runs systemd the host is a scope of systemd's,
 * and the folder is the scope's; elsewhere, and in hierarchies that systemd does not manage, it is
 * made below the hierarchy's root.
 *
 *     NAME/driver   the processes that run the host: v2 wants none beside folders
 *     NAME/boot     the host, from one boot to the next
 */
#pragma once

#include "err.h"
#include "strv.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CGROUP_SLICE "machine.slice" /* systemd's place for such things */

/* The folders for a process whose /proc/self/mountinfo and /proc/self/cgroup are given. */
void cgroup_folders(const char *mountinfo, const char *self, const char *name, struct strv *ret);
/* Wherever folders of that name may have been left. */
void cgroup_leftovers(const char *mountinfo, const char *name, struct strv *ret);

int cgroup_of_self(const char *name, struct strv *ret, struct err *err);
int cgroup_of_name(const char *name, struct strv *ret, struct err *err);

/* Makes FOLDER and FOLDER/SUB. */
int cgroup_make(const struct strv *folders, const char *sub, struct err *err);
/* v2: lets the folders below FOLDER have controllers. No process may be in FOLDER itself: the
 * kernel would let it have threads of processes only from then on. */
void cgroup_delegate(const struct strv *folders);
/* Limits of all of FOLDER; 0: none. */
int cgroup_limit(const struct strv *folders, unsigned cpus, uint64_t memory, struct err *err);
/* Moves this process. sub NULL: out of the folders, to the one above. */
int cgroup_enter(const struct strv *folders, const char *sub, struct err *err);
/* Lets frozen processes go on, so that they can be ended. */
void cgroup_thaw(const struct strv *folders);
/* Ends every process in the folders, and waits until they are gone, at most timeout_ms. */
int cgroup_kill(const struct strv *folders, uint32_t timeout_ms, struct err *err);
/* Removes FOLDER/SUB, or FOLDER (sub NULL), and what is below; waits for processes that are about
 * to end. */
int cgroup_remove(
	const struct strv *folders, const char *sub, uint32_t timeout_ms, struct err *err);
