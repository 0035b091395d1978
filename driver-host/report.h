/* What comes back: outcomes (O) and reports (S). No I/O. */
#pragma once

#include "driver.h"

#define OUTCOME_RETRY_DEFAULT_MS 3000
#define OUTCOME_RETRY_MIN_MS 100
#define OUTCOME_RETRY_MAX_MS 60000
#define PROBE_TIMEOUT_DEFAULT_MS 15000
#define PROBE_TIMEOUT_MAX_MS 60000

int outcome_read(const struct json *result, struct driver_outcome *ret, struct err *err);

struct probe {      /* S4 */
	char *host; /* NULL: none */
	int port;
	char *greeting; /* NULL or "": being connected is enough */
	enum machine_state open, closed;
	uint64_t timeout_ms;
};

/* ret is zeroed before; fills it in whatever j is: failed, if it makes no sense. */
void report_read(const struct json *j, struct machine_report *ret, struct probe *ret_probe);
void report_fail(struct machine_report *r, const struct err *err);
