/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The problem: each worker keeps a buffer for each document, under a pthread key. */
#include "pool.h"

static int alive; /* buffers; the pool runs one task at a time */

struct document {
    pthread_key_t buffer;
};

static void free_buffer(void *buffer)
{
    alive--;
    free(buffer);
}

/* The calling thread's buffer for this document. */
static char *buffer_of(struct document *document)
{
    char *buffer = pthread_getspecific(document->buffer);
    if (buffer == NULL) {
        buffer = malloc(65536);
        must(pthread_setspecific(document->buffer, buffer));
        alive++;
    }
    return buffer;
}

static void count_words(void *document)
{
    buffer_of(document)[0] = '\0'; /* the work */
}

int main(void)
{
    pool_start();
    for (int i = 0; i < 100; i++) {
        struct document document;
        must(pthread_key_create(&document.buffer, free_buffer));
        pool_run(0, count_words, &document);
        pool_run(1, count_words, &document);
        must(pthread_key_delete(document.buffer)); /* calls no destructor */
    }
    printf("100 documents were closed; %d buffers are left\n", alive);
    pool_stop();
    printf("the pool was stopped; %d buffers are left\n", alive);
    return 0;
}
