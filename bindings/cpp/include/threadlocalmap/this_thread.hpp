/*
 * Cleanup of the calling thread.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_THIS_THREAD_HPP
#define THREADLOCALMAP_THIS_THREAD_HPP

#include "config.hpp"
#include "error.hpp"

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace tls {
inline namespace TLS_PRIVATE_MODE {

/**
 * Ends the calling thread's values of all objects that are gone: between two tasks, and before a
 * worker goes to sleep. A nanosecond when there are none. Returns how many it has ended.
 */
inline std::size_t expunge() noexcept { return tls_stale_count() != 0 ? tls_expunge() : 0; }

/** The same, at most `budget` of them: for who must not pause for long. */
inline std::size_t expunge(std::size_t budget) noexcept {
  return tls_stale_count() != 0 ? tls_expunge_some(budget) : 0;
}

/**
 * Calls f at the end of the calling thread, before its values end; the latest first. Move-only
 * functions are welcome. f must not throw. With an error it is not called at all.
 */
template <class F>
void at_thread_exit(F f, std::error_code &error) {
  static_assert(std::is_invocable_v<F &>, "it is called without arguments");
  std::unique_ptr<F> kept(new (std::nothrow) F(std::move(f)));
  if (kept == nullptr) {
    error = make_error_code(errc::no_memory);
    return;
  }
  const auto call = [](void *argument) noexcept {
    const std::unique_ptr<F> own(static_cast<F *>(argument));
    (*own)();
  };
  error = detail::code_of(tls_at_thread_exit(call, kept.get()));
  if (!error) (void)kept.release();
}

#if TLS_PRIVATE_EXCEPTIONS
template <class F>
void at_thread_exit(F f) {
  std::error_code error;
  at_thread_exit(std::move(f), error);
  detail::require(error, "tls::at_thread_exit");
}
#endif

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
