/*
 * The life of a child. Its end has two halves that come in any order: it is reaped, at a SIGCHLD,
 * and its pipes reach their ends. Once it is reaped, its group is killed, so that nothing that it
 * forked survives or holds the pipes; something that left the group keeps them for DRAIN_MS at
 * most. When both halves are done, `ended` is called, once.
 *
 * A process that even SIGKILL cannot end (it hangs in the kernel) is given up after ABANDON_MS.
 *
 * libuv's own uv_spawn is not used: it forks, and then each page that either side writes to is
 * copied, which for a small driver costs about as much as the driver itself.
 *
 * The pipes are real ones, not libuv's socket pairs, so that a driver written in shell can open
 * /dev/stderr.
 */
#include "proc.h"

#include "log.h"
#include "mem.h"
#include "nofile.h"
#include "proc_stderr.h"
#include "spawn_program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DRAIN_MS 200u
#define ABANDON_MS 5000u
#define HALF_MS 500u

enum stage { RUNNING, INPUT_ENDED, TERM_SENT, KILL_SENT, ABANDONED };

struct proc {
	struct proc *prev, *next; /* while it is not reaped */
	uv_signal_t child;        /* SIGCHLD */
	uv_pipe_t in, out, err;
	uv_timer_t ender; /* the next step towards the end */
	uv_timer_t out_pause, err_pause;
	unsigned open; /* handles that libuv still knows */
	struct proc_events events;
	void *ud;
	struct proc_graces graces;
	int pid;
	enum stage stage;
	bool reaped, in_closed, out_eof, err_eof, ended, ignore_output, freed;
	int status, signal;
	size_t err_burst;
	struct proc_stderr words;
	const char *half; /* the pipe that it closed */
	char *name;
	char *read_buf; /* PROC_READ_SIZE bytes, most of which stay untouched */
};

static struct proc *alive;

static void link_alive(struct proc *p)
{
	p->next = alive;
	if (alive)
		alive->prev = p;
	alive = p;
}

static void unlink_alive(struct proc *p)
{
	*(p->prev ? &p->prev->next : &alive) = p->next;
	if (p->next)
		p->next->prev = p->prev;
	p->prev = p->next = NULL;
}

static void free_if_unused(struct proc *p)
{
	if (!p->freed || p->open > 0)
		return;
	proc_stderr_finish(&p->words);
	free(p->name);
	free(p->read_buf);
	free(p);
}

static void on_closed(uv_handle_t *handle)
{
	struct proc *p = handle->data;

	p->open--;
	free_if_unused(p);
}

static void close_handle(void *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, on_closed);
}

static void finish_if_over(struct proc *p)
{
	if (p->ended || !p->reaped || !p->out_eof || !p->err_eof)
		return;
	p->ended = true;
	close_handle(&p->child);
	close_handle(&p->in);
	close_handle(&p->out);
	close_handle(&p->err);
	close_handle(&p->ender);
	close_handle(&p->out_pause);
	close_handle(&p->err_pause);
	p->events.ended(p->ud);
}

static void on_ender(uv_timer_t *timer);

/* A pipe is closed; unless the process follows at once, that is the end of all talk. */
static void half_closed(struct proc *p, const char *which)
{
	if (p->stage != RUNNING || p->reaped || p->half)
		return;
	p->half = which;
	uv_timer_start(&p->ender, on_ender, HALF_MS, 0);
}

static void out_over(struct proc *p)
{
	if (p->out_eof)
		return;
	p->out_eof = true;
	close_handle(&p->out);
	uv_timer_stop(&p->out_pause);
	half_closed(p, "standard output");
}

static void err_over(struct proc *p)
{
	if (p->err_eof)
		return;
	p->err_eof = true;
	close_handle(&p->err);
	uv_timer_stop(&p->err_pause);
	proc_stderr_end(&p->words);
}

static void kill_group(const struct proc *p, int sig)
{
	if (kill(-p->pid, sig) < 0 && errno == ESRCH && !p->reaped)
		kill(p->pid, sig);
}

static void on_ender(uv_timer_t *timer)
{
	struct proc *p = timer->data;

	if (p->reaped) { /* drained for long enough */
		out_over(p);
		err_over(p);
		finish_if_over(p);
		return;
	}
	switch (p->stage) {
	case RUNNING:
		p->events.closed(p->ud, p->half);
		break;
	case INPUT_ENDED:
		proc_terminate(p);
		break;
	case TERM_SENT:
		p->stage = KILL_SENT;
		kill_group(p, SIGKILL);
		uv_timer_start(&p->ender, on_ender, ABANDON_MS, 0);
		break;
	case KILL_SENT:
	case ABANDONED:
		log_warn("driver \"%s\": process %d does not end, not even by SIGKILL", p->name,
			p->pid);
		p->stage = ABANDONED;
		unlink_alive(p);
		p->reaped = true;
		out_over(p);
		err_over(p);
		finish_if_over(p);
		break;
	}
}

