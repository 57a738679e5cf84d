/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A pool of plain pthreads (examples/pool/pool.c): tasks that leave nothing in their worker, and
 * workers that expunge after each task and in pool_drain(). */
#include "../pool/pool.h"
#include "parser.h"

#define TASKS 200

static struct parser parser;
static size_t words;

static void count(void *text) {
    __atomic_add_fetch(&words, parser_count_words(&parser, text), __ATOMIC_RELAXED);
}

/* A task of the pool, which runs a task of the library: in a scope, with the values of main(). */
static void run(void *task, size_t index) {
    (void)index;
    tls_task_run(task);
}

static void after_task(void) {
    if (tls_stale_count() != 0) tls_expunge();
}

int main(void) {
    static char text[] = "the quick brown fox";
    struct pool *pool = pool_start(4, (struct pool_hooks){.after_task = after_task});
    if (pool == NULL) return 1;
    parser_open(&parser, TLS_KEY_WORKER);
    for (size_t i = 0; i < TASKS; i++) {
        tls_task_t *task;
        if (tls_task_create(&task, count, text) != TLS_OK) return 1;
        pool_submit(pool, run, task, i);
    }
    pool_drain(pool);
    parser_close(&parser);
    pool_drain(pool); /* all workers sleep; each of them calls after_task */
    int left = parser_report("the pool lives", words);
    pool_stop(pool);
    return left;
}
