// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who can meet whom, in every schedule and under a weak memory model.
//!
//! Each scenario is a script for two or three threads; `runner` has what must
//! hold after each. The number is that of preemptions: a scenario with more
//! threads is played with fewer. `1 of 2`: `make check` plays it with one, in
//! seconds, and `make check-deep` with two (THREADLOCALMAP_DEEP=1).
//! THREADLOCALMAP_MORE_PREEMPTIONS=1 plays each with one more. README.md has the
//! table of roles.

use threadlocalmap_schedules::script::{Rules, Script};
use threadlocalmap_schedules::weak::{check, is_deep};

const OWNER: Rules = Rules::OWNER;
const ANY: Rules = Rules::ANY;
const ENUMERABLE: Rules = Rules::ENUMERABLE;
const BOTH: Rules = Rules::BOTH;
const WORKER: Rules = Rules::WORKER;
const INHERITED: Rules = Rules::OWNER.inherited();
const ANY_INHERITED: Rules = Rules::ANY.inherited();
const ENUMERABLE_INHERITED: Rules = Rules::ENUMERABLE.inherited();

macro_rules! scenarios {
    ($($name:ident: $rules:expr, $preemptions:literal $(of $all:literal)?, [$($part:literal),*];)*) => { $(
        #[test]
        fn $name() {
            let preemptions = $(if is_deep() { $all } else)? { $preemptions };
            check(preemptions, Script::new($rules, &[$($part),*]).with_init(), &[]);
        }
    )* };
}

// ---- Two threads: a key of which each value is its owner's -------------------

scenarios! {
    a_releaser_with_a_value_and_an_owner_that_expunges: OWNER, 4, ["set | release", "set | expunge"];
    a_releaser_without_a_value_and_an_owner_that_expunges: OWNER, 4, ["attach | release", "set | expunge"];
    a_releaser_that_is_not_attached_and_an_owner_that_expunges: OWNER, 4, ["release", "set | expunge"];
    a_releaser_and_an_owner_that_sets_again: OWNER, 4, ["set | release", "set | set"];
    a_releaser_and_an_owner_that_swaps: OWNER, 4, ["attach | release", "set | swap"];
    a_releaser_and_an_owner_that_takes: OWNER, 4, ["release", "set | take"];
    a_releaser_and_an_owner_that_removes: OWNER, 3 of 4, ["set | release", "set | remove"];
    a_releaser_and_an_owner_whose_value_is_made: OWNER, 3, ["set | release", "get"];
    a_releaser_with_a_value_and_a_late_linker: OWNER, 3, ["set | release", "attach | set"];
    a_releaser_without_a_value_and_a_late_linker: OWNER, 3, ["attach | release", "set"];
    a_releaser_that_is_not_attached_and_a_late_linker: OWNER, 3, ["release", "attach | set"];
    two_linkers: OWNER, 4, ["attach | set", "attach | set"];
    a_linker_and_one_that_unlinks: OWNER, 4, ["attach | set", "set | remove"];
    two_that_unlink: OWNER, 4, ["set | remove", "set | remove"];
    two_releasers: OWNER, 4, ["set | release", "set | release"];
    a_releaser_with_a_value_and_a_thread_that_exits: OWNER, 2 of 3, ["set | release", "set | exit"];
    a_releaser_that_is_not_attached_and_a_thread_that_exits: OWNER, 3, ["release", "set | exit"];
    a_releaser_and_a_thread_that_detaches: OWNER, 3, ["attach | release", "set | detach"];
    a_releaser_that_exits_and_an_owner_that_expunges: OWNER, 3, ["set | release exit", "set | expunge"];
    two_threads_that_exit: OWNER, 3, ["set | exit", "set | exit"];
    a_linker_that_comes_when_the_slot_serves_another_key: OWNER, 3, ["set | release create", "attach | set"];
    a_linker_that_comes_when_the_slot_is_another_threads: OWNER, 3, ["release create", "set"];
    two_that_make_keys: OWNER, 3, ["create", "create"];
    two_that_make_keys_and_one_ends: OWNER, 3, ["release create", "create exit"];
    one_that_makes_a_key_and_one_that_guesses_its_handle: OWNER, 3, ["release create", "attach | guess"];
    two_releasers_that_use_what_the_key_stands_for: OWNER, 4, ["use release", "use release"];
    a_drainer_and_a_releaser: OWNER, 4, ["set | release", "drain"];
    a_drainer_and_an_owner_that_expunges: OWNER, 4, ["set | expunge", "set release | drain"];
    a_drainer_and_a_thread_that_exits: OWNER, 3, ["set | exit", "release | drain"];
    a_drainer_that_waits_and_an_owner_that_expunges: OWNER, 3, ["set | expunge", "release | wait"];
    a_drainer_of_a_live_key_and_an_owner_that_removes: OWNER, 4, ["drain", "set | remove"];
    a_releaser_and_an_owner_with_a_waker: OWNER, 3, ["attach | release", "waker set | expunge"];
    a_releaser_and_a_thread_with_wakers: OWNER, 3, ["attach | release", "waker set | waker"];
    a_hook_and_a_releaser_of_its_owner: OWNER, 4, ["hook | exit", "release"];
    a_hook_and_a_releaser_with_a_value_of_its_owner: OWNER, 2 of 3, ["hook set | exit", "set | release"];
    a_hook_and_a_drainer_of_its_owner: OWNER, 3, ["hook | exit", "release | drain"];
    a_hook_whose_owners_slot_serves_another_key: OWNER, 3, ["hook | exit", "release create"];
    a_releaser_and_a_map_that_changes_threads: OWNER, 3, ["switch set back | release", "switch set back"];
    two_threads_and_a_map_that_they_share: OWNER, 3, ["switch set back", "switch set back"];
}

