// SPDX-License-Identifier: MIT OR Apache-2.0
// Values of every type, made and ended in every way.
#include "support.hpp"

#include <any>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

using tls::local;
using tls::options;
using tls::reason;

TEST_CASE("a value starts right whatever a pointer to it converts to", "[local][types]")
{
    CHECK(*local<bool>() == false);
    CHECK(*local<bool>(std::in_place, true) == true);
    CHECK(*local<bool>(std::in_place, false) == false);
    CHECK(*local<void *>() == nullptr);
    CHECK(*local<const void *>() == nullptr);
    CHECK_FALSE(local<std::optional<bool>>()->has_value());
    CHECK_FALSE(local<std::any>()->has_value());
    CHECK(local<std::variant<int, bool>>()->index() == 0);
    CHECK_FALSE(*local<std::function<void()>>());
    CHECK_FALSE(*local<std::shared_ptr<void>>());
}

TEST_CASE("what a factory gives is the value, or a value made by new, and nothing in between", "[local][types]")
{
    static bool target = false;
    CHECK(*local<bool>([] { return new bool(false); }) == false);
    CHECK(*local<bool>([] { return std::make_unique<bool>(false); }) == false);
    CHECK(*local<bool>([] { return false; }) == false);
    CHECK(*local<void *>([] { return &target; }) == &target);
    CHECK(*local<void *>([] { return nullptr; }) == nullptr);
    CHECK(*local<void *>([] { return new void *(&target); }) == &target);
    CHECK(local<std::any>([] { return new std::any(5); })->type() == typeid(int));
    CHECK(local<std::any>([] { return 5; })->type() == typeid(int));
    CHECK_FALSE(local<std::optional<bool>>([] { return std::optional<bool>(); })->has_value());
    CHECK(*local<long>([] { return 5; }) == 5);
    CHECK(**local<std::unique_ptr<int>>([] { return std::make_unique<int>(5); }) == 5);
    const std::string text = "x";
    CHECK(*local<std::string>([&]() -> const std::string & { return text; }) == "x");
    struct base {
        virtual ~base() = default;
        virtual int number() { return 1; }
    };
    struct derived : base {
        int number() override { return 2; }
    };
    CHECK(local<base>([] { return new derived; })->number() == 2);
    CHECK(local<base>([] { return std::make_unique<derived>(); })->number() == 2);
}

TEST_CASE("values that convert from their pointers are combined, collected and inherited", "[local][types]")
{
    local<bool> flag(options<bool>().enumerable().inherited());
    CHECK(flag.combine([](bool a, bool b) { return a || b; }) == false);
    worker other;
    other.ask([&] { *flag = true; });
    CHECK(flag.combine([](bool a, bool b) { return a || b; }) == true);
    *flag = false;
    CHECK(flag.combine([](bool a, bool b) { return a || b; }) == true);
    CHECK(flag.all_threads().snapshot().size() == 2);
    const tls::context along;
    CHECK(other.ask([&] {
        const tls::scope here(along);
        return *flag;
    }) == false);
    local<std::any> any(options<std::any>().enumerable());
    *any = 1;
    CHECK(any.combine([](const std::any &a, const std::any &) { return a; }).type() == typeid(int));
}

TEST_CASE("a local has a deleter, which is told why", "[local][deleter]")
{
    std::vector<std::pair<int, reason>> ended;
    std::mutex mutex;
    const auto deleter = [&](int *value, reason why) {
        const std::lock_guard<std::mutex> guard(mutex);
        ended.emplace_back(*value, why);
        delete value;
    };
    {
        local<int> number([] { return 1; }, deleter);
        CHECK(*number == 1);
        number.reset(new int(2));
        number.reset(number.get());
        number.reset();
        worker leaving;
        leaving.ask([&] { *number = 3; });
        leaving.end();
        *number = 4;
        std::unique_ptr<int> handed = number.release();
        CHECK(*handed == 4);
        *number = 5;
    }
    CHECK(ended == std::vector<std::pair<int, reason>>{{1, reason::replaced},
                                                       {2, reason::removed},
                                                       {3, reason::thread_exit},
                                                       {5, reason::key_dead}});
}

