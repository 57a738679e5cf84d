/**
 * @file
 * threadlocalmap.hpp - thread-locals of objects, with explicit cleanup, for C++17 and later.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * This header needs the C library of threadlocalmap.h and nothing else. No C++ type crosses the
 * boundary of the library, so the library works with any compiler and any standard library, and
 * shared objects that were built by different compilers can use it in one process.
 *
 *     class parser {
 *       tls::local<scratch> scratch_;           one scratch for each parser and each thread
 *      public:
 *       void parse(text t) { scratch_->fill(t); }     made at its first use on each thread
 *     };                                        the destructor also destroys the scratches
 *
 *     tls::expunge();                           between two tasks of a pool
 *
 * CONTENTS
 *   - tls::thread_local_ptr is a pointer for each thread. It has the members of
 *     boost::thread_specific_ptr and folly::ThreadLocalPtr.
 *   - tls::local is a value for each thread, made at its first use there.
 *   - tls::atomic_ptr is a pointer for each thread that other threads may exchange. It does the
 *     work of RocksDB's ThreadLocalPtr.
 *   - tls::padded is a value in cache lines of its own.
 *   - tls::all_threads_view visits all threads' values of an object: one after another, or as they
 *     are at one instant. The member function all_threads() of an object returns it.
 *   - tls::options says which threads may destroy values, and more. tls::presets has the rules of
 *     folly, Boost, TBB and RocksDB.
 *   - tls::expunge() destroys the calling thread's stale values. tls::take_all() takes its values
 *     without destroying them. tls::at_thread_exit() registers a function that is called when the
 *     thread ends.
 *   - tls::task is a function that runs in a scope, with copies of the inherited values of the
 *     thread that submits it. It is made of a tls::scope and a tls::context.
 *   - tls::map has the values of a coroutine or a fiber, which several threads run one after
 *     another.
 *   - tls::errc has the error codes. tls::reason says why a value is destroyed.
 *   - threadlocalmap/shared_task.hpp, threadlocalmap/asio.hpp and threadlocalmap/tbb.hpp adapt
 *     tasks to other libraries. This header does not include them.
 *
 * ERRORS
 *   A function that fails throws std::system_error with tls::category(), and has changed nothing.
 *   The text of the exception names the function and the mistake, for example "moved from" or "not
 *   enumerable". A function that can fail has an overload with a std::error_code & as its last
 *   parameter, which does not throw. Operators, combine(), combine_each() and constructors with
 *   std::in_place have none; other constructors with arguments have it in the form that begins with
 *   options. With -fno-exceptions, only these overloads exist.
 *
 *   An exception of a constructor or a factory of yours reaches the caller unchanged, except that
 *   of a copy constructor of an inherited value: the error is then errc::init. If memory is
 *   exhausted, std::bad_alloc may be thrown in place of a std::system_error with errc::no_memory.
 *   Functions that are called by the memory allocator, inside a call of this library, fail with
 *   tls::errc::reentrant.
 *
 * OWNERSHIP
 *   "Yours" means that the library does not destroy the value: the caller owns it.
 *
 * DESTRUCTORS
 *   Destructors of values run while no lock is held. They may use everything in this header,
 *   including the object that has the value. If one throws, std::terminate() is called. A deleter,
 *   a copy constructor of an inherited value and a function of at_thread_exit() must not end their
 *   thread, and must not be cancelled: std::terminate() is called.
 *
 * FORK, EXIT, SIGNALS
 *   See threadlocalmap.h.
 *
 * PLUG-INS
 *   This header defines no symbol that is unique in the process, so dlclose() does unmap a shared
 *   object that includes it. Before that, the values of its objects must have been destroyed on all
 *   threads, because code of the shared object destroys them. This includes the values of a static
 *   tls::local. In a function that the program calls before dlclose(), drain each object:
 *
 *       object.drain(timeout, error) == 0 && !error   no thread has a value, no destructor runs
 *
 *   With tls::options::any_thread_destroys(), drain() waits for another thread only if that thread
 *   is making or destroying a value at this moment. Without this option, the other threads must
 *   expunge or end during the call: pass a timeout, and call drain() again if it expires. Without
 *   drain(), a plug-in may be unloaded only if no thread has a value.
 *
 *   If a C program loads libstdc++ together with the plug-in, libstdc++ may be bound to functions
 *   of std::string that g++ has compiled into the plug-in as C++20. This keeps the plug-in mapped,
 *   with this header or without it. The option -fvisibility-inlines-hidden prevents it.
 *
 *   Link the plug-in with the shared library: a plug-in that contains the static library stays
 *   mapped.
 */
#ifndef THREADLOCALMAP_HPP
#define THREADLOCALMAP_HPP

/**
 * @namespace tls
 * The C++ classes and functions of threadlocalmap. The page of threadlocalmap.hpp has an overview,
 * and what holds for all of them: errors, ownership, destructors and plug-ins.
 */

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

static_assert(sizeof(int) == 0,
              "threadlocalmap.hpp needs C++17: compile with -std=c++17, or a later one; "
              "<threadlocalmap.h> is for all older ones");

#endif
#endif
