// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each ordering and each lock that the proof leans on, made weaker: a scenario
//! must fail.
//!
//! What `weak.rs` shows is worth as much as what it would have found. The names
//! say what goes wrong; the texts are what the scenario says of it. Each runs in a
//! process of its own, because what is found ends the process.

use std::collections::HashSet;
use std::process::Command;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::Mutex;
use std::time::Duration;

use threadlocalmap_schedules::orderings::Weakened;
use threadlocalmap_schedules::orderings::Weaker::{Ordered, Repeated, Skipped, Unlocked};
use threadlocalmap_schedules::script::{Rules, Script};
use threadlocalmap_schedules::weak::check;

const OWNER: Rules = Rules::OWNER;
const ANY: Rules = Rules::ANY;
const ENUMERABLE: Rules = Rules::ENUMERABLE;
const INHERITED: Rules = Rules::OWNER.inherited();
const ENUMERABLE_INHERITED: Rules = Rules::ENUMERABLE.inherited();

/// The test that this process plays weakened.
const WEAKENED: &str = "THREADLOCALMAP_WEAKENED";
/// What a weakened library may take: it may loop for ever.
const PATIENCE: Duration = Duration::from_secs(100);

/// Scripts that were played as they are, by this process.
static PLAYED: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Preemptions that a scenario is played with here.
const PREEMPTIONS: usize = 3;

/// Whether `weak.rs` plays the scenario of this text as it is, with as many
/// preemptions at least (in `make check-deep`, where it has fewer before).
fn is_in_weak(scenario: &str) -> bool {
    let (rules, parts) = scenario.split_once(", ").expect("rules and parts");
    (PREEMPTIONS..10).any(|preemptions| {
        let (text, fewer) = (include_str!("weak.rs"), preemptions - 1);
        text.contains(&format!(": {rules}, {preemptions}, {parts};"))
            || text.contains(&format!(": {rules}, {fewer} of {preemptions}, {parts};"))
    })
}

