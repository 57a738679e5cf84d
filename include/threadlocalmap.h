/**
 * @file
 * threadlocalmap.h - weak-keyed thread locals with explicit cleanup, for C and C++ thread pools.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * When a thread ends, its thread-locals are destroyed. The threads of a pool do not end, so
 * whatever tasks and dead objects leave in them stays. With this library every object can have a
 * key of its own, and there can be any number of keys. When an object's key is released, each
 * thread's value under it becomes stale. Each thread destroys its own stale values: when it calls
 * tls_expunge(), when it next sets or misses a key, or when it ends.
 *
 *     tls_key_t key;
 *     tls_key_options_t options = {0};
 *     options.size = sizeof options;
 *     options.destroy = free_buffer;
 *     tls_key_create(&key, &options);  when the object is made
 *
 *     void *buffer = tls_get(key);     on any thread, in a nanosecond
 *     if (!buffer) tls_set(key, buffer = new_buffer());
 *
 *     tls_expunge();                   between two tasks of a pool
 *
 *     tls_key_release(key);            when the object ends
 */

/*
 * WORDS
 *   key          what a value is stored under; made at run time, and counted by references
 *   handle       the 64-bit number (tls_key_t) that names a key; never used again for another key
 *   live, dead   a live key has at least one reference; a dead key's last reference was released
 *   map          the values of one thread
 *   entry        a key and its value in a map; it never keeps its key alive: the key is weak
 *   stale entry  an entry whose key is dead or was purged, and whose value is not destroyed yet;
 *                a purged value is always destroyed with TLS_REASON_PURGED
 *   hit, miss    a tls_get() that finds a value, and one that finds none
 *   visited      passed to a callback of tls_for_each() that has not returned yet
 *   expunge      to take stale entries out of a map and destroy their values
 *   owner        the thread that a map belongs to
 *   holder       a map that has an entry for a given key
 *   scope        a span of time on a thread: values set inside a scope are destroyed when it
 *                closes; values they shadowed become visible again
 *   context      copies of a thread's inherited values, which a task takes to another thread
 *   task         a function and its argument, run once, in a scope, with a context
 *   attach       to set up what the library keeps for a thread; the first tls_set() does it
 *   waker        a callback of a thread that is called when the thread gets stale values
 *
 * CONVENTIONS
 *   Functions that can fail return int: TLS_OK (0) or a negative TLS_ERR_* number. Out-parameters
 *   are written on success only. A failed call has changed nothing, except that it may have
 *   attached the thread, and except where its text says more. Any number may be passed as a
 *   handle: if it names no key, the call returns an error and does not crash. Structures begin
 *   with their size: set it to sizeof, and every member that you do not use to zero. "Yours" means
 *   that the library does not free it.
 *
 *   The text of each function ends with its parameters and the facts below. A parameter marked
 *   [out] points at memory that the function writes.
 *
 *   Threads      which threads may call it
 *   Blocks       whether it may wait for other threads, apart from short locks (see THREADING)
 *   Runs         which callbacks it may call before it returns. A call that destroys a value or
 *                hands one over may also run the user_free of its key, if the key is dead, and a
 *                call that releases a key may also run wakers of other threads. "Destroys at most
 *                8 stale values" means those of the calling thread, except values of
 *                TLS_KEY_EXPLICIT keys
 *   Signals      whether a signal handler may call it
 *   Returns      every value that it can return. "Called by the memory allocator" means: by a
 *                malloc() or similar function that this library is calling
 *   Since        the first version that has it
 *
 * OWNERSHIP
 *   made by                 ended by                          or by
 *   tls_key_create          tls_key_release, the last one     -
 *   tls_key_retain          tls_key_release                   -
 *   tls_set, tls_swap,      the key's destroy callback, once, tls_take, tls_swap, tls_take_all and
 *     the init callback     on a thread that the key allows   tls_scrape, which give it to you
 *   options.user            options.user_free, once, last     you, if there is no user_free
 *   options.name            you: the library copies it        -
 *   tls_context_capture     tls_context_free                  -
 *   tls_task_create         tls_task_run, once                tls_task_cancel
 *   tls_map_create          tls_map_destroy                   -
 *   tls_scope_begin         tls_scope_end                     the end of its thread or map
 *   strings that functions  nothing: the strings are static   -
 *     return
 *
 * THREADING
 *   Every function may be called on any thread, at any time, however the thread was made. Values
 *   belong to the calling thread: no two threads share one, so no function needs a lock of yours.
 *   If you hand a handle to another thread, that thread must have a reference, or another part of
 *   the program must keep one meanwhile. Three functions wait for other threads: tls_key_drain(),
 *   tls_take_wait() and tls_swap_wait(). All others wait for locks only. Locks are held for a few
 *   instructions, or while a report goes over all records of a dead key. While a visitor of
 *   tls_for_each_locked() runs, reports wait, and so do other threads' calls on values of that key,
 *   or of a key that shares its lock.
 *
 * WHO DESTROYS A VALUE
 *   With TLS_RECLAIM_OWNER, the default, the thread that has the value destroys it, and no other
 *   thread. If the key dies on another thread, the owner destroys the value when it expunges, when
 *   it next sets or misses a key, or when it ends. An idle worker can be woken for this
 *   (tls_thread_on_stale()). There is one exception: if the owner ends or is detached, or the
 *   value's map is destroyed, while the value is being visited (TLS_KEY_ENUMERABLE keys only), the
 *   visiting thread destroys it. With TLS_RECLAIM_ANY, any thread may destroy it: tls_key_release()
 *   of the last reference destroys all threads' values before it returns.
 *
 * TASKS
 *   After a task, the worker's thread-locals are as they were before it, if you wrap the task
 *   (tls_task_create() on the submitting thread, tls_task_run() on the worker) or open a scope
 *   around it. Use a TLS_KEY_WORKER key for values that a worker keeps from task to task, and a
 *   TLS_KEY_INHERIT key for values that a task takes along from the submitting thread. Give a fiber
 *   or coroutine that moves between threads a map of its own (tls_map_switch()).
 *
 * CALLBACKS
 *   destroy, init, copy, user_free and hooks run with no lock held and with all data structures
 *   consistent. They may call any function of this library, on any key, their own included;
 *   tls_thread_detach() and other functions whose text says so return TLS_ERR_REENTRANT there. A
 *   visitor of tls_for_each_locked() is different: it runs with locks held, and may call only the
 *   few functions that are named there. destroy is never called with NULL. If a callback throws a
 *   C++ exception, or leaves the library by longjmp, the behaviour is undefined.
 *
 * THE END OF A THREAD
 *   When a thread ends (by return, pthread_exit() or cancellation), its hooks are called, the
 *   latest first. Then its values are destroyed, in the reverse order of their first set. If this
 *   adds hooks or values, both steps are repeated, in at most 4 rounds. Values that are left then
 *   are given up and counted in tls_stats_t.leaked. If a destructor of another pthread key sets a
 *   value afterwards, another cleanup follows, as long as the C library calls destructors
 *   (4 passes); after that, tls_set() returns TLS_ERR_EXITING. With no pthread key left, thread
 *   exit can't be detected; tls_thread_attach() returns TLS_ERR_LIMIT. Such a thread must call
 *   tls_thread_detach() before it ends, which does the same cleanup.
 *
 * EXIT
 *   exit() and a return from main() destroy nothing, as with pthread keys. To destroy the calling
 *   thread's values, call tls_thread_detach() first.
 *
 * FORK
 *   Any thread may call fork() at any moment, and every function works in the child. The child has
 *   the forking thread's values. The other threads' maps do not exist there, and their callbacks
 *   were not run; a dead key that only those maps had values of is gone too, without its
 *   user_free. A map of tls_map_create() that another thread had attached stays attached, and
 *   can't be used in the child. If a visitor of tls_for_each() forks, the visit ends in the child
 *   when that visitor returns.
 *
 * DLCLOSE
 *   dlclose() never unloads the shared library, because its code must run when threads that used it
 *   end. Link a plug-in that contains the static library with -Wl,-z,nodelete. Before you unload a
 *   plug-in that contains the callbacks of a key, release the key and call tls_key_drain().
 *
 * SIGNALS
 *   A signal handler may call tls_get() and tls_get_existing() if the thread is attached and has a
 *   value under the key; tls_stale_count(), tls_key_retain(), tls_key_is_live() and tls_dump_fd();
 *   and the functions about errors and versions.
 */

