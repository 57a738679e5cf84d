/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls_dump(): what it says, who may be called meanwhile, and that looking
 * changes nothing. (That it is JSON of the documented shape: tests/dump.rs.)
 */
#include "reports.h"
#include "worker.h"

static test_log_t ended;

static tls_key_t
named_key(const char *name)
{
    tls_key_options_t options = test_options();

    options.name = name;
    options.destroy = test_log_destroy;
    options.user = &ended;
    return test_key_from(&options);
}

/* ---- What it says -------------------------------------------------------- */

static void *
dump_without_a_map(void *argument)
{
    report_t report = report_now();

    (void)argument;
    CHECK_CODE(tls_dump(NULL, NULL), TLS_ERR_INVALID);
    CHECK_STR(report.text,
              "{\"version\":\"" TLS_VERSION_STRING "\",\n\"maps\":[],\n\"keys\":[],\n\"local\":[]}\n");
    free(report.text);
    CHECK_UINT(test_stats().maps, 0);
    return NULL;
}

static void
without_keys_and_maps_it_says_so_and_attaches_nobody(void)
{
    CHECK_OK(tls_thread_detach());
    test_in_thread(dump_without_a_map, NULL);
}

static void
keys_have_their_names_references_and_holders(void)
{
    tls_key_t key = named_key("buffer");
    tls_map_t *map = NULL;
    worker_t workers[2];
    report_t report;
    char words[200];
    size_t i;

    CHECK_OK(tls_key_retain(key));
    CHECK_OK(tls_set(key, VALUE(0x1230)));
    for (i = 0; i < 2; i++) {
        worker_start(&workers[i]);
        CHECK_OK(worker_set(&workers[i], key, VALUE(i + 1)));
    }
    CHECK_OK(tls_map_create(&map));
    report = report_now();
    snprintf(words, sizeof(words),
             "{\"key\":\"%" PRIu64 "\",\"name\":\"buffer\",\"live\":true,\"references\":2,\"values\":[{",
             key);
    CHECK_SAYS(report, words);
    CHECK_UINT(count_in(report.text, "\"kind\":\"thread\""), 3);
    CHECK_UINT(count_in(report.text, "\"kind\":\"moving\",\"thread\":0,\"entries\":0"), 1);
    snprintf(words, sizeof(words),
             "{\"key\":\"%" PRIu64 "\",\"value\":\"0x1230\",\"depth\":0,\"hidden\":false,\"stale\":false}",
             key);
    CHECK_SAYS(report, words);
    free(report.text);
    for (i = 0; i < 2; i++)
        worker_stop(&workers[i]);
    CHECK_OK(tls_map_destroy(map));
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_release(key));
}

static void
dead_keys_say_how_many_values_are_left(void)
{
    tls_key_t key = named_key("gone");
    worker_t workers[2];
    report_t report;
    size_t i;

    for (i = 0; i < 2; i++) {
        worker_start(&workers[i]);
        CHECK_OK(worker_set(&workers[i], key, VALUE(i + 1)));
    }
    CHECK_OK(tls_key_release(key));
    report = report_now();
    CHECK_SAYS(report, "\"name\":\"gone\",\"live\":false,\"unended\":2,");
    CHECK_UINT(count_in(report.text, "\"entries\":1,\"stale\":1"), 2);
    free(report.text);
    CHECK_UINT(worker_expunge(&workers[0]), 1);
    report = report_now();
    CHECK_SAYS(report, "\"name\":\"gone\",\"live\":false,\"unended\":1,");
    free(report.text);
    CHECK_UINT(worker_expunge(&workers[1]), 1);
    report = report_now();
    CHECK_UINT(count_in(report.text, "gone"), 0);
    free(report.text);
    for (i = 0; i < 2; i++)
        worker_stop(&workers[i]);
}

