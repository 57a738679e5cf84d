#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <threadlocalmap.h>

static tls_key_t document; /* a key: one for each object, here one document */
static sem_t stored, died;

static void drop(void *value, int reason, void *user) {
    printf("worker: frees its buffer for %s%s\n", (const char *)user,
           reason == TLS_REASON_KEY_DEAD ? ", which has died" : "");
    free(value);
}

static void *worker(void *argument) { /* a pool thread: it outlives every document */
    tls_set(document, malloc(65536)); /* this thread's own buffer for this document */
    sem_post(&stored);
    sem_wait(&died);
    printf("worker: %zu stale buffer\n", tls_stale_count());
    tls_expunge();
    printf("worker: the key now gives %s\n", tls_get(document) == NULL ? "NULL" : "a buffer");
    return argument;
}

int main(void) {
    tls_key_options_t options = {.size = sizeof options, .destroy = drop, .user = "letter.txt"};
    pthread_t thread;
    if (sem_init(&stored, 0, 0) || sem_init(&died, 0, 0)) return 1;
    if (tls_key_create(&document, &options) != TLS_OK) return 1;
    if (pthread_create(&thread, NULL, worker, NULL)) return 1;
    sem_wait(&stored);
    tls_key_release(document); /* the document dies; the thread does not */
    sem_post(&died);
    return pthread_join(thread, NULL);
}
