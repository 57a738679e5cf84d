/*
 * Deleters: of an object, and of one value, which then stands in a box with it. Private.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A thread_local_ptr keeps its plain values under one key, as they are, so that a get is one
 * look-up. A value with a deleter of its own is in a box, under a second key that is made when the
 * first such value comes. A thread has at most one of the two.
 */
#ifndef THREADLOCALMAP_BOX_HPP
#define THREADLOCALMAP_BOX_HPP

#include "key.hpp"

#include <atomic>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace tls {
inline namespace TLS_PRIVATE_MODE {
namespace detail {

/** A deleter is called with a pointer, or with a pointer and a reason. */
template <class Deleter, class T>
using enable_deleter =
    std::enable_if_t<std::is_same_v<Deleter, std::nullptr_t> ||
                     std::is_invocable_v<Deleter &, T *, reason> ||
                     std::is_invocable_v<Deleter &, T *>>;

template <class Deleter, class T>
void call_deleter(Deleter &deleter, T *value, reason why) noexcept {
  if constexpr (std::is_same_v<Deleter, std::nullptr_t>) {
    // Not owned.
  } else if constexpr (std::is_invocable_v<Deleter &, T *, reason>) {
    deleter(value, why);
  } else {
    deleter(value);
  }
}

template <class Deleter>
bool is_null(const Deleter &deleter) noexcept {
  if constexpr (std::is_pointer_v<Deleter> || std::is_same_v<Deleter, std::nullptr_t>) {
    return deleter == nullptr;
  } else {
    return false;
  }
}

/** The values end by a deleter of the object. */
template <class T, class Deleter>
class deleter_rules final : public rules<T> {
 public:
  deleter_rules(const copier<T> &copy, Deleter &&deleter)
      : rules<T>(copy), deleter_(std::move(deleter)) {}

  void end(T *value, reason why) noexcept override {
    if (!is_null(deleter_)) call_deleter(deleter_, value, why);
  }

  void retire() noexcept override { delete this; }

 private:
  Deleter deleter_;
};

/** The deleter that a unique_ptr brings along, with the pointer that it wants. */
template <class U, class Deleter>
class unique_holder {
 public:
  explicit unique_holder(std::unique_ptr<U, Deleter> &&pointer) : pointer_(std::move(pointer)) {}

  void operator()(const volatile void *) noexcept { pointer_.reset(); }

  void forget() noexcept { (void)pointer_.release(); }

 private:
  std::unique_ptr<U, Deleter> pointer_;
};

/** One of the owners of a shared value. */
template <class T>
class shared_holder {
 public:
  explicit shared_holder(std::shared_ptr<T> &&pointer) : pointer_(std::move(pointer)) {}

  void operator()(const volatile void *) noexcept { pointer_.reset(); }

 private:
  std::shared_ptr<T> pointer_;
};

/** The value is handed over: its deleter is to go without a call. */
template <class Deleter>
void forget(Deleter &) noexcept {}

template <class U, class Deleter>
void forget(unique_holder<U, Deleter> &holder) noexcept {
  holder.forget();
}

/** A value with a deleter of its own. */
template <class T>
class box {
 public:
  /** Ends the value, and the box. */
  virtual void end(reason why) noexcept = 0;

  /** Ends the box alone. */
  virtual T *give_up() noexcept = 0;

  /**
   * The value has another owner: the box will end without it. For the thread that has the box, while
   * another one may visit it.
   */
  void disown() noexcept { owns_ = false; }
  void own_again() noexcept { owns_ = true; }

  T *const value;
  const copier<T> copies;

 protected:
  bool owns() const noexcept { return owns_; }

  box(T *own, const copier<T> &copy) noexcept : value(own), copies(copy) {}
  ~box() = default;

 private:
  bool owns_ = true;
};

template <class T, class Deleter>
class box_with final : public box<T> {
 public:
  box_with(T *own, const copier<T> &copy, Deleter &&deleter)
      : box<T>(own, copy), deleter_(std::move(deleter)) {}

  void end(reason why) noexcept override {
    if (!this->owns()) {
      forget(deleter_);
    } else if (!is_null(deleter_)) {
      call_deleter(deleter_, this->value, why);
    }
    delete this;
  }

  T *give_up() noexcept override {
    T *const own = this->value;
    forget(deleter_);
    delete this;
    return own;
  }

 private:
  Deleter deleter_;
};

/** The boxes of an object: its second key, made when it is first needed. */
template <class T>
class boxes {
 public:
  boxes(std::uint32_t reclaim, std::uint32_t flags) noexcept : reclaim_(reclaim), flags_(flags) {}

  boxes(boxes &&other) noexcept
      : key_(other.key_.exchange(TLS_KEY_NONE)), reclaim_(other.reclaim_), flags_(other.flags_) {}

  boxes &operator=(boxes &&other) noexcept {
    if (this != &other) {
      release();
      key_.store(other.key_.exchange(TLS_KEY_NONE));
      reclaim_ = other.reclaim_;
      flags_ = other.flags_;
    }
    return *this;
  }

  ~boxes() { release(); }

  /** Often TLS_KEY_NONE. */
  tls_key_t handle() const noexcept { return key_.load(std::memory_order_acquire); }

  T *get() const noexcept {
    box<T> *const boxed = own();
    return boxed != nullptr ? boxed->value : nullptr;
  }

  /** Stores a value with its deleter; if that fails, calls the deleter. */
  template <class Deleter>
  void put(tls_key_t main, T *value, Deleter deleter, const copier<T> &copies,
           std::error_code &error) {
    provide(main, error);
    box<T> *boxed = nullptr;
    if (!error) {
      boxed = new (std::nothrow) box_with<T, Deleter>(value, copies, std::move(deleter));
      if (boxed == nullptr) error = make_error_code(errc::no_memory);
    }
    if (boxed == nullptr) {
      if (!is_null(deleter)) call_deleter(deleter, value, reason::removed);
      return;
    }
    handed_in(boxed);
    void *old = nullptr;
    int answer = tls_swap(handle(), boxed, &old);
    // While the old one is visited, only the library can defer its end.
    if (answer == TLS_ERR_BUSY) answer = set_over_visited(boxed);
    error = code_of(answer);
    if (error) {
      boxed->end(reason::removed);
    } else {
      end_old(old, value);
    }
  }

  /** Ends the calling thread's box: another value, which may be the same, is in its place. */
  void end_replaced(T *by) noexcept {
    if (handle() == TLS_KEY_NONE) return;
    void *old = nullptr;
    if (tls_take(handle(), &old) == TLS_ERR_BUSY) {
      remove_visited(by);
    } else {
      end_old(old, by);
    }
  }

  /** The calling thread's box ends, without its value if that is `kept`; it may be visited. */
  void remove_visited(const T *kept) noexcept {
    box<T> *const old = own();
    if (old != nullptr && old->value == kept) old->disown();
    tls_remove(handle());
  }

  /** Ends the calling thread's box and its value. */
  void remove() noexcept { tls_remove(handle()); }

  /** Hands the value of the calling thread's box over. */
  T *take(std::error_code &error) noexcept {
    error.clear();
    if (handle() == TLS_KEY_NONE) return nullptr;
    void *old = nullptr;
    const int answer = tls_take(handle(), &old);
    if (answer != TLS_OK && answer != TLS_ERR_ABSENT) error = code_of(answer);
    return old != nullptr ? static_cast<box<T> *>(old)->give_up() : nullptr;
  }

 private:
  box<T> *own() const noexcept { return static_cast<box<T> *>(tls_get_existing(handle())); }

  /** tls_set() over a box that is visited; one with the same value is to end without it. */
  int set_over_visited(box<T> *boxed) noexcept {
    box<T> *const old = own();
    if (old == nullptr || old->value != boxed->value) return tls_set(handle(), boxed);
    // Before: its end may come at once.
    old->disown();
    const int answer = tls_set(handle(), boxed);
    if (answer != TLS_OK && own() == old) old->own_again();
    return answer;
  }

  static void end_old(void *old, T *by) noexcept {
    auto *const boxed = static_cast<box<T> *>(old);
    if (boxed == nullptr) return;
    if (boxed->value == by) {
      boxed->give_up();
    } else {
      boxed->end(reason::replaced);
    }
  }

  static void destroy(void *value, int why, void *) noexcept {
    handed_out(value);
    static_cast<box<T> *>(value)->end(static_cast<reason>(why));
  }

  static int copy(void *value, void **copied, void *) noexcept {
    std::exception_ptr thrown;
    return guarded(thrown, [&] { *copied = copy_of(*static_cast<box<T> *>(value)); }) ? 0 : 1;
  }

  static box<T> *copy_of(const box<T> &original) {
    if constexpr (std::is_void_v<T>) {
      return nullptr;
    } else {
      using Deleter = void (*)(T *);
      std::unique_ptr<T, Deleter> value(original.copies.copy(*original.value), original.copies.end);
      Deleter deleter = original.copies.end;
      box<T> *const copied =
          new box_with<T, Deleter>(value.get(), original.copies, std::move(deleter));
      (void)value.release();
      handed_in(copied);
      return copied;
    }
  }

  /** Makes the key, like the object's main one, if there is none yet. */
  void provide(tls_key_t main, std::error_code &error) noexcept {
    error.clear();
    if (handle() != TLS_KEY_NONE) return;
    char name[256];
    const int answer = tls_key_name(main, name, sizeof name);
    if (answer != TLS_OK && answer != TLS_ERR_LIMIT) {
      error = code_of(answer);
      return;
    }
    tls_key_options_t options = {};
    options.size = sizeof options;
    options.name = answer == TLS_OK ? name : nullptr;
    options.reclaim = reclaim_;
    options.flags = flags_;
    options.destroy = destroy;
    options.copy = copy;
    tls_key_t made = TLS_KEY_NONE;
    error = code_of(tls_key_create(&made, &options));
    tls_key_t expected = TLS_KEY_NONE;
    // Another thread may have been quicker.
    if (!error && !key_.compare_exchange_strong(expected, made)) tls_key_release(made);
  }

  /** A destructor that runs here may set a boxed value again, and so make a key anew. */
  void release() noexcept {
    tls_key_t handle = key_.exchange(TLS_KEY_NONE);
    for (int round = 0; handle != TLS_KEY_NONE && round < 4; round++) {
      tls_key_release(handle);
      handle = key_.exchange(TLS_KEY_NONE);
    }
    if (handle != TLS_KEY_NONE) tls_key_release(handle);
  }

  std::atomic<tls_key_t> key_{TLS_KEY_NONE};
  std::uint32_t reclaim_;
  std::uint32_t flags_;
};

}  // namespace detail
}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
