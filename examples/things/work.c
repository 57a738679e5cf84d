/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "work.h"
#include "../pool/pool.h"
#include "ledger.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPEN_AT_ONCE = 4 };

/* An object that has tasks left. */
struct job {
    const struct plan *plan;
    void *object;
    atomic_size_t left;
};

struct outcome {
    const struct way *way;
    struct ledger when_done, at_end; /* all objects closed; and all threads ended, too */
    long long bytes_when_done, bytes_at_end, files_when_done;
    bool failed;
};

static atomic_bool failed;

static void run_task(void *argument, size_t index) {
    struct job *job = argument;
    if (!job->plan->task(job->object, index)) atomic_store(&failed, true);
    if (atomic_fetch_sub(&job->left, 1) != 1) return;
    if (!job->plan->close(job->object)) atomic_store(&failed, true);
    free(job);
}

static struct job *new_job(const struct plan *plan, const struct way *way, unsigned number) {
    struct job *job = malloc(sizeof *job);
    if (job == NULL) return NULL;
    job->plan = plan;
    atomic_init(&job->left, plan->tasks);
    job->object = plan->open(number, way);
    if (job->object == NULL) {
        free(job);
        return NULL;
    }
    return job;
}

/* A few objects at a time, and their tasks in turns, so that most threads use most objects. */
static void submit_all(const struct plan *plan, const struct way *way, struct pool *pool) {
    for (unsigned first = 0; first < plan->objects; first += OPEN_AT_ONCE) {
        struct job *jobs[OPEN_AT_ONCE] = {NULL};
        unsigned count = 0;
        while (count < OPEN_AT_ONCE && first + count < plan->objects) {
            jobs[count] = new_job(plan, way, first + count);
            if (jobs[count] == NULL) break;
            count++;
        }
        for (size_t task = 0; task < plan->tasks; task++)
            for (unsigned i = 0; i < count; i++) pool_submit(pool, run_task, jobs[i], task);
        if (count < OPEN_AT_ONCE && first + count < plan->objects) {
            atomic_store(&failed, true);
            return;
        }
    }
}

/* Files that the process has open now. */
static long long open_files(void) {
    DIR *folder = opendir("/proc/self/fd");
    long long count = 0;
    if (folder == NULL) return 0;
    while (readdir(folder) != NULL) count++;
    closedir(folder);
    return count;
}

static struct outcome run(const struct plan *plan, const struct way *way) {
    struct outcome outcome = {.way = way};
    long long bytes = (long long)plan->bytes(), files = open_files();
    atomic_store(&failed, false);
    ledger_open();
    struct pool *pool =
        pool_start(plan->threads, (struct pool_hooks){.after_task = way->after_task});
    if (pool == NULL) {
        fprintf(stderr, "cannot start %u threads\n", plan->threads);
        outcome.failed = true;
        return outcome;
    }
    submit_all(plan, way, pool);
    pool_drain(pool);
    outcome.when_done = ledger_read();
    outcome.bytes_when_done = (long long)plan->bytes() - bytes;
    outcome.files_when_done = open_files() - files;
    pool_stop(pool);
    outcome.at_end = ledger_read();
    outcome.bytes_at_end = (long long)plan->bytes() - bytes;
    outcome.failed = atomic_load(&failed);
    return outcome;
}

/* ---- The table ---------------------------------------------------------- */

static void row(const char *what, long long ours, long long theirs) {
    printf("  %-46s %12lld %14lld\n", what, ours, theirs);
}

static void thread_row(const char *what, const uint64_t numbers[LEDGER_THREADS], unsigned threads) {
    printf("  %-46s", what);
    for (unsigned i = 0; i < threads; i++) printf(" %5" PRIu64, numbers[i]);
    putchar('\n');
}

static long long kib(long long bytes) { return (bytes + 1023) / 1024; }

static void print(const struct plan *plan, const struct outcome *ours,
                  const struct outcome *theirs) {
    const struct ledger *a = &ours->at_end, *b = &theirs->at_end;
    printf("\n%s\n\n  %-46s %12s %14s\n", plan->title, plan->things, ours->way->name,
           theirs->way->name);
    row("made", (long long)ledger_total(a->made), (long long)ledger_total(b->made));
    row("destroyed by the thread that made them", (long long)ledger_total(a->destroyed),
        (long long)ledger_total(b->destroyed));
    row("destroyed by another thread", (long long)a->destroyed_elsewhere,
        (long long)b->destroyed_elsewhere);
    puts("  all objects closed, all threads alive and idle:");
    row("  alive", (long long)ledger_alive(&ours->when_done),
        (long long)ledger_alive(&theirs->when_done));
    if (ours->files_when_done != 0 || theirs->files_when_done != 0)
        row("  files open", ours->files_when_done, theirs->files_when_done);
    char text[64];
    snprintf(text, sizeof text, "  KiB that %s has taken", plan->owner);
    row(text, kib(ours->bytes_when_done), kib(theirs->bytes_when_done));
    puts("  all threads ended:");
    row("  alive at the end", (long long)ledger_alive(a), (long long)ledger_alive(b));
    row(text, kib(ours->bytes_at_end), kib(theirs->bytes_at_end));
    printf("\n  with this library, on each thread\n");
    thread_row("made", a->made, a->threads);
    thread_row("destroyed there", a->destroyed, a->threads);
}

static int status_of(const struct plan *plan, const struct outcome *ours) {
    bool clean = ledger_alive(&ours->when_done) == 0 && ours->at_end.destroyed_elsewhere == 0 &&
                 ours->bytes_at_end == 0 && ours->files_when_done == 0 &&
                 (plan->bytes_of_threads || ours->bytes_when_done == 0);
    bool used = ledger_total(ours->at_end.made) >= plan->objects;
    if (!used) fprintf(stderr, "\nfewer %s were made than there were objects\n", plan->things);
    if (!clean) fprintf(stderr, "\n%s LEAKED, or destroyed by another thread\n", plan->things);
    return ours->failed || !used ? WORK_FAILED : clean ? WORK_OK : WORK_LEAKS;
}

int work(const struct plan *plan) {
    struct outcome ours = run(plan, &way_tls);
    struct outcome theirs = run(plan, &way_pthread);
    print(plan, &ours, &theirs);
    if (theirs.failed) return WORK_FAILED;
    return status_of(plan, &ours);
}
