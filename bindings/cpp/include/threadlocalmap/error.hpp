/**
 * @file
 * threadlocalmap/error.hpp - the library's error codes as std::error_code, and its reasons as an
 * enum.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_ERROR_HPP
#define THREADLOCALMAP_ERROR_HPP

#include "config.hpp"

#include <cstring>
#include <initializer_list>
#include <new>
#include <string>
#include <system_error>
#include <type_traits>

namespace tls {

/**
 * The error codes of the C header (TLS_ERR_*), with the same numbers. They convert to
 * std::error_code.
 */
enum class errc {
  bad_key = TLS_ERR_BAD_KEY,         ///< the object was moved from, or could not be made
  dead_key = TLS_ERR_DEAD_KEY,       ///< the object has been destroyed
  invalid = TLS_ERR_INVALID,         ///< an argument is invalid in every situation
  no_memory = TLS_ERR_NO_MEMORY,     ///< memory could not be allocated
  absent = TLS_ERR_ABSENT,           ///< the calling thread has no value
  limit = TLS_ERR_LIMIT,             ///< a limit was reached
  reentrant = TLS_ERR_REENTRANT,     ///< called where it is not allowed, as in the value's factory
  init = TLS_ERR_INIT,               ///< a factory failed
  exiting = TLS_ERR_EXITING,         ///< the thread is past its last cleanup
  busy = TLS_ERR_BUSY,               ///< in use by another thread, or calls in the wrong order
  timeout = TLS_ERR_TIMEOUT,         ///< the time limit expired
  unsupported = TLS_ERR_UNSUPPORTED  ///< not supported by this version of the library
};

}  // namespace tls

namespace std {
template <>
struct is_error_code_enum<tls::errc> : true_type {};
}  // namespace std

namespace tls {

/** Why a value is destroyed (TLS_REASON_*). */
enum class reason : int {
  replaced = TLS_REASON_REPLACED,            ///< another value was set in its place
  removed = TLS_REASON_REMOVED,              ///< it was removed, or could not be stored
  key_dead = TLS_REASON_KEY_DEAD,            ///< its object was destroyed
  purged = TLS_REASON_PURGED,                ///< all values of its object were cleared
  scope_end = TLS_REASON_SCOPE_END,          ///< the scope that it was set in has closed
  thread_exit = TLS_REASON_THREAD_EXIT,      ///< its thread is ending
  detached = TLS_REASON_DETACHED,            ///< its thread was detached
  map_destroyed = TLS_REASON_MAP_DESTROYED   ///< its map was destroyed
};

/** The type of the error category. */
namespace errors {

/**
 * The type of the object that tls::category() returns. Programs use it as a std::error_category.
 */
class category_type final : public std::error_category {
 public:
  /**
   * Returns the name of the category.
   *
   * @return "threadlocalmap"
   */
  const char *name() const noexcept override { return "threadlocalmap"; }

  // append() and not the constructor from a char pointer: the compiler would put that constructor
  // into this shared object, and libstdc++ could be bound to it, which keeps a plug-in mapped.

  /**
   * Returns the text of an error, which is that of tls_strerror().
   *
   * @param value The number of the error, for example that of a tls::errc.
   * @return The text.
   */
  std::string message(int value) const override {
    std::string text;
    text.append(tls_strerror(value));
    return text;
  }

