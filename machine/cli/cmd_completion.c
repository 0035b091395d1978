/* completion bash | zsh | fish: the scripts of the folder completion/, which ask __complete. */
#include "cli.h"

#include "completion.h"
#include "mem.h"

#include <string.h>

static const struct {
	const char *shell, *script;
} scripts[] = {
	{"bash", BASH_SCRIPT},
	{"zsh", ZSH_SCRIPT},
	{"fish", FISH_SCRIPT},
};

static int run_completion(struct co *co, struct cli *cli, struct err *err)
{
	const struct strv *args = &cli->args.args;

	(void)co;
	for (size_t i = 0; args->n == 1 && i < ARRAY_SIZE(scripts); i++)
		if (streq(args->items[0], scripts[i].shell)) {
			fputs(scripts[i].script, stdout);
			return 0;
		}
	return cli_usage(cli, err, "Error: Expected one of the shells bash, zsh and fish");
}

const struct command cmd_completion = {
	.name = "completion",
	.args = "bash | zsh | fish",
	.summary = "Print the completion script for a shell",
	.description =
		"bash: eval \"$(docker-machine completion bash)\" in ~/.bashrc\n"
		"   zsh:  source <(docker-machine completion zsh) in ~/.zshrc, after compinit\n"
		"   fish: docker-machine completion fish | source in ~/.config/fish/config.fish\n"
		"   Installed packages have done so already.",
	.talk = TALK_STDERR,
	.run = run_completion,
};
