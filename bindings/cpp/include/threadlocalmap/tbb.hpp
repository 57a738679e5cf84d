/**
 * @file
 * threadlocalmap/tbb.hpp - scopes for the threads of oneTBB's arenas.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *     tbb::task_arena arena(4);
 *     tls::arena_observer observer(arena);    before you give work to the arena
 *
 * While the observer exists, a scope is open on each thread that is in the arena. When a thread
 * leaves the arena, the values that it set there are destroyed, and it expunges. Values of objects
 * with tls::options::worker() (TLS_KEY_WORKER) remain. A worker leaves the arena when there is no
 * work for it. A thread that calls execute() leaves when execute() returns.
 *
 * To run each task in a scope of its own, with the context of the thread that submits it, wrap the
 * task. TBB copies tasks and calls them as const objects, so use tls::shared_task:
 *
 *     group.run(tls::shared_task([&] { ... }));
 *
 * Without exceptions, use the constructor with a std::error_code: tls::shared_task(f, error).
 *
 * WORKERS THAT SLEEP
 *   A worker that sleeps is in no arena and runs no function of the program. Its stale values of
 *   objects with tls::options::worker() are destroyed when it next leaves an arena, or when it ends
 *   (tbb::finalize). Values that any thread may destroy (TLS_RECLAIM_ANY) do not wait for it.
 */
#ifndef THREADLOCALMAP_TBB_HPP
#define THREADLOCALMAP_TBB_HPP

#include <tbb/task_arena.h>
#include <tbb/task_scheduler_observer.h>

#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include "error.hpp"
#include "shared_task.hpp"
#include "this_thread.hpp"
#include "thread_local_ptr.hpp"

namespace tls {
inline namespace TLS_PRIVATE_MODE {

/**
 * Opens a scope on each thread that enters an arena, and closes it when the thread leaves. Make one
 * observer for each arena. The arena must outlive it.
 */
class arena_observer : public tbb::task_scheduler_observer {
 public:
#if TLS_PRIVATE_EXCEPTIONS
  /**
   * Observes an arena from now on.
   *
   * @param arena The arena.
   * @throws std::system_error with errc::no_memory or errc::limit.
   * @throws std::bad_alloc if oneTBB could not allocate memory.
   */
  explicit arena_observer(tbb::task_arena &arena)
      : task_scheduler_observer(arena), stay_(options<scope>().worker()) {
    observe(true);
  }
#endif

  /**
   * Observes an arena from now on. After an error it observes nothing: no scope is opened. If
   * oneTBB cannot allocate memory, the error is errc::no_memory; without exceptions this terminates
   * the program.
   *
   * @param arena The arena.
   * @param[out] error The error if the call fails; cleared otherwise.
   */
  arena_observer(tbb::task_arena &arena, std::error_code &error)
      : task_scheduler_observer(arena), stay_(options<scope>().worker(), error) {
    if (!error) detail::allocating_elsewhere(error, [this] { observe(true); });
  }

  /** Stops observing the arena. */
  ~arena_observer() override { observe(false); }

  /**
   * Opens a scope. oneTBB calls this function when a thread enters the arena. If memory cannot be
   * allocated, no scope is opened, and values remain as they would without an observer.
   */
  void on_scheduler_entry(bool) override {
    std::error_code error;
    std::unique_ptr<scope> stay(new (std::nothrow) scope(error));
    if (stay != nullptr && !error) stay_.reset(std::move(stay), error);
  }

  /** Closes the scope, and expunges. oneTBB calls this function when a thread leaves the arena. */
  void on_scheduler_exit(bool) override {
    stay_.reset();
    expunge();
  }

 private:
  thread_local_ptr<scope> stay_;
};

}  // namespace TLS_PRIVATE_MODE
}  // namespace tls

#endif
