// SPDX-License-Identifier: MIT OR Apache-2.0
// std::async: a thread for each task (libstdc++), or none: then it runs where get() is called.
#include "pool_test.h"

#include <threadlocalmap.hpp>

#include <future>
#include <vector>

static void each_thread_ends_its_values_with_itself()
{
    pool_load_t load = pool_load_new(2000);
    std::vector<std::future<void>> running;

    for (size_t i = 0; i < load.count; i++) {
        pool_task_t *task = pool_load_next(&load, i);
        running.push_back(std::async(std::launch::async, tls::task([=] { pool_task_run(task); })));
        if (running.size() == 16) running.clear(); // waits
    }
    running.clear();
    pool_load_free(&load);
    CHECK_UINT(pool_values_alive(), 0);
    CHECK_UINT(test_stats().stale, 0);
    CHECK_OK(tls_remove(pool_inherited));
}

// Without a wrapper a thread's end is all the cleaning there is, and that is enough.
static void without_a_task_the_threads_end_is_the_values_end()
{
    const size_t made = test_count(&pool_values_made);

    for (int i = 0; i < 100; i++)
        std::async(std::launch::async, [] {
            CHECK_PTR(tls_get_existing(pool_request), nullptr);
            CHECK_OK(tls_set(pool_request, pool_value_new(0)));
        }).get();
    CHECK_UINT(test_count(&pool_values_made), made + 100);
    CHECK_UINT(pool_values_alive(), 0);
}

static void a_deferred_task_leaves_its_caller_as_it_was()
{
    pool_load_t load = pool_load_new(0);

    pool_set_outer(nullptr);
    for (size_t i = 0; i < load.count; i++) {
        pool_task_t *task = pool_load_next(&load, i);
        auto later =
            std::async(std::launch::deferred, tls::task([=] { pool_task_run(task); return 7; }));
        CHECK_OK(tls_remove(pool_inherited)); // the task has what was there when it was made
        CHECK_INT(later.get(), 7);
    }
    pool_load_free(&load);
    pool_check_outer(nullptr);
    CHECK_UINT(pool_values_alive(), 0);
}

static void exceptions_reach_who_waits()
{
    auto failing = std::async(std::launch::async, tls::task([]() -> int {
                                  CHECK_OK(tls_set(pool_request, pool_value_new(0)));
                                  throw 5;
                              }));
    int caught = 0;

    try {
        failing.get();
    } catch (int thrown) {
        caught = thrown;
    }
    CHECK_INT(caught, 5);
}

int main()
{
    pool_keys_create();
    RUN(each_thread_ends_its_values_with_itself);
    RUN(without_a_task_the_threads_end_is_the_values_end);
    RUN(a_deferred_task_leaves_its_caller_as_it_was);
    RUN(exceptions_reach_who_waits);
    pool_keys_release();
    CHECK_OK(tls_thread_detach());
    while (test_stats().maps != 0) sched_yield(); // the last thread is ending
    return pool_test_finish();
}
