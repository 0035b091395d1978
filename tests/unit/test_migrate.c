#include "store_fixture.h"

static void assert_path(const struct record *r, const char *key, const char *below)
{
	assert_string_equal(record_auth(r, key), at(below));
}

/* What every version has in common. */
static void check_paths(const struct record *r)
{
	assert_int_equal(json_int_or(json_get(r->doc, "ConfigVersion"), 0), 3);
	assert_string_equal(json_str(json_get(r->doc, "Name"), ""), "web1");
	assert_string_equal(json_str(json_get(record_driver_state(r), "StorePath"), ""), at("S"));
	assert_path(r, "StorePath", "S/machines/web1");
	assert_path(r, "CertDir", "S/certs");
	assert_path(r, "CaCertPath", "S/certs/ca.pem");
	assert_path(r, "CaPrivateKeyPath", "S/certs/ca-key.pem");
	assert_path(r, "ClientKeyPath", "S/certs/key.pem");
	assert_path(r, "ClientCertPath", "S/certs/cert.pem");
	assert_path(r, "ServerCertPath", "S/machines/web1/server.pem");
	assert_path(r, "ServerKeyPath", "S/machines/web1/server-key.pem");
	assert_true(record_is_complete(r));
}

/* HostOptions lists the same members in the same order as a new machine's. */
static void check_members(const struct record *r)
{
	_cleanup_json_ struct json *want = record_default_host_options(store, "web1");
	const struct json *have = json_get(r->doc, "HostOptions");

	for (size_t i = 0; i < want->n; i++) {
		const struct json *a = want->members[i].value, *b = have->members[i].value;
		assert_string_equal(have->members[i].key, want->members[i].key);
		for (size_t k = 0; json_is(a, JSON_OBJECT) && k < a->n; k++)
			assert_string_equal(b->members[k].key, a->members[k].key);
	}
}

static void version_0(void **state)
{
	_cleanup_free_ char *v0 = example("config-v0.json");

	machine_with(v0);
	_cleanup_record_ struct record *r = load();
	check_paths(r);
	check_members(r);
	assert_string_equal(record_driver_name(r), "virtualbox");
	assert_true(json_is(record_engine(r, "Labels"), JSON_NULL));
	assert_true(json_bool_or(record_engine(r, "TlsVerify"), false));
	assert_string_equal(json_str(record_engine(r, "InstallURL"), ""), "https://get.docker.com");
	assert_true(json_bool_or(record_swarm(r, "Master"), false));
	assert_string_equal(json_str(record_swarm(r, "Discovery"), ""), "token://x");
	assert_string_equal(json_str(record_swarm(r, "Image"), "?"), "");
	_cleanup_free_ char *driver = json_to_string(record_driver_state(r), JSON_COMPACT);
	_cleanup_free_ char *want = xasprintf("{\"CPU\":1,\"MachineName\":\"web1\",\"SSHPort\":"
					      "12345678901234567890,\"Zebra\":1.50,"
					      "\"Apple\":\"x\",\"StorePath\":\"%s\"}",
		at("S"));
	assert_string_equal(driver, want);
	_cleanup_free_ char *rest = json_to_string(json_get(r->doc, "Later"), JSON_COMPACT);
	assert_string_equal(rest, "{\"a\":1}");
	assert_null(json_get(r->doc, "StorePath"));
	assert_null(json_get(r->doc, "CaCertPath"));
}

static void version_1(void **state)
{
	_cleanup_free_ char *v1 = example("config-v1.json");

	machine_with(v1);
	_cleanup_record_ struct record *r = load();
	check_paths(r);
	check_members(r);
	assert_string_equal(json_str(json_at(record_engine(r, "Labels"), 0), ""), "a=b");
	assert_string_equal(json_str(record_engine(r, "StorageDriver"), ""), "aufs");
	assert_int_equal(json_int_or(record_engine(r, "Odd"), 0), 5);
	assert_null(record_engine(r, "TlsCaCert"));
	assert_string_equal(record_auth(r, "PrivateKeyPath"), "");
	assert_null(json_get(r->doc, "StorePath"));
}

static void version_2(void **state)
{
	_cleanup_free_ char *v2 = example("config-v2.json"), *v3 = example("config-v3.json");
	_cleanup_json_ struct json *want = NULL;

	machine_with(v2);
	_cleanup_record_ struct record *r = load();
	check_paths(r);
	assert_ok(json_parse(v3, strlen(v3), &want, &err));
	assert_true(json_equal(r->doc, want));
}

