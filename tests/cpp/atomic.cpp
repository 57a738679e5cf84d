// SPDX-License-Identifier: MIT OR Apache-2.0
// tls::atomic_ptr: what users of RocksDB's ThreadLocalPtr expect.
#include "support.hpp"

#include <cstdint>
#include <memory>
#include <set>
#include <string>

using tls::atomic_ptr;
using tls::reason;

TEST_CASE("each thread has a pointer of its own, which can be exchanged", "[atomic]")
{
    ledger book;
    atomic_ptr<counted> pointer;
    worker other;
    CHECK(pointer.get() == nullptr);
    CHECK_FALSE(pointer);
    auto *const first = new counted(book, 1);
    CHECK(pointer.exchange(first) == nullptr);
    CHECK(pointer.get() == first);
    CHECK(other.ask([&] { return pointer.get(); }) == nullptr);
    auto *const second = new counted(book, 2);
    CHECK(pointer.exchange(second) == first);
    delete first;
    pointer.reset(second);
    CHECK(book.alive() == 1);
    pointer.reset(new counted(book, 3));
    CHECK(book.alive() == 1);
    pointer.reset();
    CHECK(book.alive() == 0);
    CHECK(pointer.get() == nullptr);
}

TEST_CASE("compare_exchange puts a value in the place of the expected one only", "[atomic]")
{
    int a = 1, b = 2;
    atomic_ptr<int> pointer(nullptr);
    int *expected = nullptr;
    CHECK(pointer.compare_exchange(expected, &a));
    CHECK_FALSE(pointer.compare_exchange(expected, &b));
    CHECK(expected == &a);
    CHECK(pointer.compare_exchange(expected, &b));
    CHECK(pointer.get() == &b);
}

TEST_CASE("what threads have ends with them, and with the object, and why is told", "[atomic]")
{
    std::vector<reason> ended;
    std::mutex mutex;
    {
        atomic_ptr<int> pointer([&](int *value, reason why) {
            const std::lock_guard<std::mutex> guard(mutex);
            ended.push_back(why);
            delete value;
        });
        worker other;
        other.ask([&] { pointer.exchange(new int(1)); });
        other.end();
        pointer.reset(new int(2));
        pointer.reset(new int(3));
        pointer.reset();
        pointer.exchange(new int(4));
    }
    CHECK(ended == std::vector<reason>{reason::thread_exit, reason::replaced, reason::removed, reason::key_dead});
}

TEST_CASE("scrape takes every thread's pointer and puts a replacement in its place", "[atomic]")
{
    ledger book;
    static int obsolete;
    auto *const marker = reinterpret_cast<counted *>(&obsolete);
    atomic_ptr<counted> pointer(tls::presets::rocksdb, [&](counted *value) {
        if (value != marker) delete value;
    });
    worker first, second, idle;
    first.ask([&] { pointer.exchange(new counted(book, 1)); });
    second.ask([&] { pointer.exchange(new counted(book, 2)); });
    second.ask([&] { delete pointer.exchange(nullptr); });
    pointer.exchange(new counted(book, 3));
    std::multiset<int> taken;
    pointer.scrape([&](counted *old) { taken.insert(old->number); delete old; }, marker);
    CHECK(taken == std::multiset<int>{1, 3});
    CHECK(first.ask([&] { return pointer.get(); }) == marker);
    CHECK(second.ask([&] { return pointer.get(); }) == nullptr);
    CHECK(idle.ask([&] { return pointer.get(); }) == nullptr);
    counted *expected = nullptr;
    CHECK_FALSE(pointer.compare_exchange(expected, nullptr));
    CHECK(expected == marker);
    int markers = 0;
    pointer.for_each([&](counted *each) { markers += each == marker; });
    CHECK(markers == 2);
    pointer.scrape([](counted *) {});
    CHECK(pointer.get() == nullptr);
    CHECK(book.alive() == 0);
}

TEST_CASE("a function that throws in a scrape has taken that pointer, and no other", "[atomic][exceptions]")
{
    ledger book;
    atomic_ptr<counted> pointer;
    worker first, second;
    first.ask([&] { pointer.exchange(new counted(book)); });
    second.ask([&] { pointer.exchange(new counted(book)); });
    CHECK_THROWS_AS(pointer.scrape([](counted *old) { delete old; throw std::string("x"); }), std::string);
    CHECK(book.alive() == 1);
}

TEST_CASE("scopes leave the pointers alone, and they are not inherited", "[atomic]")
{
    int a = 1;
    atomic_ptr<int> pointer(nullptr);
    {
        const tls::scope inside;
        pointer.exchange(&a);
    }
    CHECK(pointer.get() == &a);
    CHECK(error_of([] { atomic_ptr<int> refused(tls::options<int>().inherited()); }) == tls::errc::invalid);
    try {
        atomic_ptr<int> refused(tls::options<int>().inherited());
    } catch (const std::system_error &error) {
        CHECK(std::string(error.what()).find("tls::atomic_ptr: inherited() is not for pointers") == 0);
    }
}

