// SPDX-License-Identifier: MIT OR Apache-2.0
//! What steps and callbacks do in the cases of `reentrant.rs`, and how it is
//! drawn.

use proptest::prelude::*;

/// Something that a step or a callback does. A number means a key: that one of
/// all that were ever made, so it may be dead.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Nothing,
    Get(u8),
    TryGet(u8),
    Set(u8),
    Swap(u8),
    Take(u8),
    Remove(u8),
    Retain(u8),
    Release(u8),
    Expunge,
    ExpungeSome(u8),
    RemoveAll,
}

/// What the callbacks of a key do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    pub(crate) on_end: Op,
    pub(crate) on_free: Op,
    /// What init does before it makes a value; there may be no init.
    pub(crate) on_init: Option<Op>,
    /// Every second call of init fails.
    pub(crate) init_fails: bool,
}

/// A step of a case.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Create(Habits),
    Do(Op),
    CreateMap,
    DestroyMap(u8),
    SwitchMap(u8),
    Detach,
}

/// Draws a case.
pub(crate) fn case(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (any::<(u8, u8)>(), any::<[(u8, u8); 3]>(), any::<u8>())
        .prop_map(|(what, habits, init)| step(what, habits, init));
    prop::collection::vec(step, 1..=longest)
}

fn step(what: (u8, u8), habits: [(u8, u8); 3], init: u8) -> Step {
    match what.0 {
        0..40 => Step::Create(Habits {
            on_end: op(habits[0]),
            on_free: op(habits[1]),
            on_init: (init % 2 == 1).then_some(op(habits[2])),
            init_fails: init % 8 == 7,
        }),
        40..43 => Step::Detach,
        43..48 => Step::DestroyMap(what.1),
        48..56 => Step::CreateMap,
        56..76 => Step::SwitchMap(what.1),
        _ => Step::Do(op(what)),
    }
}

fn op((which, number): (u8, u8)) -> Op {
    match which % 32 {
        0 => Op::Nothing,
        1..4 => Op::Get(number),
        4..6 => Op::TryGet(number),
        6..16 => Op::Set(number),
        16..18 => Op::Swap(number),
        18..20 => Op::Take(number),
        20..23 => Op::Remove(number),
        23 => Op::Retain(number),
        24..28 => Op::Release(number),
        28 => Op::Expunge,
        29 => Op::ExpungeSome(number % 4),
        _ => Op::RemoveAll,
    }
}
