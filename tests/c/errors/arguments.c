/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Arguments that are wrong, missing, or from another version of the header. */
#include "test.h"

static test_log_t ended;

static int
init_to_5(void **value, void *user)
{
    (void)user;
    *value = VALUE(5);
    return 0;
}

static void
do_nothing(void *argument)
{
    (void)argument;
}

/* A NULL out-parameter is refused before anything has happened. */
static void
null_out_parameters_are_refused(void)
{
    tls_key_options_t options = test_options();
    uint64_t keys = test_stats().keys;
    tls_key_t key;
    tls_key_t with_init;

    test_log_clear(&ended);
    options.user = &ended;
    options.user_free = test_log_free;
    CHECK_CODE(tls_key_create(NULL, NULL), TLS_ERR_INVALID);
    CHECK_CODE(tls_key_create(NULL, &options), TLS_ERR_INVALID);
    CHECK_UINT(test_stats().keys, keys);
    CHECK_UINT(ended.freed, 0);

    key = test_key_logged(&ended);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_CODE(tls_try_get(key, NULL), TLS_ERR_INVALID);
    CHECK_CODE(tls_swap(key, VALUE(2), NULL), TLS_ERR_INVALID);
    CHECK_CODE(tls_take(key, NULL), TLS_ERR_INVALID);
    CHECK_CODE(tls_key_name(key, NULL, 0), TLS_ERR_INVALID);
    CHECK_CODE(tls_key_name(key, NULL, 100), TLS_ERR_INVALID);
    CHECK_PTR(tls_get(key), VALUE(1));
    CHECK_UINT(ended.count, 0);
    CHECK_OK(tls_remove(key));
    CHECK_CODE(tls_swap(key, VALUE(2), NULL), TLS_ERR_INVALID);
    CHECK_CODE(tls_take(key, NULL), TLS_ERR_INVALID);
    CHECK_PTR(tls_get(key), NULL);
    CHECK_OK(tls_key_release(key));

    options = test_options();
    options.init = init_to_5;
    with_init = test_key_from(&options);
    CHECK_CODE(tls_try_get(with_init, NULL), TLS_ERR_INVALID);
    CHECK_PTR(tls_get_existing(with_init), NULL);
    CHECK_OK(tls_key_release(with_init));

    CHECK_CODE(tls_stats(NULL), TLS_ERR_INVALID);
    CHECK_CODE(tls_at_thread_exit(NULL, NULL), TLS_ERR_INVALID);
    CHECK_CODE(tls_at_thread_exit(NULL, &ended), TLS_ERR_INVALID);
}

/* Both wrong, handle and out-parameter: an error all the same, and no crash. */
static void
null_out_parameters_of_dead_keys_are_refused(void)
{
    tls_key_t dead = test_key();
    tls_key_t handles[2];
    int i;

    CHECK_OK(tls_key_release(dead));
    handles[0] = TLS_KEY_NONE;
    handles[1] = dead;
    for (i = 0; i < 2; i++) {
        CHECK(tls_try_get(handles[i], NULL) < 0);
        CHECK(tls_swap(handles[i], VALUE(1), NULL) < 0);
        CHECK(tls_take(handles[i], NULL) < 0);
        CHECK(tls_key_name(handles[i], NULL, 10) < 0);
    }
}

/* The library must read no byte behind `size`; so the copy has none there. */
static int
create_with_size(tls_key_t *key, const tls_key_options_t *options, size_t size,
                 unsigned char tail)
{
    size_t known = size < sizeof(*options) ? size : sizeof(*options);
    unsigned char *copy = (unsigned char *)malloc(size > 0 ? size : 1);
    int code;

    CHECK(copy != NULL);
    memset(copy, 0, size);
    memcpy(copy, options, known);
    if (size > sizeof(*options))
        copy[size - 1] = tail;
    if (size >= sizeof(size_t))
        memcpy(copy, &size, sizeof(size));
    code = tls_key_create(key, (const tls_key_options_t *)(const void *)copy);
    free(copy);
    return code;
}

static tls_key_options_t
full_options(void)
{
    tls_key_options_t options = test_options();

    test_log_clear(&ended);
    options.name = "full";
    options.destroy = test_log_destroy;
    options.init = init_to_5;
    options.user = &ended;
    options.user_free = test_log_free;
    return options;
}

