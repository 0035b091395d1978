/* Bytes from a peer, in pieces: the first byte says how large. What comes out does not depend on
 * how it was cut. */
#include "frame.h"
#include "mem.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const uint8_t *data, size_t size, size_t piece, struct buf *out)
{
	struct frame_decoder d = FRAME_DECODER_INIT;
	_cleanup_err_ struct err err = ERR_INIT;
	const char *body;
	size_t len;
	int r = 0;

	for (size_t at = 0; at < size && r >= 0; at += piece) {
		frame_decoder_feed(&d, data + at, MIN(piece, size - at));
		while ((r = frame_decoder_next(&d, &body, &len, &err)) > 0) {
			if (len == 0 || len > FRAME_MAX_BODY ||
				frame_encode(out, body, len, &err) < 0)
				abort();
		}
		if (d.in.len > FRAME_MAX_BODY + FRAME_MAX_HEADER + piece)
			abort();
	}
	buf_addc(out, r < 0 ? '-' : frame_decoder_mid_frame(&d) ? '~' : '.');
	frame_decoder_finish(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf whole = BUF_INIT, cut = BUF_INIT;

	if (size < 2)
		return 0;
	decode(data + 1, size - 1, size, &whole);
	decode(data + 1, size - 1, (size_t)data[0] + 1, &cut);
	if (whole.len != cut.len || memcmp(whole.data, cut.data, cut.len) != 0)
		abort();
	return 0;
}
