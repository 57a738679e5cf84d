// SPDX-License-Identifier: MIT OR Apache-2.0
// oneTBB: arenas that workers enter and leave as there is work; they are told with an observer.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../c/support/failing_malloc.h"

#include "pool_test.h"

#include <threadlocalmap/map.hpp>
#include <threadlocalmap/tbb.hpp>

#include <tbb/global_control.h>
#include <tbb/task_group.h>

// Whether there are so many workers is TBB's business; the tests need one at least.
static const int CONCURRENCY = POOL_WORKERS + 1;

static void tasks_leave_their_thread_as_it_was()
{
    pool_load_t load = pool_load_new(20000);
    tbb::task_arena arena(CONCURRENCY);

    pool_set_outer(nullptr);
    arena.execute([&] {
        tbb::task_group group;
        for (size_t i = 0; i < load.count; i++) {
            pool_task_t *task = pool_load_next(&load, i);
            group.run(tls::shared_task([task] { pool_task_run(task); }));
        }
        group.wait();
    });
    pool_load_free(&load);
    CHECK_OK(tls_remove(pool_inherited));
    tls_expunge();
    pool_check_outer(nullptr);
    // Objects that died after a worker's last task: nothing tells it.
    CHECK_UINT(pool_values_alive(), test_stats().stale);
}

// Without a wrapper: what tasks set stays while their thread is in the arena.
static void leaving_an_arena_ends_what_was_set_in_it()
{
    const size_t ends = test_count(&pool_scope_ends);
    std::atomic<size_t> set{0}, by_workers{0};
    tbb::task_arena arena(CONCURRENCY);
    std::error_code error = std::make_error_code(std::errc::invalid_argument);
    const tls::arena_observer observer(arena, error);
    const unsigned here = test_thread();

    CHECK(!error);
    pool_set_outer(nullptr);
    while (by_workers == 0) {
        arena.execute([&] {
            tbb::task_group group;
            for (int i = 0; i < 1000; i++)
                group.run([&] {
                    if (tls_get_existing(pool_request) != nullptr) return;
                    CHECK_OK(tls_set(pool_request, pool_value_new(0)));
                    set++;
                    if (test_thread() != here) by_workers++;
                });
            group.wait();
        });
        // This thread has left, and is as before.
        CHECK_PTR(tls_get_existing(pool_request), nullptr);
    }
    pool_check_outer(nullptr);
    // A worker leaves when it has looked for work for a while; the leaving also expunges.
    while (test_count(&pool_scope_ends) - ends < set) sched_yield();
    CHECK_UINT(test_count(&pool_scope_ends) - ends, set);
}

// oneTBB throws its own error, which becomes an error code too.
static void an_observer_without_memory_says_so()
{
    tbb::task_arena arena(CONCURRENCY);
    size_t failed = 0;

    for (bool starved = true; starved;) {
        std::error_code error;
        failed++;
        fail_from(failed, FAIL_ONCE);
        const tls::arena_observer observer(arena, error);
        starved = fail_stop() != 0;
        CHECK(error ? error == tls::errc::no_memory && !observer.is_observing() : observer.is_observing());
    }
    CHECK_AT_LEAST(failed, 2);
}

// A thread that waits for tasks runs others meanwhile, on the same stack: here there is one thread.
// Those see what the waiting task has set, and leave it as it was; with a map each they see nothing.
static void tasks_that_run_while_another_waits(bool with_maps)
{
    tbb::task_arena arena(1);
    size_t ran = 0;

    const auto inner = [&] {
        CHECK((tls_get_existing(pool_request) == nullptr) == with_maps);
        CHECK_OK(tls_set(pool_request, pool_value_new(0)));
        ran++;
    };
    const auto outer = [&] {
        void *const own = pool_value_new(0);
        tbb::task_group group;

        CHECK_OK(tls_set(pool_request, own));
        for (int i = 0; i < 10; i++) {
            if (with_maps)
                group.run([&] {
                    tls::map map;
                    const tls::map::guard inside(map);
                    inner();
                });
            else
                group.run(tls::shared_task(inner));
        }
        group.wait();
        CHECK_PTR(tls_get_existing(pool_request), own);
    };
    arena.execute([&] {
        tbb::task_group group;
        group.run(tls::shared_task(outer));
        group.wait();
        CHECK_PTR(tls_get_existing(pool_request), nullptr);
    });
    CHECK_UINT(ran, 10);
}

static void tasks_see_the_values_of_a_task_that_waits()
{
    tasks_that_run_while_another_waits(false);
}

static void tasks_with_a_map_each_do_not()
{
    tasks_that_run_while_another_waits(true);
}

// Values that workers keep end with the workers, on them, when nobody needs an arena any more.
static void workers_that_end_end_what_they_kept(tbb::task_scheduler_handle &scheduler)
{
    const unsigned here = test_thread();
    std::atomic<size_t> by_workers{0};
    pool_batch_t batch;

    pool_batch_open(&batch, 1);
    {
        tbb::task_arena arena(CONCURRENCY);
        while (by_workers == 0)
            arena.execute([&] {
                tbb::task_group group;
                for (int i = 0; i < 1000; i++)
                    group.run(tls::shared_task([&] {
                        if (test_thread() == here || tls_get_existing(batch.objects[1])) return;
                        pool_keep_values(&batch);
                        by_workers++;
                    }));
                group.wait();
            });
    }
    pool_batch_close(&batch);
    CHECK_AT_LEAST(test_stats().stale, OBJECTS_OF_A_TASK / 2);
    tbb::finalize(scheduler); // waits for the workers' threads
    CHECK_UINT(test_stats().stale, 0);
}

int main()
{
    tbb::task_scheduler_handle scheduler{tbb::attach{}};
    const tbb::global_control workers(tbb::global_control::max_allowed_parallelism, CONCURRENCY);

    pool_keys_create();
    RUN(tasks_leave_their_thread_as_it_was);
    RUN(leaving_an_arena_ends_what_was_set_in_it);
    RUN(an_observer_without_memory_says_so);
    RUN(tasks_see_the_values_of_a_task_that_waits);
    RUN(tasks_with_a_map_each_do_not);
    workers_that_end_end_what_they_kept(scheduler);
    pool_keys_release();
    return pool_test_finish();
}
