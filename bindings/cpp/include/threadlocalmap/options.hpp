/**
 * @file
 * threadlocalmap/options.hpp - options of an object that has a value for each thread.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_OPTIONS_HPP
#define THREADLOCALMAP_OPTIONS_HPP

#include "config.hpp"

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace tls {

/**
 * The rules of other libraries for which thread destroys values, and for whether threads may visit
 * each other's values.
 *
 *     tls::thread_local_ptr<T> p(tls::presets::folly);
 *     tls::thread_local_ptr<T> q(tls::options<>(tls::presets::folly).name("q"));
 *
 * docs/migrating.md describes the differences that remain.
 */
enum class presets {
  /**
   * The rules of folly. The destructor of an object destroys all threads' values before it returns.
   * All threads' values may be visited.
   */
  folly,

  /**
   * The rules of Boost. Each thread destroys its own values, and no thread visits the values of
   * another. An object without options has the same rules.
   */
  boost,

  /**
   * The rules of TBB. All threads' values may be visited, and destroyed by local::clear(). As
   * everywhere in this library, a value is destroyed when its thread ends, unless a deleter keeps
   * it.
   */
  tbb,

  /**
   * The rules of RocksDB. They are those of folly, and scopes do not affect the values.
   * tls::atomic_ptr has the functions Swap, CompareAndSwap and Scrape.
   */
  rocksdb
};

