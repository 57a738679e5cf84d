/**
 * @file
 * threadlocalmap/atomic_ptr.hpp - a pointer for each thread that other threads may exchange.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_ATOMIC_PTR_HPP
#define THREADLOCALMAP_ATOMIC_PTR_HPP

#include "box.hpp"
#include "key.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace tls {
inline namespace TLS_PRIVATE_MODE {
namespace detail {

/**
 * The value that the C library stores for a thread. A cell keeps its address; the pointer in it is
 * exchanged.
 */
template <class T>
struct cell {
  std::atomic<T *> value{nullptr};
};

/** How cells are destroyed, with the pointers that are in them. */
template <class T, class Deleter>
class cell_rules final : public rules<cell<T>> {
 public:
  explicit cell_rules(Deleter &&deleter)
      : rules<cell<T>>(copier<cell<T>>()), deleter_(std::move(deleter)) {}

  void end(cell<T> *own, reason why) noexcept override {
    T *const value = own->value.exchange(nullptr);
    if (value != nullptr) call_deleter(deleter_, value, why);
    delete own;
  }

  void retire() noexcept override { delete this; }

  /** Destroys a value that was taken out of a cell. */
  static void end_value(T *value, reason why, rules<cell<T>> *own) noexcept {
    call_deleter(static_cast<cell_rules *>(own)->deleter_, value, why);
  }

 private:
  Deleter deleter_;
};

/** The C library's init callback. */
template <class T>
int make_cell(void **made, void *) noexcept {
  *made = new (std::nothrow) cell<T>;
  handed_in(*made);
  return *made != nullptr ? 0 : 1;
}

}  // namespace detail

/**
 * A pointer for each thread that other threads may exchange. It does the work of RocksDB's
 * ThreadLocalPtr.
 *
 *     tls::atomic_ptr<version> cached(drop);
 *     version *mine = cached.exchange(in_use);           marks the pointer as in use
 *     if (!cached.compare_exchange(expected, mine)) ...  false: another thread has scraped it
 *     cached.scrape([](version *old) { drop(old); }, obsolete);   takes all threads' pointers
 *
 * The object owns the values that its pointers point to. When a thread ends or the object is
 * destroyed, the deleter is called with each pointer that is not null, including markers such as
 * `in_use` and `obsolete` above. The deleter may be called on several threads at once. exchange()
 * and scrape() give the old pointers to the caller and destroy nothing. Another thread may scrape a
 * pointer that get() has returned at any time: the program must prevent this, or allow for it. The
 * deleter must not destroy the object.
 *
 * Scopes and tasks do not affect the pointers. The object is always enumerable. Of the options,
 * options::name() and options::any_thread_destroys() have an effect; options::inherited() is an
 * error. All operations are sequentially consistent. The first use on a thread allocates memory.
 * Later uses allocate none.
 *
 * An object can be moved and swapped, and cannot be copied. An object that was moved from has no
 * pointers, and functions that would store one fail with errc::bad_key.
 *
 * @tparam T The type that the pointers point to.
 */
template <class T>
class atomic_ptr {
 public:
  /** The type that the pointers point to. */
  using element_type = T;

#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Makes an object whose values are destroyed with `delete`.
   *
   * @throws std::system_error with errc::no_memory or errc::limit.
   */
  atomic_ptr() : atomic_ptr(options<T>()) {}

  /**
   * Makes an object with options, whose values are destroyed with `delete`.
   *
   * @param asked The options.
   * @throws std::system_error with errc::invalid if `asked` has options::inherited(), and with
   *   errc::no_memory or errc::limit.
   */
  explicit atomic_ptr(options<T> asked) : atomic_ptr(asked, detail::by_delete()) {}

  /**
   * Makes an object whose values are destroyed with a deleter.
   *
   * @tparam Deleter A function that is called as `deleter(T *, tls::reason)` or as `deleter(T *)`.
   * @param deleter The deleter; if it is a null pointer, values are not destroyed.
   * @throws std::system_error with errc::no_memory or errc::limit.
   */
  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  explicit atomic_ptr(Deleter deleter) : atomic_ptr(options<T>(), std::move(deleter)) {}

  /**
   * Makes an object that does not destroy its values.
   *
   * @throws std::system_error with errc::no_memory or errc::limit.
   */
  explicit atomic_ptr(std::nullptr_t) : atomic_ptr(options<T>(), nullptr) {}

  /**
   * Makes an object with options, whose values are destroyed with a deleter.
   *
   * @tparam Deleter A function that is called as `deleter(T *, tls::reason)` or as `deleter(T *)`.
   * @param asked The options.
   * @param deleter The deleter; if it is a null pointer, values are not destroyed.
   * @throws std::system_error with errc::invalid if `asked` has options::inherited(), and with
   *   errc::no_memory or errc::limit.
   */
  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  atomic_ptr(options<T> asked, Deleter deleter) {
    std::error_code error;
    make(asked, std::move(deleter), error);
    detail::require(error, "tls::atomic_ptr",
                    {{errc::invalid, "inherited() is not for pointers that threads exchange"}});
  }

