/* What a supervisor is to start: written to FILE_PLAN by the driver at every start. */
#pragma once

#include "err.h"
#include "strv.h"

#include <stdint.h>

struct plan {
	uint32_t number;
	char *hostname;
	char *tree;        /* the unpacked image */
	unsigned cpus;     /* 0: no limit */
	uint64_t memory;   /* bytes; 0: no limit */
	struct strv binds; /* HOSTDIR:DIR[:ro] */
};

/* What a machine's name makes as a name of a system: no empty label, none with a '-' at an end.
 * Malloc'ed. */
char *plan_hostname(const char *name);
int plan_save(const struct plan *p, const char *path, struct err *err);
int plan_load(struct plan *ret, const char *path, struct err *err);
void plan_finish(struct plan *p);
#define _cleanup_plan_ __attribute__((cleanup(plan_finish)))

/* "HOST[:DIR][:ro]" with \: for a colon, taken apart and checked. ERR_USER. */
struct bind {
	char *from, *to;
	bool read_only;
};
int bind_parse(const char *text, struct bind *ret, struct err *err);
void bind_finish(struct bind *b);
#define _cleanup_bind_ __attribute__((cleanup(bind_finish)))
/* systemd-nspawn's words for it: --bind=FROM:TO, colons and backslashes escaped. Malloc'ed. */
char *bind_option(const char *from, const char *to, bool read_only);

/* All words of systemd-nspawn. dir: the machine's NSPAWN_DIR, absolute. */
void plan_command(const struct plan *p, const char *dir, struct strv *ret);