#ifndef THREADLOCALMAP_H
#define THREADLOCALMAP_H

/* Generated from src/capi by cbindgen: `make header` rewrites it. Do not edit. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "threadlocalmap_symbols.h"

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/*================================================================================================
 * ERRORS
 *================================================================================================*/

/**
 * @defgroup tls_errors Errors
 *
 * A function that can fail returns TLS_OK (0) or one of the negative numbers below. The text of a
 * function says what a code means there, where that is more than is said here.
 * @{
 */

/** The call succeeded. */
#define TLS_OK 0

/**
 * The handle has never named a key. Check that tls_key_create() succeeded and that the handle was
 * not overwritten.
 */
#define TLS_ERR_BAD_KEY (-1)

/**
 * The key is dead: its last reference was released. Hold a reference for as long as you use a key
 * (tls_key_retain()).
 */
#define TLS_ERR_DEAD_KEY (-2)

/**
 * An argument is invalid in every situation: a null pointer, an unknown flag or a wrong size, for
 * example. Correct the call.
 */
#define TLS_ERR_INVALID (-3)

/** Memory could not be allocated. Free some memory and repeat the call. */
#define TLS_ERR_NO_MEMORY (-4)

/** The calling thread has no value under this key. Store one with tls_set(). */
#define TLS_ERR_ABSENT (-5)

/**
 * A limit was reached: of references, keys, open scopes, a buffer's size or pthread keys, for
 * example. The function's text says which, and what to do.
 */
#define TLS_ERR_LIMIT (-6)

/**
 * The function must not be called here: inside a callback that excludes it, or in a memory
 * allocator that this library has called. Call it after the callback has returned.
 */
#define TLS_ERR_REENTRANT (-7)

/**
 * The key's init or copy callback returned a number other than 0, and nothing was stored. The next
 * call tries again.
 */
#define TLS_ERR_INIT (-8)

/**
 * The calling thread, or its scope or map, is past its last cleanup and can store nothing more.
 * Keep the value and destroy it yourself.
 */
#define TLS_ERR_EXITING (-9)

/**
 * The object is in use by another thread or by an outer call on this one, or calls came in the
 * wrong order. Try again when that use has ended.
 */
#define TLS_ERR_BUSY (-10)

/** The time limit expired before the condition was met. Call again to go on waiting. */
#define TLS_ERR_TIMEOUT (-11)

/**
 * This version or build of the library does not support the operation. No function of this version
 * returns this code.
 */
#define TLS_ERR_UNSUPPORTED (-12)

/**
 * Returns a sentence that describes an error code.
 *
 * The string is static: never free it.
 *
 * @param error A TLS_ERR_* number, TLS_OK or any other number.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: safe.
 * @return The sentence, never NULL; "unknown error" if the number is not a code.
 * @since 0.1.0
 */
const char *tls_strerror(int error);

/**
 * Returns the name of an error code's constant.
 *
 * The string is static: never free it.
 *
 * @param error A TLS_ERR_* number, TLS_OK or any other number.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: safe.
 * @return The name, for example "TLS_ERR_DEAD_KEY", never NULL; "TLS_ERR_UNKNOWN" if the number is
 *   not a code.
 * @since 0.1.0
 */
const char *tls_err_name(int error);

/** @} */

/*================================================================================================
 * KEYS
 *================================================================================================*/

/**
 * @defgroup tls_keys Keys
 *
 * A key is what values are stored under. Make one for each object that wants values of its own on
 * each thread, and release it when the object ends. The options say what a key does with its
 * values: how they are made, copied and destroyed, and by which threads.
 * @{
 */

/**
 * The name of a key: a number that names one key for the life of the process.
 *
 * The number is never used again for another key in this process, on any thread. You may copy it,
 * compare it and store it anywhere. Print it with PRIu64.
 */
typedef uint64_t tls_key_t;

/** A handle that never names a key. */
#define TLS_KEY_NONE UINT64_C(0)

/** The value was destroyed because another value was set in its place. */
#define TLS_REASON_REPLACED 1

/** The value was destroyed because it was removed. */
#define TLS_REASON_REMOVED 2

/** The value was destroyed because its key is dead. */
#define TLS_REASON_KEY_DEAD 3

/** The value was destroyed because its live key was purged (tls_key_purge()). */
#define TLS_REASON_PURGED 4

/** The value was destroyed because the scope that it was set in has ended. */
#define TLS_REASON_SCOPE_END 5

/** The value was destroyed because its thread is ending. */
#define TLS_REASON_THREAD_EXIT 6

/** The value was destroyed because its thread was detached. */
#define TLS_REASON_DETACHED 7

/** The value was destroyed because its map was destroyed. */
#define TLS_REASON_MAP_DESTROYED 8

/**
 * Destroys one value.
 *
 * The callback runs on the thread that has the value (with TLS_RECLAIM_OWNER), with no lock held,
 * after the value has left the thread's map. It may call any function of this library, on any key.
 * It must not throw a C++ exception or longjmp out.
 *
 * @param value The value, never NULL.
 * @param reason Why the value is destroyed, one of TLS_REASON_*.
 * @param user The key's `user`.
 */
typedef void (*tls_destroy_fn)(void *value, int reason, void *user);

/**
 * Makes a thread's first value under a key.
 *
 * It may set and read other keys. Reading its own key there gives TLS_ERR_REENTRANT. If it sets
 * its own key, the value that it returns replaces that value, which is destroyed.
 *
 * @param[out] value Receives the value; NULL is a value too.
 * @param user The key's `user`.
 *
 * @return 0 on success. After any other number nothing is stored, and the next tls_get() tries
 *   again.
 */
typedef int (*tls_init_fn)(void **value, void *user);

/**
 * Makes a copy of a value for another task.
 *
 * It runs on the thread that captures, and again on each thread that begins a scope with the
 * context, possibly on several at once. It may call any function of this library, but must not end
 * the value that it copies. If a key is released while its value is captured, the key dies when
 * the callback returns.
 *
 * @param value The value, never NULL, because NULL is copied as NULL.
 * @param[out] copy Receives the copy; NULL is a copy too.
 * @param user The key's `user`.
 *
 * @return 0 on success. After any other number nothing is captured, and no scope begins.
 */
typedef int (*tls_copy_fn)(void *value, void **copy, void *user);

/** Each value is destroyed by the thread that has it, and by no other. */
#define TLS_RECLAIM_OWNER 0

/**
 * Any thread may destroy the values: the thread that releases the key destroys them all. It does
 * not wait for threads that are using their values: such a thread must have a reference to the
 * key, or hold its value by a count of its own.
 */
#define TLS_RECLAIM_ANY 1

/** All threads' values may be visited and taken with tls_for_each() and tls_scrape(). */
#define TLS_KEY_ENUMERABLE 1

/** Values belong to the worker and not to its tasks: scopes do not affect them. */
#define TLS_KEY_WORKER 2

/** A captured context includes the value. */
#define TLS_KEY_INHERIT 4

/**
 * Stale values are destroyed only by the tls_expunge functions and at the end of their scope,
 * task, map or thread. No tls_get() and no tls_set() destroys them.
 */
#define TLS_KEY_EXPLICIT 8

/**
 * Describes a key. Set the whole structure to zero, then `size`, then the members that you use:
 *
 *     tls_key_options_t options = {0};
 *     options.size = sizeof options;
 *     options.destroy = free_buffer;
 */
typedef struct tls_key_options_t {
  /** Set it to sizeof(tls_key_options_t); the structure can grow in later versions. */
  size_t size;
  /** The name that reports show. It is copied. If NULL, the key has no name. */
  const char *name;
  /** Called with each value that the library destroys. If NULL, no callback runs. */
  tls_destroy_fn destroy;
  /** Called by tls_get() when the thread has no value. If NULL, tls_get() returns NULL then. */
  tls_init_fn init;
  /** Called when a context captures the value. If NULL, the pointer itself is copied. */
  tls_copy_fn copy;
  /** Passed to the callbacks. It must stay valid until user_free is called. */
  void *user;
  /**
   * Called once with `user`, when the key has died and its last value was destroyed, by the
   * thread that did the later of the two. If NULL, nothing is called.
   */
  void (*user_free)(void *user);
  /** TLS_RECLAIM_OWNER or TLS_RECLAIM_ANY. */
  uint32_t reclaim;
  /** TLS_KEY_* flags, combined with |. */
  uint32_t flags;
} tls_key_options_t;

