// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys: making, keeping and releasing them.

use core::ffi::{c_char, c_int, c_void};
use core::mem::size_of;

use super::constants::{
    tls_key_t, TLS_KEY_ENUMERABLE, TLS_KEY_EXPLICIT, TLS_KEY_INHERIT, TLS_KEY_WORKER,
    TLS_RECLAIM_ANY, TLS_RECLAIM_OWNER,
};
use super::{code, read_sized, store, versioned, TLS_OK};
use crate::error::Error;
use crate::key::options::{Callbacks, KeyOptions, Rules};
use crate::key::{self, handle};
use crate::thread::{attach, fork, keys};

/// Destroys one value.
///
/// The callback runs on the thread that has the value (with TLS_RECLAIM_OWNER), with no lock held,
/// after the value has left the thread's map. It may call any function of this library, on any key.
/// It must not throw a C++ exception or longjmp out.
///
/// @param value The value, never NULL.
/// @param reason Why the value is destroyed, one of TLS_REASON_*.
/// @param user The key's `user`.
#[allow(non_camel_case_types)]
pub type tls_destroy_fn =
    Option<unsafe extern "C" fn(value: *mut c_void, reason: c_int, user: *mut c_void)>;

/// Makes a thread's first value under a key.
///
/// It may set and read other keys. Reading its own key there gives TLS_ERR_REENTRANT. If it sets
/// its own key, the value that it returns replaces that value, which is destroyed.
///
/// @param[out] value Receives the value; NULL is a value too.
/// @param user The key's `user`.
///
/// @return 0 on success. After any other number nothing is stored, and the next tls_get() tries
///   again.
#[allow(non_camel_case_types)]
pub type tls_init_fn =
    Option<unsafe extern "C" fn(value: *mut *mut c_void, user: *mut c_void) -> c_int>;

/// Makes a copy of a value for another task.
///
/// It runs on the thread that captures, and again on each thread that begins a scope with the
/// context, possibly on several at once. It may call any function of this library, but must not end
/// the value that it copies. If a key is released while its value is captured, the key dies when
/// the callback returns.
///
/// @param value The value, never NULL, because NULL is copied as NULL.
/// @param[out] copy Receives the copy; NULL is a copy too.
/// @param user The key's `user`.
///
/// @return 0 on success. After any other number nothing is captured, and no scope begins.
#[allow(non_camel_case_types)]
pub type tls_copy_fn = Option<
    unsafe extern "C" fn(value: *mut c_void, copy: *mut *mut c_void, user: *mut c_void) -> c_int,
>;

/// Describes a key. Set the whole structure to zero, then `size`, then the members that you use:
///
///     tls_key_options_t options = {0};
///     options.size = sizeof options;
///     options.destroy = free_buffer;
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct tls_key_options_t {
    /// Set it to sizeof(tls_key_options_t); the structure can grow in later versions.
    pub size: usize,
    /// The name that reports show. It is copied. If NULL, the key has no name.
    pub name: *const c_char,
    /// Called with each value that the library destroys. If NULL, no callback runs.
    pub destroy: tls_destroy_fn,
    /// Called by tls_get() when the thread has no value. If NULL, tls_get() returns NULL then.
    pub init: tls_init_fn,
    /// Called when a context captures the value. If NULL, the pointer itself is copied.
    pub copy: tls_copy_fn,
    /// Passed to the callbacks. It must stay valid until user_free is called.
    pub user: *mut c_void,
    /// Called once with `user`, when the key has died and its last value was destroyed, by the
    /// thread that did the later of the two. If NULL, nothing is called.
    pub user_free: Option<unsafe extern "C" fn(user: *mut c_void)>,
    /// TLS_RECLAIM_OWNER or TLS_RECLAIM_ANY.
    pub reclaim: u32,
    /// TLS_KEY_* flags, combined with |.
    pub flags: u32,
}

versioned!(tls_key_options_t:
    size, name, destroy, init, copy, user, user_free, reclaim, flags,
);

