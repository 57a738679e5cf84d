// SPDX-License-Identifier: MIT OR Apache-2.0
// Real threads that make, replace, move and drop values while others end the objects.
#include "support.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include <sys/wait.h>
#include <unistd.h>

using tls::local;
using tls::options;
using tls::thread_local_ptr;

namespace {

// Runs `work` on so many threads, and waits for them.
template <class Work>
void on_threads(int count, Work work)
{
    std::vector<std::thread> threads;
    for (int i = 0; i < count; i++) threads.emplace_back(work, i);
    for (std::thread &each : threads) each.join();
}

// Large enough that a torn or reused one is seen.
class pattern {
public:
    explicit pattern(ledger &book) : life(book) { refill(0); }
    void refill(unsigned char seed)
    {
        for (std::size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<unsigned char>(seed + i);
    }
    bool whole() const
    {
        for (std::size_t i = 0; i < bytes.size(); i++)
            if (bytes[i] != static_cast<unsigned char>(bytes[0] + i)) return false;
        return true;
    }

private:
    counted life;
    std::array<unsigned char, 2400> bytes;
};

} // namespace

TEST_CASE("many objects on many threads keep their patterns, and each value ends once", "[races]")
{
    ledger book;
    std::atomic<bool> whole{true};
    {
        std::vector<local<pattern>> objects;
        for (int i = 0; i < 250; i++) objects.emplace_back(std::in_place, std::ref(book));
        on_threads(16, [&](int thread) {
            for (int round = 0; round < repetitions(20); round++) {
                for (std::size_t i = 0; i < objects.size(); i++) {
                    if (!objects[i]->whole()) whole = false;
                    objects[i]->refill(static_cast<unsigned char>(thread * 7 + round));
                    if (i % 17 == 0) objects[i].reset();
                }
            }
        });
    }
    CHECK(whole);
    CHECK(book.alive() == 0);
    CHECK(book.made >= 16 * 250);
}

namespace {

// Threads end while the object does; and threads that stay.
void end_together(options<counted> asked, bool expunge)
{
    ledger book;
    for (int round = 0; round < repetitions(200); round++) {
        auto value = std::make_unique<local<counted>>(asked, std::in_place, std::ref(book));
        std::atomic<int> ready{0};
        std::atomic<bool> go{false};
        std::vector<std::thread> threads;
        for (int i = 0; i < 8; i++) {
            threads.emplace_back([&, i] {
                (*value)->number = i;
                ready++;
                while (!go) std::this_thread::yield();
                if (expunge) tls::expunge();
            });
        }
        while (ready < 8) std::this_thread::yield();
        go = true;
        value.reset();
        for (std::thread &each : threads) each.join();
    }
    CHECK(book.made == 8 * repetitions(200));
    CHECK(book.alive() == 0);
}

} // namespace

TEST_CASE("threads end while the object does: each value ends once", "[races]")
{
    end_together(options<counted>(), false);
    end_together(options<counted>().any_thread_destroys(), false);
    end_together(options<counted>().any_thread_destroys().enumerable(), false);
}

TEST_CASE("threads expunge while the object ends: each value ends once", "[races]")
{
    end_together(options<counted>(), true);
    end_together(options<counted>().enumerable(), true);
    end_together(options<counted>().any_thread_destroys(), true);
}

TEST_CASE("each value of a long-lived worker ends on it, however many objects come and go", "[races]")
{
    ledger book;
    constexpr int workers = 4;
    const int objects = repetitions(2000);
    std::vector<std::unique_ptr<worker>> pool;
    std::vector<std::thread::id> ids;
    for (int i = 0; i < workers; i++) {
        pool.push_back(std::make_unique<worker>());
        ids.push_back(pool.back()->id());
    }
    std::size_t left = 0;
    for (int i = 0; i < objects; i++) {
        thread_local_ptr<counted> value;
        worker &one = *pool[static_cast<std::size_t>(i % workers)];
        one.ask([&] {
            if (value.get() != nullptr) throw std::string("a new object has an old value");
            value.reset(new counted(book, i));
            left = std::max(left, tls_stale_count());
        });
    }
    for (auto &each : pool) each->ask([] { tls::expunge(); });
    CHECK(left <= 8); // Nobody asked to expunge: making values does a little of it.
    CHECK(book.ended == objects);
    for (const std::thread::id ender : book.ended_by())
        if (std::find(ids.begin(), ids.end(), ender) == ids.end()) FAIL("ended on another thread");
}

TEST_CASE("threads give one object its first values with deleters, all at once", "[races]")
{
    for (int round = 0; round < repetitions(300); round++) {
        std::atomic<int> ended{0}, ready{0};
        thread_local_ptr<int> pointer;
        on_threads(4, [&](int thread) {
            ready++;
            while (ready < 4) std::this_thread::yield();
            pointer.reset(new int(thread), [&](int *value) { ended++; delete value; });
            if (*pointer != thread) ended = 1000;
        });
        CHECK(ended == 4);
    }
}

TEST_CASE("threads read one factory at once, and some of their values fail", "[races][exceptions]")
{
    std::atomic<int> calls{0}, caught{0}, made{0};
    local<int> value([&]() -> int {
        if (++calls % 3 == 0) throw calls.load();
        return 1;
    });
    on_threads(8, [&](int) {
        for (int i = 0; i < repetitions(2000); i++) {
            try {
                made += *value;
            } catch (int) {
                caught++;
            }
            value.reset();
        }
    });
    CHECK(made + caught == 8 * repetitions(2000));
    CHECK(caught == calls / 3);
}

namespace {

// As docs/migrating.md has it, in the place of folly's strict mode.
struct counters {
    std::mutex readers; // And of total.
    long total = 0;
    local<std::atomic<long>> hits{tls::presets::folly, [this] {
        tls::at_thread_exit([this] {
            const std::lock_guard<std::mutex> guard(readers);
            if (auto *own = hits.get_existing()) total += own->exchange(0);
        });
        return std::atomic<long>(0);
    }};
    long read()
    {
        const std::lock_guard<std::mutex> guard(readers);
        return hits.all_threads().reduce(total, [](long sum, const auto &each) { return sum + each; });
    }
};

} // namespace

TEST_CASE("readers count each thread once while threads end, by a hook under their lock", "[races]")
{
    counters counts;
    const int rounds = repetitions(300);
    std::atomic<int> counted_so_far{0};
    std::atomic<bool> done{false};
    std::thread maker([&] {
        for (int i = 0; i < rounds; i++) {
            std::thread([&] {
                ++*counts.hits;
                counted_so_far++;
            }).join();
        }
        done = true;
    });
    bool right = true;
    while (!done) {
        const long before = counted_so_far, sum = counts.read(), after = counted_so_far + 1;
        right = right && before <= sum && sum <= after;
    }
    maker.join();
    CHECK(right);
    CHECK(counts.read() == rounds);
}

TEST_CASE("a process forks: the child has its thread's values, and everything works in it", "[races][fork]")
{
    ledger book;
    worker other;
    auto value = std::make_unique<local<counted>>(options<counted>().enumerable(), std::in_place,
                                                  std::ref(book), 5);
    value->get()->number = 6;
    other.ask([&] { value->get(); });
    // Under the thread sanitizer this also shows that a fork does not hold more locks than it knows.
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        int visits = 0;
        value->combine_each([&](counted &each) { visits += each.number; });
        if (visits != 6) _exit(1);
        value.reset();
        if (book.ended != 1) _exit(2); // The other thread is not here, nor is its value.
        local<counted> after(std::in_place, std::ref(book), 7);
        _exit(after->number);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 7);
    value.reset();
    other.ask([] { tls::expunge(); });
    CHECK(book.alive() == 0);
}
