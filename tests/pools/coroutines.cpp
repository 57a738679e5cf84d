// SPDX-License-Identifier: MIT OR Apache-2.0
// C++20 coroutines on a pool (Asio's, with co_spawn): each has a map of its own, and what it keeps
// there goes with it from thread to thread.
#include <asio.hpp>

#include "pool_test.h"

#include <threadlocalmap/asio.hpp>

#include <memory>
#include <vector>

#define COROUTINES 32
#define STEPS 100

static std::atomic<size_t> finished, moved, steps;

static asio::awaitable<void> session(asio::thread_pool &pool, tls_key_t key, size_t number)
{
    unsigned last = test_thread();

    CHECK_PTR(tls_get_existing(key), nullptr);
    CHECK_OK(tls_set(key, VALUE(number * STEPS + 1)));
    // As many steps as it takes to meet another thread.
    for (size_t step = 0; step < STEPS || moved == 0; step++) {
        CHECK_PTR(tls_get(key), VALUE(number * STEPS + step + 1));
        asio::post(pool, [] { sched_yield(); }); // wakes another thread
        co_await asio::post(asio::use_awaitable); // to the end of the pool's queue
        if (test_thread() != last) moved++;
        last = test_thread();
        CHECK_OK(tls_set(key, VALUE(number * STEPS + step + 2)));
        steps++;
    }
    finished++;
}

static std::atomic<size_t> values_ended;

static void count_end(void *, int reason, void *)
{
    CHECK_INT(reason == TLS_REASON_REPLACED || reason == TLS_REASON_MAP_DESTROYED, 1);
    values_ended++;
}

static void values_go_with_their_coroutine_from_thread_to_thread()
{
    asio::thread_pool pool(POOL_WORKERS);
    std::vector<std::unique_ptr<tls::map>> maps;
    tls_key_options_t options = test_options();
    options.destroy = count_end;
    const tls_key_t key = test_key_from(&options);

    for (size_t i = 0; i < COROUTINES; i++) {
        maps.push_back(std::make_unique<tls::map>());
        asio::co_spawn(tls::in_map(asio::make_strand(pool), *maps.back()), session(pool, key, i),
                       asio::detached);
    }
    pool.join();
    CHECK_UINT(finished, COROUTINES);
    CHECK_AT_LEAST(moved, 1);
    CHECK_UINT(test_stats().entries, COROUTINES);
    CHECK_AT_LEAST(steps, COROUTINES * STEPS);
    CHECK_UINT(values_ended, steps);
    maps.clear();
    CHECK_UINT(values_ended, steps + COROUTINES);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(test_stats().entries, 0);
}

int main()
{
    RUN(values_go_with_their_coroutine_from_thread_to_thread);
    return test_finish();
}