/**
 * Makes a key with one reference, which belongs to the caller.
 *
 * The key lives until its last reference is released with tls_key_release(). Any number of keys
 * may live while there is memory, and none of them uses a pthread key.
 *
 * @param[out] key Receives the handle.
 * @param options Describes the key, and is read during the call only. If NULL, the key has no name
 *   and no callbacks.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_INVALID key is NULL, options->size is less than 8 or ends inside a member, bytes
 *   beyond the known structure are not zero, reclaim or flags is unknown, TLS_KEY_INHERIT is
 *   combined with TLS_KEY_WORKER, or with destroy but without copy.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_LIMIT 4,294,967,294 keys live.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_key_create(tls_key_t *key, const struct tls_key_options_t *options);

/**
 * Adds a reference to a live key.
 *
 * Each reference is released with one tls_key_release(). Take one before you hand the handle to
 * code that may use it after you have released yours.
 *
 * @param key A live key.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_DEAD_KEY The key is dead, and can't be revived.
 * @retval TLS_ERR_LIMIT The key has 4,194,303 references.
 * @since 0.1.0
 */
int tls_key_retain(tls_key_t key);

/**
 * Releases a reference to a key; the key dies with its last reference.
 *
 * From then on every function returns TLS_ERR_DEAD_KEY for the handle, on all threads, for ever.
 * The calling thread's own value is destroyed before this function returns (TLS_REASON_KEY_DEAD).
 * The other threads' values become stale: tls_stale_count() on those threads includes them at
 * once, and each thread destroys its own when it calls tls_expunge(), when it next sets a new key
 * or misses one, or when it ends. With TLS_RECLAIM_ANY the calling thread destroys all threads'
 * values before this function returns, except values that their owner is making or destroying at
 * this moment: the owner destroys those. The cost is proportional to the number of threads that
 * have a value.
 *
 * If a tls_for_each(), tls_scrape() or tls_key_purge() of the key is in progress, on another
 * thread or in an outer call on this one, the key does not die with its last reference but when
 * that call ends, on that call's thread. Until then the key is live, and can be retained.
 *
 * @param key A key of which you have a reference, which you give up.
 *
 * Threads: any. Blocks: no. Runs: the destroy callback of the values that it destroys, user_free,
 * and wakers of threads whose values become stale. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_DEAD_KEY The key is dead: it was released too often.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_key_release(tls_key_t key);

/**
 * Returns whether the handle names a live key.
 *
 * If you have no reference, the answer can be out of date when you get it.
 *
 * @param key Any number.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: safe.
 * @return true if the key is live; false if it is dead, or if the number has never named a key.
 * @since 0.1.0
 */
bool tls_key_is_live(tls_key_t key);

/**
 * Copies the name of a live key, with its terminating zero byte.
 *
 * @param key A live key.
 * @param[out] buffer Receives the name, or the empty string if the key has none.
 * @param capacity The size of the buffer in bytes.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_INVALID buffer is NULL.
 * @retval TLS_ERR_LIMIT The name does not fit, and nothing was written. Use a larger buffer.
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_DEAD_KEY The key is dead.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_key_name(tls_key_t key, char *buffer, size_t capacity);

/** @} */

/*================================================================================================
 * VALUES
 *================================================================================================*/

/**
 * @defgroup tls_values Values
 *
 * These functions read and change the values of the calling thread. They need no lock of yours, and
 * nothing from other threads.
 * @{
 */

/**
 * Returns the calling thread's value under a key; if there is none, makes one with the key's init
 * callback and stores it.
 *
 * The value stays the library's: it is destroyed when it is replaced or removed, when its key
 * dies, or when its thread ends. The function returns NULL if the value is NULL, if the key has no
 * init callback and the thread no value, and on every error: use tls_try_get() to tell these
 * apart. If the key has died on another thread, it may return the value that this thread has not
 * expunged yet; it never returns the value of another key.
 *
 * With this header, the function is a macro over an inlined look-up, and only a miss makes the
 * call. To make the call always, write (tls_get)(key), or define TLS_NO_INLINE before you include
 * the header.
 *
 * @param key The key.
 *
 * Threads: any. Blocks: no. Runs: nothing on a hit; on a miss, destroys at most 8 stale values
 * before it looks again, then runs init. Signals: a hit is safe on an attached thread; anything
 * else is not safe.
 * @return The value, or NULL.
 * @since 0.1.0
 */
void *tls_get(tls_key_t key);

/**
 * Returns the calling thread's value under a key, or NULL; it never runs init.
 *
 * Otherwise it does what tls_get() does, and is inlined in the same way. It allocates nothing.
 *
 * @param key The key.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: safe on an attached thread.
 * @return The value, or NULL.
 * @since 0.1.0
 */
void *tls_get_existing(tls_key_t key);

/**
 * Does what tls_get() does, and returns a code for every outcome.
 *
 * @param key A live key.
 * @param[out] value Receives the value, which stays the library's.
 *
 * Threads: any. Blocks: no. Runs: nothing on a hit; on a miss, destroys at most 8 stale values
 * before it looks again, then runs init. Signals: not safe.
 * @return TLS_OK, also for a stored NULL, or an error code:
 * @retval TLS_ERR_ABSENT There is no value, and the key has no init callback.
 * @retval TLS_ERR_INIT The init callback failed, and nothing was stored.
 * @retval TLS_ERR_REENTRANT Called by this key's init callback on this thread, which has no value
 *   yet, or called by the memory allocator.
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_DEAD_KEY The key is dead.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup. The init callback was not run.
 * @retval TLS_ERR_INVALID value is NULL.
 * @since 0.1.0
 */
int tls_try_get(tls_key_t key, void **value);

/**
 * Stores a value for the calling thread and destroys the value that it replaces.
 *
 * The value that was there is destroyed (TLS_REASON_REPLACED), unless it is the same pointer. The
 * first set on a thread attaches the thread. Inside a scope, a value that was set outside of it is
 * not replaced but shadowed, until the scope ends (tls_scope_begin()). If one of the callbacks of
 * stale values ends the thread, the value was not stored, and stays yours.
 *
 * @param key A live key.
 * @param value The value, which belongs to the library from now on: the library destroys it with
 *   the key's destroy callback. If the call fails, it stays yours. NULL is a value, and is never
 *   passed to destroy.
 *
 * Threads: any. Blocks: no. Runs: destroys at most 8 stale values, if it has more to do than
 * exchange a value; then runs the destroy callback of the replaced value. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_DEAD_KEY The key is dead.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_set(tls_key_t key, void *value);

/**
 * Stores a value for the calling thread and hands the old one over.
 *
 * @param key A live key.
 * @param value As in tls_set().
 * @param[out] old Receives the value that was there, which is yours from now on and is not
 *   destroyed. It receives NULL if there was none, or if it was set outside of the open scope,
 *   because such a value is shadowed and not handed over.
 *
 * Threads: any. Blocks: no. Runs: destroys at most 8 stale values, as tls_set() does. Signals: not
 * safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_INVALID old is NULL.
 * @retval TLS_ERR_BUSY The value is being visited by tls_for_each(). tls_swap_wait() waits for the
 *   end of the visit.
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_DEAD_KEY The key is dead.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_swap(tls_key_t key, void *value, void **old);

/**
 * Removes the calling thread's value and hands it over.
 *
 * @param key A live key.
 * @param[out] old Receives the value, which is yours from now on and is not destroyed. It receives
 *   NULL if the value was set outside of the open scope, because such a value is shadowed and not
 *   handed over.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_ABSENT There is no value.
 * @retval TLS_ERR_INVALID old is NULL.
 * @retval TLS_ERR_BUSY The value is being visited by tls_for_each(). tls_take_wait() waits for the
 *   end of the visit.
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_DEAD_KEY The key is dead.
 * @retval TLS_ERR_NO_MEMORY Inside a scope only: shadowing a value takes a little memory.
 * @retval TLS_ERR_EXITING Inside a scope only: the scope is destroying its last values, and can
 *   shadow none.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_take(tls_key_t key, void **old);

/**
 * Removes the calling thread's value and destroys it (TLS_REASON_REMOVED).
 *
 * The next tls_get() runs init again. The memory that setting the value again needs is kept.
 * Inside a scope, a value that was set outside of it is shadowed instead, until the scope ends.
 *
 * @param key A live key.
 *
 * Threads: any. Blocks: no. Runs: the destroy callback of the value. Signals: not safe.
 * @return TLS_OK, also if there is no value, or an error code:
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_DEAD_KEY The key is dead.
 * @retval TLS_ERR_NO_MEMORY Inside a scope only: shadowing a value takes a little memory.
 * @retval TLS_ERR_EXITING Inside a scope only: the scope is destroying its last values, and can
 *   shadow none.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_remove(tls_key_t key);

/**
 * Removes and destroys all values of the calling thread.
 *
 * The values are destroyed in the reverse order of their first set, each with TLS_REASON_REMOVED,
 * or with TLS_REASON_KEY_DEAD if its key is dead. Values that destroy callbacks set meanwhile
 * stay. The thread stays attached. Inside a scope, values that were set outside of it are shadowed
 * instead, until the scope ends, and values of TLS_KEY_WORKER keys are destroyed after the scope's
 * own.
 *
 * Threads: any. Blocks: no. Runs: destroy callbacks. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_NO_MEMORY Inside a scope only. Nothing was removed.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_remove_all(void);

/**
 * Called with one value of the calling thread. It must not throw.
 *
 * @param key The key of the value; dead or purged if the value is stale.
 * @param value The value, which is yours from then on.
 * @param arg The `arg` of tls_take_all().
 */
