//! Scopes, contexts and tasks.

use core::ffi::{c_int, c_void};
use core::ptr::NonNull;

use super::{code, store};
use crate::error::Error;
use crate::local::retire;
use crate::thread::{attach, context, scope};

/// The name of an open scope.
#[allow(non_camel_case_types)]
pub type tls_scope_t = u64;

/// The values that a task takes along from where it was submitted.
#[allow(non_camel_case_types)]
pub struct tls_context_t(());

/// A function and its argument that wait to be run once, in the context that
/// they were submitted in.
#[allow(non_camel_case_types)]
pub struct tls_task_t(());

/// Opens a scope: what the calling thread sets from now on ends with it.
///
/// Inside, outer values are seen. tls_set() and tls_swap() hide them behind the
/// new one; tls_remove(), tls_take() and tls_remove_all() hide them behind
/// nothing. tls_scope_end() destroys what was set inside and is still there, and
/// what was hidden is back. Keys with TLS_KEY_WORKER are exempt: their values
/// are set and removed as if there were no scope. Scopes nest; they belong to
/// the thread's map (tls_map_switch() leaves them where they are). One that is
/// open when its thread ends is ended first. Attaches the thread.
///
/// scope: receives its name. context: its values are set inside, each copied by
/// its key's copy callback; outer values of TLS_KEY_INHERIT keys that it does
/// not have are hidden, so that what was unset where it was captured is unset
/// here; keys that have died are skipped. NULL: none, and outer values are seen.
/// It stays yours, and may be used by any number of threads at the same time.
///
/// Threads: any. Blocks: no, but runs copy callbacks, and destroy callbacks of
/// stale values that it finds on its way. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_INVALID (scope is NULL); TLS_ERR_INIT (a copy
/// callback failed); TLS_ERR_NO_MEMORY; TLS_ERR_EXITING; TLS_ERR_LIMIT (65534
/// are open); TLS_ERR_REENTRANT (called by the memory allocator). On failure no
/// scope is open, and copies that were made are destroyed.
/// Since 0.1.0.
#[unsafe(no_mangle)]
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
/// What was set inside is destroyed, the youngest first, with
/// TLS_REASON_SCOPE_END (TLS_REASON_KEY_DEAD if its key has died); what destroy callbacks set meanwhile ends with it, in
/// at most 4 rounds (what is left then is counted in tls_stats_t.leaked). Then
/// what it has hidden is back, as it was.
///
/// Threads: the one that began it, or that has its map. Blocks: no, but runs
/// destroy callbacks. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_BUSY (a scope that was begun later is still open);
/// TLS_ERR_INVALID (it is not open in the calling thread's map);
/// TLS_ERR_REENTRANT (it is ending, further out on this stack). A failed call
/// has changed nothing.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_scope_end(scope: tls_scope_t) -> c_int {
    let thread = attach::current().and_then(|thread| thread.ok_or(Error::Invalid));
    code(thread.and_then(|thread| scope::end(thread, scope)))
}

/// Captures the calling thread's values of all TLS_KEY_INHERIT keys.
///
/// Each through its key's copy callback (NULL is copied as NULL; without a
/// callback the pointer is). No init runs because of it: an unset key stays
/// unset. If there is such a value, the cost is proportional to the number of all
/// that the thread has. Attaches it. To give a new thread its maker's values,
/// capture before pthread_create(), and begin a scope with the context there first.
///
/// context: receives it; yours, to be freed with tls_context_free(). It does not
/// depend on the capturing thread any more. A key's values in contexts count as
/// values for tls_key_drain(), and its user_free waits for them.
///
/// Threads: any. Blocks: no, but runs copy callbacks. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_INVALID (context is NULL); TLS_ERR_INIT (a copy
/// callback failed; copies that were made are destroyed); TLS_ERR_NO_MEMORY;
/// TLS_ERR_LIMIT (no reference of a key is left to take); TLS_ERR_EXITING;
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_context_capture(context: *mut *mut tls_context_t) -> c_int {
    let capture = || Ok(context::capture(attach::attached()?)?.as_ptr().cast());
    // SAFETY: The caller: null, or it can be written.
    unsafe { store(context, capture) }
}

/// Destroys a context's values, with TLS_REASON_REMOVED (TLS_REASON_KEY_DEAD
/// those whose key has died), and frees it.
///
/// context: not used by anybody any more; NULL: nothing happens. The values are
/// destroyed on the calling thread, whatever their key's reclaim says: they were
/// no thread's. Attaches it, if there is memory for that.
///
/// Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
/// Returns nothing.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_context_free(context: *mut tls_context_t) {
    if let Some(context) = NonNull::new(context.cast()) {
        // SAFETY: The caller: a context that is not freed yet.
        unsafe { context::free(attach::attached_for_cleanup(), context) };
        attach::detach_if_spare();
    }
}

/// Wraps a function and its argument as a task, and captures the calling
/// thread's context for it.
///
/// task: receives it; yours, to be given once either to tls_task_run() or to
/// tls_task_cancel(), on any thread. fn: what it does. arg: yours.
///
/// Threads: any. Blocks: no, but runs copy callbacks. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_INVALID (task or fn is NULL); else as
/// tls_context_capture().
/// Since 0.1.0.
#[unsafe(no_mangle)]
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
/// In this order: opens a scope; sets the captured values in it (they are moved,
/// not copied again; keys that have died are skipped); frees the task; calls
/// fn(arg), which is not inside a callback of this library and may do anything,
/// pthread_exit() included; ends the scope, and those that fn has left open;
/// expunges. The thread's own values are then what they were. Its type is that
/// of the functions that pools take.
///
/// If no scope can be begun (no memory, 65534 open ones, a thread past its last
/// cleanup), fn is called all the same, without the captured values, and counted
/// in tls_stats_t.unscoped.
///
/// task: from tls_task_create(); NULL: nothing happens. Attaches the thread.
///
/// Threads: any, the submitting one too. Blocks: no, but runs fn and destroy
/// callbacks. Signals: not safe.
/// Returns nothing.
/// Since 0.1.0.
#[unsafe(no_mangle)]
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

/// Frees a task that will not be run, and destroys what it has captured.
///
/// task: from tls_task_create(); NULL: nothing happens. Attaches the thread, as
/// tls_context_free() does.
///
/// Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
/// Returns nothing.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_task_cancel(task: *mut tls_task_t) {
    if let Some(task) = NonNull::new(task.cast()) {
        // SAFETY: The caller: a task that is neither run nor cancelled yet.
        unsafe { context::free(attach::attached_for_cleanup(), task) };
        attach::detach_if_spare();
    }
}
