/* For tests of the store: an empty folder, and a store in it that is not made yet. */
#pragma once

#include "buf.h"
#include "co.h"
#include "mem.h"
#include "record.h"
#include "store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static struct store *store;
static struct err err;

static inline int fixture_setup(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/store-test-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	_cleanup_free_ char *path = xasprintf("%s/S", folder);
	return store_open(path, &store, &err);
}

static inline int fixture_teardown(void **state)
{
	store_free(store);
	err_finish(&err);
	return store_delete_tree(folder, &err);
}

/* A path below the folder; in a ring of static buffers. */
static inline const char *at(const char *below)
{
	static char ring[8][512];
	static unsigned next;
	char *p = ring[next++ % 8];

	snprintf(p, sizeof(ring[0]), "%s/%s", folder, below);
	return p;
}

static inline void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static inline void assert_holds(const char *path, const char *text)
{
	_cleanup_free_ char *have = NULL;
	size_t len;

	if (store_read_file(path, STORE_MAX_CONFIG, &have, &len, &err) < 0)
		fail_msg("%s", err_msg(&err));
	assert_string_equal(have, text);
}

static inline bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static inline void assert_mode(const char *path, mode_t mode)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
}

/* How many entries a folder has, dot entries among them. */
static inline size_t entries(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

/* After a call that failed: its message, to compare. */
#define assert_error(call, want_code, want_text)               \
	do {                                                   \
		assert_int_equal(call, -1);                    \
		assert_int_equal(err.code, want_code);         \
		assert_string_equal(err_msg(&err), want_text); \
		err_finish(&err);                              \
	} while (0)

#define assert_ok(call)                                           \
	do {                                                      \
		if ((call) < 0)                                   \
			fail_msg("%s: %s", #call, err_msg(&err)); \
	} while (0)

#define CONFIG "S/machines/web1/config.json"

/* Machine web1 with this config.json. */
static inline void machine_with(const char *config)
{
	const struct store_file file = {"config.json", config, strlen(config)};

	assert_ok(store_claim(store, "web1", &file, 1, &err));
}

static inline struct record *load(void)
{
	struct record *r = NULL;

	assert_ok(record_load(store, "web1", &r, &err));
	return r;
}

/* An example of tests/unit/data, with the store's path for @S@. */
static inline char *example(const char *file)
{
	_cleanup_free_ char *path = xasprintf("%s/tests/unit/data/%s", SOURCE_ROOT, file);
	_cleanup_free_ char *text = NULL;
	struct buf b = BUF_INIT;
	size_t len;

	assert_ok(store_read_file(path, STORE_MAX_CONFIG, &text, &len, &err));
	for (const char *p = text; *p;) {
		if (strncmp(p, "@S@", 3) == 0) {
			buf_adds(&b, store_path(store));
			p += 3;
		} else {
			buf_addc(&b, *p++);
		}
	}
	return buf_steal(&b);
}

#define with_store(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

static const struct store_file two_files[] = {{"config.json", "{}", 2}, {"b", "content", 7}};

static inline void claim(const char *name)
{
	assert_ok(store_claim(store, name, two_files, 2, &err));
}
