// SPDX-License-Identifier: MIT OR Apache-2.0
// The thread pool of Asio, for Boost's and for the one without Boost: `net` is the namespace.
#ifndef ASIO_TEST_HPP
#define ASIO_TEST_HPP

#include "pool_test.h"

#include <threadlocalmap/asio.hpp>

#include <atomic>
#include <memory>

struct asio_pool {
    net::thread_pool pool{POOL_WORKERS};
    size_t waiting = 0; // functions that have not ended
};

static void post_counted(asio_pool &pool, void (*run)(void *), void *argument)
{
    __atomic_add_fetch(&pool.waiting, 1, __ATOMIC_RELAXED);
    net::post(pool.pool, [&pool, run, argument] {
        run(argument);
        __atomic_sub_fetch(&pool.waiting, 1, __ATOMIC_RELEASE);
    });
}

static void post(void *pool, void (*run)(void *), void *argument)
{
    post_counted(*static_cast<asio_pool *>(pool), run, argument);
}

static int post_sweep(void *pool, void (*run)(void *), void *argument)
{
    post(pool, run, argument);
    return 0;
}

// By the executor that makes each function a task.
static void submit(void *argument, void (*run)(void *), void *run_argument)
{
    auto &pool = *static_cast<asio_pool *>(argument);
    net::post(tls::scoped(pool.pool.get_executor()), [=] { run(run_argument); });
}

static void workers_are_as_before_and_swept()
{
    asio_pool pool;
    tls_sweep_t sweep;
    const pool_under_test_t test = {&pool, POOL_WORKERS, post, submit, nullptr, nullptr, &sweep};

    CHECK_INT(tls_sweep_init(&sweep, POOL_WORKERS, -1, post_sweep, &pool), 0);
    pool_test(&test, 20000);
    tls_sweep_stop(&sweep);
    pool.pool.join();
    tls_sweep_destroy(&sweep);
}

// Objects die all the time, on all workers, and each death asks for a sweep.
static void sweeps_and_tasks_do_not_get_in_each_others_way()
{
    pool_load_t load = pool_load_new(20000);
    tls_sweep_t sweep;

    pool_keys_create();
    {
        asio_pool pool;

        CHECK_INT(tls_sweep_init(&sweep, POOL_WORKERS, -1, post_sweep, &pool), 0);
        for (size_t i = 0; i < load.count; i++) {
            pool_task_t *task = pool_load_next(&load, i);
            net::post(tls::scoped(pool.pool.get_executor()), [task, &sweep] {
                CHECK_OK(tls_sweep_watch(&sweep));
                pool_task_run(task);
            });
        }
        while (test_count(&pool_tasks_done) != load.count) sched_yield();
        CHECK_OK(tls_remove(pool_inherited));
        // The last deaths are known; who sleeps with values of them is being woken.
        while (pool_values_alive() != 0 || test_stats().stale != 0) sched_yield();
        tls_sweep_stop(&sweep);
        tls_sweep_request(&sweep);
        CHECK(!tls_sweep_under_way(&sweep));
        pool.pool.join();
    }
    tls_sweep_destroy(&sweep);
    pool_load_free(&load);
    pool_keys_release();
}

// What the pool refuses must not be waited for.
static void a_pool_that_refuses_is_swept_as_far_as_it_takes_tasks()
{
    asio_pool pool;
    struct refusing {
        asio_pool *pool;
        std::atomic<int> takes;
    } half = {&pool, {2}};
    tls_sweep_t sweep;
    const auto post_some = [](void *to, void (*run)(void *), void *argument) {
        auto *const self = static_cast<refusing *>(to);
        return self->takes-- > 0 ? post_sweep(self->pool, run, argument) : 1;
    };

    CHECK_INT(tls_sweep_init(&sweep, POOL_WORKERS, -1, post_some, &half), 0);
    tls_sweep_request(&sweep);
    while (tls_sweep_under_way(&sweep)) sched_yield();
    CHECK_UINT(sweep.arrived, 2);
    tls_sweep_request(&sweep); // all are refused
    CHECK(!tls_sweep_under_way(&sweep));
    tls_sweep_stop(&sweep);
    tls_sweep_destroy(&sweep);
}

static void handlers_that_never_run_lose_nothing()
{
    pool_keys_create();
    pool_inherit(1);
    {
        net::io_context context;
        net::post(tls::scoped(context.get_executor()), [] { CHECK(!"nobody runs it"); });
        CHECK_UINT(test_stats().contexts, 1);
    }
    CHECK_UINT(test_stats().contexts, 0);
    pool_keys_release();
}

// Whatever makes its own handlers from an executor: here a timer, and posts from inside handlers.
static void an_executor_reaches_what_is_made_with_it()
{
    net::io_context context;
    const auto executor = tls::scoped(context.get_executor());
    net::basic_waitable_timer<std::chrono::steady_clock,
                              net::wait_traits<std::chrono::steady_clock>,
                              std::decay_t<decltype(executor)>>
        timer(executor, std::chrono::milliseconds(1));
    int handled = 0;

    pool_keys_create();
    pool_set_outer(nullptr);
    timer.async_wait([&](const auto &) {
        CHECK_OK(tls_set(pool_request, pool_value_new(0)));
        CHECK_OK(tls_set(pool_outer, pool_value_new(0)));
        handled++;
        net::post(executor, [&] {
            CHECK_PTR(tls_get_existing(pool_request), nullptr);
            handled++;
        });
    });
    context.run();
    CHECK_INT(handled, 2);
    pool_check_outer(nullptr);
    pool_keys_release();
}

// One map for many handlers, on whatever thread each runs.
static void a_map_goes_from_thread_to_thread()
{
    asio_pool pool;
    tls::map own;
    const auto executor = tls::in_map(net::make_strand(pool.pool), own);
    tls_key_t counter = test_key();
    size_t steps = 0, threads = 0;
    unsigned last = 0;

    for (int i = 0; i < 1000; i++)
        net::post(executor, [&] {
            const auto seen = reinterpret_cast<size_t>(tls_get(counter));
            CHECK_UINT(seen, steps);
            CHECK_OK(tls_set(counter, VALUE(seen + 1)));
            threads += last != test_thread();
            last = test_thread();
            __atomic_store_n(&steps, seen + 1, __ATOMIC_RELEASE);
            // Let the others have the strand, some time.
            if (seen % 10 == 0) net::post(pool.pool, [] { sched_yield(); });
        });
    while (__atomic_load_n(&steps, __ATOMIC_ACQUIRE) < 1000) sched_yield();
    pool.pool.join();
    CHECK_AT_LEAST(threads, 1);
    CHECK_PTR(tls_get_existing(counter), nullptr);
    CHECK_OK(tls_key_release(counter));
}

int main()
{
    RUN(workers_are_as_before_and_swept);
    RUN(sweeps_and_tasks_do_not_get_in_each_others_way);
    RUN(a_pool_that_refuses_is_swept_as_far_as_it_takes_tasks);
    RUN(handlers_that_never_run_lose_nothing);
    RUN(an_executor_reaches_what_is_made_with_it);
    RUN(a_map_goes_from_thread_to_thread);
    return pool_test_finish();
}

#endif