/* Some child has ended: this one? */
static void on_child(uv_signal_t *handle, int signum)
{
	struct proc *p = handle->data;
	int status;

	if (p->reaped || waitpid(p->pid, &status, WNOHANG) != p->pid)
		return;
	unlink_alive(p);
	p->reaped = true;
	p->status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
	p->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	/* The group's number is not given to another process while the group has members. */
	kill(-p->pid, SIGKILL);
	if (!p->in_closed)
		close_handle(&p->in);
	p->in_closed = true;
	if (!p->ended)
		uv_timer_start(&p->ender, on_ender, DRAIN_MS, 0);
	finish_if_over(p);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct proc *p = handle->data;

	*ret = uv_buf_init(p->read_buf, PROC_READ_SIZE);
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *data)
{
	struct proc *p = stream->data;

	if (n < 0) {
		out_over(p);
		finish_if_over(p);
	} else if (n > 0 && !p->ignore_output) {
		p->events.output(p->ud, data->base, (size_t)n);
	}
}

static void on_out_pause_over(uv_timer_t *timer)
{
	struct proc *p = timer->data;

	if (!p->out_eof)
		uv_read_start((uv_stream_t *)&p->out, on_alloc, on_output);
}

void proc_pause(struct proc *p)
{
	if (p->out_eof || uv_is_closing((uv_handle_t *)&p->out_pause))
		return;
	uv_read_stop((uv_stream_t *)&p->out);
	uv_timer_start(&p->out_pause, on_out_pause_over, PROC_PAUSE_MS, 0);
}

static void on_stderr(uv_stream_t *stream, ssize_t n, const uv_buf_t *data);

static void on_err_pause_over(uv_timer_t *timer)
{
	struct proc *p = timer->data;

	p->err_burst = 0;
	if (!p->err_eof)
		uv_read_start((uv_stream_t *)&p->err, on_alloc, on_stderr);
}

static void on_stderr(uv_stream_t *stream, ssize_t n, const uv_buf_t *data)
{
	struct proc *p = stream->data;

	if (n < 0) {
		err_over(p);
		finish_if_over(p);
		return;
	}
	proc_stderr_feed(&p->words, uv_now(stream->loop), data->base, (size_t)n);
	p->err_burst += (size_t)n;
	if (p->err_burst > PROC_STDERR_BURST) {
		uv_read_stop(stream);
		uv_timer_start(&p->err_pause, on_err_pause_over, PROC_PAUSE_MS, 0);
	}
}

static void init_handles(struct proc *p, uv_loop_t *uv)
{
	uv_pipe_init(uv, &p->in, 0);
	uv_pipe_init(uv, &p->out, 0);
	uv_pipe_init(uv, &p->err, 0);
	uv_signal_init(uv, &p->child);
	uv_timer_init(uv, &p->ender);
	uv_timer_init(uv, &p->out_pause);
	uv_timer_init(uv, &p->err_pause);
	p->in.data = p->out.data = p->err.data = p;
	p->ender.data = p->out_pause.data = p->err_pause.data = p;
	p->child.data = p;
	p->open = 7;
}

static void close_pair(int fds[2])
{
	close_fdp(&fds[0]);
	close_fdp(&fds[1]);
}

/* child[i] is the child's descriptor i, ours[i] the other end. */
static int make_pipes(int child[3], int ours[3], struct err *err)
{
	for (int i = 0; i < 3; i++) {
		int fds[2];

		if (pipe2(fds, O_CLOEXEC) < 0) {
			int saved = errno;

			close_pair((int[2]){ours[0], child[0]});
			close_pair((int[2]){ours[1], child[1]});
			return err_errno(err, saved, "pipe");
		}
		child[i] = fds[i == 0 ? 0 : 1];
		ours[i] = fds[i == 0 ? 1 : 0];
	}
	return 0;
}

/* 0 or an errno. */
static int spawn(struct proc *p, const struct proc_options *opt, const int child[3])
{
	char *argv[] = {(char *)(uintptr_t)opt->file, NULL};

	/* What we were started with and without the flag (a lock of the calling script, say) is no
	 * business of the programs that we start, which may leave daemons behind. */
	close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC);
	int r = uv_signal_start(&p->child, on_child, SIGCHLD); /* before there can be one */
	if (r < 0)
		return -r;
	return spawn_program(opt->file, argv, opt->env, child, SPAWN_SESSION, &p->pid);
}

