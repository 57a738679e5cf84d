/**
 * @file
 * threadlocalmap/local.hpp - a value that each thread has for itself, made at its first use on the
 * thread.
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
 * A value that each thread has for itself, made at its first use on the thread.
 *
 * It serves the purposes of folly::ThreadLocal and tbb::enumerable_thread_specific. There can be
 * any number of objects, each with values of its own: in a class, in a container, moved. When the
 * object ends, so do its values: see thread_local_ptr.
 *
 *     tls::local<std::vector<int>> empty;                          made by T()
 *     tls::local<std::mt19937> dice(std::in_place, 42u);           made from these arguments
 *     tls::local<connection> to([=] { return connection(host); }); made by a factory
 *     tls::local<buffer> from(take_one, give_back);                and destroyed by a deleter
 *
 * T need not be movable. It may have any size, because it is never on the stack, and any alignment.
 * A factory returns a T, a std::unique_ptr<T> or a T * made with `new`. It may be called on several
 * threads at once. If it throws, nothing is stored, get() throws the exception, and the next get()
 * tries again. If a factory reads the value that it is making, the result is errc::reentrant.
 *
 * Values are destroyed with `delete`, or by a deleter. A deleter is called with the pointer, or
 * with the pointer and a tls::reason, possibly on several threads at once. It must suit what the
 * factory returns. To let values outlive their threads, use a deleter that keeps the pointer when
 * the reason is reason::thread_exit.
 *
 * get() of a value that exists is an inlined look-up of about a nanosecond: no lock, no call.
 *
 * If a static object is in a shared object that is unloaded, its values must be destroyed on all
 * threads before that, because code of the shared object destroys them. See drain().
 */
template <class T>
class local {
  static_assert(std::is_object_v<T> && !std::is_const_v<T>, "each thread has an object");

 public:
  using value_type = T;

#if TLS_PRIVATE_EXCEPTIONS
  /** Values are made by T(). Throws std::system_error. */
  local() : local(options<T>()) {}

  /** The same, with options. */
  explicit local(options<T> asked) : local(asked, detail::by_default<T>()) {}

  /** Values are made by a factory. Throws std::system_error. */
  template <class Factory, class = detail::enable_factory<Factory, T>>
  explicit local(Factory factory) : local(options<T>(), std::move(factory)) {}

  template <class Factory, class = detail::enable_factory<Factory, T>>
  local(options<T> asked, Factory factory)
      : local(asked, std::move(factory), detail::by_delete()) {}

  /** Values are made by a factory, and destroyed by a deleter; if it is null, nothing is called. */
  template <class Factory, class Deleter, class = detail::enable_factory<Factory, T>,
            class = detail::enable_deleter<Deleter, T>>
  local(Factory factory, Deleter deleter)
      : local(options<T>(), std::move(factory), std::move(deleter)) {}

  template <class Factory, class Deleter, class = detail::enable_factory<Factory, T>,
            class = detail::enable_deleter<Deleter, T>>
  local(options<T> asked, Factory factory, Deleter deleter) {
    std::error_code error;
    make(asked, std::move(factory), std::move(deleter), error);
    detail::require(error, "tls::local", {{errc::invalid, detail::contradiction(asked)}});
  }

  template <class Factory, class = detail::enable_factory<Factory, T>>
  local(Factory factory, std::nullptr_t) : local(options<T>(), std::move(factory), nullptr) {}

  template <class Factory, class = detail::enable_factory<Factory, T>>
  local(options<T> asked, Factory factory, std::nullptr_t)
      : local(asked, std::move(factory), static_cast<void (*)(T *)>(nullptr)) {}

  /** Values are made from copies of these arguments, by T(arguments...). */
  template <class... Arguments>
  explicit local(std::in_place_t, Arguments &&...arguments)
      : local(options<T>(), std::in_place_t(), std::forward<Arguments>(arguments)...) {}

  template <class... Arguments>
  local(options<T> asked, std::in_place_t, Arguments &&...arguments)
      : local(asked, detail::from_arguments<T>(std::forward<Arguments>(arguments)...)) {}
#endif

  /** After an error the object is as if moved from. */
  explicit local(std::error_code &error) : local(options<T>(), error) {}

  local(options<T> asked, std::error_code &error) {
    make(asked, detail::by_default<T>(), detail::by_delete(), error);
  }

  template <class Factory, class = detail::enable_factory<Factory, T>>
  local(options<T> asked, Factory factory, std::error_code &error) {
    make(asked, std::move(factory), detail::by_delete(), error);
  }

  template <class Factory, class Deleter, class = detail::enable_factory<Factory, T>,
            class = detail::enable_deleter<Deleter, T>>
  local(options<T> asked, Factory factory, Deleter deleter, std::error_code &error) {
    make(asked, std::move(factory), std::move(deleter), error);
  }

