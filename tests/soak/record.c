/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "record.h"
#include "soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What may be more in the last quarter than in the second: the allocator's arenas go on settling. */
static const double ALLOWED_GROWTH = 0.05;
static const uint64_t ALLOWED_KIB = 1024;

struct sample {
    double seconds;
    uint64_t tasks, made, destroyed, keys, stale, rss_kib, bytes, threads, forks, reloads;
};

static struct sample *samples;
static size_t count, capacity;
static FILE *file;

bool record_begin(const char *csv) {
    if (csv == NULL) return true;
    file = fopen(csv, "w");
    if (file == NULL) {
        fprintf(stderr, "soak: cannot write %s\n", csv);
        return false;
    }
    fputs("seconds,tasks,made,destroyed,live,keys,stale,rss_kib,library_bytes,threads,forks,reloads\n", file);
    return true;
}

static uint64_t rss_kib(void) {
    unsigned long size = 0, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (statm == NULL) return 0;
    int found = fscanf(statm, "%lu %lu", &size, &resident);
    fclose(statm);
    return found == 2 ? (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) / 1024 : 0;
}

void record_sample(double seconds) {
    if (count == capacity) {
        capacity = capacity == 0 ? 256 : capacity * 2;
        samples = realloc(samples, capacity * sizeof samples[0]);
        if (samples == NULL) abort();
    }
    tls_stats_t stats = {0};
    stats.size = sizeof stats;
    soak_ok("tls_stats", tls_stats(&stats));
    struct sample *now = &samples[count++];
    *now = (struct sample){.seconds = seconds, .keys = stats.keys, .stale = stats.stale,
                           .bytes = stats.bytes, .rss_kib = rss_kib()};
    /* Destroyed first: so there are never more of them than were made. */
    now->destroyed = atomic_load(&soak.destroyed);
    now->made = atomic_load(&soak.made);
    now->tasks = atomic_load(&soak.tasks);
    now->threads = atomic_load(&soak.threads);
    now->forks = atomic_load(&soak.forks);
    now->reloads = atomic_load(&soak.reloads);
    if (file == NULL) return;
    unsigned long long columns[] = {now->tasks, now->made, now->destroyed, now->made - now->destroyed,
                                    now->keys, now->stale, now->rss_kib, now->bytes, now->threads,
                                    now->forks, now->reloads};
    fprintf(file, "%.3f", seconds);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) fprintf(file, ",%llu", columns[i]);
    fputc('\n', file);
    fflush(file);
}

void record_progress(void) {
    const struct sample *now = &samples[count - 1];
    printf("%5.0f s  %llu tasks  values: %llu made, %llu destroyed, %llu live  %llu keys  %llu stale  "
           "%.1f MiB  %llu threads  %llu forks  %llu reloads\n",
           now->seconds, (unsigned long long)now->tasks, (unsigned long long)now->made,
           (unsigned long long)now->destroyed, (unsigned long long)(now->made - now->destroyed),
           (unsigned long long)now->keys, (unsigned long long)now->stale,
           (double)now->rss_kib / 1024.0, (unsigned long long)now->threads,
           (unsigned long long)now->forks, (unsigned long long)now->reloads);
    fflush(stdout);
}

static int ascending(const void *left, const void *right) {
    uint64_t one = *(const uint64_t *)left, other = *(const uint64_t *)right;
    return (one > other) - (one < other);
}

/* Of the samples of one quarter of the time, 0 to 3. */
static uint64_t median_rss(unsigned quarter) {
    uint64_t found[1024];
    size_t from = count * quarter / 4, to = count * (quarter + 1) / 4;
    size_t most = sizeof found / sizeof found[0], step = (to - from + most - 1) / most, taken = 0;
    for (size_t at = from; at < to && taken < most; at += step) found[taken++] = samples[at].rss_kib;
    qsort(found, taken, sizeof found[0], ascending);
    return found[taken / 2];
}

void record_check_growth(void) {
    if (count < 8) {
        soak_wrong("there are %zu samples: too few to tell whether memory grows", count);
        return;
    }
    uint64_t second = median_rss(1), last = median_rss(3);
    uint64_t allowed = second + ALLOWED_KIB + (uint64_t)((double)second * ALLOWED_GROWTH);
    printf("RSS: median %.1f MiB in the second quarter, %.1f MiB in the last (up to %.1f allowed)\n",
           (double)second / 1024.0, (double)last / 1024.0, (double)allowed / 1024.0);
    if (last > allowed)
        soak_wrong("memory grows: RSS was %.1f MiB in the second quarter and %.1f MiB in the last, "
                   "more than %.1f", (double)second / 1024.0, (double)last / 1024.0, (double)allowed / 1024.0);
}

void record_end(void) {
    free(samples);
    samples = NULL;
    if (file != NULL) fclose(file);
}
