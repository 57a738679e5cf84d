/**
 * @file
 * threadlocalmap_pthread.h - pthread keys and C11's tss_t on this library, with one include.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Use it for a program that runs out of pthread keys (glibc has 1024 for each process, musl 128)
 * and that you do not want to rewrite. There are three ways:
 *
 *   - Include this header in each file that uses keys, instead of pthread.h or after it, and after
 *     the headers of other libraries.
 *   - Give the compiler the option -include threadlocalmap_pthread.h.
 *   - Put the folder threadlocalmap_pthread first in the include path. It has a pthread.h that
 *     includes both: -I<where this header is>/threadlocalmap_pthread.
 *
 * Then these names belong to this library in that file:
 *
 *     pthread_key_t, pthread_key_create, pthread_key_delete, pthread_getspecific,
 *     pthread_setspecific; tss_t, tss_create, tss_delete, tss_get, tss_set
 *
 * There can be as many keys as fit in memory, and the process uses one pthread key in all.
 *
 * WHAT STAYS AS POSIX AND C11 SAY
 *   A new key has the value NULL on every thread. Neither pthread_setspecific() on a key that has a
 *   value nor pthread_key_delete() calls a destructor, on any thread, now or later: you still free
 *   what the values of a deleted key point to. (The library's own tls_key_release() does destroy
 *   them; docs/migrating.md describes how to change to it.) Destructors run on the thread that
 *   ends, however it ends. The value is NULL already when its destructor runs, and a NULL value has
 *   no destructor. While destructors set values, they run again, in at most
 *   PTHREAD_DESTRUCTOR_ITERATIONS (4) rounds. exit() runs no destructor. The child of a fork() has
 *   the values of the thread that forked.
 *
 * WHAT IS DIFFERENT
 *   - pthread_key_t and tss_t are tls_key_t, an unsigned integer of 64 bits. It can be static, be
 *     in a structure, be passed by value or by pointer, be compared, and be made in a
 *     pthread_once(), as before. It can't be stored in an int or an unsigned int, be printed with
 *     %u, or be stored in a pointer where pointers have 32 bits. A file that includes this header
 *     can't share a key with a file that does not. The same holds for headers of other libraries
 *     that have a pthread_key_t in a structure or a parameter, such as libuv's uv_key_t: include
 *     those before this one.
 *   - The number of a deleted key is never used again. With it, setting and deleting return EINVAL,
 *     and getting always returns NULL. 0 is never a key.
 *   - PTHREAD_KEYS_MAX and sysconf(_SC_THREAD_KEYS_MAX) are still the system's. If a program has a
 *     limit of its own because of them, this limit stays too.
 *   - Destructors run in the reverse order of the first set. (POSIX leaves the order open; glibc
 *     uses the order in which the keys were made.) A value that a destructor sets is destroyed in
 *     the next round and never in the same one. So a chain in which each destructor sets the next
 *     key's value has 4 links, whatever the order of the keys. glibc completes longer chains if the
 *     keys are in order.
 *   - Values that are left after 4 rounds are given up, as by the system. Here they are counted
 *     (tls_stats_t.leaked).
 *   - All these destructors run together, when the C library calls the destructor of this library's
 *     pthread key. Destructors of system keys, of files and libraries without this header, run
 *     before or after all of them.
 *   - pthread_key_create() with a destructor attaches the calling thread, to be sure that the end
 *     of threads can be detected. If the process has no pthread key left for this library,
 *     destructors would not run, and it returns EAGAIN. ENOMEM means that memory could not be
 *     allocated, as before.
 *   - pthread_setspecific() may allocate memory for the first value of a key on a thread (glibc
 *     allocates from the 33rd key on), and then return ENOMEM. It also returns ENOMEM on a thread
 *     that is past its last cleanup, and inside a memory allocator that this library has called.
 *     Setting NULL never returns ENOMEM.
 *   - If the program also uses the library's own functions, pthread_setspecific() may run destroy
 *     callbacks of other, dead keys, as tls_set() may; pthread_getspecific() never runs any.
 *     tls_thread_detach() runs destructors; tls_remove_all() removes values without calling one.
 *     tls_set() and the other functions work on these keys.
 *   - A thread that only reads keeps the entries of deleted keys (some hundred bytes each) until it
 *     sets a new key, ends, or calls tls_expunge().
 *
 * C11's functions are mapped where threads.h is available. In C, this header includes it; define
 * THREADLOCALMAP_NO_TSS if you do not want that. In C++, include it before this header.
 */
/** @cond PRIVATE */
/* Nothing for sources in assembly, because -include applies to all files of a program. */
#if !defined(THREADLOCALMAP_PTHREAD_H) && !defined(__ASSEMBLER__)
#define THREADLOCALMAP_PTHREAD_H

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "threadlocalmap.h"

/* A header of the C++ library uses pthread keys: it must see the system's names. */
#ifdef __cplusplus
#include <mutex>
#elif !defined(THREADLOCALMAP_NO_TSS) && !defined(__STDC_NO_THREADS__) && defined(__has_include)
#if __has_include(<threads.h>)
#include <threads.h>
#endif
#endif

#ifdef __cplusplus
/* What follows is C, with casts of C. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
extern "C" {
#endif

typedef tls_key_t tls_pthread_key_t;

/* Private: the error number of POSIX for a code of this library; `other` if there is none. */
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

/* As pthread_key_create(). Returns 0, EAGAIN or ENOMEM, and EINVAL if key is NULL. */
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
    /* In POSIX a function pointer fits in a void *; C has no cast for it. */
    memcpy(&options.user, &destructor, sizeof options.user);
    /* It is in the library, so a plug-in that has deleted its keys can be unloaded. */
    options.destroy = tls_destroy_at_exit;
  }
  error = tls_key_create(key, &options);
  if (error == TLS_ERR_UNSUPPORTED) { /* a library without scopes */
    options.flags = 0;
    error = tls_key_create(key, &options);
  }
  return tls_private_pthread_error(error, EAGAIN);
}

/* As pthread_key_delete(). Returns 0 or EINVAL. */
static inline int tls_pthread_key_delete(tls_pthread_key_t key) {
  return tls_private_pthread_error(tls_key_release(key), EINVAL);
}

/* As pthread_getspecific(). If there are stale values, this may be one of them, and is hidden. */
static inline void *tls_pthread_getspecific(tls_pthread_key_t key) {
  if (tls_stale_count() != 0 && !tls_key_is_live(key)) {
    return NULL;
  }
  return tls_get_existing(key);
}

/* As pthread_setspecific(). Returns 0, EINVAL or ENOMEM. */
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

/* threads.h was included. */
#if defined(TSS_DTOR_ITERATIONS) && !defined(THREADLOCALMAP_NO_TSS)

typedef tls_key_t tls_tss_t;

/* As tss_create(). Returns thrd_success or thrd_error. */
static inline int tls_tss_create(tls_tss_t *key, tss_dtor_t destructor) {
  return tls_pthread_key_create(key, destructor) == 0 ? thrd_success : thrd_error;
}

/* As tss_delete(). */
static inline void tls_tss_delete(tls_tss_t key) { (void)tls_pthread_key_delete(key); }

/* As tss_get(). */
static inline void *tls_tss_get(tls_tss_t key) { return tls_pthread_getspecific(key); }

/* As tss_set(). Returns thrd_success or thrd_error. */
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
#pragma GCC diagnostic pop
#endif

#endif /* THREADLOCALMAP_PTHREAD_H */
/** @endcond */
