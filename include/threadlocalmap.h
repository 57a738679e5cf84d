/*
 * threadlocalmap.h - weak-keyed thread locals with explicit cleanup, for C and C++ thread pools.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A thread that dies takes its thread locals along; a pool's thread never dies, so what tasks and
 * dead objects leave in it stays. Here every object can have a key of its own, any number of them.
 * When the object's key is released, each thread's value under it becomes stale, and each thread
 * destroys its own: when it says tls_expunge(), when it next sets or misses a key, or when it ends.
 *
 *     tls_key_t key;
 *     tls_key_options_t options = {0};
 *     options.size = sizeof options;
 *     options.destroy = free_buffer;
 *     tls_key_create(&key, &options);        with the object
 *
 *     void *buffer = tls_get(key);           on any thread, a nanosecond
 *     if (!buffer) tls_set(key, buffer = new_buffer());
 *
 *     tls_expunge();                         on a pool's thread, between two tasks
 *
 *     tls_key_release(key);                  with the object's end
 *
 * WORDS
 *   key          what a value is stored under; made at run time, counted by references
 *   handle       the 64-bit number (tls_key_t) that names a key; never used again for another key
 *   live, dead   a key with at least one reference; a key whose last reference was released
 *   map          the values of one thread
 *   entry        a key and its value in a map. It never keeps its key alive: the key is weak
 *   stale entry  an entry whose key is dead, or was purged since, and whose value is not destroyed
 *                yet. A value that was purged ends with TLS_REASON_PURGED, whatever ends it
 *   expunge      take stale entries out of a map and destroy their values
 *   owner        the thread that a map belongs to
 *   holder       a map that has an entry for a given key
 *   scope        what a thread sets while it is open ends with it; what that hides is back then
 *   context      copies of a thread's inherited values, for a task to take along
 *   task         a function and its argument, run once, in a scope, with a context
 *
 * CONVENTIONS
 *   Functions that can fail return int: TLS_OK (0) or a negative TLS_ERR_*. Out-parameters are
 *   written on success only. A failed call has changed nothing, but that it may have attached the
 *   thread. Whatever number is passed as a handle, the answer is an error and not a crash. Structures
 *   begin with their size: set it to sizeof, and everything that you do not use to zero.
 *
 * OWNERSHIP
 *   made by                 is ended by                       or by
 *   tls_key_create          tls_key_release, the last one     -
 *   tls_key_retain          tls_key_release                   -
 *   tls_set, tls_swap,      the key's destroy callback, once, tls_take, tls_swap, tls_scrape: handed
 *   init's value            on a thread that the key allows   to you, undestroyed
 *   options.user            options.user_free, once, last     you, if there is none
 *   options.name            you: it is copied                 -
 *   tls_context_capture     tls_context_free                  -
 *   tls_task_create         tls_task_run, once                tls_task_cancel
 *   tls_map_create          tls_map_destroy                   -
 *   tls_scope_begin         tls_scope_end                     the end of its thread or map
 *   tls_strerror and the    nobody: static strings            -
 *   like
 *
 * THREADING
 *   Every function may be called on any thread, at any time, however the thread was made. Values
 *   are the calling thread's own: no two threads share one, so no function needs a lock of yours.
 *   Handing a handle to another thread is your business: who uses it has a reference, or knows
 *   that somebody keeps one. No function waits for another thread, but for locks that are held
 *   for a few instructions (and while a report goes over all records, of a dead key). Only
 *   tls_key_drain(), tls_take_wait() and tls_swap_wait() wait, because that is what they are for.
 *   And while a visitor of tls_for_each_locked() runs, other threads' calls on values of that key
 *   wait, and a report; another key may share its lock.
 *
 * WHO DESTROYS A VALUE
 *   TLS_RECLAIM_OWNER (the default): the thread that has it, and no other. When its key has died on
 *   another thread, that is when it expunges, next sets or misses a key, or ends; an idle worker
 *   can be woken (tls_thread_on_stale). TLS_RECLAIM_ANY: any thread; tls_key_release() of the last
 *   reference destroys all threads' values before it returns. One exception: the owner's thread
 *   ends, or is detached, or the value's map is destroyed, while the value is being visited
 *   (tls_for_each, TLS_KEY_ENUMERABLE keys only). The visiting thread destroys it then.
 *
 * TASKS
 *   A pool's worker is to be after a task what it was before it: wrap the task (tls_task_create() on
 *   the submitting thread, tls_task_run() on the worker), or open a scope around it. Values that a
 *   worker keeps for itself are those of TLS_KEY_WORKER keys; values that a task takes along from
 *   its submitter are those of TLS_KEY_INHERIT keys. A fiber or coroutine that moves between
 *   threads has a map of its own (tls_map_switch()).
 *
 * CALLBACKS
 *   destroy, init, copy, user_free and hooks run with no lock held and with every structure whole. They
 *   may call any function of this library, on any key, their own included; tls_thread_detach() is
 *   answered TLS_ERR_REENTRANT. A visitor of tls_for_each_locked() alone runs with locks held, and may
 *   call next to nothing. destroy is never called with NULL. A callback must not throw a C++ exception
 *   and must not longjmp out of the library: both are undefined behaviour.
 *
 * WHAT A CALL MAY RUN
 *   Beside what its text says, a call that destroys a value whose key is dead may run that key's
 *   user_free, and a call that releases a key may run wakers of other threads.
 *   tls_get, tls_try_get        on a hit nothing; on a miss destroy of at most 8 stale values, then init
 *   tls_set, tls_swap           destroy of at most 8 stale values if the key has no value here yet, or
 *                               others have sent some; tls_set: then destroy of the value before
 *   tls_scope_begin             destroy of at most 8 stale values; copy, with a context
 *   tls_get_existing, tls_take  nothing
 *   tls_remove                  destroy of the value
 *   tls_expunge and its like, and the ends of scopes, tasks, maps and threads: destroy of whatever
 *   has ended. Stale values of TLS_KEY_EXPLICIT keys are destroyed by these alone.
 *
 * THE END OF A THREAD
 *   However a thread ends (return, pthread_exit, cancellation): its hooks are called, the latest
 *   first, then its values are destroyed, in the reverse order of their first set; both again
 *   while they add more, at most 4 rounds. What is left then is given up and counted in
 *   tls_stats_t.leaked. A destructor of another pthread key that sets a value afterwards gets
 *   another cleanup, as long as the C library calls destructors (4 passes); then TLS_ERR_EXITING.
 *   If the process has no pthread key left, ends can't be seen: tls_thread_attach() says so
 *   (TLS_ERR_LIMIT), and tls_thread_detach() does the same by hand.
 *
 * EXIT, FORK, DLCLOSE, SIGNALS
 *   exit() and returning from main destroy nothing, as with pthread keys; call tls_thread_detach()
 *   first where that matters. fork(): any thread may, at any moment. The child has the forking
 *   thread's values; other threads' maps are gone there, without their callbacks being run, and so
 *   is a dead key that only they had values of, without its user_free. A map (tls_map_create()) that
 *   another thread had attached stays attached: it can't be used there. Every function works in the
 *   child. If a visitor of tls_for_each() forks, the visit ends in the child when that visitor
 *   returns. dlclose() never unloads the shared library, because threads that used it have yet to
 *   end; a plugin that links the static library must be linked with -Wl,-z,nodelete. A plugin whose
 *   callbacks are a key's: release the key, tls_key_drain() it, then unload the plugin. In a signal
 *   handler: tls_get() and tls_get_existing() of a value that is there, on an attached thread,
 *   tls_stale_count(), tls_key_retain(), tls_key_is_live(), tls_dump_fd(), and the functions about
 *   errors and versions.
 */

