/**
 * @file
 * threadlocalmap/thread_local_ptr.hpp - a pointer that each thread has for itself.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_THREAD_LOCAL_PTR_HPP
#define THREADLOCALMAP_THREAD_LOCAL_PTR_HPP

#include "all_threads.hpp"
#include "box.hpp"
#include "key.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace tls {
inline namespace TLS_PRIVATE_MODE {

/**
 * A pointer that each thread has for itself, which owns what it points to.
 *
 * It has the members of boost::thread_specific_ptr and of folly::ThreadLocalPtr. There can be any
 * number of objects, each with pointers of its own: in a class, in a container, moved. When the
 * object is destroyed, the calling thread's value is destroyed at once. Each other thread destroys
 * its own value when it next expunges, makes or misses a value, or when it ends. With
 * options::any_thread_destroys() all values are destroyed before the destructor returns. A new
 * object at the same address never finds values of the old one.
 *
 * A deleter is called with the pointer, or with the pointer and a tls::reason; never with null. It
 * belongs to the object (a constructor's), or to one value (reset's). The object's deleter may be
 * called on several threads at once. nullptr, NULL and a null function are deleters that do
 * nothing.
 *
 * get() is an inlined look-up that takes about a nanosecond, without a lock and without a call.
 */
template <class T>
class thread_local_ptr {
 public:
  using element_type = T;

#if TLS_PRIVATE_EXCEPTIONS
  /** Values are destroyed with `delete`. Throws std::system_error. */
  thread_local_ptr() : thread_local_ptr(options<T>()) {}

  /** The same, with options. */
  explicit thread_local_ptr(options<T> asked) {
    std::error_code error;
    make(asked, error);
    require_made(asked, error);
  }

  /**
   * Values are destroyed with `deleter`; if it is null, nothing is called. Throws
   * std::system_error.
   */
  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  explicit thread_local_ptr(Deleter deleter) : thread_local_ptr(options<T>(), std::move(deleter)) {}

  explicit thread_local_ptr(std::nullptr_t) : thread_local_ptr(options<T>(), nullptr) {}

  /** The same, with options. */
  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  thread_local_ptr(options<T> asked, Deleter deleter) {
    std::error_code error;
    make(asked, std::move(deleter), error);
    require_made(asked, error);
  }

  thread_local_ptr(options<T> asked, std::nullptr_t) {
    std::error_code error;
    make(asked, nullptr, error);
    require_made(asked, error);
  }
#endif

  /** Values are destroyed with `delete`. After an error the object is as if moved from. */
  explicit thread_local_ptr(std::error_code &error) noexcept { make(options<T>(), error); }

  thread_local_ptr(options<T> asked, std::error_code &error) noexcept { make(asked, error); }

  /** Values are destroyed with `deleter`. After an error the object is as if moved from. */
  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  thread_local_ptr(options<T> asked, Deleter deleter, std::error_code &error) {
    make(asked, std::move(deleter), error);
  }

  thread_local_ptr(options<T> asked, std::nullptr_t, std::error_code &error) noexcept {
    make(asked, nullptr, error);
  }

  /** Moves all threads' values. No thread may be using either object meanwhile. */
  thread_local_ptr(thread_local_ptr &&other) noexcept
      : ways_(std::exchange(other.ways_, endings())), key_(std::move(other.key_)) {}

  /** The same. The values that were here are destroyed as by the destructor. */
  thread_local_ptr &operator=(thread_local_ptr &&other) noexcept {
    thread_local_ptr(std::move(other)).swap(*this);
    return *this;
  }

  /** Exchanges all threads' values. No thread may be using either object meanwhile. */
  void swap(thread_local_ptr &other) noexcept {
    std::swap(key_, other.key_);
    std::swap(ways_, other.ways_);
  }

  friend void swap(thread_local_ptr &one, thread_local_ptr &other) noexcept { one.swap(other); }

