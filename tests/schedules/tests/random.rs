//! More threads and more steps than `weak.rs` can play all schedules of: random
//! ones, from fixed seeds.
//!
//! The scripts are random as well: threads draw their steps from a bag. When
//! one fails, it says which; `stage` has what must hold.

use std::panic::{catch_unwind, AssertUnwindSafe};

use threadlocalmap::key::options::Rules;
use threadlocalmap_schedules::orderings::{Weakened, Weaker};
use threadlocalmap_schedules::random::check;
use threadlocalmap_schedules::script::Script;

const OWNER: Rules = Rules::NONE;
const ANY: Rules = Rules::ANY;
const ENUMERABLE: Rules = Rules::ENUMERABLE;
const BOTH: Rules = Rules::ANY.and(Rules::ENUMERABLE);

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
    owners_that_want_to_be_told: 7, OWNER, 4, [&["set", "get", "swap"]], ["notice set |", "notice |", "notice set |", "release"];
    owners_of_maps_that_move: 8, OWNER, 4, [&["set", "get", "remove"]], ["adopt set leave", "adopt set leave", "release"];
    reachable_values_of_a_live_key: 11, ANY, 4, [OWNERS], ["purge", "", ""];
    reachable_values_and_a_releaser: 12, ANY, 4, [OWNERS], ["release", "", "", ""];
    reachable_values_that_all_release: 13, ANY, 4, [OWNERS], ["release"];
    reachable_values_purgers_and_releasers: 14, ANY, 4, [OWNERS, &["purge"]], ["release", "purge"];
    reachable_values_and_other_keys_in_the_slot: 15, ANY, 4, [OWNERS, &["create"]], ["release create", "create"];
    reachable_values_a_releaser_and_drainers: 16, ANY, 5, [OWNERS], ["release", "drain", "", "drain", ""];
    visited_values_of_a_live_key: 21, ENUMERABLE, 4, [OWNERS, &["visit"]], ["visit", "", "visit"];
    visited_values_and_takers: 22, ENUMERABLE, 4, [OWNERS, &["visit", "scrape"]], ["visit", "scrape"];
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
}

// ---- What the schedules find ----------------------------------------------------

/// The same threads find what is wrong when a lock is left out.
fn finds(rules: Rules, file: &'static str, function: &str, text: &str, own: &[&str]) {
    let weakened = [Weakened::at(file, function, text, Weaker::Unlocked)];
    let played = catch_unwind(AssertUnwindSafe(|| play(2, rules, 4, &[OWNERS], own, &weakened)));
    assert!(played.is_err(), "nothing was found without the lock");
}

#[test]
fn a_lock_left_out_around_the_mail_of_a_taken_value_is_found() {
    finds(
        ANY,
        "src/thread/exchange.rs",
        "fn take_mail_of",
        "slot.with_holders",
        &["release", "", ""],
    );
}
