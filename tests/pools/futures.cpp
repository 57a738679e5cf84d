// SPDX-License-Identifier: MIT OR Apache-2.0
// thread_pool::ThreadPool (Debian: libthread-pool-dev), one of the many pools that are made of
// std::thread, std::function and std::future: it copies what it is given, and has no hook.
//
// Each of its workers sleeps at a queue of its own, so a task may wait at one while the others
// sleep: it can't be swept, nor is there a way to run something once on each worker.
#include "pool_test.h"

#include <threadlocalmap/shared_task.hpp>

#include <thread_pool/thread_pool.hpp>

static void tasks_leave_their_worker_as_it_was()
{
    thread_pool::ThreadPool pool(POOL_WORKERS);
    pool_load_t load = pool_load_new(20000);
    std::vector<std::future<void>> running;

    pool_keys_create();
    for (size_t i = 0; i < load.count; i++) {
        pool_task_t *task = pool_load_next(&load, i);
        running.push_back(pool.Submit(tls::shared_task([task] { pool_task_run(task); })));
    }
    for (auto &one : running) one.get();
    pool_load_free(&load);
    CHECK_OK(tls_remove(pool_inherited));
    // A future is ready a little before its worker has expunged; who sleeps is posted to until it
    // has.
    while (test_stats().stale != 0) pool.Submit([] { tls_expunge(); }).get();
    while (pool_values_alive() != 0 || test_stats().entries != 0) sched_yield();
    pool_keys_release();
}

static void results_and_exceptions_come_back()
{
    thread_pool::ThreadPool pool(POOL_WORKERS);
    int caught = 0;

    CHECK_INT(pool.Submit(tls::shared_task([] { return 7; })).get(), 7);
    try {
        pool.Submit(tls::shared_task([]() -> int { throw 5; })).get();
    } catch (int thrown) {
        caught = thrown;
    }
    CHECK_INT(caught, 5);
}

int main()
{
    RUN(tasks_leave_their_worker_as_it_was);
    RUN(results_and_exceptions_come_back);
    return pool_test_finish();
}
