/*
 * A driver process as the kit sees it: bytes in, bytes out, an exit status. Nothing that it does
 * can block the kit: every wait has a deadline, what it writes is read while the kit writes, and
 * its whole process group is killed at the end.
 */
#pragma once

#include "buf.h"
#include "err.h"
#include "frame.h"
#include "strv.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PEER_CHUNK 65536
#define PEER_MAX_OUTPUT (256u << 20) /* bytes of one driver process, then it is a flood */
#define PEER_STDERR_TAIL 4096

struct peer {
	pid_t pid;
	int in, out, err; /* -1: closed */
	struct buf outgoing;
	struct frame_decoder decoder;
	size_t received;
	char *broken; /* why nothing more can be read; NULL: nothing is wrong */
	bool frame_broken;
	bool exited;
	int status; /* of waitpid */
	char tail[PEER_STDERR_TAIL + 1];
	size_t tail_len;
	size_t stderr_bytes;

	/* the state of the conversation, for call.c */
	int64_t last_id, serving;
	const char *method;
	unsigned checkpoints; /* of the request being served */
	unsigned surplus;     /* answers that nobody asked for */
	int64_t outstanding;  /* the driver's checkpoint that was not answered */
	int64_t highest_own_id;
	bool greeted;
	char chunk[PEER_CHUNK];
};

int64_t now_ms(void);

int peer_new(const char *executable, char *const *environment, struct peer **ret, struct err *err);
/* Kills the group. True if a process other than the driver itself was still in it. */
bool peer_free(struct peer *p);

void peer_send(struct peer *p, const void *data, size_t len); /* queued; sent while waiting */
void peer_send_frame(struct peer *p, const char *body, size_t len);
/* 1: a body, valid until the next call. 0: the deadline. -1: nothing more comes (peer_end tells) */
int peer_receive(struct peer *p, int64_t deadline, const char **ret, size_t *ret_len);
/* Everything queued has been written, or it never will be. */
bool peer_flush(struct peer *p, int64_t deadline);
bool peer_took_all(struct peer *p); /* the driver has read everything that was sent */
void peer_close_input(struct peer *p);
bool peer_wait_exit(struct peer *p, int64_t deadline);
void peer_kill(struct peer *p); /* SIGKILL to the group, and waits for the driver */
/* "ended with status 3", "was killed by signal 11", "broke the framing: …". Owned by p. */
const char *peer_end(struct peer *p);
