/* html, js, urlquery. */
#include "functions.h"

#include "chars.h"
#include "mem.h"

#include <ctype.h>
#include <string.h>

/* The arguments as the template would print them. */
static int printed(struct call *c, struct buf *out)
{
	for (size_t i = 0; i < c->n; i++)
		if (!value_unbox(c->args[i]).type)
			c->args[i] = tmpl_str("<no value>");
	if (format_print(c->args, c->n, false, TEMPLATE_MAX_OUTPUT, out) < 0)
		return err_set(c->err, ERR_USER, "more than %u bytes", TEMPLATE_MAX_OUTPUT);
	return 0;
}

int function_html(struct call *c)
{
	static const char special[] = "\"'&<>";
	static const char *const escapes[] = {"&#34;", "&#39;", "&amp;", "&lt;", "&gt;"};
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT;

	if (printed(c, &in) < 0)
		return -1;
	for (size_t i = 0; i < in.len; i++) {
		char ch = in.data[i];
		const char *found = ch ? strchr(special, ch) : NULL;
		if (found)
			buf_adds(&out, escapes[found - special]);
		else if (!ch)
			char_encode(RUNE_ERROR, &out);
		else
			buf_addc(&out, ch);
	}
	return function_text(c, &out);
}

int function_js(struct call *c)
{
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT;
	size_t len;

	if (printed(c, &in) < 0)
		return -1;
	for (size_t i = 0; i < in.len; i += len) {
		uint32_t rune = char_decode(in.data + i, in.len - i, &len);
		if (rune == '\\' || rune == '\'' || rune == '"')
			buf_addf(&out, "\\%c", (char)rune);
		else if (rune < ' ' || (rune < 0x80 && strchr("<>&=", (int)rune)) ||
			 (rune >= 0x80 && !char_printable(rune)))
			buf_addf(&out, "\\u%04X", rune);
		else
			char_encode(rune, &out);
	}
	return function_text(c, &out);
}

int function_urlquery(struct call *c)
{
	_cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT;

	if (printed(c, &in) < 0)
		return -1;
	for (size_t i = 0; i < in.len; i++) {
		unsigned char ch = (unsigned char)in.data[i];
		if (ch == ' ')
			buf_addc(&out, '+');
		else if (isalnum(ch) || (ch && strchr("-_.~", ch)))
			buf_addc(&out, (char)ch);
		else
			buf_addf(&out, "%%%02X", ch);
	}
	return function_text(c, &out);
}