  /** Returns the calling thread's pointer; null if it has none, or if the object was moved from. */
  T *get() const noexcept { return detail::value_of<T>(tls_get_existing(key_.handle())); }

  T *operator->() const noexcept { return get(); }

  std::add_lvalue_reference_t<T> operator*() const noexcept { return *get(); }

  explicit operator bool() const noexcept { return get() != nullptr; }

  /** Destroys the calling thread's value; get() returns null then. */
  void reset() noexcept { tls_remove(key_.handle()); }

  /**
   * Stores `value`, which the object owns from then on, and destroys the value that was there,
   * unless it is the same pointer.
   *
   * If it fails, nothing has changed, and `value` is destroyed with reason::removed. (An object
   * that was moved from has no deleter: then `value` stays yours.)
   */
  void reset(T *value, std::error_code &error) noexcept {
    error.clear();
    if (value == nullptr) return reset();
    if (ways_.end == nullptr) {
      error = make_error_code(errc::bad_key);
      return;
    }
    put(detail::make_entry(value, ways_, error), error);
  }

  /**
   * The same, with a deleter for this value alone. If it fails, the deleter is called. (If the same
   * pointer is stored again while it is visited, it fails with errc::busy, and the pointer keeps
   * its deleter.)
   */
  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  void reset(T *value, Deleter deleter, std::error_code &error) {
    own(value, deleter, error);
  }

  /** The same, but the object does not own this value. */
  void reset(T *value, std::nullptr_t, std::error_code &error) noexcept {
    void (*const none)(T *) = nullptr;
    reset(value, none, error);
  }

  /** The same, with the deleter of the std::unique_ptr. */
  template <class U, class Deleter, class = std::enable_if_t<std::is_convertible_v<U *, T *>>>
  void reset(std::unique_ptr<U, Deleter> value, std::error_code &error) {
    if constexpr (std::is_same_v<Deleter, std::default_delete<T>>) {
      if (ways_.end == &endings::by_delete) return reset(value.release(), error);
    }
    T *const pointer = value.get();
    reset(pointer, detail::unique_holder<U, Deleter>(std::move(value)), error);
  }

  /** The thread is one of the owners for as long as it has the value; release() ends that. */
  void reset(std::shared_ptr<T> value, std::error_code &error) {
    T *const pointer = value.get();
    reset(pointer, detail::shared_holder<T>(std::move(value)), error);
  }

  /**
   * Removes the calling thread's value and returns it, without its deleter; it is yours. get()
   * returns null then. Returns null if there is none, and after an error.
   *
   * Waits while another thread visits the value. It is a cancellation point. Inside a visit, or
   * another function that the library calls, it does not wait and fails with errc::busy, because
   * the visit may be the caller's own. For the same reason a visitor must not wait for a thread
   * that is in this function.
   */
  T *release(std::error_code &error) {
    return released(-1, error);
  }

  /** The same, but does not wait: errc::busy and null if the value is being visited. */
  T *try_release(std::error_code &error) noexcept {
    void *entry = nullptr;
    const int answer = tls_take(key_.handle(), &entry);
    return handed_over(answer, entry, error);
  }

  /** The same, but waits for this long at most: then errc::timeout and null. */
  template <class Rep, class Period>
  T *try_release_for(const std::chrono::duration<Rep, Period> &time, std::error_code &error) {
    return released(detail::milliseconds_of(time), error);
  }

  /**
   * Stores `value`, which the object owns from then on, and returns the old value without its
   * deleter; it is yours. Returns null if there was none, or if it was set outside of the open
   * scope and is shadowed now. After an error nothing has changed: it returns null, and `value`
   * stays yours. With null it does what release() does. It waits as release() does.
   */
  T *exchange(T *value, std::error_code &error) { return exchanged(value, -1, error); }

