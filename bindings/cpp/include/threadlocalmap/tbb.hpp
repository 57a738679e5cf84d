/**
 * @file
 * threadlocalmap/tbb.hpp - scopes for the threads of oneTBB's arenas.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *     tbb::task_arena arena(4);
 *     tls::arena_observer observer(arena);    before you give work to the arena
 *
 * From then on a scope is open while a thread is in the arena. When the thread leaves, it destroys
 * the values that it has set inside, except those that are kept for longer (options::worker(),
 * TLS_KEY_WORKER), and expunges. A worker leaves when there is no work for it. A thread that calls
 * execute() leaves when that returns.
 *
 * To have a scope for each task, and the context of the submitter in it, wrap the task. TBB copies
 * tasks and calls them as const objects, so use tls::shared_task:
 *
 *     group.run(tls::shared_task([&] { ... }));
 *
 * WORKERS THAT SLEEP
 *   A worker that sleeps belongs to no arena, and can't be called. Values that it keeps for longer
 *   are destroyed when it next leaves an arena, or when it ends (tbb::finalize). Values that any
 *   thread may destroy (TLS_RECLAIM_ANY) do not wait for it.
 */
#ifndef THREADLOCALMAP_TBB_HPP
#define THREADLOCALMAP_TBB_HPP

#include <tbb/task_arena.h>
#include <tbb/task_scheduler_observer.h>

#include <memory>
#include <new>
#include <utility>

#include "shared_task.hpp"
#include "this_thread.hpp"
#include "thread_local_ptr.hpp"

namespace tls {
inline namespace TLS_PRIVATE_MODE {

/**
 * Opens a scope for each stay of a thread in an arena. Make one for each arena; the arena must
 * outlive it.
 */
class arena_observer : public tbb::task_scheduler_observer {
 public:
  explicit arena_observer(tbb::task_arena &arena)
      : task_scheduler_observer(arena), stay_(options<scope>().worker()) {
    observe(true);
  }

  ~arena_observer() override { observe(false); }

  void on_scheduler_entry(bool) override {
    std::error_code error;
    std::unique_ptr<scope> stay(new (std::nothrow) scope(error));
    // Without memory there is no scope: what is set then stays, as it would without an observer.
    if (stay != nullptr && !error) stay_.reset(std::move(stay), error);
  }

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