#ifndef THREADLOCALMAP_H
#define THREADLOCALMAP_H

/* Generated from src/capi by cbindgen: `make header` rewrites it. Do not edit. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/*================================================================================================
 * ERRORS
 *
 * A function that can fail returns TLS_OK (0) or one of the negative numbers below. A failed call
 * has changed nothing, except that it may have attached the calling thread to the library.
 *================================================================================================*/

/**
 * It worked.
 */
#define TLS_OK 0

/**
 * The handle was never a key.
 */
#define TLS_ERR_BAD_KEY (-1)

/**
 * The handle was a key; its last reference was released.
 */
#define TLS_ERR_DEAD_KEY (-2)

/**
 * An argument that is never right: a null pointer, an unknown flag, a wrong size.
 */
#define TLS_ERR_INVALID (-3)

/**
 * Memory ran out.
 */
#define TLS_ERR_NO_MEMORY (-4)

/**
 * The calling thread has no value under this key.
 */
#define TLS_ERR_ABSENT (-5)

/**
 * A limit was reached: references, keys, the size of a buffer, pthread keys.
 */
#define TLS_ERR_LIMIT (-6)

/**
 * Not allowed inside this callback.
 */
#define TLS_ERR_REENTRANT (-7)

/**
 * The key's init or copy callback returned non-zero; nothing was stored.
 */
#define TLS_ERR_INIT (-8)

/**
 * The calling thread, or a scope or map of it, is past its last cleanup: nothing
 * more can be stored.
 */
#define TLS_ERR_EXITING (-9)

/**
 * In use elsewhere, or out of order.
 */
#define TLS_ERR_BUSY (-10)

/**
 * The time was up first.
 */
#define TLS_ERR_TIMEOUT (-11)

/**
 * This version or build of the library does not do that.
 */
#define TLS_ERR_UNSUPPORTED (-12)

/**
 * A sentence for people about an error code.
 *
 * error: any number. The string is static: never free it.
 *
 * Threads: any. Blocks: no. Signals: safe.
 * Returns a string, never NULL; "unknown error" for what is no code.
 * Since 0.1.0.
 */
const char *tls_strerror(int error);

/**
 * The name of an error code's constant.
 *
 * error: any number. The string is static: never free it.
 *
 * Threads: any. Blocks: no. Signals: safe.
 * Returns a string such as "TLS_ERR_DEAD_KEY", never NULL; "TLS_ERR_UNKNOWN"
 * for what is no code.
 * Since 0.1.0.
 */
const char *tls_err_name(int error);

/*================================================================================================
 * KEYS
 *
 * A key is what values are stored under. Make one for each object that wants values of its own on
 * each thread, and release it when the object ends. The options say what a key does with its
 * values: how they are made, copied and destroyed, and by which threads.
 *================================================================================================*/

/**
 * The name of a key: a number that names one key for the life of the process.
 *
 * It is never used again for another key, in this process, on any thread.
 * Copy it, compare it, store it anywhere; print it with PRIu64.
 */
typedef uint64_t tls_key_t;

/**
 * Never a key.
 */
#define TLS_KEY_NONE ((tls_key_t)0)

/**
 * Destroyed because another value was set in its place.
 */
#define TLS_REASON_REPLACED 1

/**
 * Destroyed because it was removed.
 */
#define TLS_REASON_REMOVED 2

/**
 * Destroyed because its key is dead.
 */
#define TLS_REASON_KEY_DEAD 3

/**
 * Destroyed because its live key was purged (tls_key_purge()).
 */
#define TLS_REASON_PURGED 4

/**
 * Destroyed because the scope that it was set in has ended.
 */
#define TLS_REASON_SCOPE_END 5

/**
 * Destroyed because its thread is ending.
 */
#define TLS_REASON_THREAD_EXIT 6

/**
 * Destroyed because its thread was detached.
 */
#define TLS_REASON_DETACHED 7

/**
 * Destroyed because its map was destroyed.
 */
#define TLS_REASON_MAP_DESTROYED 8

/**
 * Ends the life of one value.
 *
 * value: the value, never NULL. reason: why, one of TLS_REASON_*. user: the
 * key's `user`. Runs on the thread that has the value (with
 * TLS_RECLAIM_OWNER), with no lock held, after the value has left the thread's
 * map; it may call any function of this library, on any key. It must not throw
 * a C++ exception or longjmp out.
 */
typedef void (*tls_destroy_fn)(void *value, int reason, void *user);

/**
 * Makes a thread's first value under a key.
 *
 * Stores it in *value and returns 0 (NULL is a value too), or returns non-zero:
 * then nothing is stored, and the next tls_get tries again. It may set and
 * read other keys; reading its own key is TLS_ERR_REENTRANT; if it sets its
 * own key, the value that it returns wins and the other one is destroyed.
 */
typedef int (*tls_init_fn)(void **value, void *user);

/**
 * Makes a copy of a value for another task.
 *
 * value: never NULL (NULL is copied as NULL). Stores the copy in *copy and
 * returns 0 (NULL is a copy too), or returns non-zero: then nothing is captured
 * or begun. Runs on the thread that captures, and once more on each thread that
 * begins a scope with the context, possibly on several at once; it may call any
 * function of this library, but must not end the value that it copies.
 * A key that is released while its value is captured ends when this returns.
 */
typedef int (*tls_copy_fn)(void *value, void **copy, void *user);

/**
 * Each value is destroyed by the thread that has it, and by no other.
 */
#define TLS_RECLAIM_OWNER 0

/**
 * Values may be destroyed by any thread: the one that releases the key does. It does not
 * wait for threads that are just using theirs: they have a reference to the key, or hold
 * the value by a count of its own.
 */
#define TLS_RECLAIM_ANY 1

/**
 * All threads' values may be visited and taken: tls_for_each(), tls_scrape().
 */
#define TLS_KEY_ENUMERABLE 1

/**
 * Values live as long as the worker: scopes leave them alone.
 */
#define TLS_KEY_WORKER 2

/**
 * A captured context takes the value along.
 */
#define TLS_KEY_INHERIT 4

/**
 * Stale values are destroyed by tls_expunge() and its like, with the scopes, tasks, maps
 * and threads that they are in, and by nothing else: no tls_get() and no tls_set() does.
 */
#define TLS_KEY_EXPLICIT 8

/**
 * What a key is to be like. Set all of it to zero, then `size`, then what you
 * want:
 *
 *     tls_key_options_t options = {0};
 *     options.size = sizeof options;
 *     options.destroy = free_buffer;
 */
typedef struct tls_key_options_t {
  /**
   * sizeof(tls_key_options_t), so that the structure can grow.
   */
  size_t size;
  /**
   * For reports. Copied; NULL: no name.
   */
  const char *name;
  /**
   * Called with each value whose life the library ends. NULL: nothing is.
   */
  tls_destroy_fn destroy;
  /**
   * Called by tls_get where there is no value. NULL: there is none, then.
   */
  tls_init_fn init;
  /**
   * Called when a context takes the value along. NULL: the pointer is.
   */
  tls_copy_fn copy;
  /**
   * Handed to the callbacks; yours until user_free is called.
   */
  void *user;
  /**
   * Called once with `user`, after the key is dead and its last value
   * destroyed, by whichever thread did that. May be NULL.
   */
  void (*user_free)(void *user);
  /**
   * TLS_RECLAIM_OWNER, or TLS_RECLAIM_ANY.
   */
  uint32_t reclaim;
  /**
   * TLS_KEY_* together.
   */
  uint32_t flags;
} tls_key_options_t;

