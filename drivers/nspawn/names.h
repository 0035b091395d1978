/* What the driver's things are called. N is a host's number, the host part of its address. */
#pragma once

#define NSPAWN_BRIDGE "machine0"
#define NSPAWN_REGISTRY "/var/lib/machine-nspawn"
#define NSPAWN_MACHINE "mn%u"            /* systemd-nspawn's name for host N */
#define NSPAWN_LINK "vb-mn%u"            /* what it then calls its end of the link */
#define NSPAWN_GROUP "machine-nspawn-%u" /* control groups, and systemd's scope */

/* In the machine's folder NSPAWN_DIR */
#define NSPAWN_DIR "nspawn"
#define FILE_ID "id" /* of the machine, as in the registry */
#define FILE_LOCK "running.lock"
#define FILE_PLAN "plan.json"
#define FILE_LOG "console.log"
#define FILE_FAILED "failed"   /* why it does not run; absent: nothing is wrong */
#define FILE_NETWORK "network" /* seen in the host as NETWORK_PATH */
#define DIR_UPPER "upper"
#define DIR_WORK "work"
#define DIR_LOWER "lower" /* mount points; empty outside the host's own mount namespace */
#define DIR_ROOT "root"
#define DIR_DOCKER "docker"
#define DIR_CONTAINERD "containerd"
#define NETWORK_PATH "/etc/systemd/network/10-machine.network"

/* Descriptors that a supervisor is started with. */
#define SUPERVISE_FLAG "--supervise"
#define SUPERVISE_STATUS_FD 3 /* "ok" once the host's processes run, else what went wrong */
#define SUPERVISE_LOCK_FD 4   /* RUNNING_HOST, taken */
