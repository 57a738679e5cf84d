/**
 * @file
 * threadlocalmap/padded.hpp - a value in cache lines of its own.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_PADDED_HPP
#define THREADLOCALMAP_PADDED_HPP

#include "config.hpp"

#include <cstddef>
#include <type_traits>
#include <utility>

namespace tls {
inline namespace TLS_PRIVATE_MODE {
namespace detail {

/** The alignment: two cache lines of 64 bytes, because processors fetch them in pairs. */
enum : std::size_t { line = 128 };

/** For a class that can be derived from. */
template <class T, bool = std::is_class_v<T> && !std::is_final_v<T>>
struct alignas(alignof(T) > line ? alignof(T) : std::size_t(line)) padded : T {
  padded() = default;

  template <class... Arguments, class = std::enable_if_t<std::is_constructible_v<T, Arguments...>>>
  explicit padded(std::in_place_t, Arguments &&...arguments)
      : T(std::forward<Arguments>(arguments)...) {}

  template <class Value, class = std::enable_if_t<std::is_convertible_v<Value, T> &&
                                                  !std::is_base_of_v<padded, std::decay_t<Value>>>>
  padded(Value &&value) : T(std::forward<Value>(value)) {}

  using T::operator=;
};

/** For numbers, pointers and other types that cannot be derived from. */
template <class T>
struct alignas(alignof(T) > line ? alignof(T) : std::size_t(line)) padded<T, false> {
  padded() = default;

  template <class... Arguments, class = std::enable_if_t<std::is_constructible_v<T, Arguments...>>>
  explicit padded(std::in_place_t, Arguments &&...arguments)
      : value(std::forward<Arguments>(arguments)...) {}

  template <class Value, class = std::enable_if_t<std::is_convertible_v<Value, T> &&
                                                  !std::is_base_of_v<padded, std::decay_t<Value>>>>
  padded(Value &&first) : value(std::forward<Value>(first)) {}

  operator T &() noexcept { return value; }
  operator const T &() const noexcept { return value; }

  T value{};
};

}  // namespace detail

/**
 * A T in cache lines of its own. No other thread's value shares them, so threads that write their
 * own values do not slow each other down. It takes at least 128 bytes.
 *
 *     tls::local<tls::padded<std::atomic<long>>> hits(tls::options<>().enumerable());
 *     ++*hits;
 *
 * If T is a class that is not final, the padded type is derived from it and has its members.
 * Otherwise it has a member `value` of the type T, and converts to `T &`. It is constructed by
 * default, from something that converts to a T, or from std::in_place and the arguments of a
 * constructor of T.
 *
 * @tparam T The type of the value.
 */
template <class T>
using padded = detail::padded<T>;

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
