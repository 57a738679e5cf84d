/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "holders.h"

#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>

#include "must.h"

struct holder {
    pthread_t thread;
    sem_t woken, done;
    void (*job)(void); /* NULL: the thread ends */
};

static struct holder holders[MOST_HOLDERS];
static unsigned started;

static void wait_for(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0)
        continue;
}

static void *hold(void *argument) {
    struct holder *holder = argument;
    for (;;) {
        wait_for(&holder->woken);
        if (holder->job == NULL)
            return NULL;
        holder->job();
        MUST(sem_post(&holder->done) == 0);
    }
}

void holders_start(unsigned count) {
    MUST(count <= MOST_HOLDERS);
    for (; started < count; started++) {
        struct holder *holder = &holders[started];
        MUST(sem_init(&holder->woken, 0, 0) == 0 && sem_init(&holder->done, 0, 0) == 0);
        MUST(pthread_create(&holder->thread, NULL, hold, holder) == 0);
    }
}

void holders_do(unsigned count, void (*job)(void)) {
    holders_start(count);
    for (unsigned i = 0; i < count; i++) {
        holders[i].job = job;
        MUST(sem_post(&holders[i].woken) == 0);
        wait_for(&holders[i].done);
    }
}

void holders_end(void) {
    for (unsigned i = 0; i < started; i++) {
        holders[i].job = NULL;
        MUST(sem_post(&holders[i].woken) == 0);
        MUST(pthread_join(holders[i].thread, NULL) == 0);
    }
    started = 0;
}
