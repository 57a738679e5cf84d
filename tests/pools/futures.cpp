// thread_pool::ThreadPool (Debian: libthread-pool-dev), one of the many pools that are made of
// std::thread, std::function and std::future: it copies what it is given, and has no hook.
#include "pool_test.h"

#include <threadlocalmap/shared_task.hpp>

#include <thread_pool/thread_pool.hpp>

static void post(void *pool, void (*run)(void *), void *argument)
{
    static_cast<thread_pool::ThreadPool *>(pool)->Submit([=] { run(argument); });
}

static int post_sweep(void *pool, void (*run)(void *), void *argument)
{
    post(pool, run, argument);
    return 0;
}

static void submit(void *pool, void (*run)(void *), void *argument)
{
    static_cast<thread_pool::ThreadPool *>(pool)->Submit(
        tls::shared_task([=] { run(argument); }));
}

static void workers_are_as_before_and_swept()
{
    tls_sweep_t sweep;
    {
        thread_pool::ThreadPool pool(POOL_WORKERS);
        const pool_under_test_t test = {&pool, POOL_WORKERS, post, submit, nullptr, nullptr, &sweep};

        CHECK_INT(tls_sweep_init(&sweep, POOL_WORKERS, -1, post_sweep, &pool), 0);
        pool_test(&test, 20000);
    }
    tls_sweep_destroy(&sweep);
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
    RUN(workers_are_as_before_and_swept);
    RUN(results_and_exceptions_come_back);
    return pool_test_finish();
}
