/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* latency FILE: measures how long single calls take, above all the longest ones, on a thread with very many values
 * (filled.h). It prints a table, and writes the same as JSON to FILE. benches/README.md says how to read it.
 *
 * Each repetition is a separate process, so that all begin in the same state. Some repetitions measure the processor
 * time of the thread instead of the time that passes. A reading of the processor time is a system call, which would
 * slow the other repetitions.
 */
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "filled.h"
#include "durations.h"
#include "holders.h"
#include "must.h"

#define REPETITIONS 9
#define PROCESSOR_REPETITIONS 3

/* Calls of one kind. */
struct row {
    const char *call, *note;
    void (*prepare)(void);
    bool (*run)(size_t number); /* call number 0, 1, ...; returns whether it worked */
    size_t calls;               /* at most; the call that makes the table grow is the last */
};

static bool nothing(size_t number) { return number < LIVE; }
static bool set_first(size_t number) { return tls_set(new_keys[number], filled_values) == TLS_OK; }
static bool set_over(size_t number) { return tls_set(live_keys[number], filled_values + 1) == TLS_OK; }
static bool miss(size_t number) { return tls_get(new_keys[number]) == NULL; }
static bool release_own(size_t number) { return tls_key_release(live_keys[number]) == TLS_OK; }
static bool release_shared(size_t number) { return tls_key_release(shared_keys[number]) == TLS_OK; }
static bool expunge_some(size_t number) { return number < LIVE && tls_expunge_some(8) == 8; }

static void share_owned(void) { filled_share_keys(TLS_RECLAIM_OWNER); }
static void share_any(void) { filled_share_keys(TLS_RECLAIM_ANY); }

static const struct row clock_row = {"(the clock alone)", "nothing is called", NULL, nothing, 100000};
static const struct row rows[] = {
    {"tls_set", "first set of a key", filled_make_new_keys, set_first, NEW},
    {"tls_set", "replaces and destroys a value", NULL, set_over, 200000},
    {"tls_get", "a miss", filled_make_new_keys, miss, 200000},
    {"tls_key_release", "a value on the calling thread", NULL, release_own, 200000},
    {"tls_key_release", "values on 100 other threads, which destroy them later", share_owned, release_shared, SHARED},
    {"tls_key_release", "values on 100 other threads, destroyed at once", share_any, release_shared, SHARED},
    {"tls_expunge_some(8)", "until nothing is stale", NULL, expunge_some, STALE / 8},
};
#define ROWS (sizeof rows / sizeof *rows)

static uint64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void *shared_memory(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(memory != MAP_FAILED);
    return memory;
}

/* Runs in the child. */
static void repeat(const struct row *row, clockid_t clock, struct repetition *repetition) {
    size_t number = 0;
    holders_start(1);
    if (row->prepare)
        row->prepare();
    if (row->run != nothing)
        filled_make();
    repetition->capacity_before = filled_capacity();
    for (; number < row->calls && filled_capacity() <= repetition->capacity_before; number++) {
        const void *table = filled_table();
        uint64_t before = now(clock);
        bool right = row->run(number);
        uint64_t after = now(clock);
        MUST(right && after - before <= UINT32_MAX);
        repetition->nanoseconds[number] = (uint32_t)(after - before);
        repetition->moved[number] = filled_table() != table;
    }
    repetition->calls = number;
    repetition->capacity_after = filled_capacity();
}

/* forget() frees the result. */
static struct repetition *repeat_all(const struct row *row, clockid_t clock, size_t count) {
    struct repetition *repetitions = shared_memory(count * sizeof *repetitions);
    for (size_t i = 0; i < count; i++) {
        int status = 1;
        repetitions[i].nanoseconds = shared_memory(row->calls * sizeof(uint32_t));
        repetitions[i].moved = shared_memory(row->calls * sizeof(bool));
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0) {
            repeat(row, clock, &repetitions[i]);
            _exit(0);
        }
        MUST(waitpid(child, &status, 0) == child && status == 0);
    }
    return repetitions;
}

