/**
 * @file
 * threadlocalmap/same_thread.hpp - whether the thread that made an object destroys it. Private.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_SAME_THREAD_HPP
#define THREADLOCALMAP_SAME_THREAD_HPP

#include "config.hpp"

#include <pthread.h>

#include <cstdio>
#include <exception>

namespace tls {
inline namespace TLS_PRIVATE_MODE {
namespace detail {

/** Remembers the thread that made this object. */
class same_thread {
 public:
  same_thread() noexcept : thread_(pthread_self()) {}

  /** Returns whether the calling thread made this object. */
  bool is_this() const noexcept { return pthread_equal(thread_, pthread_self()) != 0; }

 private:
  pthread_t thread_;
};

/**
 * Reports that an object is destroyed on another thread than the one that made it. Without NDEBUG
 * it terminates the program.
 */
TLS_PRIVATE_COLD inline void ends_elsewhere(const char *what) noexcept {
  std::fprintf(stderr, "threadlocalmap: a %s ends on another thread than it began on\n", what);
#if !defined(NDEBUG)
  std::terminate();
#endif
}

}  // namespace detail
}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
