// SPDX-License-Identifier: MIT OR Apache-2.0
#include <array>
#include <cstdio>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <threadlocalmap.hpp>

struct buffer {
    std::array<char, 65536> bytes{};
    ~buffer() { std::puts("worker: frees its buffer"); }
};

struct document { // any number of them: each thread has a buffer for each
    tls::local<buffer> scratch;
    void read() { scratch->bytes.fill(' '); } // made at the first use on each thread
};

int main() {
    tls::local user(tls::options<std::string>().inherited());
    auto letter = std::make_unique<document>();
    std::promise<void> read, died;

    std::thread worker([&] { // a pool thread: it outlives every document
        letter->read();
        read.set_value();
        died.get_future().wait();
        std::printf("worker: %zu was stale\n", tls::expunge());
    });
    read.get_future().wait();
    letter.reset(); // the document dies; the thread does not
    died.set_value();
    worker.join();

    *user = "ann";
    tls::task task([&] { return "a task for " + *user; }); // takes along what is inherited
    *user = "bob";
    std::puts(std::async(std::launch::async, std::move(task)).get().c_str());
}
