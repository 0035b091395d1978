/* Where the API is. */
#include "amazonec2.h"

#include <stdlib.h>
#include <string.h>

void endpoint_keep(struct md_machine *m)
{
	static const char *const variables[] = {"AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL"};

	for (size_t i = 0; !*md_state_str(m, "Endpoint") && i < ARRAY_SIZE(variables); i++)
		if (getenv(variables[i]))
			json_set_str(m->state, "Endpoint", getenv(variables[i]));
}

bool endpoint_is_own(const struct md_machine *m)
{
	return *md_state_str(m, "Endpoint") != '\0';
}

static int amazons(const char *region, char **ret, struct err *err)
{
	static const struct {
		const char *begin, *suffix;
	} partitions[] = {{"cn-", "amazonaws.com.cn"}, {"eu-isoe-", "cloud.adc-e.uk"},
		{"eusc-", NULL}, {"custom-endpoint", NULL}};
	const char *suffix = strstr(region, "-iso") ? NULL : "amazonaws.com";

	for (size_t i = 0; i < ARRAY_SIZE(partitions); i++)
		if (strncmp(region, partitions[i].begin, strlen(partitions[i].begin)) == 0)
			suffix = partitions[i].suffix;
	if (!suffix)
		return err_set(err, ERR_USER,
			"the region %s needs --amazonec2-endpoint: its address is not known here",
			region);
	*ret = xasprintf("https://ec2.%s.%s/", region, suffix);
	return 0;
}

int endpoint_url(const struct md_machine *m, char **ret, struct err *err)
{
	const char *endpoint = md_state_str(m, "Endpoint");
	bool plain = md_state_bool(m, "DisableSSL");
	size_t len = strlen(endpoint);

	if (!len)
		return amazons(md_state_str(m, "Region"), ret, err);
	const char *end = endpoint[len - 1] == '/' ? "" : "/";
	if (strstr(endpoint, "://"))
		*ret = xasprintf("%s%s", endpoint, end);
	else
		*ret = xasprintf("%s://%s%s", plain ? "http" : "https", endpoint, end);
	return 0;
}
