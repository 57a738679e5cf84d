/*
 * threadlocalmap_pthread.h - pthread keys and C11's tss_t on this library, with one include.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * For programs that run out of pthread keys (glibc has 1024 for each process, musl 128) and should
 * not be rewritten. Include it in each file that uses keys, in place of or after <pthread.h>, and
 * after the headers of other libraries. Or pass `-include threadlocalmap_pthread.h` to the
 * compiler. Or pass `-I<where this header is>/threadlocalmap_pthread`: this folder has a
 * <pthread.h> that includes both. Then
 *
 *     pthread_key_t, pthread_key_create, pthread_key_delete, pthread_getspecific,
 *     pthread_setspecific; tss_t, tss_create, tss_delete, tss_get, tss_set
 *
 * are this library's in that file. There can be as many keys as memory allows, and the process uses
 * one pthread key in all.
 *
 * WHAT STAYS AS POSIX AND C11 SAY
 *   A new key is NULL on every thread. Neither pthread_setspecific() over a value nor
 *   pthread_key_delete() calls a destructor, on any thread, now or later: what a deleted key's
 *   values point to stays yours to free, as it was. (The library's own tls_key_release()
 *   destroys them; docs/migrating.md says how to migrate to it.) Destructors run on the thread that
 *   ends, however it ends, with the value already NULL, never for a NULL value, and again while
 *   they set values, in PTHREAD_DESTRUCTOR_ITERATIONS (4) rounds. exit() runs none. A child of
 *   fork() has the values of the thread that forked.
 *
 * WHAT IS DIFFERENT
 *   - pthread_key_t and tss_t are a 64-bit unsigned integer, here tls_key_t. Static, in a
 *     structure, by value, by pointer, compared, made in a pthread_once(): as before. Not: kept in
 *     an int or an unsigned int, printed with %u, kept in a pointer where pointers have 32 bits. A
 *     file that includes this header cannot share a key with one that does not; nor can the headers
 *     of other libraries that have a pthread_key_t in a structure or a parameter (libuv's uv_key_t
 *     is one): include those before this one.
 *   - A deleted key's number is never used again: for ever EINVAL to set and to delete, and NULL to
 *     get. 0 is never a key.
 *   - PTHREAD_KEYS_MAX and sysconf(_SC_THREAD_KEYS_MAX) still have the system's number. A
 *     limit that a program derives from them stays.
 *   - Destructors run in the reverse order of first set. (POSIX leaves the order open; glibc has
 *     the order in which keys were made.) What a destructor sets is ended in the next round, never
 *     in the same one: a chain in which each destructor sets the next key's value has 4 links,
 *     whatever the order of the keys. glibc ends longer chains if the keys are in order.
 *   - Values that are left after 4 rounds are given up, as by the system; this library counts them
 *     (tls_stats_t.leaked).
 *   - Beside destructors of true pthread keys (of files and libraries without this header), all of
 *     these run in one go, at the place of the library's own pthread key.
 *   - pthread_key_create() with a destructor attaches the calling thread, so that the end
 *     of each thread is detected. It returns EAGAIN if the process has no pthread key left for the
 *     library, because destructors would not run. ENOMEM is for memory, here too.
 *   - pthread_setspecific() may allocate at the first value of a key on a thread (glibc allocates
 *     from the 33rd key on): ENOMEM. Also ENOMEM: on a thread past its last cleanup, and inside
 *     the memory allocator that this library is just calling. Setting NULL never fails so.
 *   - Where the program also uses the library's own functions: pthread_setspecific() may run
 *     destroy callbacks of other, dead keys on the way, as tls_set() may; pthread_getspecific()
 *     never runs any. tls_thread_detach() runs destructors; tls_remove_all() forgets values
 *     without calling one. tls_set() and friends work on these keys.
 *   - A thread that only reads keeps the entries of deleted keys (some hundred bytes each)
 *     until it sets a new key, ends, or calls tls_expunge().
 *
 * C11's functions are mapped where <threads.h> exists. In C this header includes it (define
 * THREADLOCALMAP_NO_TSS to prevent this); in C++ include it before.
 */
/* Nothing for sources in assembly: -include is for all files of a program. */
#if !defined(THREADLOCALMAP_PTHREAD_H) && !defined(__ASSEMBLER__)
#define THREADLOCALMAP_PTHREAD_H

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <threadlocalmap.h>

