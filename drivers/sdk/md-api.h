/*
 * Part of machine-driver.h: a provider's API, call by call.
 *
 * A driver tells how its provider signs calls and what its answers mean; what may be repeated is
 * repeated here, by one policy:
 *
 *     refused, not done (ERR_THROTTLED)     any call      Retry-After, else growing pauses
 *     failed, perhaps done (retryable)      repeatable    growing pauses with jitter
 *     no connection                         any call      only if an earlier call had one
 *
 * at most `retries` times, for at most MD_API_PATIENCE_MS of pauses in one call, and not once
 * MD_API_LAST_MS have passed since it began: a driver does not sit and wait. What takes longer goes
 * back to the program (ERR_THROTTLED with retry_after_ms), which calls again.
 *
 * A process whose provider asked to slow down calls it more slowly from then on, and a little
 * faster again after each call that was served: what an account may do is shared by many.
 *
 * What may not be repeated goes over a connection of its own: one that was used before may be
 * closed by the server just then, and libcurl would send the request a second time.
 */
#pragma once

#include "json.h"
#include "md-http.h"

struct md_request;

#define MD_API_RETRIES 5u
#define MD_API_PATIENCE_MS 15000u
#define MD_API_LAST_MS 60000u
#define MD_API_SHARED_MS 60000u   /* how long an answer serves others who ask the same */
#define MD_API_PAUSE_MS 500u      /* the first; doubled each time … */
#define MD_API_PAUSE_MAX_MS 8000u /* … up to this */
/* For tests: the first pause in milliseconds, which the others grow from. A driver that has it
 * among its .environment obeys. And how long an exchange may take, if less than usual. */
#define MD_API_PAUSE_VARIABLE "MACHINE_DRIVER_PAUSE_MS"
#define MD_API_TIMEOUT_VARIABLE "MACHINE_DRIVER_TIMEOUT_MS"

/* MD_API_PAUSE_MS, or what the variable says. */
uint32_t md_api_first_pause_ms(void);

struct md_api;

struct md_api_call {
	struct md_http_call http; /* headers are added by `prepare`; url and body are borrowed */
	const char *what;         /* "import the key pair": for messages */
	bool repeatable;          /* doing it twice does no harm; GET, HEAD, PUT and DELETE are */
	bool secret;              /* neither what is sent nor the answer is traced */
	/* It asks for what machines have in common, such as an image: who asks the same for the
	 * same account within MD_API_SHARED_MS is given the answer that is there. Without headers.
	 * For calls that change nothing; see md_api_forget. */
	bool shared;
};

enum md_verdict {
	MD_ANSWER_GOOD,
	MD_ANSWER_BAD,  /* err is set; its code and marks tell what may be done */
	MD_ANSWER_AGAIN /* at once, once: `prepare` has something new to try, such as a token */
};

struct md_api {
	struct md_request *rq;
	const char *provider; /* "DigitalOcean": for messages */
	unsigned retries;     /* MD_API_RETRIES by default (md_api_init) */
	bool insecure;
	const char *ca_file;
	/* Before each attempt: adds headers to c->http.headers, which is empty. May be NULL. */
	int (*prepare)(struct md_api *a, struct md_api_call *c, struct err *err);
	/* What an answer means. md_api_judge_status does for most of it. */
	enum md_verdict (*judge)(struct md_api *a, const struct md_api_call *c,
		const struct md_http_answer *answer, struct err *err);
	void *arg; /* the driver's */
	/* Whose answers are shared: all that they depend on besides the call itself. NULL: none
	 * are. */
	const char *account;
	struct strv secrets; /* masked in traces and errors; md_api_secret */
	bool connected;      /* a call was answered */
};

void md_api_init(struct md_api *a, struct md_request *rq, const char *provider);
void md_api_finish(struct md_api *a);
/* Shared answers are asked for again: something of it was changed. A request that fails does that,
 * too. */
void md_api_forget(void);
/* Masks a text wherever traces and errors show it, as it is, as JSON writes it, and as a query
 * does. Short ones (< 6 bytes) would mask half of everything: they are left. */
void md_api_secret(struct md_api *a, const char *secret);

/* Makes the call until its answer is good. The error begins with c->what, and names the provider.
 * err->may_exist: one of the attempts, not only the last, may have been carried out. */
int md_api_call(
	struct md_api *a, struct md_api_call *c, struct md_http_answer *ret, struct err *err);
/* The same; the answer's body as JSON. An empty body (204) gives an empty object. What is no JSON
 * is an error with may_exist, unless the call only asks. */
int md_api_json(struct md_api *a, struct md_api_call *c, struct json **ret, struct err *err);
/* The same, with a JSON body; takes it. NULL: none. */
int md_api_send_json(struct md_api *a, const char *method, const char *url, struct json *take_body,
	const char *what, struct json **ret, struct err *err);

/*
 * The usual meaning of a status: 2xx good; 401 ERR_AUTH, 403 ERR_AUTH, 404 and 410 ERR_NOT_FOUND,
 * 409 ERR_EXISTS, 408 and 5xx retryable, 429 and 503 with Retry-After ERR_THROTTLED, 3xx
 * ERR_PROTOCOL, other 4xx ERR_USER. said: the provider's own words, or NULL.
 */
enum md_verdict md_api_judge_status(
	const struct md_http_answer *answer, const char *said, struct err *err);