impl tls_key_options_t {
    // The callbacks, as the core knows them.
    #[inline(always)]
    fn callbacks(&self) -> Callbacks {
        Callbacks {
            destroy: self.destroy,
            init: self.init,
            copy: self.copy,
            user: self.user,
            user_free: self.user_free,
        }
    }
}

/// The callbacks, if there is nothing but callbacks in the options.
///
/// # Safety
///
/// `options` is as the header says, or null.
#[inline(always)]
unsafe fn callbacks_alone(options: *const tls_key_options_t) -> Option<Callbacks> {
    if options.is_null() {
        return Some(Callbacks::NONE);
    }
    // SAFETY: The caller: the size comes first.
    if unsafe { options.cast::<usize>().read() } != size_of::<tls_key_options_t>() {
        return None;
    }
    // SAFETY: The caller: so many bytes are readable, and any are valid.
    let options = unsafe { options.read() };
    let others = options.reclaim != TLS_RECLAIM_OWNER || options.flags != 0;
    (options.name.is_null() && !others).then(|| options.callbacks())
}

/// The options that the core knows, out of what the caller gave.
///
/// Safety: `options` is as the header says, and not null.
unsafe fn checked(options: *const tls_key_options_t) -> Result<KeyOptions, Error> {
    // SAFETY: The caller; pointers, optional functions and numbers may all be
    // zero.
    let options = unsafe { read_sized(options) }?;
    let known = [TLS_KEY_ENUMERABLE, TLS_KEY_WORKER, TLS_KEY_INHERIT, TLS_KEY_EXPLICIT];
    let unknown = !known.iter().fold(0, |all, flag| all | flag);
    let [enumerable, worker, inherit, explicit] = known.map(|flag| options.flags & flag != 0);
    // A worker's value is no task's; and two owners would destroy one pointer.
    let shared = inherit && (worker || options.copy.is_none() && options.destroy.is_some());
    let reclaim_known = matches!(options.reclaim, TLS_RECLAIM_OWNER | TLS_RECLAIM_ANY);
    if !reclaim_known || options.flags & unknown != 0 || shared {
        return Err(Error::Invalid);
    }
    Ok(KeyOptions {
        name: options.name,
        callbacks: options.callbacks(),
        rules: Rules::ANY
            .given(options.reclaim == TLS_RECLAIM_ANY)
            .and(Rules::ENUMERABLE.given(enumerable))
            .and(Rules::WORKER.given(worker))
            .and(Rules::INHERIT.given(inherit))
            .and(Rules::EXPLICIT.given(explicit)),
    })
}

/// Makes a key with one reference, which belongs to the caller.
///
/// The key lives until its last reference is released with tls_key_release(). Any number of keys
/// may live while there is memory, and none of them uses a pthread key.
///
/// @param[out] key Receives the handle.
/// @param options Describes the key, and is read during the call only. If NULL, the key has no name
///   and no callbacks.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_INVALID key is NULL, options->size is less than 8 or ends inside a member, bytes
///   beyond the known structure are not zero, reclaim or flags is unknown, TLS_KEY_INHERIT is
///   combined with TLS_KEY_WORKER, or with destroy but without copy.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_LIMIT 4,294,967,294 keys live.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_key_create")]
pub unsafe extern "C" fn tls_key_create(
    key: *mut tls_key_t,
    options: *const tls_key_options_t,
) -> c_int {
    // SAFETY: The caller: null, or a structure with its size.
    let callbacks = unsafe { callbacks_alone(options) }.filter(|_| !key.is_null());
    let made = callbacks.and_then(|callbacks| keys::create_again(attach::ready()?, callbacks));
    let Some(made) = made else {
        // SAFETY: The caller's premises.
        return unsafe { create(key, options) };
    };
    // SAFETY: Not null; the caller: it can be written.
    unsafe { key.write(made) };
    TLS_OK
}

