#include "ls.h"

#include "ls_regex.h"
#include "mem.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum key { KEY_DRIVER, KEY_NAME, KEY_STATE, KEY_SWARM, KEY_LABEL, KEY_COUNT };
static const char *const key_names[KEY_COUNT] = {"driver", "name", "state", "swarm", "label"};

struct filter {
	enum key key;
	char *value;
	regex_t re; /* KEY_NAME */
};

struct filters {
	struct filter *items;
	size_t n;
	bool has[KEY_COUNT];
};

static int add(struct filters *f, const char *text, struct err *err)
{
	const char *eq = strchr(text, '=');

	if (!eq)
		return err_set(err, ERR_USER, "Unsupported filter syntax");
	_cleanup_free_ char *name = xstrndup(text, (size_t)(eq - text));
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	size_t k = 0;
	while (k < KEY_COUNT && !streq(name, key_names[k]))
		k++;
	if (k == KEY_COUNT)
		return err_set(err, ERR_USER, "Unsupported filter key '%s'", name);
	struct filter item = {.key = (enum key)k};
	if (k == KEY_NAME && regex_compile(eq + 1, &item.re, err) < 0)
		return -1;
	item.value = xstrdup(eq + 1);
	f->items = xrealloc(f->items, f->n + 1, sizeof(*f->items));
	f->items[f->n++] = item;
	f->has[k] = true;
	return 0;
}

int filters_parse(const struct json *list, struct filters **ret, struct err *err)
{
	struct filters *f = xcalloc(1, sizeof(*f));

	for (size_t i = 0; json_at(list, i); i++)
		if (add(f, json_str(json_at(list, i), ""), err) < 0) {
			filters_free(f);
			return -1;
		}
	*ret = f;
	return 0;
}

void filters_free(struct filters *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->n; i++) {
		if (f->items[i].key == KEY_NAME)
			regfree(&f->items[i].re);
		free(f->items[i].value);
	}
	free(f->items);
	free(f);
}

bool filters_need_state(const struct filters *f)
{
	return f->has[KEY_STATE];
}

/* K=V: the label K with that value; K alone: has the label. */
static bool has_label(const struct record *rec, const char *want)
{
	const struct json *labels = record_engine(rec, "Labels");
	const char *eq = strchr(want, '=');
	size_t key = eq ? (size_t)(eq - want) : strlen(want);

	for (size_t i = 0; json_at(labels, i); i++) {
		const char *have = json_str(json_at(labels, i), "");
		size_t len = strcspn(have, "=");
		if (len != key || memcmp(have, want, key) != 0)
			continue;
		if (!eq || (have[len] == '=' && strcasecmp(have + len + 1, eq + 1) == 0))
			return true;
	}
	return false;
}

static bool matches(const struct filter *f, const struct row *r)
{
	switch (f->key) {
	case KEY_NAME:
		return regexec(&f->re, r->name, 0, NULL, 0) == 0;
	case KEY_DRIVER:
		return r->rec && strcasecmp(record_driver_name(r->rec), f->value) == 0;
	case KEY_SWARM:
		return r->rec && strcasecmp(r->swarm_master ? r->swarm_master : "", f->value) == 0;
	case KEY_LABEL:
		return r->rec && has_label(r->rec, f->value);
	case KEY_STATE:
		return strcasecmp(row_state_text(r), f->value) == 0;
	case KEY_COUNT:
		break;
	}
	return false;
}

static bool any_of(const struct filters *f, enum key key, const struct row *r)
{
	if (!f->has[key])
		return true;
	for (size_t i = 0; i < f->n; i++)
		if (f->items[i].key == key && matches(&f->items[i], r))
			return true;
	return false;
}

bool filters_match(const struct filters *f, const struct row *r)
{
	for (size_t k = 0; k < KEY_COUNT; k++)
		if (k != KEY_STATE && !any_of(f, (enum key)k, r))
			return false;
	return true;
}

bool filters_match_state(const struct filters *f, const struct row *r)
{
	return any_of(f, KEY_STATE, r);
}
