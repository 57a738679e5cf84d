/*
 * What may be asked of an object with a value for each thread.
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
inline namespace TLS_PRIVATE_MODE {

namespace detail {

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
 * What may be asked of a thread_local_ptr<T> or a local<T>.
 *
 *     tls::local<counter> requests(tls::options<counter>().name("requests").enumerable());
 */
template <class T>
class options {
 public:
  /** For reports. Copied when the object is made. */
  options &name(const char *text) noexcept {
    name_ = text;
    return *this;
  }

  /**
   * Values may be destroyed by any thread. Destroying the object then destroys all threads' values
   * before it returns. Without this each thread destroys its own: at its next tls::expunge(), when
   * it next makes or misses a value, or when it ends.
   */
  options &any_thread_destroys() noexcept {
    reclaim_ = TLS_RECLAIM_ANY;
    return *this;
  }

  /** all_threads() may be asked for. */
  options &enumerable() noexcept { return with(TLS_KEY_ENUMERABLE); }

  /** Values live as long as the worker: scopes and tasks leave them alone. */
  options &worker() noexcept { return with(TLS_KEY_WORKER); }

  /** Tasks take the value along, each a copy of its own. */
  options &inherited() noexcept {
    return inherited([](const typename detail::copier<T>::source &value) { return new T(value); });
  }

  /** The same, with copies made by a function, as by `new`. */
  options &inherited(T *(*copy)(const typename detail::copier<T>::source &value)) noexcept {
    copier_.copy = copy;
    copier_.end = [](T *value) { delete value; };
    return with(TLS_KEY_INHERIT);
  }

  /** What the C header takes, without callbacks. */
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
  options &with(std::uint32_t flag) noexcept {
    flags_ |= flag;
    return *this;
  }

  const char *name_ = nullptr;
  detail::copier<T> copier_;
  std::uint32_t reclaim_ = TLS_RECLAIM_OWNER;
  std::uint32_t flags_ = 0;
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
