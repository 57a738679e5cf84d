/**
 * @file
 * threadlocalmap/box.hpp - the deleter of an object, and deleters of single values. Private.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A thread_local_ptr has one key. What the C library stores for a thread under this key is called
 * an entry here. An entry is one of two addresses. It is the address of a value, if the deleter of
 * the object destroys the value; then get() is one look-up. Or it is the address of a box, with the
 * lowest bit set. A box holds a pointer to a value and the value's own deleter. A value at an odd
 * address always has a box, so the lowest bit tells the two apart.
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

/** Accepts a function that is called with a pointer, or with a pointer and a reason. */
template <class Deleter, class T>
using enable_deleter =
    std::enable_if_t<std::is_same_v<Deleter, std::nullptr_t> ||
                     std::is_invocable_v<Deleter &, T *, reason> ||
                     std::is_invocable_v<Deleter &, T *>>;

/** Returns whether a deleter is a null pointer. */
template <class Deleter>
bool is_null(const Deleter &deleter) noexcept {
  if constexpr (std::is_pointer_v<Deleter> || std::is_same_v<Deleter, std::nullptr_t>) {
    return deleter == nullptr;
  } else {
    return false;
  }
}

/** Calls a deleter, unless it is null. If it throws, the program is terminated. */
template <class Deleter, class T>
void call_deleter(Deleter &deleter, T *value, reason why) noexcept {
  if (is_null(deleter)) return;
  if constexpr (std::is_same_v<Deleter, std::nullptr_t>) {
    // The value is not owned.
  } else if constexpr (std::is_invocable_v<Deleter &, T *, reason>) {
    deleter(value, why);
  } else {
    deleter(value);
  }
}

/** The deleter of values that are made with `new`. */
struct by_delete {
  template <class T>
  void operator()(T *value) const {
    delete value;
  }
};

/** The rules of a key whose values are destroyed by a deleter of the object. */
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

/** How values without a deleter of their own are destroyed. */
template <class T>
struct endings {
  /** Destroys a value. Null if the object has no key. */
  void (*end)(T *value, reason why, rules<T> *own) noexcept = nullptr;

  /** The rules, which belong to the key. May be null if `end` is by_delete: no copies are made. */
  rules<T> *own = nullptr;

  static void by_rules(T *value, reason why, rules<T> *own) noexcept { own->end(value, why); }

  static void by_delete(T *value, reason, rules<T> *) noexcept { delete value; }
};

/** The deleter of a std::unique_ptr, kept with its pointer, which may have another type. */
template <class U, class Deleter>
class unique_holder {
 public:
  explicit unique_holder(std::unique_ptr<U, Deleter> &&pointer) : pointer_(std::move(pointer)) {}

  void operator()(const volatile void *) noexcept { pointer_.reset(); }

  void forget() noexcept { (void)pointer_.release(); }

 private:
  std::unique_ptr<U, Deleter> pointer_;
};

/** A std::shared_ptr as a deleter. The call resets the std::shared_ptr. */
template <class T>
class shared_holder {
 public:
  explicit shared_holder(std::shared_ptr<T> &&pointer) : pointer_(std::move(pointer)) {}

  void operator()(const volatile void *) noexcept { pointer_.reset(); }

 private:
  std::shared_ptr<T> pointer_;
};

/** The deleter of the object, for a value that has a box because its address is odd. */
template <class T>
class object_holder {
 public:
  explicit object_holder(const endings<T> &ways) noexcept : ways_(ways) {}

  void operator()(T *value, reason why) noexcept { ways_.end(value, why, ways_.own); }

 private:
  endings<T> ways_;
};

/** Prepares a deleter to be destroyed without destroying the value. */
template <class Deleter>
void forget(Deleter &) noexcept {}

template <class U, class Deleter>
void forget(unique_holder<U, Deleter> &holder) noexcept {
  holder.forget();
}

/** A pointer to a value that has a deleter of its own. */
template <class T>
class box {
 public:
  /** Destroys the value and the box. */
  virtual void end(reason why) noexcept = 0;