/**
 * Makes a key with one reference, the caller's.
 *
 * key: receives the handle. options: what the key is to be like; NULL: no
 * name, no callbacks; read during the call only. The key lives until its last
 * reference is released with tls_key_release(). Any number of keys may live
 * (memory permitting), and none costs a pthread key.
 *
 * Threads: any. Blocks: no. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_INVALID (key is NULL, options->size is too small
 * or ends inside a member, bytes beyond the known structure are not zero, unknown reclaim or flags,
 * TLS_KEY_INHERIT with TLS_KEY_WORKER, or with destroy but without copy);
 * TLS_ERR_NO_MEMORY;
 * TLS_ERR_LIMIT (4294967294 keys live);
 * TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_key_create(tls_key_t *key, const struct tls_key_options_t *options);

/**
 * Adds a reference to a live key.
 *
 * Each reference is released with one tls_key_release(). Take one before you
 * hand the handle to somebody who may use it after you have released yours.
 *
 * Threads: any. Blocks: no. Signals: safe.
 * Returns TLS_OK; TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY (a dead key can't be
 * revived); TLS_ERR_LIMIT (4194303 references).
 * Since 0.1.0.
 */
int tls_key_retain(tls_key_t key);

/**
 * Gives a reference back; the last one ends the key.
 *
 * From then on every function answers TLS_ERR_DEAD_KEY to the handle, on all
 * threads, for ever. The calling thread's own value is destroyed before this
 * returns (TLS_REASON_KEY_DEAD). The other threads' values become stale: their
 * tls_stale_count() says so at once, and each thread destroys its own when it
 * calls tls_expunge(), when it next sets a new key or misses one, or when it
 * ends. With TLS_RECLAIM_ANY there is nothing to wait for: the calling thread
 * destroys them all before this returns (but for values that their owner is
 * just making or destroying; those it ends itself). The cost is proportional
 * to the number of threads that have a value.
 *
 * While somebody goes over the key's values (tls_for_each(), tls_scrape(),
 * tls_key_purge(), also further out on this thread), a release of the last reference
 * does not end the key yet: the end of that call does, on its thread. Until then the
 * key is live, and can be retained.
 *
 * Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY (released too often);
 * TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_key_release(tls_key_t key);

/**
 * Whether the handle names a live key.
 *
 * Without a reference of your own the answer can be out of date when you get
 * it.
 *
 * Threads: any. Blocks: no. Signals: safe.
 * Returns true or false.
 * Since 0.1.0.
 */
bool tls_key_is_live(tls_key_t key);

/**
 * Copies a live key's name, with its final zero byte.
 *
 * buffer: receives the name; the empty string if the key has none. capacity:
 * the bytes that fit in it.
 *
 * Threads: any. Blocks: no. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_INVALID (buffer is NULL); TLS_ERR_LIMIT (it does not
 * fit; nothing is written); TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY; TLS_ERR_REENTRANT
 * (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_key_name(tls_key_t key, char *buffer, size_t capacity);

/*================================================================================================
 * VALUES
 *
 * These functions read and change the values of the calling thread. No other thread has to do
 * anything for them, and no lock of yours is needed.
 *================================================================================================*/

/**
 * The calling thread's value under a key; else what the key's init callback
 * makes, stored; else NULL.
 *
 * The value stays the library's: it is destroyed when it is replaced, removed,
 * when its key dies or its thread ends. A miss destroys at most 8 of the thread's
 * stale values before it looks. A stored NULL and every error are NULL
 * too: use tls_try_get() to tell them apart. On a key that has died on another
 * thread it may return the value that this thread has not expunged yet; never
 * another key's.
 *
 * With this header it is a macro over an inlined look-up, and only a miss
 * makes the call; (tls_get)(key), or TLS_NO_INLINE defined before the header is
 * included, makes it always.
 *
 * Threads: any. Blocks: no; on a miss runs destroy callbacks of at most 8 stale values,
 * and then init. Signals: a hit on a thread
 * that is attached is safe, anything else is not.
 * Returns the value, or NULL.
 * Since 0.1.0.
 */
void *tls_get(tls_key_t key);

/**
 * The calling thread's value under a key, or NULL; never runs init.
 *
 * Otherwise as tls_get(), inlined likewise. Allocates nothing.
 *
 * Threads: any. Blocks: no. Signals: safe on a thread that is attached.
 * Returns the value, or NULL.
 * Since 0.1.0.
 */
void *tls_get_existing(tls_key_t key);

/**
 * Like tls_get(), with a code for every outcome.
 *
 * value: receives the value, which stays the library's; written on success
 * only.
 *
 * Threads: any. Blocks: no; on a miss runs destroy callbacks of at most 8 stale values,
 * and then init. Signals: not safe.
 * Returns TLS_OK (a stored NULL, too); TLS_ERR_ABSENT (no value, and the key
 * has no init); TLS_ERR_INIT (init failed; nothing stored); TLS_ERR_REENTRANT
 * (called by this key's init on this thread, which has no value yet);
 * TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY; TLS_ERR_NO_MEMORY; TLS_ERR_EXITING (init
 * not run); TLS_ERR_INVALID (value is NULL).
 * Since 0.1.0.
 */
int tls_try_get(tls_key_t key, void **value);

/**
 * Stores a value for the calling thread.
 *
 * value: from now on the library's, to be destroyed by the key's destroy
 * callback; on failure it stays yours. NULL is a value (and is never passed to
 * destroy). The value that it replaces is destroyed (TLS_REASON_REPLACED),
 * unless it is the same pointer. The first set on a thread attaches it. Inside a
 * scope, a value that was set outside of it is not replaced but hidden, until
 * the scope ends (tls_scope_begin()). A set that has more to do than exchange a
 * value destroys at most 8 of the thread's stale values first: if one of these
 * callbacks ends the thread, the value was not stored, and stays yours.
 *
 * Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY; TLS_ERR_NO_MEMORY;
 * TLS_ERR_EXITING; TLS_ERR_REENTRANT (called by the memory allocator, inside
 * one of this library's allocations). A failed call has changed nothing.
 * Since 0.1.0.
 */
int tls_set(tls_key_t key, void *value);

/**
 * Stores a value for the calling thread and hands the old one over.
 *
 * value: as with tls_set(). old: receives the value that was there, yours from
 * now on and not destroyed; NULL if there was none, or if it was set outside of
 * the scope that is open: such a value is hidden, not handed over. Written on
 * success only.
 *
 * Threads: any. Blocks: no, but may run destroy callbacks of stale values, at most 8.
 * Signals: not safe.
 * Returns TLS_OK; TLS_ERR_INVALID (old is NULL); TLS_ERR_BUSY (somebody is
 * visiting the value, tls_for_each(): tls_swap_wait() waits for that); else as
 * tls_set().
 * Since 0.1.0.
 */
int tls_swap(tls_key_t key, void *value, void **old);