/// [`tls_key_create`], whatever the options.
///
/// Safety: the caller's of that.
#[inline(never)]
unsafe fn create(key: *mut tls_key_t, options: *const tls_key_options_t) -> c_int {
    let create = || {
        let given;
        let options = if options.is_null() {
            &KeyOptions::DEFAULT
        } else {
            // SAFETY: The caller: a structure with its size.
            given = unsafe { checked(options) }?;
            &given
        };
        fork::protect()?;
        keys::create(attach::current()?, options)
    };
    // SAFETY: The caller: null, or it can be written.
    unsafe { store(key, create) }
}

/// Adds a reference to a live key.
///
/// Each reference is released with one tls_key_release(). Take one before you hand the handle to
/// code that may use it after you have released yours.
///
/// @param key A live key.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_DEAD_KEY The key is dead, and can't be revived.
/// @retval TLS_ERR_LIMIT The key has 4,194,303 references.
/// @since 0.1.0
#[unsafe(export_name = "tlm_key_retain")]
pub extern "C" fn tls_key_retain(key: tls_key_t) -> c_int {
    code(key::find(key).and_then(|slot| slot.retain(handle::generation(key))))
}

/// Releases a reference to a key; the key dies with its last reference.
///
/// From then on every function returns TLS_ERR_DEAD_KEY for the handle, on all threads, for ever.
/// The calling thread's own value is destroyed before this function returns (TLS_REASON_KEY_DEAD).
/// The other threads' values become stale: tls_stale_count() on those threads includes them at
/// once, and each thread destroys its own when it calls tls_expunge(), when it next sets a new key
/// or misses one, or when it ends. With TLS_RECLAIM_ANY the calling thread destroys all threads'
/// values before this function returns, except values that their owner is making or destroying at
/// this moment: the owner destroys those. The cost is proportional to the number of threads that
/// have a value.
///
/// If a tls_for_each(), tls_scrape() or tls_key_purge() of the key is in progress, on another
/// thread or in an outer call on this one, the key does not die with its last reference but when
/// that call ends, on that call's thread. Until then the key is live, and can be retained.
///
/// @param key A key of which you have a reference, which you give up.
///
/// Threads: any. Blocks: no. Runs: the destroy callback of the values that it destroys, user_free,
/// and wakers of threads whose values become stale. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_DEAD_KEY The key is dead: it was released too often.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_key_release")]
pub extern "C" fn tls_key_release(key: tls_key_t) -> c_int {
    code(match attach::ready() {
        Some(thread) => keys::release(thread, key),
        None => release(key),
    })
}

#[cold]
#[inline(never)]
fn release(key: tls_key_t) -> Result<(), Error> {
    if let Some(thread) = attach::current()? {
        return keys::release(thread, key);
    }
    if keys::release_unattached(key, attach::attached_for_cleanup)? {
        attach::detach_if_unused();
    }
    Ok(())
}

/// Returns whether the handle names a live key.
///
/// If you have no reference, the answer can be out of date when you get it.
///
/// @param key Any number.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: safe.
/// @return true if the key is live; false if it is dead, or if the number has never named a key.
/// @since 0.1.0
#[unsafe(export_name = "tlm_key_is_live")]
pub extern "C" fn tls_key_is_live(key: tls_key_t) -> bool {
    key::live(key).is_ok()
}

/// Copies the name of a live key, with its terminating zero byte.
///
/// @param key A live key.
/// @param[out] buffer Receives the name, or the empty string if the key has none.
/// @param capacity The size of the buffer in bytes.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_INVALID buffer is NULL.
/// @retval TLS_ERR_LIMIT The name does not fit, and nothing was written. Use a larger buffer.
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_DEAD_KEY The key is dead.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_key_name")]
pub unsafe extern "C" fn tls_key_name(
    key: tls_key_t,
    buffer: *mut c_char,
    capacity: usize,
) -> c_int {
    if buffer.is_null() {
        return Error::Invalid.number();
    }
    code(attach::current().and_then(|_| {
        // SAFETY: Not null; the caller: room for `capacity` bytes.
        unsafe { key::name(key, buffer, capacity) }
    }))
}
