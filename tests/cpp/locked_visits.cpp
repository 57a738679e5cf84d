// SPDX-License-Identifier: MIT OR Apache-2.0
// all_threads().for_each_locked(): all values as they are at one instant, and what its function may do.
#include "support.hpp"

#include <algorithm>
#include <memory>
#include <string>

using tls::local;
using tls::options;
using tls::thread_local_ptr;

namespace {

// What a locked visit has met, in order of size.
template <class Object>
std::vector<int> met_in(const Object &object)
{
    std::vector<int> met;
    object.all_threads().for_each_locked([&](const int &each) { met.push_back(each); });
    std::sort(met.begin(), met.end());
    return met;
}

void drop(int *value) { delete value; }

// Sets the calling thread's value: with a deleter of its own, so in a box, or plain.
void set(thread_local_ptr<int> &pointer, int value, bool boxed)
{
    if (boxed) pointer.reset(new int(value), drop);
    else pointer.reset(new int(value));
}

// Not by worker::ask(): that waits.
template <class Condition>
void until(Condition condition)
{
    while (!condition()) std::this_thread::yield();
}

} // namespace

TEST_CASE("a locked visit meets each value once, with its thread", "[locked]")
{
    local<int> value(options<int>().enumerable());
    CHECK(met_in(value).empty());
    worker first, second;
    *value = 1;
    first.ask([&] { *value = 10; });
    second.ask([&] { *value = 100; });
    CHECK(met_in(value) == std::vector<int>{1, 10, 100});

    std::vector<std::uint64_t> threads;
    std::error_code error = make_error_code(tls::errc::busy);
    value.all_threads().for_each_locked([&](int &, std::uint64_t thread) { threads.push_back(thread); }, error);
    CHECK_FALSE(error);
    std::sort(threads.begin(), threads.end());
    CHECK(threads.size() == 3);
    CHECK(std::unique(threads.begin(), threads.end()) == threads.end());

    first.end();
    second.ask([&] { value.reset(); });
    CHECK(met_in(value) == std::vector<int>{1});
}

TEST_CASE("a locked visit meets values with and without a deleter of their own", "[locked]")
{
    thread_local_ptr<int> value(options<int>().enumerable());
    worker first, second;
    first.ask([&] { set(value, 10, true); });
    second.ask([&] { set(value, 100, false); });
    value.reset(std::make_shared<int>(1));
    CHECK(met_in(value) == std::vector<int>{1, 10, 100});
    first.ask([&] { set(value, 20, false); });
    second.ask([&] { set(value, 200, true); });
    CHECK(met_in(value) == std::vector<int>{1, 20, 200});
}

TEST_CASE("after a function that throws in a locked visit, nothing is locked", "[locked][exceptions]")
{
    for (const bool boxed : {false, true}) {
        thread_local_ptr<int> value(options<int>().enumerable());
        worker first, second;
        first.ask([&] { set(value, 1, boxed); });
        second.ask([&] { set(value, 2, boxed); });
        int calls = 0;
        const auto throwing = [&](int &) {
            calls++;
            throw std::string("enough");
        };
        CHECK_THROWS_AS(value.all_threads().for_each_locked(throwing), std::string);
        CHECK(calls == 1);
        std::error_code error = make_error_code(tls::errc::busy);
        CHECK_THROWS_AS(value.all_threads().for_each_locked(throwing, error), std::string);
        CHECK_FALSE(error);
        CHECK(calls == 2);
        // In a handler, too: what has been thrown comes out when the locks have been given back.
        try {
            value.all_threads().for_each_locked(throwing);
        } catch (const std::string &) {
            first.ask([&] { set(value, 10, !boxed); });
            set(value, 100, boxed);
        }
        second.end();
        CHECK(met_in(value) == std::vector<int>{10, 100});
    }
}

