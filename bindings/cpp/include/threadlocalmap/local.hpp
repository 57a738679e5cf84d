/**
 * @file
 * threadlocalmap/local.hpp - a value for each thread, made at its first use on the thread.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_LOCAL_HPP
#define THREADLOCALMAP_LOCAL_HPP

#include "all_threads.hpp"
#include "factory.hpp"
#include "key.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace tls {
inline namespace TLS_PRIVATE_MODE {

/**
 * A value for each thread, made at its first use on the thread.
 *
 * It does the work of folly::ThreadLocal and tbb::enumerable_thread_specific. A program can have
 * any number of objects, each with values of its own: as members of classes, in containers, or
 * moved. When an object is destroyed, its values are destroyed in the same way as those of a
 * thread_local_ptr.
 *
 *     tls::local<std::vector<int>> empty;                          values are made by T()
 *     tls::local<std::mt19937> dice(std::in_place, 42u);           by T(42u)
 *     tls::local<connection> to([=] { return connection(host); }); by a factory
 *     tls::local<buffer> from(take_one, give_back);                by a factory, and a deleter
 *
 * T need not be movable. It may have any size, because values are never on the stack, and any
 * alignment. A factory returns a T, a `std::unique_ptr<T>` or a `T *` made with `new`. It may be
 * called on several threads at once. If it throws, nothing is stored, get() throws the exception,
 * and the next get() calls the factory again. If a factory reads the value that it is making, get()
 * fails with errc::reentrant.
 *
 * Values are destroyed with `delete`, or by a deleter. A deleter is called with the pointer, or
 * with the pointer and a tls::reason, possibly on several threads at once. It must suit the
 * pointers that the factory returns. To let values outlive their threads, use a deleter that keeps
 * the pointer if the reason is reason::thread_exit.
 *
 * If the value exists, get() is an inlined look-up that takes about a nanosecond, without a lock
 * and without a call.
 *
 * An object can be moved and swapped, and cannot be copied. An object that was moved from has no
 * values, and functions that would make or store one fail with errc::bad_key. If a static object is
 * in a shared object that is unloaded, its values must be destroyed on all threads first, because
 * code of the shared object destroys them: see drain().
 *
 * @tparam T The type of the values.
 */
template <class T>
class local {
  static_assert(std::is_object_v<T> && !std::is_const_v<T>, "each thread has an object");

 public:
  /** The type of the values. */
  using value_type = T;

#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Makes an object whose values are made by `T()`.
   *
   * @throws std::system_error with errc::no_memory or errc::limit.
   */
  local() : local(options<T>()) {}

  /**
   * Makes an object with options, whose values are made by `T()`.
   *
   * @param asked The options.
   * @throws std::system_error with errc::invalid if the options exclude each other, and with
   *   errc::no_memory or errc::limit.
   */
  explicit local(options<T> asked) : local(asked, detail::by_default<T>()) {}

  /**
   * Makes an object whose values are made by a factory, and destroyed with `delete`.
   *
   * @tparam Factory A function that is called as `factory()`, and returns a T, a
   *   `std::unique_ptr<T>` or a `T *` made with `new`.
   * @param factory The factory.
   * @throws std::system_error with errc::no_memory or errc::limit.
   */
  template <class Factory, class = detail::enable_factory<Factory, T>>
  explicit local(Factory factory) : local(options<T>(), std::move(factory)) {}

  /**
   * Makes an object with options, whose values are made by a factory, and destroyed with `delete`.
   *
   * @tparam Factory A function that is called as `factory()`, and returns a T, a
   *   `std::unique_ptr<T>` or a `T *` made with `new`.
   * @param asked The options.
   * @param factory The factory.
   * @throws std::system_error with errc::invalid if the options exclude each other, and with
   *   errc::no_memory or errc::limit.
   */
  template <class Factory, class = detail::enable_factory<Factory, T>>
  local(options<T> asked, Factory factory)
      : local(asked, std::move(factory), detail::by_delete()) {}

