// SPDX-License-Identifier: MIT OR Apache-2.0
//! What must be true of every value and key, kept beside the library.
//!
//! Callbacks run on any thread, inside one another, and some never return. A
//! shadow of the whole library that follows all that would be as hard to get
//! right as the library. So this one follows single values: every value is the
//! address of a record, and the record says which key and map it was made for
//! and whether its life has ended. Each callback and each answer must fit that
//! record; what is left at the end must be counted as leaked.
//!
//! Everything is atomic, allocated before the program begins, and never freed:
//! it can be used in any callback, on an ending thread, and after a fork.

use core::ffi::c_void;
use core::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU16, AtomicU32, AtomicU64, AtomicU8, AtomicUsize,
    Ordering::SeqCst,
};

use std::alloc::Layout;
use std::time::{Duration, Instant};

use crate::program::KeySpec;

/// The value's life.
pub(crate) mod state {
    /// Not used yet.
    pub(crate) const FREE: u8 = 0;
    /// Passed to a call that has not returned.
    pub(crate) const OFFERED: u8 = 1;
    /// The library's.
    pub(crate) const HELD: u8 = 2;
    /// Given to destroy.
    pub(crate) const DESTROYED: u8 = 3;
    /// Handed back by swap, take or scrape.
    pub(crate) const HANDED: u8 = 4;
    /// The call failed: it was never the library's.
    pub(crate) const REFUSED: u8 = 5;
    /// Of a thread that a fork has left behind.
    pub(crate) const GONE: u8 = 6;
}

/// A value that belongs to no map: in a context.
pub(crate) const NO_MAP: u16 = u16::MAX;

pub(crate) const FROM_INIT: u8 = 254;
pub(crate) const FROM_COPY: u8 = 255;

/// Maps: first the threads' own, the last of these the conductor's.
pub(crate) const MAPS: usize = 64;
/// Scopes of a map that a program may have open.
const SCOPES: usize = 8;
/// A key's place is used again after so long: nobody uses the old handle then.
const QUARANTINE: Duration = Duration::from_millis(500);

/// One value.
#[repr(C, align(16))]
pub(crate) struct Record {
    pub(crate) state: AtomicU8,
    /// A visitor has seen it.
    pub(crate) visited: AtomicBool,
    pub(crate) key: AtomicU16,
    /// The map that it was made for.
    pub(crate) map: AtomicU16,
    /// What made it: a number of an operation, or `FROM_INIT`, `FROM_COPY`.
    pub(crate) origin: AtomicU8,
    /// Its key's place may be another key's by now: ANY, ENUMERABLE, WORKER,
    /// INHERIT, with init, from bit 0 on.
    pub(crate) kind: AtomicU8,
    /// Visitors that look at it now.
    pub(crate) visitors: AtomicU16,
    /// Copy callbacks that have it.
    pub(crate) copiers: AtomicU16,
    /// The key's life that it belongs to.
    pub(crate) life: AtomicU32,
}

impl Record {
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.state.load(SeqCst), state::OFFERED | state::HELD)
    }

    pub(crate) fn number(&self) -> usize {
        let shadow = shadow();
        (core::ptr::from_ref(self) as usize - shadow.records.as_ptr() as usize)
            / size_of::<Record>()
    }
}

/// One key's life.
pub(crate) struct ShadowKey {
    pub(crate) handle: AtomicU64,
    pub(crate) spec: KeySpecCell,
    /// 0: this place is free.
    pub(crate) life: AtomicU32,
    /// The program's references. A release is subtracted before it is made.
    pub(crate) references: AtomicI32,
    /// Calls of retain that have not returned.
    pub(crate) counting: AtomicI32,
    /// user_free was called: when, in milliseconds since the shadow began, plus one.
    pub(crate) freed: AtomicU64,
    /// Callbacks of the key that run now.
    pub(crate) running: AtomicI32,
    /// Purges that have begun.
    pub(crate) purges: AtomicU32,
    /// Calls that may end other threads' values: begun, and running.
    pub(crate) disturbed: AtomicU32,
    pub(crate) disturbing: AtomicI32,
    /// Calls of init and copy.
    pub(crate) makes: AtomicU32,
}

