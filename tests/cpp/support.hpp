// SPDX-License-Identifier: MIT OR Apache-2.0
// What the tests share: a value that counts its lives, and a thread that does what it is told.
//
// Catch2's assertions belong to the main thread. What other threads find is handed back to it, by
// worker::ask().
#ifndef SUPPORT_HPP
#define SUPPORT_HPP

#include <catch2/catch.hpp>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <vector>

#include <threadlocalmap.hpp>

// Where values came and went. One for each test, on its stack.
struct ledger {
    std::atomic<int> made{0};
    std::atomic<int> ended{0};

    void end()
    {
        const std::lock_guard<std::mutex> guard(mutex);
        ended++;
        enders.push_back(std::this_thread::get_id());
    }

    int alive() const { return made - ended; }

    // The threads that destroyed a value, in order.
    std::vector<std::thread::id> ended_by()
    {
        const std::lock_guard<std::mutex> guard(mutex);
        return enders;
    }

private:
    std::mutex mutex;
    std::vector<std::thread::id> enders;
};

// A value that is entered into a ledger.
class counted {
public:
    explicit counted(ledger &in, int first = 0) : number(first), book(&in) { in.made++; }
    counted(const counted &other) : number(other.number), book(other.book) { book->made++; }
    counted &operator=(const counted &) = delete;
    ~counted() { book->end(); }

    int number;

private:
    ledger *book;
};

// A thread of a pool: it does one thing after the other, and ends with its object.
class worker {
public:
    worker() : thread([this] { run(); }) {}
    worker(const worker &) = delete;
    worker &operator=(const worker &) = delete;
    ~worker() { end(); }

    // Does it there, waits for it, and gives what came of it, or its exception.
    template <class Work>
    auto ask(Work work)
    {
        using Result = std::invoke_result_t<Work &>;
        job_for<Work, Result> asked(work);
        hand_over(asked);
        if (asked.thrown) std::rethrow_exception(asked.thrown);
        if constexpr (!std::is_void_v<Result>) return std::move(*asked.result);
    }

    std::thread::id id() const { return thread.get_id(); }

    void end()
    {
        if (!thread.joinable()) return;
        {
            const std::lock_guard<std::mutex> guard(mutex);
            ending = true;
        }
        changed.notify_all();
        thread.join();
    }

private:
    // Plain, because a test has dozens: std::function and std::future take the compiler long.
    struct job {
        virtual void run() = 0;
        std::exception_ptr thrown;

    protected:
        ~job() = default;
    };

    template <class Work, class Result>
    struct job_for final : job {
        explicit job_for(Work &what) : work(what) {}
        void run() override
        {
            if constexpr (std::is_void_v<Result>) work();
            else result.emplace(work());
        }
        Work &work;
        std::optional<std::conditional_t<std::is_void_v<Result>, int, Result>> result;
    };

    void hand_over(job &asked)
    {
        std::unique_lock<std::mutex> lock(mutex);
        given = &asked;
        changed.notify_all();
        changed.wait(lock, [this] { return given == nullptr; });
    }

    void run()
    {
        std::unique_lock<std::mutex> lock(mutex);
        for (;;) {
            changed.wait(lock, [this] { return ending || given != nullptr; });
            if (given == nullptr) return;
            lock.unlock();
            try {
                given->run();
            } catch (...) {
                given->thrown = std::current_exception();
            }
            lock.lock();
            given = nullptr;
            changed.notify_all();
        }
    }

    std::mutex mutex;
    std::condition_variable changed;
    job *given = nullptr;
    bool ending = false;
    std::thread thread; // The last: it uses the others.
};

// How often to repeat something; THREADLOCALMAP_TEST_SCALE divides it, as under a sanitizer.
inline int repetitions(int full)
{
    const char *scale = std::getenv("THREADLOCALMAP_TEST_SCALE");
    const int divisor = scale != nullptr ? std::atoi(scale) : 1;
    return divisor > 1 ? full / divisor + 1 : full;
}

// The error of something that fails, or none.
template <class Work>
std::error_code error_of(Work work)
{
    try {
        work();
    } catch (const std::system_error &error) {
        return error.code();
    }
    return std::error_code();
}

#endif