TEST_CASE("a deleter of a local may be null, or take the pointer alone", "[local][deleter]")
{
    static int target = 7;
    local<int> borrowed([] { return &target; }, nullptr);
    CHECK(borrowed.get() == &target);
    borrowed.reset();
    CHECK(target == 7);
    local<int> also_borrowed([] { return &target; }, NULL);
    CHECK(also_borrowed.get() == &target);
    local<int> with_options(tls::presets::tbb, [] { return &target; }, NULL);
    CHECK(with_options.get() == &target);
    std::error_code error;
    local<int> with_error(options<int>(), [] { return &target; }, NULL, error);
    CHECK(with_error.get() == &target);
    int called = 0;
    {
        local<int> counts(options<int>(), [] { return 1; }, [&](int *value) { called++; delete value; }, error);
        CHECK_FALSE(error);
        counts.get();
    }
    CHECK(called == 1);
}

TEST_CASE("a deleter keeps the values of threads that have ended", "[local][deleter]")
{
    std::mutex mutex;
    std::vector<std::unique_ptr<long>> kept;
    local<long> sum(options<long>().enumerable(), [] { return 0L; }, [&](long *value, reason why) {
        std::unique_ptr<long> own(value);
        const std::lock_guard<std::mutex> guard(mutex);
        if (why == reason::thread_exit) kept.push_back(std::move(own));
    });
    for (int i = 1; i <= 3; i++) std::thread([&] { *sum += i; }).join();
    *sum = 10;
    long total = sum.all_threads().reduce(0L, [](long a, const long &b) { return a + b; });
    CHECK(total == 10);
    for (const auto &each : kept) total += *each;
    CHECK(total == 16);
}

TEST_CASE("combine ends what the factory made for it by the deleter", "[local][deleter]")
{
    int ended = 0;
    local<int> number(options<int>().enumerable(), [] { return 5; }, [&](int *value) { ended++; delete value; });
    CHECK(number.combine([](int a, int b) { return a + b; }) == 5);
    CHECK(ended == 1);
}

TEST_CASE("reset takes a pointer, and ends it if it can't be stored", "[local]")
{
    ledger book;
    local<counted> value(std::in_place, std::ref(book));
    value.reset(new counted(book, 1));
    CHECK(value->number == 1);
    value.reset(NULL);
    CHECK(book.alive() == 0);
    value.reset(nullptr);
    local<counted> moved(std::move(value));
    const auto own = std::make_unique<counted>(book, 2);
    CHECK(error_of([&] { value.reset(own.get()); }) == tls::errc::bad_key); // No deleter: it stays ours.
    CHECK(book.alive() == 1);
}

TEST_CASE("a padded value shares its cache lines with nobody", "[local][padded]")
{
    using tls::padded;
    static_assert(alignof(padded<long>) == 128 && sizeof(padded<long>) == 128);
    static_assert(sizeof(padded<std::vector<int>>) == 128);
    struct alignas(256) wide {
        int number = 1;
    };
    static_assert(alignof(padded<wide>) == 256);
    local<padded<long>> number(std::in_place, 5);
    ++*number;
    *number += 2;
    CHECK(*number == 8);
    CHECK(reinterpret_cast<std::uintptr_t>(number.get()) % 128 == 0);
    local<padded<std::atomic<long>>> hits(options<>().enumerable());
    ++*hits;
    CHECK(hits->load() == 1);
    *hits = 7;
    CHECK(hits->load() == 7);
    local<padded<std::vector<int>>> list(std::in_place, std::in_place, 3u, 1);
    CHECK(list->size() == 3);
    local<padded<bool>> flag;
    CHECK(*flag == false);
    CHECK(number.all_threads().size(*std::make_unique<std::error_code>()) == 0);
    worker other;
    CHECK(other.ask([&] { return reinterpret_cast<std::uintptr_t>(hits.get()) % 128; }) == 0);
}

TEST_CASE("the type of the values is written once", "[options]")
{
    local<int> typed_here(tls::options<>().name("a").enumerable());
    *typed_here = 1;
    CHECK(typed_here.all_threads().size() == 1);
    local typed_there(options<int>().name("b").enumerable());
    static_assert(std::is_same_v<decltype(typed_there), local<int>>);
    tls::thread_local_ptr pointer(options<int>().enumerable());
    static_assert(std::is_same_v<decltype(pointer), tls::thread_local_ptr<int>>);
    tls::thread_local_ptr<void> memory(tls::options<>().name("c"), std::free);
    memory.reset(std::malloc(1));
    struct incomplete;
    void (*deleter)(incomplete *) = [](incomplete *) {};
    tls::thread_local_ptr<incomplete> opaque(tls::options<>().name("d"), deleter);
    char name[8] = "";
    CHECK(tls_key_name(opaque.native_handle(), name, sizeof name) == TLS_OK);
    CHECK(std::string(name) == "d");
    const options<int> kept = tls::options<>(tls::presets::tbb).name("e");
    local<int> number(kept, [] { return 3; });
    CHECK(number.clear() == 0);
    local<std::string> text(tls::options<>().name("f"), std::in_place, 2u, 'x');
    CHECK(*text == "xx");
}

