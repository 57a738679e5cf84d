/*
 * What the compiler gives: exceptions, branch hints, the thread sanitizer. Private.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_CONFIG_HPP
#define THREADLOCALMAP_CONFIG_HPP

#include <threadlocalmap.h>

/* Code with and without exceptions differs, and may meet in one program. The names differ too, so
 * that no linker takes the one for the other. */
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
#define TLS_PRIVATE_VISIBLE __attribute__((visibility("default")))
/* A handler of abi::__forced_unwind binds its reference to no object. */
#define TLS_PRIVATE_UNWINDS __attribute__((no_sanitize("null")))
#else
#define TLS_PRIVATE_LIKELY(condition) (condition)
#define TLS_PRIVATE_COLD
#define TLS_PRIVATE_VISIBLE
#define TLS_PRIVATE_UNWINDS
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

/* The thread sanitizer does not see how the library orders threads; these tell it: the one who gets a
 * pointer from the library comes after the one who has handed it in. */
inline void handed_in(void *pointer) noexcept {
#ifdef TLS_PRIVATE_TSAN
  __tsan_release(pointer);
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
