/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A report of the values that are left when a pool shuts down, in four lines:
 * print() and a call of tls_dump().
 *
 *     cc examples/leak_report.c -Iinclude -Ltarget/dist -lthreadlocalmap -pthread
 *
 * Four workers serve three sessions, each of which keeps a buffer in each
 * worker that serves it. Two sessions are closed; the third is forgotten. When
 * the pool shuts down, no value should be left. The report shows that "session 2"
 * is still live, with a buffer in every worker, and that two workers did not
 * expunge the buffers of the closed sessions.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <threadlocalmap.h>

enum { WORKERS = 4, SESSIONS = 3, BUFFER = 4096 };

static int print(const char *bytes, size_t length, void *file) {
    return fwrite(bytes, 1, length, file) != length;
}

static tls_key_t sessions[SESSIONS];
static pthread_barrier_t served, closed, reported;

static void end_buffer(void *value, int reason, void *user) {
    (void)reason, (void)user;
    free(value);
}

static void *serve(void *argument) {
    const int tidy = *(const int *)argument % 2 == 0;
    for (int session = 0; session < SESSIONS; session++) {
        void *buffer = malloc(BUFFER);
        if (!buffer || tls_set(sessions[session], buffer) != TLS_OK) abort();
    }
    pthread_barrier_wait(&served);
    pthread_barrier_wait(&closed);
    if (tidy) tls_expunge(); /* every worker should */
    pthread_barrier_wait(&reported);
    pthread_barrier_wait(&reported);
    return NULL;
}

int main(void) {
    pthread_t threads[WORKERS];
    int numbers[WORKERS];
    pthread_barrier_init(&served, NULL, WORKERS + 1);
    pthread_barrier_init(&closed, NULL, WORKERS + 1);
    pthread_barrier_init(&reported, NULL, WORKERS + 1);
    for (int session = 0; session < SESSIONS; session++) {
        char name[32];
        snprintf(name, sizeof name, "session %d", session);
        tls_key_options_t options = {.size = sizeof options, .name = name, .destroy = end_buffer};
        if (tls_key_create(&sessions[session], &options) != TLS_OK) return 1;
    }
    for (int i = 0; i < WORKERS; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, serve, &numbers[i]) != 0) return 1;
    }
    pthread_barrier_wait(&served);
    tls_key_release(sessions[0]);
    tls_key_release(sessions[1]); /* and sessions[2] is forgotten */
    pthread_barrier_wait(&closed);
    pthread_barrier_wait(&reported);

    if (tls_dump(print, stdout) != TLS_OK) return 1; /* the pool shuts down */

    pthread_barrier_wait(&reported);
    for (int i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL); /* this frees all buffers */
    tls_key_release(sessions[2]);
    return 0;
}
