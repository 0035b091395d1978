#include "trace.h"

#include "buf.h"
#include "mem.h"
#include "strv.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MASK "***"

struct trace {
	int fd;
	struct strv names;   /* of secret flags and members, see plain_name */
	struct strv secrets; /* longest first */
};

int trace_open(const char *file, struct trace **ret, struct err *err)
{
	int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	struct trace *t;
	struct stat st;

	if (fd < 0)
		return err_errno(err, errno, "protocol trace %s", file);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		fchmod(fd, 0600);
	t = xcalloc(1, sizeof(*t));
	t->fd = fd;
	*ret = t;
	return 0;
}

/* "amazonec2-secret-key" and "SecretKey" differ in writing only. */
static char *plain_name(const char *name)
{
	char *s = xstrdup(name), *out = s;

	for (const char *p = name; *p; p++)
		if (isalnum((unsigned char)*p))
			*out++ = (char)tolower((unsigned char)*p);
	*out = '\0';
	return s;
}

void trace_secret_flags(struct trace *t, const struct flagspecs *flags)
{
	for (size_t i = 0; i < flags->n; i++) {
		const char *name = flags->items[i].name, *dash = strchr(name, '-');

		if (!flags->items[i].secret)
			continue;
		strv_add_take(&t->names, plain_name(name));
		if (dash)
			strv_add_take(&t->names, plain_name(dash + 1));
	}
}

static bool is_secret_name(const struct trace *t, const char *key)
{
	_cleanup_free_ char *name = plain_name(key);

	return strv_contains(&t->names, name);
}

static void remember(struct trace *t, const struct json *value)
{
	if (json_is(value, JSON_ARRAY))
		for (size_t i = 0; i < value->n; i++)
			remember(t, value->items[i]);
	if (!json_is(value, JSON_STRING) || value->n < TRACE_SECRET_MIN ||
		strv_contains(&t->secrets, value->text))
		return;
	strv_add(&t->secrets, value->text);
	for (size_t i = t->secrets.n - 1; i > 0; i--) {
		char **s = &t->secrets.items[i];

		if (strlen(s[0]) > strlen(s[-1])) {
			char *shorter = s[-1];

			s[-1] = s[0];
			s[0] = shorter;
		}
	}
}

void trace_flag_values(struct trace *t, const struct json *flags)
{
	json_foreach (m, flags) {
		if (is_secret_name(t, m->key))
			remember(t, m->value);
	}
}

static char *mask_text(const struct trace *t, const char *text, size_t len)
{
	struct buf out = BUF_INIT;
	size_t i = 0;

	while (i < len) {
		size_t hit = 0;

		for (size_t k = 0; k < t->secrets.n && !hit; k++) {
			size_t n = strlen(t->secrets.items[k]);

			if (n <= len - i && memcmp(text + i, t->secrets.items[k], n) == 0)
				hit = n;
		}
		if (hit)
			buf_adds(&out, MASK);
		else
			buf_addc(&out, text[i]);
		i += hit ? hit : 1;
	}
	return buf_steal(&out);
}

/* A copy that may be shown. under_secret: the value of a member with a secret's name. */
static struct json *mask(const struct trace *t, const struct json *j, bool under_secret)
{
	struct json *out;

	switch (j->type) {
	case JSON_STRING: {
		_cleanup_free_ char *text = mask_text(t, j->text, j->n);

		return json_string(under_secret && j->n > 0 ? MASK : text);
	}
	case JSON_ARRAY:
		out = json_array();
		for (size_t i = 0; i < j->n; i++)
			json_add(out, mask(t, j->items[i], under_secret));
		return out;
	case JSON_OBJECT:
		out = json_object();
		json_foreach (m, j) {
			json_set(out, m->key,
				mask(t, m->value, under_secret || is_secret_name(t, m->key)));
		}
		return out;
	default:
		return json_copy(j);
	}
}

static void put_line(struct trace *t, int pid, char direction, const char *text)
{
	_cleanup_buf_ struct buf line = BUF_INIT;
	struct timespec now;
	struct tm tm;
	char when[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_addf(&line, "%s.%03ldZ %d %c %s\n", when, now.tv_nsec / 1000000, pid, direction, text);
	if (write(t->fd, line.data, line.len) < 0)
		return; /* a full disk shall not stop the program */
}

static bool is_flags_of(const struct json *msg)
{
	const char *method = json_str(json_get(msg, "method"), "");

	return streq(method, "initialize") || streq(method, "configure");
}

void trace_frame(struct trace *t, int pid, char direction, const char *body, size_t len)
{
	_cleanup_json_ struct json *msg = NULL, *masked = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *text = NULL;

	if (json_parse(body, len, &msg, &err) == 0) {
		if (is_flags_of(msg))
			trace_flag_values(t, json_path(msg, "params", "flags", NULL));
		masked = mask(t, msg, false);
		text = json_to_string(masked, JSON_COMPACT);
	} else {
		text = mask_text(t, body, MIN(len, (size_t)TRACE_RAW_MAX));
		for (char *c = text; *c; c++)
			if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
				*c = '?';
	}
	put_line(t, pid, direction, text);
}

void trace_note(struct trace *t, int pid, const char *text)
{
	_cleanup_free_ char *masked = mask_text(t, text, strlen(text));

	put_line(t, pid, '!', masked);
}

void trace_free(struct trace *t)
{
	if (!t)
		return;
	close(t->fd);
	for (size_t i = 0; i < t->secrets.n; i++)
		explicit_bzero(t->secrets.items[i], strlen(t->secrets.items[i]));
	strv_finish(&t->secrets);
	strv_finish(&t->names);
	free(t);
}
