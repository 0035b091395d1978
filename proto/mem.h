/* Memory: allocation that cannot fail (the program ends when memory does), and scope cleanup. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/param.h> /* defines MIN and MAX that evaluate twice; ours replace them */

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size); /* array of n; checks the product */
char *xstrdup(const char *s);                   /* NULL gives NULL */
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *xvasprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

static inline void free_charp(char **p)
{
	free(*p);
}

/* Overwrites a secret before it is freed; the compiler may not drop it. NULL is fine. */
void secret_free(char *s);
static inline void secret_freep(char **p)
{
	secret_free(*p);
}

void close_fdp(int *fd);

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(free_charp)
#define _cleanup_secret_ _cleanup_(secret_freep)
#define _cleanup_close_ _cleanup_(close_fdp)

/* Takes the pointer out of a variable that would otherwise be cleaned up. */
#define take(p)                            \
	({                                 \
		__typeof__(p) take_ = (p); \
		(p) = NULL;                \
		take_;                     \
	})

/* The same for a file descriptor. */
#define take_fd(fd)           \
	({                    \
		int fd_ = fd; \
		(fd) = -1;    \
		fd_;          \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#undef MIN
#undef MAX
#define MIN(a, b)                                  \
	({                                         \
		__typeof__(a) min_a_ = (a);        \
		__typeof__(b) min_b_ = (b);        \
		min_a_ < min_b_ ? min_a_ : min_b_; \
	})
#define MAX(a, b)                                  \
	({                                         \
		__typeof__(a) max_a_ = (a);        \
		__typeof__(b) max_b_ = (b);        \
		max_a_ > max_b_ ? max_a_ : max_b_; \
	})
#define streq(a, b) (strcmp((a), (b)) == 0)
