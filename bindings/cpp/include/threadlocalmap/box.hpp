/**
 * @file
 * threadlocalmap/box.hpp - deleters, of an object or of one value. Private.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A thread_local_ptr has one key. A thread's entry under it is one of two things: the address of a
 * value that the object's deleter destroys, so that a get is one look-up; or the address of a box,
 * which is a value with a deleter of its own, marked by the lowest bit. A value at an odd address
 * is boxed too, so every entry can be told apart.
 */
#ifndef THREADLOCALMAP_BOX_HPP
#define THREADLOCALMAP_BOX_HPP

#include "key.hpp"

#include <cstdint>
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

template <class Deleter>
bool is_null(const Deleter &deleter) noexcept {
  if constexpr (std::is_pointer_v<Deleter> || std::is_same_v<Deleter, std::nullptr_t>) {
    return deleter == nullptr;
  } else {
    return false;
  }
}

/** A null one is not called. What it throws ends the program. */
template <class Deleter, class T>
void call_deleter(Deleter &deleter, T *value, reason why) noexcept {
  if (is_null(deleter)) return;
  if constexpr (std::is_same_v<Deleter, std::nullptr_t>) {
    // Not owned.
  } else if constexpr (std::is_invocable_v<Deleter &, T *, reason>) {
    deleter(value, why);
  } else {
    deleter(value);
  }
}

/** The deleter of an object whose values are made by `new`. */
struct by_delete {
  template <class T>
  void operator()(T *value) const {
    delete value;
  }
};

/** The values end by a deleter of the object. */
template <class T, class Deleter>
class deleter_rules final : public rules<T> {
 public:
  deleter_rules(const copier<T> &copy, Deleter &&deleter)
      : rules<T>(copy), deleter_(std::move(deleter)) {}

  void end(T *value, reason why) noexcept override { call_deleter(deleter_, value, why); }

  void retire() noexcept override { delete this; }

 private:
  Deleter deleter_;
};

/** How the values of an object end that have no deleter of their own. */
template <class T>
struct endings {
  /** Null: there is no object. */
  void (*end)(T *value, reason why, rules<T> *own) noexcept = nullptr;

  /** The object's, which its key keeps. May be null where `end` is by_delete: there are no copies. */
  rules<T> *own = nullptr;

  static void by_rules(T *value, reason why, rules<T> *own) noexcept { own->end(value, why); }

  static void by_delete(T *value, reason, rules<T> *) noexcept { delete value; }
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

/** The object's own way, for a value at an odd address. */
template <class T>
class object_holder {
 public:
  explicit object_holder(const endings<T> &ways) noexcept : ways_(ways) {}

  void operator()(T *value, reason why) noexcept { ways_.end(value, why, ways_.own); }

 private:
  endings<T> ways_;
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
  virtual T *hand_over() noexcept = 0;

  /**
   * The value has another owner: the box will end without it. For the thread that has the box, while
   * another one may visit it.
   */
  void disown() noexcept { owns_ = false; }
  void own_again() noexcept { owns_ = true; }

  T *const value;
  const copier<T> copies;

  /** Not one of its own: so copies end that way, too. */
  const bool has_objects_deleter;

 protected:
  bool owns() const noexcept { return owns_; }

  box(T *own, const copier<T> &copy, bool objects) noexcept
      : value(own), copies(copy), has_objects_deleter(objects) {}
  ~box() = default;

 private:
  bool owns_ = true;
};

template <class T, class Deleter>
class box_with final : public box<T> {
 public:
  box_with(T *own, const copier<T> &copy, Deleter &&deleter)
      : box<T>(own, copy, std::is_same_v<Deleter, object_holder<T>>), deleter_(std::move(deleter)) {}

  void end(reason why) noexcept override {
    if (this->owns()) call_deleter(deleter_, this->value, why);
    else forget(deleter_);
    delete this;
  }

  T *hand_over() noexcept override {
    T *const own = this->value;
    forget(deleter_);
    delete this;
    return own;
  }

