/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A program with functions of its own that have names of ours: it knows nothing of our library, which
 * a library that it uses brings along.
 */
#include <stdio.h>

#include "counter.h"

void *tls_get(const char *session);
int tls_set(const char *session, int option);
int tls_key_create(void);

static int called;

void *tls_get(const char *session) {
  ++called;
  return (void *)session;
}

int tls_set(const char *session, int option) {
  (void)session;
  ++called;
  return option;
}

int tls_key_create(void) { return ++called; }

int main(void) {
  static const char session[] = "session";
  int last = 0;
  for (int i = 0; i < 10; ++i) {
    last = counter_next();
  }
  if (last != 10 || called != 0) {
    fprintf(stderr, "the library counted to %d, and called %d of the program's functions\n", last, called);
    return 1;
  }
  if (tls_get(session) != (const void *)session || tls_set(session, 7) != 7 || tls_key_create() != 3) {
    fprintf(stderr, "the program called a function of the library\n");
    return 1;
  }
  puts("each calls its own");
  return 0;
}
