/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Children of a test: forked, and waited for. */
#ifndef FORKING_H
#define FORKING_H

#include "test.h"

#include <errno.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Whether a runner is set. Under valgrind a child's end is an error: what the
 * C library had allocated for the threads that the fork left behind is
 * possibly lost then, whatever this library does.
 */
static inline bool
forks_are_left_out(void)
{
    if (getenv("THREADLOCALMAP_TEST_SCALE") == NULL)
        return false;
    puts("not run: a runner is set");
    return true;
}

static inline pid_t
fork_checked(void)
{
    pid_t child;

    fflush(stdout);
    child = fork();
    CHECK(child >= 0);
    return child;
}

/* A check that fails in a child aborts it; here that fails the parent. */
static inline void
wait_for_child(pid_t child)
{
    int status = 0;

    while (waitpid(child, &status, 0) != child)
        CHECK_INT(errno, EINTR);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

#endif /* FORKING_H */
