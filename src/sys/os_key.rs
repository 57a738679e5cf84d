// SPDX-License-Identifier: MIT OR Apache-2.0
//! One OS key: how the library learns that a thread ends.
//!
//! The C library calls a pthread key's destructor on every ending thread that
//! has a value under the key, however the thread was made and however it ends.
//! That is all that is asked of it: the library's own words of thread-local
//! storage are in [`super::block`].
//!
//! The key is made on first use and never deleted (deleting it would race with
//! threads that are just ending). Making it blocks nobody: two threads that
//! come at the same time both make one, and the loser deletes its own
//! (`once_cell::race`). When the process has none left (`PTHREAD_KEYS_MAX`
//! is 1024 on Linux), [`OsKey::get`] says so, and tries again next time.

use core::ffi::c_void;
use core::num::NonZeroUsize;

use once_cell::race::OnceNonZeroUsize;

use super::memory::OutOfMemory;

/// What the C library runs on an ending thread, with the value under the key.
pub type Destructor = unsafe extern "C" fn(*mut c_void);

/// How often POSIX lets the destructors of an ending thread run again
/// (`PTHREAD_DESTRUCTOR_ITERATIONS`: at least 4; 4 in glibc and musl).
pub const DESTRUCTOR_PASSES: usize = 4;

/// A pthread key that is made when it is first needed.
pub struct OsKey {
    /// The key's number plus one, so that 0 can mean "not made yet": key 0
    /// is somebody's real key.
    number: OnceNonZeroUsize,
    destructor: Destructor,
}

impl OsKey {
    /// A key to come, whose values `destructor` will be called with.
    pub const fn new(destructor: Destructor) -> Self {
        Self { number: OnceNonZeroUsize::new(), destructor }
    }

    /// The key; makes it if nobody has yet. Nothing when the process has used up its
    /// keys: a later call may succeed.
    pub fn get(&self) -> Option<libc::pthread_key_t> {
        #[cfg(modelled)]
        {
            super::modelled::has_destructor(self.destructor);
            return Some(0);
        }
        let mut made = None;
        let number = self.number.get_or_try_init(|| {
            let mut key: libc::pthread_key_t = 0;
            // SAFETY: The C library: `key` is ours to write, and the destructor
            // stays mapped (the library is linked `-z nodelete`).
            let failed = unsafe { libc::pthread_key_create(&mut key, Some(self.destructor)) };
            made = (failed == 0).then_some(key);
            // A key is a small index: one more always fits.
            made.and_then(|key| NonZeroUsize::new(key as usize + 1)).ok_or(())
        });
        let key = (number.ok()?.get() - 1) as libc::pthread_key_t;
        if let Some(mine) = made.filter(|mine| *mine != key) {
            // Another thread was first; nobody has seen our key.
            // SAFETY: This thread made `mine` above and handed it to nobody.
            unsafe { libc::pthread_key_delete(mine) };
        }
        Some(key)
    }

    /// Stores the calling thread's value; null: no call when the thread ends. Errors:
    /// `OutOfMemory` when the C library has no room for it.
    #[allow(clippy::not_unsafe_ptr_arg_deref)] // nothing here dereferences it
    pub fn set(key: libc::pthread_key_t, value: *mut c_void) -> Result<(), OutOfMemory> {
        #[cfg(modelled)]
        {
            let _ = key;
            super::modelled::set_os_value(value);
            return Ok(());
        }
        // SAFETY: The C library: any value under a key that `get` returned;
        // it only keeps the pointer.
        match unsafe { libc::pthread_setspecific(key, value) } {
            0 => Ok(()),
            _ => Err(OutOfMemory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static SEEN: AtomicUsize = AtomicUsize::new(0);

    unsafe extern "C" fn note(value: *mut c_void) {
        SEEN.fetch_add(value as usize, Ordering::SeqCst);
    }

    #[test]
    fn many_threads_that_come_first_agree_on_one_key_and_each_end_is_seen() {
        static KEY: OsKey = OsKey::new(note);
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let key = KEY.get().expect("this process has keys left");
                        OsKey::set(key, 3 as *mut c_void).expect("a value can be set");
                        key
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(SEEN.load(Ordering::SeqCst), 8 * 3);
    }
}
