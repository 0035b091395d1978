#include "flags.h"

#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool go_parse_bool(const char *s, bool *ret)
{
	static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
	static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (streq(s, yes[i]))
			return *ret = true, true;
		if (streq(s, no[i]))
			return *ret = false, true;
	}
	return false;
}

bool go_parse_int(const char *s, int64_t *ret)
{
	const char *digits = s + (*s == '+' || *s == '-');
	int base = 10;

	if (digits[0] == '0' && digits[1]) {
		char kind = (char)tolower((unsigned char)digits[1]);
		base = kind == 'x' ? 16 : kind == 'b' ? 2 : 8;
		digits += kind == 'x' || kind == 'b' || kind == 'o' ? 2 : 1;
	}
	if (!*digits || digits[strspn(digits, "0123456789abcdefABCDEF")])
		return false; /* strtoll takes signs, blanks and prefixes of its own */
	_cleanup_free_ char *text = xasprintf("%s%s", *s == '-' ? "-" : "", digits);
	char *end;
	errno = 0;
	long long v = strtoll(text, &end, base);
	if (errno || *end)
		return false;
	*ret = v;
	return true;
}

static ssize_t find_flag(const struct parsed *p, const char *name, size_t len, bool *ret_alias)
{
	for (size_t i = 0; i < p->n; i++) {
		const char *names[] = {p->flags[i].spec.name, p->flags[i].alias};
		for (size_t k = 0; k < 2; k++)
			if (names[k] && strlen(names[k]) == len &&
				memcmp(names[k], name, len) == 0) {
				*ret_alias = k == 1;
				return (ssize_t)i;
			}
	}
	return -1;
}

static struct json *env_list(const char *text)
{
	_cleanup_strv_ struct strv parts = STRV_INIT;
	struct json *list = json_array();

	strv_split(&parts, text, ',');
	for (size_t i = 0; i < parts.n; i++)
		json_add(list, json_string(parts.items[i]));
	return list;
}

/* An unparsable variable counts as unset, but for a bool, which it makes false: as the original. */
static struct json *from_env(const struct flagspec *f)
{
	const char *text = f->env ? getenv(f->env) : NULL;
	bool b = false;
	int64_t i;

	if (!text || !*text)
		return NULL;
	switch (f->type) {
	case FLAG_STRING:
		return json_string(text);
	case FLAG_BOOL:
		return json_bool(go_parse_bool(text, &b) && b);
	case FLAG_INT:
		return go_parse_int(text, &i) ? json_int(i) : NULL;
	case FLAG_LIST:
		return env_list(text);
	}
	return NULL;
}

static void set_defaults(struct parsed *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct json *v = from_env(&p->flags[i].spec);
		p->from_env[i] = v != NULL;
		p->values[i] = v ? v : flagspec_default(&p->flags[i].spec);
	}
}

static int set_value(
	struct parsed *p, size_t i, const char *name, const char *text, struct err *err)
{
	const struct flagspec *f = &p->flags[i].spec;
	struct json *v = NULL;
	int64_t n;
	bool b;

	switch (f->type) {
	case FLAG_STRING:
		v = json_string(text);
		break;
	case FLAG_INT:
		if (!go_parse_int(text, &n))
			return err_set(err, ERR_USER,
				"invalid value \"%s\" for flag -%s: parse error", text, name);
		v = json_int(n);
		break;
	case FLAG_BOOL:
		if (!go_parse_bool(text, &b))
			return err_set(err, ERR_USER,
				"invalid boolean value \"%s\" for -%s: parse error", text, name);
		v = json_bool(b);
		break;
	case FLAG_LIST:
		if (!p->given[i] && !p->from_env[i]) { /* replaces the default */
			json_free(p->values[i]);
			p->values[i] = json_array();
		}
		json_add(p->values[i], json_string(text));
		p->given[i] = true;
		return 0;
	}
	json_free(p->values[i]);
	p->values[i] = v;
	p->given[i] = true;
	return 0;
}

static bool is_help(const char *name, size_t len)
{
	return (len == 1 && name[0] == 'h') || (len == 4 && memcmp(name, "help", 4) == 0);
}

/* One flag at v->items[*i]; moves *i past what it took. */
static int parse_one(
	struct parsed *p, const struct strv *v, size_t *i, unsigned char *forms, struct err *err)
{
	const char *word = v->items[*i];
	const char *name = word + 1 + (word[1] == '-');
	const char *eq = strchr(name, '=');
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	bool alias = false;

