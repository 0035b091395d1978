/* A machine's process: its sockets, its monitor, its console. */
#pragma once

#include "machine-driver.h"
#include "process.h"
#include "qmp.h"

/* sockets.c */
/* The folder for the machine's sockets, "": its own; malloc'ed. ERR_USER: none has a short path. */
int sockets_choose(const struct md_machine *m, char **ret, struct err *err);
int sockets_settle(struct md_machine *m, struct err *err); /* notes it in the state */
const char *sockets_dir(const struct md_machine *m);
char *socket_path(const struct md_machine *m, const char *name);
int sockets_make_dir(const struct md_machine *m, struct err *err);
int sockets_remove_dir(const struct md_machine *m, struct err *err);

/* vm.c */
bool vm_is_old(const struct md_machine *m); /* the old plugin's, which can be listed and ended */
struct mark vm_mark(const struct md_machine *m);
pid_t vm_find(const struct md_machine *m);               /* 0: it does not run */
pid_t pid_in_file(const char *path);                     /* 0: none */
int vm_end(const struct md_machine *m, struct err *err); /* all processes, and what they leave */
int vm_lock(struct md_request *rq, const struct md_machine *m, int *ret, struct err *err);
int vm_qmp(const struct md_machine *m, uint32_t timeout_ms, struct qmp **ret, struct err *err);
/* What QEMU said last, on one line; malloc'ed, "" for nothing. */
char *vm_last_words(const struct md_machine *m);

/* console.c: the file holds what the machine says while it boots. Afterwards QEMU keeps the last of
 * it in memory, so that no machine fills this computer's disk. Best effort. */
void console_to_memory(const struct md_machine *m);
void console_save(const struct md_machine *m, struct qmp *q); /* adds it to the file */
