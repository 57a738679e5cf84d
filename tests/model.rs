// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library against a plain model: 1.6 million random operations.
//!
//! # What is run
//!
//! A case is a list of operations: keys made, retained, released; values set,
//! read, swapped, taken, removed; stale entries expunged; maps made, switched to
//! and destroyed; the thread detached. A case runs on one thread, with up to
//! five maps: whatever is released while one map is current makes the entries of
//! the others stale, exactly as another thread's release would. So one thread
//! brings about every order of events, and a failing case can be repeated and
//! shrinks. (What only happens at the same time is in `threads.rs`.)
//!
//! ```text
//!   thread 1   operations ... ends, in whatever map it is
//!   thread 2   visits the maps that are left, destroys them, releases the keys
//!   then       keys, maps, values and memory are what they were before
//! ```
//!
//! # What is compared, and with what
//!
//! The model (`reference.rs`) is a few ordered maps. After every operation:
//!
//! * the answer, also of handles that are dead or never were keys;
//! * every callback, with its value and its reason, exactly once; in order where
//!   an order is promised (the youngest first, when a map is emptied);
//! * `user_free`, once and after the key's last value;
//! * the stale count.
//!
//! And every so often, in short cases after every operation: each entry of each
//! map, the library's own invariants, and its statistics.
//!
//! # What is left open
//!
//! An owner's insert or miss destroys stale values before its own work, and the
//! end of a scope after it: as many as there are, at most 8. Which, is not
//! promised; so the runner reads in the log which values ended, and the model
//! checks that each was stale there. Nor is it promised which stale entries the
//! table gives up on the way. Nothing else may end.
//!
//! # Scopes, contexts and tasks
//!
//! Every map has its scopes, up to six of them, which wait while it is switched
//! away and end with it. Some keys are `WORKER`, some `INHERIT`; contexts are
//! captured in one map, entered in another, and freed on another thread; tasks
//! run empty, which moves their values into a scope and ends it. Stale values that
//! a scope hides may be destroyed on the way like any others (`scopes.rs`).
//!
//! # Callbacks that do something
//!
//! In these cases callbacks write a log and do nothing else. `reentrant.rs` has
//! those that call the library themselves, and keeps a shadow instead of a model.
//!
//! `THREADLOCALMAP_MODEL_CASES` sets the number of short cases; the other tests
//! follow in proportion. A failure prints its seed and the shortest case found.

#[path = "support/api.rs"]
mod api;
#[path = "model/draw.rs"]
mod draw;
#[path = "model/events.rs"]
mod events;
#[path = "model/fixture.rs"]
mod fixture;
#[path = "support/internals.rs"]
mod internals;
#[path = "support/invariants.rs"]
mod invariants;
#[path = "model/op.rs"]
mod op;
#[path = "model/operation.rs"]
mod operation;
#[path = "model/others.rs"]
mod others;
#[path = "model/reentrant.rs"]
mod reentrant;
#[path = "model/reference.rs"]
mod reference;
#[path = "model/runner.rs"]
mod runner;

use draw::Shape;
use fixture::{in_a_thread, Fixture};
use operation::Case;
use proptest::prelude::*;
use runner::Runner;

/// Runs a case: on one thread until that ends, then another clears away.
/// Everything is compared after each `survey_every`th operation.
fn run(case: &Case, survey_every: usize) {
    let fixture = Fixture::enter(draw::SLOTS);
    let mut runner = Runner::new(fixture.before, case.keys, survey_every);
    for work in [Runner::run, |runner: &mut Runner, _: &Case| runner.clear_away()] {
        runner = in_a_thread(|| {
            work(&mut runner, case);
            runner
        });
        runner.thread_has_ended();
    }
    fixture.assert_empty_again();
}

/// Tables of one size, and everything compared all the time.
const SHORT: Shape = Shape { longest: 120, keys: 10, calm: 3 };
/// Tables of 16 to 128 slots.
const MIDDLING: Shape = Shape { longest: 600, keys: 60, calm: 10 };
/// Tables of up to 1024 slots, with long runs and many stale entries.
const LONG: Shape = Shape { longest: 8_000, keys: 400, calm: 100 };

proptest! {
    #![proptest_config(draw::config(1))]

    #[test]
    fn short_runs_over_few_keys(case in draw::case(SHORT)) {
        run(&case, 1);
    }
}

proptest! {
    #![proptest_config(draw::config(5))]

    #[test]
    fn runs_over_tables_that_grow_and_shrink(case in draw::case(MIDDLING)) {
        run(&case, 4);
    }
}

proptest! {
    #![proptest_config(draw::config(100))]

    #[test]
    fn long_runs_over_hundreds_of_keys(case in draw::case(LONG)) {
        run(&case, 32);
    }
}

proptest! {
    #![proptest_config(draw::config(2))]

    #[test]
    fn callbacks_that_call_back_lose_nothing_and_repeat_nothing(steps in op::case(80)) {
        reentrant::run(&steps);
    }
}