  /**
   * Makes an object with options that does not destroy its values.
   *
   * @param asked The options.
   * @throws std::system_error with errc::invalid if `asked` has options::inherited(), and with
   *   errc::no_memory or errc::limit.
   */
  atomic_ptr(options<T> asked, std::nullptr_t)
      : atomic_ptr(asked, static_cast<void (*)(T *)>(nullptr)) {}
#endif

  /**
   * Makes an object whose values are destroyed with `delete`. After an error the object is as if
   * moved from.
   *
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  explicit atomic_ptr(std::error_code &error) : atomic_ptr(options<T>(), error) {}

  /**
   * Makes an object with options, whose values are destroyed with `delete`. After an error the
   * object is as if moved from.
   *
   * @param asked The options.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  atomic_ptr(options<T> asked, std::error_code &error) { make(asked, detail::by_delete(), error); }

  /**
   * Makes an object with options, whose values are destroyed with a deleter. After an error the
   * object is as if moved from.
   *
   * @tparam Deleter A function that is called as `deleter(T *, tls::reason)` or as `deleter(T *)`.
   * @param asked The options.
   * @param deleter The deleter; if it is a null pointer, values are not destroyed.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  atomic_ptr(options<T> asked, Deleter deleter, std::error_code &error) {
    make(asked, std::move(deleter), error);
  }

  /**
   * Makes an object with options that does not destroy its values. After an error the object is as
   * if moved from.
   *
   * @param asked The options.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  atomic_ptr(options<T> asked, std::nullptr_t, std::error_code &error) {
    make(asked, static_cast<void (*)(T *)>(nullptr), error);
  }

  /**
   * Moves all threads' pointers. No other thread may use either object during the call.
   *
   * @param other The object to move from.
   */
  atomic_ptr(atomic_ptr &&other) noexcept
      : end_(std::exchange(other.end_, nullptr)),
        rules_(std::exchange(other.rules_, nullptr)),
        key_(std::move(other.key_)) {}

  /**
   * Moves all threads' pointers. The values that this object had are destroyed as by the
   * destructor. No other thread may use either object during the call.
   *
   * @param other The object to move from.
   * @return This object.
   */
  atomic_ptr &operator=(atomic_ptr &&other) noexcept {
    atomic_ptr(std::move(other)).swap(*this);
    return *this;
  }

  /**
   * Exchanges all threads' pointers. No other thread may use either object during the call.
   *
   * @param other The object to exchange with.
   */
  void swap(atomic_ptr &other) noexcept {
    std::swap(end_, other.end_);
    std::swap(rules_, other.rules_);
    std::swap(key_, other.key_);
  }

  /**
   * Exchanges all threads' pointers of two objects, like `one.swap(other)`.
   *
   * @param one The first object.
   * @param other The second object.
   */
  friend void swap(atomic_ptr &one, atomic_ptr &other) noexcept { one.swap(other); }

  /**
   * Returns the calling thread's pointer.
   *
   * @return The pointer; null if the thread has none, or if the object was moved from.
   */
  T *get() const noexcept {
    auto *const own = static_cast<detail::cell<T> *>(tls_get_existing(key_.handle()));
    return TLS_PRIVATE_LIKELY(own != nullptr) ? own->value.load() : nullptr;
  }

  /**
   * Returns whether the calling thread has a pointer that is not null.
   *
   * @return Whether get() is not null.
   */
  explicit operator bool() const noexcept { return get() != nullptr; }

  /**
   * Replaces the calling thread's pointer with `value`, and returns the old pointer, which is
   * yours. After an error nothing has changed, and `value` is yours.
   *
   * @param value The new pointer; may be null.
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return The old pointer; null if there was none, and after an error.
   */
  T *exchange(T *value, std::error_code &error) {
    detail::cell<T> *const own = provide(error);
    return own != nullptr ? own->value.exchange(value) : nullptr;
  }

  /**
   * Replaces the calling thread's pointer with `value` if it is `expected`. Then the old pointer is
   * yours. After an error nothing has changed.
   *
   * @param[in,out] expected The pointer to compare with; if the thread's pointer is another one, it
   *   is stored here.
   * @param value The new pointer; may be null.
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return Whether the pointer was replaced; false after an error.
   */
  bool compare_exchange(T *&expected, T *value, std::error_code &error) {
    detail::cell<T> *const own = provide(error);
    return own != nullptr && own->value.compare_exchange_strong(expected, value);
  }

