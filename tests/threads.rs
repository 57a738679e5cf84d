// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real threads: keys that are shared, released under their users, and left
//! behind by threads that end.
//!
//! The model test runs every order of operations that one thread can bring
//! about. Here several threads do things at the same time, and what can be said
//! is less, but must hold whatever the schedule:
//!
//! * every value made is ended exactly once, on the thread that made it, under
//!   the key that it was stored under;
//! * `user_free` of every key is called exactly once, after that;
//! * a key that a thread has a reference to is alive; the handle of one that it
//!   has none to may be dead, and never shows another key's value;
//! * when a release has returned, the stale count of every other holder has
//!   gone up, by exactly one for each entry.
//!
//! Nothing here is timed. What threads do is drawn from fixed seeds; when they
//! do it is the machine's.

#[path = "support/api.rs"]
mod api;
#[path = "threads/ledger.rs"]
mod ledger;
#[path = "threads/moving_maps.rs"]
mod moving_maps;
#[path = "threads/stale_counts.rs"]
mod stale_counts;

use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::Mutex;
use std::thread;

use ledger::{Key, Page};
use threadlocalmap::error::Error;
use threadlocalmap::sys::block;

/// Numbers that look random and are the same in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Runs `work` on `count` threads and returns when they have ended, their
/// values included.
fn on_threads(count: u64, work: impl Fn(u64) + Sync) {
    thread::scope(|scope| {
        let work = &work;
        let guarded = move |number| {
            let outcome = catch_unwind(AssertUnwindSafe(|| work(number)));
            // What a failure has left must not be looked at by the thread's
            // end, where no panic can be caught.
            outcome
                .inspect_err(|_| block::set_thread(0))
                .unwrap_or_else(|panic| resume_unwind(panic));
        };
        let threads: Vec<_> =
            (1..=count).map(|number| scope.spawn(move || guarded(number))).collect();
        // Joined one by one: the end of the scope waits for the closures only.
        for thread in threads {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
}

/// A point that threads pass, and that others wait for.
struct Milestone(AtomicUsize);

/// Passes the milestone when dropped: a thread that panics passes it as well,
/// so that nobody waits for it for ever.
struct Passage<'a>(&'a Milestone);

impl Milestone {
    const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    fn ahead(&self) -> Passage<'_> {
        Passage(self)
    }

    fn is_passed_by(&self, threads: usize) -> bool {
        self.0.load(SeqCst) >= threads
    }

    fn wait_for(&self, threads: usize) {
        while !self.is_passed_by(threads) {
            thread::yield_now();
        }
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        self.0 .0.fetch_add(1, SeqCst);
    }
}

/// Stores a new value; it stays the caller's if the key has died.
fn set_fresh(key: Key) -> Result<(), Error> {
    let value = key.make_value();
    api::set(key.handle, value).inspect_err(|_| key.receive(value))
}

// ---- Keys that threads share ---------------------------------------------------

/// Where threads leave keys for each other: each place has a reference.
struct Shelf {
    places: Vec<Mutex<Option<Key>>>,
}

impl Shelf {
    fn new(places: usize) -> Self {
        Self { places: (0..places).map(|_| Mutex::new(None)).collect() }
    }

    /// A key from a place, with a reference for the caller.
    fn borrow(&self, place: usize) -> Option<Key> {
        let place = self.places[place].lock().expect("no panic elsewhere");
        let key = (*place)?;
        assert_eq!(api::retain(key.handle), Ok(()), "the place has a reference");
        Some(key)
    }

    /// Puts a key with its reference there, and releases what was there.
    fn put(&self, place: usize, key: Option<Key>) {
        let before =
            std::mem::replace(&mut *self.places[place].lock().expect("no panic elsewhere"), key);
        if let Some(before) = before {
            assert_eq!(api::release(before.handle), Ok(()));
        }
    }

    fn clear(&self) {
        (0..self.places.len()).for_each(|place| self.put(place, None));
    }
}

/// One thing that a thread does with a key that it has a reference to.
fn use_key(random: &mut Random, key: Key) {
    match random.below(12) {
        0..5 => assert_eq!(set_fresh(key), Ok(())),
        5 | 6 => key.assert_owns(api::get(key.handle)),
        7 => match api::try_get(key.handle) {
            Ok(value) => key.assert_owns(value),
            Err(error) => assert_eq!(error, Error::Absent),
        },
        8 => {
            let old = api::swap(key.handle, key.make_value()).expect("a live key");
            if !old.is_null() {
                key.receive(old);
            }
        }
        9 => match api::take(key.handle) {
            Ok(old) => key.receive(old),
            Err(error) => assert_eq!(error, Error::Absent),
        },
        10 => assert_eq!(api::remove(key.handle), Ok(())),
        _ => key.assert_owns(api::get_existing(key.handle)),
    }
}

/// One thing that a thread does with a key that it may not have a reference to.
fn use_perhaps_dead_key(random: &mut Random, key: Key) {
    match random.below(4) {
        0 => match set_fresh(key) {
            Ok(()) | Err(Error::DeadKey) => {}
            Err(error) => panic!("{error:?}"),
        },
        1 => key.assert_owns(api::get(key.handle)),
        2 => match api::retain(key.handle) {
            Ok(()) => {
                use_key(random, key);
                assert_eq!(api::release(key.handle), Ok(()));
            }
            Err(error) => assert_eq!(error, Error::DeadKey),
        },
        _ => match api::try_get(key.handle) {
            Ok(value) => key.assert_owns(value),
            Err(error) => assert!(matches!(error, Error::Absent | Error::DeadKey), "{error:?}"),
        },
    }
}

/// What a thread does for its own map.
fn clean_up(random: &mut Random) {
    match random.below(32) {
        0..20 => {
            api::expunge_some(random.below(4));
        }
        20..28 => {
            api::expunge();
        }
        28..31 => assert_eq!(api::remove_all(), Ok(())),
        _ => assert_eq!(api::detach(), Ok(())),
    }
}

#[test]
fn threads_that_share_random_keys_end_every_value_once() {
    const PLACES: usize = 24;
    const TURNS: usize = 150_000;
    let page = Page::open();
    let shelf = Shelf::new(PLACES);
    on_threads(4, |number| {
        let mut random = Random(number);
        let mut seen: Vec<Key> = Vec::new();
        for _ in 0..TURNS {
            let place = random.below(PLACES);
            match shelf.borrow(place) {
                Some(key) if random.below(12) > 0 => {
                    use_key(&mut random, key);
                    assert_eq!(api::release(key.handle), Ok(()));
                    seen.push(key);
                }
                borrowed => {
                    let init = random.below(2) == 0;
                    let key = if init { Key::create_with_init() } else { Key::create() };
                    assert_eq!(set_fresh(key), Ok(()));
                    shelf.put(place, Some(key));
                    if let Some(key) = borrowed {
                        assert_eq!(api::release(key.handle), Ok(()));
                    }
                }
            }
            if seen.len() > 64 {
                seen.drain(..32);
            }
            if !seen.is_empty() && random.below(4) == 0 {
                let key = seen[random.below(seen.len())];
                use_perhaps_dead_key(&mut random, key);
            }
            if random.below(64) == 0 {
                clean_up(&mut random);
            }
        }
    });
    on_threads(1, |_| shelf.clear());
    page.assert_balanced();
}

#[test]
fn a_key_that_dies_under_its_users_ends_once_and_shows_no_other_key() {
    const KEYS: usize = 60_000;
    let page = Page::open();
    // The handle and the label of the key that is the newest.
    let (handle, label) = (AtomicU64::new(0), AtomicU64::new(0));
    let over = Milestone::new();
    on_threads(4, |number| {
        let mut random = Random(number);
        if number == 1 {
            let _over = over.ahead();
            for _ in 0..KEYS {
                let key = Key::create_with_init();
                label.store(u64::from(key.label), SeqCst);
                handle.store(key.handle, SeqCst);
                assert_eq!(set_fresh(key), Ok(()));
                if random.below(8) == 0 {
                    thread::yield_now();
                }
                // Nobody pairs this handle with the next label.
                handle.store(0, SeqCst);
                assert_eq!(api::release(key.handle), Ok(()));
            }
            return;
        }
        let (mut newest, mut uses) = (0, 0);
        while !over.is_passed_by(1) {
            let seen = handle.load(SeqCst);
            let key = Key { handle: seen, label: label.load(SeqCst) as u32 };
            if seen != newest && handle.load(SeqCst) == seen {
                (newest, uses) = (seen, 20);
            }
            if seen == 0 || seen != newest || uses == 0 {
                thread::yield_now();
                continue;
            }
            uses -= 1;
            use_perhaps_dead_key(&mut random, key);
            if random.below(16) == 0 {
                clean_up(&mut random);
            }
        }
    });
    page.assert_balanced();
}

#[test]
fn threads_that_end_while_their_keys_die_leave_nothing() {
    const ROUNDS: u64 = 300;
    const KEYS: usize = 6;
    let page = Page::open();
    for round in 0..ROUNDS {
        let made: Vec<Key> = (0..KEYS).map(|_| Key::create()).collect();
        let (ready, go) = (Milestone::new(), Milestone::new());
        on_threads(4, |number| {
            let mut random = Random(round << 8 | number);
            if number == 1 {
                ready.wait_for(3);
                drop(go.ahead());
                for key in &made {
                    assert_eq!(api::release(key.handle), Ok(()));
                }
                return;
            }
            let set = ready.ahead();
            for key in &made {
                assert_eq!(set_fresh(*key), Ok(()));
            }
            drop(set);
            go.wait_for(1);
            for _ in 0..random.below(3) {
                clean_up(&mut random);
            }
        });
    }
    page.assert_balanced();
}
