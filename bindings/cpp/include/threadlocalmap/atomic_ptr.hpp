/**
 * @file
 * threadlocalmap/atomic_ptr.hpp - a pointer that each thread has for itself, and that other threads
 * may exchange.
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

/** What a thread has: stays where it is, whatever is put into it. */
template <class T>
struct cell {
  std::atomic<T *> value{nullptr};
};

/** How cells are made, and how what is left in them ends. */
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
 * A pointer that each thread has for itself, and that other threads may exchange, as with RocksDB's
 * ThreadLocalPtr.
 *
 *     tls::atomic_ptr<version> cached(drop);
 *     version *mine = cached.exchange(in_use);           on a thread that works with it
 *     if (!cached.compare_exchange(expected, mine)) ...  another thread has scraped meanwhile
 *     cached.scrape([](version *old) { drop(old); }, obsolete);   all threads' pointers
 *
 * The object owns what the pointers point to: when a thread or the object ends, the deleter is
 * called with each pointer that is not null, markers such as the ones above included. It may be
 * called on several threads at once. exchange() and scrape() hand pointers over and destroy
 * nothing. A pointer that get() has returned may be scraped at any time: the program must prevent
 * that, or allow for it.
 *
 * Scopes and tasks do not affect the values. The object is always enumerable. Of the options,
 * name() and any_thread_destroys() have an effect; inherited() is errc::invalid. All operations are
 * sequentially consistent. The first use on a thread allocates memory; later uses allocate none.
 */
template <class T>
class atomic_ptr {
 public:
  using element_type = T;

#if TLS_PRIVATE_EXCEPTIONS
  /** Values are destroyed with `delete`. Throws std::system_error. */
  atomic_ptr() : atomic_ptr(options<T>()) {}

  explicit atomic_ptr(options<T> asked) : atomic_ptr(asked, detail::by_delete()) {}

  /**
   * Values are destroyed with `deleter`; if it is null, nothing is called. Throws
   * std::system_error.
   */
  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  explicit atomic_ptr(Deleter deleter) : atomic_ptr(options<T>(), std::move(deleter)) {}

  explicit atomic_ptr(std::nullptr_t) : atomic_ptr(options<T>(), nullptr) {}

  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  atomic_ptr(options<T> asked, Deleter deleter) {
    std::error_code error;
    make(asked, std::move(deleter), error);
    detail::require(error, "tls::atomic_ptr",
                    {{errc::invalid, "inherited() is not for pointers that threads exchange"}});
  }

  atomic_ptr(options<T> asked, std::nullptr_t)
      : atomic_ptr(asked, static_cast<void (*)(T *)>(nullptr)) {}
#endif

  /** After an error the object is as if moved from. */
  explicit atomic_ptr(std::error_code &error) : atomic_ptr(options<T>(), error) {}

  atomic_ptr(options<T> asked, std::error_code &error) { make(asked, detail::by_delete(), error); }

  template <class Deleter, class = detail::enable_deleter<Deleter, T>>
  atomic_ptr(options<T> asked, Deleter deleter, std::error_code &error) {
    make(asked, std::move(deleter), error);
  }

  atomic_ptr(options<T> asked, std::nullptr_t, std::error_code &error) {
    make(asked, static_cast<void (*)(T *)>(nullptr), error);
  }

  /** Moves all threads' values. No thread may be using either object meanwhile. */
  atomic_ptr(atomic_ptr &&other) noexcept
      : end_(std::exchange(other.end_, nullptr)),
        rules_(std::exchange(other.rules_, nullptr)),
        key_(std::move(other.key_)) {}

  /** The same. The values that were here are destroyed as by the destructor. */
  atomic_ptr &operator=(atomic_ptr &&other) noexcept {
    atomic_ptr(std::move(other)).swap(*this);
    return *this;
  }

  /** Exchanges all threads' values. No thread may be using either object meanwhile. */
  void swap(atomic_ptr &other) noexcept {
    std::swap(end_, other.end_);
    std::swap(rules_, other.rules_);
    std::swap(key_, other.key_);
  }

  friend void swap(atomic_ptr &one, atomic_ptr &other) noexcept { one.swap(other); }

  /** Returns the calling thread's pointer; null if it has none, or if the object was moved from. */
  T *get() const noexcept {
    auto *const own = static_cast<detail::cell<T> *>(tls_get_existing(key_.handle()));
    return TLS_PRIVATE_LIKELY(own != nullptr) ? own->value.load() : nullptr;
  }

  explicit operator bool() const noexcept { return get() != nullptr; }