/* A program built with an older, shorter struct: what it lacks is zero. */
static void
shorter_options_are_taken(void)
{
    tls_key_options_t options = full_options();
    char name[8];
    tls_key_t key;

    CHECK_OK(create_with_size(&key, &options, sizeof(size_t), 0));
    CHECK_OK(tls_key_name(key, name, sizeof(name)));
    CHECK_STR(name, "");
    CHECK_PTR(tls_get(key), NULL);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 0);

    CHECK_OK(create_with_size(&key, &options, offsetof(tls_key_options_t, destroy), 0));
    CHECK_OK(tls_key_name(key, name, sizeof(name)));
    CHECK_STR(name, "full");
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 0);

    CHECK_OK(create_with_size(&key, &options, offsetof(tls_key_options_t, user_free), 0));
    CHECK_PTR(tls_get(key), VALUE(5));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(ended.freed, 0);

    CHECK_OK(create_with_size(&key, &options, offsetof(tls_key_options_t, reclaim), 0));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.freed, 1);
}

static void
options_too_short_for_their_size_are_refused(void)
{
    tls_key_options_t options = full_options();
    tls_key_t key = 77;
    size_t size;

    for (size = 0; size < sizeof(size_t); size++) {
        options.size = size;
        CHECK_CODE(tls_key_create(&key, &options), TLS_ERR_INVALID);
    }
    CHECK_UINT(key, 77);
    CHECK_UINT(ended.freed, 0);
}

/* A program built with a newer, longer struct: fine while it asks for nothing
 * that this library does not know. */
static void
longer_options_are_taken_if_the_rest_is_zero(void)
{
    static const size_t more[] = { 1, 7, 8, 64, 1000 };
    size_t i;

    for (i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        tls_key_options_t options = full_options();
        size_t size = sizeof(options) + more[i];
        tls_key_t key = 77;

        CHECK_CODE(create_with_size(&key, &options, size, 1), TLS_ERR_INVALID);
        CHECK_CODE(create_with_size(&key, &options, size, 0x80), TLS_ERR_INVALID);
        CHECK_UINT(key, 77);
        CHECK_UINT(ended.freed, 0);
        CHECK_OK(create_with_size(&key, &options, size, 0));
        CHECK_PTR(tls_get(key), VALUE(5));
        CHECK_OK(tls_key_release(key));
        CHECK_UINT(ended.count, 1);
        CHECK_UINT(ended.freed, 1);
    }
}

/* Enums are numbers to the compiler: any may arrive. */
static void
unknown_enum_values_and_flags_are_refused(void)
{
    static const uint32_t reclaims[] = { 2, 3, 0x80000000u, UINT32_MAX };
    uint32_t known = TLS_KEY_ENUMERABLE | TLS_KEY_WORKER | TLS_KEY_INHERIT | TLS_KEY_EXPLICIT;
    uint64_t keys = test_stats().keys;
    tls_key_t key = 77;
    size_t i;

    for (i = 0; i < sizeof(reclaims) / sizeof(reclaims[0]); i++) {
        tls_key_options_t options = full_options();

        options.reclaim = reclaims[i];
        CHECK_CODE(tls_key_create(&key, &options), TLS_ERR_INVALID);
    }
    for (i = 0; i < 32; i++) {
        tls_key_options_t options = full_options();

        options.flags = (uint32_t)1 << i;
        if ((options.flags & known) != 0)
            continue;
        CHECK_CODE(tls_key_create(&key, &options), TLS_ERR_INVALID);
        options.flags |= known;
        CHECK_CODE(tls_key_create(&key, &options), TLS_ERR_INVALID);
    }
    CHECK_UINT(key, 77);
    CHECK_UINT(ended.freed, 0);
    CHECK_UINT(test_stats().keys, keys);
}

/* A worker's value is no task's; and of a value that is captured by its pointer
 * alone, two would be destroyed. */
static void
flags_that_contradict_each_other_are_refused(void)
{
    tls_key_options_t options = full_options();
    tls_key_t key = 77;

    options.flags = TLS_KEY_WORKER | TLS_KEY_INHERIT;
    CHECK_CODE(tls_key_create(&key, &options), TLS_ERR_INVALID);
    options.flags = TLS_KEY_INHERIT;
    options.copy = NULL;
    CHECK(options.destroy != NULL);
    CHECK_CODE(tls_key_create(&key, &options), TLS_ERR_INVALID);
    CHECK_UINT(key, 77);
    CHECK_UINT(ended.freed, 0);
    options.destroy = NULL;
    CHECK_OK(tls_key_create(&key, &options));
    CHECK_OK(tls_key_release(key));
}

/* ---- Names ------------------------------------------------------------ */

