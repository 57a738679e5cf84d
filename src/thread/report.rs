// SPDX-License-Identifier: MIT OR Apache-2.0
//! What there is: the calling thread's entries, who has values of a key, and everything as
//! JSON.
//!
//! ```text
//!   { "version": "0.1.0",
//!     "maps": [ {"map": 1, "kind": "thread", "thread": 4711, "entries": 2,
//!                "stale": 1, "capacity": 16}, ... ],
//!     "keys": [ {"key": "68719476752", "name": "buffer", "live": true,
//!                "references": 1, "values": [ {"map": 1, "thread": 4711} ]},
//!               {"key": "...", "name": "old", "live": false, "unended": 1,
//!                "deaths_since": 40, "values": [ {"map": 1, "thread": 4711} ]}, ...],
//!     "local": [ {"key": "68719476752", "value": "0x5581...", "depth": 0,
//!                 "hidden": false, "stale": false}, ... ] }
//! ```
//!
//! Other threads' tables are their own, and are not looked into: who has values under which
//! key is known from the keys' holders and from the records ([`crate::local::holdings`]). The
//! calling thread's own entries are written in full.
//!
//! # Two kinds
//!
//! *The one* calls a function of the program, which may do anything; it waits for locks, and
//! none is held while it calls. *The other* writes to a descriptor, and may interrupt
//! anybody anywhere, its own thread too, in a process in which nothing goes on any more. It
//! has patience for some milliseconds in all; what needs a lock that can't be had then is
//! left out, and the report says so. It does not look at the calling thread's entries, which
//! may be half changed.
//!
//! # Invariants
//!
//! 1. No report allocates memory, or leaves anything to be done: it may end anywhere.
//! 2. The second kind changes nothing but the tag of a key's list of holders, as any walk
//!    does, which another thread may do between any two instructions of the one that it
//!    interrupts. In the child of a fork it builds nothing anew: locks of threads that are
//!    not there can't be had, and what they guard is left out.

use core::ffi::{c_int, c_void};

use super::text::{Sink, Stopped, Text, WriteText};
use crate::error::Error;
use crate::key::slot::KeySlot;
use crate::key::{self, handle};
use crate::local::holdings::Holdings;
use crate::local::map::Map;
use crate::local::maps::report_before;
use crate::local::record::{Record, RecordPointer, State};
use crate::local::retire::drain;
use crate::local::thread::Thread;
use crate::sys::block;
use crate::sys::lock::Patience;

/// What a look at the calling thread's entries calls with each.
pub type VisitLocal = unsafe extern "C" fn(key: u64, value: *mut c_void, argument: *mut c_void);

/// What a look at a key's values calls with each map that has some; with another number
/// than 0 it ends.
pub type VisitHolder =
    unsafe extern "C" fn(map: u64, thread: u64, values: usize, argument: *mut c_void) -> c_int;

const NAME: usize = 256;

/// Runs `visit` for each record that is there now, the oldest first. It may do
/// anything to the map.
fn for_each_oldest_first(map: &Map, mut visit: impl FnMut(RecordPointer)) {
    map.loops.set(map.loops.get() + 1);
    map.records().for_each(&mut visit);
    map.loops.set(map.loops.get() - 1);
}

/// Calls `visit` with each of the thread's visible entries of live keys, as they
/// were when the call was made and as long as they are there.
#[allow(clippy::not_unsafe_ptr_arg_deref)] // nothing here dereferences it
pub fn for_each_local(thread: &Thread, visit: VisitLocal, argument: *mut c_void) {
    let map = thread.map();
    drain(map);
    for_each_oldest_first(map, |record| {
        let fields = Record::at(record);
        let value = map.guarded_if(fields.is_reachable(), || match fields.state() {
            State::Live => map.value_of(record),
            _ => None,
        });
        if let Some(value) = value.filter(|_| fields.check_key().is_ok()) {
            let key = fields.handle.get();
            // SAFETY: The caller promises a function that may be called with
            // each entry; no lock is held.
            block::call_out(|| unsafe { visit(key, value, argument) });
        }
    });
}

/// Calls `visit` with each map and context that has values of a key, dead or alive, until
/// it returns another number than 0. Returns what it has returned last. Errors: `BadKey`.
#[allow(clippy::not_unsafe_ptr_arg_deref)] // nothing here dereferences it
pub fn for_each_holder(
    key: u64,
    visit: VisitHolder,
    argument: *mut c_void,
) -> Result<c_int, Error> {
    let slot = key::find(key)?;
    slot.check_past(handle::generation(key))?;
    let mut holdings = Holdings::new(slot, key, &Patience::Endless);
    loop {
        let part = holdings.next_part();
        for it in part {
            // SAFETY: The caller promises a function that may be called with each map; no
            // lock is held.
            let call = || unsafe { visit(it.map, it.thread, it.values, argument) };
            let stopped = block::call_out(call);
            if stopped != 0 {
                return Ok(stopped);
            }
        }
        if part.is_empty() {
            return Ok(0);
        }
    }
}

/// Writes a report, with the thread's entries, to a function. Errors: `Limit` if `write`
/// wanted no more.
#[allow(clippy::not_unsafe_ptr_arg_deref)] // nothing here dereferences it
pub fn dump(thread: Option<&Thread>, write: WriteText, argument: *mut c_void) -> Result<(), Error> {
    Report::new(Sink::Function(write, argument), Patience::Endless).write(thread)
}

