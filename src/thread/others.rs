//! Waking the owners of stale values.

use core::ffi::c_void;

use super::keys::notify;
use super::stale::expunge;
use super::{record, stats};
use crate::error::Error;
use crate::key::holder::Notice;

/// Has `notify` called whenever the calling thread's mailbox becomes non-empty.
///
/// # Errors
///
/// [`Error::NoMemory`], [`Error::Exiting`].
pub fn on_stale(
    notify: Option<unsafe extern "C" fn(argument: *mut c_void)>,
    argument: *mut c_void,
) -> Result<(), Error> {
    let thread = record::attached()?;
    thread.own_map().mailbox.set_notice(Notice { notify, argument });
    Ok(())
}

/// Ends the calling thread's stale values, and has the owners of all others
/// told. Returns how many it has ended.
pub fn expunge_all_threads() -> usize {
    let ended = expunge();
    let thread = record::current();
    let mut last = u64::MAX;
    while let Some((number, notice)) = stats::next_with_mail(last) {
        last = number;
        notify(thread, notice);
    }
    ended
}
