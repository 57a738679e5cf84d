/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * T28: keys whose numbers lie a power of two apart, as a program makes that
 * creates its keys in groups and uses one of each. They must not fall on each
 * other in the table: the JDK's needs up to 300 probes for 300 such keys.
 *
 * A program of its own: its keys are the process's first, so that they are
 * numbered in the order in which they are made.
 */
#include "test.h"

#define USED 300
#define WIDEST 1024
#define MOST_PROBES 32

static tls_key_t *keys;
static size_t used;

static void *
use_every_nth(void *argument)
{
    size_t spacing = (size_t)(uintptr_t)argument;
    size_t i;

    for (i = 0; i < used; i++)
        CHECK_OK(tls_set(keys[i * spacing], VALUE(i + 1)));
    for (i = 0; i < used; i++)
        CHECK_PTR(tls_get(keys[i * spacing]), VALUE(i + 1));
    CHECK_AT_MOST(test_stats().longest_probe, MOST_PROBES);

    /* Removing from such a table leaves all others in reach. */
    for (i = 0; i < used; i += 2)
        CHECK_OK(tls_remove(keys[i * spacing]));
    for (i = 0; i < used; i++)
        CHECK_PTR(tls_get(keys[i * spacing]), i % 2 == 0 ? NULL : VALUE(i + 1));
    return NULL;
}

static void
no_spacing_makes_keys_cluster(void)
{
    size_t spacing;

    for (spacing = 1; spacing <= WIDEST; spacing *= 2)
        test_in_thread(use_every_nth, VALUE(spacing));
    CHECK_AT_LEAST(test_stats().longest_probe, 1);
}

int
main(void)
{
    size_t count;
    size_t i;

    used = test_scaled(USED, 30);
    count = used * WIDEST;
    keys = (tls_key_t *)malloc(count * sizeof(*keys));
    CHECK(keys != NULL);
    for (i = 0; i < count; i++)
        keys[i] = test_key();
    RUN(no_spacing_makes_keys_cluster);
    for (i = 0; i < count; i++)
        CHECK_OK(tls_key_release(keys[i]));
    free(keys);
    return test_finish();
}
