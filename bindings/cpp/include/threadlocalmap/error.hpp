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

/** The error codes of the C header (TLS_ERR_*), with their numbers. */
enum class errc {
  bad_key = TLS_ERR_BAD_KEY,         ///< the object was moved from, or could not be made
  dead_key = TLS_ERR_DEAD_KEY,       ///< the object has been destroyed
  invalid = TLS_ERR_INVALID,         ///< an argument is invalid in every situation
  no_memory = TLS_ERR_NO_MEMORY,     ///< memory could not be allocated
  absent = TLS_ERR_ABSENT,           ///< the calling thread has no value
  limit = TLS_ERR_LIMIT,             ///< a limit was reached
  reentrant = TLS_ERR_REENTRANT,     ///< a factory reads the value that it is to make
  init = TLS_ERR_INIT,               ///< a factory failed
  exiting = TLS_ERR_EXITING,         ///< the thread is past its last cleanup
  busy = TLS_ERR_BUSY,               ///< in use elsewhere, or calls came in the wrong order
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
  replaced = TLS_REASON_REPLACED,            ///< another one was set in its place
  removed = TLS_REASON_REMOVED,              ///< it was removed, or could not be stored
  key_dead = TLS_REASON_KEY_DEAD,            ///< its object was destroyed
  purged = TLS_REASON_PURGED,                ///< its object was purged of all values
  scope_end = TLS_REASON_SCOPE_END,          ///< the scope that it was set in has ended
  thread_exit = TLS_REASON_THREAD_EXIT,      ///< its thread is ending
  detached = TLS_REASON_DETACHED,            ///< its thread was detached
  map_destroyed = TLS_REASON_MAP_DESTROYED   ///< its map was destroyed
};

namespace errors {

class category_type final : public std::error_category {
 public:
  const char *name() const noexcept override { return "threadlocalmap"; }

  // Not by a constructor: one from a char pointer is compiled here anew, and then libstdc++ itself may
  // be bound to it, and keep the plug-in that it is in.
  std::string message(int value) const override {
    std::string text;
    text.append(tls_strerror(value));
    return text;
  }

  /** errc::no_memory compares equal to the standard's std::errc::not_enough_memory. */
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
 * The category of this library's errors. All shared objects that are linked to each other have one,
 * also if they hide their symbols; a plug-in that nothing is linked to may have one of its own. So
 * compare with tls::errc, which recognises all of them. It is never destroyed, so the last
 * destructor of a program can report an error. Any thread may use it.
 */
TLS_PRIVATE_ONE_IN_PROCESS const std::error_category &category() noexcept;

TLS_PRIVATE_ONE_IN_PROCESS const std::error_category &category() noexcept {
  alignas(errors::category_type) static unsigned char storage[sizeof(errors::category_type)];
  static const std::error_category *const made = ::new (storage) errors::category_type;
  return *made;
}

/** Makes a std::error_code of an error of this library. */
inline std::error_code make_error_code(errc error) noexcept {
  return std::error_code(static_cast<int>(error), category());
}

/** Whether it is this error of this library: also one of a plug-in, whose category is another. */
inline bool operator==(const std::error_code &code, errc error) noexcept {
  return code.value() == static_cast<int>(error) &&
         (code.category() == category() ||
          std::strcmp(code.category().name(), category().name()) == 0);
}

inline bool operator==(errc error, const std::error_code &code) noexcept { return code == error; }

inline bool operator!=(const std::error_code &code, errc error) noexcept { return !(code == error); }

inline bool operator!=(errc error, const std::error_code &code) noexcept { return !(code == error); }

inline namespace TLS_PRIVATE_MODE {
namespace detail {

/** What a C function has answered. */
inline std::error_code code_of(int answer) noexcept {
  return answer == TLS_OK ? std::error_code() : std::error_code(answer, category());
}

#if TLS_PRIVATE_EXCEPTIONS
/** What an error means wherever it comes from; null: what the C library says is enough. */
inline const char *general_meaning(const std::error_code &error) noexcept {
  switch (error.value()) {
    case TLS_ERR_BAD_KEY: return "the object was moved from, or could not be made";
    case TLS_ERR_DEAD_KEY: return "the object has gone";
    case TLS_ERR_EXITING: return "the thread is past its last cleanup";
    default: return nullptr;
  }
}

/** Throws it, with the function's name and what was wrong there. */
[[noreturn]] TLS_PRIVATE_COLD inline void fail(const std::error_code &error, const char *function,
                                               const char *meaning) {
  std::string what;
  what.append(function);
  if (meaning != nullptr) what.append(": ").append(meaning);
  throw std::system_error(error, what);
}

/** What one error means in one function. */
struct meaning {
  errc error;
  const char *text;
};

/** Throws if `error` is one. `here`: what is wrong with this function's use, by errors. */
inline void require(const std::error_code &error, const char *function,
                    std::initializer_list<meaning> here = {}) {
  if (TLS_PRIVATE_LIKELY(!error)) return;
  for (const meaning &each : here) {
    if (error == each.error) fail(error, function, each.text);
  }
  fail(error, function, general_meaning(error));
}
#endif

}  // namespace detail
}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
