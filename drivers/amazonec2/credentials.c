#include "credentials.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FILE_MAX (1u << 20)
#define CONTAINER_TOKEN_MAX (16u << 10) /* bytes of its file */
#define EARLY_S (5 * 60)
#define CONNECT_MS 1000u
#define TOTAL_MS 5000u
#define ANSWER_OK 200
#define TOKEN_TTL "21600"
#define CONTAINER "http://169.254.170.2"
#define CONTAINER_EKS "http://169.254.170.23"
#define CONTAINER_EKS_IPV6 "http://[fd00:ec2::23]"
#define CONTAINER_TOKEN "AWS_CONTAINER_AUTHORIZATION_TOKEN"
#define CONTAINER_TOKEN_FILE "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
#define INSTANCE "http://169.254.169.254"
#define ROLES "/latest/meta-data/iam/security-credentials/"

void credentials_finish(struct credentials *c)
{
	secret_free(c->key);
	secret_free(c->secret);
	secret_free(c->token);
	*c = (struct credentials){0};
}

static struct credentials copy_of(const struct credentials *c)
{
	return (struct credentials){
		xstrdup(c->key), xstrdup(c->secret), xstrdup(c->token), c->expires};
}

/* Takes the three; 1 when they are complete. */
static int take_all(char *key, char *secret, char *token, struct credentials *ret)
{
	struct credentials c = {key, secret, token ? token : xstrdup(""), 0};

	if (!key || !*key || !secret || !*secret) {
		credentials_finish(&c);
		return 0;
	}
	*ret = c;
	return 1;
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static const char *first_of(const char *one, const char *other)
{
	const char *value = variable(one);

	return value ? value : variable(other);
}

/* Each source: 1 it has them, 0 it has not, -1 it has, but they cannot be had. notes: what was
 * there, and is not used. */
typedef int (*source_fn)(struct md_request *rq, const struct md_machine *m, struct strv *notes,
	struct credentials *ret, struct err *err);

static int from_state(struct md_request *rq, const struct md_machine *m, struct strv *notes,
	struct credentials *ret, struct err *err)
{
	(void)rq;
	(void)notes;
	(void)err;
	return take_all(xstrdup(md_state_str(m, "AccessKey")),
		xstrdup(md_state_str(m, "SecretKey")), xstrdup(md_state_str(m, "SessionToken")),
		ret);
}

static int from_environment(struct md_request *rq, const struct md_machine *m, struct strv *notes,
	struct credentials *ret, struct err *err)
{
	(void)rq;
	(void)m;
	(void)notes;
	(void)err;
	return take_all(xstrdup(first_of("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY")),
		xstrdup(first_of("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY")),
		xstrdup(variable("AWS_SESSION_TOKEN")), ret);
}

/* A file that a profile may be in. */
struct place {
	char *path, *section;
	bool there; /* the section */
};

static void place_finish(struct place *p)
{
	free(p->path);
	free(p->section);
}
#define _cleanup_place_ __attribute__((cleanup(place_finish)))

static struct place place_of(const char *set, const char *name, char *take_section)
{
	const char *path = variable(set), *home = variable("HOME");

	return (struct place){
		.path = path ? xstrdup(path) : xasprintf("%s/.aws/%s", home ? home : "", name),
		.section = take_section};
}

/* What the vendor's own tools would follow, and this does not. */
static void note_others(const char *text, const struct place *p, struct strv *notes)
{
	static const char *const others[] = {
		"role_arn", "credential_process", "sso_session", "sso_start_url"};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		_cleanup_free_ char *value = ini_get(text, p->section, others[i]);
		_cleanup_free_ char *note = xasprintf("the profile [%s] of %s uses %s, which the "
						      "amazonec2 driver does not follow",
			p->section, p->path, others[i]);

		if (value)
			strv_add(notes, note);
	}
}

static int from_file(struct place *p, struct strv *notes, struct credentials *ret)
{
	_cleanup_secret_ char *text = NULL;
	_cleanup_err_ struct err none = ERR_INIT;
	size_t len;
	int r;

	if (md_read_file(p->path, FILE_MAX, &text, &len, &none) < 0) {
		if (none.code != ERR_NOT_FOUND)
			strv_add(notes, err_msg(&none));
		return 0;
	}
	p->there = ini_has(text, p->section);
	r = take_all(ini_get(text, p->section, "aws_access_key_id"),
		ini_get(text, p->section, "aws_secret_access_key"),
		ini_get(text, p->section, "aws_session_token"), ret);
	if (r == 0)
		note_others(text, p, notes);
	return r;
}

