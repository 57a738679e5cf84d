/**
 * @file
 * threadlocalmap/key.hpp - a key that an object owns, and what its callbacks find in `user`.
 * Private.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_KEY_HPP
#define THREADLOCALMAP_KEY_HPP

#include "config.hpp"
#include "error.hpp"
#include "options.hpp"

#include <chrono>
#include <climits>
#include <cstddef>
#include <exception>
#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif
#include <ratio>
#include <type_traits>
#include <utility>

namespace tls {
inline namespace TLS_PRIVATE_MODE {
namespace detail {

/** The reference to a key that its object has. Moves; none after that. */
class key {
 public:
  key() noexcept = default;

  /** Makes a key; without one if that fails. */
  key(const tls_key_options_t &options, std::error_code &error) noexcept {
    error = code_of(tls_key_create(&handle_, &options));
    released_ = static_cast<bool>(error);
  }

  key(key &&other) noexcept
      : handle_(std::exchange(other.handle_, TLS_KEY_NONE)),
        released_(std::exchange(other.released_, true)) {}

  key &operator=(key &&other) noexcept {
    if (this != &other) {
      release();
      handle_ = std::exchange(other.handle_, TLS_KEY_NONE);
      released_ = std::exchange(other.released_, true);
    }
    return *this;
  }

  ~key() { release(); }

  tls_key_t handle() const noexcept { return handle_; }

  /**
   * Gives the reference back, and waits until no thread has a value and no callback runs. `left`:
   * how many threads still have. May be called again: it keeps the number, which nobody else gets.
   */
  int drain(int timeout_ms, std::size_t *left) {
    if (!std::exchange(released_, true)) tls_key_release(handle_);
    return tls_key_drain(handle_, timeout_ms, left);
  }

 private:
  void release() noexcept {
    // Given up first: a destructor that runs meanwhile finds no key here.
    const tls_key_t handle = std::exchange(handle_, TLS_KEY_NONE);
    if (!std::exchange(released_, true)) tls_key_release(handle);
  }

  tls_key_t handle_ = TLS_KEY_NONE;
  bool released_ = true;
};

/** What the C library takes for a time to wait: rounded up; one that it has no number for is for ever. */
template <class Rep, class Period>
int milliseconds_of(const std::chrono::duration<Rep, Period> &time) {
  // Not in integers: hours::max() has more milliseconds than fit.
  const double exact = std::chrono::duration<double, std::milli>(time).count();
  if (!(exact > 0)) return 0;
  if (exact >= static_cast<double>(INT_MAX)) return -1;
  const int whole = static_cast<int>(exact);
  return static_cast<double>(whole) < exact ? whole + 1 : whole;
}

/**
 * Tries, and waits only if another thread visits the value: `wait` is the same by a C function that
 * waits. Inside a callback of the library nobody waits, because the visit may be the callback's own:
 * TLS_ERR_BUSY. A thread can be cancelled while it waits.
 */
template <class Try, class Wait>
int when_free(Try attempt, Wait wait) {
  const int answer = attempt();
  if (answer != TLS_ERR_BUSY) return answer;
  const int waited = wait();
  return waited == TLS_ERR_REENTRANT ? TLS_ERR_BUSY : waited;
}

/** tls_take(), which waits so while another thread visits the value. */
inline int take_when_free(tls_key_t key, void **value, int timeout_ms) {
  return when_free([=] { return tls_take(key, value); },
                   [=] { return tls_take_wait(key, value, timeout_ms); });
}

/** tls_swap(), which waits so while another thread visits the value. */
inline int swap_when_free(tls_key_t key, void *value, void **old, int timeout_ms) {
  return when_free([=] { return tls_swap(key, value, old); },
                   [=] { return tls_swap_wait(key, value, old, timeout_ms); });
}

/**
 * Runs what a callback of the C library calls in C++, and keeps an exception from getting out: it
 * is put into `thrown`, for the C++ frame that has called the library. Returns whether all is well.
 * (What glibc unwinds a stack with that is cancelled, or in pthread_exit, is no exception and must
 * go on: it can go through the library.)
 */
template <class Work>
TLS_PRIVATE_UNWINDS bool guarded(std::exception_ptr &thrown, Work &&work) {
#if TLS_PRIVATE_EXCEPTIONS
  try {
    work();
    return true;
#if defined(__GLIBCXX__)
  } catch (abi::__forced_unwind &) {
    throw;
#endif
  } catch (...) {
    thrown = std::current_exception();
    return false;
  }
#else
  (void)thrown;
  work();
  return true;
#endif
}

/** Goes on with an exception that was kept. */
inline void rethrow(const std::exception_ptr &thrown) {
#if TLS_PRIVATE_EXCEPTIONS
  if (thrown) std::rethrow_exception(thrown);
#else
  (void)thrown;
#endif
}

/**
 * What the callbacks of a key find in `user`: how its values end, and how they are copied. Several
 * threads may call it at once. It goes with the key's last value.
 */
template <class T>
class rules {
 public:
  explicit rules(const copier<T> &copy) noexcept : copies(copy) {}

  virtual void end(T *value, reason why) noexcept = 0;

  /** The last call. */
  virtual void retire() noexcept = 0;

  const copier<T> copies;

 protected:
  ~rules() = default;
};

/** The value as the C library keeps it. */
template <class T>
void *erased(T *value) noexcept {
  return const_cast<void *>(static_cast<const volatile void *>(value));
}

/** The C library's callbacks of a key whose values are T, each with rules. */
template <class T>
struct callbacks {
  static void destroy(void *value, int why, void *user) noexcept {
    handed_out(value);
    static_cast<rules<T> *>(user)->end(static_cast<T *>(value), static_cast<reason>(why));
    handed_in(user);
  }

  static int copy(void *value, void **copy, void *user) noexcept {
    std::exception_ptr thrown;
    const bool made = guarded(thrown, [&] {
      *copy = erased(static_cast<rules<T> *>(user)->copies.copy(*static_cast<T *>(value)));
      handed_in(*copy);
    });
    handed_in(user);
    return made ? 0 : 1;
  }

  static void retire(void *user) noexcept {
    handed_out(user);
    static_cast<rules<T> *>(user)->retire();
  }
};

/** Makes a key that has these rules, or retires them. */
template <class T>
key make_key(tls_key_options_t options, rules<T> *own, std::error_code &error) noexcept {
  options.user = own;
  options.user_free = callbacks<T>::retire;
  if (own->copies.copy == nullptr) options.copy = nullptr;
  key made(options, error);
  if (error) own->retire();
  return made;
}

}  // namespace detail
}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
