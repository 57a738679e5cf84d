/**
 * @file
 * threadlocalmap/config.hpp - what the compiler can do: exceptions, branch hints, kinds of
 * symbols, sanitizers. Private.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_CONFIG_HPP
#define THREADLOCALMAP_CONFIG_HPP

#include <threadlocalmap.h>

#if __cplusplus < 201703L && !(defined(_MSVC_LANG) && _MSVC_LANG >= 201703L)
#error "the C++ header of threadlocalmap needs C++17: compile with -std=c++17, or a later one"
#endif

/* A program may contain code with exceptions and code without them. The functions of this library
 * differ between the two, so their names differ too, and no linker confuses them. */
#if defined(__cpp_exceptions)
#define TLS_PRIVATE_EXCEPTIONS 1
#define TLS_PRIVATE_MODE with_exceptions
#else
#define TLS_PRIVATE_EXCEPTIONS 0
#define TLS_PRIVATE_MODE without_exceptions
#endif

#if defined(__GNUC__)
#define TLS_PRIVATE_LIKELY(condition) __builtin_expect((condition), 1)
#define TLS_PRIVATE_COLD __attribute__((noinline, cold))
/*
 * A function with a static variable that all translation units share. In an inline function, g++
 * would mark the variable as unique in the process (STB_GNU_UNIQUE), and dlclose() never unmaps a
 * shared object that has such a symbol. So these headers have no static variable in an inline
 * function or a template, and no inline variable. The static variable of a weak function is a local
 * symbol, and the linker keeps one function of each name: in the process, or in the shared object.
 */
#define TLS_PRIVATE_ONE_IN_PROCESS __attribute__((weak, visibility("default")))
#define TLS_PRIVATE_ONE_IN_OBJECT __attribute__((weak, visibility("hidden")))
/* In a handler of abi::__forced_unwind the reference refers to no object. */
#define TLS_PRIVATE_UNWINDS __attribute__((no_sanitize("null")))
#else
#define TLS_PRIVATE_LIKELY(condition) (condition)
#define TLS_PRIVATE_COLD
#define TLS_PRIVATE_ONE_IN_PROCESS inline
#define TLS_PRIVATE_ONE_IN_OBJECT inline
#define TLS_PRIVATE_UNWINDS
#endif

/* A deleted function, and what to use instead. In C++26 the compiler prints the text. */
#if defined(__cpp_deleted_function)
#define TLS_PRIVATE_DELETED(text) delete (text)
#else
#define TLS_PRIVATE_DELETED(text) delete
#endif

#if defined(__SANITIZE_THREAD__)
#define TLS_PRIVATE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TLS_PRIVATE_TSAN 1
#endif
#endif

#ifdef TLS_PRIVATE_TSAN
extern "C" void __tsan_acquire(void *address);
extern "C" void __tsan_release(void *address);
#endif

namespace tls {
inline namespace TLS_PRIVATE_MODE {
namespace detail {

/* The thread sanitizer does not see how the library synchronises threads, because the library is
 * not instrumented. These functions tell it: what a thread did before it passed a pointer to the
 * library happens before what another thread does after it received the pointer. They cannot
 * describe the locks inside the library. If the sanitizer reports those, link an instrumented
 * library. */
inline void handed_in(void *pointer) noexcept {
#ifdef TLS_PRIVATE_TSAN
  if (pointer != nullptr) __tsan_release(pointer);
#else
  (void)pointer;
#endif
}

inline void handed_out(void *pointer) noexcept {
#ifdef TLS_PRIVATE_TSAN
  __tsan_acquire(pointer);
#else
  (void)pointer;
#endif
}

}  // namespace detail
}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
