#include "co.h"
