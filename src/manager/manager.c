/* placeholder until the role is built */
#include "manager/manager.h"