inline namespace TLS_PRIVATE_MODE {

namespace detail {

/** The type of values in options that fit all types. */
struct any_value;

/**
 * How values are copied for another task, and how such a copy is destroyed if the value has a
 * deleter of its own.
 */
template <class T>
struct copier {
  /** The type of the original. A void pointer has none, and is not copied. */
  using source = std::conditional_t<std::is_void_v<T>, std::nullptr_t, T>;

  /** If null, values are not copied. */
  T *(*copy)(const source &value) = nullptr;
  void (*end)(T *copy) = nullptr;
};

}  // namespace detail

/**
 * The options of a thread_local_ptr, a local or an atomic_ptr. Write the type of the values in one
 * of two places:
 *
 *     tls::local<counter> requests(tls::options<>().name("requests").enumerable());
 *     tls::local requests(tls::options<counter>().name("requests").enumerable());
 *
 * Each member function that sets an option returns the object, so that calls can be chained.
 * Options can be copied.
 *
 * @tparam T The type of the values. `tls::options<>` fits objects of all types; it has no
 *   inherited().
 */
template <class T = detail::any_value>
class options {
  static constexpr bool has_type = !std::is_same_v<T, detail::any_value>;

 public:
  /** Makes options of which none is set. */
  constexpr options() noexcept = default;

  /**
   * Makes options that have the rules of another library.
   *
   * @param like The other library.
   */
  constexpr options(presets like) noexcept {
    if (like == presets::boost) return;
    reclaim_ = TLS_RECLAIM_ANY;
    flags_ = like == presets::rocksdb ? TLS_KEY_ENUMERABLE | TLS_KEY_WORKER : TLS_KEY_ENUMERABLE;
  }

  /**
   * Converts from `tls::options<>`, which fits all types.
   *
   * @tparam Other The type of the other options.
   * @param other The other options.
   */
  template <class Other,
            class = std::enable_if_t<has_type && std::is_same_v<Other, detail::any_value>>>
  constexpr options(const options<Other> &other) noexcept
      : name_(other.name_), reclaim_(other.reclaim_), flags_(other.flags_) {}

  /**
   * Sets the name that reports show.
   *
   * @param text The name; the object that is made with the options copies it.
   * @return These options.
   */
  constexpr options &name(const char *text) noexcept {
    name_ = text;
    return *this;
  }

  /**
   * Allows any thread to destroy values. Then the destructor of the object destroys all threads'
   * values before it returns. Without this option each thread destroys its own value: at its next
   * expunge(), when it next makes a value or finds none, or when it ends.
   *
   * @return These options.
   */
  constexpr options &any_thread_destroys() noexcept {
    reclaim_ = TLS_RECLAIM_ANY;
    return *this;
  }

  /**
   * Allows all_threads() and local::clear().
   *
   * @return These options.
   */
  constexpr options &enumerable() noexcept { return with(TLS_KEY_ENUMERABLE); }

  /**
   * Makes values belong to the worker thread and not to its tasks: scopes do not affect them. It
   * cannot be used together with inherited().
   *
   * @return These options.
   */
  constexpr options &worker() noexcept { return with(TLS_KEY_WORKER); }

  /**
   * Prevents get() and reset() from destroying stale values of the object. Use it if the destructor
   * of a value takes a lock that a caller of get() or reset() may hold.
   *
   * Without this option, a get() or reset() of *any* object that makes a value or finds none may
   * destroy a few stale values of objects that have been destroyed. With it, only these destroy
   * such values: expunge() and similar functions, which include drain(); the end of their scope,
   * task, map or thread; and tls_thread_detach(). So call expunge() where the lock is not held.
   * Otherwise the values remain until their thread ends.
   *
   * Nothing else changes: the thread that destroys the object destroys its own value at once, and a
   * value that is reset or replaced is destroyed at once.
   *
   * @return These options.
   */
  constexpr options &explicitly_expunged() noexcept { return with(TLS_KEY_EXPLICIT); }

  /**
   * Gives each task a copy of the value of the thread that submits it. Values are copied by their
   * copy constructor. It cannot be used together with worker().
   *
   * @return These options.
   */
  constexpr options &inherited() noexcept {
    static_assert(has_type, "inherited() copies values, so it needs their type: tls::options<T>()");
    static_assert(!std::is_void_v<T>, "a void can't be copied, so it can't be inherited");
    if constexpr (has_type && !std::is_void_v<T>) {
      static_assert(std::is_copy_constructible_v<T>,
                    "what can't be copied can't be inherited as it is: give inherited() a function "
                    "that makes a copy by new, or inherit a std::shared_ptr");
      if constexpr (std::is_copy_constructible_v<T>) {
        return inherited(
            [](const typename detail::copier<T>::source &value) { return new T(value); });
      }
    }
    return *this;
  }

  /**
   * Gives each task a copy of the value of the thread that submits it. Values are copied by a
   * function. It cannot be used together with worker().
   *
   * @param copy A function that returns a copy, made with `new`. It must not be null.
   * @return These options.
   */
  constexpr options &inherited(
      T *(*copy)(const typename detail::copier<T>::source &value)) noexcept {
    static_assert(has_type, "inherited() copies values, so it needs their type: tls::options<T>()");
    static_assert(!std::is_void_v<T>, "a void can't be copied, so it can't be inherited");
    copier_.copy = copy;
    if constexpr (has_type && !std::is_void_v<T>) {
      copier_.end = [](T *value) { delete value; };
    }
    return with(TLS_KEY_INHERIT);
  }

  /**
   * Returns the options of the C header that have the same effect, without callbacks.
   *
   * @return The options for tls_key_create().
   */
  tls_key_options_t for_key() const noexcept {
    tls_key_options_t key = {};
    key.size = sizeof key;
    key.name = name_;
    key.reclaim = reclaim_;
    key.flags = flags_;
    return key;
  }

  /** @private Returns how values are copied. Its function is null unless inherited() was called. */
  const detail::copier<T> &copier() const noexcept { return copier_; }

 private:
  template <class>
  friend class options;

  constexpr options &with(std::uint32_t flag) noexcept {
    flags_ |= flag;
    return *this;
  }

  const char *name_ = nullptr;
  detail::copier<T> copier_;
  std::uint32_t reclaim_ = TLS_RECLAIM_OWNER;
  std::uint32_t flags_ = 0;
};

namespace detail {

/** Returns which of these options the C library refuses together. Null if it accepts them. */
template <class T>
const char *contradiction(const options<T> &asked) noexcept {
  const std::uint32_t flags = asked.for_key().flags;
  if ((flags & TLS_KEY_INHERIT) == 0) return nullptr;
  if ((flags & TLS_KEY_WORKER) != 0) return "worker() and inherited() exclude each other";
  return asked.copier().copy == nullptr ? "inherited() was given no function that copies" : nullptr;
}

}  // namespace detail

options() -> options<detail::any_value>;
options(presets) -> options<detail::any_value>;

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
