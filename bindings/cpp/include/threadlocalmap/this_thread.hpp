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
 * Destroys the calling thread's stale values, which are those of objects that have been destroyed.
 * Call it between two tasks, and before a worker goes to sleep. If there are no such values, it
 * takes about a nanosecond.
 *
 * @return The number of values that it destroyed.
 */
inline std::size_t expunge() noexcept { return tls_stale_count() != 0 ? tls_expunge() : 0; }

/**
 * Destroys a limited number of the calling thread's stale values. Use it in pools that must not
 * pause for long.
 *
 * @param budget The largest number of values to destroy.
 * @return The number of values that it destroyed.
 */
inline std::size_t expunge(std::size_t budget) noexcept {
  return tls_stale_count() != 0 ? tls_expunge_some(budget) : 0;
}

/**
 * Calls `f` when the calling thread ends, before its values are destroyed. The function that was
 * registered last is called first. After an error `f` is never called.
 *
 * @tparam F A function that is called as `f()`. It may be one that can only be moved, and must not
 *   throw.
 * @param f The function.
 * @param[out] error The error if the call fails; cleared otherwise.
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
/**
 * Calls `f` when the calling thread ends, before its values are destroyed. The function that was
 * registered last is called first.
 *
 * @tparam F A function that is called as `f()`. It may be one that can only be moved, and must not
 *   throw.
 * @param f The function.
 * @throws std::system_error with errc::no_memory, with errc::exiting if the thread is past its last
 *   cleanup, and with errc::limit if the end of the thread cannot be detected.
 */
template <class F>
void at_thread_exit(F f) {
  std::error_code error;
  at_thread_exit(std::move(f), error);
  detail::require(error, "tls::at_thread_exit");
}
#endif

/**
 * Removes each of the calling thread's values without destroying it, and passes it to `f`. No
 * deleter is called. Use it in the child of a fork, where the parent destroys the values, and in a
 * process that exits without destructors. An object of this library recognises its own value by its
 * member function taken():
 *
 *     tls::take_all([&](tls_key_t key, void *value) {
 *       if (const auto own = connections.taken(key, value)) close(own->descriptor);
 *     });                                          all other values are not destroyed
 *
 * The value that was set last comes first. Values that scopes shadow are passed to `f` too, and so
 * are stored nulls of C keys and values of objects that have been destroyed, which no taken()
 * recognises. Values that `f` sets during the call remain, and scopes remain open. `f` may use
 * everything in this library, and may end the thread.
 *
 * If `f` throws, it is still called with the remaining values, and the caller receives the first
 * exception at the end. The function fails with errc::busy if another thread is visiting some of
 * the values, or if a thread of the parent was visiting them at a fork. Those values remain; all
 * others were passed to `f`.
 *
 * @tparam F A function that is called as `f(tls_key_t, void *)`.
 * @param f The function.
 * @param[out] error The error if the call fails; cleared otherwise.
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
/**
 * Removes each of the calling thread's values without destroying it, and passes it to `f`, like the
 * overload with a std::error_code.
 *
 * @tparam F A function that is called as `f(tls_key_t, void *)`.
 * @param f The function.
 * @throws std::system_error with errc::busy if some of the values are being visited; they remain.
 */
template <class F>
void take_all(F &&f) {
  std::error_code error;
  take_all(f, error);
  detail::require(error, "tls::take_all",
                  {{errc::busy, "some values are being visited, and stay"}});
}
#endif

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
