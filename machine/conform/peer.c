#include "peer.h"

#include "mem.h"
#include "spawn_program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXIT_POLL_MS 10
#define KILL_MS 5000
#define LEFTOVER_MS 500

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Both ends above the standard streams, so that none is overwritten while the child is set up. */
static int make_pipe(int fds[2], struct err *err)
{
	int raw[2];

	if (pipe2(raw, O_CLOEXEC) < 0)
		return err_errno(err, errno, "pipe");
	for (int i = 0; i < 2; i++) {
		fds[i] = fcntl(raw[i], F_DUPFD_CLOEXEC, 3);
		close(raw[i]);
	}
	return fds[0] < 0 || fds[1] < 0 ? err_errno(err, EMFILE, "pipe") : 0;
}

int peer_new(const char *executable, char *const *environment, struct peer **ret, struct err *err)
{
	int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
	struct peer *p = xcalloc(1, sizeof(*p));
	int r = 0;

	for (int i = 0; i < 3 && r == 0; i++)
		r = make_pipe(pipes[i], err);
	if (r == 0) {
		const int child_fds[3] = {pipes[0][0], pipes[1][1], pipes[2][1]};
		char *argv[] = {(char *)(uintptr_t)executable, NULL};
		int e = spawn_program(
			executable, argv, environment, child_fds, SPAWN_GROUP, &p->pid);

		r = e ? err_errno(err, e, "start %s", executable) : 0;
	}
	close_fdp(&pipes[0][0]);
	close_fdp(&pipes[1][1]);
	close_fdp(&pipes[2][1]);
	p->in = pipes[0][1];
	p->out = pipes[1][0];
	p->err = pipes[2][0];
	if (r < 0) {
		close_fdp(&p->in);
		close_fdp(&p->out);
		close_fdp(&p->err);
		free(p);
		return -1;
	}
	fcntl(p->in, F_SETFL, O_NONBLOCK);
	fcntl(p->out, F_SETFL, O_NONBLOCK);
	fcntl(p->err, F_SETFL, O_NONBLOCK);
	*ret = p;
	return 0;
}

static bool reap(struct peer *p)
{
	if (!p->exited && waitpid(p->pid, &p->status, WNOHANG) == p->pid)
		p->exited = true;
	return p->exited;
}

static void sleep_ms(int ms)
{
	poll(NULL, 0, ms);
}

bool peer_free(struct peer *p)
{
	bool left = false;

	if (!p)
		return false;
	if (reap(p)) {
		int64_t deadline = now_ms() + LEFTOVER_MS;

		while ((left = kill(-p->pid, 0) == 0) && now_ms() < deadline)
			sleep_ms(EXIT_POLL_MS);
	}
	peer_kill(p);
	close_fdp(&p->in);
	close_fdp(&p->out);
	close_fdp(&p->err);
	buf_finish(&p->outgoing);
	frame_decoder_finish(&p->decoder);
	free(p->broken);
	free(p);
	return left;
}

void peer_send(struct peer *p, const void *data, size_t len)
{
	buf_add(&p->outgoing, data, len);
}

void peer_send_frame(struct peer *p, const char *body, size_t len)
{
	buf_addf(&p->outgoing, "Content-Length: %zu\r\n\r\n", len);
	buf_add(&p->outgoing, body, len);
}

static void push_outgoing(struct peer *p)
{
	ssize_t n = write(p->in, p->outgoing.data, p->outgoing.len);

	if (n > 0)
		buf_consume(&p->outgoing, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		peer_close_input(p);
}

static void pull_output(struct peer *p)
{
	ssize_t n = read(p->out, p->chunk, sizeof(p->chunk));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_fdp(&p->out);
		return;
	}
	p->received += (size_t)n;
	if (p->received > PEER_MAX_OUTPUT) {
		p->broken = xasprintf("wrote more than %u bytes", PEER_MAX_OUTPUT);
		close_fdp(&p->out);
		return;
	}
	frame_decoder_feed(&p->decoder, p->chunk, (size_t)n);
}

