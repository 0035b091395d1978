/* What may stand where: the one thing about completion that the tables of commands and flags do not
 * say. Every command has a row, and every row a command: a test sees to it. */
#include "complete.h"

#include "mem.h"
#include "mstate.h"
#include "registry.h"

#include <string.h>

#define PROGRESS_WAYS "auto plain json none"
#define NAMES_MAX 10000u /* machines that are offered; nobody looks through more */

/* Words, separated by blanks; in <> what is looked up. */
static const struct offer_row {
	const char *path;  /* of the command; "": before it */
	const char *flag;  /* NULL: the operands */
	const char *first; /* operand, or the flag's value */
	const char *rest;  /* further operands */
} rows[] = {
	{"", "storage-path", "<dir>", NULL},
	{"", "tls-ca-cert", "<file>", NULL},
	{"", "tls-ca-key", "<file>", NULL},
	{"", "tls-client-cert", "<file>", NULL},
	{"", "tls-client-key", "<file>", NULL},
	{"active", NULL, NULL, NULL},
	{"completion", NULL, "bash zsh fish", NULL},
	{"config", NULL, "<machine>", NULL},
	{"context", NULL, "<machine>", "<machine>"},
	{"create", NULL, NULL, NULL},
	{"create", "driver", "<driver>", NULL},
	{"create", "engine-install-url", "https://get.docker.com none file:", NULL},
	{"create", "on-failure", "keep remove", NULL},
	{"create", "progress", PROGRESS_WAYS, NULL},
	{"create", "resume", "<machine>", NULL},
	{"driver", NULL, "ls describe test", NULL},
	{"driver ls", NULL, NULL, NULL},
	{"driver describe", NULL, "<driver>", NULL},
	{"driver test", NULL, "<file>", "<file>"},
	{"env", NULL, "<machine>", NULL},
	{"env", "shell", "bash cmd emacs fish powershell sh tcsh zsh", NULL},
	{"help", NULL, NULL, NULL},
	{"image", NULL, "ls import build rm", NULL},
	{"image ls", NULL, NULL, NULL},
	{"image import", NULL, "<file>", NULL},
	{"image build", NULL, NULL, NULL},
	{"image build", "parts", "rootfs direct disk rootfs,direct,disk", NULL},
	{"image build", "suite", "bookworm trixie", NULL},
	{"image rm", NULL, "<image>", "<image>"},
	{"inspect", NULL, "<machine>", NULL},
	{"ip", NULL, "<machine>", "<machine>"},
	{"kill", NULL, "<machine>", "<machine>"},
	{"kill", "filter", "<filter>", NULL},
	{"kill", "progress", PROGRESS_WAYS, NULL},
	{"ls", NULL, NULL, NULL},
	{"ls", "filter", "<filter>", NULL},
	{"mount", NULL, "<place>", "<dir>"},
	{"provision", NULL, "<machine>", "<machine>"},
	{"provision", "filter", "<filter>", NULL},
	{"provision", "progress", PROGRESS_WAYS, NULL},
	{"regenerate-certs", NULL, "<machine>", "<machine>"},
	{"regenerate-certs", "filter", "<filter>", NULL},
	{"regenerate-certs", "progress", PROGRESS_WAYS, NULL},
	{"restart", NULL, "<machine>", "<machine>"},
	{"restart", "filter", "<filter>", NULL},
	{"restart", "progress", PROGRESS_WAYS, NULL},
	{"rm", NULL, "<machine>", "<machine>"},
	{"rm", "filter", "<filter>", NULL},
	{"rm", "progress", PROGRESS_WAYS, NULL},
	{"scp", NULL, "<place> <file>", "<place> <file>"},
	{"ssh", NULL, "<machine>", "<file>"},
	{"start", NULL, "<machine>", "<machine>"},
	{"start", "filter", "<filter>", NULL},
	{"start", "progress", PROGRESS_WAYS, NULL},
	{"status", NULL, "<machine>", NULL},
	{"stop", NULL, "<machine>", "<machine>"},
	{"stop", "filter", "<filter>", NULL},
	{"stop", "progress", PROGRESS_WAYS, NULL},
	{"upgrade", NULL, "<machine>", "<machine>"},
	{"upgrade", "filter", "<filter>", NULL},
	{"upgrade", "progress", PROGRESS_WAYS, NULL},
	{"url", NULL, "<machine>", NULL},
	{"version", NULL, "<machine>", NULL},
};

