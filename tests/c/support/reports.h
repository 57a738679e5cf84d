/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Reports of tls_dump() and tls_dump_fd(), kept, and what they say of a key.
 */
#ifndef REPORTS_H
#define REPORTS_H

#include "test.h"

#include <unistd.h>

typedef struct report {
    char *text; /* terminated */
    size_t length;
    size_t room;
    size_t calls;
    size_t stop_at; /* the call that wants no more; 0: none */
} report_t;

static inline int
report_keep(const char *bytes, size_t length, void *argument)
{
    report_t *report = (report_t *)argument;

    report->calls++;
    CHECK(length > 0);
    if (report->calls == report->stop_at)
        return 1;
    CHECK(report->stop_at == 0 || report->calls < report->stop_at);
    if (report->length + length + 1 > report->room) {
        report->room = 2 * (report->length + length + 1);
        report->text = (char *)realloc(report->text, report->room);
        CHECK(report->text != NULL);
    }
    memcpy(report->text + report->length, bytes, length);
    report->length += length;
    report->text[report->length] = '\0';
    return 0;
}

static inline report_t
report_now(void)
{
    report_t report;

    memset(&report, 0, sizeof(report));
    CHECK_OK(tls_dump(report_keep, &report));
    CHECK(report.text != NULL);
    CHECK_UINT(strlen(report.text), report.length);
    return report;
}

/* A file without a name. */
static inline int
report_file(void)
{
    FILE *file = tmpfile();
    int descriptor;

    CHECK(file != NULL);
    descriptor = dup(fileno(file));
    CHECK(descriptor >= 0);
    CHECK_INT(fclose(file), 0);
    return descriptor;
}

/* What has been written to a file, which is closed. */
static inline report_t
report_of_file(int descriptor)
{
    report_t report;
    char part[512];
    ssize_t length;

    memset(&report, 0, sizeof(report));
    CHECK_INT(lseek(descriptor, 0, SEEK_SET), 0);
    while ((length = read(descriptor, part, sizeof(part))) > 0)
        CHECK_OK(report_keep(part, (size_t)length, &report));
    CHECK_INT(length, 0);
    CHECK_INT(close(descriptor), 0);
    CHECK(report.text != NULL);
    return report;
}

static inline report_t
report_of_fd_now(void)
{
    int file = report_file();

    CHECK_OK(tls_dump_fd(file));
    return report_of_file(file);
}

/* How often a text says something. */
static inline size_t
count_in(const char *text, const char *words)
{
    size_t count = 0;

    while ((text = strstr(text, words)) != NULL) {
        count++;
        text += strlen(words);
    }
    return count;
}

/* It has an end, and each bracket its other one. (tests/dump.rs looks closer.) */
static inline void
report_check_whole(const char *text)
{
    char open[64];
    size_t depth = 0;
    bool quoted = false;

    for (; *text != '\0'; text++) {
        if (*text == '\\' && quoted) {
            text++;
        } else if (*text == '"') {
            quoted = !quoted;
        } else if (!quoted && (*text == '{' || *text == '[')) {
            CHECK(depth < sizeof(open));
            open[depth++] = *text;
        } else if (!quoted && (*text == '}' || *text == ']')) {
            CHECK(depth > 0);
            depth--;
            CHECK_INT(open[depth], *text == '}' ? '{' : '[');
            CHECK(depth > 0 || strcmp(text, "}\n") == 0);
        }
    }
    CHECK_UINT(depth, 0);
    CHECK(!quoted);
}

#define CHECK_SAYS(report, words)                                             \
    do {                                                                      \
        if (strstr((report).text, (words)) == NULL)                           \
            test_fail(__FILE__, __LINE__, __func__, "the report says %s\n%s", \
                      (words), (report).text);                                \
    } while (0)

/* What a report says of a key, to be freed; NULL: nothing. */
static inline char *
report_key(const report_t *report, tls_key_t key)
{
    char words[64];
    const char *start;
    size_t length;
    char *part;

    snprintf(words, sizeof(words), "{\"key\":\"%" PRIu64 "\",\"name\"", key);
    start = strstr(report->text, words);
    if (start == NULL)
        return NULL;
    length = strcspn(start, "\n");
    part = (char *)malloc(length + 1);
    CHECK(part != NULL);
    memcpy(part, start, length);
    part[length] = '\0';
    return part;
}

/* How many values of a key a report has; -1: it does not know the key. */
static inline int
report_values(const report_t *report, tls_key_t key)
{
    char *part = report_key(report, key);
    int number = part != NULL ? (int)count_in(part, "{\"map\":") : -1;

    free(part);
    return number;
}

/* How many values a report has now, of either kind. */
static inline int
values_reported(tls_key_t key)
{
    report_t reports[2];
    int numbers[2];
    size_t i;

    reports[0] = report_now();
    reports[1] = report_of_fd_now();
    for (i = 0; i < 2; i++) {
        report_check_whole(reports[i].text);
        numbers[i] = report_values(&reports[i], key);
        CHECK_UINT(count_in(reports[i].text, "incomplete"), 0);
        free(reports[i].text);
    }
    CHECK_INT(numbers[1], numbers[0]);
    return numbers[0];
}

/* The number of deaths since a key's that a report has; -1: none. */
static inline int
deaths_reported(tls_key_t key)
{
    static const char words[] = "\"deaths_since\":";
    report_t report = report_now();
    char *part = report_key(&report, key);
    const char *at;
    int number = -1;

    CHECK(part != NULL);
    at = strstr(part, words);
    if (at != NULL)
        number = atoi(at + strlen(words));
    free(part);
    free(report.text);
    return number;
}

#endif /* REPORTS_H */
