/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* GLib's GThreadPool, whose threads move from pool to pool. With the adapter, tasks leave nothing in
 * them; g_thread_pool_stop_unused_threads() ends the threads, and the values that they kept. */
#include <threadlocalmap_glib.h>

#include "parser.h"

static size_t words;

static void count(gpointer text, gpointer parser) {
    __atomic_add_fetch(&words, parser_count_words(parser, text), __ATOMIC_RELAXED);
}

int main(void) {
    static char text[] = "the quick brown fox";
    struct parser parser;
    GError *error = NULL;
    tls_g_thread_pool_t *pool = tls_g_thread_pool_new(count, &parser, 4, FALSE, &error);
    if (pool == NULL) g_error("%s", error->message);
    parser_open(&parser, TLS_KEY_WORKER);
    for (int i = 0; i < 200; i++) tls_g_thread_pool_push(pool, text, NULL);
    tls_g_thread_pool_free(pool, FALSE, TRUE);
    parser_close(&parser); /* the pool has ended; its threads wait for the next pool */
    do g_thread_pool_stop_unused_threads();
    while (g_thread_pool_get_num_unused_threads() != 0 || buffers_made != buffers_freed);
    return parser_report("no thread waits", words);
}
