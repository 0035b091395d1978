/* How many files the process may have open. Many machines at once need more than the usual 1,024;
 * programs that it starts, which may use select(2), get back what there was. */
#pragma once

#include <sys/types.h>

/* From now on as many as the system allows. */
void nofile_raise(void);
/* For a child that was just started. */
void nofile_restore(pid_t child);