  /**
   * Makes an object whose values are made by a factory, and destroyed by a deleter.
   *
   * @tparam Factory A function that is called as `factory()`, and returns a T, a
   *   `std::unique_ptr<T>` or a `T *`.
   * @tparam Deleter A function that is called as `deleter(T *, tls::reason)` or as `deleter(T *)`.
   * @param factory The factory.
   * @param deleter The deleter; if it is a null pointer, values are not destroyed.
   * @throws std::system_error with errc::no_memory or errc::limit.
   */
  template <class Factory, class Deleter, class = detail::enable_factory<Factory, T>,
            class = detail::enable_deleter<Deleter, T>>
  local(Factory factory, Deleter deleter)
      : local(options<T>(), std::move(factory), std::move(deleter)) {}

  /**
   * Makes an object with options, whose values are made by a factory, and destroyed by a deleter.
   *
   * @tparam Factory A function that is called as `factory()`, and returns a T, a
   *   `std::unique_ptr<T>` or a `T *`.
   * @tparam Deleter A function that is called as `deleter(T *, tls::reason)` or as `deleter(T *)`.
   * @param asked The options.
   * @param factory The factory.
   * @param deleter The deleter; if it is a null pointer, values are not destroyed.
   * @throws std::system_error with errc::invalid if the options exclude each other, and with
   *   errc::no_memory or errc::limit.
   */
  template <class Factory, class Deleter, class = detail::enable_factory<Factory, T>,
            class = detail::enable_deleter<Deleter, T>>
  local(options<T> asked, Factory factory, Deleter deleter) {
    std::error_code error;
    make(asked, std::move(factory), std::move(deleter), error);
    detail::require(error, "tls::local", {{errc::invalid, detail::contradiction(asked)}});
  }

  /**
   * Makes an object whose values are made by a factory, and not destroyed.
   *
   * @tparam Factory A function that is called as `factory()`, and returns a T, a
   *   `std::unique_ptr<T>` or a `T *`.
   * @param factory The factory.
   * @throws std::system_error with errc::no_memory or errc::limit.
   */
  template <class Factory, class = detail::enable_factory<Factory, T>>
  local(Factory factory, std::nullptr_t) : local(options<T>(), std::move(factory), nullptr) {}

  /**
   * Makes an object with options, whose values are made by a factory, and not destroyed.
   *
   * @tparam Factory A function that is called as `factory()`, and returns a T, a
   *   `std::unique_ptr<T>` or a `T *`.
   * @param asked The options.
   * @param factory The factory.
   * @throws std::system_error with errc::invalid if the options exclude each other, and with
   *   errc::no_memory or errc::limit.
   */
  template <class Factory, class = detail::enable_factory<Factory, T>>
  local(options<T> asked, Factory factory, std::nullptr_t)
      : local(asked, std::move(factory), static_cast<void (*)(T *)>(nullptr)) {}

  /**
   * Makes an object whose values are made by `T(arguments...)`, or by `T{arguments...}` if T is an
   * aggregate. The object keeps copies of the arguments.
   *
   * @tparam Arguments The types of the arguments.
   * @param arguments The arguments.
   * @throws std::system_error with errc::no_memory or errc::limit.
   */
  template <class... Arguments>
  explicit local(std::in_place_t, Arguments &&...arguments)
      : local(options<T>(), std::in_place_t(), std::forward<Arguments>(arguments)...) {}

  /**
   * Makes an object with options, whose values are made by `T(arguments...)`, or by
   * `T{arguments...}` if T is an aggregate. The object keeps copies of the arguments.
   *
   * @tparam Arguments The types of the arguments.
   * @param asked The options.
   * @param arguments The arguments.
   * @throws std::system_error with errc::invalid if the options exclude each other, and with
   *   errc::no_memory or errc::limit.
   */
  template <class... Arguments>
  local(options<T> asked, std::in_place_t, Arguments &&...arguments)
      : local(asked, detail::from_arguments<T>(std::forward<Arguments>(arguments)...)) {}
#endif

