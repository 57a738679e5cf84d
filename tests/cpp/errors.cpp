// SPDX-License-Identifier: MIT OR Apache-2.0
// tls::errc, its category, and that every failure comes as it should.
#include "support.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

using tls::errc;

TEST_CASE("an error code says what the C library says", "[errors]")
{
    const std::error_code error = errc::dead_key;
    CHECK(error.value() == TLS_ERR_DEAD_KEY);
    CHECK(error.message() == tls_strerror(TLS_ERR_DEAD_KEY));
    CHECK(std::strcmp(error.category().name(), "threadlocalmap") == 0);
    CHECK(error == errc::dead_key);
    CHECK(error != errc::bad_key);
}

TEST_CASE("every error of the C header has its name in C++", "[errors]")
{
    // Beyond the last one the C library knows no name.
    int count = 0;
    while (std::strcmp(tls_err_name(-count - 1), "TLS_ERR_UNKNOWN") != 0) count++;
    CHECK(-count == static_cast<int>(errc::unsupported));
}

TEST_CASE("what the standard has a word for compares equal to it", "[errors]")
{
    CHECK(make_error_code(errc::no_memory) == std::errc::not_enough_memory);
    CHECK(make_error_code(errc::busy) == std::errc::device_or_resource_busy);
    CHECK(make_error_code(errc::invalid) == std::errc::invalid_argument);
    CHECK(make_error_code(errc::timeout) == std::errc::timed_out);
    CHECK(make_error_code(errc::unsupported) == std::errc::not_supported);
    CHECK(make_error_code(errc::reentrant) == std::errc::resource_deadlock_would_occur);
    CHECK(make_error_code(errc::dead_key) != std::errc::invalid_argument);
}

TEST_CASE("an exception says what was asked, and what went wrong", "[errors]")
{
    tls::local<int> first;
    tls::local<int> second(std::move(first));
    std::string what;
    try {
        first.get();
    } catch (const std::system_error &error) {
        what = error.what();
        CHECK(error.code() == errc::bad_key);
    }
    CHECK(what.find("tls::local::get") != std::string::npos);
    CHECK(what.find(tls_strerror(TLS_ERR_BAD_KEY)) != std::string::npos);
}

TEST_CASE("an overload with an error code clears it, or sets it", "[errors]")
{
    std::error_code error = errc::timeout;
    tls::thread_local_ptr<int> pointer(error);
    CHECK_FALSE(error);
    error = errc::timeout;
    pointer.reset(new int(1), error);
    CHECK_FALSE(error);
    error = errc::timeout;
    std::unique_ptr<int> released(pointer.release(error));
    CHECK_FALSE(error);

    error = errc::timeout;
    tls::local<int> value(error);
    CHECK_FALSE(error);
    error = errc::timeout;
    value.get(error);
    CHECK_FALSE(error);
    error = errc::timeout;
    value.release(error);
    CHECK_FALSE(error);

    tls::local<int> moved(std::move(value));
    value.get(error);
    CHECK(error == errc::bad_key);
    value.release(error);
    CHECK(error == errc::bad_key);
}

TEST_CASE("an object that can't be made throws, or is as if moved from", "[errors]")
{
    tls::options<int> impossible;
    // No C++ function asks for what the library does not know; a C structure can.
    tls_key_options_t options = impossible.for_key();
    options.flags = 1u << 31;
    std::error_code error;
    tls::detail::key key(options, error);
    CHECK(error == errc::invalid);
    CHECK(key.handle() == TLS_KEY_NONE);
}

TEST_CASE("a drain inside a destructor fails, and the object works as before", "[errors]")
{
    std::error_code inside;
    tls::local<int> number;
    tls::thread_local_ptr<int> pointer;
    tls::local<int> other([] { return 1; }, [&](int *value) {
        delete value;
        number.drain(0, inside);
        CHECK(inside == tls::errc::reentrant);
        pointer.drain(0, inside);
        CHECK(inside == tls::errc::reentrant);
    });
    *number = 1;
    pointer.reset(new int(2));
    *other = 3;
    other.reset();
    CHECK(inside == tls::errc::reentrant);
    CHECK(*number == 1);
    CHECK(*pointer == 2);
    pointer.reset(new int(4));
    CHECK(*pointer == 4);
    CHECK(number.drain(0, inside) == 0);
    CHECK_FALSE(inside);
}

TEST_CASE("a reset with null that may not be made is an error", "[errors]")
{
    tls::local<int> number(tls::options<int>().enumerable());
    tls::thread_local_ptr<int> pointer(tls::options<int>().enumerable());
    *number = 1;
    pointer.reset(new int(2));
    number.all_threads().for_each_locked([&](int &) {
        std::error_code error;
        number.reset(nullptr, error);
        CHECK(error == tls::errc::reentrant);
    });
    pointer.all_threads().for_each_locked([&](int &) {
        std::error_code error;
        pointer.reset(nullptr, error);
        CHECK(error == tls::errc::reentrant);
        pointer.reset(nullptr, [](int *value) { delete value; }, error);
        CHECK(error == tls::errc::reentrant);
    });
    CHECK(*number == 1);
    CHECK(*pointer == 2);
}

TEST_CASE("combine() takes a function that returns a reference", "[errors]")
{
    tls::local<std::string> text(tls::options<std::string>().enumerable());
    *text = std::string(50, 'a');
    worker other;
    other.ask([&] { *text = std::string(60, 'b'); });
    const std::string longest = text.combine(
        [](const std::string &a, const std::string &b) -> const std::string & { return std::max(a, b); });
    CHECK(longest == std::string(60, 'b'));
}
