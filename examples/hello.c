/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <threadlocalmap.h>

static void drop(void *buffer, int reason, void *name) {
    const char *why = reason == TLS_REASON_KEY_DEAD ? ", which has died" : "";
    printf("worker: frees its buffer for %s%s\n", (const char *)name, why);
    free(buffer);
}
static void *close_document(void *key) { /* another thread: here the document dies */
    tls_key_release(*(tls_key_t *)key);
    return NULL;
}
int main(void) { /* this thread is a pool's worker: it outlives every document */
    tls_key_options_t options = {.size = sizeof options, .destroy = drop, .user = "letter.txt"};
    tls_key_t document; /* the key of one document */
    pthread_t other;
    if (tls_key_create(&document, &options) || tls_set(document, malloc(65536))) return 1;
    if (pthread_create(&other, NULL, close_document, &document)) return 1;
    if (pthread_join(other, NULL)) return 1;
    printf("worker: %zu stale buffer\n", tls_stale_count());
    tls_expunge();
    printf("worker: the key now gives %s\n", tls_get(document) == NULL ? "NULL" : "a buffer");
}