  /**
   * Replaces the calling thread's pointer with `value`, which the object owns from then on. The old
   * value is destroyed, unless it is the same. After an error nothing has changed, and `value` is
   * yours.
   *
   * @param value The new pointer; may be null.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  void reset(T *value, std::error_code &error) {
    detail::cell<T> *const own = provide(error);
    if (own == nullptr) return;
    T *const old = own->value.exchange(value);
    if (old != nullptr && old != value) end_(old, reason::replaced, rules_);
  }

  /** Destroys the calling thread's value. After that get() returns null. */
  void reset() noexcept {
    auto *const own = static_cast<detail::cell<T> *>(tls_get_existing(key_.handle()));
    T *const old = own != nullptr ? own->value.exchange(nullptr) : nullptr;
    if (old != nullptr) end_(old, reason::removed, rules_);
  }

  /**
   * Replaces every thread's pointer that is not null with `replacement`, and calls `take` with each
   * old pointer, which is then yours. An exchange() on the thread that has the pointer happens
   * either before or after the replacement. If `take` throws, no more pointers are replaced, and
   * the caller receives the exception. Any thread may call this function, and several threads may
   * call it at once: each pointer is passed to one of them.
   *
   * @tparam Take A function that is called as `take(T *)`.
   * @param take The function.
   * @param replacement The new pointer of each thread; may be null.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  template <class Take>
  void scrape(Take &&take, T *replacement, std::error_code &error) const {
    visit(
        [&](detail::cell<T> &each) {
          T *old = each.value.load();
          while (old != nullptr && !each.value.compare_exchange_weak(old, replacement)) {
          }
          if (old != nullptr) take(old);
        },
        error);
  }

  /**
   * Calls `f` with every thread's pointer that is not null. Another thread may scrape the pointer
   * while `f` runs. There is no function with locks like all_threads_view::for_each_locked(),
   * because exchanges are atomic and wait for no lock.
   *
   * @tparam F A function that is called as `f(T *)`.
   * @param f The function. If it throws, it is not called again, and the caller receives the
   *   exception.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  template <class F>
  void for_each(F &&f, std::error_code &error) const {
    visit(
        [&](detail::cell<T> &each) {
          T *const value = each.value.load();
          if (value != nullptr) f(value);
        },
        error);
  }

#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Replaces the calling thread's pointer with `value`, and returns the old pointer, which is
   * yours. If the function throws, nothing has changed, and `value` is yours.
   *
   * @param value The new pointer; may be null.
   * @return The old pointer; null if there was none.
   * @throws std::system_error with errc::bad_key if the object was moved from, with
   *   errc::no_memory, and with errc::exiting if the thread is past its last cleanup.
   */
  T *exchange(T *value) {
    T *old = nullptr;
    required([&](auto &error) { old = exchange(value, error); }, "tls::atomic_ptr::exchange");
    return old;
  }

  /**
   * Replaces the calling thread's pointer with `value` if it is `expected`. Then the old pointer is
   * yours.
   *
   * @param[in,out] expected The pointer to compare with; if the thread's pointer is another one, it
   *   is stored here.
   * @param value The new pointer; may be null.
   * @return Whether the pointer was replaced.
   * @throws std::system_error with errc::bad_key if the object was moved from, with
   *   errc::no_memory, and with errc::exiting if the thread is past its last cleanup.
   */
  bool compare_exchange(T *&expected, T *value) {
    bool done = false;
    required([&](auto &error) { done = compare_exchange(expected, value, error); },
             "tls::atomic_ptr::compare_exchange");
    return done;
  }

  /**
   * Replaces the calling thread's pointer with `value`, which the object owns from then on. The old
   * value is destroyed, unless it is the same. If the function throws, nothing has changed, and
   * `value` is yours.
   *
   * @param value The new pointer; may be null.
   * @throws std::system_error with errc::bad_key if the object was moved from, with
   *   errc::no_memory, and with errc::exiting if the thread is past its last cleanup.
   */
  void reset(T *value) {
    required([&](auto &error) { reset(value, error); }, "tls::atomic_ptr::reset");
  }

  /**
   * Replaces every thread's pointer that is not null with `replacement`, and calls `take` with each
   * old pointer, like the overload with a std::error_code.
   *
   * @tparam Take A function that is called as `take(T *)`.
   * @param take The function.
   * @param replacement The new pointer of each thread.
   * @throws std::system_error with one of the errors of all_threads_view.
   */
  template <class Take>
  void scrape(Take &&take, T *replacement = nullptr) const {
    required([&](auto &error) { scrape(take, replacement, error); }, "tls::atomic_ptr::scrape");
  }