static void pull_stderr(struct peer *p)
{
	ssize_t n = read(p->err, p->chunk, sizeof(p->chunk));
	size_t take_n, keep;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_fdp(&p->err);
		return;
	}
	p->stderr_bytes += (size_t)n;
	take_n = MIN((size_t)n, (size_t)PEER_STDERR_TAIL);
	keep = MIN(p->tail_len, PEER_STDERR_TAIL - take_n);
	memmove(p->tail, p->tail + p->tail_len - keep, keep);
	memcpy(p->tail + keep, p->chunk + (size_t)n - take_n, take_n);
	p->tail_len = keep + take_n;
	p->tail[p->tail_len] = '\0';
}

/* Moves bytes where any can be moved, waiting at most ms. */
static void exchange(struct peer *p, int64_t ms)
{
	struct pollfd fds[3] = {
		{.fd = p->outgoing.len > 0 ? p->in : -1, .events = POLLOUT},
		{.fd = p->out, .events = POLLIN},
		{.fd = p->err, .events = POLLIN},
	};

	if (poll(fds, 3, (int)MAX(MIN(ms, (int64_t)1000), (int64_t)0)) <= 0)
		return;
	if (fds[0].revents)
		push_outgoing(p);
	if (fds[1].revents)
		pull_output(p);
	if (fds[2].revents)
		pull_stderr(p);
}

/* Reads what is there without waiting; false if nothing was. */
static bool drain(struct peer *p)
{
	size_t before = p->received;

	exchange(p, 0);
	return p->received != before;
}

int peer_receive(struct peer *p, int64_t deadline, const char **ret, size_t *ret_len)
{
	for (;;) {
		_cleanup_err_ struct err err = ERR_INIT;
		int64_t left = deadline - now_ms();
		int r = p->broken ? 0 : frame_decoder_next(&p->decoder, ret, ret_len, &err);

		if (r > 0)
			return 1;
		if (r < 0) {
			p->broken = xasprintf("broke the framing: %s", err_msg(&err));
			p->frame_broken = true;
		}
		if (p->broken)
			return -1;
		if (p->out < 0) {
			peer_wait_exit(p, MIN(deadline, now_ms() + LEFTOVER_MS));
			return -1;
		}
		/* A child of a driver that ended may keep its pipes open. */
		if (reap(p)) {
			if (drain(p))
				continue;
			return -1;
		}
		if (left <= 0)
			return 0;
		exchange(p, left);
	}
}

bool peer_flush(struct peer *p, int64_t deadline)
{
	while (p->outgoing.len > 0 && p->in >= 0 && now_ms() < deadline)
		exchange(p, deadline - now_ms());
	return p->outgoing.len == 0;
}

bool peer_took_all(struct peer *p)
{
	int unread = 0;

	return p->outgoing.len == 0 && p->in >= 0 && ioctl(p->in, FIONREAD, &unread) == 0 &&
	       unread == 0;
}

void peer_close_input(struct peer *p)
{
	close_fdp(&p->in);
	buf_clear(&p->outgoing);
}

bool peer_wait_exit(struct peer *p, int64_t deadline)
{
	while (!reap(p) && now_ms() < deadline)
		exchange(p, EXIT_POLL_MS);
	for (int i = 0; p->exited && p->err >= 0 && i < 64; i++) /* its last words */
		exchange(p, 0);
	return p->exited;
}

void peer_kill(struct peer *p)
{
	kill(-p->pid, SIGKILL);
	if (!p->exited) {
		kill(p->pid, SIGKILL); /* it may have left its group */
		peer_wait_exit(p, now_ms() + KILL_MS);
	}
}

const char *peer_end(struct peer *p)
{
	if (p->broken)
		return p->broken;
	if (!p->exited)
		p->broken = xstrdup("closed its standard output and stays alive");
	else if (WIFSIGNALED(p->status))
		p->broken = xasprintf("was killed by signal %d", WTERMSIG(p->status));
	else
		p->broken = xasprintf("ended with status %d", WEXITSTATUS(p->status));
	return p->broken;
}
