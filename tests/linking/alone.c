/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A program that is linked with the archive and nothing else: a value of a
 * thread that ends, a dead key's value, and the dump, which formats numbers.
 */
#include "../c/support/test.h"

static size_t destroyed;

static void
count(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    (void)user;
    destroyed++;
}

static void *
set_and_end(void *key)
{
    CHECK_OK(tls_set(*(tls_key_t *)key, key));
    CHECK_PTR(tls_get(*(tls_key_t *)key), key);
    return NULL;
}

static int
append(const char *bytes, size_t length, void *argument)
{
    char *text = (char *)argument;
    size_t used = strlen(text);

    CHECK(used + length < 4096);
    memcpy(text + used, bytes, length);
    text[used + length] = '\0';
    return 0;
}

static void
values_end_with_their_thread_and_with_their_key(void)
{
    tls_key_options_t options = test_options();
    tls_key_t key;

    options.destroy = count;
    key = test_key_from(&options);
    test_join(test_start(set_and_end, &key));
    CHECK_UINT(destroyed, 1);
    CHECK_OK(tls_set(key, &key));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(destroyed, 2);
}

static void
a_dump_has_the_keys_name(void)
{
    static char text[4096];
    tls_key_options_t options = test_options();
    tls_key_t key;

    options.name = "dumped";
    key = test_key_from(&options);
    CHECK_OK(tls_dump(append, text));
    CHECK(strstr(text, "\"name\":\"dumped\"") != NULL);
    CHECK_OK(tls_key_release(key));
}

int
main(void)
{
    RUN(values_end_with_their_thread_and_with_their_key);
    RUN(a_dump_has_the_keys_name);
    return test_finish();
}
