#include "outcomes.h"

#include "buf.h"
#include "mem.h"
#include "output.h"
#include "tabwriter.h"

#include <stdio.h>

static void add_row(struct buf *table, const char *name, const struct outcome *o)
{
	bool failed = o->err && o->err->code != ERR_NONE;
	_cleanup_free_ char *error = output_clean(failed ? err_msg(o->err) : "-");

	buf_addf(table, "%s\t%s\t%llu.%llus\t%s\n", name, o->text,
		(unsigned long long)(o->ms / 1000), (unsigned long long)(o->ms / 100 % 10), error);
}

void outcomes_print(const struct strv *names, const struct outcome *all, const char *after)
{
	_cleanup_buf_ struct buf table = BUF_INIT, out = BUF_INIT;

	buf_adds(&table, "MACHINE\tOUTCOME\tTIME\tERROR\n");
	for (size_t i = 0; i < names->n; i++)
		add_row(&table, names->items[i], &all[i]);
	tabwriter_format(buf_str(&table), 0, 3, ' ', &out);
	buf_adds(&out, after);
	output_flush();
	fputs(buf_str(&out), stderr);
	fflush(stderr);
}