/// A key's description, written before the key exists.
pub(crate) struct KeySpecCell(core::cell::UnsafeCell<KeySpec>);

// SAFETY: Written by the thread that takes the free place, before it passes the
// place on in a key's `user` pointer; only read after that.
unsafe impl Sync for KeySpecCell {}

impl KeySpecCell {
    pub(crate) fn get(&self) -> KeySpec {
        // SAFETY: See the type: nobody writes while the key exists.
        unsafe { *self.0.get() }
    }

    fn set(&self, spec: KeySpec) {
        // SAFETY: See the type: this thread has just taken the place.
        unsafe { *self.0.get() = spec }
    }
}

impl ShadowKey {
    fn new() -> Self {
        Self {
            handle: AtomicU64::new(0),
            spec: KeySpecCell(core::cell::UnsafeCell::new(KeySpec::default())),
            life: AtomicU32::new(0),
            references: AtomicI32::new(0),
            counting: AtomicI32::new(0),
            freed: AtomicU64::new(0),
            running: AtomicI32::new(0),
            purges: AtomicU32::new(0),
            disturbed: AtomicU32::new(0),
            disturbing: AtomicI32::new(0),
            makes: AtomicU32::new(0),
        }
    }

    pub(crate) fn number(&self) -> usize {
        let shadow = shadow();
        (core::ptr::from_ref(self) as usize - shadow.keys.as_ptr() as usize)
            / size_of::<ShadowKey>()
    }

    /// Whether the last reference has been given back, or is just being.
    pub(crate) fn is_dead(&self) -> bool {
        self.references.load(SeqCst) <= 0
    }

    /// Calls that may end values of other threads, or of this one further in.
    pub(crate) fn disturb<T>(&self, call: impl FnOnce() -> T) -> T {
        self.disturbing.fetch_add(1, SeqCst);
        self.disturbed.fetch_add(1, SeqCst);
        let result = call();
        self.disturbing.fetch_sub(1, SeqCst);
        result
    }
}

/// What a thread has under a key for certain: set, and not touched since.
pub(crate) struct Settled {
    pub(crate) version: AtomicU32,
    pub(crate) record: AtomicPtr<Record>,
}

/// A map of `tls_map_create`, or a thread's own.
pub(crate) struct ShadowMap {
    pub(crate) pointer: AtomicPtr<c_void>,
    /// Scopes were open in it: what it has is not followed.
    pub(crate) scoped: AtomicBool,
    /// Its thread has ended, is ending, or was detached; or it was destroyed.
    pub(crate) left: AtomicBool,
    /// The thread that destroys it, plus one.
    pub(crate) destroyer: AtomicUsize,
    /// The thread that has switched to it, plus one.
    pub(crate) attached: AtomicUsize,
    scopes: [AtomicU64; SCOPES],
    open: AtomicUsize,
}

