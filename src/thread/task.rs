//! Tasks: a function and its argument, with the context that they were
//! submitted in, run once in a scope of their own.
//!
//! ```text
//!   create    capture a context                      on the submitting thread
//!   run       scope; values moved in; task and       on any thread
//!             context freed; fn(arg); scope's end;
//!             expunge
//!   cancel    context and task freed                 on any thread
//! ```
//!
//! Everything is freed before the function is called, so that one that never
//! returns (`pthread_exit`) leaves nothing behind; its scope ends with the
//! thread.

use core::ffi::c_void;
use core::ptr::NonNull;

use super::context::{self, ContextPointer};
use super::record::{self, ThreadRecord};
use super::{scope, stale, stats};
use crate::error::Error;
use crate::sys::memory;

/// What a task does.
pub type TaskFunction = unsafe extern "C" fn(argument: *mut c_void);

/// A task that waits to be run.
pub struct Task {
    function: TaskFunction,
    argument: *mut c_void,
    context: ContextPointer,
}

/// A task that somebody has.
pub type TaskPointer = NonNull<Task>;

/// Makes a task, and captures the calling thread's context for it.
///
/// # Errors
///
/// As [`context::capture`].
pub fn create(function: TaskFunction, argument: *mut c_void) -> Result<TaskPointer, Error> {
    let memory = memory::allocate_bytes(size_of::<Task>())?;
    let context = context::capture().inspect_err(|_| {
        // SAFETY: Allocated above with this size.
        unsafe { memory::free_bytes(memory, size_of::<Task>()) };
    })?;
    let task = memory.cast::<Task>();
    // SAFETY: Just allocated, with room for a task.
    unsafe { task.write(Task { function, argument, context }) };
    Ok(task)
}

/// Takes a task's parts out of its memory, which is freed.
///
/// # Safety
///
/// `task` is from [`create`], and is not used again.
unsafe fn take(task: TaskPointer) -> Task {
    // SAFETY: The caller: `create` has written it.
    let parts = unsafe { task.read() };
    // SAFETY: `create` allocated it with this size.
    unsafe { memory::free_bytes(task.cast(), size_of::<Task>()) };
    parts
}

/// Runs a task, in a scope of its own, and expunges.
///
/// Where there is no memory for the scope or for what is to be set in it, or
/// where the thread is past its last cleanup, the function is run without, and
/// counted ([`stats::Stats::unscoped`]): losing a task would be worse.
///
/// # Safety
///
/// `task` is from [`create`], and is neither run nor cancelled yet.
pub unsafe fn run(task: TaskPointer) {
    // SAFETY: The caller's premise.
    let Task { function, argument, context } = unsafe { take(task) };
    let Ok(thread) = record::attached() else {
        // SAFETY: This task's own context, which it has given up.
        unsafe { context::free(context) };
        stats::count_unscoped();
        // SAFETY: Whoever made the task promises that it may be called once.
        unsafe { function(argument) };
        return;
    };
    // SAFETY: As above.
    let entered = unsafe { context::enter_and_free(thread, context) };
    if entered.is_err() {
        stats::count_unscoped();
    }
    // SAFETY: Whoever made the task promises that it may be called once.
    unsafe { function(argument) };
    if let Ok(id) = entered {
        leave(id);
    }
    stale::expunge();
}

/// Ends the scope of a task that has returned, and those that it has left open.
fn leave(id: u64) {
    // Looked up anew: the task may have detached the thread.
    if let Some(thread) = record::current() {
        scope::end_with_inner(thread, ThreadRecord::map(thread), id);
    }
}

/// Frees a task that will not be run.
///
/// # Safety
///
/// As [`run`].
pub unsafe fn cancel(task: TaskPointer) {
    // SAFETY: The caller's premise.
    let Task { context, .. } = unsafe { take(task) };
    // SAFETY: This task's own context, which it has given up.
    unsafe { context::free(context) };
}
