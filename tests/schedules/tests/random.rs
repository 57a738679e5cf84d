// SPDX-License-Identifier: MIT OR Apache-2.0
//! More threads and more steps than `weak.rs` can play all schedules of: random
//! ones, from fixed seeds.
//!
//! The scripts are random as well: threads draw their steps from a bag. When
//! one fails, it says which; `runner` has what must hold.

use std::process::Command;

use threadlocalmap_schedules::orderings::{Weakened, Weaker};
use threadlocalmap_schedules::random::check;
use threadlocalmap_schedules::script::{Rules, Script};

const OWNER: Rules = Rules::OWNER;
const ANY: Rules = Rules::ANY;
const ENUMERABLE: Rules = Rules::ENUMERABLE;
const BOTH: Rules = Rules::BOTH;
const WORKER: Rules = Rules::WORKER;
const INHERITED: Rules = Rules::OWNER.inherited();
const ANY_INHERITED: Rules = Rules::ANY.inherited();
const ENUMERABLE_INHERITED: Rules = Rules::ENUMERABLE.inherited();
const BOTH_INHERITED: Rules = Rules::BOTH.inherited();

/// Schedules of each script, and of each of the two kinds.
const SCHEDULES: usize = 40;
/// Scripts of each test.
const SCRIPTS: u64 = 12;

/// Numbers that look random and are the same in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    fn draw(&mut self, bag: &[&str], steps: usize) -> String {
        let drawn: Vec<_> = (0..steps).map(|_| bag[self.below(bag.len())]).collect();
        drawn.join(" ")
    }
}

/// What an owner may do to a value of any key.
const OWNERS: &[&str] = &["set", "set", "get", "swap", "take", "remove", "expunge", "detach"];

/// What it may do with scopes.
const SCOPES: &[&str] = &["begin", "end", "begin set", "end"];

/// What it may do with contexts and tasks of its own.
const CONTEXTS: &[&str] = &["capture", "enter", "free", "submit", "run", "cancel"];

/// A script of so many threads: each has a value or not, does some steps of the
/// bag with a step of its own among them, and ends or goes on.
fn draw(random: &mut Random, threads: usize, bag: &[&str], own: &[&str]) -> Vec<String> {
    let part = |number: usize| {
        let before = ["", "attach", "set", "set"][random.below(4)];
        let (first, second) = (random.below(4), random.below(3));
        let (first, second) = (random.draw(bag, first), random.draw(bag, second));
        let own = own[number % own.len()];
        let (before, own) = own.split_once('|').unwrap_or((before, own));
        let end = ["", "exit"][random.below(2)];
        format!("{before} | {first} {own} {second} {end}")
    };
    (0..threads).map(part).collect()
}

fn play(
    seed: u64,
    rules: Rules,
    threads: usize,
    bag: &[&[&str]],
    own: &[&str],
    weakened: &[Weakened],
) {
    let bag = bag.concat();
    for number in 0..SCRIPTS {
        let mut random = Random(seed * 1000 + number);
        let parts = draw(&mut random, threads, &bag, own);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let mut script = Script::new(rules, &parts);
        script.init = random.below(2) == 0;
        check(seed * 1000 + number, SCHEDULES, &script, weakened);
    }
}

macro_rules! random {
    ($($name:ident: $seed:literal, $rules:expr, $threads:literal, [$($bag:expr),*], $own:expr;)*) => { $(
        #[test]
        fn $name() {
            play($seed, $rules, $threads, &[$($bag),*], &$own, &[]);
        }
    )* };
}

