//! What a case does: operations, and how they are drawn.
//!
//! An operation names keys and maps by a number that means something in every
//! state (it is taken modulo what is there), so any part of a case is a case:
//! that is what lets a failing one shrink.

use std::iter::repeat_n;

use proptest::prelude::*;

use crate::events::{Init, Kind};

/// Which key an operation is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pick {
    /// One of those alive.
    Live(u16),
    /// One of those that died last.
    Dead(u16),
    /// A handle that is no key's.
    Never(u16),
}

/// What is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stored {
    /// A value that was never there before.
    Fresh,
    /// NULL.
    Null,
    /// The pointer that is there; fresh where there is none.
    Same,
}

/// A call with a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyCall {
    Retain,
    Release,
    Get,
    TryGet,
    GetExisting,
    Set(Stored),
    Swap(Stored),
    Take,
    Remove,
}

/// A step of a case.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// Not beyond the case's number of live keys.
    CreateKey(Kind),
    OnKey(KeyCall, Pick),
    /// The same call with this many live keys, from the so manieth on.
    OnMany(KeyCall, u8, u16),
    RemoveAll,
    Expunge,
    ExpungeSome(usize),
    CreateMap,
    DestroyMap(u8),
    SwitchMap(u8),
    Detach,
}

/// What the cases of a test are like.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Operations of the longest case; the shortest has one.
    pub(crate) longest: usize,
    /// Keys alive at a time, at most.
    pub(crate) keys: usize,
    /// How rare the operations are that fill or empty a whole map; in between
    /// it has time to grow old.
    pub(crate) calm: usize,
}

/// Makes an operation of two numbers.
type Build = fn(u16, u8) -> Operation;

/// The operations, each as often as its share says; those that say least in a
/// failing case come first, because that is where shrinking goes.
fn turns(calm: usize) -> Vec<Build> {
    let frequent: [(usize, Build); 14] = [
        (10, |key, _| Operation::OnKey(KeyCall::Get, pick(key))),
        (4, |key, _| Operation::OnKey(KeyCall::GetExisting, pick(key))),
        (5, |key, _| Operation::OnKey(KeyCall::TryGet, pick(key))),
        (14, |_, detail| Operation::CreateKey(kind(detail))),
        (30, |key, detail| Operation::OnKey(KeyCall::Set(stored(detail)), pick(key))),
        (4, |key, detail| Operation::OnKey(KeyCall::Swap(stored(detail)), pick(key))),
        (4, |key, _| Operation::OnKey(KeyCall::Take, pick(key))),
        (5, |key, _| Operation::OnKey(KeyCall::Remove, pick(key))),
        (2, |key, _| Operation::OnKey(KeyCall::Retain, pick(key))),
        (9, |key, _| Operation::OnKey(KeyCall::Release, pick(key))),
        (3, |_, detail| Operation::ExpungeSome(usize::from(detail) % 12)),
        (2, |_, _| Operation::Expunge),
        (1, |_, _| Operation::CreateMap),
        (10, |_, detail| Operation::SwitchMap(detail)),
    ];
    let rare: [(usize, Build); 5] = [
        (8, |key, detail| Operation::OnMany(KeyCall::Set(Stored::Fresh), detail, key)),
        (6, |key, detail| Operation::OnMany(KeyCall::Release, detail, key)),
        (3, |_, _| Operation::RemoveAll),
        (3, |_, detail| Operation::DestroyMap(detail)),
        (1, |_, _| Operation::Detach),
    ];
    let frequent = frequent.into_iter().map(|(share, build)| (share * calm, build));
    frequent.chain(rare).flat_map(|(share, build)| repeat_n(build, share)).collect()
}

/// What is played: the operations, and what there is for them.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Keys alive at a time, at most.
    pub(crate) keys: usize,
    /// Maps from the beginning, beside the thread's own.
    pub(crate) maps: usize,
    pub(crate) operations: Vec<Operation>,
}

/// Draws a case.
///
/// As plain numbers: a union of strategies for each operation would take
/// longer than to play the case.
pub(crate) fn case(shape: Shape) -> impl Strategy<Value = Case> {
    let turns = turns(shape.calm);
    let operation = (0..turns.len(), any::<u16>(), any::<u8>())
        .prop_map(move |(turn, number, detail)| turns[turn](number, detail));
    (1..=shape.keys, 0usize..=3, prop::collection::vec(operation, 1..=shape.longest))
        .prop_map(|(keys, maps, operations)| Case { keys, maps, operations })
}

fn pick(number: u16) -> Pick {
    let (which, class) = (number / 64, number % 64);
    match class {
        0..54 => Pick::Live(which),
        54..62 => Pick::Dead(which),
        _ => Pick::Never(which),
    }
}

fn stored(detail: u8) -> Stored {
    match detail % 16 {
        0..14 => Stored::Fresh,
        14 => Stored::Null,
        _ => Stored::Same,
    }
}

/// Mostly keys that tell everything; some that have no callback at all.
fn kind(detail: u8) -> Kind {
    let init = match detail / 16 {
        0..7 => Init::None,
        7..12 => Init::Fresh,
        12..14 => Init::Null,
        _ => Init::Fails,
    };
    Kind { destroy: detail % 8 != 7, init, user_free: detail % 16 < 14 }
}
