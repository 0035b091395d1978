/* Switching a machine on: the process, the ports that it got, and second tries. */
#include "qemu.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRIES_MAX 6
#define GREETING_MS 30000 /* until the monitor answers; a loaded computer may take seconds */
#define LOOK_MS 20
#define SETTLE_MS 1000u /* what QEMU cannot do, such as KVM, ends it within this time */

#define CPU_HOST "host"
#define CPU_LESS "host,-arch-capabilities" /* for hosts that refuse the feature's registers */
#define CPU_EMULATED "max,la57=off"
#define KVM_FAILED "KVMFailed" /* the boot of this computer in which KVM did not work for it */

struct start {
	struct md_request *rq;
	struct md_machine *m;
	struct qemu_vm vm;
	char *kernel, *initrd, *cmdline;
};

static void start_finish(struct start *s)
{
	free(s->kernel);
	free(s->initrd);
	free(s->cmdline);
}

static char *image_file(const struct md_machine *m, const char *key)
{
	const char *name = md_state_str(m, key);

	return *name ? xasprintf("%s/" IMAGE_LINK "/%s", m->dir, name) : NULL;
}

static char *kernel_arguments(const struct md_machine *m)
{
	const char *more = md_state_str(m, "Append");

	return xasprintf("%s%s%s", md_state_str(m, "Cmdline"), *more ? " " : "", more);
}

static const char *display_of(const struct md_machine *m)
{
	const char *type = md_state_str(m, "DisplayType");

	if (!md_state_bool(m, "Display"))
		return "";
	return *type ? type : "gtk";
}

/* What the last start found out is where this one begins. 57-bit addresses cost an emulated
 * processor a level of every page table walk. */
static const char *processor(const struct md_machine *m, bool kvm)
{
	const char *wanted = md_state_str(m, CPU_TYPE_WANTED);

	if (*wanted && !streq(wanted, "auto"))
		return wanted;
	if (!kvm)
		return CPU_EMULATED;
	return streq(md_state_str(m, "CPUType"), CPU_LESS) ? CPU_LESS : CPU_HOST;
}

static void fill(struct start *s, bool kvm)
{
	const struct md_machine *m = s->m;
	const char *firmware = md_state_str(m, "Firmware");

	s->vm = (struct qemu_vm){
		.program = md_state_str(m, "Program"),
		.name = m->name,
		.uuid = md_state_str(m, "UUID"),
		.dir = m->dir,
		.sockets = sockets_dir(m),
		.memory = md_state_int(m, "Memory"),
		.cpus = md_state_int(m, "CPU") > 0 ? md_state_int(m, "CPU")
						   : sysconf(_SC_NPROCESSORS_ONLN),
		.kvm = kvm,
		.cpu = processor(m, kvm),
		.machine = md_state_str(m, "MachineType"),
		.firmware = is_known_firmware(firmware) ? "" : firmware,
		.uefi = streq(firmware, "uefi") ? md_state_str(m, "FirmwareCode") : "",
		.kernel = s->kernel,
		.initrd = s->initrd,
		.cmdline = s->cmdline,
		.cache = md_state_str(m, "CacheMode"),
		.io = md_state_str(m, "IOMode"),
		.display = display_of(m),
		.network = md_state_str(m, "Network"),
		.bridge = md_state_str(m, "NetworkBridge"),
		.interface = md_state_str(m, "NetworkInterface"),
		.mac = md_state_str(m, "MACAddress"),
		.bind = md_state_str(m, "BindAddress"),
		.ssh_port = (int)md_state_int(m, "SSHPort"),
		.engine_port = (int)md_state_int(m, "EnginePort"),
		.forwards = json_get_fold(m->state, "Publish"),
		.shares = json_get_fold(m->state, "Shares"),
		.extra = json_get_fold(m->state, "ExtraArgs"),
	};
}

bool port_is_free(const char *address, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0 || inet_pton(AF_INET, address, &a.sin_addr) != 1)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
}

