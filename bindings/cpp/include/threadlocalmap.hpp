/**
 * @file
 * threadlocalmap.hpp - thread-locals of objects, with explicit cleanup, for C++17 and later.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * This header needs the C library of threadlocalmap.h and nothing else. No C++ crosses the
 * library's boundary, so it works with any compiler and any standard library, and two shared
 * objects that were built differently can use it in one process.
 *
 *     class parser {
 *       tls::local<scratch> scratch_;           one scratch for each parser and each thread
 *      public:
 *       void parse(text t) { scratch_->fill(t); }     made at its first use on each thread
 *     };                                        when the parser ends, so do all its scratches
 *
 *     tls::expunge();                           between two tasks of a pool
 *
 * WHAT IS HERE
 *   tls::thread_local_ptr<T>   a pointer that each thread has for itself, with the members of
 *                              boost::thread_specific_ptr and folly::ThreadLocalPtr
 *   tls::local<T>              a T that each thread has for itself, made at its first use
 *   tls::atomic_ptr<T>         a pointer that other threads may exchange, as with RocksDB's
 *                              ThreadLocalPtr
 *   tls::padded<T>             a T in cache lines of its own
 *   all_threads()              a member: all threads' values of an enumerable object, visited one
 *                              by one, or as they are at one instant (for_each_locked())
 *   tls::options<T>            who may destroy values, and more; tls::presets has the rules of
 *                              folly, Boost, TBB and RocksDB
 *   tls::expunge() and others  cleanup of the calling thread; tls::take_all(f) takes its values
 *                              without destroying them
 *   tls::task(f)               a function that runs in a scope, with copies of the inherited values
 *                              of the thread that submits it; tls::scope and tls::context are its
 *                              parts
 *   tls::map                   the values of a coroutine or a fiber, on whatever thread it runs
 *   tls::errc, tls::reason     error codes; why a value is destroyed
 *
 * ERRORS
 *   A function that fails throws std::system_error with tls::category(), and has changed nothing.
 *   The text of the exception names the function and the mistake, for example "moved from" or "not
 *   enumerable". Every function that can fail has an overload with a std::error_code & as its last
 *   parameter, which does not throw. With -fno-exceptions, only these overloads exist. An exception
 *   of your constructor or factory reaches you unchanged.
 *
 * DESTRUCTORS
 *   Destructors of values run with no lock held. They may use everything in this header, the object
 *   that holds the value included. If one throws, std::terminate is called.
 *
 * FORK, EXIT, SIGNALS
 *   See threadlocalmap.h.
 *
 * PLUG-INS
 *   This header defines no symbol that is unique in the process, so dlclose() does unmap a shared
 *   object that includes it. The values of its objects, those of a static tls::local included, must
 *   be destroyed on all threads before that, because code of the shared object destroys them. In a
 *   function that the program calls before dlclose(), drain each object:
 *
 *       object.drain(timeout, error) == 0      no thread has a value, and no destructor runs
 *
 *   With options::any_thread_destroys() this waits for no other thread, unless one is making or
 *   destroying a value at this moment. Without it, the other threads must expunge or end meanwhile,
 *   so pass a timeout, and call drain() again if it expires. Without draining, it is safe to unload
 *   a plug-in only if no thread has a value.
 *
 *   In a C program whose libstdc++ comes with the plug-in, libstdc++ may be bound to functions of
 *   std::string that g++ has compiled into the plug-in as C++20. This keeps the plug-in mapped,
 *   with this header or without it. The option -fvisibility-inlines-hidden prevents it.
 *
 *   Link the plug-in with the shared library: a copy of the static one would have to stay mapped.
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
