// SPDX-License-Identifier: MIT OR Apache-2.0
// The header in two shared objects, each with its symbols hidden; and in one that is opened late.
#include "support.hpp"

#include <memory>
#include <stdexcept>

#include <dlfcn.h>

#include "object.hpp"

namespace {

std::unique_ptr<tls::local<std::string>> text_of(const object_functions &object)
{
    return std::unique_ptr<tls::local<std::string>>(object.make());
}

// An exception's text, as it comes from a factory of `maker` through a get() of `user`.
std::string refusal(const object_functions &maker, const object_functions &user)
{
    const auto text = text_of(maker);
    maker.refuse(true);
    std::string caught;
    try {
        user.read(*text);
    } catch (const std::runtime_error &error) {
        caught = error.what();
    }
    maker.refuse(false);
    return caught;
}

// Everything that two copies of the header must agree on.
void check_together(const object_functions &first, const std::string &name, const object_functions &second)
{
    worker other;
    const auto text = text_of(first);
    CHECK(second.read(*text) == name);
    **text += "!";
    CHECK(first.read(*text) == name + "!");
    CHECK(other.ask([&] { return second.read(*text); }) == name);
    CHECK(refusal(first, second) == name);
    CHECK(refusal(first, first) == name);

    int ended = 0;
    {
        const std::unique_ptr<tls::thread_local_ptr<int>> pointer(first.make_pointer(&ended));
        second.set(*pointer, 1, nullptr);
        CHECK(**pointer == 1);
        second.set(*pointer, 2, &ended);
        CHECK(ended == 1);
        CHECK(**pointer == 2);
        first.set(*pointer, 3, nullptr);
        CHECK(ended == 101);
        CHECK(**pointer == 3);
    }
    CHECK(ended == 102);
}

} // namespace

TEST_CASE("two shared objects use each other's objects", "[shared]")
{
    check_together(*first_object(), "first_object", *second_object());
    check_together(*second_object(), "second_object", *first_object());
    CHECK(&first_object()->category() == &second_object()->category());
    CHECK(&first_object()->category() == &tls::category());
}

TEST_CASE("a shared object that is opened late uses the program's objects", "[shared]")
{
    void *const library = dlopen(LATE_OBJECT, RTLD_NOW | RTLD_LOCAL);
    REQUIRE(library != nullptr);
    void *const found = dlsym(library, "late_object");
    REQUIRE(found != nullptr);
    const auto &late = *reinterpret_cast<const object_functions *(*)()>(found)();
    check_together(late, "late_object", *first_object());
    check_together(*first_object(), "first_object", late);
    dlclose(library);
}
