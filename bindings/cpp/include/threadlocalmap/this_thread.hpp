/**
 * @file
 * threadlocalmap/this_thread.hpp - cleanup of the calling thread.
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
 * Destroys the calling thread's values of all objects that have ended. Call it between two tasks,
 * and before a worker goes to sleep. If there are none it takes about a nanosecond. Returns how
 * many values it has destroyed.
 */
inline std::size_t expunge() noexcept { return tls_stale_count() != 0 ? tls_expunge() : 0; }

/** The same for at most `budget` values, for pools that must not pause for long. */
inline std::size_t expunge(std::size_t budget) noexcept {
  return tls_stale_count() != 0 ? tls_expunge_some(budget) : 0;
}

/**
 * Calls f when the calling thread ends, before its values are destroyed; the f that was registered
 * last is called first. f may be a function that can only be moved. It must not throw. After an
 * error it is never called.
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
 * Hands over each of the calling thread's values without destroying it, by f(tls_key_t key, void
 * *value). Use it in the child of a fork, whose values are the parent's to destroy, and in a
 * process that exits without destructors. No deleter is called. An object of this header recognises
 * its own value:
 *
 *     tls::take_all([&](tls_key_t key, void *value) {
 *       if (const auto own = connections.taken(key, value)) close(own->descriptor);
 *     });                                          all other values are not destroyed
 *
 * The youngest value comes first. Values that scopes shadow are handed over too, and so are values
 * of objects that have ended, which no taken() recognises, and stored nulls of C keys. Values that
 * f makes meanwhile stay, and scopes stay open. f may use everything in this header, and may end
 * the thread.
 *
 * All values are handed over, also if f throws: f is called with the rest, and the first exception
 * is thrown at the end. It fails with errc::busy if another thread is visiting some of the values
 * (in the child of a fork, the visitor that has forked): those stay, and all others were handed
 * over.
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
