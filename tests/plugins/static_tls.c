/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * N06, P07: the library is opened late, when others have taken room for
 * thread-local storage.
 *
 *     static_tls OBJECT works|refused GLUTTON...
 *
 * The gluttons are opened first, then the library, while a thread is running;
 * it either works on that thread and on new ones, or dlopen says what is
 * missing and nothing has happened.
 */
#define TLS_NO_INLINE
#include "loading.h"

static int (*key_create)(tls_key_t *, const tls_key_options_t *);
static int (*key_release)(tls_key_t);
static int (*set)(tls_key_t, void *);
static void *(*get)(tls_key_t);
static int (*detach)(void);

static tls_key_t key;

static void *
use(void *argument)
{
    CHECK_PTR(get(key), NULL);
    CHECK_INT(set(key, argument), TLS_OK);
    CHECK_PTR(get(key), argument);
    return NULL;
}

static void
job_use(void *argument)
{
    use(argument);
}

static void
check_that_it_works(void *object, worker_t *older)
{
    find_function(object, "tls_key_create", &key_create);
    find_function(object, "tls_key_release", &key_release);
    find_function(object, "tls_set", &set);
    find_function(object, "tls_get", &get);
    find_function(object, "tls_thread_detach", &detach);
    CHECK_INT(key_create(&key, NULL), TLS_OK);
    worker_do(older, job_use, VALUE(1));
    test_in_thread(use, VALUE(2));
    use(VALUE(3));
    CHECK_INT(key_release(key), TLS_OK);
    CHECK_INT(detach(), TLS_OK);
}

static void
touch_storage(const char *path)
{
    void *object = open_object(path);
    char *(*look)(void);

    find_function(object, "glutton_look", &look);
    look()[0] = 1;
}

int
main(int count, char **arguments)
{
    worker_t older;
    void *object;
    int i;

    CHECK(count >= 3);
    worker_start(&older);
    for (i = 3; i < count; i++)
        touch_storage(arguments[i]);
    object = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (strcmp(arguments[2], "works") == 0) {
        if (object == NULL)
            test_fail(__FILE__, __LINE__, __func__, "%s", dlerror());
        check_that_it_works(object, &older);
    } else {
        CHECK_PTR(object, NULL);
        CHECK(strstr(dlerror(), "static TLS") != NULL);
        CHECK(!is_mapped(arguments[1]));
    }
    worker_stop(&older);
    return 0;
}
