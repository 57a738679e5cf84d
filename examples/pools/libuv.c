/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libuv's pool: work that leaves nothing in its worker, and workers that the loop wakes when a parser
 * has ended while they sleep. */
#include <threadlocalmap_uv.h>

#include "parser.h"

static struct parser parser;
static tls_uv_workers_t workers;
static size_t words, running;

static void count(uv_work_t *request) { /* on a worker */
    tls_uv_workers_watch(&workers);
    __atomic_add_fetch(&words, parser_count_words(&parser, request->data), __ATOMIC_RELAXED);
}

static void counted(uv_work_t *request, int status) { /* on the loop */
    (void)request, (void)status;
    if (--running == 0) parser_close(&parser); /* its buffers are in all workers, which sleep */
}

static void check(uv_timer_t *timer) { /* this timer keeps the loop running */
    if (running == 0 && buffers_made == buffers_freed) uv_close((uv_handle_t *)timer, NULL);
}

int main(void) {
    static char text[] = "the quick brown fox";
    static tls_uv_work_t work[200];
    uv_loop_t *loop = uv_default_loop();
    uv_timer_t timer;

    if (tls_uv_workers_init(loop, &workers, -1) != 0) return 1; /* no work waits for other work */
    parser_open(&parser, TLS_KEY_WORKER);
    for (running = 0; running < 200; running++) {
        work[running].request.data = text;
        if (tls_uv_queue_work(loop, &work[running], count, counted) != 0) return 1;
    }
    uv_timer_init(loop, &timer);
    uv_timer_start(&timer, check, 1, 1);
    uv_run(loop, UV_RUN_DEFAULT);
    tls_uv_workers_close(&workers);
    uv_run(loop, UV_RUN_DEFAULT);
    return parser_report("the workers sleep", words);
}