	if (len == 0 || name[0] == '-')
		return err_set(err, ERR_USER, "bad flag syntax: %s", word);
	++*i;
	ssize_t k = find_flag(p, name, len, &alias);
	if (k < 0) {
		if (!is_help(name, len))
			return err_set(err, ERR_USER, "flag provided but not defined: -%.*s",
				(int)len, name);
		p->help = true;
		return 0;
	}
	_cleanup_free_ char *typed = xstrndup(name, len);
	const struct cli_flag *f = &p->flags[k];
	forms[k] |= alias ? 2 : 1;
	if (forms[k] == 3)
		return err_set(err, ERR_USER, "Cannot use two forms of the same flag: %s %s",
			f->alias, f->spec.name);
	if (eq)
		return set_value(p, (size_t)k, typed, eq + 1, err);
	if (f->spec.type == FLAG_BOOL)
		return set_value(p, (size_t)k, typed, "true", err);
	if (*i >= v->n)
		return err_set(err, ERR_USER, "flag needs an argument: -%s", typed);
	return set_value(p, (size_t)k, typed, v->items[(*i)++], err);
}

/* The positionals before the first flag move behind the flags, up to a "--". */
static void arrange(const struct strv *args, bool reorder, struct strv *out)
{
	size_t t = args->n, first = args->n;

	for (size_t i = 0; i < args->n; i++) {
		if (streq(args->items[i], "--")) {
			t = i;
			break;
		}
		if (first == args->n && args->items[i][0] == '-')
			first = i;
	}
	if (!reorder || first >= t)
		first = 0;
	for (size_t i = first; i < t; i++)
		strv_add(out, args->items[i]);
	for (size_t i = 0; i < first; i++)
		strv_add(out, args->items[i]);
	for (size_t i = t; i < args->n; i++)
		strv_add(out, args->items[i]);
}

int flags_parse(const struct cli_flag *flags, size_t n, const struct strv *args, bool reorder,
	struct parsed *ret, struct err *err)
{
	_cleanup_strv_ struct strv v = STRV_INIT;
	struct parsed p = {.flags = flags, .n = n};
	_cleanup_free_ char *forms = xcalloc(n + 1, 1);

	p.values = xcalloc(n + 1, sizeof(*p.values));
	p.given = xcalloc(n + 1, sizeof(*p.given));
	p.from_env = xcalloc(n + 1, sizeof(*p.from_env));
	set_defaults(&p);
	arrange(args, reorder, &v);
	size_t i = 0;
	while (i < v.n) {
		const char *word = v.items[i];
		if (word[0] != '-' || !word[1])
			break;
		if (streq(word, "--")) {
			i++;
			break;
		}
		if (parse_one(&p, &v, &i, (unsigned char *)forms, err) < 0) {
			parsed_finish(&p);
			return -1;
		}
	}
	for (; i < v.n; i++)
		strv_add(&p.args, v.items[i]);
	*ret = p;
	return 0;
}

void parsed_finish(struct parsed *p)
{
	for (size_t i = 0; p->values && i < p->n; i++)
		json_free(p->values[i]);
	free(p->values);
	free(p->given);
	free(p->from_env);
	strv_finish(&p->args);
	*p = (struct parsed){0};
}

static size_t index_of(const struct parsed *p, const char *name)
{
	bool alias;
	ssize_t i = find_flag(p, name, strlen(name), &alias);

	if (i < 0)
		abort(); /* a command asks for a flag that it does not declare */
	return (size_t)i;
}

const struct json *parsed_value(const struct parsed *p, const char *name)
{
	return p->values[index_of(p, name)];
}

bool parsed_has(const struct parsed *p, const char *name)
{
	bool alias;

	return find_flag(p, name, strlen(name), &alias) >= 0;
}

const char *parsed_str(const struct parsed *p, const char *name)
{
	return json_str(parsed_value(p, name), "");
}

bool parsed_bool(const struct parsed *p, const char *name)
{
	return json_bool_or(parsed_value(p, name), false);
}

int64_t parsed_int(const struct parsed *p, const char *name)
{
	return json_int_or(parsed_value(p, name), 0);
}

bool parsed_given(const struct parsed *p, const char *name)
{
	size_t i = index_of(p, name);

	return p->given[i] || p->from_env[i];
}
