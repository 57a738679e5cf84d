// SPDX-License-Identifier: MIT OR Apache-2.0
//! Places of the library that a test weakens.
//!
//! A test that passes shows little until it has been seen to fail. So each
//! ordering and each lock that the proof leans on is named by the file and the
//! line of source that it stands in, is made weaker while the library runs, and a
//! scenario must then fail. The line is found by its text: a test whose line
//! has gone says so.

use std::sync::atomic::Ordering;

use threadlocalmap::sys::modelled::Place;

/// What is done at one place of the source.
#[derive(Clone, Copy, Debug)]
pub enum Weaker {
    /// With this ordering.
    Ordered(Ordering),
    /// The lock is not taken.
    Unlocked,
    /// A compare-exchange does nothing, and says that it has succeeded.
    Skipped,
    /// A load is not made: it answers what this thread has seen there last.
    Repeated,
}

/// A place in the library's source where something weaker is done.
#[derive(Clone, Copy, Debug)]
pub struct Weakened {
    file: &'static str,
    line: u32,
    weaker: Weaker,
    /// Only if the thread's last lock or read-modify-write was there.
    after: Option<(&'static str, u32)>,
}

macro_rules! source {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../../", $file)))),*]
    };
}

/// The library's source, by file.
const SOURCE: &[(&str, &str)] = source![
    "src/key/holders.rs",
    "src/key/registry.rs",
    "src/key/slot.rs",
    "src/local/freeze.rs",
    "src/local/hooks.rs",
    "src/local/inbox.rs",
    "src/local/map.rs",
    "src/local/maps.rs",
    "src/local/pool.rs",
    "src/local/record.rs",
    "src/local/remote.rs",
    "src/local/retire.rs",
    "src/thread/context.rs",
    "src/thread/exit.rs",
    "src/thread/values.rs",
    "src/thread/visit.rs",
];

/// The line of `file` that contains `text`, the first one after a line that
/// contains `function`.
fn line_of(file: &str, function: &str, text: &str) -> u32 {
    let (_, source) = SOURCE
        .iter()
        .find(|(name, _)| *name == file)
        .unwrap_or_else(|| panic!("{file} is not in SOURCE"));
    let line = source
        .lines()
        .enumerate()
        .skip_while(|(_, line)| !line.contains(function))
        .find(|(_, line)| line.contains(text) && !line.trim_start().starts_with("//"))
        .unwrap_or_else(|| panic!("{file} has no {text:?} after {function:?} any more"))
        .0;
    line as u32 + 1
}

impl Weakened {
    /// At the line of `file` that contains `text`, the first one after a line
    /// that contains `function`.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn at(file: &'static str, function: &str, text: &str, weaker: Weaker) -> Self {
        Self { file, line: line_of(file, function, text), weaker, after: None }
    }

    /// There, if the thread's last lock or read-modify-write was at this line.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn after(mut self, file: &'static str, function: &str, text: &str) -> Self {
        self.after = Some((file, line_of(file, function, text)));
        self
    }

    fn is_at(&self, place: Place, last: Option<Place>) -> bool {
        let is =
            |file: &str, line, place: Place| place.line() == line && place.file().ends_with(file);
        is(self.file, self.line, place)
            && self.after.is_none_or(|(file, line)| last.is_some_and(|last| is(file, line, last)))
    }
}

/// What is weaker at a place; `last` is that of the thread's last lock or
/// read-modify-write.
#[must_use]
pub fn weaker_at(all: &[Weakened], place: Place, last: Option<Place>) -> Option<Weaker> {
    all.iter().find(|weakened| weakened.is_at(place, last)).map(|weakened| weakened.weaker)
}