static int from_files(struct md_request *rq, const struct md_machine *m, struct strv *notes,
	struct credentials *ret, struct err *err)
{
	const char *named = variable("AWS_PROFILE"), *profile = named ? named : "default";
	_cleanup_place_ struct place keys =
		place_of("AWS_SHARED_CREDENTIALS_FILE", "credentials", xstrdup(profile));
	_cleanup_place_ struct place config = place_of("AWS_CONFIG_FILE", "config",
		xasprintf("%s%s", streq(profile, "default") ? "" : "profile ", profile));

	(void)rq;
	(void)m;
	if (from_file(&keys, notes, ret) || from_file(&config, notes, ret))
		return 1;
	if (!named || keys.there || config.there || notes->n)
		return 0;
	return err_set(err, ERR_AUTH,
		"AWS_PROFILE is %s: there is no profile [%s] in %s, and no [%s] in %s", named,
		keys.section, keys.path, config.section, config.path);
}

/* One exchange with a service of this container or instance; malloc'ed text, NULL: none. */
static char *ask(struct md_request *rq, const char *method, const char *url, const char *header,
	const char *value, struct err *err)
{
	struct md_watch w = md_watch_request(rq);
	struct md_http_call c = {.method = method,
		.url = url,
		.connect_ms = CONNECT_MS,
		.total_ms = TOTAL_MS,
		.no_proxy = true};
	_cleanup_http_answer_ struct md_http_answer answer = {0};
	int r;

	if (header) {
		strv_add(&c.headers, header);
		strv_add(&c.headers, value);
	}
	r = md_http(&w, &c, &answer, err);
	strv_finish(&c.headers);
	if (r == 0 && answer.status != ANSWER_OK)
		r = err_set(err, ERR_AUTH, "%s answers with the status %ld", url, answer.status);
	if (r < 0) {
		log_debug("%s", err_msg(err));
		return NULL;
	}
	return buf_steal(&answer.body);
}

static int64_t parse_time(const char *text)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	return end ? (int64_t)timegm(&tm) : 0;
}

static int from_document(
	const char *text, const char *where, struct credentials *ret, struct err *err)
{
	_cleanup_json_ struct json *j = NULL;
	const char *code;

	if (json_parse(text, strlen(text), &j, err) < 0)
		return err_set(err, ERR_AUTH, "the credentials at %s are not JSON", where);
	code = json_str(json_get(j, "Code"), "Success");
	if (!streq(code, "Success"))
		return err_set(err, ERR_AUTH, "the credentials at %s: %s", where, code);
	if (take_all(xstrdup(json_str(json_get(j, "AccessKeyId"), NULL)),
		    xstrdup(json_str(json_get(j, "SecretAccessKey"), NULL)),
		    xstrdup(json_str(json_get(j, "Token"), "")), ret) == 0)
		return err_set(err, ERR_AUTH, "the credentials at %s lack a key", where);
	ret->expires = parse_time(json_str(json_get(j, "Expiration"), ""));
	return 1;
}

bool container_is_trusted(const char *url)
{
	static const char *const services[] = {CONTAINER, CONTAINER_EKS, CONTAINER_EKS_IPV6};

	for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
		size_t n = strlen(services[i]);

		if (strncmp(url, services[i], n) != 0)
			continue;
		const char *end = url + n;
		if (*end == ':')
			end += 1 + strspn(end + 1, "0123456789");
		if (!*end || *end == '/')
			return true;
	}
	return md_http_url_secure(url);
}

/* What would be more than one line of a header is none. where: for the error, which does not have
 * the token. */
static int check_token(const char *token, size_t len, const char *where, struct err *err)
{
	if (!len)
		return err_set(err, ERR_AUTH, "%s: it is empty", where);
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)token[i]))
			return err_set(err, ERR_AUTH,
				"%s: it is not one line of text: there is a line break or control "
				"character in it",
				where);
	return 0;
}

/* What the container's service wants to be shown; *ret stays NULL: nothing. The file counts before
 * the variable, and is read each time: whoever wrote it renews it. */
static int container_token(char **ret, struct err *err)
{
	const char *file = variable(CONTAINER_TOKEN_FILE), *text = variable(CONTAINER_TOKEN);
	_cleanup_free_ char *where =
		file ? xasprintf(CONTAINER_TOKEN_FILE ": %s", file) : xstrdup(CONTAINER_TOKEN);
	_cleanup_secret_ char *token = NULL;
	size_t len;

	if (!file && !text)
		return 0;
	if (!file) {
		token = xstrdup(text);
		len = strlen(token);
	} else if (md_read_file(file, CONTAINER_TOKEN_MAX, &token, &len, err) < 0) {
		err->code = ERR_AUTH;
		return err_wrap(err, CONTAINER_TOKEN_FILE);
	}
	if (file && len && token[len - 1] == '\n')
		len -= len > 1 && token[len - 2] == '\r' ? 2 : 1;
	if (check_token(token, len, where, err) < 0)
		return -1;
	token[len] = '\0';
	*ret = take(token);
	return 0;
}