/**
 * Removes the calling thread's value and hands it over.
 *
 * old: receives the value, yours from now on and not destroyed; NULL if it was
 * set outside of the scope that is open: such a value is hidden, not handed
 * over. Written on success only.
 *
 * Threads: any. Blocks: no. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_ABSENT (no value); TLS_ERR_INVALID (old is NULL);
 * TLS_ERR_BUSY (somebody is visiting the value, tls_for_each(): tls_take_wait()
 * waits for that);
 * TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY; TLS_ERR_NO_MEMORY and TLS_ERR_EXITING
 * (inside a scope: hiding an outer value takes a little memory, and nothing can
 * be hidden any more while the scope's last values are given up);
 * TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_take(tls_key_t key, void **old);

/**
 * Removes the calling thread's value and destroys it (TLS_REASON_REMOVED).
 *
 * The next tls_get() runs init again. Frees nothing that setting it again
 * would have to allocate. Inside a scope, a value that was set outside of it is
 * hidden instead, until the scope ends.
 *
 * Threads: any. Blocks: no, but runs the destroy callback. Signals: not safe.
 * Returns TLS_OK (also without a value); TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY;
 * TLS_ERR_NO_MEMORY and TLS_ERR_EXITING (inside a scope, as tls_take());
 * TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_remove(tls_key_t key);

/**
 * Removes and destroys all of the calling thread's values.
 *
 * In the reverse order of their first set, each with TLS_REASON_REMOVED, or
 * TLS_REASON_KEY_DEAD if its key is dead. What destroy callbacks set meanwhile
 * stays. The thread stays attached. Inside a scope, values that were set outside
 * of it are hidden instead, until it ends, and values of TLS_KEY_WORKER keys are
 * destroyed after the scope's own.
 *
 * Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_NO_MEMORY (inside a scope only; nothing was removed);
 * TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_remove_all(void);

/**
 * Called with one of the calling thread's values, which is yours from then on.
 * Must not throw.
 */
typedef void (*tls_take_fn)(tls_key_t key, void *value, void *arg);

/**
 * Hands over each of the calling thread's values, undestroyed.
 *
 * For the child of a fork, whose values are the parent's to end, and for a process
 * that is about to leave without its destroy callbacks: free what take gets, or
 * just count it. The youngest value comes first. Values that scopes hide are handed
 * over as well, and so are stale ones (key is dead then, or was purged), and stored NULLs. What
 * take sets meanwhile stays. Scopes stay open, and the thread stays attached. take
 * may call any function of this library, and may end the thread.
 *
 * take: called with each value; it is yours from then on. arg: yours.
 *
 * Threads: any. Blocks: no, but runs take, and the user_free of a key whose last
 * value it was. Signals: not safe.
 * Returns TLS_OK (also on a thread that is not attached); TLS_ERR_INVALID (take is
 * NULL); TLS_ERR_BUSY (somebody visits some of the values, tls_for_each(), in the
 * child of a fork the visitor that has forked: those stay, all others were handed over); TLS_ERR_REENTRANT (called by the memory
 * allocator).
 * Since 0.1.0.
 */
int tls_take_all(tls_take_fn take,
                 void *arg);

/**
 * Calls `visit` with each of the calling thread's values that tls_get() would
 * find under a live key.
 *
 * The oldest first; those that a scope hides are passed over. visit may call
 * any function of this library: what it adds is not visited, what it removes
 * before its turn is not either. arg: yours.
 *
 * Threads: any. Blocks: no. Signals: not safe.
 * Returns TLS_OK (also on a thread that is not attached); TLS_ERR_INVALID (visit
 * is NULL); TLS_ERR_NO_MEMORY; TLS_ERR_REENTRANT (called by the memory
 * allocator).
 * Since 0.1.0.
 */
int tls_for_each_local(void (*visit)(tls_key_t key, void *value, void *arg), void *arg);

/*================================================================================================
 * CLEANUP
 *
 * When a key has died, each thread destroys its own value: between two tasks with tls_expunge(),
 * on its way in tls_set() and in a tls_get() that misses, and when it ends. These functions
 * destroy stale values, and register hooks for the end of a thread and for new stale values.
 *================================================================================================*/

/**
 * Destroys all of the calling thread's stale values, now.
 *
 * A value is stale when its key is dead, or was purged. Call it between a pool's tasks, and
 * before a worker goes to sleep; with nothing stale it costs about a
 * nanosecond. Each value is destroyed with TLS_REASON_KEY_DEAD, or TLS_REASON_PURGED. Of all that is
 * stale the youngest, by its first set on this thread, ends first, whatever the
 * order in which the keys died: what was set later may depend on it. So do all
 * functions that end stale values, and so does the thread's end.
 *
 * Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
 * Returns how many values it destroyed.
 * Since 0.1.0.
 */
size_t tls_expunge(void);

/**
 * Destroys at most `budget` of the calling thread's stale values.
 *
 * The youngest of them, as tls_expunge() has it. For pools that must not pause for
 * long: call it again for the rest.
 *
 * Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
 * Returns how many values it destroyed.
 * Since 0.1.0.
 */
size_t tls_expunge_some(size_t budget);

/**
 * How many values of the calling thread are stale: what tls_expunge() would
 * find.
 *
 * Exact as soon as the tls_key_release() that made them so has returned. With
 * this header it is a macro over an inlined load.
 *
 * Threads: any. Blocks: no. Signals: safe.
 * Returns the number.
 * Since 0.1.0.
 */
size_t tls_stale_count(void);

/**
 * Attaches the calling thread, with all memory that its first value needs.
 *
 * Never needed: the first tls_set() attaches. But after it tls_get() of a
 * value that was set is safe in signal handlers, and the thread's end is known
 * to be seen. Attaching an attached thread does nothing.
 *
 * The C library runs the destructors of an ending thread's pthread keys up to four
 * times. A value that another key's destructor stores is destroyed in the next of
 * these passes; after the last, tls_set() answers TLS_ERR_EXITING. A thread that
 * first uses the library in the last pass can't be seen to end: its values are not
 * destroyed, and stay counted. Attach such a thread before it ends.
 *
 * Threads: any. Blocks: no. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_NO_MEMORY; TLS_ERR_EXITING; TLS_ERR_LIMIT (the
 * process has no pthread key left, so this thread's end can't be seen; values
 * work all the same, but call tls_thread_detach() before it ends);
 * TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_thread_attach(void);

/**
 * The calling thread's whole cleanup, now: hooks, then values.
 *
 * Exactly what its end would do, with TLS_REASON_DETACHED: for threads whose
 * end is not seen (before exit(), without a pthread key), and for workers that
 * go back to a foreign pool. The thread may attach again later.
 *
 * Threads: any. Blocks: no, but runs callbacks. Signals: not safe.
 * Returns TLS_OK (also on a thread that is not attached); TLS_ERR_REENTRANT
 * (inside a callback of this library).
 * Since 0.1.0.
 */
int tls_thread_detach(void);

/**
 * Registers a cleanup hook for the calling thread's end, or its detaching.
 *
 * The short form of tls_thread_hook() with TLS_HOOK_BEFORE_VALUES and no owner.
 * fn: called once with arg on this thread, before its values are destroyed;
 * the hook registered last is called first. arg: yours. A hook may register
 * hooks and set values: they get a round of their own, up to 4 in all.
 *
 * Threads: any. Blocks: no. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_INVALID (fn is NULL); TLS_ERR_NO_MEMORY;
 * TLS_ERR_EXITING; TLS_ERR_LIMIT (this thread's end can't be seen: no pthread
 * key is left);
 * TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_at_thread_exit(void (*fn)(void *arg), void *arg);

/**
 * Registers the waker of the calling thread: what is called when it gets stale values.
 *
 * The short form of tls_thread_hook() with TLS_HOOK_ON_STALE and no owner, but a
 * later call takes the place of an earlier one. notify: called with arg as that
 * function says; NULL: nobody. Attaches the thread.
 *
 * Threads: any. Blocks: no, but calls notify if there are stale values. Signals:
 * not safe.
 * Returns TLS_OK; TLS_ERR_NO_MEMORY; TLS_ERR_EXITING;
 * TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_thread_on_stale(void (*notify)(void *arg), void *arg);

/**
 * The hook is called at the thread's end, before its values are destroyed.
 */
#define TLS_HOOK_BEFORE_VALUES 0

/**
 * The hook is called at the thread's end, after its values have been destroyed.
 */
#define TLS_HOOK_AFTER_VALUES 1

/**
 * The hook is called when the thread gets stale values.
 */
