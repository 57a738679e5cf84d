//! What there is: the calling thread's entries, and everything as JSON.
//!
//! ```text
//!   { "version": "0.1.0",
//!     "maps": [ {"map": 1, "kind": "thread", "thread": 4711, "entries": 2,
//!                "stale": 1, "capacity": 16}, ... ],
//!     "keys": [ {"key": "68719476752", "name": "buffer", "live": true,
//!                "references": 1, "values": [ {"map": 1, "thread": 4711} ]},
//!               {"key": "...", "name": "old", "live": false, "unended": 1}, ...],
//!     "local": [ {"key": "68719476752", "value": "0x5581...", "depth": 0,
//!                 "hidden": false, "stale": false}, ... ] }
//! ```
//!
//! Other threads' tables are their own, and are not looked into: who has a value
//! under which key is known from the keys' side, where each holder is linked. A
//! dead key's holders are in their maps' inboxes, where only their owners look: how
//! many there are is written, and how many stale values each map has. The calling
//! thread's own entries are written in full.
//!
//! No lock is held while `write` is called: what needs one is noted first. The
//! notes are in the thread's chain of calls, should `write` never return.

use core::ffi::{c_char, c_int, c_void};
use core::fmt::{self, Write};
use core::mem::offset_of;
use core::ptr::NonNull;

use crate::error::Error;
use crate::key::call::{Call, CallKind};
use crate::key::slot::KeySlot;
use crate::key::{self, handle};
use crate::local::map::Map;
use crate::local::maps::{self, report_before};
use crate::local::record::{Record, RecordPointer, State};
use crate::local::remote::for_each_holder;
use crate::local::retire::drain;
use crate::local::thread::Thread;
use crate::sys::array::Array;
use crate::sys::{block, memory};

/// What a look at the calling thread's entries calls with each.
pub type VisitLocal = unsafe extern "C" fn(key: u64, value: *mut c_void, argument: *mut c_void);

/// Takes a part of the text; non-zero: it wants no more.
pub type WriteText =
    unsafe extern "C" fn(bytes: *const c_char, length: usize, argument: *mut c_void) -> c_int;

const BUFFER: usize = 1024;
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

/// A report in progress: what is noted for it.
#[repr(C)]
struct Report {
    call: Call,
    /// Of one key: the maps that have a value of it, and their threads.
    holders: Array<(u64, u64)>,
}

/// Ends a report whose `write` never returned.
pub(super) fn recover(thread: &Thread, call: &Call) {
    end(Some(thread), call.part_of(offset_of!(Report, call)));
}

fn end(thread: Option<&Thread>, pointer: NonNull<Report>) {
    // SAFETY: The report's own, not freed yet.
    let report = unsafe { pointer.as_ref() };
    if let Some(thread) = thread {
        report.call.end(&thread.calls);
    }
    report.holders.free();
    // SAFETY: `dump` allocated it; nobody has it any more.
    unsafe { memory::free(pointer) };
}

/// The text as it goes out.
struct Text<'a> {
    write: WriteText,
    argument: *mut c_void,
    thread: Option<&'a Thread>,
    buffer: [u8; BUFFER],
    length: usize,
    /// What the report ends with, should it not be written to its end.
    error: Error,
}

impl Text<'_> {
    fn fail(&mut self, error: Error) -> fmt::Error {
        self.error = error;
        fmt::Error
    }

    fn flush(&mut self) -> fmt::Result {
        let (length, argument, write) = (self.length, self.argument, self.write);
        self.length = 0;
        if length == 0 {
            return Ok(());
        }
        let bytes = self.buffer.as_ptr().cast();
        // SAFETY: The caller promises a function that may be called with each
        // part of the text; no lock is held.
        let stopped = block::call_out(|| unsafe { write(bytes, length, argument) });
        (stopped == 0).then_some(()).ok_or(fmt::Error)
    }

    /// A string, in quotes, of bytes that need not be UTF-8.
    fn string(&mut self, bytes: &[u8]) -> fmt::Result {
        self.write_char('"')?;
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '"' | '\\' => write!(self, "\\{character}")?,
                    '\0'..='\x1f' | '\x7f' => write!(self, "\\u{:04x}", u32::from(character))?,
                    _ => self.write_char(character)?,
                }
            }
            for byte in chunk.invalid() {
                write!(self, "\\u00{byte:02x}")?;
            }
        }
        self.write_char('"')
    }
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.as_bytes().chunks(BUFFER) {
            if self.length + part.len() > BUFFER {
                self.flush()?;
            }
            self.buffer[self.length..self.length + part.len()].copy_from_slice(part);
            self.length += part.len();
        }
        Ok(())
    }
}

