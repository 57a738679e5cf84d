// SPDX-License-Identifier: MIT OR Apache-2.0
// The C++ headers: each thread has a value of its own.
#include <string>
#include <thread>
#include <threadlocalmap.hpp>

int main() {
  tls::local<std::string> name;
  *name = "main";
  bool empty = false;
  std::thread([&] { empty = name->empty(); }).join();
  return empty && *name == "main" ? 0 : 1;
}
