/**
 * @file
 * threadlocalmap/asio.hpp - executors of Asio that run each handler in a scope or in a map.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *     asio::thread_pool pool(4);
 *     auto executor = tls::scoped(pool.get_executor());
 *
 *     asio::post(executor, [] { ... });                 runs in a scope, with the poster's context
 *     asio::steady_timer timer(executor);               its handlers run in scopes too
 *
 * Every handler that such an executor runs is a tls::task: it runs in a scope with the context of
 * the thread that posted it, and the thread expunges after it. If a handler is never run, its
 * context is destroyed with it. tls::scoped() wraps any executor that has properties (Asio 1.18,
 * Boost 1.74 or newer): that of a thread_pool or an io_context, any_io_executor, or a strand.
 *
 *     tls::map own;
 *     asio::co_spawn(tls::in_map(asio::make_strand(pool), own), session(), asio::detached);
 *
 * Every handler of such an executor runs in the map `own` (tls::map). Use it for the values of a
 * coroutine or a session that is resumed on different threads. Only one handler may run at a time,
 * so the executor inside is a strand.
 *
 * Include this header after the headers of Asio, either those of Boost.Asio or those of Asio
 * without Boost. In a file that includes both, this header uses Boost.Asio.
 */
#ifndef THREADLOCALMAP_ASIO_HPP
#define THREADLOCALMAP_ASIO_HPP

#if defined(BOOST_ASIO_DETAIL_CONFIG_HPP)
#include <boost/asio/version.hpp>
/** The namespace of the Asio that this header uses. */
#define THREADLOCALMAP_ASIO ::boost::asio
/** The version of the Asio that this header uses. */
#define THREADLOCALMAP_ASIO_VERSION BOOST_ASIO_VERSION
#elif defined(ASIO_DETAIL_CONFIG_HPP)
#include <asio/version.hpp>
#define THREADLOCALMAP_ASIO ::asio
#define THREADLOCALMAP_ASIO_VERSION ASIO_VERSION
#else
#error "include <boost/asio.hpp> or <asio.hpp> before <threadlocalmap/asio.hpp>"
#endif

#include <type_traits>
#include <utility>

#include "map.hpp"
#include "tasks.hpp"

