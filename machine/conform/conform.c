#include "conform.h"
