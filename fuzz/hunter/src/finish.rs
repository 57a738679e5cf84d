// SPDX-License-Identifier: MIT OR Apache-2.0
//! What must hold when nothing moves: at a standstill, and at the end.
//!
//! While threads run, a count is out of date when it is compared. So counts are
//! compared where no thread is inside a call: at the operation `Check` of a run
//! in turns, and when all threads have ended and every key was released. Then
//! every key must drain, every count must be zero, and each value that was made
//! must have ended once, or be counted as leaked.

use core::ptr::null_mut;
use core::sync::atomic::Ordering::SeqCst;

use crate::ffi::{self, OK};
use crate::ops;
use crate::program::{Code, Group, Op};
use crate::report::fail;
use crate::scopes;
use crate::shadow::{shadow, state, Record, NO_MAP};
use crate::world::{fail_allocation, world, Mode, Worker, CONDUCTOR};

/// Milliseconds that a key may take to drain when nobody has it.
const DRAINS_IN: i32 = 300;
/// Values of one key and map that visitors may have deferred.
const MOST_DEFERRED: usize = 6;

fn stats() -> ffi::Stats {
    let mut stats = ffi::Stats { size: size_of::<ffi::Stats>(), ..Default::default() };
    // SAFETY: The size is said.
    if unsafe { ffi::tls_stats(&mut stats) } != OK {
        fail(format_args!("tls_stats fails"));
    }
    stats
}

/// How many values that have not ended `is_it` is true of, at a standstill: at
/// least and at most. A thread that has ended inside a call may have offered one
/// in vain.
fn counted(is_it: impl Fn(&Record) -> bool) -> (u64, u64) {
    let mut number = (0, 0);
    for record in shadow().alive().filter(|record| is_it(record)) {
        number.0 += u64::from(record.state.load(SeqCst) == state::HELD);
        number.1 += 1;
    }
    number
}

/// The operation `Check`.
pub(crate) fn check_standing(me: &Worker, op: Op) {
    let world = world();
    if world.mode != Mode::Turns || !me.is_at_top() || !world.stands_still() {
        return;
    }
    let shadow = shadow();
    let stats = stats();
    let live = shadow.keys.iter().filter(|key| key.life.load(SeqCst) != 0 && !key.is_dead());
    let live = live.count() as u64;
    if stats.keys != live && !world.forked.load(SeqCst) {
        fail(format_args!("tls_stats.keys is {}, and {live} keys are live", stats.keys));
    }
    let contexts = shadow.contexts.load(SeqCst) as u64;
    if stats.contexts != contexts && !world.loose.load(SeqCst) {
        fail(format_args!("tls_stats.contexts is {}, not {contexts}", stats.contexts));
    }
    if world.program.nulls || world.forked.load(SeqCst) {
        return;
    }
    // A value that is deferred for a visitor is in no map any more.
    let held = counted(|_| true);
    let visited = shadow.alive().filter(|record| record.visited.load(SeqCst)).count() as u64;
    let has = stats.entries + stats.leaked;
    if has > held.1 || has + visited < held.0 {
        let (entries, leaked) = (stats.entries, stats.leaked);
        fail(format_args!(
            "tls_stats: {entries} entries and {leaked} leaked, and {} values were not ended",
            held.1
        ));
    }
    let map = me.map();
    check_deferred(map);
    if world.without.has(Group::Stale) || visited > 0 {
        return;
    }
    let is_dead = |record: &Record| shadow.key_of(record).is_dead();
    // What was purged, and left to its owner.
    let may_be = |record: &Record| is_dead(record) || shadow.key_of(record).purges.load(SeqCst) > 0;
    let here = |record: &Record| record.map.load(SeqCst) == map;
    let stale = (
        counted(|record| here(record) && is_dead(record)).0,
        counted(|record| here(record) && may_be(record)).1,
    );
    // SAFETY: Any thread may.
    let said = unsafe { ffi::tls_stale_count() } as u64;
    if (said < stale.0 || said > stale.1) && stats.leaked == 0 {
        fail(format_args!("tls_stale_count is {said}, and {} values are stale", stale.1));
    }
    let in_map = |record: &Record| record.map.load(SeqCst) != NO_MAP;
    let dead = (
        counted(|record| in_map(record) && is_dead(record)).0,
        counted(|record| in_map(record) && may_be(record)).1,
    );
    let exact = dead.0 <= stats.stale && stats.stale <= dead.1;
    if !exact && stats.leaked == 0 && contexts == 0 {
        fail(format_args!("tls_stats.stale is {}, and {} values are stale", stats.stale, dead.1));
    }
    if op.b & 1 != 0 && stats.leaked == 0 {
        check_expunge(me);
    }
}

/// Deferred values must not pile up.
fn check_deferred(map: u16) {
    let shadow = shadow();
    // Scopes have a value of a key each.
    if world().without.has(Group::Deferred) || shadow.maps[usize::from(map)].scoped.load(SeqCst) {
        return;
    }
    // Those of EXPLICIT keys wait for an expunge.
    for key in shadow.keys.iter().filter(|key| !key.spec.get().explicit) {
        let deferred = shadow.alive().filter(|record| {
            usize::from(record.key.load(SeqCst)) == key.number()
                && record.map.load(SeqCst) == map
                && record.visited.load(SeqCst)
                && record.visitors.load(SeqCst) == 0
        });
        let deferred = deferred.count();
        if deferred > MOST_DEFERRED {
            fail(format_args!("{deferred} values of one key and map were visited and not ended"));
        }
    }
}

