/* The rows of `ls`. */
#pragma once

#include "cli.h"

struct row {
	char *name;
	struct record *rec; /* NULL: cannot be loaded, load_error says why */
	struct err load_error;
	const char *engine_meant; /* see struct rows */
	bool reported;
	struct machine_report report;
	bool driver_missing;
	bool timed_out;
	char *version;        /* the engine's, NULL if unknown */
	char *error;          /* for the ERRORS column, one line */
	uint64_t response_ms; /* until all that was asked was known */
	char *swarm_master;   /* name of the master of this machine's discovery, or NULL */
};

struct rows {
	struct row *items;
	size_t n;
	char *engine_meant; /* see docker_context_engine; NULL: none */
};

/* All machines of the store, also those that cannot be loaded. */
int rows_load(struct store *s, struct rows *rows, struct err *err);
void rows_sort(struct rows *rows);
void row_finish(struct row *r);
void rows_finish(struct rows *rows);

/* There is a URL that a client may use. */
bool row_url_known(const struct row *r);
/* The state as it is shown, and as filters see it. */
enum machine_state row_state(const struct row *r);
const char *row_state_text(const struct row *r);
/* "*" or "* (swarm)": the environment means this one; "-": another, or none; "": not known. */
const char *row_active_text(const struct row *r);

struct filters;
/* "KEY=VALUE" each. ERR_USER: `Unsupported filter syntax`, … */
int filters_parse(const struct json *list, struct filters **ret, struct err *err);
void filters_free(struct filters *f);
bool filters_need_state(const struct filters *f);
/* What can be told without asking a driver; rows that could not be loaded pass only where no filter
 * decides. */
bool filters_match(const struct filters *f, const struct row *r);
bool filters_match_state(const struct filters *f, const struct row *r);
/* Leaves those that one of these two says to keep. */
void rows_keep(struct rows *rows, const struct filters *f,
	bool (*match)(const struct filters *, const struct row *));

/* --json, or --format json (format: "" for none). ERR_USER with what contradicts it. */
int ls_wants_json(const struct cli *cli, const char *format, bool *ret, struct err *err);
void rows_print_json(const struct rows *rows);

/* The flag --timeout (-t, in seconds) in milliseconds: at least one second, at most a year. */
uint64_t rows_timeout_ms(const struct cli *cli);
/* Without asking anyone: which rows' drivers are not installed. */
void rows_find_drivers(struct rows *rows);
/* Asks drivers (and engines, with versions) about all rows, each within timeout_ms. */
int rows_ask(struct co *co, struct app *app, struct rows *rows, uint64_t timeout_ms, bool versions,
	struct err *err);
/* Lower-cased natural order: digit runs compare as numbers, digits come first. */
int natural_compare(const char *a, const char *b);

/* What --format says. */
struct ls_format;
enum ls_needs { LS_NEEDS_RECORDS, LS_NEEDS_STATES, LS_NEEDS_VERSIONS };
/* "": the usual table. ERR_USER with Go's text: `template: :1: …` */
int ls_format_parse(const char *text, struct ls_format **ret, struct err *err);
void ls_format_free(struct ls_format *f);
/* Whom its fields make us ask. */
enum ls_needs ls_format_needs(const struct ls_format *f);
/* Prints the rows in their order; on failure what came before. */
int ls_format_print(const struct ls_format *f, const struct rows *rows, struct err *err);