#define TLS_HOOK_ON_STALE 2

/**
 * What is to be called when. Set all of it to zero, then `size`, then what you want.
 */
typedef struct tls_hook_options_t {
  /**
   * sizeof(tls_hook_options_t), so that the structure can grow.
   */
  size_t size;
  /**
   * TLS_HOOK_BEFORE_VALUES, TLS_HOOK_AFTER_VALUES or TLS_HOOK_ON_STALE.
   */
  uint32_t when;
  /**
   * TLS_HOOK_* flags together; none yet: 0.
   */
  uint32_t flags;
  /**
   * What to call. It must not throw.
   */
  void (*fn)(void *arg);
  /**
   * Handed to fn; yours.
   */
  void *arg;
  /**
   * The key that the hook belongs to, or TLS_KEY_NONE.
   */
  tls_key_t owner;
} tls_hook_options_t;

/**
 * Registers a hook for the calling thread.
 *
 * With TLS_HOOK_BEFORE_VALUES fn is called once on this thread, when that ends or
 * is detached, before its values are destroyed; with TLS_HOOK_AFTER_VALUES after
 * they have been: for functions like mysql_thread_end(), that end what the values
 * need. The hook registered last is called first. A hook may register hooks and set
 * values: they get a round of their own, up to 4 in all. After the last round tls_set()
 * and this function answer TLS_ERR_EXITING, and hooks that are left are called all the
 * same.
 *
 * With TLS_HOOK_ON_STALE fn is called whenever this thread's inbox of dead keys
 * becomes non-empty, by the thread that releases a key, with no lock held: a pool can
 * wake its idle worker then, to expunge. If values are stale already, it is called
 * now, on this thread. It must return, and should be quick: signal a condition
 * variable, write to an eventfd. Several may be registered; all are called. They end
 * with the thread, or with its detaching.
 *
 * owner: as long as this key lives, the hook is called. When the key has died, its
 * hooks are not called any more, on any thread; tls_key_drain() of it waits until
 * none of them runs. So a plug-in that is about to be unloaded releases its owner key,
 * drains it, and can go. Without an owner arg must stay valid, and fn loaded, for as
 * long as any thread may be inside tls_key_release(): a call can be on its way when
 * the thread ends. options: yours; it is read before this returns. Attaches the
 * thread.
 *
 * Threads: any. Blocks: no, but calls fn as above. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_INVALID (options or fn is NULL, its size cuts a member, an
 * unknown number in when, flags that are not 0, members that this version does not know
 * and that are not 0); TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY;
 * TLS_ERR_NO_MEMORY; TLS_ERR_EXITING; TLS_ERR_LIMIT (this thread's end can't be seen:
 * no pthread key is left; not with TLS_HOOK_ON_STALE); TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_thread_hook(const struct tls_hook_options_t *options);

/**
 * A destroy callback that does what the destructor of a pthread key does.
 *
 * For tls_key_options_t.destroy, with the destructor, a void (*)(void *), as
 * options.user. When the thread of a value ends, or is detached, or its map is
 * destroyed, it calls the destructor with the value; when a value ends for any other
 * reason, it does nothing. It lies in the library: after tls_key_release() nothing of a
 * plug-in is called that had the destructor in it, although its values still end.
 *
 * Threads: the value's. Blocks: as the destructor. Signals: not safe.
 * Returns nothing.
 * Since 0.1.0.
 */
void tls_destroy_at_exit(void *value, int reason, void *user);

/*================================================================================================
 * OTHER THREADS
 *
 * These functions reach the values of all threads: they wake owners, wait for them, purge, visit
 * and take values. Visiting and taking needs a TLS_KEY_ENUMERABLE key.
 *================================================================================================*/

/**
 * Destroys whatever is stale, as far as the calling thread may, and wakes the
 * owners of the rest.
 *
 * The calling thread's own stale values are destroyed, as by tls_expunge().
 * Values under TLS_RECLAIM_ANY keys never stay stale: the releasing thread has
 * destroyed them. Every other thread that has stale values and has a waker
 * (tls_thread_on_stale) is woken, by this thread.
 *
 * Threads: any. Blocks: no, but runs callbacks. Signals: not safe.
 * Returns how many values it destroyed.
 * Since 0.1.0.
 */
size_t tls_expunge_all_threads(void);

/**
 * Waits until no thread has a value under the key, and every callback for it
 * has returned.
 *
 * For a key that was released: before dlclose() of the code that its callbacks
 * are in. It does not end anything but the calling thread's own stale values:
 * the other threads must expunge, or end (tls_thread_on_stale() can wake
 * them). For a live key it waits until every thread has removed its value.
 *
 * timeout_ms: how long; 0: just look; negative: for ever. left: receives how
 * many threads still have a value, or are about to release or visiting the
 * key, also with TLS_ERR_TIMEOUT; may be NULL.
 *
 * Threads: any. Blocks: yes, and can be cancelled there (pthread_cancel).
 * Signals: not safe.
 * Returns TLS_OK (nobody has one); TLS_ERR_TIMEOUT; TLS_ERR_BAD_KEY;
 * TLS_ERR_REENTRANT (inside a callback of this library).
 * Since 0.1.0.
 */
int tls_key_drain(tls_key_t key, int timeout_ms, size_t *left);

/**
 * Ends every thread's value under a live key; the key stays live.
 *
 * For a cache that is to be trimmed, or that something has made invalid. The next
 * tls_get() on each thread finds no value, so it runs init again. Each value is
 * destroyed with TLS_REASON_PURGED:
 *
 * * under a TLS_RECLAIM_ANY key on the calling thread, before this returns. Values
 *   that threads set meanwhile, or that their owner is just destroying, are passed over.
 * * under a TLS_KEY_ENUMERABLE key on the value's own thread. All other threads' values
 *   become stale at one instant, and no tls_get() finds them any more. Each thread
 *   destroys its own when it next expunges: the wakers of the threads are called, as by
 *   tls_expunge_all_threads(). The calling thread's own are destroyed before this
 *   returns. A value that is being visited is destroyed after the visit.
 *
 * A key that is neither can't be purged: other threads do not reach its values.
 * Captured values (tls_context_capture()) stay.
 *
 * Nobody asks the threads. Under an ANY key one that is just using its value must
 * hold it: by a count of references in the value, say, or by tls_take(), and
 * tls_set() after. Under the other kind a thread that is using its value may go on
 * until it calls a function that destroys stale values, as after any release.
 *
 * destroyed: receives how many values were destroyed or have become stale; may be NULL.
 *
 * Threads: any. An ANY key attaches the calling thread. Blocks: no, but runs destroy
 * callbacks, and wakers. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_INVALID (neither ANY nor ENUMERABLE); TLS_ERR_BAD_KEY;
 * TLS_ERR_DEAD_KEY; of an ANY key also TLS_ERR_BUSY (the key is
 * being visited, taken or purged), TLS_ERR_NO_MEMORY and TLS_ERR_EXITING;
 * TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_key_purge(tls_key_t key, size_t *destroyed);

/**
 * Called with one thread's value. thread: the OS's number of the thread that
 * has it, 0 if its map is attached to none. Returns 0 to go on; any other
 * number: it wants no more. Must return, and must not throw.
 */
typedef int (*tls_visit_fn)(void *value, uint64_t thread, void *arg);

