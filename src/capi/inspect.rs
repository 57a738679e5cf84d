//! Looking at what is there.

use core::ffi::{c_char, c_int, c_void};

use super::constants::tls_key_t;
use super::{code, number};
use crate::error::Error;
use crate::thread::{attach, report};

/// Writes a report of every map, every key, and who has a value under which, as
/// JSON.
///
/// For looking at a leak: at a pool's shutdown, say, when nothing should be
/// left. "maps" has each map with its thread and the numbers of its entries and
/// stale entries; "keys" has each key that is live, or dead and not forgotten
/// yet, with its name (256 bytes of it) and the map and thread of each value;
/// with its references, if it is live; if it is dead, with how many pins
/// (values, and a release that is under way) it still has, and, if it left
/// values to others when it died, how many such keys have died since
/// ("deaths_since": those that wait for long have a large number); "local" has
/// the calling thread's entries, with values. Handles are strings, because they
/// have more bits than a JSON number. What other threads change meanwhile is
/// each right for some instant during the call.
///
/// In docs/dump.schema.json its shape is described. A leak report is three lines:
///
///     static int print(const char *bytes, size_t length, void *file) {
///       return fwrite(bytes, 1, length, file) != length;
///     }
///     tls_dump(print, stderr);   when the pool has shut down
///
/// write: called with parts of the text, not terminated; non-zero: it wants no
/// more. No lock is held: it may call any function of this library. arg: yours.
///
/// Needs no memory. Threads: any. Blocks: no. Cost: O(keys that ever lived at
/// once + values + maps squared + dead keys times values); where more than 64
/// maps have a value of one key, so much again for each 64. Signals: not safe
/// (tls_dump_fd() is).
/// Returns TLS_OK; TLS_ERR_INVALID (write is NULL); TLS_ERR_LIMIT (write wanted
/// no more); TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_dump(
    write: Option<
        unsafe extern "C" fn(bytes: *const c_char, length: usize, arg: *mut c_void) -> c_int,
    >,
    arg: *mut c_void,
) -> c_int {
    let write = write.ok_or(Error::Invalid);
    code(write.and_then(|write| report::dump(attach::current()?, write, arg)))
}

/// Writes the report of tls_dump() to a descriptor, also when something has gone
/// wrong.
///
/// For a debugger ("call (int)tls_dump_fd(2)"), and for handlers of SIGSEGV and the
/// like, whatever its thread and the others were doing, this library's own work
/// included. It allocates nothing, calls nobody, and waits for no lock longer
/// than some milliseconds in all. What needs a lock that can't be had then is
/// left out: the report says "incomplete", and so does each key of which a part
/// is missing (its name is empty then). "local" is empty: the calling thread's
/// entries may be half changed. In the child of a fork, before the library's own
/// handler has run there, it reports what the fork has left.
///
/// fd: is written to with write(2), until all is written. Where it blocks, so
/// does this, with no lock held. Where it is non-blocking and full, or nobody
/// reads it any more (SIGPIPE is yours to ignore), the report ends in the
/// middle. errno is left as it was. It needs about 4 KB of stack.
///
/// Threads: any, attached or not. Blocks: no, but for fd. Cost: as tls_dump(),
/// with maps. Signals: safe.
/// Returns TLS_OK, also if it is incomplete; TLS_ERR_INVALID (fd is not open for
/// writing); TLS_ERR_LIMIT (it took no more).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_dump_fd(fd: c_int) -> c_int {
    // Asks for no thread: that might build the library's state anew, in a fork's child.
    code(report::dump_to(fd))
}

/// Calls `visit` with each map and context that still has values of a key, dead
/// or alive.
///
/// For a key that tls_key_drain() has waited for in vain: who has its values?
/// Also for a live one. map: the number that tls_dump() has for it; thread: the
/// operating system's number of the thread that it is attached to, 0 for none;
/// values: how many it has. Each is right for some instant during the call. visit
/// is called with no lock held, and may call any function of this library. With
/// another number than 0 it is the last call. arg: yours.
///
/// Needs no memory. Threads: any. Blocks: no. Cost: O(values) of a live key,
/// O(values of all keys) of a dead one; so much again for each 64 maps.
/// Signals: not safe.
/// Returns what visit has returned last; TLS_OK if nobody has a value, also of a
/// key that is forgotten; TLS_ERR_INVALID (visit is NULL); TLS_ERR_BAD_KEY;
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_for_each_holder(
    key: tls_key_t,
    visit: Option<
        unsafe extern "C" fn(map: u64, thread: u64, values: usize, arg: *mut c_void) -> c_int,
    >,
    arg: *mut c_void,
) -> c_int {
    let visit = visit.ok_or(Error::Invalid);
    number(visit.and_then(|visit| {
        attach::current()?;
        report::for_each_holder(key, visit, arg)
    }))
}

/// Calls `visit` with each of the calling thread's values that tls_get() would
/// find under a live key.
///
/// The oldest first; those that a scope hides are passed over. visit may call
/// any function of this library: what it adds is not visited, what it removes
/// before its turn is not either. arg: yours.
///
/// Threads: any. Blocks: no. Signals: not safe.
/// Returns TLS_OK (also on a thread that is not attached); TLS_ERR_INVALID (visit
/// is NULL); TLS_ERR_NO_MEMORY; TLS_ERR_REENTRANT (called by the memory
/// allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_for_each_local(
    visit: Option<unsafe extern "C" fn(key: tls_key_t, value: *mut c_void, arg: *mut c_void)>,
    arg: *mut c_void,
) -> c_int {
    let visit = visit.ok_or(Error::Invalid);
    code(visit.and_then(|visit| {
        if let Some(thread) = attach::current()? {
            report::for_each_local(thread, visit, arg);
        }
        Ok(())
    }))
}
