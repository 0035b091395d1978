#include "strv.h"
