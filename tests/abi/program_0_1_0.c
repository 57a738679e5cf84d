/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A program of version 0.1.0: it uses what that version has, the inlined calls first of all. Compiled
 * once, its object must run on every later library of the same SONAME, whatever has become of the
 * table behind the inlined calls. It changes with no release.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <threadlocalmap.h>

enum { KEYS = 1000, ROUNDS = 3 };

#define CHECK(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
      exit(1); \
    } \
  } while (0)

static tls_key_t keys[KEYS];
static int values[KEYS];
static int destroyed;

static void count(void *value, int reason, void *user) {
  (void)value;
  (void)reason;
  ++*(int *)user;
}

/* Every hit, miss and count through the header, inlined where it is. */
static void look_at(int round) {
  for (int i = 0; i < KEYS; ++i) {
    void *expected = round == 0 ? NULL : &values[(i + round) % KEYS];
    CHECK(tls_get(keys[i]) == expected);
    CHECK(tls_get_existing(keys[i]) == expected);
    CHECK(tls_set(keys[i], &values[(i + round + 1) % KEYS]) == TLS_OK);
    CHECK(tls_get(keys[i]) == &values[(i + round + 1) % KEYS]);
  }
  CHECK(tls_stale_count() == 0);
}

static void *worker(void *unused) {
  tls_scope_t scope;
  for (int round = 0; round < ROUNDS; ++round) {
    look_at(round);
  }
  CHECK(tls_scope_begin(&scope, NULL) == TLS_OK);
  CHECK(tls_set(keys[7], &values[0]) == TLS_OK && tls_get(keys[7]) == &values[0]);
  CHECK(tls_scope_end(scope) == TLS_OK);
  CHECK(tls_get(keys[7]) == &values[(7 + ROUNDS) % KEYS]);
  return unused;
}

int main(void) {
  tls_key_options_t options = {0};
  tls_stats_t stats;
  pthread_t thread;
  void *old;
  options.size = sizeof options;
  options.destroy = count;
  options.user = &destroyed;
  for (int i = 0; i < KEYS; ++i) {
    CHECK(tls_key_create(&keys[i], &options) == TLS_OK);
  }
  CHECK(tls_get(TLS_KEY_NONE) == NULL && tls_get(keys[0]) == NULL);
  CHECK(pthread_create(&thread, NULL, worker, NULL) == 0 && pthread_join(thread, NULL) == 0);
  CHECK(destroyed == KEYS * ROUNDS + 1); /* all of the thread's, and the scope's */

  destroyed = 0;
  look_at(0);
  CHECK(tls_swap(keys[1], &values[9], &old) == TLS_OK && old == &values[2]);
  CHECK(tls_take(keys[2], &old) == TLS_OK && old == &values[3] && tls_get(keys[2]) == NULL);
  CHECK(tls_remove(keys[3]) == TLS_OK && tls_get_existing(keys[3]) == NULL && destroyed == 1);
  for (int i = 0; i < KEYS; ++i) {
    CHECK(tls_key_release(keys[i]) == TLS_OK);
    CHECK(tls_get(keys[i]) == NULL);
  }
  tls_expunge();
  CHECK(tls_stale_count() == 0 && destroyed == KEYS - 1);
  stats.size = sizeof stats;
  CHECK(tls_stats(&stats) == TLS_OK && stats.keys == 0 && stats.entries == 0 && stats.leaked == 0);
  CHECK(tls_version() >= TLS_VERSION_NUMBER);
  puts("a program of 0.1.0 runs");
  return 0;
}
