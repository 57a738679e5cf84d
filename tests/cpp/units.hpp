// SPDX-License-Identifier: MIT OR Apache-2.0
// One program of two translation units that share an object, its class and its functions.
#ifndef UNITS_HPP
#define UNITS_HPP

#include <threadlocalmap.hpp>

struct shared_class {
    tls::local<int> number{std::in_place, 5};
    tls::thread_local_ptr<int> pointer;
    int read() { return *number + (pointer ? *pointer : 0); }
};

inline tls::local<int> global_number{std::in_place, 7};

// Of the other unit.
void change_there(shared_class &object, int number);
int read_there(shared_class &object);
int *global_there();
const std::error_category *category_there();
void throw_there();

// What a constructor of this unit has found, before main().
extern const int found_early;

#endif
