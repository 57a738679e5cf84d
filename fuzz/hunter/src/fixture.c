/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The threads of this program take turns: one runs at a time, and the turn changes at pauses, as `schedule` says.
 * A value is the address of a record, which says whether it was ended. Build:
 *   cc -std=gnu11 -Iinclude THIS.c target/release/libthreadlocalmap.a -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <threadlocalmap.h>
#include <unistd.h>

enum { FREE, OFFERED, HELD, DESTROYED, HANDED, REFUSED };
typedef struct { int state, key, visitors, thread; } record;
typedef struct { int any, enumerable, explicit_, worker, inherit, init, fails, destroy, init_body, copy, freed; } spec;
static record records[8192];
static int made, disturbed, conductor = 16, turn = 16, step, ended[17], ending[17], cancelled[17], nested[17], budget[17], handler[17], quiet, forks, in_child;
static pthread_t threads[17];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static __thread int me, visiting[8], visits, fails_at, calls;
static tls_key_t keys[24];
static int references[24], deaths[24], makes[24];
static pthread_key_t os_keys[2];
static int passes[17][2];
static tls_context_t *contexts[3];
static tls_task_t *tasks[3];
static tls_map_t *maps[3];
static tls_scope_t scopes[17][8];
static int open_scopes[17];

static void fail(const char *what, long number) { printf("FAULT: %s (%ld)\n", what, number); fflush(stdout); _exit(1); }

/* The library's allocations alone can be made to fail: those inside a call. */
extern void *__libc_calloc(size_t, size_t);
void *calloc(size_t n, size_t size) { return calls && fails_at && --fails_at == 0 ? NULL : __libc_calloc(n, size); }
#define CALL(x) ({ calls++; __auto_type r_ = (x); calls--; r_; })

static const spec specs[];
static const unsigned char schedule[];
static const int n_keys, n_threads, n_schedule;
static void thread_list(int number);
static void body_list(int number);

static void wait_for_turn(void) { pthread_mutex_lock(&lock); while (turn != me) pthread_cond_wait(&changed, &lock); pthread_mutex_unlock(&lock); }
static void pass(int to) { pthread_mutex_lock(&lock); turn = to; pthread_cond_broadcast(&changed); pthread_mutex_unlock(&lock); }
static void begin_ending(void) {
  ending[me] = 1; nested[me] = 0; calls = 0;
  while (visits) records[visiting[--visits]].visitors--;
}
static void pause_here(void) {
  if (in_child == 0 && step < n_schedule && schedule[step++]) {
    int others[17], n = 0;
    for (int i = 0; i < n_threads; i++) if (i != me && !ended[i]) others[n++] = i;
    if (n) { pass(others[(schedule[step - 1] - 1) % n]); wait_for_turn(); }
  }
  if (cancelled[me] == 1) { cancelled[me] = 2; begin_ending(); pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL); pthread_testcancel(); }
}
static void body(int number) {
  int saved = calls, depth = nested[me];
  if (quiet) return;
  calls = 0;
  pause_here();
  if (number && depth < 3) { nested[me]++; body_list(number); nested[me] = depth; }
  calls = saved;
}
#define OP(x) do { if (nested[me] && budget[me]-- <= 0) return; x; if (nested[me]) pause_here(); } while (0)
#define TOP() do { if (!nested[me]) pause_here(); } while (0)

static record *make(int key) { record *r = &records[made++]; *r = (record){.state = OFFERED, .key = key, .thread = me}; return r; }
static record *of(void *value) { record *r = value; if (r < records || r >= records + made) fail("no value of ours", (long)value); return r; }
static void destroy(void *value, int reason, void *user) {
  record *r = of(value); int key = (int)(long)user - 1;
  if (r->state == DESTROYED) fail("destroyed twice", r - records);
  if (r->state != OFFERED && r->state != HELD) fail("destroyed, but not the library's", r - records);
  if (r->visitors) fail("destroyed while it is visited", r - records);
  if (r->key != key) fail("destroyed by another key's callback", r - records);
  r->state = DESTROYED; (void)reason; body(specs[key].destroy);
}
static int produce(int key, int number, void **value) {
  body(number);
  if (makes[key]++ % 3 == 2 && specs[key].fails) return 1;
  record *r = make(key); r->state = HELD; *value = r; return 0;
}
static int init(void **value, void *user) { int k = (int)(long)user - 1; return produce(k, specs[k].init_body, value); }
static int copy(void *value, void **result, void *user) { int k = (int)(long)user - 1; if (of(value)->state == DESTROYED) fail("copied after its end", 0); return produce(k, specs[k].copy, result); }
static void user_free(void *user) { int k = (int)(long)user - 1; deaths[k]--; body(specs[k].freed); }
/* One in so many values ends the visit. */
static int stops_at(const record *r) { return (r - records) % 7 == 6; }
static int visit(void *value, uint64_t thread, void *arg) {
  (void)thread; if (!value) { body((int)(long)arg); return 0; }
  record *r = of(value);
  if (r->state != OFFERED && r->state != HELD) fail("visited after its end", r - records);
  r->visitors++; visiting[visits++] = (int)(r - records); body((int)(long)arg); r->visitors--; visits--;
  if (r->state == DESTROYED) fail("destroyed before its visitor returned", r - records);
  return stops_at(r);
}
static void hand_over(void *value) { if (!value) return; record *r = of(value); if (r->state != OFFERED && r->state != HELD) fail("handed over after its end", r - records); r->state = HANDED; }
static int take_one(void *value, uint64_t thread, void *arg) { (void)thread; hand_over(value); body((int)(long)arg); return value ? stops_at(of(value)) : 0; }
static void receive(tls_key_t key, void *value, void *arg) { (void)key; hand_over(value); body((int)(long)arg); }
static void visit_local(tls_key_t key, void *value, void *arg) { (void)key; (void)value; body((int)(long)arg); }
static int write_one(const char *bytes, size_t n, void *arg) { (void)bytes; (void)n; body((int)(long)arg); return 0; }
static void other(void *arg) { body((int)(long)arg); }
static void ending_other(void *arg) { begin_ending(); body((int)(long)arg); }
static void os_destructor(int which, void *value) { begin_ending(); if (passes[me][which]-- > 0) pthread_setspecific(os_keys[which], value); body((int)(long)value - 9); }
static void older(void *value) { os_destructor(0, value); }
static void younger(void *value) { os_destructor(1, value); }

