/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stale entries: values of keys that died while another thread held them. */
#include "worker.h"

#define KEYS 300

static test_log_t ended;
static tls_key_t keys[KEYS];

static void
make_keys(int count)
{
    int i;

    test_log_clear(&ended);
    for (i = 0; i < count; i++)
        keys[i] = test_key_logged(&ended);
}

static void
release_keys(int from, int to)
{
    int i;

    for (i = from; i < to; i++)
        CHECK_OK(tls_key_release(keys[i]));
}

static void
worker_set_keys(worker_t *worker, int count)
{
    int i;

    for (i = 0; i < count; i++)
        CHECK_OK(worker_set(worker, keys[i], VALUE(i + 1)));
}

/* Every value from 1 to count ended once, because its key died, on the
 * thread that had set it. */
static void
check_each_ended_once(unsigned thread, size_t count)
{
    bool seen[KEYS + 1] = { false };
    size_t i;

    CHECK_UINT(ended.count, count);
    for (i = 0; i < count; i++) {
        uintptr_t value = (uintptr_t)ended.records[i].value;

        CHECK_AT_LEAST(value, 1);
        CHECK_AT_MOST(value, KEYS);
        CHECK(!seen[value]);
        seen[value] = true;
        CHECK_RECORD(&ended, i, VALUE(value), TLS_REASON_KEY_DEAD, thread);
    }
}

/* The count on the holder is exact as soon as the release has returned on
 * another thread, and expunging destroys on the holder. */
static void
the_stale_count_is_exact_at_once(void)
{
    worker_t worker;
    int i;

    make_keys(20);
    worker_start(&worker);
    worker_set_keys(&worker, 20);
    CHECK_UINT(worker_stale_count(&worker), 0);
    for (i = 0; i < 10; i++) {
        release_keys(i, i + 1);
        CHECK_UINT(worker_stale_count(&worker), i + 1);
        CHECK_UINT(ended.count, 0);
        CHECK_UINT(test_stats().stale, i + 1);
    }
    CHECK_UINT(worker_expunge(&worker), 10);
    CHECK_UINT(worker_stale_count(&worker), 0);
    CHECK_UINT(worker_expunge(&worker), 0);
    CHECK_UINT(test_stats().stale, 0);
    check_each_ended_once(worker.number, 10);
    for (i = 10; i < 20; i++)
        CHECK_PTR(worker_get(&worker, keys[i]), VALUE(i + 1));
    release_keys(10, 20);
    worker_stop(&worker);
    check_each_ended_once(worker.number, 20);
    CHECK_UINT(ended.freed, 20);
}

/* The releasing thread ends its own value itself; it is never stale. */
static void
the_releasing_threads_own_value_ends_at_once(void)
{
    worker_t worker;
    unsigned here = test_thread();

    make_keys(1);
    worker_start(&worker);
    CHECK_OK(worker_set(&worker, keys[0], VALUE(1)));
    CHECK_OK(tls_set(keys[0], VALUE(2)));
    CHECK_OK(tls_key_release(keys[0]));
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(2), TLS_REASON_KEY_DEAD, here);
    CHECK_UINT(ended.freed, 0);
    CHECK_UINT(tls_stale_count(), 0);
    CHECK_UINT(worker_stale_count(&worker), 1);
    CHECK_UINT(worker_expunge(&worker), 1);
    CHECK_RECORD(&ended, 1, VALUE(1), TLS_REASON_KEY_DEAD, worker.number);
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(ended.count_at_free, 2);
    worker_stop(&worker);
}

/* T27: a budget is never exceeded, and n stale entries are gone after
 * ceil(n / budget) calls. */
static void
a_budget_is_kept_and_enough(void)
{
    static const size_t budgets[] = { 1, 2, 3, 7, 32, 99, 100, 101, SIZE_MAX };
    enum { STALE = 100 };
    worker_t worker;
    size_t i;

    worker_start(&worker);
    for (i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++) {
        size_t budget = budgets[i];
        size_t calls = 0;
        size_t left = STALE;

        make_keys(STALE);
        worker_set_keys(&worker, STALE);
        release_keys(0, STALE);
        CHECK_UINT(worker_stale_count(&worker), STALE);
        CHECK_UINT(worker_expunge_some(&worker, 0), 0);
        CHECK_UINT(worker_stale_count(&worker), STALE);
        while (left > 0) {
            size_t want = left < budget ? left : budget;

            CHECK_UINT(worker_expunge_some(&worker, budget), want);
            calls++;
            left -= want;
            CHECK_UINT(worker_stale_count(&worker), left);
            CHECK_UINT(ended.count, STALE - left);
        }
        CHECK_UINT(calls, budget == SIZE_MAX ? 1 : (STALE + budget - 1) / budget);
        CHECK_UINT(worker_expunge_some(&worker, budget), 0);
        check_each_ended_once(worker.number, STALE);
    }
    worker_stop(&worker);
}

