//! Maps that move between threads.

use core::ffi::c_int;
use core::ptr::{null_mut, NonNull};

use super::{code, store, store_if_wanted, TLS_OK};
use crate::local::map::Map;
use crate::local::thread::Thread;
use crate::thread::{attach, fork, switch};

/// A map of its own, for a thread that is not the operating system's: a fiber,
/// a coroutine, a green thread.
#[allow(non_camel_case_types)]
pub struct tls_map_t(());

fn pointer(map: Option<NonNull<Map>>) -> *mut tls_map_t {
    map.map_or(null_mut(), |map| map.as_ptr().cast())
}

/// Makes an empty map that is attached to no thread.
///
/// map: receives it; yours, to be destroyed with tls_map_destroy().
///
/// Threads: any. Blocks: no. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_INVALID (map is NULL); TLS_ERR_NO_MEMORY;
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_map_create(map: *mut *mut tls_map_t) -> c_int {
    let create = || {
        attach::current()?;
        fork::protect()?;
        Ok(pointer(Some(switch::create()?)))
    };
    // SAFETY: The caller: null, or it can be written.
    unsafe { store(map, create) }
}

/// Destroys all values of a map, and the map.
///
/// On the calling thread: open scopes end first, then values, the youngest
/// first, with TLS_REASON_MAP_DESTROYED (TLS_REASON_KEY_DEAD those whose key has
/// died), again while they add more, in at most 4 rounds. A value that another thread
/// is visiting is destroyed by that thread, when the visitor has returned. Attaches the
/// thread.
///
/// map: from tls_map_create(), attached to no thread; NULL: nothing happens.
///
/// Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_BUSY (it is attached, to this thread or another);
/// TLS_ERR_REENTRANT (inside a callback of this library); TLS_ERR_NO_MEMORY;
/// TLS_ERR_EXITING.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_map_destroy(map: *mut tls_map_t) -> c_int {
    let Some(map) = NonNull::new(map.cast()) else { return TLS_OK };
    let thread = attach::attached();
    // SAFETY: The caller: a map that is not destroyed yet.
    code(thread.and_then(|thread| unsafe { switch::destroy(thread, map) }))
}

/// Makes a map the calling thread's current one, in constant time.
///
/// From then on every function that speaks of the calling thread's values means
/// those of this map, tls_stale_count(), tls_expunge() and scopes included. What
/// belongs to the thread and not to its map stays: hooks, and tls_thread_on_stale(),
/// which tells of keys that die in the thread's own map.
/// A map is attached to one thread at a time; while it is attached to none it
/// goes on hearing of dead keys, and the one who attaches it next expunges. A thread
/// that ends with a map switched to leaves it to the one who attaches it. Attaches
/// the thread itself.
///
/// map: from tls_map_create(); NULL: the thread's own. previous: receives the
/// one that was current, NULL for the thread's own; may be NULL.
///
/// For schedulers of fibers: switch the map where you switch the stack, on the
/// thread that goes on. The inlined look-ups read the thread's words anew at each
/// call, so a compiler that moves code across a switch of stacks, or inlines it,
/// can't make them read another thread's. (Your own thread-local variables and
/// errno it may well keep: call a function that is not inlined for those.) A
/// callback of this library must return on the thread that it was called on; the
/// function of a task (tls_task_run()) may return on another.
///
/// Threads: any. Blocks: no. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_BUSY (another thread has it); TLS_ERR_REENTRANT
/// (inside a callback of this library); TLS_ERR_NO_MEMORY; TLS_ERR_EXITING.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_map_switch(
    map: *mut tls_map_t,
    previous: *mut *mut tls_map_t,
) -> c_int {
    let thread = attach::attached();
    // SAFETY: The caller: a map that is not destroyed yet, or null.
    let switched =
        thread.and_then(|thread| unsafe { switch::switch(thread, NonNull::new(map.cast())) });
    // SAFETY: The caller: null, or it can be written.
    unsafe { store_if_wanted(previous, switched.map(pointer)) }
}

/// The map that the calling thread has switched to.
///
/// Threads: any. Blocks: no. Signals: not safe.
/// Returns it; NULL: the thread's own.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_map_current() -> *mut tls_map_t {
    pointer(attach::current().ok().flatten().and_then(Thread::switched_map))
}
