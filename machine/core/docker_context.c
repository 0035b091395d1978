/*
 * Docker's client keeps its contexts as
 *
 *   CONFIG/contexts/meta/HASH/meta.json                     HASH: SHA-256 of the context's name
 *   CONFIG/contexts/tls/HASH/docker/{ca.pem,cert.pem,key.pem}
 *
 * The client's folder of certificates is exchanged as a whole, so that a certificate never meets
 * another's key. meta.json makes the context visible: it is written last, and removed last, too, so
 * that whoever looks for what is ours finds it until all of it is gone.
 */
#include "docker_context.h"

#include "cert.h"
#include "digest.h"
#include "fault.h"
#include "mem.h"
#include "store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define META_MAX (64u << 10)
#define CONFIG_MAX (1u << 20)
#define MARK "machine" /* in the metadata */
#define ENDPOINT "docker"

struct place {
	char *config; /* Docker's folder */
	char *name;
	char *meta_dir, *meta;
	char *tls_root, *tls;
};

static void place_done(struct place *p)
{
	free(p->config);
	free(p->name);
	free(p->meta_dir);
	free(p->meta);
	free(p->tls_root);
	free(p->tls);
}
#define _cleanup_place_ _cleanup_(place_done)

char *docker_context_name(const char *machine)
{
	/* the client has a "default" of its own, and wants two characters */
	bool taken = strlen(machine) < 2 || streq(machine, "default");

	return xasprintf("%s%s", taken ? "machine-" : "", machine);
}

static char *config_dir(void)
{
	const char *dir = getenv("DOCKER_CONFIG"), *home = getenv("HOME");

	if (dir && *dir)
		return xstrdup(dir);
	return home && *home ? xasprintf("%s/.docker", home) : NULL;
}

/* False: there is no folder for contexts at all. */
static bool find_named(char *take_name, struct place *ret)
{
	char hash[DIGEST_HEX + 1];

	*ret = (struct place){.config = config_dir(), .name = take_name};
	if (!ret->config)
		return false;
	digest_text(ret->name, hash);
	ret->meta_dir = xasprintf("%s/contexts/meta/%s", ret->config, hash);
	ret->meta = xasprintf("%s/meta.json", ret->meta_dir);
	ret->tls_root = xasprintf("%s/contexts/tls", ret->config);
	ret->tls = xasprintf("%s/%s", ret->tls_root, hash);
	return true;
}

static bool find_place(const char *machine, struct place *ret)
{
	return find_named(docker_context_name(machine), ret);
}

/* ret_doc: NULL where there is none, or none that can be read. */
static int read_json(const char *path, size_t max, struct json **ret_doc, bool *ret_there)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_free_ char *text = NULL;
	size_t len;

	*ret_doc = NULL;
	*ret_there = true;
	if (store_read_file(path, max, &text, &len, &e) < 0) {
		*ret_there = e.errnum != ENOENT && e.errnum != ENOTDIR;
		return -1;
	}
	return json_parse(text, len, ret_doc, &e);
}

/* The file has these bytes already. */
static bool has(const char *path, const char *text, size_t len)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_secret_ char *old = NULL;
	size_t old_len;

	return store_read_file(path, CERT_MAX_FILE, &old, &old_len, &e) == 0 && old_len == len &&
	       memcmp(old, text, len) == 0;
}

/* Is it of this store, when that was elsewhere? Then nothing is there, and the CA is the same. */
static bool has_moved(
	const struct store *s, const char *machine, const struct place *p, const char *recorded)
{
	_cleanup_free_ char *theirs = xasprintf("%s/" ENDPOINT "/ca.pem", p->tls);
	_cleanup_free_ char *ours = store_machine_file(s, machine, "ca.pem"), *text = NULL;
	_cleanup_err_ struct err e = ERR_INIT;
	struct stat st;
	size_t len;

	return *recorded == '/' && lstat(recorded, &st) < 0 && errno == ENOENT &&
	       store_read_file(ours, CERT_MAX_FILE, &text, &len, &e) == 0 && has(theirs, text, len);
}

static enum context_owner owner(
	const struct store *s, const char *machine, const struct place *p, struct json **ret_doc)
{
	_cleanup_json_ struct json *doc = NULL;
	bool there;

	if (read_json(p->meta, META_MAX, &doc, &there) < 0)
		return there ? CONTEXT_FOREIGN : CONTEXT_NONE;
	const struct json *mark = json_path(doc, "Metadata", MARK, NULL);
	const char *recorded = json_str(json_get(mark, "storePath"), "");
	if (!streq(json_str(json_get(doc, "Name"), ""), p->name) ||
		!streq(json_str(json_get(mark, "name"), ""), machine) ||
		(!streq(recorded, store_path(s)) && !has_moved(s, machine, p, recorded)))
		return CONTEXT_FOREIGN;
	if (ret_doc)
		*ret_doc = take(doc);
	return CONTEXT_OURS;
}