  /**
   * Makes an object whose values are made by `T()`. After an error the object is as if moved from.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  explicit local(std::error_code &error) : local(options<T>(), error) {}

  /**
   * Makes an object with options, whose values are made by `T()`. After an error the object is as
   * if moved from.
   *
   * @param asked The options.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  local(options<T> asked, std::error_code &error) {
    make(asked, detail::by_default<T>(), detail::by_delete(), error);
  }

  /**
   * Makes an object with options, whose values are made by a factory, and destroyed with `delete`.
   * After an error the object is as if moved from.
   *
   * @tparam Factory A function that is called as `factory()`, and returns a T, a
   *   `std::unique_ptr<T>` or a `T *` made with `new`.
   * @param asked The options.
   * @param factory The factory.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  template <class Factory, class = detail::enable_factory<Factory, T>>
  local(options<T> asked, Factory factory, std::error_code &error) {
    make(asked, std::move(factory), detail::by_delete(), error);
  }

  /**
   * Makes an object with options, whose values are made by a factory, and destroyed by a deleter.
   * After an error the object is as if moved from.
   *
   * @tparam Factory A function that is called as `factory()`, and returns a T, a
   *   `std::unique_ptr<T>` or a `T *`.
   * @tparam Deleter A function that is called as `deleter(T *, tls::reason)` or as `deleter(T *)`.
   * @param asked The options.
   * @param factory The factory.
   * @param deleter The deleter; if it is a null pointer, values are not destroyed.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  template <class Factory, class Deleter, class = detail::enable_factory<Factory, T>,
            class = detail::enable_deleter<Deleter, T>>
  local(options<T> asked, Factory factory, Deleter deleter, std::error_code &error) {
    make(asked, std::move(factory), std::move(deleter), error);
  }

  /**
   * Makes an object with options, whose values are made by a factory, and not destroyed. After an
   * error the object is as if moved from.
   *
   * @tparam Factory A function that is called as `factory()`, and returns a T, a
   *   `std::unique_ptr<T>` or a `T *`.
   * @param asked The options.
   * @param factory The factory.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  template <class Factory, class = detail::enable_factory<Factory, T>>
  local(options<T> asked, Factory factory, std::nullptr_t, std::error_code &error) {
    make(asked, std::move(factory), nullptr, error);
  }

  /**
   * Moves all threads' values. No other thread may use either object during the call.
   *
   * @param other The object to move from.
   */
  local(local &&other) noexcept
      : maker_(std::exchange(other.maker_, nullptr)), key_(std::move(other.key_)) {}

  /**
   * Moves all threads' values. The values that this object had are destroyed as by the destructor.
   * No other thread may use either object during the call.
   *
   * @param other The object to move from.
   * @return This object.
   */
  local &operator=(local &&other) noexcept {
    local(std::move(other)).swap(*this);
    return *this;
  }

  /**
   * Exchanges all threads' values. No other thread may use either object during the call.
   *
   * @param other The object to exchange with.
   */
  void swap(local &other) noexcept {
    std::swap(key_, other.key_);
    std::swap(maker_, other.maker_);
  }

  /**
   * Exchanges all threads' values of two objects, like `one.swap(other)`.
   *
   * @param one The first object.
   * @param other The second object.
   */
  friend void swap(local &one, local &other) noexcept { one.swap(other); }

#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Returns the calling thread's value, and makes it if there is none.
   *
   * @return The value; never null.
   * @throws std::system_error with errc::init if the factory returned null, with errc::reentrant if
   *   the factory reads the value that it is making, with errc::bad_key if the object was moved
   *   from, with errc::no_memory, and with errc::exiting if the thread is past its last cleanup;
   *   and what the factory throws.
   */
  T *get() const {
    void *const value = tls_get_existing(key_.handle());
    return TLS_PRIVATE_LIKELY(value != nullptr) ? static_cast<T *>(value) : made();
  }