typedef void (*tls_take_fn)(tls_key_t key, void *value, void *arg);

/**
 * Hands over every value of the calling thread, without destroying any.
 *
 * Use it in the child of a fork, whose values are the parent's to destroy, and in a process that
 * is about to exit without its destroy callbacks: take may free the values, or only count them.
 * The youngest value comes first. Values that scopes shadow, stored NULLs and stale values are
 * handed over as well; the key of a stale value is dead or was purged. Values that take sets
 * meanwhile stay. Scopes stay open, and the thread stays attached. take may call any function of
 * this library, and may end the thread.
 *
 * @param take Called with each value, which is yours from then on.
 * @param arg Passed to take.
 *
 * Threads: any. Blocks: no. Runs: take, and the user_free of a key whose last value was handed
 * over. Signals: not safe.
 * @return TLS_OK, also if the thread is not attached, or an error code:
 * @retval TLS_ERR_INVALID take is NULL.
 * @retval TLS_ERR_BUSY Some values are being visited by tls_for_each(), or, in the child of a
 *   fork, by the visitor that forked. Those stay, and all others were handed over.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_take_all(tls_take_fn take, void *arg);

/**
 * Calls `visit` with each value of the calling thread that tls_get() would find under a live key.
 *
 * The oldest value comes first; values that a scope shadows are left out. visit may call any
 * function of this library. Values that it adds are not visited, and neither are values that it
 * removes before their turn.
 *
 * @param visit Called with each key and its value.
 * @param arg Passed to visit.
 *
 * Threads: any. Blocks: no. Runs: visit. Signals: not safe.
 * @return TLS_OK, also if the thread is not attached, or an error code:
 * @retval TLS_ERR_INVALID visit is NULL.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_for_each_local(void (*visit)(tls_key_t key, void *value, void *arg), void *arg);

/** @} */

/*================================================================================================
 * CLEANUP
 *================================================================================================*/

/**
 * @defgroup tls_cleanup Cleanup
 *
 * When a key has died, each thread destroys its own value: in tls_expunge(), which a worker calls
 * between two tasks; in a tls_set() or a tls_get() that misses; or when it ends. These functions
 * destroy stale values, and register hooks for the end of a thread and for new stale values.
 * @{
 */

/**
 * Destroys all stale values of the calling thread.
 *
 * A value is stale when its key is dead or was purged. Call this function between a pool's tasks,
 * and before a worker goes to sleep; if nothing is stale it takes about a nanosecond. The reason
 * is TLS_REASON_KEY_DEAD or TLS_REASON_PURGED. The value that was first set last on this thread is
 * destroyed first, in whatever order the keys died, because later values may depend on earlier
 * ones. All functions that destroy stale values, and the end of the thread, use this order.
 *
 * Threads: any. Blocks: no. Runs: destroy callbacks of the stale values. Signals: not safe.
 * @return The number of values that it destroyed.
 * @since 0.1.0
 */
size_t tls_expunge(void);

/**
 * Destroys at most `budget` stale values of the calling thread.
 *
 * It destroys the youngest of them, in the order of tls_expunge(). Use it in pools that must not
 * pause for long, and call it again for the rest.
 *
 * @param budget The largest number of values to destroy.
 *
 * Threads: any. Blocks: no. Runs: at most `budget` destroy callbacks. Signals: not safe.
 * @return The number of values that it destroyed.
 * @since 0.1.0
 */
size_t tls_expunge_some(size_t budget);

/**
 * Returns how many stale values the calling thread has: the number that tls_expunge() would find.
 *
 * The number is exact as soon as the tls_key_release() that made the values stale has returned.
 * With this header, the function is a macro over an inlined load.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: safe.
 * @return The number of stale values.
 * @since 0.1.0
 */
size_t tls_stale_count(void);

/**
 * Attaches the calling thread and allocates all memory that its first value needs.
 *
 * This call is optional: the first tls_set() attaches the thread. After this call, tls_get() of a
 * value that was set is safe in signal handlers, and it is certain that the library detects the
 * end of the thread. If the thread is attached already, the call has no effect.
 *
 * The C library runs the destructors of an ending thread's pthread keys up to four times. A value
 * that another key's destructor stores is destroyed in the next of these passes; after the last
 * pass, tls_set() returns TLS_ERR_EXITING. If a thread uses the library for the first time in one
 * of these passes, the library does not see the passes before: a value that is set in the last
 * pass is not destroyed and stays counted, and tls_key_drain() waits for it. Attach such a thread
 * before it ends.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup.
 * @retval TLS_ERR_LIMIT The process has no pthread key left, so the end of this thread can't be
 *   detected. The thread is attached and values work, but call tls_thread_detach() before it ends.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_thread_attach(void);

/**
 * Does the whole cleanup of the calling thread now: calls its hooks, then destroys its values.
 *
 * It does what the end of the thread would do, with TLS_REASON_DETACHED. Use it where the end of a
 * thread is not detected (before exit(), or without a pthread key), and for workers that return to
 * the pool of another library. The thread may attach again later.
 *
 * Threads: any. Blocks: no. Runs: hooks and destroy callbacks. Signals: not safe.
 * @return TLS_OK, also if the thread is not attached, or an error code:
 * @retval TLS_ERR_REENTRANT Called inside a callback of this library.
 * @since 0.1.0
 */
int tls_thread_detach(void);

/**
 * Registers a cleanup hook that is called when the calling thread ends or is detached.
 *
 * The call is equivalent to tls_thread_hook() with TLS_HOOK_BEFORE_VALUES and no owner. The hook
 * that was registered last is called first. A hook may register hooks and set values: they are
 * cleaned up in another round, in at most 4 rounds.
 *
 * @param fn Called once with arg on this thread, before its values are destroyed.
 * @param arg The argument of fn. The library does not free it.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_INVALID fn is NULL.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup.
 * @retval TLS_ERR_LIMIT No pthread key is left, so the end of this thread can't be detected.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_at_thread_exit(void (*fn)(void *arg), void *arg);

/**
 * Registers the waker of the calling thread, which is called when the thread gets stale values.
 *
 * The call is equivalent to tls_thread_hook() with TLS_HOOK_ON_STALE and no owner, except that a
 * later call replaces the waker of an earlier one. Attaches the thread.
 *
 * @param notify The waker, which is called with arg as tls_thread_hook() says. If NULL, the waker
 *   is removed.
 * @param arg The argument of notify. The library does not free it.
 *
 * Threads: any. Blocks: no. Runs: notify, if there are stale values. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_thread_on_stale(void (*notify)(void *arg), void *arg);

/** The hook is called when the thread ends, before its values are destroyed. */
#define TLS_HOOK_BEFORE_VALUES 0

/** The hook is called when the thread ends, after its values have been destroyed. */
#define TLS_HOOK_AFTER_VALUES 1

/** The hook is called when the thread gets stale values. */
#define TLS_HOOK_ON_STALE 2

/**
 * Describes a hook. Set the whole structure to zero, then `size`, then the members that you use.
 */
