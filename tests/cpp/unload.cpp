// SPDX-License-Identifier: MIT OR Apache-2.0
// A plug-in that uses the header is unmapped by dlclose(), and nothing is called of it afterwards.
//
//     unload PLUGIN owners|any ROUNDS
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include <dlfcn.h>

#include "plugin.hpp"

static void check(bool right, const char *text, int line)
{
    if (right) return;
    const char *said = dlerror();
    std::fprintf(stderr, "unload.cpp:%d: check failed: %s %s\n", line, text, said != nullptr ? said : "");
    std::abort();
}
#define CHECK(condition) check((condition), #condition, __LINE__)

// A thread of a pool, which outlives the plug-ins.
class worker {
public:
    worker() : thread([this] { run(); }) {}
    ~worker()
    {
        hand_over(nullptr);
        thread.join();
    }
    void ask(std::function<void()> work)
    {
        hand_over(&work);
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [this] { return given == nullptr; });
    }

private:
    void hand_over(std::function<void()> *work)
    {
        const std::lock_guard<std::mutex> guard(mutex);
        given = work;
        ending = work == nullptr;
        changed.notify_all();
    }
    void run()
    {
        std::unique_lock<std::mutex> lock(mutex);
        for (;;) {
            changed.wait(lock, [this] { return ending || given != nullptr; });
            if (ending) return;
            lock.unlock();
            (*given)();
            lock.lock();
            given = nullptr;
            changed.notify_all();
        }
    }
    std::mutex mutex;
    std::condition_variable changed;
    std::function<void()> *given = nullptr;
    bool ending = false;
    std::thread thread;
};

// Whether any part of it is mapped.
static bool is_mapped(const char *path)
{
    const char *const slash = std::strrchr(path, '/');
    const char *const name = slash != nullptr ? slash : path;
    std::FILE *const maps = std::fopen("/proc/self/maps", "r");
    CHECK(maps != nullptr);
    char line[4096];
    bool found = false;
    while (std::fgets(line, sizeof line, maps) != nullptr) found = found || std::strstr(line, name) != nullptr;
    std::fclose(maps);
    return found;
}

int main(int count, char **arguments)
{
    CHECK(count == 4);
    const char *const path = arguments[1];
    const bool owners = std::strcmp(arguments[2], "owners") == 0;
    const int rounds = std::atoi(arguments[3]);
    worker workers[2];
    int unmapped = 0;
    for (int round = 0; round < rounds; round++) {
        void *const library = dlopen(path, RTLD_NOW | (round % 2 == 0 ? RTLD_LOCAL : RTLD_GLOBAL));
        CHECK(library != nullptr);
        const auto get = reinterpret_cast<const plugin_functions *(*)()>(dlsym(library, "plugin"));
        CHECK(get != nullptr);
        const plugin_functions &functions = *get();
        const int before = functions.alive(); // What its objects copy.
        functions.use();
        for (worker &each : workers) each.ask(functions.use);
        CHECK(functions.alive() > before);
        CHECK(is_mapped(path));
        const std::size_t left = functions.drain(0);
        CHECK((left > 0) == owners); // Only the workers can end theirs: else it needs nobody.
        if (owners) {
            for (worker &each : workers) each.ask([&] { functions.expunge(); });
            CHECK(functions.drain(10000) == 0);
        }
        CHECK(functions.alive() <= before);
        CHECK(dlclose(library) == 0);
        unmapped += !is_mapped(path);
        for (worker &each : workers) each.ask([] {});
    }
    std::printf("unmapped %d of %d\n", unmapped, rounds);
    return unmapped == rounds ? 0 : 1;
}
