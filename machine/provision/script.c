#include "script.h"

#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_LINES 22
#define TAIL_BYTES 4000

void script_var(struct buf *b, const char *name, const char *value)
{
	_cleanup_secret_ char *word = shell_quote(value);

	buf_addf(b, "%s=%s\n", name, word);
}

int read_regular_file(const char *path, size_t max, struct buf *ret, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USER, "%s: not a regular file", path);
	if ((uintmax_t)st.st_size > max)
		return err_set(err, ERR_USER, "%s: larger than %zu bytes", path, max);
	size_t left = (size_t)st.st_size;
	char *p = buf_reserve(ret, left);
	while (left > 0 && (n = read(fd, p, left)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "%s", path);
		p += n;
		left -= (size_t)n;
		ret->len += (size_t)n;
	}
	buf_add(ret, "", 0);
	return 0;
}

int script_file(struct buf *b, const char *name, const char *path, struct err *err)
{
	struct buf content = BUF_INIT;
	int rc = read_regular_file(path, SCRIPT_FILE_MAX, &content, err);
	_cleanup_secret_ char *text = buf_steal(&content);

	if (rc == 0)
		script_var(b, name, text);
	return rc;
}

/* Where the last TAIL_LINES lines begin. */
static const char *tail_start(const char *out, const char *end)
{
	unsigned lines = 0;
	const char *p = end;

	while (p > out && end - p < TAIL_BYTES && (p[-1] != '\n' || ++lines < TAIL_LINES))
		p--;
	return p;
}

char *script_tail(const char *out, size_t len)
{
	struct buf b = BUF_INIT;
	const char *end = out + len;

	while (end > out && isspace((unsigned char)end[-1]))
		end--;
	for (const char *p = tail_start(out, end); p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *stop = nl ? nl : end;

		if (b.len > 0)
			buf_addc(&b, '\n');
		for (; p < stop; p++)
			buf_addc(&b, iscntrl((unsigned char)*p) ? ' ' : *p);
		p = nl ? nl + 1 : end;
	}
	return buf_steal(&b);
}

bool script_said(const struct ssh_result *r, const char *line)
{
	size_t n = strlen(line);
	const char *start = buf_str(&r->out);

	for (const char *p = start; (p = strstr(p, line)); p += n)
		if ((p == start || p[-1] == '\n') && (p[n] == '\n' || !p[n]))
			return true;
	return false;
}

/* The text of `fail`, malloc'ed, or NULL. *len: the output without it. */
static char *failed_text(const char *out, size_t *len)
{
	static const char mark[] = "@@failed ";
	const char *p = out, *last = NULL;

	for (; (p = strstr(p, mark)); p += strlen(mark))
		if (p == out || p[-1] == '\n')
			last = p;
	if (!last)
		return NULL;
	*len = (size_t)(last - out);
	last += strlen(mark);
	return xstrndup(last, strcspn(last, "\n"));
}

static int failed(const struct ssh_result *r, struct err *err)
{
	size_t len = r->out.len;
	_cleanup_free_ char *text = failed_text(buf_str(&r->out), &len);
	_cleanup_free_ char *out = script_tail(buf_str(&r->out), len);
	_cleanup_free_ char *errout = script_tail(buf_str(&r->errout), r->errout.len);

	if (!text && r->exit_status < 0)
		text = xasprintf("ended by signal %s", r->signal ? r->signal : "?");
	else if (!text)
		text = xasprintf("exit status %d on the host", r->exit_status);
	return err_set(err, ERR_INTERNAL, "%s%s%s%s%s", text, *out || *errout ? ":\n" : "", out,
		*out && *errout ? "\n" : "", errout);
}

int script_run(struct co *co, struct ssh *ssh, const struct provision_host *h, struct buf *script,
	struct ssh_result *ret, struct err *err)
{
	size_t len = script->len;
	_cleanup_secret_ char *text = buf_steal(script);
	const char *command = h->is_root ? "/bin/sh -s" : "sudo -n /bin/sh -s";

	if (ssh_exec(co, ssh, command, text, len, ret, err) < 0)
		return -1;
	if (ret->exit_status == 0)
		return 0;
	failed(ret, err);
	ssh_result_finish(ret);
	return -1;
}
