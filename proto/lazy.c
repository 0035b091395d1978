#include "lazy.h"

#include <dlfcn.h>

int lazy_load(const char *library, const struct lazy_function *functions, size_t n, struct err *err)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!handle)
		return err_set(err, ERR_NOT_SUPPORTED, "load %s: %s", library, dlerror());
	for (size_t i = 0; i < n; i++) {
		*functions[i].address = dlsym(handle, functions[i].name);
		if (!*functions[i].address) {
			dlclose(handle);
			return err_set(err, ERR_NOT_SUPPORTED, "load %s: it lacks %s", library,
				functions[i].name);
		}
	}
	return 0;
}
