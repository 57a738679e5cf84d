// SPDX-License-Identifier: MIT OR Apache-2.0
// tls::scope, tls::context and tls::task: a worker is after a task what it was before it.
#include "support.hpp"

#include <threadlocalmap/shared_task.hpp>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>

using tls::context;
using tls::local;
using tls::options;
using tls::scope;
using tls::thread_local_ptr;

TEST_CASE("what a scope makes and sets ends with it, and what it hid is back", "[tasks]")
{
    ledger book;
    local<counted> outer(std::in_place, std::ref(book)), inner(std::in_place, std::ref(book));
    outer->number = 1;
    {
        const scope here;
        CHECK(outer->number == 1);
        outer.reset(std::make_unique<counted>(book, 2));
        CHECK(outer->number == 2);
        inner->number = 3;
        {
            const scope deeper;
            inner.reset(std::make_unique<counted>(book, 4));
            CHECK(inner->number == 4);
        }
        CHECK(inner->number == 3);
        CHECK(book.alive() == 3);
    }
    CHECK(outer->number == 1);
    CHECK(inner.get_existing() == nullptr);
    CHECK(book.alive() == 1);
}

TEST_CASE("values with and without a deleter hide each other in a scope", "[tasks]")
{
    std::vector<std::pair<int, tls::reason>> ended;
    const auto deleter = [&](int *value, tls::reason why) {
        ended.emplace_back(*value, why);
        delete value;
    };
    thread_local_ptr<int> pointer;
    pointer.reset(new int(1));
    {
        const scope here;
        pointer.reset(new int(2), deleter);
        CHECK(*pointer == 2);
    }
    CHECK(*pointer == 1);
    pointer.reset(new int(3), deleter);
    {
        const scope here;
        pointer.reset(new int(4));
        CHECK(*pointer == 4);
        pointer.reset();
        CHECK(pointer.get() == nullptr);
        CHECK(pointer.release() == nullptr);
    }
    CHECK(*pointer == 3);
    CHECK(ended == std::vector<std::pair<int, tls::reason>>{{2, tls::reason::scope_end}});
}

TEST_CASE("a scope leaves a worker's own values alone", "[tasks]")
{
    local<int> cache(options<int>().worker());
    {
        const scope here;
        *cache = 5;
    }
    CHECK(*cache == 5);
}

TEST_CASE("a context has the inherited values of the moment it was captured in", "[tasks]")
{
    ledger book;
    local<counted> inherited(options<counted>().inherited(), std::in_place, std::ref(book));
    local<counted> own(std::in_place, std::ref(book));
    local<int> unset(options<int>().inherited());
    worker other;
    inherited->number = 1;
    own->number = 1;
    {
        const context along;
        inherited->number = 2;
        for (int round = 0; round < 2; round++) {
            const auto [found, owned, missing] = other.ask([&] {
                const scope here(along);
                return std::make_tuple(std::exchange(inherited->number, 7), own->number,
                                       unset.get_existing() == nullptr);
            });
            CHECK(found == 1);
            CHECK(owned == 0);
            CHECK(missing);
        }
    }
    CHECK(book.alive() == 2);
}

TEST_CASE("a value with a deleter of its own is inherited, too", "[tasks]")
{
    thread_local_ptr<std::string> pointer(options<std::string>().inherited());
    int ended = 0;
    pointer.reset(new std::string("x"), [&](std::string *value) { ended++; delete value; });
    worker other;
    {
        const context along;
        const auto found = other.ask([&] {
            const scope here(along);
            *pointer += "y";
            return *pointer;
        });
        CHECK(found == "xy");
    }
    CHECK(*pointer == "x");
    CHECK(ended == 0);
}

TEST_CASE("a copy that can't be made is reported, and the context is not made", "[tasks][exceptions]")
{
    struct alone {
        alone() = default;
        alone(const alone &) { throw std::string("no copies"); }
    };
    local<alone> value(options<alone>().inherited());
    CHECK_NOTHROW(context());
    value.get();
    CHECK(error_of([] { context(); }) == tls::errc::init);
    CHECK(error_of([] { tls::task([] {}); }) == tls::errc::init);
}

TEST_CASE("a task leaves its worker as it found it", "[tasks]")
{
    ledger book;
    local<counted> value(std::in_place, std::ref(book));
    worker other;
    other.ask([&] { value->number = 1; });
    tls::task task([&] {
        value.reset(std::make_unique<counted>(book, 2));
        return value->number;
    });
    CHECK(other.ask([&] { return task(); }) == 2);
    CHECK(other.ask([&] { return value->number; }) == 1);
    CHECK(book.alive() == 1);
}