/* T25, T26, N17: an idle thread that only reads, or does not even that: what
 * died meanwhile waits, all of it, for one tls_expunge on that thread. */
static void
an_idle_thread_gives_everything_back(void)
{
    enum { BLOCKS = 8, BLOCK_SIZE = 1 << 20 };
    tls_key_options_t options = test_options();
    worker_t worker;
    tls_key_t kept = test_key();
    int i;

    test_log_clear(&ended);
    options.destroy = test_log_destroy;
    options.user = &ended;
    worker_start(&worker);
    CHECK_OK(worker_set(&worker, kept, VALUE(1)));
    for (i = 0; i < BLOCKS; i++) {
        void *block = malloc(BLOCK_SIZE);

        CHECK(block != NULL);
        keys[i] = test_key_from(&options);
        CHECK_OK(worker_set(&worker, keys[i], block));
    }
    release_keys(0, BLOCKS);
    for (i = 0; i < 1000; i++)
        CHECK_PTR(worker_get(&worker, kept), VALUE(1));
    CHECK_UINT(ended.count, 0);
    CHECK_UINT(worker_stale_count(&worker), BLOCKS);
    CHECK_UINT(worker_expunge(&worker), BLOCKS);
    CHECK_UINT(worker_expunge(&worker), 0);
    CHECK_UINT(ended.count, BLOCKS);
    for (i = 0; i < BLOCKS; i++) {
        CHECK_INT(ended.records[i].reason, TLS_REASON_KEY_DEAD);
        CHECK_UINT(ended.records[i].thread, worker.number);
        free(ended.records[i].value);
    }
    CHECK_PTR(worker_get(&worker, kept), VALUE(1));
    CHECK_OK(tls_key_release(kept));
    worker_stop(&worker);
}

/* The owner's inserts find stale entries too: in the end nothing is stale
 * although nobody called tls_expunge. */
static void
inserts_expunge_as_well(void)
{
    enum { STALE = 64, MORE = 200 };
    tls_key_t more[MORE];
    worker_t worker;
    int i;

    make_keys(STALE);
    worker_start(&worker);
    worker_set_keys(&worker, STALE);
    release_keys(0, STALE);
    for (i = 0; i < MORE; i++) {
        more[i] = test_key();
        CHECK_OK(worker_set(&worker, more[i], VALUE(i + 1)));
        CHECK_UINT(ended.count + worker_stale_count(&worker), STALE);
    }
    CHECK_UINT(worker_stale_count(&worker), 0);
    check_each_ended_once(worker.number, STALE);
    for (i = 0; i < MORE; i++) {
        CHECK_PTR(worker_get(&worker, more[i]), VALUE(i + 1));
        CHECK_OK(tls_key_release(more[i]));
    }
    worker_stop(&worker);
}

/* A thread that ends with stale entries ends them as what they are. */
static void
thread_exit_ends_stale_entries(void)
{
    worker_t worker;
    size_t i;
    size_t dead = 0;

    make_keys(30);
    worker_start(&worker);
    worker_set_keys(&worker, 30);
    release_keys(0, 20);
    worker_stop(&worker);
    CHECK_UINT(ended.count, 30);
    CHECK_UINT(ended.freed, 20);
    for (i = 0; i < 30; i++) {
        bool stale = (uintptr_t)ended.records[i].value <= 20;

        CHECK_INT(ended.records[i].reason,
                  stale ? TLS_REASON_KEY_DEAD : TLS_REASON_THREAD_EXIT);
        CHECK_UINT(ended.records[i].thread, worker.number);
        dead += stale;
    }
    CHECK_UINT(dead, 20);
    release_keys(20, 30);
    CHECK_UINT(ended.freed, 30);
}

