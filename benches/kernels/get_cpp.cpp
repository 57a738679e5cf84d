// SPDX-License-Identifier: MIT OR Apache-2.0
/* The get of the C++ header: the same loop over one object. Its key is read in each iteration, as in the
 * C kernels. The objects are made and destroyed once for each call of a kernel. */
#include <threadlocalmap.hpp>

extern "C" {
#include "kernel.h"

#define ASSUME_CHANGED(object) __asm__ volatile("" : : "r"(&(object)) : "memory")

KERNEL(cpp_pointer)
{
    tls::thread_local_ptr<void> pointer(nullptr);
    pointer.reset(input->values[0]);
    ASSUME_CHANGED(pointer);
    for (uint64_t done = 0; done < operations; done++) {
        void *value = pointer.get();
        USED(value);
    }
}

KERNEL(cpp_local)
{
    tls::local<long> number;
    ASSUME_CHANGED(number);
    USED(input);
    for (uint64_t done = 0; done < operations; done++) {
        long *value = number.get();
        USED(value);
    }
}
}
