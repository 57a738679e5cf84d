//! A report of everything, as JSON.
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
//! under which key is known from the keys' side, where each holder is entered.
//! (Looking makes a key with one holder one that is shared, which costs its next
//! holder a lock and nothing else.) A dead key's holders are in their maps'
//! mailboxes, where only their owners look: how many there are is told, and how
//! many stale values each map has. The calling thread's own entries are told in
//! full.
//!
//! No lock is held while `write` is called: each part is noted first.

use core::ffi::{c_char, c_int, c_void};
use core::fmt::{self, Write};
use core::mem::size_of;
use core::ptr::NonNull;

use super::inspect::Sights;
use super::map::{Kind, Map};
use super::reach::call_out;
use super::record::{self, ThreadRecord};
use super::stats::report_before;
use crate::error::Error;
use crate::key::holders::has_vanished;
use crate::key::slot::KeySlot;
use crate::key::{self, handle};
use crate::sys::memory;
use crate::sys::sync::Ordering;

/// Takes a part of the text; non-zero: it wants no more.
pub type WriteText =
    unsafe extern "C" fn(bytes: *const c_char, length: usize, argument: *mut c_void) -> c_int;

/// Bytes that are handed over at once, about.
const BUFFER: usize = 1024;

/// Bytes of a name that a report has.
const NAME: usize = 256;

/// The text as it goes out.
struct Text<'a> {
    write: WriteText,
    argument: *mut c_void,
    thread: Option<&'a ThreadRecord>,
    buffer: [u8; BUFFER],
    length: usize,
}

impl Text<'_> {
    fn flush(&mut self) -> fmt::Result {
        let (length, argument, write) = (self.length, self.argument, self.write);
        self.length = 0;
        if length == 0 {
            return Ok(());
        }
        let bytes = self.buffer.as_ptr().cast();
        let mut stopped = 0;
        // SAFETY: The caller promises a function that may be called with each
        // part of the text; no lock is held.
        call_out(self.thread, || stopped = unsafe { write(bytes, length, argument) });
        if stopped == 0 {
            Ok(())
        } else {
            Err(fmt::Error)
        }
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

/// Writes the report.
///
/// # Errors
///
/// [`Error::NoMemory`]; [`Error::Limit`] if `write` wanted no more;
/// [`Error::Reentrant`] inside the allocator.
#[allow(clippy::not_unsafe_ptr_arg_deref)] // nothing here dereferences it
pub fn dump(write: WriteText, argument: *mut c_void) -> Result<(), Error> {
    let thread = record::current();
    if thread.is_some_and(|thread| thread.map().is_busy()) {
        return Err(Error::Reentrant);
    }
    let mut text = Text { write, argument, thread, buffer: [0; BUFFER], length: 0 };
    write!(text, "{{\"version\":\"{}\",\n\"maps\":[", env!("CARGO_PKG_VERSION"))
        .map_err(stopped)?;
    write_maps(&mut text).map_err(stopped)?;
    text.write_str("],\n\"keys\":[").map_err(stopped)?;
    write_keys(&mut text)?;
    text.write_str("],\n\"local\":[").map_err(stopped)?;
    if let Some(thread) = thread {
        write_local(&mut text, thread.map())?;
    }
    text.write_str("]}\n").and_then(|()| text.flush()).map_err(stopped)
}

fn stopped(_: fmt::Error) -> Error {
    Error::Limit
}

fn write_maps(text: &mut Text<'_>) -> fmt::Result {
    let mut last = u64::MAX;
    let mut comma = "";
    while let Some(map) = report_before(last) {
        last = map.number;
        let kind = match map.kind {
            Kind::Thread => "thread",
            Kind::Moving => "moving",
            Kind::Context => "context",
        };
        write!(
            text,
            "{comma}\n {{\"map\":{},\"kind\":\"{kind}\",\"thread\":{},\"entries\":{},\"stale\":{},\
             \"capacity\":{}}}",
            map.number, map.thread, map.entries, map.stale, map.capacity
        )?;
        comma = ",";
    }
    Ok(())
}

/// A map that has a value: its number, and its thread's.
type Holding = (u64, u64);

/// The maps that have a value under a key now.
struct Holdings {
    memory: NonNull<Holding>,
    room: usize,
    length: usize,
}

impl Holdings {
    fn of(slot: &KeySlot) -> Result<Self, Error> {
        let mut room = slot.with_every_holder(|list| list.iter().count());
        loop {
            let memory = memory::allocate_bytes(room * size_of::<Holding>())?.cast::<Holding>();
            let mut holdings = Self { memory, room, length: 0 };
            let wanted = slot.with_every_holder(|list| {
                let here = list.iter().filter(|holder| {
                    // SAFETY: In the list, and the lock is held.
                    !has_vanished(unsafe { holder.as_ref() })
                });
                let mut wanted = 0;
                for holder in here {
                    // SAFETY: As above.
                    let map = unsafe { Map::of(holder) };
                    if wanted < room {
                        let thread = map.mailbox.owner.load(Ordering::Relaxed);
                        // SAFETY: Below the room.
                        unsafe { memory.as_ptr().add(wanted).write((map.number.get(), thread)) };
                    }
                    wanted += 1;
                }
                wanted
            });
            if wanted <= room {
                holdings.length = wanted;
                return Ok(holdings);
            }
            // More have come since they were counted.
            holdings.free();
            room = wanted;
        }
    }

    fn iter(&self) -> impl Iterator<Item = Holding> + '_ {
        // SAFETY: Below the length, so written.
        (0..self.length).map(|index| unsafe { self.memory.as_ptr().add(index).read() })
    }

    fn free(self) {
        // SAFETY: `of` allocated it with this room.
        unsafe { memory::free_bytes(self.memory.cast(), self.room * size_of::<Holding>()) };
    }
}

