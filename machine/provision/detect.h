#pragma once

#include "facts.h"
#include "provision.h"

/* What the facts mean; with the errors of provision_detect. */
int provision_host_from_facts(const struct facts *f, struct provision_host *ret, struct err *err);
