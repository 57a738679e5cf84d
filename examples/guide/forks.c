/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The child of a fork lets go of its thread's values, which are the parent's to destroy. */
#include "pool.h"

#include <sys/wait.h>
#include <threadlocalmap.h>
#include <unistd.h>

static void remove_file(void *path, int reason, void *user)
{
    (void)reason, (void)user;
    printf("the parent removes %s\n", (char *)path);
}

static void let_go(tls_key_t key, void *value, void *arg)
{
    (void)key, (void)value, (void)arg;
}

static void in_child(void)
{
    tls_take_all(let_go, NULL);
}

int main(void)
{
    tls_key_options_t options = {.size = sizeof options, .destroy = remove_file};
    tls_key_t file;

    must(pthread_atfork(NULL, NULL, in_child));
    must(tls_key_create(&file, &options));
    must(tls_set(file, "a temporary file"));

    pid_t child = fork();
    if (child == 0) {
        must(tls_key_release(file)); /* has nothing to destroy */
        _exit(0);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return 1;
    printf("the child has ended\n");
    must(tls_key_release(file));
    return 0;
}