  /** The same, but waits for this long at most: then errc::timeout and null. */
  template <class Rep, class Period>
  T *try_exchange_for(T *value, const std::chrono::duration<Rep, Period> &time,
                      std::error_code &error) {
    return exchanged(value, detail::milliseconds_of(time), error);
  }

#if TLS_PRIVATE_EXCEPTIONS
  void reset(T *value) {
    required([&](auto &error) { reset(value, error); }, "tls::thread_local_ptr::reset");
  }

  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  void reset(T *value, Deleter deleter) {
    required([&](auto &error) { own(value, deleter, error); }, "tls::thread_local_ptr::reset");
  }

  void reset(T *value, std::nullptr_t) {
    required([&](auto &error) { reset(value, nullptr, error); }, "tls::thread_local_ptr::reset");
  }

  template <class U, class Deleter, class = std::enable_if_t<std::is_convertible_v<U *, T *>>>
  void reset(std::unique_ptr<U, Deleter> value) {
    required([&](auto &error) { reset(std::move(value), error); }, "tls::thread_local_ptr::reset");
  }

  void reset(std::shared_ptr<T> value) {
    required([&](auto &error) { reset(std::move(value), error); }, "tls::thread_local_ptr::reset");
  }

  /** Waits while another thread visits the value; throws errc::busy inside a visit. */
  T *release() {
    T *value = nullptr;
    required([&](auto &error) { value = release(error); }, "tls::thread_local_ptr::release");
    return value;
  }

  /** Waits while another thread visits the value; throws errc::busy inside a visit. */
  T *exchange(T *value) {
    T *old = nullptr;
    required([&](auto &error) { old = exchange(value, error); }, "tls::thread_local_ptr::exchange");
    return old;
  }
#endif

  /** Returns a view of every thread's value, for an object with options::enumerable(). */
  all_threads_view<T> all_threads() const noexcept {
    return all_threads_view<T>(key_.handle(), true);
  }

#if TLS_PRIVATE_EXCEPTIONS
  /** Calls f with every thread's value: see all_threads_view. */
  template <class F>
  void combine_each(F &&f) const {
    all_threads().for_each(std::forward<F>(f));
  }
#endif

  /**
   * Ends the object, as its destructor does, and waits until no thread has a value of it and no
   * deleter runs. After that the code of its deleters may be unloaded. The calling thread's own
   * value is destroyed here, the other threads' as by the destructor: those threads must expunge or
   * end.
   *
   * timeout_ms is how many milliseconds to wait; 0 only looks, and a negative number waits without
   * a limit. With errc::timeout it returns how many threads still have a value, and may be called
   * again. The object is as if moved from. It is a cancellation point. Inside a function that the
   * library calls it fails with errc::reentrant.
   */
  std::size_t drain(int timeout_ms, std::error_code &error) {
    ways_ = endings();
    std::size_t left = 0;
    error = detail::code_of(key_.drain(timeout_ms, &left));
    return left;
  }

  /**
   * Call it in tls::take_all() with each value. Returns the value without its deleter, which is
   * yours, if it was one of this object; null if it was not. Call it once for each value.
   */
  T *taken(tls_key_t key, void *value) const noexcept {
    return key == key_.handle() && value != nullptr ? detail::hand_over<T>(value) : nullptr;
  }

  /**
   * The key, for C functions such as tls_key_name(). C functions find the address as the value. For
   * a value with a deleter of its own, or at an odd address, they find an odd number.
   */
  tls_key_t native_handle() const noexcept { return key_.handle(); }

 private:
  using callbacks = detail::pointer_callbacks<T>;
  using endings = detail::endings<T>;

  void make(const options<T> &asked, std::error_code &error) noexcept {
    static_assert(!std::is_void_v<T>, "a void can't be deleted: give a deleter");
    using made = detail::deleter_rules<T, detail::by_delete>;
    if (asked.copier().copy == nullptr) {
      // Nothing to remember.
      tls_key_options_t options = asked.for_key();
      options.destroy = callbacks::template destroy<&endings::by_delete>;
      key_ = detail::key(options, error);
      if (!error) ways_ = endings{&endings::by_delete, nullptr};
    } else {
      make_key<&endings::by_delete>(
          asked, new (std::nothrow) made(asked.copier(), detail::by_delete()), error);
    }
  }

