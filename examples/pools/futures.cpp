// SPDX-License-Identifier: MIT OR Apache-2.0
// A pool that is made of std::function and std::future. It copies what it is given, so it gets a
// tls::shared_task.
#include <threadlocalmap/shared_task.hpp>
#include <vector>

#include "parser.h"
#include <thread_pool/thread_pool.hpp>

int main() {
  thread_pool::ThreadPool pool(4);
  struct parser parser;
  parser_open(&parser, 0);
  const auto count = [&] { return parser_count_words(&parser, "the quick brown fox"); };
  std::vector<std::future<size_t>> counts;
  for (int i = 0; i < 200; i++) counts.push_back(pool.Submit(tls::shared_task(count)));
  size_t words = 0;
  for (auto &one : counts) words += one.get();
  const int left = parser_report("the pool lives, and the parser", words);
  parser_close(&parser);
  return left;
}
