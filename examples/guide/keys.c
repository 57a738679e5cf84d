/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The same with a key for each document: what leak.c leaks is freed by the workers. */
#include "pool.h"

#include <threadlocalmap.h>

static int alive; /* buffers; the pool runs one task at a time */

struct document {
    tls_key_t buffer;
};

static int make_buffer(void **value, void *user)
{
    (void)user;
    *value = malloc(65536);
    if (*value == NULL) return 1;
    alive++;
    return 0;
}

static void free_buffer(void *value, int reason, void *user)
{
    (void)reason, (void)user;
    alive--;
    free(value);
}

static void open_document(struct document *document)
{
    tls_key_options_t options = {0};
    options.size = sizeof options;
    options.name = "a document's buffer";
    options.init = make_buffer;
    options.destroy = free_buffer;
    must(tls_key_create(&document->buffer, &options));
}

static void count_words(void *arg)
{
    struct document *document = arg;
    char *buffer = tls_get(document->buffer); /* make_buffer() runs at the first use on a thread */
    if (buffer == NULL) return;               /* no memory */
    buffer[0] = '\0';                         /* the work */
}

static void close_document(struct document *document)
{
    must(tls_key_release(document->buffer));
}

static void after_task(void)
{
    if (tls_stale_count() != 0) /* inlined: no call when nothing is stale */
        tls_expunge();
}

int main(void)
{
    pool_after_task = after_task;
    pool_start();
    for (int i = 0; i < 100; i++) {
        struct document document;
        open_document(&document);
        pool_run(0, count_words, &document);
        pool_run(1, count_words, &document);
        close_document(&document);
    }
    printf("100 documents were closed; %d buffers are left\n", alive);
    pool_stop();
    printf("the pool was stopped; %d buffers are left\n", alive);
    return 0;
}
