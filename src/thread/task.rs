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
//! A task is its context, with a function in it: one piece of memory, which the
//! thread's chain of contexts has while copies are made. All of it is freed
//! before the function is called. So a callback or a function that never returns
//! (`pthread_exit`) leaves nothing behind; the task's scope ends with the thread.

use core::ffi::c_void;

use super::context::{self, ContextPointer};
use super::record::{self, ThreadRecord};
use super::{scope, stale, stats};
use crate::error::Error;

/// What a task does.
pub type TaskFunction = unsafe extern "C" fn(argument: *mut c_void);

/// A task that waits to be run, and that somebody has.
pub type TaskPointer = ContextPointer;

/// Makes a task, and captures the calling thread's context for it.
///
/// # Errors
///
/// As [`context::capture`].
pub fn create(function: TaskFunction, argument: *mut c_void) -> Result<TaskPointer, Error> {
    let task = context::capture()?;
    // SAFETY: Just made, and nobody else has it.
    let (work, given) = &unsafe { task.as_ref() }.work;
    work.set(Some(function));
    given.set(argument);
    Ok(task)
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
    // SAFETY: The caller: `create` has made it.
    let (work, given) = &unsafe { task.as_ref() }.work;
    let (function, argument) = (work.get(), given.get());
    let call = || {
        if let Some(function) = function {
            // SAFETY: Whoever made the task promises that it may be called once.
            unsafe { function(argument) };
        }
    };
    let Ok(thread) = record::attached() else {
        // SAFETY: The caller's premise: nobody else has it.
        unsafe { context::free(task) };
        stats::count_unscoped();
        call();
        return;
    };
    // SAFETY: As above.
    let entered = unsafe { context::enter_and_free(thread, task) };
    if entered.is_err() {
        stats::count_unscoped();
    }
    call();
    leave(entered.ok());
}

/// Ends the scope of a task that has returned, if it had one, and those that it
/// has left open; and expunges.
///
/// Not inlined: the task may have been a fiber's that went on on another thread.
/// With plain thread-local storage a compiler keeps its address over a call, but
/// not from one function to another.
#[inline(never)]
fn leave(id: Option<u64>) {
    // Looked up anew: the task may have detached the thread, too.
    if let (Some(id), Some(thread)) = (id, record::current()) {
        scope::end_with_inner(thread, ThreadRecord::map(thread), id);
    }
    stale::expunge();
}

/// Frees a task that will not be run.
///
/// # Safety
///
/// As [`run`].
pub unsafe fn cancel(task: TaskPointer) {
    // SAFETY: The caller's premise: nobody else has it.
    unsafe { context::free(task) };
}