// ---- Two threads: values that other threads end -------------------------------

scenarios! {
    a_releaser_of_any_and_an_owner_that_expunges: ANY, 3, ["set | release", "set | expunge"];
    a_releaser_of_any_and_an_owner_that_sets_again: ANY, 3, ["release", "set | set"];
    a_releaser_of_any_and_an_owner_that_takes: ANY, 3, ["attach | release", "set | take"];
    a_releaser_of_any_and_an_owner_that_removes: ANY, 2 of 3, ["set | release", "set | remove"];
    a_releaser_of_any_and_a_late_linker: ANY, 3, ["set | release", "get"];
    a_releaser_of_any_and_a_thread_that_exits: ANY, 2 of 3, ["set | release", "set | exit"];
    a_releaser_of_any_and_a_slot_that_serves_another_key: ANY, 2 of 3, ["set | release create", "set | set"];
    a_purger_and_an_owner_that_sets_again: ANY, 3, ["set | purge", "set | set"];
    a_purger_and_an_owner_that_gets: ANY, 2 of 3, ["set | purge", "set | get"];
    a_purger_and_an_owner_that_removes: ANY, 3, ["attach | purge", "set | remove"];
    a_purger_and_a_thread_that_exits: ANY, 3, ["purge", "set | exit"];
    a_purger_and_a_releaser: ANY, 3, ["set | purge", "set | release"];
    two_purgers: ANY, 3, ["set | purge", "set | purge"];
}

// ---- Two threads: values that are looked at with locks --------------------------

scenarios! {
    a_locked_visitor_and_an_owner_that_sets_again: ENUMERABLE, 3, ["look", "set | set"];
    a_locked_visitor_and_an_owner_that_removes: ENUMERABLE, 3, ["set | look", "set | remove"];
    a_locked_visitor_and_an_owner_that_takes: ENUMERABLE, 3, ["look", "set | take"];
    a_locked_visitor_and_a_late_linker: ENUMERABLE, 3, ["set | look", "get"];
    a_locked_visitor_and_a_thread_that_exits: ENUMERABLE, 3, ["look", "set | exit"];
    a_locked_visitor_and_a_releaser: ENUMERABLE, 3, ["set | look", "set | release"];
    a_locked_visitor_and_a_visitor: ENUMERABLE, 3, ["set | look", "set | visit"];
    two_locked_visitors: ENUMERABLE, 3, ["set | look", "set | look"];
    a_locked_visitor_and_a_purger: ENUMERABLE, 3, ["set | look", "set | purge"];
    a_locked_visitor_and_one_that_takes_all: ENUMERABLE, 3, ["set | look", "set | scrape"];
    a_locked_visitor_and_a_scope_that_ends: ENUMERABLE, 3, ["look", "set begin set | end"];
    a_locked_visitor_and_a_capture: ENUMERABLE_INHERITED, 3, ["look", "set | capture free"];
    a_locked_visitor_and_a_map_that_moves: ENUMERABLE, 3, ["look", "switch set back | switch remove back"];
}

