// SPDX-License-Identifier: MIT OR Apache-2.0
// std::async: tasks take the inherited values of the thread that made them along, and leave nothing in
// the thread that runs them.
#include <future>
#include <threadlocalmap.hpp>
#include <vector>

#include "parser.h"

int main() {
  struct parser parser;
  parser_open(&parser, 0);
  const auto count = [&] { return parser_count_words(&parser, "the quick brown fox"); };
  std::vector<std::future<size_t>> counts;
  for (int i = 0; i < 32; i++) counts.push_back(std::async(tls::task(count)));
  size_t words = 0;
  for (auto &one : counts) words += one.get();
  const int left = parser_report("all have ended, the parser has not", words);
  parser_close(&parser);
  return left;
}