static void
check_name(const char *name)
{
    tls_key_options_t options = test_options();
    size_t length = strlen(name);
    char *given = (char *)malloc(length + 1);
    char *buffer = (char *)malloc(length + 2);
    tls_key_t key;
    size_t capacity;

    CHECK(given != NULL && buffer != NULL);
    memcpy(given, name, length + 1);
    options.name = given;
    key = test_key_from(&options);
    /* The name was copied: what becomes of the caller's does not matter. */
    memset(given, 'x', length);
    free(given);

    memset(buffer, '#', length + 2);
    for (capacity = length > 20 ? length - 20 : 0; capacity <= length; capacity++) {
        CHECK_CODE(tls_key_name(key, buffer, capacity), TLS_ERR_LIMIT);
        CHECK_INT(buffer[0], '#');
        CHECK_INT(buffer[length], '#');
    }
    CHECK_OK(tls_key_name(key, buffer, length + 1));
    CHECK_STR(buffer, name);
    CHECK_INT(buffer[length + 1], '#');
    CHECK_OK(tls_key_name(key, buffer, length + 2));
    CHECK_STR(buffer, name);
    CHECK_OK(tls_key_release(key));

    memset(buffer, '#', length + 2);
    CHECK_CODE(tls_key_name(key, buffer, length + 1), TLS_ERR_DEAD_KEY);
    CHECK_INT(buffer[0], '#');
    free(buffer);
}

static void
names_are_copied_and_read_back(void)
{
    char longest[1001];
    char buffer[1] = { '#' };
    tls_key_t key = test_key();

    memset(longest, 'n', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    check_name("");
    check_name("a");
    check_name("connection pool");
    check_name("gr\303\266\303\237e");     /* UTF-8 */
    check_name("\377\376 not UTF-8");
    check_name(longest);

    /* No name reads as an empty one. */
    CHECK_CODE(tls_key_name(key, buffer, 0), TLS_ERR_LIMIT);
    CHECK_INT(buffer[0], '#');
    CHECK_OK(tls_key_name(key, buffer, 1));
    CHECK_STR(buffer, "");
    CHECK_OK(tls_key_release(key));
}

/* Names are for people: two keys may have the same, and stay two keys. */
static void
a_name_need_not_be_unique(void)
{
    tls_key_options_t options = test_options();
    tls_key_t one;
    tls_key_t two;

    options.name = "cache";
    one = test_key_from(&options);
    two = test_key_from(&options);
    CHECK(one != two);
    CHECK_OK(tls_set(one, VALUE(1)));
    CHECK_PTR(tls_get(two), NULL);
    CHECK_OK(tls_key_release(one));
    CHECK_OK(tls_key_release(two));
}

/* ---- Statistics ------------------------------------------------------- */

/* As with the options, `size` tells which header the program was built with: it
 * ends where a member ends, no byte behind it is written, and what the library
 * lacks is zero. All members of tls_stats_t have 8 bytes. */
static void
statistics_of_any_size(void)
{
    union {
        tls_stats_t aligned;
        unsigned char bytes[sizeof(tls_stats_t) + 64];
    } space;
    unsigned char *buffer = space.bytes;
    uint64_t keys = test_stats().keys;
    tls_stats_t stats;
    size_t size;
    size_t i;

    for (size = 0; size < sizeof(space); size++) {
        memset(buffer, 0xA5, sizeof(space));
        memcpy(buffer, &size, sizeof(size));
        if (size < sizeof(size_t) || (size < sizeof(stats) && size % sizeof(uint64_t) != 0)) {
            CHECK_CODE(tls_stats(&space.aligned), TLS_ERR_INVALID);
            CHECK_INT(memcmp(buffer, &size, sizeof(size)), 0);
            for (i = sizeof(size); i < sizeof(space); i++)
                CHECK_INT(buffer[i], 0xA5);
        } else {
            CHECK_OK(tls_stats(&space.aligned));
            memcpy(&stats, buffer, size < sizeof(stats) ? size : sizeof(stats));
            CHECK_UINT(stats.size, size);
            if (size >= offsetof(tls_stats_t, dead_keys))
                CHECK_UINT(stats.keys, keys);
            for (i = sizeof(stats); i < size; i++)
                CHECK_INT(buffer[i], 0);
        }
        for (i = size > sizeof(size_t) ? size : sizeof(size_t); i < sizeof(space); i++)
            CHECK_INT(buffer[i], 0xA5);
    }
}

static void
budgets_of_nothing(void)
{
    CHECK_UINT(tls_expunge_some(0), 0);
    CHECK_UINT(tls_expunge_some(SIZE_MAX), 0);
    CHECK_OK(tls_at_thread_exit(do_nothing, NULL));
    CHECK_OK(tls_thread_detach());
}

int
main(void)
{
    RUN(null_out_parameters_are_refused);
    RUN(null_out_parameters_of_dead_keys_are_refused);
    RUN(shorter_options_are_taken);
    RUN(options_too_short_for_their_size_are_refused);
    RUN(longer_options_are_taken_if_the_rest_is_zero);
    RUN(unknown_enum_values_and_flags_are_refused);
    RUN(flags_that_contradict_each_other_are_refused);
    RUN(names_are_copied_and_read_back);
    RUN(a_name_need_not_be_unique);
    RUN(statistics_of_any_size);
    RUN(budgets_of_nothing);
    return test_finish();
}
