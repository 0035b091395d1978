/* Large files: copied and hashed, while somebody watches. */
#include "image.h"

#include "putfile.h"
#include "sdk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (1u << 20)

int image_io_error(struct err *err, int errnum, const char *what, const char *path)
{
	err_errno(err, errnum, "%s %s", what, path);
	if (errnum != ENOSPC && errnum != EDQUOT)
		return -1;
	_cleanup_free_ char *text = xstrdup(err_msg(err));
	err_set(err, ERR_IO,
		"%s\n(Make room there; `machine image ls` and `machine image rm` may help.)", text);
	err->errnum = errnum;
	return -1;
}

int image_sync(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
		return image_io_error(err, errno, "write", path);
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int open_regular(const char *path, struct stat *ret_stat, struct err *err)
{
	/* O_NONBLOCK: a FIFO must not hold us up. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, ret_stat) < 0)
		return err_errno(err, errno, "open %s", path);
	if (!S_ISREG(ret_stat->st_mode))
		return err_set(err, ERR_USER, "%s is not a regular file", path);
	return take_fd(fd);
}

static bool is_zero(const char *data, size_t len)
{
	return len && !*data && memcmp(data, data + 1, len - 1) == 0;
}

/* Holes stay holes. */
static int copy_chunk(int fd, const char *data, size_t len)
{
	if (is_zero(data, len))
		return lseek(fd, (off_t)len, SEEK_CUR) < 0 ? errno : 0;
	return write_all(fd, data, len);
}

/* One pass over a file: what reads it, hashes it and copies it. */
struct pass {
	const struct md_watch *w;
	const char *doing; /* "Copying" */
	const char *path;
	int64_t size;
	struct sha sums[2];
	size_t n_sums;
	int to; /* -1: no copy */
	const char *to_path;
	struct sdk_meter meter;
};

static int pass_chunk(struct pass *p, const char *data, size_t n, int64_t done, struct err *err)
{
	int e = p->to >= 0 ? copy_chunk(p->to, data, n) : 0;

	if (e)
		return image_io_error(err, e, "write", p->to_path);
	for (size_t i = 0; i < p->n_sums; i++)
		sha_update(&p->sums[i], data, n);
	if (sdk_watch_cancelled(p->w))
		return err_set(err, ERR_CANCELED, "read %s: cancelled", p->path);
	sdk_meter_tell(&p->meter, done, p->size);
	return 0;
}

static int pass_run(struct pass *p, int fd, int64_t *ret_size, struct err *err)
{
	_cleanup_free_ char *message = xasprintf("%s %s", p->doing, base_name(p->path));
	_cleanup_free_ char *chunk = xmalloc(CHUNK);
	int64_t done = 0;
	ssize_t n;

	p->meter = (struct sdk_meter){.w = p->w, .message = message};
	while ((n = read(fd, chunk, CHUNK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "read %s", p->path);
		done += n;
		if (done > IMAGE_FILE_MAX)
			return err_set(err, ERR_USER, "%s is too large for an image", p->path);
		if (pass_chunk(p, chunk, (size_t)n, done, err) < 0)
			return -1;
	}
	*ret_size = done;
	return 0;
}

int image_hash_fd(const struct md_watch *w, int fd, const char *path, enum sha_kind kind,
	char ret_hex[SHA_HEX_MAX + 1], struct err *err)
{
	struct pass p = {.w = w, .doing = "Checking", .path = path, .n_sums = 1, .to = -1};
	struct stat st;
	int64_t size;

	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "read %s", path);
	p.size = st.st_size;
	sha_init(&p.sums[0], kind);
	if (lseek(fd, 0, SEEK_SET) < 0 || pass_run(&p, fd, &size, err) < 0)
		return err->code ? -1 : err_errno(err, errno, "read %s", path);
	sha_final(&p.sums[0], ret_hex);
	return 0;
}

int image_hash_file(const struct md_watch *w, const char *path, enum sha_kind kind,
	char ret_hex[SHA_HEX_MAX + 1], struct err *err)
{
	struct stat st;
	_cleanup_close_ int fd = open_regular(path, &st, err);

	return fd < 0 ? -1 : image_hash_fd(w, fd, path, kind, ret_hex, err);
}

int image_copy_file(const struct md_watch *w, const char *from, const char *to,
	struct image_copy *c, struct err *err)
{
	struct pass p = {.w = w, .doing = "Copying", .path = from, .to_path = to, .to = -1};
	char hex[SHA_HEX_MAX + 1];
	struct stat st;
	_cleanup_close_ int in = open_regular(from, &st, err);

	if (in < 0)
		return -1;
	_cleanup_close_ int out =
		open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return image_io_error(err, errno, "write", to);
	p.to = out;
	p.size = st.st_size;
	sha_init(&p.sums[p.n_sums++], SHA_256);
	if (c->also != SHA_NONE)
		sha_init(&p.sums[p.n_sums++], c->also);
	if (pass_run(&p, in, &c->size, err) < 0)
		return -1;
	if (ftruncate(out, c->size) < 0 || fsync(out) < 0)
		return image_io_error(err, errno, "write", to);
	sha_final(&p.sums[0], hex);
	image_set_sha256(c->sha256, hex);
	if (c->also != SHA_NONE)
		sha_final(&p.sums[1], c->also_hex);
	return 0;
}

/* How to get an image anew that is not what it was. */
static char *way_out(const struct image_meta *m)
{
	const char *from = json_str(json_get(m->source, "url"), "");

	if (!*from)
		from = json_str(json_get(m->source, "path"), "");
	return *from ? xasprintf("machine image import %s", from) : xstrdup("machine image build");
}

static int verify_file(const struct md_watch *w, const char *dir, const struct image_meta *m,
	const struct image_file *f, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, f->name);
	_cleanup_err_ struct err why = ERR_INIT;
	char hex[SHA_HEX_MAX + 1];
	struct stat st;

	_cleanup_close_ int fd = open_regular(path, &st, &why);
	if (fd >= 0 && st.st_size != f->size)
		err_set(&why, ERR_USER, "it has %lld bytes rather than %lld", (long long)st.st_size,
			(long long)f->size);
	else if (fd >= 0 && image_hash_fd(w, fd, path, SHA_256, hex, &why) == 0 &&
		 !streq(hex, f->sha256))
		err_set(&why, ERR_USER, "its SHA-256 is %s rather than %s", hex, f->sha256);
	if (why.code == ERR_CANCELED)
		return err_move(err, &why);
	if (!why.code)
		return 0;
	_cleanup_free_ char *anew = way_out(m);
	return err_set(err, ERR_USER,
		"the file %s of the image %s is not what it was: %s\n"
		"(The image cannot be used. Get it anew with `%s`.)",
		path, m->id, err_msg(&why), anew);
}

int image_verify(const struct md_watch *w, const char *dir, const struct image_meta *m,
	unsigned parts, struct err *err)
{
	for (size_t i = 0; i < IMAGE_ROLES; i++)
		if (m->files[i].name && image_role_part(i) & parts &&
			verify_file(w, dir, m, &m->files[i], err) < 0)
			return -1;
	return 0;
}
