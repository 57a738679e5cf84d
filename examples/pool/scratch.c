/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "scratch.h"
#include "meter.h"

#include <stdlib.h>
#include <string.h>

struct scratch *scratch_new(void) {
    struct scratch *scratch = malloc(SCRATCH_BYTES);
    if (scratch == NULL) return NULL;
    /* Writes to every page, so that the memory is allocated. (Compilers turn zeros into calloc(),
     * which does not write to the pages.) */
    memset(scratch, 0x5a, SCRATCH_BYTES);
    scratch->document = 0;
    scratch->words = 0;
    scratch->maker = pthread_self();
    meter_made();
    return scratch;
}

void scratch_free(void *value) {
    struct scratch *scratch = value;
    if (scratch == NULL) return;
    meter_freed(!pthread_equal(scratch->maker, pthread_self()));
    free(scratch);
}