random! {
    owners_of_a_live_key: 1, OWNER, 4, [OWNERS], [""];
    owners_and_a_releaser: 2, OWNER, 4, [OWNERS], ["release", "", "", ""];
    owners_that_all_release: 3, OWNER, 4, [OWNERS], ["release"];
    owners_releasers_and_other_keys_in_the_slot: 4, OWNER, 4, [OWNERS, &["create"]], ["release create", "create"];
    owners_a_releaser_and_drainers: 5, OWNER, 5, [OWNERS], ["release", "drain", "expunge", "drain", ""];
    owners_with_wakers: 7, OWNER, 4, [&["set", "get", "swap"]], ["waker set |", "waker |", "waker set |", "release"];
    owners_of_maps_that_move: 8, OWNER, 4, [&["set", "get", "remove"]], ["switch set back", "switch set back", "release"];
    reachable_values_of_a_live_key: 11, ANY, 4, [OWNERS], ["purge", "", ""];
    reachable_values_and_a_releaser: 12, ANY, 4, [OWNERS], ["release", "", "", ""];
    reachable_values_that_all_release: 13, ANY, 4, [OWNERS], ["release"];
    reachable_values_purgers_and_releasers: 14, ANY, 4, [OWNERS, &["purge"]], ["release", "purge"];
    reachable_values_and_other_keys_in_the_slot: 15, ANY, 4, [OWNERS, &["create"]], ["release create", "create"];
    reachable_values_a_releaser_and_drainers: 16, ANY, 5, [OWNERS], ["release", "drain", "", "drain", ""];
    visited_values_of_a_live_key: 21, ENUMERABLE, 4, [OWNERS, &["visit"]], ["visit", "", "visit"];
    visited_values_and_takers: 22, ENUMERABLE, 4, [OWNERS, &["visit", "scrape"]], ["visit", "scrape"];
    visited_values_and_purgers: 27, ENUMERABLE, 4, [OWNERS, &["visit", "purge"]], ["visit", "purge"];
    visited_values_purgers_and_releasers: 28, ENUMERABLE, 4, [OWNERS, &["purge", "expunge"]], ["purge", "visit release"];
    visited_values_and_a_releaser: 23, ENUMERABLE, 4, [OWNERS, &["visit"]], ["release", "visit", "", "visit"];
    visited_values_that_all_release: 24, ENUMERABLE, 4, [OWNERS, &["visit", "scrape"]], ["visit release"];
    visited_values_and_other_keys_in_the_slot: 25, ENUMERABLE, 4, [OWNERS, &["visit", "create"]], ["release create", "visit"];
    visited_values_a_releaser_and_drainers: 26, ENUMERABLE, 5, [OWNERS, &["visit"]], ["release", "drain", "visit", "drain", ""];
    visited_reachable_values_of_a_live_key: 31, BOTH, 4, [OWNERS, &["visit", "purge"]], ["visit", "purge", "visit"];
    visited_reachable_values_and_takers: 32, BOTH, 4, [OWNERS, &["visit", "scrape", "purge"]], ["visit", "scrape"];
    visited_reachable_values_and_a_releaser: 33, BOTH, 4, [OWNERS, &["visit"]], ["release", "visit", "", "visit"];
    visited_reachable_values_that_all_release: 34, BOTH, 4, [OWNERS, &["visit", "purge"]], ["visit release"];
    visited_reachable_values_and_other_keys_in_the_slot: 35, BOTH, 4, [OWNERS, &["visit", "create"]], ["release create", "visit"];
    visited_reachable_values_a_releaser_and_drainers: 36, BOTH, 5, [OWNERS, &["visit"]], ["release", "drain", "visit", "drain", ""];
    owners_with_scopes: 41, OWNER, 4, [OWNERS, SCOPES], ["begin", "", "set begin |"];
    owners_with_scopes_and_a_releaser: 42, OWNER, 4, [OWNERS, SCOPES], ["release", "set begin |", "begin set"];
    owners_with_scopes_in_maps_that_move: 43, OWNER, 4, [&["set", "get", "begin", "end"]], ["switch begin set back", "switch set end back", "release"];
    reachable_values_in_scopes_purgers_and_a_releaser: 44, ANY, 4, [OWNERS, SCOPES], ["purge", "begin set", "set begin set |", "release"];
    visited_values_in_scopes_and_a_releaser: 45, ENUMERABLE, 4, [OWNERS, SCOPES], ["visit", "begin set", "set begin set |", "release visit"];
    visited_values_in_scopes_and_purgers: 53, ENUMERABLE, 4, [OWNERS, SCOPES, &["visit"]], ["visit", "set begin set |", "purge", "purge set"];
    visited_values_contexts_and_purgers: 54, ENUMERABLE_INHERITED, 4, [OWNERS, SCOPES, CONTEXTS], ["purge", "set capture", "release", "set submit"];
    visited_reachable_values_in_scopes_and_takers: 46, BOTH, 4, [OWNERS, SCOPES, &["visit"]], ["visit", "set begin set |", "scrape", "purge"];
    workers_values_in_scopes_and_a_releaser: 47, WORKER, 4, [OWNERS, SCOPES], ["release", "set begin |", "begin set"];
    owners_with_contexts_and_a_releaser: 48, INHERITED, 4, [OWNERS, SCOPES, CONTEXTS], ["release", "set capture", "", "set submit"];
    owners_that_enter_one_context_and_a_releaser: 49, INHERITED, 4, [OWNERS, SCOPES, &["enter", "capture"]], ["release", "set capture |", "enter", "enter"];
    reachable_values_contexts_and_purgers: 50, ANY_INHERITED, 4, [OWNERS, SCOPES, CONTEXTS], ["purge", "set capture", "release", "set submit"];
    visited_values_contexts_and_takers: 51, ENUMERABLE_INHERITED, 4, [OWNERS, SCOPES, CONTEXTS, &["visit"]], ["scrape", "set capture", "release", "set submit"];
    visited_reachable_values_contexts_and_drainers: 52, BOTH_INHERITED, 5, [OWNERS, CONTEXTS, &["visit"]], ["drain", "set capture", "release drain", "set submit", "purge"];
}

// ---- What the schedules find ----------------------------------------------------

/// The test that this process plays weakened.
const WEAKENED: &str = "THREADLOCALMAP_WEAKENED";

/// The same threads find what is wrong when a lock is left out.
fn finds(name: &str, rules: Rules, at: (&'static str, &str, &str), own: &[&str]) {
    if std::env::var(WEAKENED).is_ok_and(|weakened| weakened == name) {
        let weakened = [Weakened::at(at.0, at.1, at.2, Weaker::Unlocked)];
        play(2, rules, 4, &[OWNERS], own, &weakened);
        return;
    }
    // A process of its own: what is found may end it.
    let program = std::env::current_exe().expect("this test has a file");
    let mut child = Command::new(program);
    child.args(["--exact", name, "--test-threads=1"]).env(WEAKENED, name);
    let output = child.output().expect("this test can be started");
    assert!(!output.status.success(), "nothing was found without the lock");
}

#[test]
fn a_lock_left_out_where_holders_leave_is_found() {
    finds(
        "a_lock_left_out_where_holders_leave_is_found",
        OWNER,
        ("src/key/holders.rs", "unsafe fn leave_shared", "lock.with"),
        &["release", "", ""],
    );
}