/* The C++ library uses pthread keys in a header of its own, and must see the system's names. */
#ifdef __cplusplus
#include <mutex>
#elif !defined(THREADLOCALMAP_NO_TSS) && !defined(__STDC_NO_THREADS__) && defined(__has_include)
#if __has_include(<threads.h>)
#include <threads.h>
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef tls_key_t tls_pthread_key_t;

/* Private: a code of the library as a code of POSIX; `other` for those that POSIX does not have. */
static inline int tls_private_pthread_error(int error, int other) {
  switch (error) {
  case TLS_OK:
    return 0;
  case TLS_ERR_BAD_KEY:
  case TLS_ERR_DEAD_KEY:
  case TLS_ERR_INVALID:
    return EINVAL;
  case TLS_ERR_NO_MEMORY:
    return ENOMEM;
  default:
    return other;
  }
}

/* pthread_key_create(): 0, EAGAIN, ENOMEM; EINVAL for a NULL key. */
static inline int tls_pthread_key_create(tls_pthread_key_t *key, void (*destructor)(void *)) {
  tls_key_options_t options;
  int error;

  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.flags = TLS_KEY_WORKER; /* values of the thread, not of a scope on it */
  if (destructor != NULL) {
    error = tls_thread_attach();
    if (error == TLS_ERR_LIMIT || error == TLS_ERR_NO_MEMORY) {
      return tls_private_pthread_error(error, EAGAIN);
    }
    /* POSIX has function pointers that fit in a void *; C has no cast for it. */
    memcpy(&options.user, &destructor, sizeof options.user);
    /* In the library: a plug-in that has deleted its keys can be unloaded. */
    options.destroy = tls_destroy_at_exit;
  }
  error = tls_key_create(key, &options);
  if (error == TLS_ERR_UNSUPPORTED) { /* a library without scopes */
    options.flags = 0;
    error = tls_key_create(key, &options);
  }
  return tls_private_pthread_error(error, EAGAIN);
}

/* pthread_key_delete(): 0, EINVAL. */
static inline int tls_pthread_key_delete(tls_pthread_key_t key) {
  return tls_private_pthread_error(tls_key_release(key), EINVAL);
}

/* pthread_getspecific(). If there are stale values, this may be one, and must not be returned. */
static inline void *tls_pthread_getspecific(tls_pthread_key_t key) {
  if (tls_stale_count() != 0 && !tls_key_is_live(key)) {
    return NULL;
  }
  return tls_get_existing(key);
}

/* pthread_setspecific(): 0, EINVAL, ENOMEM. */
static inline int tls_pthread_setspecific(tls_pthread_key_t key, const void *value) {
  if (value == NULL) {
    return tls_private_pthread_error(tls_remove(key), EINVAL);
  }
  return tls_private_pthread_error(tls_set(key, (void *)(uintptr_t)value), ENOMEM);
}

#define pthread_key_t tls_pthread_key_t
#define pthread_key_create tls_pthread_key_create
#define pthread_key_delete tls_pthread_key_delete
#define pthread_getspecific tls_pthread_getspecific
#define pthread_setspecific tls_pthread_setspecific

/* <threads.h> was included. */
#if defined(TSS_DTOR_ITERATIONS) && !defined(THREADLOCALMAP_NO_TSS)

typedef tls_key_t tls_tss_t;

/* tss_create(): thrd_success, thrd_error. */
static inline int tls_tss_create(tls_tss_t *key, tss_dtor_t destructor) {
  return tls_pthread_key_create(key, destructor) == 0 ? thrd_success : thrd_error;
}

/* tss_delete(). */
static inline void tls_tss_delete(tls_tss_t key) { (void)tls_pthread_key_delete(key); }

/* tss_get(). */
static inline void *tls_tss_get(tls_tss_t key) { return tls_pthread_getspecific(key); }

/* tss_set(): thrd_success, thrd_error. */
static inline int tls_tss_set(tls_tss_t key, void *value) {
  return tls_pthread_setspecific(key, value) == 0 ? thrd_success : thrd_error;
}

#define tss_t tls_tss_t
#define tss_create tls_tss_create
#define tss_delete tls_tss_delete
#define tss_get tls_tss_get
#define tss_set tls_tss_set

#endif

#ifdef __cplusplus
}
#endif

#endif /* THREADLOCALMAP_PTHREAD_H */