  template <class Deleter>
  void make(const options<T> &asked, Deleter deleter, std::error_code &error) {
    using made = detail::deleter_rules<T, Deleter>;
    make_key<&endings::by_rules>(
        asked, new (std::nothrow) made(asked.copier(), std::move(deleter)), error);
  }

  template <void (*End)(T *, reason, detail::rules<T> *) noexcept>
  void make_key(const options<T> &asked, detail::rules<T> *own, std::error_code &error) noexcept {
    if (own == nullptr) {
      error = make_error_code(errc::no_memory);
      return;
    }
    tls_key_options_t options = asked.for_key();
    options.destroy = callbacks::template destroy<End>;
    if constexpr (!std::is_void_v<T>) options.copy = callbacks::template copy<End>;
    key_ = detail::make_key(options, own, error);
    if (!error) ways_ = endings{End, own};
  }

  /** Owns a value with its deleter, which is moved once, where it stays. */
  template <class Deleter>
  void own(T *value, Deleter &deleter, std::error_code &error) {
    error.clear();
    if (value == nullptr) return reset();
    const auto copies = ways_.own != nullptr ? ways_.own->copies : detail::copier<T>();
    put(detail::make_entry(value, deleter, copies, error), error);
  }

  /** Stores an entry, if it could be made, or ends it. */
  void put(void *entry, std::error_code &error) noexcept {
    if (entry == nullptr) return;
    const int answer = detail::store(key_.handle(), entry, ways_);
    error = detail::code_of(answer);
    if (answer == TLS_ERR_BUSY) detail::hand_over<T>(entry);
    else if (error) detail::end_entry(entry, reason::removed, ways_);
  }

  T *released(int timeout_ms, std::error_code &error) {
    void *entry = nullptr;
    const int answer = detail::take_when_free(key_.handle(), &entry, timeout_ms);
    return handed_over(answer, entry, error);
  }

  T *exchanged(T *value, int timeout_ms, std::error_code &error) {
    if (value == nullptr) return released(timeout_ms, error);
    if (ways_.end == nullptr) {
      error = make_error_code(errc::bad_key);
      return nullptr;
    }
    // While it waits the thread may be cancelled: then a box goes, and the value is the caller's.
    struct unless_stored {
      void *entry;
      ~unless_stored() {
        if (entry != nullptr) detail::hand_over<T>(entry);
      }
    } pending{detail::make_entry_or_none(value, ways_)};
    if (pending.entry == nullptr) {
      error = make_error_code(errc::no_memory);
      return nullptr;
    }
    detail::handed_in(pending.entry);
    void *old = nullptr;
    const int answer = detail::swap_when_free(key_.handle(), pending.entry, &old, timeout_ms);
    if (answer == TLS_OK) pending.entry = nullptr;
    return handed_over(answer, old, error);
  }

  static T *handed_over(int answer, void *entry, std::error_code &error) noexcept {
    error = answer == TLS_ERR_ABSENT ? std::error_code() : detail::code_of(answer);
    return entry != nullptr ? detail::hand_over<T>(entry) : nullptr;
  }

#if TLS_PRIVATE_EXCEPTIONS
  static void require_made(const options<T> &asked, const std::error_code &error) {
    detail::require(error, "tls::thread_local_ptr", {{errc::invalid, detail::contradiction(asked)}});
  }

  template <class Work>
  static void required(Work work, const char *function) {
    std::error_code error;
    work(error);
    detail::require(error, function,
                    {{errc::busy, "the value is being visited"},
                     {errc::reentrant, "called inside the library's own allocation"}});
  }
#endif

  endings ways_;
  detail::key key_;  // The last: the values that end with it may use the object.
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
