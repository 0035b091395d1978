/* update-labels: a command of another Docker Machine's, which a CI runner tries on every machine.
 * It goes on without labels where it reads that the driver has none; ours have none. */
#include "cli.h"

#include "mem.h"

static const struct cli_flag flags[] = {
	FLAG_L("label", NULL, NULL, "A label of the machine, in the form key=value"),
};

static int run_labels(struct co *co, struct cli *cli, struct err *err)
{
	const char *name;

	(void)co;
	if (cli_one_name(cli, &name, err) < 0)
		return -1;
	if (store_check(cli->app.store, name, err) < 0)
		return -1;
	return err_set(err, ERR_NOT_SUPPORTED, "%s: driver does not support labels", name);
}

const struct command cmd_update_labels = {
	.name = "update-labels",
	.args = "[arg...]",
	.summary = "Not supported: drivers keep no labels",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.talk = TALK_STDERR,
	.only_asks = true,
	.hidden = true,
	.run = run_labels,
};