  /**
   * Returns the calling thread's value, like get().
   *
   * @return The value; never null.
   * @throws std::system_error with the errors of get(); and what the factory throws.
   */
  T *operator->() const { return get(); }

  /**
   * Returns a reference to the calling thread's value, like get().
   *
   * @return The value.
   * @throws std::system_error with the errors of get(); and what the factory throws.
   */
  T &operator*() const { return *get(); }
#endif

  /**
   * Returns the calling thread's value, and makes it if there is none. An exception of the factory
   * is thrown to the caller.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return The value; null after an error.
   */
  T *get(std::error_code &error) const {
    void *const value = tls_get_existing(key_.handle());
    if (!TLS_PRIVATE_LIKELY(value != nullptr)) return made(error);
    error.clear();
    return static_cast<T *>(value);
  }

  /**
   * Returns the calling thread's value, and makes none.
   *
   * @return The value; null if there is none.
   */
  T *get_existing() const noexcept {
    return static_cast<T *>(tls_get_existing(key_.handle()));
  }

  /** Destroys the calling thread's value. The next get() makes another. */
  void reset() noexcept { tls_remove(key_.handle()); }

  /**
   * Replaces the calling thread's value. The old value is destroyed, unless it is the same.
   *
   * If the call fails, the thread keeps its old value, and `value` is destroyed with
   * reason::removed. An object that was moved from has no deleter, so `value` is then yours.
   *
   * @param value The new value; if null, the old value is destroyed as by reset().
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  void reset(T *value, std::error_code &error) noexcept {
    error.clear();
    if (value == nullptr) return key_.remove(error);
    if (maker_ == nullptr) {
      error = make_error_code(errc::bad_key);
      return;
    }
    detail::handed_in(value);
    error = detail::code_of(tls_set(key_.handle(), value));
    if (error) maker_->end(value, reason::removed);
  }

  /**
   * Replaces the calling thread's value. The old value is destroyed. The deleter of the object
   * destroys the new one later. After an error nothing has changed, and `value` is yours.
   *
   * @param value The new value; if null, the old value is destroyed as by reset().
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  void reset(std::unique_ptr<T> &&value, std::error_code &error) noexcept {
    error.clear();
    if (value == nullptr) return key_.remove(error);
    detail::handed_in(value.get());
    error = detail::code_of(tls_set(key_.handle(), value.get()));
    if (!error) (void)value.release();
  }

  /**
   * Removes the calling thread's value and returns it. The value is yours, and the deleter of the
   * object is not called for it. The next get() makes another. Inside a scope, a value that was set
   * outside of it remains, and the result is null.
   *
   * If another thread visits the value, the call waits. It is a cancellation point. Inside a visit,
   * or another function that the library calls, it does not wait and fails with errc::busy, because
   * the visit may be the caller's own. For the same reason the function that visits the value must
   * not wait for a thread that is inside this call.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return The value; null if there is none, and after an error.
   */
  std::unique_ptr<T> release(std::error_code &error) {
    return released(-1, error);
  }

