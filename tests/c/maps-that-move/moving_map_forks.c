/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A process that forks while it has maps that move. The child has those that
 * the forking thread is in or that are nobody's; one that another thread was in
 * stays that thread's, which is not there.
 */
#include "forking.h"
#include "worker.h"

static test_log_t ended;

typedef struct maps {
    tls_map_t *mine;
    tls_map_t *nobodys;
    tls_map_t *theirs;
    tls_key_t key;
} maps_t;

static maps_t maps;

static void
job_enter_theirs(void *argument)
{
    (void)argument;
    CHECK_OK(tls_map_switch(maps.theirs, NULL));
    CHECK_OK(tls_set(maps.key, VALUE(3)));
}

static void
fill_maps(worker_t *worker)
{
    test_log_clear(&ended);
    maps.key = test_key_logged(&ended);
    CHECK_OK(tls_set(maps.key, VALUE(100)));
    CHECK_OK(tls_map_create(&maps.mine));
    CHECK_OK(tls_map_create(&maps.nobodys));
    CHECK_OK(tls_map_create(&maps.theirs));
    worker_start(worker);
    worker_do(worker, job_enter_theirs, NULL);
    CHECK_OK(tls_map_switch(maps.nobodys, NULL));
    CHECK_OK(tls_set(maps.key, VALUE(2)));
    CHECK_OK(tls_map_switch(maps.mine, NULL));
    CHECK_OK(tls_set(maps.key, VALUE(1)));
}

/* The calling process ends what it has of all that. */
static void
end_maps(size_t with_theirs)
{
    unsigned here = test_thread();

    CHECK_PTR(tls_map_current(), maps.mine);
    CHECK_PTR(tls_get(maps.key), VALUE(1));
    CHECK_OK(tls_map_switch(maps.nobodys, NULL));
    CHECK_PTR(tls_get(maps.key), VALUE(2));
    CHECK_OK(tls_map_destroy(maps.mine));
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_MAP_DESTROYED, here);
    CHECK_OK(tls_key_release(maps.key));
    CHECK_RECORD(&ended, 1, VALUE(2), TLS_REASON_KEY_DEAD, here);
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_UINT(tls_stale_count(), 1);
    CHECK_UINT(tls_expunge(), 1);
    CHECK_RECORD(&ended, 2, VALUE(100), TLS_REASON_KEY_DEAD, here);
    CHECK_OK(tls_map_destroy(maps.nobodys));
    CHECK_UINT(ended.count, 3);
    CHECK_UINT(test_stats().maps, 1 + 2 * with_theirs);
    CHECK_UINT(test_stats().dead_keys, with_theirs);
}

static void
the_child_has_the_maps_that_no_other_thread_was_in(void)
{
    worker_t worker;
    pid_t child;

    if (forks_are_left_out())
        return;
    fill_maps(&worker);
    child = fork_checked();
    if (child == 0) {
        CHECK_CODE(tls_map_switch(maps.theirs, NULL), TLS_ERR_BUSY);
        CHECK_CODE(tls_map_destroy(maps.theirs), TLS_ERR_BUSY);
        end_maps(0);
        test_finish();
        _exit(0);
    }
    wait_for_child(child);
    end_maps(1);
    worker_stop(&worker);
    CHECK_OK(tls_map_destroy(maps.theirs));
    CHECK_UINT(ended.count, 4);
    CHECK_RECORD(&ended, 3, VALUE(3), TLS_REASON_KEY_DEAD, test_thread());
}

/* ---- Inside a callback --------------------------------------------------- */

static void
fork_in_the_end_of_a_map(void *value, int reason, void *user)
{
    pid_t child;

    test_log_destroy(value, reason, user);
    child = fork_checked();
    if (child != 0)
        wait_for_child(child);
    else
        maps.theirs = NULL; /* here the rest of the story is the child's */
}

static void
a_child_of_a_maps_end_has_the_map_that_was_current_before(void)
{
    tls_key_options_t options = test_options();
    tls_key_t forking;
    tls_map_t *map = NULL;

    if (forks_are_left_out())
        return;
    test_log_clear(&ended);
    options.destroy = fork_in_the_end_of_a_map;
    options.user = &ended;
    forking = test_key_from(&options);
    maps.key = test_key_logged(&ended);
    CHECK_OK(tls_map_create(&maps.mine));
    CHECK_OK(tls_map_create(&map));
    maps.theirs = maps.mine;
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_OK(tls_set(forking, VALUE(1)));
    CHECK_OK(tls_map_switch(maps.mine, NULL));
    CHECK_OK(tls_set(maps.key, VALUE(2)));
    CHECK_OK(tls_map_destroy(map));

    /* Both processes come here, with the same. */
    CHECK_PTR(tls_map_current(), maps.mine);
    CHECK_PTR(tls_get(maps.key), VALUE(2));
    CHECK_OK(tls_key_release(maps.key));
    CHECK_UINT(ended.count, 2);
    CHECK_UINT(ended.freed, 1);
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_map_destroy(maps.mine));
    CHECK_OK(tls_key_release(forking));
    if (maps.theirs == NULL) {
        test_finish();
        _exit(0);
    }
}

int
main(void)
{
    RUN(the_child_has_the_maps_that_no_other_thread_was_in);
    RUN(a_child_of_a_maps_end_has_the_map_that_was_current_before);
    return test_finish();
}