  /**
   * Replaces the calling thread's pointer with `value`, and returns the old one, which is yours.
   * After an error nothing has changed: it returns null, and `value` stays yours.
   */
  T *exchange(T *value, std::error_code &error) {
    detail::cell<T> *const own = provide(error);
    return own != nullptr ? own->value.exchange(value) : nullptr;
  }

  /**
   * If the calling thread's pointer is `expected`, replaces it with `value` and returns true; the
   * old pointer is yours. Otherwise stores the pointer in `expected` and returns false. It also
   * returns false after an error, and then nothing has changed.
   */
  bool compare_exchange(T *&expected, T *value, std::error_code &error) {
    detail::cell<T> *const own = provide(error);
    return own != nullptr && own->value.compare_exchange_strong(expected, value);
  }

  /**
   * Stores `value`, which the object owns from then on, and destroys the value that was there,
   * unless it is the same. After an error nothing has changed, and `value` stays yours.
   */
  void reset(T *value, std::error_code &error) {
    detail::cell<T> *const own = provide(error);
    if (own == nullptr) return;
    T *const old = own->value.exchange(value);
    if (old != nullptr && old != value) end_(old, reason::replaced, rules_);
  }

  /** Destroys the calling thread's value; get() returns null then. */
  void reset() noexcept {
    auto *const own = static_cast<detail::cell<T> *>(tls_get_existing(key_.handle()));
    T *const old = own != nullptr ? own->value.exchange(nullptr) : nullptr;
    if (old != nullptr) end_(old, reason::removed, rules_);
  }

  /**
   * Replaces every thread's pointer that is not null with `replacement`, and calls take(T *old)
   * with the old one, which is yours then. An exchange() of the pointer's thread comes before or
   * after it. If take throws, no more pointers are taken, and the exception is thrown to the
   * caller. Any thread may call it, and several may at once: each pointer goes to one of them.
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
   * Calls f(T *) with every thread's pointer that is not null. The pointer may be scraped
   * meanwhile. There is no form with locks as in all_threads_view, because exchanges are atomic and
   * do not wait.
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
  T *exchange(T *value) {
    T *old = nullptr;
    required([&](auto &error) { old = exchange(value, error); }, "tls::atomic_ptr::exchange");
    return old;
  }

  bool compare_exchange(T *&expected, T *value) {
    bool done = false;
    required([&](auto &error) { done = compare_exchange(expected, value, error); },
             "tls::atomic_ptr::compare_exchange");
    return done;
  }

  void reset(T *value) {
    required([&](auto &error) { reset(value, error); }, "tls::atomic_ptr::reset");
  }

  template <class Take>
  void scrape(Take &&take, T *replacement = nullptr) const {
    required([&](auto &error) { scrape(take, replacement, error); }, "tls::atomic_ptr::scrape");
  }

  template <class F>
  void for_each(F &&f) const {
    required([&](auto &error) { for_each(f, error); }, "tls::atomic_ptr::for_each");
  }
#endif

  /**
   * Does what thread_local_ptr::drain() does: ends the object, and waits until no thread has a
   * pointer.
   */
  std::size_t drain(int timeout_ms, std::error_code &error) {
    std::size_t left = 0;
    error = detail::code_of(key_.drain(timeout_ms, &left));
    return left;
  }

  /**
   * Call it in tls::take_all() with each value. Returns the pointer, which is yours, if it was one
   * of this object; null if it was not, or if it was null. Call it once for each value.
   */
  T *taken(tls_key_t key, void *value) const noexcept {
    if (key != key_.handle() || value == nullptr) return nullptr;
    const std::unique_ptr<detail::cell<T>> own(static_cast<detail::cell<T> *>(value));
    return own->value.exchange(nullptr);
  }

  /** The key, for C functions such as tls_key_name(). */
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

  /** The calling thread's cell, made if need be; null: an error. */
  detail::cell<T> *provide(std::error_code &error) const {
    error.clear();
    void *own = tls_get_existing(key_.handle());
    if (TLS_PRIVATE_LIKELY(own != nullptr)) return static_cast<detail::cell<T> *>(own);
    const int answer = tls_try_get(key_.handle(), &own);
    error = answer == TLS_ERR_INIT ? make_error_code(errc::no_memory) : detail::code_of(answer);
    return static_cast<detail::cell<T> *>(own);
  }

  template <class F>
  struct visitor {
    F &f;
    std::exception_ptr thrown;
    bool stopped;
  };

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
  template <class Work>
  static void required(Work work, const char *function) {
    std::error_code error;
    work(error);
    detail::require(error, function);
  }
#endif

  void (*end_)(T *value, reason why, detail::rules<detail::cell<T>> *own) noexcept = nullptr;
  /** The key's, which keeps them. */
  detail::rules<detail::cell<T>> *rules_ = nullptr;
  detail::key key_;  // The last: the values that end with it may use the object.
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
