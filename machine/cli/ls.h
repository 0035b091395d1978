/* The rows of `ls`. */
#pragma once

#include "cli.h"

struct row {
	char *name;
	struct record *rec; /* NULL: cannot be loaded, load_error says why */
	struct err load_error;
	bool reported;
	struct machine_report report;
	bool driver_missing;
	bool timed_out;
	char *version;      /* the engine's, NULL if unknown */
	char *error;        /* for the ERRORS column, one line */
	char *swarm_master; /* name of the master of this machine's discovery, or NULL */
};

struct rows {
	struct row *items;
	size_t n;
};

struct filters;
/* "KEY=VALUE" each. ERR_USER: `Unsupported filter syntax`, … */
int filters_parse(const struct json *list, struct filters **ret, struct err *err);
void filters_free(struct filters *f);
bool filters_need_state(const struct filters *f);
/* What can be told without asking a driver; rows that could not be loaded pass only where no filter
 * decides. */
bool filters_match(const struct filters *f, const struct row *r);
bool filters_match_state(const struct filters *f, const struct row *r);

/* Asks drivers (and engines, with versions) about all rows, each within timeout_ms. */
int rows_ask(struct co *co, struct app *app, struct rows *rows, uint64_t timeout_ms, bool versions,
	struct err *err);
/* Lower-cased natural order: digit runs compare as numbers. */
int natural_compare(const char *a, const char *b);
void rows_finish(struct rows *rows);
