// SPDX-License-Identifier: MIT OR Apache-2.0
// What the two shared objects of shared_objects.cpp give out: each is object.cpp, compiled with
// hidden symbols and another OBJECT_NAME.
#ifndef OBJECT_HPP
#define OBJECT_HPP

#include <stdexcept>
#include <string>

#include <threadlocalmap.hpp>

struct object_functions {
    tls::local<std::string> *(*make)();            // a factory of this object's, which may throw
    std::string (*read)(tls::local<std::string> &); // its get(), compiled here
    void (*refuse)(bool);                           // whether this thread's factory throws
    tls::thread_local_ptr<int> *(*make_pointer)(int *ended);
    void (*set)(tls::thread_local_ptr<int> &, int, int *ended);
    const std::error_category &(*category)();
};


extern "C" const object_functions *first_object();
extern "C" const object_functions *second_object();

#endif
