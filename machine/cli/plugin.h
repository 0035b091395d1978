/* The program as a plugin of the docker client: `docker machine ls`. */
#pragma once

#include "strv.h"

#include <stdbool.h>

#define PLUGIN_COMMAND "machine" /* after docker- in the link's name */

/* The client asks what this program is. */
bool plugin_asked(const struct strv *argv);
void plugin_describe(void);
/*
 * The client calls a plugin with its own words: [DOCKER'S FLAGS] machine ARGS... If argv is such a
 * call, it becomes what the user sees as the command line, `docker machine ARGS...`, and the return
 * value the number of words before ARGS; else argv stays, and that is 1.
 */
size_t plugin_take(struct strv *argv);
/* The client does not pass signals on; it closes this socket. -1: it has none. */
int plugin_connect(void);
