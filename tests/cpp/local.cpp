// SPDX-License-Identifier: MIT OR Apache-2.0
// tls::local: what users of folly::ThreadLocal and tbb::enumerable_thread_specific expect.
#include "support.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <pthread.h>

using tls::local;

TEST_CASE("a value is made at the first use on each thread, and only there", "[local]")
{
    ledger book;
    worker other;
    local<counted> value([&] { return std::make_unique<counted>(book, ++book.made); });
    book.made = 0;

    CHECK(value.get_existing() == nullptr);
    CHECK(other.ask([&] { return value.get_existing(); }) == nullptr);
    CHECK(book.made == 0);
    counted *const own = value.get();
    CHECK(value.get() == own);
    CHECK(&*value == own);
    CHECK(value.get_existing() == own);
    CHECK(other.ask([&] { return value.get(); }) != own);
}

TEST_CASE("values are made by T(), from arguments, or by a factory", "[local]")
{
    SECTION("T(): zero, for a number")
    {
        local<int> number;
        CHECK(*number == 0);
        local<std::array<int, 4>> numbers;
        CHECK(*numbers == std::array<int, 4>{});
    }
    SECTION("arguments, which each thread copies")
    {
        worker other;
        local<std::string> text(std::in_place, 3u, 'x');
        text->clear();
        CHECK(other.ask([&] { return *text; }) == "xxx");
        local<std::vector<int>> copy(std::in_place, std::vector<int>{1, 2, 3});
        CHECK(copy->size() == 3);
    }
    SECTION("arguments of an aggregate")
    {
        struct point {
            int x, y;
        };
        local<point> place(std::in_place, 3, 4);
        CHECK(place->y == 4);
    }
    SECTION("a factory that gives a value, which need not be movable")
    {
        local<std::atomic<int>> number([] { return std::atomic<int>(5); });
        CHECK(number->load() == 5);
    }
    SECTION("a factory that gives a unique_ptr")
    {
        local<int> number([] { return std::make_unique<int>(6); });
        CHECK(*number == 6);
    }
    SECTION("a factory that gives a pointer")
    {
        local<int> number([] { return new int(7); });
        CHECK(*number == 7);
    }
    SECTION("a factory that gives pointers, which are the values")
    {
        static int target;
        local<int *> pointer([] { return &target; });
        CHECK(*pointer == &target);
    }
    SECTION("a factory that can only be moved")
    {
        local<int> number([own = std::make_unique<int>(8)] { return *own; });
        CHECK(*number == 8);
    }
    SECTION("a function")
    {
        local<int> number(+[] { return 9; });
        CHECK(*number == 9);
    }
}

TEST_CASE("a factory without state of its own makes each thread's value differ", "[local]")
{
    std::atomic<int> next{0};
    local<int> number([&] { return next++; });
    worker first, second;
    CHECK(first.ask([&] { return *number; }) == 0);
    CHECK(second.ask([&] { return *number; }) == 1);
    CHECK(first.ask([&] { return *number; }) == 0);
}

TEST_CASE("a factory throws: it reaches the caller, nothing is stored, the next get tries again", "[local][exceptions]")
{
    struct refused : std::exception {
        int attempt;
        explicit refused(int number) : attempt(number) {}
    };
    int attempts = 0;
    local<int> number([&]() -> int {
        if (++attempts < 3) throw refused(attempts);
        return attempts;
    });
    for (int i = 1; i < 3; i++) {
        int caught = 0;
        try {
            number.get();
        } catch (const refused &error) {
            caught = error.attempt;
        }
        CHECK(caught == i);
        CHECK(number.get_existing() == nullptr);
    }
    CHECK(*number == 3);
    CHECK(*number == 3);
}

TEST_CASE("a constructor throws: the overload with an error code lets it through", "[local][exceptions]")
{
    struct throws {
        throws() { throw std::string("thrown"); }
    };
    local<throws> value;
    std::error_code error;
    CHECK_THROWS_AS(value.get(error), std::string);
    CHECK(value.get_existing() == nullptr);
}

TEST_CASE("a factory throws in a get from C: it fails, and that is all", "[local][exceptions]")
{
    local<int> number([]() -> int { throw 1; });
    void *value = nullptr;
    CHECK(tls_try_get(number.native_handle(), &value) == TLS_ERR_INIT);
    CHECK((tls_get)(number.native_handle()) == nullptr);
    CHECK_THROWS_AS(number.get(), int);
}

TEST_CASE("a factory uses other locals, and their exceptions stay apart", "[local][exceptions]")
{
    local<int> inner([]() -> int { throw std::string("inner"); });
    SECTION("one that it lets through")
    {
        local<int> outer([&] { return *inner; });
        CHECK_THROWS_AS(outer.get(), std::string);
    }
    SECTION("one that it catches")
    {
        local<int> outer([&] {
            try {
                return *inner;
            } catch (const std::string &) {
                return 1;
            }
        });
        CHECK(*outer == 1);
    }
    SECTION("one that it catches, and throws another")
    {
        local<int> outer([&]() -> int {
            try {
                return *inner;
            } catch (const std::string &) {
                throw 2;
            }
        });
        CHECK_THROWS_AS(outer.get(), int);
    }
}