static void forget(const struct row *row, struct repetition *repetitions, size_t count) {
    for (size_t i = 0; i < count; i++) {
        munmap(repetitions[i].nanoseconds, row->calls * sizeof(uint32_t));
        munmap(repetitions[i].moved, row->calls * sizeof(bool));
    }
    munmap(repetitions, count * sizeof *repetitions);
}

static void print_heading(void) {
    printf("nanoseconds, with the reading of the clock; one thread with %d values of live keys and %d stale values\n\n",
           LIVE, STALE);
    printf("%-20s %8s %10s %10s %10s %8s %10s  %10s %10s\n", "", "", "", "", "", "which", "typical", "processor:",
           "typical");
    printf("%-20s %8s %10s %10s %10s %8s %10s  %10s %10s\n", "call", "calls", "median", "99.9 %", "longest", "call",
           "longest", "99.9 %", "longest");
}

static void print_line(const char *call, const char *note, struct durations passed, struct durations on_processor) {
    printf("%-20s %8zu %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %8zu %10" PRIu64 "  %10" PRIu64 " %10" PRIu64 "  %s\n",
           call, passed.calls, passed.median, passed.p999, passed.longest, passed.longest_at, passed.typical_longest,
           on_processor.p999, on_processor.typical_longest, note);
    fflush(stdout);
}

static void print_json(FILE *json, const char *call, const char *note, struct durations passed,
                       struct durations on_processor) {
    fprintf(json,
            "{\"call\":\"%s\",\"count\":%zu,\"median_ns\":%" PRIu64 ",\"p999_ns\":%" PRIu64 ",\"longest_ns\":%" PRIu64
            ",\"longest_at\":%zu,\"typical_longest_ns\":%" PRIu64 ",\"processor_p999_ns\":%" PRIu64
            ",\"processor_typical_longest_ns\":%" PRIu64 ",\"note\":\"%s\"}",
            call, passed.calls, passed.median, passed.p999, passed.longest, passed.longest_at, passed.typical_longest,
            on_processor.p999, on_processor.typical_longest, note);
}

/* A line for the calls that have not rebuilt the table, and one for those that have. */
static void measure(const struct row *row, FILE *json, const char *separator) {
    struct repetition *passed = repeat_all(row, CLOCK_MONOTONIC, REPETITIONS);
    struct repetition *on_processor = repeat_all(row, CLOCK_THREAD_CPUTIME_ID, PROCESSOR_REPETITIONS);
    for (int moved = 0; moved <= 1; moved++) {
        struct durations by_time = durations_of(passed, REPETITIONS, moved);
        struct durations by_processor = durations_of(on_processor, PROCESSOR_REPETITIONS, moved);
        char note[160];
        if (by_time.calls == 0)
            continue;
        snprintf(note, sizeof note, moved ? "%s; the table is rebuilt: from %zu to %zu slots" : "%s", row->note,
                 passed[0].capacity_before, passed[0].capacity_after);
        print_line(row->call, note, by_time, by_processor);
        if (json) {
            fprintf(json, "%s\n", moved ? "," : separator);
            print_json(json, row->call, note, by_time, by_processor);
        }
    }
    forget(row, passed, REPETITIONS);
    forget(row, on_processor, PROCESSOR_REPETITIONS);
}

int main(int count, char **arguments) {
    MUST(count == 2);
    FILE *json = fopen(arguments[1], "w");
    MUST(json != NULL);
    print_heading();
    fprintf(json, "{\"entries\":%d,\"stale\":%d,\"repetitions\":%d,\"calls\":[", LIVE, STALE, REPETITIONS);
    fflush(stdout);
    fflush(json);
    measure(&clock_row, NULL, "");
    for (size_t i = 0; i < ROWS; i++)
        measure(&rows[i], json, i == 0 ? "" : ",");
    fprintf(json, "\n]}\n");
    MUST(fclose(json) == 0);
    return 0;
}
