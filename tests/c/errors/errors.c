/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Error codes, their names and texts; the version. */
#include "test.h"

#include <limits.h>

static const struct {
    int code;
    int number;
    const char *name;
} codes[] = {
    { TLS_OK, 0, "TLS_OK" },
    { TLS_ERR_BAD_KEY, -1, "TLS_ERR_BAD_KEY" },
    { TLS_ERR_DEAD_KEY, -2, "TLS_ERR_DEAD_KEY" },
    { TLS_ERR_INVALID, -3, "TLS_ERR_INVALID" },
    { TLS_ERR_NO_MEMORY, -4, "TLS_ERR_NO_MEMORY" },
    { TLS_ERR_ABSENT, -5, "TLS_ERR_ABSENT" },
    { TLS_ERR_LIMIT, -6, "TLS_ERR_LIMIT" },
    { TLS_ERR_REENTRANT, -7, "TLS_ERR_REENTRANT" },
    { TLS_ERR_INIT, -8, "TLS_ERR_INIT" },
    { TLS_ERR_EXITING, -9, "TLS_ERR_EXITING" },
    { TLS_ERR_BUSY, -10, "TLS_ERR_BUSY" },
    { TLS_ERR_TIMEOUT, -11, "TLS_ERR_TIMEOUT" },
    { TLS_ERR_UNSUPPORTED, -12, "TLS_ERR_UNSUPPORTED" },
};

#define CODES (sizeof(codes) / sizeof(codes[0]))

/* The numbers are the ABI: they never change. */
static void
numbers_are_fixed(void)
{
    size_t i;

    for (i = 0; i < CODES; i++)
        CHECK_INT(codes[i].code, codes[i].number);

    CHECK_INT(TLS_REASON_REPLACED, 1);
    CHECK_INT(TLS_REASON_REMOVED, 2);
    CHECK_INT(TLS_REASON_KEY_DEAD, 3);
    CHECK_INT(TLS_REASON_PURGED, 4);
    CHECK_INT(TLS_REASON_SCOPE_END, 5);
    CHECK_INT(TLS_REASON_THREAD_EXIT, 6);
    CHECK_INT(TLS_REASON_DETACHED, 7);
    CHECK_INT(TLS_REASON_MAP_DESTROYED, 8);

    CHECK_INT(TLS_RECLAIM_OWNER, 0);
    CHECK_INT(TLS_RECLAIM_ANY, 1);
    CHECK_INT(TLS_KEY_ENUMERABLE, 1);
    CHECK_INT(TLS_KEY_WORKER, 2);
    CHECK_INT(TLS_KEY_INHERIT, 4);
    CHECK_UINT(TLS_KEY_NONE, 0);
}

static void
every_code_has_its_name_and_a_text_of_its_own(void)
{
    size_t i;
    size_t j;

    for (i = 0; i < CODES; i++) {
        CHECK_STR(tls_err_name(codes[i].code), codes[i].name);
        CHECK(tls_strerror(codes[i].code)[0] != '\0');
        for (j = 0; j < i; j++)
            CHECK(strcmp(tls_strerror(codes[i].code), tls_strerror(codes[j].code)) != 0);
        /* Static strings: the same one each time. */
        CHECK_PTR(tls_err_name(codes[i].code), tls_err_name(codes[i].code));
        CHECK_PTR(tls_strerror(codes[i].code), tls_strerror(codes[i].code));
    }
}

static void
any_number_may_be_asked(void)
{
    static const int unknown[] = { 1, 2, 12, 42, INT_MAX, -13, -14, -100, INT_MIN,
                                   INT_MIN + 1, INT_MIN + 12 };
    size_t i;
    size_t j;

    for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        CHECK_STR(tls_err_name(unknown[i]), "TLS_ERR_UNKNOWN");
        CHECK(tls_strerror(unknown[i])[0] != '\0');
        for (j = 0; j < CODES; j++)
            CHECK(strcmp(tls_strerror(unknown[i]), tls_strerror(codes[j].code)) != 0);
    }
}

static void
header_and_library_are_of_one_version(void)
{
    char text[64];

    CHECK_INT(tls_version(), TLS_VERSION_NUMBER);
    CHECK_STR(tls_version_string(), TLS_VERSION_STRING);
    CHECK_INT(TLS_VERSION_NUMBER, TLS_VERSION_MAJOR * 10000 +
                                      TLS_VERSION_MINOR * 100 + TLS_VERSION_PATCH);
    snprintf(text, sizeof(text), "%d.%d.%d", TLS_VERSION_MAJOR,
             TLS_VERSION_MINOR, TLS_VERSION_PATCH);
    CHECK_STR(TLS_VERSION_STRING, text);
}

int
main(void)
{
    RUN(numbers_are_fixed);
    RUN(every_code_has_its_name_and_a_text_of_its_own);
    RUN(any_number_may_be_asked);
    RUN(header_and_library_are_of_one_version);
    return test_finish();
}