namespace tls {
inline namespace TLS_PRIVATE_MODE {

namespace detail {

/** Wraps a handler so that it runs as a task. */
struct in_scope {
  template <class F>
  auto operator()(F &&f) const {
    return task<std::decay_t<F>>(std::forward<F>(f));
  }

  bool operator==(const in_scope &) const noexcept { return true; }
};

/** Wraps a handler so that it runs in a map. */
struct in_one_map {
  const map *own;

  template <class F>
  auto operator()(F &&f) const {
    return [own = own, f = std::decay_t<F>(std::forward<F>(f))]() mutable {
      const map::guard inside(*own);
      std::move(f)();
    };
  }

  bool operator==(const in_one_map &other) const noexcept { return own == other.own; }
};

}  // namespace detail

/**
 * An executor that wraps the functions that it executes. tls::scoped() and tls::in_map() return it.
 * It has the properties of the executor inside. It can be copied.
 *
 * @tparam Inner The type of the executor inside.
 * @tparam Wrap A function that is called with a function and returns the wrapped function.
 */
template <class Inner, class Wrap>
class wrapping_executor {
  template <class Other>
  using wrapping = wrapping_executor<std::decay_t<Other>, Wrap>;

 public:
  /**
   * Makes an executor.
   *
   * @param inner The executor that runs the wrapped functions.
   * @param wrap The function that wraps them.
   */
  explicit wrapping_executor(Inner inner, Wrap wrap = Wrap()) noexcept
      : inner_(std::move(inner)), wrap_(std::move(wrap)) {}

  /**
   * Wraps a function, and executes it with the executor inside.
   *
   * @tparam F The type of the function.
   * @param f The function.
   * @throws std::system_error if the task for the function could not be made; and what the executor
   *   inside throws.
   */
  template <class F>
  void execute(F &&f) const {
#if THREADLOCALMAP_ASIO_VERSION < 102400
    THREADLOCALMAP_ASIO::execution::execute(inner_, wrap_(std::forward<F>(f)));
#else
    inner_.execute(wrap_(std::forward<F>(f)));
#endif
  }

  // The next three call the functions of Asio, because the member functions of executors may be
  // private. They do not exist for properties that the executor inside does not have.

  /**
   * Returns the value of a property of the executor inside.
   *
   * @tparam Property The type of the property.
   * @tparam Executor The type of the executor inside; do not specify it.
   * @param property The property.
   * @return The value of the property.
   */
  template <class Property, class Executor = const Inner &>
  auto query(const Property &property) const
      noexcept(noexcept(THREADLOCALMAP_ASIO::query(std::declval<Executor>(), property)))
          -> decltype(THREADLOCALMAP_ASIO::query(std::declval<Executor>(), property)) {
    return THREADLOCALMAP_ASIO::query(inner_, property);
  }

  /**
   * Returns an executor that has a property and wraps functions in the same way.
   *
   * @tparam Property The type of the property.
   * @tparam Executor The type of the executor inside; do not specify it.
   * @param property The property.
   * @return The executor.
   */
  template <class Property, class Executor = const Inner &>
  auto require(const Property &property) const
      noexcept(noexcept(THREADLOCALMAP_ASIO::require(std::declval<Executor>(), property)))
          -> wrapping<decltype(THREADLOCALMAP_ASIO::require(std::declval<Executor>(), property))> {
    auto inner = THREADLOCALMAP_ASIO::require(inner_, property);
    return wrapping<decltype(inner)>(std::move(inner), wrap_);
  }

  /**
   * Returns an executor that wraps functions in the same way and has a property, if the executor
   * inside supports the property.
   *
   * @tparam Property The type of the property.
   * @tparam Executor The type of the executor inside; do not specify it.
   * @param property The property.
   * @return The executor.
   */
  template <class Property, class Executor = const Inner &>
  auto prefer(const Property &property) const
      noexcept(noexcept(THREADLOCALMAP_ASIO::prefer(std::declval<Executor>(), property)))
          -> wrapping<decltype(THREADLOCALMAP_ASIO::prefer(std::declval<Executor>(), property))> {
    auto inner = THREADLOCALMAP_ASIO::prefer(inner_, property);
    return wrapping<decltype(inner)>(std::move(inner), wrap_);
  }

  /**
   * Compares two executors.
   *
   * @param a The first executor.
   * @param b The second executor.
   * @return Whether the executors inside are equal and both wrap functions in the same way.
   */
  friend bool operator==(const wrapping_executor &a, const wrapping_executor &b) noexcept {
    return a.inner_ == b.inner_ && a.wrap_ == b.wrap_;
  }

  /**
   * Compares two executors.
   *
   * @param a The first executor.
   * @param b The second executor.
   * @return Whether they are different.
   */
  friend bool operator!=(const wrapping_executor &a, const wrapping_executor &b) noexcept {
    return !(a == b);
  }

 private:
  Inner inner_;
  Wrap wrap_;
};

/**
 * Returns an executor that runs each function as a tls::task: in a scope, with the context of the
 * thread that submits the function.
 *
 * @tparam Executor The type of the executor.
 * @param executor The executor that runs the functions.
 * @return The new executor.
 */
template <class Executor>
wrapping_executor<Executor, detail::in_scope> scoped(Executor executor) {
  return wrapping_executor<Executor, detail::in_scope>(std::move(executor));
}

/**
 * Returns an executor that runs each function in a map. Only one function may run at a time.
 *
 * @tparam Executor The type of the executor.
 * @param executor The executor that runs the functions, for example a strand.
 * @param own The map; it must outlive the functions.
 * @return The new executor.
 */
template <class Executor>
wrapping_executor<Executor, detail::in_one_map> in_map(Executor executor, const map &own) {
  return wrapping_executor<Executor, detail::in_one_map>(std::move(executor), {&own});
}

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
