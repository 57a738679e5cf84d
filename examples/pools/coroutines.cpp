// SPDX-License-Identifier: MIT OR Apache-2.0
// C++20 coroutines on Asio's pool: each session has a map of its own, and with it its buffer of the
// parser, on whatever thread it runs.
#include <asio.hpp>

#include <atomic>
#include <list>
#include <threadlocalmap/asio.hpp>

#include "parser.h"

static asio::awaitable<void> session(parser &parser, std::atomic<size_t> &words) {
  for (const char *line : {"the quick", "brown fox", "jumps over", "the lazy dog"}) {
    words += parser_count_words(&parser, line);  // the session's buffer, on any thread
    co_await asio::post(asio::use_awaitable);    // lets others run; continues on any thread
  }
}

int main() {
  asio::thread_pool pool(4);
  struct parser parser;
  std::atomic<size_t> words{0};
  std::list<tls::map> maps;
  parser_open(&parser, 0);
  for (int i = 0; i < 20; i++)
    asio::co_spawn(tls::in_map(asio::make_strand(pool), maps.emplace_back()),
                   session(parser, words), asio::detached);
  pool.join();
  maps.clear();  // destroys their buffers: 20, for 80 steps
  const int left = buffers_made != 20 || parser_report("all sessions are over", words);
  parser_close(&parser);
  return left;
}
