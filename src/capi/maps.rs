// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps that move between threads.

use core::ffi::c_int;
use core::ptr::{null_mut, NonNull};

use super::{code, store, store_if_wanted, TLS_OK};
use crate::local::map::Map;
use crate::local::thread::Thread;
use crate::thread::{attach, fork, switch};

/// A map that is not tied to one thread of the operating system: for a fiber, a coroutine or a
/// green thread.
#[allow(non_camel_case_types)]
pub struct tls_map_t(());

fn pointer(map: Option<NonNull<Map>>) -> *mut tls_map_t {
    map.map_or(null_mut(), |map| map.as_ptr().cast())
}

/// Makes an empty map that is attached to no thread.
///
/// @param[out] map Receives the map, which you destroy with tls_map_destroy().
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_INVALID map is NULL.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_map_create")]
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
/// The calling thread first ends open scopes, then destroys the values, the youngest first, with
/// TLS_REASON_MAP_DESTROYED (TLS_REASON_KEY_DEAD if the value's key has died). If callbacks set
/// more values, it repeats this, in at most 4 rounds. If another thread is visiting a value, that
/// thread destroys it when its visitor has returned. Attaches the thread.
///
/// @param map A map of tls_map_create() that is attached to no thread. If NULL, the call has no
///   effect.
///
/// Threads: any. Blocks: no. Runs: destroy callbacks. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_BUSY The map is attached, to this thread or another.
/// @retval TLS_ERR_REENTRANT Called inside a callback of this library.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup.
/// @since 0.1.0
#[unsafe(export_name = "tlm_map_destroy")]
pub unsafe extern "C" fn tls_map_destroy(map: *mut tls_map_t) -> c_int {
    let Some(map) = NonNull::new(map.cast()) else { return TLS_OK };
    let thread = attach::attached();
    // SAFETY: The caller: a map that is not destroyed yet.
    code(thread.and_then(|thread| unsafe { switch::destroy(thread, map) }))
}

/// Makes a map the current map of the calling thread, in constant time.
///
/// From then on every function that concerns the calling thread's values works on this map,
/// tls_stale_count(), tls_expunge() and scopes included. Hooks and the waker of
/// tls_thread_on_stale() belong to the thread and not to the map; the waker is called for keys that
/// die in the thread's own map. A map is attached to at most one thread at a time. While it is
/// attached to none, its values still become stale, and the thread that attaches it next expunges
/// them. A thread that ends with a map of this kind leaves it unattached, for another thread to
/// attach. Attaches the thread itself.
///
/// In a scheduler of fibers, switch the map where you switch the stack, on the thread that
/// continues. The inlined look-ups read the thread's words anew at each call, so a compiler that
/// moves code across a switch of stacks, or inlines the switch, can't make them read another
/// thread's. It may keep the addresses of your own thread-local variables and of errno: call a
/// function that is not inlined for those. A callback of this library must return on the thread
/// that it was called on; the function of a task (tls_task_run()) may return on another.
///
/// @param map A map of tls_map_create(). If NULL, the thread's own map becomes current.
/// @param[out] previous If not NULL, receives the map that was current: NULL for the thread's own.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_BUSY Another thread has the map.
/// @retval TLS_ERR_REENTRANT Called inside a callback of this library.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup.
/// @since 0.1.0
#[unsafe(export_name = "tlm_map_switch")]
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

/// Returns the map that the calling thread has switched to.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
/// @return The map; NULL if it is the thread's own.
/// @since 0.1.0
#[unsafe(export_name = "tlm_map_current")]
pub extern "C" fn tls_map_current() -> *mut tls_map_t {
    pointer(attach::current().ok().flatten().and_then(Thread::switched_map))
}
