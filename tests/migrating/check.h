/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the programs of this folder share. They are ordinary code for pthread
 * keys: they name nothing of this library, and are compiled once as they are
 * and once with `-include threadlocalmap_pthread.h`. Both must print the same.
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                      \
    ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

static inline void
check_failed(const char *file, int line, const char *condition)
{
    fflush(stdout);
    fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
    abort();
}

/* Runs one test; its name is the last thing printed if it hangs or dies. */
#define RUN(test)                                                             \
    do {                                                                      \
        puts(#test);                                                          \
        fflush(stdout);                                                       \
        test();                                                               \
    } while (0)

/* A value that is only ever compared, never followed. */
#define VALUE(number) ((void *)(uintptr_t)(number))

/* An error's name: numbers differ from system to system. */
static inline const char *
error_name(int error)
{
    return error == 0        ? "0"
           : error == EINVAL ? "EINVAL"
           : error == ENOMEM ? "ENOMEM"
           : error == EAGAIN ? "EAGAIN"
                             : "another error";
}

static inline pthread_t
start(void *(*body)(void *), void *argument)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, body, argument) == 0);
    return thread;
}

static inline void *
join(pthread_t thread)
{
    void *result = NULL;

    CHECK(pthread_join(thread, &result) == 0);
    return result;
}

/* Runs body(argument) on a new thread, to the thread's end. */
static inline void *
in_thread(void *(*body)(void *), void *argument)
{
    return join(start(body, argument));
}

/* A point that two threads pass together. */
struct meeting {
    pthread_mutex_t lock;
    pthread_cond_t met;
    unsigned here, times;
};

#define MEETING_INITIALIZER                                                   \
    {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0}

static inline void
meet(struct meeting *meeting)
{
    unsigned times;

    pthread_mutex_lock(&meeting->lock);
    times = meeting->times;
    if (++meeting->here == 2) {
        meeting->here = 0;
        meeting->times++;
        pthread_cond_broadcast(&meeting->met);
    }
    while (times == meeting->times)
        pthread_cond_wait(&meeting->met, &meeting->lock);
    pthread_mutex_unlock(&meeting->lock);
}

#endif /* CHECK_H */
