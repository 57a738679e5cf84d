// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handing over everything that a thread has, undestroyed: what the child of a fork
//! needs, whose values are the parent's to end, and a process that is about to leave.
//!
//! # Invariants
//!
//! 1. A value has left its map before it is handed over, and its record is finished
//!    after: if the receiver ends the thread, the value is the receiver's, and the exit
//!    finishes the record.
//! 2. What the receiver sets meanwhile stays.
//! 3. A deferred value is handed over when it is known stale. Before that its record is
//!    in its key's list, or in the inbox, where another thread may just have put it.

use core::ffi::c_void;

use crate::error::Error;
use crate::local::covering::TakenOut;
use crate::local::record::{Location, Record, State};
use crate::local::retire;
use crate::local::thread::Thread;
use crate::sys::block;

/// Receives a value, under which key it was.
pub type Receive = unsafe extern "C" fn(key: u64, value: *mut c_void, argument: *mut c_void);

/// Hands over each value of the thread's map, the youngest first: also those that a
/// scope covers, and stale ones. Errors: `Busy` if another thread looks at some of them:
/// those stay.
#[allow(clippy::not_unsafe_ptr_arg_deref)] // nothing here dereferences it
pub fn take_all(thread: &Thread, receive: Receive, argument: *mut c_void) -> Result<(), Error> {
    let map = thread.map();
    retire::drain(map);
    let mut busy = false;
    map.for_each_youngest_first(0, |record| {
        match map.state_of(record) {
            // Its last visitor is about to post it, or has just done so.
            State::Deferred | State::Purged
                if Record::at(record).location.get() != Location::Stale =>
            {
                busy = true;
                return;
            }
            State::Live | State::Covered | State::Retired | State::Deferred | State::Purged => {}
            _ => return,
        }
        match map.take_out(record, None, 0) {
            TakenOut::Busy => busy = true,
            TakenOut::Taken | TakenOut::Deferred => {}
            TakenOut::Out => {
                map.withdraw_stale(record);
                let (key, fields) = (Record::at(record).handle.get(), Record::at(record));
                let value = fields.value.replace(core::ptr::null_mut());
                // SAFETY: The caller promises a function that may be called with each
                // value; no lock is held, and the value is in no map.
                let call = || unsafe { receive(key, value, argument) };
                retire::hand_over(thread, map, record, || block::call_out(call));
                // The call may have deferred a value, and ended that visit.
                retire::drain(map);
            }
        }
    });
    if busy {
        return Err(Error::Busy);
    }
    Ok(())
}