static void no_options(void **state)
{
	static const char *const texts[] = {"{}", "{\"ConfigVersion\":1}",
		"{\"ConfigVersion\":2,\"HostOptions\":null}",
		"{\"ConfigVersion\":null,\"Driver\":null}"};

	machine_with("");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		put(at(CONFIG), texts[i]);
		_cleanup_record_ struct record *r = load();
		check_members(r);
		assert_path(r, "StorePath", "S/machines/web1");
		assert_path(r, "CertDir", "S/certs");
		assert_string_equal(record_driver_name(r), "");
	}
}

#define BAK CONFIG ".bak"

static void keeps_the_old_bytes(void **state)
{
	_cleanup_free_ char *v0 = example("config-v0.json"), *v1 = example("config-v1.json");

	machine_with(v0);
	_cleanup_record_ struct record *r = load();
	assert_false(is_there(at(BAK))); /* reading writes nothing */
	assert_holds(at(CONFIG), v0);
	assert_ok(record_save(store, r, &err));
	assert_holds(at(BAK), v0);
	assert_mode(at(BAK), 0600);
	assert_holds(at(CONFIG), r->saved);
	assert_mode(at(CONFIG), 0600);
	assert_ok(record_save(store, r, &err));
	assert_holds(at(BAK), v0);
	/* again, from the same and from another old file */
	put(at(CONFIG), v0);
	_cleanup_record_ struct record *same = load();
	assert_ok(record_save(store, same, &err));
	assert_int_equal(entries(at("S/machines/web1")), 2);
	put(at(CONFIG), v1);
	_cleanup_record_ struct record *other = load();
	assert_ok(record_save(store, other, &err));
	assert_holds(at(BAK), v0);
	assert_holds(at(BAK ".1"), v1);
	_cleanup_record_ struct record *last = load();
	assert_false(last->migrated);
}

static void backup_fails(void **state)
{
	_cleanup_free_ char *v0 = example("config-v0.json");

	machine_with(v0);
	for (unsigned i = 0; i < 10; i++) {
		_cleanup_free_ char *bak = i ? xasprintf(BAK ".%u", i) : xstrdup(BAK);
		assert_int_equal(mkdir(at(bak), 0700), 0);
	}
	_cleanup_record_ struct record *r = load();
	assert_int_equal(record_save(store, r, &err), -1);
	assert_memory_equal(err_msg(&err), "Error attempting to save backup after migration: ", 49);
	assert_holds(at(CONFIG), v0);
}

static void saving_fails(void **state)
{
	static const char want[] = "Error saving config after migration was performed: ";
	_cleanup_free_ char *v0 = example("config-v0.json");

	machine_with(v0);
	_cleanup_record_ struct record *r = load();
	assert_int_equal(unlink(at(CONFIG)), 0);
	assert_int_equal(mkdir(at(CONFIG), 0700), 0);
	assert_int_equal(record_save(store, r, &err), -1);
	assert_memory_equal(err_msg(&err), want, strlen(want));
	assert_holds(at(BAK), v0);
}

/* Puts the example as it was when the store was at another place. */
static struct record *moved(const char *file, const char *old_store)
{
	struct store *here = store;
	_cleanup_free_ char *text = NULL;

	assert_ok(store_open(old_store, &store, &err));
	text = example(file);
	store_free(store);
	store = here;
	if (is_there(at(CONFIG)))
		put(at(CONFIG), text);
	else
		machine_with(text);
	return load();
}

static void moved_store(void **state)
{
	static const char *const files[] = {
		"config-v0.json", "config-v1.json", "config-v2.json", "config-v3.json"};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_record_ struct record *r = moved(files[i], "/nonexistent/old");
		check_paths(r);
		if (i == 3)
			assert_string_equal(
				json_str(json_get(record_driver_state(r), "SSHKeyPath"), ""),
				at("S/machines/web1/key"));
	}
	_cleanup_free_ char *v3 = example("config-v3.json");
	_cleanup_record_ struct record *r = load();
	assert_ok(record_save(store, r, &err));
	assert_holds(at(CONFIG), v3);
}

