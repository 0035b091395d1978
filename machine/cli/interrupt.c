#include "interrupt.h"

#include "log.h"
#include "mem.h"
#include "proc.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static const int signums[] = {SIGINT, SIGTERM, SIGHUP};

/* One wish to end may come as two signals: timeout(1), for one, sends to the process and its group.
 */
#define SAME_WISH_MS 300u

struct interrupts {
	struct loop *loop;
	uint64_t since;
	uv_signal_t handles[ARRAY_SIZE(signums)];
	size_t open;
	int first;
};

static void on_signal(uv_signal_t *handle, int signum)
{
	struct interrupts *in = handle->data;

	if (in->first && loop_now(in->loop) - in->since < SAME_WISH_MS)
		return;
	if (in->first) {
		proc_kill_all();
		_exit(128 + signum);
	}
	in->first = signum;
	in->since = loop_now(in->loop);
	log_error("Interrupted: ending what is under way (again to quit at once)");
	loop_cancel_all(in->loop);
}

struct interrupts *interrupts_watch(struct loop *loop)
{
	struct interrupts *in = xcalloc(1, sizeof(*in));

	in->loop = loop;
	in->open = ARRAY_SIZE(signums);
	for (size_t i = 0; i < ARRAY_SIZE(signums); i++) {
		uv_signal_t *handle = &in->handles[i];
		struct sigaction now;

		handle->data = in;
		uv_signal_init(loop_uv(loop), handle);
		uv_unref((uv_handle_t *)handle);
		/* nohup, and shells for what they run in the background, want it ignored */
		if (sigaction(signums[i], NULL, &now) < 0 || now.sa_handler != SIG_IGN)
			uv_signal_start(handle, on_signal, signums[i]);
	}
	return in;
}

static void on_closed(uv_handle_t *handle)
{
	struct interrupts *in = handle->data;

	if (--in->open == 0)
		free(in);
}

int interrupts_end(struct interrupts *in)
{
	int first = in->first;

	for (size_t i = 0; i < ARRAY_SIZE(signums); i++)
		uv_close((uv_handle_t *)&in->handles[i], on_closed);
	return first;
}
