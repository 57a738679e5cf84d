// SPDX-License-Identifier: MIT OR Apache-2.0
// tls::map: the values of a coroutine, on whatever thread it runs.
#include "support.hpp"

#include <future>
#include <memory>
#include <thread>

#if defined(__cpp_impl_coroutine)
#include <coroutine>
#endif

using tls::local;

TEST_CASE("a map's values go with it, and the thread's own are back after it", "[map]")
{
    ledger book;
    local<counted> value(std::in_place, std::ref(book));
    worker other;
    value->number = 1;
    {
        tls::map own;
        {
            const tls::map::guard inside(own);
            CHECK(value.get_existing() == nullptr);
            value->number = 2;
        }
        CHECK(value->number == 1);
        CHECK(other.ask([&] {
            const tls::map::guard inside(own);
            return value->number;
        }) == 2);
        CHECK(other.ask([&] { return value.get_existing(); }) == nullptr);
        tls::map moved(std::move(own));
        const tls::map::guard inside(moved);
        CHECK(value->number == 2);
    }
    CHECK(value->number == 1);
    CHECK(book.alive() == 1);
}

TEST_CASE("a map is one thread's at a time", "[map]")
{
    tls::map own;
    worker other;
    const tls::map::guard inside(own);
    CHECK(other.ask([&] { return error_of([&] { tls::map::guard refused(own); }); }) == tls::errc::busy);
}

TEST_CASE("a map hears of objects that go while no thread is in it", "[map]")
{
    ledger book;
    tls::map own;
    {
        local<counted> value(std::in_place, std::ref(book));
        const tls::map::guard inside(own);
        value.get();
    }
    // Ended by its object, which went on a thread that was not in the map any more.
    CHECK(tls::expunge() == 0);
    {
        const tls::map::guard inside(own);
        CHECK(tls::expunge() + static_cast<std::size_t>(book.ended) >= 1);
    }
    CHECK(book.alive() == 0);
}

TEST_CASE("a map is destroyed by a thread that is in it", "[map]")
{
    ledger book;
    local<counted> value(std::in_place, std::ref(book));
    auto own = std::make_unique<tls::map>();
    REQUIRE(tls_map_switch(own->native_handle(), nullptr) == TLS_OK);
    value.get();
    own.reset();
    CHECK(tls_map_current() == nullptr);
    CHECK(book.alive() == 0);
}

#if defined(__cpp_impl_coroutine)
namespace {

// A coroutine with a map of its own: each resume() is in it, on whatever thread.
class routine {
public:
    struct promise_type {
        tls::map own;
        routine get_return_object() { return routine(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };

    explicit routine(std::coroutine_handle<promise_type> own) : handle(own) {}
    routine(routine &&other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
    ~routine()
    {
        if (handle) handle.destroy();
    }

    bool resume()
    {
        const tls::map::guard inside(handle.promise().own);
        handle.resume();
        return !handle.done();
    }

private:
    std::coroutine_handle<promise_type> handle;
};

// Counts in what it takes for a thread local.
routine count(local<int> &counter, std::vector<int> &found, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        found.push_back(++*counter);
        co_await std::suspend_always();
    }
}

} // namespace

TEST_CASE("coroutines that change threads keep their values, and keep them apart", "[map]")
{
    local<int> counter;
    std::vector<int> first_found, second_found;
    worker workers[3];
    {
        routine first = count(counter, first_found, 6), second = count(counter, second_found, 3);
        for (int i = 0; i < 6; i++) {
            workers[i % 3].ask([&] { return first.resume(); });
            if (i % 2 == 0) workers[(i + 1) % 3].ask([&] { return second.resume(); });
        }
    }
    CHECK(first_found == std::vector<int>{1, 2, 3, 4, 5, 6});
    CHECK(second_found == std::vector<int>{1, 2, 3});
    for (worker &each : workers) CHECK(each.ask([&] { return counter.get_existing(); }) == nullptr);
}
#endif

TEST_CASE("a guard of an object that was moved from returns to the map before", "[map]")
{
    tls::map outer, gone;
    const tls::map taken(std::move(gone));
    tls::local<int> number;
    const tls::map::guard in_outer(outer);
    *number = 1;
    {
        const tls::map::guard in_none(gone);
        CHECK(tls_map_current() == nullptr);
        *number = 2;
    }
    CHECK(tls_map_current() == outer.native_handle());
    CHECK(*number == 1);
}

TEST_CASE("a guard whose outer map another thread has entered says so, or goes to the thread's own map", "[map]")
{
    tls::map outer, inner;
    tls::local<int> number;
    *number = 100;
    std::promise<void> entered, out;
    std::thread other;
    std::error_code error;
    {
        const tls::map::guard in_outer(outer);
        *number = 1;
        {
            tls::map::guard in_inner(inner);
            *number = 2;
            other = std::thread([&] {
                const tls::map::guard there(outer);
                entered.set_value();
                out.get_future().wait();
            });
            entered.get_future().wait();
            in_inner.leave(error);
            CHECK(error == tls::errc::busy);
            CHECK(*number == 2);
        }
        CHECK(tls_map_current() == nullptr);
        CHECK(*number == 100);
        out.set_value();
        other.join();
    }
    CHECK(tls_map_current() == nullptr);
}
