/*
 * Docker hosts on this Linux computer: systemd-nspawn machines with an address of their own, up in
 * about a second. The files:
 *
 *     host.h       create.c power.c check.c: what the driver is asked to do
 *     registry.h   whose address is whose, for the whole computer; network.h, subnet.h
 *     rootfs.h     the image, unpacked; personal.h: what a machine adds to it
 *     supervise.h  the process that runs a host (launch.h starts it); cgroup.h, plan.h
 *     running.h    whether it does
 */
#include "host.h"
#include "names.h"
#include "plan.h"
#include "rootfs.h"
#include "subnet.h"
#include "supervise.h"

#include "fault.h"

#include <ctype.h>
#include <string.h>

#define WORKERS 16u
#define CPUS_MAX 1024
#define MEMORY_MIN 64 /* MiB */
#define MEMORY_MAX (16 << 20)
#define USER_MAX 32u

static const struct flagspec flags[] = {
	{.name = "nspawn-bind",
		.type = FLAG_LIST,
		.env = "NSPAWN_BIND",
		.usage = "folder of this computer to show in the host: HOSTDIR[:DIR][:ro]"},
	{.name = "nspawn-cpus",
		.type = FLAG_INT,
		.env = "NSPAWN_CPUS",
		.usage = "processors that the host may use (0: all)"},
	{.name = "nspawn-image",
		.type = FLAG_STRING,
		.env = "NSPAWN_IMAGE",
		.def_str = MD_IMAGE_DEFAULT,
		.usage =
			"image to make the host of: a name or id in the cache, or a folder made by "
			"build-image"},
	{.name = "nspawn-memory",
		.type = FLAG_INT,
		.env = "NSPAWN_MEMORY",
		.usage = "memory that the host may use, in MiB (0: all)"},
	{.name = "nspawn-ssh-user",
		.type = FLAG_STRING,
		.env = "NSPAWN_SSH_USER",
		.def_str = "docker",
		.usage = "SSH user; must be in the image, and may use sudo"},
	{.name = "nspawn-subnet",
		.type = FLAG_STRING,
		.env = "NSPAWN_SUBNET",
		.usage = "subnet of the hosts' network, the same for all (default: one that is "
			 "free)"},
};

char *host_file(const struct md_machine *m, const char *name)
{
	return xasprintf("%s/" NSPAWN_DIR "/%s", m->dir, name);
}

char *host_tree(const struct md_machine *m)
{
	_cleanup_free_ char *image =
		xasprintf("%s/cache/images/%s", m->store_path, md_state_str(m, STATE_IMAGE_ID));

	return rootfs_tree(image);
}

static int set_number(struct md_machine *m, const char *key, const struct json *values,
	const char *flag, int64_t min, int64_t max, struct err *err)
{
	int64_t n = md_flag_int(values, flag);

	if (n != 0 && (n < min || n > max))
		return err_set(err, ERR_USER, "--%s %lld: 0, or a number from %lld to %lld", flag,
			(long long)n, (long long)min, (long long)max);
	json_set(m->state, key, json_int(n));
	return 0;
}

static int set_binds(struct md_machine *m, const struct json *values, struct err *err)
{
	const struct json *list = md_flag_list(values, "nspawn-bind");
	struct json *binds = json_array();

	json_set(m->state, STATE_BINDS, binds);
	for (size_t i = 0; json_at(list, i); i++) {
		_cleanup_bind_ struct bind b = {0};
		_cleanup_free_ char *from = NULL, *words = NULL;

		if (bind_parse(json_str(json_at(list, i), ""), &b, err) < 0)
			return -1;
		from = md_expand_path(b.from);
		words = bind_option(from, b.to, b.read_only);
		/* behind "--bind=" it is as the flag has it, all parts given */
		_cleanup_free_ char *text =
			xasprintf("%s%s", strchr(words, '=') + 1, b.read_only ? ":ro" : "");
		json_add(binds, json_string(text));
	}
	return 0;
}

static bool is_user_name(const char *s)
{
	if (!islower((unsigned char)*s) && *s != '_')
		return false;
	if (strlen(s) > USER_MAX)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("_-.", *s))
			return false;
	return true;
}

static int configure(
	struct md_request *rq, struct md_machine *m, const struct json *values, struct err *err)
{
	const char *user = md_flag_str(values, "nspawn-ssh-user");
	const char *subnet = md_flag_str(values, "nspawn-subnet");
	const char *image = md_flag_str(values, "nspawn-image");
	_cleanup_free_ char *ref = md_image_ref(image);
	struct subnet s;

	if (!is_user_name(user))
		return err_set(err, ERR_USER, "--nspawn-ssh-user \"%s\" is not a user name", user);
	if (*subnet && !subnet_parse(subnet, &s))
		return err_set(err, ERR_USER,
			"--nspawn-subnet \"%s\" is not a subnet such as 10.20.30.0/24, with a "
			"prefix of "
			"%u to %u bits",
			subnet, SUBNET_PREFIX_MIN, SUBNET_PREFIX_MAX);
	json_set_str(m->state, "SSHUser", user);
	json_set(m->state, "SSHPort", json_int(SSH_PORT));
	json_set_str(m->state, STATE_IMAGE, *ref ? ref : MD_IMAGE_DEFAULT);
	json_set_str(m->state, STATE_SUBNET, subnet);
	if (set_number(m, STATE_CPUS, values, "nspawn-cpus", 1, CPUS_MAX, err) < 0 ||
		set_number(m, STATE_MEMORY, values, "nspawn-memory", MEMORY_MIN, MEMORY_MAX, err) <
			0)
		return -1;
	return set_binds(m, values, err);
}

#ifdef MACHINE_FAULT_POINTS
static const char *const environment[] = {NSPAWN_FAULT_VARIABLE, NULL};
#else
static const char *const environment[] = {NULL};
#endif

static const struct md_driver nspawn_driver = {
	.name = "nspawn",
	.description = "Docker hosts on this Linux computer, as systemd-nspawn machines",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.environment = environment,
	.max_workers = WORKERS,
	.machines_at_once = MD_AS_PROCESSORS,
	.states_batch = 1000,
	.configure = configure,
	.pre_create_check = host_check,
	.create = host_create,
	.start = host_start,
	.stop = host_stop,
	.restart = host_restart,
	.kill = host_kill,
	.remove = host_remove,
	.states = host_states,
};

int main(int argc, char **argv)
{
	if (argc == 3 && streq(argv[1], SUPERVISE_FLAG))
		return supervise(argv[2]);
	return md_main(&nspawn_driver, argc, argv);
}
