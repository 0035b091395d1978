/* Formats: %[index]flags width.precision verb, and what Go says about mistakes in them. */
#include "format.h"

#include "chars.h"
#include "mem.h"

#include <limits.h>
#include <string.h>

struct scan {
	const char *s;
	size_t len, at;
	const struct tmpl_value *args;
	size_t n, next; /* the argument that is next */
	bool reordered; /* an index was given somewhere */
	bool good_index;
	bool after_index;
	struct format f;
};

static int peek(const struct scan *p)
{
	return p->at < p->len ? (unsigned char)p->s[p->at] : -1;
}

/* A number up to `end`; too large counts as none, and ends the format, as in Go. */
static bool scan_number(struct scan *p, size_t end, int *ret)
{
	bool any = false;

	*ret = 0;
	for (; p->at < end && p->s[p->at] >= '0' && p->s[p->at] <= '9'; p->at++) {
		*ret = *ret * 10 + (p->s[p->at] - '0');
		any = true;
		if (*ret > TEMPLATE_MAX_FORMAT_WIDTH) {
			*ret = 0;
			p->at = end;
			return false;
		}
	}
	return any;
}

/* "[N]", if it is there. */
static void scan_index(struct scan *p)
{
	int index;

	p->after_index = false;
	if (peek(p) != '[')
		return;
	p->reordered = true;
	const char *close = memchr(p->s + p->at, ']', p->len - p->at);
	if (!close || p->len - p->at < 3) {
		p->good_index = false;
		p->at++;
		return;
	}
	size_t end = (size_t)(close - p->s);
	p->at++;
	size_t begin = p->at;
	bool number = scan_number(p, end, &index) && p->at == end && end > begin;
	p->at = end + 1;
	p->after_index = number;
	if (number && index >= 1 && (size_t)index <= p->n)
		p->next = (size_t)index - 1;
	else
		p->good_index = false;
}

/* '*': the argument gives the number. */
static bool scan_star(struct scan *p, int *ret)
{
	const struct tmpl_value *v = p->next < p->n ? &p->args[p->next] : NULL;
	int64_t i = 0;
	bool good = v && (value_kind(v) == TMPL_INT || value_kind(v) == TMPL_UINT);

	p->at++;
	p->next += v != NULL;
	if (good)
		i = v->i;
	good = good && i <= TEMPLATE_MAX_FORMAT_WIDTH && i >= -TEMPLATE_MAX_FORMAT_WIDTH;
	*ret = good ? (int)i : 0;
	p->after_index = false;
	return good;
}

static void scan_flags(struct scan *p)
{
	struct format *f = &p->f;

	for (;; p->at++) {
		switch (peek(p)) {
		case '#':
			f->sharp = true;
			break;
		case '0':
			f->zero = !f->minus;
			break;
		case '+':
			f->plus = true;
			break;
		case '-':
			f->minus = true;
			f->zero = false;
			break;
		case ' ':
			f->space = true;
			break;
		default:
			return;
		}
	}
}

static void scan_width(struct scan *p)
{
	struct format *f = &p->f;
	bool indexed;

	scan_index(p);
	if (peek(p) == '*') {
		f->has_width = scan_star(p, &f->width);
		if (!f->has_width)
			buf_adds(f->out, "%!(BADWIDTH)");
		if (f->width < 0) {
			f->width = -f->width;
			f->minus = true;
			f->zero = false;
		}
		return;
	}
	indexed = p->after_index;
	f->has_width = scan_number(p, p->len, &f->width);
	if (indexed && f->has_width)
		p->good_index = false;
}

static void scan_precision(struct scan *p)
{
	struct format *f = &p->f;

	if (peek(p) != '.' || p->at + 1 == p->len)
		return;
	p->at++;
	if (p->after_index)
		p->good_index = false;
	scan_index(p);
	if (peek(p) != '*') {
		scan_number(p, p->len, &f->precision);
		f->has_precision = true;
		return;
	}
	bool good = scan_star(p, &f->precision);
	f->has_precision = good && f->precision >= 0;
	if (f->precision < 0)
		f->precision = 0;
	if (!f->has_precision)
		buf_adds(f->out, "%!(BADPREC)");
}

static void complain(struct scan *p, uint32_t verb, const char *what)
{
	buf_adds(p->f.out, "%!");
	char_encode(verb, p->f.out);
	buf_adds(p->f.out, what);
}

static void add_verb(struct scan *p)
{
	struct format *f = &p->f;
	size_t len;

	if (p->at >= p->len) {
		buf_adds(f->out, "%!(NOVERB)");
		return;
	}
	uint32_t verb = char_decode(p->s + p->at, p->len - p->at, &len);
	p->at += len;
	if (verb == '%') {
		buf_addc(f->out, '%');
	} else if (!p->good_index) {
		complain(p, verb, "(BADINDEX)");
	} else if (p->next >= p->n) {
		complain(p, verb, "(MISSING)");
	} else {
		if (verb == 'v') {
			f->sharp_v = f->sharp;
			f->plus_v = f->plus;
			f->sharp = f->plus = false;
		}
		format_value(f, verb, &p->args[p->next++]);
	}
}

static void reset(struct scan *p)
{
	p->f = (struct format){.out = p->f.out};
}

/* After '%'. */
static void add_directive(struct scan *p)
{
	reset(p);
	p->good_index = true;
	p->after_index = false;
	scan_flags(p);
	scan_width(p);
	scan_precision(p);
	if (!p->after_index)
		scan_index(p);
	add_verb(p);
}

static void add_extra(struct scan *p)
{
	reset(p);
	buf_adds(p->f.out, "%!(EXTRA ");
	for (size_t i = p->next; i < p->n; i++) {
		struct tmpl_value v = value_unbox(p->args[i]);
		buf_adds(p->f.out, i > p->next ? ", " : "");
		if (v.type)
			buf_addf(p->f.out, "%s=", v.type->name);
		format_value(&p->f, 'v', &v);
	}
	buf_addc(p->f.out, ')');
}

int format_printf(const char *s, size_t len, const struct tmpl_value *args, size_t n, size_t limit,
	struct buf *out)
{
	struct scan p = {
		.s = s,
		.len = len,
		.args = args,
		.n = n,
		.f = {.out = out},
	};

	while (p.at < len && out->len <= limit) {
		const char *percent = memchr(s + p.at, '%', len - p.at);
		size_t end = percent ? (size_t)(percent - s) : len;
		buf_add(out, s + p.at, end - p.at);
		p.at = end;
		if (percent) {
			p.at++;
			add_directive(&p);
		}
	}
	if (!p.reordered && p.next < n && out->len <= limit)
		add_extra(&p);
	return out->len > limit ? -1 : 0;
}
