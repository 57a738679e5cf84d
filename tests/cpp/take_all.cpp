// SPDX-License-Identifier: MIT OR Apache-2.0
// tls::take_all: every value of the thread is handed over, and none is ended. On threads of the tests
// alone: the main thread has values of other tests.
#include "support.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

using tls::local;
using tls::options;
using tls::thread_local_ptr;

TEST_CASE("take_all hands every value over, the youngest first, and none is ended", "[take_all]")
{
    int ended = 0;
    const auto deleter = [&](int *old) { ended++; delete old; };
    local<int> made([] { return 1; }, deleter);
    thread_local_ptr<int> plain(deleter), boxed;
    tls::atomic_ptr<int> shared(deleter);
    worker other;
    const auto order = other.ask([&] {
        made.get();
        plain.reset(new int(2));
        boxed.reset(new int(3), deleter);
        shared.reset(new int(4));
        std::vector<int> seen;
        tls::take_all([&](tls_key_t key, void *value) {
            if (const std::unique_ptr<int> own = made.taken(key, value)) seen.push_back(*own);
            for (const auto *each : {&plain, &boxed}) {
                if (const std::unique_ptr<int> own{each->taken(key, value)}) seen.push_back(*own);
            }
            if (const std::unique_ptr<int> own{shared.taken(key, value)}) seen.push_back(*own);
        });
        return seen;
    });
    CHECK(order == std::vector<int>{4, 3, 2, 1});
    CHECK(ended == 0);
    CHECK(other.ask([&] { return plain.get() == nullptr && boxed.get() == nullptr && shared.get() == nullptr; }));
    CHECK(other.ask([&] { return made.get_existing(); }) == nullptr);
    CHECK(other.ask([&] { return *made; }) == 1);
    other.end();
    CHECK(ended == 1);
}

TEST_CASE("taken knows nothing of another object's value, of null, and after a move", "[take_all]")
{
    local<int> value, other;
    thread_local_ptr<int> pointer;
    tls::atomic_ptr<int> shared;
    int number = 1;
    void *volatile foreign = &number; // Compilers see no further.
    CHECK(value.taken(other.native_handle(), foreign) == nullptr);
    CHECK(pointer.taken(other.native_handle(), foreign) == nullptr);
    CHECK(shared.taken(other.native_handle(), foreign) == nullptr);
    CHECK(pointer.taken(pointer.native_handle(), nullptr) == nullptr);
    CHECK(shared.taken(shared.native_handle(), nullptr) == nullptr);
    const tls_key_t before = value.native_handle();
    const local<int> moved(std::move(value));
    CHECK(value.taken(before, foreign) == nullptr);
    std::unique_ptr<int> own = moved.taken(before, foreign);
    CHECK(own.release() == &number);
}

TEST_CASE("take_all hands hidden and stale values over, and what is made meanwhile stays", "[take_all]")
{
    ledger book;
    worker other;
    auto gone = std::make_unique<thread_local_ptr<counted>>(options<counted>().explicitly_expunged());
    local<counted> value(std::in_place, std::ref(book)), late(std::in_place, std::ref(book));
    other.ask([&] { gone->reset(new counted(book)); });
    gone.reset();
    const auto [calls, is_late_there] = other.ask([&] {
        int count = 0;
        value.get();
        const tls::scope inside;
        value.reset(std::make_unique<counted>(book));
        tls::take_all([&](tls_key_t key, void *taken) {
            count++;
            late.get();
            if (!value.taken(key, taken)) delete static_cast<counted *>(taken);
        });
        return std::make_pair(count, late.get_existing() != nullptr && book.alive() == 1);
    });
    CHECK(calls == 3);
    CHECK(is_late_there);
    other.end();
    CHECK(book.alive() == 0);
}

TEST_CASE("take_all goes on when f throws, and its first exception comes out", "[take_all][exceptions]")
{
    ledger book;
    worker other;
    std::vector<local<counted>> values;
    for (int i = 0; i < 3; i++) values.emplace_back(std::in_place, std::ref(book), i);
    const auto found = other.ask([&] {
        for (const auto &each : values) each.get();
        std::vector<int> seen;
        const auto take = [&](tls_key_t key, void *value) {
            for (const auto &each : values) {
                if (const auto own = each.taken(key, value)) seen.push_back(own->number);
            }
            if (seen.size() < 3) throw std::to_string(seen.size());
        };
        std::string caught;
        try {
            tls::take_all(take);
        } catch (const std::string &thrown) {
            caught = thrown;
        }
        return std::make_pair(seen, caught);
    });
    CHECK(found.first == std::vector<int>{2, 1, 0});
    CHECK(found.second == "1");
    CHECK(book.alive() == 0);
    // The overload with an error code lets exceptions through as well.
    std::error_code error = tls::errc::busy;
    const auto take_with_error = [&] {
        values[0].get();
        tls::take_all([&](tls_key_t key, void *value) { values[0].taken(key, value); throw 1; }, error);
    };
    CHECK_THROWS_AS(other.ask(take_with_error), int);
    CHECK_FALSE(error);
}

TEST_CASE("take_all leaves a value that another thread visits, and says so", "[take_all]")
{
    ledger book;
    worker other;
    local<counted> visited(options<counted>().enumerable(), std::in_place, std::ref(book));
    local<counted> value(std::in_place, std::ref(book));
    other.ask([&] { visited.get(); value.get(); });
    std::error_code error;
    int taken = 0;
    const auto take = [&](tls_key_t key, void *each) { taken += value.taken(key, each) != nullptr; };
    visited.combine_each([&](counted &) { error = error_of([&] { other.ask([&] { tls::take_all(take); }); }); });
    CHECK(error == tls::errc::busy);
    CHECK(taken == 1);
    CHECK(other.ask([&] { return visited.get_existing(); }) != nullptr);
    CHECK(book.alive() == 1);
}

TEST_CASE("a thread exits inside take_all", "[take_all][cancelled]")
{
    static local<int> *values;
    local<int> both[2];
    values = both;
    pthread_t thread;
    void *result = nullptr;
    REQUIRE(pthread_create(&thread, nullptr, [](void *argument) -> void * {
        values[0].get();
        values[1].get();
        tls::take_all([&](tls_key_t key, void *value) {
            values[1].taken(key, value);
            pthread_exit(argument);
        });
        return nullptr;
    }, both) == 0);
    REQUIRE(pthread_join(thread, &result) == 0);
    CHECK(result == both);
}

TEST_CASE("the child of a fork lets go of what the parent will end", "[take_all][fork]")
{
    ledger book;
    {
        local<counted> value(std::in_place, std::ref(book));
        value.get();
        const pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            int count = 0;
            tls::take_all([&](tls_key_t key, void *each) { count += key == value.native_handle() && each != nullptr; });
            tls_thread_detach();
            _exit(count == 1 && book.ended == 0 ? 0 : 1);
        }
        int status = -1;
        REQUIRE(waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
    CHECK(book.alive() == 0);
}
