/*
 * threadlocalmap/tbb.hpp - oneTBB's arenas, whose threads leave them as they came.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *     tbb::task_arena arena(4);
 *     tls::arena_observer observer(arena);    before work is given to it
 *
 * From then on each thread's stay in the arena is a scope: what it sets there and does not keep for
 * longer (options::worker(), TLS_KEY_WORKER) ends when it leaves, on it, and it expunges then. A
 * worker leaves when there is no work for it; the thread that calls execute(), when that returns.
 *
 * For a scope of each task, and for what the submitter has, wrap the task: it is const and copied,
 * so it takes tls::shared_task.
 *
 *     group.run(tls::shared_task([&] { ... }));
 *
 * WORKERS THAT SLEEP
 *   belong to no arena, and can't be called: what they keep for longer ends when they next leave an
 *   arena, or end (tbb::finalize). Objects that die while they sleep and whose values may be
 *   destroyed by any thread (TLS_RECLAIM_ANY) need not wait.
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

/** One for each arena; it must not outlive it. */
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