TEST_CASE("what needs a lock is refused inside of a locked visit", "[locked]")
{
    local<int> value(options<int>().enumerable().any_thread_destroys()), none;
    thread_local_ptr<int> pointer;
    *value = 1;
    pointer.reset(new int(2));
    const auto all = value.all_threads();
    std::vector<std::error_code> refused;
    std::string text;
    bool read = false;
    all.for_each_locked([&](int &own) {
        read = value.get() == &own && value.get_existing() == &own && *value == 1 && *pointer == 2 &&
               none.get_existing() == nullptr;
        const auto nothing = [](int &) {};
        refused.push_back(error_of([&] { all.for_each(nothing); }));
        refused.push_back(error_of([&] { all.for_each_locked(nothing); }));
        refused.push_back(error_of([&] { all.size(); }));
        refused.push_back(error_of([&] { value.reset(std::make_unique<int>(3)); }));
        refused.push_back(error_of([&] { value.release(); }));
        refused.push_back(error_of([&] { value.clear(); }));
        refused.push_back(error_of([&] { pointer.reset(new int(3)); }));
        refused.push_back(error_of([&] { pointer.reset(new int(3), drop); }));
        refused.push_back(error_of([&] { none.get(); }));
        refused.push_back(error_of([&] { local<int> another; }));
        std::error_code error;
        all.for_each_locked(nothing, error);
        refused.push_back(error);
        try {
            all.for_each_locked(nothing);
        } catch (const std::system_error &inside) {
            text = inside.what();
        }
        value.reset();
        if (tls::expunge() != 0) throw std::string("expunged");
    });
    CHECK(read);
    CHECK(refused.size() == 11);
    for (const std::error_code &each : refused) CHECK(each == tls::errc::reentrant);
    CHECK(text.find("tls::all_threads_view::for_each_locked: not inside for_each_locked()") == 0);
    CHECK(*value == 1);
    CHECK(*pointer == 2);

    // What is refused comes out of the visit, if its function lets it out.
    CHECK(error_of([&] { all.for_each_locked([&](int &) { none.get(); }); }) == tls::errc::reentrant);
    CHECK(*none == 0);
}

TEST_CASE("a locked visit of what is not enumerable, or has gone, is refused", "[locked]")
{
    local<int> plain;
    CHECK(error_of([&] { plain.all_threads().for_each_locked([](int &) {}); }) == tls::errc::invalid);
    auto gone = std::make_unique<local<int>>(options<int>().enumerable());
    const auto view = gone->all_threads();
    gone.reset();
    std::error_code error;
    view.for_each_locked([](int &) {}, error);
    CHECK(error == tls::errc::dead_key);
}

TEST_CASE("who sets or removes waits until a locked visit is over", "[locked][threads]")
{
    thread_local_ptr<int> value(options<int>().enumerable());
    std::atomic<int> ready{0}, through{0};
    std::atomic<bool> inside{false};
    const auto owner = [&](bool boxed, bool removes) {
        set(value, 1, boxed);
        ready++;
        until([&] { return inside.load(); });
        if (removes) value.reset();
        else set(value, 2, boxed);
        through++;
    };
    std::thread threads[] = {std::thread(owner, false, false), std::thread(owner, true, false),
                             std::thread(owner, false, true), std::thread(owner, true, true)};
    until([&] { return ready == 4; });
    int sum = 0, early = 0;
    value.all_threads().for_each_locked([&](int &each) {
        inside = true;
        for (int i = 0; i < 500; i++) std::this_thread::yield();
        sum += each;
        early += through;
    });
    for (std::thread &each : threads) each.join();
    CHECK(sum == 4);
    CHECK(early == 0);
    CHECK(through == 4);
}

TEST_CASE("all values of a locked visit are of one instant", "[locked][threads]")
{
    for (const bool boxed : {false, true}) {
        thread_local_ptr<int> value(options<int>().enumerable());
        std::atomic<int> turn{0}, taken{-1}, ready{0}, given{0};
        std::atomic<bool> stop{false};
        // Who has the token gives it to the other one, who has it before this one has it no more.
        const auto player = [&](int me) {
            set(value, me == 0 ? 1 : 0, boxed);
            ready++;
            while (!stop) {
                if (turn != me) {
                    std::this_thread::yield();
                    continue;
                }
                if (taken != me) {
                    set(value, 1, boxed);
                    taken = me;
                }
                // It keeps it for a moment; then it is the other one's turn to take it.
                for (int waits = 0; waits < 20; waits++) std::this_thread::yield();
                turn = 1 - me;
                until([&] { return taken == 1 - me || stop; });
                if (stop) break;
                set(value, 0, boxed);
                given++;
            }
        };
        std::thread threads[] = {std::thread(player, 0), std::thread(player, 1)};
        until([&] { return ready == 2; });
        int none = 0, wrong = 0;
        for (int i = 0; i < repetitions(1000); i++) {
            int sum = 0, visits = 0;
            value.all_threads().for_each_locked([&](const int &each) {
                sum += each;
                if (++visits == 2) return;
                // Time to give the token away from what comes next, if anybody could.
                const int before = given;
                for (int waits = 0; given == before && waits < 100; waits++) std::this_thread::yield();
            });
            none += sum == 0;
            wrong += visits != 2 || sum > 2;
        }
        stop = true;
        for (std::thread &each : threads) each.join();
        CHECK(none == 0);
        CHECK(wrong == 0);
    }
}
