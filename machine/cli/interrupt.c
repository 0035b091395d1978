#include "interrupt.h"

#include "exit_signal.h"
#include "log.h"
#include "mem.h"
#include "proc.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const int signums[] = {SIGINT, SIGTERM, SIGHUP};

/* One wish to end may come as two signals: timeout(1), for one, sends to the process and its group.
 */
#define SAME_WISH_MS 300u

struct interrupts {
	struct loop *loop;
	uint64_t since;
	uv_signal_t handles[ARRAY_SIZE(signums)];
	uv_poll_t parent;
	int parent_fd; /* -1: none */
	bool plugin;
	size_t open;
	int first;
};

static void wish(struct interrupts *in, int signum)
{
	if (in->first && loop_now(in->loop) - in->since < SAME_WISH_MS)
		return;
	if (in->first) {
		proc_kill_all();
		if (in->plugin)
			_exit(128 + signum);
		exit_by_signal(signum);
	}
	in->first = signum;
	in->since = loop_now(in->loop);
	log_error("Interrupted: ending what is under way (again to quit at once)");
	loop_cancel_all(in->loop);
}

static void on_signal(uv_signal_t *handle, int signum)
{
	wish(handle->data, signum);
}

/* Nothing is ever said there; its end is as good as SIGTERM. */
static void on_parent(uv_poll_t *handle, int status, int events)
{
	struct interrupts *in = handle->data;
	char byte;
	ssize_t n = recv(in->parent_fd, &byte, 1, MSG_DONTWAIT);

	(void)status;
	(void)events;
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	uv_poll_stop(handle);
	wish(in, SIGTERM);
}

static void watch_parent(struct interrupts *in)
{
	if (in->parent_fd < 0)
		return;
	in->open++;
	uv_poll_init(loop_uv(in->loop), &in->parent, in->parent_fd);
	uv_unref((uv_handle_t *)&in->parent);
	in->parent.data = in;
	uv_poll_start(&in->parent, UV_READABLE, on_parent);
}

struct interrupts *interrupts_watch(struct loop *loop, int take_parent_fd, bool plugin)
{
	struct interrupts *in = xcalloc(1, sizeof(*in));

	in->loop = loop;
	in->parent_fd = take_parent_fd;
	in->plugin = plugin;
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
	watch_parent(in);
	return in;
}

static void on_closed(uv_handle_t *handle)
{
	struct interrupts *in = handle->data;

	if (--in->open)
		return;
	close_fdp(&in->parent_fd);
	free(in);
}

int interrupts_end(struct interrupts *in)
{
	int first = in->first;

	for (size_t i = 0; i < ARRAY_SIZE(signums); i++)
		uv_close((uv_handle_t *)&in->handles[i], on_closed);
	if (in->parent_fd >= 0)
		uv_close((uv_handle_t *)&in->parent, on_closed);
	return first;
}
