// SPDX-License-Identifier: MIT OR Apache-2.0
// Boost.Asio's thread_pool: an executor that makes every function a task with a scope of its own,
// and a sweep that wakes the workers when a parser has ended while they slept.
#include <boost/asio.hpp>
#include <threadlocalmap_sweep.h>

#include <atomic>
#include <threadlocalmap/asio.hpp>

#include "parser.h"

static int post_to_pool(void *pool, void (*run)(void *), void *argument) {
  boost::asio::post(*static_cast<boost::asio::thread_pool *>(pool), [=] { run(argument); });
  return 0;
}

int main() {
  boost::asio::thread_pool pool(4);
  const auto executor = tls::scoped(pool.get_executor());
  tls_sweep_t sweep;
  // -1: no task of this pool waits for another task, so a sweep may wait for all workers.
  if (tls_sweep_init(&sweep, 4, -1, post_to_pool, &pool) != 0) return 1;

  struct parser parser;
  std::atomic<size_t> words{0};
  std::atomic<int> waiting{200};
  parser_open(&parser, TLS_KEY_WORKER);
  for (int i = 0; i < 200; i++)
    boost::asio::post(executor, [&] {
      tls_sweep_watch(&sweep);
      words += parser_count_words(&parser, "the quick brown fox");
      waiting--;
    });
  while (waiting != 0) sched_yield();
  const tls_key_t key = parser.buffer;
  parser_close(&parser);
  tls_key_drain(key, -1, nullptr);  // the workers are woken; waits until none has a buffer
  const int left = parser_report("the workers sleep", words);
  tls_sweep_stop(&sweep);
  pool.join();
  tls_sweep_destroy(&sweep);
  return left;
}
