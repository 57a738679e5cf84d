/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * While one thread's table grows, threads that use other keys go on, also if
 * somebody wants to visit or end a value in that table meanwhile.
 *
 * The new table is filled for as long as it takes: this program defines
 * calloc(), and gives large tables memory that may not be touched yet. The
 * first touch is a signal, whose handler waits until a bystander has got through
 * a number of operations.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "own_calloc.h"

#include "lives.h"

#include <signal.h>
#include <sys/mman.h>

#define LARGE 65536  /* bytes of a table that is filled slowly */
#define KEYS 3000    /* so that there are some */
#define UNRELATED 70 /* keys; more than there are locks for keys */
#define OPERATIONS 300 /* rounds of the bystander during a growth */
#define TABLES 64

static struct {
    unsigned char *memory;
    size_t size;
} tables[TABLES];
static size_t table_count;
static __thread bool grows;    /* this thread's large tables are filled slowly */
static size_t growing, growths, operations, stop;

static void *
own_calloc(size_t count, size_t size)
{
    if (grows && count * size >= LARGE && table_count < TABLES) {
        void *memory = mmap(NULL, count * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (memory == MAP_FAILED)
            return NULL;
        tables[table_count].memory = (unsigned char *)memory;
        tables[table_count].size = count * size;
        table_count++;
        return memory;
    }
    return real_calloc(count, size);
}

static void
own_free(void *memory)
{
    size_t i;

    for (i = 0; i < table_count; i++)
        if (tables[i].memory == memory) {
            munmap(memory, tables[i].size);
            tables[i].memory = NULL;
            return;
        }
    real_free(memory);
}

/* The first touch of a new table. */
static void
touched(int number, siginfo_t *information, void *context)
{
    unsigned char *at = (unsigned char *)information->si_addr;
    size_t i, least;

    (void)context;
    for (i = 0; i < table_count; i++)
        if (tables[i].memory != NULL && at >= tables[i].memory &&
            at < tables[i].memory + tables[i].size)
            break;
    if (i == table_count) {
        signal(number, SIG_DFL); /* a fault of another kind */
        return;
    }
    apart_set(&growing, 1);
    least = test_count(&operations) + OPERATIONS;
    apart_wait(&operations, least);
    apart_set(&growing, 0);
    test_count_up(&growths);
    mprotect(tables[i].memory, tables[i].size, PROT_READ | PROT_WRITE);
}

/* ---- The threads ---------------------------------------------------------------- */

/* What varies; main() sets it before each test. */
static uint32_t reclaim, flags;
static void (*want)(void);  /* what a third thread wants of the growing table */
static bool on_a_moved_map;

static tls_key_t reachable, unrelated[UNRELATED], visited;
static size_t ready;

static void *
grow(void *argument)
{
    tls_key_t *keys = (tls_key_t *)malloc(KEYS * sizeof(*keys));
    tls_map_t *map = NULL;
    size_t i;

    CHECK(keys != NULL);
    CHECK_OK(tls_map_create(&map));
    if (on_a_moved_map)
        CHECK_OK(tls_map_switch(map, NULL));
    CHECK_OK(tls_set(reachable, VALUE(1)));
    apart_set(&ready, 1);
    grows = true;
    for (i = 0; i < KEYS; i++) {
        keys[i] = test_key();
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
        CHECK_OK(tls_set(reachable, VALUE(1))); /* it may have been taken */
    }
    grows = false;
    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_key_release(keys[i]));
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_map_destroy(map));
    real_free(keys);
    return argument;
}

static int
visit_nothing(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    (void)argument;
    return 0;
}

static void
want_to_visit(void)
{
    CHECK_OK(tls_for_each(reachable, visit_nothing, NULL));
}

static void
want_to_purge(void)
{
    CHECK_OK(tls_key_purge(reachable, NULL));
}

static void
want_to_scrape(void)
{
    CHECK_OK(tls_scrape(reachable, visit_nothing, NULL));
}

static int
write_nothing(const char *bytes, size_t length, void *argument)
{
    (void)bytes;
    (void)length;
    (void)argument;
    return 0;
}

static void
want_to_report(void)
{
    CHECK_OK(tls_dump(write_nothing, NULL));
}

static void *
keep_wanting(void *argument)
{
    apart_wait(&ready, 1);
    while (test_count(&stop) == 0)
        want();
    return argument;
}

/* Uses keys that have nothing to do with it. */
static void *
stand_by(void *argument)
{
    char name[8];
    size_t i;

    while (test_count(&stop) == 0) {
        for (i = 0; i < UNRELATED; i++) {
            CHECK_OK(tls_key_name(unrelated[i], name, sizeof(name)));
            CHECK_OK(tls_key_retain(unrelated[i]));
            CHECK_OK(tls_key_release(unrelated[i]));
            CHECK_OK(tls_set(unrelated[i], VALUE(i + 1)));
            CHECK_PTR(tls_get(unrelated[i]), VALUE(i + 1));
            CHECK_OK(tls_remove(unrelated[i]));
        }
        CHECK_OK(tls_for_each(visited, visit_nothing, NULL));
        test_count_up(&operations);
    }
    return argument;
}

static void
others_go_on_while_a_table_grows(void)
{
    tls_key_options_t options = test_options();
    struct sigaction action;
    pthread_t threads[3];
    size_t i;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = touched;
    action.sa_flags = SA_SIGINFO;
    CHECK_INT(sigaction(SIGSEGV, &action, NULL), 0);
    options.reclaim = reclaim;
    options.flags = flags;
    reachable = test_key_from(&options);
    for (i = 0; i < UNRELATED; i++)
        unrelated[i] = test_key();
    options.flags = TLS_KEY_ENUMERABLE;
    visited = test_key_from(&options);
    CHECK_OK(tls_set(visited, VALUE(1)));
    threads[0] = test_start(stand_by, NULL);
    threads[1] = test_start(keep_wanting, NULL);
    threads[2] = test_start(grow, NULL);
    test_join(threads[2]);
    apart_set(&stop, 1);
    test_join(threads[0]);
    test_join(threads[1]);
    CHECK_AT_LEAST(growths, 1);
    CHECK_OK(tls_key_release(reachable));
    CHECK_OK(tls_key_release(visited));
    for (i = 0; i < UNRELATED; i++)
        CHECK_OK(tls_key_release(unrelated[i]));
}

int
main(void)
{
    int i;

    if (getenv("THREADLOCALMAP_TEST_SCALE") != NULL) {
        puts("not run: a runner is set, and these tests have faults on purpose");
        return 0;
    }
    for (i = 0; i < 2; i++) {
        on_a_moved_map = i != 0;
        reclaim = TLS_RECLAIM_OWNER;
        flags = TLS_KEY_ENUMERABLE;
        want = want_to_visit;
        RUN_APART_AS(others_go_on_while_a_table_grows, "(for_each)");
        want = want_to_scrape;
        RUN_APART_AS(others_go_on_while_a_table_grows, "(scrape)");
        want = want_to_report;
        RUN_APART_AS(others_go_on_while_a_table_grows, "(dump)");
        reclaim = TLS_RECLAIM_ANY;
        want = want_to_visit;
        RUN_APART_AS(others_go_on_while_a_table_grows, "(for_each, any)");
        flags = 0;
        want = want_to_purge;
        RUN_APART_AS(others_go_on_while_a_table_grows, "(purge)");
    }
    return apart_finish();
}
