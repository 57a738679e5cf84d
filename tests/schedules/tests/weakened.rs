//! Each ordering that the proof leans on, made weaker: a scenario must fail.
//!
//! What `weak.rs` shows is worth as much as what it would have found. The names
//! say what goes wrong; the texts are what the scenario says of it.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use threadlocalmap::key::options::Rules;
use threadlocalmap_schedules::orderings::Weakened;
use threadlocalmap_schedules::orderings::Weaker::{self, Ordered, Unlocked};
use threadlocalmap_schedules::script::Script;
use threadlocalmap_schedules::weak::check;

const OWNER: Rules = Rules::NONE;
const ANY: Rules = Rules::ANY;
const ENUMERABLE: Rules = Rules::ENUMERABLE;

/// Plays the scenario as it is, which must pass, and then with the line of
/// `file` that has `text`, in `function`, made weaker: it must find `what`.
fn finds(
    what: &str,
    (file, function, text): (&'static str, &str, &str),
    weaker: Weaker,
    rules: Rules,
    parts: &[&str],
) {
    let script = Script::new(rules, parts).with_init();
    let weakened = [Weakened::at(file, function, text, weaker)];
    check(3, script.clone(), &[]);
    let failed = catch_unwind(AssertUnwindSafe(|| check(3, script, &weakened)))
        .expect_err("the scenario has passed with a weakened ordering");
    let said = failed.downcast_ref::<String>().map_or("", String::as_str);
    assert!(said.contains(what), "it has failed, but not with {what:?}:\n{said}");
}

macro_rules! weakened {
    ($($name:ident: $at:expr, $weaker:expr, $rules:expr, $parts:expr, $what:expr;)*) => { $(
        #[test]
        fn $name() {
            finds($what, $at, $weaker, $rules, &$parts);
        }
    )* };
}

const SLOT: &str = "src/key/slot.rs";
const HOLDER: &str = "src/key/holder.rs";
const HOLDERS: &str = "src/key/holders.rs";
const REGISTRY: &str = "src/key/registry.rs";
const MAP: &str = "src/thread/map.rs";
const REACHABLE: &str = "src/thread/reachable.rs";
const VISIT: &str = "src/thread/visit.rs";
const EXCHANGE: &str = "src/thread/exchange.rs";

weakened! {
    opening_that_does_not_publish_the_callbacks:
        (SLOT, "fn open", "self.state.store"), Ordered(Relaxed),
        OWNER, ["release create", "attach | guess"], "unordered";
    a_look_at_the_key_that_sees_nothing_else:
        (SLOT, "fn check", "self.state.load"), Ordered(Relaxed),
        OWNER, ["release create", "attach | guess"], "unordered";
    a_look_at_the_key_that_a_burial_may_miss:
        (SLOT, "fn check", "self.state.load"), Ordered(Acquire),
        OWNER, ["set | release", "attach | set"], "counts 0 stale values, and 1 are";
    a_release_that_may_miss_a_linker:
        (SLOT, "fn release", "compare_exchange_weak"), Ordered(AcqRel),
        OWNER, ["set | release", "attach | set"], "counts 0 stale values, and 1 are";
    a_release_that_does_not_publish_what_was_done_before:
        (SLOT, "fn release", "compare_exchange_weak"), Ordered(Acquire),
        OWNER, ["use release", "use release"], "unordered";
    a_last_release_that_does_not_see_what_others_did:
        (SLOT, "fn release", "compare_exchange_weak"), Ordered(Release),
        OWNER, ["use release", "use release"], "unordered";
    a_link_that_does_not_publish_the_record:
        (HOLDERS, "unsafe fn link(", "compare_exchange"), Ordered(Acquire),
        OWNER, ["release", "attach | set"], "unordered";
    a_link_that_does_not_see_that_its_key_is_dead:
        (HOLDERS, "unsafe fn link(", "compare_exchange"), Ordered(Release),
        OWNER, ["release create", "set"], "is ended by thread 2 for key 1";
    opening_that_does_not_say_that_the_last_key_is_dead:
        (HOLDERS, "fn open", "self.sole.store"), Ordered(Relaxed),
        OWNER, ["release create", "set"], "is ended by thread 2 for key 1";
    a_linker_that_is_seen_too_late:
        (HOLDERS, "unsafe fn link_shared", "self.shared.store"), Ordered(Release),
        OWNER, ["set | release", "attach | set"], "counts 0 stale values, and 1 are";
    a_burial_that_looks_for_linkers_too_early:
        (HOLDERS, "fn bury_alone", "self.shared.load"), Ordered(Acquire),
        OWNER, ["set | release", "attach | set"], "counts 0 stale values, and 1 are";
    a_burial_that_does_not_see_the_record:
        (HOLDERS, "fn bury(", "self.sole.swap"), Ordered(Relaxed),
        OWNER, ["release", "attach | set"], "unordered";
    an_unlinking_that_does_not_publish_its_callbacks:
        (HOLDERS, "unsafe fn unlink", "compare_exchange"), Ordered(Relaxed),
        OWNER, ["attach | release", "set | remove"], "unordered";
    a_drain_that_does_not_see_the_callbacks_of_those_who_left:
        (HOLDERS, "fn number(", "self.sole.load"), Ordered(Relaxed),
        OWNER, ["drain", "set | remove"], "unordered";
    mail_that_does_not_publish_the_record:
        (HOLDER, "unsafe fn put", "self.first.compare_exchange_weak"), Ordered(Relaxed),
        OWNER, ["release", "set | expunge"], "unordered";
    an_owner_that_does_not_see_what_is_in_its_mailbox:
        (HOLDER, "fn take(", "self.first.swap"), Ordered(Relaxed),
        OWNER, ["release", "set | expunge"], "unordered";
    an_obligation_that_does_not_publish_its_callback:
        (SLOT, "fn obligation_met", "compare_exchange_weak"), Ordered(Relaxed),
        OWNER, ["attach | release", "set | expunge"], "unordered";
    a_last_obligation_that_does_not_see_the_others:
        (SLOT, "fn obligation_met", "self.obligations.load"), Ordered(Relaxed),
        OWNER, ["attach | release", "set | expunge"], "unordered";
    an_end_that_does_not_publish_what_led_to_it:
        (SLOT, "unsafe fn close", "self.obligations.store"), Ordered(Relaxed),
        OWNER, ["set | expunge", "release | drain"], "unordered";
    a_drain_that_does_not_see_what_led_to_the_end:
        (SLOT, "fn outstanding", "self.obligations.load"), Ordered(Relaxed),
        OWNER, ["set | expunge", "release | drain"], "unordered";
    a_free_slot_that_does_not_publish_its_last_use:
        (REGISTRY, "pub fn give_back", "self.free.compare_exchange_weak"), Ordered(Relaxed),
        OWNER, ["create release", "create"], "unordered";
    a_map_that_is_left_without_publishing_it:
        (MAP, "pub fn detach", "self.attached.store"), Ordered(Relaxed),
        OWNER, ["adopt set leave", "adopt set leave"], "unordered";
    a_map_that_is_adopted_without_seeing_it:
        (MAP, "pub fn attach", ".compare_exchange"), Ordered(Relaxed),
        OWNER, ["adopt set leave", "adopt set leave"], "unordered";
    a_value_that_is_taken_without_the_maps_lock:
        (REACHABLE, "pub fn reap", "self.mailbox.lock.with"), Unlocked,
        ANY, ["release", "set | set"], "unordered";
    an_owner_that_exchanges_without_its_lock:
        (REACHABLE, "pub fn exchange", "self.mailbox.lock.with"), Unlocked,
        ANY, ["release", "set | set"], "unordered";
    an_owner_that_changes_its_table_without_its_lock:
        (MAP, "fn with_table", "self.mailbox.lock.with"), Unlocked,
        ANY, ["release", "set | remove"], "unordered";
    mail_of_a_taken_value_that_is_not_waited_for:
        (EXCHANGE, "fn take_mail_of", "slot.with_holders"), Unlocked,
        ANY, ["attach | release", "set | remove"], "memory is given back, unordered";
    an_end_that_is_put_off_without_the_keys_lock:
        (VISIT, "pub(super) fn put_off", "slot.with_holders"), Unlocked,
        ENUMERABLE, ["visit", "set | remove"], "unordered";
}
