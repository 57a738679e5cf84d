//! Explicit cleanup, and the ends of threads.

use core::ffi::{c_int, c_void};

use super::constants::{
    tls_key_t, TLS_HOOK_AFTER_VALUES, TLS_HOOK_BEFORE_VALUES, TLS_HOOK_ON_STALE, TLS_KEY_NONE,
    TLS_REASON_DETACHED, TLS_REASON_MAP_DESTROYED, TLS_REASON_THREAD_EXIT,
};
use super::{code, read_sized, versioned};
use crate::error::Error;
use crate::key;
use crate::local::hooks::Hook;
use crate::local::retire;
use crate::sys::block;
use crate::thread::attach;
use crate::thread::hooks::{self, When};

/// Destroys all of the calling thread's stale values, now.
///
/// A value is stale when its key is dead, or was purged. Call it between a pool's tasks, and
/// before a worker goes to sleep; with nothing stale it costs about a
/// nanosecond. Each value is destroyed with TLS_REASON_KEY_DEAD, or TLS_REASON_PURGED. Of all that is
/// stale the youngest, by its first set on this thread, ends first, whatever the
/// order in which the keys died: what was set later may depend on it. So do all
/// functions that end stale values, and so does the thread's end.
///
/// Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
/// Returns how many values it destroyed.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_expunge() -> usize {
    match block::stale_count() {
        0 => 0,
        _ => expunge_some(usize::MAX),
    }
}

#[cold]
#[inline(never)]
fn expunge_some(budget: usize) -> usize {
    match attach::current() {
        Ok(Some(thread)) => retire::expunge(thread, thread.map(), budget),
        _ => 0,
    }
}

/// Destroys at most `budget` of the calling thread's stale values.
///
/// The youngest of them, as tls_expunge() has it. For pools that must not pause for
/// long: call it again for the rest.
///
/// Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
/// Returns how many values it destroyed.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_expunge_some(budget: usize) -> usize {
    expunge_some(budget)
}

/// How many values of the calling thread are stale: what tls_expunge() would
/// find.
///
/// Exact as soon as the tls_key_release() that made them so has returned. With
/// this header it is a macro over an inlined load.
///
/// Threads: any. Blocks: no. Signals: safe.
/// Returns the number.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_stale_count() -> usize {
    block::stale_count()
}

/// Attaches the calling thread, with all memory that its first value needs.
///
/// Never needed: the first tls_set() attaches. But after it tls_get() of a
/// value that was set is safe in signal handlers, and the thread's end is known
/// to be seen. Attaching an attached thread does nothing.
///
/// The C library runs the destructors of an ending thread's pthread keys up to four
/// times. A value that another key's destructor stores is destroyed in the next of
/// these passes; after the last, tls_set() answers TLS_ERR_EXITING. A thread that
/// first uses the library in the last pass can't be seen to end: its values are not
/// destroyed, and stay counted. Attach such a thread before it ends.
///
/// Threads: any. Blocks: no. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_NO_MEMORY; TLS_ERR_EXITING; TLS_ERR_LIMIT (the
/// process has no pthread key left, so this thread's end can't be seen; values
/// work all the same, but call tls_thread_detach() before it ends);
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_thread_attach() -> c_int {
    code(attach::attach_in_full())
}

/// The calling thread's whole cleanup, now: hooks, then values.
///
/// Exactly what its end would do, with TLS_REASON_DETACHED: for threads whose
/// end is not seen (before exit(), without a pthread key), and for workers that
/// go back to a foreign pool. The thread may attach again later.
///
/// Threads: any. Blocks: no, but runs callbacks. Signals: not safe.
/// Returns TLS_OK (also on a thread that is not attached); TLS_ERR_REENTRANT
/// (inside a callback of this library).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_thread_detach() -> c_int {
    code(attach::detach())
}

/// Registers a cleanup hook for the calling thread's end, or its detaching.
///
/// The short form of tls_thread_hook() with TLS_HOOK_BEFORE_VALUES and no owner.
/// fn: called once with arg on this thread, before its values are destroyed;
/// the hook registered last is called first. arg: yours. A hook may register
/// hooks and set values: they get a round of their own, up to 4 in all.
///
/// Threads: any. Blocks: no. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_INVALID (fn is NULL); TLS_ERR_NO_MEMORY;
/// TLS_ERR_EXITING; TLS_ERR_LIMIT (this thread's end can't be seen: no pthread
/// key is left);
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_at_thread_exit(
    r#fn: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    arg: *mut c_void,
) -> c_int {
    let function = r#fn.ok_or(Error::Invalid);
    let hook = function.map(|function| Hook { function, argument: arg, owner: TLS_KEY_NONE });
    code(hook.and_then(|hook| add_exit_hook(When::Before, hook)))
}

fn add_exit_hook(when: When, hook: Hook) -> Result<(), Error> {
    let thread = attach::attached()?;
    attach::track(thread)?;
    hooks::at_thread_exit(thread, when, hook)
}

/// Registers the waker of the calling thread: what is called when it gets stale values.
///
/// The short form of tls_thread_hook() with TLS_HOOK_ON_STALE and no owner, but a
/// later call takes the place of an earlier one. notify: called with arg as that
/// function says; NULL: nobody. Attaches the thread.
///
/// Threads: any. Blocks: no, but calls notify if there are stale values. Signals:
/// not safe.
/// Returns TLS_OK; TLS_ERR_NO_MEMORY; TLS_ERR_EXITING;
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_thread_on_stale(
    notify: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    arg: *mut c_void,
) -> c_int {
    let hook = notify.map(|function| Hook { function, argument: arg, owner: TLS_KEY_NONE });
    code(attach::attached().and_then(|thread| hooks::on_stale(thread, hook, true)))
}

