/*
 * Who makes what is half made. The stamp in such a name is PID.START.REALM.RANDOM: the process, the
 * time it started, and the realm, a hash of the boot id and the PID namespace, in which the number
 * means something. Within the realm a dead maker is recognised exactly; a stamp of another realm
 * (another boot, a container, another host that mounts the store) may belong to a living process
 * that cannot be seen from here, so only its age counts.
 */
#include "store_internal.h"

#include "buf.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define NAME_PART_MAX 100 /* of a machine's or file's name; the stamp makes it unique */
#define FOREIGN_AGE_S (24 * 3600)

struct stamp {
	long pid;
	unsigned long long start;
	unsigned realm;
};

/* A short file of /proc; "" if it cannot be read. */
static void read_proc(const char *path, char *text, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
}

/* Clock ticks from boot to the start of the process; 0: unknown. */
static unsigned long long start_time(long pid)
{
	char path[40], text[512];
	unsigned long long start = 0;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	read_proc(path, text, sizeof(text));
	const char *p = strrchr(text, ')'); /* ends field 2; the start time is field 22 */
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		start = strtoull(p, NULL, 10);
	return start;
}

/* 0: unknown. */
static unsigned this_realm(void)
{
	static unsigned realm;
	char text[128];

	if (realm)
		return realm;
	read_proc("/proc/sys/kernel/random/boot_id", text, 64);
	size_t len = strlen(text);
	ssize_t n = readlink("/proc/self/ns/pid", text + len, sizeof(text) - 1 - len);
	if (!len || n <= 0)
		return 0;
	text[len + (size_t)n] = '\0';
	unsigned hash = 2166136261u; /* FNV-1a */
	for (const char *p = text; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	return realm = hash ? hash : 1;
}

char *store_temp_name(const char *name, const char *kind)
{
	unsigned random;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		abort();
	return xasprintf(".%.*s.%s-%ld.%llx.%08x.%08x", NAME_PART_MAX, name, kind, (long)getpid(),
		start_time(getpid()), this_realm(), random);
}

static bool parse_name(const char *entry, const char *kind, struct stamp *ret)
{
	_cleanup_free_ char *mark = xasprintf(".%s-", kind);
	const char *at = NULL;
	unsigned random;
	int end = 0;

	if (*entry != '.')
		return false;
	for (const char *p = strstr(entry, mark); p; p = strstr(p + 1, mark))
		at = p;
	if (!at)
		return false;
	at += strlen(mark);
	/* NOLINTNEXTLINE(cert-err34-c): the widths keep every number in range */
	return sscanf(at, "%10ld.%16llx.%8x.%8x%n", &ret->pid, &ret->start, &ret->realm, &random,
		       &end) == 4 &&
	       at[end] == '\0' && ret->pid > 0;
}

static bool is_dead(const struct stamp *s)
{
	if (kill((pid_t)s->pid, 0) < 0 && errno == ESRCH)
		return true;
	unsigned long long start = start_time(s->pid);
	return start && s->start && start != s->start;
}

bool store_temp_abandoned(const char *entry, const char *kind, const struct stat *st)
{
	struct stamp s;

	if (!parse_name(entry, kind, &s))
		return false;
	if (s.realm && s.realm == this_realm())
		return is_dead(&s);
	return time(NULL) - st->st_mtime > FOREIGN_AGE_S;
}