typedef struct tls_hook_options_t {
  /** Set it to sizeof(tls_hook_options_t); the structure can grow in later versions. */
  size_t size;
  /** TLS_HOOK_BEFORE_VALUES, TLS_HOOK_AFTER_VALUES or TLS_HOOK_ON_STALE. */
  uint32_t when;
  /** Reserved for flags. It must be 0. */
  uint32_t flags;
  /** The function to call. It must not throw. */
  void (*fn)(void *arg);
  /** The argument of fn. The library does not free it. */
  void *arg;
  /** The key that the hook belongs to, or TLS_KEY_NONE. */
  tls_key_t owner;
} tls_hook_options_t;

/**
 * Registers a hook for the calling thread.
 *
 * With TLS_HOOK_BEFORE_VALUES, fn is called once on this thread, when the thread ends or is
 * detached, before its values are destroyed. With TLS_HOOK_AFTER_VALUES, it is called after they
 * have been destroyed: use this for functions like mysql_thread_end(), which end what the values
 * need. The hook that was registered last is called first. A hook may register hooks and set
 * values: they are cleaned up in another round, in at most 4 rounds. After the last round,
 * tls_set() and this function return TLS_ERR_EXITING, and the hooks that are left are still
 * called.
 *
 * With TLS_HOOK_ON_STALE, fn is called whenever this thread's inbox of dead keys becomes
 * non-empty. The thread that releases the key calls it, with no lock held, so that a pool can wake
 * its idle worker to expunge. If the thread has stale values already, fn is called at once, on
 * this thread. It must return, and should be quick: it may signal a condition variable or write to
 * an eventfd. If several are registered, all are called. They are removed when the thread ends or
 * is detached.
 *
 * If options->owner is a key, the hook is called only as long as this key lives. When the key has
 * died, its hooks are not called any more, on any thread, and tls_key_drain() waits until none of
 * them runs. A plug-in that is to be unloaded releases its owner key, drains it, and can then be
 * unloaded. Without an owner, arg must stay valid, and fn loaded, for as long as any thread may be
 * inside tls_key_release(), because a call may be in progress when the thread ends.
 *
 * Attaches the thread.
 *
 * @param options Describes the hook, and is read during the call only.
 *
 * Threads: any. Blocks: no. Runs: the hook, if it is a TLS_HOOK_ON_STALE hook and there are stale
 * values. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_INVALID options or options->fn is NULL, size ends inside a member, `when` is an
 *   unknown number, flags is not 0, or members that this version does not know are not 0.
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_DEAD_KEY The key is dead.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup.
 * @retval TLS_ERR_LIMIT No pthread key is left, so the end of this thread can't be detected. Not
 *   returned for a TLS_HOOK_ON_STALE hook.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_thread_hook(const struct tls_hook_options_t *options);

/**
 * A destroy callback that does what the destructor of a pthread key does.
 *
 * Store it in tls_key_options_t.destroy, and the destructor, a void (*)(void *), in options.user.
 * When the thread of a value ends or is detached, or the map of a value is destroyed, it calls the
 * destructor with the value. If a value ends for any other reason, it does nothing. It is a part
 * of the library: after tls_key_release(), nothing of the plug-in that contained the destructor is
 * called, although its values still end.
 *
 * @param value The value, passed to the destructor.
 * @param reason Why the value is destroyed, one of TLS_REASON_*.
 * @param user The destructor, a void (*)(void *).
 *
 * Threads: the value's. Blocks: as the destructor does. Runs: the destructor. Signals: not safe.
 * @since 0.1.0
 */
void tls_destroy_at_exit(void *value, int reason, void *user);

/** @} */

/*================================================================================================
 * OTHER THREADS
 *================================================================================================*/

/**
 * @defgroup tls_other_threads Other threads
 *
 * These functions affect the values of all threads: they wake owners, wait for them, purge, visit
 * and take values. To visit and to take, the key must be TLS_KEY_ENUMERABLE.
 * @{
 */

/**
 * Destroys the stale values that the calling thread may destroy, and wakes the owners of the rest.
 *
 * It destroys the calling thread's own stale values, as tls_expunge() does. Values of
 * TLS_RECLAIM_ANY keys never stay stale, because the thread that releases the key destroys them.
 * It then calls, on this thread, the waker of every other thread that has stale values
 * (tls_thread_on_stale()).
 *
 * Threads: any. Blocks: no. Runs: destroy callbacks, and wakers. Signals: not safe.
 * @return The number of values that it destroyed.
 * @since 0.1.0
 */
size_t tls_expunge_all_threads(void);

/**
 * Waits until no thread has a value under the key, and every callback for it has returned.
 *
 * Call it for a released key before dlclose() unloads the code of its callbacks. It destroys the
 * calling thread's own stale values and nothing else: the other threads must expunge or end
 * (tls_thread_on_stale() can wake them). For a live key it waits until every thread has removed
 * its value.
 *
 * @param key The key, dead or live.
 * @param timeout_ms How many milliseconds to wait; 0 only looks, and a negative number waits
 *   without a limit.
 * @param[out] left If not NULL, receives how many threads still have a value, or are about to
 *   release the key or are visiting it; also with TLS_ERR_TIMEOUT.
 *
 * Threads: any. Blocks: yes, and is a cancellation point (pthread_cancel()). Runs: destroy
 * callbacks of the calling thread's stale values. Signals: not safe.
 * @return TLS_OK if no thread has a value, or an error code:
 * @retval TLS_ERR_TIMEOUT The time limit expired before every thread was done.
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_REENTRANT Called inside a callback of this library.
 * @since 0.1.0
 */
int tls_key_drain(tls_key_t key, int timeout_ms, size_t *left);

/**
 * Ends every thread's value under a live key; the key stays live.
 *
 * Use it to trim a cache, or when its contents have become invalid. The next tls_get() on each
 * thread finds no value and runs init again. Each value is destroyed with TLS_REASON_PURGED:
 *
 * * Values of a TLS_RECLAIM_ANY key are destroyed on the calling thread, before this function
 *   returns. Values that threads set meanwhile, or that their owner is destroying, are left out.
 * * Values of a TLS_KEY_ENUMERABLE key are destroyed on their own threads. The values of all other
 *   threads become stale at one instant, and no tls_get() finds them any more. Each thread
 *   destroys its own when it next expunges; the threads' wakers are called, as by
 *   tls_expunge_all_threads(). The calling thread's own values are destroyed before this function
 *   returns. A value that is being visited is destroyed after the visit.
 *
 * A key that is neither can't be purged, because other threads do not reach its values. Captured
 * values (tls_context_capture()) stay.
 *
 * The owners of the values are not asked. Under a TLS_RECLAIM_ANY key, a thread that is using its
 * value must hold it: for example by a count of references in the value, or by tls_take() and a
 * later tls_set(). Under the other kind of key, a thread that is using its value may continue
 * until it calls a function that destroys stale values, as after any release.
 *
 * @param key A live key that is TLS_RECLAIM_ANY or TLS_KEY_ENUMERABLE.
 * @param[out] destroyed If not NULL, receives how many values were destroyed or have become stale.
 *
 * Threads: any; a TLS_RECLAIM_ANY key attaches the thread. Blocks: no. Runs: destroy callbacks,
 * and wakers. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_INVALID The key is neither TLS_RECLAIM_ANY nor TLS_KEY_ENUMERABLE.
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_DEAD_KEY The key is dead.
 * @retval TLS_ERR_BUSY A TLS_RECLAIM_ANY key only: its values are being visited, taken or purged.
 * @retval TLS_ERR_NO_MEMORY A TLS_RECLAIM_ANY key only: memory could not be allocated.
 * @retval TLS_ERR_EXITING A TLS_RECLAIM_ANY key only: the thread is past its last cleanup.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_key_purge(tls_key_t key, size_t *destroyed);

/**
 * Called with one thread's value. It must return, and must not throw.
 *
 * @param value The value; a stored NULL is a value too.
 * @param thread The operating system's number of the thread that has the value; 0 if its map is
 *   attached to none.
 * @param arg The `arg` of the function that was called.
 *
 * @return 0 to continue, any other number to stop.
 */
typedef int (*tls_visit_fn)(void *value, uint64_t thread, void *arg);

