// SPDX-License-Identifier: MIT OR Apache-2.0
// A shared object that uses the header, with all its symbols hidden but one: see object.hpp.
#include "object.hpp"

#define AS_TEXT_(name) #name
#define AS_TEXT(name) AS_TEXT_(name)

namespace {

thread_local bool refuses = false;

tls::local<std::string> *make()
{
    return new tls::local<std::string>([] {
        if (refuses) throw std::runtime_error(AS_TEXT(OBJECT_NAME));
        return std::string(AS_TEXT(OBJECT_NAME));
    });
}

std::string read(tls::local<std::string> &text) { return *text; }

void refuse(bool yes) { refuses = yes; }

tls::thread_local_ptr<int> *make_pointer(int *ended)
{
    return new tls::thread_local_ptr<int>([ended](int *value) {
        ++*ended;
        delete value;
    });
}

void set(tls::thread_local_ptr<int> &pointer, int number, int *ended)
{
    if (ended == nullptr) {
        pointer.reset(new int(number));
    } else {
        pointer.reset(new int(number), [ended](int *value) {
            *ended += 100;
            delete value;
        });
    }
}

const std::error_category &category() { return tls::category(); }

} // namespace

extern "C" __attribute__((visibility("default"))) const object_functions *OBJECT_NAME()
{
    static const object_functions functions = {make, read, refuse, make_pointer, set, category};
    return &functions;
}