impl ShadowMap {
    fn new() -> Self {
        Self {
            pointer: AtomicPtr::default(),
            scoped: AtomicBool::new(false),
            left: AtomicBool::new(false),
            destroyer: AtomicUsize::new(0),
            attached: AtomicUsize::new(0),
            scopes: [const { AtomicU64::new(0) }; SCOPES],
            open: AtomicUsize::new(0),
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.open.load(SeqCst) < SCOPES
    }

    /// A scope was opened in it.
    pub(crate) fn push(&self, scope: u64) {
        let at = self.open.fetch_add(1, SeqCst);
        self.scopes[at % SCOPES].store(scope, SeqCst);
    }

    /// The scope that was opened last.
    pub(crate) fn innermost(&self) -> Option<u64> {
        let open = self.open.load(SeqCst).checked_sub(1)?;
        Some(self.scopes[open % SCOPES].load(SeqCst))
    }

    /// That scope is open no more.
    pub(crate) fn forget(&self, scope: u64) {
        if self.innermost() == Some(scope) {
            self.open.fetch_sub(1, SeqCst);
        }
    }
}

/// All records.
pub(crate) struct Shadow {
    pub(crate) records: Vec<Record>,
    pub(crate) keys: Vec<ShadowKey>,
    pub(crate) maps: Vec<ShadowMap>,
    settled: Vec<Settled>,
    next_record: AtomicUsize,
    next_map: AtomicUsize,
    lives: AtomicU32,
    began: Instant,
    /// Hooks that threads registered before their end, less those that ran.
    pub(crate) hooks: AtomicI32,
    /// Contexts that exist, those of tasks included.
    pub(crate) contexts: AtomicI32,
}

/// Values of a type of atomics, all zero, and not touched: pages that no run uses
/// cost nothing, not even at a fork.
fn zeroed<T>(count: usize) -> Vec<T> {
    let layout = Layout::array::<T>(count).expect("a size that fits");
    // SAFETY: The layout is not empty, and becomes that of the vector; all zero
    // is valid for records and what is settled, which are all that this makes.
    unsafe {
        let memory = std::alloc::alloc_zeroed(layout).cast::<T>();
        assert!(!memory.is_null(), "memory for the shadow");
        Vec::from_raw_parts(memory, count, count)
    }
}

static SHADOW: AtomicPtr<Shadow> = AtomicPtr::new(core::ptr::null_mut());

/// The shadow of this process.
pub(crate) fn shadow() -> &'static Shadow {
    // SAFETY: `install` comes before everything else, and what it made lives as
    // long as the process.
    unsafe { &*SHADOW.load(SeqCst) }
}

impl Shadow {
    /// Makes the shadow of this process, with room for so many values and keys.
    pub(crate) fn install(records: usize, keys: usize, first_map: usize) {
        let shadow = Self {
            records: zeroed(records),
            keys: (0..keys).map(|_| ShadowKey::new()).collect(),
            maps: (0..MAPS).map(|_| ShadowMap::new()).collect(),
            settled: zeroed(MAPS * keys),
            next_record: AtomicUsize::new(0),
            next_map: AtomicUsize::new(first_map),
            lives: AtomicU32::new(0),
            began: Instant::now(),
            hooks: AtomicI32::new(0),
            contexts: AtomicI32::new(0),
        };
        SHADOW.store(Box::into_raw(Box::new(shadow)), SeqCst);
    }

    /// A new value of a key, for a map; none if all places are used.
    pub(crate) fn make(&self, key: &ShadowKey, map: u16, origin: u8) -> Option<&Record> {
        let record = self.free_record()?;
        record.visited.store(false, SeqCst);
        record.visitors.store(0, SeqCst);
        record.copiers.store(0, SeqCst);
        record.origin.store(origin, SeqCst);
        let spec = key.spec.get();
        let bits = [spec.any, spec.enumerable, spec.worker, spec.inherit, spec.init];
        let kind = bits.iter().rev().fold(0, |kind, bit| kind << 1 | u8::from(*bit));
        record.kind.store(kind, SeqCst);
        record.key.store(key.number() as u16, SeqCst);
        record.map.store(map, SeqCst);
        record.life.store(key.life.load(SeqCst), SeqCst);
        record.state.store(state::OFFERED, SeqCst);
        Some(record)
    }

    fn free_record(&self) -> Option<&Record> {
        for _ in 0..self.records.len() {
            let at = self.next_record.fetch_add(1, SeqCst);
            if at < self.records.len() {
                return Some(&self.records[at]);
            }
            let record = &self.records[at % self.records.len()];
            let ended = record.state.load(SeqCst);
            if matches!(ended, state::DESTROYED | state::HANDED | state::REFUSED)
                && record.visitors.load(SeqCst) == 0
                && record.state.compare_exchange(ended, state::FREE, SeqCst, SeqCst).is_ok()
            {
                return Some(record);
            }
        }
        None
    }

