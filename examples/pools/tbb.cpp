// SPDX-License-Identifier: MIT OR Apache-2.0
// oneTBB: each thread has a scope while it is in an arena, so the buffers that it makes there are freed
// when it leaves; and tasks that have a scope each.
#include <tbb/parallel_for.h>
#include <tbb/task_group.h>
#include <threadlocalmap/tbb.hpp>

#include <atomic>
#include <thread>

#include "parser.h"

int main() {
  parser parser;
  std::atomic<size_t> words{0};
  parser_open(&parser, 0);

  tbb::task_arena arena(4);
  tls::arena_observer observer(arena);
  arena.execute([&] {
    tbb::parallel_for(0, 1000, [&](int) { words += parser_count_words(&parser, "the quick fox"); });
    tbb::task_group group;
    group.run(tls::shared_task([&] { words += parser_count_words(&parser, "jumps over"); }));
    group.wait();
  });
  // Workers leave some time after the work is done. Until then the buffers stay.
  while (buffers_made != buffers_freed) std::this_thread::yield();
  const int left = parser_report("the arena is empty", words);
  parser_close(&parser);
  return left;
}