  /**
   * Calls `f` with every thread's pointer that is not null, like the overload with a
   * std::error_code.
   *
   * @tparam F A function that is called as `f(T *)`.
   * @param f The function.
   * @throws std::system_error with one of the errors of all_threads_view.
   */
  template <class F>
  void for_each(F &&f) const {
    required([&](auto &error) { for_each(f, error); }, "tls::atomic_ptr::for_each");
  }
#endif

  /**
   * Releases the key of the object, as its destructor does, and waits until no thread has a pointer
   * and the library calls no deleter. See thread_local_ptr::drain(): no other thread may be in a
   * function of the object during the call, such as reset(), which calls the deleter itself.
   *
   * @param timeout_ms How many milliseconds to wait; 0 does not wait, and a negative number waits
   *   without a limit.
   * @param[out] error The error if the call fails; cleared otherwise.
   * @return How many threads still have a pointer; 0 also after an error other than errc::timeout.
   */
  std::size_t drain(int timeout_ms, std::error_code &error) {
    std::size_t left = 0;
    error = detail::code_of(key_.drain(timeout_ms, &left));
    return left;
  }

  /**
   * Returns the pointer in a value that tls::take_all() has passed to a function, if it is a value
   * of this object. The pointer is yours. Call it once for each value.
   *
   * @param key The key that tls::take_all() has passed.
   * @param value The value that tls::take_all() has passed.
   * @return The pointer; null if the value is not one of this object, or if the pointer in it is
   *   null.
   */
  T *taken(tls_key_t key, void *value) const noexcept {
    if (key != key_.handle() || value == nullptr) return nullptr;
    const std::unique_ptr<detail::cell<T>> own(static_cast<detail::cell<T> *>(value));
    return own->value.exchange(nullptr);
  }

  /**
   * Returns the key of the object, for C functions such as tls_key_name().
   *
   * @return The key; TLS_KEY_NONE if the object was moved from.
   */
  tls_key_t native_handle() const noexcept { return key_.handle(); }

 private:
  template <class Deleter>
  void make(const options<T> &asked, Deleter deleter, std::error_code &error) {
    using made = detail::cell_rules<T, Deleter>;
    auto *const own = new (std::nothrow) made(std::move(deleter));
    if (own == nullptr) {
      error = make_error_code(errc::no_memory);
      return;
    }
    tls_key_options_t key = asked.for_key();
    key.flags |= TLS_KEY_ENUMERABLE | TLS_KEY_WORKER;
    key.destroy = detail::callbacks<detail::cell<T>>::destroy;
    key.init = detail::make_cell<T>;
    key_ = detail::make_key<detail::cell<T>>(key, own, error);
    if (error) return;
    end_ = made::end_value;
    rules_ = own;
  }

  /**
   * Returns the calling thread's cell, and makes it if there is none. Returns null after an error.
   */
  detail::cell<T> *provide(std::error_code &error) const {
    error.clear();
    void *own = tls_get_existing(key_.handle());
    if (TLS_PRIVATE_LIKELY(own != nullptr)) return static_cast<detail::cell<T> *>(own);
    const int answer = tls_try_get(key_.handle(), &own);
    error = answer == TLS_ERR_INIT ? make_error_code(errc::no_memory) : detail::code_of(answer);
    return static_cast<detail::cell<T> *>(own);
  }

  /** The argument of the C library's visit callback. */
  template <class F>
  struct visitor {
    F &f;
    std::exception_ptr thrown;
    bool stopped;
  };

  /** Calls `f` with each thread's cell. */
  template <class F>
  void visit(F f, std::error_code &error) const {
    visitor<F> argument{f, nullptr, false};
    const int code = tls_for_each(
        key_.handle(),
        [](void *each, std::uint64_t, void *to_visitor) -> int {
          auto &to = *static_cast<visitor<F> *>(to_visitor);
          if (each == nullptr) return 0;
          detail::handed_out(each);
          to.stopped =
              !detail::guarded(to.thrown, [&] { to.f(*static_cast<detail::cell<T> *>(each)); });
          detail::handed_in(each);
          return to.stopped ? 1 : 0;
        },
        &argument);
    error = detail::code_of(code > 0 ? TLS_OK : code);
    detail::rethrow(argument.thrown);
  }

#if TLS_PRIVATE_EXCEPTIONS
  /** Calls `work` with a std::error_code, and throws the error if there is one. */
  template <class Work>
  static void required(Work work, const char *function) {
    std::error_code error;
    work(error);
    detail::require(error, function);
  }
#endif

  /** Destroys a value. Null if there is no key. */
  void (*end_)(T *value, reason why, detail::rules<detail::cell<T>> *own) noexcept = nullptr;
  /** Belongs to the key, which retires it. */
  detail::rules<detail::cell<T>> *rules_ = nullptr;
  detail::key key_;  // The last member: destructors of its values may use the object.
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
