/*
 * How the values of a tls::local are made. Private.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The C library calls the key's init callback, which calls the factory; no exception may go through
 * the C library, so the callback leaves it for the C++ function that has called the library. Both
 * must mean the same thread-local word, also when the object was made in one shared object and is
 * used in another: so both are reached through the maker, and stand where it was made.
 */
#ifndef THREADLOCALMAP_FACTORY_HPP
#define THREADLOCALMAP_FACTORY_HPP

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

struct attempt;
inline thread_local attempt *attempts = nullptr;

/** A get() that waits for a value to be made. On the stack, in a chain. */
struct attempt {
  attempt(const void *by, std::exception_ptr &into) noexcept
      : maker(by), thrown(into), outer(std::exchange(attempts, this)) {}
  attempt(const attempt &) = delete;
  ~attempt() { attempts = outer; }

  const void *const maker;
  std::exception_ptr &thrown;
  attempt *const outer;
};

/** Makes values, and what the exception of a factory goes through. */
template <class T>
class maker : public rules<T> {
 public:
  using rules<T>::rules;

  virtual T *make() = 0;

  /** tls_try_get, and the exception that its init callback has met. */
  virtual int obtain(tls_key_t key, void **value, std::exception_ptr &thrown) = 0;

  void end(T *value, reason) noexcept final { delete value; }

  static int init(void **value, void *user) {
    auto *const self = static_cast<maker *>(static_cast<rules<T> *>(user));
    std::exception_ptr unheard;
    // Another key's get() may be the innermost one: the library has called back on its way.
    attempt *waiting = attempts;
    while (waiting != nullptr && waiting->maker != self) waiting = waiting->outer;
    std::exception_ptr &thrown = waiting != nullptr ? waiting->thrown : unheard;
    thrown = nullptr;
    const bool made = guarded(thrown, [&] { *value = self->make(); });
    handed_in(made ? *value : user);
    return made && *value != nullptr ? 0 : 1;
  }

 protected:
  ~maker() = default;
};

template <class T, class Factory>
class maker_by final : public maker<T> {
 public:
  maker_by(const copier<T> &copy, Factory &&factory)
      : maker<T>(copy, true), factory_(std::move(factory)) {}

  T *make() override {
    using Made = std::invoke_result_t<Factory &>;
    if constexpr (std::is_convertible_v<Made, std::unique_ptr<T>>) {
      return std::unique_ptr<T>(factory_()).release();
    } else if constexpr (std::is_same_v<Made, T *> && !std::is_convertible_v<T *, T>) {
      return factory_();
    } else {
      return new T(factory_());
    }
  }

  int obtain(tls_key_t key, void **value, std::exception_ptr &thrown) override {
    const attempt own(static_cast<maker<T> *>(this), thrown);
    const int answer = tls_try_get(key, value);
    handed_in(static_cast<rules<T> *>(this));
    return answer;
  }

  void retire() noexcept override { delete this; }

 private:
  Factory factory_;
};

}  // namespace detail
}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