TEST_CASE("pointers that nobody owns: null is a deleter, by each of its names", "[atomic]")
{
    int a = 1;
    std::error_code error;
    atomic_ptr<int> first(NULL), second(nullptr), third(tls::options<int>(), NULL),
        fourth(tls::presets::rocksdb, nullptr), fifth(tls::presets::rocksdb, NULL, error);
    CHECK_FALSE(error);
    for (atomic_ptr<int> *each : {&first, &second, &third, &fourth, &fifth}) {
        each->reset(&a);
        CHECK(each->get() == &a);
    }
    atomic_ptr deduced(tls::options<int>().name("deduced"));
    static_assert(std::is_same_v<decltype(deduced), atomic_ptr<int>>);
    atomic_ptr<int> owned(tls::options<>().name("owned"), error);
    CHECK_FALSE(error);
    owned.exchange(new int(2));
    CHECK(a == 1);
}

TEST_CASE("pointers follow a moved object; one that was moved from says so", "[atomic]")
{
    ledger book;
    atomic_ptr<counted> first;
    worker other;
    first.exchange(new counted(book, 1));
    other.ask([&] { first.exchange(new counted(book, 2)); });
    atomic_ptr<counted> second(std::move(first));
    CHECK(second.get()->number == 1);
    CHECK(other.ask([&] { return second.get()->number; }) == 2);
    CHECK(first.get() == nullptr);
    CHECK(error_of([&] { first.exchange(nullptr); }) == tls::errc::bad_key);
    CHECK(error_of([&] { first.scrape([](counted *) {}); }) == tls::errc::bad_key);
    first.reset();
    first = atomic_ptr<counted>();
    swap(first, second);
    CHECK(first.get()->number == 1);
    CHECK(error_of([&] { first.reset(nullptr); }) == std::error_code());
    other.end();
    CHECK(book.alive() == 0);
}

TEST_CASE("a destructor uses the pointer that ends, its own and others", "[atomic]")
{
    ledger book;
    struct again {
        atomic_ptr<again> &self;
        int left;
        counted life;
        ~again()
        {
            std::error_code error;
            if (left == 0) return;
            auto *const more = new again{self, left - 1, life};
            again *const old = self.exchange(more, error);
            delete (error ? more : old);
        }
    };
    {
        atomic_ptr<again> pointer;
        std::thread([&] { pointer.exchange(new again{pointer, 2, counted(book)}); }).join();
        pointer.reset(new again{pointer, 2, counted(book)});
        pointer.reset();
        pointer.reset();
        pointer.reset(new again{pointer, 2, counted(book)});
    }
    CHECK(book.alive() == 0);
}

TEST_CASE("a version is cached and scraped by many threads: each is dropped once", "[atomic][threads]")
{
    struct version {
        std::atomic<int> users{1};
        std::atomic<int> &alive;
        explicit version(std::atomic<int> &count) : alive(count) { alive++; }
        ~version() { alive--; }
    };
    static version *const none = nullptr;
    std::atomic<int> alive{0}, wrong{0};
    const auto drop = [](version *old) { if (--old->users == 0) delete old; };
    {
        static char in_use_storage, obsolete_storage;
        auto *const in_use = reinterpret_cast<version *>(&in_use_storage);
        auto *const obsolete = reinterpret_cast<version *>(&obsolete_storage);
        std::mutex mutex;
        version *current = new version(alive);
        atomic_ptr<version> cached(tls::presets::rocksdb, [&](version *old) {
            if (old != in_use && old != obsolete) drop(old);
        });
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; i++) {
            threads.emplace_back([&] {
                for (int round = 0; round < repetitions(5000); round++) {
                    version *mine = cached.exchange(in_use);
                    if (mine == none || mine == obsolete) {
                        const std::lock_guard<std::mutex> guard(mutex);
                        mine = current;
                        mine->users++;
                    }
                    if (mine == in_use) wrong++;
                    if (mine->users < 1) wrong++;
                    version *expected = in_use;
                    if (!cached.compare_exchange(expected, mine)) {
                        if (expected != obsolete) wrong++;
                        drop(mine);
                    }
                }
            });
        }
        for (int round = 0; round < repetitions(300); round++) {
            version *const next = new version(alive);
            version *old = nullptr;
            {
                const std::lock_guard<std::mutex> guard(mutex);
                old = std::exchange(current, next);
            }
            cached.scrape([&](version *each) {
                if (each != in_use && each != obsolete) drop(each);
            }, obsolete);
            drop(old);
            std::this_thread::yield();
        }
        for (std::thread &each : threads) each.join();
        drop(current);
    }
    CHECK(wrong == 0);
    CHECK(alive == 0);
}

TEST_CASE("what a thread exchanges comes out once, there or in one of two scrapes", "[atomic][threads]")
{
    static char first[1];
    atomic_ptr<char> pointer(nullptr);
    std::atomic<std::uintptr_t> out{0}; // The sum of all that came out.
    std::atomic<int> scraped{0};
    std::atomic<bool> done{false};
    const auto take = [&](char *value) { out += reinterpret_cast<std::uintptr_t>(value); };
    std::vector<std::thread> others;
    for (int i = 0; i < 2; i++) {
        others.emplace_back([&] {
            while (!done) pointer.scrape([&](char *value) { take(value); scraped++; });
        });
    }
    std::uintptr_t in = 0;
    const int enough = repetitions(20000);
    for (std::uintptr_t i = 0; scraped < enough; i++) {
        const std::uintptr_t next = reinterpret_cast<std::uintptr_t>(first) + i;
        in += next;
        char *const old = pointer.exchange(reinterpret_cast<char *>(next)); // Nobody reads what is there.
        if (old != nullptr) take(old);
        if (i % 1000 == 0) std::this_thread::yield();
    }
    done = true;
    for (std::thread &each : others) each.join();
    pointer.scrape(take);
    CHECK(in == out);
}
