/* What `image` completes with: another program's flags and results, read from what it prints. */
#include "complete.h"

#include "mem.h"
#include "registry.h"

#include <ctype.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MAX (64u << 10)
#define ANSWER_MS 2000
#define FLAGS_MAX 64u

/* What it printed so far, if it takes too long or says too much: somebody waits at a keyboard. */
static void read_answer(int fd, struct buf *out)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t n = 1;

	while (n > 0 && out->len < ANSWER_MAX && poll(&p, 1, ANSWER_MS) == 1) {
		n = read(fd, buf_reserve(out, 4096), 4096);
		if (n > 0)
			out->len += (size_t)n;
	}
}

static void ask(const struct completion *c, const struct strv *args, struct buf *out)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_free_ char *file = NULL;
	_cleanup_strv_ struct strv argv = STRV_INIT;
	int fds[2];

	if (!c->store || registry_find_helper("machine-image", &file, &e) < 0 || pipe(fds) < 0)
		return;
	strv_add(&argv, file);
	strv_addf(&argv, "--storage-path=%s", store_path(c->store));
	strv_extend(&argv, args);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		close(STDERR_FILENO);
		execv(file, argv.items);
		_exit(127);
	}
	close(fds[1]);
	if (pid > 0) {
		read_answer(fds[0], out);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(fds[0]);
}

/* "   --name, -x WORD<tab or blanks>text": a value follows where a word in capitals does, or a
 * blank and a tab. */
static bool parse_flag(const char *line, struct cli_flag *f)
{
	line += strspn(line, " ");
	if (strncmp(line, "--", 2) != 0)
		return false;
	line += 2;
	size_t len = strcspn(line, ", \t");
	if (!len)
		return false;
	f->spec.name = xstrndup(line, len);
	line += len;
	if (strncmp(line, ", -", 3) == 0) {
		len = strcspn(line + 3, " \t");
		f->alias = xstrndup(line + 3, len);
		line += 3 + len;
	}
	bool value = line[0] == ' ' && (line[1] == '\t' || isupper((unsigned char)line[1]));
	f->spec.type = value ? FLAG_STRING : FLAG_BOOL;
	if (value && line[1] != '\t')
		line += 1 + strcspn(line + 1, " \t");
	f->spec.usage = xstrdup(line + strspn(line, " \t"));
	return true;
}

struct cli_flag *image_flags(struct completion *c, const char *sub, size_t *ret_n)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_strv_ struct strv args = STRV_INIT;
	struct cli_flag *flags = xcalloc(FLAGS_MAX, sizeof(*flags));
	size_t n = 0;

	strv_add(&args, sub);
	strv_add(&args, "--help");
	ask(c, &args, &out);
	for (char *line = out.data, *end; line && n < FLAGS_MAX; line = end ? end + 1 : NULL) {
		end = strchr(line, '\n');
		if (end)
			*end = '\0';
		n += parse_flag(line, &flags[n]);
	}
	*ret_n = n;
	return flags;
}

void image_flags_free(struct cli_flag *flags, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free((char *)flags[i].spec.name);
		free((char *)flags[i].spec.usage);
		free((char *)flags[i].alias);
	}
	free(flags);
}

void image_offer_ids(struct completion *c)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_strv_ struct strv args = STRV_INIT, ids = STRV_INIT;

	strv_add(&args, "ls");
	strv_add(&args, "-q");
	ask(c, &args, &out);
	strv_split(&ids, buf_str(&out), '\n');
	strv_foreach (id, &ids)
		if (!strv_contains(&c->spot->operands, id))
			offer(c, id, "");
}
