// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * What ended_threads.c shows, with C++ destructors as the code that goes on
 * using the library: those of objects on the thread's stack, which run while
 * the stack is unwound, and those of thread_local objects, which run after it
 * and before the destructors of pthread keys. Every value ends once.
 */
#include "leaving_calls.h"

namespace {

bool on_the_stack;
void (*make_call)();

struct late_user {
    bool active = false;
    ~late_user()
    {
        if (active)
            later_use_everything();
    }
};

thread_local late_user of_the_thread;

void *live_and_leave(void *)
{
    late_user of_the_stack;

    leaver = pthread_self();
    of_the_stack.active = on_the_stack;
    of_the_thread.active = !on_the_stack;
    later_set_keys();
    make_call();
    CHECK(!"a callback that ends its thread returns");
    return nullptr;
}

void every_value_ends_once()
{
    make_leaving_keys();
    CHECK_PTR(test_in_thread(live_and_leave, nullptr), PTHREAD_CANCELED);
    release_leaving_keys();
}

void run_in_both_places(const char *name)
{
    char variant[128];

    for (int i = 0; i < 4; i++) {
        by_cancellation = (i & 1) != 0;
        on_the_stack = (i & 2) != 0;
        snprintf(variant, sizeof(variant), "(%s, %s, %s)", name,
                 by_cancellation ? "cancelled" : "pthread_exit",
                 on_the_stack ? "stack" : "thread_local");
        RUN_APART_OF_MANY(every_value_ends_once, variant);
    }
}

} // namespace

int main()
{
    kind = &kinds[0];
    for (const call_t &call : destroying) {
        make_call = call.make;
        if (make_call != free_context)
            run_in_both_places(call.name);
    }
    for (const call_t &call : calling) {
        make_call = call.make;
        run_in_both_places(call.name);
    }
    return apart_finish();
}
