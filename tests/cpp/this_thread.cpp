// SPDX-License-Identifier: MIT OR Apache-2.0
// Cleanup of the calling thread: expunging, and hooks at its end.
#include "support.hpp"

#include <functional>
#include <memory>
#include <string>

TEST_CASE("expunge ends what dead objects have left, and says how much", "[this_thread]")
{
    ledger book;
    worker other;
    {
        tls::local<counted> first(std::in_place, std::ref(book)), second(std::in_place, std::ref(book)),
            third(std::in_place, std::ref(book));
        other.ask([&] { first.get(); second.get(); third.get(); });
    }
    CHECK(other.ask([] { return tls::expunge(2); }) == 2);
    CHECK(book.alive() == 1);
    CHECK(other.ask([] { return tls::expunge(); }) == 1);
    CHECK(other.ask([] { return tls::expunge(); }) == 0);
    CHECK(tls::expunge() == 0);
}

TEST_CASE("hooks run at the end of their thread, the latest first, before values end", "[this_thread]")
{
    std::vector<int> order;
    tls::thread_local_ptr<int> value([&](int *old) { order.push_back(*old); delete old; });
    worker leaving;
    leaving.ask([&] {
        value.reset(new int(3));
        tls::at_thread_exit([&] { order.push_back(2); });
        tls::at_thread_exit([&, own = std::make_unique<int>(1)] { order.push_back(*own); });
    });
    leaving.end();
    CHECK(order == std::vector<int>{1, 2, 3});
}

TEST_CASE("what a hook holds is gone when it has run", "[this_thread]")
{
    const auto held = std::make_shared<int>(1);
    worker leaving;
    leaving.ask([&] { tls::at_thread_exit([held] {}); });
    CHECK(held.use_count() == 2);
    leaving.end();
    CHECK(held.use_count() == 1);
}

TEST_CASE("values that are to be expunged explicitly end in no get and no reset", "[this_thread][options]")
{
    const auto left_after = [](tls::options<> asked, auto use) {
        bool locked = false; // Stands for a mutex that deleters would lock.
        int alive = 0, deadlocks = 0;
        const auto deleter = [&](int *old) {
            if (locked) deadlocks++;
            alive--;
            delete old;
        };
        worker other;
        {
            tls::local<int> number(asked, [&] { return new int(alive++); }, deleter);
            tls::thread_local_ptr<int> pointer(asked, deleter);
            tls::atomic_ptr<int> shared(asked, deleter);
            other.ask([&] {
                number.get();
                pointer.reset(new int(alive++));
                shared.reset(new int(alive++));
            });
        }
        other.ask([&] {
            locked = true;
            use();
            locked = false;
        });
        const int left = alive;
        CHECK(deadlocks == 3 - left);
        CHECK(other.ask([] { return tls::expunge(); }) == static_cast<std::size_t>(left));
        CHECK(alive == 0);
        return left;
    };
    tls::local<int> miss;
    tls::thread_local_ptr<int> first;
    const auto get = [&] { miss.get(); };
    const auto reset = [&] { first.reset(new int(1)); };
    CHECK(left_after(tls::options<>().explicitly_expunged(), get) == 3);
    CHECK(left_after(tls::options<>().explicitly_expunged(), reset) == 3);
    CHECK(left_after(tls::options<>(), get) == 0);
    CHECK(left_after(tls::options<>(), reset) == 0);
}

TEST_CASE("values that are to be expunged explicitly end with their scope, task, map and thread", "[this_thread][options]")
{
    ledger book;
    const auto made = [&] {
        return std::make_unique<tls::local<counted>>(tls::options<counted>().explicitly_expunged(), std::in_place,
                                                     std::ref(book));
    };
    worker other;
    // Makes a value on a thread where it is stale then; how many are left.
    const auto left_after_use = [&](worker &where) {
        auto object = made();
        where.ask([&] { object->get(); });
        object.reset();
        return book.alive();
    };
    SECTION("a scope")
    {
        auto object = made();
        other.ask([&] {
            const tls::scope inside;
            object->get();
            worker ends;
            ends.ask([&] { object.reset(); });
            if (book.alive() != 1) throw std::string("it ended too early");
        });
        CHECK(book.alive() == 0);
    }
    SECTION("a task, which expunges at its end")
    {
        CHECK(left_after_use(other) == 1);
        other.ask(tls::task([] {}));
        CHECK(book.alive() == 0);
    }
    SECTION("a map")
    {
        auto object = made();
        {
            tls::map map;
            other.ask([&] {
                const tls::map::guard inside(map);
                object->get();
            });
            object.reset();
            CHECK(book.alive() == 1);
        }
        CHECK(book.alive() == 0);
    }
    SECTION("a drain of another object")
    {
        CHECK(left_after_use(other) == 1);
        other.ask([] {
            std::error_code error;
            tls::local<int>().drain(0, error);
        });
        CHECK(book.alive() == 0);
    }
    SECTION("detaching")
    {
        CHECK(left_after_use(other) == 1);
        CHECK(other.ask([] { return tls_thread_detach(); }) == TLS_OK);
        CHECK(book.alive() == 0);
    }
    SECTION("the thread")
    {
        CHECK(left_after_use(other) == 1);
        other.end();
        CHECK(book.alive() == 0);
    }
}
