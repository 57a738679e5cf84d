// SPDX-License-Identifier: MIT OR Apache-2.0
// all_threads(): what is visited, what is promised meanwhile, and what is refused.
#include "support.hpp"

#include <algorithm>
#include <memory>
#include <numeric>

#include <sys/syscall.h>
#include <unistd.h>

using tls::local;
using tls::options;
using tls::thread_local_ptr;

namespace {

using number = std::atomic<long>;

long sum_of(const tls::all_threads_view<number> &values)
{
    return values.reduce(0L, [](long sum, const number &value) { return sum + value; });
}

} // namespace

TEST_CASE("every thread's value is visited once, with the thread that has it", "[all_threads]")
{
    local<number> value(options<number>().enumerable());
    worker first, second;
    *value = 1;
    first.ask([&] { *value = 10; });
    second.ask([&] { *value = 100; });
    const auto own = static_cast<std::uint64_t>(syscall(SYS_gettid));

    CHECK(sum_of(value.all_threads()) == 111);
    auto found = value.all_threads().collect([](const number &each) { return each.load(); });
    std::sort(found.begin(), found.end());
    CHECK(found == std::vector<long>{1, 10, 100});

    std::uint64_t owner = 0;
    value.all_threads().for_each([&](number &each, std::uint64_t thread) {
        if (each == 1) owner = thread;
    });
    CHECK(owner == own);

    first.end();
    CHECK(sum_of(value.all_threads()) == 101);
}

namespace {

void drop(const int *value) { delete value; }

// Sets the owner's value, with a deleter of its own or without.
void set(thread_local_ptr<const int> &pointer, int value, bool with_deleter)
{
    if (with_deleter) pointer.reset(new int(value), drop);
    else pointer.reset(new int(value));
}

} // namespace

TEST_CASE("a thread that gets or loses a deleter during a visit is visited once", "[all_threads]")
{
    for (int way = 0; way < 8; way++) {
        thread_local_ptr<const int> value(options<const int>().enumerable());
        worker first, second;
        first.ask([&] { set(value, 1, (way & 1) != 0); });
        second.ask([&] { set(value, 2, (way & 2) != 0); });
        int met[3] = {};
        value.all_threads().for_each([&](const int &each) {
            if (met[1] + met[2] == 0) {
                worker &other = each == 1 ? second : first;
                const int same = each == 1 ? 2 : 1;
                other.ask([&] { set(value, same, (way & 4) != 0); });
            }
            met[each]++;
        });
        CAPTURE(way);
        CHECK(met[1] == 1);
        CHECK(met[2] == 1);
    }
}

TEST_CASE("a thread that replaces its value during every visit is visited once", "[all_threads]")
{
    for (const bool any : {false, true}) {
        auto kind = options<int>().enumerable();
        thread_local_ptr<int> value(any ? kind.any_thread_destroys() : kind);
        worker owner;
        owner.ask([&] { value.reset(new int(1)); });
        int visits = 0;
        value.all_threads().for_each([&](int &) {
            if (++visits < 10) owner.ask([&] { value.reset(new int(1)); });
        });
        CHECK(visits == 1);
    }
}

TEST_CASE("deferred values do not pile up while their thread sets", "[all_threads]")
{
    ledger book;
    {
        thread_local_ptr<counted> value(options<counted>().enumerable());
        worker owner;
        const auto set_one = [&] { value.reset(new counted(book)); };
        owner.ask(set_one);
        int most = 0;
        for (int i = 0; i < 100; i++) {
            bool once = false;
            value.all_threads().for_each([&](counted &) {
                if (!once) owner.ask(set_one);
                once = true;
            });
            owner.ask(set_one);
            most = std::max(most, book.alive());
        }
        CHECK(most <= 3);
        owner.end();
    }
    CHECK(book.alive() == 0);
}

TEST_CASE("a thread that has not used the object has no value in it", "[all_threads]")
{
    local<int> value(options<int>().enumerable());
    worker idle;
    int visits = 0;
    value.combine_each([&](int &) { visits++; });
    CHECK(visits == 0);
}

TEST_CASE("combine folds copies of the values, or gives what the factory makes", "[all_threads]")
{
    local<int> value(options<int>().enumerable(), [] { return 5; });
    const auto add = [](int a, int b) { return a + b; };
    CHECK(value.combine(add) == 5);
    CHECK(value.get_existing() == nullptr);
    worker first, second;
    first.ask([&] { *value = 10; });
    CHECK(value.combine(add) == 10);
    second.ask([&] { *value = 20; });
    CHECK(value.combine(add) == 30);
    const auto larger = [](const int &a, const int &b) { return std::max(a, b); };
    CHECK(value.combine(larger) == 20);
}

