// SPDX-License-Identifier: MIT OR Apache-2.0
//! How cases are drawn, and how many.

use std::iter::repeat_n;

use crate::api::Rules;
use crate::events::{Init, Kind};
use crate::operation::{Case, KeyCall, Operation, Pick, Stored};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};

/// Short cases of a whole run; the other tests run a share of this number.
const SHORT_CASES: u32 = 10_000;

/// Sets the number of short cases, and all others in proportion.
const CASES_VARIABLE: &str = "THREADLOCALMAP_MODEL_CASES";

/// More slots than any case uses.
pub(crate) const SLOTS: u32 = 1_024;

/// How a test runs that has one case for each `share` short ones.
pub(crate) fn config(share: u32) -> Config {
    let short_cases = match std::env::var(CASES_VARIABLE) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{CASES_VARIABLE} is not a number")),
        Err(_) => SHORT_CASES,
    };
    Config {
        cases: (short_cases / share).max(1),
        max_shrink_iters: 20_000,
        // Beside the test: the seeds of failures, to be tried first next time.
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..Config::default()
    }
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
    let frequent: [(usize, Build); 29] = [
        (10, |key, _| Operation::OnKey(KeyCall::Get, pick(key))),
        (4, |key, _| Operation::OnKey(KeyCall::GetExisting, pick(key))),
        (5, |key, _| Operation::OnKey(KeyCall::TryGet, pick(key))),
        (14, |key, detail| Operation::CreateKey(kind(detail, key))),
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
        (2, |key, _| Operation::OnKey(KeyCall::Purge, pick(key))),
        (2, |key, _| Operation::OnKey(KeyCall::Scrape, pick(key))),
        (2, |key, _| Operation::OnKey(KeyCall::ForEach, pick(key))),
        (2, |key, _| Operation::OnKey(KeyCall::ForEachLocked, pick(key))),
        (1, |key, _| Operation::OnKey(KeyCall::Drain, pick(key))),
        (1, |_, _| Operation::ExpungeAllThreads),
        (1, |_, detail| Operation::OnStale(detail < 192)),
        (5, |_, _| Operation::BeginScope),
        (6, |_, detail| Operation::EndScope(if detail < 240 { 0 } else { detail | 1 })),
        (1, |_, _| Operation::Capture),
        (2, |_, detail| Operation::BeginIn(detail)),
        (1, |_, detail| Operation::FreeContext(detail)),
        (1, |_, _| Operation::CreateTask),
        (2, |_, detail| Operation::RunTask(detail)),
        (1, |_, detail| Operation::CancelTask(detail)),
    ];
    let rare: [(usize, Build); 8] = [
        (8, |key, detail| Operation::OnMany(KeyCall::Set(Stored::Fresh), detail, key)),
        (6, |key, detail| Operation::OnMany(KeyCall::Release, detail, key)),
        (3, |_, _| Operation::RemoveAll),
        (3, |_, detail| Operation::DestroyMap(detail)),
        (1, |_, _| Operation::Detach),
        (1, |_, _| Operation::Attach),
        (3, |_, _| Operation::AtExit),
        (1, |key, detail| Operation::CreateMany(kind(detail, key), detail % 64)),
    ];
    let frequent = frequent.into_iter().map(|(share, build)| (share * calm, build));
    frequent.chain(rare).flat_map(|(share, build)| repeat_n(build, share)).collect()
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

/// Mostly keys that tell everything, and whose values are their owners' alone;
/// some that have no callback at all.
fn kind(detail: u8, number: u16) -> Kind {
    let init = match detail / 16 {
        0..7 => Init::None,
        7..12 => Init::Fresh,
        12..14 => Init::Null,
        _ => Init::Fails,
    };
    let rules = Rules {
        any: matches!(number % 8, 0 | 1),
        enumerable: matches!(number % 8, 1 | 2),
        inherit: matches!(number / 8 % 8, 0 | 1),
        worker: number / 8 % 8 == 2,
    };
    Kind { destroy: detail % 8 != 7, init, user_free: detail % 16 < 14, rules }
}
