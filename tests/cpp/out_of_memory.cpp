// SPDX-License-Identifier: MIT OR Apache-2.0
// Memory runs out, at each single allocation of a call: it says so, nothing is lost, and made again
// with memory it works. A program of its own, because its allocator is everybody's.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../c/support/failing_malloc.h"

#include <cstdio>
#include <memory>
#include <new>
#include <optional>
#include <thread>
#include <vector>

#include <threadlocalmap.hpp>
#include <threadlocalmap/shared_task.hpp>

static void check(bool right, const char *text, int line)
{
    if (right) return;
    std::fprintf(stderr, "out_of_memory.cpp:%d: check failed: %s\n", line, text);
    std::abort();
}
#define CHECK(condition) check((condition), #condition, __LINE__)

static int alive;

struct value {
    value() { alive++; }
    value(const value &) = delete;
    ~value() { alive--; }
};

// Whether it has run out of memory in this call. What fails in another way is a failed check.
template <class Call>
static bool runs_out(Call call)
{
    try {
        call();
        return false;
    } catch (const std::system_error &error) {
        CHECK(error.code() == tls::errc::no_memory);
    } catch (const std::bad_alloc &) {
        // The call's own `new`, or an argument's.
    }
    return true;
}

// Makes the call on a new thread for each allocation that it makes, which fails, alone or with all
// that follow. Returns how many calls failed.
template <class Prepare, class Call>
static int starve(const char *name, Prepare prepare, Call call)
{
    int failures = 0;
    for (const fail_mode_t mode : {FAIL_ONCE, FAIL_ALWAYS}) {
        bool starved = true; // Set on the other thread.
        std::size_t number = 0;
        while (starved) {
            number++;
            std::thread([&] {
                auto object = prepare();
                fail_from(number, mode);
                const bool failed = runs_out([&] { call(object); });
                starved = fail_stop() != 0;
                failures += failed;
                CHECK(starved || !failed);
                CHECK(!runs_out([&] { call(object); }));
            }).join();
            CHECK(alive == 0);
        }
    }
    std::printf("%s: %d\n", name, failures);
    return failures;
}

// In a scope a reset hides the outer value, which takes memory too: what it says is what get() gives.
// `others`: values before it, so that some allocation makes a table grow.
static void an_inner_value_is_there_or_refused(std::size_t others)
{
    const auto deleter = [](value *old) { delete old; };
    for (std::size_t number = 1; number <= 6; number++) {
        std::thread([&] {
            std::vector<tls::thread_local_ptr<value>> before(others);
            for (auto &each : before) each.reset(new value);
            tls::thread_local_ptr<value> pointer;
            value *const outer = new value;
            value *const inner = new value;
            pointer.reset(outer);
            {
                const tls::scope scope;
                for (auto &each : before) each.reset(new value);
                std::error_code error;
                fail_from(number, FAIL_ONCE);
                pointer.reset(inner, deleter, error);
                fail_stop();
                CHECK(pointer.get() == (error ? outer : inner));
            }
            CHECK(pointer.get() == outer);
        }).join();
        CHECK(alive == 0);
    }
}

int main()
{
    for (std::size_t others = 0; others < 50; others++) an_inner_value_is_there_or_refused(others);

    const auto nothing = [] { return 0; };
    const auto with_pointer = [] { return std::make_unique<tls::thread_local_ptr<value>>(); };
    const auto with_local = [] { return std::make_unique<tls::local<value>>(); };
    const auto deleter = [](value *old) { delete old; };

    CHECK(starve("a pointer with a deleter", nothing,
                 [&](int) { tls::thread_local_ptr<value> made(deleter); }) > 0);
    CHECK(starve("a local", nothing, [](int) { tls::local<value> made; }) > 0);
    CHECK(starve("reset", with_pointer, [](auto &pointer) { pointer->reset(new value); }) > 0);
    CHECK(starve("reset with a deleter", with_pointer,
                 [&](auto &pointer) { pointer->reset(new value, deleter); }) > 0);
    CHECK(starve("reset with a unique_ptr", with_pointer,
                 [](auto &pointer) { pointer->reset(std::make_unique<value>()); }) > 0);
    CHECK(starve("get", with_local, [](auto &local) { local->get(); }) > 0);
    CHECK(starve("reset of a local", with_local,
                 [](auto &local) { local->reset(std::make_unique<value>()); }) > 0);
    alignas(8) static const char text[] = "text";
    const auto by_hand = [] { return std::make_unique<tls::thread_local_ptr<const char>>(nullptr); };
    CHECK(starve("reset of an odd address", by_hand, [](auto &pointer) { pointer->reset(text + 1); }) > 0);
    CHECK(starve("a local with a deleter", nothing,
                 [&](int) { tls::local<value> made([] { return new value; }, deleter); }) > 0);
    CHECK(starve("reset of a local by a pointer", with_local, [](auto &local) { local->reset(new value); }) > 0);
    CHECK(starve("an atomic_ptr", nothing, [](int) { tls::atomic_ptr<value> made; }) > 0);
    CHECK(starve("exchange of a pointer", by_hand, [](auto &pointer) { pointer->exchange(text + 1); }) > 0);
    CHECK(starve("exchange of a local", with_local,
                 [](auto &local) { local->exchange(std::make_unique<value>()); }) > 0);
    CHECK(starve("exchange", [] { return std::make_unique<tls::atomic_ptr<value>>(); }, [](auto &pointer) {
              auto own = std::make_unique<value>();
              delete pointer->exchange(own.get());
              (void)own.release();
          }) > 0);
    CHECK(starve("a snapshot", [] {
              auto made = std::make_unique<tls::local<long>>(tls::options<long>().enumerable());
              made->get();
              return made;
          }, [](auto &local) { local->all_threads().snapshot(); }) > 0);
    const auto task = [] { return 7; };
    CHECK(starve("a shared task", nothing, [&](int) { tls::shared_task made(task); }) > 0);
    CHECK(starve("a shared task with an error code", nothing, [&](int) {
              std::error_code error;
              // What it throws ends the program.
              const auto made = [&]() noexcept { return tls::shared_task(task, error); }();
              if (error) throw std::system_error(error);
              CHECK(made() == 7);
          }) > 0);
    CHECK(starve("at_thread_exit", nothing, [](int) { tls::at_thread_exit([] {}); }) > 0);
    return 0;
}