 private:
  Deleter deleter_;
};

/** Whether an entry is a box. */
inline bool is_boxed(const void *entry) noexcept {
  return (reinterpret_cast<std::uintptr_t>(entry) & 1) != 0;
}

/** The entry of a box. Inside of the box, so that who looks for leaks finds it. */
template <class T>
void *entry_of(box<T> *boxed) noexcept {
  return static_cast<char *>(static_cast<void *>(boxed)) + 1;
}

template <class T>
box<T> *unboxed(void *entry) noexcept {
  return static_cast<box<T> *>(static_cast<void *>(static_cast<char *>(entry) - 1));
}

/** What an entry is about. */
template <class T>
T *value_of(void *entry) noexcept {
  return TLS_PRIVATE_LIKELY(!is_boxed(entry)) ? static_cast<T *>(entry) : unboxed<T>(entry)->value;
}

/**
 * An entry for a value and its deleter, which is moved from. If it can't be made, the deleter is
 * called: errc::no_memory, and null; or the exception of the deleter's constructor.
 */
template <class T, class Deleter>
void *make_entry(T *value, Deleter &deleter, const copier<T> &copies, std::error_code &error) {
  struct unless_boxed {
    T *value;
    Deleter &deleter;
    ~unless_boxed() {
      if (value != nullptr) call_deleter(deleter, value, reason::removed);
    }
  } pending{value, deleter};
  box<T> *const boxed = new (std::nothrow) box_with<T, Deleter>(value, copies, std::move(deleter));
  if (boxed == nullptr) {
    error = make_error_code(errc::no_memory);
    return nullptr;
  }
  pending.value = nullptr;
  return entry_of(boxed);
}

/** An entry for a value that ends as the object's do. Null: it can't be made, and nothing was called. */
template <class T>
void *make_entry_or_none(T *value, const endings<T> &ways) noexcept {
  if (TLS_PRIVATE_LIKELY(!is_boxed(value))) return erased(value);
  const auto copies = ways.own != nullptr ? ways.own->copies : copier<T>();
  box<T> *const boxed = new (std::nothrow)
      box_with<T, object_holder<T>>(value, copies, object_holder<T>(ways));
  return boxed != nullptr ? entry_of(boxed) : nullptr;
}

/** The same. If it can't be made, the value ends: errc::no_memory. */
template <class T>
void *make_entry(T *value, const endings<T> &ways, std::error_code &error) noexcept {
  void *const entry = make_entry_or_none(value, ways);
  if (TLS_PRIVATE_LIKELY(entry != nullptr)) return entry;
  ways.end(value, reason::removed, ways.own);
  error = make_error_code(errc::no_memory);
  return nullptr;
}

/** Ends what an entry is about. */
template <class T>
void end_entry(void *entry, reason why, const endings<T> &ways) noexcept {
  if (is_boxed(entry)) unboxed<T>(entry)->end(why);
  else ways.end(static_cast<T *>(entry), why, ways.own);
}

/** Hands the value of an entry over, without its deleter. */
template <class T>
T *hand_over(void *entry) noexcept {
  return is_boxed(entry) ? unboxed<T>(entry)->hand_over() : static_cast<T *>(entry);
}

/**
 * Stores an entry for the calling thread, and ends the one before: without its value, if that is the
 * same. But one that ends as the object says, while another thread visits it, can't be told so: then
 * nothing has changed, and it is TLS_ERR_BUSY.
 */
template <class T>
int store(tls_key_t key, void *entry, const endings<T> &ways) noexcept {
  handed_in(entry);
  void *const old = tls_get_existing(key);
  if (old == nullptr || old == entry || value_of<T>(old) != value_of<T>(entry)) {
    return tls_set(key, entry);
  }
  void *taken = nullptr;
  int answer = tls_swap(key, entry, &taken);
  if (answer == TLS_OK && taken != nullptr) {
    if (value_of<T>(taken) == value_of<T>(entry)) hand_over<T>(taken);
    else end_entry(taken, reason::replaced, ways);
  } else if (answer == TLS_ERR_BUSY && is_boxed(old)) {
    // Before: its end may come at once.
    unboxed<T>(old)->disown();
    answer = tls_set(key, entry);
    if (answer != TLS_OK && tls_get_existing(key) == old) unboxed<T>(old)->own_again();
  }
  return answer;
}

/** The C library's callbacks of a thread_local_ptr's key. */
template <class T>
struct pointer_callbacks {
  template <void (*End)(T *, reason, rules<T> *) noexcept>
  static void destroy(void *entry, int why, void *user) noexcept {
    handed_out(entry);
    end_entry(entry, static_cast<reason>(why), endings<T>{End, static_cast<rules<T> *>(user)});
    handed_in(user);
  }

  template <void (*End)(T *, reason, rules<T> *) noexcept>
  static int copy(void *entry, void **copied, void *user) noexcept {
    std::exception_ptr thrown;
    std::error_code error;
    const bool made = guarded(thrown, [&] {
      const endings<T> ways{End, static_cast<rules<T> *>(user)};
      const bool own_deleter = is_boxed(entry) && !unboxed<T>(entry)->has_objects_deleter;
      *copied = own_deleter ? copy_of_boxed(*unboxed<T>(entry), error)
                            : copy_of(*value_of<T>(entry), ways, error);
      handed_in(*copied);
    });
    handed_in(user);
    return made && !error ? 0 : 1;
  }

 private:
  template <class Value>
  static void *copy_of(const Value &original, const endings<T> &ways, std::error_code &error) {
    T *const copied = ways.own->copies.copy(original);
    return copied != nullptr ? make_entry(copied, ways, error) : nullptr;
  }

  static void *copy_of_boxed(const box<T> &original, std::error_code &error) {
    T *const copied = original.copies.copy(*original.value);
    void (*end)(T *) = original.copies.end;
    return copied != nullptr ? make_entry(copied, end, original.copies, error) : nullptr;
  }
};

}  // namespace detail
}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
