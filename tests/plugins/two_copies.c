/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * N03: the program has the library linked in statically, a plugin is linked
 * with the shared one, and handles cross from one to the other.
 *
 *     two_copies PLUGIN apart       the program keeps its functions to itself:
 *                                   there are two libraries
 *     two_copies PLUGIN together    it exports them (-rdynamic): the plugin
 *                                   uses the program's, there is one
 */
#include "loading.h"
#include "plugin.h"

static struct {
    int (*make_key)(tls_key_t *, uint32_t, size_t *);
    int (*set)(tls_key_t);
    void *(*get)(tls_key_t);
    int (*release)(tls_key_t);
    const void *(*library)(void);
} plugin;

static tls_key_t keys[3]; /* the program's */
static tls_key_t theirs;  /* the plugin's */
static test_log_t ended;
static size_t ended_theirs;

static void
load(const char *path)
{
    void *object = open_object(path);

    find_function(object, "plugin_make_key", &plugin.make_key);
    find_function(object, "plugin_set", &plugin.set);
    find_function(object, "plugin_get", &plugin.get);
    find_function(object, "plugin_release", &plugin.release);
    find_function(object, "plugin_library", &plugin.library);
}

static void
make_keys(void)
{
    size_t i;

    for (i = 0; i < 3; i++)
        keys[i] = test_key_logged(&ended);
    CHECK_OK(plugin.make_key(&theirs, TLS_RECLAIM_OWNER, &ended_theirs));
}

/* ---- Two libraries ------------------------------------------------------- */

static void *
set_in_both(void *argument)
{
    size_t i;

    CHECK_OK(plugin.set(theirs));
    for (i = 0; i < 3; i++)
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    for (i = 0; i < 3; i++)
        CHECK_PTR(tls_get(keys[i]), VALUE(i + 1));
    CHECK(plugin.get(theirs) != NULL);
    return argument;
}

/* Each has its keys, its values and its pthread key; each sees the thread
 * end. */
static void
two_libraries_work_side_by_side(void)
{
    CHECK(plugin.library() != (const void *)tls_version_string());
    make_keys();
    test_in_thread(set_in_both, NULL);
    CHECK_UINT(ended.count, 3);
    CHECK_UINT(ended_theirs, 1);
}

/* Both have a key in their first slot, and begin at generations of their own: a
 * handle names a key in the library that made it only. */
static void
a_handle_of_the_other_library_is_an_error(void)
{
    size_t i;

    CHECK(keys[0] != theirs);
    for (i = 0; i < 3; i++) {
        CHECK_PTR(plugin.get(keys[i]), NULL);
        CHECK_CODE(plugin.set(keys[i]), TLS_ERR_BAD_KEY);
        CHECK_CODE(plugin.release(keys[i]), TLS_ERR_BAD_KEY);
        CHECK(tls_key_is_live(keys[i]));
    }
    CHECK_PTR(tls_get(theirs), NULL);
    CHECK_CODE(tls_set(theirs, VALUE(1)), TLS_ERR_BAD_KEY);
    CHECK_CODE(tls_key_release(theirs), TLS_ERR_BAD_KEY);
}

/* ---- One library --------------------------------------------------------- */

static void *
set_here_and_get_there(void *argument)
{
    CHECK_OK(tls_set(keys[0], VALUE(5)));
    CHECK_PTR(plugin.get(keys[0]), VALUE(5));
    CHECK_OK(plugin.set(theirs));
    CHECK(tls_get(theirs) != NULL);
    CHECK_PTR(tls_get(theirs), plugin.get(theirs));
    return argument;
}

static void
handles_cross_where_there_is_one_library(void)
{
    CHECK_PTR(plugin.library(), tls_version_string());
    make_keys();
    test_in_thread(set_here_and_get_there, NULL);
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(ended_theirs, 1);
}

int
main(int count, char **arguments)
{
    size_t i;

    CHECK_INT(count, 3);
    load(arguments[1]);
    if (strcmp(arguments[2], "apart") == 0) {
        RUN(two_libraries_work_side_by_side);
        RUN(a_handle_of_the_other_library_is_an_error);
    } else {
        RUN(handles_cross_where_there_is_one_library);
    }
    for (i = 0; i < 3; i++)
        CHECK_OK(tls_key_release(keys[i]));
    CHECK_OK(plugin.release(theirs));
    return test_finish();
}
