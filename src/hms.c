/* Picks the command; wiring only. */
#include "core/alloc.h"

int main(void)
{
    hms_alloc_install();
    return 0;
}