TEST_CASE("a factory that reads its own value is told so", "[local]")
{
    local<int> *self = nullptr;
    local<int> number([&] { return **self; });
    self = &number;
    CHECK(error_of([&] { number.get(); }) == tls::errc::reentrant);
    CHECK(number.get_existing() == nullptr);
}

TEST_CASE("a factory that gives no value is an error", "[local]")
{
    local<int> number([] { return std::unique_ptr<int>(); });
    CHECK(error_of([&] { number.get(); }) == tls::errc::init);
}

TEST_CASE("a value is aligned as its type asks", "[local]")
{
    struct alignas(4096) page {
        unsigned char bytes[100];
    };
    const auto misaligned = [](const local<page> &pages) {
        return reinterpret_cast<std::uintptr_t>(pages.get()) % 4096;
    };
    local<page> first, second;
    local<page> made([] { return page(); });
    worker other;
    CHECK(misaligned(first) == 0);
    CHECK(misaligned(second) == 0);
    CHECK(misaligned(made) == 0);
    CHECK(other.ask([&] { return misaligned(first); }) == 0);
}

namespace {

// Four megabytes: half of what a thread's stack usually is.
struct large {
    std::array<unsigned char, 4 << 20> bytes;
};

void *use_large(void *argument)
{
    auto &value = *static_cast<local<large> *>(argument);
    value->bytes.fill(7);
    return value->bytes.data() + value->bytes.size() - 1;
}

} // namespace

TEST_CASE("a value of megabytes never stands on the stack", "[local]")
{
    const auto first = [] { return large(); };
    local<large> values[] = {local<large>(), local<large>(first)};
    for (local<large> &value : values) {
        pthread_attr_t small;
        pthread_t thread;
        REQUIRE(pthread_attr_init(&small) == 0);
        REQUIRE(pthread_attr_setstacksize(&small, 512 << 10) == 0);
        REQUIRE(pthread_create(&thread, &small, use_large, &value) == 0);
        void *last = nullptr;
        REQUIRE(pthread_join(thread, &last) == 0);
        CHECK(last != nullptr);
        pthread_attr_destroy(&small);
    }
}

TEST_CASE("a reset value is made again; a given or released one is what it is", "[local]")
{
    ledger book;
    local<counted> value(std::in_place, std::ref(book), 1);
    value->number = 5;
    value.reset();
    CHECK(book.ended == 1);
    CHECK(value->number == 1);
    value.reset(std::make_unique<counted>(book, 6));
    CHECK(value->number == 6);
    CHECK(book.ended == 2);
    std::unique_ptr<counted> released = value.release();
    CHECK(released->number == 6);
    CHECK(value.get_existing() == nullptr);
    CHECK(value.release() == nullptr);
    released.reset();
    CHECK(book.alive() == 0);
}

TEST_CASE("all values go with the object, each on its thread", "[local]")
{
    ledger book;
    worker first, second;
    {
        local<counted> value(std::in_place, std::ref(book));
        first.ask([&] { value.get(); });
        second.ask([&] { value.get(); });
        value.get();
        CHECK(book.alive() == 3);
    }
    CHECK(book.alive() == 2);
    CHECK(first.ask([] { return tls::expunge(1); }) == 1);
    const auto owner = second.id();
    second.end();
    CHECK(book.ended_by() ==
          std::vector<std::thread::id>{std::this_thread::get_id(), first.id(), owner});
}

TEST_CASE("clear ends all threads' values where any thread may, and the object goes on", "[local]")
{
    ledger book;
    worker other;
    local<counted> value(tls::options<counted>().any_thread_destroys(), std::in_place, std::ref(book));
    value.get();
    other.ask([&] { value.get(); });
    CHECK(value.clear() == 2);
    CHECK(book.alive() == 0);
    CHECK(other.ask([&] { return value->number; }) == 0);
    CHECK(book.alive() == 1);

    local<int> owners_only;
    CHECK(error_of([&] { owners_only.clear(); }) == tls::errc::invalid);
}

TEST_CASE("clear ends each value on its thread where only that may, and the object goes on", "[local]")
{
    std::mutex guards;
    std::vector<std::pair<std::thread::id, tls::reason>> ended;
    const auto deleter = [&](int *old, tls::reason why) {
        const std::lock_guard<std::mutex> guard(guards);
        ended.emplace_back(std::this_thread::get_id(), why);
        delete old;
    };
    const auto here = std::this_thread::get_id();
    worker first, second;
    const auto first_id = first.id(), second_id = second.id();
    local<int> number(tls::options<int>().enumerable(), [] { return 1; }, deleter);
    for (worker *each : {&first, &second}) each->ask([&] { *number = 2; });
    *number = 2;

    // All three have ended; two of them are still to be destroyed.
    std::error_code error;
    CHECK(number.clear(error) == 3);
    REQUIRE_FALSE(error);
    CHECK(number.all_threads().size() == 0);
    using endings = std::vector<std::pair<std::thread::id, tls::reason>>;
    CHECK(ended == endings{{here, tls::reason::purged}});
    CHECK(*number == 1);
    CHECK(first.ask([] { return tls::expunge(); }) == 1);
    CHECK(first.ask([&] { return *number; }) == 1);
    CHECK(ended == endings{{here, tls::reason::purged}, {first_id, tls::reason::purged}});
    second.end();
    // (Why it has ended was settled when it was cleared.)
    REQUIRE(ended.size() == 3);
    CHECK(ended.back() == endings::value_type{second_id, tls::reason::purged});
    CHECK(number.all_threads().size() == 2);
    CHECK(number.clear() == 2);
    CHECK(number.clear() == 0);
}

