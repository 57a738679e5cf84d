// SPDX-License-Identifier: MIT OR Apache-2.0
// tls::thread_local_ptr: what users of boost::thread_specific_ptr and folly::ThreadLocalPtr expect.
#include "support.hpp"

#include <list>
#include <memory>
#include <optional>

#include <sys/wait.h>
#include <unistd.h>

using tls::reason;
using tls::thread_local_ptr;

TEST_CASE("each thread has a pointer of its own", "[pointer]")
{
    thread_local_ptr<int> pointer;
    worker other;

    CHECK(pointer.get() == nullptr);
    CHECK_FALSE(pointer);
    pointer.reset(new int(1));
    CHECK(other.ask([&] { return pointer.get(); }) == nullptr);
    other.ask([&] { pointer.reset(new int(2)); });

    CHECK(*pointer == 1);
    CHECK(*pointer.get() == 1);
    CHECK(pointer);
    CHECK(other.ask([&] { return *pointer; }) == 2);
}

TEST_CASE("members of the value are reached by the arrow", "[pointer]")
{
    ledger book;
    thread_local_ptr<counted> pointer;
    pointer.reset(new counted(book, 7));
    CHECK(pointer->number == 7);
    const auto &constant = pointer;
    CHECK((*constant).number == 7);
}

TEST_CASE("a value ends on its thread when the thread ends", "[pointer]")
{
    ledger book;
    thread_local_ptr<counted> pointer;
    worker other;
    const auto owner = other.id();
    other.ask([&] { pointer.reset(new counted(book)); });
    CHECK(book.ended == 0);
    other.end();
    CHECK(book.ended_by() == std::vector<std::thread::id>{owner});
}

TEST_CASE("reset ends the old value, once, and null leaves none", "[pointer]")
{
    ledger book;
    thread_local_ptr<counted> pointer;
    pointer.reset(new counted(book));
    pointer.reset(new counted(book));
    CHECK(book.alive() == 1);
    pointer.reset(nullptr);
    CHECK(book.alive() == 0);
    CHECK(pointer.get() == nullptr);
    pointer.reset();
    CHECK(book.ended == 2);
}

TEST_CASE("a released value is not ended", "[pointer]")
{
    ledger book;
    thread_local_ptr<counted> pointer;
    worker other;
    counted *released = other.ask([&] {
        pointer.reset(new counted(book));
        return pointer.release();
    });
    CHECK(other.ask([&] { return pointer.release(); }) == nullptr);
    other.end();
    CHECK(book.alive() == 1);
    delete released;
}

TEST_CASE("destroying the object ends the own value at once, the others' on their threads", "[pointer]")
{
    ledger book;
    worker other;
    const auto owner = other.id();
    {
        thread_local_ptr<counted> pointer;
        pointer.reset(new counted(book));
        other.ask([&] { pointer.reset(new counted(book)); });
    }
    CHECK(book.ended_by() == std::vector<std::thread::id>{std::this_thread::get_id()});
    CHECK(other.ask([] { return tls_stale_count(); }) == 1);
    CHECK(other.ask([] { return tls::expunge(); }) == 1);
    CHECK(book.ended_by().back() == owner);
    other.end();
    CHECK(book.ended == 2);
}

TEST_CASE("destroying the object ends all values where any thread may", "[pointer]")
{
    ledger book;
    worker first, second;
    const auto self = std::this_thread::get_id();
    {
        thread_local_ptr<counted> pointer(tls::options<counted>().any_thread_destroys());
        first.ask([&] { pointer.reset(new counted(book)); });
        second.ask([&] { pointer.reset(new counted(book)); });
    }
    CHECK(book.ended_by() == std::vector<std::thread::id>{self, self});
    first.end();
    second.end();
    CHECK(book.ended == 2);
}

namespace {

struct ending {
    int value;
    reason why;
    std::thread::id where;
    bool operator==(const ending &other) const
    {
        return value == other.value && why == other.why && where == other.where;
    }
};

std::ostream &operator<<(std::ostream &out, const ending &one)
{
    return out << "{value " << one.value << ", reason " << static_cast<int>(one.why) << ", thread "
               << one.where << "}";
}

// What a deleter was told. Read when the threads have been waited for.
struct endings {
    std::vector<ending> all;
    std::mutex mutex;

