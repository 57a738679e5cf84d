//! Orderings that a test weakens.
//!
//! A test that passes shows little until it has been seen to fail. So each
//! ordering that the proof leans on is named here by the file and the line of
//! source that it stands in, is made weaker while the library runs, and a
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
}

/// A place in the library's source where something weaker is done.
#[derive(Clone, Copy, Debug)]
pub struct Weakened {
    file: &'static str,
    line: u32,
    weaker: Weaker,
}

/// The library's source, by file.
const SOURCE: &[(&str, &str)] = &[
    ("src/key/holder.rs", include_str!("../../../src/key/holder.rs")),
    ("src/key/holders.rs", include_str!("../../../src/key/holders.rs")),
    ("src/key/registry.rs", include_str!("../../../src/key/registry.rs")),
    ("src/key/slot.rs", include_str!("../../../src/key/slot.rs")),
    ("src/thread/map.rs", include_str!("../../../src/thread/map.rs")),
    ("src/thread/reachable.rs", include_str!("../../../src/thread/reachable.rs")),
    ("src/thread/visit.rs", include_str!("../../../src/thread/visit.rs")),
    ("src/thread/exchange.rs", include_str!("../../../src/thread/exchange.rs")),
];

impl Weakened {
    /// The line of `file` that contains `text`, the first one after a line that
    /// contains `function`.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn at(file: &'static str, function: &str, text: &str, weaker: Weaker) -> Self {
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
        Self { file, line: line as u32 + 1, weaker }
    }

    fn is_at(&self, place: Place) -> bool {
        place.line() == self.line && place.file().ends_with(self.file)
    }
}

/// The ordering to use at a place that asks for `ordering`.
#[must_use]
pub fn weakened(all: &[Weakened], ordering: Ordering, place: Place) -> Ordering {
    match all.iter().find(|weakened| weakened.is_at(place)).map(|weakened| weakened.weaker) {
        Some(Weaker::Ordered(weaker)) => weaker,
        _ => ordering,
    }
}

/// Whether the lock is left alone at a place that takes one.
#[must_use]
pub fn is_unlocked(all: &[Weakened], place: Place) -> bool {
    all.iter().any(|weakened| weakened.is_at(place) && matches!(weakened.weaker, Weaker::Unlocked))
}
