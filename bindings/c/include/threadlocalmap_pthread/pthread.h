/*
 * pthread.h - the system's <pthread.h>, and then threadlocalmap_pthread.h.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * For a program whose sources should not be changed: with this folder in front (`-I`), each file that
 * includes <pthread.h> has pthread keys of this library. Macros that it defines before the include
 * (_GNU_SOURCE, _POSIX_C_SOURCE) work as before.
 *
 * A header of the C++ library that includes <pthread.h> for itself gets the system's names; the
 * file has ours when it includes <pthread.h> itself.
 */
#ifdef __GNUC__
#pragma GCC system_header
#endif
#include_next <pthread.h>

/* Not in the middle of the C++ library's own header, which has defined the first of these and not
 * yet the second; and not in that of this library's. */
#if !defined(THREADLOCALMAP_PTHREAD_H) && \
    !(defined(_GLIBCXX_GCC_GTHR_POSIX_H) && !defined(__GTHREAD_ONCE_INIT))
#include <threadlocalmap_pthread.h>
#endif
