/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Forks while everything else goes on. The child uses the library and ends with _exit. */
#include "soak.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAUSE = 50, HANGS_AFTER = 60 /* seconds */ };

static pthread_t forker;

/* What a child found wrong is its exit status. */
enum { CHILD_FINE, CHILD_LOST_VALUE, CHILD_NO_KEY, CHILD_WRONG_VALUE, CHILD_NOT_DESTROYED, CHILD_ENDS };

static const char *const found_wrong[CHILD_ENDS] = {
    [CHILD_LOST_VALUE] = "had lost the value of the thread that forked",
    [CHILD_NO_KEY] = "could not create, set or release keys",
    [CHILD_WRONG_VALUE] = "got a wrong value",
    [CHILD_NOT_DESTROYED] = "released a key and its value was not destroyed once",
};

static void count(void *value, int reason, void *user) {
    (void)value;
    (void)reason;
    ++*(int *)user;
}

static int use_in_child(tls_key_t inherited) {
    struct value *value = tls_get(inherited);
    if (value == NULL || !value_is(value, inherited)) return CHILD_LOST_VALUE;
    for (uint32_t round = 0; round < 20; round++) {
        int place = 0, destroyed = 0;
        tls_key_t key = TLS_KEY_NONE;
        tls_key_options_t options = {0};
        options.size = sizeof options;
        options.destroy = count;
        options.user = &destroyed;
        options.reclaim = round % 2;
        options.flags = round / 2 % 2 * TLS_KEY_ENUMERABLE;
        if (tls_key_create(&key, &options) != TLS_OK) return CHILD_NO_KEY;
        if (tls_set(key, &place) != TLS_OK) return CHILD_NO_KEY;
        if (tls_get(key) != &place) return CHILD_WRONG_VALUE;
        if (tls_key_release(key) != TLS_OK) return CHILD_NO_KEY;
        if (destroyed != 1) return CHILD_NOT_DESTROYED;
    }
    tls_expunge();
    return tls_key_release(inherited) == TLS_OK ? CHILD_FINE : CHILD_NO_KEY;
}

static void wait_for(pid_t child) {
    int status = 0;
    if (waitpid(child, &status, 0) != child) soak_wrong("a child could not be waited for");
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        soak_wrong("a child of a fork hung for %d s", HANGS_AFTER);
    else if (WIFSIGNALED(status)) soak_wrong("a child of a fork died of signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) >= CHILD_ENDS)
        soak_wrong("a child of a fork ended with status %d", WEXITSTATUS(status));
    else if (WEXITSTATUS(status) != CHILD_FINE)
        soak_wrong("a child of a fork %s", found_wrong[WEXITSTATUS(status)]);
    else atomic_fetch_add(&soak.forks, 1);
}

static void *go_on_forking(void *argument) {
    (void)argument;
    tls_key_options_t options = {0};
    options.size = sizeof options;
    options.destroy = value_destroy;
    tls_key_t key = TLS_KEY_NONE;
    if (!soak_ok("tls_key_create", tls_key_create(&key, &options))) return NULL;
    struct value *value = value_make(key);
    if (value == NULL || !soak_ok("tls_set", tls_set(key, value))) return NULL;
    while (!soak_stops()) {
        pid_t child = fork();
        if (child == 0) {
            alarm(HANGS_AFTER);
            _exit(use_in_child(key));
        }
        if (child < 0) soak_wrong("fork failed");
        else wait_for(child);
        soak_nap(PAUSE);
    }
    soak_ok("tls_key_release", tls_key_release(key));
    return NULL;
}

void forks_start(void) {
    if (pthread_create(&forker, NULL, go_on_forking, NULL) != 0) abort();
}

void forks_join(void) { pthread_join(forker, NULL); }
