// SPDX-License-Identifier: MIT OR Apache-2.0
//! One thread and several maps, against the plain model of `tests/model`.
//!
//! `tests/model.rs` says what is compared, and when. Here bytes decide what is
//! run, and everything is compared after every operation.
//!
//! ```text
//!   byte 0   how many keys may live at a time: 1 .. 64
//!   byte 1   how many maps there are from the beginning
//!   then     steps; the class says whether a key is alive (0, 1), dead (2), or
//!            none (3)
//! ```

use crate::api::Rules;
use crate::events::{Init, Kind};
use crate::fixture::{in_a_thread, Fixture};
use crate::operation::{Case, KeyCall, Operation, Pick, Stored};
use crate::runner::Runner;
use crate::steps::{steps, Step};

/// More than a case has keys that live, or that are dead and have entries.
const SLOTS: u32 = 512;

/// The case that a byte string is.
fn case(bytes: &[u8]) -> Case {
    let (head, rest) = bytes.split_at(bytes.len().min(2));
    let head = |at: usize| usize::from(head.get(at).copied().unwrap_or(0));
    Case {
        keys: 1 + head(0) % 64,
        maps: head(1) % 4,
        operations: steps(rest).filter_map(operation).collect(),
    }
}

/// Codes from 40 on are free.
fn operation(step: Step) -> Option<Operation> {
    let Step { code, number, detail, .. } = step;
    let on_key = |call| Operation::OnKey(call, pick(step));
    let on_many = |call| Operation::OnMany(call, detail, number.into());
    Some(match code {
        1 => Operation::CreateKey(kind(number, detail)),
        2 => Operation::CreateMany(kind(number, detail), number / 4),
        3 => on_key(KeyCall::Retain),
        4 => on_key(KeyCall::Release),
        5 => on_key(KeyCall::Get),
        6 => on_key(KeyCall::TryGet),
        7 => on_key(KeyCall::GetExisting),
        8 => on_key(KeyCall::Set(stored(detail))),
        9 => on_key(KeyCall::Swap(stored(detail))),
        10 => on_key(KeyCall::Take),
        11 => on_key(KeyCall::Remove),
        12 => on_many(KeyCall::Set(Stored::Fresh)),
        13 => on_many(KeyCall::Release),
        14 => on_many(KeyCall::Remove),
        15 => on_many(KeyCall::Get),
        16 => Operation::RemoveAll,
        17 => Operation::Expunge,
        18 => Operation::ExpungeSome(usize::from(detail % 12)),
        19 => Operation::CreateMap,
        20 => Operation::DestroyMap(detail),
        21 => Operation::SwitchMap(detail),
        22 => Operation::Attach,
        23 => Operation::Detach,
        24 => Operation::ExpungeAllThreads,
        25 => Operation::AtExit,
        26 => Operation::OnStale(detail % 2 == 0),
        27 => on_key(KeyCall::Purge),
        28 => on_key(KeyCall::Scrape),
        29 => on_key(KeyCall::ForEach),
        30 => on_key(KeyCall::Drain),
        31 => on_key(KeyCall::ForEachLocked),
        32 => Operation::BeginScope,
        33 => Operation::EndScope(detail),
        34 => Operation::Capture,
        35 => Operation::BeginIn(detail),
        36 => Operation::FreeContext(detail),
        37 => Operation::CreateTask,
        38 => Operation::RunTask(detail),
        39 => Operation::CancelTask(detail),
        _ => return None,
    })
}

fn pick(step: Step) -> Pick {
    let number = step.number.into();
    match step.class {
        0 | 1 => Pick::Live(number),
        2 => Pick::Dead(number),
        _ => Pick::Never(number),
    }
}

fn stored(detail: u8) -> Stored {
    match detail % 4 {
        0 | 1 => Stored::Fresh,
        2 => Stored::Null,
        _ => Stored::Same,
    }
}

fn kind(number: u8, detail: u8) -> Kind {
    let init = match detail % 4 {
        0 => Init::None,
        1 => Init::Fresh,
        2 => Init::Null,
        _ => Init::Fails,
    };
    let bit = |at: u8| detail >> at & 1 == 1;
    let rules = Rules {
        any: number & 1 != 0,
        enumerable: number & 2 != 0,
        inherit: number & 12 == 4,
        worker: number & 12 == 8,
    };
    Kind { destroy: !bit(2), init, user_free: !bit(3), rules }
}

/// Runs the case that a byte string is: on one thread until that ends, then
/// another clears away.
///
/// # Panics
///
/// When the library does not do what the model says.
pub fn play(bytes: &[u8]) {
    let case = case(bytes);
    let fixture = Fixture::enter(SLOTS);
    let mut runner = Runner::new(fixture.before, case.keys, 1);
    for work in [Runner::run, |runner: &mut Runner, _: &Case| runner.clear_away()] {
        runner = in_a_thread(|| {
            work(&mut runner, &case);
            runner
        });
        runner.thread_has_ended();
    }
    fixture.assert_empty_again();
}

/// The case that a byte string is, one operation a line.
#[must_use]
pub fn show(bytes: &[u8]) -> String {
    let case = case(bytes);
    let operations = case.operations.iter().map(|operation| format!("{operation:?}\n"));
    format!("keys: {}, maps: {}\n{}", case.keys, case.maps, operations.collect::<String>())
}
