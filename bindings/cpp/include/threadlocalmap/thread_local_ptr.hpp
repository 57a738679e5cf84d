/**
 * @file
 * threadlocalmap/thread_local_ptr.hpp - a pointer for each thread.
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
 * A pointer for each thread. The object owns the values that the pointers point to.
 *
 * It has the members of boost::thread_specific_ptr and of folly::ThreadLocalPtr. A program can have
 * any number of objects, each with pointers of its own: as members of classes, in containers, or
 * moved.
 *
 * When an object is destroyed, the calling thread's value is destroyed at once. Each other thread
 * destroys its own value when it next expunges, when it next makes a value or finds none, or when
 * it ends. With options::any_thread_destroys() all values are destroyed before the destructor
 * returns. A new object at the same address never finds values of the old one.
 *
 * A deleter is called with the pointer, or with the pointer and a tls::reason, and never with null.
 * It belongs either to the object, if it is passed to a constructor, or to one value, if it is
 * passed to reset(). The deleter of the object may be called on several threads at once. nullptr,
 * NULL and a null function are deleters that do nothing.
 *
 * get() is an inlined look-up that takes about a nanosecond, without a lock and without a call.
 *
 * An object can be moved and swapped, and cannot be copied. An object that was moved from has no
 * values, and functions that would store one fail with errc::bad_key.
 *
 * @tparam T The type that the pointers point to. It may be void if there is a deleter.
 */
template <class T>
class thread_local_ptr {
 public:
  /** The type that the pointers point to. */
  using element_type = T;

#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Makes an object whose values are destroyed with `delete`.
   *
   * @throws std::system_error with errc::no_memory or errc::limit.
   */
  thread_local_ptr() : thread_local_ptr(options<T>()) {}

  /**
   * Makes an object with options, whose values are destroyed with `delete`.
   *
   * @param asked The options.
   * @throws std::system_error with errc::invalid if the options exclude each other, and with
   *   errc::no_memory or errc::limit.
   */
  explicit thread_local_ptr(options<T> asked) {
    std::error_code error;
    make(asked, error);
    require_made(asked, error);
  }

  /**
   * Makes an object whose values are destroyed by a deleter.
   *
   * @tparam Deleter A function that is called as `deleter(T *, tls::reason)` or as `deleter(T *)`.
   * @param deleter The deleter; if it is a null pointer, values are not destroyed.
   * @throws std::system_error with errc::no_memory or errc::limit.
   */
  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  explicit thread_local_ptr(Deleter deleter) : thread_local_ptr(options<T>(), std::move(deleter)) {}

  /**
   * Makes an object that does not destroy its values.
   *
   * @throws std::system_error with errc::no_memory or errc::limit.
   */
  explicit thread_local_ptr(std::nullptr_t) : thread_local_ptr(options<T>(), nullptr) {}

  /**
   * Makes an object with options, whose values are destroyed by a deleter.
   *
   * @tparam Deleter A function that is called as `deleter(T *, tls::reason)` or as `deleter(T *)`.
   * @param asked The options.
   * @param deleter The deleter; if it is a null pointer, values are not destroyed.
   * @throws std::system_error with errc::invalid if the options exclude each other, and with
   *   errc::no_memory or errc::limit.
   */
  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  thread_local_ptr(options<T> asked, Deleter deleter) {
    std::error_code error;
    make(asked, std::move(deleter), error);
    require_made(asked, error);
  }

  /**
   * Makes an object with options that does not destroy its values.
   *
   * @param asked The options.
   * @throws std::system_error with errc::invalid if the options exclude each other, and with
   *   errc::no_memory or errc::limit.
   */
  thread_local_ptr(options<T> asked, std::nullptr_t) {
    std::error_code error;
    make(asked, nullptr, error);
    require_made(asked, error);
  }
#endif

