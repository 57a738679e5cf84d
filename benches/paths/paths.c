/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Runs every path (path.h) in a separate process, for scripts/instructions.sh, which lets callgrind count the
 * instructions of run_n() and run_2n(). Prints, for each path, how many more operations run_2n() runs.
 */
#include "path.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "holders.h"
#include "must.h"

tls_key_t keys[MOST_KEYS];
size_t key_count;
char values[2];

void destroy_nothing(void *value, int reason, void *user) {
    (void)value, (void)reason, (void)user;
}

typedef void (*runner)(const struct path *path, uint64_t operations);

/* callgrind finds these functions by their names. The assembler comments prevent that they are merged. */
static __attribute__((noinline)) void warm_up(const struct path *path, uint64_t operations) {
    path->run(operations);
    __asm__ volatile("# warmed up");
}

static __attribute__((noinline)) void run_n(const struct path *path, uint64_t operations) {
    path->run(operations);
    __asm__ volatile("# N operations");
}

static __attribute__((noinline)) void run_2n(const struct path *path, uint64_t operations) {
    path->run(operations);
    __asm__ volatile("# 2 N operations");
}

static void set_all(void) {
    for (size_t i = 0; i < key_count; i++)
        MUST(tls_set(keys[i], values) == TLS_OK);
}

static void release_all(void) {
    for (size_t i = 0; i < key_count; i++)
        MUST(tls_key_release(keys[i]) == TLS_OK);
}

static void end_stale_values(void) {
    tls_expunge();
}

static void prepare(const struct path *path, uint64_t operations) {
    key_count = path->keys == EACH ? operations : path->keys;
    MUST(key_count <= MOST_KEYS);
    for (size_t i = 0; i < key_count; i++)
        MUST(tls_key_create(&keys[i], path->options) == TLS_OK);
    if (!path->unattached)
        MUST(tls_thread_attach() == TLS_OK);
    holders_do(path->holders, set_all);
    if (path->valued)
        set_all();
    if (path->dead)
        holders_do(1, release_all);
}

/* Removes everything, so that the next run begins in the same state. */
static void finish(const struct path *path) {
    tls_stats_t left = {.size = sizeof left};
    for (size_t i = 0; i < key_count; i++)
        if (tls_key_is_live(keys[i]))
            MUST(tls_key_release(keys[i]) == TLS_OK);
    holders_do(path->holders, end_stale_values);
    MUST(tls_thread_detach() == TLS_OK);
    MUST(tls_stats(&left) == TLS_OK);
    MUST(left.keys == 0 && left.dead_keys == 0 && left.entries == 0 && left.leaked == 0);
}

struct first_operation {
    const struct path *path;
    runner run;
};

static void *operate_once(void *argument) {
    const struct first_operation *first = argument;
    first->run(first->path, 1);
    return NULL;
}

static void measure(const struct path *path, runner run, uint64_t operations) {
    struct first_operation first = {path, run};
    prepare(path, operations);
    for (uint64_t done = 0; path->on_new_threads && done < operations; done++) {
        pthread_t thread;
        MUST(pthread_create(&thread, NULL, operate_once, &first) == 0);
        MUST(pthread_join(thread, NULL) == 0);
    }
    if (!path->on_new_threads)
        run(path, operations);
    finish(path);
}

/* Runs in the child, so that other paths have no effect. */
static void measure_path(const struct path *path) {
    /* With an arena for each core, the counts would depend on the number of cores. */
    MUST(mallopt(M_ARENA_MAX, 1) == 1);
    /* With one thread only, the C library leaves out atomic instructions. */
    holders_start(1);
    measure(path, warm_up, 2 * path->operations);
    measure(path, run_n, path->operations);
    measure(path, run_2n, 2 * path->operations);
    holders_end();
    printf("%s %llu\n", path->name,
           (unsigned long long)path->operations * (path->parts ? path->parts : 1));
}

static void measure_all(const struct path *path) {
    for (; path->name != NULL; path++) {
        int status = 1;
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0) {
            measure_path(path);
            exit(0);
        }
        MUST(waitpid(child, &status, 0) == child && status == 0);
    }
}

int main(void) {
    measure_all(value_paths);
    measure_all(task_paths);
    measure_all(key_paths);
    measure_all(thread_paths);
    return 0;
}