/// Expunges with quiet callbacks: nothing stale may be left.
fn check_expunge(me: &Worker) {
    let world = world();
    world.quiet.store(true, SeqCst);
    // SAFETY: Any thread may.
    me.call_in(Code::Expunge, None, |_| unsafe { ffi::tls_expunge() });
    world.quiet.store(false, SeqCst);
    let map = me.map();
    let (left, _) =
        counted(|record| record.map.load(SeqCst) == map && shadow().key_of(record).is_dead());
    // SAFETY: Any thread may.
    let said = unsafe { ffi::tls_stale_count() };
    if left > 0 || said > 0 {
        fail(format_args!("after tls_expunge: tls_stale_count is {said}, {left} are stale"));
    }
}

/// When all other threads have ended: ends what is left, and checks that
/// nothing is.
pub(crate) fn finish(me: &Worker) {
    let world = world();
    world.quiet.store(true, SeqCst);
    fail_allocation(0);
    let (forked, loose) = (world.forked.load(SeqCst), world.loose.load(SeqCst));
    // SAFETY: No callback is running.
    let code = unsafe { ffi::tls_map_switch(null_mut(), null_mut()) };
    if code != OK {
        fail(format_args!("at the end: tls_map_switch(NULL) returns {code}"));
    }
    world.contexts.iter().for_each(|slot| {
        scopes::end_context(me, Code::FreeContext, slot.take_at_end());
    });
    world.tasks.iter().for_each(|slot| scopes::end_task(me, Code::TaskCancel, slot.take_at_end()));
    for map in &shadow().maps {
        let map = map.pointer.load(SeqCst);
        if !map.is_null() {
            let code = scopes::map_destroy(me, map);
            if code != OK && !forked {
                fail(format_args!("at the end: tls_map_destroy returns {code}"));
            }
        }
    }
    release_all(me, forked);
    me.detached.store(true, SeqCst);
    // SAFETY: No callback is running.
    let code = unsafe { ffi::tls_thread_detach() };
    if code != OK {
        fail(format_args!("at the end: tls_thread_detach returns {code}"));
    }
    if loose {
        return;
    }
    drain_all();
    let stats = stats();
    if !forked {
        check_zero(&stats);
    }
    check_values(&stats, forked);
    let hooks = shadow().hooks.load(SeqCst);
    if hooks != 0 && !forked {
        fail(format_args!("at the end: {hooks} hooks were not called"));
    }
}

fn release_all(me: &Worker, forked: bool) {
    for key in &shadow().keys {
        let handle = key.handle.load(SeqCst);
        if key.life.load(SeqCst) == 0 || handle == 0 {
            continue;
        }
        while key.references.load(SeqCst) > 0 {
            key.references.fetch_sub(1, SeqCst);
            ops::release_held(me, handle, key);
        }
        // A release that a gone thread was making may or may not have happened.
        // SAFETY: Any thread may.
        while forked && unsafe { ffi::tls_key_release(handle) } == OK {}
        // SAFETY: Any thread may.
        if unsafe { ffi::tls_key_is_live(handle) } {
            let number = key.number();
            fail(format_args!("at the end: key {number} is live without a reference"));
        }
    }
}

fn drain_all() {
    for key in &shadow().keys {
        let handle = key.handle.load(SeqCst);
        if handle == 0 || (key.life.load(SeqCst) == 0 && key.freed.load(SeqCst) == 0) {
            continue;
        }
        let mut left = 0;
        // SAFETY: The pointer is good.
        let code = unsafe { ffi::tls_key_drain(handle, DRAINS_IN, &mut left) };
        let number = key.number();
        if code != OK || left != 0 {
            fail(format_args!("at the end: key {number} does not drain ({code}, left {left})"));
        }
        // Who was about to call it may be gone.
        if key.freed.load(SeqCst) == 0 && !world().bereft.load(SeqCst) {
            fail(format_args!("at the end: key {number} drains, and its user_free is not called"));
        }
    }
}

fn check_zero(stats: &ffi::Stats) {
    let zero = [
        (stats.keys, "keys"),
        (stats.dead_keys, "dead_keys"),
        (stats.maps, "maps"),
        (stats.entries, "entries"),
        (stats.stale, "stale"),
        (stats.contexts, "contexts"),
    ];
    for (number, name) in zero {
        if number != 0 {
            fail(format_args!("at the end: tls_stats.{name} is {number}"));
        }
    }
}

/// What there is to know of a lost value: a run of many threads is not shrunk.
fn describe(record: &Record) {
    let key = shadow().key_of(record);
    eprintln!(
        "   lost: value {} of map {}, made by {} (254 init, 255 copy), visited {}, key {}, kind {:05b}",
        record.number(),
        record.map.load(SeqCst),
        record.origin.load(SeqCst),
        record.visited.load(SeqCst),
        key.number(),
        record.kind.load(SeqCst)
    );
}

fn check_values(stats: &ffi::Stats, forked: bool) {
    let mut lost = 0;
    let mut one = None;
    for record in shadow().used() {
        if record.state.load(SeqCst) != state::HELD {
            continue;
        }
        let spec = shadow().key_of(record).spec.get();
        let map = usize::from(record.map.load(SeqCst));
        // A thread that is gone may have had it in hand.
        if forked && (spec.any || spec.enumerable || spec.inherit || map > CONDUCTOR) {
            continue;
        }
        lost += 1;
        one = Some(record);
    }
    if lost > stats.leaked {
        let leaked = stats.leaked;
        one.iter().for_each(|record| describe(record));
        let one = one.map_or(0, Record::number);
        fail(format_args!("at the end: {lost} values are lost, {leaked} leaked (one is {one})"));
    }
    if lost < stats.leaked && !world().program.nulls && !forked {
        let leaked = stats.leaked;
        fail(format_args!("at the end: {leaked} values are said to be leaked, {lost} are lost"));
    }
}