/// What is to be called when. Set all of it to zero, then `size`, then what you want.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct tls_hook_options_t {
    /// sizeof(tls_hook_options_t), so that the structure can grow.
    pub size: usize,
    /// TLS_HOOK_BEFORE_VALUES, TLS_HOOK_AFTER_VALUES or TLS_HOOK_ON_STALE.
    pub when: u32,
    /// TLS_HOOK_* flags together; none yet: 0.
    pub flags: u32,
    /// What to call. It must not throw.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    /// Handed to fn; yours.
    pub arg: *mut c_void,
    /// The key that the hook belongs to, or TLS_KEY_NONE.
    pub owner: tls_key_t,
}

versioned!(tls_hook_options_t: size, when, flags, r#fn, arg, owner);

/// Registers a hook for the calling thread.
///
/// With TLS_HOOK_BEFORE_VALUES fn is called once on this thread, when that ends or
/// is detached, before its values are destroyed; with TLS_HOOK_AFTER_VALUES after
/// they have been: for functions like mysql_thread_end(), that end what the values
/// need. The hook registered last is called first. A hook may register hooks and set
/// values: they get a round of their own, up to 4 in all. After the last round tls_set()
/// and this function answer TLS_ERR_EXITING, and hooks that are left are called all the
/// same.
///
/// With TLS_HOOK_ON_STALE fn is called whenever this thread's inbox of dead keys
/// becomes non-empty, by the thread that releases a key, with no lock held: a pool can
/// wake its idle worker then, to expunge. If values are stale already, it is called
/// now, on this thread. It must return, and should be quick: signal a condition
/// variable, write to an eventfd. Several may be registered; all are called. They end
/// with the thread, or with its detaching.
///
/// owner: as long as this key lives, the hook is called. When the key has died, its
/// hooks are not called any more, on any thread; tls_key_drain() of it waits until
/// none of them runs. So a plug-in that is about to be unloaded releases its owner key,
/// drains it, and can go. Without an owner arg must stay valid, and fn loaded, for as
/// long as any thread may be inside tls_key_release(): a call can be on its way when
/// the thread ends. options: yours; it is read before this returns. Attaches the
/// thread.
///
/// Threads: any. Blocks: no, but calls fn as above. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_INVALID (options or fn is NULL, its size cuts a member, an
/// unknown number in when, flags that are not 0, members that this version does not know
/// and that are not 0); TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY;
/// TLS_ERR_NO_MEMORY; TLS_ERR_EXITING; TLS_ERR_LIMIT (this thread's end can't be seen:
/// no pthread key is left; not with TLS_HOOK_ON_STALE); TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_thread_hook(options: *const tls_hook_options_t) -> c_int {
    if options.is_null() {
        return Error::Invalid.number();
    }
    // SAFETY: Not null; the caller; pointers, optional functions and numbers may all be
    // zero.
    let options = unsafe { read_sized(options) };
    code(options.and_then(|options| {
        let function = options.r#fn.filter(|_| options.flags == 0).ok_or(Error::Invalid)?;
        let hook = Hook { function, argument: options.arg, owner: options.owner };
        let when = match options.when {
            TLS_HOOK_BEFORE_VALUES => Some(When::Before),
            TLS_HOOK_AFTER_VALUES => Some(When::After),
            TLS_HOOK_ON_STALE => None,
            _ => return Err(Error::Invalid),
        };
        if hook.owner != TLS_KEY_NONE {
            key::live(hook.owner)?;
        }
        match when {
            Some(when) => add_exit_hook(when, hook),
            None => hooks::on_stale(attach::attached()?, Some(hook), false),
        }
    }))
}

/// A destroy callback that does what the destructor of a pthread key does.
///
/// For tls_key_options_t.destroy, with the destructor, a void (*)(void *), as
/// options.user. When the thread of a value ends, or is detached, or its map is
/// destroyed, it calls the destructor with the value; when a value ends for any other
/// reason, it does nothing. It lies in the library: after tls_key_release() nothing of a
/// plug-in is called that had the destructor in it, although its values still end.
///
/// Threads: the value's. Blocks: as the destructor. Signals: not safe.
/// Returns nothing.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_destroy_at_exit(value: *mut c_void, reason: c_int, user: *mut c_void) {
    let at_exit = [TLS_REASON_THREAD_EXIT, TLS_REASON_DETACHED, TLS_REASON_MAP_DESTROYED];
    if user.is_null() || !at_exit.contains(&reason) {
        return;
    }
    // SAFETY: The caller: `user` is such a function; POSIX has pointers to functions that
    // fit into a pointer.
    let destructor: unsafe extern "C" fn(*mut c_void) = unsafe { core::mem::transmute(user) };
    // SAFETY: The caller: it may be called with each value of the key.
    unsafe { destructor(value) };
}

/// For the inlined look-up of this header only: where a thread's hot slot is.
///
/// Layout 1: {const entry *table; size_t mask; const size_t *stale}, an entry
/// being {uint64_t key; void *value}.
///
/// Threads: any. Blocks: no. Signals: safe.
/// Returns its distance from the thread pointer, the same for all threads; 0:
/// this build has none, always make the call.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_hot_offset_v1() -> isize {
    block::offset()
}
