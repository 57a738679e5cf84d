/**
 * @file
 * threadlocalmap/key.hpp - the key of an object, and the data that its callbacks use. Private.
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

/**
 * The reference to a key that an object owns. It can be moved; an object that was moved from has
 * none.
 */
class key {
 public:
  key() noexcept = default;

  /** Makes a key. After an error the object has none. */
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
   * Releases the key, and waits until no thread has a value and no callback runs. `left` receives
   * how many threads still have a value. It may be called again, because it keeps the handle, which
   * is never used for another key.
   */
  int drain(int timeout_ms, std::size_t *left) {
    if (!released_) {
      // Where it may not be called, nothing changes.
      const int allowed = tls_key_drain(handle_, 0, left);
      if (allowed == TLS_ERR_REENTRANT) return allowed;
      released_ = true;
      tls_key_release(handle_);
    }
    return tls_key_drain(handle_, timeout_ms, left);
  }

  /** Removes the calling thread's value. Without a reference to the key there is none to remove. */
  void remove(std::error_code &error) noexcept {
    if (!released_) error = code_of(tls_remove(handle_));
  }

  /** Whether the object has no reference to the key: it was drained, or never had a key. */
  bool is_released() const noexcept { return released_; }

 private:
  void release() noexcept {
    // Cleared first: a destructor that runs during the release finds no key here.
    const tls_key_t handle = std::exchange(handle_, TLS_KEY_NONE);
    if (!std::exchange(released_, true)) tls_key_release(handle);
  }

  tls_key_t handle_ = TLS_KEY_NONE;
  bool released_ = true;
};

/**
 * Converts a duration to milliseconds for the C library. It rounds up. A duration that is too large
 * for an int becomes a wait without a limit.
 */
template <class Rep, class Period>
int milliseconds_of(const std::chrono::duration<Rep, Period> &time) {
  // In floating point, because hours::max() in milliseconds does not fit an integer.
  const double exact = std::chrono::duration<double, std::milli>(time).count();
  if (!(exact > 0)) return 0;
  if (exact >= static_cast<double>(INT_MAX)) return -1;
  const int whole = static_cast<int>(exact);
  return static_cast<double>(whole) < exact ? whole + 1 : whole;
}

/**
 * Calls `attempt`. If another thread visits the value, calls `wait`, which does the same by a C
 * function that waits. Inside a callback of the library it does not wait and returns TLS_ERR_BUSY,
 * because the visit may be the callback's own. A thread can be cancelled while it waits.
 */
template <class Try, class Wait>
int when_free(Try attempt, Wait wait) {
  const int answer = attempt();
  if (answer != TLS_ERR_BUSY) return answer;
  const int waited = wait();
  return waited == TLS_ERR_REENTRANT ? TLS_ERR_BUSY : waited;
}

/** Calls tls_take(). If another thread visits the value, waits as when_free() does. */
inline int take_when_free(tls_key_t key, void **value, int timeout_ms) {
  return when_free([=] { return tls_take(key, value); },
                   [=] { return tls_take_wait(key, value, timeout_ms); });
}

/** Calls tls_swap(). If another thread visits the value, waits as when_free() does. */
inline int swap_when_free(tls_key_t key, void *value, void **old, int timeout_ms) {
  return when_free([=] { return tls_swap(key, value, old); },
                   [=] { return tls_swap_wait(key, value, old, timeout_ms); });
}

/**
 * Calls `work` inside a callback of the C library, and stores an exception in `thrown` for the C++
 * function that called the library. Returns whether no exception was thrown. glibc cancels a
 * thread, and ends it in pthread_exit(), by an unwinding that is not an exception: it must go on,
 * and can go through the library.
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

/** Throws an exception that guarded() stored. */
inline void rethrow(const std::exception_ptr &thrown) {
#if TLS_PRIVATE_EXCEPTIONS
  if (thrown) std::rethrow_exception(thrown);
#else
  (void)thrown;
#endif
}

/**
 * How the values of a key are destroyed and copied. The callbacks of the key find it in `user`. It
 * lives until the last value of the key is destroyed. Several threads may call its functions at
 * once.
 */
template <class T>
class rules {
 public:
  explicit rules(const copier<T> &copy) noexcept : copies(copy) {}

  /** Destroys a value. */
  virtual void end(T *value, reason why) noexcept = 0;

  /** Destroys this object. It is the last call. */
  virtual void retire() noexcept = 0;

  const copier<T> copies;

 protected:
  ~rules() = default;
};

/** Converts a pointer to a value to the type that the C library stores. */
template <class T>
void *erased(T *value) noexcept {
  return const_cast<void *>(static_cast<const volatile void *>(value));
}

/** The C library's callbacks of a key whose values are of type T and whose `user` is a rules<T>. */
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

/** Makes a key that owns these rules. After an error the rules are destroyed. */
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
