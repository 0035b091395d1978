/* The output of a remote command on its way to the caller. */
#include "ssh_priv.h"

#include "mem.h"

static void emit_line(struct ssh_sink *k)
{
	struct buf *b = &k->line;

	if (b->len && b->data[b->len - 1] == '\r')
		b->data[--b->len] = '\0';
	if (k->s->on_line)
		k->s->on_line(k->s->on_line_data, buf_str(b));
	buf_clear(b);
}

static void add_lines(struct ssh_sink *k, const char *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (data[i] != '\n')
			buf_addc(&k->line, data[i] ? data[i] : ' ');
		if (data[i] == '\n' || k->line.len >= SSH_MAX_LINE)
			emit_line(k);
	}
}

void ssh_sink_add(struct ssh_sink *k, const char *data, size_t n)
{
	size_t room = SSH_MAX_OUTPUT - k->out->len;

	if (k->s->on_line)
		add_lines(k, data, n);
	buf_add(k->out, data, MIN(n, room));
	k->cut |= n > room;
}

void ssh_sink_end(struct ssh_sink *k)
{
	if (k->line.len && k->s->on_line)
		emit_line(k);
	if (k->cut)
		buf_addf(k->out, "\n[output cut after %u bytes]\n", SSH_MAX_OUTPUT);
	buf_finish(&k->line);
}