static int from_container(struct md_request *rq, const struct md_machine *m, struct strv *notes,
	struct credentials *ret, struct err *err)
{
	const char *relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	_cleanup_free_ char *url = relative ? xasprintf(CONTAINER "%s", relative) : xstrdup(full);
	_cleanup_secret_ char *token = NULL, *text = NULL;

	(void)m;
	(void)notes;
	if (!url)
		return 0;
	if (relative && *relative != '/')
		return err_set(err, ERR_AUTH,
			"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: %s does not begin with a slash",
			relative);
	if (!container_is_trusted(url))
		return err_set(err, ERR_AUTH,
			"AWS_CONTAINER_CREDENTIALS_FULL_URI: %s is neither https nor an address of "
			"this computer or of its container service",
			url);
	if (container_token(&token, err) < 0)
		return -1;
	text = ask(rq, "GET", url, token ? "Authorization" : NULL, token, err);
	if (!text) {
		err->code = ERR_AUTH;
		return err_wrap(err, "the container's credentials service");
	}
	return from_document(text, "the container's service", ret, err);
}

static int from_instance(struct md_request *rq, const struct md_machine *m, struct strv *notes,
	struct credentials *ret, struct err *err)
{
	static const char header[] = "X-aws-ec2-metadata-token";
	const char *disabled = variable("AWS_EC2_METADATA_DISABLED");
	const char *base = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	_cleanup_secret_ char *token = NULL, *text = NULL;
	_cleanup_free_ char *root = NULL, *token_url = NULL, *roles_url = NULL, *role = NULL,
			    *url = NULL;
	_cleanup_err_ struct err none = ERR_INIT;

	(void)m;
	(void)notes;
	if (disabled && strcasecmp(disabled, "true") == 0)
		return 0;
	root = xstrdup(base ? base : INSTANCE);
	if (*root && root[strlen(root) - 1] == '/')
		root[strlen(root) - 1] = '\0';
	token_url = xasprintf("%s/latest/api/token", root);
	token = ask(rq, "PUT", token_url, "X-aws-ec2-metadata-token-ttl-seconds", TOKEN_TTL, &none);
	if (!token)
		return 0;
	roles_url = xasprintf("%s" ROLES, root);
	role = ask(rq, "GET", roles_url, header, token, &none);
	if (!role)
		return 0;
	role[strcspn(role, "\r\n")] = '\0';
	url = xasprintf("%s" ROLES "%s", root, role);
	text = ask(rq, "GET", url, header, token, &none);
	if (!text)
		return 0;
	return from_document(text, "the instance's metadata service", ret, err);
}

static const source_fn sources[] = {
	from_state, from_environment, from_files, from_container, from_instance};

static int none_found(const struct strv *notes, struct err *err)
{
	_cleanup_buf_ struct buf also = BUF_INIT;

	strv_foreach (note, notes)
		buf_addf(&also, "; %s", note);
	return err_set(err, ERR_AUTH,
		"no AWS credentials: give --amazonec2-access-key and --amazonec2-secret-key "
		"(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), a profile in ~/.aws/credentials "
		"(AWS_PROFILE), or a role of the instance%s",
		buf_str(&also));
}

/* Temporary ones that were stored with the machine have an end, and are never renewed. */
static bool is_over(source_fn source, const struct md_machine *m, bool fresh)
{
	return fresh && source == from_state && *md_state_str(m, "SessionToken");
}

static int find(struct md_request *rq, const struct md_machine *m, bool fresh, struct strv *notes,
	struct credentials *ret, struct err *err)
{
	static struct credentials kept; /* of a role */
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sources) && r == 0; i++) {
		bool role = sources[i] == from_container || sources[i] == from_instance;
		bool good = !fresh && kept.key &&
			    (!kept.expires || kept.expires - EARLY_S > (int64_t)time(NULL));

		if (role && good) {
			*ret = copy_of(&kept);
			return 1;
		}
		if (!is_over(sources[i], m, fresh))
			r = sources[i](rq, m, notes, ret, err);
		if (r > 0 && role) {
			credentials_finish(&kept);
			kept = copy_of(ret);
		}
	}
	return r;
}

int credentials_find(struct md_request *rq, const struct md_machine *m, bool fresh,
	struct credentials *ret, struct err *err)
{
	static bool told; /* not at each look */
	_cleanup_strv_ struct strv notes = STRV_INIT;
	int r = find(rq, m, fresh, &notes, ret, err);

	if (r == 0)
		return none_found(&notes, err);
	if (r < 0)
		return -1;
	if (!told)
		strv_foreach (note, &notes)
			md_log(rq, LOG_LEVEL_WARN, "%s", note);
	told = told || notes.n;
	return 0;
}