static void ignore_end(void *ud)
{
}

int proc_start(struct loop *loop, const struct proc_options *opt, const struct proc_events *events,
	void *ud, struct proc **ret, struct err *err)
{
	uv_loop_t *uv = loop_uv(loop);
	int child[3] = {-1, -1, -1}, ours[3] = {-1, -1, -1};
	struct proc *p;
	int r;

	if (make_pipes(child, ours, err) < 0)
		return -1;
	p = xcalloc(1, sizeof(*p));
	p->events = *events;
	p->ud = ud;
	p->graces = opt->graces;
	p->name = xstrdup(opt->name);
	p->read_buf = xmalloc(PROC_READ_SIZE);
	init_handles(p, uv);
	uv_pipe_open(&p->in, ours[0]);
	uv_pipe_open(&p->out, ours[1]);
	uv_pipe_open(&p->err, ours[2]);
	r = spawn(p, opt, child);
	for (int i = 0; i < 3; i++)
		close_fdp(&child[i]);
	if (r) {
		p->reaped = p->out_eof = p->err_eof = true;
		p->events.ended = ignore_end;
		finish_if_over(p);
		proc_free(p);
		return err_errno(err, r, "start %s", opt->file);
	}
	nofile_restore(p->pid);
	link_alive(p);
	p->words = (struct proc_stderr){.name = p->name, .pid = p->pid};
	uv_read_start((uv_stream_t *)&p->out, on_alloc, on_output);
	uv_read_start((uv_stream_t *)&p->err, on_alloc, on_stderr);
	*ret = p;
	return 0;
}

struct write {
	uv_write_t req;
	struct buf data;
};

static void on_written(uv_write_t *req, int status)
{
	struct write *w = req->data;
	struct proc *p = req->handle->data;

	buf_finish(&w->data);
	free(w);
	if (status < 0 && status != UV_ECANCELED && !p->ended && !p->in_closed)
		half_closed(p, "standard input");
}

int proc_write(struct proc *p, struct buf *take_data)
{
	struct write *w;
	uv_buf_t data;

	if (p->in_closed || p->reaped) { /* its end will be reported */
		buf_finish(take_data);
		return 0;
	}
	if (uv_stream_get_write_queue_size((uv_stream_t *)&p->in) + take_data->len > PROC_WRITE_MAX)
		return -1;
	w = xcalloc(1, sizeof(*w));
	w->req.data = w;
	w->data = *take_data;
	*take_data = BUF_INIT;
	data = uv_buf_init(w->data.data, (unsigned)w->data.len);
	if (uv_write(&w->req, (uv_stream_t *)&p->in, &data, 1, on_written) < 0) {
		buf_finish(&w->data);
		free(w);
	}
	return 0;
}

void proc_ignore_output(struct proc *p)
{
	p->ignore_output = true;
}

static void close_input(struct proc *p)
{
	if (!p->in_closed)
		close_handle(&p->in);
	p->in_closed = true;
}

void proc_end(struct proc *p)
{
	if (p->reaped || p->stage != RUNNING)
		return;
	p->stage = INPUT_ENDED;
	close_input(p);
	uv_timer_start(&p->ender, on_ender, p->graces.eof_ms, 0);
}

void proc_terminate(struct proc *p)
{
	if (p->reaped || p->stage >= TERM_SENT)
		return;
	p->stage = TERM_SENT;
	close_input(p);
	kill_group(p, SIGTERM);
	uv_timer_start(&p->ender, on_ender, p->graces.term_ms, 0);
}

void proc_kill_all(void)
{
	for (const struct proc *p = alive; p; p = p->next)
		kill_group(p, SIGKILL);
}

int proc_pid(const struct proc *p)
{
	return p->pid;
}

void proc_describe_end(const struct proc *p, struct buf *out)
{
	if (p->stage == ABANDONED)
		buf_adds(out, "did not end when it was killed");
	else if (p->signal)
		buf_addf(out, "died by signal %d (%s)", p->signal, strsignal(p->signal));
	else
		buf_addf(out, "exited with status %d", p->status);
}

void proc_about(struct proc *p, const char *machine)
{
	free(p->words.machine);
	p->words.machine = machine ? xstrdup(machine) : NULL;
}

const char *proc_last_words(const struct proc *p)
{
	return p->words.last ? p->words.last : "";
}

void proc_free(struct proc *p)
{
	if (!p)
		return;
	p->freed = true;
	free_if_unused(p);
}
