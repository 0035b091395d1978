/* Runs every file of the folders and files given through a fuzz target, without a fuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned count;

static int replay_file(const char *path, size_t size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(size ? size : 1);
	int rc = -1;

	if (f && data && fread(data, 1, size, f) == size) {
		LLVMFuzzerTestOneInput(data, size);
		count++;
		rc = 0;
	}
	if (rc < 0)
		perror(path);
	free(data);
	if (f)
		fclose(f);
	return rc;
}

static int replay(const char *path)
{
	struct stat st;
	struct dirent *e;
	int rc = 0;

	if (stat(path, &st) < 0) {
		perror(path);
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path, (size_t)st.st_size);
	DIR *d = opendir(path);
	while (d && (e = readdir(d))) {
		char *child = NULL;

		if (e->d_name[0] == '.')
			continue;
		if (asprintf(&child, "%s/%s", path, e->d_name) < 0)
			abort();
		rc |= replay(child);
		free(child);
	}
	if (d)
		closedir(d);
	return rc;
}

int main(int argc, char **argv)
{
	int rc = 0;

	for (int i = 1; i < argc; i++)
		rc |= replay(argv[i]);
	printf("%u inputs\n", count);
	return rc || count == 0 ? 1 : 0;
}