TEST_CASE("a task expunges at its end", "[tasks]")
{
    ledger book;
    worker other;
    tls::task task([] {});
    {
        local<counted> value(std::in_place, std::ref(book));
        other.ask([&] { value.get(); });
    }
    CHECK(book.alive() == 1);
    other.ask([&] { task(); });
    CHECK(book.alive() == 0);
}

TEST_CASE("a task takes inherited values along, and they are its own", "[tasks]")
{
    local<int> user(options<int>().inherited());
    *user = 42;
    tls::task task([&] { return std::exchange(*user, 0); });
    *user = 43;
    CHECK(std::async(std::launch::async, std::move(task)).get() == 42);
    CHECK(*user == 43);
}

TEST_CASE("a task has its function's arguments, result and exceptions", "[tasks][exceptions]")
{
    CHECK(tls::task([](int a, std::string b) { return b + std::to_string(a); })(1, "x") == "x1");
    int target = 0;
    int &reference = tls::task([&]() -> int & { return target; })();
    CHECK(&reference == &target);
    auto unique = tls::task([](std::unique_ptr<int> given) { return given; })(std::make_unique<int>(3));
    CHECK(*unique == 3);
    CHECK_THROWS_AS(tls::task([] { throw std::string("thrown"); })(), std::string);
    tls::task nothing([] {});
    static_assert(std::is_void_v<decltype(nothing())>);
}

TEST_CASE("a task fits what takes functions that can only be moved", "[tasks]")
{
    int ran = 0;
    auto function = [&, own = std::make_unique<int>(1)] { ran += *own; return ran; };
    SECTION("std::thread")
    {
        std::thread(tls::task(std::move(function))).join();
    }
    SECTION("std::async")
    {
        CHECK(std::async(std::launch::async, tls::task(std::move(function))).get() == 1);
    }
    SECTION("std::packaged_task")
    {
        std::packaged_task<int()> packaged(tls::task(std::move(function)));
        auto result = packaged.get_future();
        worker other;
        other.ask([&] { packaged(); });
        CHECK(result.get() == 1);
    }
    SECTION("std::function, by a shared_ptr")
    {
        auto shared = std::make_shared<tls::task<decltype(function)>>(std::move(function));
        const std::function<void()> copyable = [shared] { (*shared)(); };
        copyable();
    }
    CHECK(ran == 1);
}

TEST_CASE("a task that is never called drops what it took along", "[tasks]")
{
    ledger book;
    const auto held = std::make_shared<int>(1);
    local<counted> value(options<counted>().inherited(), std::in_place, std::ref(book));
    value.get();
    {
        tls::task first([held] {});
        tls::task second(std::move(first));
        CHECK(book.alive() == 2);
        CHECK_FALSE(first);
        CHECK(second);
        CHECK(held.use_count() == 2);
    }
    CHECK(book.alive() == 1);
    CHECK(held.use_count() == 1);
}

TEST_CASE("of all copies of a shared task one is called, and only once", "[tasks]")
{
    tls::shared_task task([] { return 7; });
    const auto copy = task;
    CHECK(copy() == 7);
    CHECK(error_of([&] { task(); }) == tls::errc::invalid);
    const auto moved = std::move(task);
    CHECK(error_of([&] { task(); }) == tls::errc::invalid);
    CHECK(error_of([&] { moved(); }) == tls::errc::invalid);
}

TEST_CASE("a task is called once", "[tasks]")
{
    tls::task task([] {});
    task();
    CHECK_FALSE(task);
    CHECK(error_of([&] { task(); }) == tls::errc::invalid);
}

TEST_CASE("many tasks on a few workers keep nothing", "[tasks][threads]")
{
    ledger book;
    local<counted> request(options<counted>().inherited(), std::in_place, std::ref(book));
    local<counted> scratch(std::in_place, std::ref(book));
    std::atomic<bool> right{true};
    {
        worker workers[3];
        const int count = repetitions(3000);
        for (int i = 0; i < count; i++) {
            request->number = i;
            tls::task task([&, i] {
                if (request->number != i || scratch->number != 0) right = false;
                scratch->number = i + 1;
            });
            workers[i % 3].ask([&] { task(); });
        }
        CHECK(book.alive() == 1);
    }
    CHECK(right);
}

TEST_CASE("of copies of a shared task that are called at the same time one is called", "[tasks]")
{
    for (int round = 0; round < 2000; round++) {
        std::atomic<int> ran{0}, refused{0}, ready{0};
        tls::shared_task task([&] { ran++; });
        const auto call = [&] {
            const auto copy = task;
            ready++;
            while (ready < 2) {
            }
            if (error_of([&] { copy(); })) refused++;
        };
        std::thread other(call);
        call();
        other.join();
        REQUIRE(ran == 1);
        REQUIRE(refused == 1);
    }
}