static int no_folder(struct err *err)
{
	return err_set(err, ERR_USER,
		"HOME is not set: name the folder of the docker client with DOCKER_CONFIG");
}

int docker_context_look(
	const struct store *s, const char *machine, enum context_owner *ret, struct err *err)
{
	_cleanup_place_ struct place p;

	if (!find_place(machine, &p))
		return no_folder(err);
	*ret = owner(s, machine, &p, NULL);
	return 0;
}

int docker_context_taken(const char *machine, struct err *err)
{
	_cleanup_free_ char *name = docker_context_name(machine);

	return err_set(err, ERR_EXISTS,
		"the docker context \"%s\" exists already, and was not made for this machine. See "
		"\"docker context inspect %s\"; \"docker context rm %s\" makes room",
		name, name, name);
}

/* What a new one says, or an old one with the address of now: the rest may be its user's. */
static char *meta_text(const struct store *s, const char *machine, const struct place *p,
	struct json *take_old, const char *url)
{
	_cleanup_json_ struct json *doc = take_old ? take_old : json_object();

	if (!take_old) {
		struct json *metadata = json_object(), *mark = json_object();
		_cleanup_free_ char *text = xasprintf("machine %s", machine);
		json_set_str(doc, "Name", p->name);
		json_set_str(metadata, "Description", text);
		json_set_str(mark, "name", machine);
		json_set_str(mark, "storePath", store_path(s));
		json_set(metadata, MARK, mark);
		json_set(doc, "Metadata", metadata);
		json_set(doc, "Endpoints", json_object());
	}
	struct json *endpoint = json_path(doc, "Endpoints", ENDPOINT, NULL);
	if (!json_is(endpoint, JSON_OBJECT)) {
		if (!json_is(json_get(doc, "Endpoints"), JSON_OBJECT))
			json_set(doc, "Endpoints", json_object());
		endpoint = json_object();
		json_set(json_get(doc, "Endpoints"), ENDPOINT, endpoint);
	}
	json_set_str(json_path(doc, "Metadata", MARK, NULL), "storePath", store_path(s));
	json_set_str(endpoint, "Host", url);
	json_set(endpoint, "SkipTLSVerify", json_bool(false));
	return json_to_string(doc, JSON_COMPACT);
}

struct pem {
	const char *name, *from;
	char *text;
	size_t len;
};
#define PEMS 3u

static int read_pems(struct pem pems[PEMS], struct err *err)
{
	for (size_t i = 0; i < PEMS; i++)
		if (store_read_file(pems[i].from, CERT_MAX_FILE, &pems[i].text, &pems[i].len, err) <
			0)
			return -1;
	return 0;
}

static bool pems_are_there(const struct place *p, const struct pem pems[PEMS])
{
	bool same = true;

	for (size_t i = 0; i < PEMS && same; i++) {
		_cleanup_free_ char *path = xasprintf("%s/" ENDPOINT "/%s", p->tls, pems[i].name);
		same = has(path, pems[i].text, pems[i].len);
	}
	return same;
}

static int fill(
	const struct place *p, const char *dir, const struct pem pems[PEMS], struct err *err)
{
	_cleanup_free_ char *below = xasprintf("%s/" ENDPOINT, dir);

	if (store_mkdir(dir, err) < 0 || store_mkdir(below, err) < 0)
		return -1;
	for (size_t i = 0; i < PEMS; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", below, pems[i].name);
		_cleanup_free_ char *named = xasprintf("%s/" ENDPOINT "/%s", p->tls, pems[i].name);
		if (store_write_new(path, named, pems[i].text, pems[i].len, STORE_FILE_MODE, err) <
			0)
			return -1;
	}
	return store_sync_dir(below, err);
}

/* dir is the context's afterwards, and what was the context's is dir. */
static int exchange(const struct place *p, const char *dir, struct err *err)
{
	if (renameat2(AT_FDCWD, dir, AT_FDCWD, p->tls, RENAME_EXCHANGE) == 0)
		return store_sync_dir(p->tls_root, err);
	/* there is none yet, or the file system cannot exchange */
	if (errno != ENOENT && store_delete_tree(p->tls, err) < 0)
		return -1;
	if (rename(dir, p->tls) < 0)
		return err_errno(err, errno, "write %s", p->tls);
	return store_sync_dir(p->tls_root, err);
}

