/*
 * threadlocalmap.hpp - thread locals of objects, with explicit cleanup, for C++17 and later.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A header over the C library of <threadlocalmap.h>, and over nothing else: no C++ crosses the
 * library's boundary, so any compiler and any standard library will do, and two shared objects
 * that were built differently can use it in one process.
 *
 *     class parser {
 *       tls::local<scratch> scratch_;           each parser, each thread: one scratch
 *      public:
 *       void parse(text t) { scratch_->fill(t); }     made at its first use on each thread
 *     };                                        with the parser all its scratches go
 *
 *     tls::expunge();                           on a pool's thread, between two tasks
 *
 * WHAT IS HERE
 *   tls::thread_local_ptr<T>   a pointer that each thread has for itself. Its members are those of
 *                              boost::thread_specific_ptr and folly::ThreadLocalPtr
 *   tls::local<T>              a T that each thread has for itself, made at its first use there
 *   .all_threads()             all threads' values of an enumerable one of these
 *   tls::options<T>            who may destroy values, and what else may be asked of them
 *   tls::expunge() and others  cleanup of the calling thread
 *   tls::task(f)               a function that leaves its worker as it found it, and takes along the
 *                              inherited values of the thread that submits it; tls::scope and
 *                              tls::context are what it is made of
 *   tls::map                   the values of a coroutine or a fiber, on whatever thread it runs
 *   tls::errc, tls::reason     what went wrong; why a value ends
 *
 * ERRORS
 *   What fails throws std::system_error with tls::category(), and changes nothing. Whatever can
 *   fail has an overload with a std::error_code& last, which reports and does not throw; compiled
 *   with -fno-exceptions, these overloads are all there is. What your constructors and factories
 *   throw reaches you as it is.
 *
 * DESTRUCTORS
 *   run with no lock held, and may use any of this, the object that holds them included. One that
 *   throws ends in std::terminate, as destructors do.
 *
 * FORK, EXIT, DLCLOSE, SIGNALS: as the C header says. A plugin that makes such objects must not be
 * unloaded before their values are gone on all threads: tls_key_drain(object.native_handle(), ...).
 */
#ifndef THREADLOCALMAP_HPP
#define THREADLOCALMAP_HPP

#include "threadlocalmap/all_threads.hpp"
#include "threadlocalmap/error.hpp"
#include "threadlocalmap/local.hpp"
#include "threadlocalmap/map.hpp"
#include "threadlocalmap/options.hpp"
#include "threadlocalmap/tasks.hpp"
#include "threadlocalmap/this_thread.hpp"
#include "threadlocalmap/thread_local_ptr.hpp"

#endif
