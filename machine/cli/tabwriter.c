/*
 * A cell is text ended by a tab; a column is a run of adjacent lines that have a cell at the same
 * place; it is as wide as its widest cell plus the padding. The text after a line's last tab
 * belongs to no column.
 */
#include "tabwriter.h"

#include "mem.h"

#include <stdbool.h>
#include <string.h>

struct line {
	const char **cells; /* not NUL-terminated */
	size_t *lens;
	size_t n;
};

struct writer {
	struct line *lines;
	size_t n;
	size_t *widths;
	size_t n_widths;
	size_t min_width, padding;
	char pad;
	struct buf *out;
};

#define TAB 8u

static size_t columns(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

static void write_padding(struct writer *w, size_t text, size_t cell)
{
	if (w->pad == '\t') {
		cell = (cell + TAB - 1) / TAB * TAB;
		for (size_t i = 0; i < (cell - text + TAB - 1) / TAB; i++)
			buf_addc(w->out, '\t');
		return;
	}
	for (; text < cell; text++)
		buf_addc(w->out, w->pad);
}

static void write_lines(struct writer *w, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		const struct line *l = &w->lines[i];
		for (size_t j = 0; j < l->n; j++) {
			buf_add(w->out, l->cells[j], l->lens[j]);
			if (j < w->n_widths)
				write_padding(w, columns(l->cells[j], l->lens[j]), w->widths[j]);
		}
		if (i + 1 < w->n)
			buf_addc(w->out, '\n');
	}
}

static void format(struct writer *w, size_t from, size_t to)
{
	size_t column = w->n_widths;

	for (size_t i = from; i < to; i++) {
		if (column + 1 >= w->lines[i].n)
			continue;
		write_lines(w, from, i);
		from = i;
		size_t width = w->min_width;
		for (; i < to && column + 1 < w->lines[i].n; i++) {
			const struct line *l = &w->lines[i];
			width = MAX(width, columns(l->cells[column], l->lens[column]) + w->padding);
		}
		w->widths[w->n_widths++] = width;
		format(w, from, i);
		w->n_widths--;
		from = i;
		i--;
	}
	write_lines(w, from, to);
}

static void add_line(struct writer *w, const char *s, size_t len, size_t *max_cells)
{
	w->lines = xrealloc(w->lines, w->n + 1, sizeof(*w->lines));
	struct line *l = &w->lines[w->n++];

	*l = (struct line){0};
	for (const char *end = s + len;;) {
		const char *tab = memchr(s, '\t', (size_t)(end - s));
		l->cells = xrealloc(l->cells, l->n + 1, sizeof(*l->cells));
		l->lens = xrealloc(l->lens, l->n + 1, sizeof(*l->lens));
		l->cells[l->n] = s;
		l->lens[l->n++] = (size_t)((tab ? tab : end) - s);
		if (!tab)
			break;
		s = tab + 1;
	}
	*max_cells = MAX(*max_cells, l->n);
}

void tabwriter_format(const char *text, size_t min_width, size_t padding, char pad, struct buf *out)
{
	struct writer w = {.min_width = min_width, .padding = padding, .pad = pad, .out = out};
	size_t max_cells = 0;

	for (const char *s = text;;) {
		const char *nl = strchr(s, '\n');
		add_line(&w, s, nl ? (size_t)(nl - s) : strlen(s), &max_cells);
		if (!nl)
			break;
		s = nl + 1;
	}
	w.widths = xcalloc(max_cells + 1, sizeof(*w.widths));
	format(&w, 0, w.n);
	for (size_t i = 0; i < w.n; i++) {
		free(w.lines[i].cells);
		free(w.lines[i].lens);
	}
	free(w.lines);
	free(w.widths);
}