// ---- Two threads: values that another thread purges, and their owner ends -----

scenarios! {
    a_purger_of_owners_and_one_that_sets_again: ENUMERABLE, 2 of 3, ["set | purge", "set | set"];
    a_purger_of_owners_and_one_that_gets_and_expunges: ENUMERABLE, 3, ["purge", "set | get expunge"];
    a_purger_of_owners_and_one_that_removes: ENUMERABLE, 3, ["attach | purge", "set | remove"];
    a_purger_of_owners_and_one_that_takes: ENUMERABLE, 3, ["purge", "set | take"];
    a_purger_of_owners_and_one_that_exits: ENUMERABLE, 3, ["purge", "set | exit"];
    a_purger_of_owners_and_a_releaser: ENUMERABLE, 2 of 3, ["set | purge", "set | release"];
    a_purger_of_owners_and_a_drainer: ENUMERABLE, 2 of 3, ["purge release", "set | expunge drain"];
    a_purger_of_owners_and_one_with_a_waker: ENUMERABLE, 3, ["attach | purge", "waker set | expunge"];
    two_purgers_of_owners: ENUMERABLE, 3, ["set | purge", "set | purge"];
    a_purger_of_owners_and_a_visitor: ENUMERABLE, 3, ["set | purge", "set | visit"];
    a_purger_of_owners_and_one_that_takes_all: ENUMERABLE, 3, ["set | purge", "set | scrape"];
    a_purger_of_owners_and_a_scope_that_ends: ENUMERABLE, 2 of 3, ["purge", "set begin set | end"];
    a_purger_of_owners_and_a_scope_that_hides: ENUMERABLE, 3, ["purge", "set begin | remove end"];
    a_purger_of_owners_and_a_scope_that_covers: ENUMERABLE, 3, ["purge", "set begin | set end"];
    a_purger_of_owners_and_a_capture: ENUMERABLE_INHERITED, 3, ["purge", "set | capture free"];
    a_purger_of_owners_and_a_map_that_moves: ENUMERABLE, 3, ["purge", "switch set back | switch remove back"];
}

// ---- Two threads: values that other threads look at, or take ------------------

scenarios! {
    a_visitor_and_an_owner_that_sets_again: ENUMERABLE, 3, ["visit", "set | set"];
    a_visitor_and_an_owner_that_removes: ENUMERABLE, 3, ["set | visit", "set | remove"];
    a_visitor_and_an_owner_that_swaps: ENUMERABLE, 3, ["visit", "set | swap"];
    a_visitor_and_an_owner_that_takes: ENUMERABLE, 3, ["visit", "set | take"];
    a_visitor_and_a_late_linker: ENUMERABLE, 3, ["set | visit", "get"];
    a_visitor_and_a_thread_that_exits: ENUMERABLE, 3, ["visit", "set | exit"];
    a_visitor_and_a_releaser: ENUMERABLE, 3, ["set | visit", "set | release"];
    a_visitor_of_any_and_an_owner_that_sets_again: BOTH, 3, ["visit", "set | set"];
    a_visitor_of_any_and_an_owner_that_removes_and_expunges: BOTH, 3, ["visit", "set | remove expunge"];
    a_visitor_of_any_and_a_thread_that_exits: BOTH, 3, ["visit", "set | exit"];
    two_visitors: ENUMERABLE, 3, ["set | visit", "visit"];
    a_visitor_and_one_that_takes_all: ENUMERABLE, 3, ["set | visit", "set | scrape"];
    one_that_takes_all_and_an_owner_that_takes: ENUMERABLE, 3, ["scrape", "set | take"];
    one_that_takes_all_and_an_owner_that_sets_again: ENUMERABLE, 3, ["scrape", "set | set"];
    one_that_takes_all_and_a_thread_that_exits: ENUMERABLE, 3, ["scrape", "set | exit"];
    one_that_takes_all_and_a_releaser: ENUMERABLE, 3, ["set | scrape", "set | release"];
}

// ---- Three threads -------------------------------------------------------------