static void
own_entries_say_their_scope_and_whether_they_are_hidden_or_stale(void)
{
    tls_key_t key = named_key("layered");
    tls_key_t dying = named_key("dying");
    tls_map_t *map = NULL;
    tls_scope_t scope;
    report_t report;

    CHECK_OK(tls_set(key, VALUE(0x10)));
    CHECK_OK(tls_set(dying, VALUE(0x30)));
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(tls_set(key, VALUE(0x20)));
    CHECK_OK(tls_map_create(&map));
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_OK(tls_key_release(dying));
    CHECK_OK(tls_map_switch(NULL, NULL));
    report = report_now();
    CHECK_SAYS(report, "\"value\":\"0x10\",\"depth\":0,\"hidden\":true,\"stale\":false}");
    CHECK_SAYS(report, "\"value\":\"0x20\",\"depth\":1,\"hidden\":false,\"stale\":false}");
    CHECK_SAYS(report, "\"value\":\"0x30\",\"depth\":0,\"hidden\":false,\"stale\":true}");
    free(report.text);
    CHECK_UINT(tls_expunge(), 1);
    CHECK_OK(tls_scope_end(scope));
    CHECK_OK(tls_map_destroy(map));
    CHECK_OK(tls_key_release(key));
}

static void
any_name_is_written_as_a_json_string(void)
{
    static const struct {
        const char *name;
        const char *written;
    } names[] = {
        { NULL, "\"name\":\"\"," },
        { "say \"it\"", "\"name\":\"say \\\"it\\\"\"," },
        { "C:\\temp\n\t\x01\x7f", "\"name\":\"C:\\\\temp\\u000a\\u0009\\u0001\\u007f\"," },
        { "caf\xc3\xa9 \xf0\x9f\x92\xa7", "\"name\":\"caf\xc3\xa9 \xf0\x9f\x92\xa7\"," },
        /* Not UTF-8: a lone byte, a cut sequence, a surrogate. */
        { "\xff|\xc3|\xed\xa0\x80", "\"name\":\"\\u00ff|\\u00c3|\\u00ed\\u00a0\\u0080\"," },
    };
    char long_name[400];
    tls_key_t key;
    report_t report;
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        key = named_key(names[i].name);
        report = report_now();
        CHECK_SAYS(report, names[i].written);
        free(report.text);
        CHECK_OK(tls_key_release(key));
    }
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    key = named_key(long_name);
    report = report_now();
    long_name[256] = '\0';
    CHECK_SAYS(report, long_name);
    CHECK_UINT(count_in(report.text, "n\","), 1); /* the name's end, no more */
    CHECK(strstr(strstr(report.text, long_name) + 1, long_name) == NULL);
    free(report.text);
    CHECK_OK(tls_key_release(key));

    /* No character is cut. */
    memcpy(long_name + 254, "\xe2\x82\xac\xe2\x82\xac", 7);
    key = named_key(long_name);
    report = report_now();
    CHECK_UINT(count_in(report.text, "nn\","), 1);
    free(report.text);
    CHECK_OK(tls_key_release(key));
}

/* ---- The one who writes ------------------------------------------------------ */

enum { MANY = 300 };

static tls_key_t many[MANY];

static void
make_many(void)
{
    size_t i;

    for (i = 0; i < MANY; i++) {
        many[i] = named_key("one of many");
        CHECK_OK(tls_set(many[i], VALUE(i + 1)));
    }
}

static void
release_many(void)
{
    size_t i;

    for (i = 0; i < MANY; i++)
        CHECK_OK(tls_key_release(many[i]));
}

static void
a_writer_that_wants_no_more_is_not_called_again(void)
{
    report_t report;
    uint64_t bytes;
    size_t number;

    test_log_clear(&ended);
    make_many();
    report = report_now();
    number = report.calls;
    free(report.text);
    CHECK_AT_LEAST(number, 10);
    bytes = test_stats().bytes;
    for (; number > 0; number--) {
        memset(&report, 0, sizeof(report));
        report.stop_at = number;
        CHECK_CODE(tls_dump(report_keep, &report), TLS_ERR_LIMIT);
        CHECK_UINT(report.calls, number);
        free(report.text);
        CHECK_UINT(test_stats().bytes, bytes);
    }
    CHECK_UINT(ended.count, 0);
    release_many();
    CHECK_UINT(ended.count, MANY);
}

