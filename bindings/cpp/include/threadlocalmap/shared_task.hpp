/**
 * @file
 * threadlocalmap/shared_task.hpp - tasks for pools that copy them.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef THREADLOCALMAP_SHARED_TASK_HPP
#define THREADLOCALMAP_SHARED_TASK_HPP

#include "tasks.hpp"

#include <memory>
#include <type_traits>
#include <utility>

namespace tls {
inline namespace TLS_PRIVATE_MODE {

/**
 * A tls::task that can be copied, and called as a const object: for std::function, oneTBB,
 * Taskflow, and pools that are built on them. All copies are one task: one of them is called, once.
 */
template <class F>
class shared_task {
 public:
#if TLS_PRIVATE_EXCEPTIONS
  explicit shared_task(F f) : task_(new task<F>(std::move(f))) {}
#endif

  /** After an error it is empty. */
  shared_task(F f, std::error_code &error) : task_(new task<F>(std::move(f), error)) {}

  template <class... Arguments>
  std::invoke_result_t<F, Arguments...> operator()(Arguments &&...arguments) const {
    return (*task_)(std::forward<Arguments>(arguments)...);
  }

 private:
  std::shared_ptr<task<F>> task_;  // Not by make_shared, which brings a unique symbol: config.hpp.
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
