//! What threads do, and how it is read from a byte string.

use crate::steps::{steps, Step};

/// Threads of a case.
pub(crate) const THREADS: usize = 3;

/// Whom a turn is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Thread(usize),
    /// Whoever had the last turn.
    Same,
}

/// What the callbacks of a key do, and who may touch its values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    pub(crate) init: bool,
    pub(crate) any: bool,
    pub(crate) enumerable: bool,
    /// These callbacks return at once; others wait for turns.
    pub(crate) quiet_destroy: bool,
    pub(crate) quiet_init: bool,
    pub(crate) quiet_user_free: bool,
    /// Every second call of a quiet init fails.
    pub(crate) init_fails: bool,
}

/// A call with a handle that is no key's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Misuse {
    Get,
    TryGet,
    GetExisting,
    Set,
    Swap,
    Take,
    Remove,
    Retain,
    Release,
    Purge,
    Drain,
    ForEach,
    Scrape,
}

/// What a thread does in its turn. A number means a key (one of all that were
/// ever made, so it may be dead) or a map.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    Nothing,
    /// Leaves the callback that the thread is in; an odd number: init fails.
    Return(u8),
    Create(Habits),
    Set(u8),
    Get(u8),
    TryGet(u8),
    GetExisting(u8),
    Swap(u8),
    Take(u8),
    Remove(u8),
    RemoveAll,
    Retain(u8),
    Release(u8),
    Expunge,
    ExpungeSome(u8),
    ExpungeAllThreads,
    Purge(u8),
    Drain(u8),
    ForEach(u8),
    Scrape(u8),
    Attach,
    Detach,
    /// The thread ends, and another takes its place.
    EndThread,
    AtExit,
    OnStale(bool),
    CreateMap,
    SwitchMap(u8),
    DestroyMap(u8),
    Misuse(Misuse, u8),
    /// Sets this many keys, from a key on.
    SetMany(u8, u8),
    /// At the end of a case: the thread has nothing any more.
    Leave,
    /// At the end of a case: all maps and keys go.
    ClearAway,
}

/// A deed and who does it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) who: Who,
    pub(crate) deed: Deed,
}

/// The program that a byte string is.
pub(crate) fn program(bytes: &[u8]) -> Vec<Turn> {
    steps(bytes).map(|step| Turn { who: who(step.class), deed: deed(step) }).collect()
}

fn who(class: u8) -> Who {
    match usize::from(class) {
        0 => Who::Same,
        number => Who::Thread(number - 1),
    }
}

/// Codes from 32 on are free.
fn deed(step: Step) -> Deed {
    let Step { code, number, detail, .. } = step;
    match code {
        1 => Deed::Return(detail),
        2 => Deed::Create(habits(detail)),
        3 => Deed::Set(number),
        4 => Deed::Get(number),
        5 => Deed::TryGet(number),
        6 => Deed::GetExisting(number),
        7 => Deed::Swap(number),
        8 => Deed::Take(number),
        9 => Deed::Remove(number),
        10 => Deed::RemoveAll,
        11 => Deed::Retain(number),
        12 => Deed::Release(number),
        13 => Deed::Expunge,
        14 => Deed::ExpungeSome(detail % 4),
        15 => Deed::ExpungeAllThreads,
        16 => Deed::Purge(number),
        17 => Deed::Drain(number),
        18 => Deed::ForEach(number),
        19 => Deed::Scrape(number),
        20 => Deed::Attach,
        21 => Deed::Detach,
        22 => Deed::EndThread,
        23 => Deed::AtExit,
        24 => Deed::OnStale(detail % 2 == 0),
        25 => Deed::CreateMap,
        26 => Deed::SwitchMap(detail),
        27 => Deed::DestroyMap(detail),
        28 => Deed::Misuse(misuse(detail), number),
        29 => Deed::SetMany(number, detail % 32),
        _ => Deed::Nothing,
    }
}

fn habits(bits: u8) -> Habits {
    let bit = |number: u8| bits >> number & 1 == 1;
    Habits {
        init: bit(0),
        any: bit(1),
        enumerable: bit(2),
        quiet_destroy: bit(3),
        quiet_init: bit(4),
        quiet_user_free: bit(5),
        init_fails: bit(6),
    }
}

fn misuse(detail: u8) -> Misuse {
    match detail % 16 {
        0 => Misuse::Get,
        1 => Misuse::TryGet,
        2 => Misuse::GetExisting,
        3 => Misuse::Set,
        4 => Misuse::Swap,
        5 => Misuse::Take,
        6 => Misuse::Remove,
        7 => Misuse::Retain,
        8 => Misuse::Release,
        9 => Misuse::Purge,
        10 => Misuse::Drain,
        11 => Misuse::ForEach,
        _ => Misuse::Scrape,
    }
}
