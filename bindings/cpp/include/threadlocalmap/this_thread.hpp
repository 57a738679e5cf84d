/*
 * Cleanup of the calling thread.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_THIS_THREAD_HPP
#define THREADLOCALMAP_THIS_THREAD_HPP

#include "config.hpp"
#include "error.hpp"
#include "key.hpp"

#include <cstddef>
#include <exception>
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

/**
 * Hands each of the calling thread's values over, undestroyed, by f(tls_key_t key, void *value): for the
 * child of a fork, whose values are the parent's to end, and for a process that leaves without
 * destructors. No deleter is called. What an object of this header had is known by the object:
 *
 *     tls::take_all([&](tls_key_t key, void *value) {
 *       if (const auto own = connections.taken(key, value)) close(own->descriptor);
 *     });                                          all other values are left as they are
 *
 * The youngest value comes first. Values that scopes shadow come as well, and so do those of objects that
 * are gone, which no taken() knows, and nulls of C keys. What f makes meanwhile stays; scopes stay open.
 * f may use any of this header, and may end the thread.
 *
 * All values are handed over, also when f throws: it goes on being called, so that none is lost unseen,
 * and its first exception comes out here at the end. errc::busy: another thread visits some of the values
 * (in the child of a fork, the visitor that has forked); those stay, all others were handed over.
 */
template <class F>
void take_all(F &&f, std::error_code &error) {
  static_assert(std::is_invocable_v<F &, tls_key_t, void *>, "it is called with a key and a value");
  struct receiver {
    F &f;
    std::exception_ptr thrown;
  } argument{f, nullptr};
  const int answer = tls_take_all(
      [](tls_key_t key, void *value, void *to_receiver) {
        auto &to = *static_cast<receiver *>(to_receiver);
        if (value != nullptr) detail::handed_out(value);
        std::exception_ptr thrown;
        if (!detail::guarded(thrown, [&] { to.f(key, value); }) && !to.thrown) to.thrown = thrown;
      },
      &argument);
  error = detail::code_of(answer);
  detail::rethrow(argument.thrown);
}

#if TLS_PRIVATE_EXCEPTIONS
template <class F>
void take_all(F &&f) {
  std::error_code error;
  take_all(f, error);
  detail::require(error, "tls::take_all", {{errc::busy, "some values are being visited, and stay"}});
}
#endif

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