/// Writes a report to a descriptor, from wherever that is called. Errors: `Invalid` if it is
/// none, `Limit` if it takes no more.
pub fn dump_to(descriptor: c_int) -> Result<(), Error> {
    Report::new(Sink::Descriptor(descriptor), Patience::little()).write(None)
}

/// A report in progress.
struct Report {
    text: Text,
    patience: Patience,
    /// Something was left out.
    is_incomplete: bool,
}

impl Report {
    const fn new(sink: Sink, patience: Patience) -> Self {
        Self { text: Text::new(sink), patience, is_incomplete: false }
    }

    fn write(mut self, thread: Option<&Thread>) -> Result<(), Error> {
        let written = self.write_all(thread);
        self.text.end(written)
    }

    fn write_all(&mut self, thread: Option<&Thread>) -> Result<(), Stopped> {
        self.text.words(concat!(
            "{\"version\":\"",
            env!("CARGO_PKG_VERSION"),
            "\",\n\"maps\":["
        ))?;
        self.write_maps()?;
        self.text.words("],\n\"keys\":[")?;
        self.write_keys()?;
        self.text.words("],\n\"local\":[")?;
        if let Some(thread) = thread {
            write_local(&mut self.text, thread.map())?;
        }
        self.text.words("]")?;
        if self.is_incomplete {
            self.text.words(",\n\"incomplete\":true")?;
        }
        self.text.words("}\n")
    }

    fn write_maps(&mut self) -> Result<(), Stopped> {
        let mut last = u64::MAX;
        let mut comma = "";
        loop {
            let Some(found) = report_before(last, &self.patience) else {
                self.is_incomplete = true;
                return Ok(());
            };
            let Some(map) = found else { return Ok(()) };
            last = map.number;
            self.text.words(comma)?;
            self.text.number("\n {\"map\":", map.number)?;
            self.text.words(",\"kind\":\"")?;
            self.text.words(map.kind)?;
            self.text.number("\",\"thread\":", map.thread)?;
            self.text.number(",\"entries\":", map.entries)?;
            self.text.number(",\"stale\":", map.stale)?;
            self.text.number(",\"capacity\":", map.capacity)?;
            self.text.words("}")?;
            comma = ",";
        }
    }

    fn write_keys(&mut self) -> Result<(), Stopped> {
        let mut comma = "";
        for slot in key::registry().slots() {
            let (live, dead) = slot.count();
            if live || dead {
                self.text.words(comma)?;
                self.write_key(slot, live)?;
                comma = ",";
            }
        }
        Ok(())
    }

    fn write_key(&mut self, slot: &'static KeySlot, live: bool) -> Result<(), Stopped> {
        let key = handle::make(slot.index(), slot.generation());
        let mut name = [0; NAME];
        let length = slot.name_prefix(&mut name, &self.patience);
        self.text.number("\n {\"key\":\"", key)?;
        self.text.words("\",\"name\":")?;
        self.text.string(&name[..length.unwrap_or(0)], NAME)?;
        if live {
            self.text.number(",\"live\":true,\"references\":", slot.references().into())?;
        } else {
            self.text.number(",\"live\":false,\"unended\":", slot.pins().into())?;
            if let Some(number) = slot.deaths_since(handle::generation(key)) {
                self.text.number(",\"deaths_since\":", number.into())?;
            }
        }
        if !self.write_holders(slot, key)? || length.is_none() {
            self.is_incomplete = true;
            self.text.words(",\"incomplete\":true")?;
        }
        self.text.words("}")
    }

    /// Who has values of a key. Returns whether that is all.
    fn write_holders(&mut self, slot: &'static KeySlot, key: u64) -> Result<bool, Stopped> {
        self.text.words(",\"values\":[")?;
        let mut holdings = Holdings::new(slot, key, &self.patience);
        let mut comma = "";
        loop {
            let part = holdings.next_part();
            if part.is_empty() {
                break;
            }
            for it in part {
                for _ in 0..it.values {
                    self.text.words(comma)?;
                    self.text.number("{\"map\":", it.map)?;
                    self.text.number(",\"thread\":", it.thread)?;
                    self.text.words("}")?;
                    comma = ",";
                }
            }
        }
        self.text.words("]")?;
        Ok(!holdings.is_incomplete)
    }
}

fn write_local(text: &mut Text, map: &Map) -> Result<(), Stopped> {
    drain(map);
    let mut written = Ok(());
    let mut comma = "";
    for_each_oldest_first(map, |record| {
        let fields = Record::at(record);
        let seen = map.guarded_if(fields.is_reachable(), || {
            map.value_of(record).map(|value| (value, fields.state()))
        });
        let Some((value, state)) = seen.filter(|_| written.is_ok()) else { return };
        written = (|| {
            text.words(comma)?;
            text.number("\n {\"key\":\"", fields.handle.get())?;
            text.address("\",\"value\":\"", value)?;
            text.number("\",\"depth\":", fields.depth.get().into())?;
            text.truth(",\"hidden\":", state == State::Covered)?;
            text.truth(",\"stale\":", fields.is_known_dead())?;
            text.words("}")
        })();
        comma = ",";
    });
    written
}