    auto deleter()
    {
        return [this](int *value, reason why) {
            const std::lock_guard<std::mutex> guard(mutex);
            all.push_back({*value, why, std::this_thread::get_id()});
            delete value;
        };
    }
};

} // namespace

TEST_CASE("a deleter of the object is told why each value ends", "[pointer][deleter]")
{
    endings log;
    worker exits, stays;
    const auto self = std::this_thread::get_id();
    const auto exiting = exits.id(), staying = stays.id();
    {
        thread_local_ptr<int> pointer(log.deleter());
        pointer.reset(new int(1));
        pointer.reset(new int(2));
        pointer.reset();
        exits.ask([&] { pointer.reset(new int(3)); });
        exits.end();
        stays.ask([&] { pointer.reset(new int(4)); });
        pointer.reset(new int(5));
    }
    stays.ask([] { tls::expunge(); });
    CHECK(log.all == std::vector<ending>{{1, reason::replaced, self},
                                         {2, reason::removed, self},
                                         {3, reason::thread_exit, exiting},
                                         {5, reason::key_dead, self},
                                         {4, reason::key_dead, staying}});
}

TEST_CASE("a deleter of a value is told the same", "[pointer][deleter]")
{
    endings log;
    worker exits, stays;
    const auto self = std::this_thread::get_id();
    const auto exiting = exits.id(), staying = stays.id();
    {
        thread_local_ptr<int> pointer;
        pointer.reset(new int(1), log.deleter());
        pointer.reset(new int(2), log.deleter());
        pointer.reset();
        exits.ask([&] { pointer.reset(new int(3), log.deleter()); });
        exits.end();
        stays.ask([&] { pointer.reset(new int(4), log.deleter()); });
        pointer.reset(new int(5), log.deleter());
        CHECK(*pointer == 5);
    }
    stays.ask([] { tls::expunge(); });
    CHECK(log.all == std::vector<ending>{{1, reason::replaced, self},
                                         {2, reason::removed, self},
                                         {3, reason::thread_exit, exiting},
                                         {5, reason::key_dead, self},
                                         {4, reason::key_dead, staying}});
}

TEST_CASE("values with and without a deleter of their own replace each other", "[pointer][deleter]")
{
    endings of_object, of_value;
    const auto self = std::this_thread::get_id();
    thread_local_ptr<int> pointer(of_object.deleter());

    pointer.reset(new int(1));
    pointer.reset(new int(2), of_value.deleter());
    CHECK(*pointer == 2);
    CHECK(of_object.all == std::vector<ending>{{1, reason::replaced, self}});
    pointer.reset(new int(3));
    CHECK(*pointer == 3);
    CHECK(of_value.all == std::vector<ending>{{2, reason::replaced, self}});
    pointer.reset();
    CHECK(pointer.get() == nullptr);
    CHECK(of_object.all.size() == 2);
    CHECK(of_value.all.size() == 1);
}

TEST_CASE("the same pointer is not ended when it is set again, with a deleter or without", "[pointer][deleter]")
{
    int first = 0, second = 0, plain = 0, target = 0;
    {
        thread_local_ptr<int> pointer([&](int *) { plain++; });
        pointer.reset(&target);
        pointer.reset(&target);
        pointer.reset(&target, [&](int *) { first++; });
        pointer.reset(&target, [&](int *) { second++; });
        CHECK(first + second + plain == 0);
        pointer.reset(&target);
        CHECK(first + second + plain == 0);
        CHECK(pointer.get() == &target);
        pointer.reset(&target, [&](int *) { second++; });
    }
    CHECK(first == 0);
    CHECK(second == 1);
    CHECK(plain == 0);

    const auto shared = std::make_shared<int>(1);
    thread_local_ptr<int> pointer;
    pointer.reset(shared);
    pointer.reset(shared);
    CHECK(shared.use_count() == 2);
}