fn write_keys(text: &mut Text<'_>) -> Result<(), Error> {
    let mut comma = "";
    for slot in key::registry().slots() {
        let (live, dead) = slot.census();
        if !live && !dead {
            continue;
        }
        let key = handle::make(slot.index(), slot.generation());
        let mut name = [0; NAME];
        let length = slot.name_prefix(&mut name);
        write!(text, "{comma}\n {{\"key\":\"{key}\",\"name\":").map_err(stopped)?;
        comma = ",";
        text.string(&name[..length]).map_err(stopped)?;
        if live {
            let holdings = Holdings::of(slot)?;
            let written = write_holdings(text, slot, &holdings);
            holdings.free();
            written.map_err(stopped)?;
        } else {
            let unended = slot.obligations();
            write!(text, ",\"live\":false,\"unended\":{unended}}}").map_err(stopped)?;
        }
    }
    Ok(())
}

fn write_holdings(text: &mut Text<'_>, slot: &KeySlot, holdings: &Holdings) -> fmt::Result {
    write!(text, ",\"live\":true,\"references\":{},\"values\":[", slot.references())?;
    let mut comma = "";
    for (map, thread) in holdings.iter() {
        write!(text, "{comma}{{\"map\":{map},\"thread\":{thread}}}")?;
        comma = ",";
    }
    text.write_str("]}")
}

fn write_local(text: &mut Text<'_>, map: &Map) -> Result<(), Error> {
    let sights = Sights::of(map)?;
    let mut written = Ok(());
    let mut index = 0;
    while let Some(sight) = sights.get(index).filter(|_| written.is_ok()) {
        written = write!(
            text,
            "{}\n {{\"key\":\"{}\",\"value\":\"{:p}\",\"depth\":{},\"hidden\":{},\"stale\":{}}}",
            if index == 0 { "" } else { "," },
            sight.key,
            sight.value,
            sight.depth,
            sight.hidden,
            sight.stale
        );
        index += 1;
    }
    sights.free();
    written.map_err(stopped)
}