/* The original kept the store's path as it was typed, and tidied what it put below. */
static void moved_store_with_an_untidy_path(void **state)
{
	static const struct {
		const char *typed, *below;
	} cases[] = {
		{"/nonexistent/old/", "/nonexistent/old"},
		{"/nonexistent/./old//", "/nonexistent/old"},
		{"./nonexistent-old", "nonexistent-old"},
	};

	machine_with("{}");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = xasprintf(
			"{\"ConfigVersion\":3,\"DriverName\":\"x\",\"Driver\":{\"StorePath\":\"%"
			"s\","
			"\"SSHKeyPath\":\"%s/machines/web1/"
			"key\"},\"HostOptions\":{\"AuthOptions\":{"
			"\"CaCertPath\":\"%s/certs/ca.pem\",\"StorePath\":\"%s/machines/web1\"}}}",
			cases[i].typed, cases[i].below, cases[i].below, cases[i].below);
		put(at(CONFIG), text);
		_cleanup_record_ struct record *r = load();
		const struct json *driver = record_driver_state(r);
		assert_string_equal(json_str(json_get(driver, "StorePath"), ""), at("S"));
		assert_string_equal(
			json_str(json_get(driver, "SSHKeyPath"), ""), at("S/machines/web1/key"));
		assert_path(r, "CaCertPath", "S/certs/ca.pem");
		assert_path(r, "StorePath", "S/machines/web1");
	}
}

static void store_that_is_still_there(void **state)
{
	_cleanup_free_ char *old = xstrdup(at("old"));

	assert_int_equal(mkdir(old, 0700), 0);
	_cleanup_record_ struct record *r = moved("config-v3.json", old);
	assert_path(r, "CaCertPath", "old/certs/ca.pem");
	assert_string_equal(json_str(json_get(record_driver_state(r), "StorePath"), ""), at("old"));
}

static void other_paths_stay(void **state)
{
	machine_with("{\"ConfigVersion\":3,\"DriverName\":\"x\",\"Driver\":{\"StorePath\":\"/"
		     "nonexistent/a\","
		     "\"SSHKeyPath\":\"/nonexistent/ab/key\",\"Other\":\"/nonexistent/a/x\"},"
		     "\"HostOptions\":{\"AuthOptions\":{\"CaCertPath\":\"/nonexistent/a\","
		     "\"CertDir\":\"/nonexistent/ab\",\"ServerCertSANs\":[\"/nonexistent/a\"]}}}");
	_cleanup_record_ struct record *r = load();
	const struct json *driver = record_driver_state(r);
	assert_string_equal(json_str(json_get(driver, "SSHKeyPath"), ""), "/nonexistent/ab/key");
	assert_string_equal(json_str(json_get(driver, "Other"), ""), "/nonexistent/a/x");
	assert_path(r, "CaCertPath", "S");
	assert_string_equal(record_auth(r, "CertDir"), "/nonexistent/ab");
}

/* What the original's own migration left behind. */
static void relative_leftovers(void **state)
{
	machine_with(
		"{\"ConfigVersion\":3,\"DriverName\":\"x\",\"Driver\":{\"StorePath\":\".\"},"
		"\"HostOptions\":{\"AuthOptions\":{\"CertDir\":\"certs\",\"StorePath\":\".\"}}}");
	_cleanup_record_ struct record *r = load();
	assert_string_equal(json_str(json_get(record_driver_state(r), "StorePath"), ""), at("S"));
	assert_path(r, "CertDir", "S/certs");
	assert_path(r, "StorePath", "S/machines/web1");
	_cleanup_free_ char *from_1 = xasprintf(
		"{\"ConfigVersion\":3,\"DriverName\":\"x\",\"Driver\":{\"StorePath\":\"%s\"},"
		"\"HostOptions\":{\"AuthOptions\":{\"StorePath\":\"%s\"}}}",
		at("S"), at("S"));
	put(at(CONFIG), from_1);
	_cleanup_record_ struct record *later = load();
	assert_path(later, "StorePath", "S/machines/web1");
	assert_string_equal(
		json_str(json_get(record_driver_state(later), "StorePath"), ""), at("S"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_store(version_0),
		with_store(version_1),
		with_store(version_2),
		with_store(no_options),
		with_store(keeps_the_old_bytes),
		with_store(backup_fails),
		with_store(saving_fails),
		with_store(moved_store),
		with_store(moved_store_with_an_untidy_path),
		with_store(store_that_is_still_there),
		with_store(other_paths_stay),
		with_store(relative_leftovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
