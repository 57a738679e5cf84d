/**
 * @file
 * threadlocalmap/factory.hpp - how the values of a tls::local are made. Private.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The C library calls the key's init callback, and this calls the factory. No exception may go
 * through the C library, so the callback stores it for the C++ function that called the library.
 * Both must use the same thread-local variable, even if the object was made in one shared object
 * and is used in another. So both ask the maker for the variable, because the maker was made in one
 * of them.
 */
#ifndef THREADLOCALMAP_FACTORY_HPP
#define THREADLOCALMAP_FACTORY_HPP

#include "box.hpp"
#include "key.hpp"

#include <exception>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace tls {
inline namespace TLS_PRIVATE_MODE {
namespace detail {

/** A factory is called without arguments, and gives a T, a unique_ptr<T>, or a T * made by new. */
template <class Factory, class T>
using enable_factory = std::enable_if_t<
    std::is_invocable_r_v<T, Factory &> || std::is_invocable_r_v<std::unique_ptr<T>, Factory &> ||
    std::is_invocable_r_v<T *, Factory &>>;

/** Makes values by T(). */
template <class T>
struct by_default {
  T *operator()() const { return new T(); }
};

/** Makes values by T(arguments...), or T{arguments...} if T is an aggregate. */
template <class T, class... Arguments>
class by_arguments {
 public:
  explicit by_arguments(std::tuple<Arguments...> &&arguments) : arguments_(std::move(arguments)) {}

  T *operator()() const {
    return std::apply(
        [](const Arguments &...arguments) {
          if constexpr (std::is_constructible_v<T, const Arguments &...>) {
            return new T(arguments...);
          } else {
            return new T{arguments...};
          }
        },
        arguments_);
  }

 private:
  std::tuple<Arguments...> arguments_;
};

template <class T, class... Arguments>
auto from_arguments(Arguments &&...arguments) {
  return by_arguments<T, std::decay_t<Arguments>...>(
      std::tuple<std::decay_t<Arguments>...>(std::forward<Arguments>(arguments)...));
}

/** A get() that waits for a value to be made. On the stack, in a chain. */
struct attempt {
  attempt(const void *by, std::exception_ptr &into, attempt *&chain) noexcept
      : maker(by), thrown(into), outer(chain), innermost(chain) {
    innermost = this;
  }
  attempt(const attempt &) = delete;
  ~attempt() { innermost = outer; }

  const void *const maker;
  std::exception_ptr &thrown;
  attempt *const outer;
  attempt *&innermost;
};

/** The calling thread's innermost one. */
TLS_PRIVATE_ONE_IN_OBJECT attempt *&attempts() noexcept;

TLS_PRIVATE_ONE_IN_OBJECT attempt *&attempts() noexcept {
  static thread_local attempt *innermost = nullptr;
  return innermost;
}

/** Makes values, and what the exception of a factory goes through. */
template <class T>
class maker : public rules<T> {
 public:
  using rules<T>::rules;

  virtual T *make() = 0;

  /** tls_try_get, and the exception that its init callback has met. */
  virtual int obtain(tls_key_t key, void **value, std::exception_ptr &thrown) = 0;

  /** The chain of the shared object that has made this. */
  virtual attempt *&waiting() noexcept = 0;

  static int init(void **value, void *user) {
    auto *const self = static_cast<maker *>(static_cast<rules<T> *>(user));
    std::exception_ptr unheard;
    // Another key's get() may be the innermost one: the library has called back on its way.
    attempt *asks = self->waiting();
    while (asks != nullptr && asks->maker != self) asks = asks->outer;
    std::exception_ptr &thrown = asks != nullptr ? asks->thrown : unheard;
    thrown = nullptr;
    const bool made = guarded(thrown, [&] { *value = self->make(); });
    handed_in(made ? *value : user);
    return made && *value != nullptr ? 0 : 1;
  }

 protected:
  ~maker() = default;
};

/** What a factory gives, as a T * made by new. */
template <class T, class Factory>
T *make_by(Factory &factory) {
  using Made = std::invoke_result_t<Factory &>;
  using Plain = std::decay_t<Made>;
  // In this order: much that is no T converts to one, as a T * to a bool.
  if constexpr (std::is_same_v<Plain, T *>) {
    return factory();
  } else if constexpr (std::is_same_v<Plain, T>) {
    return new T(factory());
  } else if constexpr (std::is_convertible_v<Made, std::unique_ptr<T>> &&
                       !std::is_null_pointer_v<Plain>) {
    return std::unique_ptr<T>(factory()).release();
  } else if constexpr (std::is_convertible_v<Made, T>) {
    return new T(factory());
  } else {
    static_assert(std::is_convertible_v<Made, T *>, "a factory gives a T, a unique_ptr<T> or a T *");
    static_assert(std::has_virtual_destructor_v<T> || !std::is_pointer_v<Plain>,
                  "a factory that gives a derived object needs a T with a virtual destructor");
    return factory();
  }
}

template <class T, class Factory, class Deleter>
class maker_by final : public maker<T> {
 public:
  maker_by(const copier<T> &copy, Factory &&factory, Deleter &&deleter)
      : maker<T>(copy), factory_(std::move(factory)), deleter_(std::move(deleter)) {}

  T *make() override { return make_by<T>(factory_); }

  int obtain(tls_key_t key, void **value, std::exception_ptr &thrown) override {
    const attempt own(static_cast<maker<T> *>(this), thrown, attempts());
    const int answer = tls_try_get(key, value);
    handed_in(static_cast<rules<T> *>(this));
    return answer;
  }

  attempt *&waiting() noexcept override { return attempts(); }

  void end(T *value, reason why) noexcept override { call_deleter(deleter_, value, why); }

  void retire() noexcept override { delete this; }

 private:
  Factory factory_;
  Deleter deleter_;
};

}  // namespace detail
}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