  template <class Factory, class = detail::enable_factory<Factory, T>>
  local(options<T> asked, Factory factory, std::nullptr_t, std::error_code &error) {
    make(asked, std::move(factory), nullptr, error);
  }

  /** Moves all threads' values. No thread may be using either object meanwhile. */
  local(local &&other) noexcept
      : maker_(std::exchange(other.maker_, nullptr)), key_(std::move(other.key_)) {}

  /** The same. The values that were here are destroyed as by the destructor. */
  local &operator=(local &&other) noexcept {
    local(std::move(other)).swap(*this);
    return *this;
  }

  /** Exchanges all threads' values. No thread may be using either object meanwhile. */
  void swap(local &other) noexcept {
    std::swap(key_, other.key_);
    std::swap(maker_, other.maker_);
  }

  friend void swap(local &one, local &other) noexcept { one.swap(other); }

#if TLS_PRIVATE_EXCEPTIONS
  /** Returns the calling thread's value, which is made if there is none; never null. */
  T *get() const {
    void *const value = tls_get_existing(key_.handle());
    return TLS_PRIVATE_LIKELY(value != nullptr) ? static_cast<T *>(value) : made();
  }

  T *operator->() const { return get(); }

  T &operator*() const { return *get(); }
#endif

  /** The same; null after an error. An exception of the factory is thrown from here, too. */
  T *get(std::error_code &error) const {
    void *const value = tls_get_existing(key_.handle());
    if (!TLS_PRIVATE_LIKELY(value != nullptr)) return made(error);
    error.clear();
    return static_cast<T *>(value);
  }

  /** Returns the calling thread's value; null if there is none. It makes none. */
  T *get_existing() const noexcept {
    return static_cast<T *>(tls_get_existing(key_.handle()));
  }

  /** Destroys the calling thread's value. The next get() makes another. */
  void reset() noexcept { tls_remove(key_.handle()); }

  /**
   * Replaces the calling thread's value. The old value is destroyed, unless it is the same pointer.
   * With null it does what reset() does. If it fails, nothing has changed, and `value` is destroyed
   * with reason::removed. (An object that was moved from has no deleter: then `value` stays yours.)
   */
  void reset(T *value, std::error_code &error) noexcept {
    error.clear();
    if (value == nullptr) return reset();
    if (maker_ == nullptr) {
      error = make_error_code(errc::bad_key);
      return;
    }
    detail::handed_in(value);
    error = detail::code_of(tls_set(key_.handle(), value));
    if (error) maker_->end(value, reason::removed);
  }

  /** The same; if it fails, `value` stays yours. The object's deleter destroys it later. */
  void reset(std::unique_ptr<T> &&value, std::error_code &error) noexcept {
    error.clear();
    if (value == nullptr) return reset();
    detail::handed_in(value.get());
    error = detail::code_of(tls_set(key_.handle(), value.get()));
    if (!error) (void)value.release();
  }

  /**
   * Removes the calling thread's value and returns it, without the object's deleter; it is yours.
   * The next get() makes another. Returns null if there is none, and after an error.
   *
   * Waits while another thread visits the value. It is a cancellation point. Inside a visit, or
   * another function that the library calls, it does not wait and fails with errc::busy, because
   * the visit may be the caller's own. For the same reason a visitor must not wait for a thread
   * that is in this function.
   */
  std::unique_ptr<T> release(std::error_code &error) {
    return released(-1, error);
  }

  /** The same, but does not wait: errc::busy and null if the value is being visited. */
  std::unique_ptr<T> try_release(std::error_code &error) noexcept {
    void *value = nullptr;
    const int answer = tls_take(key_.handle(), &value);
    return handed_over(answer, value, error);
  }

  /** The same, but waits for this long at most: then errc::timeout and null. */
  template <class Rep, class Period>
  std::unique_ptr<T> try_release_for(const std::chrono::duration<Rep, Period> &time,
                                     std::error_code &error) {
    return released(detail::milliseconds_of(time), error);
  }

  /**
   * Replaces the calling thread's value with `value`, and returns the old one without the object's
   * deleter; it is yours. Returns null if there was none, or if it was set outside of the open
   * scope and is shadowed now. After an error nothing has changed: it returns null, and `value`
   * stays yours. With null it does what release() does. It waits as release() does.
   */
  std::unique_ptr<T> exchange(std::unique_ptr<T> &&value, std::error_code &error) {
    return exchanged(std::move(value), -1, error);
  }

  /** The same, but waits for this long at most: then errc::timeout and null. */
  template <class Rep, class Period>
  std::unique_ptr<T> try_exchange_for(std::unique_ptr<T> &&value,
                                      const std::chrono::duration<Rep, Period> &time,
                                      std::error_code &error) {
    return exchanged(std::move(value), detail::milliseconds_of(time), error);
  }