scenarios! {
    three_a_releaser_and_two_owners: OWNER, 1 of 2, ["set | release", "set | expunge", "set | remove"];
    three_a_releaser_an_exit_and_a_drainer: OWNER, 1 of 2, ["set | release", "set | exit", "drain"];
    three_a_releaser_and_two_late_linkers: OWNER, 2, ["set | release", "attach | set", "attach | set"];
    three_a_releaser_and_two_exits: OWNER, 1 of 2, ["release", "set | exit", "set | exit"];
    three_releasers: OWNER, 2, ["set | release", "set | release", "release"];
    three_a_late_linker_a_reused_slot_and_an_owner: OWNER, 1, ["release create", "set | expunge create", "attach | set"];
    three_a_drainer_an_owner_and_a_releaser: OWNER, 2, ["attach | drain", "set | expunge", "attach | release"];
    three_any_a_releaser_an_exit_and_a_linker: ANY, 1 of 2, ["set | release", "set | exit", "attach | set"];
    three_any_a_releaser_a_set_and_a_drainer: ANY, 1 of 2, ["release", "set | set", "drain"];
    three_any_a_purger_an_owner_and_a_releaser: ANY, 1, ["purge", "set | set", "attach | release"];
    three_any_a_purger_an_exit_and_a_linker: ANY, 1 of 2, ["set | purge", "set | exit", "attach | set"];
    three_a_visitor_an_owner_and_a_releaser: ENUMERABLE, 1 of 2, ["visit", "set | remove", "attach | release"];
    three_a_visitor_a_purger_and_an_owner: ENUMERABLE, 1, ["visit", "purge", "set | set"];
    three_a_visitor_a_purger_and_an_exit: ENUMERABLE, 1, ["visit", "purge", "set | exit"];
    three_a_locked_visitor_an_exit_and_a_releaser: ENUMERABLE, 1, ["look", "set | exit", "attach | release"];
    three_a_locked_visitor_a_visitor_and_an_owner: ENUMERABLE, 1, ["look", "visit", "set | set"];
    three_a_purger_a_releaser_and_an_owner: ENUMERABLE, 1, ["purge", "attach | release", "set | set"];
    three_two_visitors_and_an_owner: ENUMERABLE, 1 of 2, ["visit", "visit", "set | set"];
    three_two_visitors_and_an_exit: ENUMERABLE, 1 of 2, ["visit", "visit", "set | exit"];
    three_a_visitor_a_taker_and_an_owner: ENUMERABLE, 1, ["visit", "scrape", "set | remove"];
    three_a_visitor_a_releaser_and_a_drainer: ENUMERABLE, 1, ["set | visit", "attach | release", "drain"];
    three_a_visitor_of_any_an_exit_and_a_releaser: BOTH, 1 of 2, ["visit", "set | exit", "attach | release"];
    three_a_visitor_of_any_an_owner_and_a_purger: BOTH, 1, ["visit", "set | set", "purge"];
}

// ---- Two threads: scopes, contexts, tasks, maps that move ----------------------