  /**
   * Makes an object whose values are destroyed with `delete`. After an error the object is as if
   * moved from.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  explicit thread_local_ptr(std::error_code &error) noexcept { make(options<T>(), error); }

  /**
   * Makes an object with options, whose values are destroyed with `delete`. After an error the
   * object is as if moved from.
   *
   * @param asked The options.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  thread_local_ptr(options<T> asked, std::error_code &error) noexcept { make(asked, error); }

  /**
   * Makes an object with options, whose values are destroyed by a deleter. After an error the
   * object is as if moved from.
   *
   * @tparam Deleter A function that is called as `deleter(T *, tls::reason)` or as `deleter(T *)`.
   * @param asked The options.
   * @param deleter The deleter; if it is a null pointer, values are not destroyed.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  thread_local_ptr(options<T> asked, Deleter deleter, std::error_code &error) {
    make(asked, std::move(deleter), error);
  }

  /**
   * Makes an object with options that does not destroy its values. After an error the object is as
   * if moved from.
   *
   * @param asked The options.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  thread_local_ptr(options<T> asked, std::nullptr_t, std::error_code &error) noexcept {
    make(asked, nullptr, error);
  }

  /**
   * Moves all threads' values. No other thread may use either object during the call.
   *
   * @param other The object to move from.
   */
  thread_local_ptr(thread_local_ptr &&other) noexcept
      : ways_(std::exchange(other.ways_, endings())), key_(std::move(other.key_)) {}

  /**
   * Moves all threads' values. The values that this object had are destroyed as by the destructor.
   * No other thread may use either object during the call.
   *
   * @param other The object to move from.
   * @return This object.
   */
  thread_local_ptr &operator=(thread_local_ptr &&other) noexcept {
    thread_local_ptr(std::move(other)).swap(*this);
    return *this;
  }

  /**
   * Exchanges all threads' values. No other thread may use either object during the call.
   *
   * @param other The object to exchange with.
   */
  void swap(thread_local_ptr &other) noexcept {
    std::swap(key_, other.key_);
    std::swap(ways_, other.ways_);
  }

  /**
   * Exchanges all threads' values of two objects, like `one.swap(other)`.
   *
   * @param one The first object.
   * @param other The second object.
   */
  friend void swap(thread_local_ptr &one, thread_local_ptr &other) noexcept { one.swap(other); }

  /**
   * Returns the calling thread's pointer.
   *
   * @return The pointer; null if the thread has none, or if the object was moved from.
   */
  T *get() const noexcept { return detail::value_of<T>(tls_get_existing(key_.handle())); }

  /**
   * Returns the calling thread's pointer, like get().
   *
   * @return The pointer; null if the thread has none.
   */
  T *operator->() const noexcept { return get(); }

  /**
   * Returns a reference to the calling thread's value. The thread must have one.
   *
   * @return The value.
   */
  std::add_lvalue_reference_t<T> operator*() const noexcept { return *get(); }

  /**
   * Returns whether the calling thread has a pointer.
   *
   * @return Whether get() is not null.
   */
  explicit operator bool() const noexcept { return get() != nullptr; }

  /** Destroys the calling thread's value. After that get() returns null. */
  void reset() noexcept { tls_remove(key_.handle()); }

