// SPDX-License-Identifier: MIT OR Apache-2.0
// Two translation units in one program: the other one is units_other.cpp.
#include "support.hpp"

#include "units.hpp"

namespace {

// Objects are made and used before main(), by constructors of other globals.
struct early {
    tls::local<int> number{std::in_place, 11};
    int found = ++*number;
};
early made_early;

} // namespace

const int found_early = made_early.found;

TEST_CASE("two translation units see the same object", "[units]")
{
    shared_class object;
    worker other;
    CHECK(object.read() == 5);
    change_there(object, 20);
    CHECK(object.read() == 40);
    CHECK(read_there(object) == 40);
    CHECK(other.ask([&] { return read_there(object); }) == 5);
    CHECK(global_there() == global_number.get());
}

TEST_CASE("two translation units have one error category", "[units]")
{
    CHECK(category_there() == &tls::category());
    CHECK(error_of(throw_there) == tls::errc::bad_key);
}

TEST_CASE("objects can be made and used before main", "[units]")
{
    CHECK(found_early == 12);
    CHECK(*made_early.number == 12);
}