TEST_CASE("a deleter may take the pointer alone, be a function, or be null", "[pointer][deleter]")
{
    SECTION("a function")
    {
        thread_local_ptr<void> pointer(std::free);
        pointer.reset(std::malloc(100)); // A leak, if free is not called: the sanitizer's to find.
        CHECK(pointer.get() != nullptr);
    }
    SECTION("a null function: nothing is called, as with boost")
    {
        int first = 1, second = 2;
        void (*none)(int *) = nullptr;
        thread_local_ptr<int> pointer(none);
        pointer.reset(&first);
        pointer.reset(&second);
        CHECK(pointer.get() == &second);
    }
    SECTION("nullptr")
    {
        int value = 1;
        thread_local_ptr<const int> pointer(nullptr);
        pointer.reset(&value);
        CHECK(pointer.get() == &value);
    }
    SECTION("a null function for one value")
    {
        int value = 1;
        void (*none)(int *) = nullptr;
        thread_local_ptr<int> pointer;
        pointer.reset(&value, none);
        CHECK(pointer.get() == &value);
    }
    SECTION("something that can only be moved")
    {
        int called = 0;
        {
            thread_local_ptr<int> pointer(
                [&called, own = std::make_unique<int>(1)](int *value) { called += *own; delete value; });
            pointer.reset(new int(1));
        }
        CHECK(called == 1);
    }
}

TEST_CASE("a deleter is not called for null", "[pointer][deleter]")
{
    int called = 0;
    const auto deleter = [&called](int *value) { called++; delete value; };
    {
        thread_local_ptr<int> pointer(deleter);
        pointer.reset(nullptr);
        pointer.reset(nullptr, deleter);
        CHECK(pointer.get() == nullptr);
    }
    CHECK(called == 0);
}

TEST_CASE("what a deleter of a value holds goes with the value", "[pointer][deleter]")
{
    auto held = std::make_shared<int>(1);
    thread_local_ptr<int> pointer;
    pointer.reset(new int(1), [held](int *value) { delete value; });
    CHECK(held.use_count() == 2);
    delete pointer.release();
    CHECK(held.use_count() == 1);
}

TEST_CASE("a unique_ptr hands its value over, with its deleter", "[pointer]")
{
    ledger book;
    SECTION("the plain one")
    {
        thread_local_ptr<counted> pointer;
        pointer.reset(std::make_unique<counted>(book));
        CHECK(book.ended == 0);
        pointer.reset();
        CHECK(book.ended == 1);
        pointer.reset(std::unique_ptr<counted>());
        CHECK(pointer.get() == nullptr);
    }
    SECTION("the plain one, in an object that has another deleter")
    {
        int called = 0;
        thread_local_ptr<counted> pointer([&called](counted *) { called++; });
        pointer.reset(std::make_unique<counted>(book));
        pointer.reset();
        CHECK(book.ended == 1);
        CHECK(called == 0);
    }
    SECTION("one with a deleter")
    {
        int called = 0;
        const auto deleter = [&called](counted *value) { called++; delete value; };
        thread_local_ptr<counted> pointer;
        pointer.reset(std::unique_ptr<counted, decltype(deleter)>(new counted(book), deleter));
        pointer.reset();
        CHECK(called == 1);
        CHECK(book.alive() == 0);
    }
    SECTION("one that is released again")
    {
        const auto deleter = [](counted *value) { delete value; };
        thread_local_ptr<counted> pointer;
        pointer.reset(std::unique_ptr<counted, decltype(deleter)>(new counted(book), deleter));
        counted *const released = pointer.release();
        CHECK(book.ended == 0);
        CHECK(pointer.get() == nullptr);
        delete released;
    }
    SECTION("one of a derived class without a virtual destructor")
    {
        struct derived : counted {
            using counted::counted;
            std::vector<int> more = std::vector<int>(100);
        };
        thread_local_ptr<counted> pointer;
        pointer.reset(std::make_unique<derived>(book, 4));
        CHECK(pointer->number == 4);
        pointer.reset();
        CHECK(book.alive() == 0);
    }
}

