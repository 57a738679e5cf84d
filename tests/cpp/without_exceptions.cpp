// SPDX-License-Identifier: MIT OR Apache-2.0
// The whole header with -fno-exceptions and -fno-rtti, where Catch2 can't be: a program of its own.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include <threadlocalmap.hpp>

#if defined(__cpp_exceptions) || defined(__cpp_rtti)
#error "compile it with -fno-exceptions -fno-rtti"
#endif

static void check(bool right, const char *text, int line)
{
    if (right) return;
    std::fprintf(stderr, "without_exceptions.cpp:%d: check failed: %s\n", line, text);
    std::abort();
}
#define CHECK(condition) check((condition), #condition, __LINE__)

static void pointers()
{
    std::error_code error;
    int ended = 0;
    tls::thread_local_ptr<int> pointer(error);
    CHECK(!error);
    pointer.reset(new int(1), error);
    CHECK(!error && *pointer == 1);
    pointer.reset(new int(2), [&](int *value, tls::reason) { ended++; delete value; }, error);
    CHECK(!error && *pointer == 2 && *pointer.get() == 2 && pointer);
    pointer.reset(std::make_unique<int>(3), error);
    CHECK(ended == 1 && *pointer == 3);
    pointer.reset(std::make_shared<int>(4), error);
    CHECK(*pointer == 4);
    pointer.reset();
    CHECK(pointer.release(error) == nullptr && !error);

    tls::thread_local_ptr<int> moved(std::move(pointer));
    pointer.reset(new int(5), [](int *value) { delete value; }, error);
    CHECK(error == tls::errc::bad_key);

    tls::thread_local_ptr<void> memory(tls::options<void>().name("memory"), std::free, error);
    memory.reset(std::malloc(1), error);
    CHECK(!error && memory.get() != nullptr);
}

static void locals()
{
    std::error_code error;
    tls::local<int> zero(error);
    CHECK(*zero.get(error) == 0 && !error);
    tls::local<std::atomic<int>> seven(tls::options<std::atomic<int>>().enumerable().any_thread_destroys(),
                                       [] { return std::atomic<int>(7); }, error);
    CHECK(!error);
    int there = 0, sum = 0, count = 0;
    std::thread([&] {
        std::error_code own;
        there = *seven.get(own);
        *seven.get(own) = 8;
        seven.all_threads().for_each([&](std::atomic<int> &value) { sum += value; count++; }, own);
        CHECK(!own);
        seven.all_threads().for_each_locked([&](std::atomic<int> &value) { sum += value; count++; }, own);
        CHECK(!own);
    }).join();
    CHECK(there == 7 && sum == 16 && count == 2);
    CHECK(seven.get_existing() == nullptr);
    CHECK(*seven.get(error) == 7);
    CHECK(seven.all_threads().reduce(1, [](int a, const std::atomic<int> &b) { return a + b; }, error) == 8);
    CHECK(seven.all_threads().collect([](const std::atomic<int> &b) { return b.load(); }, error).size() == 1);
    CHECK(seven.clear(error) == 1 && !error);
    seven.reset(std::make_unique<std::atomic<int>>(9), error);
    CHECK(*seven.exchange(std::make_unique<std::atomic<int>>(10), error) == 9);
    CHECK(*seven.try_exchange_for(std::make_unique<std::atomic<int>>(11), std::chrono::seconds(1), error) == 10);
    CHECK(*seven.try_release_for(std::chrono::milliseconds(0), error) == 11 && !error);
    CHECK(seven.release(error) == nullptr && !error);

    tls::local<int> none(tls::options<int>(), [] { return std::unique_ptr<int>(); }, error);
    CHECK(none.get(error) == nullptr && error == tls::errc::init);
    CHECK(error.message() == tls_strerror(TLS_ERR_INIT));
}

static void threads()
{
    int exits = 0;
    std::thread([&] {
        std::error_code error;
        tls::at_thread_exit([&, own = std::make_unique<int>(1)] { exits += *own; }, error);
        CHECK(!error);
    }).join();
    CHECK(exits == 1);
    CHECK(tls::expunge() == 0);

    std::error_code error;
    tls::thread_local_ptr<int> pointer(error);
    pointer.reset(new int(1), error);
    int taken = 0;
    tls::take_all([&](tls_key_t key, void *value) {
        if (const std::unique_ptr<int> own{pointer.taken(key, value)}) taken += *own;
    }, error);
    CHECK(!error && taken == 1 && !pointer);
}

int main()
{
    pointers();
    locals();
    threads();
    return tls_thread_detach();
}
