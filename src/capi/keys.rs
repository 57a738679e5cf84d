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

/// Ends the life of one value.
///
/// value: the value, never NULL. reason: why, one of TLS_REASON_*. user: the
/// key's `user`. Runs on the thread that has the value (with
/// TLS_RECLAIM_OWNER), with no lock held, after the value has left the thread's
/// map; it may call any function of this library, on any key. It must not throw
/// a C++ exception or longjmp out.
#[allow(non_camel_case_types)]
pub type tls_destroy_fn =
    Option<unsafe extern "C" fn(value: *mut c_void, reason: c_int, user: *mut c_void)>;

/// Makes a thread's first value under a key.
///
/// Stores it in *value and returns 0 (NULL is a value too), or returns non-zero:
/// then nothing is stored, and the next tls_get tries again. It may set and
/// read other keys; reading its own key is TLS_ERR_REENTRANT; if it sets its
/// own key, the value that it returns wins and the other one is destroyed.
#[allow(non_camel_case_types)]
pub type tls_init_fn =
    Option<unsafe extern "C" fn(value: *mut *mut c_void, user: *mut c_void) -> c_int>;

/// Makes a copy of a value for another task.
///
/// value: never NULL (NULL is copied as NULL). Stores the copy in *copy and
/// returns 0 (NULL is a copy too), or returns non-zero: then nothing is captured
/// or begun. Runs on the thread that captures, and once more on each thread that
/// begins a scope with the context, possibly on several at once; it may call any
/// function of this library, but must not end the value that it copies.
/// A key that is released while its value is captured ends when this returns.
#[allow(non_camel_case_types)]
pub type tls_copy_fn = Option<
    unsafe extern "C" fn(value: *mut c_void, copy: *mut *mut c_void, user: *mut c_void) -> c_int,
>;

/// What a key is to be like. Set all of it to zero, then `size`, then what you
/// want:
///
///     tls_key_options_t options = {0};
///     options.size = sizeof options;
///     options.destroy = free_buffer;
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct tls_key_options_t {
    /// sizeof(tls_key_options_t), so that the structure can grow.
    pub size: usize,
    /// For reports. Copied; NULL: no name.
    pub name: *const c_char,
    /// Called with each value whose life the library ends. NULL: nothing is.
    pub destroy: tls_destroy_fn,
    /// Called by tls_get where there is no value. NULL: there is none, then.
    pub init: tls_init_fn,
    /// Called when a context takes the value along. NULL: the pointer is.
    pub copy: tls_copy_fn,
    /// Handed to the callbacks; yours until user_free is called.
    pub user: *mut c_void,
    /// Called once with `user`, after the key is dead and its last value
    /// destroyed, by whichever thread did that. May be NULL.
    pub user_free: Option<unsafe extern "C" fn(user: *mut c_void)>,
    /// TLS_RECLAIM_OWNER, or TLS_RECLAIM_ANY.
    pub reclaim: u32,
    /// TLS_KEY_* together.
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

/// Makes a key with one reference, the caller's.
///
/// key: receives the handle. options: what the key is to be like; NULL: no
/// name, no callbacks; read during the call only. The key lives until its last
/// reference is released with tls_key_release(). Any number of keys may live
/// (memory permitting), and none costs a pthread key.
///
/// Threads: any. Blocks: no. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_INVALID (key is NULL, options->size is too small
/// or ends inside a member, bytes beyond the known structure are not zero, unknown reclaim or flags,
/// TLS_KEY_INHERIT with TLS_KEY_WORKER, or with destroy but without copy);
/// TLS_ERR_NO_MEMORY;
/// TLS_ERR_LIMIT (4294967294 keys live);
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
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
/// Each reference is released with one tls_key_release(). Take one before you
/// hand the handle to somebody who may use it after you have released yours.
///
/// Threads: any. Blocks: no. Signals: safe.
/// Returns TLS_OK; TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY (a dead key can't be
/// revived); TLS_ERR_LIMIT (4194303 references).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_key_retain(key: tls_key_t) -> c_int {
    code(key::find(key).and_then(|slot| slot.retain(handle::generation(key))))
}

/// Gives a reference back; the last one ends the key.
///
/// From then on every function answers TLS_ERR_DEAD_KEY to the handle, on all
/// threads, for ever. The calling thread's own value is destroyed before this
/// returns (TLS_REASON_KEY_DEAD). The other threads' values become stale: their
/// tls_stale_count() says so at once, and each thread destroys its own when it
/// calls tls_expunge(), when it next sets a new key or misses one, or when it
/// ends. With TLS_RECLAIM_ANY there is nothing to wait for: the calling thread
/// destroys them all before this returns (but for values that their owner is
/// just making or destroying; those it ends itself). The cost is proportional
/// to the number of threads that have a value.
///
/// While somebody goes over the key's values (tls_for_each(), tls_scrape(),
/// tls_key_purge(), also further out on this thread), a release of the last reference
/// does not end the key yet: the end of that call does, on its thread. Until then the
/// key is live, and can be retained.
///
/// Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY (released too often);
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
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

/// Whether the handle names a live key.
///
/// Without a reference of your own the answer can be out of date when you get
/// it.
///
/// Threads: any. Blocks: no. Signals: safe.
/// Returns true or false.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_key_is_live(key: tls_key_t) -> bool {
    key::live(key).is_ok()
}

/// Copies a live key's name, with its final zero byte.
///
/// buffer: receives the name; the empty string if the key has none. capacity:
/// the bytes that fit in it.
///
/// Threads: any. Blocks: no. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_INVALID (buffer is NULL); TLS_ERR_LIMIT (it does not
/// fit; nothing is written); TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY; TLS_ERR_REENTRANT
/// (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
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