TEST_CASE("a shared_ptr is one owner for as long as the thread has it", "[pointer]")
{
    const auto shared = std::make_shared<int>(5);
    thread_local_ptr<int> pointer;
    worker other;
    pointer.reset(shared);
    other.ask([&] { pointer.reset(shared); });
    CHECK(shared.use_count() == 3);
    CHECK(pointer.get() == shared.get());
    pointer.reset();
    CHECK(shared.use_count() == 2);
    other.end();
    CHECK(shared.use_count() == 1);
}

TEST_CASE("two threads give one address two deleters", "[pointer][deleter]")
{
    int value = 0, first = 0, second = 0;
    thread_local_ptr<int> pointer;
    worker other;
    pointer.reset(&value, [&first](int *) { first++; });
    other.ask([&] { pointer.reset(&value, [&second](int *) { second++; }); });
    other.end();
    CHECK(first == 0);
    CHECK(second == 1);
    pointer.reset();
    CHECK(first == 1);
    CHECK(second == 1);
}

TEST_CASE("an object at a dead one's address sees nothing of it", "[pointer]")
{
    ledger book;
    worker other;
    std::optional<thread_local_ptr<counted>> place;
    for (int i = 0; i < repetitions(1000); i++) {
        place.emplace();
        CHECK(place->get() == nullptr);
        place->reset(new counted(book, i));
        if (i % 100 == 0) {
            CHECK(other.ask([&] { return place->get(); }) == nullptr);
            other.ask([&] { place->reset(new counted(book, i)); });
        }
        place.reset();
    }
    other.end();
    CHECK(book.alive() == 0);
}

TEST_CASE("values of all threads follow a moved object", "[pointer]")
{
    ledger book;
    worker other;
    {
        thread_local_ptr<counted> first;
        first.reset(new counted(book, 1));
        other.ask([&] { first.reset(new counted(book, 2), [](counted *value) { delete value; }); });

        thread_local_ptr<counted> second(std::move(first));
        CHECK(first.get() == nullptr);
        CHECK(second->number == 1);
        CHECK(other.ask([&] { return second->number; }) == 2);

        thread_local_ptr<counted> third;
        third.reset(new counted(book, 3));
        third = std::move(second);
        CHECK(book.ended == 1);
        CHECK(third->number == 1);
        CHECK(other.ask([&] { return third->number; }) == 2);
        auto &itself = third;
        third = std::move(itself);
        CHECK(third->number == 1);

        swap(third, second);
        CHECK(second->number == 1);
        CHECK(third.get() == nullptr);
        CHECK(book.ended == 1);
    }
    other.end();
    CHECK(book.alive() == 0);
}

TEST_CASE("an object that was moved from reports it, and can be made new", "[pointer]")
{
    thread_local_ptr<int> first;
    thread_local_ptr<int> second(std::move(first));
    int value = 0;
    CHECK(first.get() == nullptr);
    CHECK(error_of([&] { first.reset(&value); }) == tls::errc::bad_key);
    CHECK(error_of([&] { first.release(); }) == tls::errc::bad_key);
    int called = 0;
    CHECK(error_of([&] { first.reset(&value, [&](int *) { called++; }); }) == tls::errc::bad_key);
    CHECK(called == 1);
    first.reset();
    first = thread_local_ptr<int>();
    first.reset(new int(1));
    CHECK(*first == 1);
}

TEST_CASE("a class has such a member, in containers too", "[pointer]")
{
    struct parser {
        thread_local_ptr<std::vector<int>> scratch;
    };
    std::vector<parser> parsers;
    for (int i = 0; i < 300; i++) {
        parsers.emplace_back();
        parsers.back().scratch.reset(new std::vector<int>{i});
    }
    parsers.erase(parsers.begin(), parsers.begin() + 100);
    for (int i = 0; i < 200; i++)
        CHECK(parsers[static_cast<std::size_t>(i)].scratch->front() == i + 100);
}

