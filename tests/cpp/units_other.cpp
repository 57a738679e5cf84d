// SPDX-License-Identifier: MIT OR Apache-2.0
// The other translation unit of units.cpp.
#include "units.hpp"

void change_there(shared_class &object, int number)
{
    *object.number = number;
    object.pointer.reset(new int(number), [](int *value) { delete value; });
}

int read_there(shared_class &object) { return object.read(); }

int *global_there() { return global_number.get(); }

const std::error_category *category_there() { return &tls::category(); }

void throw_there()
{
    tls::local<int> first;
    const tls::local<int> second(std::move(first));
    first.get();
}
