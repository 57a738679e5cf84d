/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* soak --seconds N --plugin FILE [--csv FILE]: runs all parties together and checks what is left.
 * Status 0: nothing was wrong; 1: something was, and a sentence says what; 2: wrong usage. */
#include "soak.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "record.h"

enum { WORKERS = 6, LAZY_WORKERS = 2, SAMPLE_EVERY = 250 /* ms */, LINE_EVERY = 5 /* s */ };

struct soak soak;

/* ---- What everybody uses --------------------------------------------------------------------- */

bool soak_stops(void) { return atomic_load(&soak.stop); }

static pthread_mutex_t wrong_lock = PTHREAD_MUTEX_INITIALIZER;
static char first_wrong[400];
static atomic_bool went_wrong;

void soak_wrong(const char *sentence, ...) {
    pthread_mutex_lock(&wrong_lock);
    if (!atomic_exchange(&went_wrong, true)) {
        va_list arguments;
        va_start(arguments, sentence);
        vsnprintf(first_wrong, sizeof first_wrong, sentence, arguments);
        va_end(arguments);
    }
    pthread_mutex_unlock(&wrong_lock);
    atomic_store(&soak.stop, true);
}

bool soak_went_wrong(void) { return atomic_load(&went_wrong); }

bool soak_ok(const char *call, int result) {
    if (result == TLS_OK) return true;
    soak_wrong("%s gave %s (%s)", call, tls_err_name(result), tls_strerror(result));
    return false;
}

void soak_nap(unsigned milliseconds) {
    struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- The run --------------------------------------------------------------------------------- */

static void expunge(void) { tls_expunge(); }
static void expunge_one(void) { tls_expunge_some(1); }

static void start_all(const char *plugin) {
    soak.pool = pool_start(WORKERS, (struct pool_hooks){.after_task = expunge});
    soak.lazy_pool = pool_start(LAZY_WORKERS, (struct pool_hooks){.after_task = expunge_one});
    if (soak.pool == NULL || soak.lazy_pool == NULL) abort();
    objects_start();
    threads_start();
    forks_start();
    reloads_start(plugin);
}

static void sample_for(double began, double seconds) {
    double next_line = LINE_EVERY;
    while (!soak_stops()) {
        soak_nap(SAMPLE_EVERY);
        double elapsed = now() - began;
        record_sample(elapsed);
        if (elapsed >= next_line) {
            record_progress();
            next_line += LINE_EVERY;
        }
        if (elapsed >= seconds) atomic_store(&soak.stop, true);
    }
}

static void end_all(void) {
    objects_join();
    threads_join();
    forks_join();
    reloads_join();
    pool_stop(soak.pool);
    pool_stop(soak.lazy_pool);
    tls_thread_detach();
}

/* ---- The verdict ----------------------------------------------------------------------------- */

static void check_work(void) {
    const struct {
        const char *what;
        uint64_t done;
    } work[] = {
        {"task was run", soak.tasks},   {"object was made", soak.objects}, {"key was churned", soak.churned},
        {"thread ended", soak.threads}, {"fork was made", soak.forks},     {"plugin was reloaded", soak.reloads},
    };
    for (size_t i = 0; i < sizeof work / sizeof work[0]; i++)
        if (work[i].done == 0) soak_wrong("no %s in all that time", work[i].what);
}

static void check_remains(const tls_stats_t *before) {
    tls_stats_t after = {0};
    after.size = sizeof after;
    soak_ok("tls_stats", tls_stats(&after));
    uint64_t made = soak.made, destroyed = soak.destroyed;
    printf("values: %llu made, %llu destroyed; keys: %llu before, %llu after; %llu entries, %llu attached threads left\n",
           (unsigned long long)made, (unsigned long long)destroyed, (unsigned long long)before->keys,
           (unsigned long long)after.keys, (unsigned long long)after.entries, (unsigned long long)after.maps);
    if (after.keys != before->keys)
        soak_wrong("%llu keys are still alive: somebody did not release them", (unsigned long long)(after.keys - before->keys));
    if (made != destroyed)
        soak_wrong("%llu of %llu values were never destroyed", (unsigned long long)(made - destroyed), (unsigned long long)made);
    if (after.dead_keys != 0)
        soak_wrong("%llu dead keys are not done with", (unsigned long long)after.dead_keys);
    if (after.entries != 0) soak_wrong("%llu entries are left in maps", (unsigned long long)after.entries);
    if (after.leaked != 0) soak_wrong("%llu values were given up at a thread's end", (unsigned long long)after.leaked);
    if (after.maps != 0) soak_wrong("%llu threads are still attached", (unsigned long long)after.maps);
}

int main(int count, char **arguments) {
    double seconds = 0;
    const char *plugin = NULL, *csv = NULL;
    for (int i = 1; i + 1 < count; i += 2) {
        if (strcmp(arguments[i], "--seconds") == 0) seconds = atof(arguments[i + 1]);
        if (strcmp(arguments[i], "--plugin") == 0) plugin = arguments[i + 1];
        if (strcmp(arguments[i], "--csv") == 0) csv = arguments[i + 1];
    }
    if (seconds <= 0 || plugin == NULL || count % 2 == 0) {
        fputs("usage: soak --seconds N --plugin FILE [--csv FILE]\n", stderr);
        return 2;
    }
    if (!record_begin(csv)) return 2;
    tls_stats_t before = {0};
    before.size = sizeof before;
    soak_ok("tls_stats", tls_stats(&before));
    start_all(plugin);
    double began = now();
    sample_for(began, seconds);
    end_all();
    record_sample(now() - began);
    record_progress();
    if (!soak_went_wrong()) check_work();
    check_remains(&before);
    if (!soak_went_wrong()) record_check_growth();
    record_end();
    fflush(stdout);
    if (soak_went_wrong()) {
        fprintf(stderr, "soak: FAILED: %s\n", first_wrong);
        return 1;
    }
    puts("soak: nothing is left and nothing grew");
    return 0;
}
