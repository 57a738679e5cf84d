/*
 * A pointer that each thread has for itself.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_THREAD_LOCAL_PTR_HPP
#define THREADLOCALMAP_THREAD_LOCAL_PTR_HPP

#include "all_threads.hpp"
#include "box.hpp"
#include "key.hpp"

#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace tls {
inline namespace TLS_PRIVATE_MODE {

/**
 * A pointer that each thread has for itself, owning what it points to.
 *
 * Has the members of boost::thread_specific_ptr and of folly::ThreadLocalPtr. Any number of
 * objects, each with pointers of its own: in a class, in a container, moved about. Destroying the
 * object ends the calling thread's value at once, and each other thread's by that thread, when it
 * next expunges, makes or misses a value, or ends; with options::any_thread_destroys() all of them
 * are ended before the destructor returns. An object at a dead one's address sees nothing of it.
 *
 * A deleter is called with the pointer, or with the pointer and a tls::reason; never with null. It
 * belongs to the object (a constructor's), or to one value (reset's). The object's may be called
 * on several threads at once.
 *
 * get() is an inlined look-up of about a nanosecond: no lock, no call. (A value with a deleter of
 * its own takes two look-ups.)
 */
template <class T>
class thread_local_ptr {
 public:
  using element_type = T;

#if TLS_PRIVATE_EXCEPTIONS
  /** Values end by `delete`. Throws std::system_error. */
  thread_local_ptr() : thread_local_ptr(options<T>()) {}

  explicit thread_local_ptr(options<T> asked) {
    std::error_code error;
    make(asked, error);
    detail::require(error, "tls::thread_local_ptr");
  }

  /** Values end by `deleter`; by nothing at all, if it is a null pointer. */
  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  explicit thread_local_ptr(Deleter deleter) : thread_local_ptr(options<T>(), std::move(deleter)) {}

  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  thread_local_ptr(options<T> asked, Deleter deleter) {
    std::error_code error;
    make(asked, std::move(deleter), error);
    detail::require(error, "tls::thread_local_ptr");
  }
#endif

  /** With an error the object is as if moved from. */
  explicit thread_local_ptr(std::error_code &error) noexcept { make(options<T>(), error); }

  thread_local_ptr(options<T> asked, std::error_code &error) noexcept { make(asked, error); }

  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  thread_local_ptr(options<T> asked, Deleter deleter, std::error_code &error) {
    make(asked, std::move(deleter), error);
  }

  /** All threads' values move along. No thread may be using either object meanwhile. */
  thread_local_ptr(thread_local_ptr &&other) noexcept
      : key_(std::move(other.key_)),
        boxes_(std::move(other.boxes_)),
        rules_(std::exchange(other.rules_, nullptr)) {}

  thread_local_ptr &operator=(thread_local_ptr &&other) noexcept {
    thread_local_ptr(std::move(other)).swap(*this);
    return *this;
  }

  void swap(thread_local_ptr &other) noexcept {
    std::swap(key_, other.key_);
    std::swap(boxes_, other.boxes_);
    std::swap(rules_, other.rules_);
  }

  friend void swap(thread_local_ptr &one, thread_local_ptr &other) noexcept { one.swap(other); }

  /** The calling thread's pointer; null if it has none, or the object was moved from. */
  T *get() const noexcept {
    void *const value = tls_get_existing(key_.handle());
    return TLS_PRIVATE_LIKELY(value != nullptr) ? static_cast<T *>(value) : get_boxed();
  }

  T *operator->() const noexcept { return get(); }

  std::add_lvalue_reference_t<T> operator*() const noexcept { return *get(); }

  explicit operator bool() const noexcept { return get() != nullptr; }

  /** Ends the calling thread's value; get() is null then. */
  void reset() noexcept {
    tls_remove(key_.handle());
    tls_remove(boxes_.handle());
  }

  /**
   * Owns `value` from here on, and ends the one before, unless it is the same.
   *
   * If that fails, nothing has changed, and `value` is ended with reason::removed. (But an object
   * that was moved from has no deleter: then `value` stays yours.)
   */
  void reset(T *value, std::error_code &error) noexcept {
    error.clear();
    if (value == nullptr) return reset();
    detail::handed_in(erased(value));
    error = detail::code_of(tls_set(key_.handle(), erased(value)));
    if (!error) {
      boxes_.end_replaced(value);
    } else if (rules_ != nullptr && key_.handle() != TLS_KEY_NONE) {
      rules_->end(value, reason::removed);
    }
  }

  /**
   * The same, with a deleter for this value alone. If that fails, the deleter is called. (But the
   * same pointer again, while another thread visits it: errc::busy, and it keeps its deleter.)
   */
  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  void reset(T *value, Deleter deleter, std::error_code &error) {
    error.clear();
    if (value == nullptr) return reset();
    boxes_.put(key_.handle(), value, std::move(deleter), copies(), error);
    if (!error) end_replaced(value, error);
  }

  /** Takes over the pointer's deleter, too. */
  template <class U, class Deleter, class = std::enable_if_t<std::is_convertible_v<U *, T *>>>
  void reset(std::unique_ptr<U, Deleter> value, std::error_code &error) {
    if constexpr (std::is_same_v<Deleter, std::default_delete<T>>) {
      if (deletes()) return reset(value.release(), error);
    }
    T *const pointer = value.get();
    reset(pointer, detail::unique_holder<U, Deleter>(std::move(value)), error);
  }

