/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "meter.h"
#include "scratch.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLE_MS = 2, TERMINAL_PROGRESS_MS = 100, LOG_PROGRESS_MS = 2000 };

struct meter meter;

static struct {
    pthread_t thread;
    atomic_bool stopping;
    struct timespec start;
    const char *label;
    unsigned long long documents; /* to be worked through */
    FILE *samples;
    unsigned long long (*slots)(void);
    bool terminal;
} sampler;

uint64_t meter_alive(void) {
    /* In this order, so that a buffer that is made meanwhile can't make the difference negative. */
    unsigned long long freed = atomic_load(&meter.freed);
    return atomic_load(&meter.made) - freed;
}

static void raise_to(atomic_ullong *peak, unsigned long long now) {
    unsigned long long seen = atomic_load(peak);
    while (seen < now && !atomic_compare_exchange_weak(peak, &seen, now)) {
    }
}

void meter_made(void) {
    atomic_fetch_add(&meter.made, 1);
    raise_to(&meter.peak, meter_alive());
}

void meter_freed(bool elsewhere) {
    if (elsewhere) atomic_fetch_add(&meter.freed_elsewhere, 1);
    atomic_fetch_add(&meter.freed, 1);
}

double meter_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - sampler.start.tv_sec) +
           (double)(now.tv_nsec - sampler.start.tv_nsec) / 1e9;
}

static void sample(void) {
    if (sampler.slots != NULL) raise_to(&meter.peak_slots, sampler.slots());
    if (sampler.samples != NULL)
        fprintf(sampler.samples, "%.1f,%llu\n", meter_seconds() * 1000.0,
                (unsigned long long)meter_alive() * SCRATCH_BYTES);
}

static void show_progress(const char *end) {
    fprintf(stderr, "%s%s: %llu of %llu documents, %.1f MiB of scratch buffers alive%s",
            sampler.terminal ? "\r\033[K" : "", sampler.label,
            (unsigned long long)atomic_load(&meter.documents), sampler.documents,
            (double)meter_alive() * SCRATCH_BYTES / (1024.0 * 1024.0), end);
}

void meter_note(const char *text) {
    fprintf(stderr, "%s%s: %s\n", sampler.terminal ? "\r\033[K" : "", sampler.label, text);
}

static void *sampler_main(void *unused) {
    const struct timespec pause = {.tv_nsec = SAMPLE_MS * 1000000L};
    const int every = (sampler.terminal ? TERMINAL_PROGRESS_MS : LOG_PROGRESS_MS) / SAMPLE_MS;
    for (int round = 1; !atomic_load(&sampler.stopping); round++) {
        sample();
        if (round % every == 0) show_progress(sampler.terminal ? "" : "\n");
        nanosleep(&pause, NULL);
    }
    sample();
    show_progress("\n");
    return unused;
}

int meter_start(const char *label, unsigned long long documents, FILE *samples,
                unsigned long long (*slots)(void)) {
    sampler.label = label;
    sampler.documents = documents;
    sampler.samples = samples;
    sampler.slots = slots;
    sampler.terminal = isatty(STDERR_FILENO) != 0;
    clock_gettime(CLOCK_MONOTONIC, &sampler.start);
    if (samples != NULL) fputs("time_ms,live_bytes\n", samples);
    return pthread_create(&sampler.thread, NULL, sampler_main, NULL);
}

void meter_stop(void) {
    atomic_store(&sampler.stopping, true);
    pthread_join(sampler.thread, NULL);
}