  /**
   * Replaces the calling thread's pointer with `value`, which the object owns from then on. The old
   * value is destroyed, unless it is the same. Inside a scope, do not store the pointer of a value
   * that was set outside of it: both would own it.
   *
   * If the call fails, the thread keeps its old value, and `value` is destroyed with
   * reason::removed. An object that was moved from has no deleter, so `value` is then yours.
   *
   * @param value The new pointer; if null, the old value is destroyed as by reset().
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  void reset(T *value, std::error_code &error) noexcept {
    error.clear();
    if (value == nullptr) return key_.remove(error);
    if (ways_.end == nullptr) {
      error = make_error_code(errc::bad_key);
      return;
    }
    put(detail::make_entry(value, ways_, error), error);
  }

  /**
   * Replaces the calling thread's pointer with `value`, which has a deleter of its own. The old
   * value is destroyed, unless it is the same.
   *
   * If the call fails, the thread keeps its old value, and the deleter is called for `value`. There
   * is one exception: if the same pointer is stored again while another thread visits it, the call
   * fails with errc::busy, and the pointer keeps the deleter that it has.
   *
   * @tparam Deleter A function that is called as `deleter(T *, tls::reason)` or as `deleter(T *)`.
   * @param value The new pointer; if null, the old value is destroyed as by reset().
   * @param deleter The deleter of this value; if it is a null pointer, the value is not destroyed.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  void reset(T *value, Deleter deleter, std::error_code &error) {
    own(value, deleter, error);
  }

  /**
   * Replaces the calling thread's pointer with `value`, which the object does not own and does not
   * destroy. The old value is destroyed, unless it is the same.
   *
   * @param value The new pointer; if null, the old value is destroyed as by reset().
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  void reset(T *value, std::nullptr_t, std::error_code &error) noexcept {
    void (*const none)(T *) = nullptr;
    reset(value, none, error);
  }

  /**
   * Replaces the calling thread's pointer with that of a std::unique_ptr, which is destroyed by the
   * deleter of the std::unique_ptr. The old value is destroyed. If the call fails, the new value is
   * destroyed, except with errc::busy.
   *
   * @tparam U The type that the std::unique_ptr points to.
   * @tparam Deleter The deleter of the std::unique_ptr.
   * @param value The new pointer; if null, the old value is destroyed as by reset().
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  template <class U, class Deleter, class = std::enable_if_t<std::is_convertible_v<U *, T *>>>
  void reset(std::unique_ptr<U, Deleter> value, std::error_code &error) {
    if constexpr (std::is_same_v<Deleter, std::default_delete<T>>) {
      if (ways_.end == &endings::by_delete) return reset(value.release(), error);
    }
    T *const pointer = value.get();
    reset(pointer, detail::unique_holder<U, Deleter>(std::move(value)), error);
  }

  /**
   * Replaces the calling thread's pointer with that of a std::shared_ptr. The thread is one of the
   * owners of the value until the value is replaced, removed or released. The old value is
   * destroyed.
   *
   * @param value The new pointer; if null, the old value is destroyed as by reset().
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  void reset(std::shared_ptr<T> value, std::error_code &error) {
    T *const pointer = value.get();
    reset(pointer, detail::shared_holder<T>(std::move(value)), error);
  }

  /**
   * Removes the calling thread's value and returns it. The value is yours, and its deleter is not
   * called. After that get() returns null. A value of a std::shared_ptr has one owner fewer then:
   * keep another one. Inside a scope, a value that was set outside of it remains, and the result is
   * null: get() returns null until the scope closes.
   *
   * If another thread visits the value, the call waits. It is a cancellation point. Inside a visit,
   * or another function that the library calls, it does not wait and fails with errc::busy, because
   * the visit may be the caller's own. For the same reason the function that visits the value must
   * not wait for a thread that is inside this call.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return The value; null if there is none, and after an error.
   */
  T *release(std::error_code &error) {
    return released(-1, error);
  }

  /**
   * Removes the calling thread's value and returns it, like release(), but does not wait. It fails
   * with errc::busy if another thread visits the value.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return The value; null if there is none, and after an error.
   */
  T *try_release(std::error_code &error) noexcept {
    void *entry = nullptr;
    const int answer = tls_take(key_.handle(), &entry);
    return handed_over(answer, entry, error);
  }

  /**
   * Removes the calling thread's value and returns it, like release(), but waits for a limited
   * time. It fails with errc::timeout if the time limit expires.
   *
   * @tparam Rep The number type of the duration.
   * @tparam Period The unit of the duration.
   * @param time How long to wait.
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return The value; null if there is none, and after an error.
   */
  template <class Rep, class Period>
  T *try_release_for(const std::chrono::duration<Rep, Period> &time, std::error_code &error) {
    return released(detail::milliseconds_of(time), error);
  }

  /**
   * Replaces the calling thread's pointer with `value`, which the object owns from then on, and
   * returns the old value. The old value is yours, and its deleter is not called. After an error
   * nothing has changed, and `value` is yours. It waits as release() does.
   *
   * @param value The new pointer; if null, the call does what release() does.
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return The old value; null after an error, if there was none, or if it was set outside of the
   *   open scope, which shadows it now.
   */
  T *exchange(T *value, std::error_code &error) { return exchanged(value, -1, error); }

