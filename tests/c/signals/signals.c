/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * N08: signal handlers that read values while their thread is anywhere inside
 * the library: in the middle of an insert, of a removal that moves entries, of
 * a table that grows or shrinks, of an allocation.
 */
#include "test.h"

#include <signal.h>
#include <time.h>

#define KEPT 5
#define CHURNED 60
#define TURNS 2

static tls_key_t kept[KEPT];
static tls_key_t churned[CHURNED];
static tls_key_t changing;  /* always has a value, 300 or 301 */
static tls_key_t of_others; /* never has one here */
static size_t handled;
static size_t retained; /* references that handlers took */
static int stop;

/* Only what the header says a handler may do. */
static void
look(int signal_number)
{
    int i;

    (void)signal_number;
    for (i = 0; i < KEPT; i++) {
        CHECK_PTR(tls_get(kept[i]), VALUE(i + 1));
        CHECK_PTR((tls_get)(kept[i]), VALUE(i + 1));
        CHECK_PTR(tls_get_existing(kept[i]), VALUE(i + 1));
    }
    for (i = 0; i < CHURNED; i++) {
        void *value = tls_get_existing(churned[i]);

        CHECK(value == NULL || value == VALUE(100 + i));
    }
    CHECK(tls_get(changing) == VALUE(300) || tls_get(changing) == VALUE(301));
    CHECK_PTR(tls_get_existing(of_others), NULL);
    CHECK_UINT(tls_stale_count(), 0);
    CHECK(tls_key_is_live(of_others));
    CHECK_OK(tls_key_retain(of_others));
    test_count_up(&retained);
    CHECK_STR(tls_err_name(TLS_ERR_ABSENT), "TLS_ERR_ABSENT");
    CHECK(tls_strerror(TLS_ERR_ABSENT) != NULL);
    CHECK_INT(tls_version(), TLS_VERSION_NUMBER);
    CHECK_STR(tls_version_string(), TLS_VERSION_STRING);
    test_count_up(&handled);
}

static void
set_first_values(void)
{
    int i;

    CHECK_OK(tls_thread_attach());
    for (i = 0; i < KEPT; i++)
        CHECK_OK(tls_set(kept[i], VALUE(i + 1)));
    CHECK_OK(tls_set(changing, VALUE(300)));
}

/* The table grows from 16 slots to 128 and shrinks again, its entries coming
 * and going in another order at each turn. */
static void
churn(size_t turn)
{
    void *old;
    size_t i;

    for (i = 0; i < CHURNED; i++) {
        size_t at = (i * 7 + turn) % CHURNED;

        tls_set(churned[at], VALUE(100 + at));
        tls_set(changing, VALUE(300 + i % 2));
    }
    for (i = 0; i < CHURNED; i++) {
        tls_remove(churned[(i * 11 + turn) % CHURNED]);
        tls_swap(changing, VALUE(300 + i % 2), &old);
    }
}

static void
handle(int signal_number)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = look;
    CHECK_INT(sigaction(signal_number, &action, NULL), 0);
}

static void *
churn_until_stopped(void *argument)
{
    sigset_t set;
    size_t turn;

    (void)argument;
    set_first_values();
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_INT(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    for (turn = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); turn++)
        churn(turn);
    return NULL;
}

/* At moments that nobody has chosen. */
static void
handlers_see_the_values_that_are_there(void)
{
    size_t enough = test_scaled(2000, 100);
    struct timespec pause = { 0, 20000 }; /* lets the thread get on */
    sigset_t set;
    pthread_t thread;

    handle(SIGUSR1);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_INT(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    thread = test_start(churn_until_stopped, NULL);
    while (test_count(&handled) < enough) {
        CHECK_INT(pthread_kill(thread, SIGUSR1), 0);
        nanosleep(&pause, NULL);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    test_join(thread);
}

#if defined(__x86_64__)

/* While the trap flag is set, the processor raises SIGTRAP after each
 * instruction; in the handler it is not set. Below the stack pointer there
 * may be data of the function that this is inlined in (128 bytes). */
static inline void
step_by_step(void)
{
    __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\t"
                     "lea 128(%%rsp), %%rsp" ::: "memory", "cc");
}

static inline void
at_full_speed(void)
{
    __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq\n\t"
                     "lea 128(%%rsp), %%rsp" ::: "memory", "cc");
}

static void *
churn_step_by_step(void *argument)
{
    size_t turn;

    (void)argument;
    set_first_values();
    for (turn = 0; turn < TURNS; turn++) {
        step_by_step();
        churn(turn);
        at_full_speed();
    }
    return NULL;
}

/* Between any two instructions. Runners cannot do that. */
static void
a_handler_may_come_at_every_instruction(void)
{
    size_t before = test_count(&handled);

    if (getenv("THREADLOCALMAP_TEST_SCALE") != NULL)
        return;
    handle(SIGTRAP);
    test_in_thread(churn_step_by_step, NULL);
    /* Several instructions for each of the calls, at the very least. */
    CHECK_AT_LEAST(test_count(&handled), before + (size_t)TURNS * 4 * CHURNED * 10);
}

#else

static void
a_handler_may_come_at_every_instruction(void)
{
}

#endif

int
main(void)
{
    int i;

    for (i = 0; i < KEPT; i++)
        kept[i] = test_key();
    for (i = 0; i < CHURNED; i++)
        churned[i] = test_key();
    changing = test_key();
    of_others = test_key();
    RUN(handlers_see_the_values_that_are_there);
    RUN(a_handler_may_come_at_every_instruction);
    for (i = 0; i < KEPT; i++)
        CHECK_OK(tls_key_release(kept[i]));
    for (i = 0; i < CHURNED; i++)
        CHECK_OK(tls_key_release(churned[i]));
    CHECK_OK(tls_key_release(changing));
    for (; retained > 0; retained--)
        CHECK_OK(tls_key_release(of_others));
    CHECK(tls_key_is_live(of_others));
    CHECK_OK(tls_key_release(of_others));
    return test_finish();
}
