/**
 * @file
 * pthread.h - the system's pthread.h, followed by threadlocalmap_pthread.h.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Use it for a program whose sources you do not want to change. Put this folder first in the
 * include path (-I): each file that includes pthread.h then uses pthread keys of this library.
 * Macros that the file defines before the include (_GNU_SOURCE, _POSIX_C_SOURCE) work as before.
 *
 * If a header of the C++ library includes pthread.h for its own use, it gets the system's names.
 * The file gets the names of this library when it includes pthread.h itself.
 */
#ifdef __GNUC__
#pragma GCC system_header
#endif
#include_next <pthread.h>

/* Not inside the C++ library's own header, which has defined the first of these macros and not yet
 * the second, and not inside threadlocalmap_pthread.h. */
#if !defined(THREADLOCALMAP_PTHREAD_H) && \
    !(defined(_GLIBCXX_GCC_GTHR_POSIX_H) && !defined(__GTHREAD_ONCE_INIT))
#include "../threadlocalmap_pthread.h"
#endif