  /**
   * Replaces the calling thread's pointer with `value`, and returns the old value, like exchange(),
   * but waits for a limited time. It fails with errc::timeout if the time limit expires.
   *
   * @tparam Rep The number type of the duration.
   * @tparam Period The unit of the duration.
   * @param value The new pointer; if null, the call does what try_release_for() does.
   * @param time How long to wait.
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return The old value, as that of exchange().
   */
  template <class Rep, class Period>
  T *try_exchange_for(T *value, const std::chrono::duration<Rep, Period> &time,
                      std::error_code &error) {
    return exchanged(value, detail::milliseconds_of(time), error);
  }

#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Replaces the calling thread's pointer with `value`, which the object owns from then on. The old
   * value is destroyed, unless it is the same. Inside a scope, do not store the pointer of a value
   * that was set outside of it: both would own it.
   *
   * If the call fails, the thread keeps its old value, and `value` is destroyed with
   * reason::removed. An object that was moved from has no deleter, so `value` is then yours.
   *
   * @param value The new pointer; if null, the old value is destroyed as by reset().
   * @throws std::system_error with errc::bad_key if the object was moved from, with
   *   errc::no_memory, and with errc::exiting if the thread is past its last cleanup.
   */
  void reset(T *value) {
    required([&](auto &error) { reset(value, error); }, "tls::thread_local_ptr::reset");
  }

  /**
   * Replaces the calling thread's pointer with `value`, which has a deleter of its own. The old
   * value is destroyed, unless it is the same. If the call fails, the deleter is called for
   * `value`, except with errc::busy.
   *
   * @tparam Deleter A function that is called as `deleter(T *, tls::reason)` or as `deleter(T *)`.
   * @param value The new pointer; if null, the old value is destroyed as by reset().
   * @param deleter The deleter of this value; if it is a null pointer, the value is not destroyed.
   * @throws std::system_error with the errors of reset(T *), or with errc::busy if the same pointer
   *   is stored again while another thread visits it: then it keeps the deleter that it has.
   */
  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  void reset(T *value, Deleter deleter) {
    required([&](auto &error) { own(value, deleter, error); }, "tls::thread_local_ptr::reset");
  }

  /**
   * Replaces the calling thread's pointer with `value`, which the object does not own and does not
   * destroy. The old value is destroyed, unless it is the same.
   *
   * @param value The new pointer; if null, the old value is destroyed as by reset().
   * @throws std::system_error with the errors of reset(T *, Deleter).
   */
  void reset(T *value, std::nullptr_t) {
    required([&](auto &error) { reset(value, nullptr, error); }, "tls::thread_local_ptr::reset");
  }

  /**
   * Replaces the calling thread's pointer with that of a std::unique_ptr, which is destroyed by the
   * deleter of the std::unique_ptr. The old value is destroyed. If the call fails, the new value is
   * destroyed, except with errc::busy.
   *
   * @tparam U The type that the std::unique_ptr points to.
   * @tparam Deleter The deleter of the std::unique_ptr.
   * @param value The new pointer; if null, the old value is destroyed as by reset().
   * @throws std::system_error with the errors of reset(T *, Deleter).
   */
  template <class U, class Deleter, class = std::enable_if_t<std::is_convertible_v<U *, T *>>>
  void reset(std::unique_ptr<U, Deleter> value) {
    required([&](auto &error) { reset(std::move(value), error); }, "tls::thread_local_ptr::reset");
  }

  /**
   * Replaces the calling thread's pointer with that of a std::shared_ptr. The thread is one of the
   * owners of the value until the value is replaced, removed or released. The old value is
   * destroyed.
   *
   * @param value The new pointer; if null, the old value is destroyed as by reset().
   * @throws std::system_error with the errors of reset(T *, Deleter).
   */
  void reset(std::shared_ptr<T> value) {
    required([&](auto &error) { reset(std::move(value), error); }, "tls::thread_local_ptr::reset");
  }

  /**
   * Removes the calling thread's value and returns it. The value is yours, and its deleter is not
   * called. After that get() returns null. If another thread visits the value, the call waits. It
   * is a cancellation point.
   *
   * @return The value; null if there is none.
   * @throws std::system_error with errc::busy inside a visit or another function that the library
   *   calls, if the value is being visited; and with errc::bad_key if the object was moved from.
   */
  T *release() {
    T *value = nullptr;
    required([&](auto &error) { value = release(error); }, "tls::thread_local_ptr::release");
    return value;
  }