/// Writes the report. Errors: `NoMemory`; `Limit` if `write` wanted no more.
#[allow(clippy::not_unsafe_ptr_arg_deref)] // nothing here dereferences it
pub fn dump(thread: Option<&Thread>, write: WriteText, argument: *mut c_void) -> Result<(), Error> {
    let report = memory::allocate::<Report>()?;
    // SAFETY: Just allocated, all zero, which is a valid one.
    let fields = unsafe { report.as_ref() };
    if let Some(thread) = thread {
        fields.call.begin(&thread.calls, CallKind::Report);
    }
    let (buffer, error) = ([0; BUFFER], Error::Limit);
    let mut text = Text { write, argument, thread, buffer, length: 0, error };
    let written = write_all(&mut text, &fields.holders);
    end(thread, report);
    written.map_err(|fmt::Error| text.error)
}

fn write_all(text: &mut Text<'_>, holders: &Array<(u64, u64)>) -> fmt::Result {
    write!(text, "{{\"version\":\"{}\",\n\"maps\":[", env!("CARGO_PKG_VERSION"))?;
    write_maps(text)?;
    text.write_str("],\n\"keys\":[")?;
    write_keys(text, holders)?;
    text.write_str("],\n\"local\":[")?;
    if let Some(thread) = text.thread {
        write_local(text, thread.map())?;
    }
    text.write_str("]}\n")?;
    text.flush()
}

fn write_maps(text: &mut Text<'_>) -> fmt::Result {
    let mut last = u64::MAX;
    let mut comma = "";
    while let Some(map) = report_before(last) {
        last = map.number;
        write!(
            text,
            "{comma}\n {{\"map\":{},\"kind\":\"{}\",\"thread\":{},\"entries\":{},\"stale\":{},\
             \"capacity\":{}}}",
            map.number, map.kind, map.thread, map.entries, map.stale, map.capacity
        )?;
        comma = ",";
    }
    Ok(())
}

/// Notes the maps and contexts that have a value under a live key now.
fn note_holders(slot: &KeySlot, key: u64, notes: &Array<(u64, u64)>) -> Result<(), Error> {
    loop {
        notes.truncate(0);
        let mut wanted = 0;
        let mut note = |number, thread| {
            wanted += 1;
            if notes.has_room() {
                notes.push((number, thread));
            }
        };
        slot.with_holders(|holders| for_each_holder(holders, &mut note));
        maps::with_contexts(|context| {
            if context.has(key) {
                note(context.number.get(), 0);
            }
        });
        if wanted <= notes.len() {
            return Ok(());
        }
        notes.truncate(0);
        notes.reserve(wanted)?;
    }
}

fn write_keys(text: &mut Text<'_>, holders: &Array<(u64, u64)>) -> fmt::Result {
    let mut comma = "";
    for slot in key::registry().slots() {
        let (live, dead) = slot.count();
        if !live && !dead {
            continue;
        }
        let key = handle::make(slot.index(), slot.generation());
        let mut name = [0; NAME];
        let length = slot.name_prefix(&mut name);
        write!(text, "{comma}\n {{\"key\":\"{key}\",\"name\":")?;
        comma = ",";
        text.string(&name[..length])?;
        if live {
            note_holders(slot, key, holders).map_err(|error| text.fail(error))?;
            write_holders(text, slot, holders)?;
        } else {
            write!(text, ",\"live\":false,\"unended\":{}}}", slot.pins())?;
        }
    }
    Ok(())
}

fn write_holders(text: &mut Text<'_>, slot: &KeySlot, holders: &Array<(u64, u64)>) -> fmt::Result {
    write!(text, ",\"live\":true,\"references\":{},\"values\":[", slot.references())?;
    for (index, (map, thread)) in holders.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(text, "{comma}{{\"map\":{map},\"thread\":{thread}}}")?;
    }
    text.write_str("]}")
}

fn write_local(text: &mut Text<'_>, map: &Map) -> fmt::Result {
    drain(map);
    let mut written = Ok(());
    let mut comma = "";
    for_each_oldest_first(map, |record| {
        let fields = Record::at(record);
        let seen = map.guarded_if(fields.is_reachable(), || {
            map.value_of(record).map(|value| (value, fields.state()))
        });
        let Some((value, state)) = seen.filter(|_| written.is_ok()) else { return };
        written = write!(
            text,
            "{comma}\n {{\"key\":\"{}\",\"value\":\"{value:p}\",\"depth\":{},\"hidden\":{},\
             \"stale\":{}}}",
            fields.handle.get(),
            fields.depth.get(),
            state == State::Covered,
            fields.is_known_dead(),
        );
        comma = ",";
    });
    written
}
