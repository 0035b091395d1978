/* For tests of cert.h: bootstrap, what OpenSSL says of the outcome, and CAs of others. */
#pragma once

#include "cert_fixture.h"

static inline int bootstrap(
	const struct files *f, bool force, struct cert_report *report, char **ret_error)
{
	_cleanup_err_ struct err err = ERR_INIT;
	int rc = cert_bootstrap(&f->paths, "me", force, report, &err);

	*ret_error = rc < 0 ? xstrdup(err_msg(&err)) : NULL;
	return rc;
}

/* Must fail with an error that has both texts. */
static inline void assert_bootstrap_fails(const struct files *f, const char *text, const char *file)
{
	_cleanup_free_ char *error = NULL;
	struct cert_report report;

	assert_int_equal(bootstrap(f, false, &report, &error), -1);
	assert_non_null(strstr(error, text));
	assert_non_null(strstr(error, file));
	assert_null(strstr(error, "PRIVATE"));
}

static inline void assert_bootstrap(const struct files *f, bool force, struct cert_report *report)
{
	_cleanup_free_ char *error = NULL;

	if (bootstrap(f, force, report, &error) < 0)
		fail_msg("%s", error);
}

static inline void assert_verifies(const struct files *f, const char *cert, const char *purpose)
{
	assert_int_equal(
		run("openssl", "verify", "-purpose", purpose, "-CAfile", f->ca, cert, NULL), 0);
}

static inline void assert_strict(const struct files *f, const char *cert, const char *purpose)
{
	assert_int_equal(run("openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile",
				 f->ca, cert, NULL),
		0);
}

static inline void assert_nothing_staged(void)
{
	assert_int_equal(run("sh", "-c", "! ls -A | grep -q new", NULL), 0);
}

/* A CA by OpenSSL, as users bring them along. */
static inline void foreign_ca(const char *key_type, const char *option, const char *subject)
{
	assert_int_equal(run("openssl", "req", "-x509", "-newkey", key_type, "-pkeyopt", option,
				 "-nodes", "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj",
				 subject, "-addext", "keyUsage=critical,keyCertSign", NULL),
		0);
}
