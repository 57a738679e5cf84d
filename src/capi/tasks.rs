// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scopes, contexts and tasks.

use core::ffi::{c_int, c_void};
use core::ptr::NonNull;

use super::{code, store};
use crate::error::Error;
use crate::local::retire;
use crate::thread::{attach, context, scope};

/// The number of an open scope.
#[allow(non_camel_case_types)]
pub type tls_scope_t = u64;

/// Copies of a thread's inherited values, which a task takes to the thread that runs it.
#[allow(non_camel_case_types)]
pub struct tls_context_t(());

/// A function and its argument, to be run once with the values that were captured when the task was
/// made.
#[allow(non_camel_case_types)]
pub struct tls_task_t(());

/// Opens a scope on the calling thread.
///
/// Values set inside a scope are destroyed when it closes; values they shadowed become visible
/// again. Inside, outer values are visible until tls_set() or tls_swap() shadows one with a new
/// value, or tls_remove(), tls_take() or tls_remove_all() shadows it with no value. Values of
/// TLS_KEY_WORKER keys are set and removed as if there were no scope. Scopes can be nested. They
/// belong to the thread's map: tls_map_switch() leaves them in the old map. If a scope is open when
/// its thread ends, it is ended first. Attaches the thread.
///
/// The values of the context are set inside the scope, each copied with its key's copy callback.
/// Outer values of TLS_KEY_INHERIT keys that are not in the context are shadowed with no value,
/// because they were unset where it was captured. Dead keys are skipped. If context is NULL, no
/// values are set and all outer values are visible. The context stays yours, and any number of
/// threads may use it at the same time. After a failure no scope is open, and the copies that were
/// made are destroyed.
///
/// @param[out] scope Receives the number of the scope.
/// @param context A context of tls_context_capture(), whose values are set inside the scope, or
///   NULL.
///
/// Threads: any. Blocks: no. Runs: with a context, copy callbacks, and destroy callbacks of copies
/// that could not be set; destroys at most 8 stale values. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_INVALID scope is NULL.
/// @retval TLS_ERR_INIT A copy callback failed.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup.
/// @retval TLS_ERR_LIMIT 65,534 scopes are open.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_scope_begin")]
pub unsafe extern "C" fn tls_scope_begin(
    scope: *mut tls_scope_t,
    context: *mut tls_context_t,
) -> c_int {
    let begin = || match (attach::attached()?, NonNull::new(context.cast())) {
        (thread, None) => scope::begin(thread),
        // SAFETY: The caller: a context that is not freed meanwhile.
        (thread, Some(context)) => unsafe { context::enter(thread, context) },
    };
    // SAFETY: The caller: null, or it can be written.
    unsafe { store(scope, begin) }
}

/// Ends the innermost scope of the calling thread.
///
/// The values that were set inside are destroyed, the youngest first, with TLS_REASON_SCOPE_END
/// (TLS_REASON_KEY_DEAD if the value's key has died). Values that destroy callbacks set meanwhile
/// are destroyed too, in at most 4 rounds; the rest is given up and counted in tls_stats_t.leaked.
/// Then the values that the scope has shadowed become visible again, unchanged.
///
/// @param scope The number that tls_scope_begin() has stored.
///
/// Threads: the thread that began the scope, or that has its map. Blocks: no. Runs: destroy
/// callbacks of the scope's values; then destroys at most 8 stale values. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_BUSY A scope that was begun later is still open.
/// @retval TLS_ERR_INVALID The scope is not open in the calling thread's map.
/// @retval TLS_ERR_REENTRANT An outer call on this thread is ending the scope.
/// @since 0.1.0
#[unsafe(export_name = "tlm_scope_end")]
pub extern "C" fn tls_scope_end(scope: tls_scope_t) -> c_int {
    let thread = attach::current().and_then(|thread| thread.ok_or(Error::Invalid));
    code(thread.and_then(|thread| scope::end(thread, scope)))
}

/// Captures the calling thread's values of all TLS_KEY_INHERIT keys.
///
/// Each value is copied with its key's copy callback. NULL is copied as NULL, and if a key has no
/// copy callback, the pointer itself is copied. No init runs: an unset key stays unset. If there is
/// such a value, the cost is proportional to the number of all values of the thread. Attaches the
/// thread. To give a new thread the values of its creator, capture before pthread_create(), and
/// begin a scope with the context in the new thread first.
///
/// A context does not depend on the thread that captured it. A key's values in contexts count as
/// values for tls_key_drain(), and its user_free is not called before they are destroyed.
///
/// @param[out] context Receives the context, which you free with tls_context_free().
///
/// Threads: any. Blocks: no. Runs: copy callbacks; after a failure also destroy callbacks of the
/// copies. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_INVALID context is NULL.
/// @retval TLS_ERR_INIT A copy callback failed. The copies that were made are destroyed.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_LIMIT A key has no reference left to take.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_context_capture")]
pub unsafe extern "C" fn tls_context_capture(context: *mut *mut tls_context_t) -> c_int {
    let capture = || Ok(context::capture(attach::attached()?)?.as_ptr().cast());
    // SAFETY: The caller: null, or it can be written.
    unsafe { store(context, capture) }
}

