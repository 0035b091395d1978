#include "machine-driver.h"
