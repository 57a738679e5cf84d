/*
 * threadlocalmap/tbb.hpp - oneTBB's arenas: threads are after them as they were before.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *     tbb::task_arena arena(4);
 *     tls::arena_observer observer(arena);    before work is given to it
 *
 * From then on each thread has a scope while it is in the arena: values that it sets there are destroyed
 * on it when it leaves, except those of options::worker() (TLS_KEY_WORKER), and it expunges then. A
 * worker leaves when there is no work for it; the thread that calls execute() leaves when that returns.
 *
 * To give each task a scope and the submitter's inherited values, wrap the task. TBB copies tasks and
 * calls them as const, so use tls::shared_task.
 *
 *     group.run(tls::shared_task([&] { ... }));
 *
 * WORKERS THAT SLEEP
 *   A worker that sleeps is in no arena, and can't be woken by a waker: stale values of
 *   options::worker() stay until it next leaves an arena, or ends (tbb::finalize). Values that any
 *   thread may destroy (TLS_RECLAIM_ANY) do not wait.
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
