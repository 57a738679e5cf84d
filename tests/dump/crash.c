/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Prints the report of a handler of SIGSEGV, which came from inside a destroy callback;
 * tests/dump.rs reads it.
 */
#include "worker.h"

#include <signal.h>
#include <unistd.h>

static void
report_and_end(int number)
{
    (void)number;
    _exit(tls_dump_fd(1) == TLS_OK ? 0 : 1);
}

static void
crash(void *value, int reason, void *user)
{
    (void)reason;
    (void)user;
    *(volatile int *)value = 1;
}

int
main(void)
{
    tls_key_options_t options = test_options();
    tls_key_t keys[2];
    tls_key_t crashes;
    worker_t worker;
    size_t i;

    signal(SIGSEGV, report_and_end);
    worker_start(&worker);
    for (i = 0; i < 2; i++) {
        options.name = i == 0 ? "left first" : "left last";
        keys[i] = test_key_from(&options);
        CHECK_OK(worker_set(&worker, keys[i], VALUE(i + 1)));
    }
    options.name = "crashes";
    options.destroy = crash;
    crashes = test_key_from(&options);
    CHECK_OK(tls_set(crashes, VALUE(16)));
    test_release_keys(keys, 2);
    CHECK_OK(tls_key_release(crashes));
    return 1;
}