/**
 * Calls `visit` with every thread's value under a TLS_KEY_ENUMERABLE key.
 *
 * No lock is held: visit may call any function of this library, and other threads continue
 * meanwhile. The value that visit is called with is not destroyed before visit returns: if its
 * thread replaces or removes it, or ends, its destruction is deferred. It is then destroyed on the
 * value's thread, when that next expunges; or on the visiting thread, if the key is
 * TLS_RECLAIM_ANY or the value's thread has ended. A stored NULL is a value, and is visited. The
 * library does not synchronise access to the bytes of a value, which its thread may be writing:
 * use atomics. Attaches the calling thread.
 *
 * If visit returns a number other than 0, the visit stops, and the function returns that number.
 * Use a positive one, because this library's errors are negative.
 *
 * @param key A live TLS_KEY_ENUMERABLE key.
 * @param visit Called with each value.
 * @param arg Passed to visit.
 *
 * Threads: any. Blocks: no. Runs: visit, and destroy callbacks that were deferred. Signals: not
 * safe.
 * @return TLS_OK, the number with which visit has stopped, or an error code:
 * @retval TLS_ERR_INVALID visit is NULL, or the key is not enumerable.
 * @retval TLS_ERR_BUSY Values of the key are being purged or taken, by another thread or in an
 *   outer call on this one. Try again later.
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_DEAD_KEY The key is dead.
 * @retval TLS_ERR_LIMIT 1,022 threads are visiting the key's values.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_for_each(tls_key_t key, tls_visit_fn visit, void *arg);

/**
 * Calls `visit` with every thread's value under a TLS_KEY_ENUMERABLE key, as all values are at one
 * instant.
 *
 * Use it for a sum that must be exact. From the first call of visit to the last, no value of the
 * key is set, replaced or removed, and no thread that has one ends: threads that try wait. A
 * tls_get() waits only if it would make a value. A stored NULL is a value, and is visited. The
 * library does not synchronise access to the bytes of a value, which its thread may be writing:
 * use atomics. Attaches the calling thread.
 *
 * Locks are held while visit runs, so visit should be short. It must not wait for a thread that
 * may be inside this library. Of this library it may call only tls_get(), tls_try_get(),
 * tls_get_existing(), tls_stale_count(), tls_key_is_live() and tls_key_retain(), of which none
 * makes a value there: other calls return TLS_ERR_REENTRANT or have no effect. Use tls_for_each()
 * if visit needs more.
 *
 * If visit returns a number other than 0, the visit stops, and the function returns that number.
 * Use a positive one, because this library's errors are negative. If visit ends the thread, the
 * visit ends. If visit forks, the visit continues in the parent; in the child it ends when visit
 * returns.
 *
 * @param key A live TLS_KEY_ENUMERABLE key.
 * @param visit Called with each value.
 * @param arg Passed to visit.
 *
 * Threads: any. Blocks: while another thread is inside this function. Runs: visit. Signals: not
 * safe.
 * @return TLS_OK, the number with which visit has stopped, or an error code:
 * @retval TLS_ERR_INVALID visit is NULL, or the key is not enumerable.
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_DEAD_KEY The key is dead.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator, or by a visitor of this function.
 * @since 0.1.0
 */
int tls_for_each_locked(tls_key_t key, tls_visit_fn visit, void *arg);

/**
 * Takes every thread's value under a TLS_KEY_ENUMERABLE key out, and hands each to `take`, which
 * owns it from then on.
 *
 * No lock is held, and no value is destroyed. The threads have no value afterwards: their next
 * tls_get() runs init again. A thread that is using its value at this moment must learn of this by
 * your own means. A stored NULL is a value, and is handed over. Attaches the calling thread.
 *
 * If take returns a number other than 0, the remaining values stay where they are, and the
 * function returns that number. Use a positive one, because this library's errors are negative.
 *
 * @param key A live TLS_KEY_ENUMERABLE key.
 * @param take Called with each value, which is its own from then on.
 * @param arg Passed to take.
 *
 * Threads: any. Blocks: no. Runs: take. Signals: not safe.
 * @return TLS_OK, the number with which take has stopped, or an error code:
 * @retval TLS_ERR_INVALID take is NULL, or the key is not enumerable.
 * @retval TLS_ERR_BUSY Values of the key are being visited, taken or purged. Try again later.
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_DEAD_KEY The key is dead.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_scrape(tls_key_t key, tls_visit_fn take, void *arg);

/**
 * Does what tls_swap() does, and waits while another thread visits the value.
 *
 * New visits may begin during the wait, so with many visitors it can be long.
 *
 * @param key A live key.
 * @param value As in tls_swap().
 * @param[out] old As in tls_swap().
 * @param timeout_ms How many milliseconds to wait; 0 does not wait, and a negative number waits
 *   without a limit.
 *
 * Threads: any. Blocks: yes, and is a cancellation point (pthread_cancel()). Runs: what tls_swap()
 * runs. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_TIMEOUT The time limit expired.
 * @retval TLS_ERR_REENTRANT Called inside a callback of this library, which may be the visitor, or
 *   by the memory allocator.
 * @retval TLS_ERR_INVALID old is NULL.
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_DEAD_KEY The key is dead.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup.
 * @since 0.1.0
 */
int tls_swap_wait(tls_key_t key, void *value, void **old, int timeout_ms);

/**
 * Does what tls_take() does, and waits while another thread visits the value.
 *
 * @param key A live key.
 * @param[out] old As in tls_take().
 * @param timeout_ms As in tls_swap_wait().
 *
 * Threads: any. Blocks: yes, and is a cancellation point (pthread_cancel()). Runs: nothing.
 * Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_TIMEOUT The time limit expired.
 * @retval TLS_ERR_REENTRANT Called inside a callback of this library, which may be the visitor, or
 *   by the memory allocator.
 * @retval TLS_ERR_ABSENT There is no value.
 * @retval TLS_ERR_INVALID old is NULL.
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_DEAD_KEY The key is dead.
 * @retval TLS_ERR_NO_MEMORY Inside a scope only: shadowing a value takes a little memory.
 * @retval TLS_ERR_EXITING Inside a scope only: the scope is destroying its last values, and can
 *   shadow none.
 * @since 0.1.0
 */
int tls_take_wait(tls_key_t key, void **old, int timeout_ms);

/** @} */

/*================================================================================================
 * TASKS
 *================================================================================================*/

/**
 * @defgroup tls_tasks Tasks
 *
 * After a task, the worker's thread-locals are as they were before it: wrap the task, or open a
 * scope around it. A context takes values of TLS_KEY_INHERIT keys from the submitting thread to
 * the worker.
 * @{
 */

/** The number of an open scope. */
typedef uint64_t tls_scope_t;

/** Copies of a thread's inherited values, which a task takes to the thread that runs it. */
typedef struct tls_context_t tls_context_t;

/**
 * Opens a scope on the calling thread.
 *
 * Values set inside a scope are destroyed when it closes; values they shadowed become visible
 * again. Inside, outer values are visible until tls_set() or tls_swap() shadows one with a new
 * value, or tls_remove(), tls_take() or tls_remove_all() shadows it with no value. Values of
 * TLS_KEY_WORKER keys are set and removed as if there were no scope. Scopes can be nested. They
 * belong to the thread's map: tls_map_switch() leaves them in the old map. If a scope is open when
 * its thread ends, it is ended first. Attaches the thread.
 *
 * The values of the context are set inside the scope, each copied with its key's copy callback.
 * Outer values of TLS_KEY_INHERIT keys that are not in the context are shadowed with no value,
 * because they were unset where it was captured. Dead keys are skipped. If context is NULL, no
 * values are set and all outer values are visible. The context stays yours, and any number of
 * threads may use it at the same time. After a failure no scope is open, and the copies that were
 * made are destroyed.
 *
 * @param[out] scope Receives the number of the scope.
 * @param context A context of tls_context_capture(), whose values are set inside the scope, or
 *   NULL.
 *
 * Threads: any. Blocks: no. Runs: with a context, copy callbacks, and destroy callbacks of copies
 * that could not be set; destroys at most 8 stale values. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_INVALID scope is NULL.
 * @retval TLS_ERR_INIT A copy callback failed.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup.
 * @retval TLS_ERR_LIMIT 65,534 scopes are open.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_scope_begin(tls_scope_t *scope, struct tls_context_t *context);

/**
 * Ends the innermost scope of the calling thread.
 *
 * The values that were set inside are destroyed, the youngest first, with TLS_REASON_SCOPE_END
 * (TLS_REASON_KEY_DEAD if the value's key has died). Values that destroy callbacks set meanwhile
 * are destroyed too, in at most 4 rounds; the rest is given up and counted in tls_stats_t.leaked.
 * Then the values that the scope has shadowed become visible again, unchanged.
 *
 * @param scope The number that tls_scope_begin() has stored.
 *
 * Threads: the thread that began the scope, or that has its map. Blocks: no. Runs: destroy
 * callbacks of the scope's values; then destroys at most 8 stale values. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_BUSY A scope that was begun later is still open.
 * @retval TLS_ERR_INVALID The scope is not open in the calling thread's map.
 * @retval TLS_ERR_REENTRANT An outer call on this thread is ending the scope.
 * @since 0.1.0
 */