TEST_CASE("values with a deleter of their own are visited, too", "[all_threads]")
{
    thread_local_ptr<number> value(options<number>().enumerable());
    worker first, second;
    value.reset(new number(1));
    first.ask([&] { value.reset(new number(10), [](number *old) { delete old; }); });
    second.ask([&] { value.reset(std::make_shared<number>(100)); });
    CHECK(sum_of(value.all_threads()) == 111);
    first.ask([&] { value.reset(new number(20)); });
    CHECK(sum_of(value.all_threads()) == 121);
    long sum = 0;
    value.combine_each([&](number &each) { sum += each; });
    CHECK(sum == 121);
}

TEST_CASE("an object that is not enumerable refuses", "[all_threads]")
{
    local<int> value;
    CHECK(error_of([&] { value.all_threads().for_each([](int &) {}); }) == tls::errc::invalid);
    std::error_code error;
    value.all_threads().for_each([](int &) {}, error);
    CHECK(error == tls::errc::invalid);
}

TEST_CASE("a visit beside a clear of another thread is refused, and a clear beside a visit", "[all_threads]")
{
    worker other;
    std::error_code beside_clear, beside_visit;
    local<int> *all = nullptr;
    local<int> value(tls::presets::tbb, [] { return 1; }, [&](int *old) { // On the thread that clears.
        beside_clear = other.ask([&] { return error_of([&] { all->combine_each([](int &) {}); }); });
        delete old;
    });
    all = &value;
    value.get();
    value.combine_each([&](int &) {
        beside_visit = other.ask([&] { return error_of([&] { value.clear(); }); });
    });
    CHECK(beside_visit == tls::errc::busy);
    CHECK(value.get_existing() != nullptr);
    CHECK(value.clear() == 1);
    CHECK(beside_clear == tls::errc::busy);
    CHECK(error_of([&] { value.combine_each([](int &) {}); }) == std::error_code());
}

TEST_CASE("a view outlives its object, and finds nothing", "[all_threads]")
{
    auto value = std::make_unique<local<int>>(options<int>().enumerable());
    **value = 1;
    const auto view = value->all_threads();
    value.reset();
    CHECK(error_of([&] { view.for_each([](int &) {}); }) == tls::errc::dead_key);

    // On the heap, for AddressSanitizer; volatile, as gcc takes the view for a use after delete.
    auto *volatile pointer = new tls::thread_local_ptr<int>(options<int>().enumerable());
    const auto of_pointer = pointer->all_threads();
    delete pointer;
    CHECK(error_of([&] { of_pointer.for_each([](int &) {}); }) == tls::errc::dead_key);
}

TEST_CASE("the same pointer again, while it is visited, is not ended", "[all_threads][deleter]")
{
    const auto by_hand = [](counted *value) { delete value; };
    for (const bool first_boxed : {false, true}) {
        for (const bool then_boxed : {false, true}) {
            ledger book;
            {
                tls::thread_local_ptr<counted> pointer(options<counted>().enumerable());
                auto *const value = new counted(book, 7);
                worker other;
                const auto set = [&](bool boxed) {
                    return other.ask([&] {
                        std::error_code error;
                        if (boxed) pointer.reset(value, by_hand, error);
                        else pointer.reset(value, error);
                        return error;
                    });
                };
                CHECK_FALSE(set(first_boxed));
                std::error_code error;
                pointer.combine_each([&](counted &) {
                    if (!error) error = set(then_boxed);
                });
                // A value under the object's deleter can't get one of its own meanwhile.
                CHECK(error == (then_boxed && !first_boxed ? make_error_code(tls::errc::busy)
                                                           : std::error_code()));
                other.ask([] { tls::expunge(); });
                CHECK(book.ended == 0);
                CHECK(other.ask([&] { return pointer->number; }) == 7);
            }
            CHECK(book.ended == 1);
        }
    }
}

TEST_CASE("a function that throws is not called again, and the exception comes out", "[all_threads][exceptions]")
{
    local<int> value(options<int>().enumerable());
    worker first, second;
    *value = 1;
    first.ask([&] { *value = 1; });
    second.ask([&] { *value = 1; });
    int calls = 0;
    CHECK_THROWS_AS(value.combine_each([&](int &) { calls++; throw std::string("enough"); }), std::string);
    CHECK(calls == 1);
    calls = 0;
    value.combine_each([&](int &) { calls++; });
    CHECK(calls == 3);
}