  /**
   * Destroys all threads' values with reason::purged. The object stays, and the next get() on such
   * a thread makes another value. Returns how many values were destroyed or have become stale.
   *
   * With options::any_thread_destroys() all of them are destroyed before it returns. With
   * options::enumerable() alone, the calling thread's value is destroyed before it returns. Every
   * other thread's value becomes stale at once, so that no get() and no all_threads() finds it, and
   * its thread destroys it when it next expunges.
   *
   * It fails with errc::invalid if the object has neither option, or if the library that the
   * program runs with can clear objects of the first kind only.
   */
  std::size_t clear(std::error_code &error) noexcept {
    std::size_t ended = 0;
    error = detail::code_of(tls_key_purge(key_.handle(), &ended));
    return ended;
  }

#if TLS_PRIVATE_EXCEPTIONS
  void reset(T *value) {
    std::error_code error;
    reset(value, error);
    detail::require(error, "tls::local::reset");
  }

  void reset(std::unique_ptr<T> &&value) {
    std::error_code error;
    reset(std::move(value), error);
    detail::require(error, "tls::local::reset");
  }

  /** Waits while another thread visits the value; throws errc::busy inside a visit. */
  std::unique_ptr<T> release() {
    std::error_code error;
    auto value = release(error);
    detail::require(error, "tls::local::release", {{errc::busy, "the value is being visited"}});
    return value;
  }

  /** Waits while another thread visits the value; throws errc::busy inside a visit. */
  std::unique_ptr<T> exchange(std::unique_ptr<T> &&value) {
    std::error_code error;
    auto old = exchange(std::move(value), error);
    detail::require(error, "tls::local::exchange", {{errc::busy, "the value is being visited"}});
    return old;
  }

  std::size_t clear() {
    std::error_code error;
    const std::size_t ended = clear(error);
    detail::require(error, "tls::local::clear",
                    {{errc::invalid,
                      "only for objects with options::any_thread_destroys() or options::enumerable()"},
                     {errc::busy, "the values are being visited, taken or cleared: try again"}});
    return ended;
  }
#endif

  /** Returns a view of every thread's value, for an object with options::enumerable(). */
  all_threads_view<T> all_threads() const noexcept {
    return all_threads_view<T>(key_.handle());
  }

#if TLS_PRIVATE_EXCEPTIONS
  /** Calls f with every thread's value: see all_threads_view. */
  template <class F>
  void combine_each(F &&f) const {
    all_threads().for_each(std::forward<F>(f));
  }

  /**
   * Returns f(f(a, b), c) of all threads' values, computed with copies of them. If there are none,
   * it returns what the factory makes, as tbb::enumerable_thread_specific does.
   */
  template <class F>
  T combine(F f) const {
    std::optional<T> result;
    all_threads().for_each([&](const T &value) {
      if (result) result.emplace(f(std::as_const(*result), value));
      else result.emplace(value);
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
   * Ends the object, as its destructor does, and waits until no thread has a value of it and no
   * factory or deleter runs. After that their code may be unloaded. The calling thread's own value
   * is destroyed here, the other threads' as by the destructor: those threads must expunge or end.
   *
   *     static tls::local<parser> parsers;                    of a plug-in
   *     extern "C" bool plugin_stop() {                       called before dlclose()
   *       std::error_code error;
   *       return parsers.drain(1000, error) == 0;
   *     }
   *
   * Do not call it from a destructor that dlclose() runs: the other threads may need a lock that
   * dlclose() holds. timeout_ms is how many milliseconds to wait; 0 only looks, and a negative
   * number waits without a limit. With errc::timeout it returns how many threads still have a
   * value, and may be called again. The object is as if moved from. It is a cancellation point.
   * Inside a function that the library calls it fails with errc::reentrant.
   */
  std::size_t drain(int timeout_ms, std::error_code &error) {
    maker_ = nullptr;
    std::size_t left = 0;
    error = detail::code_of(key_.drain(timeout_ms, &left));
    return left;
  }

  /**
   * Call it in tls::take_all() with each value. Returns the value without the object's deleter if
   * it was one of this object, and null if it was not. Call it once for each value.
   */
  std::unique_ptr<T> taken(tls_key_t key, void *value) const noexcept {
    return std::unique_ptr<T>(key == key_.handle() ? static_cast<T *>(value) : nullptr);
  }

  /** The key, for C functions. tls_get() makes values, too. */
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

  /** The key's, which keeps it. */
  detail::maker<T> *maker_ = nullptr;
  detail::key key_;  // The last: the values that end with it may use the object.
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
