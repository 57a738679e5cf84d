/**
 * @file
 * threadlocalmap/same_thread.hpp - whether an object ends on the thread that it began on. Private.
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

/** The thread that has made this. */
class same_thread {
 public:
  same_thread() noexcept : thread_(pthread_self()) {}

  /** Whether it is the calling one. */
  bool is_this() const noexcept { return pthread_equal(thread_, pthread_self()) != 0; }

 private:
  pthread_t thread_;
};

/** Says that an object ends on another thread than it began on; without NDEBUG, ends the program. */
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