TEST_CASE("a destructor uses other locals, that are there and that are not", "[local]")
{
    ledger book;
    local<counted> other(std::in_place, std::ref(book));
    struct visits {
        local<counted> &other;
        explicit visits(local<counted> &visited) : other(visited) {}
        visits(const visits &) = delete;
        ~visits() { other->number++; }
    };
    local<visits> value([&] { return std::make_unique<visits>(other); });
    SECTION("on a thread that ends, where the other is made for it")
    {
        worker leaving;
        leaving.ask([&] { value.get(); });
        leaving.end();
        CHECK(book.made == 1);
        CHECK(book.ended == 1);
    }
    SECTION("on a thread that ends, where the other was made first")
    {
        worker leaving;
        leaving.ask([&] { other.get(); value.get(); });
        leaving.end();
        CHECK(book.ended == book.made);
    }
    SECTION("on a thread that goes on")
    {
        value.get();
        value.reset();
        CHECK(other->number == 1);
    }
}

TEST_CASE("a destructor makes more locals than a table has room for", "[local]")
{
    ledger book;
    struct creates {
        ledger &book;
        std::vector<local<counted>> &more;
        ~creates()
        {
            for (local<counted> &each : more) each.get();
        }
    };
    std::vector<local<counted>> more;
    for (int i = 0; i < 50; i++) more.emplace_back(std::in_place, std::ref(book));
    local<creates> value([&] { return new creates{book, more}; });
    worker leaving;
    leaving.ask([&] { value.get(); });
    leaving.end();
    CHECK(book.made == 50);
    CHECK(book.ended == 50);
}

TEST_CASE("values of all threads follow a moved local", "[local]")
{
    worker other;
    local<int> first(std::in_place, 3);
    *first = 4;
    other.ask([&] { *first = 5; });
    local<int> second(std::move(first));
    CHECK(*second == 4);
    CHECK(other.ask([&] { return *second; }) == 5);
    CHECK(first.get_existing() == nullptr);
    CHECK(error_of([&] { first.get(); }) == tls::errc::bad_key);
    CHECK(other.ask([&] { return error_of([&] { first.get(); }); }) == tls::errc::bad_key);
    first = local<int>(std::in_place, 6);
    swap(first, second);
    CHECK(*first == 4);
    CHECK(*second == 6);
}

TEST_CASE("a local that comes after another in its place starts anew, while its thread goes on", "[local]")
{
    worker other;
    std::optional<local<int>> place;
    for (int i = 1; i <= repetitions(300); i++) {
        place.emplace();
        const int before = other.ask([&] { return std::exchange(**place, i); });
        CHECK(before == 0);
    }
}

// The thread sanitizer's own state of a thread is gone in the last pass of destructors, and what it
// has compiled crashes there.
#ifndef TLS_PRIVATE_TSAN
TEST_CASE("values are made while their thread ends, until its last cleanup is over", "[local]")
{
    static local<int> *number;
    static tls::thread_local_ptr<int> *pointer;
    static std::error_code during, after, refused;
    static int ended;
    static const auto deleter = [](int *old) { ended++; delete old; };
    local<int> value;
    tls::thread_local_ptr<int> other(deleter);
    number = &value;
    pointer = &other;
    during = after = std::error_code();
    ended = 0;

    struct late {
        // The C library calls the destructors of pthread keys, ours among them, four times.
        static void at_exit(void *round)
        {
            const auto left = reinterpret_cast<std::uintptr_t>(round);
            if (left > 1) {
                number->get(during);
                pthread_setspecific(key(), reinterpret_cast<void *>(left - 1));
                return;
            }
            number->get(after);
            pointer->reset(new int(1), refused);
            if (refused) pointer->reset(new int(2), deleter, refused);
        }
        static pthread_key_t &key()
        {
            static pthread_key_t made;
            return made;
        }
    };
    worker leaving;
    leaving.ask([&] { value.get(); });
    REQUIRE(pthread_key_create(&late::key(), late::at_exit) == 0);
    leaving.ask([] { pthread_setspecific(late::key(), reinterpret_cast<void *>(4)); });
    leaving.end();
    pthread_key_delete(late::key());
    CHECK(during == std::error_code());
    CHECK(after == tls::errc::exiting);
    CHECK(refused == tls::errc::exiting);
    CHECK(ended == 2); // What can't be stored is ended, with its deleter.
}
#endif
