/* placeholder until the role is built */
#include "controller/controller.h"
