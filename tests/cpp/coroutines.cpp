// SPDX-License-Identifier: MIT OR Apache-2.0
// C++20 coroutines that are resumed on different threads, through the C header.
//
// Each has a map of its own, which the one who resumes it switches to: its values are there on every
// thread. Others have none: they find the values of the thread that resumes them, also where a
// compiler sees a look-up before and a look-up after co_await in one function.
//
// A program of its own, compiled as C++20 and run by tests/coroutines.rs.
#include "test.h"

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t WORKERS = 3;

// What is started, suspended, and resumed by workers, until it is done.
struct job {
    struct promise_type {
        tls_map_t *map = nullptr; // switched to while it runs, if there is one
        std::size_t next = 0;     // the worker that resumes it

        job get_return_object()
        {
            return job{std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::abort(); }
        ~promise_type() { CHECK_OK(tls_map_destroy(map)); }
    };
    std::coroutine_handle<promise_type> handle;
};

using handle_t = std::coroutine_handle<job::promise_type>;

// co_await move_to{n}: goes on on worker n.
struct move_to {
    std::size_t worker;

    bool await_ready() const noexcept { return false; }
    void await_suspend(handle_t handle) const noexcept { handle.promise().next = worker; }
    void await_resume() const noexcept {}
};

class pool {
public:
    pool()
    {
        for (std::size_t number = 0; number < WORKERS; number++)
            threads.emplace_back([this, number] { work(number); });
    }

    // Runs jobs until all are done.
    void run(const std::vector<job> &jobs)
    {
        std::unique_lock<std::mutex> guard(mutex);
        alive += jobs.size();
        for (const job &each : jobs)
            queues[each.handle.promise().next].push_back(each.handle);
        changed.notify_all();
        changed.wait(guard, [this] { return alive == 0; });
    }

    ~pool()
    {
        {
            const std::lock_guard<std::mutex> guard(mutex);
            stopping = true;
        }
        changed.notify_all();
        for (std::thread &thread : threads)
            thread.join();
    }

    // The worker that the calling thread is.
    static std::size_t here() { return number_here; }

private:
    void work(std::size_t number)
    {
        number_here = number;
        std::unique_lock<std::mutex> guard(mutex);
        for (;;) {
            changed.wait(guard, [&] { return stopping || !queues[number].empty(); });
            if (stopping)
                return;
            const handle_t handle = queues[number].front();
            queues[number].pop_front();
            guard.unlock();
            const bool done = resume(handle);
            guard.lock();
            // Only now may another worker have it: its map is nobody's again.
            if (done)
                alive--;
            else
                queues[handle.promise().next].push_back(handle);
            changed.notify_all();
        }
    }

    static bool resume(handle_t handle)
    {
        tls_map_t *map = handle.promise().map;
        if (map != nullptr)
            CHECK_OK(tls_map_switch(map, nullptr));
        handle.resume();
        if (map != nullptr)
            CHECK_OK(tls_map_switch(nullptr, nullptr));
        const bool done = handle.done();
        if (done)
            handle.destroy();
        return done;
    }

    static thread_local std::size_t number_here;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<handle_t> queues[WORKERS];
    std::size_t alive = 0;
    bool stopping = false;
    std::vector<std::thread> threads;
};

thread_local std::size_t pool::number_here = WORKERS;

// ---- Coroutines with a map --------------------------------------------------

std::size_t made;
std::size_t ended;

int make_value(void **value, void *user)
{
    (void)user;
    *value = new std::size_t(0);
    test_count_up(&made);
    return 0;
}

void end_value(void *value, int reason, void *user)
{
    (void)reason;
    (void)user;
    delete static_cast<std::size_t *>(value);
    test_count_up(&ended);
}

tls_key_t counter;

job count_on_all_workers(std::size_t number, std::size_t moves, tls_key_t dying)
{
    std::size_t *first = static_cast<std::size_t *>(tls_get(counter));
    CHECK_OK(tls_set(dying, new std::size_t(number)));
    test_count_up(&made);
    for (std::size_t move = 1; move <= moves; move++) {
        ++*static_cast<std::size_t *>(tls_get(counter));
        co_await move_to{(number + move) % WORKERS};
        CHECK_UINT(pool::here(), (number + move) % WORKERS);
        CHECK_PTR(tls_get(counter), first);
        CHECK_PTR(tls_get_existing(counter), first);
        CHECK_UINT(*first, move);
        if (move == moves / 2 && number == 0)
            CHECK_OK(tls_key_release(dying)); // the others have it in maps that are parked
        tls_expunge();
        tls_scope_t scope;
        CHECK_OK(tls_scope_begin(&scope, nullptr));
        CHECK_OK(tls_set(counter, new std::size_t(1000 + number)));
        test_count_up(&made);
        co_await move_to{(number + 2 * move) % WORKERS};
        CHECK_UINT(*static_cast<std::size_t *>(tls_get(counter)), 1000 + number);
        CHECK_OK(tls_scope_end(scope));
        CHECK_PTR(tls_get(counter), first);
    }
}

void coroutines_with_a_map_find_their_values_on_every_thread()
{
    constexpr std::size_t COROUTINES = 40;
    const std::size_t moves = test_scaled(100, 6);
    tls_key_options_t options = test_options();
    options.destroy = end_value;
    const tls_key_t dying = test_key_from(&options);
    options.init = make_value;
    counter = test_key_from(&options);
    {
        pool workers;
        std::vector<job> jobs;
        for (std::size_t number = 0; number < COROUTINES; number++) {
            jobs.push_back(count_on_all_workers(number, moves, dying));
            CHECK_OK(tls_map_create(&jobs.back().handle.promise().map));
        }
        workers.run(jobs);
    }
    CHECK_UINT(made, COROUTINES * (2 + moves));
    CHECK_UINT(ended, made);
    CHECK_OK(tls_key_release(counter));
    CHECK_CODE(tls_key_release(dying), TLS_ERR_DEAD_KEY);
    CHECK_UINT(test_stats().dead_keys, 0);
}

// ---- Coroutines without ------------------------------------------------------

tls_key_t of_worker;

job set_on_each_worker()
{
    for (std::size_t worker = 0; worker < WORKERS; worker++) {
        co_await move_to{worker};
        CHECK_OK(tls_set(of_worker, VALUE(worker + 1)));
    }
}

job look_on_each_worker(std::size_t rounds)
{
    for (std::size_t round = 0; round < rounds; round++) {
        co_await move_to{0};
        void *on_first = tls_get(of_worker);
        co_await move_to{1};
        void *on_second = tls_get(of_worker);
        co_await move_to{2};
        void *on_third = tls_get_existing(of_worker);
        CHECK_PTR(on_first, VALUE(1));
        CHECK_PTR(on_second, VALUE(2));
        CHECK_PTR(on_third, VALUE(3));
    }
}

void a_look_up_after_co_await_is_of_the_thread_that_goes_on()
{
    of_worker = test_key();
    {
        pool workers;
        workers.run({set_on_each_worker()});
        std::vector<job> jobs;
        for (std::size_t number = 0; number < 8; number++)
            jobs.push_back(look_on_each_worker(test_scaled(200, 10)));
        workers.run(jobs);
    }
    CHECK_OK(tls_key_release(of_worker));
}

} // namespace

int main()
{
    RUN(coroutines_with_a_map_find_their_values_on_every_thread);
    RUN(a_look_up_after_co_await_is_of_the_thread_that_goes_on);
    return test_finish();
}
