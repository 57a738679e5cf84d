/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Unloads plugin.c while a thread has a value of its key, and then lets the thread end.
 *
 *     host PLUGIN
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_barrier_t step;

static void *
work(void *argument)
{
    int (*use)(void);

    memcpy(&use, &argument, sizeof(use));
    if (use() != 0)
        return argument;
    pthread_barrier_wait(&step); /* it has a value */
    pthread_barrier_wait(&step); /* the plug-in has gone */
    return NULL;
}

int
main(int count, char **arguments)
{
    pthread_t thread;
    void *plugin;
    void *failed;

    if (count != 2 || (plugin = dlopen(arguments[1], RTLD_NOW)) == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    pthread_barrier_init(&step, NULL, 2);
    pthread_create(&thread, NULL, work, dlsym(plugin, "use"));
    pthread_barrier_wait(&step);
    if (dlclose(plugin) != 0 || dlopen(arguments[1], RTLD_NOW | RTLD_NOLOAD) != NULL) {
        fprintf(stderr, "the plug-in stays\n");
        return 2;
    }
    pthread_barrier_wait(&step);
    pthread_join(thread, &failed);
    return failed == NULL ? 0 : 3;
}
