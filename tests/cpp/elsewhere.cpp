// SPDX-License-Identifier: MIT OR Apache-2.0
// A guard or a scope that ends on another thread than it began on says so: compiled without NDEBUG it
// ends the program, with NDEBUG it changes nothing. A program of its own, compiled both ways.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include <threadlocalmap.hpp>

static void check(bool right, const char *text, int line)
{
    if (right) return;
    std::fprintf(stderr, "elsewhere.cpp:%d: check failed: %s\n", line, text);
    std::abort();
}
#define CHECK(condition) check((condition), #condition, __LINE__)

#if defined(NDEBUG)
static const bool ends_the_program = false;
#else
static const bool ends_the_program = true;
#endif

struct outcome {
    bool aborted;
    std::string said;
};

// Runs it in a process of its own, and reads what it has to say.
static outcome alone(void (*work)())
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        std::set_terminate([] { _exit(42); });
        work();
        _exit(0);
    }
    close(ends[1]);
    outcome result{};
    char bytes[512];
    for (ssize_t n; (n = read(ends[0], bytes, sizeof bytes)) > 0;) result.said.append(bytes, static_cast<std::size_t>(n));
    close(ends[0]);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 42));
    result.aborted = WEXITSTATUS(status) == 42;
    return result;
}

static void says(void (*work)(), const char *what)
{
    const outcome found = alone(work);
    CHECK(found.said == std::string("threadlocalmap: a ") + what + " ends on another thread than it began on\n");
    CHECK(found.aborted == ends_the_program);
}

static void says_nothing(void (*work)())
{
    const outcome found = alone(work);
    if (!found.said.empty()) std::fprintf(stderr, "%s", found.said.c_str());
    CHECK(found.said.empty() && !found.aborted);
}

static void guard_elsewhere()
{
    tls::map own, others;
    std::optional<tls::map::guard> inside;
    inside.emplace(own);
    std::thread([&] {
        const tls::map::guard in_others(others);
        inside.reset();
        CHECK(tls_map_current() == others.native_handle()); // It was not thrown out of its map.
    }).join();
    CHECK(tls_map_current() == own.native_handle());
}

static void scope_elsewhere()
{
    std::optional<tls::scope> here;
    here.emplace();
    std::thread([&] { here.reset(); }).join();
}

static void guard_that_leaves()
{
    tls::map own;
    std::error_code error;
    {
        tls::map::guard inside(own);
        std::thread([&] {
            inside.leave(error);
            CHECK(error == tls::errc::busy);
            try {
                inside.leave();
            } catch (const std::system_error &thrown) {
                CHECK(std::string(thrown.what()).find("tls::map::guard::leave: on another thread") == 0);
                error.clear();
            }
        }).join();
        CHECK(!error && tls_map_current() == own.native_handle());
        inside.leave(error);
        CHECK(!error && tls_map_current() == nullptr);
        inside.leave(error);
        CHECK(!error);
    }
    CHECK(tls_map_current() == nullptr);
}

static void scope_that_ends()
{
    std::error_code error;
    tls::scope here;
    std::thread([&] {
        here.end(error);
        CHECK(error == tls::errc::invalid);
    }).join();
    {
        tls::scope inner;
        here.end(error);
        CHECK(error == tls::errc::busy);
    }
    here.end(error);
    CHECK(!error);
    here.end(error);
    CHECK(!error);
}

static void scopes_that_move_with_their_map()
{
    tls::map own;
    std::optional<tls::scope> here;
    {
        const tls::map::guard inside(own);
        here.emplace();
    }
    std::thread([&] {
        const tls::map::guard inside(own);
        here.reset();
    }).join();
    { // One that its map ends, as that of a coroutine that is destroyed where it stands.
        const tls::map::guard inside(own);
        here.emplace();
    }
    std::thread([&] { here.reset(); }).join();
}

static void scope_of_a_thread_that_ends()
{
    // The library ends it with its thread, before the value that holds it.
    static tls::thread_local_ptr<tls::scope> kept(tls::options<>().worker());
    std::thread([] { kept.reset(std::make_unique<tls::scope>()); }).join();
}

int main()
{
    says(guard_elsewhere, "tls::map::guard");
    says(scope_elsewhere, "tls::scope");
    says_nothing(guard_that_leaves);
    says_nothing(scope_that_ends);
    says_nothing(scopes_that_move_with_their_map);
    says_nothing(scope_of_a_thread_that_ends);
    return 0;
}