  /** Is one of the owners for as long as the thread has the value; release() ends that. */
  void reset(std::shared_ptr<T> value, std::error_code &error) {
    T *const pointer = value.get();
    reset(pointer, detail::shared_holder<T>(std::move(value)), error);
  }

  /** Hands the value over, without its deleter. Null: there is none, or an error. */
  T *release(std::error_code &error) noexcept {
    void *value = nullptr;
    const int answer = tls_take(key_.handle(), &value);
    if (value != nullptr || (answer != TLS_OK && answer != TLS_ERR_ABSENT)) {
      error = detail::code_of(answer);
      return static_cast<T *>(value);
    }
    return boxes_.take(error);
  }

#if TLS_PRIVATE_EXCEPTIONS
  void reset(T *value) { required([&](auto &error) { reset(value, error); }, "reset"); }

  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  void reset(T *value, Deleter deleter) {
    required([&](auto &error) { reset(value, std::move(deleter), error); }, "reset");
  }

  template <class U, class Deleter, class = std::enable_if_t<std::is_convertible_v<U *, T *>>>
  void reset(std::unique_ptr<U, Deleter> value) {
    required([&](auto &error) { reset(std::move(value), error); }, "reset");
  }

  void reset(std::shared_ptr<T> value) {
    required([&](auto &error) { reset(std::move(value), error); }, "reset");
  }

  /** Throws (errc::busy) while another thread visits the value. */
  T *release() {
    std::error_code error;
    T *const value = release(error);
    detail::require(error, "tls::thread_local_ptr::release");
    return value;
  }
#endif

  /** Every thread's value, of an object with options::enumerable(). */
  all_threads_view<T> all_threads() const noexcept {
    return all_threads_view<T>(key_.handle(), &boxes_);
  }

#if TLS_PRIVATE_EXCEPTIONS
  /** Calls f with every thread's value: see all_threads_view. */
  template <class F>
  void combine_each(F &&f) const {
    all_threads().for_each(std::forward<F>(f));
  }
#endif

  /** For the C functions. Values with a deleter of their own are not under it. */
  tls_key_t native_handle() const noexcept { return key_.handle(); }

 private:
  using callbacks = detail::callbacks<T>;

  static void *erased(T *value) noexcept { return callbacks::erased(value); }

  void make(const options<T> &asked, std::error_code &error) noexcept {
    static_assert(!std::is_void_v<T>, "a void can't be deleted: give a deleter");
    using made = detail::delete_rules<T>;
    make_key(asked, asked.copier().copy ? new (std::nothrow) made(asked.copier()) : &made::unchanging,
             true, error);
  }

  template <class Deleter>
  void make(const options<T> &asked, Deleter deleter, std::error_code &error) {
    const bool ends = !detail::is_null(deleter);
    using made = detail::deleter_rules<T, Deleter>;
    make_key(asked, new (std::nothrow) made(asked.copier(), std::move(deleter)), ends, error);
  }

  void make_key(const options<T> &asked, detail::rules<T> *own, bool ends,
                std::error_code &error) noexcept {
    tls_key_options_t key = asked.for_key();
    if (ends) key.destroy = callbacks::destroy;
    key_ = callbacks::make_key(key, own, error);
    boxes_ = detail::boxes<T>(key.reclaim, key.flags);
    rules_ = error ? nullptr : own;
  }

  /** Whether values end by `delete`. */
  bool deletes() const noexcept {
    if constexpr (std::is_void_v<T>) return false;
    else return rules_ != nullptr && rules_->deletes;
  }

  detail::copier<T> copies() const noexcept {
    return rules_ != nullptr ? rules_->copies : detail::copier<T>();
  }

  TLS_PRIVATE_COLD T *get_boxed() const noexcept { return boxes_.get(); }

  /** Ends the value without a deleter of its own: one with a deleter is in its place. */
  void end_replaced(T *by, std::error_code &error) noexcept {
    void *old = nullptr;
    const int answer = tls_take(key_.handle(), &old);
    if (answer == TLS_ERR_BUSY && tls_get_existing(key_.handle()) == erased(by)) {
      // It will end by the object's deleter, which cannot be told not to.
      boxes_.remove_visited(by);
      error = make_error_code(errc::busy);
    } else if (answer == TLS_ERR_BUSY) {
      tls_remove(key_.handle());
    } else if (answer != TLS_OK && answer != TLS_ERR_ABSENT) {
      // An outer one that can't be hidden would be found first.
      boxes_.remove();
      error = detail::code_of(answer);
    } else if (old != nullptr && old != erased(by)) {
      rules_->end(static_cast<T *>(old), reason::replaced);
    }
  }

#if TLS_PRIVATE_EXCEPTIONS
  template <class Work>
  static void required(Work work, const char *what) {
    std::error_code error;
    work(error);
    detail::require(error, what);
  }
#endif

  detail::key key_;
  detail::boxes<T> boxes_{TLS_RECLAIM_OWNER, 0};
  detail::rules<T> *rules_ = nullptr;
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