/* The operations. */
static void key_create(int k) {
  if (references[k] > 0) return;
  tls_key_options_t o = {.size = sizeof o, .destroy = destroy, .init = specs[k].init ? init : NULL, .copy = specs[k].inherit ? copy : NULL, .user = (void *)(long)(k + 1), .user_free = user_free,
    .reclaim = (uint32_t)specs[k].any, .flags = (uint32_t)(specs[k].enumerable | specs[k].worker << 1 | specs[k].inherit << 2 | specs[k].explicit_ << 3)};
  if (CALL(tls_key_create(&keys[k], &o)) == TLS_OK) { references[k] = 1; deaths[k]++; }
}
static void set(int k) { record *r = make(k); int e = CALL(tls_set(keys[k], r)); if (e == TLS_OK) { if (r->state == OFFERED) r->state = HELD; } else if (r->state == OFFERED) r->state = REFUSED; else fail("a failed tls_set has ended its value", e); }
static void hook(uint32_t when, int k, int owned, void *argument) { tls_hook_options_t o = {.size = sizeof o, .when = when, .fn = other, .arg = argument, .owner = owned ? keys[k] : 0}; CALL(tls_thread_hook(&o)); }
static void set_null(int k) { CALL(tls_set(keys[k], NULL)); }
static void swap(int k) { record *r = make(k); void *old = NULL; int e = CALL(tls_swap(keys[k], r, &old)); if (e == TLS_OK) { if (r->state == OFFERED) r->state = HELD; hand_over(old); } else r->state = REFUSED; }
static void check_alive(void *value, int k, int before) { if (!value) return; record *r = of(value); if (r->key != k) fail("another key's value", r - records); if (((!specs[k].any && !specs[k].enumerable) || before == disturbed) && r->state != OFFERED && r->state != HELD) fail("tls_get returns a value after its end", r - records); }
static void get(int k) { int d = disturbed; check_alive(CALL((tls_get)(keys[k])), k, d); }
static void get_existing(int k) { int d = disturbed; check_alive(CALL((tls_get_existing)(keys[k])), k, d); }
static void try_get(int k) { int d = disturbed; void *v = NULL; if (CALL(tls_try_get(keys[k], &v)) == TLS_OK) check_alive(v, k, d); }
static void take(int k) { void *old = NULL; if (CALL(tls_take(keys[k], &old)) == TLS_OK) hand_over(old); }
static void take_wait(int k) { void *old = NULL; if (CALL(tls_take_wait(keys[k], &old, 0)) == TLS_OK) hand_over(old); }
static void remove_(int k) { CALL(tls_remove(keys[k])); }
static void release(int k) { if (references[k] <= 0) return; references[k]--; disturbed++; int e = CALL(tls_key_release(keys[k])); if (e) fail("tls_key_release fails", e); }
static void retain(int k) { if (CALL(tls_key_retain(keys[k])) == TLS_OK) references[k]++; }
static void scope_begin(int slot) { if (open_scopes[me] < 8) { tls_scope_t s; if (CALL(tls_scope_begin(&s, slot < 3 ? contexts[slot] : NULL)) == TLS_OK) scopes[me][open_scopes[me]++] = s; } }
static void scope_end(void) { if (open_scopes[me]) { tls_scope_t s = scopes[me][open_scopes[me] - 1]; int e = CALL(tls_scope_end(s)); if ((e == TLS_OK || e == TLS_ERR_INVALID) && open_scopes[me] && scopes[me][open_scopes[me] - 1] == s) open_scopes[me]--; } }
static void free_context(int i) { tls_context_t *c = contexts[i]; contexts[i] = NULL; calls++; tls_context_free(c); calls--; }
static void capture(int i) { tls_context_t *c; if (CALL(tls_context_capture(&c)) == TLS_OK) { if (contexts[i]) { calls++; tls_context_free(c); calls--; } else contexts[i] = c; } }
static void task_cancel(int i) { tls_task_t *t = tasks[i]; tasks[i] = NULL; calls++; tls_task_cancel(t); calls--; }
static void task_run(int i) { tls_task_t *t = tasks[i]; tasks[i] = NULL; calls++; tls_task_run(t); calls--; }
static void task_create(int i, int b) { tls_task_t *t; if (CALL(tls_task_create(&t, other, (void *)(long)b)) == TLS_OK) { if (tasks[i]) { calls++; tls_task_cancel(t); calls--; } else tasks[i] = t; } }
static void map_create(int i) { if (!maps[i]) CALL(tls_map_create(&maps[i])); }
static void map_switch(int i) { tls_map_t *p; CALL(tls_map_switch(i < 3 ? maps[i] : NULL, &p)); }
static void map_destroy(int i) { tls_map_t *m = maps[i]; maps[i] = NULL; if (CALL(tls_map_destroy(m)) != TLS_OK) maps[i] = m; }
static void for_each(int k, int b) { CALL(tls_for_each(keys[k], visit, (void *)(long)b)); }
static void purge(int k) { disturbed++; CALL(tls_key_purge(keys[k], NULL)); }
static void scrape(int k, int b) { disturbed++; CALL(tls_scrape(keys[k], take_one, (void *)(long)b)); }
static void exit_thread(void) { if (ending[me] || me == conductor) return; begin_ending(); pthread_exit(NULL); }
static void cancel_thread(int t) { if (!ended[t]) { pthread_cancel(threads[t]); if (!cancelled[t]) cancelled[t] = 1; } }
static void finish(void);
static void fork_here(void) {
  int status; if (in_child || forks++ >= 2) return;
  fflush(stdout); pid_t child = CALL(fork());
  if (child == 0) { in_child = 1; alarm(5); return; }
  waitpid(child, &status, 0); if (status) fail("the forked child fails, or hangs", status);
}
static void key_destructor(int which, int n, int b) { passes[me][which] = n; pthread_setspecific(os_keys[which], (void *)(long)(b + 9)); }
extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);
extern void *__dso_handle;
static void thread_destructor(int b) { __cxa_thread_atexit_impl(ending_other, (void *)(long)b, &__dso_handle); }

