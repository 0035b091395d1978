#include "find_program.h"

#include "mem.h"
#include "strv.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool find_program(const char *name)
{
	const char *path = getenv("PATH");
	_cleanup_strv_ struct strv dirs = STRV_INIT;

	strv_split(&dirs, path ? path : "/usr/bin:/bin", ':');
	strv_foreach (dir, &dirs) {
		_cleanup_free_ char *file = xasprintf("%s/%s", dir, name);
		struct stat st;

		if (stat(file, &st) == 0 && S_ISREG(st.st_mode) && access(file, X_OK) == 0)
			return true;
	}
	return false;
}
