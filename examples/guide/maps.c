/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A fiber has a map of its own, and its values wherever it runs. */
#include "pool.h"

#include <threadlocalmap.h>

static tls_key_t position;

struct fiber {
    tls_map_t *map;
};

/* The next step of a fiber, on whichever worker the scheduler has chosen. */
static void step(struct fiber *fiber)
{
    static int steps[] = {1, 2, 3};
    int *old = tls_get(position);
    int *now = old == NULL ? &steps[0] : old + 1;
    (void)fiber;
    must(tls_set(position, now));
    printf("%s: step %d\n", pool_thread_name(), *now);
}

static void resume(void *arg)
{
    struct fiber *fiber = arg;
    tls_map_t *previous;

    must(tls_map_switch(fiber->map, &previous)); /* where you switch to the fiber's stack */
    step(fiber);
    must(tls_map_switch(previous, NULL)); /* where you switch back */
}

int main(void)
{
    struct fiber fiber;

    must(tls_key_create(&position, NULL));
    must(tls_map_create(&fiber.map));
    pool_start();
    pool_run(0, resume, &fiber);
    pool_run(1, resume, &fiber);
    pool_run(0, resume, &fiber);
    pool_stop();
    must(tls_map_destroy(fiber.map)); /* destroys the values that it still has */
    must(tls_key_release(position));
    return 0;
}
