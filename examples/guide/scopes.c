/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Values set inside a scope are destroyed when it closes; values they shadowed come back. */
#include <stdio.h>
#include <stdlib.h>

#include <threadlocalmap.h>

static void must(int code)
{
    if (code == TLS_OK) return;
    fprintf(stderr, "%s\n", tls_strerror(code));
    exit(1);
}

static void print_end(void *value, int reason, void *user)
{
    (void)user;
    printf("  \"%s\" is destroyed%s\n", (char *)value,
           reason == TLS_REASON_SCOPE_END ? ": the scope ends" : "");
}

int main(void)
{
    tls_key_options_t options = {.size = sizeof options, .destroy = print_end};
    tls_key_t user, locale;
    tls_scope_t scope;

    must(tls_key_create(&user, &options));
    must(tls_key_create(&locale, &options));
    must(tls_set(user, "nobody"));

    must(tls_scope_begin(&scope, NULL));
    printf("inside, before a set: %s\n", (char *)tls_get(user));
    must(tls_set(user, "ann")); /* shadows "nobody", which is not destroyed */
    must(tls_set(locale, "fr"));
    printf("inside, after it: %s, %s\n", (char *)tls_get(user), (char *)tls_get(locale));
    must(tls_scope_end(scope));

    printf("outside again: %s, %s\n", (char *)tls_get(user),
           tls_get(locale) == NULL ? "none" : "a locale");
    must(tls_key_release(user));
    must(tls_key_release(locale));
    return 0;
}
