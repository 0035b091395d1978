#include "ssh_lazy.h"

#include "lazy.h"

#include <libssh2.h>
#include <stdbool.h>

#define LIBRARY "libssh2.so.1"

/* FORWARD(result, name, parameters, arguments) and FORWARD_VOID(name, parameters, arguments) */
#define FUNCTIONS                                                                                  \
	FORWARD(int, init, (int flags), (flags))                                                   \
	FORWARD(const char *, version, (int wanted), (wanted))                                     \
	FORWARD_VOID(free, (LIBSSH2_SESSION * s, void *p), (s, p))                                 \
	FORWARD(LIBSSH2_SESSION *, session_init_ex,                                                \
		(LIBSSH2_ALLOC_FUNC((*alloc)), LIBSSH2_FREE_FUNC((*release)),                      \
			LIBSSH2_REALLOC_FUNC((*resize)), void *abstract),                          \
		(alloc, release, resize, abstract))                                                \
	FORWARD(int, session_free, (LIBSSH2_SESSION * s), (s))                                     \
	FORWARD_VOID(session_set_blocking, (LIBSSH2_SESSION * s, int on), (s, on))                 \
	FORWARD(int, session_supported_algs, (LIBSSH2_SESSION * s, int method, const char ***ret), \
		(s, method, ret))                                                                  \
	FORWARD(int, session_method_pref, (LIBSSH2_SESSION * s, int method, const char *list),     \
		(s, method, list))                                                                 \
	FORWARD(int, session_handshake, (LIBSSH2_SESSION * s, libssh2_socket_t fd), (s, fd))       \
	FORWARD(const char *, session_hostkey, (LIBSSH2_SESSION * s, size_t * len, int *type),     \
		(s, len, type))                                                                    \
	FORWARD(int, session_disconnect_ex,                                                        \
		(LIBSSH2_SESSION * s, int reason, const char *text, const char *language),         \
		(s, reason, text, language))                                                       \
	FORWARD(int, session_last_errno, (LIBSSH2_SESSION * s), (s))                               \
	FORWARD(int, session_last_error, (LIBSSH2_SESSION * s, char **ret, int *len, int copy),    \
		(s, ret, len, copy))                                                               \
	FORWARD(int, session_block_directions, (LIBSSH2_SESSION * s), (s))                         \
	FORWARD(int, userauth_authenticated, (LIBSSH2_SESSION * s), (s))                           \
	FORWARD(int, userauth_publickey_fromfile_ex,                                               \
		(LIBSSH2_SESSION * s, const char *user, unsigned n_user, const char *public_key,   \
			const char *private_key, const char *passphrase),                          \
		(s, user, n_user, public_key, private_key, passphrase))                            \
	FORWARD_VOID(keepalive_config, (LIBSSH2_SESSION * s, int reply, unsigned seconds),         \
		(s, reply, seconds))                                                               \
	FORWARD(int, keepalive_send, (LIBSSH2_SESSION * s, int *ret_next), (s, ret_next))          \
	FORWARD(LIBSSH2_CHANNEL *, channel_open_ex,                                                \
		(LIBSSH2_SESSION * s, const char *type, unsigned n_type, unsigned window,          \
			unsigned packet, const char *message, unsigned n_message),                 \
		(s, type, n_type, window, packet, message, n_message))                             \
	FORWARD(int, channel_request_pty_ex,                                                       \
		(LIBSSH2_CHANNEL * ch, const char *term, unsigned n_term, const char *modes,       \
			unsigned n_modes, int width, int height, int width_px, int height_px),     \
		(ch, term, n_term, modes, n_modes, width, height, width_px, height_px))            \
	FORWARD(int, channel_request_pty_size_ex,                                                  \
		(LIBSSH2_CHANNEL * ch, int width, int height, int width_px, int height_px),        \
		(ch, width, height, width_px, height_px))                                          \
	FORWARD(int, channel_process_startup,                                                      \
		(LIBSSH2_CHANNEL * ch, const char *request, unsigned n_request,                    \
			const char *message, unsigned n_message),                                  \
		(ch, request, n_request, message, n_message))                                      \
	FORWARD(ssize_t, channel_read_ex,                                                          \
		(LIBSSH2_CHANNEL * ch, int stream, char *data, size_t n), (ch, stream, data, n))   \
	FORWARD(ssize_t, channel_write_ex,                                                         \
		(LIBSSH2_CHANNEL * ch, int stream, const char *data, size_t n),                    \
		(ch, stream, data, n))                                                             \
	FORWARD(int, channel_send_eof, (LIBSSH2_CHANNEL * ch), (ch))                               \
	FORWARD(int, channel_eof, (LIBSSH2_CHANNEL * ch), (ch))                                    \
	FORWARD(int, channel_wait_closed, (LIBSSH2_CHANNEL * ch), (ch))                            \
	FORWARD(int, channel_get_exit_status, (LIBSSH2_CHANNEL * ch), (ch))                        \
	FORWARD(int, channel_get_exit_signal,                                                      \
		(LIBSSH2_CHANNEL * ch, char **signal, size_t *n_signal, char **message,            \
			size_t *n_message, char **language, size_t *n_language),                   \
		(ch, signal, n_signal, message, n_message, language, n_language))                  \
	FORWARD(int, channel_free, (LIBSSH2_CHANNEL * ch), (ch))

#define FORWARD(type, name, params, args) F_##name,
#define FORWARD_VOID(name, params, args) F_##name,
enum { FUNCTIONS N_FUNCTIONS };
#undef FORWARD
#undef FORWARD_VOID

static void *addresses[N_FUNCTIONS];

#define FORWARD(type, name, params, args) {"libssh2_" #name, &addresses[F_##name]},
#define FORWARD_VOID(name, params, args) {"libssh2_" #name, &addresses[F_##name]},
static const struct lazy_function functions[] = {FUNCTIONS};
#undef FORWARD
#undef FORWARD_VOID

#define FORWARD(type, name, params, args)                                      \
	type libssh2_##name params                                             \
	{                                                                      \
		return ((__typeof__(&libssh2_##name))addresses[F_##name])args; \
	}
#define FORWARD_VOID(name, params, args)                                 \
	void libssh2_##name params                                       \
	{                                                                \
		((__typeof__(&libssh2_##name))addresses[F_##name]) args; \
	}
FUNCTIONS

int ssh_lazy_load(struct err *err)
{
	static bool loaded;

	if (!loaded && lazy_load(LIBRARY, functions, N_FUNCTIONS, err) < 0)
		return -1;
	loaded = true;
	return 0;
}
