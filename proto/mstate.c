#include "mstate.h"
