/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* exit() destroys nothing; tls_thread_detach() does. */
#include <stdio.h>
#include <stdlib.h>

#include <threadlocalmap.h>

static void flush(void *value, int reason, void *user)
{
    (void)user;
    printf("%s is flushed%s\n", (char *)value,
           reason == TLS_REASON_DETACHED ? ": the thread was detached" : "");
}

int main(void)
{
    tls_key_options_t options = {.size = sizeof options, .destroy = flush};
    tls_key_t log;

    if (tls_key_create(&log, &options) != TLS_OK) return 1;
    if (tls_set(log, "the log") != TLS_OK) return 1;
    tls_thread_detach(); /* destroys the main thread's values now */
    exit(0);             /* without the line above, nothing would be flushed */
}
