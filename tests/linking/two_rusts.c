/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * N04: two static libraries of Rust's in one C program. The other one brings
 * the standard library along, and unwinds.
 */
#include "../c/support/test.h"

uint64_t other_digits(uint32_t count);
uint64_t other_unwinds(void);

static void *
use_both(void *argument)
{
    tls_key_t key = test_key();

    CHECK_OK(tls_set(key, argument));
    CHECK_UINT(other_digits(100), 10 + 90 * 2);
    CHECK_UINT(other_unwinds(), 1);
    CHECK_PTR(tls_get(key), argument);
    CHECK_OK(tls_key_release(key));
    return argument;
}

static void
both_work_on_one_thread(void)
{
    test_in_thread(use_both, VALUE(1));
    use_both(VALUE(2));
}

int
main(void)
{
    RUN(both_work_on_one_thread);
    return test_finish();
}