static void
detaching_ends_stale_entries(void)
{
    worker_t worker;
    size_t i;

    make_keys(10);
    worker_start(&worker);
    worker_set_keys(&worker, 10);
    release_keys(0, 5);
    CHECK_OK(worker_detach(&worker));
    CHECK_UINT(ended.count, 10);
    for (i = 0; i < 10; i++)
        CHECK_INT(ended.records[i].reason, (uintptr_t)ended.records[i].value <= 5
                                               ? TLS_REASON_KEY_DEAD
                                               : TLS_REASON_DETACHED);
    CHECK_UINT(worker_stale_count(&worker), 0);
    release_keys(5, 10);
    worker_stop(&worker);
    CHECK_UINT(ended.count, 10);
    CHECK_UINT(ended.freed, 10);
}

/* A stale NULL is an entry to expunge, but not a value to destroy. */
static void
a_stale_null_is_expunged_but_not_destroyed(void)
{
    worker_t worker;

    make_keys(1);
    worker_start(&worker);
    CHECK_OK(worker_set(&worker, keys[0], NULL));
    release_keys(0, 1);
    worker_expunge(&worker);
    CHECK_UINT(worker_stale_count(&worker), 0);
    CHECK_UINT(ended.count, 0);
    CHECK_UINT(ended.freed, 1);
    worker_stop(&worker);
}

/* Taken, removed and detached values are not stale when their key dies. */
static void
only_holders_become_stale(void)
{
    worker_t worker;
    tls_stats_t stats;

    make_keys(2);
    worker_start(&worker);
    CHECK_OK(worker_set(&worker, keys[0], VALUE(1)));
    CHECK_OK(worker_remove(&worker, keys[0]));
    release_keys(0, 1);
    CHECK_UINT(worker_stale_count(&worker), 0);
    CHECK_OK(worker_set(&worker, keys[1], VALUE(2)));
    CHECK_OK(worker_detach(&worker));
    release_keys(1, 2);
    CHECK_UINT(worker_stale_count(&worker), 0);
    stats = test_stats();
    CHECK_UINT(stats.stale, 0);
    CHECK_UINT(stats.dead_keys, 0);
    CHECK_UINT(ended.count, 2);
    CHECK_UINT(ended.freed, 2);
    worker_stop(&worker);
}

/* Many holders of one key: each is told, each ends its own. */
static void
every_holder_is_told(void)
{
    enum { WORKERS = 8 };
    worker_t workers[WORKERS];
    size_t i;

    make_keys(1);
    for (i = 0; i < WORKERS; i++) {
        worker_start(&workers[i]);
        if (i % 2 == 0)
            CHECK_OK(worker_set(&workers[i], keys[0], VALUE(i + 1)));
    }
    release_keys(0, 1);
    CHECK_UINT(test_stats().dead_keys, 1);
    CHECK_UINT(test_stats().stale, WORKERS / 2);
    for (i = 0; i < WORKERS; i++) {
        CHECK_UINT(worker_stale_count(&workers[i]), i % 2 == 0);
        CHECK_UINT(ended.freed, i == WORKERS - 1);
        CHECK_UINT(worker_expunge(&workers[i]), i % 2 == 0);
        CHECK_UINT(ended.count, i / 2 + 1);
        if (i % 2 == 0)
            CHECK_RECORD(&ended, i / 2, VALUE(i + 1), TLS_REASON_KEY_DEAD,
                         workers[i].number);
    }
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(ended.count_at_free, WORKERS / 2);
    CHECK_UINT(ended.free_thread, workers[WORKERS - 2].number);
    CHECK_UINT(test_stats().dead_keys, 0);
    for (i = 0; i < WORKERS; i++)
        worker_stop(&workers[i]);
}

/* Hundreds die at once in a table that has grown: all are found. */
static void
many_stale_entries_at_once(void)
{
    worker_t worker;

    make_keys(KEYS);
    worker_start(&worker);
    worker_set_keys(&worker, KEYS);
    release_keys(0, KEYS);
    CHECK_UINT(worker_stale_count(&worker), KEYS);
    CHECK_UINT(worker_expunge(&worker), KEYS);
    check_each_ended_once(worker.number, KEYS);
    CHECK_UINT(ended.freed, KEYS);
    worker_stop(&worker);
}

int
main(void)
{
    RUN(the_stale_count_is_exact_at_once);
    RUN(the_releasing_threads_own_value_ends_at_once);
    RUN(a_budget_is_kept_and_enough);
    RUN(an_idle_thread_gives_everything_back);
    RUN(inserts_expunge_as_well);
    RUN(thread_exit_ends_stale_entries);
    RUN(detaching_ends_stale_entries);
    RUN(a_stale_null_is_expunged_but_not_destroyed);
    RUN(only_holders_become_stale);
    RUN(every_holder_is_told);
    RUN(many_stale_entries_at_once);
    return test_finish();
}