  /**
   * Replaces the calling thread's pointer with `value`, and returns the old value, like the
   * overload with a std::error_code. If another thread visits the old value, the call waits. It is
   * a cancellation point.
   *
   * @param value The new pointer; if null, the call does what release() does.
   * @return The old value; null if there was none, or if it was set outside of the open scope,
   *   which shadows it now.
   * @throws std::system_error with errc::busy inside a visit or another function that the library
   *   calls, if the value is being visited; with errc::bad_key if the object was moved from; with
   *   errc::no_memory; and with errc::exiting if the thread is past its last cleanup.
   */
  T *exchange(T *value) {
    T *old = nullptr;
    required([&](auto &error) { old = exchange(value, error); }, "tls::thread_local_ptr::exchange");
    return old;
  }
#endif

  /**
   * Returns a view of all threads' values. Its functions fail if the object was made without
   * options::enumerable().
   *
   * @return The view.
   */
  all_threads_view<T> all_threads() const noexcept {
    return all_threads_view<T>(key_.handle(), true);
  }

#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Calls `f` with every thread's value, like all_threads_view::for_each().
   *
   * @tparam F A function that is called as `f(T &)` or as `f(T &, std::uint64_t)`.
   * @param f The function.
   * @throws std::system_error with one of the errors of all_threads_view.
   */
  template <class F>
  void combine_each(F &&f) const {
    all_threads().for_each(std::forward<F>(f));
  }
#endif

  /**
   * Releases the key of the object, as its destructor does, and waits until no thread has a value
   * of it and no deleter runs. After that the code of its deleters may be unloaded. The call
   * destroys the calling thread's own value. The other threads' values are destroyed as by the
   * destructor: those threads must expunge or end.
   *
   * No other thread may be in a function of the object during the call. It is a cancellation point.
   * If the time limit expires, it fails with errc::timeout, and may be called again. After success
   * and after errc::timeout, the object stores no values any more. Inside a function that the
   * library calls it fails with errc::reentrant, and changes nothing.
   *
   * @param timeout_ms How many milliseconds to wait; 0 does not wait, and a negative number waits
   *   without a limit.
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return How many threads still have a value; 0 also after an error other than errc::timeout.
   */
  std::size_t drain(int timeout_ms, std::error_code &error) {
    std::size_t left = 0;
    error = detail::code_of(key_.drain(timeout_ms, &left));
    if (key_.is_released()) ways_ = endings();
    return left;
  }

  /**
   * Returns a value that tls::take_all() has passed to a function, if it is a value of this object.
   * The value is yours, and its deleter is not called. Call it once for each value.
   *
   * @param key The key that tls::take_all() has passed.
   * @param value The value that tls::take_all() has passed.
   * @return The value; null if it is not one of this object.
   */
  T *taken(tls_key_t key, void *value) const noexcept {
    return key == key_.handle() && value != nullptr ? detail::hand_over<T>(value) : nullptr;
  }

  /**
   * Returns the key of the object, for C functions such as tls_key_name(). C functions find the
   * address of a value, or an odd number if the value has a deleter of its own or is at an odd
   * address.
   *
   * @return The key; TLS_KEY_NONE if the object was moved from.
   */
  tls_key_t native_handle() const noexcept { return key_.handle(); }

 private:
  using callbacks = detail::pointer_callbacks<T>;
  using endings = detail::endings<T>;

  void make(const options<T> &asked, std::error_code &error) noexcept {
    static_assert(!std::is_void_v<T>, "a void can't be deleted: give a deleter");
    using made = detail::deleter_rules<T, detail::by_delete>;
    if (asked.copier().copy == nullptr) {
      // No rules are needed: values are destroyed with delete, and are not copied.
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

  /** Stores a value with a deleter, which is moved once, to the place where it remains. */
  template <class Deleter>
  void own(T *value, Deleter &deleter, std::error_code &error) {
    error.clear();
    if (value == nullptr) return key_.remove(error);
    const auto copies = ways_.own != nullptr ? ways_.own->copies : detail::copier<T>();
    put(detail::make_entry(value, deleter, copies, error), error);
  }

  /**
   * Stores an entry. If that fails, destroys the entry. If the entry is null, it could not be made.
   */
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
    // The thread may be cancelled while it waits. Then the box is destroyed, and the value is the
    // caller's.
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
    detail::require(error, "tls::thread_local_ptr",
                    {{errc::invalid, detail::contradiction(asked)}});
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
  detail::key key_;  // The last member: destructors of its values may use the object.
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
