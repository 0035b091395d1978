/* image ls | import | build | rm: a program of its own does that, for this one links no HTTP
 * client. It takes this one's place: its exit status, its signals. */
#include "cli.h"

#include "log.h"
#include "mem.h"
#include "output.h"
#include "registry.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define HELPER "machine-image"

static int run_image(struct co *co, struct cli *cli, struct err *err)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;
	_cleanup_free_ char *file = NULL;

	(void)co;
	if (!cli->args.args.n)
		return cli_usage(cli, err,
			"Error: Expected one of: image ls, image import, image build, image rm");
	if (registry_find_helper(HELPER, &file, err) < 0)
		return -1;
	strv_add(&argv, file);
	strv_addf(&argv, "--storage-path=%s", store_path(cli->app.store));
	if (log_debug_enabled())
		strv_add(&argv, "--debug");
	strv_extend(&argv, &cli->args.args);
	output_flush();
	signal(SIGPIPE, SIG_DFL); /* the loop ignores it */
	execv(file, argv.items);
	return err_errno(err, errno, "start %s", file);
}

const struct command cmd_image = {
	.name = "image",
	.args = "ls | import FOLDER|FILE|URL|NAME | build | rm NAME|ID...",
	.summary = "Make, get, list and remove the base images of local machines",
	.description = "ls: the images in the store's cache.\n"
		       "   import FOLDER|FILE|URL|NAME: takes one in, copied or downloaded.\n"
		       "   build: makes a small Debian with Docker.\n"
		       "   rm NAME|ID...: deletes images that no machine uses.\n"
		       "   Each of them has a --help of its own.",
	.talk = TALK_STDERR,
	.raw = true,
	.run = run_image,
};
