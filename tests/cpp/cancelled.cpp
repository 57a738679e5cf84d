// SPDX-License-Identifier: MIT OR Apache-2.0
// A thread is cancelled, or exits, in the middle of what the library has called: glibc unwinds its
// stack through the library, and the thread's values end as always.
#include "support.hpp"

#include <pthread.h>

using tls::local;

namespace {

struct scene {
    ledger book;
    local<counted> other{std::in_place, std::ref(book)};
    local<int> leaving{[this]() -> int {
        other.get();
        pthread_exit(this);
    }};
    local<int> visited{tls::options<int>().enumerable()};
    int unwound = 0;
};

struct on_unwinding {
    int &count;
    ~on_unwinding() { count++; }
};

void *exit_in_a_factory(void *argument)
{
    auto &here = *static_cast<scene *>(argument);
    const on_unwinding seen{here.unwound};
    here.leaving.get();
    return nullptr;
}

void *exit_in_a_task(void *argument)
{
    auto &here = *static_cast<scene *>(argument);
    const on_unwinding seen{here.unwound};
    tls::task([&] {
        here.other.get();
        pthread_exit(&here);
    })();
    return nullptr;
}

template <bool Locked>
void *exit_in_a_visit(void *argument)
{
    auto &here = *static_cast<scene *>(argument);
    const on_unwinding seen{here.unwound};
    here.other.get();
    const auto leave = [&](int &) { pthread_exit(&here); };
    if (Locked) here.visited.all_threads().for_each_locked(leave);
    else here.visited.all_threads().for_each(leave);
    return nullptr;
}

// How the thread ended: with what pthread_exit was given.
void *run_to_end(void *(*body)(void *), scene &here)
{
    pthread_t thread;
    void *result = nullptr;
    REQUIRE(pthread_create(&thread, nullptr, body, &here) == 0);
    REQUIRE(pthread_join(thread, &result) == 0);
    return result;
}

} // namespace

TEST_CASE("a thread exits inside a factory", "[cancelled]")
{
    scene here;
    CHECK(run_to_end(exit_in_a_factory, here) == &here);
    CHECK(here.unwound == 1);
    CHECK(here.book.made == 1);
    CHECK(here.book.alive() == 0);
}

TEST_CASE("a thread exits inside a task", "[cancelled]")
{
    scene here;
    CHECK(run_to_end(exit_in_a_task, here) == &here);
    CHECK(here.unwound == 1);
    CHECK(here.book.made == 1);
    CHECK(here.book.alive() == 0);
}

TEST_CASE("a thread exits inside a visit, which ends with it", "[cancelled]")
{
    for (void *(*body)(void *) : {exit_in_a_visit<false>, exit_in_a_visit<true>}) {
        scene here;
        *here.visited = 1;
        CHECK(run_to_end(body, here) == &here);
        CHECK(here.unwound == 1);
        CHECK(here.book.made == 1);
        CHECK(here.book.alive() == 0);
        here.visited.reset(std::make_unique<int>(2));
        CHECK(here.visited.all_threads().snapshot() == std::vector<int>{2});
    }
}
