/**
 * @file
 * threadlocalmap/shared_task.hpp - tasks that can be copied, for pools that copy them.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_SHARED_TASK_HPP
#define THREADLOCALMAP_SHARED_TASK_HPP

#include "tasks.hpp"

#include <atomic>
#include <memory>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>

namespace tls {
inline namespace TLS_PRIVATE_MODE {

/**
 * A tls::task that can be copied, and that can be called as a const object. Use it for
 * std::function, oneTBB, Taskflow, and pools that are built on them. All copies are the same task:
 * only one of them can be called, and only once.
 *
 * @tparam F The type of the function.
 */
template <class F>
class shared_task {
 public:
#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Makes a task of a function, with a context of the calling thread.
   *
   * @param f The function.
   * @throws std::system_error with errc::init if a value could not be copied, or with
   *   errc::no_memory.
   * @throws std::bad_alloc if memory could not be allocated.
   */
  explicit shared_task(F f) : task_(new once(std::move(f))) {}
#endif

  /**
   * Makes a task of a function, with a context of the calling thread. After an error the task is
   * empty. If the C++ library cannot allocate memory, the error is errc::no_memory; without
   * exceptions this terminates the program.
   *
   * @param f The function.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  shared_task(F f, std::error_code &error) {
    std::unique_ptr<once> made(new (std::nothrow) once(std::move(f), error));
    if (made == nullptr) error = make_error_code(errc::no_memory);
    if (!error) detail::allocating_elsewhere(error, [&] { task_ = std::move(made); });
  }

  /**
   * Calls the function in a scope, like task::operator()(). The second call of any copy, and a call
   * of an empty task, are errors; without exceptions they terminate the program.
   *
   * @tparam Arguments The types of the arguments.
   * @param arguments The arguments.
   * @return The result of the function.
   * @throws std::system_error with errc::invalid if the task was called before, or is empty; and
   *   what the function throws.
   */
  template <class... Arguments>
  std::invoke_result_t<F, Arguments...> operator()(Arguments &&...arguments) const {
    if (task_ == nullptr || task_->called.exchange(true)) detail::refuse_call();
    return task_->own(std::forward<Arguments>(arguments)...);
  }

 private:
  /** Several threads may call copies at the same time. */
  struct once {
    template <class... Error>
    explicit once(F &&f, Error &...error) : own(std::move(f), error...) {}

    task<F> own;
    std::atomic<bool> called{false};
  };

  // Not made by std::make_shared(), which would define a unique symbol: see config.hpp.
  std::shared_ptr<once> task_;
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
