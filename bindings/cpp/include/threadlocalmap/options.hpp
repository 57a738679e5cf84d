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
 * The rules of another library for who destroys values and who may visit them:
 *
 *     tls::thread_local_ptr<T> p(tls::presets::folly);
 *     tls::thread_local_ptr<T> q(tls::options<>(tls::presets::folly).name("q"));
 *
 * docs/migrating.md describes the differences that remain.
 */
enum class presets {
  /**
   * folly's: the thread that destroys the object destroys all threads' values before the destructor
   * returns; all threads' values may be visited.
   */
  folly,
  /**
   * Boost's: each thread destroys its own values, and no thread visits another's. This is what an
   * object without options does.
   */
  boost,
  /**
   * TBB's: all threads' values may be visited, and destroyed by clear(). They are still destroyed
   * with their thread, unless a deleter keeps them.
   */
  tbb,
  /**
   * RocksDB's: as folly's, and scopes do not affect the values. For its Swap, CompareAndSwap and
   * Scrape see tls::atomic_ptr.
   */
  rocksdb
};

inline namespace TLS_PRIVATE_MODE {

namespace detail {

/** Stands for the type of values in options that fit all types. */
struct any_value;

/** How values are copied for another task, and how the copy of a value with a deleter of its own
 * ends. */
template <class T>
struct copier {
  /** There are no copies of void. */
  using source = std::conditional_t<std::is_void_v<T>, std::nullptr_t, T>;

  /** Null: values are not copied. */
  T *(*copy)(const source &value) = nullptr;
  void (*end)(T *copy) = nullptr;
};

}  // namespace detail

/**
 * The options of a thread_local_ptr<T>, a local<T> or an atomic_ptr<T>. Write the type of the
 * values once, in either place:
 *
 *     tls::local<counter> requests(tls::options<>().name("requests").enumerable());
 *     tls::local requests(tls::options<counter>().name("requests").enumerable());
 */
template <class T = detail::any_value>
class options {
  static constexpr bool has_type = !std::is_same_v<T, detail::any_value>;

 public:
  constexpr options() noexcept = default;

  /** The rules of another library. */
  constexpr options(presets like) noexcept {
    if (like == presets::boost) return;
    reclaim_ = TLS_RECLAIM_ANY;
    flags_ = like == presets::rocksdb ? TLS_KEY_ENUMERABLE | TLS_KEY_WORKER : TLS_KEY_ENUMERABLE;
  }

  /** Converts from options<>, which fit all types. */
  template <class Other,
            class = std::enable_if_t<has_type && std::is_same_v<Other, detail::any_value>>>
  constexpr options(const options<Other> &other) noexcept
      : name_(other.name_), reclaim_(other.reclaim_), flags_(other.flags_) {}

  /** The name that reports show. The object copies it. */
  constexpr options &name(const char *text) noexcept {
    name_ = text;
    return *this;
  }

  /**
   * Any thread may destroy values. Then the destructor of the object destroys all threads' values
   * before it returns. Without this option each thread destroys its own value: at its next
   * tls::expunge(), when it next makes or misses a value, or when it ends.
   */
  constexpr options &any_thread_destroys() noexcept {
    reclaim_ = TLS_RECLAIM_ANY;
    return *this;
  }

  /** Allows all_threads() and local::clear(). */
  constexpr options &enumerable() noexcept { return with(TLS_KEY_ENUMERABLE); }

  /**
   * Values belong to the worker and not to its tasks: scopes do not affect them. It excludes
   * inherited().
   */
  constexpr options &worker() noexcept { return with(TLS_KEY_WORKER); }

  /**
   * Use it if destructors take a lock that a caller of get() or reset() may hold. Without it, a
   * get() or reset() of *any* object that makes or misses a value may destroy a few stale values of
   * objects that have ended. With it, such values are destroyed only by tls::expunge() and similar
   * functions (drain() is one), at the end of their scope, task, map or thread, and by
   * tls_thread_detach(). So call tls::expunge() where no such lock is held; otherwise the values
   * stay until their thread ends. Nothing else changes: the thread that destroys the object
   * destroys its own value at once, and a value that is reset or replaced is destroyed at once.
   */
  constexpr options &explicitly_expunged() noexcept { return with(TLS_KEY_EXPLICIT); }

  /** Tasks take the value along, each as a copy of its own. It excludes worker(). */
  constexpr options &inherited() noexcept {
    static_assert(has_type, "inherited() copies values, so it needs their type: tls::options<T>()");
    static_assert(!std::is_void_v<T>, "a void can't be copied, so it can't be inherited");
    if constexpr (has_type && !std::is_void_v<T>) {
      static_assert(std::is_copy_constructible_v<T>,
                    "what can't be copied can't be inherited as it is: give inherited() a function "
                    "that makes a copy by new, or inherit a std::shared_ptr");
      if constexpr (std::is_copy_constructible_v<T>) {
        return inherited([](const typename detail::copier<T>::source &value) { return new T(value); });
      }
    }
    return *this;
  }

  /** The same, with copies made by a function, as with `new`. */
  constexpr options &inherited(T *(*copy)(const typename detail::copier<T>::source &value)) noexcept {
    static_assert(has_type, "inherited() copies values, so it needs their type: tls::options<T>()");
    static_assert(!std::is_void_v<T>, "a void can't be copied, so it can't be inherited");
    copier_.copy = copy;
    if constexpr (has_type && !std::is_void_v<T>) {
      copier_.end = [](T *value) { delete value; };
    }
    return with(TLS_KEY_INHERIT);
  }

  /** The options of the C header, without callbacks. */
  tls_key_options_t for_key() const noexcept {
    tls_key_options_t key = {};
    key.size = sizeof key;
    key.name = name_;
    key.reclaim = reclaim_;
    key.flags = flags_;
    return key;
  }

  /** Empty unless inherited. */
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

/** What the C library refuses of these options. */
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
