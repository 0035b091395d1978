#include "flagspec.h"
