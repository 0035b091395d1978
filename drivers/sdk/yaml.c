/*
 * YAML by libyaml, made into a tree of json.h. libyaml hands over a document whose aliases are
 * references; following them is what makes a bomb of a small text, so that values are counted as
 * they are made. A reference to what it is in ends at the limit of depth.
 */
#include "md-yaml.h"

#include "mem.h"

#include <string.h>
#include <strings.h>
#include <yaml.h>

#define MAX_VALUES 20000u
#define MAX_TEXT (4u << 20) /* bytes of all scalars */
#define NUMBER_MAX 64u

struct reading {
	yaml_document_t *doc;
	size_t values, text;
	struct err *err;
};

static int read_node(struct reading *r, int index, unsigned depth, struct json **ret);

static int refuse(struct reading *r, const yaml_node_t *n, const char *what)
{
	return err_set(
		r->err, ERR_USER, "line %zu: the YAML %s", n ? n->start_mark.line + 1 : 0, what);
}

/* -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)? */
static bool is_number(const char *s)
{
	static const char digits[] = "0123456789";
	size_t n;

	if (strlen(s) > NUMBER_MAX)
		return false;
	s += *s == '-';
	n = strspn(s, digits);
	if (!n || (*s == '0' && n > 1))
		return false;
	s += n;
	if (*s == '.') {
		n = strspn(++s, digits);
		if (!n)
			return false;
		s += n;
	}
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		n = strspn(s, digits);
		if (!n)
			return false;
		s += n;
	}
	return !*s;
}

static bool is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (streq(*words, s))
			return true;
	return false;
}

static struct json *plain(const char *s)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const yes[] = {"true", "True", "TRUE", NULL};
	static const char *const no[] = {"false", "False", "FALSE", NULL};

	if (is_one_of(s, nulls))
		return json_null();
	if (is_one_of(s, yes) || is_one_of(s, no))
		return json_bool(is_one_of(s, yes));
	return is_number(s) ? json_number(s) : json_string(s);
}

/* The text of a scalar, counted; NULL: refused. */
static const char *text_of(struct reading *r, const yaml_node_t *n)
{
	const char *s = (const char *)n->data.scalar.value;

	r->text += n->data.scalar.length;
	if (strlen(s) != n->data.scalar.length)
		refuse(r, n, "has a zero character");
	else if (r->text > MAX_TEXT)
		refuse(r, n, "has too much text");
	else
		return s;
	return NULL;
}

static int read_scalar(struct reading *r, const yaml_node_t *n, struct json **ret)
{
	const char *s = text_of(r, n);

	if (!s)
		return -1;
	*ret = n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? plain(s) : json_string(s);
	return 0;
}

static int read_sequence(struct reading *r, const yaml_node_t *n, unsigned depth, struct json **ret)
{
	_cleanup_json_ struct json *list = json_array();

	for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top;
		i++) {
		struct json *value = NULL;

		if (read_node(r, *i, depth + 1, &value) < 0)
			return -1;
		json_add(list, value);
	}
	*ret = take(list);
	return 0;
}

/* What is there already stays. */
static void merge_one(struct json *into, const struct json *from)
{
	json_foreach (m, from) {
		if (!json_get(into, m->key))
			json_set(into, m->key, json_copy(m->value));
	}
}

/* A mapping, or a list of them, the earlier of which wins. */
static int merge(struct reading *r, const yaml_node_t *at, struct json *into, struct json *from)
{
	if (json_is(from, JSON_ARRAY)) {
		for (size_t i = 0; json_at(from, i); i++)
			if (merge(r, at, into, json_at(from, i)) < 0)
				return -1;
		return 0;
	}
	if (!json_is(from, JSON_OBJECT))
		return refuse(r, at, "merges (\"<<\") what is no mapping");
	merge_one(into, from);
	return 0;
}

static int read_mapping(struct reading *r, const yaml_node_t *n, unsigned depth, struct json **ret)
{
	_cleanup_json_ struct json *object = json_object(), *merged = json_array();

	for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top;
		p++) {
		const yaml_node_t *key = yaml_document_get_node(r->doc, p->key);
		struct json *value = NULL;

		if (!key || key->type != YAML_SCALAR_NODE)
			return refuse(r, n, "has a key that is no text");
		const char *name = text_of(r, key);
		if (!name || read_node(r, p->value, depth + 1, &value) < 0)
			return -1;
		if (streq(name, "<<") && key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
			json_add(merged, value);
		else
			json_set(object, name, value);
	}
	if (merge(r, n, object, merged) < 0)
		return -1;
	*ret = take(object);
	return 0;
}

static int read_node(struct reading *r, int index, unsigned depth, struct json **ret)
{
	const yaml_node_t *n = yaml_document_get_node(r->doc, index);

	if (n && depth > JSON_MAX_DEPTH)
		return refuse(r, n, "is nested too deep");
	if (n && ++r->values > MAX_VALUES)
		return refuse(r, n, "has too many values");
	switch (n ? n->type : YAML_NO_NODE) {
	case YAML_SCALAR_NODE:
		return read_scalar(r, n, ret);
	case YAML_SEQUENCE_NODE:
		return read_sequence(r, n, depth, ret);
	case YAML_MAPPING_NODE:
		return read_mapping(r, n, depth, ret);
	default:
		*ret = json_null();
		return 0;
	}
}

int md_yaml_parse(const char *text, size_t len, struct json **ret, struct err *err)
{
	yaml_document_t doc;
	yaml_parser_t parser;
	struct reading r = {.doc = &doc, .err = err};
	int rc;

	if (len > MD_YAML_MAX)
		return err_set(err, ERR_USER, "the YAML is longer than %u bytes", MD_YAML_MAX);
	if (!yaml_parser_initialize(&parser))
		abort(); /* no memory */
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (!yaml_parser_load(&parser, &doc)) {
		rc = err_set(err, ERR_USER, "line %zu: it is not YAML%s%s",
			parser.problem_mark.line + 1, parser.problem ? ": " : "",
			parser.problem ? parser.problem : "");
	} else {
		const yaml_node_t *root = yaml_document_get_root_node(&doc);

		rc = read_node(&r, root ? 1 : 0, 1, ret);
		yaml_document_delete(&doc);
	}
	yaml_parser_delete(&parser);
	return rc;
}

const char *md_yaml_text(const struct json *j)
{
	return json_is(j, JSON_NUMBER) ? j->text : json_str(j, "");
}

bool md_yaml_bool(const struct json *j, bool fallback)
{
	static const char *const yes[] = {"yes", "on", "true", "y", "1"};
	static const char *const no[] = {"no", "off", "false", "n", "0"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcasecmp(md_yaml_text(j), yes[i]) == 0)
			return true;
		if (strcasecmp(md_yaml_text(j), no[i]) == 0)
			return false;
	}
	return json_bool_or(j, fallback);
}
