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
 *   tls::atomic_ptr<T>         a pointer that other threads may exchange: compare and swap, and
 *                              scraping with a replacement, as of RocksDB's ThreadLocalPtr
 *   tls::padded<T>             a T in cache lines of its own
 *   .all_threads()             all threads' values of an enumerable tls::thread_local_ptr or tls::local:
 *                              as they come, or, with for_each_locked(), as they are at one instant
 *   tls::options<T>            who may destroy values, and what else may be asked of them;
 *                              tls::presets has the rules of folly, Boost, TBB and RocksDB
 *   tls::expunge() and others  cleanup of the calling thread; tls::take_all(f) takes its values, undestroyed
 *   tls::task(f)               a function that leaves its worker as it found it, and takes along the
 *                              inherited values of the thread that submits it; tls::scope and
 *                              tls::context are what it is made of
 *   tls::map                   the values of a coroutine or a fiber, on whatever thread it runs
 *   tls::errc, tls::reason     what went wrong; why a value ends
 *
 * ERRORS
 *   What fails throws std::system_error with tls::category(), and changes nothing. Its text names
 *   the function, and what was wrong with its use: "moved from", "not enumerable". Whatever can
 *   fail has an overload with a std::error_code& last, which reports and does not throw; compiled
 *   with -fno-exceptions, these overloads are all there is. What your constructors and factories
 *   throw reaches you as it is.
 *
 * DESTRUCTORS
 *   run with no lock held, and may use any of this, the object that holds them included. One that
 *   throws ends in std::terminate, as destructors do.
 *
 * FORK, EXIT, SIGNALS: as the C header says.
 *
 * PLUG-INS
 *   This header makes no symbol that is unique in the process, so a shared object that includes it is
 *   really unmapped by dlclose(). Before that, the values of its objects must have ended on all
 *   threads, since they end by its code: also those of a static tls::local. Its unload function, which
 *   the program calls before dlclose(), drains each object:
 *
 *     object.drain(timeout, error) == 0      no thread has a value, and no destructor runs
 *
 *   With options::any_thread_destroys() that needs nobody else, unless a thread is just making or
 *   ending a value. Without it the other threads must expunge, or end, meanwhile: so the timeout, and
 *   calling it again. A plug-in that is unloaded without it is safe only if no thread has a value.
 *   (In a program in C, where libstdc++ comes with the plug-in, it may be bound to functions of
 *   std::string that g++ has compiled into the plug-in as C++20. That keeps the plug-in mapped, with
 *   this header or without; -fvisibility-inlines-hidden prevents it.)
 *   It links the shared library: a copy of the static one would have to stay mapped.
 */
#ifndef THREADLOCALMAP_HPP
#define THREADLOCALMAP_HPP

#if __cplusplus >= 201703L || (defined(_MSVC_LANG) && _MSVC_LANG >= 201703L)

#include "threadlocalmap/all_threads.hpp"
#include "threadlocalmap/atomic_ptr.hpp"
#include "threadlocalmap/error.hpp"
#include "threadlocalmap/local.hpp"
#include "threadlocalmap/map.hpp"
#include "threadlocalmap/options.hpp"
#include "threadlocalmap/padded.hpp"
#include "threadlocalmap/tasks.hpp"
#include "threadlocalmap/this_thread.hpp"
#include "threadlocalmap/thread_local_ptr.hpp"

#else

static_assert(sizeof(int) == 0, "threadlocalmap.hpp needs C++17: compile with -std=c++17, or a later "
                                "one; <threadlocalmap.h> is for all older ones");

#endif
#endif