TEST_CASE("a preset has its library's rules: who ends values, who sees them", "[options]")
{
    for (const auto like : {tls::presets::folly, tls::presets::boost, tls::presets::tbb, tls::presets::rocksdb}) {
        const bool boost = like == tls::presets::boost;
        CAPTURE(static_cast<int>(like));
        ledger book;
        worker other;
        {
            tls::thread_local_ptr<counted> pointer(like);
            other.ask([&] { pointer.reset(new counted(book)); });
            CHECK(error_of([&] { pointer.all_threads().size(); }) ==
                  (boost ? make_error_code(tls::errc::invalid) : std::error_code()));
            const tls::scope inside;
            pointer.reset(new counted(book));
        }
        CHECK(book.alive() == (boost ? 1 : 0));
        other.end();
        CHECK(book.alive() == 0);
    }
    int ended = 0;
    tls::thread_local_ptr<int> kept(tls::presets::rocksdb, [&](int *value) { ended++; delete value; });
    {
        const tls::scope inside;
        kept.reset(new int(1));
    }
    CHECK(kept.get() != nullptr);
    CHECK(ended == 0);
}

TEST_CASE("null is a deleter, by each of its names", "[pointer][deleter]")
{
    int value = 1;
    tls::thread_local_ptr<int> first(NULL), second(nullptr), third(options<int>(), NULL);
    first.reset(&value);
    second.reset(&value);
    third.reset(&value);
    tls::thread_local_ptr<int> owns;
    owns.reset(&value, NULL);
    owns.reset(&value, nullptr);
    owns.reset(NULL);
    owns.reset(nullptr);
    CHECK(owns.get() == nullptr);
    owns.reset(&value, NULL);
    CHECK(owns.release() == &value);
}

TEST_CASE("a value at an odd address is a value like others", "[pointer][deleter]")
{
    alignas(8) static const char text[] = "0123456789";
    std::vector<std::pair<const char *, reason>> ended;
    {
        const auto asked = options<const char>().enumerable().inherited([](const char &at) { return &at + 2; });
        tls::thread_local_ptr<const char> pointer(asked, [&](const char *value, reason why) { ended.emplace_back(value, why); });
        pointer.reset(text + 1);
        CHECK(pointer.get() == text + 1);
        CHECK(*pointer == '1');
        pointer.reset(text + 1);
        CHECK(ended.empty());
        CHECK(pointer.all_threads().collect([](const char &at) { return at; }) == std::vector<char>{'1'});
        {
            const tls::context along;
            const tls::scope here(along);
            CHECK(*pointer == '5'); // A copy for the context, and one of that for the scope.
        }
        CHECK(pointer.get() == text + 1);
        CHECK(ended.size() == 2);
        ended.clear();
        pointer.reset(text + 2);
        CHECK(pointer.release() == text + 2);
        pointer.reset(text + 3);
        CHECK(pointer.release() == text + 3);
        int own = 0;
        pointer.reset(text + 5, [&](const char *) { own++; });
        pointer.reset(text + 5);
        CHECK(own == 0);
        pointer.reset(text + 7, [&](const char *) { own++; });
        pointer.reset();
        CHECK(own == 1);
        pointer.reset(text + 9);
    }
    CHECK(ended == std::vector<std::pair<const char *, reason>>{
                       {text + 1, reason::replaced}, {text + 5, reason::replaced}, {text + 9, reason::key_dead}});
}

TEST_CASE("a deleter whose constructor throws is called for its value, once", "[pointer][deleter][exceptions]")
{
    static int called = 0, moves_left = 0;
    struct fragile {
        fragile() = default;
        fragile(const fragile &) = default;
        fragile(fragile &&) { if (moves_left-- == 0) throw std::string("moved"); }
        void operator()(int *value) const { called++; delete value; }
    };
    tls::thread_local_ptr<int> pointer;
    pointer.reset(new int(1));
    const fragile deleter;
    moves_left = 0;
    CHECK_THROWS_AS(pointer.reset(new int(2), deleter), std::string);
    CHECK(called == 1);
    CHECK(*pointer == 1);
    moves_left = 1;
    std::error_code error;
    pointer.reset(new int(3), deleter, error);
    CHECK(*pointer == 3);
    pointer.reset();
    CHECK(called == 2);
}