TEST_CASE("a value that its thread gives up is whole until the visit is over", "[all_threads]")
{
    ledger book;
    local<counted> value(options<counted>().enumerable(), std::in_place, std::ref(book), 7);
    worker other;
    const auto owner = other.id();
    other.ask([&] { value.get(); });
    bool whole = false;
    value.combine_each([&](counted &each) {
        if (each.number == 8) return; // The one that comes meanwhile.
        other.ask([&] { value.reset(); });
        other.ask([&] { value->number = 8; });
        whole = book.ended == 0 && each.number == 7;
    });
    CHECK(whole);
    CHECK(other.ask([&] { return value->number; }) == 8);
    other.ask([] { tls::expunge(); });
    CHECK(book.ended_by() == std::vector<std::thread::id>{owner});
}

TEST_CASE("a value whose thread ends is whole until the visit is over", "[all_threads]")
{
    ledger book;
    local<counted> value(options<counted>().enumerable(), std::in_place, std::ref(book), 7);
    auto other = std::make_unique<worker>();
    other->ask([&] { value.get(); });
    int during = -1;
    value.combine_each([&](counted &) {
        other.reset();
        during = book.ended;
    });
    CHECK(during == 0);
    CHECK(book.ended_by() == std::vector<std::thread::id>{std::this_thread::get_id()});
}

TEST_CASE("a value can't be handed over at once while another thread visits it", "[all_threads]")
{
    thread_local_ptr<number> value(options<number>().enumerable());
    worker other;
    other.ask([&] { value.reset(new number(1)); });
    std::error_code busy;
    const auto try_release = [&] {
        std::error_code error;
        value.try_release(error);
        return error;
    };
    value.combine_each([&](number &) { busy = other.ask(try_release); });
    CHECK(busy == tls::errc::busy);
    CHECK(other.ask([&] { return value->load(); }) == 1);

    // The same for one with a deleter of its own, and for replacing one kind by the other.
    int ended = 0;
    const auto deleter = [&](number *old) { ended++; delete old; };
    other.ask([&] { value.reset(new number(2), deleter); });
    value.combine_each([&](number &) {
        busy = other.ask(try_release);
        other.ask([&] { value.reset(new number(3)); });
        if (ended != 0) throw std::string("it died meanwhile");
    });
    CHECK(busy == tls::errc::busy);
    other.ask([] { tls::expunge(); });
    CHECK(ended == 1);
    CHECK(other.ask([&] { return value->load(); }) == 3);
}

TEST_CASE("a visit may use the object: make, read, and visit again", "[all_threads]")
{
    local<number> value(options<number>().enumerable(), [] { return number(1); });
    worker first, second;
    first.ask([&] { value.get(); });
    second.ask([&] { value.get(); });
    long inner = 0;
    value.combine_each([&](number &) { inner += sum_of(value.all_threads()); });
    CHECK(inner == 4);
    CHECK(value->load() == 1);
}

TEST_CASE("threads replace and drop their values while all are visited", "[all_threads][threads]")
{
    constexpr int threads = 8;
    local<number> value(options<number>().enumerable(), [] { return number(1); });
    std::atomic<bool> stop{false};
    std::atomic<int> ready{0};
    std::vector<std::thread> others;
    for (int i = 0; i < threads; i++) {
        others.emplace_back([&] {
            value.get();
            ready++;
            while (!stop) {
                value.reset(std::make_unique<number>(1));
                value->store(1);
                tls::expunge();
            }
        });
    }
    while (ready < threads) std::this_thread::yield();
    bool right = true;
    for (int i = 0; i < repetitions(2000); i++) {
        int visits = 0;
        long sum = 0;
        value.combine_each([&](number &each) { visits++; sum += each; });
        // Each is there all the time: the old one or the new one.
        right = right && visits >= threads && sum == visits;
    }
    stop = true;
    for (std::thread &each : others) each.join();
    CHECK(right);
}

TEST_CASE("objects are enumerated while threads use some of them and end", "[all_threads][threads]")
{
    const int count = repetitions(64);
    std::vector<local<number>> values;
    for (int i = 0; i < count; i++) values.emplace_back(options<number>().enumerable());
    std::atomic<int> done{0};
    std::atomic<bool> leave{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < count; i++) {
        threads.emplace_back([&, i] {
            for (int j = 0; j <= i; j++) ++*values[static_cast<std::size_t>(j)];
            done++;
            while (!leave) std::this_thread::yield();
        });
    }
    while (done < count) std::this_thread::yield();
    for (int i = 0; i < count; i++)
        CHECK(sum_of(values[static_cast<std::size_t>(i)].all_threads()) == count - i);
    leave = true;
    for (std::thread &each : threads) each.join();
    for (const local<number> &each : values) CHECK(sum_of(each.all_threads()) == 0);
}
