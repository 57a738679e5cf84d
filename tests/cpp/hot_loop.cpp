// SPDX-License-Identifier: MIT OR Apache-2.0
// Loops that read values, for tests/cpp.rs to look at: none may have a call in it. The
// compiler must believe that all memory changes in each round, as in a caller that does something.
#include <threadlocalmap.hpp>

#define CHANGE_ALL() __asm__ volatile("" ::: "memory")

extern "C" long loop_pointer(tls::thread_local_ptr<long> &pointer, long rounds)
{
    long sum = 0;
    for (long i = 0; i < rounds; i++) {
        sum += *pointer;
        CHANGE_ALL();
    }
    return sum;
}

extern "C" long loop_local(tls::local<long> &value, long rounds)
{
    long sum = 0;
    for (long i = 0; i < rounds; i++) {
        sum += *value;
        CHANGE_ALL();
    }
    return sum;
}

extern "C" long loop_existing(tls::local<long> &value, long rounds)
{
    long sum = 0;
    for (long i = 0; i < rounds; i++) {
        sum += *value.get_existing();
        CHANGE_ALL();
    }
    return sum;
}

extern "C" long loop_stale(long rounds)
{
    long sum = 0;
    for (long i = 0; i < rounds; i++) {
        sum += tls_stale_count() != 0;
        CHANGE_ALL();
    }
    return sum;
}