scenarios! {
    a_releaser_and_a_scope_that_covers: OWNER, 3, ["release", "set | begin set end"];
    a_releaser_and_a_scope_that_ends: OWNER, 2 of 3, ["attach | release", "set begin set | end"];
    a_releaser_and_a_scope_that_hides: OWNER, 3, ["release", "set begin | remove end"];
    a_releaser_and_a_covered_value_that_is_expunged: OWNER, 2 of 3, ["set | release", "set begin set | expunge"];
    a_releaser_and_a_thread_that_exits_in_a_scope: OWNER, 1 of 2, ["release", "set begin set | exit"];
    a_releaser_in_a_scope_and_an_owner: OWNER, 3, ["set begin set | release", "set | expunge"];
    a_releaser_of_any_and_a_scope_that_covers: ANY, 3, ["release", "set begin | set"];
    a_releaser_of_any_and_a_scope_that_ends: ANY, 2 of 3, ["attach | release", "set begin set | end"];
    a_releaser_of_any_and_a_thread_that_exits_in_a_scope: ANY, 2, ["release", "set begin set | exit"];
    a_purger_and_a_scope_that_ends: ANY, 3, ["purge", "set begin set | end"];
    a_purger_and_a_scope_that_hides: ANY, 3, ["purge", "set begin | remove end"];
    a_visitor_and_a_scope_that_covers: ENUMERABLE, 3, ["visit", "set begin | set"];
    a_visitor_and_a_scope_that_ends: ENUMERABLE, 3, ["visit", "set begin set | end"];
    a_visitor_of_any_and_a_scope_that_ends: BOTH, 3, ["visit", "set begin set | end"];
    a_visitor_and_a_thread_that_exits_in_a_scope: ENUMERABLE, 2 of 3, ["visit", "set begin set | exit"];
    one_that_takes_all_and_a_scope_that_ends: ENUMERABLE, 3, ["scrape", "set begin set | end"];
    a_releaser_and_a_workers_value_in_a_scope: WORKER, 3, ["release", "set begin | set end"];
    a_releaser_and_a_capture: INHERITED, 3, ["release", "set | capture free"];
    a_releaser_and_one_that_enters_a_context: INHERITED, 2 of 3, ["release", "set capture | enter end"];
    a_releaser_and_one_that_frees_a_context: INHERITED, 3, ["set | release", "set capture | free"];
    a_releaser_and_a_task: INHERITED, 1 of 2, ["release", "set submit | run"];
    a_releaser_and_a_task_that_is_cancelled: INHERITED, 3, ["attach | release", "set submit | cancel"];
    a_drainer_and_one_that_frees_a_context: INHERITED, 3, ["drain", "set capture remove | free"];
    a_drainer_and_a_task: INHERITED, 3, ["release | drain", "set submit | run"];
    two_that_enter_one_context: INHERITED, 3, ["set capture | enter end", "set | enter end"];
    a_task_of_one_thread_run_by_another: INHERITED, 3, ["set submit | remove", "run"];
    a_purger_and_a_capture: ANY_INHERITED, 3, ["purge", "set | capture free"];
    a_releaser_of_any_and_a_capture: ANY_INHERITED, 3, ["release", "set | capture"];
    a_releaser_of_any_and_a_copy_that_sets: ANY_INHERITED, 2 of 3, ["release", "set | recapture"];
    a_releaser_and_a_copy_that_sets: ENUMERABLE_INHERITED, 2 of 3, ["release", "set | recapture"];
    a_releaser_of_any_and_a_task: ANY_INHERITED, 2, ["release", "set submit | run"];
    a_visitor_and_a_capture: ENUMERABLE_INHERITED, 3, ["visit", "set | capture"];
    a_visitor_and_one_that_enters_a_context: ENUMERABLE_INHERITED, 3, ["visit", "set capture | enter end"];
    one_that_takes_all_and_a_capture: ENUMERABLE_INHERITED, 3, ["scrape", "set | capture"];
    two_threads_and_a_scope_that_moves: OWNER, 3, ["switch begin set back | switch end back", "switch set back"];
    a_releaser_and_a_scope_that_moves: OWNER, 2 of 3, ["release", "switch set begin set back | switch end back"];
    a_releaser_of_any_and_a_map_that_moves: ANY, 3, ["attach | release", "switch set back | switch set back"];
    a_purger_and_a_map_that_moves: ANY, 3, ["purge", "switch set back | switch remove back"];
    a_visitor_and_a_map_that_moves: ENUMERABLE, 3, ["visit", "switch set back | switch set back"];
    a_visitor_and_a_thread_that_exits_with_a_map: ENUMERABLE, 3, ["visit", "switch set | exit"];
    two_threads_that_ask_for_sums: OWNER, 3, ["stats", "attach | set exit"];
    one_that_asks_for_sums_and_a_context: INHERITED, 3, ["stats", "set | capture free"];
}

// ---- Three threads with scopes, contexts, maps that move -----------------------

scenarios! {
    three_a_releaser_a_scope_and_an_exit: OWNER, 1, ["release", "set begin set | end", "set | exit"];
    three_any_a_releaser_a_scope_and_a_drainer: ANY, 1, ["release", "set begin set | end", "drain"];
    three_a_visitor_a_scope_and_a_releaser: ENUMERABLE, 1, ["visit", "set begin set | end", "attach | release"];
    three_two_visitors_and_a_scope: ENUMERABLE, 1, ["visit", "visit", "set begin set | end"];
    three_a_releaser_and_two_that_enter_a_context: INHERITED, 1, ["release", "set capture | enter", "enter"];
    three_a_releaser_a_task_and_a_drainer: INHERITED, 1, ["release", "set submit | run", "drain"];
    three_a_releaser_and_two_with_a_map: OWNER, 1, ["release", "switch set back | switch set back", "switch set back"];
    three_a_visitor_and_two_with_a_map: ENUMERABLE, 1, ["visit", "switch set back | switch set back", "switch set back"];
}