int tls_scope_end(tls_scope_t scope);

/**
 * Captures the calling thread's values of all TLS_KEY_INHERIT keys.
 *
 * Each value is copied with its key's copy callback. NULL is copied as NULL, and if a key has no
 * copy callback, the pointer itself is copied. No init runs: an unset key stays unset. If there is
 * such a value, the cost is proportional to the number of all values of the thread. Attaches the
 * thread. To give a new thread the values of its creator, capture before pthread_create(), and
 * begin a scope with the context in the new thread first.
 *
 * A context does not depend on the thread that captured it. A key's values in contexts count as
 * values for tls_key_drain(), and its user_free is not called before they are destroyed.
 *
 * @param[out] context Receives the context, which you free with tls_context_free().
 *
 * Threads: any. Blocks: no. Runs: copy callbacks; after a failure also destroy callbacks of the
 * copies. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_INVALID context is NULL.
 * @retval TLS_ERR_INIT A copy callback failed. The copies that were made are destroyed.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_LIMIT A key has no reference left to take.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_context_capture(struct tls_context_t **context);

/**
 * Destroys the values of a context and frees the context.
 *
 * The reason is TLS_REASON_REMOVED, or TLS_REASON_KEY_DEAD for values whose key has died. The
 * values are destroyed on the calling thread, whatever their key's reclaim says, because they
 * belong to no thread. Attaches the thread, if there is memory for that.
 *
 * @param context The context, which no other thread may be using. If NULL, the call has no effect.
 *
 * Threads: any. Blocks: no. Runs: destroy callbacks. Signals: not safe.
 * @since 0.1.0
 */
void tls_context_free(struct tls_context_t *context);

/**
 * A function and its argument, to be run once with the values that were captured when the task was
 * made.
 */
typedef struct tls_task_t tls_task_t;

/**
 * Makes a task of a function and its argument, and captures the calling thread's context for it.
 *
 * @param[out] task Receives the task, which you pass once either to tls_task_run() or to
 *   tls_task_cancel(), on any thread.
 * @param fn The function to run.
 * @param arg Its argument, which the library does not free.
 *
 * Threads: any. Blocks: no. Runs: what tls_context_capture() runs. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_INVALID task or fn is NULL.
 * @retval TLS_ERR_INIT A copy callback failed. The copies that were made are destroyed.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_LIMIT A key has no reference left to take.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_task_create(struct tls_task_t **task, void (*fn)(void *arg), void *arg);

/**
 * Runs a task, once, and frees it.
 *
 * It does this in order: opens a scope; sets the captured values in it (they are moved and not
 * copied again, and dead keys are skipped); frees the task; calls fn(arg); ends the scope, and
 * scopes that fn has left open; expunges. The thread's own values are then what they were before.
 * fn is not inside a callback of this library and may do anything, pthread_exit() included. The
 * type of this function is the one that pools call.
 *
 * If no scope can be begun (there is no memory, 65,534 scopes are open, or the thread is past its
 * last cleanup), fn is still called, without the captured values, and the task is counted in
 * tls_stats_t.unscoped. Attaches the thread.
 *
 * @param task A task of tls_task_create(). If NULL, the call has no effect.
 *
 * Threads: any, also the submitting thread. Blocks: no. Runs: fn and destroy callbacks. Signals:
 * not safe.
 * @since 0.1.0
 */
void tls_task_run(void *task);

/**
 * Frees a task that will not be run, and destroys the values that it has captured.
 *
 * Attaches the thread, as tls_context_free() does.
 *
 * @param task A task of tls_task_create(). If NULL, the call has no effect.
 *
 * Threads: any. Blocks: no. Runs: destroy callbacks. Signals: not safe.
 * @since 0.1.0
 */
void tls_task_cancel(struct tls_task_t *task);

/** @} */

/*================================================================================================
 * MAPS THAT MOVE
 *================================================================================================*/

/**
 * @defgroup tls_maps_that_move Maps that move
 *
 * A fiber or coroutine that moves between threads takes its values along in a map of its own.
 * @{
 */

/**
 * A map that is not tied to one thread of the operating system: for a fiber, a coroutine or a
 * green thread.
 */
typedef struct tls_map_t tls_map_t;

/**
 * Makes an empty map that is attached to no thread.
 *
 * @param[out] map Receives the map, which you destroy with tls_map_destroy().
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_INVALID map is NULL.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_map_create(struct tls_map_t **map);

/**
 * Destroys all values of a map, and the map.
 *
 * The calling thread first ends open scopes, then destroys the values, the youngest first, with
 * TLS_REASON_MAP_DESTROYED (TLS_REASON_KEY_DEAD if the value's key has died). If callbacks set
 * more values, it repeats this, in at most 4 rounds. If another thread is visiting a value, that
 * thread destroys it when its visitor has returned. Attaches the thread.
 *
 * @param map A map of tls_map_create() that is attached to no thread. If NULL, the call has no
 *   effect.
 *
 * Threads: any. Blocks: no. Runs: destroy callbacks. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_BUSY The map is attached, to this thread or another.
 * @retval TLS_ERR_REENTRANT Called inside a callback of this library.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup.
 * @since 0.1.0
 */
int tls_map_destroy(struct tls_map_t *map);

/**
 * Makes a map the current map of the calling thread, in constant time.
 *
 * From then on every function that concerns the calling thread's values works on this map,
 * tls_stale_count(), tls_expunge() and scopes included. Hooks and the waker of
 * tls_thread_on_stale() belong to the thread and not to the map; the waker is called for keys that
 * die in the thread's own map. A map is attached to at most one thread at a time. While it is
 * attached to none, its values still become stale, and the thread that attaches it next expunges
 * them. A thread that ends with a map of this kind leaves it unattached, for another thread to
 * attach. Attaches the thread itself.
 *
 * In a scheduler of fibers, switch the map where you switch the stack, on the thread that
 * continues. The inlined look-ups read the thread's words anew at each call, so a compiler that
 * moves code across a switch of stacks, or inlines the switch, can't make them read another
 * thread's. It may keep the addresses of your own thread-local variables and of errno: call a
 * function that is not inlined for those. A callback of this library must return on the thread
 * that it was called on; the function of a task (tls_task_run()) may return on another.
 *
 * @param map A map of tls_map_create(). If NULL, the thread's own map becomes current.
 * @param[out] previous If not NULL, receives the map that was current: NULL for the thread's own.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_BUSY Another thread has the map.
 * @retval TLS_ERR_REENTRANT Called inside a callback of this library.
 * @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
 * @retval TLS_ERR_EXITING The thread is past its last cleanup.
 * @since 0.1.0
 */
int tls_map_switch(struct tls_map_t *map, struct tls_map_t **previous);

/**
 * Returns the map that the calling thread has switched to.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
 * @return The map; NULL if it is the thread's own.
 * @since 0.1.0
 */
struct tls_map_t *tls_map_current(void);

/** @} */

/*================================================================================================
 * REPORTS
 *================================================================================================*/

/**
 * @defgroup tls_reports Reports
 *
 * These functions report what the library holds. Use them to find leaks, and threads that wait.
 * @{
 */

/**
 * What the library holds now and has done so far, in the whole process.
 *
 * Each number that other threads are changing is correct for some instant during the call.
 */
