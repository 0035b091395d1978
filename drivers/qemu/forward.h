/* Texts of flags. Errors are ERR_USER and name the flag. */
#pragma once

#include "err.h"
#include "json.h"

#include <stdbool.h>
#include <stddef.h>

#define PORT_MAX 65535
#define HOST_NAME_MAX_BYTES 64u /* what Linux takes */
/* [BIND:]HOST:GUEST[/udp] to QEMU's "tcp:BIND:HOST-:GUEST", malloc'ed. */
int forward_parse(const char *text, const char *bind, char **ret, struct err *err);
/* The port of this computer in such a rule, and its address, malloc'ed. 0: it is not of TCP. */
int forward_port(const char *rule, char **ret_address);
/* HOST-FOLDER[:FOLDER][:ro], the number-th, to {Host, Guest, Tag, ReadOnly, Type}; Type is "". */
int share_parse(const char *text, size_t number, struct json **ret, struct err *err);
int port_range_parse(const char *text, int *ret_min, int *ret_max, struct err *err);
/* "" or A.B.C.D[/P][,GATEWAY[,DNS]] to the same with "/P", malloc'ed; 24 is the usual P. */
int address_list_parse(const char *text, char **ret, struct err *err);

bool is_ipv4(const char *text);
bool is_mac(const char *text);
bool is_host_name(const char *text);
