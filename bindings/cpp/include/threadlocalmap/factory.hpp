/**
 * @file
 * threadlocalmap/factory.hpp - how the values of a tls::local are made. Private.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The C library calls the init callback of the key, and the callback calls the factory. No
 * exception may go through the C library, so the callback stores the exception for the C++ function
 * that called the library. Both find each other by a thread-local variable, and must use the same
 * one, even if one shared object made the tls::local and another uses it. So both get the variable
 * from the maker, whose virtual functions belong to the shared object that made it.
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

/** Accepts a function without arguments that returns a T, a unique_ptr<T>, or a T * made by new. */
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

/** A get() that is making a value. The attempts of a thread are on its stack and form a list. */
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

/** Returns the calling thread's innermost attempt. */
TLS_PRIVATE_ONE_IN_OBJECT attempt *&attempts() noexcept;

TLS_PRIVATE_ONE_IN_OBJECT attempt *&attempts() noexcept {
  static thread_local attempt *innermost = nullptr;
  return innermost;
}

/** Makes values, and passes the exception of a factory from the init callback to get(). */
template <class T>
class maker : public rules<T> {
 public:
  using rules<T>::rules;

  virtual T *make() = 0;

  /** Calls tls_try_get(), and stores the exception that the init callback caught. */
  virtual int obtain(tls_key_t key, void **value, std::exception_ptr &thrown) = 0;

  /** Returns the innermost attempt, in the shared object that made this maker. */
  virtual attempt *&waiting() noexcept = 0;

  static int init(void **value, void *user) {
    auto *const self = static_cast<maker *>(static_cast<rules<T> *>(user));
    std::exception_ptr unheard;
    // The innermost attempt may belong to another key, because the library may have called a
    // callback that calls get().
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

/** Calls a factory, and returns its result as a T * made by new. */
template <class T, class Factory>
T *make_by(Factory &factory) {
  using Made = std::invoke_result_t<Factory &>;
  using Plain = std::decay_t<Made>;
  // The order matters, because other types may convert to T, such as a T * to bool.
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
    static_assert(std::is_convertible_v<Made, T *>,
                  "a factory gives a T, a unique_ptr<T> or a T *");
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
