// SPDX-License-Identifier: MIT OR Apache-2.0
//! What threads do, and how it is read from a byte string.

use crate::steps::{steps, Step};

/// Threads of a case.
pub(crate) const THREADS: usize = 3;

/// Whom a turn is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Thread(usize),
    /// The thread that had the last turn.
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
pub(crate) enum Op {
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
    /// With the key's lock.
    Look(u8),
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

/// An operation and the thread that does it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) who: Who,
    pub(crate) op: Op,
}

/// The program that a byte string is.
pub(crate) fn program(bytes: &[u8]) -> Vec<Turn> {
    steps(bytes).map(|step| Turn { who: who(step.class), op: op(step) }).collect()
}

fn who(class: u8) -> Who {
    match usize::from(class) {
        0 => Who::Same,
        number => Who::Thread(number - 1),
    }
}

/// Codes from 32 on are free.
fn op(step: Step) -> Op {
    let Step { code, number, detail, .. } = step;
    match code {
        1 => Op::Return(detail),
        2 => Op::Create(habits(detail)),
        3 => Op::Set(number),
        4 => Op::Get(number),
        5 => Op::TryGet(number),
        6 => Op::GetExisting(number),
        7 => Op::Swap(number),
        8 => Op::Take(number),
        9 => Op::Remove(number),
        10 => Op::RemoveAll,
        11 => Op::Retain(number),
        12 => Op::Release(number),
        13 => Op::Expunge,
        14 => Op::ExpungeSome(detail % 4),
        15 => Op::ExpungeAllThreads,
        16 => Op::Purge(number),
        17 => Op::Drain(number),
        18 if detail % 4 == 3 => Op::Look(number),
        18 => Op::ForEach(number),
        19 => Op::Scrape(number),
        20 => Op::Attach,
        21 => Op::Detach,
        22 => Op::EndThread,
        23 => Op::AtExit,
        24 => Op::OnStale(detail % 2 == 0),
        25 => Op::CreateMap,
        26 => Op::SwitchMap(detail),
        27 => Op::DestroyMap(detail),
        28 => Op::Misuse(misuse(detail), number),
        29 => Op::SetMany(number, detail % 32),
        _ => Op::Nothing,
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
