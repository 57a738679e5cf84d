// C++20 coroutines on Asio's pool: each session has a map of its own, and the parser's buffer in it
// goes with the session from thread to thread.
#include <asio.hpp>

#include <atomic>
#include <list>
#include <threadlocalmap/asio.hpp>

#include "parser.h"

static asio::awaitable<void> session(parser &parser, std::atomic<size_t> &words) {
  for (const char *line : {"the quick", "brown fox", "jumps over", "the lazy dog"}) {
    words += parser_count_words(&parser, line);  // one buffer, whatever the thread
    co_await asio::post(asio::use_awaitable);    // others have their turn; then on, on any thread
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
  maps.clear();  // and with them their buffers: 20, of 80 steps
  const int left = buffers_made != 20 || parser_report("all sessions are over", words);
  parser_close(&parser);
  return left;
}