/* A free port of the range, from a random one on: who starts at the same time looks elsewhere. */
static int free_port(const char *address, int min, int max, int but)
{
	int n = max - min + 1;
	unsigned from = 0;

	if (getrandom(&from, sizeof(from), 0) < 0)
		from = (unsigned)getpid();
	for (int i = 0; i < n; i++) {
		int port = min + (int)((from + (unsigned)i) % (unsigned)n);

		if (port != but && port_is_free(address, port))
			return port;
	}
	return 0;
}

/* 0 lets QEMU take a free one. */
static int choose_ports(struct start *s, struct err *err)
{
	const char *range = md_state_str(s->m, "LocalPorts");
	struct qemu_vm *vm = &s->vm;
	int min, max;

	if (!*range || !on_user_network(s->m) || (vm->ssh_port && vm->engine_port))
		return 0;
	if (port_range_parse(range, &min, &max, err) < 0)
		return -1;
	if (!vm->ssh_port)
		vm->ssh_port = free_port(vm->bind, min, max, vm->engine_port);
	if (!vm->engine_port)
		vm->engine_port = free_port(vm->bind, min, max, vm->ssh_port);
	if (!vm->ssh_port || !vm->engine_port)
		return err_set(err, ERR_UNAVAILABLE,
			"--qemu-localports %s: no two ports of the range are free at %s", range,
			vm->bind);
	return 0;
}

static int died(struct start *s, struct err *err)
{
	_cleanup_free_ char *words = vm_last_words(s->m);

	return err_set(
		err, ERR_INTERNAL, "QEMU ended at once: %s", *words ? words : "it gave no reason");
}

static int await_monitor(struct start *s, pid_t pid, struct qmp **ret, struct err *err)
{
	for (int waited = 0; waited < GREETING_MS; waited += LOOK_MS) {
		_cleanup_err_ struct err e = ERR_INIT;

		if (vm_qmp(s->m, GREETING_MS, ret, &e) == 0)
			return 0;
		bool there =
			e.code != ERR_NOT_RUNNING; /* a monitor that hangs up is about to end */
		if (process_ended(pid, vm_mark(s->m), there ? SETTLE_MS : 0))
			return died(s, err);
		if (there)
			return err_move(err, &e);
		if (md_sleep(s->rq, LOOK_MS, err) < 0)
			return -1;
	}
	return err_set(
		err, ERR_TIMEOUT, "QEMU's monitor was not there within %d s", GREETING_MS / 1000);
}

static int read_ports(struct start *s, struct qmp *q, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int ssh, engine;

	if (!on_user_network(s->m))
		return 0;
	if (qmp_human(q, "info usernet", &text, err) < 0)
		return -1;
	ssh = qemu_usernet_port(text, SSH_PORT);
	engine = qemu_usernet_port(text, ENGINE_PORT);
	if (!ssh || !engine)
		return err_set(err, ERR_INTERNAL,
			"QEMU does not say which ports it forwards (info usernet)");
	json_set(s->m->state, "SSHPort", json_int(ssh));
	json_set(s->m->state, "EnginePort", json_int(engine));
	return 0;
}

/* QEMU may go on without what it was told to use. */
static int check_kvm(struct qmp *q, struct err *err)
{
	_cleanup_json_ struct json *value = NULL;

	if (qmp_command(q, "query-kvm", NULL, &value, err) < 0)
		return -1;
	if (json_bool_or(json_get(value, "enabled"), false))
		return 0;
	return err_set(err, ERR_INTERNAL, "QEMU does not use KVM although it was told to");
}

static int settle(struct start *s, pid_t pid, struct err *err)
{
	_cleanup_qmp_ struct qmp *q = NULL;
	_cleanup_err_ struct err e = ERR_INIT;

	if (await_monitor(s, pid, &q, err) < 0)
		return -1;
	if (read_ports(s, q, &e) < 0 || (s->vm.kvm && check_kvm(q, &e) < 0))
		return process_ended(pid, vm_mark(s->m), SETTLE_MS) ? died(s, err)
								    : err_move(err, &e);
	if (s->vm.kvm && process_ended(pid, vm_mark(s->m), SETTLE_MS))
		return died(s, err);
	return 0;
}

