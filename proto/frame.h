/* Frames on the pipe: PROTOCOL.md section 2. Incremental, no I/O of its own. */
#pragma once

#include "buf.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define FRAME_MAX_HEADER 1024u
#define FRAME_MAX_BODY (8u << 20)

struct frame_decoder {
	struct buf in;   /* what has arrived and was not handed out yet */
	size_t start;    /* first byte in `in` that was not handed out */
	size_t body_len; /* of the frame whose header is parsed */
	bool in_body;
	bool failed; /* F5: nothing more can be read */
};

#define FRAME_DECODER_INIT ((struct frame_decoder){0})

/* Adds the frame for body to out. body_len is 1 … FRAME_MAX_BODY: more is an error (ERR_PROTOCOL).
 */
int frame_encode(struct buf *out, const char *body, size_t body_len, struct err *err);

/* Takes bytes that arrived. Memory stays below FRAME_MAX_BODY + FRAME_MAX_HEADER + len. */
void frame_decoder_feed(struct frame_decoder *d, const void *data, size_t len);
/*
 * 1: a body, valid until the next call on d. 0: needs more bytes. -1: broken (ERR_PROTOCOL); every
 * later call fails too.
 */
int frame_decoder_next(
	struct frame_decoder *d, const char **ret_body, size_t *ret_len, struct err *err);
bool frame_decoder_mid_frame(const struct frame_decoder *d); /* part of a frame has arrived */
void frame_decoder_finish(struct frame_decoder *d);