/* Names from the store's folder alone, nobody is asked; without those that are there already. */
static void offer_machines_as(struct completion *c, const char *format_prefix, const char *suffix)
{
	_cleanup_strv_ struct strv names = STRV_INIT;
	_cleanup_err_ struct err e = ERR_INIT;

	if (!c->store || store_list(c->store, &names, &e) < 0)
		return;
	for (size_t i = 0; i < MIN(names.n, (size_t)NAMES_MAX); i++) {
		_cleanup_free_ char *text =
			xasprintf("%s%s%s", format_prefix, names.items[i], suffix);
		if (!*suffix && !c->spot->value &&
			strv_contains(&c->spot->operands, names.items[i]))
			continue;
		offer(c, text, "");
	}
}

static void offer_machines(struct completion *c)
{
	offer_machines_as(c, "", "");
}

/* user@ may stand before the machine; behind the colon, it is the other computer's business. */
static void offer_places(struct completion *c)
{
	const char *at = strchr(c->spot->word, '@');
	_cleanup_free_ char *user =
		at ? xstrndup(c->spot->word, (size_t)(at - c->spot->word) + 1) : xstrdup("");

	if (!strchr(c->spot->word, ':'))
		offer_machines_as(c, user, ":");
	else
		c->files = false;
}

/* By their names; a driver that was never started says nothing about itself. */
static void offer_drivers_as(struct completion *c, const char *prefix)
{
	struct registry_list list = {0};

	registry_scan(&list);
	for (size_t i = 0; i < list.n; i++) {
		_cleanup_free_ char *text = xasprintf("%s%s", prefix, list.items[i].name);
		offer(c, text, driver_origin_name(list.items[i].origin));
	}
	registry_list_finish(&list);
}

static void offer_drivers(struct completion *c)
{
	offer_drivers_as(c, "");
}

static void offer_filter(struct completion *c)
{
	static const char *const keys[] = {"driver=", "label=", "name=", "state=", "swarm="};
	const char *word = c->spot->word;

	if (strncmp(word, "driver=", 7) == 0) {
		offer_drivers_as(c, "driver=");
	} else if (strncmp(word, "name=", 5) == 0) {
		offer_machines_as(c, "name=", "");
	} else if (strncmp(word, "state=", 6) == 0) {
		for (int i = STATE_NONE + 1; i < STATE_COUNT; i++) {
			_cleanup_free_ char *text =
				xasprintf("state=%s", machine_state_name((enum machine_state)i));
			offer(c, text, "");
		}
	} else if (!strchr(word, '=')) {
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			offer(c, keys[i], "");
	}
}

static void offer_files(struct completion *c)
{
	c->files = !strchr(c->spot->word, ':') || !streq(c->spot->path, cmd_scp.name);
}

static void offer_dirs(struct completion *c)
{
	c->dirs = true;
}

static const struct {
	const char *word;
	void (*offer)(struct completion *c);
} lookups[] = {
	{"<machine>", offer_machines},
	{"<driver>", offer_drivers},
	{"<image>", image_offer_ids},
	{"<place>", offer_places},
	{"<filter>", offer_filter},
	{"<file>", offer_files},
	{"<dir>", offer_dirs},
};

static void offer_word(struct completion *c, const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(lookups); i++)
		if (streq(word, lookups[i].word)) {
			lookups[i].offer(c);
			return;
		}
	offer(c, word, "");
}

void offer_values(struct completion *c, const char *path, const char *flag, enum offer_place place)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct offer_row *r = &rows[i];
		_cleanup_strv_ struct strv words = STRV_INIT;
		const char *what = place == OFFER_FIRST ? r->first : r->rest;

		if (!streq(r->path, path) || !r->flag != !flag || (flag && !streq(r->flag, flag)))
			continue;
		strv_split(&words, what ? what : "", ' ');
		strv_foreach (w, &words)
			offer_word(c, w);
	}
}

bool offer_has_subcommand(const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strncmp(rows[i].path, path, len) == 0 && rows[i].path[len] == ' ')
			return true;
	return false;
}

bool offer_row_at(size_t i, const char **ret_path, const char **ret_flag)
{
	if (i >= ARRAY_SIZE(rows))
		return false;
	*ret_path = rows[i].path;
	*ret_flag = rows[i].flag;
	return true;
}
