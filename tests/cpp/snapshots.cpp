// SPDX-License-Identifier: MIT OR Apache-2.0
// all_threads(): once for each thread whatever deleters its values have; copies, their number, and
// what is said where there is nothing to iterate over.
#include "support.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <numeric>
#include <string>

#include <pthread.h>

using tls::local;
using tls::options;
using tls::thread_local_ptr;

namespace {

void drop(const int *value) { delete value; }

// Whether a range-for takes it.
template <class View, class = void>
constexpr bool can_be_iterated = false;
template <class View>
constexpr bool can_be_iterated<View, std::void_t<decltype(std::declval<const View &>().begin())>> = true;

// What an exception says.
template <class Work>
std::string text_of(Work work)
{
    try {
        work();
    } catch (const std::system_error &error) {
        return error.what();
    }
    return "nothing was thrown";
}

bool has(const std::string &text, const char *part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("threads that get and lose deleters all the time are each met once", "[all_threads][threads]")
{
    constexpr int threads = 4;
    thread_local_ptr<const int> value(options<const int>().enumerable());
    std::atomic<bool> stop{false};
    std::atomic<int> ready{0};
    std::vector<std::thread> others;
    for (int i = 0; i < threads; i++) {
        others.emplace_back([&, i] {
            value.reset(new int(i), drop);
            ready++;
            for (int round = 0; !stop; round++) {
                if (round % 2 == 0) value.reset(new int(i));
                else value.reset(new int(i), drop);
                tls::expunge();
            }
        });
    }
    while (ready < threads) std::this_thread::yield();
    int wrong = 0;
    for (int round = 0; round < repetitions(3000); round++) {
        int met[threads] = {};
        value.all_threads().for_each([&](const int &each) { met[each]++; });
        for (const int times : met) wrong += times != 1;
    }
    stop = true;
    for (std::thread &each : others) each.join();
    CHECK(wrong == 0);
}

TEST_CASE("a thread that loses its deleter and gets one again during a visit is met once", "[all_threads]")
{
    thread_local_ptr<const int> value(options<const int>().enumerable());
    worker changing, staying;
    value.reset(new int(1));
    changing.ask([&] { value.reset(new int(2), drop); });
    staying.ask([&] { value.reset(new int(3), drop); });
    int met = 0;
    value.all_threads().for_each([&](const int &each) {
        if (each == 1) changing.ask([&] { value.reset(new int(2)); });
        if (each == 3) changing.ask([&] { value.reset(new int(2), drop); });
        met += each == 2;
    });
    CHECK(met == 1);
}

TEST_CASE("a snapshot has copies, and iterators; size says how many threads have a value", "[all_threads]")
{
    local<std::string> text(options<std::string>().enumerable());
    CHECK(text.all_threads().size() == 0);
    CHECK(text.all_threads().snapshot().empty());
    worker other;
    *text = "a";
    other.ask([&] { *text = "b"; });
    CHECK(text.all_threads().size() == 2);
    std::string all;
    for (const std::string &each : text.all_threads().snapshot()) all += each;
    std::sort(all.begin(), all.end());
    CHECK(all == "ab");
    const auto copies = text.all_threads().snapshot();
    other.end();
    CHECK(text.all_threads().size() == 1);
    CHECK(std::accumulate(copies.begin(), copies.end(), std::string()).size() == 2);
    std::error_code error;
    CHECK(text.all_threads().snapshot(error).size() == 1);
    CHECK(text.all_threads().size(error) == 1);
    CHECK_FALSE(error);
}

TEST_CASE("a copy that can't be made comes out of snapshot, and nothing is left", "[all_threads][exceptions]")
{
    static int alive = 0;
    struct fragile {
        fragile() { alive++; }
        fragile(const fragile &) { if (alive == 3) throw std::string("no more"); alive++; }
        ~fragile() { alive--; }
    };
    {
        local<fragile> value(options<fragile>().enumerable());
        worker other;
        value.get();
        other.ask([&] { value.get(); });
        CHECK_THROWS_AS(value.all_threads().snapshot(), std::string);
        CHECK(alive == 2);
    }
    CHECK(alive == 0);
}

TEST_CASE("a view has no iterators of its own", "[all_threads]")
{
    STATIC_REQUIRE(!can_be_iterated<tls::all_threads_view<int>>);
    STATIC_REQUIRE(can_be_iterated<std::vector<int>>);
}

namespace {

// Releases on `owner` while another thread visits, for a while. Whether the visit was over then.
template <class View, class Release>
bool released_after_the_visit(worker &owner, View view, Release release)
{
    std::atomic<bool> inside{false}, over{false};
    std::thread visitor([&] {
        view.for_each([&](counted &) {
            inside = true;
            std::this_thread::sleep_for(std::chrono::milliseconds(30));
            over = true;
        });
    });
    while (!inside) std::this_thread::yield();
    const bool right = owner.ask([&] {
        release();
        return over.load();
    });
    visitor.join();
    return right;
}

} // namespace

TEST_CASE("release waits while another thread visits the value", "[all_threads][threads]")
{
    ledger book;
    worker owner;
    for (const bool boxed : {false, true}) {
        thread_local_ptr<counted> pointer(options<counted>().enumerable());
        owner.ask([&] {
            if (boxed) pointer.reset(new counted(book), [](counted *old) { delete old; });
            else pointer.reset(new counted(book));
        });
        CHECK(released_after_the_visit(owner, pointer.all_threads(), [&] { delete pointer.release(); }));
        CHECK(owner.ask([&] { return pointer.get(); }) == nullptr);
    }
    local<counted> value(options<counted>().enumerable(), std::in_place, std::ref(book));
    owner.ask([&] { value.get(); });
    CHECK(released_after_the_visit(owner, value.all_threads(), [&] { value.release(); }));
    CHECK(owner.ask([&] { return value.get_existing(); }) == nullptr);
    CHECK(book.alive() == 0);
}

TEST_CASE("exchange waits while another thread visits the value", "[all_threads][threads]")
{
    ledger book;
    worker owner;
    for (const bool boxed : {false, true}) {
        thread_local_ptr<counted> pointer(options<counted>().enumerable());
        owner.ask([&] {
            if (boxed) pointer.reset(new counted(book), [](counted *old) { delete old; });
            else pointer.reset(new counted(book));
        });
        CHECK(released_after_the_visit(owner, pointer.all_threads(),
                                       [&] { delete pointer.exchange(new counted(book, 2)); }));
        CHECK(book.alive() == 1);
        CHECK(owner.ask([&] { return pointer->number; }) == 2);
        std::error_code error;
        CHECK(released_after_the_visit(owner, pointer.all_threads(), [&] {
            delete pointer.try_exchange_for(new counted(book, 3), std::chrono::minutes(2), error);
        }));
        CHECK_FALSE(error);
        CHECK(owner.ask([&] { return pointer->number; }) == 3);
        owner.ask([&] { pointer.reset(); });
    }
    local<counted> value(options<counted>().enumerable(), std::in_place, std::ref(book));
    owner.ask([&] { value.get(); });
    CHECK(released_after_the_visit(owner, value.all_threads(),
                                   [&] { value.exchange(std::make_unique<counted>(book, 2)); }));
    CHECK(owner.ask([&] { return value->number; }) == 2);
    CHECK(book.alive() == 1);
}

TEST_CASE("release and exchange wait for as long as they are told, and change nothing then", "[all_threads][threads]")
{
    using namespace std::chrono;
    ledger book;
    worker owner;
    local<counted> value(options<counted>().enumerable(), std::in_place, std::ref(book), 1);
    thread_local_ptr<counted> pointer(options<counted>().enumerable());
    owner.ask([&] {
        value.get();
        pointer.reset(new counted(book, 1), [](counted *old) { delete old; });
    });
    // On the owner while this thread visits: what is answered, and whether it took its time.
    const auto answer = [&](auto view, auto use, milliseconds least) {
        std::error_code error;
        bool long_enough = false;
        view.for_each([&](counted &) {
            long_enough = owner.ask([&] {
                const auto began = steady_clock::now();
                use(error);
                return steady_clock::now() - began >= least;
            });
        });
        return long_enough ? error : std::error_code();
    };
    const auto values = value.all_threads();
    const auto pointers = pointer.all_threads();
    auto mine = std::make_unique<counted>(book, 2);
    const auto release = [&](auto time) {
        CHECK(answer(values, [=, &value](auto &error) { value.try_release_for(time, error); }, ceil<milliseconds>(time)) ==
              tls::errc::timeout);
        CHECK(answer(pointers, [=, &pointer](auto &error) { pointer.try_release_for(time, error); },
                     ceil<milliseconds>(time)) == tls::errc::timeout);
    };
    release(milliseconds(20));
    release(microseconds(1500));
    release(duration<double>(0.003));
    release(milliseconds(0));
    release(seconds(-1));
    CHECK(answer(values, [&](auto &error) { value.try_exchange_for(std::move(mine), milliseconds(20), error); },
                 milliseconds(20)) == tls::errc::timeout);
    REQUIRE(mine != nullptr);
    CHECK(answer(pointers, [&](auto &error) { pointer.try_exchange_for(mine.get(), milliseconds(20), error); },
                 milliseconds(20)) == tls::errc::timeout);
    CHECK(book.ended == 0);
    CHECK(owner.ask([&] { return value->number + pointer->number; }) == 2);

    // With nobody there they do not wait, and a time too long for a number is for ever.
    std::error_code error;
    CHECK(owner.ask([&] { return value.try_exchange_for(std::move(mine), hours::max(), error)->number; }) == 1);
    CHECK_FALSE(error);
    CHECK(mine == nullptr);
    CHECK(owner.ask([&] { return value.try_release_for(milliseconds(0), error)->number; }) == 2);
    CHECK(owner.ask([&] { return value.try_release_for(milliseconds(0), error) == nullptr; }));
    CHECK_FALSE(error);
    CHECK(released_after_the_visit(owner, pointers, [&] { delete pointer.try_release_for(hours::max(), error); }));
    CHECK_FALSE(error);
    CHECK(book.alive() == 0);
}

TEST_CASE("exchange hands the value before over, and takes the new one", "[pointer][local]")
{
    ledger book;
    int ended = 0;
    const auto deleter = [&](counted *old) { ended++; delete old; };
    {
        thread_local_ptr<counted> pointer(deleter);
        CHECK(pointer.exchange(new counted(book, 1)) == nullptr);
        std::unique_ptr<counted> old(pointer.exchange(new counted(book, 2)));
        CHECK(old->number == 1);
        pointer.reset(new counted(book, 3), deleter);
        CHECK(ended == 1);
        old.reset(pointer.exchange(new counted(book, 4)));
        CHECK(old->number == 3);
        old.reset(pointer.exchange(nullptr));
        CHECK(old->number == 4);
        CHECK_FALSE(pointer);
        pointer.reset(old.release());
        {
            const tls::scope inside;
            CHECK(pointer.exchange(new counted(book, 5)) == nullptr);
        }
        CHECK(pointer->number == 4);
        CHECK(ended == 2);
        thread_local_ptr<counted> to(std::move(pointer));
        old = std::make_unique<counted>(book);
        CHECK(error_of([&] { pointer.exchange(old.get()); }) == tls::errc::bad_key);
        local<counted> value(std::in_place, std::ref(book), 6);
        CHECK(value.exchange(std::move(old)) == nullptr);
        CHECK(value.exchange(std::make_unique<counted>(book, 7))->number == 0);
        CHECK(value.exchange(nullptr)->number == 7);
        CHECK(value.get_existing() == nullptr);
        local<counted> also(std::move(value));
        old = std::make_unique<counted>(book);
        CHECK(error_of([&] { value.exchange(std::move(old)); }) == tls::errc::bad_key);
        CHECK(old != nullptr);
    }
    CHECK(book.alive() == 0);
    // At an odd address.
    static const char text[] = "text";
    int count = 0;
    thread_local_ptr<const char> letter([&](const char *) { count++; });
    for (const char &each : text) {
        const char *const before = letter.get();
        CHECK(letter.exchange(&each) == before);
        CHECK(letter.get() == &each);
    }
    CHECK(count == 0);
    letter.reset();
    CHECK(count == 1);
}

TEST_CASE("exchange in a visit of one's own says that it can't wait", "[all_threads]")
{
    thread_local_ptr<int> pointer(options<int>().enumerable());
    local<int> value(options<int>().enumerable(), std::in_place, 1);
    pointer.reset(new int(1));
    value.get();
    std::string said;
    auto other = std::make_unique<int>(2);
    pointer.all_threads().for_each([&](int &) { said = text_of([&] { pointer.exchange(other.get()); }); });
    CHECK(has(said, "tls::thread_local_ptr::exchange: the value is being visited"));
    value.all_threads().for_each([&](int &) { said = text_of([&] { value.exchange(std::move(other)); }); });
    CHECK(has(said, "tls::local::exchange: the value is being visited"));
    CHECK(other != nullptr);
    CHECK(*pointer + *value == 2);
}

TEST_CASE("release in a visit of one's own says that it can't wait", "[all_threads]")
{
    thread_local_ptr<int> pointer(options<int>().enumerable());
    pointer.reset(new int(1));
    std::string said;
    pointer.all_threads().for_each([&](int &) { said = text_of([&] { pointer.release(); }); });
    CHECK(has(said, "tls::thread_local_ptr::release: the value is being visited"));
    CHECK(*pointer == 1);
}

TEST_CASE("a thread that waits in release or exchange can be cancelled", "[all_threads][cancelled]")
{
    static thread_local_ptr<int> *pointer;
    static std::atomic<bool> set, inside, exchanges;
    exchanges = GENERATE(false, true);
    set = inside = false;
    thread_local_ptr<int> object(options<int>().enumerable());
    pointer = &object;
    pthread_t thread;
    REQUIRE(pthread_create(&thread, nullptr, [](void *) -> void * {
        pointer->reset(new int(1));
        set = true;
        while (!inside) std::this_thread::yield();
        // It stays this test's. (Nothing to destroy here: the address sanitizer does not know of frames
        // that a cancelled thread has left.)
        static int other = 2;
        if (exchanges) pointer->exchange(&other);
        else pointer->release();
        return nullptr;
    }, nullptr) == 0);
    while (!set) std::this_thread::yield();
    void *result = nullptr;
    object.all_threads().for_each([&](int &) {
        inside = true;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        pthread_cancel(thread);
        pthread_join(thread, &result);
    });
    CHECK(result == PTHREAD_CANCELED);
    CHECK(object.all_threads().size() == 0);
}

TEST_CASE("an exception names the function, and what was wrong with its use", "[errors]")
{
    local<int> plain, other;
    thread_local_ptr<int> pointer;
    CHECK(has(text_of([&] { plain.all_threads().for_each([](int &) {}); }),
              "tls::all_threads_view::for_each: not enumerable"));
    CHECK(has(text_of([&] { plain.all_threads().size(); }), "tls::all_threads_view::size: not enumerable"));
    CHECK(has(text_of([&] { plain.all_threads().snapshot(); }), "::snapshot: not enumerable"));
    CHECK(has(text_of([&] { plain.all_threads().collect([](int &) { return 1; }); }), "::collect: not enumerable"));
    CHECK(has(text_of([&] { plain.clear(); }), "tls::local::clear: only for objects with options::any_thread_destroys() or options::enumerable()"));
    const auto moved = [&] { local<int> to(std::move(plain)); thread_local_ptr<int> also(std::move(pointer)); };
    moved();
    CHECK(has(text_of([&] { plain.get(); }), "tls::local::get: the object was moved from"));
    CHECK(has(text_of([&] { plain.release(); }), "tls::local::release: the object was moved from"));
    CHECK(has(text_of([&] { pointer.reset(new int(1), [](int *old) { delete old; }); }),
              "tls::thread_local_ptr::reset: the object was moved from"));
    CHECK(has(text_of([&] { plain.combine([](int a, int) { return a; }); }), "the object was moved from"));
    local<int> none([] { return std::unique_ptr<int>(); });
    CHECK(has(text_of([&] { none.get(); }), "tls::local::get: the factory gave no value"));
    CHECK(has(text_of([&] { local<int> twice(options<int>().inherited().worker()); }),
              "tls::local: worker() and inherited() exclude each other"));
    tls::task task([] {});
    task();
    CHECK(has(text_of([&] { task(); }), "tls::task::operator(): called already"));
    tls::map map;
    worker elsewhere;
    const tls::map::guard inside(map);
    CHECK(has(elsewhere.ask([&] { return text_of([&] { tls::map::guard refused(map); }); }),
              "tls::map::guard: another thread is in the map"));
}

TEST_CASE("errors compare equal to their names, of whichever category", "[errors]")
{
    // As in a plug-in that nobody is linked to.
    static const tls::errors::category_type another;
    const std::error_code foreign(TLS_ERR_BUSY, another);
    CHECK(foreign.category() != tls::category());
    CHECK((foreign == tls::errc::busy));
    CHECK((tls::errc::busy == foreign));
    CHECK((foreign != tls::errc::invalid));
    CHECK((tls::errc::invalid != foreign));
    CHECK_FALSE((std::error_code(TLS_ERR_BUSY, std::generic_category()) == tls::errc::busy));
}
