/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The life of a thread. */
#include "path.h"

/* What is made once for each thread, and what is kept for its next map, if it has one. */
BODY(attach_and_detach) {
    for (uint64_t done = 0; done < operations; done++) {
        USED(tls_thread_attach());
        USED(tls_thread_detach());
    }
}
PATH(thread_attached_and_detached, attach_and_detach)
PATH(new_thread_attached_and_detached, attach_and_detach)

/* As when it ends: the C library's own part of that is left out. */
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