  /** Destroys the box, and returns the value. */
  virtual T *hand_over() noexcept = 0;

  /**
   * Records that the value has another owner, so that end() destroys the box alone. Only the thread
   * that has the box calls it; another thread may visit the value during the call.
   */
  void disown() noexcept { owns_ = false; }
  void own_again() noexcept { owns_ = true; }

  T *const value;
  const copier<T> copies;

  /** Whether the deleter is that of the object, which then destroys copies too. */
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
      : box<T>(own, copy, std::is_same_v<Deleter, object_holder<T>>),
        deleter_(std::move(deleter)) {}

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

/** Returns whether an entry is a box. */
inline bool is_boxed(const void *entry) noexcept {
  return (reinterpret_cast<std::uintptr_t>(entry) & 1) != 0;
}

/** Returns the entry of a box. It points into the box, so that leak checkers find the box. */
template <class T>
void *entry_of(box<T> *boxed) noexcept {
  return static_cast<char *>(static_cast<void *>(boxed)) + 1;
}

template <class T>
box<T> *unboxed(void *entry) noexcept {
  return static_cast<box<T> *>(static_cast<void *>(static_cast<char *>(entry) - 1));
}

/** Returns the value of an entry. */
template <class T>
T *value_of(void *entry) noexcept {
  return TLS_PRIVATE_LIKELY(!is_boxed(entry)) ? static_cast<T *>(entry) : unboxed<T>(entry)->value;
}

/**
 * Makes an entry for a value and its deleter, which is moved from. If that fails, it calls the
 * deleter, and either returns null with errc::no_memory or throws the exception of the deleter's
 * move constructor.
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

/**
 * Makes an entry for a value that the deleter of the object destroys. If that fails, it returns
 * null and does not destroy the value.
 */
template <class T>
void *make_entry_or_none(T *value, const endings<T> &ways) noexcept {
  if (TLS_PRIVATE_LIKELY(!is_boxed(value))) return erased(value);
  const auto copies = ways.own != nullptr ? ways.own->copies : copier<T>();
  box<T> *const boxed = new (std::nothrow)
      box_with<T, object_holder<T>>(value, copies, object_holder<T>(ways));
  return boxed != nullptr ? entry_of(boxed) : nullptr;
}

/**
 * Makes an entry for a value that the deleter of the object destroys. If that fails, it destroys
 * the value, and returns null with errc::no_memory.
 */
template <class T>
void *make_entry(T *value, const endings<T> &ways, std::error_code &error) noexcept {
  void *const entry = make_entry_or_none(value, ways);
  if (TLS_PRIVATE_LIKELY(entry != nullptr)) return entry;
  ways.end(value, reason::removed, ways.own);
  error = make_error_code(errc::no_memory);
  return nullptr;
}

/** Destroys the value of an entry, and its box if it has one. */
template <class T>
void end_entry(void *entry, reason why, const endings<T> &ways) noexcept {
  if (is_boxed(entry)) unboxed<T>(entry)->end(why);
  else ways.end(static_cast<T *>(entry), why, ways.own);
}

/** Returns the value of an entry, and destroys its box if it has one. The value remains. */
template <class T>
T *hand_over(void *entry) noexcept {
  return is_boxed(entry) ? unboxed<T>(entry)->hand_over() : static_cast<T *>(entry);
}

/**
 * Stores an entry for the calling thread, and destroys the old one. If both have the same value,
 * the value is not destroyed. This is impossible while another thread visits the value, if the
 * old entry has no box: then nothing has changed, and the result is TLS_ERR_BUSY.
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
    // Before tls_set(), which may destroy the old entry at once.
    unboxed<T>(old)->disown();
    answer = tls_set(key, entry);
    if (answer != TLS_OK && tls_get_existing(key) == old) unboxed<T>(old)->own_again();
  }
  return answer;
}

/** The C library's callbacks of the key of a thread_local_ptr. */
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