    /// The record that a value is; none if it is no value of ours.
    pub(crate) fn record_of(&self, value: *const c_void) -> Option<&Record> {
        let offset = (value as usize).wrapping_sub(self.records.as_ptr() as usize);
        let fits = offset % size_of::<Record>() == 0;
        self.records.get(offset / size_of::<Record>()).filter(|_| fits)
    }

    /// The records that were used.
    pub(crate) fn used(&self) -> &[Record] {
        &self.records[..self.next_record.load(SeqCst).min(self.records.len())]
    }

    /// The key that a record belongs to.
    pub(crate) fn key_of(&self, record: &Record) -> &ShadowKey {
        &self.keys[usize::from(record.key.load(SeqCst))]
    }

    /// A place for a new key; none if all are used.
    pub(crate) fn make_key(&self, spec: KeySpec) -> Option<&ShadowKey> {
        let life = self.lives.fetch_add(1, SeqCst) + 1;
        let now = self.now();
        let free = |key: &&ShadowKey| {
            let freed = key.freed.load(SeqCst);
            (freed == 0 || freed + QUARANTINE.as_millis() as u64 <= now)
                && key.life.compare_exchange(0, life, SeqCst, SeqCst).is_ok()
        };
        let key = self.keys.iter().find(free)?;
        key.spec.set(spec);
        key.handle.store(0, SeqCst);
        key.freed.store(0, SeqCst);
        key.purges.store(0, SeqCst);
        key.references.store(1, SeqCst);
        Some(key)
    }

    /// Milliseconds since the shadow began, plus one.
    pub(crate) fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64 + 1
    }

    /// A place for a new map; none if all are used.
    pub(crate) fn make_map(&self) -> Option<usize> {
        let at = self.next_map.fetch_add(1, SeqCst);
        (at < MAPS).then_some(at)
    }

    /// The number of a map that was made and not destroyed.
    pub(crate) fn map_number(&self, pointer: *mut c_void) -> Option<usize> {
        let mut maps = self.maps.iter().enumerate().rev();
        maps.find(|(_, map)| map.pointer.load(SeqCst) == pointer).map(|(at, _)| at)
    }

    pub(crate) fn settled(&self, map: usize, key: &ShadowKey) -> &Settled {
        &self.settled[map * self.keys.len() + key.number()]
    }

    /// The thread begins to change what it has under a key. Returns what
    /// [`settle`](Self::settle) compares.
    pub(crate) fn touch(&self, map: u16, key: &ShadowKey) -> u32 {
        if map == NO_MAP {
            return 0;
        }
        let settled = self.settled(usize::from(map), key);
        settled.record.store(core::ptr::null_mut(), SeqCst);
        settled.version.fetch_add(1, SeqCst) + 1
    }

    /// The thread has stored this value, and nothing since `version` touched it.
    pub(crate) fn settle(&self, map: u16, key: &ShadowKey, version: u32, record: &Record) {
        if map == NO_MAP || self.maps[usize::from(map)].scoped.load(SeqCst) {
            return;
        }
        let settled = self.settled(usize::from(map), key);
        if settled.version.load(SeqCst) == version && record.is_alive() {
            settled.record.store(core::ptr::from_ref(record).cast_mut(), SeqCst);
        } else {
            // A callback has set the key meanwhile; before this value was stored, or after.
            settled.record.store(core::ptr::null_mut(), SeqCst);
        }
    }

    /// The thread begins to change anything.
    pub(crate) fn touch_all(&self, map: u16) {
        if map != NO_MAP {
            self.keys.iter().for_each(|key| {
                self.touch(map, key);
            });
        }
    }

    /// Values of keys with these lives that the library still has.
    pub(crate) fn alive(&self) -> impl Iterator<Item = &Record> {
        self.used().iter().filter(|record| record.is_alive())
    }
}