  /**
   * Removes the calling thread's value and returns it, like release(), but does not wait. It fails
   * with errc::busy if another thread visits the value.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return The value; null if there is none, and after an error.
   */
  std::unique_ptr<T> try_release(std::error_code &error) noexcept {
    void *value = nullptr;
    const int answer = tls_take(key_.handle(), &value);
    return handed_over(answer, value, error);
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
  std::unique_ptr<T> try_release_for(const std::chrono::duration<Rep, Period> &time,
                                     std::error_code &error) {
    return released(detail::milliseconds_of(time), error);
  }

  /**
   * Replaces the calling thread's value, and returns the old value. The old value is yours, and the
   * deleter of the object is not called for it. After an error nothing has changed, and `value` is
   * yours. It waits as release() does.
   *
   * @param value The new value; if null, the call does what release() does.
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return The old value; null after an error, if there was none, or if it was set outside of the
   *   open scope, which shadows it now.
   */
  std::unique_ptr<T> exchange(std::unique_ptr<T> &&value, std::error_code &error) {
    return exchanged(std::move(value), -1, error);
  }

  /**
   * Replaces the calling thread's value, and returns the old value, like exchange(), but waits for
   * a limited time. It fails with errc::timeout if the time limit expires.
   *
   * @tparam Rep The number type of the duration.
   * @tparam Period The unit of the duration.
   * @param value The new value; if null, the call does what try_release_for() does.
   * @param time How long to wait.
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return The old value, as that of exchange().
   */
  template <class Rep, class Period>
  std::unique_ptr<T> try_exchange_for(std::unique_ptr<T> &&value,
                                      const std::chrono::duration<Rep, Period> &time,
                                      std::error_code &error) {
    return exchanged(std::move(value), detail::milliseconds_of(time), error);
  }

  /**
   * Destroys all threads' values with reason::purged. The object remains, and the next get() on
   * such a thread makes another value.
   *
   * With options::any_thread_destroys() all values are destroyed before the call returns. With
   * options::enumerable() alone, the calling thread's value is destroyed before the call returns.
   * Every other thread's value becomes stale at once: get() and all_threads() do not find it, and
   * its thread destroys it when it next expunges.
   *
   * It fails with errc::invalid if the object has neither option, or if the program runs with a
   * version of the library that can clear only objects with options::any_thread_destroys(). It
   * fails with errc::busy if values are being visited, taken or cleared: try again.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return How many values were destroyed or have become stale.
   */
  std::size_t clear(std::error_code &error) noexcept {
    std::size_t ended = 0;
    error = detail::code_of(tls_key_purge(key_.handle(), &ended));
    return ended;
  }

#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Replaces the calling thread's value. The old value is destroyed, unless it is the same.
   *
   * If the call fails, the thread keeps its old value, and `value` is destroyed with
   * reason::removed. An object that was moved from has no deleter, so `value` is then yours.
   *
   * @param value The new value; if null, the old value is destroyed as by reset().
   * @throws std::system_error with errc::bad_key if the object was moved from, with
   *   errc::no_memory, and with errc::exiting if the thread is past its last cleanup.
   */
  void reset(T *value) {
    std::error_code error;
    reset(value, error);
    detail::require(error, "tls::local::reset");
  }

  /**
   * Replaces the calling thread's value. The old value is destroyed. The deleter of the object
   * destroys the new one later. If the call fails, nothing has changed, and `value` is yours.
   *
   * @param value The new value; if null, the old value is destroyed as by reset().
   * @throws std::system_error with errc::bad_key if the object was moved from, with
   *   errc::no_memory, and with errc::exiting if the thread is past its last cleanup.
   */
  void reset(std::unique_ptr<T> &&value) {
    std::error_code error;
    reset(std::move(value), error);
    detail::require(error, "tls::local::reset");
  }

  /**
   * Removes the calling thread's value and returns it. The value is yours, and the deleter of the
   * object is not called for it. If another thread visits the value, the call waits. It is a
   * cancellation point.
   *
   * @return The value; null if there is none.
   * @throws std::system_error with errc::busy inside a visit or another function that the library
   *   calls, if the value is being visited; and with errc::bad_key if the object was moved from.
   */
  std::unique_ptr<T> release() {
    std::error_code error;
    auto value = release(error);
    detail::require(error, "tls::local::release", {{errc::busy, "the value is being visited"}});
    return value;
  }

  /**
   * Replaces the calling thread's value, and returns the old value, like the overload with a
   * std::error_code. If another thread visits the old value, the call waits. It is a cancellation
   * point.
   *
   * @param value The new value; if null, the call does what release() does.
   * @return The old value; null if there was none, or if it was set outside of the open scope,
   *   which shadows it now.
   * @throws std::system_error with errc::busy inside a visit or another function that the library
   *   calls, if the value is being visited; with errc::bad_key if the object was moved from; with
   *   errc::no_memory; and with errc::exiting if the thread is past its last cleanup.
   */
  std::unique_ptr<T> exchange(std::unique_ptr<T> &&value) {
    std::error_code error;
    auto old = exchange(std::move(value), error);
    detail::require(error, "tls::local::exchange", {{errc::busy, "the value is being visited"}});
    return old;
  }

  /**
   * Destroys all threads' values with reason::purged, like the overload with a std::error_code.
   *
   * @return How many values were destroyed or have become stale.
   * @throws std::system_error with errc::invalid if the object has neither
   *   options::any_thread_destroys() nor options::enumerable(), and with errc::busy if values are
   *   being visited, taken or cleared.
   */
  std::size_t clear() {
    std::error_code error;
    const std::size_t ended = clear(error);
    detail::require(error, "tls::local::clear",
                    {{errc::invalid,
                      "only for objects with options::any_thread_destroys() or "
                      "options::enumerable()"},
                     {errc::busy, "the values are being visited, taken or cleared: try again"}});
    return ended;
  }
#endif

  /**
   * Returns a view of all threads' values. Its functions fail if the object was made without
   * options::enumerable().
   *
   * @return The view.
   */
  all_threads_view<T> all_threads() const noexcept {
    return all_threads_view<T>(key_.handle());
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

  /**
   * Combines copies of all threads' values: the result is `f(f(a, b), c)` and so on. If no thread
   * has a value, it returns a value that the factory makes, as tbb::enumerable_thread_specific
   * does.
   *
   * @tparam F A function that is called as `f(const T &, const T &)` and returns a T.
   * @param f The function.
   * @return The combined value.
   * @throws std::system_error with one of the errors of all_threads_view, or with errc::init if the
   *   factory returned null; and what the factory throws.
   */
  template <class F>
  T combine(F f) const {
    std::optional<T> result;
    all_threads().for_each([&](const T &value) {
      if (!result) {
        result.emplace(value);
        return;
      }
      // A copy first, because f may return a reference to one of the two.
      T next = f(std::as_const(*result), value);
      result.emplace(std::move(next));
    });
    if (result) return std::move(*result);
    detail::require(maker_ == nullptr ? make_error_code(errc::bad_key) : std::error_code(),
                    "tls::local::combine");
    const auto end = [this](T *value) { maker_->end(value, reason::removed); };
    const std::unique_ptr<T, decltype(end)> made(maker_->make(), end);
    detail::require(made == nullptr ? make_error_code(errc::init) : std::error_code(),
                    "tls::local::combine", {{errc::init, "the factory gave no value"}});
    return std::move(*made);
  }
#endif

  /**
   * Releases the key of the object, as its destructor does, and waits until no thread has a value
   * of it and no factory or deleter runs. After that their code may be unloaded. The call destroys
   * the calling thread's own value. The other threads' values are destroyed as by the destructor:
   * those threads must expunge or end.
   *
   *     static tls::local<parser> parsers;                    in a plug-in
   *     extern "C" bool plugin_stop() {                       called before dlclose()
   *       std::error_code error;
   *       return parsers.drain(1000, error) == 0 && !error;
   *     }
   *
   * Do not call it in a destructor that dlclose() runs: the other threads may need a lock that
   * dlclose() holds. No other thread may be in a function of the object during the call. It is a
   * cancellation point. If the time limit expires, it fails with errc::timeout, and may be called
   * again. After success and after errc::timeout, the object makes and stores no values any more.
   * Inside a function that the library calls it fails with errc::reentrant, and changes nothing.
   *
   * @param timeout_ms How many milliseconds to wait; 0 does not wait, and a negative number waits
   *   without a limit.
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return How many threads still have a value; 0 also after an error other than errc::timeout.
   */
  std::size_t drain(int timeout_ms, std::error_code &error) {
    std::size_t left = 0;
    error = detail::code_of(key_.drain(timeout_ms, &left));
    if (key_.is_released()) maker_ = nullptr;
    return left;
  }

  /**
   * Returns a value that tls::take_all() has passed to a function, if it is a value of this object.
   * The value is yours, and the deleter of the object is not called for it. Call it once for each
   * value.
   *
   * @param key The key that tls::take_all() has passed.
   * @param value The value that tls::take_all() has passed.
   * @return The value; null if it is not one of this object.
   */
  std::unique_ptr<T> taken(tls_key_t key, void *value) const noexcept {
    return std::unique_ptr<T>(key == key_.handle() ? static_cast<T *>(value) : nullptr);
  }

  /**
   * Returns the key of the object, for C functions. tls_get() makes values like get().
   *
   * @return The key; TLS_KEY_NONE if the object was moved from.
   */
  tls_key_t native_handle() const noexcept { return key_.handle(); }

 private:
  template <class Factory, class Deleter>
  void make(const options<T> &asked, Factory factory, Deleter deleter, std::error_code &error) {
    using callbacks = detail::callbacks<T>;
    detail::maker<T> *const made = new (std::nothrow) detail::maker_by<T, Factory, Deleter>(
        asked.copier(), std::move(factory), std::move(deleter));
    if (made == nullptr) {
      error = make_error_code(errc::no_memory);
      return;
    }
    tls_key_options_t key = asked.for_key();
    key.destroy = callbacks::destroy;
    key.copy = callbacks::copy;
    key.init = detail::maker<T>::init;
    key_ = detail::make_key<T>(key, made, error);
    if (!error) maker_ = made;
  }

  std::unique_ptr<T> released(int timeout_ms, std::error_code &error) {
    void *value = nullptr;
    const int answer = detail::take_when_free(key_.handle(), &value, timeout_ms);
    return handed_over(answer, value, error);
  }

  std::unique_ptr<T> exchanged(std::unique_ptr<T> &&value, int timeout_ms, std::error_code &error) {
    if (value == nullptr) return released(timeout_ms, error);
    void *old = nullptr;
    detail::handed_in(value.get());
    const int answer = detail::swap_when_free(key_.handle(), value.get(), &old, timeout_ms);
    if (answer == TLS_OK) (void)value.release();
    return handed_over(answer, old, error);
  }

  static std::unique_ptr<T> handed_over(int answer, void *value, std::error_code &error) noexcept {
    error = answer == TLS_ERR_ABSENT ? std::error_code() : detail::code_of(answer);
    return std::unique_ptr<T>(static_cast<T *>(value));
  }

  /** Makes the calling thread's value. Returns null after an error. */
  TLS_PRIVATE_COLD T *made(std::error_code &error) const {
    if (maker_ == nullptr) {
      error = make_error_code(errc::bad_key);
      return nullptr;
    }
    std::exception_ptr thrown;
    void *value = nullptr;
    error = detail::code_of(maker_->obtain(key_.handle(), &value, thrown));
    detail::rethrow(thrown);
    return static_cast<T *>(value);
  }

#if TLS_PRIVATE_EXCEPTIONS
  TLS_PRIVATE_COLD T *made() const {
    std::error_code error;
    T *const value = made(error);
    detail::require(error, "tls::local::get",
                    {{errc::init, "the factory gave no value"},
                     {errc::reentrant, "the factory reads the value that it is to make"}});
    return value;
  }
#endif

  /** Belongs to the key, which destroys it. */
  detail::maker<T> *maker_ = nullptr;
  detail::key key_;  // The last member: destructors of its values may use the object.
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