static int launch(struct start *s, struct err *err)
{
	_cleanup_free_ char *log = md_file(s->m, LOG_FILE);
	_cleanup_strv_ struct strv argv = STRV_INIT;
	_cleanup_err_ struct err ignored = ERR_INIT;
	pid_t pid = 0;
	int r;

	if (vm_end(s->m, err) < 0 || sockets_make_dir(s->m, err) < 0 || choose_ports(s, err) < 0 ||
		share_start(s->rq, s->m, err) < 0)
		return -1;
	qemu_argv(&s->vm, &argv);
	r = daemon_start((const char *const *)argv.items, log, &pid, err);
	if (r == 0)
		r = settle(s, pid, err);
	if (r < 0)
		vm_end(s->m, &ignored);
	return r;
}

/* QEMU repeats the whole option, with all rules, before it names the one in quotes. */
static bool is_lost(const struct start *s, const char *words, int port, int guest_port)
{
	_cleanup_free_ char *rule = qemu_hostfwd(s->vm.bind, port, guest_port);
	_cleanup_free_ char *text = xasprintf("host forwarding rule '%s'", rule);

	return port && strstr(words, text);
}

/* A port that we chose ourselves is somebody else's by now. The user's choice is not given up. */
static bool lost_port(struct start *s, const char *words)
{
	bool is_ssh =
		!md_state_int(s->m, SSH_PORT_WANTED) && is_lost(s, words, s->vm.ssh_port, SSH_PORT);
	bool is_engine = !md_state_int(s->m, ENGINE_PORT_WANTED) &&
			 is_lost(s, words, s->vm.engine_port, ENGINE_PORT);

	if (!is_ssh && !is_engine)
		return false;
	md_log(s->rq, LOG_LEVEL_WARN,
		"the port %d of %s is another program's now: the machine's %s gets a new one "
		"(the environment for docker has to be set anew)",
		is_ssh ? s->vm.ssh_port : s->vm.engine_port, s->vm.bind, is_ssh ? "SSH" : "engine");
	if (is_ssh)
		s->vm.ssh_port = 0;
	else
		s->vm.engine_port = 0;
	return true;
}

static bool lost_kvm(struct start *s, const char *words)
{
	bool msr = strstr(words, "failed to set MSR") || strstr(words, "kvm_buf_set_msrs") ||
		   strstr(words, "kvm_put_msrs");
	_cleanup_free_ char *boot = NULL;

	/* what it says of the network has the machine's name in it, which may be anything */
	if (!s->vm.kvm || strstr(words, "-netdev") || (!msr && !strcasestr(words, "kvm")))
		return false;
	if (msr && streq(s->vm.cpu, CPU_HOST)) {
		md_log(s->rq, LOG_LEVEL_DEBUG, "%s: again without arch-capabilities", words);
		s->vm.cpu = CPU_LESS;
		return true;
	}
	if (!streq(md_state_str(s->m, ACCEL_WANTED), "auto"))
		return false;
	md_log(s->rq, LOG_LEVEL_WARN,
		"KVM does not run this machine (%s): its processor is emulated, which is many "
		"times slower",
		words);
	s->vm.kvm = false;
	s->vm.cpu = processor(s->m, false);
	boot = boot_id();
	json_set_str(s->m->state, KVM_FAILED, boot);
	return true;
}

