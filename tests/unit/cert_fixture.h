/*
 * For tests with certificates: a folder for each test, and one set of keys made by our own code
 * once for a whole program, as RSA keys take their time.
 */
#pragma once

#include "cert.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static time_t time_shift; /* what the code under test takes for now, less the real time */

/* In the place of the C library's, for our code and for mbedTLS's. */
time_t time(time_t *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec + time_shift;
	return now.tv_sec + time_shift;
}

static char stock[64]; /* ca.pem ca-key.pem cert.pem key.pem */
static char dir[64];

#define DAYS(n) ((time_t)(n)*86400)

/* Runs a program in the test's folder; its output goes nowhere. The exit status. */
static inline int run(const char *first, ...)
{
	const char *argv[32] = {first};
	va_list ap;
	int status;

	va_start(ap, first);
	for (size_t i = 1; i < ARRAY_SIZE(argv) - 1 && (argv[i] = va_arg(ap, const char *)); i++)
		;
	va_end(ap);
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		if (*dir && chdir(dir) < 0)
			_exit(126);
		execvp(first, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline char *in_dir(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

struct files {
	char *ca, *ca_key, *client, *client_key, *server, *server_key;
	struct cert_paths paths;
};

static inline void files_init(struct files *f)
{
	f->ca = in_dir("ca.pem");
	f->ca_key = in_dir("ca-key.pem");
	f->client = in_dir("cert.pem");
	f->client_key = in_dir("key.pem");
	f->server = in_dir("server.pem");
	f->server_key = in_dir("server-key.pem");
	f->paths = (struct cert_paths){dir, f->ca, f->ca_key, f->client, f->client_key};
}

static inline void files_finish(struct files *f)
{
	free(f->ca);
	free(f->ca_key);
	free(f->client);
	free(f->client_key);
	free(f->server);
	free(f->server_key);
}

#define FILES                                                        \
	__attribute__((cleanup(files_finish))) struct files f = {0}; \
	files_init(&f)

static inline int new_dir(char *ret, size_t size)
{
	snprintf(ret, size, "/tmp/cert-test-XXXXXX");
	return mkdtemp(ret) ? 0 : -1;
}

static inline int stock_setup(void **state)
{
	struct err err = ERR_INIT;
	struct cert_report report;

	if (new_dir(stock, sizeof(stock)) < 0)
		return -1;
	snprintf(dir, sizeof(dir), "%s", stock);
	FILES;
	int rc = cert_bootstrap(&f.paths, "me", false, &report, &err);
	if (rc < 0)
		fprintf(stderr, "test: %s\n", err_msg(&err));
	err_finish(&err);
	return rc;
}

static inline int stock_teardown(void **state)
{
	*dir = '\0';
	return run("rm", "-rf", stock, NULL);
}

/* A folder with the stock in it. */
static inline int dir_setup(void **state)
{
	_cleanup_free_ char *from = xasprintf("%s/.", stock);

	*dir = '\0';
	char made[64];
	if (new_dir(made, sizeof(made)) < 0 || run("cp", "-a", from, made, NULL) != 0)
		return -1;
	snprintf(dir, sizeof(dir), "%s", made);
	return 0;
}

static inline int dir_teardown(void **state)
{
	_cleanup_free_ char *gone = xstrdup(dir);

	*dir = '\0';
	return run("rm", "-rf", gone, NULL);
}

static inline char *read_text(const char *path)
{
	char *text = xcalloc(1, 65536);
	FILE *file = fopen(path, "r");

	if (file) {
		text[fread(text, 1, 65535, file)] = '\0';
		fclose(file);
	}
	return text;
}

static inline void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static inline bool is_file(const char *name)
{
	_cleanup_free_ char *path = in_dir(name);

	return access(path, F_OK) == 0;
}

static inline unsigned mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}
