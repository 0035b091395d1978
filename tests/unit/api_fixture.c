#include "api_fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUEST_MAX 2048
#define CONNECTIONS_MAX 16

int silent[2];

static bool read_request(int fd)
{
	char request[REQUEST_MAX + 1];
	const char *end = NULL, *length;
	size_t n = 0, want = 1;

	while (n < want) {
		ssize_t r = read(fd, request + n, REQUEST_MAX - n);
		if (r <= 0)
			return false;
		n += (size_t)r;
		request[n] = '\0';
		end = strstr(request, "\r\n\r\n");
		length = strstr(request, "Content-Length: ");
		want = end ? (size_t)(end + 4 - request) : n + 1;
		want += end && length ? strtoul(length + 16, NULL, 10) : 0;
	}
	return true;
}

/* False: the connection is to be closed. */
static bool answer(int fd, const char *text, int count)
{
	return write(count, "r", 1) == 1 &&
	       write(fd, text, strlen(text)) == (ssize_t)strlen(text) && *text &&
	       !strstr(text, "Connection: close");
}

/* Connections are kept open, unless an answer is CLOSES. */
static void serve(int fd, const char *const *answers, int count)
{
	struct pollfd fds[CONNECTIONS_MAX + 1] = {{.fd = fd, .events = POLLIN}};
	nfds_t n = 1;

	while (poll(fds, n, -1) > 0)
		for (nfds_t i = n; i-- > 0;) {
			if (!fds[i].revents)
				continue;
			if (i == 0) {
				if (n > CONNECTIONS_MAX)
					_exit(1);
				fds[n++] = (struct pollfd){
					.fd = accept(fd, NULL, NULL), .events = POLLIN};
			} else if (!read_request(fds[i].fd) || !*answers ||
				   !answer(fds[i].fd, *answers++, count)) {
				close(fds[i].fd);
				fds[i] = fds[--n];
			}
		}
	_exit(0);
}

void start(struct server *s, const char *const *answers)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), count[2];

	assert_int_equal(pipe(count), 0);
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, 8) == 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d/x?q=hidden", ntohs(a.sin_port));
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(count[0]);
		close(silent[1]); /* its end is the host's */
		serve(fd, answers, count[1]);
	}
	close(count[1]);
	close(fd);
	s->count = count[0];
}

unsigned stop(struct server *s)
{
	unsigned n = 0;
	char c;

	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	while (read(s->count, &c, 1) == 1)
		n++;
	close(s->count);
	return n;
}

/* The host. */

static struct sdk_conn *conn;
struct md_request rq;
FILE *told;

int set_up(void **state)
{
	(void)state;
	setenv(MD_API_PAUSE_VARIABLE, "1", 1);
	unsetenv(MD_API_TIMEOUT_VARIABLE);
	assert_int_equal(pipe(silent), 0);
	told = tmpfile();
	assert_non_null(told);
	conn = xcalloc(1, sizeof(*conn));
	conn->in = silent[0];
	conn->out = fileno(told);
	rq = (struct md_request){.conn = conn, .method = "create", .id = 1};
	return 0;
}

int tear_down(void **state)
{
	(void)state;
	log_set_debug(false);
	frame_decoder_finish(&conn->decoder);
	close(silent[0]);
	close(silent[1]);
	fclose(told);
	free(conn);
	return 0;
}

unsigned prepared;
bool again, unprepared;
const char *key = SECRET;

static int prepare(struct md_api *a, struct md_api_call *c, struct err *err)
{
	(void)a;
	prepared++;
	strv_add(&c->http.headers, "X-Key");
	strv_add(&c->http.headers, key);
	if (!unprepared)
		return 0;
	err_set(err, ERR_AUTH, "no credentials");
	err->may_exist = true; /* a token, perhaps */
	return -1;
}

static enum md_verdict judge(struct md_api *a, const struct md_api_call *c,
	const struct md_http_answer *answer, struct err *err)
{
	(void)a;
	(void)c;
	if (again && answer->status == 401) {
		err_set(err, ERR_AUTH, "a new token is needed");
		return MD_ANSWER_AGAIN;
	}
	return md_api_judge_status(
		answer, answer->body.len ? buf_str(&answer->body) : "you sent " SECRET, err);
}

void open_api(struct md_api *a)
{
	md_api_init(a, &rq, "Acme");
	a->prepare = prepare;
	a->judge = judge;
	md_api_secret(a, SECRET);
	md_api_secret(a, "short");
}

int call(struct md_api *a, const struct server *s, const char *method, bool repeatable,
	struct err *err)
{
	_cleanup_json_ struct json *answer = NULL;
	bool post = streq(method, "POST");
	struct md_api_call c = {
		.http = {.method = method,
			.url = s->url,
			.body = post ? BODY : NULL,
			.n_body = post ? strlen(BODY) : 0,
			.content_type = "application/json"},
		.what = "try it",
		.repeatable = repeatable,
	};

	return md_api_json(a, &c, &answer, err);
}