  /**
   * Returns the standard's condition that is equal to an error. For example, errc::no_memory
   * compares equal to std::errc::not_enough_memory.
   *
   * @param value The number of the error.
   * @return The condition; one of this category if the standard has none.
   */
  std::error_condition default_error_condition(int value) const noexcept override {
    switch (value) {
      case TLS_ERR_INVALID: return std::errc::invalid_argument;
      case TLS_ERR_NO_MEMORY: return std::errc::not_enough_memory;
      case TLS_ERR_REENTRANT: return std::errc::resource_deadlock_would_occur;
      case TLS_ERR_BUSY: return std::errc::device_or_resource_busy;
      case TLS_ERR_TIMEOUT: return std::errc::timed_out;
      case TLS_ERR_UNSUPPORTED: return std::errc::not_supported;
      default: return std::error_condition(value, *this);
    }
  }
};

}  // namespace errors

/**
 * Returns the category of this library's errors. Any thread may use it. It is never destroyed, so
 * the last destructor of a program can report an error.
 *
 * All shared objects that are linked to each other have the same category, even if they hide their
 * symbols. A plug-in that no other object is linked to may have a category of its own. So compare
 * errors with tls::errc, which recognises all of them.
 *
 * @return The category.
 */
TLS_PRIVATE_ONE_IN_PROCESS const std::error_category &category() noexcept;

TLS_PRIVATE_ONE_IN_PROCESS const std::error_category &category() noexcept {
  alignas(errors::category_type) static unsigned char storage[sizeof(errors::category_type)];
  static const std::error_category *const made = ::new (storage) errors::category_type;
  return *made;
}

/**
 * Makes a std::error_code of an error of this library.
 *
 * @param error The error.
 * @return The std::error_code, whose category is category().
 */
inline std::error_code make_error_code(errc error) noexcept {
  return std::error_code(static_cast<int>(error), category());
}

/**
 * Returns whether a std::error_code is a given error of this library. It recognises the errors of a
 * plug-in that has a category of its own.
 *
 * @param code The std::error_code.
 * @param error The error of this library.
 * @return Whether they are the same error.
 */
inline bool operator==(const std::error_code &code, errc error) noexcept {
  return code.value() == static_cast<int>(error) &&
         (code.category() == category() ||
          std::strcmp(code.category().name(), category().name()) == 0);
}

/**
 * Returns whether a std::error_code is a given error of this library.
 *
 * @param error The error of this library.
 * @param code The std::error_code.
 * @return Whether they are the same error.
 */
inline bool operator==(errc error, const std::error_code &code) noexcept { return code == error; }

/**
 * Returns whether a std::error_code is something else than a given error of this library.
 *
 * @param code The std::error_code.
 * @param error The error of this library.
 * @return Whether they are different.
 */
inline bool operator!=(const std::error_code &code, errc error) noexcept {
  return !(code == error);
}

/**
 * Returns whether a std::error_code is something else than a given error of this library.
 *
 * @param error The error of this library.
 * @param code The std::error_code.
 * @return Whether they are different.
 */
inline bool operator!=(errc error, const std::error_code &code) noexcept {
  return !(code == error);
}

inline namespace TLS_PRIVATE_MODE {
namespace detail {

/** Converts the return value of a C function. */
inline std::error_code code_of(int answer) noexcept {
  return answer == TLS_OK ? std::error_code() : std::error_code(answer, category());
}

#if TLS_PRIVATE_EXCEPTIONS
/**
 * Returns the text of an error that means the same in every function. If null, the text of the C
 * library is used.
 */
inline const char *general_meaning(const std::error_code &error) noexcept {
  switch (error.value()) {
    case TLS_ERR_BAD_KEY: return "the object was moved from, or could not be made";
    case TLS_ERR_DEAD_KEY: return "the object has gone";
    case TLS_ERR_EXITING: return "the thread is past its last cleanup";
    default: return nullptr;
  }
}

/** Throws an error. Its text has the name of the function and the mistake. */
[[noreturn]] TLS_PRIVATE_COLD inline void fail(const std::error_code &error, const char *function,
                                               const char *meaning) {
  std::string what;
  what.append(function);
  if (meaning != nullptr) what.append(": ").append(meaning);
  throw std::system_error(error, what);
}

/** The text of an error in one function. */
struct meaning {
  errc error;
  const char *text;
};

/**
 * Throws `error` if it is an error. `here` has the texts of errors that mean something particular
 * in this function.
 */
inline void require(const std::error_code &error, const char *function,
                    std::initializer_list<meaning> here = {}) {
  if (TLS_PRIVATE_LIKELY(!error)) return;
  for (const meaning &each : here) {
    if (error == each.error) fail(error, function, each.text);
  }
  fail(error, function, general_meaning(error));
}
#endif

/**
 * Calls `work`, which allocates memory in another library. That reports an error by std::bad_alloc
 * only, which becomes errc::no_memory. Without exceptions it terminates the program.
 */
template <class Work>
void allocating_elsewhere(std::error_code &error, Work &&work) {
#if TLS_PRIVATE_EXCEPTIONS
  try {
    work();
  } catch (const std::bad_alloc &) {
    error = make_error_code(errc::no_memory);
  }
#else
  static_cast<void>(error);
  work();
#endif
}

}  // namespace detail
}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