/* What killed programs left; there are keys in it. */
static void sweep(const struct place *p)
{
	DIR *d = opendir(p->tls_root);
	const struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d))) {
		_cleanup_err_ struct err ignored = ERR_INIT;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			!store_temp_abandoned(e->d_name, "tmp", &st))
			continue;
		_cleanup_free_ char *path = xasprintf("%s/%s", p->tls_root, e->d_name);
		store_delete_tree(path, &ignored);
	}
	if (d)
		closedir(d);
	store_sweep_files(p->meta_dir);
}

static int put_pems(const struct place *p, const struct pem pems[PEMS], struct err *err)
{
	_cleanup_err_ struct err ignored = ERR_INIT;
	_cleanup_free_ char *entry = store_temp_name(p->name, "tmp");
	_cleanup_free_ char *dir = xasprintf("%s/%s", p->tls_root, entry);

	if (pems_are_there(p, pems))
		return 0;
	if (store_mkdir_parents(p->tls_root, err) < 0)
		return -1;
	int rc = fill(p, dir, pems, err);
	fault_point("context.put.filled");
	if (rc == 0)
		rc = exchange(p, dir, err);
	fault_point("context.put.exchanged");
	store_delete_tree(dir, &ignored);
	return rc;
}

static int put(const struct store *s, const char *machine, const struct place *p,
	struct json *take_old, const struct context_endpoint *e, struct err *err)
{
	struct pem pems[PEMS] = {{"ca.pem", e->ca}, {"cert.pem", e->cert}, {"key.pem", e->key}};
	_cleanup_free_ char *text = meta_text(s, machine, p, take_old, e->url);

	sweep(p);
	int rc = read_pems(pems, err);
	if (rc == 0)
		rc = put_pems(p, pems, err);
	for (size_t i = 0; i < PEMS; i++)
		secret_free(pems[i].text);
	if (rc < 0 || has(p->meta, text, strlen(text)))
		return rc;
	if (store_mkdir_parents(p->meta_dir, err) < 0)
		return -1;
	return store_write_file(p->meta, text, strlen(text), 0644, err);
}

int docker_context_put(const struct store *s, const char *machine, const struct context_endpoint *e,
	struct err *err)
{
	_cleanup_place_ struct place p;
	struct json *old = NULL;

	if (!find_place(machine, &p))
		return no_folder(err);
	if (owner(s, machine, &p, &old) == CONTEXT_FOREIGN)
		return docker_context_taken(machine, err);
	if (put(s, machine, &p, old, e, err) < 0)
		return err_wrap(err, "make the docker context \"%s\"", p.name);
	return 0;
}

static int delete_if_there(const char *path, struct err *err)
{
	_cleanup_err_ struct err e = ERR_INIT;

	if (store_delete_tree(path, &e) == 0 || e.errnum == ENOENT)
		return 0;
	return err_move(err, &e);
}

int docker_context_remove(
	const struct store *s, const char *machine, enum context_owner *ret, struct err *err)
{
	_cleanup_place_ struct place p;

	*ret = CONTEXT_NONE;
	if (!find_place(machine, &p))
		return 0;
	*ret = owner(s, machine, &p, NULL);
	if (*ret != CONTEXT_OURS)
		return 0;
	int rc = delete_if_there(p.tls, err);
	fault_point("context.remove.tls");
	if (rc == 0)
		rc = delete_if_there(p.meta_dir, err);
	fault_point("context.remove.meta");
	return rc < 0 ? err_wrap(err, "remove the docker context \"%s\"", p.name) : 0;
}

/* What the client uses when nobody says; NULL: its own default. */
static char *current_name(void)
{
	_cleanup_free_ char *config = config_dir();
	_cleanup_json_ struct json *doc = NULL;
	bool there;

	if (!config)
		return NULL;
	_cleanup_free_ char *path = xasprintf("%s/config.json", config);
	if (read_json(path, CONFIG_MAX, &doc, &there) < 0)
		return NULL;
	return xstrdup(json_str(json_get(doc, "currentContext"), NULL));
}

bool docker_context_is_current(const char *machine)
{
	_cleanup_free_ char *current = current_name(), *name = docker_context_name(machine);

	return current && streq(current, name);
}

char *docker_context_engine(void)
{
	const char *host = getenv("DOCKER_HOST"), *said = getenv("DOCKER_CONTEXT");
	_cleanup_place_ struct place p = {0};
	_cleanup_json_ struct json *doc = NULL;
	bool there;

	if (host && *host)
		return xstrdup(host);
	char *name = said && *said ? xstrdup(said) : current_name();
	if (!name || !find_named(name, &p) || read_json(p.meta, META_MAX, &doc, &there) < 0)
		return NULL;
	return xstrdup(json_str(json_path(doc, "Endpoints", ENDPOINT, "Host", NULL), NULL));
}
