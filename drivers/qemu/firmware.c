/* UEFI: where distributions have it. */
#include "qemu.h"

#include <string.h>
#include <unistd.h>

static const struct {
	const char *code, *variables;
} known[] = {
	{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
	{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
	{"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
	{"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},
	{"/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"},
};

bool is_known_firmware(const char *name)
{
	return streq(name, "bios") || streq(name, "uefi");
}

int firmware_find_uefi(char **ret_code, char **ret_variables, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (access(known[i].code, R_OK) == 0 && access(known[i].variables, R_OK) == 0) {
			*ret_code = xstrdup(known[i].code);
			*ret_variables = xstrdup(known[i].variables);
			return 0;
		}
	return err_set(err, ERR_NOT_FOUND,
		"--qemu-firmware uefi: no UEFI firmware is there (looked for %s and others): "
		"install it (in Debian the package ovmf)",
		known[0].code);
}
