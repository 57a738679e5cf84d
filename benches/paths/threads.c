/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Paths for the life of a thread. */
#include "path.h"

/* On one thread again and again, which keeps memory for its next map; and once on each of some new threads. */
BODY(attach_and_detach) {
    for (uint64_t done = 0; done < operations; done++) {
        USED(tls_thread_attach());
        USED(tls_thread_detach());
    }
}
PATH(thread_attached_and_detached, attach_and_detach)
PATH(new_thread_attached_and_detached, attach_and_detach)

/* The same work as when the thread ends, without the C library's part of it. */
BODY(set_all_and_detach) {
    for (uint64_t done = 0; done < operations; done++) {
        for (size_t i = 0; i < key_count; i++)
            USED(tls_set(keys[i], values));
        USED(tls_thread_detach());
    }
}
PATH(new_thread_with_100_sets_and_detached, set_all_and_detach)

static const tls_key_options_t destroyed = {DESTROYED};

const struct path thread_paths[] = {
    {IS(thread_attached_and_detached), .operations = 200},
    {IS(new_thread_attached_and_detached), .operations = 20, .on_new_threads = true},
    {IS(new_thread_with_100_sets_and_detached), .operations = 20, .keys = 100, .options = &destroyed,
     .on_new_threads = true},
    {0},
};