static void cleanup(void *arg) { (void)arg; begin_ending(); body(handler[me]); }
static void *work(void *arg) {
  me = (int)(long)arg; pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); budget[me] = 300; wait_for_turn();
  pthread_cleanup_push(cleanup, NULL); thread_list(me); pthread_cleanup_pop(0);
  if (in_child) finish();
  begin_ending(); return NULL;
}
static void *keep(void *arg) {
  int t = (int)(long)arg, next = conductor; pthread_join(threads[t], NULL); ended[t] = 1;
  for (int i = n_threads; i-- > 0;) if (!ended[i]) next = i;
  pass(next); return NULL;
}
static void finish(void) {
  quiet = 1; tls_map_switch(NULL, NULL);
  for (int i = 0; i < 3; i++) { if (contexts[i]) free_context(i); if (tasks[i]) task_cancel(i); if (maps[i] && tls_map_destroy(maps[i]) && !in_child) fail("tls_map_destroy", i); }
  for (int k = 0; k < n_keys; k++) while (references[k] > 0) release(k);
  tls_thread_detach();
  for (int k = 0; k < n_keys; k++) { size_t left = 0; int e = tls_key_drain(keys[k], 300, &left); if (e || left) fail("a key does not drain", k); if (deaths[k] && !in_child) fail("user_free was not called once", k); }
  tls_stats_t s = {.size = sizeof s}; tls_stats(&s); long lost = 0;
  for (int i = 0; i < made; i++) lost += records[i].state == HELD;
  if (!in_child && (s.keys || s.dead_keys || s.maps || s.entries || s.stale || s.contexts)) fail("tls_stats is not back at zero: maps", (long)s.maps);
  if (!in_child && (uint64_t)lost > s.leaked) fail("values are lost and not counted as leaked", lost);
  puts("ok"); fflush(stdout); _exit(0);
}
int main(void) {
  alarm(10); me = conductor; pthread_key_create(&os_keys[0], older); tls_thread_attach(); tls_thread_detach(); pthread_key_create(&os_keys[1], younger);
  for (int k = 0; k < n_keys; k++) key_create(k);
  for (int i = 0; i < n_threads; i++) { pthread_t holder; pthread_create(&threads[i], NULL, work, (void *)(long)i); pthread_create(&holder, NULL, keep, (void *)(long)i); }
  pass(0); wait_for_turn(); finish();
}

/* The program. */