static int explain(struct err *err)
{
	static const struct {
		const char *words, *meaning;
		enum err_code code;
	} known[] = {
		{"host forwarding rule",
			"a port that is to be forwarded to the machine cannot be had; is another "
			"program using it?",
			ERR_USER},
		{"Failed to get \"write\" lock",
			"the machine is already running outside of this program: another process "
			"has its disk open.",
			ERR_EXISTS},
		{"bridge helper failed",
			"QEMU may not attach to the bridge: root has to put \"allow BRIDGE\" into "
			"/etc/qemu/bridge.conf and, for other users, to make the program "
			"qemu-bridge-helper setuid (chmod u+s).",
			ERR_USER},
		{"/dev/net/tun",
			"QEMU may not use the tap interface: it has to be yours (ip tuntap "
			"add NAME mode tap user YOU), and /dev/net/tun open to you.",
			ERR_USER},
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strstr(err_msg(err), known[i].words))
			return err_set(err, known[i].code, "%s QEMU says: %s", known[i].meaning,
				err_msg(err));
	return -1;
}

static int launch_somehow(struct start *s, struct err *err)
{
	for (int i = 1;; i++) {
		_cleanup_err_ struct err e = ERR_INIT;
		_cleanup_free_ char *words = NULL;

		if (launch(s, &e) == 0)
			return 0;
		words = xstrdup(err_msg(&e));
		if (i < TRIES_MAX && e.code == ERR_INTERNAL &&
			(lost_port(s, words) || lost_kvm(s, words)))
			continue;
		err_move(err, &e);
		return explain(err);
	}
}

/* Whether KVM is to be tried: what it did to this machine in this boot of the computer counts. */
static int choose_kvm(struct start *s, bool *ret, struct err *err)
{
	_cleanup_free_ char *boot = boot_id();
	enum accel accel;

	*ret = false;
	if (streq(md_state_str(s->m, ACCEL_WANTED), "auto") && *boot &&
		streq(md_state_str(s->m, KVM_FAILED), boot))
		return 0;
	json_unset(s->m->state, KVM_FAILED);
	if (accel_choose(s->rq, s->m, s->kernel, s->initrd, &accel, err) < 0)
		return -1;
	*ret = accel == ACCEL_KVM;
	return 0;
}

static int note_launched(struct start *s, bool kvm, struct err *err)
{
	json_set_str(s->m->state, "Accel", kvm ? "kvm" : "tcg");
	json_set(s->m->state, BOOTING, json_int(boot_time_ms()));
	return md_checkpoint(s->rq, s->m->state, err);
}

int vm_start(struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_(start_finish) struct start s = {
		.rq = rq,
		.m = m,
		.kernel = image_file(m, "Kernel"),
		.initrd = image_file(m, "Initrd"),
		.cmdline = kernel_arguments(m),
	};
	bool kvm;

	if (vm_find(m))
		return 0;
	if (base_check(rq, m, err) < 0 || choose_kvm(&s, &kvm, err) < 0)
		return -1;
	fill(&s, kvm);
	json_set(m->state, BOOTING, json_int(BOOTING_UNKNOWN));
	if (md_checkpoint(rq, m->state, err) < 0)
		return -1;
	if (launch_somehow(&s, err) < 0)
		return err_wrap(err, "start the machine");
	json_set_str(m->state, "CPUType", s.vm.cpu);
	return note_launched(&s, s.vm.kvm, err);
}

static bool uses_kvm(const struct md_machine *m)
{
	_cleanup_err_ struct err ignored = ERR_INIT;
	_cleanup_json_ struct json *value = NULL;
	_cleanup_qmp_ struct qmp *q = NULL;

	return vm_qmp(m, GREETING_MS, &q, &ignored) == 0 &&
	       qmp_command(q, "query-kvm", NULL, &value, &ignored) == 0 &&
	       json_bool_or(json_get(value, "enabled"), false);
}

int vm_adopt(struct md_request *rq, struct md_machine *m, struct err *err)
{
	struct start s = {.rq = rq, .m = m};

	if (settle(&s, vm_find(m), err) < 0)
		return err_wrap(err, "look at the machine, which runs already");
	return note_launched(&s, uses_kvm(m), err);
}