static bool inside;
static size_t released;

static int
change_while_writing(const char *bytes, size_t length, void *argument)
{
    tls_key_t key;
    report_t report;

    CHECK_OK(report_keep(bytes, length, argument));
    CHECK_CODE(tls_thread_detach(), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_map_switch(NULL, NULL), TLS_ERR_REENTRANT);
    if (inside)
        return 0;
    inside = true;
    key = named_key("made while writing");
    CHECK_OK(tls_set(key, VALUE(7)));
    if (released < MANY)
        CHECK_OK(tls_key_release(many[released++]));
    if (released == 5) {
        memset(&report, 0, sizeof(report));
        CHECK_OK(tls_dump(change_while_writing, &report));
        CHECK_SAYS(report, "made while writing");
        free(report.text);
    }
    CHECK_OK(tls_key_release(key));
    inside = false;
    return 0;
}

static void
a_writer_may_call_everything(void)
{
    report_t report;
    size_t calls;

    test_log_clear(&ended);
    make_many();
    memset(&report, 0, sizeof(report));
    released = 0;
    CHECK_OK(tls_dump(change_while_writing, &report));
    CHECK(report.text[report.length - 2] == '}');
    free(report.text);
    calls = released;
    CHECK_AT_LEAST(calls, 10);
    CHECK_UINT(ended.count, 2 * calls);
    while (released < MANY)
        CHECK_OK(tls_key_release(many[released++]));
    CHECK_UINT(ended.count, MANY + calls);
}

/* ---- Looking changes nothing --------------------------------------------- */

static void
job_dump(void *argument)
{
    report_t report = report_now();

    CHECK_SAYS(report, (const char *)argument);
    free(report.text);
}

static void
a_key_whose_sole_holder_was_looked_at_ends_as_any_other(void)
{
    static char name[] = "\"name\":\"sole\"";
    tls_key_t key = named_key("sole");
    worker_t worker;
    void *old = NULL;
    size_t i;

    test_log_clear(&ended);
    worker_start(&worker);
    for (i = 0; i < 3; i++) {
        CHECK_OK(tls_set(key, VALUE(10 + i)));
        worker_do(&worker, job_dump, name);
        CHECK_OK(i == 0 ? tls_remove(key) : i == 1 ? tls_take(key, &old) : tls_set(key, VALUE(20)));
    }
    worker_do(&worker, job_dump, name);
    CHECK_UINT(ended.count, 2);
    CHECK_OK(worker_set(&worker, key, VALUE(30)));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 3);
    CHECK_RECORD(&ended, 2, VALUE(20), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_UINT(worker_expunge(&worker), 1);
    CHECK_RECORD(&ended, 3, VALUE(30), TLS_REASON_KEY_DEAD, worker.number);

    /* Looked at by one thread, released by it, ended by the holder. */
    key = named_key("sole");
    CHECK_OK(tls_set(key, VALUE(40)));
    worker_do(&worker, job_dump, name);
    worker_stop(&worker);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 5);
}

int
main(void)
{
    RUN(without_keys_and_maps_it_says_so_and_attaches_nobody);
    RUN(keys_have_their_names_references_and_holders);
    RUN(dead_keys_say_how_many_values_are_left);
    RUN(own_entries_say_their_scope_and_whether_they_are_hidden_or_stale);
    RUN(any_name_is_written_as_a_json_string);
    RUN(a_writer_that_wants_no_more_is_not_called_again);
    RUN(a_writer_may_call_everything);
    RUN(a_key_whose_sole_holder_was_looked_at_ends_as_any_other);
    return test_finish();
}