/// Destroys the values of a context and frees the context.
///
/// The reason is TLS_REASON_REMOVED, or TLS_REASON_KEY_DEAD for values whose key has died. The
/// values are destroyed on the calling thread, whatever their key's reclaim says, because they
/// belong to no thread. Attaches the thread, if there is memory for that.
///
/// @param context The context, which no other thread may be using. If NULL, the call has no effect.
///
/// Threads: any. Blocks: no. Runs: destroy callbacks. Signals: not safe.
/// @since 0.1.0
#[unsafe(export_name = "tlm_context_free")]
pub unsafe extern "C" fn tls_context_free(context: *mut tls_context_t) {
    if let Some(context) = NonNull::new(context.cast()) {
        // SAFETY: The caller: a context that is not freed yet.
        unsafe { context::free(attach::attached_for_cleanup(), context) };
        attach::detach_if_spare();
    }
}

/// Makes a task of a function and its argument, and captures the calling thread's context for it.
///
/// @param[out] task Receives the task, which you pass once either to tls_task_run() or to
///   tls_task_cancel(), on any thread.
/// @param fn The function to run.
/// @param arg Its argument, which the library does not free.
///
/// Threads: any. Blocks: no. Runs: what tls_context_capture() runs. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_INVALID task or fn is NULL.
/// @retval TLS_ERR_INIT A copy callback failed. The copies that were made are destroyed.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_LIMIT A key has no reference left to take.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_task_create")]
pub unsafe extern "C" fn tls_task_create(
    task: *mut *mut tls_task_t,
    r#fn: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    arg: *mut c_void,
) -> c_int {
    let create = || {
        let function = r#fn.ok_or(Error::Invalid)?;
        Ok(context::create_task(attach::attached()?, function, arg)?.as_ptr().cast())
    };
    // SAFETY: The caller: null, or it can be written.
    unsafe { store(task, create) }
}

/// Runs a task, once, and frees it.
///
/// It does this in order: opens a scope; sets the captured values in it (they are moved and not
/// copied again, and dead keys are skipped); frees the task; calls fn(arg); ends the scope, and
/// scopes that fn has left open; expunges. The thread's own values are then what they were before.
/// fn is not inside a callback of this library and may do anything, pthread_exit() included. The
/// type of this function is the one that pools call.
///
/// If no scope can be begun (there is no memory, 65,534 scopes are open, or the thread is past its
/// last cleanup), fn is still called, without the captured values, and the task is counted in
/// tls_stats_t.unscoped. Attaches the thread.
///
/// @param task A task of tls_task_create(). If NULL, the call has no effect.
///
/// Threads: any, also the submitting thread. Blocks: no. Runs: fn and destroy callbacks. Signals:
/// not safe.
/// @since 0.1.0
#[unsafe(export_name = "tlm_task_run")]
pub unsafe extern "C" fn tls_task_run(task: *mut c_void) {
    if let Some(task) = NonNull::new(task.cast()) {
        // SAFETY: The caller: a task that is neither run nor cancelled yet.
        let begun = unsafe { context::begin_task(attach::attached_for_cleanup(), task) };
        begun.call();
        end_task(begun.scope);
        attach::detach_if_spare();
    }
}

// Not inlined: the task may have been a fiber's that went on on another thread.
// With plain thread-local storage a compiler keeps its address over a call, but
// not from one function to another.
#[inline(never)]
fn end_task(scope: Option<u64>) {
    // Looked up anew: the task may have detached the thread, too.
    let Ok(Some(thread)) = attach::current() else { return };
    match scope {
        Some(scope) => scope::end_of_task(thread, scope),
        None => {
            retire::expunge(thread, thread.map(), usize::MAX);
        }
    }
}

/// Frees a task that will not be run, and destroys the values that it has captured.
///
/// Attaches the thread, as tls_context_free() does.
///
/// @param task A task of tls_task_create(). If NULL, the call has no effect.
///
/// Threads: any. Blocks: no. Runs: destroy callbacks. Signals: not safe.
/// @since 0.1.0
#[unsafe(export_name = "tlm_task_cancel")]
pub unsafe extern "C" fn tls_task_cancel(task: *mut tls_task_t) {
    if let Some(task) = NonNull::new(task.cast()) {
        // SAFETY: The caller: a task that is neither run nor cancelled yet.
        unsafe { context::free(attach::attached_for_cleanup(), task) };
        attach::detach_if_spare();
    }
}
