/*
 * A key that an object owns, and what its callbacks find in `user`. Private.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_KEY_HPP
#define THREADLOCALMAP_KEY_HPP

#include "config.hpp"
#include "error.hpp"
#include "options.hpp"

#include <time.h>

#include <cstddef>
#include <exception>
#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif
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

/**
 * tls_take(), which waits for as long as another thread visits the value. Inside a callback of the
 * library nobody waits, because the visit may be the callback's own: TLS_ERR_BUSY. A thread can be
 * cancelled while it waits.
 */
inline int take_when_free(tls_key_t key, void **value) {
  for (long pause = 1000;; pause += pause < 1000000 ? pause : 0) {
    const int answer = tls_take(key, value);
    if (answer != TLS_ERR_BUSY || tls_key_drain(key, 0, nullptr) == TLS_ERR_REENTRANT) return answer;
    timespec nanoseconds = {};
    nanoseconds.tv_nsec = pause;
    nanosleep(&nanoseconds, nullptr);
  }
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