/**
 * Calls `visit` with every thread's value under a TLS_KEY_ENUMERABLE key.
 *
 * With no lock held: visit may call any function of this library, and other
 * threads go on meanwhile. The value that it is called with is not destroyed
 * before it returns: if its thread replaces or removes it, or ends, the end of
 * the value is deferred. (It then comes on the value's thread, when that next
 * expunges; on the visiting thread if the key is TLS_RECLAIM_ANY, or if the
 * value's thread has gone.) A stored NULL is a value, and is visited. What the
 * value's bytes mean while its thread may be writing them is between you and that
 * thread: use atomics. Attaches the calling thread.
 *
 * When visit returns another number than 0, the visit ends there, and that number
 * is returned: take a positive one, which is no error of this library.
 *
 * Threads: any. Blocks: no, but runs visit, and destroy callbacks of values whose end was
 * deferred. Signals: not safe.
 * Returns TLS_OK; what visit has returned; TLS_ERR_INVALID (visit is NULL, or not an
 * enumerable key);
 * TLS_ERR_BUSY (values of the key are being purged or taken, by another thread
 * or further out on this one: try again later); TLS_ERR_BAD_KEY;
 * TLS_ERR_DEAD_KEY; TLS_ERR_LIMIT (1,022 threads visit the key's values already);
 * TLS_ERR_NO_MEMORY; TLS_ERR_EXITING;
 * TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_for_each(tls_key_t key, tls_visit_fn visit, void *arg);

/**
 * Calls `visit` with every thread's value under a TLS_KEY_ENUMERABLE key, all as they
 * are at one instant.
 *
 * For a sum that has to be right. From the first call of visit to the last no value of
 * the key is set, replaced or removed, and no thread that has one ends: those that try
 * wait. A tls_get() waits only where it would make a value. A stored NULL is a value, and
 * is visited. What the value's bytes mean while its thread may be writing them is between you and that
 * thread: use atomics. Attaches the calling thread.
 *
 * Locks are held while visit runs: let it be short. It must not wait for a thread that
 * may be inside this library, and it must call nothing of this library but tls_get(),
 * tls_get_existing(), tls_stale_count(), tls_key_is_live() and tls_key_retain(): other
 * calls return TLS_ERR_REENTRANT, or nothing. Where that is too little, use
 * tls_for_each().
 *
 * When visit returns another number than 0, the visit ends there, and that number
 * is returned: take a positive one, which is no error of this library. If visit ends
 * the thread, the visit ends. If it forks, the visit goes on in the parent; in the child
 * it ends when visit returns.
 *
 * Threads: any. Blocks: while another thread is in a visit of this kind. Runs visit.
 * Signals: not safe.
 * Returns TLS_OK; what visit has returned; TLS_ERR_INVALID (visit is NULL, or not an
 * enumerable key); TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY; TLS_ERR_NO_MEMORY;
 * TLS_ERR_EXITING; TLS_ERR_REENTRANT (called by the memory allocator, or by a visitor of
 * this function).
 * Since 0.1.0.
 */
int tls_for_each_locked(tls_key_t key,
                        tls_visit_fn visit,
                        void *arg);

/**
 * Takes every thread's value under a TLS_KEY_ENUMERABLE key out, and hands
 * each to `take`, undestroyed: it is yours then.
 *
 * With no lock held. The threads have no value afterwards: their next
 * tls_get() runs init again. A thread that is using its value at this moment
 * must know of it by means of yours. A stored NULL is a value, and is handed
 * over. Attaches the calling thread.
 *
 * When take returns another number than 0, the values that it was not called
 * with stay where they are, and that number is returned: take a positive one.
 *
 * Threads: any. Blocks: no, but runs take. Signals: not safe.
 * Returns TLS_OK; what take has returned; TLS_ERR_INVALID (take is NULL, or not an
 * enumerable key);
 * TLS_ERR_BUSY (the key is being visited, taken or purged); TLS_ERR_BAD_KEY;
 * TLS_ERR_DEAD_KEY; TLS_ERR_NO_MEMORY; TLS_ERR_EXITING;
 * TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_scrape(tls_key_t key, tls_visit_fn take, void *arg);

/**
 * tls_swap(), which waits while another thread visits the value.
 *
 * timeout_ms: how long; 0: not at all; negative: for ever. value, old: as with
 * tls_swap(). Nothing keeps another visit from beginning meanwhile: among many visitors
 * it may wait for long.
 *
 * Threads: any. Blocks: yes, and can be cancelled there (pthread_cancel).
 * Signals: not safe.
 * Returns TLS_OK; TLS_ERR_TIMEOUT; TLS_ERR_REENTRANT (inside a callback of this
 * library, which may be the visitor; or called by the memory allocator); else as
 * tls_swap(), but not TLS_ERR_BUSY.
 * Since 0.1.0.
 */
int tls_swap_wait(tls_key_t key, void *value, void **old, int timeout_ms);

/**
 * tls_take(), which waits while another thread visits the value.
 *
 * timeout_ms: as with tls_swap_wait(). old: as with tls_take().
 *
 * Threads: any. Blocks: yes, and can be cancelled there (pthread_cancel).
 * Signals: not safe.
 * Returns TLS_OK; TLS_ERR_TIMEOUT; TLS_ERR_REENTRANT (inside a callback of this
 * library, which may be the visitor; or called by the memory allocator); else as
 * tls_take(), but not TLS_ERR_BUSY.
 * Since 0.1.0.
 */
int tls_take_wait(tls_key_t key, void **old, int timeout_ms);

/*================================================================================================
 * TASKS
 *
 * After a task, the worker's thread-locals are as they were before it: wrap the task, or open a
 * scope around it. A context takes values of TLS_KEY_INHERIT keys from the submitting thread to
 * the worker.
 *================================================================================================*/

/**
 * The name of an open scope.
 */
typedef uint64_t tls_scope_t;

/**
 * The values that a task takes along from where it was submitted.
 */
typedef struct tls_context_t tls_context_t;

/**
 * Opens a scope: what the calling thread sets from now on ends with it.
 *
 * Inside, outer values are seen. tls_set() and tls_swap() hide them behind the
 * new one; tls_remove(), tls_take() and tls_remove_all() hide them behind
 * nothing. tls_scope_end() destroys what was set inside and is still there, and
 * what was hidden is back. Keys with TLS_KEY_WORKER are exempt: their values
 * are set and removed as if there were no scope. Scopes nest; they belong to
 * the thread's map (tls_map_switch() leaves them where they are). One that is
 * open when its thread ends is ended first. Attaches the thread.
 *
 * scope: receives its name. context: its values are set inside, each copied by
 * its key's copy callback; outer values of TLS_KEY_INHERIT keys that it does
 * not have are hidden, so that what was unset where it was captured is unset
 * here; keys that have died are skipped. NULL: none, and outer values are seen.
 * It stays yours, and may be used by any number of threads at the same time.
 *
 * Threads: any. Blocks: no, but runs copy callbacks, and destroy callbacks of
 * stale values that it finds on its way. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_INVALID (scope is NULL); TLS_ERR_INIT (a copy
 * callback failed); TLS_ERR_NO_MEMORY; TLS_ERR_EXITING; TLS_ERR_LIMIT (65534
 * are open); TLS_ERR_REENTRANT (called by the memory allocator). On failure no
 * scope is open, and copies that were made are destroyed.
 * Since 0.1.0.
 */
int tls_scope_begin(tls_scope_t *scope, struct tls_context_t *context);

/**
 * Ends the innermost scope of the calling thread.
 *
 * What was set inside is destroyed, the youngest first, with
 * TLS_REASON_SCOPE_END (TLS_REASON_KEY_DEAD if its key has died); what destroy callbacks set meanwhile ends with it, in
 * at most 4 rounds (what is left then is counted in tls_stats_t.leaked). Then
 * what it has hidden is back, as it was.
 *
 * Threads: the one that began it, or that has its map. Blocks: no, but runs
 * destroy callbacks. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_BUSY (a scope that was begun later is still open);
 * TLS_ERR_INVALID (it is not open in the calling thread's map);
 * TLS_ERR_REENTRANT (it is ending, further out on this stack). A failed call
 * has changed nothing.
 * Since 0.1.0.
 */
