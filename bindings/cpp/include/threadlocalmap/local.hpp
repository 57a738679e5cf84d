/*
 * A value that each thread has for itself, made at its first use there.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_LOCAL_HPP
#define THREADLOCALMAP_LOCAL_HPP

#include "all_threads.hpp"
#include "factory.hpp"
#include "key.hpp"

#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace tls {
inline namespace TLS_PRIVATE_MODE {

/**
 * A value that each thread has for itself, made at its first use there.
 *
 * Has what folly::ThreadLocal and tbb::enumerable_thread_specific are used for. Any number of
 * objects, each with values of its own: in a class, in a container, moved about. When the object
 * goes, so do its values: see thread_local_ptr.
 *
 *     tls::local<std::vector<int>> empty;                          made by T()
 *     tls::local<std::mt19937> dice(std::in_place, 42u);           made from these arguments
 *     tls::local<connection> to([=] { return connection(host); }); made by a factory
 *
 * T need not be movable, may be of any size (it never stands on the stack) and of any alignment. A
 * factory returns a T, a std::unique_ptr<T> or a T * made by `new`; it may be called on several
 * threads at once. If it throws, nothing is stored, the exception comes out of get(), and the next
 * get() tries again. A factory that reads the very value it is to make gets errc::reentrant.
 *
 * get() of a value that is there is an inlined look-up of about a nanosecond: no lock, no call.
 */
template <class T>
class local {
  static_assert(std::is_object_v<T> && !std::is_const_v<T>, "each thread has an object");

 public:
  using value_type = T;

#if TLS_PRIVATE_EXCEPTIONS
  /** Values are made by T(). Throws std::system_error. */
  local() : local(options<T>()) {}

  explicit local(options<T> asked) : local(asked, detail::by_default<T>()) {}

  /** Values are made by a factory. */
  template <class Factory, class = detail::enable_factory<Factory, T>>
  explicit local(Factory factory) : local(options<T>(), std::move(factory)) {}

  template <class Factory, class = detail::enable_factory<Factory, T>>
  local(options<T> asked, Factory factory) {
    std::error_code error;
    make(asked, std::move(factory), error);
    detail::require(error, "tls::local");
  }

  /** Values are made from copies of these arguments, by T(arguments...). */
  template <class... Arguments>
  explicit local(std::in_place_t, Arguments &&...arguments)
      : local(options<T>(), std::in_place, std::forward<Arguments>(arguments)...) {}

  template <class... Arguments>
  local(options<T> asked, std::in_place_t, Arguments &&...arguments)
      : local(asked, detail::from_arguments<T>(std::forward<Arguments>(arguments)...)) {}
#endif

  /** With an error the object is as if moved from. */
  explicit local(std::error_code &error) : local(options<T>(), error) {}

  local(options<T> asked, std::error_code &error) {
    make(asked, detail::by_default<T>(), error);
  }

  template <class Factory, class = detail::enable_factory<Factory, T>>
  local(options<T> asked, Factory factory, std::error_code &error) {
    make(asked, std::move(factory), error);
  }

  /** All threads' values move along. No thread may be using either object meanwhile. */
  local(local &&other) noexcept
      : key_(std::move(other.key_)), maker_(std::exchange(other.maker_, nullptr)) {}

  local &operator=(local &&other) noexcept {
    local(std::move(other)).swap(*this);
    return *this;
  }

  void swap(local &other) noexcept {
    std::swap(key_, other.key_);
    std::swap(maker_, other.maker_);
  }

  friend void swap(local &one, local &other) noexcept { one.swap(other); }

#if TLS_PRIVATE_EXCEPTIONS
  /** The calling thread's value, made if need be; never null. */
  T *get() const {
    void *const value = tls_get_existing(key_.handle());
    return TLS_PRIVATE_LIKELY(value != nullptr) ? static_cast<T *>(value) : made();
  }

  T *operator->() const { return get(); }

  T &operator*() const { return *get(); }
#endif

  /** Null: an error. What a factory throws comes out here, too. */
  T *get(std::error_code &error) const {
    void *const value = tls_get_existing(key_.handle());
    if (!TLS_PRIVATE_LIKELY(value != nullptr)) return made(error);
    error.clear();
    return static_cast<T *>(value);
  }

  /** The calling thread's value, if there is one; makes none. */
  T *get_existing() const noexcept {
    return static_cast<T *>(tls_get_existing(key_.handle()));
  }

  /** Ends the calling thread's value: the next get() makes another. */
  void reset() noexcept { tls_remove(key_.handle()); }

  /**
   * Puts a value in the place of the one that is there. Null is as reset(). If it fails, nothing
   * has changed, and `value` is yours still.
   */
  void reset(std::unique_ptr<T> &&value, std::error_code &error) noexcept {
    error.clear();
    if (value == nullptr) return reset();
    detail::handed_in(value.get());
    error = detail::code_of(tls_set(key_.handle(), value.get()));
    if (!error) (void)value.release();
  }

  /** Hands the calling thread's value over: the next get() makes another. Null: none, or an error. */
  std::unique_ptr<T> release(std::error_code &error) noexcept {
    void *value = nullptr;
    const int answer = tls_take(key_.handle(), &value);
    error = answer == TLS_ERR_ABSENT ? std::error_code() : detail::code_of(answer);
    return std::unique_ptr<T>(static_cast<T *>(value));
  }

  /**
   * Ends all threads' values, now; the object stays. For objects with
   * options::any_thread_destroys(). Returns how many.
   */
  std::size_t clear(std::error_code &error) noexcept {
    std::size_t ended = 0;
    error = detail::code_of(tls_key_purge(key_.handle(), &ended));
    return ended;
  }

#if TLS_PRIVATE_EXCEPTIONS
  void reset(std::unique_ptr<T> &&value) {
    std::error_code error;
    reset(std::move(value), error);
    detail::require(error, "tls::local::reset");
  }

  std::unique_ptr<T> release() {
    std::error_code error;
    auto value = release(error);
    detail::require(error, "tls::local::release");
    return value;
  }

  std::size_t clear() {
    std::error_code error;
    const std::size_t ended = clear(error);
    detail::require(error, "tls::local::clear");
    return ended;
  }
#endif

  /** Every thread's value, of an object with options::enumerable(). */
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
   * f(f(a, b), c) of all threads' values, by copies of them. With none, what the factory makes, as
   * with tbb::enumerable_thread_specific.
   */
  template <class F>
  T combine(F f) const {
    std::optional<T> result;
    all_threads().for_each([&](const T &value) {
      if (result) result = f(std::as_const(*result), value);
      else result.emplace(value);
    });
    return result ? std::move(*result) : std::move(*std::unique_ptr<T>(maker_->make()));
  }
#endif

  /** For the C functions; tls_get() makes values, too. */
  tls_key_t native_handle() const noexcept { return key_.handle(); }

 private:
  template <class Factory>
  void make(const options<T> &asked, Factory factory, std::error_code &error) {
    using callbacks = detail::callbacks<T>;
    tls_key_options_t key = asked.for_key();
    key.destroy = callbacks::destroy;
    key.init = detail::maker<T>::init;
    detail::maker<T> *const made =
        new (std::nothrow) detail::maker_by<T, Factory>(asked.copier(), std::move(factory));
    key_ = callbacks::make_key(key, made, error);
    maker_ = error ? nullptr : made;
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
    detail::require(error, "tls::local::get");
    return value;
  }
#endif

  detail::key key_;
  /** The key's, which keeps it. */
  detail::maker<T> *maker_ = nullptr;
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
