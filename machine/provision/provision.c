#include "provision.h"