typedef struct tls_stats_t {
  /** Set it to sizeof(tls_stats_t) before the call; the structure can grow in later versions. */
  size_t size;
  /** Live keys. */
  uint64_t keys;
  /** Dead keys with a value that is not destroyed yet. */
  uint64_t dead_keys;
  /** Attached threads, and maps made by tls_map_create(). */
  uint64_t maps;
  /**
   * Values in all maps and contexts, stale and shadowed ones included. A value whose destruction
   * waits for a visitor is in no map: it counts as `stale` after the visit.
   */
  uint64_t entries;
  /** Stale values, and values in contexts whose key is dead. */
  uint64_t stale;
  /** Values destroyed because their key was dead, ever. */
  uint64_t expunged;
  /** Destroy callbacks called for any reason, ever. */
  uint64_t destroyed;
  /** Values given up after the fourth round of a thread's end, ever. */
  uint64_t leaked;
  /** Tables made, rebuilt or swept in full, ever. */
  uint64_t rehashes;
  /** The largest number of slots that an insert has looked at, ever. */
  uint64_t longest_probe;
  /** Slots in all tables. */
  uint64_t capacity;
  /** Bytes of memory that the library has allocated. */
  uint64_t bytes;
  /** Attached threads whose end can't be detected, because no pthread key was left. */
  uint64_t unwatched;
  /** Captured contexts that are not freed, those of waiting tasks included. */
  uint64_t contexts;
  /** Tasks that ran without a scope, ever. */
  uint64_t unscoped;
} tls_stats_t;

/**
 * Fills a structure with what the library holds now and has done so far.
 *
 * The cost is O(keys that ever lived at once + attached threads).
 *
 * @param[in,out] stats The structure, with its `size` set. That many bytes are filled; bytes that
 *   this version does not know are filled with zeros.
 *
 * Threads: any. Blocks: for as long as a thread takes to attach. Runs: nothing. Signals: not safe.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_INVALID stats is NULL, or its size is less than 8 or ends inside a member.
 * @retval TLS_ERR_REENTRANT Called inside a visitor of tls_for_each_locked().
 * @since 0.1.0
 */
int tls_stats(struct tls_stats_t *stats);

/**
 * Writes a report of every map, every key, and which thread has a value under which key, as JSON.
 *
 * Use it to find a leak: at a pool's shutdown, for example, when nothing should be left. "maps"
 * has each map with its thread and the numbers of its entries and stale entries. "keys" has each
 * key that is live, or dead and still pinned, with its name (at most 256 bytes of it) and the map
 * and thread of each value. A live key is shown with its references. A dead key is shown with the
 * number of its pins (values, and a release that is in progress) and, if it left values to other
 * threads when it died, with the number of such keys that have died since ("deaths_since", which
 * is large for keys that have waited for long). "local" has the calling thread's entries, with
 * values. Handles are strings, because they have more bits than a JSON number. Each number that
 * other threads are changing is correct for some instant during the call. The file
 * docs/dump.schema.json describes the format.
 *
 * A leak report takes a few lines:
 *
 *     static int print(const char *bytes, size_t length, void *file) {
 *       return fwrite(bytes, 1, length, file) != length;
 *     }
 *     tls_dump(print, stderr);   when the pool has shut down
 *
 * The call needs no memory. Its cost is O(keys that ever lived at once + values + maps squared +
 * dead keys times values); if more than 64 maps have a value of one key, the cost of that key
 * arises again for every 64 maps.
 *
 * @param write Called with parts of the text, of `length` bytes each, which are not terminated. It
 *   returns 0 to continue, and any other number to stop. No lock is held, and it may call any
 *   function of this library.
 * @param arg Passed to write.
 *
 * Threads: any. Blocks: no. Runs: write. Signals: not safe; tls_dump_fd() is.
 * @return TLS_OK, or an error code:
 * @retval TLS_ERR_INVALID write is NULL.
 * @retval TLS_ERR_LIMIT write has stopped the report.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_dump(int (*write)(const char *bytes, size_t length, void *arg), void *arg);

/**
 * Writes the report of tls_dump() to a file descriptor, even in a crashed process.
 *
 * Use it in a debugger ("call (int)tls_dump_fd(2)") and in handlers of SIGSEGV and similar
 * signals, whatever this thread and the others were doing, even inside this library. It allocates
 * nothing, calls no callback, and waits for locks at most some milliseconds in all. If it can't
 * get a lock, it leaves out what needs the lock: the report then contains "incomplete", and so
 * does each key of which a part is missing, with an empty name. "local" is empty, because the
 * calling thread's entries may be half changed. In the child of a fork, before the library's own
 * handler has run there, it reports what the fork has left.
 *
 * The report is written with write(2), until all is written. If fd blocks, this function blocks
 * too, with no lock held. If fd is non-blocking and full, or if nothing reads it any more (this
 * function does not block SIGPIPE), the report ends in the middle. errno is preserved. The call
 * needs about 4 KB of stack. Its cost is that of tls_dump().
 *
 * @param fd A file descriptor that is open for writing.
 *
 * Threads: any, attached or not. Blocks: only as writing to fd does. Runs: nothing. Signals: safe.
 * @return TLS_OK, also if the report is incomplete, or an error code:
 * @retval TLS_ERR_INVALID fd is not open for writing.
 * @retval TLS_ERR_LIMIT fd did not take the whole report.
 * @since 0.1.0
 */
int tls_dump_fd(int fd);

/**
 * Calls `visit` with each map and context that still has values of a key, dead or live.
 *
 * Use it to find out which threads have the values that a tls_key_drain() has waited for in vain.
 *
 * visit is called with `map`, the number that tls_dump() shows for the map; `thread`, the
 * operating system's number of the thread that the map is attached to, or 0 if it is attached to
 * none; and `values`, how many values it has. Each is correct for some instant during the call. No
 * lock is held, and visit may call any function of this library.
 *
 * The call needs no memory. Its cost is O(values) of a live key and O(values of all keys) of a
 * dead one. It arises again for every 64 maps that have values of the key.
 *
 * @param key The key, dead or live.
 * @param visit Called with each map. It returns 0 to continue, and any other number to stop.
 * @param arg Passed to visit.
 *
 * Threads: any. Blocks: no. Runs: visit. Signals: not safe.
 * @return The number that visit has returned last; TLS_OK if no thread has a value, also for a key
 *   that died long ago; or an error code:
 * @retval TLS_ERR_INVALID visit is NULL.
 * @retval TLS_ERR_BAD_KEY The handle has never named a key.
 * @retval TLS_ERR_REENTRANT Called by the memory allocator.
 * @since 0.1.0
 */
int tls_for_each_holder(tls_key_t key, int (*visit)(uint64_t map,
                                                    uint64_t thread,
                                                    size_t values,
                                                    void *arg), void *arg);

/** @} */

/*================================================================================================
 * VERSIONS
 *================================================================================================*/

/**
 * @defgroup tls_versions Versions
 *
 * The version of this header, the version of the library that the program runs with, and what
 * the inlined calls of this header need to know of the library.
 * @{
 */

/** The major version of this header. tls_version() returns the version of the library. */
#define TLS_VERSION_MAJOR 0

/** The minor version of this header. */
#define TLS_VERSION_MINOR 1

/** The patch level of this header. */
#define TLS_VERSION_PATCH 0

/** The version of this header as one number, to be compared with tls_version(). */
#define TLS_VERSION_NUMBER (TLS_VERSION_MAJOR * 10000 + TLS_VERSION_MINOR * 100 + TLS_VERSION_PATCH)

/** The version of this header as text. */
#define TLS_VERSION_STRING "0.1.0"

/**
 * Returns the version of the library that the program runs with.
 *
 * TLS_VERSION_NUMBER is the version of the header that the program was compiled with. A library
 * with the same SONAME and the same or a later number is compatible with it.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: safe.
 * @return The number major * 10000 + minor * 100 + patch.
 * @since 0.1.0
 */
int tls_version(void);

/**
 * Returns the version of the library that the program runs with, as text.
 *
 * The string is static: never free it.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: safe.
 * @return The version, for example "0.1.0".
 * @since 0.1.0
 */
const char *tls_version_string(void);

/**
 * Returns where the hot slot of a thread is. Only the inlined calls of this header use it.
 *
 * Layout 1 is {const entry *table; size_t mask; const size_t *stale}, where an entry is {uint64_t
 * key; void *value}.
 *
 * Threads: any. Blocks: no. Runs: nothing. Signals: safe.
 * @return The distance from the thread pointer, which is the same for all threads; 0 if this build
 *   has no hot slot, so that every get makes the call.
 * @since 0.1.0
 */
ptrdiff_t tls_hot_offset_v1(void);

/** @} */

#ifdef __cplusplus
} /* extern "C" */
#endif /* __cplusplus */

#endif  /* THREADLOCALMAP_H */

#include "threadlocalmap_inline.h"