int tls_scope_end(tls_scope_t scope);

/**
 * Captures the calling thread's values of all TLS_KEY_INHERIT keys.
 *
 * Each through its key's copy callback (NULL is copied as NULL; without a
 * callback the pointer is). No init runs because of it: an unset key stays
 * unset. If there is such a value, the cost is proportional to the number of all
 * that the thread has. Attaches it. To give a new thread its maker's values,
 * capture before pthread_create(), and begin a scope with the context there first.
 *
 * context: receives it; yours, to be freed with tls_context_free(). It does not
 * depend on the capturing thread any more. A key's values in contexts count as
 * values for tls_key_drain(), and its user_free waits for them.
 *
 * Threads: any. Blocks: no, but runs copy callbacks. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_INVALID (context is NULL); TLS_ERR_INIT (a copy
 * callback failed; copies that were made are destroyed); TLS_ERR_NO_MEMORY;
 * TLS_ERR_LIMIT (no reference of a key is left to take); TLS_ERR_EXITING;
 * TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_context_capture(struct tls_context_t **context);

/**
 * Destroys a context's values, with TLS_REASON_REMOVED (TLS_REASON_KEY_DEAD
 * those whose key has died), and frees it.
 *
 * context: not used by anybody any more; NULL: nothing happens. The values are
 * destroyed on the calling thread, whatever their key's reclaim says: they were
 * no thread's. Attaches it, if there is memory for that.
 *
 * Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
 * Returns nothing.
 * Since 0.1.0.
 */
void tls_context_free(struct tls_context_t *context);

/**
 * A function and its argument that wait to be run once, in the context that
 * they were submitted in.
 */
typedef struct tls_task_t tls_task_t;

/**
 * Wraps a function and its argument as a task, and captures the calling
 * thread's context for it.
 *
 * task: receives it; yours, to be given once either to tls_task_run() or to
 * tls_task_cancel(), on any thread. fn: what it does. arg: yours.
 *
 * Threads: any. Blocks: no, but runs copy callbacks. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_INVALID (task or fn is NULL); else as
 * tls_context_capture().
 * Since 0.1.0.
 */
int tls_task_create(struct tls_task_t **task, void (*fn)(void *arg), void *arg);

/**
 * Runs a task, once, and frees it.
 *
 * In this order: opens a scope; sets the captured values in it (they are moved,
 * not copied again; keys that have died are skipped); frees the task; calls
 * fn(arg), which is not inside a callback of this library and may do anything,
 * pthread_exit() included; ends the scope, and those that fn has left open;
 * expunges. The thread's own values are then what they were. Its type is that
 * of the functions that pools take.
 *
 * If no scope can be begun (no memory, 65534 open ones, a thread past its last
 * cleanup), fn is called all the same, without the captured values, and counted
 * in tls_stats_t.unscoped.
 *
 * task: from tls_task_create(); NULL: nothing happens. Attaches the thread.
 *
 * Threads: any, the submitting one too. Blocks: no, but runs fn and destroy
 * callbacks. Signals: not safe.
 * Returns nothing.
 * Since 0.1.0.
 */
void tls_task_run(void *task);

/**
 * Frees a task that will not be run, and destroys what it has captured.
 *
 * task: from tls_task_create(); NULL: nothing happens. Attaches the thread, as
 * tls_context_free() does.
 *
 * Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
 * Returns nothing.
 * Since 0.1.0.
 */
void tls_task_cancel(struct tls_task_t *task);

/*================================================================================================
 * MAPS THAT MOVE
 *
 * A fiber or coroutine that moves between threads takes its values along in a map of its own.
 *================================================================================================*/

/**
 * A map of its own, for a thread that is not the operating system's: a fiber,
 * a coroutine, a green thread.
 */
typedef struct tls_map_t tls_map_t;

/**
 * Makes an empty map that is attached to no thread.
 *
 * map: receives it; yours, to be destroyed with tls_map_destroy().
 *
 * Threads: any. Blocks: no. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_INVALID (map is NULL); TLS_ERR_NO_MEMORY;
 * TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_map_create(struct tls_map_t **map);

/**
 * Destroys all values of a map, and the map.
 *
 * On the calling thread: open scopes end first, then values, the youngest
 * first, with TLS_REASON_MAP_DESTROYED (TLS_REASON_KEY_DEAD those whose key has
 * died), again while they add more, in at most 4 rounds. A value that another thread
 * is visiting is destroyed by that thread, when the visitor has returned. Attaches the
 * thread.
 *
 * map: from tls_map_create(), attached to no thread; NULL: nothing happens.
 *
 * Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_BUSY (it is attached, to this thread or another);
 * TLS_ERR_REENTRANT (inside a callback of this library); TLS_ERR_NO_MEMORY;
 * TLS_ERR_EXITING.
 * Since 0.1.0.
 */
int tls_map_destroy(struct tls_map_t *map);

/**
 * Makes a map the calling thread's current one, in constant time.
 *
 * From then on every function that speaks of the calling thread's values means
 * those of this map, tls_stale_count(), tls_expunge() and scopes included. What
 * belongs to the thread and not to its map stays: hooks, and tls_thread_on_stale(),
 * which tells of keys that die in the thread's own map.
 * A map is attached to one thread at a time; while it is attached to none it
 * goes on hearing of dead keys, and the one who attaches it next expunges. A thread
 * that ends with a map switched to leaves it to the one who attaches it. Attaches
 * the thread itself.
 *
 * map: from tls_map_create(); NULL: the thread's own. previous: receives the
 * one that was current, NULL for the thread's own; may be NULL.
 *
 * For schedulers of fibers: switch the map where you switch the stack, on the
 * thread that goes on. The inlined look-ups read the thread's words anew at each
 * call, so a compiler that moves code across a switch of stacks, or inlines it,
 * can't make them read another thread's. (Your own thread-local variables and
 * errno it may well keep: call a function that is not inlined for those.) A
 * callback of this library must return on the thread that it was called on; the
 * function of a task (tls_task_run()) may return on another.
 *
 * Threads: any. Blocks: no. Signals: not safe.
 * Returns TLS_OK; TLS_ERR_BUSY (another thread has it); TLS_ERR_REENTRANT
 * (inside a callback of this library); TLS_ERR_NO_MEMORY; TLS_ERR_EXITING.
 * Since 0.1.0.
 */
int tls_map_switch(struct tls_map_t *map, struct tls_map_t **previous);

/**
 * The map that the calling thread has switched to.
 *
 * Threads: any. Blocks: no. Signals: not safe.
 * Returns it; NULL: the thread's own.
 * Since 0.1.0.
 */
struct tls_map_t *tls_map_current(void);

/*================================================================================================
 * REPORTS
 *
 * These functions show what the library holds, to find out what leaks and what waits.
 *================================================================================================*/

/**
 * What the library holds now and has done so far, in the whole process.
 *
 * Numbers that other threads are changing are each right for some instant
 * during the call.
 */