TEST_CASE("a pointer to an incomplete class can be declared and destroyed", "[pointer]")
{
    struct incomplete;
    using pointer_to_it = thread_local_ptr<incomplete>;
    static_assert(std::is_nothrow_move_constructible_v<pointer_to_it>);
    static_assert(std::is_nothrow_move_assignable_v<pointer_to_it>);
    static_assert(!std::is_copy_constructible_v<pointer_to_it>);
    void (*deleter)(incomplete *) = [](incomplete *) {};
    pointer_to_it pointer(deleter);
    CHECK(pointer.get() == nullptr);
}

TEST_CASE("a destructor may use the pointer that is being reset, and others", "[pointer]")
{
    ledger book;
    thread_local_ptr<counted> other;
    struct curious {
        thread_local_ptr<curious> &self;
        thread_local_ptr<counted> &other;
        ledger &book;
        bool &found;
        ~curious()
        {
            found = self.get() == this;
            other.reset(new counted(book));
        }
    };
    thread_local_ptr<curious> pointer;
    bool found = true;
    pointer.reset(new curious{pointer, other, book, found});
    pointer.reset();
    CHECK_FALSE(found);
    CHECK(other.get() != nullptr);

    worker leaving;
    leaving.ask([&] { pointer.reset(new curious{pointer, other, book, found}); });
    leaving.end(); // The destructor makes a value while its thread ends: it is ended, too.
    CHECK(book.alive() == 1);
}

TEST_CASE("a destructor that stores what is being destroyed has it destroyed again", "[pointer][deleter]")
{
    int value = 1, ended = 0;
    thread_local_ptr<int> *self = nullptr;
    thread_local_ptr<int> pointer([&](int *old) { if (++ended == 1) self->reset(old); });
    self = &pointer;
    pointer.reset(&value);
    pointer.reset();
    CHECK(pointer.get() == &value); // Qt forgets it: see docs/migrating.md.
    pointer.reset();
    CHECK(ended == 2);
    CHECK(pointer.get() == nullptr);
}

TEST_CASE("an object that was moved from knows nothing of the rules that have gone", "[pointer]")
{
    ledger book;
    thread_local_ptr<counted> pointer(tls::options<counted>().inherited());
    { thread_local_ptr<counted> other(std::move(pointer)); }
    std::error_code error;
    pointer.reset(std::make_unique<counted>(book), error);
    CHECK(error == tls::errc::bad_key);
    pointer.reset(new counted(book), [](counted *value) { delete value; }, error);
    CHECK(error == tls::errc::bad_key);
    CHECK(book.made == 2);
    CHECK(book.alive() == 0);
}

TEST_CASE("a destructor may set the object that is being destroyed", "[pointer][deleter]")
{
    ledger book;
    struct again {
        thread_local_ptr<again> *self;
        int left;
        ledger &book;
        again(thread_local_ptr<again> *own, int times, ledger &in) : self(own), left(times), book(in)
        {
            book.made++;
        }
        ~again()
        {
            book.end();
            std::error_code error;
            const auto end = [](again *value) { delete value; };
            if (left > 0) self->reset(new again(self, left - 1, book), end, error);
        }
    };
    tls_stats_t before = {};
    before.size = sizeof before;
    tls_stats(&before);
    {
        thread_local_ptr<again> pointer;
        pointer.reset(new again(&pointer, 2, book), [](again *value) { delete value; });
    }
    tls_stats_t after = {};
    after.size = sizeof after;
    tls_stats(&after);
    CHECK(book.alive() == 0);
    CHECK(after.keys == before.keys);
    CHECK(after.entries == before.entries);
}

TEST_CASE("a destructor throws: std::terminate, in C++", "[pointer][terminate]")
{
    struct throws {
        ~throws() noexcept(false) { throw 1; }
    };
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::set_terminate([] { _exit(42); });
        thread_local_ptr<throws> pointer;
        pointer.reset(new throws);
        try {
            pointer.reset();
        } catch (...) {
            _exit(43); // It came through the library.
        }
        _exit(44);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 42);
}