/// Plays the scenario as it is, which must pass, if no other test does, and then
/// weakened: it must find one of `whats`.
fn finds(
    name: &str,
    text: &str,
    whats: &[&str],
    weakened: &[Weakened],
    rules: Rules,
    parts: &[&str],
) {
    let script = Script::new(rules, parts).with_init();
    if std::env::var(WEAKENED).is_ok_and(|weakened| weakened == name) {
        std::thread::spawn(|| {
            std::thread::sleep(PATIENCE);
            std::process::exit(3);
        });
        check(PREEMPTIONS, script, weakened);
        return;
    }
    let is_new = |played: &mut Option<HashSet<String>>| {
        played.get_or_insert_default().insert(script.text.clone())
    };
    if !is_in_weak(text) && is_new(&mut PLAYED.lock().expect("nobody panics with it")) {
        check(PREEMPTIONS, script, &[]);
    }
    let program = std::env::current_exe().expect("this test has a file");
    let mut child = Command::new(program);
    child.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(WEAKENED, name);
    let output = child.output().expect("this test can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_ne!(output.status.code(), Some(0), "the scenario has passed, weakened");
    assert_ne!(output.status.code(), Some(3), "the scenario did not end, weakened");
    let found = whats.iter().any(|what| said.contains(what));
    assert!(found, "it has failed, but not with {whats:?}: {}\n{said}", output.status);
}

macro_rules! weakened {
    ($($name:ident: [$($weakened:expr),+], $rules:expr, $parts:expr, $whats:expr;)*) => { $(
        #[test]
        fn $name() {
            let text = concat!(stringify!($rules), ", ", stringify!($parts));
            finds(stringify!($name), text, &$whats, &[$($weakened),+], $rules, &$parts);
        }
    )* };
}

macro_rules! at {
    ($file:expr, $function:literal, $text:literal, $weaker:expr) => {
        Weakened::at($file, $function, $text, $weaker)
    };
}

const HOLDERS: &str = "src/key/holders.rs";
const REGISTRY: &str = "src/key/registry.rs";
const SLOT: &str = "src/key/slot.rs";
const FREEZE: &str = "src/local/freeze.rs";
const INBOX: &str = "src/local/inbox.rs";
const HOOKS: &str = "src/local/hooks.rs";
const MAP: &str = "src/local/map.rs";
const MAPS: &str = "src/local/maps.rs";
const POOL: &str = "src/local/pool.rs";
const RECORD: &str = "src/local/record.rs";
const REMOTE: &str = "src/local/remote.rs";
const VALUES: &str = "src/thread/values.rs";
const VISIT: &str = "src/thread/visit.rs";

const UNORDERED: &str = "unordered";
const MEMORY: &str = "memory";
const BY_ANOTHER_KEY: &str = "is destroyed by thread 2 for key 1";

#[test]
fn scenarios_of_weak_are_known() {
    let known = |scenario| is_in_weak(scenario);
    assert!(known(concat!(stringify!(OWNER), ", ", stringify!(["use release", "use release"]))));
    assert!(!known(r#"ANY, ["use release", "use release"]"#));
    assert!(!known(r#"OWNER, ["use release"]"#));
}

// ---- The slot -------------------------------------------------------------------

weakened! {
    opening_that_does_not_publish_the_callbacks:
        [at!(SLOT, "fn open", "self.state.store", Ordered(Relaxed))],
        OWNER, ["release create", "attach | guess"], [UNORDERED];
    a_check_that_sees_nothing_else:
        [at!(SLOT, "fn check", "self.state.load", Ordered(Relaxed))],
        OWNER, ["release create", "attach | guess"], [UNORDERED];
    a_release_that_does_not_publish_what_was_done_before:
        [at!(SLOT, "fn change_live", "compare_exchange_weak", Ordered(Acquire))],
        OWNER, ["use release", "use release"], [UNORDERED];
    a_last_release_that_does_not_see_what_others_did:
        [at!(SLOT, "fn change_live", "compare_exchange_weak", Ordered(Release))],
        OWNER, ["use release", "use release"], [UNORDERED];
    a_last_release_with_a_value_that_does_not_see_what_others_did:
        [at!(SLOT, "pub fn release_last", ".compare_exchange(", Ordered(Release))],
        OWNER, ["set use | release", "use release"], [UNORDERED];
    a_visit_that_does_not_publish_what_was_done_in_it:
        [at!(SLOT, "fn change_live", "compare_exchange_weak", Ordered(Acquire))],
        ENUMERABLE, ["visit", "use release"], [UNORDERED];
    a_pin_that_does_not_publish_its_callback:
        [at!(SLOT, "pub fn unpin", "compare_exchange_weak", Ordered(Relaxed))],
        OWNER, ["attach | release", "set | expunge"], [UNORDERED];
    a_last_pin_that_does_not_see_the_others:
        [at!(SLOT, "pub fn unpin", "self.pins.load", Ordered(Relaxed))],
        OWNER, ["attach | release", "set | expunge"], [UNORDERED];
    an_end_that_does_not_publish_what_led_to_it:
        [at!(SLOT, "unsafe fn close", "self.pins.store", Ordered(Relaxed))],
        OWNER, ["set | expunge", "release | drain"], [UNORDERED];
    a_drain_that_does_not_see_what_led_to_the_end:
        [at!(SLOT, "let left = self.pins.load", "self.pins.load", Ordered(Relaxed))],
        OWNER, ["set | expunge", "release | drain"], [UNORDERED];
    a_free_slot_that_does_not_publish_its_last_use:
        [at!(REGISTRY, "pub fn release_slot", "self.free.compare_exchange_weak", Ordered(Relaxed))],
        OWNER, ["create release", "create"], [UNORDERED];
    a_free_slot_that_is_taken_without_seeing_its_last_use:
        [at!(REGISTRY, "fn pop_free", "self.free.load", Ordered(Relaxed)),
         at!(REGISTRY, "fn pop_free", "self.free.compare_exchange_weak", Ordered(Relaxed))],
        OWNER, ["create release", "create"], [UNORDERED];
    a_drain_that_does_not_see_the_end_of_a_captured_value:
        [at!(SLOT, "let others =", "self.pins.load", Ordered(Relaxed))],
        INHERITED, ["drain", "set capture remove | free"], [UNORDERED];
}

// ---- The word that heads a key's holders ------------------------------------------

weakened! {
    a_link_that_publishes_nothing:
        [at!(HOLDERS, "unsafe fn link(", "compare_exchange_weak", Ordered(Relaxed)),
         at!(HOLDERS, "unsafe fn link_alone", ".compare_exchange(", Ordered(Relaxed))],
        OWNER, ["release", "attach | set"], [UNORDERED];
    a_link_that_does_not_publish_the_record:
        [at!(HOLDERS, "unsafe fn link(", "compare_exchange_weak", Ordered(Acquire)),
         at!(HOLDERS, "unsafe fn link_alone", ".compare_exchange(", Ordered(Acquire))],
        OWNER, ["release", "attach | set"], [UNORDERED];
    a_link_that_does_not_see_that_its_key_is_dead:
        [at!(HOLDERS, "unsafe fn link(", "compare_exchange_weak", Ordered(Release)),
         at!(HOLDERS, "unsafe fn link_alone", ".compare_exchange(", Ordered(Release))],
        OWNER, ["release create", "set"], [BY_ANOTHER_KEY, UNORDERED];
    a_link_without_a_look_at_the_generation:
        [at!(SLOT, "pub fn check(", "self.state.load", Repeated)
            .after(HOLDERS, "unsafe fn link(", "compare_exchange_weak")],
        OWNER, ["release create", "set"], [BY_ANOTHER_KEY, UNORDERED];
    a_first_link_without_a_look_at_the_generation:
        [at!(SLOT, "pub fn check(", "self.state.load", Repeated)
            .after(HOLDERS, "unsafe fn link_alone", ".compare_exchange(")],
        OWNER, ["release create", "attach | set"], [BY_ANOTHER_KEY, UNORDERED];
    opening_that_does_not_say_that_the_last_key_is_dead:
        [at!(HOLDERS, "fn open", "self.head.store", Ordered(Relaxed))],
        OWNER, ["release create", "set"], [BY_ANOTHER_KEY, UNORDERED];
    a_walker_that_forgets_the_tag:
        [at!(HOLDERS, "fn tag(", "compare_exchange_weak", Skipped)],
        OWNER, ["drain", "set | remove"], [UNORDERED, MEMORY];
    a_walker_that_forgets_the_tag_and_visits:
        [at!(HOLDERS, "fn tag(", "compare_exchange_weak", Skipped)],
        ENUMERABLE, ["visit", "set | remove"], [UNORDERED, MEMORY];
    a_tag_that_sees_nobody:
        [at!(HOLDERS, "fn tag(", "compare_exchange_weak", Ordered(Relaxed)),
         at!(HOLDERS, "fn tag(", "self.head.load", Ordered(Relaxed))],
        ENUMERABLE, ["visit", "attach | set"], [UNORDERED];
    a_seize_that_does_not_see_the_record:
        [at!(HOLDERS, "fn seize(", "self.head.swap", Ordered(Relaxed))],
        OWNER, ["release", "attach | set"], [UNORDERED];
    a_leave_that_does_not_publish_its_callbacks:
        [at!(HOLDERS, "fn exchange_alone", ".compare_exchange(", Ordered(Relaxed))],
        OWNER, ["attach | release", "set | remove"], [UNORDERED];
    a_leave_with_others_without_the_keys_lock:
        [at!(HOLDERS, "unsafe fn leave_shared", "lock.with", Unlocked)],
        OWNER, ["set | release", "set | remove"], [UNORDERED, MEMORY];
    two_that_leave_without_the_keys_lock:
        [at!(HOLDERS, "unsafe fn leave_shared", "lock.with", Unlocked)],
        OWNER, ["set | remove", "set | remove"], [UNORDERED, MEMORY];
    a_seize_without_the_keys_lock:
        [at!(SLOT, "pub fn seize(", "self.with_holders", Unlocked)],
        OWNER, ["release", "set | remove"], [UNORDERED, MEMORY];
    a_drain_without_the_keys_lock:
        [at!(SLOT, "pub fn outstanding", "self.with_holders", Unlocked)],
        OWNER, ["set | drain", "set | remove"], [UNORDERED, MEMORY];
    a_drain_that_does_not_see_those_who_left:
        [at!(HOLDERS, "fn tag(", "self.head.load", Ordered(Relaxed)),
         at!(HOLDERS, "fn tag(", "compare_exchange_weak", Ordered(Relaxed))],
        OWNER, ["drain", "set | remove"], [UNORDERED];
    a_leave_that_fills_in_what_it_has_not_seen:
        [at!(HOLDERS, "fn replace_head", "compare_exchange(", Ordered(Relaxed)),
         at!(HOLDERS, "fn fill_previous", "self.head.load", Ordered(Relaxed))],
        OWNER, ["set drain | remove", "attach | set"], [UNORDERED, MEMORY];
}

// ---- Looking at all values at one instant -------------------------------------------

weakened! {
    a_look_that_marks_a_map_in_the_middle_of_a_change:
        [at!(FREEZE, "pub fn freeze", "self.inbox.lock.with", Unlocked)],
        ENUMERABLE, ["look", "set | set"], [UNORDERED, MEMORY];
    a_look_whose_end_is_not_published:
        [at!(FREEZE, "pub fn unfreeze", "self.inbox.frozen.store", Ordered(Relaxed))],
        ENUMERABLE, ["look", "switch set back | switch remove back"], [UNORDERED];
    an_owner_that_does_not_see_that_the_look_has_ended:
        [at!(MAP, "pub fn with_table", "self.acquire()", Ordered(Relaxed))],
        ENUMERABLE, ["look", "switch set back | switch remove back"], [UNORDERED];
}

// ---- Marks of those who look at one value ---------------------------------------------

weakened! {
    a_visitor_whose_going_is_not_published:
        [at!(RECORD, "pub fn remove", "self.visitors.fetch_sub", Ordered(Acquire))],
        ENUMERABLE, ["visit", "set | set"], [UNORDERED];
    an_owner_that_does_not_see_that_the_visitor_has_gone:
        [at!(RECORD, "pub fn are_there", "self.visitors.load", Ordered(Relaxed))],
        ENUMERABLE, ["visit", "set | set"], [UNORDERED];
    a_removal_that_does_not_see_that_the_visitor_has_gone:
        [at!(RECORD, "pub fn claim", "self.visitors.fetch_add", Ordered(Release))],
        ENUMERABLE, ["visit", "set | remove"], [UNORDERED];
}

// ---- Inboxes and maps -------------------------------------------------------------

weakened! {
    a_post_that_does_not_publish_the_record:
        [at!(INBOX, "pub unsafe fn post", "self.first.compare_exchange_weak", Ordered(Relaxed))],
        OWNER, ["release", "set | expunge"], [UNORDERED];
    an_owner_that_does_not_see_what_was_posted:
        [at!(INBOX, "pub fn take", "self.first.swap", Ordered(Relaxed))],
        OWNER, ["release", "set | expunge"], [UNORDERED];
    holders_posted_without_the_keys_lock:
        [at!(REMOTE, "pub fn post_holders", "slot.with_holders", Unlocked)],
        OWNER, ["release", "set | remove"], [UNORDERED, MEMORY];
    a_map_that_is_left_without_publishing_it:
        [at!(MAP, "pub fn detach", "self.attached.store", Ordered(Relaxed))],
        OWNER, ["switch set back", "switch set back"], [UNORDERED];
    a_map_that_is_attached_without_seeing_it:
        [at!(MAP, "pub fn attach", ".compare_exchange", Ordered(Relaxed))],
        OWNER, ["switch set back", "switch set back"], [UNORDERED];
    a_thread_that_comes_without_the_lock_over_all_maps:
        [at!(MAPS, "pub fn enter(", "MAPS.locked", Unlocked)],
        OWNER, ["attach", "attach"], [UNORDERED];
    a_thread_that_goes_without_the_lock_over_all_maps:
        [at!(MAPS, "pub fn leave(", "MAPS.locked", Unlocked)],
        OWNER, ["attach | exit", "attach | exit"], [UNORDERED];
    a_sum_without_the_lock_over_all_maps:
        [at!(MAPS, "pub fn collect", "MAPS.locked", Unlocked)],
        OWNER, ["stats", "attach | exit"], [UNORDERED, MEMORY];
    a_waker_that_is_read_without_the_maps_lock:
        [at!(INBOX, "pub fn wakers(", "self.lock.with", Unlocked)],
        OWNER, ["attach | release", "waker set | waker"], [UNORDERED];
    wakers_that_are_freed_before_the_last_was_called:
        [at!(HOOKS, "pub fn drop_share", "fetch_sub", Ordered(Relaxed))],
        OWNER, ["attach | release", "waker set | waker"], [UNORDERED];
    a_hook_that_pins_its_owner_without_the_keys_lock:
        [at!(SLOT, "pub fn pin_if_live", "self.with_holders", Unlocked)],
        OWNER, ["hook | exit", "release"], [UNORDERED, MEMORY];
    a_waker_that_is_set_without_the_maps_lock:
        [at!(INBOX, "pub fn set_wakers", "self.lock.with", Unlocked)],
        OWNER, ["attach | release", "waker set | waker"], [UNORDERED];
    a_context_that_comes_without_the_lock_over_all_maps:
        [at!(MAPS, "pub fn enter_context", "MAPS.locked", Unlocked)],
        INHERITED, ["stats", "set | capture free"], [UNORDERED];
    a_context_that_goes_without_the_lock_over_all_maps:
        [at!(MAPS, "pub fn leave_context", "MAPS.locked", Unlocked)],
        INHERITED, ["stats", "set | capture free"], [UNORDERED, MEMORY];
    a_scope_that_moves_with_a_map_that_publishes_nothing:
        [at!(MAP, "pub fn detach", "self.attached.store", Ordered(Relaxed))],
        OWNER, ["switch begin set back | switch end back", "switch set back"], [UNORDERED];
}

// ---- Values that other threads reach -----------------------------------------------

weakened! {
    a_value_that_is_taken_without_the_maps_lock:
        [at!(REMOTE, "fn take(", "self.inbox.lock.with", Unlocked)],
        ANY, ["release", "set | set"], [UNORDERED];
    an_owner_that_changes_its_table_without_its_lock:
        [at!(MAP, "pub fn with_table", "self.acquire", Unlocked)],
        ANY, ["release", "set | set"], [UNORDERED];
    an_owner_that_takes_out_without_its_lock:
        [at!(MAP, "pub fn with_table", "self.acquire", Unlocked)],
        ANY, ["release", "set | remove"], [UNORDERED];
    a_look_at_a_state_without_the_maps_lock:
        [at!(MAP, "pub fn state_of", "self.guarded_if", Unlocked)],
        ANY, ["release", "set | exit"], [UNORDERED];
    a_mark_without_the_maps_lock:
        [at!(REMOTE, "pub fn mark(", "self.inbox.lock.with", Unlocked)],
        ENUMERABLE, ["visit", "set | remove"], [UNORDERED];
    a_mark_that_is_taken_back_without_the_maps_lock:
        [at!(REMOTE, "pub fn unmark(", "map.inbox.lock.with", Unlocked)],
        ENUMERABLE, ["visit", "set | remove"], [UNORDERED];
    a_visited_value_that_is_replaced_without_the_keys_lock:
        [at!(REMOTE, "pub fn replace_visited", "slot.with_holders", Unlocked)],
        ENUMERABLE, ["visit", "set | set"], [UNORDERED];
    a_step_without_the_keys_lock:
        [at!(VISIT, "fn walk(", "slot.with_holders", Unlocked)],
        ENUMERABLE, ["visit", "set | remove"], [UNORDERED, MEMORY];
    a_step_without_the_keys_lock_and_an_exchange:
        [at!(VISIT, "fn walk(", "slot.with_holders", Unlocked)],
        ENUMERABLE, ["visit", "set | set"], [UNORDERED, MEMORY];
    a_record_that_is_left_to_visitors_without_the_keys_lock:
        [at!(REMOTE, "pub fn leave_to_visitors", "slot.with_holders", Unlocked)],
        ENUMERABLE, ["visit", "set | exit"], [UNORDERED, MEMORY];
    a_share_of_records_that_publishes_nothing:
        [at!(POOL, "unsafe fn drop_share", "shares.fetch_sub", Ordered(Relaxed))],
        ENUMERABLE, ["visit", "set | exit"], [UNORDERED];
    a_share_of_records_that_does_not_publish_its_use:
        [at!(POOL, "unsafe fn drop_share", "shares.fetch_sub", Ordered(Acquire))],
        ENUMERABLE, ["visit", "set | exit"], [UNORDERED];
    a_last_share_that_does_not_see_the_others:
        [at!(POOL, "unsafe fn drop_share", "shares.fetch_sub", Ordered(Release))],
        ENUMERABLE, ["visit", "set | exit"], [UNORDERED];
    an_owners_mark_without_the_maps_lock:
        [at!(REMOTE, "pub fn mark(", "self.inbox.lock.with", Unlocked)],
        ENUMERABLE_INHERITED, ["scrape", "set | capture"], [UNORDERED, MEMORY];
    a_record_that_is_given_up_without_the_maps_lock:
        [at!(VALUES, "fn discard", "map.guarded_if", Unlocked)],
        ENUMERABLE, ["visit visit", "set | set"], [UNORDERED];
    a_scope_that_ends_without_the_maps_lock:
        [at!(MAP, "pub fn with_table", "self.acquire", Unlocked)],
        ANY, ["release", "set begin set | end"], [UNORDERED];
    a_covered_value_that_is_taken_without_the_maps_lock:
        [at!(REMOTE, "fn take(", "self.inbox.lock.with", Unlocked)],
        ANY, ["purge", "set begin set | end"], [UNORDERED];
}