typedef struct tls_stats_t {
  /**
   * sizeof(tls_stats_t), so that the structure can grow. Set it first.
   */
  size_t size;
  /**
   * Live keys.
   */
  uint64_t keys;
  /**
   * Dead keys with a value that is not destroyed yet.
   */
  uint64_t dead_keys;
  /**
   * Attached threads, and maps of tls_map_create().
   */
  uint64_t maps;
  /**
   * Values in all maps and contexts, stale and hidden ones included. One whose
   * end waits for a visitor is in no map: it is among `stale` after the visit.
   */
  uint64_t entries;
  /**
   * Stale values, and those in contexts whose key is dead.
   */
  uint64_t stale;
  /**
   * Values ended because their key was dead, ever.
   */
  uint64_t expunged;
  /**
   * Destroy callbacks called, ever, for any reason.
   */
  uint64_t destroyed;
  /**
   * Values given up after the fourth round of a thread's end, ever.
   */
  uint64_t leaked;
  /**
   * Tables made, made anew, or swept in full, ever.
   */
  uint64_t rehashes;
  /**
   * Most slots that an insert has looked at, ever.
   */
  uint64_t longest_probe;
  /**
   * Slots in all tables.
   */
  uint64_t capacity;
  /**
   * Bytes of memory that the library has allocated.
   */
  uint64_t bytes;
  /**
   * Attached threads whose end can't be seen (no pthread key left).
   */
  uint64_t unwatched;
  /**
   * Captured contexts that are not freed, those of waiting tasks included.
   */
  uint64_t contexts;
  /**
   * Tasks that ran without a scope, ever, for want of memory.
   */
  uint64_t unscoped;
} tls_stats_t;

/**
 * Tells what the library holds now and has done so far.
 *
 * stats: its `size` is set by the caller; that many bytes are filled, what
 * this version does not know with zeros.
 *
 * Threads: any. Blocks: for as long as a thread takes to attach. Cost: O(keys
 * that ever lived at once + attached threads). Signals: not safe.
 * Returns TLS_OK; TLS_ERR_INVALID (stats is NULL, or its size
 * is too small or ends inside a member); TLS_ERR_REENTRANT (inside a visitor of
 * tls_for_each_locked()).
 * Since 0.1.0.
 */
int tls_stats(struct tls_stats_t *stats);

/**
 * Writes a report of every map, every key, and who has a value under which, as
 * JSON.
 *
 * For looking at a leak: at a pool's shutdown, say, when nothing should be
 * left. "maps" has each map with its thread and the numbers of its entries and
 * stale entries; "keys" has each key that is live, or dead and not forgotten
 * yet, with its name (256 bytes of it) and the map and thread of each value;
 * with its references, if it is live; if it is dead, with how many pins
 * (values, and a release that is under way) it still has, and, if it left
 * values to others when it died, how many such keys have died since
 * ("deaths_since": those that wait for long have a large number); "local" has
 * the calling thread's entries, with values. Handles are strings, because they
 * have more bits than a JSON number. What other threads change meanwhile is
 * each right for some instant during the call.
 *
 * In docs/dump.schema.json its shape is described. A leak report is three lines:
 *
 *     static int print(const char *bytes, size_t length, void *file) {
 *       return fwrite(bytes, 1, length, file) != length;
 *     }
 *     tls_dump(print, stderr);   when the pool has shut down
 *
 * write: called with parts of the text, not terminated; non-zero: it wants no
 * more. No lock is held: it may call any function of this library. arg: yours.
 *
 * Needs no memory. Threads: any. Blocks: no. Cost: O(keys that ever lived at
 * once + values + maps squared + dead keys times values); where more than 64
 * maps have a value of one key, so much again for each 64. Signals: not safe
 * (tls_dump_fd() is).
 * Returns TLS_OK; TLS_ERR_INVALID (write is NULL); TLS_ERR_LIMIT (write wanted
 * no more); TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_dump(int (*write)(const char *bytes, size_t length, void *arg), void *arg);

/**
 * Writes the report of tls_dump() to a descriptor, also when something has gone
 * wrong.
 *
 * For a debugger ("call (int)tls_dump_fd(2)"), and for handlers of SIGSEGV and the
 * like, whatever its thread and the others were doing, this library's own work
 * included. It allocates nothing, calls nobody, and waits for no lock longer
 * than some milliseconds in all. What needs a lock that can't be had then is
 * left out: the report says "incomplete", and so does each key of which a part
 * is missing (its name is empty then). "local" is empty: the calling thread's
 * entries may be half changed. In the child of a fork, before the library's own
 * handler has run there, it reports what the fork has left.
 *
 * fd: is written to with write(2), until all is written. Where it blocks, so
 * does this, with no lock held. Where it is non-blocking and full, or nobody
 * reads it any more (SIGPIPE is yours to ignore), the report ends in the
 * middle. errno is left as it was. It needs about 4 KB of stack.
 *
 * Threads: any, attached or not. Blocks: no, but for fd. Cost: as tls_dump(),
 * with maps. Signals: safe.
 * Returns TLS_OK, also if it is incomplete; TLS_ERR_INVALID (fd is not open for
 * writing); TLS_ERR_LIMIT (it took no more).
 * Since 0.1.0.
 */
int tls_dump_fd(int fd);

/**
 * Calls `visit` with each map and context that still has values of a key, dead
 * or alive.
 *
 * For a key that tls_key_drain() has waited for in vain: who has its values?
 * Also for a live one. map: the number that tls_dump() has for it; thread: the
 * operating system's number of the thread that it is attached to, 0 for none;
 * values: how many it has. Each is right for some instant during the call. visit
 * is called with no lock held, and may call any function of this library. With
 * another number than 0 it is the last call. arg: yours.
 *
 * Needs no memory. Threads: any. Blocks: no. Cost: O(values) of a live key,
 * O(values of all keys) of a dead one; so much again for each 64 maps.
 * Signals: not safe.
 * Returns what visit has returned last; TLS_OK if nobody has a value, also of a
 * key that is forgotten; TLS_ERR_INVALID (visit is NULL); TLS_ERR_BAD_KEY;
 * TLS_ERR_REENTRANT (called by the memory allocator).
 * Since 0.1.0.
 */
int tls_for_each_holder(tls_key_t key, int (*visit)(uint64_t map,
                                                    uint64_t thread,
                                                    size_t values,
                                                    void *arg), void *arg);

/*================================================================================================
 * VERSIONS
 *
 * The version of this header, the version of the library that the program runs with, and what
 * the inlined calls of this header need to know of the library.
 *================================================================================================*/

/** The version of this header; tls_version() is that of the library. */
#define TLS_VERSION_MAJOR 0
#define TLS_VERSION_MINOR 1
#define TLS_VERSION_PATCH 0
#define TLS_VERSION_NUMBER (TLS_VERSION_MAJOR * 10000 + TLS_VERSION_MINOR * 100 + TLS_VERSION_PATCH)
#define TLS_VERSION_STRING "0.1.0"

/**
 * The version of the library that the program runs with.
 *
 * TLS_VERSION_NUMBER is that of the header it was compiled with. A library
 * with the same SONAME and the same or a later number fits.
 *
 * Threads: any. Blocks: no. Signals: safe.
 * Returns major * 10000 + minor * 100 + patch.
 * Since 0.1.0.
 */
int tls_version(void);

/**
 * The version of the library that the program runs with, as text.
 *
 * The string is static: never free it.
 *
 * Threads: any. Blocks: no. Signals: safe.
 * Returns a string such as "0.1.0".
 * Since 0.1.0.
 */
const char *tls_version_string(void);

/**
 * For the inlined look-up of this header only: where a thread's hot slot is.
 *
 * Layout 1: {const entry *table; size_t mask; const size_t *stale}, an entry
 * being {uint64_t key; void *value}.
 *
 * Threads: any. Blocks: no. Signals: safe.
 * Returns its distance from the thread pointer, the same for all threads; 0:
 * this build has none, always make the call.
 * Since 0.1.0.
 */
ptrdiff_t tls_hot_offset_v1(void);

#ifdef __cplusplus
} /* extern "C" */
#endif /* __cplusplus */

#endif  /* THREADLOCALMAP_H */

#include "threadlocalmap_inline.h"
