/*
 * threadlocalmap.hpp - thread-locals of objects, with explicit cleanup, for C++17 and later.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A header over the C library of <threadlocalmap.h>, and over nothing else. No C++ crosses the
 * library's boundary, so it works with every compiler and standard library, and two shared objects
 * that were built differently can use it in one process.
 *
 *     class parser {
 *       tls::local<scratch> scratch_;           one for each parser and thread
 *      public:
 *       void parse(text t) { scratch_->fill(t); }     made at its first use on each thread
 *     };                                        they end with the parser
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
 *   tls::options<T>            which threads may destroy values, and the flags of the key;
 *                              tls::presets has the rules of folly, Boost, TBB and RocksDB
 *   tls::expunge() and others  cleanup of the calling thread; tls::take_all(f) hands its values over
 *   tls::task(f)               a function in a scope, with copies of the inherited values of the thread
 *                              that submits it; its worker is afterwards as it was before.
 *                              tls::scope and tls::context are its parts
 *   tls::map                   the values of a coroutine or a fiber, on whatever thread it runs
 *   tls::errc, tls::reason     why a call failed; why a value is destroyed
 *
 * ERRORS
 *   A function that fails throws std::system_error with tls::category(), and changes nothing. The text
 *   names the function and the cause: "moved from", "not enumerable". Each function that can fail has
 *   an overload with a std::error_code & as its last parameter, which does not throw. With
 *   -fno-exceptions, only these overloads exist. Exceptions of your constructors and factories reach
 *   the caller unchanged.
 *
 * DESTRUCTORS
 *   A value's destructor runs with no lock held, and may use everything here, the object that has the
 *   value included. If it throws, std::terminate() is called.
 *
 * FORK, EXIT, SIGNALS
 *   See the C header.
 *
 * PLUG-INS
 *   This header defines no symbol that is unique in the process, so dlclose() unmaps a shared object that
 *   includes it. Before that, the values of its objects must be destroyed on all threads, because its
 *   code destroys them; static objects are no exception. Its unload function, which the program calls
 *   before dlclose(), drains each object:
 *
 *     object.drain(timeout, error) == 0      no thread has a value, and no destructor runs
 *
 *   With options::any_thread_destroys() this succeeds at once, unless a thread is just making or
 *   destroying a value. Without it, the other threads must expunge or end first: use a timeout, and call
 *   it again. A plug-in that is unloaded without a drain is safe only if no thread has a value.
 *   (In a program in C, libstdc++ is loaded with the plug-in, and may be bound to functions of
 *   std::string that g++ has compiled into the plug-in as C++20. This keeps the plug-in mapped, with and
 *   without this header; -fvisibility-inlines-hidden prevents it.)
 *   Link a plug-in with the shared library: the static library must stay mapped.
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
