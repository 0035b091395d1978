/* Key pairs, compared with what ssh-keygen makes of them. */
#include "cert_fixture.h"

#include "machine-driver.h"

static int empty_dir_setup(void **state)
{
	return new_dir(dir, sizeof(dir));
}

static void test_make(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *key = in_dir("id_ed25519"), *pub = in_dir("id_ed25519.pub"),
			    *old = in_dir("id_rsa"), *old_pub = in_dir("id_rsa.pub");

	assert_int_equal(md_sshkey_login(dir, "web1", NULL, &err), 0);
	assert_int_equal(mode_of(key), 0600);
	assert_int_equal(mode_of(pub), 0600);
	_cleanup_free_ char *text = read_text(key), *line = read_text(pub);
	_cleanup_free_ char *through = read_text(old), *line_through = read_text(old_pub);
	assert_string_equal(text, through);
	assert_string_equal(line, line_through);
	/* files, as archivers want them that take a link for what it leads to */
	struct stat st;
	assert_int_equal(lstat(old, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(lstat(old_pub, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_memory_equal(line, "ssh-ed25519 AAAA", 16);
	assert_string_equal(strrchr(line, ' '), " web1\n");
	/* an existing one is kept */
	assert_int_equal(md_sshkey_login(dir, "web1", NULL, &err), 0);
	_cleanup_free_ char *again = read_text(key);
	assert_string_equal(text, again);
	/* ssh-keygen derives the same public key */
	assert_int_equal(run("sh", "-c",
				 "test \"$(ssh-keygen -y -f id_ed25519 | cut -d' ' -f1,2)\" = "
				 "\"$(cut -d' ' -f1,2 id_ed25519.pub)\"",
				 NULL),
		0);
	assert_int_equal(run("ssh-keygen", "-l", "-f", "id_rsa.pub", NULL), 0);
}

/* Comments of every length: the padding differs. */
static void test_padding(void **state)
{
	for (int i = 0; i < 9; i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_free_ char *sub = xasprintf("%s/%d", dir, i), *key = NULL;

		assert_int_equal(mkdir(sub, 0700), 0);
		assert_int_equal(md_sshkey_login(sub, &"123456789"[i], NULL, &err), 0);
		key = xasprintf("%s/id_ed25519", sub);
		assert_int_equal(run("ssh-keygen", "-y", "-P", "", "-f", key, NULL), 0);
	}
}

static void test_interrupted(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *pub = in_dir("id_ed25519.pub");

	/* the public half of a pair that was never finished */
	write_text(pub, "ssh-ed25519 AAAA old\n");
	assert_int_equal(md_sshkey_login(dir, "c", NULL, &err), 0);
	assert_int_equal(run("sh", "-c",
				 "test \"$(ssh-keygen -y -f id_ed25519 | cut -d' ' -f2)\" = "
				 "\"$(cut -d' ' -f2 id_ed25519.pub)\"",
				 NULL),
		0);
	assert_int_equal(md_sshkey_login("/nonexistent", "c", NULL, &err), -1);
}

static void test_named(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *key = in_dir("ssh_host_ed25519_key"), *pub = NULL, *again = NULL;

	assert_int_equal(md_sshkey(dir, "ssh_host_ed25519_key", "web1", &pub, &err), 0);
	assert_memory_equal(pub, "ssh-ed25519 AAAA", 16);
	assert_string_equal(strrchr(pub, ' '), " web1");
	assert_int_equal(mode_of(key), 0600);
	assert_false(is_file("id_rsa"));
	assert_int_equal(md_sshkey(dir, "ssh_host_ed25519_key", "web2", &again, &err), 0);
	assert_string_equal(pub, again);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, empty_dir_setup, dir_teardown)
	const struct CMUnitTest tests[] = {
		T(test_make),
		T(test_padding),
		T(test_interrupted),
		T(test_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
