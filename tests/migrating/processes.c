/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pthread keys and the ends of processes: exit(), the main thread's
 * pthread_exit(), fork(). Each is done in a child, which tells by its exit
 * status what its destructors did.
 */
#include "check.h"

#include <sys/wait.h>
#include <unistd.h>

enum { NOT_CALLED = 0, CALLED = 42 };

static pthread_key_t key;

static void
end_the_process(void *value)
{
    CHECK(value == VALUE(1));
    _exit(CALLED);
}

/* The exit status of a child that does `work`. */
static int
child(void (*work)(void))
{
    pid_t process;
    int status = 0;

    fflush(stdout);
    process = fork();
    CHECK(process >= 0);
    if (process == 0) {
        work();
        _exit(99);
    }
    CHECK(waitpid(process, &status, 0) == process);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
set_and_exit(void)
{
    CHECK(pthread_setspecific(key, VALUE(1)) == 0);
    exit(NOT_CALLED);
}

static void
exit_runs_no_destructor(void)
{
    printf("exit(): %s\n", child(set_and_exit) == NOT_CALLED ? "not called" : "called");
}

static void
set_and_end_the_main_thread(void)
{
    CHECK(pthread_setspecific(key, VALUE(1)) == 0);
    pthread_exit(NULL);
}

static void
the_main_threads_own_end_runs_destructors(void)
{
    printf("pthread_exit() of the main thread: %s\n",
           child(set_and_end_the_main_thread) == CALLED ? "called" : "not called");
}

static void *
set_and_wait(void *meeting)
{
    CHECK(pthread_setspecific(key, VALUE(1)) == 0);
    meet((struct meeting *)meeting);
    meet((struct meeting *)meeting);
    CHECK(pthread_setspecific(key, NULL) == 0); /* its end is of no interest */
    return NULL;
}

static void *
look(void *argument)
{
    CHECK(pthread_getspecific(key) == NULL);
    return argument;
}

static void
use_after_fork(void)
{
    pthread_key_t made_here;

    CHECK(pthread_getspecific(key) == VALUE(3));
    CHECK(pthread_setspecific(key, VALUE(4)) == 0);
    in_thread(look, NULL);
    CHECK(pthread_key_create(&made_here, NULL) == 0);
    CHECK(pthread_setspecific(made_here, VALUE(5)) == 0);
    CHECK(pthread_getspecific(made_here) == VALUE(5));
    CHECK(pthread_key_delete(key) == 0);
    CHECK(pthread_getspecific(made_here) == VALUE(5));
    _exit(NOT_CALLED);
}

static void
a_child_has_the_values_of_the_thread_that_forked(void)
{
    struct meeting meeting = MEETING_INITIALIZER;
    pthread_t thread = start(set_and_wait, &meeting);

    meet(&meeting); /* another thread has a value */
    CHECK(pthread_setspecific(key, VALUE(3)) == 0);
    CHECK(child(use_after_fork) == NOT_CALLED);
    CHECK(pthread_getspecific(key) == VALUE(3));
    CHECK(pthread_setspecific(key, NULL) == 0);
    meet(&meeting);
    join(thread);
}

int
main(void)
{
    CHECK(pthread_key_create(&key, end_the_process) == 0);
    RUN(exit_runs_no_destructor);
    RUN(the_main_threads_own_end_runs_destructors);
    RUN(a_child_has_the_values_of_the_thread_that_forked);
    CHECK(pthread_key_delete(key) == 0);
    return 0;
}
