/* Programs of the system that the user's PATH may have. */
#pragma once

#include <stdbool.h>

/* An executable file of that name stands in a folder of PATH. */
bool find_program(const char *name);
