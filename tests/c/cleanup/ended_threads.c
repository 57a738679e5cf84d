/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A thread ends inside a callback (pthread_exit, cancellation), and code that
 * runs before the library's own end of the thread goes on using the library on
 * it: a cleanup handler, the destructor of an older or of a younger pthread
 * key. The frames that the call was in are gone by then, and the library must
 * not look at them. Every value ends once, every key drains, and no memory is
 * lost.
 */
#include "leaving_calls.h"

typedef enum place {
    IN_HANDLER,
    IN_OLDER_KEY,
    IN_YOUNGER_KEY,
    EVERYWHERE
} place_t;

static const char *const place_names[] = {"handler", "older key", "younger key",
                                          "everywhere"};

/* What varies; main() sets it before each test. */
static place_t place;
static bool on_a_moved_map;
static void (*make_call)(void);

static pthread_key_t older, younger;
static __thread size_t older_passes, younger_passes;
static tls_map_t *moved;

/* ---- The story ------------------------------------------------------------ */

static void
go_on(void *argument)
{
    (void)argument;
    later_use_everything();
}

static void
handle(void *argument)
{
    if (place == IN_HANDLER || place == EVERYWHERE)
        go_on(argument);
}

static void
end_older(void *argument)
{
    later_use_everything();
    if (++older_passes < 2)
        CHECK_INT(pthread_setspecific(older, argument), 0);
}

static void
end_younger(void *argument)
{
    later_use_everything();
    if (++younger_passes < 2)
        CHECK_INT(pthread_setspecific(younger, argument), 0);
}

static void *
live_and_leave(void *argument)
{
    leaver = pthread_self();
    if (place == IN_OLDER_KEY || place == EVERYWHERE)
        CHECK_INT(pthread_setspecific(older, VALUE(1)), 0);
    if (place == IN_YOUNGER_KEY || place == EVERYWHERE)
        CHECK_INT(pthread_setspecific(younger, VALUE(1)), 0);
    if (on_a_moved_map) {
        CHECK_OK(tls_map_create(&moved));
        CHECK_OK(tls_map_switch(moved, NULL));
    }
    later_set_keys();
    pthread_cleanup_push(handle, argument);
    make_call();
    pthread_cleanup_pop(0);
    CHECK(!"a callback that ends its thread returns");
    return NULL;
}

static void
tell_once(void)
{
    make_leaving_keys();
    CHECK_PTR(test_in_thread(live_and_leave, NULL), PTHREAD_CANCELED);
    CHECK_OK(tls_map_destroy(moved));
    moved = NULL;
    release_leaving_keys();
}

/* What the first time allocates for good is not allocated again. */
static void
every_value_ends_once(void)
{
    uint64_t bytes;

    CHECK_INT(pthread_key_create(&older, end_older), 0);
    CHECK_OK(tls_thread_attach());
    CHECK_OK(tls_thread_detach());
    CHECK_INT(pthread_key_create(&younger, end_younger), 0);
    tell_once();
    bytes = test_stats().bytes;
    tell_once();
    CHECK_UINT(test_stats().bytes, bytes);
    CHECK_INT(pthread_key_delete(older), 0);
    CHECK_INT(pthread_key_delete(younger), 0);
}

static void
run_in_all_places(const char *name)
{
    char variant[128];
    int i;

    for (i = 0; i < 2; i++) {
        by_cancellation = i != 0;
        for (place = IN_HANDLER; place <= EVERYWHERE; place = (place_t)(place + 1)) {
            snprintf(variant, sizeof(variant), "(%s, %s key, %s, %s%s)", name,
                     kind->name, by_cancellation ? "cancelled" : "pthread_exit",
                     place_names[place], on_a_moved_map ? ", moved map" : "");
            RUN_APART_OF_MANY(every_value_ends_once, variant);
        }
    }
}

/* Whether the call runs no callback of `own` on its thread. */
static bool
leaves_the_thread_alone(void)
{
    if (make_call == free_context)
        return (kind->flags & TLS_KEY_INHERIT) == 0;
    if (make_call == expunge || make_call == get_another)
        return kind->reclaim == TLS_RECLAIM_ANY;
    return make_call == detach && on_a_moved_map;
}

int
main(void)
{
    size_t i, k;
    int moves;

    for (moves = 0; moves < 2; moves++) {
        on_a_moved_map = moves != 0;
        for (i = 0; i < COUNT(destroying); i++) {
            make_call = destroying[i].make;
            for (k = 0; k < (moves ? 1 : COUNT(kinds)); k++) {
                kind = &kinds[k];
                if (leaves_the_thread_alone())
                    continue;
                run_in_all_places(destroying[i].name);
            }
        }
        kind = &kinds[0];
        for (i = 0; i < COUNT(calling); i++) {
            make_call = calling[i].make;
            run_in_all_places(calling[i].name);
        }
    }
    return apart_finish();
}
