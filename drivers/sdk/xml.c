/* XML by libxml2, made into a tree of json.h: drivers have one way to read an answer. */
#include "md-xml.h"

#include "buf.h"
#include "mem.h"

#include <libxml/parser.h>
#include <limits.h>
#include <string.h>

#define MAX_NODES 500000u
#define MAX_NAMES 1024u /* of the elements in one: each is compared with all */

struct reading {
	size_t nodes;
	struct err *err;
};

static int too_much(struct reading *r, const char *what)
{
	return err_set(r->err, ERR_PROTOCOL, "the XML %s", what);
}

static const char *name_of(const xmlNode *n)
{
	return (const char *)n->name;
}

/* The parent's elements are a list of their own. */
static bool is_list(const xmlNode *parent)
{
	bool any = false;

	for (const xmlNode *n = parent->children; n; n = n->next) {
		if (n->type != XML_ELEMENT_NODE)
			continue;
		if (!streq(name_of(n), "item") && !streq(name_of(n), "member"))
			return false;
		any = true;
	}
	return any;
}

static int add_member(
	struct reading *r, struct json *object, const char *name, struct json *take_value)
{
	struct json *there = json_get(object, name), *list;

	if (!there && object->n >= MAX_NAMES) {
		json_free(take_value);
		return too_much(r, "has too many different elements in one");
	}
	if (!there) {
		json_set(object, name, take_value);
		return 0;
	}
	if (!json_is(there, JSON_ARRAY)) {
		list = json_array();
		json_add(list, json_copy(there));
		json_set(object, name, list);
		there = json_get(object, name);
	}
	json_add(there, take_value);
	return 0;
}

static int read_text(struct reading *r, const xmlNode *parent, struct json **ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	for (const xmlNode *n = parent->children; n; n = n->next) {
		if (n->type == XML_ENTITY_REF_NODE)
			return too_much(r, "has entities of its own, which are not read");
		if (n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE)
			buf_adds(&text, (const char *)n->content);
	}
	*ret = json_string(buf_str(&text));
	return 0;
}

static bool has_elements(const xmlNode *parent)
{
	for (const xmlNode *n = parent->children; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE)
			return true;
	return false;
}

static int read_element(struct reading *r, const xmlNode *e, unsigned depth, struct json **ret)
{
	_cleanup_json_ struct json *j = NULL;
	bool list = is_list(e);

	if (depth > JSON_MAX_DEPTH)
		return too_much(r, "is nested too deep");
	if (++r->nodes > MAX_NODES)
		return too_much(r, "has too many elements");
	if (!has_elements(e))
		return read_text(r, e, ret);
	j = list ? json_array() : json_object();
	for (const xmlNode *n = e->children; n; n = n->next) {
		struct json *value;

		if (n->type == XML_ENTITY_REF_NODE)
			return too_much(r, "has entities of its own, which are not read");
		if (n->type != XML_ELEMENT_NODE)
			continue;
		if (read_element(r, n, depth + 1, &value) < 0)
			return -1;
		if (list)
			json_add(j, value);
		else if (add_member(r, j, name_of(n), value) < 0)
			return -1;
	}
	*ret = take(j);
	return 0;
}

static void say_nothing(void *arg, const char *msg, ...)
{
	(void)arg;
	(void)msg;
}

int md_xml_parse(const char *text, size_t len, struct json **ret, char **ret_root, struct err *err)
{
	struct reading r = {.err = err};
	xmlDoc *doc;
	xmlNode *root;
	int rc = -1;

	xmlSetGenericErrorFunc(NULL, say_nothing);
	doc = len > INT_MAX ? NULL
			    : xmlReadMemory(text, (int)len, NULL, NULL,
				      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
					      XML_PARSE_NOCDATA);
	root = doc ? xmlDocGetRootElement(doc) : NULL;
	if (!root)
		err_set(err, ERR_PROTOCOL, "the answer is not XML");
	else if (doc->intSubset || doc->extSubset)
		too_much(&r, "has a document type, which is not read");
	else
		rc = read_element(&r, root, 1, ret);
	if (rc == 0 && ret_root)
		*ret_root = xstrdup(name_of(root));
	xmlFreeDoc(doc);
	return rc;
}

struct json *md_xml_get(const struct json *j, const char *path)
{
	struct json *at = (struct json *)j;

	while (at && *path) {
		size_t len = strcspn(path, "/");
		_cleanup_free_ char *name = xstrndup(path, len);

		at = json_get(at, name);
		path += len + (path[len] == '/');
	}
	return at;
}

const char *md_xml_text(const struct json *j, const char *path)
{
	return json_str(md_xml_get(j, path), "");
}
